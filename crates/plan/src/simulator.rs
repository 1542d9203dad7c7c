//! How long transform jobs take, by a simulation of the service's scheduling.
//!
//! The model, as far as AWS describes the service and no further:
//!
//! * A job is created once its objects are there. Its instances come [`Pace::provision_s`] later,
//!   all at once, and their containers answer [`Pace::start_s`] after that. All instances are
//!   billed from then on until the last request of the job has ended, idle ones too.
//! * Objects go to instances by their key. How is not documented: see [`Distribution`].
//! * An object is cut into requests of at most a payload, whole rows each; requests never hold rows
//!   of two objects (developer guide, "Use Batch Transform").
//! * An instance has [`Job::concurrency`] slots (`MaxConcurrentTransforms`), filled with requests in
//!   the order of objects and rows. A request holds its slot for [`Pace::request_s`] and its
//!   transfer, waits in line for one of the container's [`Pace::workers`], and holds that for its
//!   rows. Whether an instance begins its next object while the last requests of one are under way
//!   is not documented: see [`Objects`].
//!
//! What is left out: retries, throttling, rows of unequal size or cost, memory, the time in which
//! answers are stored, jobs that share a quota, instances that come later than others. Time is
//! counted in whole microseconds, so that the same question has the same answer everywhere.

mod job;
mod share;

use serde::{Deserialize, Serialize};

pub use share::{Cut, Object, equal_objects};

/// Microseconds: the simulation's clock.
type Micros = u64;

/// Requests of all jobs that are simulated one by one. Where there are more, each step stands for
/// several that follow one another in one slot, which is as exact as makes a difference then.
pub const MOST_STEPS: u64 = 10_000;

/// How objects, in the order of their keys, go to a job's instances. Sources differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Distribution {
    /// Each instance has one run of keys, as many as the others, give or take one.
    Contiguous,
    /// In turn.
    RoundRobin,
    /// An instance that has room takes the next.
    Queue,
    /// All to the first.
    One,
}

impl Distribution {
    /// Every one of them.
    pub const ALL: [Distribution; 4] = [
        Distribution::Contiguous,
        Distribution::RoundRobin,
        Distribution::Queue,
        Distribution::One,
    ];

    /// As in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Distribution::Contiguous => "contiguous",
            Distribution::RoundRobin => "round_robin",
            Distribution::Queue => "queue",
            Distribution::One => "one",
        }
    }
}

/// How an instance goes from one of its objects to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Objects {
    /// A slot that one object leaves free is filled from the next.
    Overlap,
    /// The next begins when all requests of one have ended.
    OneByOne,
}

/// What the service does, as far as it is not documented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Service {
    /// See there.
    pub distribution: Distribution,
    /// See there.
    pub objects: Objects,
}

impl Service {
    /// With objects that overlap.
    pub fn of(distribution: Distribution) -> Service {
        Service {
            distribution,
            objects: Objects::Overlap,
        }
    }
}

/// How fast instances and their containers are. Seconds; nothing may be negative.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Pace {
    /// From a job's creation to its TransformStartTime, from which it is billed.
    pub provision_s: f64,
    /// From then to the first request: image, model, `/ping`.
    pub start_s: f64,
    /// Of each request, besides its rows.
    pub request_s: f64,
    /// Of each row, in one worker.
    pub row_s: f64,
    /// Of each byte, from the store to the container. 0 for no time.
    pub byte_s: f64,
    /// Requests that the container really computes at once; at least 1.
    pub workers: u32,
}

/// One transform job.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// In the order of their keys.
    pub objects: Vec<Object>,
    /// How they become requests.
    pub cut: Cut,
    /// `InstanceCount`, at least 1.
    pub instances: u32,
    /// Requests at once to one instance, at least 1.
    pub concurrency: u32,
    /// When it is created: seconds from the beginning of the run.
    pub created_s: f64,
}

/// What came of one job.
#[derive(Debug, Clone, PartialEq)]
pub struct JobOutcome {
    /// TransformStartTime: seconds from the beginning of the run.
    pub begins_s: f64,
    /// TransformEndTime.
    pub ends_s: f64,
    /// Of each instance, the seconds in which at least one request was under way.
    pub busy_s: Vec<f64>,
    /// Instances that had no object.
    pub idle: u32,
    /// Requests to all containers.
    pub requests: u64,
}

impl JobOutcome {
    /// What is billed: all instances, from begin to end.
    pub fn billed_s(&self) -> f64 {
        (self.ends_s - self.begins_s) * self.busy_s.len() as f64
    }
}

/// What came of all jobs.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// In the order given.
    pub jobs: Vec<JobOutcome>,
}

impl Outcome {
    /// From the beginning of the run to the end of the last job.
    pub fn wall_s(&self) -> f64 {
        self.jobs.iter().map(|job| job.ends_s).fold(0.0, f64::max)
    }

    /// Instance-seconds that are billed.
    pub fn billed_s(&self) -> f64 {
        self.jobs.iter().map(JobOutcome::billed_s).sum()
    }

    /// Requests to all containers.
    pub fn requests(&self) -> u64 {
        self.jobs.iter().map(|job| job.requests).sum()
    }

    /// Instances without an object, of all jobs.
    pub fn idle(&self) -> u32 {
        self.jobs.iter().map(|job| job.idle).sum()
    }

    /// Time × cost: what a choice of instances and jobs is measured by. Either alone has no best
    /// choice: time asks for ever more instances, cost for one that works for days.
    pub fn time_by_cost(&self) -> f64 {
        self.wall_s() * self.billed_s()
    }
}

/// Runs the jobs, none of which waits for another. The same in, the same out.
pub fn simulate(jobs: &[Job], pace: &Pace, service: Service) -> Outcome {
    let requests = |job: &Job| job.objects.iter().map(|o| job.cut.requests(o)).sum::<u64>();
    let all: u64 = jobs.iter().map(requests).fold(0, u64::saturating_add);
    let stride = all.div_ceil(MOST_STEPS).max(1);
    let outcome = |job: &Job| {
        let ran = job::run(job, pace, service, stride);
        let begins_s = job.created_s + pace.provision_s;
        JobOutcome {
            begins_s,
            ends_s: begins_s + pace.start_s + seconds(ran.end),
            idle: u32::try_from(ran.objects.iter().filter(|n| **n == 0).count())
                .unwrap_or(u32::MAX),
            busy_s: ran.busy.into_iter().map(seconds).collect(),
            requests: requests(job),
        }
    };
    Outcome {
        jobs: jobs.iter().map(outcome).collect(),
    }
}

#[expect(clippy::cast_precision_loss, reason = "exact up to 285 years")]
fn seconds(micros: Micros) -> f64 {
    micros as f64 / 1e6
}

/// What is not a number of microseconds that the clock can hold is as long as it can.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "saturates, and a negative time is none"
)]
fn micros(seconds: f64) -> Micros {
    ((seconds * 1e6).round() as Micros).min(Micros::MAX >> 16)
}
