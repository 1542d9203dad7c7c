//! Which shards the first jobs of a run take, where there are several (`transform.jobs`). Pure.
//!
//! The accepted rows, whose number is known before the first shard is cut, are divided into as many
//! ranges as there are jobs; a job takes the shards whose middle row is in its range: shards of nearly
//! the same size are shared out evenly, whichever way they differ. So a job can be created as soon as the
//! last of its shards is uploaded, and any attempt, on any machine, comes to the same jobs. A range
//! without a shard has no job.

use std::collections::{BTreeMap, BTreeSet};

use gristmill_tabular::SealedShard;

/// How rows are divided among first jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Waves {
    /// Accepted rows of the whole input.
    pub(crate) rows: u64,
    /// How many ranges; at least 1.
    pub(crate) jobs: u32,
}

/// What is known of the shards so far.
pub(crate) struct Known<'a> {
    /// By index, which is the order of their rows: the first ones, without a gap.
    pub(crate) shards: &'a BTreeMap<u32, SealedShard>,
    /// Those that the store confirmed.
    pub(crate) uploaded: &'a BTreeSet<u32>,
    /// These are all.
    pub(crate) sealed: bool,
}

impl Waves {
    /// The range, from 0, in which a row is.
    fn of_row(self, ordinal: u64) -> u32 {
        let jobs = self.jobs.max(1);
        let range = u128::from(ordinal) * u128::from(jobs) / u128::from(self.rows.max(1));
        u32::try_from(range).unwrap_or(u32::MAX).min(jobs - 1)
    }

    fn of_shard(self, shard: &SealedShard) -> u32 {
        self.of_row(shard.first_ordinal + shard.rows / 2)
    }

    /// The ranges, from 0, whose shards are all known and uploaded, each with them; in their order.
    pub(crate) fn complete(self, known: &Known<'_>) -> Vec<(u32, Vec<u32>)> {
        let last = known.shards.values().next_back();
        let end = last.map_or(0, |last| last.first_ordinal + last.rows);
        let last_range = last.map_or(0, |last| self.of_shard(last));
        // The next shard, however small, has its middle behind the end of the last.
        let begun = match known.sealed || end >= self.rows {
            true => self.jobs.max(1),
            false => last_range.max(self.of_row(end)),
        };
        let mut ranges: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for shard in known.shards.values() {
            let range = self.of_shard(shard);
            ranges.entry(range).or_default().push(shard.index);
        }
        let there = |(range, shards): &(u32, Vec<u32>)| {
            *range < begun && shards.iter().all(|i| known.uploaded.contains(i))
        };
        ranges.into_iter().filter(there).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

    use proptest::prelude::*;

    use super::*;

    fn shards(rows: &[u64]) -> BTreeMap<u32, SealedShard> {
        let mut first_ordinal = 0;
        let shard = |(index, rows): (u32, u64)| {
            let shard = SealedShard {
                index,
                name: format!("s-{index}.csv"),
                path: "s".into(),
                sidecar_path: "s".into(),
                rows,
                first_ordinal,
                bytes: 1,
                sha256: String::new(),
                sidecar_bytes: 1,
                sidecar_sha256: String::new(),
                longest_record: 1,
            };
            first_ordinal += rows;
            (index, shard)
        };
        (0..).zip(rows.iter().copied()).map(shard).collect()
    }

    #[test]
    fn a_range_is_complete_once_its_last_shard_is_there_and_uploaded() {
        let waves = Waves { rows: 8, jobs: 2 };
        let all = shards(&[2, 2, 2, 2]);
        let at = |n: u32, uploaded: &[u32]| {
            let shards = all.clone().into_iter().filter(|(i, _)| *i < n).collect();
            waves.complete(&Known {
                shards: &shards,
                uploaded: &uploaded.iter().copied().collect(),
                sealed: false,
            })
        };
        assert_eq!(at(1, &[0]), []);
        assert_eq!(at(2, &[0]), []);
        assert_eq!(at(2, &[0, 1]), [(0, vec![0, 1])]);
        assert_eq!(at(3, &[0, 1, 2]), [(0, vec![0, 1])]);
        assert_eq!(at(4, &[2, 3]), [(1, vec![2, 3])]);
        assert_eq!(at(4, &[0, 1, 2, 3]), [(0, vec![0, 1]), (1, vec![2, 3])]);
    }

    #[test]
    fn shards_of_nearly_one_size_are_shared_out_evenly() {
        for rows in [
            [10, 10, 10, 10],
            [9, 10, 10, 10],
            [10, 10, 11, 3],
            [10, 9, 9, 10],
        ] {
            let all = shards(&rows);
            let waves = Waves {
                rows: rows.iter().sum(),
                jobs: 2,
            };
            let known = Known {
                shards: &all,
                uploaded: &all.keys().copied().collect(),
                sealed: true,
            };
            assert_eq!(
                waves.complete(&known),
                [(0, vec![0, 1]), (1, vec![2, 3])],
                "{rows:?}"
            );
        }
    }

    proptest! {
        /// However many shards are known when one looks, every shard comes into one range, and once
        /// a range is said to be complete nothing is added to it.
        #[test]
        fn ranges_are_disjoint_complete_and_final(
            rows in proptest::collection::vec(1_u64..50, 1..40),
            jobs in 1_u32..12,
        ) {
            let all = shards(&rows);
            let uploaded: BTreeSet<u32> = all.keys().copied().collect();
            let waves = Waves { rows: rows.iter().sum(), jobs };
            let mut before: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
            for n in 0..=rows.len() {
                let known: BTreeMap<_, _> = all.clone().into_iter().take(n).collect();
                let looked = Known { shards: &known, uploaded: &uploaded, sealed: n == rows.len() };
                let now: BTreeMap<_, _> = waves.complete(&looked).into_iter().collect();
                for (range, shards) in &before {
                    prop_assert_eq!(now.get(range), Some(shards));
                }
                before = now;
            }
            let ordered: Vec<u32> = before.into_values().flatten().collect();
            prop_assert_eq!(ordered, all.into_keys().collect::<Vec<_>>());
        }
    }
}
