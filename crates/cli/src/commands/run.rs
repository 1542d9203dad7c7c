//! `run` and `resume`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use gristmill_runner::{
    Cancel, EventSink, ExitCode, PipelineText, RunError, RunRequest, RunResult, resume_request,
};
use jiff::Timestamp;

use crate::answer::Printer;
use crate::args::{Global, PipelineInputs, ResumeArgs, RunArgs, WorkArgs};
use crate::commands::{local_assume, params_file, runtime, threads};
use crate::signals;
use crate::summary::summary;
use crate::view::View;

pub(crate) fn run(global: &Global, args: RunArgs, printer: &Printer) -> Result<ExitCode, RunError> {
    let request = RunRequest {
        run_key: args.run_key,
        fresh: args.fresh,
        overwrite: args.overwrite,
        no_wait: args.waiting.no_wait,
        prices: args.pace.prices()?,
        rows_per_second: args.pace.rows_per_second,
        ..request(&args.file, args.inputs, &args.work)?
    };
    carry_out(global, &request, printer)
}

pub(crate) fn resume(
    global: &Global,
    args: ResumeArgs,
    printer: &Printer,
) -> Result<ExitCode, RunError> {
    let request = RunRequest {
        overwrite: args.overwrite,
        no_wait: args.waiting.no_wait,
        prices: args.pace.prices()?,
        rows_per_second: args.pace.rows_per_second,
        ..known_run(&args.run, &args.work)?
    };
    if request.local {
        local_assume::check_variable()?;
    }
    carry_out(global, &request, printer)
}

/// A request that continues, watches or ends a run that this machine knows.
///
/// # Errors
/// `NoInput`, when it knows none.
pub(crate) fn known_run(run: &str, work: &WorkArgs) -> Result<RunRequest, RunError> {
    let nothing = PipelineText {
        path: String::new(),
        folder: String::new(),
        text: String::new(),
    };
    let inputs = PipelineInputs {
        param: Vec::new(),
        params_file: None,
        local: false,
        local_map: Vec::new(),
        limit_rows: None,
    };
    let template = of_text(nothing, inputs, work)?;
    resume_request(&work.work_dir, run, template)
}

fn carry_out(
    global: &Global,
    request: &RunRequest,
    printer: &Printer,
) -> Result<ExitCode, RunError> {
    let result = in_view(View::new(global), async |sink, cancel| {
        gristmill_runner::run(request, sink, cancel).await
    })?;
    print(&result, printer)
}

/// Does asynchronous work whose events are shown, and that a signal cancels.
///
/// # Errors
/// When threads cannot be started.
pub(crate) fn in_view<T>(
    view: View,
    work: impl AsyncFnOnce(Arc<dyn EventSink>, Cancel) -> T,
) -> Result<T, RunError> {
    let view = Arc::new(view);
    let sink: Arc<dyn EventSink> = Arc::clone(&view) as Arc<dyn EventSink>;
    let runtime = runtime()?;
    let done = runtime.block_on(async {
        let cancel = Cancel::default();
        signals::listen(&cancel);
        work(sink, cancel).await
    });
    // A blocking thread that still reads must not hold the process up.
    runtime.shutdown_background();
    view.clear();
    Ok(done)
}

/// Prints a run's result and gives its exit code.
///
/// # Errors
/// A bug, when it is no JSON.
pub(crate) fn print(result: &RunResult, printer: &Printer) -> Result<ExitCode, RunError> {
    let exit = ExitCode::from_number(result.exit).unwrap_or(ExitCode::Failure);
    let waits =
        exit == ExitCode::Temporary && matches!(result.status.as_str(), "waiting" | "running");
    match &result.error {
        Some(error) if waits => printer.remark(error),
        Some(error) => printer.explain_record(exit, error),
        None => {}
    }
    let value = serde_json::to_value(result).map_err(|e| RunError::bug(e.to_string()))?;
    let text = if exit == ExitCode::Success || waits {
        summary(result)
    } else {
        String::new()
    };
    printer.answer(&text, &value);
    Ok(exit)
}

