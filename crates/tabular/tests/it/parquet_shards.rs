//! Parquet shards: the rows of CSV shards, never a file beyond the limit, the same bytes always.

use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, UInt64Type};
use arrow_array::{Array, RecordBatch};
use arrow_ipc::reader::FileReader;
use arrow_schema::DataType;
use gristmill_tabular::{
    BadReason, Compression, Format, Input, Layout, ParquetCompression, ScanOptions, SealedShard,
    ShardJob, ShardTotals, TabularError, scan::scan, write_shards,
};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use proptest::prelude::*;
use sha2::{Digest, Sha256};

use crate::reading::{LENIENT, input, named, options};

/// What differs between the cuts of one table.
#[derive(Clone, Debug)]
struct Cut {
    select: Vec<String>,
    format: Format,
    max_bytes: u64,
    max_rows: Option<u64>,
    row_group_rows: usize,
    codec: ParquetCompression,
    threads: usize,
    block_bytes: usize,
    /// The cutter is stopped after so many shards.
    stop_after: Option<usize>,
}

impl Cut {
    fn of(select: &[&str]) -> Cut {
        Cut {
            select: select.iter().map(|s| (*s).to_owned()).collect(),
            format: Format::PARQUET,
            max_bytes: u64::MAX,
            max_rows: None,
            row_group_rows: 1000,
            codec: ParquetCompression::Snappy,
            threads: 1,
            block_bytes: 1 << 20,
            stop_after: None,
        }
    }
}

type Outcome = Result<(ShardTotals, Vec<SealedShard>), TabularError>;

fn shards(inputs: &[Input], cut: &Cut, folder: &Path) -> Outcome {
    let scan_options = ScanOptions {
        on_bad_row: LENIENT,
        threads: cut.threads,
        block_bytes: cut.block_bytes,
        ..options()
    };
    let found = scan(inputs, &scan_options, &())?;
    let quarantine = folder.join("bad.jsonl");
    let job = ShardJob {
        inputs,
        scan: &scan_options,
        schema: &found.schema,
        select: cut.select.clone(),
        sidecar: vec![cut.select[0].clone()],
        null: String::new(),
        max_bytes: cut.max_bytes,
        max_rows: cut.max_rows,
        max_record_bytes: None,
        format: cut.format,
        row_group_rows: cut.row_group_rows,
        parquet_compression: cut.codec,
        folder,
        name_prefix: "s-".into(),
        quarantine: &quarantine,
    };
    let mut sealed = Vec::new();
    let mut on_sealed = |shard| {
        if cut.stop_after == Some(sealed.len()) {
            return Err(TabularError::Cancelled);
        }
        sealed.push(shard);
        Ok(())
    };
    let totals = write_shards(&job, &mut on_sealed, &())?;
    Ok((totals, sealed))
}

/// All rows of a Parquet file, and the rows of each of its row groups.
fn read(path: &Path) -> (Vec<RecordBatch>, Vec<i64>) {
    let file = std::fs::File::open(path).unwrap();
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let groups = builder.metadata().row_groups().iter();
    let groups = groups.map(|g| g.num_rows()).collect();
    (
        builder.build().unwrap().map(Result::unwrap).collect(),
        groups,
    )
}

/// Cells of a batch as a CSV shard has them; a null is nothing.
fn cells(batch: &RecordBatch) -> Vec<Vec<String>> {
    let cell = |column: &dyn Array, row: usize| match column.data_type() {
        _ if column.is_null(row) => String::new(),
        DataType::Int64 => column.as_primitive::<Int64Type>().value(row).to_string(),
        DataType::Float64 => column.as_primitive::<Float64Type>().value(row).to_string(),
        DataType::Utf8 => column.as_string::<i32>().value(row).to_owned(),
        other => panic!("{other}"),
    };
    let columns = batch.columns();
    (0..batch.num_rows())
        .map(|row| columns.iter().map(|c| cell(c, row)).collect())
        .collect()
}

fn rows(sealed: &[SealedShard]) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    for shard in sealed {
        let before = all.len();
        read(&shard.path)
            .0
            .iter()
            .for_each(|b| all.extend(cells(b)));
        assert_eq!((all.len() - before) as u64, shard.rows);
    }
    all
}

