//! What jobs leave behind: each output is found by its base name, fetched and counted. What does not
//! agree is not there.
//!
//! Where a job's prefix leaves room for doubt, this decides:
//!
//! | doubt | what decides |
//! |---|---|
//! | where outputs of nested keys lie | the base name, which is unique in the run |
//! | two objects of one shard's name | neither is taken; both are named |
//! | what lay there before the job was announced | it is in the ledger ([`Entry::OutputsThere`]): the same object, by its ETag and time, is another's, however it is called |
//! | objects that belong to no shard | left alone and told |
//! | more or fewer answers than rows | the file is refused, with both numbers |
//! | a last line without its end | it may be cut off within its last number. Refused where any other output of the model has one, and of a lone output where the service adds line ends; otherwise the container writes none |
//! | the output of a gzip object | its name with or without `.gz` |
//!
//! What answers there are in a file is said in [`gristmill_tabular::predictions`].

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gristmill_cloud::{Expected, ObjectMeta, S3Uri};
use gristmill_plan::spec::{Answers, AssembleWith, BatchStrategy, Spec};
use gristmill_tabular::predictions::{AnswerLayout, Documents, Predictions};
use gristmill_tabular::{OtherIds, SealedShard, TabularError};
use tokio::task::JoinSet;

use crate::container_log;
use crate::entry::{AnsweredPiece, Entry, OutputThere, Piece};
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
/// Objects that are named in messages; of more, the number is told.
const MOST_NAMED: usize = 3;
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
    /// Rows that were answered before: they are sent again to see whether the container works.
    pub(crate) is_control: bool,
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
            is_control: false,
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
            is_control: false,
            ordinal: shard.first_ordinal + piece.first,
        }
    }

    /// The same, of rows that were answered before.
    pub(crate) fn control(shard: &SealedShard, piece: Piece) -> Self {
        Self {
            is_control: true,
            ..Self::piece(shard, piece)
        }
    }

    fn output_name(&self) -> String {
        format!("{}.out", self.name)
    }

    /// What its output may be called: whether that of a gzip object keeps the ending is undocumented.
    fn output_names(&self) -> Vec<String> {
        let plain = self.name.strip_suffix(".gz");
        let plain = plain.map(|name| format!("{name}.out"));
        std::iter::once(self.output_name()).chain(plain).collect()
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
    /// The only object of its name lay there before the job: this one.
    Stale(String),
    /// These objects claim to be it.
    Several(Vec<String>),
    /// So many answers came back; and what may explain it.
    Rows(u64, String),
    /// It cannot be read as answers.
    Unreadable(String),
    /// Its last line has no end, which it should have.
    CutOff,
    /// The ids of a row, joined by the service, are not those that were sent.
    Ids(OtherIds),
}

impl What {
    /// Whether the job left nothing, so that another may be given the same rows.
    pub(crate) fn is_absent(&self) -> bool {
        matches!(self, What::Missing | What::Stale(_))
    }
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.sent)?;
        match &self.what {
            What::Missing => f.write_str("no output"),
            What::Stale(key) => write!(
                f,
                "no output; {key:?} lay there before the job was created"
            ),
            What::Several(keys) => write!(
                f,
                "{} objects claim to be its output: {}",
                keys.len(),
                named(keys)
            ),
            What::Rows(back, hint) => write!(
                f,
                "{} rows were sent and {back} came back{hint}",
                self.sent.piece.rows
            ),
            What::Unreadable(why) => write!(f, "its output cannot be read: {why}"),
            What::CutOff => f.write_str(
                "the last line of its output has no end, unlike all others: it may be cut off within \
                 its last value",
            ),
            What::Ids(other) => joined_ids::describe(f, self.sent.ordinal, other),
        }
    }
}

