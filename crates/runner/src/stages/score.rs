//! The transform stage: jobs over exactly the shards that have no verified output yet, or, to find rows
//! that the model refuses, over pieces of them.
//!
//! First jobs come as soon as their shards are uploaded, several of them where the pipeline says so
//! ([`crate::waves`]); what they leave without an answer is sent again by one job at a time. A job's
//! status proves nothing about rows: after each job its outputs are fetched and counted (`outputs`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use gristmill_cloud::{JobStatus, TRANSFORM_LOG_GROUP};
use gristmill_plan::Plan;
use gristmill_plan::spec::OnRefusedRow;
use gristmill_tabular::SealedShard;

use crate::container_log;
use crate::entry::{Piece, Wave};
use crate::error::RunError;
use crate::event::{Level, Stage};
use crate::exit_code::ExitCode;
use crate::local_services;
use crate::pieces::{self, MAX_PIECES, NEVER_STARTED, SERVICE_FAILURE};
use crate::session::Session;
use crate::stages::announce::announce;
use crate::stages::fleet::{Fleet, Outcome, Step};
use crate::stages::outputs::{Sent, is_known, sent_by};
use crate::stages::refused;
use crate::stages::spending;
use crate::stages::watch::{self, Ended};
use crate::state::Launched;
use crate::waves::{Known, Waves};
use crate::words::counted;

/// What the requests are made of, beside the plan.
pub(crate) struct ScoreJob {
    pub(crate) model_name: String,
    pub(crate) fingerprint: String,
    pub(crate) shards_fingerprint: String,
}

/// Scores what is missing. Returns the seconds it took. With several jobs it may run while shards are
/// still cut and uploaded, if the source stage is done.
///
/// # Errors
/// `Model`, when a job failed or rows did not come back; `Timeout`; the service's.
pub(crate) async fn run(
    session: &Arc<Session>,
    plan: &Plan,
    job: &ScoreJob,
) -> Result<f64, RunError> {
    if is_sealed(session, job) && missing(session, job).is_empty() {
        let shards = session.state(|s| s.shards.len());
        session.reused(
            Stage::Transform,
            format!("{} were scored before", counted(shards as u64, "shard")),
        );
        return Ok(0.0);
    }
    let rows = session.state(|s| s.scanned.as_ref().map(|x| x.rows_accepted));
    let clock = session.begin(Stage::Transform, None, rows);
    let mut scoring = Scoring {
        session,
        plan,
        job,
        fleet: Fleet::new(session)?,
        failed: Vec::new(),
        stopped: false,
        error: None,
    };
    scoring.take_up().await?;
    scoring.first_jobs().await?;
    scoring.later_jobs().await?;
    let (shards, rows) = session.state(|s| {
        (
            s.shards.len(),
            s.sealed.as_ref().map_or(0, |x| x.rows_accepted),
        )
    });
    session.mirror().await?;
    Ok(clock.finish(format!(
        "{} in {}",
        counted(rows, "row"),
        counted(shards as u64, "shard")
    )))
}

/// Whether the cutter has said that these are all shards.
fn is_sealed(session: &Session, job: &ScoreJob) -> bool {
    session.state(|s| s.sealed.is_some() && s.sharding.as_ref() == Some(&job.shards_fingerprint))
}

/// How many first jobs there are: what the first that was announced says, else the plan.
pub(crate) fn first_jobs(session: &Session, plan: &Plan, fingerprint: &str) -> u32 {
    let announced = session.state(|s| {
        let mut launches = s.launches_of(fingerprint).peekable();
        let any = launches.peek().is_some();
        let of = launches.find_map(|l| l.wave.map(|w| w.of));
        of.or(any.then_some(1))
    });
    announced.unwrap_or_else(|| plan.waves.jobs.max(1))
}

