//! SIGINT and SIGTERM: the first asks the run to stop and keep its state, the second ends at once.

use gristmill_runner::{Cancel, ExitCode};
use tokio::signal::unix::{SignalKind, signal};

/// Listens in the background for as long as the runtime lives.
pub(crate) fn listen(cancel: &Cancel) {
    for (kind, exit) in [
        (SignalKind::interrupt(), ExitCode::Interrupted),
        (SignalKind::terminate(), ExitCode::Terminated),
    ] {
        let cancel = cancel.clone();
        tokio::spawn(async move {
            // Without a handler the signal ends the process, which is the second-best behaviour.
            let Ok(mut signals) = signal(kind) else {
                return;
            };
            while signals.recv().await.is_some() {
                if cancel.is_cancelled() {
                    std::process::exit(exit.number().into());
                }
                cancel.cancel(exit);
            }
        });
    }
}
