//! What the Parquet writer writes, read back by the library's own reader.

use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};

use arrow_array::{
    Array, ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use gristmill_tabular::{ParquetCompression, ParquetOptions, ParquetSink, TabularError, Written};
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::basic::Encoding;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::statistics::Statistics;
use proptest::prelude::*;

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(buf)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn schema() -> Arc<Schema> {
    Arc::new(Schema::new(vec![
        Field::new("id", DataType::Int64, false),
        Field::new("delay", DataType::Int64, true),
        Field::new("spend", DataType::Float64, true),
        Field::new("member", DataType::Boolean, true),
        Field::new("day", DataType::Date32, true),
        Field::new("at", DataType::Timestamp(TimeUnit::Microsecond, None), true),
        Field::new(
            "seen",
            DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            true,
        ),
        Field::new("plan", DataType::Utf8, true),
    ]))
}

/// Rows whose cells are a function of `seed` and the row, one in `null_every` null.
fn table(rows: usize, seed: i64, null_every: i64) -> RecordBatch {
    let noise = |i: i64, salt: i64| {
        (i.wrapping_mul(seed).wrapping_add(salt)).wrapping_mul(0x5851_f42d_4c95_7f2d) >> 33
    };
    let cells = |salt: i64| {
        (0..rows as i64)
            .map(move |i| (noise(i, salt) % null_every != 0).then(|| noise(i, salt * 7)))
    };
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(0..rows as i64)),
        Arc::new(cells(1).map(|v| v.map(|v| v % 60)).collect::<Int64Array>()),
        Arc::new(
            cells(2)
                .map(|v| v.map(|v| v as f64 / 7.0))
                .collect::<Float64Array>(),
        ),
        Arc::new(
            cells(3)
                .map(|v| v.map(|v| v % 2 == 0))
                .collect::<BooleanArray>(),
        ),
        Arc::new(
            cells(4)
                .map(|v| v.map(|v| (v % 20_000) as i32))
                .collect::<Date32Array>(),
        ),
        Arc::new(cells(5).collect::<TimestampMicrosecondArray>()),
        Arc::new(
            cells(6)
                .collect::<TimestampMicrosecondArray>()
                .with_timezone("UTC"),
        ),
        Arc::new(
            cells(8)
                .map(|v| v.map(|v| "é".repeat((v % 9).unsigned_abs() as usize)))
                .collect::<StringArray>(),
        ),
    ];
    RecordBatch::try_new(schema(), columns).unwrap()
}

fn write(batches: &[RecordBatch], options: ParquetOptions) -> (Vec<u8>, Written) {
    let out = Shared::default();
    let mut sink = ParquetSink::create(Box::new(out.clone()), schema(), options).unwrap();
    for batch in batches {
        sink.write(batch).unwrap();
    }
    let written = sink.finish().unwrap();
    let bytes = out.0.lock().unwrap().clone();
    (bytes, written)
}

/// The table cut into batches whose sizes go round through `sizes`.
fn cut(table: &RecordBatch, sizes: &[usize]) -> Vec<RecordBatch> {
    let (mut at, mut batches) = (0, Vec::new());
    for size in sizes.iter().cycle() {
        if at == table.num_rows() {
            break;
        }
        let size = (*size).min(table.num_rows() - at);
        batches.push(table.slice(at, size));
        at += size;
    }
    batches
}

fn read(bytes: &[u8]) -> (RecordBatch, Arc<ParquetMetaData>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    std::fs::write(&path, bytes).unwrap();
    let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Required);
    let file = std::fs::File::open(&path).unwrap();
    let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(file, options).unwrap();
    let (metadata, schema) = (Arc::clone(builder.metadata()), Arc::clone(builder.schema()));
    let batches: Vec<RecordBatch> = builder
        .with_batch_size(1 << 20)
        .build()
        .unwrap()
        .map(Result::unwrap)
        .collect();
    (
        arrow_select::concat::concat_batches(&schema, &batches).unwrap(),
        metadata,
    )
}

