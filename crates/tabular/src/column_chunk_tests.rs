//! Column chunks of our encoder against those of parquet-rs: the values that its reader finds, and
//! all that footer and page index say of them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::sync::Arc;

use arrow_array::builder::{BinaryBuilder, StringBuilder};
use arrow_array::{
    Array, ArrayRef, BooleanArray, Date32Array, Float32Array, Float64Array, Int32Array, Int64Array,
    LargeStringArray, RecordBatch, TimestampMicrosecondArray,
};
use arrow_schema::{Field, Schema};
use bytes::Bytes;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::basic::Encoding;
use parquet::file::metadata::{ColumnChunkMetaData, PageIndexPolicy, ParquetMetaData};
use proptest::prelude::*;

use crate::parquet_file::{ColumnChunk, FilePlan, append};
use crate::parquet_writer::ParquetCompression;
use crate::row_groups::BLOCK_ROWS;

/// A file of one row group with one column.
fn file(plan: &FilePlan, blocks: Vec<ArrayRef>) -> Bytes {
    files(plan, &[vec![blocks]])
}

/// A file of these row groups; the library makes the same of their chunks.
fn files(plan: &FilePlan, groups: &[Vec<Vec<ArrayRef>>]) -> Bytes {
    let groups = groups.iter();
    files_of(plan, groups.map(|group| || plan.encode(group).unwrap()))
}

fn files_of(plan: &FilePlan, groups: impl Iterator<Item = impl Fn() -> Vec<ColumnChunk>>) -> Bytes {
    let mut bytes = Vec::new();
    let mut ours = plan.open(&mut bytes).unwrap();
    let mut theirs = plan.open_by_library(Vec::new()).unwrap();
    for group in groups {
        ours.append(group()).unwrap();
        append(&mut theirs, group()).unwrap();
    }
    assert_eq!(ours.finish().unwrap(), bytes.len() as u64);
    assert!(bytes == theirs.into_inner().unwrap(), "footers differ");
    bytes.into()
}

fn read(bytes: Bytes) -> (ArrayRef, Arc<ParquetMetaData>) {
    let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Required);
    let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(bytes, options).unwrap();
    let (metadata, schema) = (Arc::clone(builder.metadata()), Arc::clone(builder.schema()));
    let batches: Vec<RecordBatch> = builder.build().unwrap().map(Result::unwrap).collect();
    let whole = arrow_select::concat::concat_batches(&schema, &batches).unwrap();
    (Arc::clone(whole.column(0)), metadata)
}

/// Slices whose lengths go round through `sizes`.
fn slices(array: &ArrayRef, sizes: &[usize]) -> Vec<ArrayRef> {
    let (mut at, mut slices) = (0, Vec::new());
    for &size in sizes.iter().cycle() {
        if at == array.len() {
            break;
        }
        let size = size.min(array.len() - at);
        slices.push(array.slice(at, size));
        at += size;
    }
    slices
}

/// Both encoders on one column; its chunk by ours.
fn compare(
    array: &ArrayRef,
    nullable: bool,
    dictionary: bool,
    codec: ParquetCompression,
    sizes: &[usize],
) -> ColumnChunkMetaData {
    let field = Field::new("a", array.data_type().clone(), nullable);
    let schema = Arc::new(Schema::new(vec![field]));
    let plan = || FilePlan::new(&schema, codec, &[dictionary]).unwrap();
    let ours = file(&plan(), slices(array, sizes));
    assert!(
        ours == file(&plan(), vec![Arc::clone(array)]),
        "slices show"
    );
    let (found, our_footer) = read(ours);
    assert_same(&found, array);
    let theirs = file(&plan().by_library(), slices(array, &[BLOCK_ROWS]));
    let (found, their_footer) = read(theirs);
    assert_same(&found, array);
    let (our, their) = (
        our_footer.row_group(0).column(0),
        their_footer.row_group(0).column(0),
    );
    assert_eq!(our.num_values(), their.num_values());
    assert_eq!(our.compression(), their.compression());
    // NaN is not equal to itself.
    let text = |chunk: &ColumnChunkMetaData| format!("{:?}", chunk.statistics());
    assert_eq!(text(our), text(their));
    assert_eq!(
        our.unencoded_byte_array_data_bytes(),
        their.unencoded_byte_array_data_bytes()
    );
    assert_eq!(
        our.definition_level_histogram(),
        their.definition_level_histogram()
    );
    compare_pages(&our_footer, &their_footer);
    if let Some(in_parts) = in_parts(&plan(), array, sizes) {
        let (found, footer) = read(in_parts);
        assert_same(&found, array);
        let chunk = footer.row_group(0).column(0);
        assert_eq!(text(chunk), text(our));
        assert_eq!(
            chunk.definition_level_histogram(),
            our.definition_level_histogram()
        );
        assert_eq!(
            chunk.unencoded_byte_array_data_bytes(),
            our.unencoded_byte_array_data_bytes()
        );
        compare_pages(&footer, &our_footer);
    }
    our.clone()
}

