//! The transform jobs of an attempt that are under way: created as soon as the service lets them in,
//! watched by one poller, their outputs collected while others run.
//!
//! Against AWS a job is described no more than once in ten seconds, and all of them together no more
//! than once a second; a description that fails is asked for again at that pace, and not by the SDK.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gristmill_cloud::{
    CloudError, CloudErrorKind, CreateTransformJob, JobInfo, JobStatus, Transforms,
};
use gristmill_plan::budget::BilledJob;
use gristmill_plan::format_duration;
use tokio::task::JoinSet;

use crate::error::{JobSeen, RunError};
use crate::event::{Event, Level};
use crate::exit_code::ExitCode;
use crate::session::Session;
use crate::stages::capacity::{Capacity, told};
use crate::stages::outputs::{Defect, collect};
use crate::stages::pace::Pace;
use crate::stages::watch::{self, Created, Ended, NOT_STOPPED_YET};
use crate::state::Launched;

/// How long descriptions of a job may fail in a row before the attempt ends. The job goes on.
const UNSEEN_LIMIT: Duration = Duration::from_secs(900);
const LOCAL_UNSEEN_LIMIT: Duration = Duration::from_secs(60);
/// Jobs whose outputs are collected at the same time.
const COLLECTED_AT_ONCE: usize = 2;

/// A job that has ended without answering all that it was given.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) ended: Ended,
    pub(crate) launched: Launched,
    /// Never empty.
    pub(crate) defects: Vec<Defect>,
}

/// What [`Fleet::step`] came to.
#[derive(Debug)]
pub(crate) enum Step {
    /// Outputs were collected; of a job that answered everything, or that is not to be judged, there is
    /// nothing to say.
    Collected(Option<Box<Outcome>>),
    /// There are more shards than before.
    Moved,
    /// Nothing is under way.
    Idle,
}

/// A job that is under way.
struct Open {
    name: String,
    begun: Instant,
    /// By this attempt, so that our own steady clock knows its age; a wall clock that is wrong must not
    /// stop a healthy job.
    created_now: bool,
    next: Instant,
    pause: Option<Duration>,
    last: Option<JobStatus>,
    /// Since when descriptions of it have failed.
    unseen: Option<Instant>,
    /// When it was told to stop, since it ran longer than it may.
    late: Option<Instant>,
    /// Seconds that its instances were billed when it was last seen.
    billed: Option<f64>,
    /// Whether how it ends makes the attempt fail. Not so for one that somebody had stopped.
    judged: bool,
}

impl Open {
    fn new(name: String, created_now: bool) -> Self {
        let now = Instant::now();
        Self {
            name,
            begun: now,
            created_now,
            next: now,
            pause: None,
            last: None,
            unseen: None,
            late: None,
            billed: None,
            judged: true,
        }
    }
}

/// See the module.
pub(crate) struct Fleet {
    session: Arc<Session>,
    transforms: Transforms,
    /// Announced in the ledger, and not created yet; in their order.
    waiting: VecDeque<CreateTransformJob>,
    open: Vec<Open>,
    to_collect: VecDeque<(Ended, Launched, bool)>,
    collecting: JoinSet<Result<Option<Box<Outcome>>, RunError>>,
    capacity: Capacity,
    pace: Pace,
    /// The first job that ran longer than it may.
    timed_out: Option<RunError>,
}

impl Fleet {
    /// Of no jobs.
    ///
    /// # Errors
    /// A bug, when no service was connected.
    pub(crate) fn new(session: &Arc<Session>) -> Result<Self, RunError> {
        Ok(Self {
            session: Arc::clone(session),
            transforms: watch::transforms(session)?,
            waiting: VecDeque::new(),
            open: Vec::new(),
            to_collect: VecDeque::new(),
            collecting: JoinSet::new(),
            capacity: Capacity::new(session.local),
            pace: Pace::new(session.local),
            timed_out: None,
        })
    }

    /// Takes up a job of an earlier attempt that the service knows.
    pub(crate) fn take_up(&mut self, name: &str) {
        let note = format!("going on with job {name}");
        self.session.note(Level::Info, note);
        self.open.push(Open::new(name.to_owned(), false));
    }