/// The stage at work.
struct Scoring<'a> {
    session: &'a Arc<Session>,
    plan: &'a Plan,
    job: &'a ScoreJob,
    fleet: Fleet,
    /// Jobs that left something unanswered.
    failed: Vec<Outcome>,
    /// No other first job is created: one of them cannot be made good by any, or there is an error.
    stopped: bool,
    error: Option<RunError>,
}

impl Scoring<'_> {
    /// Goes on with the jobs of earlier attempts. One after which an attempt has ended, or that was
    /// stopped, is only looked through again: that it failed then does not make this attempt fail. One
    /// that the service does not know was never created; a new request is made for it.
    async fn take_up(&mut self) -> Result<(), RunError> {
        warn_of_others(self.session, self.job);
        let launches: Vec<Launched> = self
            .session
            .state(|s| s.launches_of(&self.job.fingerprint).cloned().collect());
        for (at, launched) in launches.iter().enumerate() {
            let later = launches.get(at + 1..).unwrap_or_default();
            if let Some((status, reason)) = &launched.ended {
                if !self.is_uncollected(launched, later) {
                    continue;
                }
                let judged = !launched.settled && status != "Stopped";
                let ended = Ended {
                    name: launched.name().to_owned(),
                    status: watch::status_of(status),
                    reason: reason.clone(),
                };
                self.fleet.look_through(ended, launched.clone(), judged);
            } else if launched.arn.is_some()
                || watch::adopt_if_created(self.session, launched).await?
            {
                self.fleet.take_up(launched.name());
            }
        }
        Ok(())
    }

    /// Whether something that a job was given has no answer yet, and no later job was given it.
    fn is_uncollected(&self, launched: &Launched, later: &[Launched]) -> bool {
        let sent = sent_by(self.session, launched);
        let open = |sent: &Sent| {
            if sent.is_control {
                return false;
            }
            let again = later
                .iter()
                .any(|l| l.arn.is_some() && l.covers(sent.piece.shard));
            !again && !is_known(self.session, &launched.fingerprint, sent)
        };
        sent.iter().any(open)
    }

    /// Sends what no job was given yet, while shards are still to come, and waits for all jobs.
    async fn first_jobs(&mut self) -> Result<(), RunError> {
        let rows = self
            .session
            .state(|s| s.scanned.as_ref().map_or(0, |x| x.rows_accepted));
        let jobs = first_jobs(self.session, self.plan, &self.job.fingerprint);
        loop {
            // In this order: shards that come in between are for the next turn.
            let all_known = is_sealed(self.session, self.job);
            if !self.stopped {
                self.send_first(Waves { rows, jobs }).await?;
            }
            let more = !all_known && !self.stopped;
            match self.fleet.step(more).await? {
                Step::Idle => return self.end_if_error(),
                Step::Moved => {}
                Step::Collected(outcome) => self.take(outcome),
            }
        }
    }

    async fn send_first(&mut self, waves: Waves) -> Result<(), RunError> {
        for (wave, sent) in self.unsent(waves) {
            if let Err(error) = self.check_budget(&sent) {
                self.error = Some(error);
                self.stopped = true;
                break;
            }
            let wave = (waves.jobs > 1).then_some(wave);
            self.launch(&sent, wave).await?;
        }
        Ok(())
    }

    /// Shards of complete ranges that no job that the service knows was given, range by range.
    fn unsent(&self, waves: Waves) -> Vec<(Wave, Vec<Sent>)> {
        let missing: BTreeSet<u32> = missing(self.session, self.job)
            .iter()
            .map(|s| s.index)
            .collect();
        self.session.state(|s| {
            if s.sharding.as_ref() != Some(&self.job.shards_fingerprint) {
                return Vec::new();
            }
            let is_sent = |index: &u32| {
                s.launches_of(&self.job.fingerprint).any(|l| {
                    (l.arn.is_some() || self.fleet.is_waiting(l.name())) && l.covers(*index)
                })
            };
            let known = Known {
                shards: &s.shards,
                uploaded: &s.uploaded,
                sealed: s.sealed.is_some(),
            };
            let ranges = waves.complete(&known).into_iter();
            let unsent = ranges.map(|(range, shards)| {
                let open = shards
                    .iter()
                    .filter(|i| missing.contains(i) && !is_sent(i))
                    .filter_map(|i| s.shards.get(i));
                let wave = Wave {
                    number: range + 1,
                    of: waves.jobs,
                };
                (wave, open.map(Sent::shard).collect::<Vec<_>>())
            });
            unsent.filter(|(_, sent)| !sent.is_empty()).collect()
        })
    }

    /// Sends again what is left, one job at a time.
    async fn later_jobs(&mut self) -> Result<(), RunError> {
        let mut last = None;
        loop {
            let next = next_to_send(self.session, self.job).await?;
            if next.is_empty() {
                return Ok(());
            }
            for outcome in std::mem::take(&mut self.failed) {
                if !goes_on(self.session, &outcome) {
                    return Err(failure(self.session, self.job, &outcome));
                }
                say_that_it_goes_on(self.session, &outcome, &next);
                last = Some(outcome);
            }
            if !may_create_another(self.session) {
                let give_up = || RunError::bug("shards are left over and no job failed");
                let outcome = last.as_ref().ok_or_else(give_up)?;
                return Err(failure(self.session, self.job, outcome));
            }
            self.check_budget(&next)?;
            self.launch(&next, None).await?;
            loop {
                match self.fleet.step(false).await? {
                    Step::Idle => break,
                    Step::Moved => {}
                    Step::Collected(outcome) => self.take(outcome),
                }
            }
            self.end_if_error()?;
        }
    }

    fn check_budget(&self, sent: &[Sent]) -> Result<(), RunError> {
        let rows = sent.iter().map(|s| s.piece.rows).sum();
        spending::check(self.session, rows, &self.fleet.billed())
    }

    async fn launch(&mut self, sent: &[Sent], wave: Option<Wave>) -> Result<(), RunError> {
        let request = announce(self.session, self.plan, self.job, sent, wave).await?;
        self.fleet.create(request);
        Ok(())
    }

    /// Looks at how a job ended. After one that no other can make good, no more first jobs are created;
    /// those under way come to their ends all the same: they are paid for.
    fn take(&mut self, outcome: Option<Box<Outcome>>) {
        if let Some(error) = self.fleet.timed_out() {
            self.error.get_or_insert(error);
        }
        if let Some(outcome) = outcome {
            self.stopped |= !goes_on(self.session, &outcome);
            self.failed.push(*outcome);
        }
        self.stopped |= self.error.is_some();
        if self.stopped {
            self.fleet.give_up_waiting();
        }
    }

    fn end_if_error(&mut self) -> Result<(), RunError> {
        let error = self.error.take().or_else(|| self.fleet.timed_out());
        error.map_or(Ok(()), Err)
    }
}

