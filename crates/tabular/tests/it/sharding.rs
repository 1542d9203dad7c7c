//! Shards and their sidecars: every accepted row once, in order, whatever the cut.

use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, UInt32Type, UInt64Type};
use arrow_ipc::reader::FileReader;
use gristmill_tabular::{
    BadReason, Compression, DEFAULT_ROW_GROUP_ROWS, Format, Input, Layout, OnBadRow,
    ParquetCompression, ScanOptions, SealedShard, ShardJob, ShardTotals, TabularError, scan::scan,
    write_shards,
};
use proptest::prelude::*;
use sha2::{Digest, Sha256};

use crate::reading::{LENIENT, input, named, options};

/// What differs between the shards of one test.
#[derive(Clone)]
struct Cut {
    select: &'static [&'static str],
    null: &'static str,
    max_bytes: u64,
    max_rows: Option<u64>,
    max_record_bytes: Option<u64>,
    format: Format,
    row_group_rows: usize,
    codec: ParquetCompression,
}

const CUT: Cut = Cut {
    select: &["b", "a"],
    null: "",
    max_bytes: 1 << 20,
    max_rows: None,
    max_record_bytes: None,
    format: Format::CSV,
    row_group_rows: DEFAULT_ROW_GROUP_ROWS,
    codec: ParquetCompression::Snappy,
};

type Outcome = Result<(ShardTotals, Vec<SealedShard>), TabularError>;

fn shards(inputs: &[Input], scan_options: &ScanOptions, cut: &Cut, folder: &Path) -> Outcome {
    let found = scan(inputs, scan_options, &()).unwrap();
    let quarantine = folder.join("bad.jsonl");
    let job = ShardJob {
        inputs,
        scan: scan_options,
        schema: &found.schema,
        select: cut.select.iter().map(|s| (*s).to_owned()).collect(),
        sidecar: vec!["a".into()],
        null: cut.null.into(),
        max_bytes: cut.max_bytes,
        max_rows: cut.max_rows,
        max_record_bytes: cut.max_record_bytes,
        format: cut.format,
        row_group_rows: cut.row_group_rows,
        parquet_compression: cut.codec,
        folder,
        name_prefix: "s-".into(),
        quarantine: &quarantine,
    };
    let mut sealed = Vec::new();
    let totals = write_shards(
        &job,
        &mut |shard| {
            sealed.push(shard);
            Ok(())
        },
        &(),
    )?;
    Ok((totals, sealed))
}

fn text_of(shards: &[SealedShard]) -> String {
    shards
        .iter()
        .map(|s| std::fs::read_to_string(&s.path).unwrap())
        .collect()
}

/// Ordinal, file, record and `a` of every row.
fn places(shards: &[SealedShard]) -> Vec<(u64, u32, u64, Option<i64>)> {
    let mut all = Vec::new();
    for shard in shards {
        let before = all.len();
        let reader =
            FileReader::try_new(std::fs::File::open(&shard.sidecar_path).unwrap(), None).unwrap();
        for batch in reader {
            let batch = batch.unwrap();
            let (ordinals, files, records, a) = (
                batch.column(0).as_primitive::<UInt64Type>(),
                batch.column(1).as_primitive::<UInt32Type>(),
                batch.column(2).as_primitive::<UInt64Type>(),
                batch.column(3).as_primitive::<Int64Type>(),
            );
            for row in 0..batch.num_rows() {
                let value = arrow_array::Array::is_valid(a, row).then(|| a.value(row));
                all.push((
                    ordinals.value(row),
                    files.value(row),
                    records.value(row),
                    value,
                ));
            }
        }
        assert_eq!((all.len() - before) as u64, shard.rows);
        assert_eq!(all[before].0, shard.first_ordinal);
    }
    all
}

fn quarantined(folder: &Path) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(folder.join("bad.jsonl")).unwrap();
    text.lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect()
}

