//! From every layout to every other: the same table comes back.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::RecordBatchReader as _;
use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Int8Type, Int32Type};
use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, DictionaryArray,
    Float32Array, Float64Array, Int32Array, Int64Array, LargeStringArray, ListArray, NullArray,
    RecordBatch, StringArray, TimestampMicrosecondArray, TimestampNanosecondArray, UInt64Array,
};
use arrow_schema::{DataType, Field, Schema};
use gristmill_tabular::{
    BadReason, ConvertJob, Converted, Format, Input, Label, LabelRule, OnBadRow, OnMissing,
    ScanOptions, TabularError, Target, convert::convert, inspect_parquet::inspect_parquet, scan,
};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use proptest::prelude::*;

use crate::reading::options;

fn job(from: &Path, to: &Path) -> ConvertJob {
    let format = Format::from_name(&to.to_string_lossy()).unwrap();
    let mut job = ConvertJob::new(
        vec![Input::file(from)],
        format,
        Target::File(to.to_path_buf()),
    );
    job.options = options();
    job
}

fn run(from: &Path, to: &Path) -> Result<Converted, TabularError> {
    convert(job(from, to), &())
}

fn batch_of(path: &Path) -> RecordBatch {
    let file = std::fs::File::open(path).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)
        .unwrap()
        .with_batch_size(1 << 20)
        .build()
        .unwrap();
    let schema = reader.schema();
    let batches: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
    arrow_select::concat::concat_batches(&schema, &batches).unwrap()
}

fn write_parquet(path: &Path, batch: &RecordBatch) {
    let file = std::fs::File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
}

const TABLE: &str = "id,code,score,flag,day,at,text\n\
1,007,0.5,true,2013-01-01,2013-01-01T05:00:00Z,plain\n\
2,010,-1e-7,false,2013-02-28,2013-01-01T06:30:00.25Z,\"a,b\"\n\
-3,,,,,,\n\
4,A,1e300,true,1999-12-31,2013-06-01T00:00:00Z,\"line\nbreak \"\"quoted\"\"\"\n\
5,B,12,false,2000-02-29,2013-06-01T00:00:00Z,\"\"\n\
6,C,0.1,true,2000-02-29,2013-06-01T00:00:00Z,\u{e9}\u{1f33e}\n";

#[test]
fn every_pair_of_formats_keeps_the_table() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: String| folder.path().join(name);
    let source = at("source.csv".into());
    std::fs::write(&source, TABLE).unwrap();
    let wanted = at("wanted.parquet".into());
    run(&source, &wanted).unwrap();
    let wanted = batch_of(&wanted);
    for from in Format::all() {
        let first = at(format!("from-{from}.{from}"));
        run(&source, &first).unwrap();
        for to in Format::all() {
            let second = at(format!("{from}-to-{to}.{to}"));
            let done = run(&first, &second).unwrap_or_else(|e| panic!("{from} to {to}: {e}"));
            assert_eq!(done.rows, 6, "{from} to {to}");
            let back = at(format!("{from}-{to}-back.parquet"));
            run(&second, &back).unwrap_or_else(|e| panic!("{from} to {to} and back: {e}"));
            assert_eq!(batch_of(&back), wanted, "{from} to {to}");
        }
    }
}

fn typed() -> RecordBatch {
    let dictionary: DictionaryArray<Int8Type> =
        vec![Some("x"), None, Some("x")].into_iter().collect();
    let columns: Vec<(&str, ArrayRef)> = vec![
        (
            "i32",
            Arc::new(Int32Array::from(vec![Some(1), None, Some(-7)])),
        ),
        ("u64", Arc::new(UInt64Array::from(vec![u64::MAX, 0, 1]))),
        (
            "f32",
            Arc::new(Float32Array::from(vec![Some(0.1), Some(f32::NAN), None])),
        ),
        (
            "f64",
            Arc::new(Float64Array::from(vec![0.1, f64::INFINITY, -0.0])),
        ),
        (
            "decimal",
            Arc::new(
                Decimal128Array::from(vec![Some(1230), None, Some(-5)])
                    .with_precision_and_scale(10, 2)
                    .unwrap(),
            ),
        ),
        (
            "ns",
            Arc::new(TimestampNanosecondArray::from(vec![
                Some(1_357_016_400_000_000_001),
                None,
                Some(0),
            ])),
        ),
        (
            "utc",
            Arc::new(
                TimestampMicrosecondArray::from(vec![1_357_016_400_500_000, 0, -1])
                    .with_timezone("UTC"),
            ),
        ),
        (
            "day",
            Arc::new(Date32Array::from(vec![Some(15_706), None, Some(-1)])),
        ),
        (
            "big",
            Arc::new(LargeStringArray::from(vec![Some("NA"), Some(""), None])),
        ),
        ("small", Arc::new(dictionary)),
        (
            "flag",
            Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)])),
        ),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true)))
        .unwrap()
}