fn options(row_group_rows: usize, threads: usize) -> ParquetOptions {
    ParquetOptions {
        row_group_rows,
        threads,
        ..ParquetOptions::default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn any_table_in_any_batches_comes_back(
        rows in 0usize..3000, seed in 1i64..1_000_000, null_every in 1i64..9,
        group in 1usize..1500, sizes in proptest::collection::vec(1usize..900, 1..5),
    ) {
        let table = table(rows, seed, null_every);
        let (bytes, written) = write(&cut(&table, &sizes), options(group, 1));
        let (whole, _) = write(std::slice::from_ref(&table), options(group, 3));
        prop_assert!(bytes == whole, "batch sizes show in the bytes");
        prop_assert_eq!(written.rows, rows as u64);
        prop_assert_eq!(written.bytes, bytes.len() as u64);
        prop_assert_eq!(written.row_groups, rows.div_ceil(group) as u64);
        if rows > 0 {
            let (back, metadata) = read(&bytes);
            prop_assert_eq!(back, table);
            let sizes: Vec<usize> = metadata.row_groups().iter().map(|g| g.num_rows() as usize).collect();
            prop_assert!(sizes[..sizes.len() - 1].iter().all(|&n| n == group));
        }
    }

    #[test]
    fn long_rows_end_row_groups_early_wherever_batches_end(
        rows in 1usize..2000, seed in 1i64..1_000_000, limit in 1usize..60_000,
        sizes in proptest::collection::vec(1usize..700, 1..5),
    ) {
        let table = table(rows, seed, 5);
        let limited = ParquetOptions { row_group_bytes: limit, ..options(1000, 1) };
        let (bytes, _) = write(&cut(&table, &sizes), limited.clone());
        let (whole, _) = write(std::slice::from_ref(&table), limited);
        prop_assert!(bytes == whole, "batch sizes show in the bytes");
        let (back, metadata) = read(&bytes);
        prop_assert_eq!(back, table);
        for group in metadata.row_groups() {
            // Fixed widths alone are 41 bytes a row; a block beyond the limit is an eighth of it.
            let most = (limit + limit / 8) / 41 + 1;
            prop_assert!(group.num_rows() as usize <= most.min(1000), "{} rows", group.num_rows());
        }
    }
}

#[test]
fn bytes_do_not_depend_on_threads_pools_or_batches() {
    // Blocks of 16,384 rows lie across row groups and batches; some columns have no nulls.
    let table = table(90_000, 77, i64::MAX);
    let expected = write(std::slice::from_ref(&table), options(40_000, 1)).0;
    assert_eq!(read(&expected).0, table);
    for threads in [2, 3, 8] {
        for sizes in [[90_000, 1], [1_000, 17], [16_384, 16_384]] {
            let (bytes, written) = write(&cut(&table, &sizes), options(40_000, threads));
            assert!(bytes == expected, "{threads} threads, batches of {sizes:?}");
            assert_eq!(written.row_groups, 3);
        }
    }
    let pool = Arc::new(
        rayon::ThreadPoolBuilder::new()
            .num_threads(1)
            .build()
            .unwrap(),
    );
    let shared = ParquetOptions {
        pool: Some(Arc::clone(&pool)),
        ..options(40_000, 2)
    };
    assert!(write(std::slice::from_ref(&table), shared.clone()).0 == expected);
    // From inside the only thread of the pool: waiting for it would last for ever.
    let inside = pool.install(|| write(std::slice::from_ref(&table), shared).0);
    assert!(inside == expected);
}

#[test]
fn dictionaries_follow_the_hints_or_the_data() {
    let table = table(20_000, 5, 7);
    let dictionary = |options: ParquetOptions| -> Vec<bool> {
        let (_, metadata) = read(&write(std::slice::from_ref(&table), options).0);
        let columns = metadata.row_group(0).columns().iter();
        columns
            .map(|c| c.encodings().any(|e| e == Encoding::RLE_DICTIONARY))
            .collect()
    };
    let sampled = dictionary(options(20_000, 1));
    assert_eq!(
        sampled,
        [false, true, false, false, false, false, false, true]
    );
    let hints = vec![true, false, true, false, true, true, true, false];
    let hinted = dictionary(ParquetOptions {
        dictionary: Some(hints.clone()),
        ..options(20_000, 1)
    });
    assert_eq!(hinted, hints);
}

#[test]
fn statistics_and_page_index_agree_with_the_rows() {
    let table = table(50_000, 3, 5);
    let (bytes, _) = write(std::slice::from_ref(&table), options(40_000, 2));
    let (_, metadata) = read(&bytes);
    let delays: &Int64Array = table.column(1).as_any().downcast_ref().unwrap();
    let ids = |from: usize, rows: usize| (from as i64, (from + rows - 1) as i64);
    let mut start = 0;
    for (index, group) in metadata.row_groups().iter().enumerate() {
        let rows = group.num_rows() as usize;
        let Some(Statistics::Int64(id)) = group.column(0).statistics() else {
            panic!("no statistics")
        };
        assert_eq!(
            (*id.min_opt().unwrap(), *id.max_opt().unwrap()),
            ids(start, rows)
        );
        let slice = delays.slice(start, rows);
        assert_eq!(
            group.column(1).statistics().unwrap().null_count_opt(),
            Some(slice.null_count() as u64)
        );
        let page_index = metadata.page_index_for_row_group(index);
        let pages = page_index.page_locations(0).unwrap();
        let firsts: Vec<i64> = pages.iter().map(|p| p.first_row_index).collect();
        let expected: Vec<i64> = (0..rows as i64).step_by(16_384).collect();
        assert_eq!(firsts, expected);
        let Some(ColumnIndexMetaData::INT64(ids)) = page_index.column_index(0) else {
            panic!("no column index")
        };
        for (page, &first) in firsts.iter().enumerate() {
            let end = firsts.get(page + 1).map_or(rows as i64, |&next| next);
            let from = start as i64;
            let found = (*ids.min_value(page).unwrap(), *ids.max_value(page).unwrap());
            assert_eq!(found, (from + first, from + end - 1));
        }
        start += rows;
    }
    assert_eq!(start, 50_000);
}

#[test]
fn codec_and_writer_are_named() {
    let table = table(1_000, 3, 5);
    let (snappy, _) = write(std::slice::from_ref(&table), options(1_000, 1));
    let plain = ParquetOptions {
        compression: ParquetCompression::None,
        ..options(1_000, 1)
    };
    let (none, _) = write(std::slice::from_ref(&table), plain);
    assert!(snappy.len() < none.len());
    let (back, metadata) = read(&none);
    assert_eq!(back, table);
    let created_by = metadata.file_metadata().created_by().unwrap();
    assert!(created_by.starts_with("gristmill "), "{created_by}");
}

#[test]
fn no_rows_make_a_valid_file() {
    let (bytes, written) = write(&[table(0, 1, 2)], options(10, 2));
    assert_eq!((written.rows, written.row_groups), (0, 0));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    std::fs::write(&path, bytes).unwrap();
    let reader =
        ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(&path).unwrap()).unwrap();
    assert_eq!(reader.schema().fields(), schema().fields());
}