#[test]
fn cells_keep_their_own_text() {
    let folder = tempfile::tempdir().unwrap();
    let text = "a,b\r\n1,1.50\r\nNA,\"x, y\"\r\n3,5\" disk\r\n4,\"say \"\"hi\"\"\"\r\n5,\"plain\"\r\n6,\r\n7,\"\"\r\n8,NA";
    let (totals, sealed) = shards(&[input(text)], &options(), &CUT, folder.path()).unwrap();
    assert_eq!(
        text_of(&sealed),
        "1.50,1\n\"x, y\",\n\"5\"\" disk\",3\n\"say \"\"hi\"\"\",4\nplain,5\n,6\n\"\",7\nNA,8\n"
    );
    assert_eq!(
        (totals.rows_source, totals.rows_accepted, totals.shards),
        (8, 8, 1)
    );
    assert_eq!(sealed[0].longest_record, 15);
    assert_eq!(sealed[0].name, "s-00000.csv");
    let bytes = std::fs::read(&sealed[0].path).unwrap();
    assert_eq!(
        (sealed[0].bytes, &sealed[0].sha256),
        (bytes.len() as u64, &hex::encode(Sha256::digest(&bytes)))
    );
    let sidecar = std::fs::read(&sealed[0].sidecar_path).unwrap();
    assert_eq!(
        sealed[0].sidecar_sha256,
        hex::encode(Sha256::digest(&sidecar))
    );
    assert_eq!(places(&sealed)[1], (1, 0, 2, None));
    assert!(!folder.path().join("bad.jsonl").exists());
}

#[test]
fn a_text_that_reads_like_null_is_quoted() {
    let folder = tempfile::tempdir().unwrap();
    let cut = Cut {
        null: "NA",
        select: &["b"],
        ..CUT
    };
    let (_, sealed) = shards(
        &[input("a,b\n1,\n2,NA\n3,\"\"\n")],
        &options(),
        &cut,
        folder.path(),
    )
    .unwrap();
    assert_eq!(text_of(&sealed), "NA\n\"NA\"\n\"\"\n");
}

#[test]
fn a_lone_null_keeps_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let cut = Cut {
        select: &["b"],
        ..CUT
    };
    let (_, sealed) = shards(&[input("a,b\n1,\n2,x\n")], &options(), &cut, folder.path()).unwrap();
    assert_eq!(text_of(&sealed), "\"\"\nx\n");
}

