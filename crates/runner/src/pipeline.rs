//! The stages in order, for the two kinds of pipeline: with a transform, and without.

use std::path::Path;
use std::sync::Arc;

use gristmill_plan::fingerprint::{self, Fingerprint};
use gristmill_plan::pace::Range;
use gristmill_plan::planner::{Basis, Choices};
use gristmill_plan::prices::Prices;
use gristmill_plan::spec::{Columns, OnEmpty, OnNewColumn, PublishMode, SourceFormat};
use gristmill_plan::{Inventory, Plan, Spec};
use gristmill_tabular::{Input, Layout};

use crate::entry::Entry;
use crate::error::RunError;
use crate::event::Level;
use crate::exit_code::ExitCode;
use crate::finishing::{counts, finish};
use crate::folder::write_json;
use crate::intake;
use crate::inventory::{self, InputFile, Told, blocking};
use crate::model::{self, KnownModel};
use crate::result::RunResult;
use crate::run::RunRequest;
use crate::sample;
use crate::session::Session;
use crate::stages::cut::CutJob;
use crate::stages::score::ScoreJob;
use crate::stages::{assemble, convert, cut, probe, publish, refused, score, source, watch};
use crate::target::Target;

/// Does whatever of the pipeline is not done yet.
///
/// # Errors
/// Any stage's.
pub(crate) async fn run(
    session: &Arc<Session>,
    request: &RunRequest,
    result: &mut RunResult,
) -> Result<(), RunError> {
    let spec = &session.spec;
    let target = target_of(spec)?;
    publish::check_destination(session, &target, mode_of(spec, request)).await?;
    let files = intake::list(session, request).await?;
    if files.is_empty() {
        return empty(session, result, "nothing matches source.uri");
    }
    if files.iter().all(|f| f.size == 0) {
        return empty(session, result, "the input is empty");
    }
    check_sizes(&files)?;
    intake::check_same(session, &files)?;
    check_not_an_input(&target, &files)?;
    let inputs = inventory::open(
        &files,
        session
            .cloud
            .as_ref()
            .map(gristmill_cloud::Cloud::store)
            .as_ref(),
        told(spec),
        session.folder.root(),
    );
    let Some(ready) = look(session, request, &files, inputs).await? else {
        return no_header(session, result, &files);
    };
    check_budget(session, &ready.plan)?;
    begin(session, files, &ready)?;
    if spec.transform.is_some() {
        run_scoring(session, request, &ready, result).await?;
    } else {
        let seconds = convert::run(session, &ready, &target).await?;
        result.stages.insert("shards".into(), seconds);
    }
    let (rows, _) = session.state(counts);
    if rows.source == 0 {
        return empty(session, result, "the input has no data rows");
    }
    if rows.source == rows.quarantined {
        return Err(all_bad(rows.source));
    }
    let seconds = publish::run(session, &target, mode_of(spec, request)).await?;
    result.stages.insert("publish".into(), seconds);
    finish(session, &target, result).await
}

/// Before the first job, the plan is held to the budget; what later jobs may take is theirs to ask.
fn check_budget(session: &Session, plan: &Plan) -> Result<(), RunError> {
    match &plan.over_budget {
        Some(why) if session.state(|s| s.launches.is_empty()) => {
            Err(RunError::new(ExitCode::Pipeline, why.clone()))
        }
        _ => Ok(()),
    }
}

/// An output over one of its own inputs would be read by nobody again.
fn check_not_an_input(target: &Target, files: &[InputFile]) -> Result<(), RunError> {
    let Target::File(path) = target else {
        return Ok(());
    };
    let same = files.iter().any(|f| Path::new(&f.uri) == path);
    if !same {
        return Ok(());
    }
    Err(RunError::new(
        ExitCode::Pipeline,
        format!("shards.to: {} is one of the inputs", path.display()),
    )
    .with_help("name another file"))
}

fn all_bad(rows: u64) -> RunError {
    RunError::new(
        ExitCode::Data,
        format!("all {rows} rows of the input are bad; nothing was published"),
    )
    .with_help("the quarantine file of the run has each with its place and reason")
}

/// What the pipeline says of its inputs' bytes.
pub(crate) fn told(spec: &Spec) -> Told {
    // The plan crate has checked the name.
    let encoding = spec.source.encoding.as_ref();
    Told {
        layout: layout_of(spec),
        encoding: encoding.and_then(|name| name.parse().ok()),
    }
}

/// What the pipeline says of its inputs' layout.
fn layout_of(spec: &Spec) -> Option<Layout> {
    spec.source.format.map(|format| match format {
        SourceFormat::Csv => Layout::Csv,
        SourceFormat::Jsonl => Layout::JsonLines,
        SourceFormat::Parquet => Layout::Parquet,
    })
}

