//! `container command`: a supervisor around a command of the user's.
//!
//! The command knows nothing of the rule that a container ends with its standard input, so the
//! supervisor keeps it: the command gets a process group of its own, and the whole group is ended.

use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};

use super::wait_for_stdin_to_close;
use crate::error::EmulatorError;

/// How long the group has between the polite signal and the other.
const GRACE: Duration = Duration::from_secs(3);

enum Event {
    StdinClosed,
    Ended(std::io::Result<ExitStatus>),
}

/// Runs `sh -c COMMAND` with this process's environment and output until it ends or stdin closes.
pub(crate) fn run(command: &str) -> Result<(), EmulatorError> {
    let mut child = Command::new("sh")
        .arg("-c")
        .arg(command)
        .stdin(Stdio::null())
        .process_group(0)
        .spawn()
        .map_err(|e| EmulatorError::Container(format!("cannot run sh: {e}")))?;
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let (sender, events) = mpsc::channel();
    let closed = sender.clone();
    std::thread::spawn(move || {
        wait_for_stdin_to_close();
        let _ = closed.send(Event::StdinClosed);
    });
    std::thread::spawn(move || {
        let _ = sender.send(Event::Ended(child.wait()));
    });
    let event = events.recv();
    end_group(group, &events, matches!(event, Ok(Event::Ended(_))));
    match event {
        Ok(Event::Ended(Ok(status))) => Err(EmulatorError::Container(format!(
            "the command ended by itself with {}",
            describe(status)
        ))),
        Ok(Event::Ended(Err(error))) => Err(EmulatorError::Container(format!(
            "cannot wait for the command: {error}"
        ))),
        Ok(Event::StdinClosed) | Err(_) => Ok(()),
    }
}

/// Ends what is left of the group. A group without processes is no error.
fn end_group(group: Option<Pid>, events: &mpsc::Receiver<Event>, leader_ended: bool) {
    let Some(group) = group else { return };
    if !leader_ended {
        let _ = kill_process_group(group, Signal::TERM);
        let _ = events.recv_timeout(GRACE);
    }
    let _ = kill_process_group(group, Signal::KILL);
}

fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => status.to_string(),
    }
}
