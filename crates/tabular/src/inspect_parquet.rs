//! What a Parquet file says of itself, and its first rows.

use std::collections::BTreeMap;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use parquet::basic::{Compression as Codec, ConvertedType, LogicalType};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, RowGroupMetaData};
use parquet::file::reader::FileReader;
use parquet::record::Field;
use parquet::schema::types::{ColumnDescPtr, ColumnDescriptor};
use serde::Serialize;

use crate::checked_pages::CheckedFile;
use crate::error::TabularError;
use crate::format::Format;
use crate::inspect_wrapper::contradiction;
use crate::ranges::Seekable;

/// A Parquet file.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ParquetInspection {
    /// The extension of its name, if that says something else: `.csv`.
    pub name_says: Option<String>,
    /// Rows.
    pub rows: u64,
    /// Size of the file in bytes.
    pub bytes: u64,
    /// The program that wrote it, as its footer says.
    pub created_by: Option<String>,
    /// The format version that its footer says.
    pub version: i32,
    /// Columns in order; of nested columns the leaves, their names joined by dots.
    pub columns: Vec<ParquetColumn>,
    /// Row groups in order.
    pub row_groups: Vec<ParquetRowGroup>,
    /// The first rows, a cell a top-level column; null is `None`, bytes are in hexadecimal.
    pub first_rows: Vec<Vec<Option<String>>>,
    /// Why there are no first rows, of a file whose rows are not read here.
    pub first_rows_problem: Option<String>,
}

/// A column over all row groups.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ParquetColumn {
    /// Its name.
    pub name: String,
    /// How values are stored: `INT64`, `BYTE_ARRAY` …
    pub physical_type: String,
    /// What they mean, where that is more: `string`, `date`, `timestamp(micros, utc)` …
    pub logical_type: Option<String>,
    /// Whether a value may be null.
    pub nullable: bool,
    /// Codecs of its chunks.
    pub codecs: Vec<String>,
    /// Encodings that occur in its chunks.
    pub encodings: Vec<String>,
    /// Bytes in the file.
    pub compressed_bytes: u64,
    /// Bytes of its encoded pages before compression.
    pub uncompressed_bytes: u64,
    /// Nulls, if all chunks have statistics.
    pub nulls: Option<u64>,
}

/// A row group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ParquetRowGroup {
    /// Rows.
    pub rows: u64,
    /// Bytes in the file.
    pub compressed_bytes: u64,
    /// Bytes of its encoded pages before compression.
    pub uncompressed_bytes: u64,
}

/// Reads the footer, and of the data the first `first_rows` rows.
///
/// Memory: the footer, and the pages of these rows.
///
/// # Errors
/// [`TabularError::Corrupt`] if it is no Parquet file or a damaged one, [`TabularError::Io`] if it
/// cannot be opened.
pub fn inspect_parquet(path: &Path, first_rows: usize) -> Result<ParquetInspection, TabularError> {
    let file = File::open(path).map_err(TabularError::io("open", path))?;
    let bytes = file
        .metadata()
        .map_err(TabularError::io("read", path))?
        .len();
    let corrupt = |problem: String| TabularError::Corrupt {
        path: path.to_path_buf(),
        problem,
    };
    // Hostile files are known to make decoders panic; a file is no reason for a program to end.
    let read = catch_unwind(AssertUnwindSafe(|| read(file, bytes, first_rows)));
    let read = read.map_err(|_| corrupt("it is damaged: its decoder gave up".into()))?;
    let mut found = read.map_err(|error| corrupt(error.to_string()))?;
    found.name_says = contradiction(&path.to_string_lossy(), |named| named == Format::PARQUET);
    Ok(found)
}

fn read(file: File, bytes: u64, first_rows: usize) -> Result<ParquetInspection, ParquetError> {
    let reader = CheckedFile::open(Seekable::File(file))?;
    let metadata = reader.metadata();
    let footer = metadata.file_metadata();
    let described = columns(metadata);
    let problem = undecodable(&described, metadata);
    let shown = if problem.is_some() { 0 } else { first_rows };
    Ok(ParquetInspection {
        name_says: None,
        rows: positive(footer.num_rows()),
        bytes,
        created_by: footer.created_by().map(str::to_string),
        version: footer.version(),
        columns: described,
        row_groups: metadata.row_groups().iter().map(row_group).collect(),
        first_rows: rows(&reader, shown)?,
        first_rows_problem: problem,
    })
}

