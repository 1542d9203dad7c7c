//! One call of `run` or `resume`, from the pipeline's text to a result.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use gristmill_cloud::Cloud;
use gristmill_plan::pace::Range;
use gristmill_plan::prices::Prices;
use gristmill_plan::spec::PublishMode;
use gristmill_plan::{Context, Document, ResolveError, RunIdentity, Spec};
use jiff::Timestamp;

use crate::cancel::Cancel;
use crate::cancelling;
use crate::entry::{Entry, PipelineText};
use crate::error::RunError;
use crate::event::{Event, EventSink, Level};
use crate::exit_code::ExitCode;
use crate::folder::{KeyLock, KeyRecord, WorkFolder, is_run_id, write_json};
use crate::ledger;
use crate::opening::{self, Beginning, OpenRun};
use crate::pipeline;
use crate::read_text::read_text;
use crate::remote::WorkStore;
use crate::result::RunResult;
use crate::reuse::reuse;
use crate::services::{self, Local, LocalMap};
use crate::session::{Session, SessionParts};
use crate::state::RunState;
use crate::store_check;

/// What the caller asks for. The clock and the environment are read by the caller, once.
#[derive(Debug, Clone)]
pub struct RunRequest {
    /// The pipeline file: its path as given, and its text.
    pub file: PipelineText,
    /// `-p name=value`.
    pub params: BTreeMap<String, String>,
    /// `--run-key`.
    pub run_key: Option<String>,
    /// A run that is to be continued, whatever the key says.
    pub resume: Option<KeyRecord>,
    /// Begin a new run even if the key has one.
    pub fresh: bool,
    /// As `assemble.mode: overwrite`.
    pub overwrite: bool,
    /// A job that is under way ends the attempt, with `waiting`; so does an input that is not ready.
    pub no_wait: bool,
    /// Only the first so many rows.
    pub limit_rows: Option<u64>,
    /// The work folder.
    pub work_dir: PathBuf,
    /// With the embedded services.
    pub local: bool,
    /// The `gristmill` binary, which serves `--local`.
    pub program: PathBuf,
    /// Local files under S3 names.
    pub local_map: Vec<LocalMap>,
    /// What instances cost; by default the example that is built in.
    pub prices: Option<Prices>,
    /// Rows that one instance scores in a second, if that is known.
    pub rows_per_second: Option<Range>,
    /// Worker threads.
    pub threads: usize,
    /// Now.
    pub now: Timestamp,
    /// The environment.
    pub env: BTreeMap<String, String>,
}

/// Does it. Always gives a result; `result.exit` is the exit code.
pub async fn run(request: &RunRequest, sink: Arc<dyn EventSink>, cancel: Cancel) -> RunResult {
    let mut result = RunResult::default();
    if let Err(error) = attempt(request, sink, cancel, &mut result).await {
        result.fail(&error);
    }
    result
}

async fn attempt(
    request: &RunRequest,
    sink: Arc<dyn EventSink>,
    cancel: Cancel,
    result: &mut RunResult,
) -> Result<(), RunError> {
    let (_lock, session) = prepare(request, sink, cancel, result, Purpose::Advance).await?;
    let _heeding = cancelling::heed(&session);
    let done = carry_out(request, &session, result).await;
    conclude(&session, result, done).await
}

/// What a run is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To go on with it, or to begin one: it becomes the run of its key, and the last one.
    Advance,
    /// To end it.
    Cancel,
}

/// Takes the key's lock, connects, and opens the run with everything that it froze.
///
/// # Errors
/// `Usage`, `Pipeline`; temporary, when another process has the lock; `Exists`, when the key is in
/// use for another call; the services'.
pub(crate) async fn prepare(
    request: &RunRequest,
    sink: Arc<dyn EventSink>,
    cancel: Cancel,
    result: &mut RunResult,
    purpose: Purpose,
) -> Result<(KeyLock, Arc<Session>), RunError> {
    let doc = gristmill_plan::parse(&request.file.text, &request.file.path)?;
    let early = resolve(request, &doc, request.now, RunIdentity::default())?;
    result.pipeline.clone_from(&early.name);
    let run_key = run_key(request, &early);
    result.run_key.clone_from(&run_key);
    let work = WorkFolder::open(&request.work_dir)?;
    let lock = work.lock(&run_key)?;
    let cloud = cancel.guard(connect(request, &early, &work)).await?;
    let work_store = match (&early.work, &cloud) {
        (Some(w), Some(cloud)) => Some(WorkStore::new(cloud.store(), &w.uri)?),
        _ => None,
    };
    let places = Places {
        work: &work,
        remote: work_store.as_ref(),
        cloud: cloud.as_ref(),
    };
    let (open, remarks) = cancel
        .guard(find_or_begin(request, &doc, &early, &run_key, &places))
        .await?;
    if purpose == Purpose::Advance {
        work.set_key(&KeyRecord {
            run_key: run_key.clone(),
            run_id: open.run_id.clone(),
        })?;
    }
    result.run_id.clone_from(&open.run_id);
    check_same_call(request, &doc, &open.state)?;
    let clock = frozen_clock(&open.state)?;
    let identity = RunIdentity {
        id: open.run_id.clone(),
        key: run_key.clone(),
    };
    let mut spec = resolve(request, &doc, clock, identity)?;
    if let (true, Some(assemble)) = (request.overwrite, spec.assemble.as_mut()) {
        assemble.mode = PublishMode::Overwrite;
    }
    let session = Arc::new(session_of(
        request, spec, run_key, work, cloud, work_store, open, cancel, sink,
    ));
    for remark in remarks {
        session.note(Level::Warn, remark);
    }
    Ok((lock, session))
}