/// Shards without a verified output of this fingerprint. One that lacks rows that the model refused
/// counts only where that is asked for.
fn missing(session: &Session, job: &ScoreJob) -> Vec<SealedShard> {
    let quarantine = quarantines(session);
    session.state(|s| {
        let unscored = |x: &&SealedShard| {
            let output = s.output(&job.fingerprint, x.index);
            output.is_none_or(|o| !quarantine && !o.refused.is_empty())
        };
        s.shards.values().filter(unscored).cloned().collect()
    })
}

/// Whether rows that the model refuses are set aside.
fn quarantines(session: &Session) -> bool {
    let transform = session.spec.transform.as_ref();
    transform.is_some_and(|t| t.on_refused_row == OnRefusedRow::Quarantine)
}

/// What the next job is given; nothing, when all is answered. Shards of which every row was answered or
/// refused are put together first.
async fn next_to_send(session: &Arc<Session>, job: &ScoreJob) -> Result<Vec<Sent>, RunError> {
    let shards = missing(session, job);
    if !quarantines(session) {
        return Ok(shards.iter().map(Sent::shard).collect());
    }
    let rows: Vec<(u32, u64)> = shards.iter().map(|s| (s.index, s.rows)).collect();
    let certain = refused::certain(session, job).await;
    let round = session.state(|s| pieces::round(s, &job.fingerprint, &rows, &certain));
    for settled in &round.settled {
        refused::settle(session, job, settled).await?;
    }
    if round.pieces.len() > MAX_PIECES {
        return Err(too_many(&round.pieces));
    }
    let by_index: BTreeMap<u32, &SealedShard> = shards.iter().map(|s| (s.index, s)).collect();
    let of = |index: &u32| by_index.get(index).copied();
    if !round.whole.is_empty() {
        let whole = round.whole.iter().filter_map(of);
        return Ok(whole.map(Sent::shard).collect());
    }
    let pieces = round.pieces.iter();
    let pieces = pieces.filter_map(|p| Some(Sent::piece(of(&p.shard)?, *p)));
    let mut sent: Vec<Sent> = pieces.collect();
    if !sent.is_empty() {
        sent.extend(controls(session, &job.fingerprint));
    }
    Ok(sent)
}

