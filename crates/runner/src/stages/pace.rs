//! How often jobs are described, however many there are.

use std::time::{Duration, Instant};

/// Between two descriptions, of whichever jobs, against AWS: it throttles at about two a second for an
/// account.
const LOOKS_APART: Duration = Duration::from_secs(1);

/// When a job that is due may be described.
#[derive(Debug)]
pub(crate) struct Pace {
    apart: Duration,
    last: Option<Instant>,
}

impl Pace {
    /// The embedded service is this run's alone.
    pub(crate) fn new(local: bool) -> Self {
        Self {
            apart: if local { Duration::ZERO } else { LOOKS_APART },
            last: None,
        }
    }

    /// When a job that is due at `next` may be described.
    pub(crate) fn at(&self, next: Instant) -> Instant {
        let free = self.last.map(|last| last + self.apart);
        free.map_or(next, |free| free.max(next))
    }

    /// One is described now.
    pub(crate) fn looked(&mut self, now: Instant) {
        self.last = Some(now);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

    use super::*;
    use crate::stages::watch::next_pause;

    /// Fifty jobs that are all due at once: never two descriptions within a second, never two of a job
    /// within ten.
    #[test]
    fn many_jobs_are_described_one_after_the_other() {
        let begun = Instant::now();
        let mut pace = Pace::new(false);
        let mut jobs: Vec<(Instant, Option<Duration>)> = vec![(begun, None); 50];
        let mut looks: Vec<(usize, Instant)> = Vec::new();
        for _ in 0..400 {
            let due = (0..jobs.len()).min_by_key(|i| jobs[*i].0).unwrap();
            let at = pace.at(jobs[due].0);
            pace.looked(at);
            looks.push((due, at));
            let pause = next_pause(jobs[due].1, false);
            jobs[due] = (at + pause, Some(pause));
        }
        let second = Duration::from_secs(1);
        assert!(looks.windows(2).all(|two| two[1].1 - two[0].1 >= second));
        for job in 0..jobs.len() {
            let own: Vec<Instant> = looks.iter().filter(|l| l.0 == job).map(|l| l.1).collect();
            assert!(own.len() > 4, "job {job} is forgotten");
            assert!(own.windows(2).all(|two| two[1] - two[0] >= 10 * second));
        }
    }
}
