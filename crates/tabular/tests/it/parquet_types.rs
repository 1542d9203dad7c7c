//! Every Arrow type that Parquet can hold, through the writer and back, under every codec.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use arrow_array::builder::{
    FixedSizeBinaryBuilder, FixedSizeListBuilder, Float32Builder, Int64Builder, LargeListBuilder,
    ListBuilder, MapBuilder, StringBuilder,
};
use arrow_array::types::{Decimal128Type, Decimal256Type, Int16Type};
use arrow_array::{
    ArrayRef, BinaryArray, BinaryViewArray, BooleanArray, Date32Array, Date64Array,
    DictionaryArray, DurationMicrosecondArray, Float32Array, Float64Array, Int8Array, Int16Array,
    Int32Array, Int64Array, LargeBinaryArray, LargeStringArray, NullArray, PrimitiveArray,
    RecordBatch, StringArray, StringViewArray, StructArray, Time32MillisecondArray,
    Time64NanosecondArray, TimestampMillisecondArray, TimestampNanosecondArray, UInt8Array,
    UInt16Array, UInt32Array, UInt64Array,
};
use arrow_buffer::i256;
use arrow_schema::{DataType, Field};
use gristmill_tabular::{ParquetCompression, ParquetOptions, ParquetSink};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Compression as Codec;

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

/// A number for each row, one in seven missing; `salt` tells columns apart.
fn numbers(rows: i64, salt: i64) -> impl Iterator<Item = Option<i64>> {
    (0..rows).map(move |i| {
        let noise = (i * 131 + salt).wrapping_mul(0x5851_f42d_4c95_7f2d) >> 33;
        (noise.rem_euclid(7) != 0).then_some(noise)
    })
}

fn texts(rows: i64, salt: i64) -> impl Iterator<Item = Option<String>> {
    let text = |n: i64| format!("{n} ").repeat((n.rem_euclid(6)) as usize);
    numbers(rows, salt).map(move |n| n.map(text))
}