fn row_group(group: &RowGroupMetaData) -> ParquetRowGroup {
    ParquetRowGroup {
        rows: positive(group.num_rows()),
        compressed_bytes: positive(group.compressed_size()),
        uncompressed_bytes: positive(group.total_byte_size()),
    }
}

fn columns(metadata: &ParquetMetaData) -> Vec<ParquetColumn> {
    let described = metadata
        .file_metadata()
        .schema_descr()
        .columns()
        .iter()
        .enumerate();
    described
        .map(|(index, column)| {
            let chunks: Vec<&ColumnChunkMetaData> = metadata
                .row_groups()
                .iter()
                .filter_map(|g| g.columns().get(index))
                .collect();
            describe(column, &chunks)
        })
        .collect()
}

fn describe(column: &ColumnDescriptor, chunks: &[&ColumnChunkMetaData]) -> ParquetColumn {
    ParquetColumn {
        name: column.path().string(),
        physical_type: column.physical_type().to_string(),
        logical_type: column.logical_type_ref().map(logical_name),
        nullable: column.max_def_level() > 0,
        codecs: distinct(chunks.iter().map(|c| codec_name(c.compression()))),
        encodings: distinct(
            chunks
                .iter()
                .flat_map(|c| c.encodings().map(|e| format!("{e:?}"))),
        ),
        compressed_bytes: chunks.iter().map(|c| positive(c.compressed_size())).sum(),
        uncompressed_bytes: chunks.iter().map(|c| positive(c.uncompressed_size())).sum(),
        nulls: chunks
            .iter()
            .map(|c| c.statistics().and_then(|s| s.null_count_opt()))
            .sum(),
    }
}

/// The logical type in a word, with what matters of its parameters.
fn logical_name(logical: &LogicalType) -> String {
    match logical {
        LogicalType::Timestamp(t) => {
            let zone = if t.is_adjusted_to_u_t_c {
                "utc"
            } else {
                "local"
            };
            format!(
                "timestamp({}, {zone})",
                format!("{:?}", t.unit).to_lowercase()
            )
        }
        LogicalType::Time(t) => {
            let zone = if t.is_adjusted_to_u_t_c {
                "utc"
            } else {
                "local"
            };
            format!("time({}, {zone})", format!("{:?}", t.unit).to_lowercase())
        }
        LogicalType::Integer(i) => {
            let sign = if i.is_signed { "" } else { "u" };
            format!("{sign}int{}", i.bit_width)
        }
        LogicalType::Decimal(d) => format!("decimal({}, {})", d.precision, d.scale),
        other => format!("{other:?}").to_lowercase(),
    }
}

/// The codec without its level, which a file does not hold.
fn codec_name(codec: Codec) -> String {
    let name = format!("{codec:?}");
    match name.split_once('(') {
        Some((name, _level)) => name.to_owned(),
        None => name,
    }
}

/// Why rows cannot be shown of a file that may be sound: its pages are in a codec that is not built in,
/// or a column is of a type that the decoder has no words for.
fn undecodable(columns: &[ParquetColumn], metadata: &ParquetMetaData) -> Option<String> {
    let known = ["UNCOMPRESSED", "SNAPPY", "GZIP", "ZSTD"];
    let codec = columns.iter().find_map(|column| {
        let other = column
            .codecs
            .iter()
            .find(|c| !known.contains(&c.as_str()))?;
        Some(format!(
            "column {:?} is compressed with {other}, which is not read",
            column.name
        ))
    });
    let interval = || {
        let schema = metadata.file_metadata().schema_descr();
        let is_interval = |c: &&ColumnDescPtr| c.converted_type() == ConvertedType::INTERVAL;
        let column = schema.columns().iter().find(is_interval)?;
        Some(format!(
            "column {:?} holds intervals, which are not read",
            column.path().string()
        ))
    };
    codec.or_else(interval)
}

