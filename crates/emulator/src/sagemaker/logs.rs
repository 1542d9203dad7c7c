//! Log streams of transform jobs, and the three calls of CloudWatch Logs that read them.
//!
//! A stream is a file of lines `<milliseconds since 1970> <message>`. Streams of a job are
//! `<job>/<instance>-<epoch>` for what its container prints, and `…/data-log` for what the batch
//! driver says.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use serde::Deserialize;
use serde_json::{Value, json};

use super::request::parse;
use super::{lock, now_millis};
use crate::error::ServiceError;

/// The only log group.
pub(crate) const GROUP: &str = "/aws/sagemaker/TransformJobs";
/// `GetLogEvents` returns at most so many events.
const MAX_EVENTS: usize = 10_000;

/// All streams, in one folder with a folder a job.
pub(crate) struct Logs {
    folder: PathBuf,
}

/// A stream that is written to. Lines that cannot be written are lost, as logs are.
#[derive(Clone)]
pub(crate) struct LogStream {
    file: Arc<Mutex<File>>,
}

impl LogStream {
    /// Appends a line; further lines in it become events of their own.
    pub(crate) fn append(&self, message: &str) {
        let mut file = lock(&self.file);
        for line in message.split('\n') {
            let _ = file.write_all(
                format!("{} {}\n", now_millis(), line.trim_end_matches('\r')).as_bytes(),
            );
        }
    }

