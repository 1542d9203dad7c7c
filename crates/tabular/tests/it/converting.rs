//! Conversions: verbatim wrappers, canonical CSV, Parquet; whole or not at all.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use gristmill_tabular::inspect_wrapper::Framing;
use gristmill_tabular::{
    Column, ColumnType, Compression, ConvertJob, Converted, Format, Input, InspectOptions,
    Inspection, Layout, ScanOptions, Schema, TabularError, Target, Typing, compress,
    convert::convert, decompress, inspect::inspect,
};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use proptest::prelude::*;

use crate::reading::{LENIENT, input, named, options};

const CSV_GZ: Format = Format::text(Layout::Csv, Compression::Gzip);
const CSV_SZ: Format = Format::text(Layout::Csv, Compression::SnappyFramed);

fn job(inputs: Vec<Input>, to: Format, output: &Path) -> ConvertJob {
    let mut job = ConvertJob::new(inputs, to, Target::File(output.to_path_buf()));
    job.options = options();
    job
}

fn run(job: ConvertJob) -> Result<Converted, TabularError> {
    convert(job, &())
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn text_in(path: &Path) -> Vec<u8> {
    let name = path.display().to_string();
    let mut text = Vec::new();
    let file = std::fs::File::open(path).unwrap();
    decompress(Compression::from_name(&name), Box::new(file))
        .read_to_end(&mut text)
        .unwrap();
    text
}

fn canonical(text: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("o.csv");
    let mut job = job(vec![input(text)], Format::CSV, &path);
    job.canonical = true;
    run(job).unwrap();
    std::fs::read_to_string(path).unwrap()
}

fn batches(path: &Path) -> Vec<RecordBatch> {
    let file = std::fs::File::open(path).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)
        .unwrap()
        .build()
        .unwrap();
    reader.map(|b| b.unwrap()).collect()
}

#[test]
fn only_the_wrapper_changes_and_changes_back() {
    let text = "\u{feff}a;b\r\n\r\n1;\"x\n\"\"y\"\"\"\r2;  z \n\n3;é";
    let folder = tempfile::tempdir().unwrap();
    for (format, name) in [
        (Format::CSV, "o.csv"),
        (CSV_GZ, "o.csv.gz"),
        (CSV_SZ, "o.csv.sz"),
    ] {
        for block_bytes in [3, 1 << 20] {
            let mut job = job(vec![input(text)], format, &folder.path().join(name));
            job.options.dialect.delimiter = b';';
            job.options.block_bytes = block_bytes;
            job.overwrite = true;
            let converted = run(job).unwrap();
            assert_eq!(
                (
                    converted.rows_source,
                    converted.rows,
                    converted.files[0].rows
                ),
                (3, 3, 3)
            );
            assert_eq!(
                text_in(&folder.path().join(name)),
                text.as_bytes(),
                "{name}"
            );
        }
    }
    let mut back = job(
        vec![Input::file(folder.path().join("o.csv.sz"))],
        Format::CSV,
        &folder.path().join("b.csv"),
    );
    back.options.dialect.delimiter = b';';
    run(back).unwrap();
    assert_eq!(
        std::fs::read(folder.path().join("b.csv")).unwrap(),
        text.as_bytes()
    );
}