/// The first few of some names, in quotes.
fn named(names: &[String]) -> String {
    let shown = names.iter().take(MOST_NAMED).map(|n| format!("{n:?}"));
    let shown: Vec<String> = shown.collect();
    let more = match names.len().saturating_sub(MOST_NAMED) {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    format!("{}{more}", shown.join(", "))
}

/// How the model's answers are written: as was asked for.
pub(crate) fn answer_layout(spec: &Spec) -> AnswerLayout {
    let Some(transform) = &spec.transform else {
        return AnswerLayout::csv();
    };
    let answers = spec.assemble.as_ref().map(|a| a.answers);
    let capture = transform.data_capture_config.as_ref();
    AnswerLayout {
        documents: match answers.unwrap_or_default() {
            Answers::Auto => Documents::Auto,
            Answers::Rows => Documents::Rows,
            Answers::Batches => Documents::Batches,
        },
        single_record: transform.batch_strategy == Some(BatchStrategy::SingleRecord),
        inference_ids: capture.and_then(|c| c.generate_inference_id) == Some(true),
        ..AnswerLayout::of_media_type(&transform.accept)
    }
}

/// Notes in the ledger what lies under a prefix before a job that writes there is announced. What was
/// noted once for a prefix holds: later, the job's own outputs may be there.
///
/// # Errors
/// The store's; the disk's.
pub(crate) async fn note_what_is_there(session: &Session, output: &str) -> Result<(), RunError> {
    if session.state(|s| s.launches.iter().any(|l| l.output == output)) {
        return Ok(());
    }
    let (store, prefix) = (session.store()?, S3Uri::parse(output)?);
    let listed = store.list(&prefix, MAX_OUTPUTS);
    let listed = session.cancel.guard(listed).await?;
    if listed.is_empty() {
        return Ok(());
    }
    let there = |o: &ObjectMeta| OutputThere {
        key: o.key.clone(),
        etag: o.etag.clone(),
        last_modified: o.last_modified,
    };
    session.record(&Entry::OutputsThere {
        output: output.to_owned(),
        objects: listed.iter().map(there).collect(),
    })
}

/// What a job was given, as far as its shards are still those of the run.
pub(crate) fn sent_by(session: &Session, launched: &Launched) -> Vec<Sent> {
    session.state(|s| {
        if launched.pieces.is_empty() {
            let shards = launched.shards.iter().filter_map(|i| s.shards.get(i));
            return shards.map(Sent::shard).collect();
        }
        let of = |p: &Piece| Some(Sent::piece(s.shards.get(&p.shard)?, *p));
        let control = |p: &Piece| Some(Sent::control(s.shards.get(&p.shard)?, *p));
        let pieces = launched.pieces.iter().filter_map(of);
        let controls = launched.controls.iter().filter_map(control);
        pieces.chain(controls).collect()
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
    let mut found = Found::new(session, launched, &sent, listed);
    let mut collected = Collected::default();
    let mut running = JoinSet::new();
    for sent in sent {
        if is_known(session, fingerprint, &sent) {
            continue;
        }
        let object = match found.take(&sent) {
            Ok(object) => object,
            Err(what) => {
                collected.defects.push(Defect { sent, what });
                continue;
            }
        };
        if running.len() >= OUTPUTS_AT_ONCE {
            collected.take(session, fingerprint, running.join_next().await)?;
        }
        let uri = prefix.with_key(&object.key);
        let session = Arc::clone(session);
        running.spawn(verify(session, fingerprint.clone(), sent, uri, object));
    }
    while let Some(done) = running.join_next().await {
        collected.take(session, fingerprint, Some(done))?;
    }
    collected.judge_open(session, fingerprint).await?;
    collected.record(session, fingerprint)?;
    let mut defects = collected.defects;
    defects.sort_by_key(|d| d.sent.piece);
    if !defects.is_empty() {
        record_lost(session, launched.name(), &defects)?;
        container_log::learn(session, launched.name()).await;
    }
    Ok(defects)
}

/// A piece whose output is there and does not agree with its rows was not refused: later attempts must know.
fn record_lost(session: &Arc<Session>, name: &str, defects: &[Defect]) -> Result<(), RunError> {
    let known = session.state(|s| s.launched(name).map(|l| l.lost.clone()));
    let known = known.unwrap_or_default();
    let lost = defects
        .iter()
        .filter(|d| !d.sent.whole && !d.what.is_absent());
    let pieces: Vec<Piece> = lost
        .map(|d| d.sent.piece)
        .filter(|p| !known.contains(p))
        .collect();
    if pieces.is_empty() {
        return Ok(());
    }
    session.record(&Entry::PiecesLost {
        name: name.to_owned(),
        pieces,
    })
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

/// An output that has as many answers as were asked for.
struct Verified {
    sent: Sent,
    answer: AnsweredPiece,
    /// Its last value shows no end: see [`Collected::judge_open`].
    is_open: bool,
}

type Outcome = Result<Result<Verified, Defect>, RunError>;

/// What [`collect`] has so far.
#[derive(Default)]
struct Collected {
    defects: Vec<Defect>,
    /// Not recorded yet.
    pieces: Vec<AnsweredPiece>,
    /// Not judged yet.
    open: Vec<Verified>,
    /// There was one that shows its end.
    any_ended: bool,
}

impl Collected {
    fn take(
        &mut self,
        session: &Arc<Session>,
        fingerprint: &str,
        done: Option<Result<Outcome, tokio::task::JoinError>>,
    ) -> Result<(), RunError> {
        let Some(done) = done else { return Ok(()) };
        let done =
            done.map_err(|e| RunError::bug(format!("a download ended without an answer: {e}")))??;
        match done {
            Err(defect) => self.defects.push(defect),
            Ok(verified) if verified.is_open => self.open.push(verified),
            Ok(verified) => {
                self.any_ended = true;
                self.keep(session, fingerprint, verified)?;
            }
        }
        if self.pieces.len() >= PIECES_A_LINE {
            self.record(session, fingerprint)?;
        }
        Ok(())
    }

    fn keep(
        &mut self,
        session: &Arc<Session>,
        fingerprint: &str,
        done: Verified,
    ) -> Result<(), RunError> {
        let progress = session.progress(Stage::Transform);
        progress.add(done.answer.piece.rows, done.answer.size);
        if done.sent.whole {
            return session.record(&verified(fingerprint, done.answer));
        }
        self.pieces.push(done.answer);
        Ok(())
    }

    /// The last line of an output may lack its end because the container writes none, or because the
    /// end was lost, and with it digits. If all outputs of the model lack it, it writes none; where the
    /// service writes it (`AssembleWith: Line`), one output alone does not show that.
    async fn judge_open(
        &mut self,
        session: &Arc<Session>,
        fingerprint: &str,
    ) -> Result<(), RunError> {
        let open = std::mem::take(&mut self.open);
        if open.is_empty() {
            return Ok(());
        }
        let known = known_end(session, fingerprint).await?;
        let transform = session.spec.transform.as_ref();
        let adds_ends = transform.is_some_and(|t| t.assemble_with == AssembleWith::Line);
        let is_alone = open.len() == 1 && known.is_none();
        let is_cut = self.any_ended || known == Some(End::Shown) || (adds_ends && is_alone);
        for done in open {
            if is_cut {
                remove(&local_output(session, fingerprint, &done.sent))?;
                let (sent, what) = (done.sent, What::CutOff);
                self.defects.push(Defect { sent, what });
            } else {
                self.keep(session, fingerprint, done)?;
            }
        }
        Ok(())
    }

    /// Whole shards get a line each, pieces one together.
    fn record(&mut self, session: &Arc<Session>, fingerprint: &str) -> Result<(), RunError> {
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

/// How the last value of an output ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// By a line end, a bracket or a quote.
    Shown,
    /// By nothing.
    Open,
}

/// How an output ends that was verified before. One that lacks refused rows was put together here, and
/// shows nothing.
async fn known_end(session: &Session, fingerprint: &str) -> Result<Option<End>, RunError> {
    let known = session.state(|s| {
        let of = |x: &SealedShard| {
            let output = s.output(fingerprint, x.index)?;
            (output.refused.is_empty() && output.size > 0).then(|| (Sent::shard(x), output.clone()))
        };
        s.shards.values().find_map(of)
    });
    let Some((sent, known)) = known else {
        return Ok(None);
    };
    let path = local_output(session, fingerprint, &sent);
    if !path.exists() {
        let expected = Expected {
            size: known.size,
            etag: known.etag,
            checksum: None,
        };
        if let Some(folder) = path.parent() {
            make_folder(folder)?;
        }
        fetch(session, &S3Uri::parse(&known.uri)?, &path, Some(expected)).await?;
    }
    let layout = answer_layout(&session.spec);
    let name = sent.name;
    let is_open = blocking(move || {
        let mut predictions = Predictions::open(&path, &name, layout)?;
        predictions.count_to_end()?;
        Ok(predictions.evidence().is_open)
    });
    Ok(Some(if is_open.await? {
        End::Open
    } else {
        End::Shown
    }))
}

/// The objects under a job's prefix, by their base names.
struct Found {
    by_name: BTreeMap<String, Vec<ObjectMeta>>,
    /// Those that lay there before the job.
    stale: BTreeMap<String, String>,
}

impl Found {
    fn new(session: &Session, launched: &Launched, sent: &[Sent], listed: Vec<ObjectMeta>) -> Self {
        let before = session.state(|s| s.outputs_there(&launched.output).to_vec());
        let before: HashSet<OutputThere> = before.into_iter().collect();
        let mut found = Self {
            by_name: BTreeMap::new(),
            stale: BTreeMap::new(),
        };
        for object in listed {
            let name = object.key.rsplit('/').next().unwrap_or_default().to_owned();
            let there = OutputThere {
                key: object.key.clone(),
                etag: object.etag.clone(),
                last_modified: object.last_modified,
            };
            if before.contains(&there) {
                found.stale.insert(name, object.key);
            } else {
                found.by_name.entry(name).or_default().push(object);
            }
        }
        found.tell_of_others(session, sent);
        found
    }

    /// What lies there and is no output of this job is named, and no more happens to it.
    fn tell_of_others(&self, session: &Session, sent: &[Sent]) {
        let known: HashSet<String> = sent.iter().flat_map(Sent::output_names).collect();
        let foreign: Vec<String> = self
            .by_name
            .keys()
            .filter(|n| !known.contains(*n))
            .cloned()
            .collect();
        let stale: Vec<String> = self.stale.values().cloned().collect();
        let lie = |names: &[String]| if names.len() == 1 { "lies" } else { "lie" };
        if !foreign.is_empty() {
            let s = if foreign.len() == 1 { "s" } else { "" };
            session.note(
                Level::Warn,
                format!(
                    "{} {} among the job's outputs and belong{s} to no shard: left alone",
                    named(&foreign),
                    lie(&foreign)
                ),
            );
        }
        if !stale.is_empty() {
            session.note(
                Level::Warn,
                format!(
                    "{} {} where the job writes since before it was created: left alone",
                    named(&stale),
                    lie(&stale)
                ),
            );
        }
    }

    /// The one object that is the output of something.
    fn take(&mut self, sent: &Sent) -> Result<ObjectMeta, What> {
        let names = sent.output_names();
        let of = |name| self.by_name.remove(name).unwrap_or_default();
        let mut found: Vec<ObjectMeta> = names.iter().flat_map(of).collect();
        if found.len() > 1 {
            return Err(What::Several(found.into_iter().map(|o| o.key).collect()));
        }
        found.pop().ok_or_else(|| {
            let stale = names.iter().find_map(|name| self.stale.get(name)).cloned();
            stale.map_or(What::Missing, What::Stale)
        })
    }
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
) -> Outcome {
    let path = local_output(&session, &fingerprint, &sent);
    if let Some(folder) = path.parent() {
        make_folder(folder)?;
    }
    fetch(&session, &uri, &path, Some(Expected::from(&object))).await?;
    let (name, counted) = (sent.name.clone(), path.clone());
    let (layout, rows) = (answer_layout(&session.spec), sent.piece.rows);
    let is_open = match blocking(move || count(&counted, &name, layout, rows)).await? {
        Ok(is_open) => is_open,
        Err(what) => {
            // Nothing may take it for the answer later.
            remove(&path)?;
            return Ok(Err(Defect { sent, what }));
        }
    };
    if sent.whole
        && let Some(other) = joined_ids::of_output(&session, &sent, &path).await?
    {
        remove(&path)?;
        let what = What::Ids(other);
        return Ok(Err(Defect { sent, what }));
    }
    let answer = AnsweredPiece {
        piece: sent.piece,
        uri: uri.to_string(),
        etag: object.etag,
        size: object.size,
    };
    Ok(Ok(Verified {
        sent,
        answer,
        is_open,
    }))
}

/// Whether a file has so many answers, and if so, whether its end is open.
///
/// # Errors
/// The disk's.
pub(crate) fn count(
    path: &Path,
    name: &str,
    layout: AnswerLayout,
    rows: u64,
) -> Result<Result<bool, What>, RunError> {
    let mut predictions = Predictions::open(path, name, layout)?;
    match predictions.count_to_end() {
        Ok(found) if found == rows => Ok(Ok(predictions.evidence().is_open)),
        Ok(found) => Ok(Err(What::Rows(found, predictions.evidence().hint(rows)))),
        Err(error @ TabularError::Prediction { .. }) => {
            Ok(Err(What::Unreadable(error.to_string())))
        }
        Err(error) => Err(error.into()),
    }
}

fn remove(path: &Path) -> Result<(), RunError> {
    std::fs::remove_file(path).map_err(|e| RunError::io("remove", path, e))
}
