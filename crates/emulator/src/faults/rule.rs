//! One entry of the file, checked.

use std::time::Duration;

use serde_json::value::RawValue;
use serde_json::{Map, Value};
use tokio::sync::Semaphore;

use super::kinds::{CALL, Group, KINDS, Kind};
use super::pattern::Patterns;
use crate::words::nearest;

/// One rule.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Rule {
    pub(super) choice: Choice,
    pub(super) what: What,
    /// So many that fit are let through first.
    pub(super) skip: u64,
    /// On so many it then acts; absent: on all.
    pub(super) times: Option<u64>,
    /// Of those between, on this part, evenly.
    pub(super) share: f64,
}

/// What a rule fits.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Choice {
    /// HTTP method; absent: any.
    pub(super) method: Option<String>,
    /// The path starts with it, as sent; absent: any.
    pub(super) path: Option<String>,
    /// `X-Amz-Target`; absent: any, also none.
    pub(super) target: Option<String>,
    pub(super) job: Option<Patterns>,
    pub(super) object: Option<Patterns>,
    /// From 1.
    pub(super) batch: Option<u64>,
    /// So many jobs that fit are let through first.
    pub(super) skip_jobs: u64,
    /// So many then are not; absent: all.
    pub(super) jobs: Option<u64>,
}

/// What happens.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum What {
    Call(CallFault),
    Job(JobFault),
}

/// To a call of a service.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum CallFault {
    Answer {
        status: u16,
        code: String,
        message: String,
    },
    Lost,
    Reset,
    Delay(Duration),
    /// Above so many calls in a second, or always.
    Throttle {
        per_second: Option<u64>,
    },
    /// While so many jobs are under way, or always.
    Limit {
        running: Option<u64>,
    },
}

/// To a job, to what it sends or to what it leaves.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum JobFault {
    /// InProgress for ever.
    Stuck,
    /// Stopping for ever.
    Stopping,
    /// Not there any more.
    Vanish,
    /// Described with this status.
    UnknownStatus(String),
    /// Ended at once.
    End {
        /// `Completed`, `Failed` or `Stopped`.
        status: String,
        /// FailureReason.
        reason: Option<String>,
    },
    /// `/ping` never succeeds.
    Ping(Duration),
    /// Another's object at the output path.
    Foreign {
        /// Below the output path; `{object}` is the base name of the input.
        name: String,
        /// Content.
        text: String,
        /// One for each object that fits, or one for the job.
        each: bool,
    },
    /// An HTTP status of the container's.
    Status {
        /// The status.
        status: u16,
        /// Body.
        message: String,
    },
    /// No answer of the container's.
    NoResponse,
    /// A container that takes its time.
    Slow {
        /// For a request.
        request: Duration,
        /// Then for each of its rows.
        row: Duration,
        /// Requests of which the rows are computed at once, at least 1.
        workers: usize,
    },
    /// The output without this row, from 1.
    DropRow(u64),
    /// The output with this row twice.
    DoubleRow(u64),
    /// The output with this row before all.
    HeaderRow(String),
    /// No newline after a mini-batch.
    Glue,
    /// A blank line after a mini-batch.
    BlankLine,
    /// Only so many bytes; none: half.
    Truncate(Option<u64>),
    /// Not stored.
    MissingOutput,
}

/// Parses the file. The error names every rule that cannot be used.
pub(super) fn parse(text: &[u8]) -> Result<Vec<Rule>, String> {
    let list: Vec<&RawValue> =
        serde_json::from_slice(text).map_err(|e| format!("faults.json: {e}"))?;
    let (mut rules, mut mistakes) = (Vec::new(), Vec::new());
    for (number, entry) in (1..).zip(&list) {
        let value: Value = serde_json::from_str(entry.get())
            .map_err(|e| format!("faults.json: rule {number}: {e}"))?;
        match Rule::parse(&value) {
            Ok(rule) => rules.push(rule),
            Err(why) => {
                let line = line_of(text, entry.get());
                mistakes.push(format!("line {line}, rule {number}: {why}"));
            }
        }
    }
    if mistakes.is_empty() {
        Ok(rules)
    } else {
        Err(format!("faults.json: {}", mistakes.join("; ")))
    }
}