fn controls(session: &Session, fingerprint: &str) -> Vec<Sent> {
    session.state(|s| {
        let controls = pieces::controls(s, fingerprint).into_iter();
        let of = |p: Piece| Some(Sent::control(s.shards.get(&p.shard)?, p));
        controls.filter_map(of).collect()
    })
}

fn too_many(pieces: &[Piece]) -> RunError {
    let rows: u64 = pieces.iter().map(|p| p.rows).sum();
    RunError::new(
        ExitCode::Model,
        format!(
            "the model fails on {} of the input and more: to find those that it refuses would take more \
             than {MAX_PIECES} requests in one job",
            counted(rows, "row")
        ),
    )
    .with_help("these are not a few bad rows: look at what the container logs")
}

/// Whether this call, and killed ones before it, may create another job.
fn may_create_another(session: &Session) -> bool {
    let most = session.spec.transform.as_ref().map_or(1, |t| t.max_jobs());
    session.state(|s| s.jobs_in_a_row) < most
}

/// Whether another job may do what this one did not: after the service's own failure, or where a job
/// failed and yet answered something of what it was given. One that answered nothing would fail again,
/// unless its shards are cut. Where rows went missing within an output, no cut finds them.
fn goes_on(session: &Session, outcome: &Outcome) -> bool {
    if !may_create_another(session) {
        return false;
    }
    let ended = &outcome.ended;
    if is_service_failure(ended) {
        return true;
    }
    let started = !ended
        .reason
        .as_deref()
        .unwrap_or_default()
        .contains(NEVER_STARTED);
    let (answered, can_be_cut) = session.state(|s| {
        let launched = &outcome.launched;
        let can_be_cut = launched.pieces.is_empty() || pieces::is_first_cut(s, launched);
        (s.has_answered(launched), can_be_cut)
    });
    let can_be_cut = quarantines(session) && can_be_cut && started;
    let no_rows_lost = outcome.defects.iter().all(|d| d.what.is_absent());
    ended.status == JobStatus::Failed && no_rows_lost && (answered || can_be_cut)
}

fn say_that_it_goes_on(session: &Session, outcome: &Outcome, next: &[Sent]) {
    let ended = &outcome.ended;
    let reason = ended.reason.as_deref().map(printable).unwrap_or_default();
    let defects = outcome.defects.iter().filter(|d| !d.sent.is_control);
    let shards: BTreeSet<u32> = defects.map(|d| d.sent.piece.shard).collect();
    let shards = counted(shards.len() as u64, "shard");
    let how = if next.iter().all(|s| s.whole) {
        "sent again in a job of their own".to_owned()
    } else {
        let pieces = next.iter().filter(|s| !s.is_control).count();
        let pieces = counted(pieces as u64, "piece");
        format!("sent again in {pieces}, to find the rows that the model refuses")
    };
    session.note(
        Level::Warn,
        format!(
            "job {} failed ({reason}): {shards} without an output, {how}",
            ended.name
        ),
    );
}

