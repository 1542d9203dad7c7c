//! Small JSON documents on disk, each written whole or not at all.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::EmulatorError;

/// Writes `value` to a temporary file beside `path`, syncs it, renames it over `path` and syncs the
/// folder: after a crash the file holds the old document or the new one.
pub(crate) fn write<T: Serialize>(path: &Path, value: &T) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let temporary = path.with_extension("tmp");
    let mut file = File::create(&temporary)?;
    file.write_all(&serde_json::to_vec_pretty(value)?)?;
    file.sync_all()?;
    std::fs::rename(&temporary, path)?;
    File::open(folder)?.sync_all()
}

/// All `*.json` of a folder, which is created where it is missing.
pub(crate) fn load_all<T: DeserializeOwned>(folder: &Path) -> Result<Vec<T>, EmulatorError> {
    std::fs::create_dir_all(folder).map_err(EmulatorError::io("create", folder))?;
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(EmulatorError::io("list", folder))? {
        let path = entry.map_err(EmulatorError::io("list", folder))?.path();
        if path.extension().is_some_and(|e| e == "json") {
            all.push(load(&path)?);
        }
    }
    Ok(all)
}

fn load<T: DeserializeOwned>(path: &Path) -> Result<T, EmulatorError> {
    let bytes = std::fs::read(path).map_err(EmulatorError::io("read", path))?;
    serde_json::from_slice(&bytes).map_err(|e| EmulatorError::Damaged {
        path: path.to_owned(),
        reason: e.to_string(),
    })
}

/// One document, or nothing where it was never written.
pub(crate) fn load_if_there<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, EmulatorError> {
    if path.exists() {
        load(path).map(Some)
    } else {
        Ok(None)
    }
}
