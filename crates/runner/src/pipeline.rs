//! The stages in order, for the two kinds of pipeline: with a transform, and without.

use std::sync::Arc;

use gristmill_plan::fingerprint::{self, Fingerprint};
use gristmill_plan::spec::{OnEmpty, PublishMode};
use gristmill_plan::{Inventory, Location, Plan, Spec};
use gristmill_tabular::Input;

use crate::entry::Entry;
use crate::error::RunError;
use crate::event::Level;
use crate::exit_code::ExitCode;
use crate::folder::write_json;
use crate::inventory::{self, InputFile, STDIN, blocking};
use crate::model::{self, KnownModel};
use crate::result::{Output, RowCounts, RunResult};
use crate::run::{RunRequest, base_of};
use crate::sample;
use crate::session::Session;
use crate::state::RunState;
use crate::stages::cut::CutJob;
use crate::stages::score::ScoreJob;
use crate::stages::{assemble, convert, cut, publish, score, source, watch};
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
    let files = list_inputs(session).await?;
    if files.is_empty() {
        return empty(session, result, "nothing matches source.uri");
    }
    check_same_inputs(session, &files)?;
    let inputs = inventory::open(
        &files,
        session
            .cloud
            .as_ref()
            .map(gristmill_cloud::Cloud::store)
            .as_ref(),
    );
    let ready = prepare(session, request, files, inputs).await?;
    if spec.transform.is_some() {
        run_scoring(session, request, &ready, result).await?;
    } else {
        let seconds = convert::run(session, &ready, &target).await?;
        result.stages.insert("shards".into(), seconds);
    }
    if session.state(|s| s.assembled.as_ref().is_some_and(|a| a.rows == 0))
        && spec.source.on_empty != OnEmpty::Ok
    {
        return empty(session, result, "the input has no data rows");
    }
    let seconds = publish::run(session, &target, mode_of(spec, request)).await?;
    result.stages.insert("publish".into(), seconds);
    finish(session, &target, result).await
}

/// What both kinds of pipeline need to know before their first stage.
pub(crate) struct Ready {
    pub(crate) inputs: Vec<Input>,
    pub(crate) options: gristmill_tabular::ScanOptions,
    pub(crate) plan: Plan,
    pub(crate) shards: Fingerprint,
}

async fn prepare(
    session: &Arc<Session>,
    request: &RunRequest,
    files: Vec<InputFile>,
    inputs: Vec<Input>,
) -> Result<Ready, RunError> {
    let inner = Arc::clone(session);
    let limit = request.limit_rows;
    let (planned, listed) = (plan_inventory(&files, limit), inputs.clone());
    let (plan, options) = blocking(move || {
        let (plan, dialect) = draft(&inner.spec, &planned, &listed)?;
        Ok((
            plan,
            source::options(&inner.spec, dialect, inner.threads, limit),
        ))
    })
    .await?;
    write_json(&session.folder.plan_json(), &plan)?;
    for warning in &plan.warnings {
        session.note(Level::Warn, warning.clone());
    }
    let source = fingerprint::source(&plan);
    let shards = fingerprint::shards(&source, &plan);
    record_inputs(session, files, &source)?;
    Ok(Ready {
        inputs,
        options,
        plan,
        shards,
    })
}

