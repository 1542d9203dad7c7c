//! `validate`.

use gristmill_runner::{ExitCode, RunError};
use serde_json::json;

use crate::answer::{Printer, problem_text};
use crate::args::ValidateArgs;
use crate::commands::run::read_pipeline;

pub(crate) fn validate(args: &ValidateArgs, printer: &Printer) -> Result<ExitCode, RunError> {
    let mut problems = Vec::new();
    for file in &args.files {
        let pipeline = read_pipeline(file)?;
        problems.extend(gristmill_plan::validate(&pipeline.text, &pipeline.path));
    }
    let valid = problems.is_empty();
    let text = if valid {
        args.files
            .iter()
            .map(|f| format!("{}: valid\n", f.display()))
            .collect()
    } else {
        let each: Vec<String> = problems.iter().map(|p| problem_text(p) + "\n").collect();
        let plural = if problems.len() == 1 {
            "problem"
        } else {
            "problems"
        };
        format!("{}{} {plural}\n", each.concat(), problems.len())
    };
    let exit = if valid {
        ExitCode::Success
    } else {
        ExitCode::Pipeline
    };
    printer.answer(
        &text,
        &json!({ "valid": valid, "problems": problems, "exit": exit.number() }),
    );
    Ok(exit)
}