fn flat(rows: i64) -> Vec<(&'static str, ArrayRef)> {
    let n = |salt| numbers(rows, salt);
    let t = |salt| texts(rows, salt).collect::<Vec<_>>();
    let b = |salt| texts(rows, salt).map(|t| t.map(String::into_bytes));
    let mut fixed = FixedSizeBinaryBuilder::new(3);
    for v in n(20) {
        match v {
            Some(v) => fixed.append_value(&v.to_le_bytes()[..3]).unwrap(),
            None => fixed.append_null(),
        }
    }
    let decimal: PrimitiveArray<Decimal128Type> = n(21).map(|v| v.map(i128::from)).collect();
    let wide: PrimitiveArray<Decimal256Type> = n(22).map(|v| v.map(i256::from)).collect();
    let tag = |t: Option<String>| t.map(|t| t.len().to_string());
    let tags = texts(rows, 23).map(tag).collect::<Vec<_>>();
    let tags: DictionaryArray<Int16Type> = tags.iter().map(Option::as_deref).collect();
    vec![
        ("null", Arc::new(NullArray::new(rows as usize))),
        (
            "boolean",
            Arc::new(
                n(1).map(|v| v.map(|v| v % 2 == 0))
                    .collect::<BooleanArray>(),
            ),
        ),
        (
            "int8",
            Arc::new(n(2).map(|v| v.map(|v| v as i8)).collect::<Int8Array>()),
        ),
        (
            "int16",
            Arc::new(n(3).map(|v| v.map(|v| v as i16)).collect::<Int16Array>()),
        ),
        (
            "int32",
            Arc::new(n(4).map(|v| v.map(|v| v as i32)).collect::<Int32Array>()),
        ),
        ("int64", Arc::new(n(5).collect::<Int64Array>())),
        (
            "uint8",
            Arc::new(n(6).map(|v| v.map(|v| v as u8)).collect::<UInt8Array>()),
        ),
        (
            "uint16",
            Arc::new(n(7).map(|v| v.map(|v| v as u16)).collect::<UInt16Array>()),
        ),
        (
            "uint32",
            Arc::new(n(8).map(|v| v.map(|v| v as u32)).collect::<UInt32Array>()),
        ),
        (
            "uint64",
            Arc::new(n(9).map(|v| v.map(|v| v as u64)).collect::<UInt64Array>()),
        ),
        (
            "float32",
            Arc::new(n(10).map(|v| v.map(|v| v as f32)).collect::<Float32Array>()),
        ),
        (
            "float64",
            Arc::new(n(11).map(|v| v.map(|v| v as f64)).collect::<Float64Array>()),
        ),
        (
            "date32",
            Arc::new(
                n(12)
                    .map(|v| v.map(|v| v as i32 % 9999))
                    .collect::<Date32Array>(),
            ),
        ),
        (
            "date64",
            Arc::new(
                n(13)
                    .map(|v| v.map(|v| v % 9999 * 86_400_000))
                    .collect::<Date64Array>(),
            ),
        ),
        (
            "time32",
            Arc::new(
                n(14)
                    .map(|v| v.map(|v| v as i32 % 9999))
                    .collect::<Time32MillisecondArray>(),
            ),
        ),
        (
            "time64",
            Arc::new(
                n(15)
                    .map(|v| v.map(|v| v % 9999))
                    .collect::<Time64NanosecondArray>(),
            ),
        ),
        (
            "millis",
            Arc::new(n(16).collect::<TimestampMillisecondArray>()),
        ),
        (
            "nanos",
            Arc::new(
                n(17)
                    .collect::<TimestampNanosecondArray>()
                    .with_timezone("UTC"),
            ),
        ),
        (
            "duration",
            Arc::new(n(18).collect::<DurationMicrosecondArray>()),
        ),
        ("fixed_binary", Arc::new(fixed.finish())),
        (
            "decimal128",
            Arc::new(decimal.with_precision_and_scale(20, 2).unwrap()),
        ),
        (
            "decimal256",
            Arc::new(wide.with_precision_and_scale(50, 3).unwrap()),
        ),
        ("dictionary", Arc::new(tags)),
        ("utf8", Arc::new(StringArray::from(t(24)))),
        ("large_utf8", Arc::new(LargeStringArray::from(t(25)))),
        ("utf8_view", Arc::new(StringViewArray::from_iter(t(26)))),
        ("binary", Arc::new(b(27).collect::<BinaryArray>())),
        (
            "large_binary",
            Arc::new(b(28).collect::<LargeBinaryArray>()),
        ),
        ("binary_view", Arc::new(BinaryViewArray::from_iter(b(29)))),
    ]
}

fn nested(rows: i64) -> Vec<(&'static str, ArrayRef)> {
    let mut list = ListBuilder::new(Int64Builder::new());
    let mut large = LargeListBuilder::new(StringBuilder::new());
    let mut pairs = FixedSizeListBuilder::new(Float32Builder::new(), 2);
    let mut map = MapBuilder::new(None, StringBuilder::new(), Int64Builder::new());
    for v in numbers(rows, 40) {
        let n = v.unwrap_or_default();
        for i in 0..n.rem_euclid(4) {
            list.values().append_option(v.map(|v| v + i));
            large.values().append_value("x".repeat(i as usize));
            map.keys().append_value(format!("k{i}"));
            map.values().append_value(n);
        }
        pairs.values().append_slice(&[n as f32, 0.5]);
        list.append(v.is_some());
        large.append(true);
        pairs.append(true);
        map.append(v.is_some()).unwrap();
    }
    let number: ArrayRef = Arc::new(numbers(rows, 41).collect::<Int64Array>());
    let text: ArrayRef = Arc::new(StringArray::from(texts(rows, 42).collect::<Vec<_>>()));
    let field =
        |name, array: &ArrayRef| Arc::new(Field::new(name, array.data_type().clone(), true));
    let both = StructArray::from(vec![
        (field("number", &number), Arc::clone(&number)),
        (field("text", &text), Arc::clone(&text)),
    ]);
    vec![
        ("list", Arc::new(list.finish())),
        ("struct", Arc::new(both)),
        ("large_list", Arc::new(large.finish())),
        ("pairs", Arc::new(pairs.finish())),
        ("map", Arc::new(map.finish())),
    ]
}