/// A job under other settings may still run, and cost money.
fn warn_of_others(session: &Session, job: &ScoreJob) {
    let running = session.state(|s| {
        let other = |l: &&Launched| {
            l.fingerprint != job.fingerprint && l.arn.is_some() && l.ended.is_none()
        };
        s.launches.iter().find(other).map(|l| l.name().to_owned())
    });
    if let Some(name) = running {
        session.note(
            Level::Warn,
            format!(
                "job {name} was created under other settings and may still run; it is left alone"
            ),
        );
    }
}

fn is_service_failure(ended: &Ended) -> bool {
    ended.status == JobStatus::Failed
        && ended
            .reason
            .as_deref()
            .is_some_and(|r| r.starts_with(SERVICE_FAILURE))
}

fn failure(session: &Session, job: &ScoreJob, outcome: &Outcome) -> RunError {
    const SHOWN: usize = 3;
    let (ended, defects) = (&outcome.ended, &outcome.defects);
    let (missing, all) = (unanswered(session, job), session.state(|s| s.shards.len()));
    let reason = ended
        .reason
        .as_deref()
        .map(|r| format!(": {}", printable(r.trim_end_matches('.'))))
        .unwrap_or_default();
    let said = container_log::by_object(session, &ended.name);
    let each = defects
        .iter()
        .take(SHOWN)
        .map(|d| match said.get(&d.sent.name) {
            Some(said) if d.what.is_absent() => format!("{d}, {}", printable(said)),
            _ => d.to_string(),
        });
    let first: Vec<String> = each.collect();
    let more = match defects.len().saturating_sub(SHOWN) {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    let message = format!(
        "job {} ended as {}{reason}. {missing} of {all} shards have no usable output ({}{more}). Nothing was published",
        ended.name,
        watch::status_name(&ended.status),
        first.join("; "),
    );
    let exit = if is_service_failure(ended) {
        ExitCode::Temporary
    } else {
        ExitCode::Model
    };
    RunError::new(exit, message).with_help(where_to_look(session, &ended.name))
}

/// Shards that jobs were given and that have no usable output.
fn unanswered(session: &Session, job: &ScoreJob) -> usize {
    let missing = missing(session, job);
    session.state(|s| {
        let is_sent = |x: &&SealedShard| {
            let mut known = s.launches_of(&job.fingerprint).filter(|l| l.arn.is_some());
            known.any(|l| l.covers(x.index))
        };
        missing.iter().filter(is_sent).count()
    })
}

/// Where the cause is to be found, and what the containers said last.
fn where_to_look(session: &Session, job: &str) -> String {
    let then = "once the cause is mended, the same command scores only the shards that are missing";
    let place = if session.local {
        let folder = local_services::folder(session.work.root());
        folder
            .join("sagemaker/logs")
            .join(job)
            .display()
            .to_string()
    } else {
        format!("CloudWatch {TRANSFORM_LOG_GROUP}, streams {job}/…")
    };
    match container_log::last_lines(session, job) {
        Ok(lines) if lines.is_empty() => format!("{then}. The job's log is in {place}"),
        Ok(lines) => {
            let said: String = lines.iter().map(|l| format!("\n    {l}")).collect();
            format!("{then}. The job's log, in {place}:{said}")
        }
        Err(why) => format!(
            "the job's log ({place}) says what the container answered, and could not be read: \
             {why}; {then}"
        ),
    }
}

/// The service's text on one line, without control characters.
fn printable(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            if c.is_control() {
                c.escape_default().collect::<Vec<_>>()
            } else {
                vec![c]
            }
        })
        .collect()
}
