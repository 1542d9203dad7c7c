//! Parquet inputs to blocks of typed rows, in order.
//!
//! Memory: the pages of one row group's columns as the library holds them while it decodes, and the
//! blocks under way, each of about [`BATCH_BYTES`].

use std::collections::{HashSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{Field, SchemaRef};
use parquet::arrow::arrow_reader::ParquetRecordBatchReader;
use parquet::arrow::{ProjectionMask, parquet_to_arrow_field_levels, parquet_to_arrow_schema};
use parquet::basic::Compression as Codec;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use parquet::file::reader::FileReader;
use parquet::schema::types::SchemaDescriptor;

use crate::blocks::Block;
use crate::checked_pages::CheckedFile;
use crate::error::TabularError;
use crate::input::Input;
use crate::sources::records_of_block;

/// How the problem of a file begins that is no Parquet, or a damaged one.
pub const NOT_PARQUET: &str = "cannot be read as Parquet";

/// Bytes of values of a block, about.
const BATCH_BYTES: usize = 1 << 20;
/// Rows of a block, at most.
const BATCH_ROWS: usize = 16_384;

/// Whether types are those of the Parquet file, or those of Arrow that its writer noted beside them
/// (dictionaries, 64-bit offsets, time zones).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Types {
    Parquet,
    Arrow,
}

/// Reads inputs in turn. The first is opened by [`Batches::open`], so that its columns are known
/// before anything runs in parallel.
pub(crate) struct Batches {
    inputs: Vec<Input>,
    types: Types,
    /// Only these columns, by their names.
    columns: Option<Vec<String>>,
    file: usize,
    current: Option<ParquetRecordBatchReader>,
    schema: SchemaRef,
    names: Vec<String>,
    first: bool,
    /// Rows of the current input as its footer has it, and those that were read.
    expected: u64,
    read: u64,
    rows_left: Option<u64>,
    /// The rest of a batch that was cut.
    pieces: VecDeque<RecordBatch>,
}

impl Batches {
    /// Opens the first input. With `columns`, only those are read; the others are not decoded.
    ///
    /// # Errors
    /// What is no Parquet file; those of reading.
    pub(crate) fn open(
        inputs: &[Input],
        types: Types,
        columns: Option<Vec<String>>,
        limit_rows: Option<u64>,
    ) -> Result<Self, TabularError> {
        let first = inputs.first().ok_or(TabularError::NoInput)?;
        let opened = open_one(first, types, columns.as_deref())?;
        Ok(Self {
            inputs: inputs.to_vec(),
            types,
            columns,
            file: 0,
            current: Some(opened.reader),
            names: names(&opened.schema),
            schema: opened.schema,
            first: true,
            expected: opened.rows,
            read: 0,
            rows_left: limit_rows,
            pieces: VecDeque::new(),
        })
    }

    /// The first input's columns, with the types that they are read as.
    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Their names.
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// The next rows; each input gives at least one block, however empty.
    pub(crate) fn next(&mut self) -> Result<Option<Block>, TabularError> {
        loop {
            let Some(reader) = &mut self.current else {
                return Ok(None);
            };
            if let Some(piece) = self.pieces.pop_front() {
                return Ok(self.block(piece));
            }
            let batch = guarded(&self.inputs[self.file], || {
                reader.next().transpose().map_err(|e| e.to_string())
            })?;
            match batch {
                Some(batch) => {
                    self.read += batch.num_rows() as u64;
                    let batch = self.cut(batch);
                    return Ok(self.block(batch));
                }
                None if self.read != self.expected => return Err(self.other_rows()),
                None if self.first => {
                    let empty = RecordBatch::new_empty(self.schema.clone());
                    return Ok(self.block(empty));
                }
                None => self.advance()?,
            }
        }
    }

    /// Its first rows, if it is longer than thought: values that a dictionary holds once may be long.
    fn cut(&mut self, batch: RecordBatch) -> RecordBatch {
        let (rows, bytes) = (batch.num_rows(), batch.get_array_memory_size());
        if bytes <= 4 * BATCH_BYTES || rows < 2 {
            return batch;
        }
        let most = (rows / (bytes / BATCH_BYTES)).max(1);
        let from = (most..rows).step_by(most);
        self.pieces = from
            .map(|from| batch.slice(from, most.min(rows - from)))
            .collect();
        batch.slice(0, most)
    }

