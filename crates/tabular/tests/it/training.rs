//! Training sets: a label first, rows to parts by the hash of a key.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::collections::BTreeMap;
use std::path::Path;

use gristmill_tabular::{
    BadReason, ConvertJob, Converted, Format, Label, LabelRule, OnBadRow, OnMissing, Split,
    TabularError, Target, convert::convert,
};
use proptest::prelude::*;

use crate::reading::{input, options};

fn job(text: &str, to: Format, folder: &Path) -> ConvertJob {
    let mut job = ConvertJob::new(vec![input(text)], to, Target::Folder(folder.to_path_buf()));
    job.options = options();
    job
}

fn above(column: &str, limit: f64) -> Option<Label> {
    Some(Label {
        column: column.into(),
        rule: LabelRule::Above(limit),
        on_missing: OnMissing::Drop,
    })
}

fn split(key: &[&str], parts: &[(&str, f64)]) -> Option<Split> {
    Some(Split {
        key: key.iter().map(|k| (*k).to_owned()).collect(),
        seed: 0,
        parts: parts.iter().map(|(n, s)| ((*n).to_owned(), *s)).collect(),
    })
}

fn run(job: ConvertJob) -> Result<Converted, TabularError> {
    convert(job, &())
}

fn text_of(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join(name)).unwrap()
}

#[test]
fn the_label_comes_first_and_rows_without_one_go() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let mut job = job(
        "a,delay,b\n1,16,x\n2,NA,y\n3,15,z\n4,,w\n5,15.5,v\n",
        Format::CSV,
        &out,
    );
    job.label = above("delay", 15.0);
    job.drop = vec!["b".into()];
    let done = run(job).unwrap();
    assert_eq!((done.rows_source, done.rows, done.unlabelled), (5, 3, 2));
    assert_eq!(text_of(&out, "part-00000.csv"), "delay,a\n1,1\n0,3\n1,5\n");
}

#[test]
fn a_map_takes_its_texts_and_no_others() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let text = "id,churn\n1,yes\n2,no\n3,maybe\n4,NA\n";
    let map = |on_missing| {
        let entries = [("no", "0"), ("yes", "1")].map(|(a, b)| (a.to_owned(), b.to_owned()));
        Some(Label {
            column: "churn".into(),
            rule: LabelRule::Map(entries.to_vec()),
            on_missing,
        })
    };
    let mut strict = job(text, Format::CSV, &out);
    strict.label = map(OnMissing::Drop);
    let error = run(strict).unwrap_err().to_string();
    insta::assert_snapshot!(error, @r#"a.csv:4: record 3 (byte 20), column "churn": expected one of "no", "yes", as the label's map has them, found "maybe""#);
    let mut lenient = job(text, Format::JSON_LINES, &out);
    lenient.overwrite = true;
    lenient.label = map(OnMissing::Fail);
    lenient.options.on_bad_row = OnBadRow::Quarantine {
        max_ratio: None,
        max_rows: None,
    };
    let done = run(lenient).unwrap();
    assert_eq!(
        done.quarantined,
        BTreeMap::from([(BadReason::NotAllowed, 1), (BadReason::Null, 1)])
    );
    assert_eq!(
        text_of(&out, "part-00000.jsonl"),
        "{\"churn\":1,\"id\":1}\n{\"churn\":0,\"id\":2}\n"
    );
}

#[test]
fn a_label_can_stay_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let mut job = job("a,y\n1,0.25\n2,\n3,7\n", Format::CSV, &out);
    job.output_header = false;
    job.label = Some(Label {
        column: "y".into(),
        rule: LabelRule::AsIs,
        on_missing: OnMissing::Drop,
    });
    assert_eq!(run(job).unwrap().unlabelled, 1);
    assert_eq!(text_of(&out, "part-00000.csv"), "0.25,1\n7,3\n");
}

