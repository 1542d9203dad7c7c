//! The only place that writes to standard output, and the last word on standard error.
//!
//! Standard output carries the answer: text for people, or with `--output json` one JSON line, last.
//! That nobody reads it (a closed pipe) is no failure; that it cannot be written (a full disk) is.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use gristmill_plan::Problem;
use gristmill_runner::result::ErrorRecord;
use gristmill_runner::{ExitCode, RunError, RunResult};
use serde_json::{Value, json};

use crate::args::{Cli, Command, LogFormat, OutputFormat};

/// The verbs that answer with a run's result.
const ABOUT_RUNS: [&str; 5] = ["run", "resume", "status", "wait", "cancel"];

/// Prints answers in the form that was asked for.
#[derive(Debug)]
pub(crate) struct Printer {
    output: OutputFormat,
    log_format: LogFormat,
    result_file: Option<PathBuf>,
    about_runs: bool,
    failed: AtomicBool,
}

impl Printer {
    pub(crate) fn new(cli: &Cli) -> Self {
        let global = &cli.global;
        Self {
            about_runs: matches!(
                cli.command,
                Command::Run(_)
                    | Command::Resume(_)
                    | Command::Status(_)
                    | Command::Wait(_)
                    | Command::Cancel(_)
            ),
            output: global.output,
            log_format: global.log_format,
            result_file: global.result_file.clone(),
            failed: AtomicBool::new(false),
        }
    }

    /// For a command line that could not be parsed: looks for the verb and the two flags, or their
    /// variables, that matter here.
    pub(crate) fn for_unparsed(words: &[String]) -> Self {
        let value_of = |flag: &str| {
            let with_equals = format!("{flag}=");
            words
                .iter()
                .enumerate()
                .find_map(|(i, word)| match word.strip_prefix(&with_equals) {
                    Some(value) => Some(value.to_owned()),
                    None if word == flag => words.get(i + 1).cloned(),
                    None => None,
                })
        };
        let variable = |name| std::env::var(name).ok().filter(|v| !v.is_empty());
        let output = value_of("--output").or_else(|| variable("GRISTMILL_OUTPUT"));
        let result_file = value_of("--result-file").or_else(|| variable("GRISTMILL_RESULT_FILE"));
        let json = output.is_some_and(|v| v == "json");
        Self {
            output: if json {
                OutputFormat::Json
            } else {
                OutputFormat::Text
            },
            log_format: LogFormat::Text,
            result_file: result_file.map(PathBuf::from),
            about_runs: words.iter().any(|w| ABOUT_RUNS.contains(&w.as_str())),
            failed: AtomicBool::new(false),
        }
    }

    /// Refuses a `--result-file` that cannot be written, before any work is done.
    ///
    /// # Errors
    /// `Usage`, naming its folder.
    pub(crate) fn check_result_file(&self) -> Result<(), RunError> {
        let Some(path) = &self.result_file else {
            return Ok(());
        };
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
        if folder.is_none_or(Path::is_dir) && !path.is_dir() {
            return Ok(());
        }
        Err(RunError::new(
            ExitCode::Usage,
            format!(
                "--result-file {} cannot be written: its folder does not exist, or it is one",
                path.display()
            ),
        ))
    }