/// The file whose column is encoded a block after the other, of columns that are.
fn in_parts(plan: &FilePlan, array: &ArrayRef, sizes: &[usize]) -> Option<Bytes> {
    let column = plan.in_parts(0)?;
    let blocks = slices(array, &[BLOCK_ROWS]);
    let part = |block: &ArrayRef| column.encode_part(&slices(block, sizes)).unwrap();
    let chunk = || {
        let parts: Vec<_> = blocks.iter().map(part).collect();
        vec![ColumnChunk::Flat(column.joined(&parts).unwrap())]
    };
    let file = files_of(plan, std::iter::once(&chunk));
    let whole = |block: &[ArrayRef]| plan.encode(&[block.to_vec()]).unwrap();
    if blocks.len() < 2 {
        assert!(
            file == files_of(plan, std::iter::once(|| whole(&blocks))),
            "one part"
        );
    }
    Some(file)
}

/// Arrays are equal, doubles by their bits.
fn assert_same(found: &ArrayRef, expected: &ArrayRef) {
    assert_eq!(found.len(), expected.len());
    if let Some(expected) = expected.as_any().downcast_ref::<Float64Array>() {
        let found = found.as_any().downcast_ref::<Float64Array>().unwrap();
        let bits = |a: &Float64Array| -> Vec<Option<u64>> {
            a.iter().map(|v| v.map(f64::to_bits)).collect()
        };
        assert_eq!(bits(found), bits(expected));
    } else {
        assert_eq!(found, expected);
    }
}

fn compare_pages(ours: &ParquetMetaData, theirs: &ParquetMetaData) {
    let (ours, theirs) = (
        ours.page_index_for_row_group(0),
        theirs.page_index_for_row_group(0),
    );
    let starts = |pages: &[parquet::file::page_index::offset_index::PageLocation]| -> Vec<i64> {
        pages.iter().map(|p| p.first_row_index).collect()
    };
    let (our_pages, their_pages) = (
        starts(ours.page_locations(0).unwrap()),
        starts(theirs.page_locations(0).unwrap()),
    );
    // Only where texts are long may pages end elsewhere.
    if our_pages == their_pages {
        let text = |index| format!("{index:?}");
        assert_eq!(
            text(ours.column_index(0).unwrap()),
            text(theirs.column_index(0).unwrap())
        );
    } else {
        assert!(our_pages.len() > 1);
    }
}

/// Which values, so that runs, few and many distinct ones occur: rows of a kind one after the other.
fn rows() -> impl Strategy<Value = Vec<u64>> {
    let stretch = (1_usize..6_000, 1_u64..5_000, 0_u64..4, any::<u64>());
    prop::collection::vec(stretch, 1..8).prop_map(|stretches| {
        let value = |(rows, distinct, kind, seed): (usize, u64, u64, u64)| {
            (0..rows as u64).map(move |row| match kind {
                0 => seed,
                1 => seed.wrapping_add(row % distinct),
                2 => (row ^ seed).wrapping_mul(0x5851_f42d_4c95_7f2d) % distinct,
                _ => (row ^ seed)
                    .wrapping_mul(0x5851_f42d_4c95_7f2d)
                    .rotate_left(29),
            })
        };
        stretches.into_iter().flat_map(value).collect()
    })
}

fn codec() -> impl Strategy<Value = ParquetCompression> {
    use ParquetCompression::{Gzip, None, Snappy, Zstd};
    prop_oneof![
        Just(Snappy),
        Just(Snappy),
        Just(None),
        Just(Zstd),
        Just(Gzip)
    ]
}

const FLOATS: [f64; 10] = [
    0.0,
    -0.0,
    f64::NAN,
    -f64::NAN,
    f64::INFINITY,
    f64::NEG_INFINITY,
    1.5,
    -1.5,
    f64::MIN_POSITIVE,
    f64::MAX,
];

/// Texts of all lengths around those that take another way, some with one beginning or end.
fn text(v: u64) -> String {
    let filler = ["a", "é", "表", "\u{10ffff}", "\0", "z"][(v >> 40) as usize % 6];
    match v >> 5 & 7 {
        0 => String::new(),
        1 => filler.repeat((v % 40) as usize),
        2 => format!("a long beginning {v} and a long end"),
        3 => format!("{}{v}", filler.repeat((v % 90) as usize)),
        4 => filler.repeat(1 + (v % 9) as usize),
        _ => (v % 100_000).to_string(),
    }
}