    /// Appends a line of the batch driver's, in the form that is seen in the service's data-log:
    /// `2021-03-14T23:56:26.474:[sagemaker logs]: …`.
    pub(crate) fn driver(&self, message: &str) {
        let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%3f");
        for line in message.split('\n') {
            self.append(&format!("{now}:[sagemaker logs]: {line}"));
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct LogRequest {
    log_group_name: Option<String>,
    log_stream_name_prefix: Option<String>,
    log_stream_name: Option<String>,
    log_stream_names: Vec<String>,
    filter_pattern: Option<String>,
    start_time: Option<u64>,
    end_time: Option<u64>,
    start_from_head: bool,
    next_token: Option<String>,
    limit: Option<usize>,
}

struct Event {
    millis: u64,
    message: String,
}

impl Event {
    fn to_json(&self) -> Value {
        json!({ "timestamp": self.millis, "message": self.message, "ingestionTime": self.millis })
    }
}

impl Logs {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Opens `<job>/<stream>` to append to; `stream` is `<instance>-<epoch>`, or that and
    /// `/data-log`.
    pub(crate) fn open(&self, job: &str, stream: &str) -> io::Result<LogStream> {
        let path = self.path(&format!("{job}/{stream}"));
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(LogStream {
            file: Arc::new(Mutex::new(file)),
        })
    }

    /// The last lines of a stream that say anything, at most so many.
    pub(crate) fn last(&self, job: &str, stream: &str, most: usize) -> Vec<String> {
        let events = self.events(&format!("{job}/{stream}")).unwrap_or_default();
        let lines = events.into_iter().map(|event| event.message);
        let mut lines: Vec<String> = lines.filter(|line| !line.trim().is_empty()).collect();
        lines.split_off(lines.len().saturating_sub(most))
    }

    /// `job/stream/data-log` is the file `job/stream+data-log.log`: a stream's name is data of the
    /// client's, so only plain characters become a path.
    fn path(&self, stream: &str) -> PathBuf {
        let (job, rest) = stream.split_once('/').unwrap_or((stream, ""));
        let plain = |s: &str| -> String {
            s.chars()
                .map(|c| {
                    if c.is_ascii_alphanumeric() || c == '-' {
                        c
                    } else {
                        '+'
                    }
                })
                .collect()
        };
        self.folder
            .join(plain(job))
            .join(format!("{}.log", plain(rest)))
    }

    /// Streams by name, of all jobs whose name the prefix can begin.
    fn streams(&self, prefix: &str) -> Vec<String> {
        let mut names = Vec::new();
        let jobs = std::fs::read_dir(&self.folder)
            .into_iter()
            .flatten()
            .flatten();
        for job in jobs.map(|entry| entry.path()) {
            let Some(name) = job.file_name().and_then(|n| n.to_str()) else {
                continue;
            };
            let files = std::fs::read_dir(&job).into_iter().flatten().flatten();
            for file in files.map(|entry| entry.path()) {
                if let Some(stream) = file.file_stem().and_then(|n| n.to_str()) {
                    names.push(format!("{name}/{}", stream.replace('+', "/")));
                }
            }
        }
        names.retain(|name| name.starts_with(prefix));
        names.sort();
        names
    }

    fn events(&self, stream: &str) -> Option<Vec<Event>> {
        let file = File::open(self.path(stream)).ok()?;
        let lines = BufReader::new(file).split(b'\n').map_while(Result::ok);
        let events = lines.filter_map(|line| {
            let line = String::from_utf8_lossy(&line).into_owned();
            let (millis, message) = line.split_once(' ')?;
            Some(Event {
                millis: millis.parse().ok()?,
                message: message.to_owned(),
            })
        });
        Some(events.collect())
    }

    pub(crate) fn describe_streams(&self, body: &[u8]) -> Result<Value, ServiceError> {
        let request = self.request(body)?;
        let prefix = request.log_stream_name_prefix.unwrap_or_default();
        let names = self.streams(&prefix);
        if names.is_empty() && !self.folder.exists() {
            return Err(not_found("group"));
        }
        let start: usize = request.next_token.and_then(|t| t.parse().ok()).unwrap_or(0);
        let limit = request.limit.unwrap_or(50).clamp(1, 50);
        let shown = names.iter().skip(start).take(limit);
        let streams: Vec<Value> = shown.map(|name| self.describe(name)).collect();
        let mut answer = json!({ "logStreams": streams });
        if names.len() > start + limit {
            answer["nextToken"] = (start + limit).to_string().into();
        }
        Ok(answer)
    }

    fn describe(&self, name: &str) -> Value {
        let events = self.events(name).unwrap_or_default();
        let mut stream = json!({
            "logStreamName": name,
            "arn": format!("arn:aws:logs:::log-group:{GROUP}:log-stream:{name}"),
            "storedBytes": 0,
        });
        if let (Some(first), Some(last)) = (events.first(), events.last()) {
            stream["creationTime"] = first.millis.into();
            stream["firstEventTimestamp"] = first.millis.into();
            stream["lastEventTimestamp"] = last.millis.into();
            stream["lastIngestionTime"] = last.millis.into();
        }
        stream
    }

    /// Tokens are `f/N` and `b/N`: the next page starts, or ends, at the N-th event of the stream.
    pub(crate) fn get_events(&self, body: &[u8]) -> Result<Value, ServiceError> {
        let request = self.request(body)?;
        let stream = request.log_stream_name.as_deref().unwrap_or_default();
        let events = self.events(stream).ok_or_else(|| not_found("stream"))?;
        let limit = request.limit.unwrap_or(MAX_EVENTS).clamp(1, MAX_EVENTS);
        let position = |prefix: &str| {
            let token = request.next_token.as_deref()?.strip_prefix(prefix)?;
            token.parse::<usize>().ok().map(|at| at.min(events.len()))
        };
        let (start, end) = match (position("f/"), position("b/")) {
            (Some(start), _) => (start, (start + limit).min(events.len())),
            (None, Some(end)) => (end.saturating_sub(limit), end),
            (None, None) if request.start_from_head => (0, limit.min(events.len())),
            (None, None) => (events.len().saturating_sub(limit), events.len()),
        };
        let within = |e: &&Event| {
            request.start_time.is_none_or(|t| e.millis >= t)
                && request.end_time.is_none_or(|t| e.millis < t)
        };
        let shown: Vec<Value> = events[start..end]
            .iter()
            .filter(within)
            .map(Event::to_json)
            .collect();
        Ok(json!({
            "events": shown,
            "nextForwardToken": format!("f/{end}"),
            "nextBackwardToken": format!("b/{start}"),
        }))
    }

    /// The filter is a plain text that a message must contain, quotes around it left out.
    pub(crate) fn filter_events(&self, body: &[u8]) -> Result<Value, ServiceError> {
        let request = self.request(body)?;
        let prefix = request.log_stream_name_prefix.clone().unwrap_or_default();
        let names = if request.log_stream_names.is_empty() {
            self.streams(&prefix)
        } else {
            request.log_stream_names.clone()
        };
        let pattern = request
            .filter_pattern
            .as_deref()
            .unwrap_or("")
            .trim_matches('"');
        let mut found = Vec::new();
        for name in &names {
            for event in self.events(name).unwrap_or_default() {
                let within = request.start_time.is_none_or(|t| event.millis >= t)
                    && request.end_time.is_none_or(|t| event.millis < t);
                if within && event.message.contains(pattern) {
                    found.push((event.millis, name, event));
                }
            }
        }
        found.sort_by_key(|(millis, ..)| *millis);
        let start: usize = request.next_token.and_then(|t| t.parse().ok()).unwrap_or(0);
        let limit = request.limit.unwrap_or(MAX_EVENTS).clamp(1, MAX_EVENTS);
        let shown = found.iter().enumerate().skip(start).take(limit);
        let events: Vec<Value> = shown
            .map(|(index, (_, name, event))| {
                let mut json = event.to_json();
                json["logStreamName"] = (*name).clone().into();
                json["eventId"] = index.to_string().into();
                json
            })
            .collect();
        let mut answer = json!({ "events": events, "searchedLogStreams": [] });
        if found.len() > start + limit {
            answer["nextToken"] = (start + limit).to_string().into();
        }
        Ok(answer)
    }

    fn request(&self, body: &[u8]) -> Result<LogRequest, ServiceError> {
        let request: LogRequest = parse(body)?;
        match request.log_group_name.as_deref() {
            Some(GROUP) => Ok(request),
            _ => Err(not_found("group")),
        }
    }
}

fn not_found(what: &str) -> ServiceError {
    ServiceError::new(
        "ResourceNotFoundException",
        format!("The specified log {what} does not exist."),
    )
}