#[test]
fn bad_rows_go_to_the_quarantine_and_shift_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let first = b"a,b\n1,x\n2\n3,\"l\nm\"\n4,y\n";
    let second = b"a,b\n5,\xff\n6,z\n7,a very long cell\n";
    let inputs = [named("one.csv", first), named("two.csv", second)];
    let scan_options = ScanOptions {
        on_bad_row: LENIENT,
        ..options()
    };
    let cut = Cut {
        max_record_bytes: Some(12),
        ..CUT
    };
    let (totals, sealed) = shards(&inputs, &scan_options, &cut, folder.path()).unwrap();
    assert_eq!(text_of(&sealed), "x,1\ny,4\nz,6\n");
    assert_eq!(
        places(&sealed),
        [(0, 0, 1, Some(1)), (1, 0, 4, Some(4)), (2, 1, 2, Some(6))]
    );
    let counts: Vec<_> = totals.quarantined.into_iter().collect();
    assert_eq!(
        counts,
        [
            (BadReason::Ragged, 1),
            (BadReason::Encoding, 1),
            (BadReason::Newline, 1),
            (BadReason::TooLong, 1)
        ]
    );
    let kept = quarantined(folder.path());
    insta::assert_snapshot!(kept[1], @r#"{"file":"one.csv","line":4,"record":3,"byte":10,"column":"b","reason":"newline","expected":"a cell without a line end, as rows are split at them","found":"\"l\\nm\"","raw":"3,\"l\nm\""}"#);
    insta::assert_snapshot!(kept[2], @r#"{"file":"two.csv","line":2,"record":1,"byte":4,"column":null,"reason":"encoding","expected":"UTF-8","found":"byte 0xff after \"5,\"","raw_hex":"352cff"}"#);
    insta::assert_snapshot!(kept[3], @r#"{"file":"two.csv","line":4,"record":3,"byte":12,"column":null,"reason":"too_long","expected":"a row of at most 12 bytes with its line end","found":"19 bytes","raw":"7,a very long cell"}"#);
}

#[test]
fn without_a_quarantine_a_newline_ends_it() {
    let folder = tempfile::tempdir().unwrap();
    let error = shards(
        &[input("a,b\n1,\"x\ny\"\n")],
        &options(),
        &CUT,
        folder.path(),
    )
    .unwrap_err();
    insta::assert_snapshot!(error, @r#"a.csv:2: record 1 (byte 4), column "b": expected a cell without a line end, as rows are split at them, found "x\ny""#);
    // A newline in a column that the model does not get is no trouble.
    let cut = Cut {
        select: &["a"],
        ..CUT
    };
    let (_, sealed) = shards(
        &[input("a,b\n1,\"x\ny\"\n")],
        &options(),
        &cut,
        folder.path(),
    )
    .unwrap();
    assert_eq!(text_of(&sealed), "1\n");
}

#[test]
fn the_limit_holds_for_what_sharding_finds() {
    let folder = tempfile::tempdir().unwrap();
    let on_bad_row = OnBadRow::Quarantine {
        max_ratio: None,
        max_rows: Some(1),
    };
    let scan_options = ScanOptions {
        on_bad_row,
        ..options()
    };
    let text = "a,b\n1,\"x\ny\"\n2,z\n3,\"\n\"\n";
    let error = shards(&[input(text)], &scan_options, &CUT, folder.path()).unwrap_err();
    assert!(
        matches!(
            error,
            TabularError::TooManyBadRows {
                bad: 2,
                total: 3,
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(quarantined(folder.path()).len(), 2);
}

#[test]
fn shards_are_cut_at_rows_by_bytes_and_rows() {
    let folder = tempfile::tempdir().unwrap();
    let text = "a,b\n1,x\n2,yy\n3,z\n4,w\n5,v\n";
    let sizes = |cut: &Cut| -> Vec<(u64, u64)> {
        let (_, sealed) = shards(&[input(text)], &options(), cut, folder.path()).unwrap();
        sealed.iter().map(|s| (s.rows, s.bytes)).collect()
    };
    assert_eq!(
        sizes(&Cut {
            max_bytes: 9,
            ..CUT
        }),
        [(2, 9), (2, 8), (1, 4)]
    );
    assert_eq!(
        sizes(&Cut {
            max_bytes: 9,
            max_rows: Some(1),
            ..CUT
        }),
        [(1, 4), (1, 5), (1, 4), (1, 4), (1, 4)]
    );
}

#[test]
fn compressed_shards_hold_the_same_text() {
    let folder = tempfile::tempdir().unwrap();
    let cut = Cut {
        format: Format::text(Layout::Csv, Compression::Gzip),
        ..CUT
    };
    let (_, sealed) = shards(&[input("a,b\n1,x\n2,y\n")], &options(), &cut, folder.path()).unwrap();
    assert_eq!(sealed[0].name, "s-00000.csv.gz");
    let stored = std::fs::File::open(&sealed[0].path).unwrap();
    let mut text =
        gristmill_tabular::decompress(gristmill_tabular::Compression::Gzip, Box::new(stored));
    assert_eq!(std::io::read_to_string(&mut text).unwrap(), "x,1\ny,2\n");
}

#[test]
fn columns_that_are_not_there_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let cut = Cut {
        select: &["a", "c", "d"],
        ..CUT
    };
    let error = shards(&[input("a,b\n1,x\n")], &options(), &cut, folder.path()).unwrap_err();
    insta::assert_snapshot!(error, @r#"a.csv: no column named "c", "d"; the header has: "a", "b""#);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn any_cut_holds_the_same_rows(
        rows in proptest::collection::vec("[1-9][0-9]{0,2},([a-zé]{0,5}|\"[a,]{0,4}\"|x,y|\"q\nr\")", 1..40),
        max_rows in 1u64..12,
        max_bytes in 30u64..200,
        threads in 1usize..9,
        block_bytes in 1usize..200,
    ) {
        let text = format!("a,b\n1000,\n{}\n", rows.join("\n"));
        let folder = tempfile::tempdir().unwrap();
        let one = ScanOptions { on_bad_row: LENIENT, threads: 1, ..options() };
        let (whole, sealed) = shards(&[input(&text)], &one, &CUT, folder.path()).unwrap();
        let (expected, expected_places) = (text_of(&sealed), places(&sealed));
        let ordinals: Vec<u64> = expected_places.iter().map(|p| p.0).collect();
        prop_assert_eq!(ordinals, (0..whole.rows_accepted).collect::<Vec<_>>());

        let cut = Cut { max_rows: Some(max_rows), max_bytes, ..CUT };
        let many = ScanOptions { threads, block_bytes, ..one };
        let (totals, sealed) = shards(&[input(&text)], &many, &cut, folder.path()).unwrap();
        prop_assert_eq!(text_of(&sealed), expected);
        prop_assert_eq!(places(&sealed), expected_places);
        prop_assert_eq!(totals.rows_accepted, whole.rows_accepted);
        prop_assert!(sealed.iter().all(|s| s.rows <= max_rows && s.bytes <= max_bytes));

        // The same blocks on another number of threads: the same bytes, sidecars included.
        let again = ScanOptions { threads: 1, ..many };
        let other = tempfile::tempdir().unwrap();
        let (_, repeated) = shards(&[input(&text)], &again, &cut, other.path()).unwrap();
        let hashes = |s: &[SealedShard]| -> Vec<(String, String)> {
            s.iter().map(|s| (s.sha256.clone(), s.sidecar_sha256.clone())).collect()
        };
        prop_assert_eq!(hashes(&sealed), hashes(&repeated));
    }
}