/// Ordinal and record of every row of the sidecars.
fn places(sealed: &[SealedShard]) -> Vec<(u64, u64)> {
    let mut all: Vec<(u64, u64)> = Vec::new();
    for shard in sealed {
        let before = all.len();
        let file = std::fs::File::open(&shard.sidecar_path).unwrap();
        for batch in FileReader::try_new(file, None).unwrap().map(Result::unwrap) {
            let column = |i| {
                batch
                    .column(i)
                    .as_primitive::<UInt64Type>()
                    .values()
                    .to_vec()
            };
            all.extend(column(0).into_iter().zip(column(2)));
        }
        assert_eq!((all.len() - before) as u64, shard.rows);
        assert_eq!(all[before].0, shard.first_ordinal);
    }
    all
}

fn hashes(sealed: &[SealedShard]) -> Vec<(String, String)> {
    let both = |s: &SealedShard| (s.sha256.clone(), s.sidecar_sha256.clone());
    sealed.iter().map(both).collect()
}

/// A table of numbers and short texts.
fn table(rows: usize) -> String {
    let mut text = String::from("id,x,city\n");
    for i in 0..rows {
        let noise = (i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
        text += &format!("{i},{}.5,city {}\n", noise, noise % 40);
    }
    text
}

#[test]
fn parquet_shards_hold_the_rows_of_csv_shards() {
    let folder = tempfile::tempdir().unwrap();
    // A ragged row, which shifts nobody; nulls; quotes; a null that is a text for a string.
    let text = table(5_000) + "5000,1.5\n,,\n5002,0.25,\"a \"\"b\"\", c\"\n5003,,NA\n";
    let inputs = [input(&text)];
    let cut = Cut {
        max_bytes: 20_000,
        row_group_rows: 300,
        ..Cut::of(&["city", "id", "x"])
    };
    let (totals, sealed) = shards(&inputs, &cut, folder.path()).unwrap();
    assert_eq!((totals.rows_source, totals.rows_accepted), (5_004, 5_003));
    assert!(totals.shards > 3 && totals.shards as usize == sealed.len());
    assert_eq!(sealed[0].name, "s-00000.parquet");
    for shard in &sealed {
        let bytes = std::fs::read(&shard.path).unwrap();
        assert_eq!(shard.bytes, bytes.len() as u64);
        assert_eq!(shard.longest_record, shard.bytes);
        assert_eq!(shard.sha256, hex::encode(Sha256::digest(&bytes)));
        assert!(shard.bytes <= 20_000, "{} bytes", shard.bytes);
    }
    let other = tempfile::tempdir().unwrap();
    let as_csv = Cut {
        format: Format::CSV,
        ..cut
    };
    let (_, lines) = shards(&inputs, &as_csv, other.path()).unwrap();
    let mut expected: Vec<Vec<String>> = Vec::new();
    for shard in &lines {
        let mut reader = csv::ReaderBuilder::new();
        let mut reader = reader.has_headers(false).from_path(&shard.path).unwrap();
        let records = reader.records().map(Result::unwrap);
        expected.extend(records.map(|r| r.iter().map(str::to_owned).collect()));
    }
    assert_eq!(rows(&sealed), expected);
    assert_eq!(places(&sealed), places(&lines));
}

#[test]
fn shards_are_well_filled() {
    let folder = tempfile::tempdir().unwrap();
    let cut = Cut {
        max_bytes: 60_000,
        ..Cut::of(&["id", "x", "city"])
    };
    let (_, sealed) = shards(&[input(&table(40_000))], &cut, folder.path()).unwrap();
    assert!(sealed.len() > 3);
    for shard in &sealed[..sealed.len() - 1] {
        assert!(shard.bytes > 40_000, "{} bytes", shard.bytes);
    }
}

#[test]
fn rows_close_shards_and_row_groups() {
    let folder = tempfile::tempdir().unwrap();
    let cut = Cut {
        max_rows: Some(300),
        row_group_rows: 128,
        ..Cut::of(&["id"])
    };
    let (_, sealed) = shards(&[input(&table(1_000))], &cut, folder.path()).unwrap();
    let found: Vec<Vec<i64>> = sealed.iter().map(|s| read(&s.path).1).collect();
    assert_eq!(
        found,
        [
            vec![128, 128, 44],
            vec![128, 128, 44],
            vec![128, 128, 44],
            vec![100]
        ]
    );
}

#[test]
fn row_groups_too_large_for_a_shard_are_halved() {
    let names: Vec<String> = (0..60).map(|i| format!("c{i}")).collect();
    let row = |r: u64| {
        (0..60)
            .map(|c| cell(0, r * 60 + c))
            .collect::<Vec<_>>()
            .join(",")
    };
    let rows: Vec<String> = (0..4).map(row).collect();
    let text = format!("{}\n{}\n", names.join(","), rows.join("\n"));
    let select: Vec<&str> = names.iter().map(String::as_str).collect();
    let rows_with = |max_bytes| -> Vec<u64> {
        let folder = tempfile::tempdir().unwrap();
        let cut = Cut {
            max_bytes,
            ..Cut::of(&select)
        };
        let (_, sealed) = shards(&[input(&text)], &cut, folder.path()).unwrap();
        sealed.iter().map(|s| s.rows).collect()
    };
    let folder = tempfile::tempdir().unwrap();
    let (_, whole) = shards(&[input(&text)], &Cut::of(&select), folder.path()).unwrap();
    let bytes = whole[0].bytes;
    // Offsets near the start of a file are shorter than the bound takes them to be.
    assert_eq!(rows_with(bytes + 1_000), [4]);
    assert_eq!(rows_with(bytes - 1), [2, 2]);
}

#[test]
fn newlines_in_cells_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let (totals, sealed) = shards(
        &[input("a,b\n1,\"x\ny\"\n2,z\n")],
        &Cut::of(&["b"]),
        folder.path(),
    )
    .unwrap();
    assert_eq!(rows(&sealed), [["x\ny"], ["z"]]);
    assert!(totals.quarantined.is_empty());
}

