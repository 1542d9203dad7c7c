//! Where results go: a prefix in S3, a folder, or one file.

use std::fmt;
use std::path::{Path, PathBuf};

use gristmill_cloud::{Cloud, S3Uri};
use gristmill_plan::Location;

use crate::destination::Destination;
use crate::error::RunError;
use crate::exit_code::ExitCode;

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

    /// The operations on a destination that holds files by name.
    ///
    /// # Errors
    /// A bug, for one file, or without a store.
    pub(crate) fn destination(
        &self,
        cloud: Option<&Cloud>,
        run: &str,
    ) -> Result<Destination, RunError> {
        match self {
            Target::S3(prefix) => Destination::s3(cloud, prefix),
            Target::Folder(path) => Ok(Destination::Folder {
                path: path.clone(),
                run: run.to_owned(),
            }),
            Target::File(path) => Err(RunError::bug(format!("{} is one file", path.display()))),
        }
    }

    /// The names of what is there, relative to the destination, in no particular order.
    ///
    /// # Errors
    /// The disk's or the store's.
    pub async fn names(&self, cloud: Option<&Cloud>) -> Result<Vec<String>, RunError> {
        match self {
            Target::File(path) if path.exists() => {
                let name = path.file_name().unwrap_or_default();
                Ok(vec![name.to_string_lossy().into_owned()])
            }
            Target::File(_) => Ok(Vec::new()),
            other => other.destination(cloud, "")?.names().await,
        }
    }
}

fn absolute(path: &Path) -> Result<PathBuf, RunError> {
    let path = std::path::absolute(path).map_err(|e| RunError::io("find", path, e))?;
    // `absolute` keeps a final slash; `Display` adds the one that a folder is shown with.
    Ok(path.components().collect())
}