#[test]
fn parquet_to_parquet_keeps_types_that_are_not_ours() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (
        folder.path().join("a.parquet"),
        folder.path().join("b.parquet"),
    );
    write_parquet(&from, &typed());
    let mut job = job(&from, &to);
    job.select = Some(vec![
        "small".into(),
        "decimal".into(),
        "ns".into(),
        "i32".into(),
    ]);
    job.rename = [("i32".to_owned(), "n".to_owned())].into();
    let done = convert(job, &()).unwrap();
    assert_eq!((done.rows, done.rows_source), (3, 3));
    let found = batch_of(&to);
    let expected = typed().project(&[9, 4, 5, 0]).unwrap();
    assert_eq!(found.columns(), expected.columns());
    let names: Vec<_> = found
        .schema()
        .fields()
        .iter()
        .map(|f| f.name().clone())
        .collect();
    assert_eq!(names, ["small", "decimal", "ns", "n"]);
}

#[test]
fn parquet_to_text_has_every_value() {
    let folder = tempfile::tempdir().unwrap();
    let from = folder.path().join("a.parquet");
    write_parquet(&from, &typed());
    let text = |name: &str| {
        let to = folder.path().join(name);
        run(&from, &to).unwrap();
        std::fs::read_to_string(&to).unwrap()
    };
    insta::assert_snapshot!(text("b.csv"), @r#"
    i32,u64,f32,f64,decimal,ns,utc,day,big,small,flag
    1,18446744073709551615,0.1,0.1,12.30,2013-01-01T05:00:00.000000001,2013-01-01T05:00:00.500Z,2013-01-01,NA,x,true
    ,0,NaN,inf,,,1970-01-01T00:00:00Z,,"",,
    -7,1,,-0.0,-0.05,1970-01-01T00:00:00,1969-12-31T23:59:59.999999Z,1969-12-31,,x,false
    "#);
    insta::assert_snapshot!(text("b.jsonl"), @r#"
    {"i32":1,"u64":18446744073709551615,"f32":0.1,"f64":0.1,"decimal":12.30,"ns":"2013-01-01T05:00:00.000000001","utc":"2013-01-01T05:00:00.500Z","day":"2013-01-01","big":"NA","small":"x","flag":true}
    {"i32":null,"u64":0,"f32":"NaN","f64":"Infinity","decimal":null,"ns":null,"utc":"1970-01-01T00:00:00Z","day":null,"big":"","small":null,"flag":null}
    {"i32":-7,"u64":1,"f32":null,"f64":-0.0,"decimal":-0.05,"ns":"1970-01-01T00:00:00","utc":"1969-12-31T23:59:59.999999Z","day":"1969-12-31","big":null,"small":"x","flag":false}
    "#);
}

#[test]
fn columns_without_a_text_are_named_and_can_be_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("a.parquet"), folder.path().join("b.csv"));
    let lists = ListArray::from_iter_primitive::<Int32Type, _, _>(vec![Some(vec![Some(1)]), None]);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from(vec![1, 2]))),
        ("tags", Arc::new(lists)),
    ];
    write_parquet(&from, &RecordBatch::try_from_iter(columns).unwrap());
    let error = run(&from, &to).unwrap_err().to_string();
    assert!(
        error.contains("tags (List(") && error.contains("drop"),
        "{error}"
    );
    assert!(!to.exists());
    let mut without = job(&from, &to);
    without.drop = vec!["tags".into()];
    convert(without, &()).unwrap();
    assert_eq!(std::fs::read_to_string(&to).unwrap(), "id\n1\n2\n");
}