#[test]
fn a_training_set_without_a_label_is_none() {
    let folder = tempfile::tempdir().unwrap();
    for to in [Format::CSV, Format::PARQUET, Format::JSON_LINES] {
        let out = folder.path().join(to.name());
        let mut job = job("a,y\n1,\n2,NA\n", to, &out);
        job.label = above("y", 0.0);
        let error = run(job).unwrap_err().to_string();
        insta::allow_duplicates! {
            insta::assert_snapshot!(error, @r#"a.csv: no row has a label: "y" is null in all 2 that were read; choose another column, or check its null tokens"#);
        }
        assert!(!out.exists());
    }
}

#[test]
fn parquet_parts_have_a_typed_label() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let text: String = (0..200)
        .map(|i| format!("{},k{},{}\n", i, i % 20, i * 3 % 40))
        .collect();
    let mut job = job(&format!("id,key,delay\n{text}"), Format::PARQUET, &out);
    job.label = above("delay", 15.0);
    job.split = split(&["key"], &[("train", 0.5), ("test", 0.5)]);
    let done = run(job).unwrap();
    let names: Vec<&str> = done.files.iter().map(|f| f.name.as_str()).collect();
    assert_eq!(
        names,
        ["train/part-00000.parquet", "test/part-00000.parquet"]
    );
    let schema = done.schema.unwrap();
    let types: Vec<String> = schema
        .columns
        .iter()
        .map(|c| format!("{} {}", c.name, c.column_type))
        .collect();
    assert_eq!(types, ["delay int64", "id int64", "key string"]);
    assert_eq!(done.split.iter().map(|(_, rows)| rows).sum::<u64>(), 200);
    assert!(done.split.iter().all(|(_, rows)| *rows > 0));
}

#[test]
fn wrong_splits_are_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let mut unknown = job("a,b\n1,2\n", Format::CSV, &out);
    unknown.split = split(&["c"], &[("train", 0.5), ("test", 0.5)]);
    assert!(matches!(
        run(unknown),
        Err(TabularError::MissingColumns { .. })
    ));
    let mut to_file = job("a,b\n1,2\n", Format::CSV, &out);
    to_file.output = Target::File(out.join("x.csv"));
    to_file.split = split(&["a"], &[("train", 0.5), ("test", 0.5)]);
    assert!(
        run(to_file)
            .unwrap_err()
            .to_string()
            .contains("name a folder")
    );
    assert!(!out.join("train").exists());
}

#[test]
fn a_failed_split_leaves_nothing_in_the_way() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    for _ in 0..2 {
        let mut bad = job("a,b\n1,2\n1\n", Format::CSV, &out);
        bad.split = split(&["a"], &[("train", 0.5), ("test", 0.5)]);
        let error = run(bad).unwrap_err();
        assert!(matches!(error, TabularError::BadRow(_)), "{error}");
    }
    assert_eq!(std::fs::read_dir(&out).unwrap().count(), 0);
}

/// Rows of each part, as sets.
fn parts(text: &str, threads: usize, block_bytes: usize) -> BTreeMap<String, Vec<String>> {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let mut job = job(text, Format::CSV, &out);
    job.options.threads = threads;
    job.options.block_bytes = block_bytes;
    job.output_header = false;
    job.split = split(
        &["k"],
        &[("train", 0.6), ("validation", 0.2), ("test", 0.2)],
    );
    run(job).unwrap();
    let part = |name: &str| {
        let text = text_of(&out, &format!("{name}/part-00000.csv"));
        (name.to_owned(), text.lines().map(str::to_owned).collect())
    };
    ["train", "validation", "test"].map(part).into()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn old_rows_stay_where_they_are(
        rows in prop::collection::vec((0u32..30, "[a-z]{0,3}"), 1..60),
        more in prop::collection::vec((0u32..60, "[a-z]{0,3}"), 0..60),
        threads in 1usize..4,
        block_bytes in 1usize..100,
    ) {
        let line = |(k, v): &(u32, String)| format!("{k},{v}x\n");
        let text = |rows: &[(u32, String)]| format!("k,v\n{}", rows.iter().map(line).collect::<String>());
        let before = parts(&text(&rows), threads, block_bytes);
        let all: Vec<(u32, String)> = more.iter().chain(rows.iter().rev()).cloned().collect();
        let after = parts(&text(&all), 2, 64);
        let mut seen: BTreeMap<String, &str> = BTreeMap::new();
        for (part, lines) in &after {
            for line in lines {
                let key = line.split(',').next().unwrap().to_owned();
                let other = seen.insert(key, part);
                prop_assert!(other.is_none_or(|o| o == part), "a key in two parts");
            }
        }
        for (part, lines) in &before {
            for line in lines {
                prop_assert!(after[part].contains(line));
            }
        }
        prop_assert_eq!(before.values().map(Vec::len).sum::<usize>(), rows.len());
    }
}
