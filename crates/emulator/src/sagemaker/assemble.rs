//! Putting the replies of an object together.

use std::path::Path;

use tokio::fs::File;
use tokio::io::{AsyncWriteExt as _, BufWriter};

use super::settings::Settings;
use crate::assume::AssembleLine;

/// A `.out` in the making.
pub(crate) struct Output {
    file: BufWriter<File>,
    lines: bool,
    rule: AssembleLine,
}

/// What goes wrong after a mini-batch, if anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Edge {
    /// The newline is missing.
    pub(crate) glued: bool,
    /// A blank line follows.
    pub(crate) blank: bool,
}

impl Output {
    pub(crate) async fn create(path: &Path, settings: &Settings) -> std::io::Result<Self> {
        if let Some(folder) = path.parent() {
            tokio::fs::create_dir_all(folder).await?;
        }
        Ok(Self {
            file: BufWriter::new(File::create(path).await?),
            lines: settings.assemble_lines,
            rule: settings.assume.assemble_line,
        })
    }

    /// Adds the next reply, in the order of the input.
    pub(crate) async fn push(&mut self, reply: &[u8], edge: Edge) -> std::io::Result<()> {
        let content = match reply.strip_suffix(b"\n") {
            Some(content) if edge.glued => content,
            _ => reply,
        };
        self.file.write_all(content).await?;
        let newline = self.lines
            && match self.rule {
                AssembleLine::Always => true,
                AssembleLine::WhereMissing => !reply.is_empty() && !reply.ends_with(b"\n"),
            };
        if newline && !edge.glued {
            self.file.write_all(b"\n").await?;
        }
        if edge.blank {
            self.file.write_all(b"\n").await?;
        }
        Ok(())
    }

    pub(crate) async fn finish(mut self) -> std::io::Result<()> {
        self.file.flush().await
    }
}