    fn block(&mut self, mut batch: RecordBatch) -> Option<Block> {
        if let Some(left) = &mut self.rows_left {
            let take = usize::try_from(*left).unwrap_or(usize::MAX);
            batch = batch.slice(0, take.min(batch.num_rows()));
            *left -= batch.num_rows() as u64;
            if *left == 0 {
                self.current = None;
            }
        }
        let first = std::mem::replace(&mut self.first, false);
        Some(Block::of_batch(self.file, first, batch))
    }

    /// Pages may end before their time without a mistake in any of them.
    fn other_rows(&mut self) -> TabularError {
        self.current = None;
        let (expected, found) = (self.expected, self.read);
        damaged(
            &self.inputs[self.file],
            &format!("its footer says that it has {expected} rows, its pages have {found}"),
        )
    }

    fn advance(&mut self) -> Result<(), TabularError> {
        self.current = None;
        let Some(input) = self.inputs.get(self.file + 1) else {
            return Ok(());
        };
        let opened = open_one(input, self.types, self.columns.as_deref())?;
        check_same(
            &self.inputs[0].name,
            &self.schema,
            &input.name,
            &opened.schema,
        )?;
        self.file += 1;
        self.first = true;
        (self.expected, self.read) = (opened.rows, 0);
        self.current = Some(opened.reader);
        Ok(())
    }
}

/// The columns of one input, from its footer.
///
/// # Errors
/// As [`Batches::open`].
pub(crate) fn schema_of(input: &Input, types: Types) -> Result<SchemaRef, TabularError> {
    Ok(Footer::read(input, types)?.schema)
}

/// Rows of a Parquet input, from its footer; nothing else is read.
///
/// # Errors
/// What is no Parquet file; those of reading.
pub fn parquet_rows(input: &Input) -> Result<u64, TabularError> {
    rows_of(input, Footer::read(input, Types::Parquet)?.metadata())
}

/// Rows of a file by its footer, which are those of its row groups.
fn rows_of(input: &Input, metadata: &ParquetMetaData) -> Result<u64, TabularError> {
    let expected = metadata.file_metadata().num_rows();
    let mut groups = metadata.row_groups().iter().map(RowGroupMetaData::num_rows);
    let found: i128 = groups.clone().map(i128::from).sum();
    match u64::try_from(expected) {
        Ok(rows) if found == i128::from(rows) && groups.all(|rows| rows >= 0) => Ok(rows),
        _ => Err(damaged(
            input,
            &format!("its footer says that it has {expected} rows, its row groups have {found}"),
        )),
    }
}

/// A file whose footer was read and accepted.
struct Footer {
    file: Arc<dyn FileReader>,
    schema: SchemaRef,
}

impl Footer {
    fn read(input: &Input, types: Types) -> Result<Self, TabularError> {
        let file = input.seekable()?;
        let read = || {
            let file = CheckedFile::open(file)?;
            let footer = file.metadata().file_metadata();
            let notes = footer.key_value_metadata();
            let notes = notes.filter(|_| types == Types::Arrow);
            let schema = parquet_to_arrow_schema(footer.schema_descr(), notes)?;
            Ok(Self {
                schema: Arc::new(schema),
                file: Arc::new(file),
            })
        };
        let footer = guarded(input, || read().map_err(|e: ParquetError| e.to_string()))?;
        check_columns(input, &footer)?;
        Ok(footer)
    }

    fn metadata(&self) -> &ParquetMetaData {
        self.file.metadata()
    }

    fn parquet_schema(&self) -> &SchemaDescriptor {
        self.metadata().file_metadata().schema_descr()
    }

    /// Begins with the rows, so many at a time, of the columns of `mask`.
    fn rows(
        self,
        mask: ProjectionMask,
        batch_rows: usize,
    ) -> Result<ParquetRecordBatchReader, ParquetError> {
        let hint = Some(self.schema.fields());
        let levels = parquet_to_arrow_field_levels(self.parquet_schema(), mask, hint)?;
        ParquetRecordBatchReader::try_new_with_row_groups(&levels, &self.file, batch_rows, None)
    }
}