/// Without even a header, one file is an empty input; among others it is a mistake.
fn no_header(
    session: &Session,
    result: &mut RunResult,
    files: &[InputFile],
) -> Result<(), RunError> {
    match files {
        [only] => empty(session, result, &format!("{} is empty", only.uri)),
        files => Err(one_is_empty(files.first().map_or("", |f| f.uri.as_str()))),
    }
}

/// An empty file among others may be one that was cut short, and a run that skipped it would lose
/// its rows.
fn check_sizes(files: &[InputFile]) -> Result<(), RunError> {
    match files.iter().find(|f| f.size == 0) {
        Some(file) if files.len() > 1 => Err(one_is_empty(&file.uri)),
        _ => Ok(()),
    }
}

fn one_is_empty(uri: &str) -> RunError {
    RunError::new(
        ExitCode::Data,
        format!("{uri} is empty, without even a header, and other files of the input are not"),
    )
    .with_help("remove it, or write it again; nothing was published")
}

/// What both kinds of pipeline need to know before their first stage.
pub(crate) struct Ready {
    pub(crate) inputs: Vec<Input>,
    pub(crate) options: gristmill_tabular::ScanOptions,
    pub(crate) plan: Plan,
    /// The columns of the beginning of the input.
    pub(crate) header: Vec<String>,
    pub(crate) source: Fingerprint,
    pub(crate) shards: Fingerprint,
}

/// Looks at the beginning of the input and plans. Records nothing; `None` when there is not even a
/// header.
pub(crate) async fn look(
    session: &Arc<Session>,
    request: &RunRequest,
    files: &[InputFile],
    inputs: Vec<Input>,
) -> Result<Option<Ready>, RunError> {
    let inner = Arc::clone(session);
    let limit = request.limit_rows;
    let (planned, listed) = (plan_inventory(files, limit), inputs.clone());
    let known = Known::of(request, session);
    let drafted = blocking(move || draft(&inner.spec, &planned, &listed, &known)).await?;
    Ok(drafted.map(|(plan, dialect, header)| {
        let source = fingerprint::source(&plan);
        let shards = fingerprint::shards(&source, &plan);
        let options = source::options(&session.spec, dialect, session.threads, limit);
        Ready {
            inputs,
            options,
            plan,
            header,
            source,
            shards,
        }
    }))
}

/// Records what the run is about, and shows the plan's warnings.
fn begin(session: &Session, files: Vec<InputFile>, ready: &Ready) -> Result<(), RunError> {
    intake::record(session, files, &ready.source)?;
    if session.state(|s| s.planned.is_none()) && ready.plan.transform.is_some() {
        let forecast = ready.plan.forecast.as_ref();
        session.record(&Entry::Planned {
            choices: ready.plan.choices.clone(),
            usd_per_hour: forecast.and_then(|f| f.cost.usd_per_hour()),
        })?;
    }
    write_json(&session.folder.plan_json(), &ready.plan)?;
    let new = new_columns(&session.spec, &ready.header);
    for warning in ready.plan.warnings.iter().chain(&new) {
        session.note(Level::Warn, warning.clone());
    }
    Ok(())
}

/// What a plan depends on beside the pipeline and its inputs.
pub(crate) struct Known {
    /// What the first attempt chose.
    pub(crate) frozen: Option<Choices>,
    pub(crate) prices: Option<Prices>,
    pub(crate) rows_per_second: Option<Range>,
    pub(crate) region: Option<String>,
}

impl Known {
    fn of(request: &RunRequest, session: &Session) -> Known {
        let frozen = session.state(|s| match &s.planned {
            // Nothing was planned for the data that there are now.
            _ if s.waits_for_data() => None,
            Some(planned) => Some(planned.choices.clone()),
            // A run of a version that chose nothing.
            None => s.inputs.is_some().then(|| Choices::of_old(&session.spec)),
        });
        let cloud = session.cloud.as_ref();
        Known {
            frozen,
            prices: request.prices.clone(),
            rows_per_second: request.rows_per_second,
            region: cloud.and_then(|cloud| cloud.store().region()),
        }
    }

    fn basis(&self) -> Basis<'_> {
        Basis {
            frozen: self.frozen.as_ref(),
            rows_per_second: self.rows_per_second,
            prices: self.prices.as_ref(),
            region: self.region.as_deref(),
        }
    }
}

