//! Faults on purpose: `<dir>/faults.json`, read again whenever it changes.
//!
//! ```json
//! [ { "target": "SageMaker.CreateTransformJob", "times": 1,
//!     "status": 400, "code": "ThrottlingException", "message": "Rate exceeded" },
//!   { "method": "PUT", "path": "/bucket/shards/", "skip": 2, "times": 1, "lost": true },
//!   { "fault": "status", "object": "*-00003.csv", "batch": 2, "jobs": 1 } ]
//! ```
//!
//! The first rule that fits and has not been used up acts; of the faults of an output, each kind acts
//! by itself. [`faults_help`] prints all kinds. What was counted is forgotten when the file changes.

mod kinds;
mod pattern;
mod rule;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use http::{HeaderMap, Method};

pub use self::kinds::faults_help;
pub(crate) use self::rule::JobFault;
use self::rule::{CallFault, Rule, What};

/// The call that `limit` is about.
const CREATE: &str = "SageMaker.CreateTransformJob";

/// The rules of one emulator.
#[derive(Debug, Clone)]
pub(crate) struct Faults {
    path: Arc<PathBuf>,
    loaded: Arc<Mutex<Loaded>>,
}

#[derive(Debug, Default)]
struct Loaded {
    /// Time and length of the file that the rules are from.
    version: Option<(SystemTime, u64)>,
    rules: Vec<Counted>,
}

/// A rule with what it has seen.
#[derive(Debug)]
struct Counted {
    rule: Rule,
    /// How many have fitted.
    seen: u64,
    /// Jobs that fitted, in their order.
    jobs: Vec<String>,
    /// Calls of the last second, for `per_second`.
    recent: VecDeque<Instant>,
}

/// What happens to a call instead of, or after, its work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// This answer.
    Answer {
        /// HTTP status.
        status: u16,
        /// Error code.
        code: String,
        /// Message.
        message: String,
    },
    /// The work is done, the answer lost.
    Lost,
    /// The connection is closed before anything is done.
    Reset,
    /// The work is done so much later.
    Delay(Duration),
}

/// A call of a service.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call<'a> {
    pub(crate) method: &'a Method,
    /// As sent.
    pub(crate) path: &'a str,
    /// `X-Amz-Target`.
    target: Option<&'a str>,
    /// Jobs under way.
    pub(crate) running: u64,
}

impl<'a> Call<'a> {
    pub(crate) fn new(method: &'a Method, path: &'a str, headers: &'a HeaderMap) -> Self {
        let target = headers.get("x-amz-target").and_then(|t| t.to_str().ok());
        Self {
            method,
            path,
            target,
            running: 0,
        }
    }

    /// Does it matter how many jobs are under way?
    pub(crate) fn creates_a_job(&self) -> bool {
        self.target == Some(CREATE)
    }
}

/// Where in a job something may go wrong.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Spot<'a> {
    /// The job's name.
    pub(crate) job: &'a str,
    /// The key of the input, where it is about one.
    pub(crate) object: Option<&'a str>,
    /// The mini-batch of it, from 1, where it is about one.
    pub(crate) batch: Option<u64>,
}

impl Faults {
    /// The rules that stand in `<dir>/faults.json` at the time of each question.
    pub(crate) fn new(dir: &Path) -> Self {
        Self {
            path: Arc::new(dir.join("faults.json")),
            loaded: Arc::default(),
        }
    }

    /// No rules, ever.
    pub(crate) fn none() -> Self {
        Self {
            path: Arc::default(),
            loaded: Arc::default(),
        }
    }

    /// The fault for a call. A file that is no list of rules is an answer of its own, so that a
    /// mistake in it does not pass for a test that found nothing.
    pub(crate) fn for_call(&self, call: Call<'_>) -> Option<Fault> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(message) = loaded.refresh(&self.path) {
            return Some(Fault::Answer {
                status: 500,
                code: "InvalidFaults".to_owned(),
                message,
            });
        }
        loaded.rules.iter_mut().find_map(|rule| rule.for_call(call))
    }

    /// Whether the file holds a mistake, and which.
    pub(crate) fn check(&self) -> Result<(), String> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        loaded.refresh(&self.path)
    }

    /// What `pick` makes of the first rule that fits a job's spot and is not used up. A file with a
    /// mistake has no rules for jobs: the calls tell of it.
    pub(crate) fn first<T>(
        &self,
        spot: Spot<'_>,
        pick: impl Fn(&JobFault) -> Option<T>,
    ) -> Option<T> {
        self.each(spot, pick, true).pop()
    }

    /// What `pick` makes of all rules that fit a job's spot and are not used up, in their order.
    pub(crate) fn all<T>(&self, spot: Spot<'_>, pick: impl Fn(&JobFault) -> Option<T>) -> Vec<T> {
        self.each(spot, pick, false)
    }

    /// Is there a rule for such a fault at all? Counts nothing.
    pub(crate) fn any(&self, wanted: impl Fn(&JobFault) -> bool) -> bool {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        let known = loaded.refresh(&self.path).is_ok();
        known
            && loaded.rules.iter().any(|counted| match &counted.rule.what {
                What::Job(fault) => wanted(fault),
                What::Call(_) => false,
            })
    }

    /// Is there such a fault at this spot?
    pub(crate) fn hits(&self, spot: Spot<'_>, fault: &JobFault) -> bool {
        self.first(spot, |f| (f == fault).then_some(())).is_some()
    }

    fn each<T>(
        &self,
        spot: Spot<'_>,
        pick: impl Fn(&JobFault) -> Option<T>,
        only_first: bool,
    ) -> Vec<T> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if loaded.refresh(&self.path).is_err() {
            return Vec::new();
        }
        let mut found = Vec::new();
        for counted in &mut loaded.rules {
            let What::Job(fault) = &counted.rule.what else {
                continue;
            };
            if let Some(picked) = pick(fault)
                && counted.fits_job(spot)
                && counted.acts()
            {
                found.push(picked);
                if only_first {
                    break;
                }
            }
        }
        found
    }
}