async fn carry_out(
    request: &RunRequest,
    session: &Arc<Session>,
    result: &mut RunResult,
) -> Result<(), RunError> {
    result.attempt = session.state(|s| s.attempt);
    session.folder.sweep();
    if session.state(|s| s.finished.is_some()) {
        return reuse(session, request, result).await;
    }
    if !session.state(is_first_attempt) {
        result.attempt += 1;
        begin_attempt(session, result.attempt)?;
    }
    session.emit(&Event::RunStarted {
        run_id: session.run_id.clone(),
        run_key: session.run_key.clone(),
        // One that only looks at a job is not counted.
        attempt: session.state(|s| s.attempt),
    });
    pipeline::run(session, request, result).await
}

fn is_first_attempt(state: &RunState) -> bool {
    state.attempt == 1 && state.inputs.is_none() && state.stopped.is_none() && !state.cancelled
}

fn begin_attempt(session: &Session, attempt: u32) -> Result<(), RunError> {
    let resumed = Entry::Resumed {
        attempt,
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    if session.no_wait && session.state(RunState::has_job_under_way) {
        session.defer(resumed);
        return Ok(());
    }
    session.record(&resumed)
}

/// An interrupted run ends within ten seconds, whatever the network does.
const MIRROR_LIMIT: Duration = Duration::from_secs(5);

/// Stores how the attempt ended, on every path, and mirrors it. What fails here must not hide why
/// the attempt ended.
async fn conclude(
    session: &Session,
    result: &mut RunResult,
    done: Result<(), RunError>,
) -> Result<(), RunError> {
    if let Err(error) = &done {
        result.fail(error);
        session.state(|s| result.rows_seen(s));
        note_end(session, error).await;
        result.attempt = session.state(|s| s.attempt);
    }
    result.jobs = session.state(RunState::job_records);
    let ended = done;
    if session.state(|s| s.finished.is_some()) && ended.is_err() {
        // A finished run that cannot be used again stays what it is.
        return ended;
    }
    let written = write_json(&session.folder.run_json(), result);
    ended.and(written)
}

async fn note_end(session: &Session, error: &RunError) {
    let entry = match &error.waits_for {
        Some(job) => Entry::Waiting {
            job: job.name.clone(),
            status: job.status.clone(),
        },
        None => Entry::Stopped {
            exit: error.exit.number(),
            message: error.message.clone(),
        },
    };
    let known = error.waits_for.is_some()
        && session.state(|s| s.waiting.as_ref() == error.waits_for.as_deref());
    if session.state(|s| s.finished.is_some()) || (known && session.only_looked()) {
        return;
    }
    if session.record(&entry).is_ok() {
        let _ = tokio::time::timeout(MIRROR_LIMIT, session.mirror()).await;
    }
}

/// The services that a request's pipeline needs, without its run.
///
/// # Errors
/// `Usage`, `Pipeline`; the services'.
pub(crate) async fn connect_for(request: &RunRequest) -> Result<Option<Cloud>, RunError> {
    let doc = gristmill_plan::parse(&request.file.text, &request.file.path)?;
    let spec = resolve(request, &doc, request.now, RunIdentity::default())?;
    connect(request, &spec, &WorkFolder::open(&request.work_dir)?).await
}

/// `resolve` of the plan crate, with errors classed.
///
/// # Errors
/// `Usage` for `-p`, `Pipeline` for the file.
pub(crate) fn resolve(
    request: &RunRequest,
    doc: &Document,
    now: Timestamp,
    run: RunIdentity,
) -> Result<Spec, RunError> {
    let mut context = Context::new(now, &request.file.folder);
    context.params.clone_from(&request.params);
    context.env = listed_env(request, doc);
    context.run = run;
    context.read = &read_text;
    let spec = gristmill_plan::resolve(doc, &context).map_err(|e| match e {
        ResolveError::Usage(_) => RunError::new(ExitCode::Usage, e.to_string()).with_help(
            "parameters are declared under `params:` in the pipeline and given with -p name=value or \
             in a --params-file",
        ),
        ResolveError::Pipeline(problems) => problems.into(),
    })?;
    Ok(spec)
}

/// The key as given, or from the name and the parameters as given. Runs on the embedded services
/// have keys of their own: their state is elsewhere.
fn run_key(request: &RunRequest, spec: &Spec) -> String {
    if let Some(record) = &request.resume {
        return record.run_key.clone();
    }
    request.run_key.clone().unwrap_or_else(|| {
        let key = gristmill_plan::run_key(&spec.name, &request.params, request.limit_rows);
        if request.local {
            format!("{key}-local")
        } else {
            key
        }
    })
}

async fn connect(
    request: &RunRequest,
    spec: &Spec,
    work: &WorkFolder,
) -> Result<Option<Cloud>, RunError> {
    let local = Local {
        program: &request.program,
        work_dir: work.root(),
        map: &request.local_map,
    };
    services::connect(spec, request.local.then_some(&local)).await
}

/// Where a run's state is.
struct Places<'a> {
    work: &'a WorkFolder,
    remote: Option<&'a WorkStore>,
    cloud: Option<&'a Cloud>,
}

