//! What a job's containers and the service's batch driver logged, as far as messages need it: read from
//! CloudWatch Logs, or from the embedded services by the same calls. Best effort: where it cannot be
//! read, it is said why, and nothing else comes of it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use gristmill_cloud::{CloudError, CloudErrorKind, JobLogs, TRANSFORM_LOG_GROUP, clean};

use crate::session::Session;

/// What stands before the object's name in a line of the driver's.
const DRIVER: &str = "[sagemaker logs]: ";
/// What all lines of the driver contain: a search for it takes neither a final blank nor a colon.
const DRIVER_TEXT: &str = "[sagemaker logs]";
/// In the first line of the driver's, which says nothing about a failure.
const SETTINGS: &str = "MaxConcurrentTransforms=";
/// Characters that are kept of what was said about an object, and of a line.
const MOST_CHARS: usize = 300;
/// Objects whose lines are kept, and lines of the driver that are read.
const MOST_OBJECTS: usize = 100_000;
const MOST_LINES: usize = 200_000;
/// Streams whose ends are read, lines that are read of each, and those that are shown of it and of all.
const STREAMS: usize = 4;
const LINES_READ: usize = 20;
const LINES_SHOWN: usize = 2;
const ALL_SHOWN: usize = 6;
/// How long the logs of a job may take: they are not worth more.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is known of a job's logs.
#[derive(Debug, Clone, Default)]
pub(crate) struct JobLog {
    /// By the object's base name, what the driver said about it.
    said: BTreeMap<String, String>,
    /// The last lines of a few streams.
    last: Vec<String>,
    /// Why the logs could not be read.
    unread: Option<String>,
}

/// The logs of jobs that went wrong, read once an attempt.
#[derive(Debug, Default)]
pub(crate) struct ContainerLogs(Mutex<BTreeMap<String, JobLog>>);

impl ContainerLogs {
    fn get(&self, job: &str) -> Option<JobLog> {
        let logs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        logs.get(job).cloned()
    }

    fn put(&self, job: &str, log: JobLog) {
        let mut logs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        logs.insert(job.to_owned(), log);
    }
}

/// Reads the logs of a job, unless they were read before.
pub(crate) async fn learn(session: &Session, job: &str) {
    if session.logs.get(job).is_some() {
        return;
    }
    let Some(cloud) = &session.cloud else { return };
    let logs = cloud.job_logs();
    let read = tokio::select! {
        () = session.cancel.cancelled() => return,
        read = tokio::time::timeout(PATIENCE, read(&logs, job)) => read,
    };
    let log = match read {
        Ok(Ok(log)) => log,
        Ok(Err(error)) => unread(why(&error)),
        Err(_) => unread(format!("they took longer than {} s", PATIENCE.as_secs())),
    };
    session.logs.put(job, log);
}

async fn read(logs: &JobLogs, job: &str) -> Result<JobLog, CloudError> {
    let mut said = BTreeMap::new();
    for line in logs.containing(job, DRIVER_TEXT, MOST_LINES).await? {
        if let Some((name, text)) = about_object(&line) {
            add(&mut said, name, text);
        }
    }
    let streams = logs.last(job, STREAMS, LINES_READ).await?;
    Ok(JobLog {
        said,
        last: shown(&streams),
        unread: None,
    })
}

fn unread(why: String) -> JobLog {
    JobLog {
        unread: Some(why),
        ..JobLog::default()
    }
}

/// One line, whose cause most often is a role that may do all else.
fn why(error: &CloudError) -> String {
    match error.kind {
        CloudErrorKind::AccessDenied => format!(
            "the role needs logs:FilterLogEvents, logs:DescribeLogStreams and logs:GetLogEvents on \
             {TRANSFORM_LOG_GROUP}"
        ),
        _ => clean(&error.to_string()),
    }
}

/// The last lines that say anything, a few of each stream.
fn shown(streams: &[Vec<String>]) -> Vec<String> {
    let mut all = Vec::new();
    for lines in streams {
        let says = |line: &&String| !line.trim().is_empty() && !line.contains(SETTINGS);
        let last: Vec<&String> = lines.iter().rev().filter(says).take(LINES_SHOWN).collect();
        let cut = |line: &&String| line.chars().take(MOST_CHARS).collect::<String>();
        all.extend(last.iter().rev().map(cut));
    }
    all.dedup();
    all.truncate(ALL_SHOWN);
    all
}

/// By the object's base name, what was said about it, as far as [`learn`] found out.
pub(crate) fn by_object(session: &Session, job: &str) -> BTreeMap<String, String> {
    session.logs.get(job).unwrap_or_default().said
}

/// The last lines of a job's streams, or why there are none; as far as [`learn`] found out.
pub(crate) fn last_lines(session: &Session, job: &str) -> Result<Vec<String>, String> {
    let log = session.logs.get(job).unwrap_or_default();
    log.unread.map_or(Ok(log.last), Err)
}

/// `…:[sagemaker logs]: <bucket>/<key>: <text>`: the key's base name and the text.
fn about_object(line: &str) -> Option<(&str, &str)> {
    let (_, line) = line.split_once(DRIVER)?;
    let (object, text) = line.split_once(": ")?;
    let (_, name) = object.rsplit_once('/')?;
    let text = text.trim();
    (!text.is_empty() && text != "Message:").then_some((name, text))
}

fn add(said: &mut BTreeMap<String, String>, name: &str, text: &str) {
    if said.len() >= MOST_OBJECTS && !said.contains_key(name) {
        return;
    }
    let all = said.entry(name.to_owned()).or_default();
    let left = MOST_CHARS.saturating_sub(all.chars().count());
    if left > 0 && !all.contains(text) {
        all.push_str(if all.is_empty() { "" } else { ": " });
        all.extend(text.chars().take(left));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_put_together_by_object() {
        let mut said = BTreeMap::new();
        for line in [
            "2021-03-14T23:56:26.474:[sagemaker logs]: MaxConcurrentTransforms=1, MaxPayloadInMB=1",
            "…:[sagemaker logs]: b/in/a.csv: Bad HTTP status received from algorithm: 400",
            "…:[sagemaker logs]: b/in/a.csv: ",
            "…:[sagemaker logs]: b/in/a.csv: Message:",
            "…:[sagemaker logs]: b/in/a.csv: no: such thing",
            "…:[sagemaker logs]: b/in/b.csv: ClientError: 413",
        ] {
            if let Some((name, text)) = about_object(line) {
                add(&mut said, name, text);
            }
        }
        let a = "Bad HTTP status received from algorithm: 400: no: such thing";
        assert_eq!(said.get("a.csv").map(String::as_str), Some(a));
        assert_eq!(
            said.get("b.csv").map(String::as_str),
            Some("ClientError: 413")
        );
        assert_eq!(said.len(), 2);
    }

    #[test]
    fn a_few_last_lines_of_each_stream_are_shown() {
        let stream = |lines: &[&str]| lines.iter().map(|l| (*l).to_owned()).collect::<Vec<_>>();
        let long = "x".repeat(1_000);
        let streams = [
            stream(&["a", "b", "c", " "]),
            stream(&["t:[sagemaker logs]: MaxConcurrentTransforms=1, …"]),
            stream(&["c", &long]),
        ];
        let cut = "x".repeat(MOST_CHARS);
        assert_eq!(shown(&streams), ["b", "c", cut.as_str()]);
        let many = vec![
            stream(&["1", "2"]),
            stream(&["3", "4"]),
            stream(&["5", "6"]),
            stream(&["7"]),
        ];
        assert_eq!(shown(&many).len(), ALL_SHOWN);
    }
}
