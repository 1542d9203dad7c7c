//! Which pieces of shards are sent next, so that a few jobs come down to the rows that a model
//! refuses. Pure: the ledger's state decides, so that any attempt goes on where the last one was.
//!
//! A shard that fails is cut, the pieces of it that fail are cut again, and a single row that fails
//! while others are answered is refused: at once if the container says that the request was bad, else
//! when it has failed twice, as long as there is a job left for that. Each cut takes such a root of the rows that remain that the
//! last of [`Transform::REFUSAL_LEVELS`] comes down to single rows.

use std::collections::BTreeSet;

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

/// In the reason of a job whose container never answered: no row was sent to it.
pub(crate) const NEVER_STARTED: &str = "respond to ping";
/// Rows that were answered before, sent with the pieces of a job.
const CONTROLS: usize = 3;
/// Rows of one shard or piece that are tried for that at most.
const CONTROLS_TRIED: u64 = 64;

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

/// The next round for `missing` shards (index and rows). `certain`: single rows that need not fail twice.
pub(crate) fn round(
    state: &RunState,
    fingerprint: &str,
    missing: &[(u32, u64)],
    certain: &BTreeSet<Piece>,
) -> Round {
    let launches: Vec<&Launched> = state.launches_of(fingerprint).collect();
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
            } else if piece.rows > 1 && has_to_be_cut(state, &launches, &piece, depth) {
                to_cut.push((piece, depth));
                open = true;
            } else if piece.rows == 1
                && is_refused(state, &launches, &piece, certain.contains(&piece))
            {
                settled.refused.push(piece.first);
            } else {
                round.pieces.push(piece);
                open = true;
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

/// Whether a job failed, by what its container made of its rows.
fn has_failed(launched: &Launched) -> bool {
    launched.ended.as_ref().is_some_and(|(status, reason)| {
        let own = reason.as_deref().unwrap_or_default();
        status == "Failed" && !own.starts_with(SERVICE_FAILURE) && !own.contains(NEVER_STARTED)
    })
}

/// Jobs that a piece failed in; not those that stored something for it.
fn failures<'a>(launches: &'a [&Launched], piece: &'a Piece) -> impl Iterator<Item = &'a Launched> {
    let failed =
        |l: &&Launched| has_failed(l) && l.pieces.contains(piece) && !l.lost.contains(piece);
    launches.iter().copied().filter(failed)
}

/// Whether a job itself, and not only a later one, answered a piece or a control of its own.
fn answered_itself(state: &RunState, launched: &Launched) -> bool {
    let mut sent = launched.pieces.iter().chain(&launched.controls);
    sent.any(|p| {
        let answer = state.piece(&launched.fingerprint, p);
        answer.is_some_and(|a| a.uri.starts_with(&launched.output))
    })
}

/// A job that answered nothing proves nothing about any of its rows, but pieces of the first cut may each
/// hold a row that is refused.
fn has_to_be_cut(state: &RunState, launches: &[&Launched], piece: &Piece, depth: u32) -> bool {
    failures(launches, piece)
        .any(|l| answered_itself(state, l) || (depth <= 1 && l.controls.is_empty()))
}

/// A job that answered nothing proves nothing about any of its rows, unless nothing that was answered before
/// was sent along; then another one has to have.
fn is_refused(state: &RunState, launches: &[&Launched], piece: &Piece, certain: bool) -> bool {
    let proofs = failures(launches, piece)
        .filter(|l| answered_itself(state, l))
        .count();
    let failed =
        failures(launches, piece).filter(|l| answered_itself(state, l) || l.controls.is_empty());
    let cuts = launches
        .iter()
        .filter(|l| !l.pieces.is_empty() && has_failed(l))
        .count();
    let is_last = u32::try_from(cuts).is_ok_and(|cuts| cuts >= Transform::REFUSAL_LEVELS);
    proofs > 0 && (certain || is_last || failed.count() > 1)
}

/// Whether a job had the pieces of a first cut, so that none of them being answered does not mean yet that
/// the container is broken.
pub(crate) fn is_first_cut(state: &RunState, launched: &Launched) -> bool {
    let mut cuts = state
        .launches_of(&launched.fingerprint)
        .filter(|l| !l.pieces.is_empty());
    let is_first = cuts.next().is_some_and(|l| l.name() == launched.name());
    is_first && launched.controls.is_empty() && launched.pieces.iter().any(|p| p.rows > 1)
}

/// Rows that the model has answered, in pieces or shards, and that were not asked for alone yet: a job that
/// answers them works. Those of few shards, since each has to be fetched.
pub(crate) fn controls(state: &RunState, fingerprint: &str) -> Vec<Piece> {
    let pieces = state.pieces.get(fingerprint).into_iter().flatten();
    let pieces = pieces.map(|(piece, _)| *piece).filter(|p| p.rows > 1);
    let whole = state.shards.values().filter(|s| {
        let output = state.output(fingerprint, s.index);
        output.is_some_and(|o| o.refused.is_empty())
    });
    let whole = whole.map(|s| Piece {
        shard: s.index,
        first: 0,
        rows: s.rows,
    });
    let alone = |p: Piece| {
        let rows = p.first..p.first + p.rows.min(CONTROLS_TRIED);
        let rows = rows.map(move |first| Piece {
            first,
            rows: 1,
            ..p
        });
        rows.filter(|row| state.piece(fingerprint, row).is_none())
    };
    pieces.chain(whole).flat_map(alone).take(CONTROLS).collect()
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
        controlled(attempt, shards, pieces, &[])
    }

    fn controlled(attempt: u32, shards: &[u32], pieces: &[Piece], controls: &[Piece]) -> Entry {
        Entry::Launching {
            attempt,
            fingerprint: "f".into(),
            shards: shards.to_vec(),
            wave: None,
            pieces: pieces.to_vec(),
            controls: controls.to_vec(),
            output: format!("s3://b/out/a{attempt}/"),
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

    fn answered(attempt: u32, pieces: Vec<Piece>) -> Entry {
        let pieces = pieces.into_iter().map(|piece| AnsweredPiece {
            piece,
            uri: format!("s3://b/out/a{attempt}/{}", piece.first),
            etag: String::new(),
            size: 0,
        });
        Entry::PiecesAnswered {
            fingerprint: "f".into(),
            pieces: pieces.collect(),
        }
    }

    type Rows = BTreeSet<(u32, u64)>;

    fn play(shards: &[u64], bad: &Rows) -> (u32, Rows) {
        play_with(shards, bad, &Rows::new())
    }

    /// Plays a model that refuses `bad` (shard, row) of shards of so many rows, and fails on each of `weak`
    /// when it is first asked for alone: the rounds until all is settled. Gives the jobs and the refused
    /// rows.
    fn play_with(shards: &[u64], bad: &Rows, weak: &Rows) -> (u32, Rows) {
        let mut state = RunState::default();
        let mut weak = weak.clone();
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
            let next = round(&state, "f", &missing, &BTreeSet::new());
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
            let controls = controls(&state, "f");
            state.apply(&controlled(attempt, &indexes, &next.pieces, &controls));
            ended(attempt, "Failed", "ClientError")
                .iter()
                .for_each(|e| state.apply(e));
            let asked = next.pieces.into_iter().chain(controls);
            let is_weak = |p: &Piece| p.rows == 1 && weak.remove(&(p.shard, p.first));
            let (_, answers): (Vec<_>, Vec<_>) = asked.filter(|p| !refuses(p)).partition(is_weak);
            state.apply(&answered(attempt, answers));
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
        assert_eq!(
            round(&state, "f", &[(0, 5_000)], &BTreeSet::new()).whole,
            [0]
        );
        ended(1, "Failed", "InternalServerError: no")
            .iter()
            .for_each(|e| state.apply(e));
        assert_eq!(
            round(&state, "f", &[(0, 5_000)], &BTreeSet::new()).whole,
            [0]
        );
        state.apply(&launching(2, &[0], &[]));
        ended(2, "Failed", "ClientError")
            .iter()
            .for_each(|e| state.apply(e));
        let first = round(&state, "f", &[(0, 5_000)], &BTreeSet::new());
        assert_eq!((first.pieces.len(), first.whole.len()), (32, 0));
        state.apply(&launching(3, &[0], &first.pieces));
        ended(3, "Failed", "AlgorithmError")
            .iter()
            .for_each(|e| state.apply(e));
        // Each piece may hold a row that is refused; if nothing at all of a second cut is answered, the
        // container is broken.
        let second = round(&state, "f", &[(0, 5_000)], &BTreeSet::new());
        assert_eq!(second.pieces.len(), 32 * 32);
        state.apply(&launching(4, &[0], &second.pieces));
        ended(4, "Failed", "AlgorithmError")
            .iter()
            .for_each(|e| state.apply(e));
        assert_eq!(round(&state, "f", &[(0, 5_000)], &BTreeSet::new()), second);
    }

    /// A container that fails now and then is no reason to set rows aside.
    #[test]
    fn a_row_that_failed_once_is_asked_for_again() {
        let bad = [(0, 3), (1, 0)].into();
        let weak = [(0, 4), (0, 99), (1, 1), (1, 2)].into();
        assert_eq!(play_with(&[100, 200], &bad, &weak), (3, bad.clone()));
        let certain = [Piece {
            shard: 0,
            first: 3,
            rows: 1,
        }]
        .into();
        let mut state = RunState::default();
        state.apply(&launching(1, &[0], &[]));
        ended(1, "Failed", "ClientError")
            .iter()
            .for_each(|e| state.apply(e));
        let first = round(&state, "f", &[(0, 9)], &BTreeSet::new());
        state.apply(&launching(2, &[0], &first.pieces));
        ended(2, "Failed", "ClientError")
            .iter()
            .for_each(|e| state.apply(e));
        let (bad, good): (Vec<_>, Vec<_>) = first.pieces.iter().partition(|p| p.first == 3);
        state.apply(&answered(2, good));
        assert_eq!(round(&state, "f", &[(0, 9)], &BTreeSet::new()).pieces, bad);
        assert_eq!(
            round(&state, "f", &[(0, 9)], &certain).settled[0].refused,
            [3]
        );
    }

    /// What a job stored something for is sent again, whatever the job's status.
    #[test]
    fn lost_rows_are_not_refused() {
        let mut state = RunState::default();
        state.apply(&launching(1, &[0], &[]));
        ended(1, "Failed", "ClientError")
            .iter()
            .for_each(|e| state.apply(e));
        let pieces = round(&state, "f", &[(0, 9)], &BTreeSet::new()).pieces;
        state.apply(&launching(2, &[0], &pieces));
        ended(2, "Failed", "ClientError")
            .iter()
            .for_each(|e| state.apply(e));
        state.apply(&answered(2, pieces[..8].to_vec()));
        state.apply(&Entry::PiecesLost {
            name: "j-a2".into(),
            pieces: vec![pieces[8]],
        });
        let certain = pieces.iter().copied().collect();
        assert_eq!(round(&state, "f", &[(0, 9)], &certain).pieces, [pieces[8]]);
    }

    /// With rows that were answered before, a job shows that the container works even if it refuses all else.
    #[test]
    fn controls_prove_what_nothing_else_does() {
        let mut state = RunState::default();
        state.apply(&launching(1, &[0, 1], &[]));
        ended(1, "Failed", "ClientError")
            .iter()
            .for_each(|e| state.apply(e));
        let piece = |shard, first, rows| Piece { shard, first, rows };
        state.apply(&answered(1, vec![piece(1, 0, 4)]));
        let control = controls(&state, "f");
        assert_eq!(control, [0, 1, 2].map(|row| piece(1, row, 1)));
        let alone = [piece(0, 0, 1)];
        let none = BTreeSet::new();
        for (attempt, works) in [(2, false), (3, true), (4, true)] {
            assert_eq!(round(&state, "f", &[(0, 1)], &none).pieces, alone);
            let control = controls(&state, "f");
            state.apply(&controlled(attempt, &[0], &alone, &control));
            ended(attempt, "Failed", "ClientError")
                .iter()
                .for_each(|e| state.apply(e));
            if works {
                state.apply(&answered(attempt, control));
            }
        }
        assert_eq!(controls(&state, "f"), []);
        assert_eq!(round(&state, "f", &[(0, 1)], &none).settled[0].refused, [0]);
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
