//! The end of a run: its counts, its result, and what it does not need any more.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::entry::Entry;
use crate::error::RunError;
use crate::event::Level;
use crate::pieces::MAX_PIECES;
use crate::remote::RunStore;
use crate::result::{Output, RowCounts, RunResult, rows_by_folder};
use crate::session::Session;
use crate::stages::plain_copy;
use crate::stages::refused::REFUSED;
use crate::state::RunState;
use crate::target::Target;

/// Counts agree, or this is no success.
pub(crate) async fn finish(
    session: &Arc<Session>,
    target: &Target,
    result: &mut RunResult,
) -> Result<(), RunError> {
    let (rows, quarantine) = session.state(counts);
    if rows.source != rows.quarantined + rows.unlabelled + rows.published
        || (rows.scored != rows.published && session.spec.transform.is_some())
    {
        return Err(RunError::bug(format!("the counts do not agree: {rows:?}")));
    }
    let parts = session
        .state(|s| s.assembled.as_ref().map(|a| a.parts.clone()))
        .unwrap_or_default();
    let path = plain_copy::folder(session, target, &parts).await?;
    result.output = Some(Output {
        uri: target.to_string(),
        path: path.map(|p| p.display().to_string()),
        split: rows_by_folder(&parts),
        files: parts.into_iter().map(|p| p.name).collect(),
        rows: rows.published,
    });
    result.quarantine_file = quarantine_file(session, rows.quarantined);
    result.rows = rows;
    result.quarantine = quarantine;
    result.jobs = session.state(RunState::job_records);
    result.succeed();
    session.record(&Entry::Finished {
        result: Box::new(result.clone()),
    })?;
    session.mirror().await?;
    clean(session).await;
    Ok(())
}

/// Where the quarantined rows are: on this machine, or under `work.uri` where it has no copy.
pub(crate) fn quarantine_file(session: &Session, rows: u64) -> Option<String> {
    let local = session.folder.quarantine().join("bad-rows.jsonl");
    match (rows, local.exists(), &session.remote) {
        (0, ..) => None,
        (_, true, _) => Some(local.display().to_string()),
        (_, false, remote) => remote.as_ref().map(|r| r.quarantine().to_string()),
    }
}

/// Rows in, left out, scored and published, and the quarantined ones by reason.
pub(crate) fn counts(state: &RunState) -> (RowCounts, BTreeMap<String, u64>) {
    let published = state.assembled.as_ref().map_or(0, |a| a.rows);
    let mut quarantine = state
        .sealed
        .as_ref()
        .map(|s| s.quarantined.clone())
        .unwrap_or_default();
    let refused = last_settings(state).map_or(0, |print| state.refused_rows(print));
    if refused > 0 {
        quarantine.insert(REFUSED.to_owned(), refused);
    }
    let rows = RowCounts {
        source: state.sealed.as_ref().map_or(0, |s| s.rows_source),
        quarantined: quarantine.values().sum(),
        unlabelled: state.sealed.as_ref().map_or(0, |s| s.unlabelled),
        scored: scored_rows(state),
        published,
    };
    (rows, quarantine)
}

/// Uploads that a killed attempt left open cost money and are seen by nobody.
async fn abort_uploads(session: &Session) {
    if let (Some(remote), true) = (&session.remote, session.state(|s| s.attempt > 1)) {
        let _ = remote.store().abort_uploads(&remote.root()).await;
    }
}

/// What a finished run does not need any more: files here, and shards under `work.uri` unless the
/// pipeline keeps them. What cannot be removed now does no harm.
async fn clean(session: &Session) {
    for folder in [
        session.folder.shards(),
        session.folder.outputs(),
        session.folder.pieces(),
        session.folder.parts(),
    ] {
        let _ = tokio::fs::remove_dir_all(folder).await;
    }
    abort_uploads(session).await;
    let keep = session.spec.work.as_ref().map(|w| w.keep_shards);
    let (Some(remote), Some(gristmill_plan::spec::KeepShards::UntilPublished)) =
        (&session.remote, keep)
    else {
        return;
    };
    let (print, names): (Option<String>, Vec<String>) = session.state(|s| {
        (
            s.sharding.clone(),
            s.shards.values().map(|x| x.name.clone()).collect(),
        )
    });
    clean_pieces(session, remote).await;
    let Some(print) = print else { return };
    let prefix = remote.shards(&print);
    let keys: Vec<String> = names
        .into_iter()
        .map(|n| format!("{}{n}", prefix.key))
        .collect();
    if !keys.is_empty()
        && let Err(e) = remote.store().delete_many(&prefix, &keys).await
    {
        session.note(Level::Warn, format!("the shards could not be removed: {e}"));
    }
}

/// The settings of the last job, or of the last whose answers are complete: what it would send may have
/// been answered before.
fn last_settings(state: &RunState) -> Option<&str> {
    let mut prints = state.launches.iter().rev().map(|l| l.fingerprint.as_str());
    let complete = |print: &&str| state.shards.keys().all(|i| state.is_scored(print, *i));
    let last = state.launches.last().map(|l| l.fingerprint.as_str());
    prints.find(complete).or(last)
}

/// Pieces of shards hold nothing that the shards do not.
async fn clean_pieces(session: &Session, remote: &RunStore) {
    let prints: BTreeSet<String> = session.state(|s| {
        let cut = s.launches.iter().filter(|l| !l.pieces.is_empty());
        cut.map(|l| l.fingerprint.clone()).collect()
    });
    for print in prints {
        let prefix = remote.pieces(&print);
        let Ok(listed) = remote.store().list(&prefix, 4 * MAX_PIECES).await else {
            continue;
        };
        let keys: Vec<String> = listed.into_iter().map(|o| o.key).collect();
        let _ = remote.store().delete_many(&prefix, &keys).await;
    }
}

/// Rows that were answered, and counted.
fn scored_rows(state: &RunState) -> u64 {
    let Some(print) = last_settings(state) else {
        return 0;
    };
    let answered = |x: &gristmill_tabular::SealedShard| {
        let output = state.output(print, x.index)?;
        Some(x.rows.saturating_sub(output.refused.len() as u64))
    };
    state.shards.values().filter_map(answered).sum()
}
