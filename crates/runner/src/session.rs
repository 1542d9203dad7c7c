//! One attempt at a run: what every stage needs at hand.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use gristmill_cloud::{Cloud, Store};
use gristmill_plan::Spec;
use gristmill_tabular::Progress;

use crate::cancel::Cancel;
use crate::container_log::ContainerLogs;
use crate::entry::Entry;
use crate::error::RunError;
use crate::event::{Event, EventSink, Level, Stage};
use crate::folder::{RunFolder, WorkFolder};
use crate::ledger::Ledger;
use crate::remote::{RunStore, WorkStore};
use crate::state::RunState;

/// The version of the lines in `events.jsonl`.
pub const EVENTS_SCHEMA: &str = "gristmill.events.v1";

/// Shared by the stages of one attempt. All methods take `&self`.
pub struct Session {
    /// What the user wrote.
    pub spec: Spec,
    /// The run.
    pub run_id: String,
    /// Its key.
    pub run_key: String,
    /// Worker threads for parsing and encoding.
    pub threads: usize,
    /// The embedded services answer.
    pub local: bool,
    /// A job that is under way ends the attempt, with `waiting`.
    pub no_wait: bool,
    /// The work folder.
    pub work: WorkFolder,
    /// The run's folder.
    pub folder: RunFolder,
    /// The services, if anything needs them.
    pub cloud: Option<Cloud>,
    /// `work.uri`, if there is one.
    pub work_store: Option<WorkStore>,
    /// The run's part of it.
    pub remote: Option<RunStore>,
    /// Being told to stop.
    pub cancel: Cancel,
    /// Told whenever the store has confirmed another shard, and when all shards are known.
    pub(crate) shards_moved: tokio::sync::Notify,
    /// The cutter is to stop, though nobody asked for an end: the stage that it works for has failed.
    cutting_abandoned: AtomicBool,
    /// What jobs that went wrong have logged.
    pub(crate) logs: ContainerLogs,
    sink: Arc<dyn EventSink>,
    events: Mutex<Option<File>>,
    book: Mutex<Book>,
    /// The ETag of the ledger's copy under `work.uri`; held while it is put.
    mirrored: tokio::sync::Mutex<Option<String>>,
}

/// The ledger and what it adds up to, always together.
struct Book {
    ledger: Ledger,
    state: RunState,
    /// The entry that goes before the next one: see [`Session::defer`].
    deferred: Option<Entry>,
}

impl Book {
    fn write(&mut self, entry: &Entry) -> Result<(), RunError> {
        self.ledger.append(entry)?;
        self.state.apply(entry);
        Ok(())
    }
}

/// What a [`Session`] is made of.
pub(crate) struct SessionParts {
    pub(crate) spec: Spec,
    pub(crate) run_id: String,
    pub(crate) run_key: String,
    pub(crate) threads: usize,
    pub(crate) local: bool,
    pub(crate) no_wait: bool,
    pub(crate) work: WorkFolder,
    pub(crate) folder: RunFolder,
    pub(crate) cloud: Option<Cloud>,
    pub(crate) work_store: Option<WorkStore>,
    pub(crate) cancel: Cancel,
    pub(crate) sink: Arc<dyn EventSink>,
    pub(crate) ledger: Ledger,
    pub(crate) state: RunState,
    pub(crate) mirrored: Option<String>,
}

impl Session {
    pub(crate) fn new(parts: SessionParts) -> Self {
        let events = open_events(&parts.folder);
        Self {
            remote: parts
                .work_store
                .clone()
                .map(|w| RunStore::new(w, &parts.run_id)),
            spec: parts.spec,
            run_id: parts.run_id,
            run_key: parts.run_key,
            threads: parts.threads,
            local: parts.local,
            no_wait: parts.no_wait,
            work: parts.work,
            folder: parts.folder,
            cloud: parts.cloud,
            work_store: parts.work_store,
            cancel: parts.cancel,
            shards_moved: tokio::sync::Notify::new(),
            cutting_abandoned: AtomicBool::new(false),
            logs: ContainerLogs::default(),
            sink: parts.sink,
            events: Mutex::new(events),
            book: Mutex::new(Book {
                ledger: parts.ledger,
                state: parts.state,
                deferred: None,
            }),
            mirrored: tokio::sync::Mutex::new(parts.mirrored),
        }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        // A panic elsewhere leaves the book whole: append comes before apply, and apply is total.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes an entry, durably, and takes it into the state.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn record(&self, entry: &Entry) -> Result<(), RunError> {
        let mut book = self.book();
        if let Some(before) = book.deferred.take() {
            book.write(&before)?;
        }
        book.write(entry)
    }

    /// Keeps an entry back until there is another: an attempt that only looks at a job, and finds
    /// it as it was, leaves no line. A scheduler may look a thousand times.
    pub(crate) fn defer(&self, entry: Entry) {
        self.book().deferred = Some(entry);
    }

