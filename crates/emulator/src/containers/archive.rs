//! Model data: a tar.gz, unpacked so that nothing lands outside the model's folder.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};

use super::error::ContainerError;

/// More than any model that a laptop serves; a bomb is larger.
const MAX_UNPACKED_BYTES: u64 = 16 << 30;
/// More files than any model folder has.
const MAX_ENTRIES: usize = 100_000;

/// Unpacks `archive` into `folder`, which is created. Blocking.
pub(crate) fn unpack(archive: &Path, folder: &Path) -> Result<(), ContainerError> {
    let file = File::open(archive).map_err(ContainerError::io("open", archive))?;
    std::fs::create_dir_all(folder).map_err(ContainerError::io("create", folder))?;
    unpack_reader(file, folder)
}

/// As [`unpack`], from a reader; `folder` exists.
pub(crate) fn unpack_reader(reader: impl Read, folder: &Path) -> Result<(), ContainerError> {
    let unreadable =
        |e: io::Error| ContainerError::ModelData(format!("not a readable tar.gz: {e}"));
    let mut tar = tar::Archive::new(flate2::read::MultiGzDecoder::new(reader));
    let mut left = MAX_UNPACKED_BYTES;
    for (count, entry) in tar.entries().map_err(unreadable)?.enumerate() {
        let mut entry = entry.map_err(unreadable)?;
        if count >= MAX_ENTRIES {
            return Err(ContainerError::ModelData(format!(
                "more than {MAX_ENTRIES} entries"
            )));
        }
        let name = entry.path().map_err(unreadable)?.into_owned();
        let path = inside(folder, &name)?;
        match entry.header().entry_type() {
            tar::EntryType::Directory => {
                std::fs::create_dir_all(&path).map_err(ContainerError::io("create", &path))?;
            }
            tar::EntryType::Regular | tar::EntryType::GNUSparse => {
                let mode = entry.header().mode().unwrap_or(0o644);
                left = write_file(&mut entry, &path, mode, left)?;
            }
            tar::EntryType::XGlobalHeader => {}
            other => {
                return Err(ContainerError::ModelData(format!(
                    "entry {} is a {other:?}; only files and folders are unpacked",
                    name.display()
                )));
            }
        }
    }
    Ok(())
}

/// The entry's place below `folder`; refuses absolute names and `..`.
fn inside(folder: &Path, name: &Path) -> Result<PathBuf, ContainerError> {
    let mut path = folder.to_owned();
    for component in name.components() {
        match component {
            Component::Normal(part) => path.push(part),
            Component::CurDir => {}
            _ => {
                return Err(ContainerError::ModelData(format!(
                    "entry {} points outside the model folder",
                    name.display()
                )));
            }
        }
    }
    Ok(path)
}

/// Returns what is left of the limit.
fn write_file(
    reader: &mut impl Read,
    path: &Path,
    mode: u32,
    left: u64,
) -> Result<u64, ContainerError> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(ContainerError::io("create", parent))?;
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .map_err(ContainerError::io("create", path))?;
    let written = io::copy(&mut reader.take(left.saturating_add(1)), &mut file)
        .map_err(ContainerError::io("unpack", path))?;
    let Some(left) = left.checked_sub(written) else {
        return Err(ContainerError::ModelData(format!(
            "more than {MAX_UNPACKED_BYTES} bytes unpacked"
        )));
    };
    let executable = if mode & 0o111 == 0 { 0o644 } else { 0o755 };
    std::fs::set_permissions(path, Permissions::from_mode(executable))
        .map_err(ContainerError::io("set the mode of", path))?;
    Ok(left)
}