    /// Collects the outputs of a job that ended in an earlier attempt. `judged`: nobody has said yet
    /// what follows from how it ended.
    pub(crate) fn look_through(&mut self, ended: Ended, launched: Launched, judged: bool) {
        self.to_collect.push_back((ended, launched, judged));
    }

    /// Creates a job, announced already, as soon as it is let in.
    pub(crate) fn create(&mut self, request: CreateTransformJob) {
        self.waiting.push_back(request);
    }

    /// Whether a job of this name waits to be let in.
    pub(crate) fn is_waiting(&self, name: &str) -> bool {
        self.waiting.iter().any(|r| r.transform_job_name == name)
    }

    /// Jobs that were not let in yet are given up.
    pub(crate) fn give_up_waiting(&mut self) {
        self.waiting.clear();
    }

    /// What the jobs that are under way have taken, when they were last seen.
    pub(crate) fn billed(&self) -> Vec<BilledJob> {
        let of = |open: &Open| {
            let instances = self
                .session
                .state(|s| s.launched(&open.name).map(|l| l.instances()))?;
            Some(BilledJob {
                instances: u32::try_from(instances).unwrap_or(u32::MAX),
                seconds: open.billed?,
            })
        };
        self.open.iter().filter_map(of).collect()
    }

    /// The error of the first job that ran longer than `job_timeout`, if one did.
    pub(crate) fn timed_out(&mut self) -> Option<RunError> {
        self.timed_out.take()
    }

    /// Goes on until something has happened. `more`: more shards, and so jobs, are to come.
    ///
    /// # Errors
    /// Under `--no-wait`, that jobs are under way and nothing else is to be done; temporary, when a job
    /// is not let in for too long; the interruption; the service's.
    pub(crate) async fn step(&mut self, more: bool) -> Result<Step, RunError> {
        loop {
            self.begin_collecting();
            let is_idle = self.open.is_empty() && self.waiting.is_empty();
            if is_idle && self.collecting.is_empty() && !more {
                return Ok(Step::Idle);
            }
            self.check_whether_to_wait(more)?;
            let due = self.due();
            let session = Arc::clone(&self.session);
            tokio::select! {
                biased;
                () = session.cancel.cancelled() => return Err(self.interrupted().await),
                Some(done) = self.collecting.join_next() => return Ok(Step::Collected(joined(done)?)),
                () = session.shards_moved.notified(), if more => return Ok(Step::Moved),
                () = until(due), if due.is_some() => {}
            }
            self.act().await?;
        }
    }

    fn begin_collecting(&mut self) {
        while self.collecting.len() < COLLECTED_AT_ONCE {
            let Some((ended, launched, judged)) = self.to_collect.pop_front() else {
                return;
            };
            let session = Arc::clone(&self.session);
            self.collecting.spawn(async move {
                let defects = collect(&session, &launched).await?;
                let outcome = Outcome {
                    ended,
                    launched,
                    defects,
                };
                let left = judged && !outcome.defects.is_empty();
                Ok(left.then(|| Box::new(outcome)))
            });
        }
    }

    /// `--no-wait`: once each job was looked at, and nothing else is left to do.
    fn check_whether_to_wait(&self, more: bool) -> Result<(), RunError> {
        let session = &self.session;
        if !session.no_wait || more || !self.collecting.is_empty() {
            return Ok(());
        }
        let can_create = !self.waiting.is_empty() && !self.capacity.is_refused();
        // One that was told to stop is seen to its end, so that this call can say that it was late.
        let all_seen = self
            .open
            .iter()
            .all(|o| o.last.is_some() && o.late.is_none());
        match self.open.first() {
            Some(first) if all_seen && !can_create => {
                let status = first.last.as_ref().map_or("", watch::status_name);
                let seen = JobSeen {
                    name: first.name.clone(),
                    status: status.to_owned(),
                };
                Err(RunError::waiting(seen, self.open.len() - 1))
            }
            _ => Ok(()),
        }
    }

    /// When something is to be done next.
    fn due(&self) -> Option<Instant> {
        let look = self.next_look().map(|(_, at)| at);
        [self.next_create(), look].into_iter().flatten().min()
    }

    fn next_create(&self) -> Option<Instant> {
        let at = self.capacity.next().unwrap_or_else(Instant::now);
        self.waiting.front().map(|_| at)
    }

