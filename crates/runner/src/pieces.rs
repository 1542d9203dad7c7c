//! Which pieces of shards are sent next, so that a few jobs come down to the rows that a model
//! refuses. Pure: the ledger's state decides, so that any attempt goes on where the last one was.
//!
//! A shard that fails is cut, the pieces of it that fail are cut again, and a single row that fails
//! while others are answered is refused. Each cut takes such a root of the rows that remain that the
//! last of [`Transform::REFUSAL_LEVELS`] comes down to single rows.

use gristmill_plan::spec::Transform;

use crate::entry::{Piece, RefusedRow};
use crate::state::{Launched, RunState};

/// Pieces that something is cut into at least.
const PIECES_AT_LEAST: u64 = 32;
/// So few rows in all are sent one by one at once: a row more costs a request, a job more minutes.
const ROWS_ONE_BY_ONE: u64 = 1_024;
/// Pieces of one job at most: beyond it, it is not some rows that the model refuses.
pub(crate) const MAX_PIECES: usize = 50_000;
/// What the service's own failures begin with: they say nothing about rows.
pub(crate) const SERVICE_FAILURE: &str = "InternalServerError";

/// What there is to be done about shards without answers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Round {
    /// Shards that no job has failed on yet: they are sent whole, before anything is cut.
    pub(crate) whole: Vec<u32>,
    /// Pieces to send, in the order of their rows.
    pub(crate) pieces: Vec<Piece>,
    /// Shards of which every row was answered or refused.
    pub(crate) settled: Vec<Settled>,
}

/// A shard whose answers are in pieces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settled {
    pub(crate) shard: u32,
    /// In the order of their rows.
    pub(crate) answered: Vec<Piece>,
    /// Row numbers, ascending; without reasons.
    pub(crate) refused: Vec<u64>,
}

/// The next round for `missing` shards (index and rows).
pub(crate) fn round(state: &RunState, fingerprint: &str, missing: &[(u32, u64)]) -> Round {
    let launches: Vec<&Launched> = state
        .launches
        .iter()
        .filter(|l| l.fingerprint == fingerprint)
        .collect();
    let mut round = Round::default();
    let mut to_cut = Vec::new();
    for &(shard, rows) in missing {
        let leaves = leaves(&launches, shard);
        if leaves.is_empty() {
            let failed = |l: &&&Launched| l.pieces.is_empty() && l.shards.contains(&shard);
            if launches.iter().filter(failed).any(|l| has_failed(l)) {
                let piece = Piece {
                    shard,
                    first: 0,
                    rows,
                };
                to_cut.push((piece, 0));
            } else {
                round.whole.push(shard);
            }
            continue;
        }
        let mut settled = Settled {
            shard,
            answered: Vec::new(),
            refused: Vec::new(),
        };
        let mut open = false;
        for (piece, depth) in leaves {
            if state.piece(fingerprint, &piece).is_some() {
                settled.answered.push(piece);
            } else if !is_refused(state, &launches, &piece) {
                round.pieces.push(piece);
                open = true;
            } else if piece.rows > 1 {
                to_cut.push((piece, depth));
                open = true;
            } else {
                settled.refused.push(piece.first);
            }
        }
        if !open {
            round.settled.push(settled);
        }
    }
    round.pieces.extend(cut(&to_cut));
    round.pieces.sort_unstable();
    round
}

/// The smallest pieces of a shard that were announced, with the number of cuts that they are from.
/// Those of one cut are parts of one piece, so that they make a tree.
fn leaves(launches: &[&Launched], shard: u32) -> Vec<(Piece, u32)> {
    let announced = launches.iter().flat_map(|l| &l.pieces);
    let mut all: Vec<Piece> = announced.filter(|p| p.shard == shard).copied().collect();
    all.sort_unstable_by_key(|p| (p.first, std::cmp::Reverse(p.rows)));
    all.dedup();
    let mut above: Vec<Piece> = Vec::new();
    let mut found: Vec<(Piece, u32)> = Vec::new();
    for piece in all {
        while above.pop_if(|a| !a.contains(&piece)).is_some() {}
        found.pop_if(|(leaf, _)| leaf.contains(&piece));
        above.push(piece);
        found.push((piece, u32::try_from(above.len()).unwrap_or(u32::MAX)));
    }
    found
}

/// Whether a job failed, and not by the service's own fault.
fn has_failed(launched: &Launched) -> bool {
    launched.ended.as_ref().is_some_and(|(status, reason)| {
        let own = reason.as_deref().unwrap_or_default();
        status == "Failed" && !own.starts_with(SERVICE_FAILURE)
    })
}