/// A column of the values `rows`, one in `null_every` of them null (0: none).
fn column(kind: usize, rows: &[u64], null_every: u64) -> ArrayRef {
    let cells = || {
        rows.iter().enumerate().map(|(at, &v)| {
            // Whole stretches of nulls, and single ones.
            let null = null_every > 0 && (v % null_every == 0 || at / 300 % 7 == 3);
            (!null).then_some(v)
        })
    };
    match kind {
        0 => Arc::new(cells().map(|v| v.map(|v| v as i64)).collect::<Int64Array>()),
        1 => Arc::new(cells().map(|v| v.map(|v| v as i32)).collect::<Int32Array>()),
        2 => Arc::new(
            cells()
                .map(|v| v.map(|v| v as i32 % 9_999))
                .collect::<Date32Array>(),
        ),
        3 => Arc::new(
            cells()
                .map(|v| v.map(|v| v as i64))
                .collect::<TimestampMicrosecondArray>()
                .with_timezone("UTC"),
        ),
        4 => Arc::new(
            cells()
                .map(|v| v.map(|v| (v % 1_000_003) as f64 / 7.0))
                .collect::<Float64Array>(),
        ),
        5 => Arc::new(
            cells()
                .map(|v| v.map(|v| FLOATS[(v % 10) as usize]))
                .collect::<Float64Array>(),
        ),
        6 => Arc::new(
            cells()
                .map(|v| v.map(|v| v as f32))
                .collect::<Float32Array>(),
        ),
        7 => Arc::new(
            cells()
                .map(|v| v.map(|v| v % 3 == 0))
                .collect::<BooleanArray>(),
        ),
        8 => {
            let mut texts = StringBuilder::new();
            cells().for_each(|v| texts.append_option(v.map(text)));
            Arc::new(texts.finish())
        }
        9 => Arc::new(cells().map(|v| v.map(text)).collect::<LargeStringArray>()),
        _ => {
            let mut bytes = BinaryBuilder::new();
            cells().for_each(|v| {
                bytes.append_option(v.map(|v| vec![(v >> 8) as u8; (v % 90) as usize]));
            });
            Arc::new(bytes.finish())
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(160))]
    #[test]
    fn chunks_say_what_parquet_rs_says(
        kind in 0_usize..=10, rows in rows(), null_every in prop_oneof![Just(0_u64), 1_u64..9],
        dictionary in any::<bool>(), required in any::<bool>(), codec in codec(), skip in 0_usize..70,
        sizes in prop::collection::vec(1_usize..20_000, 1..5),
    ) {
        // Not from the first bit on.
        let whole = column(kind, &rows, null_every);
        let skip = skip.min(rows.len() - 1);
        let array = whole.slice(skip, rows.len() - skip);
        compare(&array, !required || array.null_count() > 0, dictionary, codec, &sizes);
    }

    #[test]
    fn few_rows_say_what_parquet_rs_says(
        kind in 0_usize..=10, rows in prop::collection::vec(any::<u64>(), 1..20),
        null_every in 0_u64..4, dictionary in any::<bool>(), codec in codec(), size in 1_usize..9,
    ) {
        let array = column(kind, &rows, null_every);
        compare(&array, true, dictionary, codec, &[size]);
    }
}

#[test]
fn pages_of_one_value_of_nulls_and_of_nan() {
    let floats = |v: f64| -> ArrayRef { Arc::new(Float64Array::from(vec![v; 40_000])) };
    for array in [
        floats(0.0),
        floats(-0.0),
        floats(f64::NAN),
        floats(-7.5),
        Arc::new(Float64Array::from(vec![None; 20_000])),
        Arc::new(BooleanArray::from(vec![true; 20_000])),
        Arc::new(Int64Array::from(vec![i64::MIN; 20_000])),
    ] {
        for dictionary in [true, false] {
            compare(
                &array,
                true,
                dictionary,
                ParquetCompression::Snappy,
                &[7_000],
            );
        }
    }
    // A page of NaN between two that have numbers.
    let mut values = vec![1.0; BLOCK_ROWS];
    values.extend(vec![f64::NAN; BLOCK_ROWS]);
    values.extend(vec![-2.0; 5]);
    let mixed: ArrayRef = Arc::new(Float64Array::from(values));
    compare(&mixed, false, false, ParquetCompression::None, &[1_000]);
}

fn has_dictionary(chunk: &ColumnChunkMetaData) -> bool {
    chunk.encodings().any(|e| e == Encoding::RLE_DICTIONARY)
}