fn table(columns: Vec<(&'static str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true)))
        .unwrap()
}

fn write(table: &RecordBatch, batch_rows: usize, options: ParquetOptions) -> Vec<u8> {
    let out = Shared::default();
    let mut sink = ParquetSink::create(Box::new(out.clone()), table.schema(), options).unwrap();
    for at in (0..table.num_rows()).step_by(batch_rows) {
        let rows = batch_rows.min(table.num_rows() - at);
        sink.write(&table.slice(at, rows)).unwrap();
    }
    sink.finish().unwrap();
    out.0.lock().unwrap().clone()
}

fn read(bytes: Vec<u8>) -> (RecordBatch, usize, Codec) {
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(bytes)).unwrap();
    let (schema, metadata) = (Arc::clone(builder.schema()), Arc::clone(builder.metadata()));
    let batches: Vec<_> = builder.build().unwrap().map(Result::unwrap).collect();
    let table = arrow_select::concat::concat_batches(&schema, &batches).unwrap();
    (
        table,
        metadata.num_row_groups(),
        metadata.row_group(0).column(0).compression(),
    )
}

/// Each column by itself, so that a failure names it: dictionaries come back as other arrays of the
/// same values.
fn assert_same(found: &RecordBatch, expected: &RecordBatch) {
    assert_eq!(found.num_rows(), expected.num_rows());
    for (index, field) in expected.schema().fields().iter().enumerate() {
        let (found, expected) = (found.column(index), expected.column(index));
        if let DataType::Dictionary(_, _) = field.data_type() {
            let values = |array: &ArrayRef| -> Vec<Option<String>> {
                let array: &DictionaryArray<Int16Type> = array.as_any().downcast_ref().unwrap();
                let array = array.downcast_dict::<StringArray>().unwrap();
                array.into_iter().map(|t| t.map(str::to_owned)).collect()
            };
            assert_eq!(values(found), values(expected), "{}", field.name());
        } else {
            assert_eq!(found, expected, "{}", field.name());
        }
    }
}

#[test]
fn every_type_comes_back_whatever_the_batches_and_threads() {
    for table in [table(flat(4_000)), table(nested(4_000))] {
        let options = |threads| ParquetOptions {
            row_group_rows: 3_000,
            row_group_bytes: 200_000,
            threads,
            ..ParquetOptions::default()
        };
        let bytes = write(&table, 4_000, options(1));
        for (batch_rows, threads) in [(1_000, 2), (77, 3), (2_999, 8)] {
            let again = write(&table, batch_rows, options(threads));
            assert!(again == bytes, "batches of {batch_rows}, {threads} threads");
        }
        let (found, row_groups, codec) = read(bytes);
        assert_same(&found, &table);
        assert_eq!(codec, Codec::SNAPPY);
        assert!(row_groups > 1, "{row_groups}");
    }
}

#[test]
fn every_codec_is_one_of_the_reader() {
    let table = table(flat(2_000));
    let sizes: Vec<usize> = [
        (ParquetCompression::None, "UNCOMPRESSED"),
        (ParquetCompression::Snappy, "SNAPPY"),
        (ParquetCompression::Gzip, "GZIP(GzipLevel(6))"),
        (ParquetCompression::Zstd, "ZSTD(ZstdLevel(1))"),
    ]
    .into_iter()
    .map(|(compression, name)| {
        let options = ParquetOptions {
            compression,
            ..ParquetOptions::default()
        };
        let bytes = write(&table, 2_000, options);
        let size = bytes.len();
        let (found, _, codec) = read(bytes);
        assert_same(&found, &table);
        assert_eq!(format!("{codec:?}"), name);
        size
    })
    .collect();
    assert!(
        sizes[1] < sizes[0] && sizes[2] < sizes[1] && sizes[3] < sizes[1],
        "{sizes:?}"
    );
}

#[test]
fn codecs_are_named_as_in_files() {
    let names = [
        ParquetCompression::Snappy,
        ParquetCompression::Zstd,
        ParquetCompression::Gzip,
        ParquetCompression::None,
    ];
    let text = serde_json::to_string(&names).unwrap();
    assert_eq!(text, r#"["snappy","zstd","gzip","none"]"#);
}