/// The line, from 1, in which a part of a text begins.
fn line_of(text: &[u8], part: &str) -> usize {
    let offset = (part.as_ptr() as usize).saturating_sub(text.as_ptr() as usize);
    let before = text.get(..offset).unwrap_or_default();
    1 + before.iter().filter(|b| **b == b'\n').count()
}

impl Rule {
    fn parse(entry: &Value) -> Result<Self, String> {
        let fields = entry.as_object().ok_or("expected an object")?;
        let kind = kind_of(fields)?;
        check_names(fields, kind)?;
        let fields = Fields(fields);
        let share = fields.number("share")?.unwrap_or(1.0);
        if !(share > 0.0 && share <= 1.0) {
            return Err(format!(
                "\"share\" must be above 0 and at most 1, found {share}"
            ));
        }
        Ok(Self {
            choice: Choice {
                method: fields.text("method")?,
                path: fields.text("path")?,
                target: fields.text("target")?,
                job: fields.texts("job")?.map(Patterns),
                object: fields.texts("object")?.map(Patterns),
                batch: fields.positive("batch")?,
                skip_jobs: fields.count("skip_jobs")?.unwrap_or(0),
                jobs: fields.count("jobs")?,
            },
            what: match kind.group {
                Group::Call => What::Call(call_fault(kind.name, &fields)?),
                _ => What::Job(job_fault(kind.name, &fields)?),
            },
            skip: fields.count("skip")?.unwrap_or(0),
            times: fields.count("times")?,
            share,
        })
    }
}

fn kind_of(fields: &Map<String, Value>) -> Result<Kind, String> {
    let name = match fields.get("fault") {
        None => return Ok(CALL),
        Some(name) => name.as_str().ok_or("\"fault\" must be a text")?,
    };
    let known = KINDS.iter().find(|k| k.name == name);
    known.copied().ok_or_else(|| {
        let names = KINDS.iter().map(|k| k.name);
        let help = match nearest(name, names.clone()) {
            Some(near) => format!("did you mean {near:?}?"),
            None => format!("there is {}", names.collect::<Vec<_>>().join(", ")),
        };
        format!("there is no fault {name:?}; {help}")
    })
}

fn check_names(fields: &Map<String, Value>, kind: Kind) -> Result<(), String> {
    let allowed = || kind.group.fields().iter().chain(kind.fields).copied();
    let wrong = fields
        .keys()
        .find(|key| *key != "fault" && !allowed().any(|a| a == key.as_str()));
    let Some(wrong) = wrong else { return Ok(()) };
    let what = if kind.name.is_empty() {
        "a rule without \"fault\""
    } else {
        kind.name
    };
    let help = match nearest(wrong, allowed()) {
        Some(near) => format!("did you mean {near:?}?"),
        None => format!("it takes {}", allowed().collect::<Vec<_>>().join(", ")),
    };
    Err(format!("{what} takes no {wrong:?}; {help}"))
}

fn call_fault(name: &str, fields: &Fields<'_>) -> Result<CallFault, String> {
    match name {
        "throttle" => Ok(CallFault::Throttle {
            per_second: fields.positive("per_second")?,
        }),
        "limit" => Ok(CallFault::Limit {
            running: fields.count("running")?,
        }),
        _ => plain_call_fault(fields),
    }
}

fn plain_call_fault(fields: &Fields<'_>) -> Result<CallFault, String> {
    let status = fields.http_status("status")?;
    let lost = fields.flag("lost")?;
    let delay = fields.count("delay_ms")?;
    match (status, lost, delay) {
        (Some(status), false, None) => Ok(CallFault::Answer {
            status,
            code: fields.text("code")?.unwrap_or_default(),
            message: fields.text("message")?.unwrap_or_default(),
        }),
        (None, true, None) => Ok(CallFault::Lost),
        (None, false, Some(delay)) => Ok(CallFault::Delay(Duration::from_millis(delay))),
        (None, false, None) => Ok(CallFault::Reset),
        _ => Err("\"status\", \"lost\" and \"delay_ms\" exclude each other".to_owned()),
    }
}