impl Loaded {
    fn refresh(&mut self, path: &Path) -> Result<(), String> {
        let version = std::fs::metadata(path)
            .ok()
            .and_then(|m| Some((m.modified().ok()?, m.len())));
        if version == self.version {
            return Ok(());
        }
        let rules = match version {
            None => Vec::new(),
            Some(_) => rule::parse(&std::fs::read(path).map_err(|e| e.to_string())?)?,
        };
        *self = Self {
            version,
            rules: rules.into_iter().map(Counted::new).collect(),
        };
        Ok(())
    }
}

impl Counted {
    fn new(rule: Rule) -> Self {
        Self {
            rule,
            seen: 0,
            jobs: Vec::new(),
            recent: VecDeque::new(),
        }
    }

    /// Counts one that fits; does the rule act on it?
    fn acts(&mut self) -> bool {
        self.seen += 1;
        let Some(after) = self.seen.checked_sub(self.rule.skip).filter(|n| *n > 0) else {
            return false;
        };
        // Evenly: of 1, 2, 3 … with a share of a half, the second, the fourth …
        #[expect(clippy::cast_precision_loss, reason = "nobody counts to 2^52")]
        let whole = |n: u64| (n as f64 * self.rule.share + 1e-9).floor();
        whole(after) > whole(after - 1)
            && self
                .rule
                .times
                .is_none_or(|times| whole(after) <= times as f64)
    }

    fn for_call(&mut self, call: Call<'_>) -> Option<Fault> {
        let What::Call(fault) = self.rule.what.clone() else {
            return None;
        };
        if !self.fits_call(&fault, call) || !self.acts() {
            return None;
        }
        Some(match fault {
            CallFault::Answer {
                status,
                code,
                message,
            } => Fault::Answer {
                status,
                code,
                message,
            },
            CallFault::Lost => Fault::Lost,
            CallFault::Reset => Fault::Reset,
            CallFault::Delay(delay) => Fault::Delay(delay),
            CallFault::Throttle { .. } if call.target.is_none() => {
                answer(503, "SlowDown", "Please reduce your request rate.")
            }
            CallFault::Throttle { .. } => answer(400, "ThrottlingException", "Rate exceeded"),
            CallFault::Limit { .. } => answer(400, "ResourceLimitExceeded", LIMIT_MESSAGE),
        })
    }

    fn fits_call(&mut self, fault: &CallFault, call: Call<'_>) -> bool {
        let choice = &self.rule.choice;
        let chosen = choice
            .method
            .as_deref()
            .is_none_or(|m| m.eq_ignore_ascii_case(call.method.as_str()))
            && choice
                .path
                .as_deref()
                .is_none_or(|p| call.path.starts_with(p))
            && choice
                .target
                .as_deref()
                .is_none_or(|t| call.target == Some(t));
        chosen
            && match fault {
                CallFault::Throttle { per_second } => {
                    let of_s3 = choice.method.is_some() || choice.path.is_some();
                    let service = match call.target {
                        Some(target) => !of_s3 && target.starts_with("SageMaker."),
                        None => of_s3,
                    };
                    service && per_second.is_none_or(|n| self.is_above(n))
                }
                CallFault::Limit { running } => {
                    call.creates_a_job() && running.is_none_or(|n| call.running >= n)
                }
                _ => true,
            }
    }

    /// Counts a call; is it one too many in its second?
    fn is_above(&mut self, per_second: u64) -> bool {
        let now = Instant::now();
        let second = Duration::from_secs(1);
        while self
            .recent
            .front()
            .is_some_and(|t| now.duration_since(*t) >= second)
        {
            self.recent.pop_front();
        }
        let above = self.recent.len() as u64 >= per_second;
        if !above {
            self.recent.push_back(now);
        }
        above
    }

    fn fits_job(&mut self, spot: Spot<'_>) -> bool {
        let choice = &self.rule.choice;
        let object = choice.object.as_ref();
        let chosen = choice.job.as_ref().is_none_or(|p| p.fit(spot.job))
            && object.is_none_or(|p| spot.object.is_some_and(|o| p.fit(o)))
            && choice.batch.is_none_or(|b| spot.batch == Some(b));
        let (first, jobs) = (choice.skip_jobs, choice.jobs);
        if choice.job.as_ref().is_some_and(|p| !p.fit(spot.job)) {
            return false;
        }
        // A job is counted when it is first asked about, whatever of it fits.
        let place = self.place_of(spot.job);
        chosen && place >= first && jobs.is_none_or(|n| place < first.saturating_add(n))
    }

    /// The place of a job among those that the rule was asked about, from 0.
    fn place_of(&mut self, job: &str) -> u64 {
        let known = self.jobs.iter().position(|j| j == job);
        let place = known.unwrap_or_else(|| {
            self.jobs.push(job.to_owned());
            self.jobs.len() - 1
        });
        place as u64
    }
}

/// As the service says it of a quota of instances.
const LIMIT_MESSAGE: &str = "The account-level service limit 'ml.m5.large for transform job usage' is 0 Instances, \
with current utilization of 0 Instances and a request delta of 1 Instances. Please use AWS Service Quotas to \
request an increase for this quota.";

fn answer(status: u16, code: &str, message: &str) -> Fault {
    Fault::Answer {
        status,
        code: code.to_owned(),
        message: message.to_owned(),
    }
}