#[test]
fn rows_too_long_are_set_aside_or_end_it() {
    let folder = tempfile::tempdir().unwrap();
    let noise: String = (0..300)
        .map(|i: u32| hex::encode(Sha256::digest(i.to_le_bytes())))
        .collect();
    let (long, short) = (&noise[..5_000], &noise[..1_900]);
    let text = format!("a,b\n1,x\n2,{long}\n3,y\n4,{short}\n");
    let inputs = [named("one.csv", text.as_bytes())];
    let cut = Cut {
        max_bytes: 4_000,
        codec: ParquetCompression::None,
        ..Cut::of(&["b"])
    };
    let (totals, sealed) = shards(&inputs, &cut, folder.path()).unwrap();
    assert_eq!(
        totals.quarantined.into_iter().collect::<Vec<_>>(),
        [(BadReason::TooLong, 1)]
    );
    assert_eq!(places(&sealed), [(0, 1), (1, 3), (2, 4)]);
    let tight = Cut {
        max_bytes: 2_000,
        ..cut
    };
    let error = shards(&inputs, &tight, folder.path()).unwrap_err();
    let TabularError::RowTooLarge {
        ref file,
        record,
        bytes,
        limit,
    } = error
    else {
        panic!("{error}")
    };
    assert_eq!((file.as_str(), record, limit), ("one.csv", 4, 2_000));
    let words = format!(
        "one.csv: record 4 alone makes a Parquet shard of {bytes} bytes, more than the limit of \
         2000: raise shards.max_bytes, or select fewer or shorter columns"
    );
    assert_eq!(error.to_string(), words);
}

#[test]
fn what_is_not_written_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |cut: Cut| {
        shards(&[input("a,b\n1,x\n")], &cut, folder.path())
            .unwrap_err()
            .to_string()
    };
    insta::assert_snapshot!(refused(Cut::of(&["a", "b", "a"])), @r#"select: column "a" is there twice, which a parquet shard cannot hold"#);
    let no_rows = Cut {
        row_group_rows: 0,
        ..Cut::of(&["a"])
    };
    insta::assert_snapshot!(refused(no_rows), @"a row group needs at least one row: row_group_rows is 0");
}

#[test]
fn every_wrapper_of_csv_is_written() {
    let folder = tempfile::tempdir().unwrap();
    for &compression in Compression::ALL {
        let cut = Cut {
            format: Format::text(Layout::Csv, compression),
            ..Cut::of(&["b", "a"])
        };
        let (_, sealed) = shards(&[input("a,b\n1,x\n2,y\n")], &cut, folder.path()).unwrap();
        assert_eq!(
            sealed[0].name,
            format!("s-00000.csv{}", compression.extension())
        );
        let stored = std::fs::File::open(&sealed[0].path).unwrap();
        let mut text = gristmill_tabular::decompress(compression, Box::new(stored));
        assert_eq!(std::io::read_to_string(&mut text).unwrap(), "x,1\ny,2\n");
    }
}

