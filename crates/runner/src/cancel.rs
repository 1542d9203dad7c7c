//! Being told to stop: by a signal, or by a stage that failed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use tokio_util::sync::CancellationToken;

use crate::error::RunError;
use crate::exit_code::ExitCode;

/// A request to stop, shared by all stages. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Cancel {
    token: CancellationToken,
    exit: Arc<AtomicU8>,
    requested: Arc<AtomicBool>,
}

impl Cancel {
    /// Asks everything to stop, ending with `exit`. The first call decides.
    pub fn cancel(&self, exit: ExitCode) {
        let _ = self
            .exit
            .compare_exchange(0, exit.number(), Ordering::SeqCst, Ordering::SeqCst);
        self.token.cancel();
    }

    /// As [`Cancel::cancel`], because `gristmill cancel` asks for it: it sees to the jobs.
    pub fn cancel_as_requested(&self) {
        if !self.is_cancelled() {
            self.requested.store(true, Ordering::SeqCst);
        }
        self.cancel(ExitCode::Terminated);
    }

    /// Whether `gristmill cancel` was what asked first.
    #[must_use]
    pub fn was_requested(&self) -> bool {
        self.requested.load(Ordering::SeqCst)
    }

    /// Whether to stop.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Returns when it is time to stop.
    pub async fn cancelled(&self) {
        self.token.cancelled().await;
    }

    /// The error to end with.
    #[must_use]
    pub fn error(&self) -> RunError {
        let exit = ExitCode::from_number(self.exit.load(Ordering::SeqCst))
            .unwrap_or(ExitCode::Interrupted);
        let what = if self.was_requested() {
            "cancelled by `gristmill cancel`; everything done so far is kept"
        } else {
            "interrupted; everything done so far is kept"
        };
        RunError::new(exit, what).with_help(
            "run the same command again, or `gristmill resume last`: it goes on from here",
        )
    }

    /// Runs `work` unless, and only until, it is time to stop.
    ///
    /// # Errors
    /// The work's own, or the interruption.
    pub async fn guard<T, E>(&self, work: impl Future<Output = Result<T, E>>) -> Result<T, RunError>
    where
        RunError: From<E>,
    {
        tokio::select! {
            biased;
            () = self.cancelled() => Err(self.error()),
            done = work => done.map_err(RunError::from),
        }
    }
}
