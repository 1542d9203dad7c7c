//! Where results go: a prefix in S3, a folder, or one file.

use std::fmt;
use std::path::{Path, PathBuf};

use gristmill_cloud::{Cloud, S3Uri};
use gristmill_plan::Location;

use crate::error::RunError;
use crate::exit_code::ExitCode;

/// Names that are looked at when a destination is checked.
const MAX_NAMES: usize = 200_000;

/// A destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Every name is appended to this prefix, which ends with a slash.
    S3(S3Uri),
    /// A folder on this machine, absolute.
    Folder(PathBuf),
    /// One file on this machine, absolute.
    File(PathBuf),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::S3(uri) => uri.fmt(f),
            Target::Folder(path) => write!(f, "{}/", path.display()),
            Target::File(path) => path.display().fmt(f),
        }
    }
}

impl Target {
    /// A destination that holds files, whatever its last character.
    ///
    /// # Errors
    /// When it is not an S3 URI or a path.
    pub fn folder(location: &Location) -> Result<Self, RunError> {
        match location {
            Location::S3(uri) => {
                let uri = if uri.ends_with('/') {
                    uri.clone()
                } else {
                    format!("{uri}/")
                };
                Ok(Target::S3(S3Uri::parse(&uri)?))
            }
            Location::Local(path) => Ok(Target::Folder(absolute(path)?)),
            Location::Stdin => Err(RunError::new(
                ExitCode::Pipeline,
                "a run cannot publish to the standard output",
            )),
        }
    }

    /// A folder if it ends with a slash or is in S3, else one file.
    ///
    /// # Errors
    /// As [`Target::folder`].
    pub fn folder_or_file(location: &Location) -> Result<Self, RunError> {
        match location {
            Location::Local(path) if !location.is_folder() => Ok(Target::File(absolute(path)?)),
            other => Self::folder(other),
        }
    }

    /// The path, for a destination on this machine.
    #[must_use]
    pub fn local_path(&self) -> Option<PathBuf> {
        match self {
            Target::S3(_) => None,
            Target::Folder(path) | Target::File(path) => Some(path.clone()),
        }
    }

    /// The names of what is there, relative to the destination, in no particular order.
    ///
    /// # Errors
    /// The disk's or the store's.
    pub async fn names(&self, cloud: Option<&Cloud>) -> Result<Vec<String>, RunError> {
        match self {
            Target::S3(prefix) => {
                let cloud = cloud.ok_or_else(|| RunError::bug("no store was connected"))?;
                let listed = cloud.store().list(prefix, MAX_NAMES).await?;
                Ok(listed
                    .into_iter()
                    .map(|o| o.key[prefix.key.len()..].to_owned())
                    .collect())
            }
            Target::Folder(path) => folder_names(path),
            Target::File(path) => Ok(path
                .exists()
                .then(|| path.display().to_string())
                .into_iter()
                .collect()),
        }
    }
}

fn absolute(path: &Path) -> Result<PathBuf, RunError> {
    let path = std::path::absolute(path).map_err(|e| RunError::io("find", path, e))?;
    // `absolute` keeps a final slash; `Display` adds the one that a folder is shown with.
    Ok(path.components().collect())
}

fn folder_names(path: &Path) -> Result<Vec<String>, RunError> {
    let entries = match std::fs::read_dir(path) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(RunError::io("list", path, e)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|e| RunError::io("list", path, e))?;
        names.push(entry.file_name().to_string_lossy().into_owned());
    }
    Ok(names)
}