/// The plan from a look at the beginning of the first input, and the dialect; `None` when there is
/// not even a header.
///
/// # Errors
/// `Pipeline`, when the plan cannot be made; the data's.
pub(crate) fn draft(
    spec: &Spec,
    inventory: &Inventory,
    inputs: &[Input],
    known: &Known,
) -> Result<Option<(Plan, gristmill_tabular::Dialect, Vec<String>)>, RunError> {
    let Some((sample, dialect)) = sample::look(spec, inputs)? else {
        return Ok(None);
    };
    Ok(Some((
        gristmill_plan::draft_on(spec, inventory, &sample, &known.basis())?,
        dialect,
        sample.columns,
    )))
}

/// The inventory as the plan crate takes it.
#[must_use]
pub(crate) fn plan_inventory(files: &[InputFile], limit_rows: Option<u64>) -> Inventory {
    let input = |f: &InputFile| gristmill_plan::InputFile {
        uri: f.uri.clone(),
        size: f.size,
        etag: Some(f.content.clone()),
    };
    Inventory {
        inputs: files.iter().map(input).collect(),
        limit_rows,
    }
}

fn empty(session: &Session, result: &mut RunResult, why: &str) -> Result<(), RunError> {
    match session.spec.source.on_empty {
        OnEmpty::Fail => Err(RunError::new(ExitCode::NoInput, why)
            .with_help("if that is as it should be, say so: source.on_empty: skip, or ok")),
        OnEmpty::Skip => Err(RunError::new(
            ExitCode::Skipped,
            format!("{why}: skipped (on_empty: skip)"),
        )),
        OnEmpty::Ok => {
            session.note(Level::Info, format!("{why}: nothing to do (on_empty: ok)"));
            // Not finished: data that comes later is for the next call.
            session.record(&Entry::Stopped {
                exit: ExitCode::Success.number(),
                message: format!("{why}: nothing to do"),
            })?;
            result.succeed();
            Ok(())
        }
    }
}

/// What `on_new_column: warn` has to say.
pub(crate) fn new_columns(spec: &Spec, header: &[String]) -> Option<String> {
    let Columns::Contract(contract) = &spec.source.columns else {
        return None;
    };
    let known = |name: &&String| contract.iter().any(|column| column.name == **name);
    let new: Vec<&str> = header
        .iter()
        .filter(|name| !known(name))
        .map(String::as_str)
        .collect();
    let warn = spec.source.on_new_column == OnNewColumn::Warn && !new.is_empty();
    warn.then(|| {
        format!(
            "the input has columns that the contract does not name, and that go nowhere: {}",
            new.join(", ")
        )
    })
}

/// Where the pipeline's result goes.
///
/// # Errors
/// A bug, when it has no destination: the plan crate asks for one.
pub(crate) fn target_of(spec: &Spec) -> Result<Target, RunError> {
    match (&spec.assemble, &spec.shards.to) {
        (Some(assemble), _) => Target::folder(&assemble.to),
        (None, Some(to)) => Target::folder_or_file(to),
        (None, None) => Err(RunError::new(
            ExitCode::Pipeline,
            "the pipeline says nothing about where its result goes",
        )
        .with_help("add `assemble.to` (with `transform`) or `shards.to`")),
    }
}

fn mode_of(spec: &Spec, request: &RunRequest) -> PublishMode {
    if request.overwrite {
        PublishMode::Overwrite
    } else {
        spec.assemble.as_ref().map(|a| a.mode).unwrap_or_default()
    }
}

async fn run_scoring(
    session: &Arc<Session>,
    request: &RunRequest,
    ready: &Ready,
    result: &mut RunResult,
) -> Result<(), RunError> {
    let model = known_model(session, request).await?;
    let mut time = |stage: &str, seconds: f64| result.stages.insert(stage.to_owned(), seconds);
    time(
        "source",
        source::run(session, &ready.inputs, &ready.options).await?,
    );
    let schema = session.state(|s| s.scanned.as_ref().map(|x| x.schema.clone()));
    let job = CutJob {
        inputs: ready.inputs.clone(),
        options: ready.options.clone(),
        schema: schema.ok_or_else(|| RunError::bug("the source stage left no schema"))?,
        fingerprint: ready.shards.to_string(),
    };
    let transform = fingerprint::transform(&ready.shards, &ready.plan, &model.identity);
    let score = ScoreJob {
        model_name: model.name.clone(),
        fingerprint: transform.to_string(),
        shards_fingerprint: ready.shards.to_string(),
    };
    if probe::is_due(session, &score.fingerprint) {
        ensure(session, &model).await?;
        probe::run(session, &ready.plan, &job, &score).await?;
    }
    let (shards, scored) = cut_and_score(session, ready, &model, job, &score).await?;
    time("shards", shards);
    if let Some(scored) = scored {
        time("transform", scored);
    }
    let spec = session
        .spec
        .assemble
        .as_ref()
        .ok_or_else(|| RunError::bug("no assemble stage"))?;
    let prints = assemble::Prints {
        shards: ready.shards.to_string(),
        assemble: fingerprint::assemble(&transform, &ready.plan).to_string(),
        transform: transform.to_string(),
    };
    time("assemble", assemble::run(session, spec, &prints).await?);
    refused::quarantine(session, &ready.plan, &score).await
}

