//! `validate`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use gristmill_plan::problem::code;
use gristmill_plan::{Place, Problem, Review};
use gristmill_runner::words::counted;
use gristmill_runner::{ExitCode, RunError, read_text};
use serde_json::json;

use crate::answer::{Printer, problem_text};
use crate::args::{PipelineInputs, ValidateArgs, WorkArgs};
use crate::commands::params_file::{self, ParamsFile};
use crate::commands::run::{self, read_pipeline};

/// The code of a file that is not there.
const UNREADABLE: &str = "unreadable";

pub(crate) fn validate(args: &ValidateArgs, printer: &Printer) -> Result<ExitCode, RunError> {
    let params = args
        .params_file
        .as_deref()
        .map(params_file::read)
        .transpose()?;
    check_given(args)?;
    let wrong = params.map_or_else(Vec::new, |p| misfits(&p, &args.files));
    let (mut problems, mut warnings) = (Vec::new(), Vec::new());
    for file in &args.files {
        let review = review_of(file);
        let own = review.problems;
        warnings.extend(review.warnings);
        match &args.against {
            Some(data) if own.is_empty() && wrong.is_empty() => {
                problems.extend(problems_against(args, file, data)?);
            }
            _ => problems.extend(own),
        }
    }
    let exit = match exit_of(&problems) {
        ExitCode::Success if !wrong.is_empty() => ExitCode::Usage,
        exit => exit,
    };
    let problems: Vec<Problem> = problems.into_iter().chain(wrong).collect();
    let warned = warnings.iter().map(warning_text).collect::<String>();
    let text = if problems.is_empty() {
        let each = args
            .files
            .iter()
            .map(|f| format!("{}: {}\n", f.display(), valid(args)));
        warned + &each.collect::<String>()
    } else {
        let each: Vec<String> = problems.iter().map(|p| problem_text(p) + "\n").collect();
        format!(
            "{warned}{}{}\n",
            each.concat(),
            counted(problems.len() as u64, "problem")
        )
    };
    printer.answer(
        &text,
        &json!({
            "valid": problems.is_empty(),
            "problems": problems,
            "warnings": warnings,
            "exit": exit.number(),
        }),
    );
    Ok(exit)
}

/// Like a problem, but nothing has to change.
fn warning_text(warning: &Problem) -> String {
    format!("warning: {}\n", problem_text(warning))
}

fn valid(args: &ValidateArgs) -> String {
    match &args.against {
        Some(data) => format!("valid, and {} fits it", data.display()),
        None => "valid".to_owned(),
    }
}

/// What of a pipeline that is right in itself does not fit the data, or the reverse.
fn problems_against(
    args: &ValidateArgs,
    file: &Path,
    data: &Path,
) -> Result<Vec<Problem>, RunError> {
    let inputs = PipelineInputs {
        param: args.param.clone(),
        params_file: args.params_file.clone(),
        local: false,
        local_map: Vec::new(),
        limit_rows: None,
    };
    let work = WorkArgs {
        work_dir: PathBuf::new(),
        threads: args.threads,
    };
    let request = run::request(file, inputs, &work)?;
    match gristmill_runner::against(&request, data) {
        // A variable of `env:` that is not set, which only matters where its value does.
        Err(error) if error.exit == ExitCode::Pipeline => Ok(error.problems),
        other => other,
    }
}

/// Refuses a `-p` that a pipeline does not take. One that is missing is not missed here: without data
/// no value is needed.
fn check_given(args: &ValidateArgs) -> Result<(), RunError> {
    if args.param.is_empty() {
        return Ok(());
    }
    let given = run::unique(args.param.clone())?;
    for file in &args.files {
        if let Some(pipeline) = read_pipeline(file).ok()
            && let [first, ..] = params_file::refused(&pipeline, given.clone()).as_slice()
        {
            return Err(
                RunError::new(ExitCode::Usage, format!("{}: {first}", pipeline.path))
                    .with_help("parameters are declared under `params:` in the pipeline"),
            );
        }
    }
    Ok(())
}

/// What the pipelines do not take of a file of parameters.
fn misfits(params: &ParamsFile, files: &[PathBuf]) -> Vec<Problem> {
    let pipelines = files.iter().filter_map(|f| read_pipeline(f).ok());
    pipelines
        .flat_map(|p| params.problems(&p, &BTreeMap::new()))
        .collect()
}

/// A file that cannot be read is a problem like any other: the others are checked all the same.
fn review_of(file: &Path) -> Review {
    match read_pipeline(file) {
        Ok(pipeline) => gristmill_plan::review(
            &pipeline.text,
            &pipeline.path,
            Path::new(&pipeline.folder),
            &read_text,
        ),
        Err(error) => {
            let place = Place {
                file: file.display().to_string(),
                line: 1,
                column: 1,
            };
            let problem = Problem::new(place, UNREADABLE, error.message);
            let problem = match error.help {
                Some(help) => problem.help(help),
                None => problem,
            };
            Review {
                problems: vec![problem],
                warnings: Vec::new(),
            }
        }
    }
}

fn exit_of(problems: &[Problem]) -> ExitCode {
    match problems {
        [] => ExitCode::Success,
        some if some.iter().all(|p| p.code == UNREADABLE) => ExitCode::NoInput,
        some if some.iter().all(|p| p.code == code::DATA) => ExitCode::Data,
        _ => ExitCode::Pipeline,
    }
}