/// The plan from a look at the beginning of the first input, and the dialect.
///
/// # Errors
/// `Pipeline`, when the plan cannot be made; the data's.
pub(crate) fn draft(
    spec: &Spec,
    inventory: &Inventory,
    inputs: &[Input],
) -> Result<(Plan, gristmill_tabular::Dialect), RunError> {
    let beginning = sample::read(inputs)?;
    let dialect = sample::dialect(spec, &beginning);
    let name = inputs.first().map(|i| i.name.clone()).unwrap_or_default();
    let sample = sample::look(spec, dialect, &name, &beginning)?;
    Ok((gristmill_plan::draft(spec, inventory, &sample)?, dialect))
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

fn record_inputs(
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

fn check_same_inputs(session: &Session, files: &[InputFile]) -> Result<(), RunError> {
    if session.state(RunState::waits_for_data) {
        return Ok(());
    }
    let before = session.state(|s| s.inputs.as_ref().map(|(files, _)| files.clone()));
    match before.and_then(|before| inventory::difference(&before, files)) {
        None => Ok(()),
        Some(difference) => Err(changed(session, &difference)),
    }
}

async fn list_inputs(session: &Arc<Session>) -> Result<Vec<InputFile>, RunError> {
    let known = session
        .state(|s| s.inputs.as_ref().map(|(files, _)| files.clone()))
        .unwrap_or_default();
    if session.spec.source.uri.contains(&Location::Stdin) {
        return spilled_stdin(session, known).await;
    }
    let patterns: Vec<String> = session
        .spec
        .source
        .uri
        .iter()
        .map(ToString::to_string)
        .collect();
    let store = session.cloud.as_ref().map(gristmill_cloud::Cloud::store);
    session
        .cancel
        .guard(inventory::list(&patterns, store.as_ref(), &known))
        .await
}

/// The standard input is kept in the run's folder: it can be read only once, and a run reads twice
/// and may be resumed.
async fn spilled_stdin(
    session: &Arc<Session>,
    known: Vec<InputFile>,
) -> Result<Vec<InputFile>, RunError> {
    if !known.is_empty() && !session.state(RunState::waits_for_data) {
        return Ok(known);
    }
    if session.spec.source.uri.len() > 1 {
        return Err(RunError::new(
            ExitCode::Pipeline,
            format!("source.uri: {STDIN:?} cannot be one of several"),
        ));
    }
    let path = session.folder.root().join("stdin");
    blocking(move || {
        let mut out = std::fs::File::create(&path).map_err(|e| RunError::io("write", &path, e))?;
        std::io::copy(&mut std::io::stdin().lock(), &mut out)
            .and_then(|_| out.sync_all())
            .map_err(|e| RunError::io("write", &path, e))?;
        inventory::of_file(&path).map(|file| vec![file])
    })
    .await
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
            result.succeed();
            Ok(())
        }
    }
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
    time("shards", cut::run(session, &ready.plan, job).await?);
    let transform = fingerprint::transform(&ready.shards, &ready.plan, &model.identity);
    if session.state(|s| !s.shards.is_empty()) {
        let work = session
            .work_store
            .as_ref()
            .ok_or_else(|| RunError::bug("no work.uri"))?;
        session
            .cancel
            .guard(model::ensure(&model, &watch::transforms(session)?, work))
            .await?;
        let job = ScoreJob {
            model_name: model.name.clone(),
            fingerprint: transform.to_string(),
            shards_fingerprint: ready.shards.to_string(),
        };
        time("transform", score::run(session, &ready.plan, &job).await?);
    }
    let spec = session
        .spec
        .assemble
        .as_ref()
        .ok_or_else(|| RunError::bug("no assemble stage"))?;
    let print = fingerprint::assemble(&transform, &ready.plan).to_string();
    time(
        "assemble",
        assemble::run(session, spec, &print, &ready.shards.to_string()).await?,
    );
    Ok(())
}

async fn known_model(session: &Session, request: &RunRequest) -> Result<KnownModel, RunError> {
    let spec = session
        .spec
        .transform
        .as_ref()
        .ok_or_else(|| RunError::bug("no transform stage"))?;
    let local = session
        .local
        .then(|| session.spec.local.as_ref().map(|l| &l.model));
    let base = base_of(&request.file.path)?;
    let transforms = watch::transforms(session)?;
    session
        .cancel
        .guard(model::identify(
            &session.spec.name,
            &spec.model,
            local,
            &base,
            &transforms,
        ))
        .await
}

/// Counts agree, or this is no success.
async fn finish(
    session: &Arc<Session>,
    target: &Target,
    result: &mut RunResult,
) -> Result<(), RunError> {
    let (rows, quarantine) = session.state(|s| counts(s));
    if rows.source != rows.quarantined + rows.published
        || (rows.scored != rows.published && session.spec.transform.is_some())
    {
        return Err(RunError::bug(format!("the counts do not agree: {rows:?}")));
    }
    let files: Vec<String> = session
        .state(|s| {
            s.assembled
                .as_ref()
                .map(|a| a.parts.iter().map(|p| p.name.clone()).collect())
        })
        .unwrap_or_default();
    let path = publish::plain_folder(session, target, &files).await?;
    result.output = Some(Output {
        uri: target.to_string(),
        path: path.map(|p| p.display().to_string()),
        files,
        rows: rows.published,
    });
    let bad_rows = session.folder.quarantine().join("bad-rows.jsonl");
    result.quarantine_file = (rows.quarantined > 0).then(|| bad_rows.display().to_string());
    result.rows = rows;
    result.quarantine = quarantine;
    result.jobs = session.state(RunState::job_records);
    result.succeed();
    session.record(&Entry::Finished {
        result: result.clone(),
    })?;
    session.mirror().await?;
    clean(session).await;
    Ok(())
}

