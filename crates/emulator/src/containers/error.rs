//! Why a container does not answer.

use std::path::PathBuf;

/// A container that could not be started. Its `Display` is meant for the job's log.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ContainerError {
    /// The image's name means nothing here.
    #[error(
        "image '{0}' cannot be run here: expected gristmill.local/onnx, gristmill.local/command or gristmill.local/url"
    )]
    Image(String),
    /// The image needs a variable that the model's environment lacks.
    #[error("image {image} needs {variable} in the model's environment")]
    Variable {
        /// The image.
        image: &'static str,
        /// The variable's name.
        variable: &'static str,
    },
    /// The model data cannot be unpacked.
    #[error("model data: {0}")]
    ModelData(String),
    /// A system call failed.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The process ended before it was ready.
    #[error("the container ended ({0}) before it answered GET /ping with 200")]
    Ended(std::process::ExitStatus),
    /// No 200 from `/ping` in time.
    #[error("GET /ping was not answered with 200 within {seconds} s (last: {last})")]
    Ping {
        /// The limit.
        seconds: u64,
        /// Status or error of the last try.
        last: String,
    },
}

impl ContainerError {
    /// For `map_err`: an [`ContainerError::Io`] with its place.
    pub(crate) fn io(
        action: &'static str,
        path: &std::path::Path,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }
}
