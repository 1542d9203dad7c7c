//! What jobs leave behind: each output is found by its base name, fetched and counted. What does not
//! agree is not there.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use gristmill_cloud::{Expected, ObjectMeta, S3Uri};
use gristmill_tabular::predictions::Predictions;
use gristmill_tabular::{OtherIds, SealedShard};
use tokio::task::JoinSet;

use crate::entry::{AnsweredPiece, Entry, Piece};
use crate::error::RunError;
use crate::event::{Level, Stage};
use crate::folder::make_folder;
use crate::inventory::blocking;
use crate::remote::short;
use crate::session::Session;
use crate::stages::fetch::fetch;
use crate::stages::joined_ids;
use crate::state::Launched;

/// Outputs that are fetched at the same time.
const OUTPUTS_AT_ONCE: usize = 8;
/// Objects that are listed under a job's prefix at most.
const MAX_OUTPUTS: usize = 200_000;
/// Pieces whose answers are recorded together: a line of the ledger is synced.
const PIECES_A_LINE: usize = 256;

/// An object that a job is given, and gives an output for.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    /// Its base name, unique in the run.
    pub(crate) name: String,
    /// Which rows; of a whole shard, all of them.
    pub(crate) piece: Piece,
    /// The shard as it is.
    pub(crate) whole: bool,
    /// The ordinal of the first row among accepted rows.
    ordinal: u64,
}

impl Sent {
    /// A shard as it is.
    pub(crate) fn shard(shard: &SealedShard) -> Self {
        Self {
            name: shard.name.clone(),
            piece: Piece {
                shard: shard.index,
                first: 0,
                rows: shard.rows,
            },
            whole: true,
            ordinal: shard.first_ordinal,
        }
    }

    /// Some rows of a shard: `<shard>-r<first row>-<rows>.<format>`.
    pub(crate) fn piece(shard: &SealedShard, piece: Piece) -> Self {
        let (stem, format) = shard.name.split_once('.').unwrap_or((&shard.name, "csv"));
        Self {
            name: format!("{stem}-r{:08}-{}.{format}", piece.first, piece.rows),
            piece,
            whole: false,
            ordinal: shard.first_ordinal + piece.first,
        }
    }

    fn output_name(&self) -> String {
        format!("{}.out", self.name)
    }
}

impl fmt::Display for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, last) = (self.ordinal + 1, self.ordinal + self.piece.rows);
        write!(f, "{}, rows {first} to {last}", self.name)
    }
}

/// Why something that was sent has no usable output.
#[derive(Debug, Clone)]
pub(crate) struct Defect {
    pub(crate) sent: Sent,
    pub(crate) what: What,
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum What {
    /// There is none.
    Missing,
    /// So many objects claim to be it.
    Several(usize),
    /// So many rows came back.
    Rows(u64),
    /// The ids of a row, joined by the service, are not those that were sent.
    Ids(OtherIds),
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.sent)?;
        match &self.what {
            What::Missing => f.write_str("no output"),
            What::Several(n) => write!(f, "{n} objects claim to be its output"),
            What::Rows(back) => write!(
                f,
                "{} rows were sent and {back} came back",
                self.sent.piece.rows
            ),
            What::Ids(other) => joined_ids::describe(f, self.sent.ordinal, other),
        }
    }
}

/// What a job was given, as far as its shards are still those of the run.
pub(crate) fn sent_by(session: &Session, launched: &Launched) -> Vec<Sent> {
    session.state(|s| {
        if launched.pieces.is_empty() {
            let shards = launched.shards.iter().filter_map(|i| s.shards.get(i));
            return shards.map(Sent::shard).collect();
        }
        let of = |p: &Piece| Some(Sent::piece(s.shards.get(&p.shard)?, *p));
        launched.pieces.iter().filter_map(of).collect()
    })
}

/// Fetches and counts the outputs of a job that are not known yet, a few at a time; records those that
/// agree and gives the others, in the order of their rows.
///
/// # Errors
/// The store's; the disk's.
pub(crate) async fn collect(
    session: &Arc<Session>,
    launched: &Launched,
) -> Result<Vec<Defect>, RunError> {
    let (store, fingerprint) = (session.store()?, &launched.fingerprint);
    let prefix = S3Uri::parse(&launched.output)?;
    let listed = session
        .cancel
        .guard(store.list(&prefix, MAX_OUTPUTS))
        .await?;
    let sent = sent_by(session, launched);
    let mut by_name = by_base_name(session, &sent, listed);
    let mut collected = Collected::default();
    let mut running = JoinSet::new();
    for sent in sent {
        if is_known(session, fingerprint, &sent) {
            continue;
        }
        let found = by_name.remove(&sent.output_name()).unwrap_or_default();
        let [object] = found.as_slice() else {
            let what = match found.len() {
                0 => What::Missing,
                n => What::Several(n),
            };
            collected.defects.push(Defect { sent, what });
            continue;
        };
        if running.len() >= OUTPUTS_AT_ONCE {
            collected.take(session, fingerprint, running.join_next().await)?;
        }
        let uri = prefix.with_key(&object.key);
        let session = Arc::clone(session);
        running.spawn(verify(
            session,
            fingerprint.clone(),
            sent,
            uri,
            object.clone(),
        ));
    }
    while let Some(done) = running.join_next().await {
        collected.take(session, fingerprint, Some(done))?;
    }
    collected.record(session, fingerprint)?;
    let mut defects = collected.defects;
    defects.sort_by_key(|d| d.sent.piece);
    Ok(defects)
}