/// Refuses what the formats allow and we do not read: no columns, two of one name, other codecs.
fn check_columns(input: &Input, footer: &Footer) -> Result<(), TabularError> {
    let refuse = |problem: String| {
        Err(TabularError::Columns {
            file: input.name.clone(),
            problem,
        })
    };
    let names = names(&footer.schema);
    if names.is_empty() {
        return refuse("it has no columns".into());
    }
    let mut seen = HashSet::new();
    if let Some(twice) = names.iter().find(|name| !seen.insert(name.as_str())) {
        return refuse(format!(
            "two columns are named {twice:?}, and columns go by their names: rename one where the \
             file is written"
        ));
    }
    let chunks = footer
        .metadata()
        .row_groups()
        .iter()
        .flat_map(|group| group.columns());
    let is_read = |codec| {
        matches!(
            codec,
            Codec::UNCOMPRESSED | Codec::SNAPPY | Codec::GZIP(_) | Codec::ZSTD(_)
        )
    };
    match chunks
        .map(|chunk| (chunk, chunk.compression()))
        .find(|(_, codec)| !is_read(*codec))
    {
        None => Ok(()),
        Some((chunk, codec)) => refuse(format!(
            "column {} is compressed by {codec}, which is not read: expected snappy, zstd, gzip or \
             none; write the file again with one of these",
            chunk.column_path()
        )),
    }
}

/// An input that is about to be read.
struct Opened {
    reader: ParquetRecordBatchReader,
    schema: SchemaRef,
    /// Rows, by the footer.
    rows: u64,
}

fn open_one(
    input: &Input,
    types: Types,
    columns: Option<&[String]>,
) -> Result<Opened, TabularError> {
    let footer = Footer::read(input, types)?;
    let all_rows = rows_of(input, footer.metadata())?;
    let mut schema = footer.schema.clone();
    let mut mask = ProjectionMask::all();
    if let Some(columns) = columns {
        let wanted = |name: &str| columns.iter().any(|c| c == name);
        let roots: Vec<usize> = (0..schema.fields().len())
            .filter(|&i| wanted(schema.field(i).name()))
            .collect();
        schema = schema
            .project(&roots)
            .map(Arc::new)
            .map_err(|e| TabularError::Internal(format!("projection of {}: {e}", input.name)))?;
        mask = ProjectionMask::roots(footer.parquet_schema(), roots);
    }
    let rows = batch_rows(footer.metadata(), schema.fields().len());
    // No room is made for more rows than there are.
    let rows = rows.min(usize::try_from(all_rows).unwrap_or(usize::MAX));
    let reader = guarded(input, || footer.rows(mask, rows).map_err(|e| e.to_string()))?;
    Ok(Opened {
        reader,
        schema,
        rows: all_rows,
    })
}

/// Rows of a block, by what a row takes on average in the row group with the longest rows, as stored
/// and, where the writer noted it, in plain text. Nulls take nothing there, but a cell each here.
fn batch_rows(metadata: &ParquetMetaData, columns: usize) -> usize {
    let of_group = |group: &RowGroupMetaData| {
        let plain = group.columns().iter();
        let plain: i64 = plain
            .filter_map(|c| c.unencoded_byte_array_data_bytes())
            .sum();
        group.total_byte_size().max(plain).max(1) / group.num_rows().max(1)
    };
    let longest = metadata.row_groups().iter().map(of_group).max();
    let bytes = usize::try_from(longest.unwrap_or(1).max(1)).unwrap_or(usize::MAX);
    (BATCH_BYTES / bytes).clamp(1, BATCH_ROWS.min(records_of_block(columns)))
}

fn names(schema: &SchemaRef) -> Vec<String> {
    schema.fields().iter().map(|f| f.name().clone()).collect()
}

/// Runs a piece of the library. It checks what it reads, but not everywhere: a damaged file may make
/// it panic, which is an error of the file here and no end of the process.
fn guarded<T>(input: &Input, work: impl FnOnce() -> Result<T, String>) -> Result<T, TabularError> {
    let done = catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err("its metadata or pages contradict each other".to_owned()));
    done.map_err(|problem| {
        input
            .take_failure()
            .unwrap_or_else(|| damaged(input, &problem))
    })
}

fn damaged(input: &Input, problem: &str) -> TabularError {
    TabularError::Corrupt {
        path: input.name.clone().into(),
        problem: format!("{NOT_PARQUET}: {problem}"),
    }
}