/// Names once each, in order of the alphabet: the file's own order means nothing.
fn distinct(names: impl Iterator<Item = String>) -> Vec<String> {
    names
        .map(|n| (n, ()))
        .collect::<BTreeMap<_, _>>()
        .into_keys()
        .collect()
}

/// Footers hold signed sizes; a negative one is nonsense that counts as nothing.
fn positive(size: i64) -> u64 {
    u64::try_from(size).unwrap_or(0)
}

fn rows(reader: &CheckedFile, count: usize) -> Result<Vec<Vec<Option<String>>>, ParquetError> {
    if count == 0 {
        return Ok(Vec::new());
    }
    reader
        .get_row_iter(None)?
        .take(count)
        .map(|row| {
            Ok(row?
                .get_column_iter()
                .map(|(_, field)| cell(field))
                .collect())
        })
        .collect()
}

fn cell(field: &Field) -> Option<String> {
    match field {
        Field::Null => None,
        // Display puts strings in quotes.
        Field::Str(text) => Some(text.clone()),
        Field::Bytes(bytes) => Some(hex::encode(bytes.data())),
        other => Some(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

    use std::path::PathBuf;
    use std::sync::Arc;

    use arrow_array::{
        ArrayRef, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray,
        TimestampMicrosecondArray,
    };

    use parquet::file::properties::WriterProperties;
    use parquet::file::writer::SerializedFileWriter;

    use super::*;
    use crate::parquet_writer::{ParquetOptions, ParquetSink};

    fn written(folder: &Path) -> PathBuf {
        let path = folder.join("a.parquet");
        let columns: Vec<(&str, ArrayRef, bool)> = vec![
            ("id", Arc::new(Int64Array::from(vec![1, 2, 3])), false),
            (
                "plan",
                Arc::new(StringArray::from(vec![Some("a"), None, Some("")])),
                true,
            ),
            (
                "spend",
                Arc::new(Float64Array::from(vec![0.5, 1e300, -1.0])),
                true,
            ),
            ("day", Arc::new(Date32Array::from(vec![0, 1, 2])), true),
            (
                "at",
                Arc::new(
                    TimestampMicrosecondArray::from(vec![0, 1_000_000, 2]).with_timezone("UTC"),
                ),
                true,
            ),
        ];
        let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
        let options = ParquetOptions {
            row_group_rows: 2,
            ..ParquetOptions::default()
        };
        let mut sink = ParquetSink::create(
            Box::new(File::create(&path).unwrap()),
            batch.schema(),
            options,
        )
        .unwrap();
        sink.write(&batch).unwrap();
        sink.finish().unwrap();
        path
    }

    #[test]
    fn tells_what_the_writer_wrote() {
        let folder = tempfile::tempdir().unwrap();
        let path = written(folder.path());
        let found = inspect_parquet(&path, 2).unwrap();
        assert_eq!((found.rows, found.version), (3, 1));
        assert_eq!(found.bytes, std::fs::metadata(&path).unwrap().len());
        assert_eq!(
            found.created_by.as_deref(),
            Some(concat!("gristmill ", env!("CARGO_PKG_VERSION")))
        );
        assert_eq!(
            found.row_groups.iter().map(|g| g.rows).collect::<Vec<_>>(),
            [2, 1]
        );
        let stored: u64 = found.columns.iter().map(|c| c.compressed_bytes).sum();
        assert_eq!(
            stored,
            found
                .row_groups
                .iter()
                .map(|g| g.compressed_bytes)
                .sum::<u64>()
        );
        let shapes: Vec<String> = found
            .columns
            .iter()
            .map(|c| {
                format!(
                    "{} {} {:?} null={} nulls={:?} {:?} {:?}",
                    c.name,
                    c.physical_type,
                    c.logical_type,
                    c.nullable,
                    c.nulls,
                    c.codecs,
                    c.encodings
                )
            })
            .collect();
        insta::assert_snapshot!(shapes.join("\n"), @r#"
        id INT64 None null=false nulls=Some(0) ["SNAPPY"] ["PLAIN", "RLE"]
        plan BYTE_ARRAY Some("string") null=true nulls=Some(1) ["SNAPPY"] ["PLAIN", "RLE"]
        spend DOUBLE None null=true nulls=Some(0) ["SNAPPY"] ["PLAIN", "RLE"]
        day INT32 Some("date") null=true nulls=Some(0) ["SNAPPY"] ["PLAIN", "RLE"]
        at INT64 Some("timestamp(micros, utc)") null=true nulls=Some(0) ["SNAPPY"] ["PLAIN", "RLE"]
        "#);
        let rows: Vec<String> = found.first_rows.iter().map(|r| format!("{r:?}")).collect();
        insta::assert_snapshot!(rows.join("\n"), @r#"
        [Some("1"), Some("a"), Some("0.5"), Some("1970-01-01"), Some("1970-01-01 00:00:00.000000 +00:00")]
        [Some("2"), None, Some("1E300"), Some("1970-01-02"), Some("1970-01-01 00:00:01.000000 +00:00")]
        "#);
    }

    /// A file of one column of four bytes or so, by the library's own writer.
    fn one_column(folder: &Path, schema: &str, codec: Codec) -> PathBuf {
        use parquet::data_type::{ByteArray, FixedLenByteArray, FixedLenByteArrayType};
        let path = folder.join("one.parquet");
        let schema = Arc::new(parquet::schema::parser::parse_message_type(schema).unwrap());
        let options = WriterProperties::builder().set_compression(codec).build();
        let file = File::create(&path).unwrap();
        let mut writer = SerializedFileWriter::new(file, schema, Arc::new(options)).unwrap();
        let mut group = writer.next_row_group().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        let value = FixedLenByteArray::from(ByteArray::from(
            b"\x01\0\0\0\x02\0\0\0\x03\0\0\xff".to_vec(),
        ));
        let values = column.typed::<FixedLenByteArrayType>();
        values.write_batch(&[value], None, None).unwrap();
        column.close().unwrap();
        group.close().unwrap();
        writer.close().unwrap();
        path
    }

    #[test]
    fn codecs_are_named_without_a_level() {
        let folder = tempfile::tempdir().unwrap();
        let schema = "message m { required fixed_len_byte_array(12) a; }";
        let codecs = [
            (Codec::UNCOMPRESSED, "UNCOMPRESSED"),
            (Codec::SNAPPY, "SNAPPY"),
            (Codec::GZIP(Default::default()), "GZIP"),
            (Codec::ZSTD(Default::default()), "ZSTD"),
        ];
        for (codec, name) in codecs {
            let found = inspect_parquet(&one_column(folder.path(), schema, codec), 1).unwrap();
            assert_eq!(found.columns[0].codecs, [name]);
            assert_eq!(
                found.first_rows,
                [[Some("0100000002000000030000ff".to_owned())]]
            );
        }
    }

    #[test]
    fn rows_that_are_not_read_are_no_error() {
        let folder = tempfile::tempdir().unwrap();
        let schema = "message m { required fixed_len_byte_array(12) a (INTERVAL); }";
        let found = inspect_parquet(&one_column(folder.path(), schema, Codec::SNAPPY), 1).unwrap();
        assert_eq!((found.rows, found.first_rows.len()), (1, 0));
        assert_eq!(
            found.first_rows_problem.as_deref(),
            Some("column \"a\" holds intervals, which are not read")
        );
    }

    #[test]
    fn other_and_damaged_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = written(folder.path());
        let whole = std::fs::read(&path).unwrap();
        for content in [
            b"a,b\n1,2\n".as_slice(),
            b"",
            &whole[..whole.len() / 2],
            &whole[10..],
        ] {
            std::fs::write(&path, content).unwrap();
            let error = inspect_parquet(&path, 5).unwrap_err();
            assert!(matches!(error, TabularError::Corrupt { .. }), "{error}");
        }
    }
}
