//! What AWS leaves undocumented changes no published byte: the same rows by several kinds of jobs, under
//! an array of all switches of `gristmill local --assume` in which any two values of any two switches
//! meet at least once.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::lab::{Lab, rows, sums};
use crate::project::{Project, finish};

const ROWS: usize = 60;
/// Tests that share the array, since they run side by side.
const TESTS: usize = 5;

/// Kinds of jobs, each by its edits of the lab's pipeline: one more factor of the array.
const JOBS: [(&str, &[(&str, &str)]); 6] = [
    ("plain", &[]),
    ("one record a request", &[("multi_record", "single_record")]),
    (
        "compressed",
        &[("format: csv, max_rows", "format: csv.gz, max_rows")],
    ),
    (
        "answers as they are",
        &[("assemble_with: line", "assemble_with: none")],
    ),
    (
        "inference ids",
        &[(
            "job_timeout: 1h",
            "job_timeout: 1h\n  data_capture_config: { destination_s3_uri: \"s3://captured/\", generate_inference_id: true }",
        )],
    ),
    (
        "filtered and joined",
        &[(
            "job_timeout: 1h",
            "job_timeout: 1h\n  data_processing: { input_filter: \"$[0,1]\", output_filter: \"$[-1]\", join_source: input }",
        )],
    ),
];

/// A switch and its values.
struct Factor {
    name: String,
    values: Vec<String>,
}

fn factors() -> Vec<Factor> {
    let project = Project::new();
    let listed = project
        .run(&["local", "--assume", "list", "--output", "json"])
        .expect(0)
        .json();
    let text = |v: &Value| v.as_str().unwrap().to_owned();
    let switch = |s: &Value| Factor {
        name: text(&s["name"]),
        values: s["values"]
            .as_array()
            .unwrap()
            .iter()
            .map(|v| text(&v["value"]))
            .collect(),
    };
    let mut factors: Vec<Factor> = listed["switches"]
        .as_array()
        .unwrap()
        .iter()
        .map(switch)
        .collect();
    assert!(factors.len() > 8, "{listed}");
    factors.push(Factor {
        name: "job".to_owned(),
        values: JOBS.iter().map(|(name, _)| (*name).to_owned()).collect(),
    });
    factors
}

/// Two factors, each with a value.
type Pair = ((usize, usize), (usize, usize));

/// All pairs of factors with so many values.
fn pairs(counts: &[usize]) -> BTreeSet<Pair> {
    let values = |f: usize| (0..counts[f]).map(move |v| (f, v));
    let factors = || 0..counts.len();
    factors()
        .flat_map(|a| factors().filter(move |b| a < *b).map(move |b| (a, b)))
        .flat_map(|(a, b)| values(a).flat_map(move |x| values(b).map(move |y| (x, y))))
        .collect()
}

/// The pairs of a row, of which some factors may have no value yet.
fn pairs_of(row: &[Option<usize>]) -> BTreeSet<Pair> {
    let set: Vec<(usize, usize)> = row
        .iter()
        .enumerate()
        .filter_map(|(factor, value)| Some((factor, (*value)?)))
        .collect();
    let with_later = |(at, one): (usize, &(usize, usize))| {
        set[at + 1..]
            .iter()
            .map(|other| (*one, *other))
            .collect::<Vec<_>>()
    };
    set.iter().enumerate().flat_map(with_later).collect()
}

/// Rows in which each pair is met: the first pair that is not met yet, then for each factor the value
/// that meets the most others.
fn covering(counts: &[usize]) -> Vec<Vec<usize>> {
    let mut open = pairs(counts);
    let mut rows = Vec::new();
    while let Some((one, other)) = open.first().copied() {
        let mut row = vec![None; counts.len()];
        (row[one.0], row[other.0]) = (Some(one.1), Some(other.1));
        for factor in 0..counts.len() {
            if row[factor].is_some() {
                continue;
            }
            let met = |value: usize| {
                let mut row = row.clone();
                row[factor] = Some(value);
                pairs_of(&row).intersection(&open).count()
            };
            row[factor] = (0..counts[factor]).rev().max_by_key(|value| met(*value));
        }
        for pair in pairs_of(&row) {
            open.remove(&pair);
        }
        rows.push(row.into_iter().map(Option::unwrap).collect());
    }
    rows
}

#[test]
fn any_two_values_meet_in_the_array() {
    for counts in [
        vec![2, 2],
        vec![3, 1, 4],
        factors().iter().map(|f| f.values.len()).collect(),
    ] {
        let rows = covering(&counts);
        let mut met: Vec<Pair> = Vec::new();
        for a in 0..counts.len() {
            for b in a + 1..counts.len() {
                met.extend(rows.iter().map(|row| ((a, row[a]), (b, row[b]))));
            }
        }
        let met: BTreeSet<Pair> = met.into_iter().collect();
        assert_eq!(met, pairs(&counts));
        assert!(rows.len() <= 48, "{} rows are too many to run", rows.len());
    }
}

/// Runs every `TESTS`-th row of the array.
fn run_part(part: usize) {
    let factors = factors();
    let counts: Vec<usize> = factors.iter().map(|f| f.values.len()).collect();
    let mut wanted = None;
    for row in covering(&counts).iter().skip(part).step_by(TESTS) {
        let (job, switches) = row.split_last().unwrap();
        let assume: Vec<String> = factors
            .iter()
            .zip(switches)
            .map(|(factor, value)| format!("{}={}", factor.name, factor.values[*value]))
            .collect();
        let (name, edits) = JOBS[*job];
        let found = published(edits, &assume.join(","));
        let wanted = wanted.get_or_insert_with(|| found.clone());
        assert_eq!(&found, wanted, "{name} under {assume:?}");
    }
}

/// What is published of a lab with these edits under these assumptions.
fn published(edits: &[(&str, &str)], assume: &str) -> Vec<(String, Vec<u8>)> {
    let lab = Lab::new();
    lab.project.write("rows.csv", rows(0..ROWS));
    lab.edit("max_rows: 100", "max_rows: 25");
    for (from, to) in edits {
        lab.edit(from, to);
    }
    let args = ["run", "pipeline.yaml", "--local", "--output", "json"];
    let mut run = lab.project.command(&args);
    let done = finish(run.env("GRISTMILL_ASSUME", assume));
    assert_eq!(done.code, 0, "{edits:?} under {assume}\n{}", done.stderr);
    let done = done.json();
    let assumed = lab.project.endpoint(".gristmill").unwrap()["assume"].clone();
    for (name, value) in assume.split(',').map(|pair| pair.split_once('=').unwrap()) {
        assert_eq!(assumed[name], value, "{name}");
    }
    assert_eq!(lab.scores(&done), sums(0..ROWS), "{edits:?} under {assume}");
    lab.published(&done)
}

#[test]
fn nothing_published_depends_on_what_is_unknown_1() {
    run_part(0);
}

#[test]
fn nothing_published_depends_on_what_is_unknown_2() {
    run_part(1);
}

#[test]
fn nothing_published_depends_on_what_is_unknown_3() {
    run_part(2);
}

#[test]
fn nothing_published_depends_on_what_is_unknown_4() {
    run_part(3);
}

#[test]
fn nothing_published_depends_on_what_is_unknown_5() {
    run_part(4);
}