/// All inputs of one pass have the same columns of the same types.
fn check_same(
    first: &str,
    expected: &SchemaRef,
    other: &str,
    found: &SchemaRef,
) -> Result<(), TabularError> {
    let same = |(a, b): (&std::sync::Arc<Field>, &std::sync::Arc<Field>)| {
        a.name() == b.name() && a.data_type() == b.data_type()
    };
    let (a, b) = (expected.fields(), found.fields());
    if a.len() == b.len() && a.iter().zip(b).all(same) {
        return Ok(());
    }
    let described = |schema: &SchemaRef, others: &SchemaRef| -> Vec<String> {
        let fields = schema.fields().iter();
        let lone = fields.filter(|f| {
            !others
                .fields()
                .iter()
                .any(|o| o.name() == f.name() && o.data_type() == f.data_type())
        });
        lone.map(|f| format!("{} {}", f.name(), f.data_type()))
            .collect()
    };
    let (missing, extra) = (described(expected, found), described(found, expected));
    let difference = if missing.is_empty() && extra.is_empty() {
        format!(
            "the same columns in another order: {}",
            names(found).join(", ")
        )
    } else {
        format!("expected {}, found {}", list(&missing), list(&extra))
    };
    Err(TabularError::HeadersDiffer {
        first: first.into(),
        other: other.into(),
        difference,
    })
}

fn list(columns: &[String]) -> String {
    if columns.is_empty() {
        "nothing more".to_owned()
    } else {
        crate::error::quoted(columns)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

    use std::sync::Arc;

    use arrow_array::{ArrayRef, Int64Array, StringArray, new_null_array};
    use arrow_schema::DataType;
    use parquet::arrow::ArrowWriter;
    use parquet::file::properties::{EnabledStatistics, WriterProperties};

    use super::*;

    /// Rows of each block of a Parquet file with this column, as often.
    fn block_rows(column: ArrayRef, times: usize) -> Vec<usize> {
        let names = (0..times).map(|i| format!("c{i}"));
        let batch = RecordBatch::try_from_iter(names.map(|n| (n, Arc::clone(&column)))).unwrap();
        let file = tempfile::NamedTempFile::with_suffix(".parquet").unwrap();
        let plain = WriterProperties::builder()
            .set_statistics_enabled(EnabledStatistics::None)
            .build();
        let mut writer =
            ArrowWriter::try_new(file.reopen().unwrap(), batch.schema(), Some(plain)).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        let inputs = [Input::file(file.path())];
        let mut batches = Batches::open(&inputs, Types::Parquet, None, None).unwrap();
        let next = || batches.next().unwrap();
        std::iter::from_fn(next)
            .map(|block| block.batch.unwrap().num_rows())
            .collect()
    }

    #[test]
    fn values_that_a_dictionary_holds_once_make_short_blocks() {
        let long = "x".repeat(20_000);
        let rows = block_rows(Arc::new(StringArray::from(vec![long.as_str(); 2_000])), 1);
        assert_eq!(rows.iter().sum::<usize>(), 2_000);
        let most = rows.iter().max().unwrap() * long.len();
        assert!(most <= 2 * BATCH_BYTES, "{most} bytes in a block");
    }

    #[test]
    fn fewer_rows_than_the_footer_says_are_an_error() {
        // A page of four rows in a dictionary whose indices end before; found by mutation.
        let bytes = include_bytes!("../../../fuzz/corpus/parquet_input/short_pages");
        let file = tempfile::NamedTempFile::with_suffix(".parquet").unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        let inputs = [Input::file(file.path())];
        let read = Batches::open(&inputs, Types::Parquet, None, None)
            .and_then(|mut batches| batches.next().map(|_| ()));
        let error = read.unwrap_err().to_string();
        let counts = "its footer says that it has 4 rows, its ";
        assert!(error.contains(counts), "{error}");
        let name = file.path().file_name().unwrap().to_str().unwrap();
        assert!(error.contains(name), "{error}");
    }

    #[test]
    fn nulls_that_take_no_bytes_make_short_blocks() {
        let rows = block_rows(new_null_array(&DataType::Int64, 20_000), 200);
        assert_eq!(rows.iter().sum::<usize>(), 20_000);
        assert!(*rows.iter().max().unwrap() <= records_of_block(200));
        // Few columns are cut as ever.
        let rows = block_rows(Arc::new(Int64Array::from(vec![1; 20_000])), 2);
        assert_eq!(rows, [BATCH_ROWS, 20_000 - BATCH_ROWS]);
    }
}