#[test]
fn parquet_whose_columns_have_no_names_of_their_own_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("a.parquet"), folder.path().join("b.csv"));
    let one = || Arc::new(Int64Array::from(vec![1])) as ArrayRef;
    let field = |name: &str| Field::new(name, DataType::Int64, false);
    let twice = Schema::new(vec![field("a"), field("b"), field("a")]);
    let refused = |to: &Path| {
        let error = run(&from, to).unwrap_err();
        assert!(matches!(error, TabularError::Columns { .. }), "{error}");
        error
            .to_string()
            .replace(&from.display().to_string(), "a.parquet")
    };
    write_parquet(
        &from,
        &RecordBatch::try_new(Arc::new(twice), vec![one(), one(), one()]).unwrap(),
    );
    insta::assert_snapshot!(refused(&to), @r#"a.parquet: two columns are named "a", and columns go by their names: rename one where the file is written"#);
    // A copy of the columns goes by their names as well.
    assert_eq!(refused(&folder.path().join("b.parquet")), refused(&to));
    write_parquet(&from, &RecordBatch::new_empty(Arc::new(Schema::empty())));
    insta::assert_snapshot!(refused(&to), @"a.parquet: it has no columns");
}

#[test]
fn a_training_set_keeps_columns_that_are_no_text() {
    let folder = tempfile::tempdir().unwrap();
    let from = folder.path().join("a.parquet");
    let images = BinaryArray::from_vec(vec![b"\x89PNG\xff", b"\xff\xfe"]);
    let days = Date32Array::from(vec![i32::MAX, 0]);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("image", Arc::new(images.clone())),
        ("day", Arc::new(days.clone())),
        ("y", Arc::new(Int64Array::from(vec![1, 0]))),
    ];
    write_parquet(&from, &RecordBatch::try_from_iter(columns).unwrap());
    let to = folder.path().join("b.parquet");
    let mut labelled = job(&from, &to);
    labelled.label = Some(Label {
        column: "y".into(),
        rule: LabelRule::AsIs,
        on_missing: OnMissing::Drop,
    });
    assert_eq!(convert(labelled, &()).unwrap().rows, 2);
    let batch = batch_of(&to);
    assert_eq!(batch.column(1).as_binary::<i32>(), &images);
    assert_eq!(batch.column(2).as_primitive::<Date32Type>(), &days);
    // As text they are values that cannot be written.
    assert!(matches!(
        run(&from, &folder.path().join("b.csv")),
        Err(TabularError::BadRow(_))
    ));
}

#[test]
fn a_column_of_nothing_but_nulls_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("a.parquet"), folder.path().join("b.csv"));
    let columns: Vec<(&str, ArrayRef, bool)> = vec![
        ("id", Arc::new(Int64Array::from(vec![1, 2])), false),
        ("nothing", Arc::new(NullArray::new(2)), true),
    ];
    write_parquet(
        &from,
        &RecordBatch::try_from_iter_with_nullable(columns).unwrap(),
    );
    run(&from, &to).unwrap();
    assert_eq!(
        std::fs::read_to_string(&to).unwrap(),
        "id,nothing\n1,\n2,\n"
    );
}

