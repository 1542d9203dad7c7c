//! CSV to Parquet and back by the `parquet` crate: each cell is the source's text under its type.

use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Float64Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, SchemaRef};
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::bad_rows::OnBadRow;
use crate::convert::{ConvertJob, Target, convert};
use crate::error::TabularError;
use crate::format::Format;
use crate::header;
use crate::parquet_writer::ParquetCompression;
use crate::schema::Schema;
use crate::values::DEFAULT_NULLS;

use super::plain_csv::{Field, Record, is_name, read};
use super::plain_values as plain;
use super::{Written, choices, dialect, text_input};

/// What a conversion to Parquet holds is what the plain readers of CSV and of values find in the text:
/// as many rows, the header's names, null where a cell is null, else its value, and no column is text
/// that a narrower type would hold. The bytes do not depend on blocks and threads, nor on whether they
/// go to a stream or to a file, whose types are guessed first. The first byte chooses the dialect, header and file, the second the size
/// of blocks, the third threads, codec and row groups.
pub fn convert_typed(data: &[u8]) {
    let ([which, block, rest], text) = choices(data);
    let Some((mut dialect, text)) = dialect(which, text) else {
        return;
    };
    dialect.header = which & 8 == 0;
    let job = |block: usize, threads: usize| {
        let mut job = ConvertJob::new(
            vec![text_input(text, Format::CSV, usize::MAX)],
            Format::PARQUET,
            Target::Folder(std::path::PathBuf::new()),
        );
        job.options.dialect = dialect;
        job.options.on_bad_row = OnBadRow::Quarantine {
            max_ratio: None,
            max_rows: None,
        };
        job.options.block_bytes = block;
        job.options.threads = threads;
        job.row_group_rows = (rest & 12 == 12).then_some(rest / 16 + 1);
        job.compression = match rest & 12 {
            4 => ParquetCompression::Zstd,
            8 => ParquetCompression::None,
            _ => ParquetCompression::Snappy,
        };
        job
    };
    let whole = written(job(1 << 16, 1));
    assert_eq!(written(job(block + 1, rest % 3 + 1)), whole);
    if which & 16 == 16 {
        let mut guessed = job(block + 1, 1);
        guessed.options.sample_bytes = rest as u64 * 4 + 1;
        assert_eq!(written_to_file(guessed), whole);
    }
    let Ok((file, _)) = whole else { return };

    let records = read(text, header::mark(text), &dialect).records;
    let mut records = records.into_iter();
    let names = dialect.header.then(|| records.next().expect("a header"));
    let width = names.as_ref().map(|names| names.fields.len());
    let records: Vec<Record> = records.collect();
    let width = width.unwrap_or_else(|| records.first().map_or(0, |r| r.fields.len()));
    let is_good = |r: &&Record| {
        let utf8 = std::str::from_utf8(&text[r.start..r.end]).is_ok();
        r.fault.is_none() && r.fields.len() == width && utf8
    };
    let good: Vec<&Record> = records.iter().filter(is_good).collect();
    let (schema, batches) = read_back(file);
    assert_eq!(schema.fields().len(), width);
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    assert_eq!(rows, good.len());
    for (place, field) in schema.fields().iter().enumerate() {
        if let Some(names) = &names {
            is_name(&names.fields[place].text, field.name(), place);
        }
        let cells: Vec<&Field> = good.iter().map(|r| &r.fields[place]).collect();
        column(field.data_type(), &cells, &batches, place);
    }
}

/// The bytes, and the columns that they are said to have.
type Output = (Vec<u8>, Option<Schema>);

fn written(mut job: ConvertJob) -> Result<Output, String> {
    let out = Written::default();
    job.output = Target::Writer(Box::new(out.clone()));
    match convert(job, &()) {
        Ok(done) => Ok((out.take(), done.schema)),
        Err(error) => {
            assert!(!matches!(error, TabularError::Internal(_)), "{error}");
            Err(error.to_string())
        }
    }
}

