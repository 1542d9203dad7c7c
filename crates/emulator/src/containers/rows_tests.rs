#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::sync::Arc;

use arrow_array::types::Float32Type;
use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array,
    Float64Array, Int8Array, Int64Array, ListArray, NullArray, RecordBatch, StringArray,
    StructArray, TimestampMicrosecondArray, UInt64Array,
};
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use proptest::prelude::*;

use super::answer_text::AnswerFormat;
use super::rows::{Rows, RowsError};
use super::{csv_rows, json_rows, parquet_rows};

type Read<B> = fn(&B, &mut Rows<'_>) -> Result<(), RowsError>;

/// All cells, row by row.
fn collect<B: ?Sized>(
    read: impl Fn(&B, &mut Rows<'_>) -> Result<(), RowsError>,
    body: &B,
    width: usize,
) -> Result<Vec<f32>, RowsError> {
    let mut all = Vec::new();
    let mut take = |cells: &[f32]| {
        assert!(!cells.is_empty() && cells.len().is_multiple_of(width));
        all.extend_from_slice(cells);
        Ok(())
    };
    read(body, &mut Rows::new(width, &mut take))?;
    Ok(all)
}

fn csv(body: &[u8], width: usize) -> Result<Vec<f32>, RowsError> {
    collect(csv_rows::read, body, width)
}

fn json(body: &str, width: usize) -> Result<Vec<f32>, RowsError> {
    collect(json_rows::read, body.as_bytes(), width)
}

fn parquet(body: Vec<u8>, width: usize) -> Result<Vec<f32>, RowsError> {
    collect(parquet_rows::read as Read<Bytes>, &body.into(), width)
}

/// Bits, and one sort of NaN.
fn bits(values: &[f32]) -> Vec<Option<u32>> {
    let one = |v: &f32| (!v.is_nan()).then_some(v.to_bits());
    values.iter().map(one).collect()
}

fn values(cells: &[Option<f32>]) -> Vec<Option<u32>> {
    cells.iter().map(|v| v.map(f32::to_bits)).collect()
}

fn text(format: AnswerFormat, values: &[f32], columns: usize) -> String {
    let mut text = String::new();
    format.write(values, columns, &mut text).unwrap();
    text
}

#[test]
fn csv_has_missing_cells_and_quotes() {
    let rows = csv(b"1,,2.5\r\n\"3\", 4 ,nan\n", 3).unwrap();
    let expected = [Some(1.0), None, Some(2.5), Some(3.0), Some(4.0), None];
    assert_eq!(bits(&rows), values(&expected));
    // Of a single column, a blank line is a missing cell.
    let single = csv(b"1\n\n2", 1).unwrap();
    assert_eq!(bits(&single), values(&[Some(1.0), None, Some(2.0)]));
}

#[test]
fn a_bad_row_of_csv_is_named_by_line_and_column() {
    let why = |body: &[u8]| csv(body, 2).unwrap_err().to_string();
    assert_eq!(why(b"1,2\n3\n"), "line 2: expected 2 cells, found 1");
    assert_eq!(why(b"1,2\n3,4,x\n"), "line 2: expected 2 cells, found 3");
    assert_eq!(why(b"1,2\n\n"), "line 2: expected 2 cells, found 1");
    assert_eq!(why(b"1,2\n\xff,2\n"), "line 2: not UTF-8");
    let no_number = "line 1, column 2: expected a number, found 'x'";
    assert_eq!(why(b"1,x\n"), no_number);
}

#[test]
fn json_lines_are_arrays_objects_or_features() {
    let body = "[1, null, 2.5]\r\n{\"a\": true, \"b\": -3e-1, \"c\": false}\n{\"features\":[4,5,6]}\n{\"a\":7,\"b\":8,\"c\":null}";
    let expected = [
        [Some(1.0), None, Some(2.5)],
        [Some(1.0), Some(-0.3), Some(0.0)],
        [Some(4.0), Some(5.0), Some(6.0)],
        [Some(7.0), Some(8.0), None],
    ];
    let rows = json(body, 3).unwrap();
    assert_eq!(bits(&rows), values(expected.as_flattened()));
    // A feature may have AWS's name too.
    let rows = json("{\"features\": 3}\n{\"features\": [4]}", 1).unwrap();
    assert_eq!(bits(&rows), values(&[Some(3.0), Some(4.0)]));
}

#[test]
fn a_bad_line_of_json_says_what_is_wrong_with_it() {
    let why = |line: &str| {
        json(&format!("{{\"a\":1,\"b\":2}}\n{line}\n[1,2]\n"), 2)
            .unwrap_err()
            .to_string()
    };
    insta::assert_snapshot!(why("[1,2,3]"), @"line 2: expected 2 cells, found 3");
    insta::assert_snapshot!(why("{\"features\":[1]}"), @"line 2: expected 2 cells, found 1");
    insta::assert_snapshot!(why("[1,\"x\"]"), @r#"line 2, value 2: expected a number, true, false or null, found "x""#);
    insta::assert_snapshot!(why("{\"a\":1,\"b\":[2]}"), @"line 2, key 'b': expected a number, true, false or null, found [2]");
    insta::assert_snapshot!(why("{\"b\":1,\"a\":2}"), @"line 2: key 1 is 'b', on line 1 it is 'a'; features are taken in the order of the keys, so write all objects with the same keys in the same order");
    insta::assert_snapshot!(why("{\"a\":1}"), @"line 2: key 2 is missing, on line 1 it is 'b'; features are taken in the order of the keys, so write all objects with the same keys in the same order");
    insta::assert_snapshot!(why("{\"a\":1,\"b\":2,\"c\":3}"), @"line 2: key 3 is 'c', on line 1 it is missing; features are taken in the order of the keys, so write all objects with the same keys in the same order");
    insta::assert_snapshot!(why(""), @r#"line 2: expected an array of numbers, an object of them or {"features": [...]}, found an empty line"#);
    insta::assert_snapshot!(why("1,2"), @r#"line 2: expected an array of numbers, an object of them or {"features": [...]}, found '1,2'"#);
    insta::assert_snapshot!(why("[1,2"), @"line 2, column 4: not JSON: EOF while parsing a list");
    insta::assert_snapshot!(why("[1,2] [3]"), @"line 2, column 7: not JSON: trailing characters");
    insta::assert_snapshot!(why("[1,NaN]"), @"line 2, column 4: not JSON: expected value");
    let twice = json("{\"a\":1,\"a\":2}", 2).unwrap_err().to_string();
    insta::assert_snapshot!(twice, @"line 1: the key 'a' is there twice; each may be there once");
    let bytes = collect(json_rows::read, b"[1]\n\xff".as_slice(), 1);
    assert_eq!(bytes, Err(RowsError::Encoding { line: 2 }));
}

#[test]
fn answers_are_lines_of_csv_or_json() {
    let (csv, json) = (AnswerFormat::Csv, AnswerFormat::JsonLines);
    assert_eq!(text(csv, &[0.5, f32::NAN], 1), "0.5\nNaN\n");
    assert_eq!(
        text(csv, &[0.5, 1e-20, 3.0, 4.0], 2),
        "0.5,1e-20\n3.0,4.0\n"
    );
    assert_eq!(text(json, &[0.5, f32::NAN], 1), "0.5\nnull\n");
    assert_eq!(text(json, &[0.5, 1e-20], 2), "[0.5,1e-20]\n");
}

/// A table in Parquet.
fn written(columns: Vec<(&str, ArrayRef)>, properties: WriterProperties) -> Vec<u8> {
    let columns = columns.into_iter().map(|(name, array)| (name, array, true));
    let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    bytes
}

fn plain(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    written(columns, WriterProperties::default())
}

/// A column, and the text of each cell in CSV and in JSON.
struct Column {
    array: ArrayRef,
    cells: Vec<String>,
}

impl Column {
    fn of<T>(
        array: impl Array + 'static,
        values: &[Option<T>],
        text: impl Fn(&T) -> String,
    ) -> Self {
        let cells = values
            .iter()
            .map(|v| v.as_ref().map_or(String::new(), &text));
        Self {
            array: Arc::new(array),
            cells: cells.collect(),
        }
    }

    /// `value` by 10^-`scale`, its digits moved by hand.
    fn decimal(values: &[Option<i128>], precision: u8, scale: usize) -> Self {
        let array = Decimal128Array::from(values.to_vec())
            .with_precision_and_scale(precision, i8::try_from(scale).unwrap())
            .unwrap();
        Self::of(array, values, |value| {
            let digits = format!("{:0>width$}", value.unsigned_abs(), width = scale + 1);
            let (whole, rest) = digits.split_at(digits.len() - scale);
            format!("{}{whole}.{rest}0", if *value < 0 { "-" } else { "" })
        })
    }
}

/// The same table as Parquet, CSV and JSON Lines gives the same cells to the bit.
#[track_caller]
fn all_alike(columns: &[Column], properties: WriterProperties) {
    let names: Vec<String> = (0..columns.len()).map(|n| format!("c{n}")).collect();
    let arrays = columns.iter().map(|c| Arc::clone(&c.array));
    let table = written(
        names.iter().map(String::as_str).zip(arrays).collect(),
        properties,
    );
    let (mut lines, mut objects) = (String::new(), String::new());
    for row in 0..columns[0].cells.len() {
        let cells: Vec<&str> = columns.iter().map(|c| c.cells[row].as_str()).collect();
        lines += &(cells.join(",") + "\n");
        let of_json = |cell: &str| if cell.is_empty() { "null" } else { cell }.to_owned();
        let pairs = names.iter().zip(&cells);
        let pairs: Vec<String> = pairs
            .map(|(name, cell)| format!("\"{name}\": {}", of_json(cell)))
            .collect();
        objects += &format!("{{{}}}\n", pairs.join(", "));
    }
    let width = columns.len();
    let expected = bits(&csv(lines.as_bytes(), width).unwrap());
    assert_eq!(bits(&parquet(table, width).unwrap()), expected);
    assert_eq!(bits(&json(&objects, width).unwrap()), expected);
}

/// `rows` rows of every type that is a feature.
fn every_type(rows: usize) -> Vec<Column> {
    fn some<T>(rows: usize, value: impl Fn(usize) -> T) -> Vec<Option<T>> {
        let missing = |row: usize| row % 7 == 3;
        (0..rows).map(|r| (!missing(r)).then(|| value(r))).collect()
    }
    let small = some(rows, |r| (r % 256) as u8 as i8);
    let large = some(rows, |r| {
        (r as i64 - 40).wrapping_mul(0x1234_5678_9abc_def1)
    });
    let unsigned = some(rows, |r| u64::MAX / (r as u64 + 1));
    let double = some(rows, |r| (r as f64 - 9.5) * 0.1);
    let single = some(rows, |r| (r as f32 - 9.5) * 0.1);
    let flag = some(rows, |r| r % 3 == 0);
    let price = some(rows, |r| r as i128 * 37 - 1000);
    let wide = some(rows, |r| {
        (r as i128 - 20) * 123_456_789_012_345_678_901_234_567
    });
    vec![
        Column::of(Int8Array::from(small.clone()), &small, i8::to_string),
        Column::of(Int64Array::from(large.clone()), &large, i64::to_string),
        Column::of(
            UInt64Array::from(unsigned.clone()),
            &unsigned,
            u64::to_string,
        ),
        Column::of(Float64Array::from(double.clone()), &double, |v| {
            format!("{v:?}")
        }),
        Column::of(Float32Array::from(single.clone()), &single, |v| {
            format!("{v:?}")
        }),
        Column::of(BooleanArray::from(flag.clone()), &flag, |v| {
            u8::from(*v).to_string()
        }),
        Column::decimal(&price, 9, 2),
        Column::decimal(&wide, 38, 12),
        Column::of(NullArray::new(rows), &vec![None::<u8>; rows], u8::to_string),
    ]
}

#[test]
fn parquet_csv_and_json_lines_hold_the_same_rows() {
    let codecs = [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(Default::default()),
        Compression::ZSTD(Default::default()),
    ];
    for (rows, group_rows, dictionary) in [(50, 7, true), (50, 50, false), (9000, 4500, true)] {
        for codec in codecs {
            let properties = WriterProperties::builder()
                .set_compression(codec)
                .set_dictionary_enabled(dictionary)
                .set_max_row_group_row_count(Some(group_rows))
                .build();
            all_alike(&every_type(rows), properties);
        }
    }
}

#[test]
fn a_table_that_does_not_fit_the_model_is_described_at_once() {
    let floats: ArrayRef = Arc::new(Float64Array::from(vec![1.0]));
    let list = ListArray::from_iter_primitive::<Float32Type, _, _>([Some([Some(1.0)])]);
    let nested = StructArray::from(vec![(
        Arc::new(arrow_schema::Field::new(
            "x",
            floats.data_type().clone(),
            false,
        )),
        Arc::clone(&floats),
    )]);
    let table = plain(vec![
        ("a", Arc::clone(&floats)),
        ("id", Arc::new(StringArray::from(vec!["x"]))),
        ("day", Arc::new(Date32Array::from(vec![1]))),
        ("at", Arc::new(TimestampMicrosecondArray::from(vec![1]))),
        ("raw", Arc::new(BinaryArray::from(vec![&b"x"[..]]))),
        ("all", Arc::new(list)),
        ("in", Arc::new(nested)),
    ]);
    let error = parquet(table.clone(), 7).unwrap_err().to_string();
    insta::assert_snapshot!(error, @"the Parquet table does not fit the model: column 2 'id' holds text (Utf8), column 3 'day' holds dates (Date32), column 4 'at' holds timestamps (Timestamp(µs)), column 5 'raw' holds bytes (Binary), column 6 'all' holds lists, column 7 'in' holds nested values: a feature is a number, so turn such a column into one or leave it out");
    let error = parquet(table, 3).unwrap_err().to_string();
    insta::assert_snapshot!(error, @"the Parquet table does not fit the model: expected 3 columns, one for each feature of the model, found 7 ('a', 'id', 'day', 'at', 'raw', 'all', 'in'); column 2 'id' holds text (Utf8), column 3 'day' holds dates (Date32), column 4 'at' holds timestamps (Timestamp(µs)), column 5 'raw' holds bytes (Binary), column 6 'all' holds lists, column 7 'in' holds nested values: a feature is a number, so turn such a column into one or leave it out");
    let table = plain(vec![("a", Arc::clone(&floats)), ("b", floats)]);
    let error = parquet(table, 1).unwrap_err().to_string();
    insta::assert_snapshot!(error, @"the Parquet table does not fit the model: expected 1 columns, one for each feature of the model, found 2 ('a', 'b')");
}

#[test]
fn what_is_no_parquet_is_refused() {
    let why = |body: &[u8]| parquet(body.to_vec(), 1).unwrap_err().to_string();
    insta::assert_snapshot!(why(b"1,2\n"), @"this Parquet cannot be read: EOF: Parquet file too small. Size is 4 but need 8");
    insta::assert_snapshot!(why(b"1,2,3,4,5,6,7\n"), @"this Parquet cannot be read: Parquet error: Invalid Parquet file. Corrupt footer");
    insta::assert_snapshot!(why(b"PAR1PAR1"), @"this Parquet cannot be read: EOF: Parquet file too small. Size is 8 but need 827474264");
    insta::assert_snapshot!(why(b"PAR1\xff\xff\xff\x7fPAR1"), @"this Parquet cannot be read: EOF: Parquet file too small. Size is 12 but need 2147483655");
    let table = plain(vec![("a", Arc::new(Int64Array::from(vec![1, 2, 3])))]);
    insta::assert_snapshot!(why(&table[..table.len() - 1]), @"this Parquet cannot be read: Parquet error: Invalid Parquet file. Corrupt footer");
    let empty = plain(vec![("a", Arc::new(Int64Array::from(Vec::<i64>::new())))]);
    assert_eq!(parquet(empty, 1), Ok(Vec::new()));
}

proptest! {
    #[test]
    fn written_numbers_read_back_to_the_bit(values in prop::collection::vec(any::<f32>(), 1..40), columns in 1usize..4) {
        let values = &values[..values.len() / columns * columns];
        if !values.is_empty() {
            let read = csv(text(AnswerFormat::Csv, values, columns).as_bytes(), columns);
            prop_assert_eq!(bits(&read.unwrap()), bits(values));
            let finite: Vec<f32> = values.iter().map(|v| if v.is_finite() { *v } else { 0.0 }).collect();
            let lines = text(AnswerFormat::JsonLines, &finite, columns);
            if columns > 1 {
                prop_assert_eq!(bits(&json(&lines, columns).unwrap()), bits(&finite));
            }
        }
    }

    #[test]
    fn any_number_is_the_same_in_every_format(
        large in prop::collection::vec(any::<Option<i64>>(), 1..20),
        double in any::<f64>(),
        digits in any::<i128>(),
        scale in 0usize..38,
    ) {
        let rows = large.len();
        let double = vec![Some(if double.is_finite() { double } else { 0.5 }); rows];
        let digits = vec![Some(digits % 10_i128.pow(38)); rows];
        let columns = [
            Column::of(Int64Array::from(large.clone()), &large, i64::to_string),
            Column::of(Float64Array::from(double.clone()), &double, |v| format!("{v:?}")),
            Column::decimal(&digits, 38, scale),
            Column::decimal(&vec![Some(digits[0].unwrap_or(0) % 10_i128.pow(17)); rows], 17, scale.min(17)),
        ];
        all_alike(&columns, WriterProperties::default());
    }

    #[test]
    fn any_body_is_rows_or_an_error(body: Vec<u8>, line in "[\\[\\]{}\",:0-9a-z. \n-]{0,60}", width in 1usize..5) {
        let line = line.as_bytes();
        let all = [
            csv(&body, width),
            csv(line, width),
            collect(json_rows::read, &body[..], width),
            collect(json_rows::read, line, width),
            parquet(body.clone(), width),
        ];
        for cells in all.into_iter().flatten() {
            prop_assert_eq!(cells.len() % width, 0);
        }
    }

    /// The decoder's own panics included: they come out as an error.
    #[test]
    fn a_damaged_parquet_is_rows_or_an_error(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in prop::option::of(any::<prop::sample::Index>()),
        dictionary: bool,
    ) {
        let columns = every_type(40).into_iter().map(|c| c.array);
        let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i"];
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_dictionary_enabled(dictionary)
            .set_max_row_group_row_count(Some(15))
            .build();
        let mut table = written(names.into_iter().zip(columns).collect(), properties);
        for (place, byte) in damage {
            let place = place.index(table.len());
            table[place] = byte;
        }
        if let Some(cut) = cut {
            let at = cut.index(table.len());
            table.remove(at);
        }
        if let Ok(cells) = parquet(table, 9) {
            prop_assert_eq!(cells.len(), 40 * 9);
        }
    }
}