/// A job that answered nothing proves nothing about any of its rows.
fn is_refused(state: &RunState, launches: &[&Launched], piece: &Piece) -> bool {
    let with = launches
        .iter()
        .filter(|l| has_failed(l) && l.pieces.contains(piece));
    let answered = |l: &&&Launched| {
        l.pieces
            .iter()
            .any(|p| state.piece(&l.fingerprint, p).is_some())
    };
    with.filter(answered).count() > 0
}

fn cut(pieces: &[(Piece, u32)]) -> Vec<Piece> {
    let rows: u64 = pieces.iter().map(|(p, _)| p.rows).sum();
    let mut cut = Vec::new();
    for (piece, depth) in pieces {
        let parts = if rows <= ROWS_ONE_BY_ONE {
            piece.rows
        } else {
            parts(piece.rows, Transform::REFUSAL_LEVELS.saturating_sub(*depth))
        };
        cut.extend((0..parts).map(|i| part(piece, i, parts)));
        if cut.len() > MAX_PIECES {
            break;
        }
    }
    cut
}

/// How many parts so many rows are cut into when so many cuts are left, this one included.
fn parts(rows: u64, cuts: u32) -> u64 {
    if cuts <= 1 {
        return rows;
    }
    let root = (1..=rows).find(|k| k.saturating_pow(cuts) >= rows);
    root.unwrap_or(rows).max(PIECES_AT_LEAST).min(rows)
}

/// The `i`-th of `parts` parts, whose sizes differ by one row at most.
fn part(piece: &Piece, i: u64, parts: u64) -> Piece {
    let edge = |i: u64| {
        let rows = u128::from(piece.rows) * u128::from(i) / u128::from(parts);
        piece.first + u64::try_from(rows).unwrap_or(u64::MAX)
    };
    Piece {
        shard: piece.shard,
        first: edge(i),
        rows: edge(i + 1) - edge(i),
    }
}