#[test]
fn nulls_where_none_may_be_and_other_types_are_refused() {
    let one = Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, false)]));
    let nullable = Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, true)]));
    let with_null = RecordBatch::try_new(
        nullable,
        vec![Arc::new(Int64Array::from(vec![Some(1), None]))],
    )
    .unwrap();
    let mut sink =
        ParquetSink::create(Box::new(io::sink()), Arc::clone(&one), options(1, 1)).unwrap();
    assert!(matches!(
        sink.write(&with_null),
        Err(TabularError::Columnar { .. })
    ));
    let mut sink = ParquetSink::create(Box::new(io::sink()), one, options(1, 1)).unwrap();
    assert!(matches!(
        sink.write(&table(1, 1, 2)),
        Err(TabularError::Columnar { .. })
    ));
}

#[test]
fn a_full_disk_is_an_io_error_with_the_name() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::Error::from(io::ErrorKind::StorageFull))
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    for threads in [1, 2] {
        let named = ParquetOptions {
            name: Path::new("out.parquet").into(),
            ..options(20_000, threads)
        };
        let mut sink = ParquetSink::create(Box::new(Full), schema(), named).unwrap();
        let error = match sink.write(&table(60_000, 3, 4)) {
            Ok(()) => sink.finish().unwrap_err(),
            Err(error) => error,
        };
        let TabularError::Io { path, source, .. } = error else {
            panic!("{error}")
        };
        assert_eq!(
            (path.as_path(), source.kind()),
            (Path::new("out.parquet"), io::ErrorKind::StorageFull)
        );
    }
}

#[test]
fn options_out_of_range_are_refused() {
    let refused = |schema: Arc<Schema>, options| {
        ParquetSink::create(Box::new(io::sink()), schema, options)
            .unwrap_err()
            .to_string()
    };
    insta::assert_snapshot!(refused(schema(), options(0, 1)), @"a row group needs at least one row: row_group_rows is 0");
    insta::assert_snapshot!(refused(Arc::new(Schema::empty()), options(1, 1)), @"a Parquet file needs at least one column");
    let hinted = ParquetOptions {
        dictionary: Some(vec![true]),
        ..options(1, 1)
    };
    insta::assert_snapshot!(refused(schema(), hinted), @"1 dictionary hints for 8 columns");
}
