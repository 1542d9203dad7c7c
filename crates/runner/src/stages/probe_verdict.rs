//! What is wrong with the model's answers to the [`probe`](crate::stages::probe), and what helps.

use gristmill_cloud::ProbeReport;
use gristmill_plan::spec::{BatchStrategy, Transform};
use gristmill_tabular::TabularError;

use crate::error::RunError;
use crate::exit_code::ExitCode;
use crate::stages::outputs::What;
use crate::words::counted;

/// Bytes of an answer that a message shows.
const SHOWN_BYTES: usize = 80;
/// What media types of JSON Lines there are: none is registered, so containers write any of them.
const JSON_LINES: [&str; 5] = [
    "application/jsonlines",
    "application/x-jsonlines",
    "application/jsonl",
    "application/x-ndjson",
    "application/ndjson",
];
/// What helps where the probe is wrong.
const GO_ON: &str = "`transform.probe: off` goes on without asking";
/// What every refusal ends in.
const NOTHING_DONE: &str = "Nothing was cut or uploaded, and no job was created";

/// No job could work.
pub(crate) fn never_ready(reason: &str, log: &[String]) -> RunError {
    let said: String = log.iter().map(|line| format!("\n    {line}")).collect();
    let said = match said.as_str() {
        "" => "it printed nothing".to_owned(),
        said => format!("it printed last:{said}"),
    };
    RunError::new(
        ExitCode::Model,
        format!("the model's container did not come up: {reason}. {NOTHING_DONE}"),
    )
    .with_help(said)
}

/// The service could not do with the answers what the job asks for.
pub(crate) fn unfit(reason: &str, rows: u64) -> RunError {
    RunError::new(
        ExitCode::Model,
        format!(
            "the model was asked before the first job, and its answer to {} cannot be filtered or \
             joined: {reason}. {NOTHING_DONE}",
            counted(rows, "row")
        ),
    )
    .with_help(format!(
        "the service needs an answer a record: with `batch_strategy: single_record` each is asked alone, \
         and without `join: server` gristmill joins; {GO_ON}"
    ))
}

/// What was sent, and what was said to it.
pub(crate) struct Sent<'a> {
    pub(crate) transform: &'a Transform,
    pub(crate) rows: u64,
    pub(crate) report: &'a ProbeReport,
}

impl Sent<'_> {
    /// Whether what the container says that it answers is what it was asked for. One that says nothing is
    /// judged by its answers.
    ///
    /// # Errors
    /// `Model`, if it is another.
    pub(crate) fn check_content_type(&self) -> Result<(), RunError> {
        let wanted = &self.transform.accept;
        let types = self.report.content_types.iter();
        let Some(other) = types.into_iter().find(|found| !is_same(found, wanted)) else {
            return Ok(());
        };
        let message = format!(
            "{}, and its answer is not of the content type that `transform.accept` asks for ({wanted}). It \
             is {}. {NOTHING_DONE}",
            self.asked(),
            self.first_bytes()
        );
        let help = format!(
            "state `accept: {}` if that is how it answers, or let its Content-Type be what the Accept of the \
             request says; {GO_ON}",
            media(other)
        );
        Err(RunError::new(ExitCode::Model, message).with_help(help))
    }

    /// Answers were lost or made up, or cannot be told from one another.
    pub(crate) fn lost(&self, what: &What) -> RunError {
        let found = match what {
            What::Rows(back, hint) => format!("{} came back{hint}", counted(*back, "answer")),
            What::Unreadable(why) => format!("its answer cannot be read: {why}"),
            other => format!("its answer is of no use: {other:?}"),
        };
        let message = format!(
            "{}, and {found}. It is {}. {NOTHING_DONE}",
            self.asked(),
            self.first_bytes()
        );
        RunError::new(ExitCode::Model, message).with_help(self.remedy(what))
    }

    fn remedy(&self, what: &What) -> String {
        let is_one_request = self.transform.batch_strategy == Some(BatchStrategy::MultiRecord);
        let remedy = match what {
            What::Rows(back, _) if *back < self.rows && is_one_request => {
                "the container does not score every row of a request: mend it, or let each be a request of \
                 its own with `batch_strategy: single_record`; one document for all rows is read with `accept: \
                 application/json`, and `assemble.answers` says what it holds"
            }
            What::Rows(back, _) if *back < self.rows => {
                "the container does not answer every row: mend it; one document for all rows is read with \
                 `accept: application/json`, and `assemble.answers` says what it holds"
            }
            What::Rows(..) => "the container answers more than its rows, such as a header: mend it",
            _ => {
                "`accept` (text/csv, application/jsonlines, application/json) says how answers are \
                 written, and `assemble.answers` what a document answers"
            }
        };
        format!("{remedy}; {GO_ON}")
    }

    /// The answers are as many, and not what the pipeline takes from them.
    pub(crate) fn unreadable(&self, error: &TabularError) -> RunError {
        let message = format!(
            "{}, and its answer is not what `assemble.columns` takes from it: {error}. It is {}. {NOTHING_DONE}",
            self.asked(),
            self.first_bytes()
        );
        RunError::new(ExitCode::Model, message).with_help(format!(
            "`from` and `type` must fit what the model answers; {GO_ON}"
        ))
    }

    fn asked(&self) -> String {
        let rows = counted(self.rows, "row");
        let how = match self.transform.batch_strategy {
            Some(BatchStrategy::SingleRecord) if self.rows > 1 => "one a request",
            _ => "in one request",
        };
        format!(
            "the model was asked before the first job: {rows} of {} went to it {how}",
            self.transform.content_type
        )
    }

    fn first_bytes(&self) -> String {
        let (output, types) = (&self.report.output, self.report.content_types.join(", "));
        let types = if types.is_empty() {
            "of no content type".to_owned()
        } else {
            types
        };
        let start = &output[..output.len().min(SHOWN_BYTES)];
        let more = if start.len() < output.len() {
            "…"
        } else {
            ""
        };
        format!("{types}: {:?}{more}", String::from_utf8_lossy(start))
    }
}

/// Whether two content types are of one media type.
fn is_same(found: &str, wanted: &str) -> bool {
    let (found, wanted) = (media(found), media(wanted));
    let is_lines = |media: &String| JSON_LINES.contains(&media.as_str());
    wanted.contains('*') || found == wanted || (is_lines(&found) && is_lines(&wanted))
}

fn media(content_type: &str) -> String {
    let bare = content_type.split(';').next().unwrap_or_default();
    bare.trim().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_are_compared_without_what_follows_them() {
        for (found, wanted) in [
            ("text/csv; charset=utf-8", "text/csv"),
            ("Text/CSV", "text/csv;header=absent"),
            ("application/x-ndjson", "application/jsonlines"),
            ("anything/else", "*/*"),
        ] {
            assert!(is_same(found, wanted), "{found} {wanted}");
        }
        for (found, wanted) in [
            ("text/html; charset=utf-8", "text/csv"),
            ("application/json", "application/jsonlines"),
            ("", "text/csv"),
        ] {
            assert!(!is_same(found, wanted), "{found} {wanted}");
        }
    }
}
