//! Files of our own that outlive nobody.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::TabularError;

/// A file that is removed when this value is dropped.
#[derive(Debug)]
pub(crate) struct ScratchFile {
    path: PathBuf,
}

/// Distinguishes scratch files of one process.
static NEXT: AtomicU64 = AtomicU64::new(0);

impl ScratchFile {
    /// Creates `.{stem}.{process}-{n}.tmp` in `folder`, which is made if it is not there; readable
    /// by its owner only.
    pub(crate) fn create_in(folder: &Path, stem: &str) -> Result<Self, TabularError> {
        fs::create_dir_all(folder).map_err(TabularError::io("create", folder))?;
        loop {
            let n = NEXT.fetch_add(1, Ordering::Relaxed);
            let path = folder.join(format!(".{stem}.{}-{n}.tmp", std::process::id()));
            let mut options = OpenOptions::new();
            options.write(true).create_new(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            match options.open(&path) {
                Ok(_) => return Ok(Self { path }),
                // Left behind by a killed process that had the same id.
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                Err(source) => {
                    return Err(TabularError::Io {
                        path,
                        action: "create",
                        source,
                    });
                }
            }
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Gives the file another name, durably; its content has been synced.
    pub(crate) fn rename(self, name: &Path) -> Result<(), TabularError> {
        fs::rename(&self.path, name).map_err(TabularError::io("rename to", name))?;
        let folder = match name.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        File::open(folder)
            .and_then(|f| f.sync_all())
            .map_err(TabularError::io("sync", folder))
    }

    pub(crate) fn open_for_write(&self) -> Result<File, TabularError> {
        OpenOptions::new()
            .write(true)
            .open(&self.path)
            .map_err(TabularError::io("open", &self.path))
    }
}

impl Drop for ScratchFile {
    fn drop(&mut self) {
        // After a rename there is no such name; and nobody is left to be told of failure.
        let _ = fs::remove_file(&self.path);
    }
}