/// The run of the key, or a new one, and what is to be said about its stores: they are looked at
/// before anything is written to them, and not for a run that is finished, which writes nothing.
async fn find_or_begin(
    request: &RunRequest,
    doc: &Document,
    spec: &Spec,
    run_key: &str,
    places: &Places<'_>,
) -> Result<(OpenRun, Vec<String>), RunError> {
    let (work, remote) = (places.work, places.remote);
    let found = match &request.resume {
        Some(record) => Some(opening::open(work, remote, record).await?),
        None if request.fresh => None,
        None => opening::find(work, remote, run_key).await?,
    };
    // An earlier attempt asked; one that only looks at its job, once a minute, need not ask again.
    let asked = |f: &OpenRun| f.state.finished.is_some() || f.state.has_job_under_way();
    let asked = found.as_ref().is_some_and(asked);
    let remarks = match places.cloud {
        Some(cloud) if !request.local && !asked => store_check::check(spec, cloud).await?,
        _ => Vec::new(),
    };
    if let Some(found) = found {
        return Ok((found, remarks));
    }
    let beginning = Beginning {
        run_key,
        pipeline: &spec.name,
        file: request.file.clone(),
        params: &request.params,
        clock: request.now,
        limit_rows: request.limit_rows,
        local: request.local,
        env: listed_env(request, doc),
    };
    let begun = opening::begin(work, remote, beginning, request.fresh).await?;
    Ok((begun, remarks))
}

/// One key, one set of parameters: an explicit `--run-key` can be used with others by mistake.
fn check_same_call(request: &RunRequest, doc: &Document, state: &RunState) -> Result<(), RunError> {
    let Some(opened) = &state.opened else {
        return Err(RunError::bug("a run without a beginning"));
    };
    let differs = |before: String, now: String| {
        Err(RunError::new(
            ExitCode::Exists,
            format!(
                "run key {:?} was used with {before}, and now with {now}",
                opened.run_key
            ),
        )
        .with_help("use another --run-key, or start over under this one with --fresh"))
    };
    if opened.params != request.params {
        return differs(parameters(&opened.params), parameters(&request.params));
    }
    if opened.limit_rows != request.limit_rows {
        let limit =
            |rows: Option<u64>| rows.map_or("all rows".to_owned(), |n| format!("--limit-rows {n}"));
        return differs(limit(opened.limit_rows), limit(request.limit_rows));
    }
    if opened.local != request.local {
        let word = |local| if local { "--local" } else { "AWS" }.to_owned();
        return differs(word(opened.local), word(request.local));
    }
    // A variable that the file did not list then is new to the run, not changed.
    let env = listed_env(request, doc);
    let changed = opened
        .env
        .iter()
        .find(|(k, v)| env.get(*k).is_some_and(|now| now != *v));
    if let Some((name, before)) = changed {
        let now = env.get(name).cloned().unwrap_or_default();
        return differs(
            format!("{name}={before:?} in the environment"),
            format!("{now:?}"),
        );
    }
    Ok(())
}