    /// Whether the answer is JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.output == OutputFormat::Json
    }

    /// Prints an answer: the text or the JSON, and the JSON to `--result-file`.
    pub(crate) fn answer(&self, text: &str, value: &Value) {
        match self.output {
            OutputFormat::Text => self.write_out(text.as_bytes()),
            OutputFormat::Json => self.write_out(format!("{value}\n").as_bytes()),
        }
        self.write_result_file(value);
    }

    /// Prints an answer that is the same in both forms.
    pub(crate) fn document(&self, text: &str) {
        self.write_out(text.as_bytes());
    }

    /// Says what went wrong on standard error, and the JSON answer where one was asked for.
    pub(crate) fn failure(&self, error: &RunError) -> ExitCode {
        self.explain(error);
        self.failed_answer(error);
        error.exit
    }

    /// As [`Printer::failure`], where the file is what is wrong.
    pub(crate) fn failure_without_file(&self, error: &RunError) -> ExitCode {
        self.explain(error);
        if self.is_json() {
            self.write_out(format!("{}\n", self.failed_value(error)).as_bytes());
        }
        error.exit
    }

    /// The JSON forms of a usage error; the text was printed by the parser.
    pub(crate) fn usage_error(&self, message: &str) {
        self.failed_answer(&RunError::new(ExitCode::Usage, message).with_help("see --help"));
    }

    /// The JSON forms of a failure without a result of its own. For the verbs about runs it has all
    /// fields of one, so that a caller reads the same whatever went wrong.
    fn failed_answer(&self, error: &RunError) {
        let value = self.failed_value(error);
        if self.is_json() {
            self.write_out(format!("{value}\n").as_bytes());
        }
        self.write_result_file(&value);
    }

    fn failed_value(&self, error: &RunError) -> Value {
        let mut result = RunResult::default();
        result.fail(error);
        if self.about_runs {
            json!(result)
        } else {
            json!({ "status": result.status, "exit": result.exit, "error": result.error })
        }
    }

    /// An error for people on standard error: the message, each problem with its place, the help.
    pub(crate) fn explain(&self, error: &RunError) {
        if self.log_format == LogFormat::Json {
            self.explain_json(error, json!(error.problems));
            return;
        }
        for problem in &error.problems {
            say(&problem_text(problem));
        }
        let colour = colours();
        let (red, bold, off) = if colour {
            ("\x1b[31m", "\x1b[1m", "\x1b[0m")
        } else {
            ("", "", "")
        };
        say(&format!(
            "{red}error{off}: {bold}{}{off}",
            printable(&error.message)
        ));
        if let Some(help) = &error.help {
            say(&format!("  help: {}", printable(help)));
        }
    }

    fn explain_json(&self, error: &RunError, problems: Value) {
        let line = json!({ "level": "error", "message": error.message, "help": error.help,
            "exit": error.exit.number(), "problems": problems });
        say(&line.to_string());
    }

    /// That nothing is wrong, but not done either: on standard error, as an error is, without the word.
    pub(crate) fn remark(&self, record: &ErrorRecord) {
        if self.log_format == LogFormat::Json {
            say(
                &json!({ "level": "info", "message": record.message, "help": record.help })
                    .to_string(),
            );
            return;
        }
        say(&printable(&record.message));
        if let Some(help) = &record.help {
            say(&format!("  {}", printable(help)));
        }
    }

    /// The error in a run's result.
    pub(crate) fn explain_record(&self, exit: ExitCode, error: &ErrorRecord) {
        let mut whole = RunError::new(exit, error.message.clone());
        whole.help.clone_from(&error.help);
        if self.log_format == LogFormat::Json {
            self.explain_json(&whole, json!(error.problems));
            return;
        }
        for problem in &error.problems {
            say(&printable(&stored_problem(problem)));
        }
        self.explain(&whole);
    }

    /// The exit code of the process: the verb's, unless its answer could not be written.
    pub(crate) fn exit_code(&self, exit: ExitCode) -> ExitCode {
        let lost = self.failed.load(Ordering::Relaxed) && exit == ExitCode::Success;
        if lost { ExitCode::Failure } else { exit }
    }

    fn write_out(&self, bytes: &[u8]) {
        let mut out = io::stdout().lock();
        match out.write_all(bytes).and_then(|()| out.flush()) {
            Err(e) if e.kind() != io::ErrorKind::BrokenPipe => {
                self.failed.store(true, Ordering::Relaxed);
                say(&format!(
                    "error: cannot write the answer to standard output: {e}"
                ));
            }
            _ => {}
        }
    }

    fn write_result_file(&self, value: &Value) {
        let Some(path) = &self.result_file else {
            return;
        };
        if let Err(e) = write_whole(path, &format!("{value}\n")) {
            self.failed.store(true, Ordering::Relaxed);
            say(&format!(
                "error: cannot write --result-file {}: {e}",
                path.display()
            ));
        }
    }
}

/// Writes by a temporary name beside the file, so that a reader never sees half of it.
fn write_whole(path: &Path, text: &str) -> io::Result<()> {
    let name = path
        .file_name()
        .map(|n| n.to_string_lossy().into_owned())
        .unwrap_or_default();
    let temporary = path.with_file_name(format!(".{name}.{}.tmp", std::process::id()));
    std::fs::write(&temporary, text)?;
    std::fs::rename(&temporary, path).inspect_err(|_| {
        let _ = std::fs::remove_file(&temporary);
    })
}

/// A problem as `validate` and `run` print it.
pub(crate) fn problem_text(problem: &Problem) -> String {
    printable(&problem.to_string())
}

/// A problem as a result holds it, as [`problem_text`] prints it.
fn stored_problem(problem: &Value) -> String {
    let text = |key: &str| problem[key].as_str().unwrap_or_default().to_owned();
    let place = format!("{}:{}:{}", text("file"), problem["line"], problem["column"]);
    match problem["help"].as_str() {
        Some(help) => format!("{place}: {}\n  help: {help}", text("message")),
        None => format!("{place}: {}", text("message")),
    }
}

/// One line on standard error. That nobody reads it is no failure.
pub(crate) fn say(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Whether standard error is a terminal that wants colours.
pub(crate) fn colours() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty()) && io::stderr().is_terminal()
}

/// Text from files, keys and services, harmless on a terminal: control characters other than
/// newlines are shown escaped, and so are those that reverse the direction of writing.
pub(crate) fn printable(text: &str) -> String {
    let hidden = |c: char| {
        (c.is_control() && c != '\n')
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !text.chars().any(hidden) {
        return text.to_owned();
    }
    text.chars()
        .map(|c| {
            if hidden(c) {
                c.escape_unicode().to_string()
            } else {
                c.to_string()
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_what_a_terminal_would_act_on() {
        assert_eq!(
            printable("a\x1b[31mb\u{202e}c\nd é"),
            "a\\u{1b}[31mb\\u{202e}c\nd é"
        );
    }

    #[test]
    fn the_flags_that_matter_are_found_in_a_broken_command_line() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let printer =
            Printer::for_unparsed(&words("run --nope --output=json --result-file out.json"));
        assert!(printer.is_json());
        assert_eq!(printer.result_file, Some(PathBuf::from("out.json")));
        assert!(!Printer::for_unparsed(&words("run --output text")).is_json());
    }
}
