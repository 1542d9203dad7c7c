//! The file that bad rows go to: a JSON object a line, readable by its owner only, as rows may hold
//! what errors must not show.

use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

use crate::bad_rows::BadRow;
use crate::error::TabularError;
use crate::scratch::ScratchFile;

/// A quarantine under way. Dropped without [`Quarantine::keep`], it leaves nothing.
pub(crate) struct Quarantine {
    path: PathBuf,
    scratch: ScratchFile,
    out: BufWriter<File>,
    rows: u64,
}

impl Quarantine {
    /// Starts a file that will be `path`.
    pub(crate) fn create(path: &Path) -> Result<Self, TabularError> {
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let scratch = ScratchFile::create_in(folder, "bad-rows")?;
        let out = BufWriter::new(scratch.open_for_write()?);
        Ok(Self {
            path: path.to_path_buf(),
            scratch,
            out,
            rows: 0,
        })
    }

    /// Appends a row.
    pub(crate) fn add(&mut self, row: &BadRow) -> Result<(), TabularError> {
        self.rows += 1;
        row.write_json_line(&mut self.out)
            .map_err(TabularError::io("write", &self.path))
    }

    /// Makes the file durable under its name; without rows, removes an older one instead.
    pub(crate) fn keep(self) -> Result<(), TabularError> {
        let Self {
            path,
            scratch,
            out,
            rows,
        } = self;
        if rows > 0 {
            let synced = out
                .into_inner()
                .map_err(io::IntoInnerError::into_error)
                .and_then(|f| f.sync_all());
            synced.map_err(TabularError::io("write", &path))?;
            return scratch.rename(&path);
        }
        match fs::remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                Err(TabularError::io("remove", &path)(e))
            }
            _ => Ok(()),
        }
    }
}
