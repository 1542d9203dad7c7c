//! SIGINT and SIGTERM: the first asks the run to stop and keep its state, the second ends at once. SIGXFSZ
//! (a file would be longer than `ulimit -f`) becomes the error of a write.

use gristmill_runner::{Cancel, ExitCode};
use tokio::signal::unix::{SignalKind, signal};

/// SIGXFSZ of Linux and the BSDs, whose name the runtime does not have.
const FILE_TOO_LARGE: i32 = 25;

/// Listens in the background for as long as the runtime lives. When it returns, neither of the two ends the
/// process by itself any more.
pub(crate) fn listen(cancel: &Cancel) {
    for (kind, exit) in [
        (SignalKind::interrupt(), ExitCode::Interrupted),
        (SignalKind::terminate(), ExitCode::Terminated),
    ] {
        let cancel = cancel.clone();
        // Without a handler the signal ends the process, which is the second-best behaviour.
        let Ok(mut signals) = signal(kind) else {
            continue;
        };
        tokio::spawn(async move {
            while signals.recv().await.is_some() {
                if cancel.is_cancelled() {
                    std::process::exit(exit.number().into());
                }
                cancel.cancel(exit);
            }
        });
    }
    // Once somebody has asked for it, it does not end the process, whether anybody listens or not.
    let _ = signal(SignalKind::from_raw(FILE_TOO_LARGE));
}