#[test]
fn json_lines_without_keys_say_what_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("a.jsonl"), folder.path().join("b.csv"));
    let refused = |text: &str| {
        std::fs::write(&from, text).unwrap();
        let error = run(&from, &to).unwrap_err();
        error
            .to_string()
            .replace(&from.display().to_string(), "a.jsonl")
    };
    insta::assert_snapshot!(refused("\n[\n {\"a\": 1}\n]\n"), @r#"a.jsonl:2: record 1 (byte 1): expected a JSON object, found "[" (invalid type: sequence, expected an object at character 0)"#);
    insta::assert_snapshot!(refused("{\"a\": NaN}\n"), @r#"a.jsonl:1: record 1 (byte 0): expected a JSON object, found "{\"a\": NaN}" (expected value at character 7)"#);
    insta::assert_snapshot!(refused("{}\n{}\n"), @"a.jsonl: its objects have no keys, so there are no columns");
    insta::assert_snapshot!(refused(" \n\r\n"), @"a.jsonl: the file is empty: expected at least a line with a JSON object");
}

#[test]
fn damaged_parquet_is_an_error_that_names_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let (good, bad) = (
        folder.path().join("a.parquet"),
        folder.path().join("b.parquet"),
    );
    write_parquet(&good, &typed());
    let bytes = std::fs::read(&good).unwrap();
    let to = folder.path().join("c.csv");
    for step in 0..200 {
        let mut damaged = bytes.clone();
        let at = 4 + step * (bytes.len() - 4) / 200;
        damaged[at] ^= 0x5a;
        std::fs::write(&bad, &damaged).unwrap();
        let _ = std::fs::remove_file(&to);
        // Some bytes do not matter, or make another value: then there is a whole file.
        if let Err(error) = run(&bad, &to) {
            assert!(
                error.to_string().contains("b.parquet"),
                "byte {at}: {error}"
            );
            assert!(!to.exists());
        }
    }
    for cut in [0, 3, 4, 8, 100, bytes.len() - 1] {
        std::fs::write(&bad, &bytes[..cut]).unwrap();
        let error = run(&bad, &to).unwrap_err().to_string();
        assert!(error.contains("b.parquet"), "{cut}: {error}");
    }
}

/// A page's header with a field that nobody knows: a list of two thousand million numbers, most of them
/// behind the end of the file. To pass over them one by one takes half a minute.
#[test]
fn a_list_that_goes_on_behind_the_end_is_an_error_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    write_parquet(&path, &typed());
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[4..11].copy_from_slice(&[0x99, 0xf7, 0xff, 0xff, 0xff, 0xff, 0x07]);
    std::fs::write(&path, &bytes).unwrap();
    let converted = run(&path, &folder.path().join("b.csv")).map(|_| ());
    let shown = inspect_parquet(&path, 5).map(|_| ());
    for error in [converted.unwrap_err(), shown.unwrap_err()] {
        let error = error.to_string();
        let found = error.contains("a.parquet") && error.contains("a list of 2147483647 items");
        assert!(found, "{error}");
    }
}

/// Texts in DELTA_LENGTH_BYTE_ARRAY: how many there are is said again in the page, which a decoder believes
/// before it looks for the first.
#[test]
fn a_page_that_claims_more_texts_than_it_has_is_an_error_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["one", "two", "three"]));
    let batch = RecordBatch::try_from_iter([("a", texts)]).unwrap();
    let properties = parquet::file::properties::WriterProperties::builder()
        .set_dictionary_enabled(false)
        .set_encoding(parquet::basic::Encoding::DELTA_LENGTH_BYTE_ARRAY)
        .build();
    let file = std::fs::File::create(&path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    // A block of 128 in 4 miniblocks, of 3 lengths: said to be 67 thousand million. The page keeps its size.
    let sound = std::fs::read(&path).unwrap();
    let header = [0x80, 0x01, 0x04, 0x03];
    let at = sound.windows(4).position(|w| w == header).unwrap();
    for (lengths, said) in [
        (&[0x80, 0x80, 0x80, 0x80, 0x01][..], "268435456 lengths"),
        (&[0x80, 0x80, 0x80, 0x80, 0x80, 0x02], "68719476736 lengths"),
    ] {
        let mut bytes = sound.clone();
        bytes[at + 3..at + 3 + lengths.len()].copy_from_slice(lengths);
        std::fs::write(&path, &bytes).unwrap();
        let converted = run(&path, &folder.path().join("b.csv")).map(|_| ());
        let shown = inspect_parquet(&path, 5).map(|_| ());
        for error in [converted.unwrap_err(), shown.unwrap_err()] {
            let error = error.to_string();
            let found = error.contains("column \"a\": a page of 3 values") && error.contains(said);
            assert!(found, "{error}");
        }
    }
}