/// Shards and their scores, one after the other; with several jobs, together: the first are created
/// while later shards are cut. Gives the seconds that each took.
async fn cut_and_score(
    session: &Arc<Session>,
    ready: &Ready,
    model: &KnownModel,
    cut: CutJob,
    job: &ScoreJob,
) -> Result<(f64, Option<f64>), RunError> {
    let plan = &ready.plan;
    let rows = session.state(|s| s.scanned.as_ref().map_or(0, |x| x.rows_accepted));
    if rows > 0 && score::first_jobs(session, plan, &job.fingerprint) > 1 {
        ensure(session, model).await?;
        let cut = cut::run(session, plan, cut);
        let (shards, scored) = together(session, cut, score::run(session, plan, job)).await?;
        return Ok((shards, Some(scored)));
    }
    let shards = cut::run(session, plan, cut).await?;
    if session.state(|s| s.shards.is_empty()) {
        return Ok((shards, None));
    }
    ensure(session, model).await?;
    Ok((shards, Some(score::run(session, plan, job).await?)))
}

/// Cuts and scores at the same time. The first error ends both: the cutter is told to stop, since it
/// writes to the ledger until it has; jobs that are under way are left to the next call.
async fn together(
    session: &Session,
    cut: impl Future<Output = Result<f64, RunError>>,
    score: impl Future<Output = Result<f64, RunError>>,
) -> Result<(f64, f64), RunError> {
    tokio::pin!(cut, score);
    // The cutter comes first: it drops shards of other settings before anything waits for some.
    tokio::select! {
        biased;
        done = &mut cut => match done {
            Ok(seconds) => Ok((seconds, score.await?)),
            // It sees to its jobs.
            Err(_) if session.cancel.is_cancelled() => Err(score.await.err().unwrap_or_else(|| session.cancel.error())),
            Err(error) => {
                say_what_is_left(session);
                Err(error)
            }
        },
        done = &mut score => match done {
            Ok(seconds) => Ok((cut.await?, seconds)),
            Err(error) => {
                session.abandon_cutting();
                let _ = cut.await;
                Err(error)
            }
        },
    }
}

fn say_what_is_left(session: &Session) {
    let left: Vec<String> = session.state(|s| {
        let open = s.open_jobs().filter(|l| l.arn.is_some());
        open.map(|l| l.name().to_owned()).collect()
    });
    for name in left {
        session.note(
            Level::Warn,
            format!("job {name} is left running; the same command finds it again"),
        );
    }
}

/// The model in the service.
async fn ensure(session: &Session, model: &KnownModel) -> Result<(), RunError> {
    let work = session.work_store.as_ref();
    let work = work.ok_or_else(|| RunError::bug("no work.uri"))?;
    let transforms = watch::transforms(session)?;
    let ensured = model::ensure(model, &transforms, work);
    session.cancel.guard(ensured).await
}

/// The model of the pipeline, known and not necessarily created yet.
///
/// # Errors
/// `Pipeline`, when there is none; the service's.
pub(crate) async fn known_model(
    session: &Session,
    request: &RunRequest,
) -> Result<KnownModel, RunError> {
    let spec = session
        .spec
        .transform
        .as_ref()
        .ok_or_else(|| RunError::bug("no transform stage"))?;
    let local = session
        .local
        .then(|| session.spec.local.as_ref().map(|l| &l.model));
    let base = Path::new(&request.file.folder);
    let cloud = session
        .cloud
        .as_ref()
        .ok_or_else(|| RunError::bug("no transform service was connected"))?;
    session
        .cancel
        .guard(model::identify(
            &session.spec.name,
            &spec.model,
            local,
            base,
            cloud,
        ))
        .await
        .map_err(|error| placed(session, error))
}

/// A model that the pipeline names wrongly is a mistake in the pipeline, at its line.
fn placed(session: &Session, error: RunError) -> RunError {
    if error.exit != ExitCode::Pipeline {
        return error;
    }
    let path = if session.local {
        "local.model"
    } else {
        "transform.model"
    };
    RunError {
        message: format!("{}: {}", session.spec.places.of(path), error.message),
        ..error
    }
}