#[test]
fn a_cut_that_was_killed_gives_the_same_bytes_again() {
    let inputs = [input(&table(9_000))];
    let cut = Cut {
        max_bytes: 30_000,
        threads: 2,
        row_group_rows: 700,
        ..Cut::of(&["x", "city"])
    };
    let clean = tempfile::tempdir().unwrap();
    let (_, expected) = shards(&inputs, &cut, clean.path()).unwrap();
    assert!(expected.len() > 2);
    let folder = tempfile::tempdir().unwrap();
    let killed = Cut {
        stop_after: Some(1),
        ..cut.clone()
    };
    assert!(matches!(
        shards(&inputs, &killed, folder.path()),
        Err(TabularError::Cancelled)
    ));
    let (_, repeated) = shards(
        &inputs,
        &Cut {
            block_bytes: 999,
            ..cut
        },
        folder.path(),
    )
    .unwrap();
    assert_eq!(hashes(&repeated), hashes(&expected));
}

/// Cells of a kind of column: numbers, few texts, texts of any length, nulls.
fn cell(kind: usize, seed: u64) -> String {
    let noise = Sha256::digest(seed.to_le_bytes());
    let n = u64::from(u32::from_le_bytes([noise[0], noise[1], noise[2], noise[3]]));
    match kind {
        0 => n.to_string(),
        1 => format!("{}.25", n % 1000),
        2 => format!("kind {}", n % 3),
        3 if n.is_multiple_of(5) => hex::encode(noise).repeat(1 + (n / 5 % 12) as usize),
        3 => "long".repeat((n % 90) as usize),
        _ => {
            if n.is_multiple_of(3) {
                n.to_string()
            } else {
                String::new()
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn no_shard_is_too_large_and_bytes_depend_on_rows_alone(
        kinds in proptest::collection::vec(0usize..5, 1..24),
        row_count in 1usize..120,
        seed in any::<u32>(),
        per_column in 180u64..3_000,
        max_rows in proptest::option::of(10u64..150),
        row_group_rows in 1usize..150,
        codec in prop::sample::select(vec![
            ParquetCompression::Snappy, ParquetCompression::Zstd,
            ParquetCompression::Gzip, ParquetCompression::None,
        ]),
        threads in 2usize..9,
        block_bytes in 50usize..5_000,
    ) {
        let names: Vec<String> = (0..kinds.len()).map(|i| format!("c{i}")).collect();
        let mut text = format!("row,{}\n", names.join(","));
        for row in 0..row_count {
            let cells = kinds.iter().enumerate();
            let cells = cells.map(|(i, &k)| cell(k, u64::from(seed) + (row * 31 + i) as u64));
            text += &format!("{row},{}\n", cells.collect::<Vec<_>>().join(","));
        }
        let inputs = [input(&text)];
        let whole = Cut { codec, ..Cut::of(&[]) };
        let whole = Cut { select: std::iter::once("row".to_owned()).chain(names).collect(), ..whole };
        let reference = tempfile::tempdir().unwrap();
        let (_, one) = shards(&inputs, &whole, reference.path()).unwrap();
        prop_assert_eq!(one.len(), 1);

        let max_bytes = 700 + per_column * kinds.len() as u64;
        let cut = Cut { max_bytes, max_rows, row_group_rows, ..whole.clone() };
        let folder = tempfile::tempdir().unwrap();
        let first = shards(&inputs, &cut, folder.path());
        let many = Cut { threads, block_bytes, ..cut };
        let other = tempfile::tempdir().unwrap();
        let again = shards(&inputs, &many, other.path());
        match (first, again) {
            (Ok((totals, sealed)), Ok((_, repeated))) => {
                prop_assert_eq!(hashes(&sealed), hashes(&repeated));
                prop_assert!(sealed.iter().all(|s| s.bytes <= max_bytes));
                prop_assert!(sealed.iter().all(|s| s.rows <= max_rows.unwrap_or(u64::MAX)));
                if totals.quarantined.is_empty() {
                    prop_assert_eq!(rows(&sealed), rows(&one));
                    prop_assert_eq!(places(&sealed), places(&one));
                }
            }
            (Err(TabularError::RowTooLarge { record, bytes, limit, .. }), Err(error)) => {
                prop_assert!(bytes > limit && limit == max_bytes);
                let same = matches!(error, TabularError::RowTooLarge { record: r, .. } if r == record);
                prop_assert!(same, "{}", error);
                // The row alone, without a limit: its file is about as large as was said.
                let lines: Vec<&str> = text.lines().collect();
                let alone = [input(&format!("{}\n{}\n", lines[0], lines[record as usize]))];
                let (_, alone) = shards(&alone, &whole, folder.path()).unwrap();
                // Types and dictionaries of one row alone may be others than those of the table.
                let slack = 64 + 60 * kinds.len() as u64;
                prop_assert!(alone[0].bytes + slack >= bytes, "{} and {}", alone[0].bytes, bytes);
            }
            (first, again) => prop_assert!(false, "{:?} {:?}", first, again),
        }
    }
}
