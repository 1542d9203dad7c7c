//! `gristmill wait`: watches a run that somebody else advances, until it is over.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use gristmill_cloud::{CloudErrorKind, Transforms};
use serde::Deserialize;

use crate::cancel::Cancel;
use crate::error::{JobSeen, RunError, WAITING};
use crate::event::{Event, EventSink};
use crate::exit_code::ExitCode;
use crate::folder::{KeyRecord, WorkFolder};
use crate::result::{ErrorRecord, RunResult};
use crate::run::{RunRequest, connect_for};
use crate::stages::pace::Pace;
use crate::stages::watch;
use crate::status::{Look, RUNNING, look};

/// How often the run's folder is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(300);
/// How long after a job's end somebody has to go on with the run before `wait` says that nobody does.
const GRACE: Duration = Duration::from_secs(120);
const LOCAL_GRACE: Duration = Duration::from_secs(2);
/// Events beyond this are not shown: a view, for people.
const MAX_EVENTS_BYTES: u64 = 16 * 1024 * 1024;

/// Waits until the run that `request` names (see [`crate::resume_request`]) is over, and gives its
/// result with its own exit code. Nothing of the run is touched.
///
/// A run that `run --no-wait` left waiting for jobs is watched too: they are described at the pace
/// of a run. When all have ended and nobody goes on, or `timeout` has passed, the exit code is
/// `Temporary`, and the result says what to do.
///
/// # Errors
/// The interruption; when the ledger is damaged; the service's.
pub async fn wait(
    request: &RunRequest,
    timeout: Option<Duration>,
    sink: Arc<dyn EventSink>,
    interrupt: Cancel,
) -> Result<RunResult, RunError> {
    let record = request
        .resume
        .clone()
        .ok_or_else(|| RunError::bug("no run to wait for"))?;
    let work = WorkFolder::open(&request.work_dir)?;
    let begun = Instant::now();
    let mut seen = Seen::new(&work, record)?;
    let mut jobs = Jobs::new(request.local);
    loop {
        seen.refresh(&work, sink.as_ref())?;
        let result = &seen.look.result;
        match (result.status.as_str(), &seen.look.state.waiting) {
            (RUNNING, _) => jobs = Jobs::new(request.local),
            (WAITING, Some(left)) => {
                let names = under_way(&seen.look, left);
                let looking = jobs.look(request, &names, sink.as_ref());
                let ended = interrupt.guard(looking).await.map_err(unaffected)?;
                if let Some(ended) = ended {
                    return Ok(nobody_goes_on(result.clone(), &ended));
                }
            }
            _ => return Ok(result.clone()),
        }
        if timeout.is_some_and(|limit| begun.elapsed() >= limit) {
            return Ok(still_under_way(result.clone(), timeout));
        }
        let pause = async {
            tokio::time::sleep(LOOK_EVERY).await;
            Ok::<(), RunError>(())
        };
        interrupt.guard(pause).await.map_err(unaffected)?;
    }
}

/// An interruption ends the watching and nothing else.
fn unaffected(error: RunError) -> RunError {
    if !matches!(error.exit, ExitCode::Interrupted | ExitCode::Terminated) {
        return error;
    }
    RunError::new(error.exit, "stopped waiting; the run is not affected")
}

fn still_under_way(mut result: RunResult, timeout: Option<Duration>) -> RunResult {
    let limit = gristmill_plan::format_duration(timeout.unwrap_or_default().as_secs());
    result.exit = ExitCode::Temporary.number();
    result.error = Some(ErrorRecord {
        message: format!("the run is still {} after {limit}", result.status),
        help: Some("it is not affected; wait again, or end it with `gristmill cancel`".to_owned()),
        problems: Vec::new(),
    });
    result
}

/// The jobs that a waiting run was left with; the one that it named first.
fn under_way(look: &Look, left: &JobSeen) -> Vec<String> {
    let open = look.state.open_jobs().filter(|l| l.arn.is_some());
    let others = open.map(|l| l.name()).filter(|name| *name != left.name);
    let names = std::iter::once(left.name.as_str()).chain(others);
    names.map(str::to_owned).collect()
}

/// `ended`: names and states, at least one.
fn nobody_goes_on(mut result: RunResult, ended: &[(String, String)]) -> RunResult {
    let each = ended
        .iter()
        .map(|(name, status)| format!("job {name} is {status}"));
    let left = if ended.len() == 1 {
        "it was"
    } else {
        "they were"
    };
    result.error = Some(ErrorRecord {
        message: format!(
            "{}, and nobody goes on with the run: {left} left by --no-wait",
            each.collect::<Vec<_>>().join(", ")
        ),
        help: Some(format!(
            "`gristmill resume {}`, or the same `run` command, goes on",
            result.run_id
        )),
        problems: Vec::new(),
    });
    result
}

/// The run as it was last seen; its ledger is read again only when something changed.
struct Seen {
    record: KeyRecord,
    stamp: Stamp,
    look: Look,
    events: Follower,
}

type Stamp = (u64, Option<SystemTime>, bool);

impl Seen {
    fn new(work: &WorkFolder, record: KeyRecord) -> Result<Self, RunError> {
        let look = look(work, &record.run_id)?;
        let over = look.result.status != RUNNING && look.result.status != WAITING;
        let events = Follower::new(work.run(&record.run_id).events(), over);
        Ok(Self {
            stamp: (0, None, false),
            record,
            look,
            events,
        })
    }