    fn next_look(&self) -> Option<(usize, Instant)> {
        let jobs = self.open.iter().enumerate();
        let (index, job) = jobs.min_by_key(|(_, o)| o.next)?;
        Some((index, self.pace.at(job.next)))
    }

    /// Does what is due.
    async fn act(&mut self) -> Result<(), RunError> {
        // The clock is read behind the times that it is compared with: one of them may be "now".
        if self.next_create().is_some_and(|at| at <= Instant::now()) {
            return self.create_next().await;
        }
        match self.next_look() {
            Some((index, at)) if at <= Instant::now() => self.look(index).await,
            _ => Ok(()),
        }
    }

    async fn create_next(&mut self) -> Result<(), RunError> {
        let Some(request) = self.waiting.front() else {
            return Ok(());
        };
        let name = request.transform_job_name.clone();
        match watch::create_or_adopt(&self.session, &self.transforms, request).await {
            Ok(Created::Yes) => {
                self.capacity.changed();
                self.waiting.pop_front();
                self.open.push(Open::new(name, true));
                Ok(())
            }
            Ok(Created::NotNow(why)) => self.not_now(&name, why),
            Err(_) if self.session.cancel.is_cancelled() => Err(self.interrupted().await),
            Err(error) => Err(error),
        }
    }

    /// A job of ours that is under way makes room when it ends: only without one is there a limit to
    /// the waiting.
    fn not_now(&mut self, name: &str, why: CloudError) -> Result<(), RunError> {
        let limit = self.session.spec.transform.as_ref();
        let limit = limit.map_or(0, gristmill_plan::spec::Transform::capacity_wait);
        let (pause, waited) = self.capacity.refused();
        let is_over = waited + pause > Duration::from_secs(limit);
        if self.open.is_empty() && (is_over || self.session.no_wait) {
            let mut error = RunError::from(why);
            error.exit = ExitCode::Temporary;
            error.message = format!(
                "job {name} was not let in, asked for {}: {}",
                told(waited),
                error.message
            );
            return Err(error.with_help(
                "call again later: nothing that was done is lost. transform.capacity_wait says how \
                 long one call waits",
            ));
        }
        let until = if self.open.is_empty() {
            format!("for {} at most", format_duration(limit))
        } else {
            "and when a job of this run has ended".to_owned()
        };
        self.session.note(
            Level::Warn,
            format!(
                "job {name} is not let in just now ({why}): asked again in {}, {until}",
                told(pause)
            ),
        );
        Ok(())
    }

    /// Describes a job.
    async fn look(&mut self, index: usize) -> Result<(), RunError> {
        let Some(job) = self.open.get(index) else {
            return Ok(());
        };
        let name = job.name.clone();
        self.pace.looked(Instant::now());
        let described = tokio::select! {
            biased;
            () = self.session.cancel.cancelled() => return Err(self.interrupted().await),
            described = describe(&self.session, &self.transforms, &name) => described,
        };
        match described {
            Ok(Some(info)) => self.seen(index, info).await,
            Ok(None) => Err(RunError::new(
                ExitCode::Model,
                format!("job {name} is no longer known to the service"),
            )
            .with_help("start a new run with --fresh")),
            Err(error) => self.unseen(index, error),
        }
    }

    /// A description that failed says nothing about the job.
    fn unseen(&mut self, index: usize, error: CloudError) -> Result<(), RunError> {
        let local = self.session.local;
        let passes = match error.kind {
            CloudErrorKind::Throttled => true,
            CloudErrorKind::Network | CloudErrorKind::Service => !local,
            _ => false,
        };
        let limit = if local {
            LOCAL_UNSEEN_LIMIT
        } else {
            UNSEEN_LIMIT
        };
        let Some(job) = self.open.get_mut(index).filter(|_| passes) else {
            return Err(error.into());
        };
        let is_new = job.unseen.is_none();
        let since = *job.unseen.get_or_insert_with(Instant::now);
        if since.elapsed() >= limit {
            return Err(error.into());
        }
        if is_new {
            let note = format!("job {} cannot be looked at just now: {error}", job.name);
            self.session.note(Level::Warn, note);
        }
        job.wait_for_next(local);
        Ok(())
    }

