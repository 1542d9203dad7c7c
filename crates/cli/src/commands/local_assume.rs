//! `--assume`: what the embedded services are taken to do where AWS does not say.

use std::fmt::Write as _;

use gristmill_emulator::Assumptions;
use gristmill_runner::{ExitCode, RunError};
use serde_json::{Value, json};

use crate::answer::Printer;

/// The variable that `--assume` has, and that services started by `--local` are given.
const VARIABLE: &str = "GRISTMILL_ASSUME";

/// The switches with what was given.
///
/// # Errors
/// `Usage`, with all that is wrong.
pub(crate) fn parse(words: &[String]) -> Result<Assumptions, RunError> {
    Assumptions::parse(words.iter().map(String::as_str)).map_err(|errors| {
        let said: Vec<String> = errors.iter().map(ToString::to_string).collect();
        RunError::new(ExitCode::Usage, format!("--assume: {}", said.join("\n")))
    })
}

/// Checks the variable, before services are started that would refuse it.
///
/// # Errors
/// `Usage`, with all that is wrong.
pub(crate) fn check_variable() -> Result<(), RunError> {
    let Ok(text) = std::env::var(VARIABLE) else {
        return Ok(());
    };
    parse(&[text]).map(|_| ()).map_err(|e| {
        let message = e.message.replacen("--assume", VARIABLE, 1);
        RunError::new(ExitCode::Usage, message)
    })
}

/// Prints all switches.
///
/// # Errors
/// `Usage`, where more than `list` was asked for.
pub(crate) fn list(words: &[String], printer: &Printer) -> Result<ExitCode, RunError> {
    if words.len() > 1 {
        let message = "--assume list stands alone";
        return Err(RunError::new(ExitCode::Usage, message));
    }
    printer.answer(&text(), &value());
    Ok(ExitCode::Success)
}

fn text() -> String {
    let mut text = String::from("# NAME=VALUE for --assume; * is the default\n");
    for switch in Assumptions::SWITCHES {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "\n{}: {}", switch.name, switch.unknown);
        let width = switch
            .values
            .iter()
            .map(|v| v.name.len())
            .max()
            .unwrap_or(0);
        for (index, value) in switch.values.iter().enumerate() {
            let mark = if index == 0 { '*' } else { ' ' };
            let _ = writeln!(text, "  {mark} {:width$}  {}", value.name, value.meaning);
        }
    }
    text
}

fn value() -> Value {
    let switches = Assumptions::SWITCHES.iter().map(|switch| {
        let values = switch.values.iter().enumerate();
        let values = values.map(|(index, value)| {
            json!({ "value": value.name, "meaning": value.meaning, "default": index == 0 })
        });
        json!({
            "name": switch.name,
            "unknown": switch.unknown,
            "values": values.collect::<Vec<_>>(),
        })
    });
    json!({ "switches": switches.collect::<Vec<_>>() })
}
