//! What a finished command tells the program that called it: one number, one meaning.

use serde::Serialize;

/// The exit codes of every verb, in one place. The numbers follow `sysexits.h` where it has a word
/// for the case, Airflow's skip convention (99), `timeout(1)` (124) and the shell's 128 + signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(into = "u8")]
#[repr(u8)]
pub enum ExitCode {
    /// Done; also when the result of an earlier run was printed again.
    Success = 0,
    /// Failed, and not classed below.
    Failure = 1,
    /// The command line is wrong.
    Usage = 2,
    /// The data: a bad row, a quarantine limit, a contract.
    Data = 65,
    /// No input.
    NoInput = 66,
    /// The model: a job that failed, a container that errs, rows that do not come back.
    Model = 69,
    /// A bug of ours.
    Bug = 70,
    /// The output exists, or the key was used with other data or parameters.
    Exists = 73,
    /// Temporary: throttled, quota, lock held, network; the same call may succeed later.
    Temporary = 75,
    /// Credentials or permission.
    Permission = 77,
    /// The pipeline file.
    Pipeline = 78,
    /// Nothing to do, with `on_empty: skip`.
    Skipped = 99,
    /// Our `job_timeout` passed; the job was stopped.
    Timeout = 124,
    /// SIGINT; the state is kept.
    Interrupted = 130,
    /// SIGTERM; the state is kept.
    Terminated = 143,
}

impl ExitCode {
    /// Every code, in ascending order.
    pub const ALL: [ExitCode; 15] = [
        ExitCode::Success,
        ExitCode::Failure,
        ExitCode::Usage,
        ExitCode::Data,
        ExitCode::NoInput,
        ExitCode::Model,
        ExitCode::Bug,
        ExitCode::Exists,
        ExitCode::Temporary,
        ExitCode::Permission,
        ExitCode::Pipeline,
        ExitCode::Skipped,
        ExitCode::Timeout,
        ExitCode::Interrupted,
        ExitCode::Terminated,
    ];

    /// The number that the process ends with.
    #[must_use]
    pub fn number(self) -> u8 {
        self as u8
    }

    /// The code with this number, if there is one.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.number() == number)
    }

    /// One word for logs and JSON (`status` in a run's result).
    #[must_use]
    pub fn status(self) -> &'static str {
        match self {
            ExitCode::Success => "succeeded",
            ExitCode::Skipped => "skipped",
            ExitCode::Timeout => "timed_out",
            ExitCode::Interrupted | ExitCode::Terminated => "interrupted",
            ExitCode::Temporary => "deferred",
            _ => "failed",
        }
    }

    /// What the code means, as `--help` and the documentation print it.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            ExitCode::Success => "done, or done before and printed again",
            ExitCode::Failure => "failed, not classed below",
            ExitCode::Usage => "usage",
            ExitCode::Data => "the data: a bad row, a quarantine limit, a contract",
            ExitCode::NoInput => "no input",
            ExitCode::Model => {
                "the model: job failed, container errors, rows that do not come back"
            }
            ExitCode::Bug => "a bug in gristmill",
            ExitCode::Exists => {
                "the output exists, or the key was used with other data or parameters"
            }
            ExitCode::Temporary => "temporary: throttled, quota, locked, network; call again",
            ExitCode::Permission => "credentials or permission",
            ExitCode::Pipeline => "the pipeline file",
            ExitCode::Skipped => "nothing to do, with on_empty: skip",
            ExitCode::Timeout => "job_timeout passed; the job was stopped",
            ExitCode::Interrupted => "interrupted; state is kept, run again",
            ExitCode::Terminated => "terminated; state is kept, run again",
        }
    }
}

impl From<ExitCode> for u8 {
    fn from(code: ExitCode) -> u8 {
        code.number()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn numbers_are_unique_and_found_again() {
        for code in ExitCode::ALL {
            assert_eq!(ExitCode::from_number(code.number()), Some(code));
        }
        assert_eq!(ExitCode::from_number(3), None);
    }
}
