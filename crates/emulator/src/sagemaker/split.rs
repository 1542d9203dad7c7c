//! Cutting an object into the bodies of requests.
//!
//! The service cuts at newline bytes and knows nothing of quotes. Unless a switch says otherwise, a
//! body holds whole lines with their newlines, so the bodies of an object put together are the object.

use std::io::{BufRead, BufReader, Read};

use super::settings::Split;
use crate::assume::{
    Assumptions, BlankLines, ByteOrderMark, CarriageReturn, CrLf, FinalNewline, NotUtf8,
    PayloadNewline, SingleRecordNewline,
};

/// Bytes of one read.
const READ_BYTES: usize = 256 << 10;
/// A record where the payload has no limit.
const MAX_RECORD: u64 = 1 << 30;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Why an object cannot be cut.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SplitError {
    /// A record, or the whole object, is larger than a request may be.
    #[error("ClientError: 413")]
    TooLarge,
    /// Not readable, or not gzip.
    #[error("ClientError: the input cannot be read: {0}")]
    Read(#[from] std::io::Error),
    /// Only where the switch `not-utf8` says that it matters.
    #[error("ClientError: the input is not UTF-8")]
    NotUtf8,
}

/// How to cut.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut {
    pub(crate) split: Split,
    /// Bytes of a body.
    pub(crate) limit: Option<u64>,
    pub(crate) assume: Assumptions,
}

/// Hands each body to `emit` in order, until it answers false. Holds one body and one record, at
/// most twice the limit. Blocking.
pub(crate) fn split(
    reader: impl Read,
    cut: Cut,
    emit: &mut dyn FnMut(Vec<u8>) -> bool,
) -> Result<(), SplitError> {
    let mut reader = BufReader::with_capacity(READ_BYTES, reader);
    if cut.split == Split::Whole {
        let body = read_whole(&mut reader, cut.limit())?;
        if !body.is_empty() {
            emit(body);
        }
        return Ok(());
    }
    let (mut body, mut size, mut first) = (Vec::new(), 0, true);
    while let Some(record) = cut.read_record(&mut reader, std::mem::take(&mut first))? {
        if cut.split == Split::SingleLines {
            if !emit(cut.single(record)) {
                return Ok(());
            }
            continue;
        }
        let bytes = cut.counted(&record);
        let full = !body.is_empty() && size + bytes > cut.limit();
        if full {
            size = 0;
            if !emit(std::mem::take(&mut body)) {
                return Ok(());
            }
        }
        size += bytes;
        body.extend_from_slice(&record);
    }
    if !body.is_empty() {
        emit(body);
    }
    Ok(())
}

impl Cut {
    fn limit(&self) -> u64 {
        self.limit.unwrap_or(MAX_RECORD)
    }

    /// The next record that is to be sent, as it is to be sent; none at the end.
    fn read_record(
        &self,
        reader: &mut impl BufRead,
        mut first: bool,
    ) -> Result<Option<Vec<u8>>, SplitError> {
        loop {
            let mut line = self.read_line(reader)?;
            if line.is_empty() {
                return Ok(None);
            }
            if std::mem::take(&mut first)
                && self.assume.bom == ByteOrderMark::Strip
                && line.starts_with(BYTE_ORDER_MARK)
            {
                line.drain(..BYTE_ORDER_MARK.len());
                if line.is_empty() {
                    return Ok(None);
                }
            }
            let blank = self.content(&line).is_empty();
            if blank && self.assume.blank_lines == BlankLines::Skip {
                continue;
            }
            if self.assume.not_utf8 == NotUtf8::Fail && std::str::from_utf8(&line).is_err() {
                return Err(SplitError::NotUtf8);
            }
            self.rewrite(&mut line);
            return Ok(Some(line));
        }
    }

    /// A line with its end, CR alone included where that is one; empty at the end.
    fn read_line(&self, reader: &mut impl BufRead) -> Result<Vec<u8>, SplitError> {
        let cr_ends = self.assume.lone_cr == CarriageReturn::LineEnd;
        let mut line = Vec::new();
        loop {
            let available = reader.fill_buf()?;
            if available.is_empty() {
                break;
            }
            if line.last() == Some(&b'\r') && cr_ends && available[0] != b'\n' {
                break;
            }
            let end = available.iter().enumerate().position(|(at, b)| {
                // Of a CR that is the last byte here, the next look tells what follows it.
                *b == b'\n'
                    || (cr_ends
                        && *b == b'\r'
                        && available.get(at + 1).is_some_and(|n| *n != b'\n'))
            });
            let taken = end.map_or(available.len(), |at| at + 1);
            line.extend_from_slice(&available[..taken]);
            reader.consume(taken);
            if self.counted(&line) > self.limit() {
                return Err(SplitError::TooLarge);
            }
            if end.is_some() {
                break;
            }
        }
        Ok(line)
    }

    fn rewrite(&self, line: &mut Vec<u8>) {
        if self.assume.crlf == CrLf::Strip && line.ends_with(b"\r\n") {
            line.truncate(line.len() - 2);
            line.push(b'\n');
        }
        let ended = self.content(line).len() < line.len();
        if !ended && self.assume.final_newline == FinalNewline::Added {
            line.push(b'\n');
        }
    }

    /// A record that is a request of its own.
    fn single(&self, mut record: Vec<u8>) -> Vec<u8> {
        if self.assume.single_record_newline == SingleRecordNewline::Dropped {
            record.truncate(self.content(&record).len());
        }
        record
    }

    /// Bytes of a record that count to the payload.
    fn counted(&self, record: &[u8]) -> u64 {
        let free = self.assume.payload_newline == PayloadNewline::Free && record.ends_with(b"\n");
        (record.len() - usize::from(free)) as u64
    }

    /// A line without its end.
    fn content<'a>(&self, line: &'a [u8]) -> &'a [u8] {
        let cr_ends = self.assume.lone_cr == CarriageReturn::LineEnd;
        match line.strip_suffix(b"\n") {
            Some(rest) => rest.strip_suffix(b"\r").unwrap_or(rest),
            None if cr_ends => line.strip_suffix(b"\r").unwrap_or(line),
            None => line,
        }
    }
}

fn read_whole(reader: &mut impl Read, limit: u64) -> Result<Vec<u8>, SplitError> {
    let mut body = Vec::new();
    reader
        .take(limit.saturating_add(1))
        .read_to_end(&mut body)?;
    if body.len() as u64 > limit {
        return Err(SplitError::TooLarge);
    }
    Ok(body)
}