fn counts(state: &RunState) -> (RowCounts, std::collections::BTreeMap<String, u64>) {
    let published = state.assembled.as_ref().map_or(0, |a| a.rows);
    let quarantine = state
        .sealed
        .as_ref()
        .map(|s| s.quarantined.clone())
        .unwrap_or_default();
    let rows = RowCounts {
        source: state.sealed.as_ref().map_or(0, |s| s.rows_source),
        quarantined: quarantine.values().sum(),
        scored: if state.launches.is_empty() {
            0
        } else {
            published
        },
        published,
    };
    (rows, quarantine)
}

/// What a finished run does not need any more: files here, and shards under `work.uri` unless the
/// pipeline keeps them. What cannot be removed now does no harm.
async fn clean(session: &Session) {
    for folder in [
        session.folder.shards(),
        session.folder.outputs(),
        session.folder.parts(),
    ] {
        let _ = tokio::fs::remove_dir_all(folder).await;
    }
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

/// Gives the result of a finished run again, if the call is about the same data.
///
/// # Errors
/// `Exists`, when it is about other data, or what was published is gone.
pub(crate) async fn reuse(
    session: &Arc<Session>,
    request: &RunRequest,
    result: &mut RunResult,
) -> Result<(), RunError> {
    let target = target_of(&session.spec)?;
    let files = list_inputs(session).await?;
    check_same_inputs(session, &files)?;
    check_same_stages(session, request, files).await?;
    let stored = session
        .state(|s| s.finished.clone())
        .ok_or_else(|| RunError::bug("not finished"))?;
    let mut again = RunResult {
        reused: true,
        ..stored
    };
    if let Some(output) = &mut again.output {
        let there = session
            .cancel
            .guard(target.names(session.cloud.as_ref()))
            .await?;
        let gone: Vec<&String> = output.files.iter().filter(|f| !there.contains(f)).collect();
        if let (Some(first), false) = (gone.first(), matches!(target, Target::File(_))) {
            return Err(RunError::new(
                ExitCode::Exists,
                format!(
                    "run {} was published to {target}, and {} of its files are gone, {first} first",
                    session.run_id,
                    gone.len()
                ),
            )
            .with_help("start over with --fresh"));
        }
        let path = publish::plain_folder(session, &target, &output.files).await?;
        output.path = path.map(|p| p.display().to_string());
    }
    *result = again;
    Ok(())
}

/// The fingerprints of a finished run must be those of this call; the help says which stage differs.
async fn check_same_stages(
    session: &Arc<Session>,
    request: &RunRequest,
    files: Vec<InputFile>,
) -> Result<(), RunError> {
    let before = session.state(|s| s.assembled.as_ref().map(|a| a.fingerprint.clone()));
    let (Some(before), false) = (before, files.is_empty()) else {
        return Ok(());
    };
    let inputs = inventory::open(
        &files,
        session
            .cloud
            .as_ref()
            .map(gristmill_cloud::Cloud::store)
            .as_ref(),
    );
    let ready = prepare(session, request, files, inputs).await?;
    if session.spec.transform.is_none() {
        return if convert::fingerprint(&ready) == before {
            Ok(())
        } else {
            Err(changed(session, "the stage `shards` differs"))
        };
    }
    let sharding = session.state(|s| s.sharding.clone());
    if sharding.is_some_and(|s| s != ready.shards.to_string()) {
        return Err(changed(
            session,
            "the stage `shards` differs (prepare, shards, or the columns that assemble carries)",
        ));
    }
    let model = known_model(session, request).await?;
    let transform = fingerprint::transform(&ready.shards, &ready.plan, &model.identity);
    let scored = session.state(|s| s.launches.last().map(|l| l.fingerprint.clone()));
    if scored.is_some_and(|s| s != transform.to_string()) {
        return Err(changed(
            session,
            "the stage `transform` differs (the model, or a setting that changes its answers)",
        ));
    }
    if fingerprint::assemble(&transform, &ready.plan).to_string() != before {
        return Err(changed(
            session,
            "the stage `assemble` differs (columns, format or destination)",
        ));
    }
    Ok(())
}