    fn refresh(&mut self, work: &WorkFolder, sink: &dyn EventSink) -> Result<(), RunError> {
        let meta = std::fs::metadata(work.run(&self.record.run_id).ledger()).ok();
        let stamp = (
            meta.as_ref().map_or(0, std::fs::Metadata::len),
            meta.and_then(|m| m.modified().ok()),
            work.is_live(&self.record),
        );
        if stamp != self.stamp {
            self.look = look(work, &self.record.run_id)?;
            self.stamp = stamp;
        }
        self.events.show(sink);
        Ok(())
    }
}

/// Reads the events of the running attempt as they are written.
struct Follower {
    path: PathBuf,
    at: u64,
}

#[derive(Deserialize)]
struct Line {
    event: Event,
}

impl Follower {
    /// Starts at the last attempt's beginning, or for a run that is over, at the end.
    fn new(path: PathBuf, over: bool) -> Self {
        let mut follower = Self { path, at: 0 };
        let text = follower.read();
        let start = match over {
            true => Some(text.len()),
            false => text
                .rfind("{\"event\":\"run_started\"")
                .and_then(|i| text[..i].rfind('\n')),
        };
        follower.at += start.map_or(0, |i| i as u64);
        follower
    }

    /// Everything after `at`, up to the last whole line.
    fn read(&self) -> String {
        use std::io::{Read, Seek, SeekFrom};
        let Ok(mut file) = std::fs::File::open(&self.path) else {
            return String::new();
        };
        let mut bytes = Vec::new();
        let sought = file.seek(SeekFrom::Start(self.at));
        if sought.is_err() || file.take(MAX_EVENTS_BYTES).read_to_end(&mut bytes).is_err() {
            return String::new();
        }
        let whole = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1);
        bytes.truncate(whole);
        String::from_utf8(bytes).unwrap_or_default()
    }

    fn show(&mut self, sink: &dyn EventSink) {
        let text = self.read();
        self.at += text.len() as u64;
        for line in text.lines() {
            if let Ok(line) = serde_json::from_str::<Line>(line) {
                sink.emit(&line.event);
            }
        }
    }
}

/// The jobs that a waiting run was left with, described at the pace of a run.
struct Jobs {
    transforms: Option<Transforms>,
    pace: Pace,
    watched: BTreeMap<String, JobWatch>,
}

#[derive(Default)]
struct JobWatch {
    next: Option<Instant>,
    pause: Option<Duration>,
    shown: Option<String>,
    ended: Option<(Instant, String)>,
}

impl Jobs {
    fn new(local: bool) -> Self {
        Self {
            transforms: None,
            pace: Pace::new(local),
            watched: BTreeMap::new(),
        }
    }

    /// Describes the job for which it is time, one a call. Names and states of all, once they have
    /// ended and nobody has gone on with the run for a while.
    async fn look(
        &mut self,
        request: &RunRequest,
        names: &[String],
        sink: &dyn EventSink,
    ) -> Result<Option<Vec<(String, String)>>, RunError> {
        let now = Instant::now();
        let due = |job: Option<&JobWatch>| match job {
            Some(job) if job.ended.is_some() => None,
            Some(job) => Some(job.next.unwrap_or(now)),
            None => Some(now),
        };
        let open = names.iter().filter_map(|name| {
            let at = due(self.watched.get(name))?;
            Some((at, name))
        });
        let Some((at, name)) = open.min() else {
            return Ok(self.all_ended(names, request.local));
        };
        if self.pace.at(at) <= now {
            self.pace.looked(now);
            self.describe(request, name, sink).await?;
        }
        Ok(None)
    }

    fn all_ended(&self, names: &[String], local: bool) -> Option<Vec<(String, String)>> {
        let grace = if local { LOCAL_GRACE } else { GRACE };
        let ended = names.iter().map(|name| {
            let (at, status) = self.watched.get(name)?.ended.as_ref()?;
            (at.elapsed() >= grace).then(|| (name.clone(), status.clone()))
        });
        ended.collect()
    }

    async fn describe(
        &mut self,
        request: &RunRequest,
        name: &str,
        sink: &dyn EventSink,
    ) -> Result<(), RunError> {
        let transforms = self.transforms(request).await?;
        let job = self.watched.entry(name.to_owned()).or_default();
        match transforms.describe_job(name).await {
            Ok(Some(info)) => {
                let status = watch::status_name(&info.status).to_owned();
                job.show(name, &status, watch::age(&info), sink);
                if info.status.is_terminal() {
                    job.ended = Some((Instant::now(), status));
                }
            }
            Ok(None) => job.ended = Some((Instant::now(), "gone".to_owned())),
            Err(e) if e.kind == CloudErrorKind::Throttled => {}
            Err(e) => return Err(e.into()),
        }
        let pause = watch::next_pause(job.pause, request.local);
        job.pause = Some(pause);
        job.next = Some(Instant::now() + pause);
        Ok(())
    }

    async fn transforms(&mut self, request: &RunRequest) -> Result<Transforms, RunError> {
        if let Some(transforms) = &self.transforms {
            return Ok(transforms.clone());
        }
        let cloud = connect_for(request).await?;
        let cloud = cloud.ok_or_else(|| RunError::bug("a job without a service"))?;
        Ok(self.transforms.insert(cloud.transforms()).clone())
    }
}

impl JobWatch {
    fn show(&mut self, name: &str, status: &str, seconds: u64, sink: &dyn EventSink) {
        if self.shown.as_deref() != Some(status) {
            sink.emit(&Event::Job {
                name: name.to_owned(),
                status: status.to_owned(),
                seconds,
            });
            self.shown = Some(status.to_owned());
        }
    }
}