/// Whether the answer to something is recorded.
pub(crate) fn is_known(session: &Session, fingerprint: &str, sent: &Sent) -> bool {
    session.state(|s| {
        if sent.whole {
            // One that lacks refused rows is asked for again.
            let known = s.output(fingerprint, sent.piece.shard);
            known.is_some_and(|o| o.refused.is_empty())
        } else {
            s.piece(fingerprint, &sent.piece).is_some()
        }
    })
}

/// Whether it is a whole shard, and its answer; or what is wrong.
type Verified = Result<Result<(bool, AnsweredPiece), Defect>, RunError>;

/// What [`collect`] has so far.
#[derive(Default)]
struct Collected {
    defects: Vec<Defect>,
    /// Not recorded yet.
    pieces: Vec<AnsweredPiece>,
}

impl Collected {
    fn take(
        &mut self,
        session: &Session,
        fingerprint: &str,
        done: Option<Result<Verified, tokio::task::JoinError>>,
    ) -> Result<(), RunError> {
        let Some(done) = done else { return Ok(()) };
        let done =
            done.map_err(|e| RunError::bug(format!("a download ended without an answer: {e}")))??;
        match done {
            Err(defect) => self.defects.push(defect),
            Ok((true, answer)) => session.record(&verified(fingerprint, answer))?,
            Ok((false, answer)) => self.pieces.push(answer),
        }
        if self.pieces.len() >= PIECES_A_LINE {
            self.record(session, fingerprint)?;
        }
        Ok(())
    }

    /// Whole shards get a line each, pieces one together.
    fn record(&mut self, session: &Session, fingerprint: &str) -> Result<(), RunError> {
        let pieces = std::mem::take(&mut self.pieces);
        if !pieces.is_empty() {
            session.record(&Entry::PiecesAnswered {
                fingerprint: fingerprint.to_owned(),
                pieces,
            })?;
        }
        Ok(())
    }
}

fn verified(fingerprint: &str, answer: AnsweredPiece) -> Entry {
    Entry::OutputVerified {
        index: answer.piece.shard,
        fingerprint: fingerprint.to_owned(),
        uri: answer.uri,
        etag: answer.etag,
        size: answer.size,
        rows: answer.piece.rows,
        refused: Vec::new(),
    }
}

/// Outputs are found by their base name, since where the service puts those of nested keys is
/// undocumented. Base names are unique.
fn by_base_name(
    session: &Session,
    sent: &[Sent],
    listed: Vec<ObjectMeta>,
) -> BTreeMap<String, Vec<ObjectMeta>> {
    let mut by_name: BTreeMap<String, Vec<ObjectMeta>> = BTreeMap::new();
    for object in listed {
        let name = object.key.rsplit('/').next().unwrap_or_default().to_owned();
        by_name.entry(name).or_default().push(object);
    }
    let known: HashSet<String> = sent.iter().map(Sent::output_name).collect();
    for name in by_name.keys().filter(|n| !known.contains(*n)) {
        session.note(
            Level::Warn,
            format!("{name:?} lies among the job's outputs and belongs to no shard: left alone"),
        );
    }
    by_name
}

/// Where the predictions for something under these settings are on this machine.
pub(crate) fn local_output(session: &Session, fingerprint: &str, sent: &Sent) -> PathBuf {
    let folder = session.folder.outputs().join(short(fingerprint));
    folder.join(sent.output_name())
}

async fn verify(
    session: Arc<Session>,
    fingerprint: String,
    sent: Sent,
    uri: S3Uri,
    object: ObjectMeta,
) -> Verified {
    let path = local_output(&session, &fingerprint, &sent);
    if let Some(folder) = path.parent() {
        make_folder(folder)?;
    }
    fetch(&session, &uri, &path, Some(Expected::from(&object))).await?;
    let (name, counted) = (sent.name.clone(), path.clone());
    let rows = blocking(move || Ok(Predictions::open(&counted, &name)?.count_to_end()?)).await?;
    if rows != sent.piece.rows {
        // Nothing may take it for the answer later.
        std::fs::remove_file(&path).map_err(|e| RunError::io("remove", &path, e))?;
        let what = What::Rows(rows);
        return Ok(Err(Defect { sent, what }));
    }
    if sent.whole
        && let Some(other) = joined_ids::of_output(&session, &sent, &path).await?
    {
        std::fs::remove_file(&path).map_err(|e| RunError::io("remove", &path, e))?;
        let what = What::Ids(other);
        return Ok(Err(Defect { sent, what }));
    }
    session.progress(Stage::Transform).add(rows, object.size);
    let answer = AnsweredPiece {
        piece: sent.piece,
        uri: uri.to_string(),
        etag: object.etag,
        size: object.size,
    };
    Ok(Ok((sent.whole, answer)))
}
