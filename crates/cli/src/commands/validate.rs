//! `validate`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use gristmill_plan::{Place, Problem};
use gristmill_runner::words::counted;
use gristmill_runner::{ExitCode, RunError, read_text};
use serde_json::json;

use crate::answer::{Printer, problem_text};
use crate::args::ValidateArgs;
use crate::commands::params_file::{self, ParamsFile};
use crate::commands::run::read_pipeline;

/// The code of a file that is not there.
const UNREADABLE: &str = "unreadable";

pub(crate) fn validate(args: &ValidateArgs, printer: &Printer) -> Result<ExitCode, RunError> {
    let params = args
        .params_file
        .as_deref()
        .map(params_file::read)
        .transpose()?;
    let problems: Vec<Problem> = args.files.iter().flat_map(|f| problems_of(f)).collect();
    let wrong = params.map_or_else(Vec::new, |p| misfits(&p, &args.files));
    let exit = match exit_of(&problems) {
        ExitCode::Success if !wrong.is_empty() => ExitCode::Usage,
        exit => exit,
    };
    let problems: Vec<Problem> = problems.into_iter().chain(wrong).collect();
    let text = if problems.is_empty() {
        let each = args
            .files
            .iter()
            .map(|f| format!("{}: valid\n", f.display()));
        each.collect()
    } else {
        let each: Vec<String> = problems.iter().map(|p| problem_text(p) + "\n").collect();
        format!(
            "{}{}\n",
            each.concat(),
            counted(problems.len() as u64, "problem")
        )
    };
    printer.answer(
        &text,
        &json!({
            "valid": problems.is_empty(),
            "problems": problems,
            "exit": exit.number(),
        }),
    );
    Ok(exit)
}

/// What the pipelines do not take of a file of parameters.
fn misfits(params: &ParamsFile, files: &[PathBuf]) -> Vec<Problem> {
    let pipelines = files.iter().filter_map(|f| read_pipeline(f).ok());
    pipelines
        .flat_map(|p| params.problems(&p, &BTreeMap::new()))
        .collect()
}

/// A file that cannot be read is a problem like any other: the others are checked all the same.
fn problems_of(file: &Path) -> Vec<Problem> {
    match read_pipeline(file) {
        Ok(pipeline) => gristmill_plan::validate(
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
            vec![match error.help {
                Some(help) => problem.help(help),
                None => problem,
            }]
        }
    }
}

fn exit_of(problems: &[Problem]) -> ExitCode {
    match problems {
        [] => ExitCode::Success,
        some if some.iter().all(|p| p.code == UNREADABLE) => ExitCode::NoInput,
        _ => ExitCode::Pipeline,
    }
}
