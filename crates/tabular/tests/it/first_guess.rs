//! Types guessed from the beginning: what is published is that of types from the whole input, however
//! much of it the guess has seen.

use std::collections::BTreeMap;
use std::path::Path;

use gristmill_tabular::{
    ConvertJob, Format, Input, Label, LabelRule, OnBadRow, OnMissing, ScanOptions, Split, Target,
    convert,
};
use proptest::prelude::*;

use crate::reading::{LENIENT, named};

/// Cells of one kind, as they stand in the text.
const KINDS: [&[&str]; 14] = [
    &["1", "-20", "300"],
    &[
        "9007199254740993",
        "-9007199254740995",
        "9223372036854775807",
    ],
    &["9223372036854775808", "123456789012345678901234567890"],
    &["1.5", "-0.25", "3"],
    &["1e300", "-1E-7", "0.1"],
    &["1.50", "007", "+1"],
    &["true", "FALSE", "t"],
    &["2024-01-31", "1999-12-31"],
    &["2024-01-31 10:00", "2024-01-31T10:00:00.5"],
    &["2024-01-31T10:00Z", "2024-01-31T10:00+01:00"],
    &["x", "\"a,b\"", "\"say \"\"so\"\"\"", "é"],
    &[""],
    &["NA", "NULL", "-"],
    &["\"5\"", "\"\"", "\"NA\""],
];

/// One kind, another from some row on, and one that comes in between now and then.
fn column() -> impl Strategy<Value = (usize, usize, usize, usize, usize)> {
    let kind = || 0..KINDS.len();
    (kind(), kind(), 0..80usize, kind(), 1..40usize)
}

fn cell(
    (early, late, from, between, every): (usize, usize, usize, usize, usize),
    row: usize,
) -> &'static str {
    let kind = if row % 40 == every {
        between
    } else if row < from {
        early
    } else {
        late
    };
    KINDS[kind][row % KINDS[kind].len()]
}

fn text(
    columns: &[(usize, usize, usize, usize, usize)],
    rows: std::ops::Range<usize>,
    bad: usize,
) -> String {
    let names: Vec<String> = (0..columns.len()).map(|i| format!("c{i}")).collect();
    let mut text = names.join(",") + "\n";
    for row in rows {
        let cells: Vec<&str> = columns.iter().map(|c| cell(*c, row)).collect();
        text += &cells.join(",");
        // Ragged, torn quotes, not UTF-8 are found before types; a blank line of one column is none.
        text += match row % 97 {
            n if n == bad => ",more,\n",
            n if n == bad + 1 => "\"\n",
            _ => "\n",
        };
    }
    text
}

#[derive(Debug, Clone)]
struct Asked {
    on_bad_row: OnBadRow,
    null_tokens: bool,
    limit_rows: Option<u64>,
    label: bool,
    split: bool,
    max_rows: Option<u64>,
    row_group_rows: Option<usize>,
    drop_first: bool,
}

fn asked() -> impl Strategy<Value = Asked> {
    let few = OnBadRow::Quarantine {
        max_ratio: None,
        max_rows: Some(1),
    };
    let ratio = OnBadRow::Quarantine {
        max_ratio: Some(0.02),
        max_rows: None,
    };
    let on_bad_row = proptest::sample::select(vec![OnBadRow::Fail, LENIENT, LENIENT, few, ratio]);
    let times = |n| prop::option::weighted(0.3, 1..n);
    (
        on_bad_row,
        any::<bool>(),
        times(90u64),
        prop::bool::weighted(0.15),
        prop::bool::weighted(0.3),
        times(50u64),
        times(40u64),
        prop::bool::weighted(0.2),
    )
        .prop_map(
            |(on_bad_row, null_tokens, limit_rows, label, split, max_rows, group, drop)| Asked {
                on_bad_row,
                null_tokens,
                limit_rows,
                label,
                split,
                max_rows,
                row_group_rows: group.map(|n| n as usize),
                drop_first: drop,
            },
        )
}

fn job(texts: &[String], asked: &Asked, folder: &Path) -> ConvertJob {
    let inputs = texts.iter().zip(["a.csv", "b.csv", "c.csv"]);
    let inputs: Vec<Input> = inputs
        .map(|(text, name)| named(name, text.as_bytes()))
        .collect();
    let mut job = ConvertJob::new(inputs, Format::PARQUET, Target::Folder(folder.join("o")));
    job.bad_rows = Some(folder.join("bad.jsonl"));
    job.overwrite = true;
    job.label = asked.label.then(|| Label {
        column: "c0".into(),
        rule: LabelRule::AsIs,
        on_missing: OnMissing::default(),
    });
    job.split = asked.split.then(|| Split {
        key: vec!["c1".into()],
        seed: 7,
        parts: vec![("train".into(), 0.7), ("test".into(), 0.3)],
    });
    job.max_rows = asked.max_rows;
    job.row_group_rows = asked.row_group_rows;
    if asked.drop_first && !asked.label {
        job.drop = vec!["c0".into()];
    }
    job
}

/// All that a conversion leaves behind: its answer, and each file by its path in the folder.
fn published(
    mut job: ConvertJob,
    options: ScanOptions,
    folder: &Path,
) -> (String, BTreeMap<String, Vec<u8>>) {
    job.options = options;
    let answer = format!("{:?}", convert(job, &()).map_err(|error| error.to_string()));
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(at) = folders.pop() {
        for entry in std::fs::read_dir(&at).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().display().to_string();
                files.insert(name, std::fs::read(&path).unwrap());
            }
        }
    }
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            std::fs::remove_dir_all(path).unwrap();
        } else {
            std::fs::remove_file(path).unwrap();
        }
    }
    (answer, files)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    #[test]
    fn any_guess_publishes_what_no_guess_does(
        columns in proptest::collection::vec(column(), 2..5),
        rows in proptest::collection::vec(0..70usize, 1..4),
        bad in prop_oneof![3 => Just(1000usize), 1 => 0..95usize],
        asked in asked(),
        sample_bytes in 1u64..1500,
        block_bytes in 1usize..400,
        threads in 1usize..4,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut from = 0;
        let texts: Vec<String> = rows.iter().map(|n| {
            from += n;
            text(&columns, from - n..from, bad)
        }).collect();
        let options = ScanOptions {
            on_bad_row: asked.on_bad_row,
            null_tokens: if asked.null_tokens { vec!["-".into(), "x".into()] } else { Vec::new() },
            limit_rows: asked.limit_rows,
            threads,
            block_bytes,
            sample_bytes,
            ..ScanOptions::default()
        };
        let guessed = published(job(&texts, &asked, folder.path()), options.clone(), folder.path());
        let certain = ScanOptions { sample_bytes: 0, threads: 1, ..options };
        let certain = published(job(&texts, &asked, folder.path()), certain, folder.path());
        let failed = certain.0.starts_with("Err");
        prop_assert_eq!(guessed.0, certain.0);
        // What a conversion that failed keeps is the bad rows that it has met, which are those of one
        // pass or of none.
        let tables = |mut files: BTreeMap<String, Vec<u8>>| {
            if failed {
                files.remove("bad.jsonl");
            }
            files
        };
        prop_assert!(tables(guessed.1) == tables(certain.1), "other files");
    }
}
