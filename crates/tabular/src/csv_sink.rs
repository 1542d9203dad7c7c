//! Record batches to canonical CSV: comma, LF, quotes only where needed, a final newline.
//!
//! Null is an empty field and the empty string is `""`, so that both come back. Numbers are the
//! shortest text that reads back to the same value; dates and timestamps are ISO 8601.

use std::io;

use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::SchemaRef;

use crate::cell_text;
use crate::compression::FinishWrite;
use crate::csv_text;

/// Text that is gathered before it is passed on.
const BUFFER_BYTES: usize = 256 * 1024;

/// A CSV stream being written. Memory: 256 KiB and one row.
pub(crate) struct CsvSink {
    out: Box<dyn FinishWrite>,
    text: Vec<u8>,
    /// The text of one cell.
    scratch: Vec<u8>,
}

impl CsvSink {
    /// Begins a stream, with the columns' names first if there is to be a header.
    pub(crate) fn new(out: Box<dyn FinishWrite>, schema: &SchemaRef, header: bool) -> CsvSink {
        let mut sink = CsvSink {
            out,
            text: Vec::with_capacity(BUFFER_BYTES + 4096),
            scratch: Vec::new(),
        };
        if header {
            for (index, field) in schema.fields().iter().enumerate() {
                sink.separator(index);
                csv_text::field(&mut sink.text, field.name().as_bytes(), true);
            }
            sink.text.push(b'\n');
        }
        sink
    }

    pub(crate) fn write(&mut self, batch: &RecordBatch) -> io::Result<()> {
        for row in 0..batch.num_rows() {
            let start = self.text.len();
            for (index, column) in batch.columns().iter().enumerate() {
                self.separator(index);
                push_cell(&mut self.text, &mut self.scratch, column, row)?;
            }
            csv_text::end_record(&mut self.text, start);
            if self.text.len() >= BUFFER_BYTES {
                self.out.write_all(&self.text)?;
                self.text.clear();
            }
        }
        Ok(())
    }

    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.out.write_all(&self.text)?;
        self.out.finish().map(|_| ())
    }

    fn separator(&mut self, index: usize) {
        if index > 0 {
            self.text.push(b',');
        }
    }
}

/// Appends a cell: bare ones as they are, text in quotes where it needs them.
fn push_cell(
    out: &mut Vec<u8>,
    scratch: &mut Vec<u8>,
    column: &ArrayRef,
    row: usize,
) -> io::Result<()> {
    if column.is_null(row) {
        return Ok(());
    }
    if cell_text::is_bare(column.data_type()) {
        return cell_text::push(out, column, row);
    }
    scratch.clear();
    cell_text::push(scratch, column, row)?;
    csv_text::field(out, scratch, true);
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use arrow_array::{
        BooleanArray, Date32Array, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray,
    };

    use super::*;
    use crate::compression::{Compression, compress};

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

    fn text(columns: Vec<(&str, ArrayRef)>, header: bool) -> String {
        let batch = RecordBatch::try_from_iter_with_nullable(
            columns.into_iter().map(|(n, c)| (n, c, true)),
        )
        .unwrap();
        let out = Shared::default();
        let mut sink = CsvSink::new(
            compress(Compression::None, Box::new(out.clone())),
            &batch.schema(),
            header,
        );
        sink.write(&batch).unwrap();
        sink.finish().unwrap();
        let bytes = out.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn each_type_has_its_text() {
        let zoned = TimestampMicrosecondArray::from(vec![Some(1_700_000_000_123_456), None])
            .with_timezone("UTC");
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("i", Arc::new(Int64Array::from(vec![Some(-5), None]))),
            (
                "f, x",
                Arc::new(Float64Array::from(vec![Some(1e300), Some(-0.0)])),
            ),
            ("b", Arc::new(BooleanArray::from(vec![Some(true), None]))),
            (
                "d",
                Arc::new(Date32Array::from(vec![Some(19_675), Some(-1)])),
            ),
            (
                "t",
                Arc::new(TimestampMicrosecondArray::from(vec![
                    Some(0),
                    Some(1_500_000),
                ])),
            ),
            ("z", Arc::new(zoned)),
            (
                "s",
                Arc::new(StringArray::from(vec![Some("a\"b"), Some("")])),
            ),
        ];
        insta::assert_snapshot!(text(columns, true), @r#"
        i,"f, x",b,d,t,z,s
        -5,1e300,true,2023-11-14,1970-01-01T00:00:00,2023-11-14T22:13:20.123456Z,"a""b"
        ,-0.0,,1969-12-31,1970-01-01T00:00:01.500,,""
        "#);
    }

    #[test]
    fn a_reader_gets_the_same_cells_back() {
        let cells = ["plain", "", " lead", "a,b", "q\"q", "two\nlines", "\r", "é"];
        let written = text(
            vec![("s", Arc::new(StringArray::from(cells.to_vec())))],
            false,
        );
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .from_reader(written.as_bytes());
        let back: Vec<String> = reader
            .records()
            .map(|r| r.unwrap()[0].to_string())
            .collect();
        assert_eq!(back, cells);
    }

    #[test]
    fn a_lone_null_keeps_its_row() {
        let written = text(
            vec![("n", Arc::new(Int64Array::from(vec![None, Some(1)])))],
            false,
        );
        assert_eq!(written, "\"\"\n1\n");
    }
}