/// The variables that the pipeline lists under `env:`, and no other.
fn listed_env(request: &RunRequest, doc: &Document) -> BTreeMap<String, String> {
    let listed = doc.env_names().into_iter();
    listed
        .filter_map(|name| request.env.get(&name).map(|v| (name.clone(), v.clone())))
        .collect()
}

fn parameters(given: &BTreeMap<String, String>) -> String {
    if given.is_empty() {
        return "no parameters".to_owned();
    }
    let each: Vec<String> = given.iter().map(|(k, v)| format!("-p {k}={v}")).collect();
    each.join(" ")
}

fn frozen_clock(state: &RunState) -> Result<Timestamp, RunError> {
    let text = state
        .opened
        .as_ref()
        .map(|o| o.clock.clone())
        .unwrap_or_default();
    text.parse()
        .map_err(|e| RunError::damaged(format!("the ledger's clock {text:?}: {e}")))
}

#[expect(
    clippy::too_many_arguments,
    reason = "each is one part of the session, used once"
)]
fn session_of(
    request: &RunRequest,
    spec: Spec,
    run_key: String,
    work: WorkFolder,
    cloud: Option<Cloud>,
    work_store: Option<WorkStore>,
    open: OpenRun,
    cancel: Cancel,
    sink: Arc<dyn EventSink>,
) -> Session {
    Session::new(SessionParts {
        spec,
        run_id: open.run_id,
        run_key,
        threads: request.threads,
        local: request.local,
        no_wait: request.no_wait,
        work,
        folder: open.folder,
        cloud,
        work_store,
        cancel,
        sink,
        ledger: open.ledger,
        state: open.state,
        mirrored: open.mirrored,
    })
}

/// The request that continues a known run: its own text, parameters and limits, frozen.
///
/// # Errors
/// `NoInput`, when this machine does not know the run.
pub fn resume_request(
    work_dir: &Path,
    run: &str,
    template: RunRequest,
) -> Result<RunRequest, RunError> {
    let work = WorkFolder::open(work_dir)?;
    let run_id = known_run(&work, run)?;
    let path = work.run(&run_id).ledger();
    if !path.exists() {
        return Err(RunError::new(
            ExitCode::NoInput,
            format!(
                "the ledger of run {run_id} is not here any more ({})",
                path.display()
            ),
        )
        .with_help(
            "the `run` command that began it goes on from work.uri: it needs the pipeline's file",
        ));
    }
    let state = state_of(&work, &run_id)?;
    let opened = state
        .opened
        .ok_or_else(|| RunError::damaged(format!("run {run_id} has no beginning")))?;
    let mut env = template.env.clone();
    env.extend(opened.env);
    Ok(RunRequest {
        env,
        file: opened.file,
        params: opened.params,
        run_key: Some(opened.run_key.clone()),
        resume: Some(KeyRecord {
            run_key: opened.run_key,
            run_id,
        }),
        limit_rows: opened.limit_rows,
        local: opened.local,
        fresh: false,
        ..template
    })
}

/// What the ledger on this machine adds up to. It is only read: a run may be writing it just now.
///
/// # Errors
/// When it cannot be read, or is damaged.
pub(crate) fn state_of(work: &WorkFolder, run_id: &str) -> Result<RunState, RunError> {
    let path = work.run(run_id).ledger();
    let bytes = std::fs::read(&path).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => RunError::new(
            ExitCode::NoInput,
            format!(
                "the ledger of run {run_id} is not here any more ({})",
                path.display()
            ),
        )
        .with_help("the `run` command that began it goes on from work.uri"),
        _ => RunError::io("read the ledger", &path, e),
    })?;
    let (entries, _) = ledger::parse(&bytes, &path.display().to_string())?;
    Ok(RunState::of(&entries))
}

/// `last`, a run's id, or a key, to a run's id that this machine knows.
///
/// # Errors
/// `NoInput`, when there is none.
pub(crate) fn known_run(work: &WorkFolder, run: &str) -> Result<String, RunError> {
    let unknown = || {
        RunError::new(
            ExitCode::NoInput,
            format!("no run {run:?} is known in {}", work.root().display()),
        )
        .with_help("`gristmill runs` lists those that are; --work-dir names another folder")
    };
    if run == "last" {
        return work.last()?.map(|r| r.run_id).ok_or_else(unknown);
    }
    if is_run_id(run) && work.run(run).ledger().exists() {
        return Ok(run.to_owned());
    }
    work.find_key(run)?.map(|r| r.run_id).ok_or_else(unknown)
}