#[test]
fn lines_that_are_no_objects_are_quarantined_in_place() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("a.jsonl"), folder.path().join("b.csv"));
    std::fs::write(
        &from,
        "{\"a\":1,\"b\":\"x\"}\n\nnot json\n{\"b\":\"y\",\"c\":true}\n",
    )
    .unwrap();
    let error = run(&from, &to).unwrap_err().to_string();
    assert!(
        error.contains("a.jsonl:3: record 2 (byte 17): expected a JSON object"),
        "{error}"
    );
    let mut job = job(&from, &to);
    job.options.on_bad_row = OnBadRow::Quarantine {
        max_ratio: None,
        max_rows: None,
    };
    job.bad_rows = Some(folder.path().join("bad.jsonl"));
    let done = convert(job, &()).unwrap();
    assert_eq!((done.rows_source, done.rows), (3, 2));
    assert_eq!(done.quarantined[&BadReason::Json], 1);
    assert_eq!(
        std::fs::read_to_string(&to).unwrap(),
        "a,b,c\n1,x,\n,y,true\n"
    );
    let bad = std::fs::read_to_string(folder.path().join("bad.jsonl")).unwrap();
    assert!(
        bad.contains("\"line\":3") && bad.contains("\"raw\":\"not json\""),
        "{bad}"
    );
}

#[test]
fn json_keeps_its_tokens_and_its_types() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("a.jsonl"), folder.path().join("b.jsonl"));
    let text = "{\"id\":\"007\",\"x\":1.50,\"n\":{\"k\":[1,2]},\"s\":\"q\\\"\\u00e9\"}\n{\"s\":null,\"id\":\"1\"}\n";
    std::fs::write(&from, text).unwrap();
    let mut job = job(&from, &to);
    job.drop = vec!["x".into()];
    convert(job, &()).unwrap();
    insta::assert_snapshot!(std::fs::read_to_string(&to).unwrap(), @r#"
    {"id":"007","n":{"k":[1,2]},"s":"q\"é"}
    {"id":"1","n":null,"s":null}
    "#);
    let scanned = scan(&[Input::file(&from)], &ScanOptions::default(), &()).unwrap();
    let types: Vec<String> = scanned
        .schema
        .columns
        .iter()
        .map(|c| format!("{} {}", c.name, c.column_type))
        .collect();
    // Strings of digits stay text: that is what quotes mean in JSON.
    assert_eq!(types, ["id string", "x float64", "n string", "s string"]);
}

fn path(folder: &Path, name: &str) -> PathBuf {
    folder.join(name)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Cells of any text, in blocks of any size, over any number of threads.
    #[test]
    fn any_strings_come_through_json_and_parquet(
        rows in prop::collection::vec((any::<i64>(), prop::option::of(".{0,12}")), 1..40),
        block_bytes in 1usize..200,
        threads in 1usize..4,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let wanted = RecordBatch::try_from_iter_with_nullable(vec![
            ("n", Arc::new(Int64Array::from_iter_values(rows.iter().map(|r| r.0))) as ArrayRef, true),
            ("s", Arc::new(StringArray::from_iter(rows.iter().map(|r| r.1.clone()))) as ArrayRef, true),
        ]).unwrap();
        let source = path(folder.path(), "a.parquet");
        write_parquet(&source, &wanted);
        let through = |names: &[&str]| {
            let mut from = source.clone();
            for name in names {
                let to = path(folder.path(), name);
                let mut job = job(&from, &to);
                job.options.block_bytes = block_bytes;
                job.options.threads = threads;
                job.overwrite = true;
                if *name == "end.parquet" {
                    // Text that looks like a date would become one.
                    job.options.typing = gristmill_tabular::Typing::Contract(gristmill_tabular::Schema {
                        columns: vec![
                            gristmill_tabular::Column::new("n", gristmill_tabular::ColumnType::Int64),
                            gristmill_tabular::Column::new("s", gristmill_tabular::ColumnType::String),
                        ],
                    });
                }
                convert(job, &()).unwrap();
                from = to;
            }
            batch_of(&from)
        };
        for way in [&["b.jsonl", "end.parquet"][..], &["b.csv", "end.parquet"], &["b.jsonl", "c.csv", "d.jsonl", "end.parquet"], &["b.parquet", "c.csv", "end.parquet"]] {
            let found = through(way);
            prop_assert_eq!(found.columns(), wanted.columns(), "{:?}", way);
        }
    }
}
