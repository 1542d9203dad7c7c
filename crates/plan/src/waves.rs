//! Which job scores which shard, where several share them, as a forecast counts them. A run knows its rows
//! and shares these out instead, which differs by a shard at most where shards are not even.

use serde::{Deserialize, Serialize};

/// Shards in their order, cut into one run of them a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waves {
    /// Jobs at most, at least 1. Fewer where there are fewer shards than were expected.
    pub jobs: u32,
    /// Shards of each job but the last, which has all that remain; at least 1.
    pub shards_per_job: u64,
}

impl Default for Waves {
    /// All in one.
    fn default() -> Waves {
        Waves {
            jobs: 1,
            shards_per_job: u64::MAX,
        }
    }
}

impl Waves {
    /// About as many shards for each of `jobs`, if there come to be `shards`.
    #[must_use]
    pub fn of(jobs: u32, shards: u64) -> Waves {
        if jobs <= 1 {
            return Waves::default();
        }
        Waves {
            jobs,
            shards_per_job: shards.div_ceil(u64::from(jobs)).max(1),
        }
    }

    /// The job of a shard, both counted from 0. Never less than that of the shard before.
    #[must_use]
    pub fn job_of(&self, shard: u64) -> u32 {
        let last = self.jobs.saturating_sub(1);
        let job = shard / self.shards_per_job.max(1);
        u32::try_from(job).unwrap_or(last).min(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_job_has_all_shards() {
        let one = Waves::of(1, 7);
        assert_eq!((one.job_of(0), one.job_of(u64::MAX)), (0, 0));
        assert_eq!(one, Waves::default());
    }

    #[test]
    fn more_shards_than_expected_go_to_the_last_job() {
        let waves = Waves::of(3, 7);
        let jobs: Vec<u32> = (0..11).map(|shard| waves.job_of(shard)).collect();
        assert_eq!(jobs, [0, 0, 0, 1, 1, 1, 2, 2, 2, 2, 2]);
    }

    #[test]
    fn jobs_beyond_the_shards_stay_empty() {
        let waves = Waves::of(100, 2);
        assert_eq!((waves.job_of(0), waves.job_of(1)), (0, 1));
        assert_eq!(Waves::of(4, 0).shards_per_job, 1);
    }
}