/// A file can be begun anew, a stream cannot: the one may take other ways than the other.
fn written_to_file(mut job: ConvertJob) -> Result<Output, String> {
    let path = super::scratch_path("parquet");
    job.output = Target::File(path.clone());
    let done = convert(job, &()).map_err(|error| error.to_string());
    let bytes = done.map(|done| (std::fs::read(&path).unwrap(), done.schema));
    let _ = std::fs::remove_file(&path);
    bytes
}

fn read_back(file: Vec<u8>) -> (SchemaRef, Vec<RecordBatch>) {
    let builder = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(file)).unwrap();
    let schema = builder.schema().clone();
    let batches = builder.build().unwrap().map(Result::unwrap).collect();
    (schema, batches)
}

fn is_token(cell: &Field) -> bool {
    !cell.quoted && DEFAULT_NULLS.iter().any(|t| t.as_bytes() == cell.text)
}

fn column(found: &DataType, cells: &[&Field], batches: &[RecordBatch], place: usize) {
    let texts: Vec<&str> = cells
        .iter()
        .map(|c| std::str::from_utf8(&c.text).unwrap())
        .collect();
    let is_value = |cell: &Field| !cell.is_empty() && !is_token(cell);
    let values: Vec<&str> = (0..cells.len())
        .filter(|&row| is_value(cells[row]))
        .map(|row| texts[row])
        .collect();
    let expected = narrowest(&values);
    assert_eq!(*found, expected, "the type of column {place}");
    // In a column of text the tokens are text, if there is any other.
    let text = expected == DataType::Utf8 && !values.is_empty();
    let mut at = 0;
    for batch in batches {
        let array = batch.column(place);
        for row in 0..array.len() {
            let null = cells[at].is_empty() || (is_token(cells[at]) && !text);
            assert_eq!(array.is_null(row), null, "row {at} of column {place}");
            if !null {
                same_value(array, row, texts[at]);
            }
            at += 1;
        }
    }
}

/// The narrowest type that holds all values unchanged.
fn narrowest(values: &[&str]) -> DataType {
    let all = |holds: fn(&str) -> bool| !values.is_empty() && values.iter().all(|v| holds(v));
    let micros = arrow_schema::TimeUnit::Microsecond;
    if all(|v| plain::int(v).is_some()) {
        DataType::Int64
    } else if all(plain::is_kept) {
        DataType::Float64
    } else if all(|v| plain::boolean(v).is_some()) {
        DataType::Boolean
    } else if all(|v| plain::date(v).is_some()) {
        DataType::Date32
    } else if all(|v| plain::instant(v).is_some_and(|(_, zone)| !zone)) {
        DataType::Timestamp(micros, None)
    } else if all(|v| plain::instant(v).is_some_and(|(_, zone)| zone)) {
        DataType::Timestamp(micros, Some("UTC".into()))
    } else {
        DataType::Utf8
    }
}

fn same_value(array: &dyn Array, row: usize, text: &str) {
    match array.data_type() {
        DataType::Int64 => {
            let found = array.as_primitive::<Int64Type>().value(row);
            assert_eq!(found.to_string(), text);
        }
        DataType::Float64 => {
            let found = array.as_primitive::<Float64Type>().value(row);
            assert_eq!(
                found.to_bits(),
                text.parse::<f64>().unwrap().to_bits(),
                "{text}"
            );
        }
        DataType::Boolean => {
            assert_eq!(Some(array.as_boolean().value(row)), plain::boolean(text));
        }
        DataType::Date32 => {
            let found = array.as_primitive::<Date32Type>().value(row);
            assert_eq!(Some(found), plain::date(text));
        }
        DataType::Timestamp(_, _) => {
            let found = array.as_primitive::<TimestampMicrosecondType>().value(row);
            assert_eq!(Some(found), plain::instant(text).map(|(micros, _)| micros));
        }
        DataType::Utf8 => assert_eq!(array.as_string::<i32>().value(row), text),
        other => panic!("a column of type {other}"),
    }
}
