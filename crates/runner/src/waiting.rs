//! `gristmill wait`: watches a run that somebody else advances, until it is over.

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
/// A run that `run --no-wait` left waiting for a job is watched too: the job is described at the pace
/// of a run. When it has ended and nobody goes on, or `timeout` has passed, the exit code is
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
    let mut job = JobWatch::default();
    loop {
        seen.refresh(&work, sink.as_ref())?;
        let result = &seen.look.result;
        match (result.status.as_str(), &seen.look.state.waiting) {
            (RUNNING, _) => job = JobWatch::default(),
            (WAITING, Some(left)) => {
                let looking = job.look(request, left, sink.as_ref());
                let ended = interrupt.guard(looking).await.map_err(unaffected)?;
                if let Some(status) = ended {
                    return Ok(nobody_goes_on(result.clone(), left, &status));
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

fn nobody_goes_on(mut result: RunResult, job: &JobSeen, status: &str) -> RunResult {
    result.error = Some(ErrorRecord {
        message: format!(
            "job {} is {status}, and nobody goes on with the run: it was left by --no-wait",
            job.name
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

/// The job that a waiting run was left with.
#[derive(Default)]
struct JobWatch {
    transforms: Option<Transforms>,
    next: Option<Instant>,
    pause: Option<Duration>,
    shown: Option<String>,
    ended: Option<(Instant, String)>,
}

impl JobWatch {
    /// Describes the job when it is time to. Its status, once it has ended and nobody has gone on
    /// with the run for a while.
    async fn look(
        &mut self,
        request: &RunRequest,
        job: &JobSeen,
        sink: &dyn EventSink,
    ) -> Result<Option<String>, RunError> {
        if let Some((at, status)) = &self.ended {
            let grace = if request.local { LOCAL_GRACE } else { GRACE };
            return Ok((at.elapsed() >= grace).then(|| status.clone()));
        }
        if self.next.is_some_and(|next| Instant::now() < next) {
            return Ok(None);
        }
        let transforms = self.transforms(request).await?;
        match transforms.describe_job(&job.name).await {
            Ok(Some(info)) => {
                let status = watch::status_name(&info.status).to_owned();
                self.show(&job.name, &status, watch::age(&info), sink);
                if info.status.is_terminal() {
                    self.ended = Some((Instant::now(), status));
                }
            }
            Ok(None) => self.ended = Some((Instant::now(), "gone".to_owned())),
            Err(e) if e.kind == CloudErrorKind::Throttled => {}
            Err(e) => return Err(e.into()),
        }
        let pause = watch::next_pause(self.pause, request.local);
        self.pause = Some(pause);
        self.next = Some(Instant::now() + pause);
        Ok(None)
    }

    async fn transforms(&mut self, request: &RunRequest) -> Result<Transforms, RunError> {
        if let Some(transforms) = &self.transforms {
            return Ok(transforms.clone());
        }
        let cloud = connect_for(request).await?;
        let cloud = cloud.ok_or_else(|| RunError::bug("a job without a service"))?;
        Ok(self.transforms.insert(cloud.transforms()).clone())
    }

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
