//! Cutting an object into the bodies of requests.
//!
//! The service cuts at newline bytes and knows nothing of quotes. A body holds whole lines with
//! their newlines, so the bodies of an object put together are the object.

use std::io::{BufRead, BufReader, Read};

use super::settings::Split;
use crate::config::BlankLines;

/// Bytes of one read.
const READ_BYTES: usize = 256 << 10;
/// A record where the payload has no limit.
const MAX_RECORD: u64 = 1 << 30;

/// Why an object cannot be cut.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SplitError {
    /// A record, or the whole object, is larger than a request may be.
    #[error("ClientError: 413")]
    TooLarge,
    /// Not readable, or not gzip.
    #[error("ClientError: the input cannot be read: {0}")]
    Read(#[from] std::io::Error),
}

/// How to cut.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut {
    pub(crate) split: Split,
    /// Bytes of a body.
    pub(crate) limit: Option<u64>,
    pub(crate) blank_lines: BlankLines,
}

/// Hands each body to `emit` in order, until it answers false. Holds one body and one record, at
/// most twice the limit. Blocking.
pub(crate) fn split(
    reader: impl Read,
    cut: Cut,
    emit: &mut dyn FnMut(Vec<u8>) -> bool,
) -> Result<(), SplitError> {
    let mut reader = BufReader::with_capacity(READ_BYTES, reader);
    let limit = cut.limit.unwrap_or(MAX_RECORD);
    if cut.split == Split::Whole {
        let body = read_whole(&mut reader, limit)?;
        if !body.is_empty() {
            emit(body);
        }
        return Ok(());
    }
    let mut body = Vec::new();
    loop {
        let line = read_line(&mut reader, limit)?;
        if line.is_empty() {
            break;
        }
        if cut.blank_lines == BlankLines::Skip && matches!(line.as_slice(), b"\n" | b"\r\n") {
            continue;
        }
        if cut.split == Split::SingleLines {
            if !emit(line) {
                return Ok(());
            }
            continue;
        }
        let full = !body.is_empty() && (body.len() + line.len()) as u64 > limit;
        if full && !emit(std::mem::take(&mut body)) {
            return Ok(());
        }
        body.extend_from_slice(&line);
    }
    if !body.is_empty() {
        emit(body);
    }
    Ok(())
}

fn read_whole(reader: &mut impl Read, limit: u64) -> Result<Vec<u8>, SplitError> {
    let mut body = Vec::new();
    reader
        .take(limit.saturating_add(1))
        .read_to_end(&mut body)?;
    within(body, limit)
}

/// With its newline; empty at the end.
fn read_line(reader: &mut impl BufRead, limit: u64) -> Result<Vec<u8>, SplitError> {
    let mut line = Vec::new();
    reader
        .take(limit.saturating_add(1))
        .read_until(b'\n', &mut line)?;
    within(line, limit)
}

fn within(bytes: Vec<u8>, limit: u64) -> Result<Vec<u8>, SplitError> {
    if bytes.len() as u64 > limit {
        Err(SplitError::TooLarge)
    } else {
        Ok(bytes)
    }
}
