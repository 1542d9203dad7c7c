//! What can go wrong with the emulator itself, and the shape of a service's refusal.

use std::io;
use std::path::{Path, PathBuf};

use crate::store::StoreError;

/// Why an emulator could not start, or had to end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmulatorError {
    /// A file or folder of the emulator could not be used.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb: `create`, `read`, `rename` …
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another emulator serves the folder.
    #[error(
        "the folder {} is served by another emulator{}; use that one or another folder",
        dir.display(),
        pid.map(|pid| format!(" (process {pid})")).unwrap_or_default()
    )]
    Locked {
        /// The folder.
        dir: PathBuf,
        /// The process that holds the lock, where its endpoint file says so.
        pid: Option<u32>,
    },
    /// The port is taken or not allowed.
    #[error("cannot listen on 127.0.0.1:{port}: {source}; give a port that is free, or 0 for any")]
    Listen {
        /// The port that was asked for; 0 stands for any.
        port: u16,
        /// What the system said.
        source: io::Error,
    },
    /// A file of the emulator's own holds something else than it wrote.
    #[error("{} is damaged: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found and what was expected.
        reason: String,
    },
    /// The object store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A model's container could not be run.
    #[error("container: {0}")]
    Container(String),
    /// The arguments of the hidden container verb are wrong.
    #[error("container arguments: {0}")]
    Usage(String),
    /// An ONNX file cannot be used as a model.
    #[error("ONNX model: {0}")]
    Onnx(String),
}

impl EmulatorError {
    /// An [`EmulatorError::Io`], for `map_err`.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }
}

/// A refusal by one of the JSON 1.1 services, as its client sees it: an HTTP status, and a body of
/// `{"__type": code, "message": message}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServiceError {
    /// HTTP status, 400 for nearly everything.
    pub(crate) status: u16,
    /// The exception's name, such as `ValidationException`.
    pub(crate) code: &'static str,
    /// The sentence for a human.
    pub(crate) message: String,
}

impl ServiceError {
    /// A refusal with status 400.
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status: 400,
            code,
            message: message.into(),
        }
    }

    /// A failure of the service's own, status 500.
    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self {
            status: 500,
            code: "InternalFailure",
            message: message.into(),
        }
    }
}