#[test]
fn bad_rows_are_taken_out_of_a_verbatim_copy() {
    let folder = tempfile::tempdir().unwrap();
    let text = "a,b\r\n1,2\r\n3\r\n\"4\",5\r\n6,\"7\"x\r\n8,\"9\n";
    for block_bytes in [1, 1 << 20] {
        let mut job = job(vec![input(text)], Format::CSV, &folder.path().join("o.csv"));
        job.options = ScanOptions {
            on_bad_row: LENIENT,
            block_bytes,
            ..options()
        };
        job.overwrite = true;
        job.bad_rows = Some(folder.path().join("bad.jsonl"));
        let converted = run(job).unwrap();
        assert_eq!((converted.rows_source, converted.rows), (5, 2));
        assert_eq!(
            std::fs::read_to_string(folder.path().join("o.csv")).unwrap(),
            "a,b\r\n1,2\r\n\"4\",5\r\n"
        );
        assert_eq!(
            std::fs::read_to_string(folder.path().join("bad.jsonl"))
                .unwrap()
                .lines()
                .count(),
            3
        );
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(folder.path().join("bad.jsonl"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[test]
fn canonical_text_is_plain() {
    let text = "\u{feff}\"a\",b\r\n\r\n\"1\",\r2,\"\"\n\n\"x,y\",\"l\nm\"\n5\" disk,NA";
    assert_eq!(
        canonical(text),
        "a,b\n1,\n2,\"\"\n\"x,y\",\"l\nm\"\n\"5\"\" disk\",NA\n"
    );
}

#[test]
fn columns_are_chosen_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("o.csv");
    let run_with = |change: &dyn Fn(&mut ConvertJob)| {
        let mut job = job(vec![input("a,b,c\n1,2,3\n")], Format::CSV, &path);
        job.overwrite = true;
        change(&mut job);
        run(job).map(|_| std::fs::read_to_string(&path).unwrap())
    };
    assert_eq!(
        run_with(&|j| j.select = Some(vec!["c".into(), "a".into()])).unwrap(),
        "c,a\n3,1\n"
    );
    assert_eq!(
        run_with(&|j| j.drop = vec!["b".into()]).unwrap(),
        "a,c\n1,3\n"
    );
    assert_eq!(
        run_with(&|j| j.rename = BTreeMap::from([("a".into(), "x y".into())])).unwrap(),
        "x y,b,c\n1,2,3\n"
    );
    assert_eq!(run_with(&|j| j.output_header = false).unwrap(), "1,2,3\n");
    insta::assert_snapshot!(run_with(&|j| j.drop = vec!["z".into()]).unwrap_err(), @r#"a.csv: no column named "z"; the header has: "a", "b", "c""#);
    insta::assert_snapshot!(run_with(&|j| j.rename = BTreeMap::from([("a".into(), "b".into())])).unwrap_err(), @r#"two columns of the output would be named "b""#);
}

#[test]
fn several_inputs_become_one_table() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("o.csv");
    let inputs = vec![
        input("a\n1\n"),
        named("b.csv", b"a\r\n2"),
        named("c.csv", b"a\n"),
    ];
    assert_eq!(run(job(inputs, Format::CSV, &path)).unwrap().rows, 2);
    assert_eq!(std::fs::read_to_string(path).unwrap(), "a\n1\n2\n");
}

#[test]
fn parquet_has_the_types_of_the_whole_input() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("o.parquet");
    let text = "n,f,s,d\n1,1.5,007,2024-01-01\nNA,2,\"\",\n3,-0,\"a\"\"b\n\",1969-12-31\n";
    let converted = run(job(vec![input(text)], Format::PARQUET, &path)).unwrap();
    assert_eq!((converted.rows, converted.files[0].rows), (3, 3));
    let batch = &batches(&path)[0];
    let n: Vec<_> = batch.column(0).as_primitive::<Int64Type>().iter().collect();
    assert_eq!(n, [Some(1), None, Some(3)]);
    let f: Vec<_> = batch
        .column(1)
        .as_primitive::<Float64Type>()
        .iter()
        .map(|v| v.unwrap().to_bits())
        .collect();
    assert_eq!(f, [1.5f64, 2.0, -0.0].map(f64::to_bits));
    let s: Vec<_> = batch.column(2).as_string::<i32>().iter().collect();
    assert_eq!(s, [Some("007"), Some(""), Some("a\"b\n")]);
    let d: Vec<_> = batch
        .column(3)
        .as_primitive::<arrow_array::types::Date32Type>()
        .iter()
        .collect();
    assert_eq!(d, [Some(19723), None, Some(-1)]);
}

#[test]
fn a_contract_gives_types_and_columns() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("o.parquet");
    let columns = vec![
        Column {
            nullable: false,
            ..Column::new("b", ColumnType::Float64)
        },
        Column::new("a", ColumnType::String),
    ];
    let mut job = job(
        vec![input("a,x,b\n007,?,1\n8,?,\n9,?,2\n")],
        Format::PARQUET,
        &path,
    );
    job.options = ScanOptions {
        typing: Typing::Contract(Schema { columns }),
        on_bad_row: LENIENT,
        ..options()
    };
    let converted = run(job).unwrap();
    assert_eq!((converted.rows_source, converted.rows), (3, 2));
    let schema = converted.schema.unwrap();
    assert_eq!(
        schema
            .columns
            .iter()
            .map(|c| c.name.as_str())
            .collect::<Vec<_>>(),
        ["a", "b"]
    );
    let batch = &batches(&path)[0];
    assert_eq!(
        batch.column(1).as_primitive::<Float64Type>().values(),
        &[1.0, 2.0]
    );
}

#[test]
fn parquet_bytes_do_not_depend_on_threads_or_blocks() {
    let folder = tempfile::tempdir().unwrap();
    let mut text = String::from("id,x,name\n");
    for i in 0..5000 {
        text.push_str(&format!(
            "{i},{}.{:02},\"n,{}\"\n",
            i % 17,
            i % 100,
            i % 300
        ));
    }
    let mut expected: Option<Vec<u8>> = None;
    for (threads, block_bytes) in [(1, 1 << 20), (2, 1000), (8, 50)] {
        let path = folder.path().join(format!("{threads}.parquet"));
        let mut job = job(vec![input(&text)], Format::PARQUET, &path);
        job.options = ScanOptions {
            threads,
            block_bytes,
            ..options()
        };
        job.row_group_rows = Some(1000);
        run(job).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        assert!(
            *expected.get_or_insert_with(|| bytes.clone()) == bytes,
            "{threads} threads"
        );
    }
}

#[test]
fn folders_are_filled_with_parts() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let parts = |to, max_rows, max_bytes| {
        let mut job = ConvertJob::new(
            vec![input("a\n1\n22\n3\n4\n5\n")],
            to,
            Target::Folder(out.clone()),
        );
        job.options = options();
        (job.max_rows, job.max_bytes, job.overwrite) = (max_rows, max_bytes, true);
        run(job).unwrap().files
    };
    let five = parts(Format::CSV, Some(1), None);
    assert_eq!(five.len(), 5);
    // A narrower run leaves no parts of a wider one behind.
    let two = parts(Format::CSV, Some(3), None);
    assert_eq!(two.iter().map(|p| p.rows).collect::<Vec<_>>(), [3, 2]);
    assert_eq!(names(&out), ["part-00000.csv", "part-00001.csv"]);
    assert_eq!(std::fs::read_to_string(&two[1].path).unwrap(), "a\n4\n5\n");
    let by_bytes = parts(Format::CSV, None, Some(7));
    assert_eq!(
        by_bytes
            .iter()
            .map(|p| (p.rows, p.bytes))
            .collect::<Vec<_>>(),
        [(2, 7), (2, 6), (1, 4)]
    );
    let parquet = parts(Format::PARQUET, Some(2), None);
    assert_eq!(
        parquet.iter().map(|p| p.rows).collect::<Vec<_>>(),
        [2, 2, 1]
    );
    assert_eq!(parquet[2].name, "part-00002.parquet");
}

#[test]
fn what_is_there_stays_unless_overwriting_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("o.csv");
    std::fs::write(&path, "old").unwrap();
    let error = run(job(vec![input("a\n1\n")], Format::CSV, &path)).unwrap_err();
    assert!(matches!(error, TabularError::OutputExists { path: p } if p == path));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "old");
    let mut into = ConvertJob::new(
        vec![input("a\n1\n")],
        Format::CSV,
        Target::Folder(folder.path().to_path_buf()),
    );
    into.options = options();
    assert!(matches!(run(into), Err(TabularError::OutputExists { .. })));
}

