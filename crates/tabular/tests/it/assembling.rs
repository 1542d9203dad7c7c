//! Predictions joined to their rows, and every way in which they may fail to fit.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, StringArray, UInt32Array, UInt64Array};
use arrow_schema::{DataType, Field};
use gristmill_tabular::compression::{Compression, decompress};
use gristmill_tabular::predictions::AnswerLayout;
use gristmill_tabular::sidecar::{SidecarWriter, sidecar_schema};
use gristmill_tabular::{
    AssembleJob, Assembled, ColumnType, OutputColumn, OutputFormat, ParquetCompression, Progress,
    ShardOutput, TabularError, assemble,
};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use proptest::prelude::*;
use sha2::{Digest, Sha256};

/// A folder with shards, their predictions, and `out/` for the result.
pub(crate) struct Run {
    folder: tempfile::TempDir,
    pub(crate) shards: Vec<ShardOutput>,
    pub(crate) answers: AnswerLayout,
}

pub(crate) const CSV: OutputFormat = OutputFormat::Csv {
    header: true,
    compression: Compression::None,
};

fn columns() -> Vec<OutputColumn> {
    vec![
        OutputColumn::Source {
            name: "customer".into(),
            from: "id".into(),
        },
        OutputColumn::Prediction {
            name: "score".into(),
            index: 0,
            column_type: ColumnType::Float64,
        },
        OutputColumn::Constant {
            name: "model".into(),
            value: "churn-v7".into(),
            column_type: ColumnType::String,
        },
    ]
}

impl Run {
    /// Shards of so many rows, each sidecar in batches of three, each row predicted as its
    /// ordinal over 8.
    pub(crate) fn new(rows: &[u64]) -> Run {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("out")).unwrap();
        let mut run = Run {
            folder,
            shards: Vec::new(),
            answers: AnswerLayout::csv(),
        };
        let mut first = 0;
        for (index, &rows) in rows.iter().enumerate() {
            run.add_shard(index as u32, first, rows);
            first += rows;
        }
        run
    }

    fn add_shard(&mut self, index: u32, first: u64, rows: u64) {
        let name = format!("shard-{index:05}");
        let sidecar = self.folder.path().join(format!("{name}.arrow"));
        let id = [Field::new("id", DataType::Utf8, true)];
        let mut writer = SidecarWriter::new(Vec::new(), &id, &sidecar).unwrap();
        let ordinals: Vec<u64> = (first..first + rows).collect();
        for chunk in ordinals.chunks(3) {
            let columns: Vec<ArrayRef> = vec![
                Arc::new(UInt64Array::from(chunk.to_vec())),
                Arc::new(UInt32Array::from(vec![0; chunk.len()])),
                Arc::new(UInt64Array::from_iter_values(chunk.iter().map(|o| o + 1))),
                Arc::new(StringArray::from_iter(
                    chunk.iter().map(|o| (o % 4 != 3).then(|| format!("c{o}"))),
                )),
            ];
            writer
                .write(&RecordBatch::try_new(sidecar_schema(&id), columns).unwrap())
                .unwrap();
        }
        let bytes = writer.finish().unwrap();
        std::fs::write(&sidecar, &bytes).unwrap();
        let predictions = self.folder.path().join(format!("{name}.csv.out"));
        let lines: String = ordinals
            .iter()
            .map(|&o| format!("{}\n", o as f64 / 8.0))
            .collect();
        std::fs::write(&predictions, lines).unwrap();
        let sidecar_sha256 = hex::encode(Sha256::digest(&bytes));
        self.shards.push(ShardOutput {
            index,
            name,
            sidecar,
            sidecar_sha256,
            predictions,
            rows,
            refused: Vec::new(),
        });
    }

    fn out(&self) -> PathBuf {
        self.folder.path().join("out")
    }

    pub(crate) fn assemble(
        &self,
        columns: &[OutputColumn],
        format: OutputFormat,
        rows_per_part: u64,
        threads: usize,
    ) -> Result<Assembled, TabularError> {
        let out = self.out();
        let job = AssembleJob {
            shards: &self.shards,
            columns,
            format,
            answers: self.answers,
            folder: &out,
            rows_per_part,
            threads,
        };
        assemble(&job, &())
    }

    /// The message of a failure, after checking that it left nothing behind.
    pub(crate) fn failure(&self, columns: &[OutputColumn]) -> TabularError {
        let error = self.assemble(columns, CSV, 2, 1).unwrap_err();
        assert_eq!(
            std::fs::read_dir(self.out()).unwrap().count(),
            0,
            "parts left after: {error}"
        );
        error
    }

    pub(crate) fn predict(&self, shard: usize, text: impl AsRef<[u8]>) {
        std::fs::write(&self.shards[shard].predictions, text).unwrap();
    }

    fn message(&self) -> String {
        self.failure(&columns()).to_string()
    }
}

