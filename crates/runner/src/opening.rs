//! Finding the run of a key, here or under `work.uri`, or beginning a new one.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::entry::{Entry, PipelineText};
use crate::error::RunError;
use crate::folder::{KeyRecord, RunFolder, WorkFolder, write_atomically};
use crate::ledger::{self, Ledger};
use crate::remote::{RunStore, WorkStore};
use crate::state::RunState;

/// A run with its ledger open.
pub(crate) struct OpenRun {
    pub(crate) run_id: String,
    pub(crate) folder: RunFolder,
    pub(crate) ledger: Ledger,
    pub(crate) state: RunState,
    /// The ETag of the ledger's copy under `work.uri`.
    pub(crate) mirrored: Option<String>,
}

/// What a new run freezes.
pub(crate) struct Beginning<'a> {
    pub(crate) run_key: &'a str,
    pub(crate) pipeline: &'a str,
    pub(crate) file: PipelineText,
    pub(crate) params: &'a BTreeMap<String, String>,
    pub(crate) clock: Timestamp,
    pub(crate) limit_rows: Option<u64>,
    pub(crate) local: bool,
    pub(crate) env: BTreeMap<String, String>,
}

/// The run that a key belongs to, with the longer of the two ledgers, if there is one. `work.uri`
/// is what counts: a run that it does not know is not continued.
///
/// # Errors
/// When the two ledgers contradict each other, or one cannot be read.
pub(crate) async fn find(
    work: &WorkFolder,
    remote: Option<&WorkStore>,
    run_key: &str,
) -> Result<Option<OpenRun>, RunError> {
    let here = work.find_key(run_key)?;
    let record = match remote {
        None => here,
        Some(remote) => remote.find_key(run_key).await?,
    };
    match record {
        Some(record) if remote.is_some() || work.run(&record.run_id).ledger().exists() => {
            open(work, remote, &record).await.map(Some)
        }
        _ => Ok(None),
    }
}

/// Opens a known run, from `work.uri` where this machine has less of it.
///
/// # Errors
/// As [`find`].
pub(crate) async fn open(
    work: &WorkFolder,
    remote: Option<&WorkStore>,
    record: &KeyRecord,
) -> Result<OpenRun, RunError> {
    let folder = work.run(&record.run_id);
    folder.make()?;
    let mut mirrored = None;
    if let Some(remote) = remote {
        mirrored = restore_ledger(
            &RunStore::new(remote.clone(), &record.run_id),
            &folder,
            &record.run_id,
        )
        .await?;
    }
    let (ledger, entries) = Ledger::open(&folder.ledger())?;
    let state = RunState::of(&entries);
    let opened = state
        .opened
        .as_ref()
        .map(|o| (o.run_id.as_str(), o.run_key.as_str()));
    if opened != Some((record.run_id.as_str(), record.run_key.as_str())) {
        return Err(RunError::damaged(format!(
            "{}: is not the ledger of run {} with key {:?}",
            folder.ledger().display(),
            record.run_id,
            record.run_key
        ))
        .with_help("start a new run with --fresh"));
    }
    Ok(OpenRun {
        run_id: record.run_id.clone(),
        folder,
        ledger,
        state,
        mirrored,
    })
}

/// Brings the ledger here up to the one under `work.uri`, and gives that one's ETag. Where neither
/// begins with the other, the run was continued elsewhere: the copy under `work.uri` counts, since
/// whatever costs money or is seen by others is put there before it is done; ours is kept aside.
async fn restore_ledger(
    remote: &RunStore,
    folder: &RunFolder,
    run_id: &str,
) -> Result<Option<String>, RunError> {
    let path = folder.ledger();
    let here = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(e) => return Err(RunError::io("read the ledger", &path, e)),
    };
    let Some((there, etag)) = remote.get_ledger().await? else {
        return Ok(None);
    };
    let (_, sound_here) = ledger::parse(&here, &path.display().to_string())?;
    let (_, sound_there) = ledger::parse(
        &there,
        &format!("the ledger of run {run_id} under work.uri"),
    )?;
    let (here, there) = (&here[..sound_here], &there[..sound_there]);
    if here.starts_with(there) {
        return Ok(Some(etag));
    }
    if !there.starts_with(here) {
        write_atomically(&path.with_extension("superseded.jsonl"), here)?;
    }
    write_atomically(&path, there)?;
    Ok(Some(etag))
}