#[test]
fn failures_leave_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!("a,b\n{}1\n", "1,2\n".repeat(1000));
    for (to, name) in [
        (Format::CSV, "o.csv"),
        (CSV_SZ, "o.csv.sz"),
        (Format::PARQUET, "o.parquet"),
    ] {
        let mut job = job(vec![input(&text)], to, &folder.path().join(name));
        job.options.block_bytes = 100;
        assert!(matches!(run(job), Err(TabularError::BadRow(_))));
    }
    let mut parts = ConvertJob::new(
        vec![input(&text)],
        Format::CSV,
        Target::Folder(folder.path().join("out")),
    );
    (parts.options, parts.max_rows) = (
        ScanOptions {
            block_bytes: 100,
            ..options()
        },
        Some(10),
    );
    assert!(matches!(run(parts), Err(TabularError::BadRow(_))));
    assert_eq!(names(folder.path()), [""; 0]);
}

#[test]
fn a_truncated_input_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.csv.gz");
    let mut w = compress(
        Compression::Gzip,
        Box::new(std::fs::File::create(&path).unwrap()),
    );
    w.write_all("a,b\n1,2\n".repeat(1000).as_bytes()).unwrap();
    w.finish().unwrap();
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 3]).unwrap();
    let error = run(job(
        vec![Input::file(&path)],
        Format::CSV,
        &folder.path().join("o.csv"),
    ))
    .unwrap_err();
    assert!(
        matches!(&error, TabularError::Io { path: p, action: "read", .. } if *p == path),
        "{error}"
    );
    assert_eq!(names(folder.path()), ["a.csv.gz"]);
}

