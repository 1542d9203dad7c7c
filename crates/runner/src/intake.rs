//! What a run is about: its inputs, listed anew by every attempt and held to what the first one saw.

use std::path::Path;
use std::sync::Arc;

use gristmill_plan::Location;
use gristmill_plan::fingerprint::Fingerprint;

use crate::entry::Entry;
use crate::error::RunError;
use crate::exit_code::ExitCode;
use crate::inventory::{self, InputFile, STDIN, blocking};
use crate::ready;
use crate::run::RunRequest;
use crate::session::Session;
use crate::state::RunState;

/// Records what the run is about, once.
///
/// # Errors
/// `Exists`, when it was about other data.
pub(crate) fn record(
    session: &Session,
    files: Vec<InputFile>,
    source: &Fingerprint,
) -> Result<(), RunError> {
    match session.state(|s| {
        s.inputs
            .as_ref()
            .map(|(_, fingerprint)| fingerprint.clone())
    }) {
        None => session.record(&Entry::Inputs {
            files,
            fingerprint: source.to_string(),
        }),
        Some(before) if before == source.to_string() => Ok(()),
        Some(_) if session.state(RunState::waits_for_data) => session.record(&Entry::Inputs {
            files,
            fingerprint: source.to_string(),
        }),
        Some(_) => Err(changed(
            session,
            "how the source is read (dialect, columns, bad rows) differs",
        )),
    }
}

fn changed(session: &Session, what: &str) -> RunError {
    RunError::new(
        ExitCode::Exists,
        format!(
            "run {} under key {:?} is about other data: {what}",
            session.run_id, session.run_key
        ),
    )
    .with_help("start over with --fresh, or give this work a key of its own with --run-key")
}

/// Refuses other inputs than those of the ledger.
///
/// # Errors
/// `Exists`, with the difference.
pub(crate) fn check_same(session: &Session, files: &[InputFile]) -> Result<(), RunError> {
    if session.state(RunState::waits_for_data) {
        return Ok(());
    }
    let before = session.state(|s| s.inputs.as_ref().map(|(files, _)| files.clone()));
    match before.and_then(|before| inventory::difference(&before, files)) {
        None => Ok(()),
        Some(difference) => Err(changed(session, &difference)),
    }
}

/// The inputs as they are now, once they are ready. A run that has its inputs knows that they were.
///
/// # Errors
/// Temporary, when they are not ready; `NoInput`, for a name that does not exist; the disk's; the store's.
pub(crate) async fn list(
    session: &Arc<Session>,
    request: &RunRequest,
) -> Result<Vec<InputFile>, RunError> {
    let known = session
        .state(|s| s.inputs.as_ref().map(|(files, _)| files.clone()))
        .unwrap_or_default();
    if session.spec.source.uri.contains(&Location::Stdin) {
        return spilled_stdin(session, request, known).await;
    }
    if session.state(|s| s.inputs.is_none() || s.waits_for_data()) {
        ready::until_ready(session).await?;
    }
    let patterns: Vec<String> = session
        .spec
        .source
        .uri
        .iter()
        .map(ToString::to_string)
        .collect();
    let store = session.cloud.as_ref().map(gristmill_cloud::Cloud::store);
    let listed = async {
        let listed = inventory::list(&patterns, store.as_ref(), &known).await;
        listed.map_err(no_such_bucket)
    };
    session.cancel.guard(listed).await
}

/// The standard input is kept in the run's folder: it can be read only once, and a run reads twice.
/// `resume` goes on with what was kept; `run` reads again, since it may be called with other data.
async fn spilled_stdin(
    session: &Arc<Session>,
    request: &RunRequest,
    known: Vec<InputFile>,
) -> Result<Vec<InputFile>, RunError> {
    let path = session.folder.root().join("stdin");
    let known = if session.state(RunState::waits_for_data) {
        Vec::new()
    } else {
        known
    };
    if request.resume.is_some() && !known.is_empty() && path.exists() {
        return Ok(known);
    }
    if session.spec.source.uri.len() > 1 {
        return Err(RunError::new(
            ExitCode::Pipeline,
            format!("source.uri: {STDIN:?} cannot be one of several"),
        ));
    }
    // A read that waits for a silent sender cannot be ended; the interruption does not wait for it.
    let spilled = blocking(move || spill(&path, known.first()));
    session.cancel.guard(spilled).await
}

/// Reads the standard input to its end. What is kept already stays when this is something else.
fn spill(path: &Path, known: Option<&InputFile>) -> Result<Vec<InputFile>, RunError> {
    let partial = path.with_extension("partial");
    let failed = |e| RunError::io("keep the standard input in", &partial, e);
    let mut out = std::fs::File::create(&partial).map_err(failed)?;
    std::io::copy(&mut std::io::stdin().lock(), &mut out)
        .and_then(|_| out.sync_all())
        .map_err(failed)?;
    let read = inventory::of_file(&partial)?;
    if known.is_none_or(|known| known.content == read.content) {
        std::fs::rename(&partial, path).map_err(failed)?;
        crate::ledger::sync_parent(path)?;
        return inventory::of_file(path).map(|file| vec![file]);
    }
    std::fs::remove_file(&partial).map_err(failed)?;
    Ok(vec![InputFile {
        uri: known.map(|k| k.uri.clone()).unwrap_or_default(),
        ..read
    }])
}

/// A bucket that does not exist is an input that does not exist.
fn no_such_bucket(error: RunError) -> RunError {
    if error.exit == ExitCode::Failure && error.message.contains("NoSuchBucket") {
        return RunError {
            exit: ExitCode::NoInput,
            ..error
        };
    }
    error
}
