//! CSV to shards, a model's answers, and back: every row with its own answer.

use std::io::Write;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use gristmill_tabular::{
    AssembleJob, ColumnType, Compression, Format, Input, OnBadRow, OutputColumn, OutputFormat,
    ParquetCompression, ScanOptions, SealedShard, ShardJob, ShardOutput, assemble, scan,
    write_shards,
};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

/// Two files whose rows all differ, some of them ragged.
fn inputs(folder: &std::path::Path) -> Vec<Input> {
    let mut inputs = Vec::new();
    for file in 0..2u64 {
        let path = folder.join(format!("in-{file}.csv"));
        let mut out = std::fs::File::create(&path).unwrap();
        writeln!(out, "id,name,a,b").unwrap();
        for row in 0..300u64 {
            let id = file * 1000 + row;
            let name = if row % 5 == 0 {
                String::new()
            } else {
                format!("\"n, {id}\"")
            };
            let ragged = if row % 37 == 11 { ",extra" } else { "" };
            writeln!(out, "{id},{name},{row},{file}{ragged}").unwrap();
        }
        inputs.push(Input::file(&path));
    }
    inputs
}

/// The rows of a shard of either kind as numbers.
fn rows(shard: &SealedShard) -> Vec<[i64; 2]> {
    if shard.name.ends_with(".parquet") {
        let file = std::fs::File::open(&shard.path).unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
        let batches = reader.build().unwrap().map(Result::unwrap);
        let of_batch = |batch: RecordBatch| -> Vec<[i64; 2]> {
            let column = |i: usize| {
                batch
                    .column(i)
                    .as_primitive::<Int64Type>()
                    .values()
                    .to_vec()
            };
            column(0)
                .into_iter()
                .zip(column(1))
                .map(|(a, b)| [a, b])
                .collect()
        };
        return batches.flat_map(of_batch).collect();
    }
    let mut reader = csv::ReaderBuilder::new();
    let mut reader = reader.has_headers(false).from_path(&shard.path).unwrap();
    let records = reader.records().map(Result::unwrap);
    records
        .map(|r| [r[0].parse().unwrap(), r[1].parse().unwrap()])
        .collect()
}

/// The model: a + 1000·b, which is the row's id.
fn predict(shard: &SealedShard) -> ShardOutput {
    let answer = |[a, b]: [i64; 2]| format!("{}\n", a + 1000 * b);
    let lines: String = rows(shard).into_iter().map(answer).collect();
    let predictions = shard.path.with_extension("csv.out");
    std::fs::write(&predictions, lines).unwrap();
    ShardOutput {
        index: shard.index,
        name: shard.name.clone(),
        sidecar: shard.sidecar_path.clone(),
        sidecar_sha256: shard.sidecar_sha256.clone(),
        predictions,
        rows: shard.rows,
        refused: Vec::new(),
    }
}

#[test]
fn quarantined_rows_shift_nobody() {
    there_and_back(Format::CSV, 500);
    there_and_back(Format::PARQUET, 2_000);
}

fn there_and_back(format: Format, max_bytes: u64) {
    let folder = tempfile::tempdir().unwrap();
    let inputs = inputs(folder.path());
    let on_bad_row = OnBadRow::Quarantine {
        max_ratio: None,
        max_rows: None,
    };
    let options = ScanOptions {
        on_bad_row,
        block_bytes: 700,
        threads: 2,
        ..ScanOptions::default()
    };
    let scanned = scan(&inputs, &options, &()).unwrap();
    let job = ShardJob {
        inputs: &inputs,
        scan: &options,
        schema: &scanned.schema,
        select: vec!["a".into(), "b".into()],
        sidecar: vec!["id".into(), "name".into()],
        null: String::new(),
        max_bytes,
        max_rows: None,
        max_record_bytes: None,
        format,
        row_group_rows: 50,
        parquet_compression: ParquetCompression::Snappy,
        folder: &folder.path().join("shards"),
        name_prefix: "shard-".into(),
        quarantine: &folder.path().join("bad.jsonl"),
    };
    let mut shards = Vec::new();
    let totals = write_shards(
        &job,
        &mut |s| {
            shards.push(predict(&s));
            Ok(())
        },
        &(),
    )
    .unwrap();
    assert!(totals.shards > 3);
    let kept: Vec<u64> = (0..600)
        .filter(|i| i % 300 % 37 != 11)
        .map(|i| i / 300 * 1000 + i % 300)
        .collect();
    assert_eq!(totals.rows_accepted, kept.len() as u64);
    assert_eq!(totals.rows_source, 600);

    let columns = [
        OutputColumn::Source {
            name: "id".into(),
            from: "id".into(),
        },
        OutputColumn::Source {
            name: "name".into(),
            from: "name".into(),
        },
        OutputColumn::Prediction {
            name: "score".into(),
            index: 0,
            column_type: ColumnType::Int64,
        },
    ];
    let out = tempfile::tempdir().unwrap();
    let job = AssembleJob {
        answers: Default::default(),
        shards: &shards,
        columns: &columns,
        format: OutputFormat::Csv {
            header: false,
            compression: Compression::None,
        },
        folder: out.path(),
        rows_per_part: 250,
        threads: 2,
    };
    let done = assemble(&job, &()).unwrap();
    assert_eq!((done.rows, done.parts.len()), (kept.len() as u64, 3));
    let text: String = done
        .parts
        .iter()
        .map(|p| std::fs::read_to_string(&p.path).unwrap())
        .collect();
    let name = |id: u64| {
        if (id % 1000).is_multiple_of(5) {
            String::new()
        } else {
            format!("\"n, {id}\"")
        }
    };
    let expected: String = kept
        .iter()
        .map(|&id| format!("{id},{},{id}\n", name(id)))
        .collect();
    assert_eq!(text, expected);
}