#[test]
fn a_header_alone_becomes_an_empty_table() {
    let folder = tempfile::tempdir().unwrap();
    let csv = folder.path().join("o.csv");
    assert_eq!(
        run(job(vec![input("a,b\n")], Format::CSV, &csv))
            .unwrap()
            .rows,
        0
    );
    assert_eq!(std::fs::read_to_string(&csv).unwrap(), "a,b\n");
    let parquet = folder.path().join("o.parquet");
    assert_eq!(
        run(job(vec![input("a,b\n")], Format::PARQUET, &parquet))
            .unwrap()
            .files[0]
            .rows,
        0
    );
    assert_eq!(
        batches(&parquet)
            .iter()
            .map(RecordBatch::num_rows)
            .sum::<usize>(),
        0
    );
    let error = run(job(
        vec![input("")],
        Format::CSV,
        &folder.path().join("e.csv"),
    ))
    .unwrap_err();
    assert!(matches!(error, TabularError::Empty { .. }));
}

#[test]
fn options_that_contradict_the_target_are_refused() {
    let path = PathBuf::from("never-written");
    let mut cut = job(vec![input("a\n")], Format::CSV, &path);
    cut.max_rows = Some(1);
    insta::assert_snapshot!(run(cut).unwrap_err(), @"max_rows and max_bytes cut the output into parts: name a folder as output");
    let mut bytes = ConvertJob::new(
        vec![input("a\n")],
        Format::PARQUET,
        Target::Folder(path.clone()),
    );
    bytes.max_bytes = Some(1);
    insta::assert_snapshot!(run(bytes).unwrap_err(), @"max_bytes does not limit Parquet parts: use max_rows");
    assert!(!path.exists());
}

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_stream_gets_the_rows_and_no_file_is_made() {
    let shared = Shared::default();
    let mut job = ConvertJob::new(
        vec![input("a\n1\n")],
        Format::CSV,
        Target::Writer(Box::new(shared.clone())),
    );
    job.options = options();
    let converted = run(job).unwrap();
    assert_eq!((converted.rows, converted.files.len()), (1, 0));
    assert_eq!(*shared.0.lock().unwrap(), b"a\n1\n");
}

#[test]
fn an_input_that_changes_between_passes_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let calls = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let open = move || -> std::io::Result<Box<dyn Read + Send>> {
        let call = calls.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        Ok(Box::new(std::io::Cursor::new(if call == 0 {
            "a\n1\n"
        } else {
            "a\n1\n2\n"
        })))
    };
    let changing = Input::new("a.csv", Format::CSV, Arc::new(open));
    let error = run(job(
        vec![changing],
        Format::PARQUET,
        &folder.path().join("o.parquet"),
    ))
    .unwrap_err();
    insta::assert_snapshot!(error, @"the input changed while it was read: the first pass saw 1 rows, the second 2");
    assert_eq!(names(folder.path()), [""; 0]);
}