/// A request for a pipeline file.
///
/// # Errors
/// `NoInput`, when the file cannot be read.
pub(crate) fn request(
    file: &Path,
    inputs: PipelineInputs,
    work: &WorkArgs,
) -> Result<RunRequest, RunError> {
    of_text(read_pipeline(file)?, inputs, work)
}

/// A pipeline file is small; one above this is something else.
const MAX_PIPELINE_BYTES: u64 = 4 * 1024 * 1024;

/// The text of a pipeline file, and its path as given.
///
/// # Errors
/// `NoInput`, when it cannot be read; `Pipeline`, when it is too large or not UTF-8.
pub(crate) fn read_pipeline(file: &Path) -> Result<PipelineText, RunError> {
    let unreadable = |e: std::io::Error| {
        RunError::new(
            ExitCode::NoInput,
            format!("cannot read the pipeline {}: {e}", file.display()),
        )
        .with_help("give the path of a pipeline file, such as pipelines/nightly-scoring.yaml")
    };
    let size = std::fs::metadata(file).map_err(unreadable)?.len();
    if size > MAX_PIPELINE_BYTES {
        return Err(RunError::new(
            ExitCode::Pipeline,
            format!(
                "{}: {size} bytes are more than a pipeline file may have ({MAX_PIPELINE_BYTES})",
                file.display()
            ),
        ));
    }
    let bytes = std::fs::read(file).map_err(unreadable)?;
    let text = String::from_utf8(bytes).map_err(|e| {
        let at = e.utf8_error().valid_up_to();
        RunError::new(
            ExitCode::Pipeline,
            format!("{}: not UTF-8 at byte {at}", file.display()),
        )
    })?;
    let absolute = std::path::absolute(file).map_err(unreadable)?;
    let folder = absolute.parent().unwrap_or(&absolute);
    Ok(PipelineText {
        path: file.display().to_string(),
        folder: folder.display().to_string(),
        text,
    })
}

fn of_text(
    file: PipelineText,
    inputs: PipelineInputs,
    work: &WorkArgs,
) -> Result<RunRequest, RunError> {
    let program = std::env::current_exe().map_err(|e| {
        RunError::new(
            ExitCode::Failure,
            format!("cannot find the program's own file: {e}"),
        )
    })?;
    if inputs.local {
        local_assume::check_variable()?;
    }
    let params = params(&file, inputs.param, inputs.params_file.as_deref())?;
    Ok(RunRequest {
        file,
        params,
        run_key: None,
        resume: None,
        fresh: false,
        overwrite: false,
        no_wait: false,
        limit_rows: inputs.limit_rows,
        work_dir: work.work_dir.clone(),
        local: inputs.local,
        program,
        local_map: inputs.local_map,
        prices: None,
        rows_per_second: None,
        threads: threads(work.threads),
        now: Timestamp::now(),
        env: std::env::vars_os()
            .filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)))
            .collect(),
    })
}

/// Parameters as given: `-p` before the file. Mistakes in the file are told with their place.
fn params(
    pipeline: &PipelineText,
    given: Vec<(String, String)>,
    file: Option<&Path>,
) -> Result<BTreeMap<String, String>, RunError> {
    let given = unique(given)?;
    let Some(path) = file else {
        return Ok(given);
    };
    let file = params_file::read(path)?;
    let problems = file.problems(pipeline, &given);
    if !problems.is_empty() {
        return Err(params_file::wrong(&path.display().to_string(), problems));
    }
    let mut all = file.values;
    all.extend(given);
    Ok(all)
}

/// Parameters by name.
///
/// # Errors
/// `Usage`, for a name that is given twice.
pub(crate) fn unique(given: Vec<(String, String)>) -> Result<BTreeMap<String, String>, RunError> {
    let mut params = BTreeMap::new();
    for (name, value) in given {
        if params.insert(name.clone(), value).is_some() {
            return Err(RunError::new(
                ExitCode::Usage,
                format!("parameter {name:?} is given twice"),
            ));
        }
    }
    Ok(params)
}