/// The refused rows of a shard with their reasons.
pub(crate) fn with_reasons(
    settled: &Settled,
    reason: impl Fn(&Piece) -> String,
) -> Vec<RefusedRow> {
    let row = |first: &u64| {
        let piece = Piece {
            shard: settled.shard,
            first: *first,
            rows: 1,
        };
        RefusedRow {
            row: *first,
            reason: reason(&piece),
        }
    };
    settled.refused.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::entry::{AnsweredPiece, Entry};

    fn launching(attempt: u32, shards: &[u32], pieces: &[Piece]) -> Entry {
        Entry::Launching {
            attempt,
            fingerprint: "f".into(),
            shards: shards.to_vec(),
            wave: None,
            pieces: pieces.to_vec(),
            output: String::new(),
            request: serde_json::json!({ "TransformJobName": format!("j-a{attempt}") }),
        }
    }

    fn ended(attempt: u32, status: &str, reason: &str) -> [Entry; 2] {
        let name = format!("j-a{attempt}");
        let created = Entry::JobCreated {
            name: name.clone(),
            arn: "arn".into(),
            adopted: false,
        };
        let ended = Entry::JobEnded {
            name,
            status: status.into(),
            reason: Some(reason.into()),
            billed_seconds: None,
        };
        [created, ended]
    }

    fn answered(pieces: Vec<Piece>) -> Entry {
        let pieces = pieces.into_iter().map(|piece| AnsweredPiece {
            piece,
            uri: String::new(),
            etag: String::new(),
            size: 0,
        });
        Entry::PiecesAnswered {
            fingerprint: "f".into(),
            pieces: pieces.collect(),
        }
    }

    /// Plays a model that refuses `bad` (shard, row) of shards of so many rows: the rounds until all
    /// is settled. Gives the jobs and the refused rows.
    fn play(shards: &[u64], bad: &BTreeSet<(u32, u64)>) -> (u32, BTreeSet<(u32, u64)>) {
        let mut state = RunState::default();
        let all: Vec<(u32, u64)> = (0..).zip(shards.iter().copied()).collect();
        let refuses = |p: &Piece| (p.first..p.first + p.rows).any(|r| bad.contains(&(p.shard, r)));
        let missing: Vec<(u32, u64)> = all
            .into_iter()
            .filter(|(shard, rows)| {
                refuses(&Piece {
                    shard: *shard,
                    first: 0,
                    rows: *rows,
                })
            })
            .collect();
        let indexes: Vec<u32> = missing.iter().map(|m| m.0).collect();
        state.apply(&launching(1, &indexes, &[]));
        ended(1, "Failed", "ClientError")
            .iter()
            .for_each(|e| state.apply(e));
        for jobs in 1..10 {
            let next = round(&state, "f", &missing);
            assert!(next.whole.is_empty());
            if next.pieces.is_empty() {
                assert_eq!(next.settled.len(), missing.len());
                for (settled, (shard, rows)) in next.settled.iter().zip(&missing) {
                    let answers: u64 = settled.answered.iter().map(|p| p.rows).sum();
                    assert_eq!(
                        (settled.shard, answers + settled.refused.len() as u64),
                        (*shard, *rows)
                    );
                }
                let each =
                    |s: &Settled| s.refused.iter().map(|r| (s.shard, *r)).collect::<Vec<_>>();
                return (jobs, next.settled.iter().flat_map(each).collect());
            }
            let attempt = jobs + 1;
            state.apply(&launching(attempt, &indexes, &next.pieces));
            ended(attempt, "Failed", "ClientError")
                .iter()
                .for_each(|e| state.apply(e));
            state.apply(&answered(
                next.pieces.into_iter().filter(|p| !refuses(p)).collect(),
            ));
        }
        panic!("no end");
    }

    #[test]
    fn five_of_27_004_rows_take_three_more_jobs_however_they_are_sharded() {
        let bad = [0, 1, 13_000, 20_001, 27_003];
        for rows in [27_004, 10_000, 1_000, 100] {
            let shards: Vec<u64> = (0..27_004 / rows)
                .map(|_| rows)
                .chain([27_004 % rows])
                .collect();
            let at = |r: u64| (u32::try_from(r / rows).unwrap(), r % rows);
            let bad: BTreeSet<(u32, u64)> = bad.iter().map(|r| at(*r)).collect();
            let (jobs, found) = play(&shards, &bad);
            assert_eq!(found, bad);
            assert!(jobs <= 4, "{jobs} jobs for shards of {rows} rows");
        }
    }

    #[test]
    fn a_job_that_answered_nothing_is_sent_again_as_it_was() {
        let mut state = RunState::default();
        state.apply(&launching(1, &[0], &[]));
        assert_eq!(round(&state, "f", &[(0, 5_000)]).whole, [0]);
        ended(1, "Failed", "InternalServerError: no")
            .iter()
            .for_each(|e| state.apply(e));
        assert_eq!(round(&state, "f", &[(0, 5_000)]).whole, [0]);
        state.apply(&launching(2, &[0], &[]));
        ended(2, "Failed", "ClientError")
            .iter()
            .for_each(|e| state.apply(e));
        let first = round(&state, "f", &[(0, 5_000)]);
        assert_eq!((first.pieces.len(), first.whole.len()), (32, 0));
        state.apply(&launching(3, &[0], &first.pieces));
        ended(3, "Failed", "AlgorithmError")
            .iter()
            .for_each(|e| state.apply(e));
        assert_eq!(round(&state, "f", &[(0, 5_000)]), first);
    }

    #[test]
    fn cuts_reach_single_rows_in_three() {
        for (rows, cuts, expected) in [
            (27_004, 3, 32),
            (1_000_000, 3, 100),
            (844, 2, 32),
            (10_000, 2, 100),
            (27, 1, 27),
            (5, 3, 5),
        ] {
            assert_eq!(parts(rows, cuts), expected, "{rows} rows, {cuts} cuts");
        }
    }

    proptest! {
        #[test]
        fn every_refused_row_is_found_and_no_other(
            shards in proptest::collection::vec(1_u64..4_000, 1..4),
            picks in proptest::collection::vec((0_usize..4, 0_u64..4_000), 1..12),
        ) {
            let pick = |(s, r): &(usize, u64)| {
                let shard = s % shards.len();
                (u32::try_from(shard).unwrap(), r % shards[shard])
            };
            let mut bad: BTreeSet<(u32, u64)> = picks.iter().map(pick).collect();
            // A row that is all of the shards' rows leaves no answer that would prove anything.
            if bad.len() as u64 == shards.iter().sum::<u64>() {
                bad.pop_first();
            }
            let failing: u64 = bad.iter().map(|(s, _)| *s).collect::<BTreeSet<_>>().iter()
                .map(|s| shards[*s as usize]).sum();
            prop_assume!(failing > bad.len() as u64);
            let (jobs, found) = play(&shards, &bad);
            prop_assert_eq!(found, bad);
            prop_assert!(jobs <= 4);
        }
    }
}
