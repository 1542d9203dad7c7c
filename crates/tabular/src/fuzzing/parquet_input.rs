//! Any bytes as a Parquet file.

use std::io::{self, Read};
use std::sync::Arc;

use bytes::Bytes;

use crate::bad_rows::OnBadRow;
use crate::batches::parquet_rows;
use crate::convert::{ConvertJob, Target, convert};
use crate::error::TabularError;
use crate::format::Format;
use crate::input::Input;
use crate::inspect_parquet::inspect_parquet;
use crate::scan::{Scan, ScanOptions, scan};

use super::{Written, silence};

/// Rows of a file that are read here, at most: a run-length of a few bytes says billions.
const MOST_ROWS: u64 = 10_000;

/// It is read, or refused with an error that names the file; the rows are as many as its footer says,
/// and every one of them is there as JSON Lines. It is shown, or that is refused.
pub fn parquet_input(data: &[u8]) {
    silence();
    let input = input(data);
    let options = ScanOptions {
        threads: 1,
        on_bad_row: OnBadRow::Quarantine {
            max_ratio: None,
            max_rows: None,
        },
        limit_rows: Some(MOST_ROWS),
        ..ScanOptions::default()
    };
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), data).unwrap();
    let _ = ours(inspect_parquet(file.path(), 20));
    let scanned = ours(scan(std::slice::from_ref(&input), &options, &()));
    let rows = ours(parquet_rows(&input));
    let out = Written::default();
    let target = Target::Writer(Box::new(out.clone()));
    let mut job = ConvertJob::new(vec![input], Format::JSON_LINES, target);
    job.options = options;
    let converted = ours(convert(job, &()));
    let lines = out.take().iter().filter(|b| **b == b'\n').count() as u64;
    if let Some(converted) = converted {
        assert_eq!(converted.rows, lines);
        let scanned: Scan = scanned.expect("what is converted is scanned too");
        assert_eq!(scanned.rows_accepted, lines);
        assert_eq!(rows.map(|n| n.min(MOST_ROWS)), Some(scanned.rows_source));
    }
}

/// No error is one of this program.
fn ours<T>(result: Result<T, TabularError>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(TabularError::Internal(problem)) => panic!("{problem}"),
        Err(_) => None,
    }
}

fn input(data: &[u8]) -> Input {
    let bytes = Bytes::copy_from_slice(data);
    let stored = bytes.clone();
    let open = move || -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(io::Cursor::new(stored.clone())))
    };
    let range = move |from: u64, len: u64| {
        let (from, len) = (from as usize, len as usize);
        Ok(bytes.slice(from..from + len))
    };
    Input::new("input", Format::PARQUET, Arc::new(open))
        .with_ranges(data.len() as u64, Arc::new(range))
        .by_ranges()
}
