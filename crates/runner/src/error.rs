//! Why a run stopped, and the exit code that tells a scheduler what to do about it.

use std::io;
use std::path::Path;

use gristmill_cloud::{CloudError, CloudErrorKind, S3UriError};
use gristmill_plan::Problems;
use gristmill_tabular::TabularError;

use crate::exit_code::ExitCode;

/// The status of a run whose job is under way and that nobody waits for.
pub const WAITING: &str = "waiting";
/// The status of a run that `gristmill cancel` ended.
pub const CANCELLED: &str = "cancelled";

/// An error with its class, what happened, and what to do.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct RunError {
    /// The class.
    pub exit: ExitCode,
    /// What happened, where, with numbers.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// The mistakes of a pipeline file, each with its place; empty otherwise.
    pub problems: Vec<gristmill_plan::Problem>,
    /// Under `--no-wait`: nothing is wrong, this job is under way.
    pub waits_for: Option<Box<JobSeen>>,
}

/// A transform job as it was when it was last looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobSeen {
    /// TransformJobName.
    pub name: String,
    /// The service's word: `InProgress` or `Stopping`.
    pub status: String,
}

impl RunError {
    /// An error of any class.
    pub fn new(exit: ExitCode, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
            help: None,
            problems: Vec::new(),
            waits_for: None,
        }
    }

    /// Not wrong, but not done either: a job is under way, and so many others are, and `--no-wait` says
    /// not to wait for them.
    #[must_use]
    pub fn waiting(job: JobSeen, others: usize) -> Self {
        let message = match others {
            0 => format!("job {} is {}", job.name, job.status),
            n => format!(
                "job {} is {}, and {n} more are under way",
                job.name, job.status
            ),
        };
        let mut error = Self::new(ExitCode::Temporary, message).with_help(
            "call again: with --no-wait it looks once more and goes on when the job has ended, \
             without it waits for that",
        );
        error.waits_for = Some(Box::new(job));
        error
    }

    /// One word for logs and JSON (`status` in a run's result).
    #[must_use]
    pub fn status(&self) -> &'static str {
        match self.waits_for {
            Some(_) => WAITING,
            None => self.exit.status(),
        }
    }

    /// The same error with advice.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// A call of the operating system that failed, on `path`. A full disk says so.
    pub fn io(action: &str, path: &Path, source: io::Error) -> Self {
        let error = Self::new(
            ExitCode::Failure,
            format!("cannot {action} {}: {source}", path.display()),
        );
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => error
                .with_help("free space on that disk, then run the same command again: it goes on"),
            io::ErrorKind::PermissionDenied => {
                error.with_help("make the path writable, or choose another with --work-dir")
            }
            _ => error,
        }
    }

    /// A record of the run that cannot be trusted.
    pub fn damaged(message: impl Into<String>) -> Self {
        Self::new(ExitCode::Failure, message)
    }

    /// Something that cannot happen, happened.
    pub fn bug(message: impl Into<String>) -> Self {
        Self::new(ExitCode::Bug, message)
            .with_help("this is a bug in gristmill: please report it with this message")
    }
}

impl From<Problems> for RunError {
    fn from(problems: Problems) -> Self {
        let count = problems.0.len();
        let plural = if count == 1 { "mistake" } else { "mistakes" };
        let mut error = Self::new(
            ExitCode::Pipeline,
            format!("the pipeline file has {count} {plural}"),
        );
        error.problems = problems.0;
        error
    }
}

impl From<CloudError> for RunError {
    fn from(error: CloudError) -> Self {
        let exit = match error.kind {
            _ if error.action == "aws connect" => ExitCode::Permission,
            CloudErrorKind::AccessDenied | CloudErrorKind::Credentials => ExitCode::Permission,
            CloudErrorKind::Throttled
            | CloudErrorKind::Quota
            | CloudErrorKind::Network
            | CloudErrorKind::Service => ExitCode::Temporary,
            CloudErrorKind::PreconditionFailed | CloudErrorKind::NameInUse => ExitCode::Exists,
            _ => ExitCode::Failure,
        };
        let help = error.help.clone();
        let mut error = Self::new(exit, error.to_string());
        error.help = help;
        error
    }
}

impl From<S3UriError> for RunError {
    fn from(error: S3UriError) -> Self {
        Self::new(ExitCode::Pipeline, error.to_string())
    }
}

impl From<TabularError> for RunError {
    fn from(error: TabularError) -> Self {
        crate::data_error::classify(&error)
    }
}