/// Begins a new run and claims its key under `work.uri`; on this machine the caller does.
///
/// # Errors
/// Temporary, when another machine began one for this key at the same moment.
pub(crate) async fn begin(
    work: &WorkFolder,
    remote: Option<&WorkStore>,
    beginning: Beginning<'_>,
    replace: bool,
) -> Result<OpenRun, RunError> {
    let run_id = new_run_id(beginning.clock);
    let folder = work.run(&run_id);
    folder.make()?;
    let mut ledger = Ledger::create(&folder.ledger())?;
    let entry = Entry::Opened {
        run_id: run_id.clone(),
        run_key: beginning.run_key.to_owned(),
        pipeline: beginning.pipeline.to_owned(),
        file: beginning.file,
        params: beginning.params.clone(),
        clock: beginning.clock.to_string(),
        limit_rows: beginning.limit_rows,
        local: beginning.local,
        env: beginning.env,
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    ledger.append(&entry)?;
    let record = KeyRecord {
        run_key: beginning.run_key.to_owned(),
        run_id: run_id.clone(),
    };
    let mut mirrored = None;
    if let Some(remote) = remote {
        let claimed = async {
            let store = RunStore::new(remote.clone(), &run_id);
            let etag = store.put_ledger(ledger.bytes(), None).await?;
            remote.claim_key(&record, replace).await.map(|()| etag)
        };
        match claimed.await {
            Ok(etag) => mirrored = Some(etag),
            Err(error) => {
                let _ = std::fs::remove_dir_all(folder.root());
                return Err(error);
            }
        }
    }
    Ok(OpenRun {
        run_id,
        folder,
        ledger,
        state: RunState::of(&[entry]),
        mirrored,
    })
}

/// `<UTC to the second>-<8 random hex digits>`: readable, and unique without trusting the clock.
fn new_run_id(clock: Timestamp) -> String {
    let stamp = clock.strftime("%Y%m%dt%H%M%S");
    format!("{stamp}-{:08x}", fastrand::u32(..))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn run_ids_are_names_of_folders_and_differ_within_a_second() {
        let clock: Timestamp = "2026-11-22T03:04:05Z".parse().unwrap();
        let (a, b) = (new_run_id(clock), new_run_id(clock));
        assert!(
            a.starts_with("20261122t030405-") && crate::folder::is_run_id(&a),
            "{a}"
        );
        assert_ne!(a, b);
    }

    #[tokio::test]
    async fn a_run_begun_is_found_again_by_its_key() {
        let dir = tempfile::tempdir().unwrap();
        let work = WorkFolder::open(dir.path()).unwrap();
        assert!(find(&work, None, "k").await.unwrap().is_none());
        let params = BTreeMap::new();
        let beginning = Beginning {
            run_key: "k",
            pipeline: "p",
            file: PipelineText {
                path: "p.yaml".into(),
                folder: "/".into(),
                text: String::new(),
            },
            params: &params,
            clock: Timestamp::UNIX_EPOCH,
            limit_rows: None,
            local: false,
            env: BTreeMap::new(),
        };
        let begun = begin(&work, None, beginning, false).await.unwrap();
        let record = KeyRecord {
            run_key: "k".into(),
            run_id: begun.run_id.clone(),
        };
        work.set_key(&record).unwrap();
        let found = find(&work, None, "k").await.unwrap().unwrap();
        assert_eq!(found.run_id, begun.run_id);
    }
}