pub(crate) fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn rows_meet_their_predictions_in_input_order() {
    let mut run = Run::new(&[4, 1, 3]);
    run.shards.reverse();
    let done = run.assemble(&columns(), CSV, 5, 1).unwrap();
    assert_eq!(done.rows, 8);
    let shape: Vec<(&str, u64)> = done
        .parts
        .iter()
        .map(|p| (p.name.as_str(), p.rows))
        .collect();
    assert_eq!(shape, [("part-00000.csv", 5), ("part-00001.csv", 3)]);
    for part in &done.parts {
        let bytes = std::fs::read(&part.path).unwrap();
        assert_eq!(
            (part.bytes, &part.sha256),
            (bytes.len() as u64, &hex::encode(Sha256::digest(&bytes)))
        );
    }
    insta::assert_snapshot!(text(&done.parts[0].path), @r"
    customer,score,model
    c0,0.0,churn-v7
    c1,0.125,churn-v7
    c2,0.25,churn-v7
    ,0.375,churn-v7
    c4,0.5,churn-v7
    ");
    insta::assert_snapshot!(text(&done.parts[1].path), @r"
    customer,score,model
    c5,0.625,churn-v7
    c6,0.75,churn-v7
    ,0.875,churn-v7
    ");
}

/// Refused rows in any place: at the edges of batches and shards, and a whole shard of them.
#[test]
fn rows_that_the_model_refused_have_no_prediction_and_are_left_out() {
    let mut run = Run::new(&[4, 1, 7]);
    run.shards[0].refused = vec![0, 3];
    run.shards[1].refused = vec![0];
    run.shards[2].refused = vec![2, 3, 4, 5];
    let told = run.message();
    assert!(
        told.contains("expected 2 predictions") && told.contains("found 4"),
        "{told}"
    );
    run.predict(0, "1\n2\n");
    run.predict(1, "");
    run.predict(2, "5\n6\n11\n");
    let done = run.assemble(&columns(), CSV, 100, 1).unwrap();
    assert_eq!(done.rows, 5);
    insta::assert_snapshot!(text(&done.parts[0].path), @r"
    customer,score,model
    c1,1.0,churn-v7
    c2,2.0,churn-v7
    c5,5.0,churn-v7
    c6,6.0,churn-v7
    ,11.0,churn-v7
    ");
    run.predict(2, "5\n6\n");
    assert!(run.assemble(&columns(), CSV, 100, 1).is_err());
}

#[test]
fn wrapped_csv_holds_the_same_text() {
    let run = Run::new(&[4, 3]);
    let plain = text(&run.assemble(&columns(), CSV, 100, 1).unwrap().parts[0].path);
    for (compression, name) in [
        (Compression::Gzip, "part-00000.csv.gz"),
        (Compression::SnappyFramed, "part-00000.csv.sz"),
    ] {
        let done = run
            .assemble(
                &columns(),
                OutputFormat::Csv {
                    header: true,
                    compression,
                },
                100,
                1,
            )
            .unwrap();
        assert_eq!(done.parts[0].name, name);
        let file = std::fs::File::open(&done.parts[0].path).unwrap();
        let back = std::io::read_to_string(decompress(compression, Box::new(file))).unwrap();
        assert_eq!(back, plain);
    }
}

#[test]
fn parquet_has_the_same_rows_whatever_the_threads() {
    let run = Run::new(&[30_000, 25_000]);
    let format = OutputFormat::Parquet {
        compression: ParquetCompression::Snappy,
    };
    let one = run.assemble(&columns(), format, 40_000, 1).unwrap();
    let many = run.assemble(&columns(), format, 40_000, 4).unwrap();
    assert_eq!(one, many, "the checksums among them");
    assert_eq!(
        one.parts.iter().map(|p| p.rows).collect::<Vec<_>>(),
        [40_000, 15_000]
    );
    let mut next = 0u64;
    for part in &one.parts {
        let file = std::fs::File::open(&part.path).unwrap();
        for batch in ParquetRecordBatchReaderBuilder::try_new(file)
            .unwrap()
            .build()
            .unwrap()
        {
            let batch = batch.unwrap();
            let scores: &arrow_array::Float64Array =
                batch.column(1).as_any().downcast_ref().unwrap();
            for score in scores.values() {
                assert_eq!(*score, next as f64 / 8.0);
                next += 1;
            }
        }
    }
    assert_eq!(next, 55_000);
}

#[test]
fn several_cells_lists_and_types() {
    let run = Run::new(&[1, 1]);
    run.predict(0, "[3, 0.5, 'a, b']\r\n\r\n");
    run.predict(1, "4,1e-3,\"\"");
    let prediction = |name: &str, index, column_type| OutputColumn::Prediction {
        name: name.into(),
        index,
        column_type,
    };
    let columns = [
        prediction("label", 2, ColumnType::String),
        prediction("class", 0, ColumnType::Int64),
        prediction("score", 1, ColumnType::Float64),
        OutputColumn::Constant {
            name: "version".into(),
            value: "7".into(),
            column_type: ColumnType::Int64,
        },
    ];
    let done = run.assemble(&columns, CSV, 9, 1).unwrap();
    insta::assert_snapshot!(text(&done.parts[0].path), @r#"
    label,class,score,version
    "a, b",3,0.5,7
    "",4,0.001,7
    "#);
}

#[test]
fn other_row_counts_are_told_with_the_shard() {
    let run = Run::new(&[3, 2]);
    run.predict(1, "0.1\n");
    insta::assert_snapshot!(run.message(), @"shard shard-00001: expected 2 predictions, one a row, found 1");
    run.predict(1, "0.1\n0.2\n0.3\n");
    insta::assert_snapshot!(run.message(), @"shard shard-00001: expected 2 predictions, one a row, found 3");
    run.predict(1, "");
    insta::assert_snapshot!(run.message(), @"shard shard-00001: expected 2 predictions, one a row, found 0");
    // A request whose answer had no final newline: its last line and the next one's first are one.
    run.predict(0, "0.1\n0.20.3\n");
    insta::assert_snapshot!(run.message(), @"shard shard-00000: expected 3 predictions, one a row, found 2");
}

#[test]
fn cells_that_do_not_fit_are_told_with_their_place() {
    let run = Run::new(&[3]);
    run.predict(0, "0.1\n\nnan\n0.3\n");
    insta::assert_snapshot!(run.message(), @r#"shard shard-00000, line 3: prediction[0]: expected a finite number, found "nan""#);
    run.predict(0, "0.1\n0.2\n<html>502 Bad Gateway</html>\n");
    insta::assert_snapshot!(run.message(), @r#"shard shard-00000, line 3: prediction[0]: expected a finite number, found "<html>502 Bad Gateway</html>""#);
    run.predict(0, "0.1\n0.2,7\n0.3\n");
    insta::assert_snapshot!(run.message(), @r#"shard shard-00000, line 2: prediction: expected 1 cell, as in the first answer, found "0.2,7""#);
    run.predict(0, "0.1\n0.2\n0.3\n");
    let second = [OutputColumn::Prediction {
        name: "s".into(),
        index: 1,
        column_type: ColumnType::Float64,
    }];
    insta::assert_snapshot!(run.failure(&second), @r#"shard shard-00000, line 1: prediction[1]: expected a line of at least 2 cells, found "0.1""#);
}

#[test]
fn sidecars_that_are_not_what_was_written_are_refused() {
    let run = Run::new(&[3, 4]);
    let path = &run.shards[1].sidecar;
    let mut bytes = std::fs::read(path).unwrap();
    let at = bytes.len() / 2;
    bytes[at] ^= 4;
    std::fs::write(path, bytes).unwrap();
    assert!(matches!(run.failure(&columns()), TabularError::Corrupt { path: p, .. } if &p == path));
}

#[test]
fn ordinals_must_run_from_zero_without_gap_or_repetition() {
    // (first ordinal of the second shard, what is wrong)
    for first in [2, 4, 0] {
        let mut run = Run::new(&[3]);
        run.add_shard(1, first, 2);
        let error = run.failure(&columns());
        let expected = format!(
            "the sidecar of shard-00001: row 3 of the input must come next, found row {first}: rows are missing, doubled or misplaced"
        );
        assert!(
            matches!(&error, TabularError::Corrupt { problem, .. } if *problem == expected),
            "{error}"
        );
    }
    let mut run = Run::new(&[]);
    run.add_shard(0, 1, 3);
    assert!(matches!(
        run.failure(&columns()),
        TabularError::Corrupt { .. }
    ));
    let mut run = Run::new(&[3]);
    run.shards[0].rows = 4;
    assert!(matches!(
        run.failure(&columns()),
        TabularError::Corrupt { .. }
    ));
}

#[test]
fn jobs_that_make_no_sense_are_refused() {
    let message = |run: &Run, columns: &[OutputColumn]| run.failure(columns).to_string();
    let mut run = Run::new(&[1, 1, 1]);
    insta::assert_snapshot!(message(&run, &[]), @"the result has no columns");
    let twice = [columns()[0].clone(), columns()[0].clone()];
    insta::assert_snapshot!(message(&run, &twice), @r#"the result has two columns named "customer""#);
    let unknown = [OutputColumn::Source {
        name: "a".into(),
        from: "ordinal".into(),
    }];
    insta::assert_snapshot!(message(&run, &unknown), @r#"the sidecar of shard-00000: no column named "ordinal"; the header has: "id""#);
    let constant = [OutputColumn::Constant {
        name: "v".into(),
        value: "x".into(),
        column_type: ColumnType::Int64,
    }];
    insta::assert_snapshot!(message(&run, &constant), @r#"column "v": expected an integer of 64 bits, found "x""#);
    run.shards.remove(1);
    insta::assert_snapshot!(message(&run, &columns()), @"shard 1 is missing or given twice: found index 2 in its place");
    assert!(matches!(
        run.assemble(&columns(), CSV, 0, 1),
        Err(TabularError::Options(_))
    ));
    let nothing = Run::new(&[]);
    assert_eq!(
        nothing.assemble(&columns(), CSV, 1, 1).unwrap(),
        Assembled {
            rows: 0,
            parts: vec![]
        }
    );
}

#[test]
fn a_cancelled_assembly_leaves_nothing() {
    struct AfterFour(std::sync::atomic::AtomicU64);
    impl Progress for AfterFour {
        fn advance(&self, rows: u64, _: u64) {
            self.0.fetch_add(rows, std::sync::atomic::Ordering::Relaxed);
        }
        fn cancelled(&self) -> bool {
            self.0.load(std::sync::atomic::Ordering::Relaxed) >= 4
        }
    }
    let run = Run::new(&[9]);
    let (columns, out) = (columns(), run.out());
    let job = AssembleJob {
        shards: &run.shards,
        columns: &columns,
        format: CSV,
        answers: AnswerLayout::csv(),
        folder: &out,
        rows_per_part: 1,
        threads: 1,
    };
    let watched = AfterFour(0.into());
    assert!(matches!(
        assemble(&job, &watched),
        Err(TabularError::Cancelled)
    ));
    assert_eq!(watched.0.into_inner(), 6);
    assert_eq!(std::fs::read_dir(&out).unwrap().count(), 0);
}

/// What may happen to the lines of a shard's predictions.
#[derive(Debug, Clone)]
enum Mutation {
    Drop,
    Repeat,
    Insert,
    Glue,
    Blank,
    Empty,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn every_lost_added_or_glued_line_is_seen(
        rows in proptest::collection::vec(1u64..9, 1..4),
        shard: prop::sample::Index, line: prop::sample::Index,
        mutation in prop::sample::select(vec![Mutation::Drop, Mutation::Repeat, Mutation::Insert, Mutation::Glue, Mutation::Blank, Mutation::Empty]),
        whole_numbers: bool, ended: bool,
    ) {
        let run = Run::new(&rows);
        let shard = shard.index(rows.len());
        let count = rows[shard] as usize;
        let line = line.index(count);
        // Whole numbers glued together still parse: only the count tells.
        let mut lines: Vec<String> = (0..count).map(|i| if whole_numbers { i.to_string() } else { format!("0.{i}") }).collect();
        match mutation {
            Mutation::Drop => { lines.remove(line); }
            Mutation::Repeat => lines.insert(line, lines[line].clone()),
            Mutation::Insert => lines.insert(line, "0.5".into()),
            Mutation::Glue if count == 1 => lines.push("1".into()),
            Mutation::Glue => {
                let at = line.min(count - 2);
                let next = lines.remove(at + 1);
                lines[at].push_str(&next);
            }
            Mutation::Blank => lines[line].clear(),
            Mutation::Empty => lines.clear(),
        }
        let mut text = lines.join("\n");
        if ended && !text.is_empty() {
            text.push('\n');
        }
        run.predict(shard, text);
        match run.failure(&columns()) {
            TabularError::RowsDisagree { shard: name, expected, found, .. } => {
                prop_assert_eq!(name, format!("shard-{shard:05}"));
                prop_assert_eq!(expected, count as u64);
                prop_assert_ne!(found, expected);
            }
            other => prop_assert!(false, "{}", other),
        }
    }
}