    async fn seen(&mut self, index: usize, info: JobInfo) -> Result<(), RunError> {
        let Some(job) = self.open.get_mut(index) else {
            return Ok(());
        };
        job.unseen = None;
        job.billed = watch::billed_seconds(&info);
        if job.last.is_none() && !job.created_now && watch::is_stopped(&info) {
            job.judged = false;
        }
        if job.last.as_ref() != Some(&info.status) {
            self.session.emit(&Event::Job {
                name: info.name.clone(),
                status: watch::status_name(&info.status).to_owned(),
                seconds: watch::age(&info),
            });
            job.last = Some(info.status.clone());
        }
        if info.status.is_terminal() {
            let job = self.open.remove(index);
            return self.has_ended(&job, info).await;
        }
        self.hold_to_timeout(index, &info).await
    }

    async fn has_ended(&mut self, job: &Open, info: JobInfo) -> Result<(), RunError> {
        let ended = watch::ended(&self.session, info).await?;
        self.capacity.changed();
        if job.late.is_some() {
            let help = "it was stopped; a stopped job stores no output";
            let error = self.late_error(&job.name).with_help(help);
            self.timed_out.get_or_insert(error);
        }
        let launched = self.session.state(|s| s.launched(&job.name).cloned());
        let launched = launched.ok_or_else(|| RunError::bug("a job that was not announced"))?;
        let judged = job.judged && job.late.is_none();
        self.to_collect.push_back((ended, launched, judged));
        Ok(())
    }

    fn timeout(&self) -> Option<u64> {
        let spec = self.session.spec.transform.as_ref();
        spec.and_then(|t| t.job_timeout)
    }

    fn late_error(&self, name: &str) -> RunError {
        let limit = self.timeout().unwrap_or_default();
        RunError::new(
            ExitCode::Timeout,
            format!("job {name} ran longer than job_timeout ({limit} s)"),
        )
    }

    /// Stops a job that ran longer than it may, and waits for that as for any other end.
    async fn hold_to_timeout(&mut self, index: usize, info: &JobInfo) -> Result<(), RunError> {
        let limit = self.timeout();
        let local = self.session.local;
        let Some(job) = self.open.get_mut(index) else {
            return Ok(());
        };
        let is_late = |limit| {
            watch::age(info) >= limit
                && (!job.created_now || job.begun.elapsed().as_secs() >= limit)
        };
        let name = job.name.clone();
        let failed = match job.late {
            Some(told) if told.elapsed() >= watch::stop_limit(local) => {
                Some(NOT_STOPPED_YET.to_owned())
            }
            Some(_) => None,
            None if limit.is_some_and(is_late) => {
                job.late = Some(Instant::now());
                // One that ended this moment is seen to have at the next look.
                let told = watch::tell_to_stop(&self.session, &self.transforms, &name).await;
                told.err()
                    .map(|e| format!("it could NOT be stopped and is still billed: {e}"))
            }
            None => None,
        };
        if let Some(help) = failed {
            self.open.remove(index);
            let error = self.late_error(&name).with_help(help);
            self.timed_out.get_or_insert(error);
        } else {
            job.wait_for_next(local);
        }
        Ok(())
    }

    async fn interrupted(&self) -> RunError {
        let names: Vec<String> = self.open.iter().map(|o| o.name.clone()).collect();
        watch::interrupted(&self.session, &self.transforms, &names).await
    }
}

impl Open {
    fn wait_for_next(&mut self, local: bool) {
        let pause = watch::next_pause(self.pause, local);
        self.pause = Some(pause);
        // Up to a quarter more, so that many runs do not ask at the same moment.
        self.next = Instant::now() + pause + pause.mul_f64(fastrand::f64() * 0.25);
    }
}

async fn describe(
    session: &Session,
    transforms: &Transforms,
    name: &str,
) -> Result<Option<JobInfo>, CloudError> {
    match session.local {
        true => transforms.describe_job(name).await,
        false => transforms.describe_job_once(name).await,
    }
}

async fn until(due: Option<Instant>) {
    if let Some(due) = due {
        tokio::time::sleep_until(due.into()).await;
    }
}

fn joined(
    done: Result<Result<Option<Box<Outcome>>, RunError>, tokio::task::JoinError>,
) -> Result<Option<Box<Outcome>>, RunError> {
    let failed = |e| RunError::bug(format!("collecting outputs ended without an answer: {e}"));
    done.map_err(failed)?
}