#[test]
fn dictionaries_that_grow_too_large_are_given_up() {
    let snappy = ParquetCompression::Snappy;
    let ints = |count: i64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(
            (0..200_000).map(|i| i % count * 1_000_003),
        ))
    };
    // 1 MiB is 131,072 of them.
    assert!(has_dictionary(&compare(
        &ints(131_072),
        false,
        true,
        snappy,
        &[50_000]
    )));
    assert!(!has_dictionary(&compare(
        &ints(150_000),
        false,
        true,
        snappy,
        &[50_000]
    )));
    let texts = |count: usize| -> ArrayRef {
        let text = |i: usize| {
            format!(
                "a text that is somewhat long, and has the number {}",
                i % count
            )
        };
        Arc::new(
            (0..60_000)
                .map(|i| Some(text(i)))
                .collect::<LargeStringArray>(),
        )
    };
    assert!(has_dictionary(&compare(
        &texts(10_000),
        true,
        true,
        snappy,
        &[9_000]
    )));
    assert!(!has_dictionary(&compare(
        &texts(60_000),
        true,
        true,
        snappy,
        &[9_000]
    )));
}

#[test]
fn texts_longer_than_a_page() {
    let lengths = [
        5_usize,
        3_000_000,
        1 << 20,
        0,
        (1 << 20) - 4,
        1,
        700_000,
        700_000,
    ];
    let texts = lengths.iter().map(|&n| Some("é".repeat(n / 2)));
    let array: ArrayRef = Arc::new(texts.collect::<LargeStringArray>());
    for dictionary in [true, false] {
        compare(&array, true, dictionary, ParquetCompression::Snappy, &[3]);
    }
}

#[test]
fn values_made_to_meet_in_one_slot_are_no_trap() {
    // The same first and last eight bytes, and the same length.
    let texts = (0..50_000).map(|i| Some(format!("beginning {i:010} the end")));
    let array: ArrayRef = Arc::new(texts.collect::<LargeStringArray>());
    compare(&array, true, true, ParquetCompression::None, &[50_000]);
    let doubles = (0..60_000).map(|i| f64::from_bits((i as u64) << 44));
    let array: ArrayRef = Arc::new(Float64Array::from_iter_values(doubles));
    compare(&array, true, true, ParquetCompression::None, &[50_000]);
}

/// Columns of all kinds, with nulls, some of them in every row of a group.
fn columns_of_all_kinds(columns: usize, rows: usize, group: usize) -> Vec<Vec<ArrayRef>> {
    let value = |row: usize| ((row + group) as i64).wrapping_mul(0x5851_f42d_4c95_7f2d) >> 40;
    let column = |index: usize| -> ArrayRef {
        let some =
            |row: &usize| !(row + index + group).is_multiple_of(5) && (group + index) % 7 != 3;
        let values = (0..rows).map(|row| some(&row).then(|| value(row)));
        match index % 5 {
            0 => Arc::new(Int64Array::from_iter(values)),
            1 => Arc::new(Float64Array::from_iter(
                values.map(|v| v.map(|v| v as f64 / 8.0)),
            )),
            2 => Arc::new(BooleanArray::from_iter(
                values.map(|v| v.map(|v| v % 2 == 0)),
            )),
            3 => Arc::new(Date32Array::from_iter(values.map(|v| v.map(|v| v as i32)))),
            _ => Arc::new(arrow_array::StringArray::from_iter(
                values.map(|v| v.map(|v| format!("text {v} of group {group}"))),
            )),
        }
    };
    (0..columns).map(|index| vec![column(index)]).collect()
}

fn plan_of(columns: &[Vec<ArrayRef>]) -> FilePlan {
    let field = |(index, blocks): (usize, &Vec<ArrayRef>)| {
        Field::new(
            format!("column {index}"),
            blocks[0].data_type().clone(),
            true,
        )
    };
    let schema = Schema::new(columns.iter().enumerate().map(field).collect::<Vec<_>>());
    let hints: Vec<bool> = (0..columns.len()).map(|index| index % 2 == 0).collect();
    FilePlan::new(&Arc::new(schema), ParquetCompression::Snappy, &hints).unwrap()
}

#[test]
fn footers_of_many_row_groups_and_columns_are_those_of_the_library() {
    for (columns, rows, groups) in [
        (1, 1, 0),
        (3, 40_000, 2),
        (17, 90, 40),
        (14, 3, 15),
        (40, 9, 14),
    ] {
        let groups: Vec<_> = (0..groups)
            .map(|g| columns_of_all_kinds(columns, rows, g))
            .collect();
        files(&plan_of(&columns_of_all_kinds(columns, 1, 0)), &groups);
    }
}

/// Their numbers have 16 bits: above that, none is given.
#[test]
fn row_groups_beyond_the_last_ordinal() {
    let group = columns_of_all_kinds(1, 1, 1);
    let plan = plan_of(&group);
    for count in [32_767, 32_768] {
        let bytes = files(&plan, &vec![group.clone(); count]);
        let (array, metadata) = read(bytes);
        assert_eq!((array.len(), metadata.num_row_groups()), (count, count));
    }
}
