//! A finished run, called again: its stored result, if the call is about the same work and what was
//! published is still there. Nothing is written here but the plain copy of `--local`.

use std::sync::Arc;

use gristmill_plan::fingerprint;

use crate::entry::PartRecord;
use crate::error::RunError;
use crate::exit_code::ExitCode;
use crate::intake;
use crate::inventory::{self, InputFile};
use crate::pipeline::{self, known_model, target_of};
use crate::result::RunResult;
use crate::run::RunRequest;
use crate::session::Session;
use crate::stages::{convert, plain_copy, publish};
use crate::target::Target;

/// Gives the result of a finished run again.
///
/// # Errors
/// `Exists`, when the call is about other work, or what was published is gone or replaced.
pub(crate) async fn reuse(
    session: &Arc<Session>,
    request: &RunRequest,
    result: &mut RunResult,
) -> Result<(), RunError> {
    let target = target_of(&session.spec)?;
    let files = intake::list(session, request).await?;
    intake::check_same(session, &files)?;
    check_same_stages(session, request, &files, &target).await?;
    let stored = session
        .state(|s| s.finished.clone())
        .ok_or_else(|| RunError::bug("not finished"))?;
    let parts = check_there(session, &target).await?;
    let mut again = RunResult {
        reused: true,
        ..stored
    };
    if let Some(output) = &mut again.output {
        let path = plain_copy::folder(session, &target, &parts).await?;
        output.path = path.map(|p| p.display().to_string());
    }
    again.quarantine_file = crate::finishing::quarantine_file(session, again.rows.quarantined);
    *result = again;
    Ok(())
}

async fn check_there(session: &Session, target: &Target) -> Result<Vec<PartRecord>, RunError> {
    let (published, parts) = session.state(|s| {
        let parts = s.assembled.as_ref().map(|a| a.parts.clone());
        (s.published.clone(), parts.unwrap_or_default())
    });
    let published = published.ok_or_else(|| RunError::bug("finished and not published"))?;
    match publish::missing(session, target, &published, &parts).await? {
        None => Ok(parts),
        Some(what) => Err(RunError::new(
            ExitCode::Exists,
            format!("run {} is done, but {what}", session.run_id),
        )
        .with_help("to make it again, use --fresh (with --overwrite, if other files are there)")),
    }
}

/// The fingerprints of a finished run must be those of this call.
async fn check_same_stages(
    session: &Arc<Session>,
    request: &RunRequest,
    files: &[InputFile],
    target: &Target,
) -> Result<(), RunError> {
    let (published, assembled) = session.state(|s| {
        let assembled = s.assembled.as_ref().map(|a| a.fingerprint.clone());
        (s.published.clone(), assembled)
    });
    if published.is_some_and(|p| p.uri != target.to_string()) {
        return Err(edited(session, "the destination differs"));
    }
    let inputs = inventory::open(
        files,
        session.cloud.as_ref().map(|c| c.store()).as_ref(),
        pipeline::told(&session.spec),
        session.folder.root(),
    );
    let ready = pipeline::look(session, request, files, inputs).await?;
    let (Some(ready), Some(before)) = (ready, assembled) else {
        return Ok(());
    };
    if session.spec.transform.is_none() {
        let same = convert::fingerprint(&ready) == before;
        return if same {
            Ok(())
        } else {
            Err(edited(session, "the stage `shards` differs"))
        };
    }
    if session.state(|s| s.sharding.as_ref() != Some(&ready.shards.to_string())) {
        return Err(edited(
            session,
            "the stage `shards` differs (prepare, shards, or the columns that assemble carries)",
        ));
    }
    let model = known_model(session, request).await?;
    let transform = fingerprint::transform(&ready.shards, &ready.plan, &model.identity);
    let was_scored =
        session.state(|s| s.shards.is_empty() || s.last_launch(&transform.to_string()).is_some());
    if !was_scored {
        return Err(edited(
            session,
            "the stage `transform` differs (the model, or a setting that changes its answers)",
        ));
    }
    if fingerprint::assemble(&transform, &ready.plan).to_string() != before {
        return Err(edited(
            session,
            "the stage `assemble` differs (columns, format or destination)",
        ));
    }
    Ok(())
}

fn edited(session: &Session, what: &str) -> RunError {
    RunError::new(
        ExitCode::Exists,
        format!(
            "run {} under key {:?} is done, and the pipeline was changed since: {what}",
            session.run_id, session.run_key
        ),
    )
    .with_help("run it anew with --fresh, or under a key of its own with --run-key")
}