#[test]
fn inspection_tells_dialect_types_and_bad_rows() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.csv.sz");
    let mut w = compress(
        Compression::SnappyFramed,
        Box::new(std::fs::File::create(&path).unwrap()),
    );
    w.write_all("id;name\n1;\"x;y\"\nNA;\"\"\n3;z\n4\n5;w\n".as_bytes())
        .unwrap();
    w.finish().unwrap();
    let Inspection::Csv(found) = inspect(&path, &InspectOptions::default(), &()).unwrap() else {
        panic!("not CSV")
    };
    let (dialect, confidence) = (found.dialect.unwrap(), found.confidence.unwrap());
    assert_eq!(
        (dialect.delimiter, dialect.header, found.rows),
        (b';', true, 5)
    );
    assert!(confidence > 0.6 && confidence < 1.0, "{confidence}");
    assert_eq!(
        found
            .schema
            .columns
            .iter()
            .map(|c| c.column_type.name())
            .collect::<Vec<_>>(),
        ["int64", "string"]
    );
    assert_eq!(
        found.first_rows[..2],
        [
            [Some("1".into()), Some("x;y".into())],
            [None, Some(String::new())]
        ]
    );
    assert_eq!(found.first_rows.len(), 4);
    assert!(matches!(&found.framing, Some(Framing::SnappyFramed(f)) if f.streams == 1));
    let bad = found.first_bad_row.clone().unwrap();
    assert!(
        bad.ends_with("a.csv.sz:5: record 4 (byte 26): expected 2 fields, found 1 field"),
        "{bad}"
    );
    let json = serde_json::to_value(Inspection::Csv(found)).unwrap();
    assert_eq!(
        (&json["format"], &json["bad_rows"]["ragged"]),
        (&"csv".into(), &1.into())
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn canonical_text_reads_as_the_same_cells(
        rows in proptest::collection::vec(proptest::collection::vec("[a,\"\n\r;é 1]{0,5}", 3), 1..10),
    ) {
        let mut writer = csv::WriterBuilder::new()
            .delimiter(b';')
            .quote_style(csv::QuoteStyle::Always)
            .from_writer(Vec::new());
        writer.write_record(["a", "b", "c"]).unwrap();
        rows.iter().for_each(|r| writer.write_record(r).unwrap());
        let text = writer.into_inner().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("o.csv");
        let mut job = job(vec![named("a.csv", &text)], Format::CSV, &path);
        job.options.dialect.delimiter = b';';
        job.options.block_bytes = 16;
        job.canonical = true;
        prop_assert_eq!(run(job).unwrap().rows, rows.len() as u64);
        let mut reader = csv::Reader::from_path(&path).unwrap();
        let read: Vec<Vec<String>> =
            reader.records().map(|r| r.unwrap().iter().map(str::to_owned).collect()).collect();
        prop_assert_eq!(read, rows);
        // Canonical text is its own canonical text.
        let once = std::fs::read_to_string(&path).unwrap();
        prop_assert_eq!(canonical(&once), once);
    }

    #[test]
    fn parquet_holds_the_cells_of_the_text(
        rows in proptest::collection::vec((any::<i64>(), proptest::num::f64::NORMAL, "[a,\"\n é]{0,6}"), 1..20),
    ) {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(["i", "f", "s"]).unwrap();
        for (i, f, s) in &rows {
            writer.write_record([&i.to_string(), &format!("{f:e}"), &format!("x{s}")]).unwrap();
        }
        let text = writer.into_inner().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("o.parquet");
        run(job(vec![named("a.csv", &text)], Format::PARQUET, &path)).unwrap();
        let batch = &batches(&path)[0];
        let i: Vec<i64> = batch.column(0).as_primitive::<Int64Type>().values().to_vec();
        prop_assert_eq!(i, rows.iter().map(|r| r.0).collect::<Vec<_>>());
        let f: Vec<f64> = batch.column(1).as_primitive::<Float64Type>().values().to_vec();
        prop_assert_eq!(f, rows.iter().map(|r| r.1).collect::<Vec<_>>());
        let s: Vec<String> = batch.column(2).as_string::<i32>().iter().map(|s| s.unwrap().to_owned()).collect();
        prop_assert_eq!(s, rows.iter().map(|r| format!("x{}", r.2)).collect::<Vec<_>>());
    }
}