fn job_fault(name: &str, fields: &Fields<'_>) -> Result<JobFault, String> {
    let row = || Ok::<_, String>(fields.positive("row")?.unwrap_or(1));
    Ok(match name {
        "stuck" => JobFault::Stuck,
        "stopping" => JobFault::Stopping,
        "vanish" => JobFault::Vanish,
        "unknown_status" => {
            JobFault::UnknownStatus(fields.text("status")?.ok_or("\"status\" is needed")?)
        }
        "end" => end(fields)?,
        "ping" => JobFault::Ping(Duration::from_secs(fields.count("seconds")?.unwrap_or(1))),
        "foreign" => JobFault::Foreign {
            name: fields.text("name")?.ok_or("\"name\" is needed")?,
            text: fields.text("text")?.unwrap_or_default(),
            each: fields.0.contains_key("object"),
        },
        "status" => JobFault::Status {
            status: fields.http_status("status")?.unwrap_or(500),
            message: fields.text("message")?.unwrap_or_default(),
        },
        "no_response" => JobFault::NoResponse,
        "slow" => JobFault::Slow {
            request: Duration::from_millis(fields.count("ms")?.unwrap_or(0)),
            row: fields.millis("ms_per_row")?,
            workers: workers(fields)?,
        },
        "drop_row" => JobFault::DropRow(row()?),
        "double_row" => JobFault::DoubleRow(row()?),
        "header_row" => JobFault::HeaderRow(fields.text("text")?.unwrap_or("score".to_owned())),
        "glue" => JobFault::Glue,
        "blank_line" => JobFault::BlankLine,
        "truncate" => JobFault::Truncate(fields.count("bytes")?),
        "missing_output" => JobFault::MissingOutput,
        other => return Err(format!("{other} cannot be done")),
    })
}

/// As many as there may be, unless it is said.
fn workers(fields: &Fields<'_>) -> Result<usize, String> {
    let given = fields.positive("workers")?;
    let workers = given.and_then(|n| usize::try_from(n).ok());
    Ok(workers.unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS))
}

fn end(fields: &Fields<'_>) -> Result<JobFault, String> {
    let status = fields.text("status")?.ok_or("\"status\" is needed")?;
    if !["Completed", "Failed", "Stopped"].contains(&status.as_str()) {
        return Err(format!(
            "\"status\" must be Completed, Failed or Stopped, found {status:?}"
        ));
    }
    Ok(JobFault::End {
        status,
        reason: fields.text("reason")?,
    })
}

/// Fields by their type; a wrong type is named with what was found.
struct Fields<'a>(&'a Map<String, Value>);

impl Fields<'_> {
    fn get<T>(
        &self,
        name: &str,
        expected: &str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Result<Option<T>, String> {
        let Some(value) = self.0.get(name) else {
            return Ok(None);
        };
        let wrong = || format!("{name:?} must be {expected}, found {value}");
        read(value).map(Some).ok_or_else(wrong)
    }

    fn text(&self, name: &str) -> Result<Option<String>, String> {
        self.get(name, "a text", |v| v.as_str().map(str::to_owned))
    }

    fn texts(&self, name: &str) -> Result<Option<Vec<String>>, String> {
        self.get(name, "a text or a list of texts", |value| match value {
            Value::String(one) => Some(vec![one.clone()]),
            Value::Array(many) => many.iter().map(|v| v.as_str().map(str::to_owned)).collect(),
            _ => None,
        })
    }

    fn count(&self, name: &str) -> Result<Option<u64>, String> {
        self.get(name, "a whole number", Value::as_u64)
    }

    fn positive(&self, name: &str) -> Result<Option<u64>, String> {
        let expected = "a whole number from 1";
        self.get(name, expected, |v| v.as_u64().filter(|n| *n > 0))
    }

    fn number(&self, name: &str) -> Result<Option<f64>, String> {
        self.get(name, "a number", Value::as_f64)
    }

    /// At most an hour.
    fn millis(&self, name: &str) -> Result<Duration, String> {
        let read = |v: &Value| v.as_f64().filter(|ms| (0.0..=3.6e6).contains(ms));
        let given = self.get(name, "milliseconds, at most an hour", read)?;
        Ok(Duration::from_secs_f64(given.unwrap_or(0.0) / 1000.0))
    }

    fn flag(&self, name: &str) -> Result<bool, String> {
        Ok(self
            .get(name, "true or false", Value::as_bool)?
            .unwrap_or(false))
    }

    fn http_status(&self, name: &str) -> Result<Option<u16>, String> {
        self.get(name, "an HTTP status", |v| {
            v.as_u64()
                .and_then(|s| u16::try_from(s).ok())
                .filter(|s| (100..1000).contains(s))
        })
    }
}