    /// Whether an entry is still kept back.
    pub(crate) fn only_looked(&self) -> bool {
        self.book().deferred.is_some()
    }

    /// Tells the cutter to stop.
    pub(crate) fn abandon_cutting(&self) {
        self.cutting_abandoned.store(true, Ordering::SeqCst);
    }

    /// Looks at the state.
    pub fn state<T>(&self, look: impl FnOnce(&RunState) -> T) -> T {
        look(&self.book().state)
    }

    /// Brings the copy of the ledger under `work.uri` up to date.
    ///
    /// # Errors
    /// Temporary, when another machine continues this run; the store's.
    pub async fn mirror(&self) -> Result<(), RunError> {
        let Some(remote) = &self.remote else {
            return Ok(());
        };
        let mut etag = self.mirrored.lock().await;
        let bytes = self.book().ledger.bytes().to_vec();
        *etag = Some(remote.put_ledger(&bytes, etag.as_deref()).await?);
        Ok(())
    }

    /// The store.
    ///
    /// # Errors
    /// A bug, when nothing asked for one.
    pub fn store(&self) -> Result<Store, RunError> {
        self.cloud
            .as_ref()
            .map(Cloud::store)
            .ok_or_else(|| RunError::bug("no store was connected"))
    }

    /// The run's part of `work.uri`.
    ///
    /// # Errors
    /// A bug, when there is none.
    pub fn remote(&self) -> Result<&RunStore, RunError> {
        self.remote
            .as_ref()
            .ok_or_else(|| RunError::bug("no work.uri"))
    }

    /// Tells everybody.
    pub fn emit(&self, event: &Event) {
        self.sink.emit(event);
        if !matches!(event, Event::Advanced { .. }) {
            self.write_event(event);
        }
    }

    /// One line for people.
    pub fn note(&self, level: Level, message: impl Into<String>) {
        self.emit(&Event::Note {
            level,
            message: message.into(),
        });
    }

    /// `events.jsonl` is a view: that a line is lost on a full disk must not end a run.
    fn write_event(&self, event: &Event) {
        let mut file = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(out) = file.as_mut() else { return };
        let at = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0.0, |d| d.as_secs_f64());
        let line = serde_json::json!({ "at": at, "event": event });
        if writeln!(out, "{line}").is_err() {
            *file = None;
        }
    }

    /// Begins a stage; the clock runs until [`StageClock::finish`].
    pub fn begin(
        &self,
        stage: Stage,
        total_bytes: Option<u64>,
        total_rows: Option<u64>,
    ) -> StageClock<'_> {
        self.emit(&Event::StageStarted {
            stage,
            total_bytes,
            total_rows,
        });
        StageClock {
            session: self,
            stage,
            begun: Instant::now(),
        }
    }

    /// Says that a stage was done by an earlier attempt.
    pub fn reused(&self, stage: Stage, summary: impl Into<String>) {
        self.emit(&Event::StageReused {
            stage,
            summary: summary.into(),
        });
    }

    /// A view for `tabular`, which counts rows and bytes and asks whether to go on.
    #[must_use]
    pub fn progress(self: &Arc<Self>, stage: Stage) -> StageProgress {
        StageProgress {
            session: Arc::clone(self),
            stage,
        }
    }
}

fn open_events(folder: &RunFolder) -> Option<File> {
    let path = folder.events();
    let fresh = !path.exists();
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)
        .ok()?;
    if fresh {
        writeln!(file, "{{\"schema\":\"{EVENTS_SCHEMA}\"}}").ok()?;
    }
    Some(file)
}

/// A running stage.
pub struct StageClock<'a> {
    session: &'a Session,
    stage: Stage,
    begun: Instant,
}

impl StageClock<'_> {
    /// Ends the stage well. Gives its seconds.
    pub fn finish(self, summary: impl Into<String>) -> f64 {
        let seconds = self.begun.elapsed().as_secs_f64();
        self.session.emit(&Event::StageFinished {
            stage: self.stage,
            seconds,
            summary: summary.into(),
        });
        seconds
    }
}

/// Progress of one stage.
pub struct StageProgress {
    session: Arc<Session>,
    stage: Stage,
}

impl StageProgress {
    /// Counts rows and bytes that went through.
    pub fn add(&self, rows: u64, bytes: u64) {
        self.session.emit(&Event::Advanced {
            stage: self.stage,
            rows,
            bytes,
        });
    }
}

impl Progress for StageProgress {
    fn advance(&self, rows: u64, bytes: u64) {
        self.add(rows, bytes);
    }

    fn cancelled(&self) -> bool {
        let session = &self.session;
        let abandoned = || session.cutting_abandoned.load(Ordering::SeqCst);
        session.cancel.is_cancelled() || (self.stage == Stage::Shards && abandoned())
    }
}
