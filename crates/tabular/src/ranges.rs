//! Parquet from a file, or from a store by ranges: for a look at the footer and the first pages, which
//! is no reason to copy an object of gigabytes.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use parquet::errors::ParquetError;
use parquet::file::FOOTER_SIZE;
use parquet::file::reader::{ChunkReader, Length};

use crate::parquet_claims::{check_footer, check_page};

/// Gives the bytes from an offset on, as many as the second number says: all of them, or an error.
/// May block.
pub type ReadRange = Arc<dyn Fn(u64, u64) -> io::Result<Bytes> + Send + Sync>;

/// What is asked for at once, at least.
const BLOCK_BYTES: u64 = 1 << 20;
/// Of a header that is too long to be held against the file, read at once.
const ONWARDS_BYTES: usize = 64 << 10;
/// Blocks that are kept: columns are read in turn, a page of each.
const BLOCKS_KEPT: usize = 16;

/// Bytes of a store. Cloning it is cheap; clones share the blocks. Memory: [`BLOCKS_KEPT`] blocks.
#[derive(Clone)]
pub(crate) struct Ranges {
    len: u64,
    read: ReadRange,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Default)]
struct Kept {
    /// By their numbers, the latest last.
    blocks: VecDeque<(u64, Bytes)>,
    failure: Option<io::Error>,
}

impl Ranges {
    /// `len` bytes, given by `read`.
    pub(crate) fn new(len: u64, read: ReadRange) -> Self {
        Self {
            len,
            read,
            kept: Arc::default(),
        }
    }

    /// How many bytes there are.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Why the last read failed, once: what reads Parquet makes a text of it.
    pub(crate) fn take_failure(&self) -> Option<io::Error> {
        self.kept().failure.take()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The bytes from `start`, at most `len`; fewer at the end.
    fn bytes(&self, start: u64, len: u64) -> io::Result<Bytes> {
        let end = start.saturating_add(len).min(self.len);
        let mut all = BytesMut::new();
        let mut at = start;
        while at < end {
            let (number, within) = (at / BLOCK_BYTES, at % BLOCK_BYTES);
            let block = self.block(number)?;
            let from = usize::try_from(within).unwrap_or(usize::MAX);
            let upto = block.len().min(from.saturating_add(span(at, end)));
            let found = block.slice(from.min(upto)..upto);
            at += found.len() as u64;
            if found.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if all.is_empty() && at == end {
                return Ok(found);
            }
            all.extend_from_slice(&found);
        }
        Ok(all.freeze())
    }

    fn block(&self, number: u64) -> io::Result<Bytes> {
        if let Some((_, block)) = self.kept().blocks.iter().find(|(n, _)| *n == number) {
            return Ok(block.clone());
        }
        let start = number * BLOCK_BYTES;
        let block = (self.read)(start, BLOCK_BYTES.min(self.len - start))?;
        let mut kept = self.kept();
        if kept.blocks.len() == BLOCKS_KEPT {
            kept.blocks.pop_front();
        }
        kept.blocks.push_back((number, block.clone()));
        Ok(block)
    }

    /// Keeps the error, and says what happened.
    fn note(&self, error: io::Error) -> ParquetError {
        let said = error.to_string();
        self.kept().failure = Some(error);
        ParquetError::General(said)
    }
}

fn span(from: u64, to: u64) -> usize {
    usize::try_from(to - from).unwrap_or(usize::MAX)
}

/// What a reader of Parquet seeks in.
pub(crate) enum Seekable {
    File(File),
    Ranges(Ranges),
}

impl Length for Seekable {
    fn len(&self) -> u64 {
        match self {
            Self::File(file) => file.len(),
            Self::Ranges(ranges) => ranges.len,
        }
    }
}

impl Seekable {
    fn again(&self) -> io::Result<Self> {
        Ok(match self {
            Self::File(file) => Self::File(file.try_clone()?),
            Self::Ranges(ranges) => Self::Ranges(ranges.clone()),
        })
    }

    /// The footer's length is stored before the last four bytes; the footer before that.
    fn end_of_footer(&self) -> u64 {
        self.len().saturating_sub(FOOTER_SIZE as u64)
    }

    /// At most so many bytes from `start` on; fewer at the end.
    fn upto(&self, start: u64, most: usize) -> parquet::errors::Result<Bytes> {
        let left = span(start, self.len().max(start));
        self.get_bytes(start, left.min(most))
    }
}

/// What the library reads byte by byte are the headers of pages, and what tells the footer's length. What it
/// reads at once up to that length is the footer. Both are held against the file first.
impl ChunkReader for Seekable {
    type T = Box<dyn Read + Send>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        let read = match start == self.end_of_footer() {
            true => self.upto(start, FOOTER_SIZE)?,
            false => {
                let left = self.len().saturating_sub(start);
                check_page(start, left, |most| self.upto(start, most))?
            }
        };
        let rest = Onwards {
            source: self.again()?,
            at: start + read.len() as u64,
        };
        let rest = BufReader::with_capacity(ONWARDS_BYTES, rest);
        Ok(Box::new(io::Cursor::new(read).chain(rest)))
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        let end = start.saturating_add(length as u64);
        if end > self.len() {
            return Err(ParquetError::EOF(format!(
                "expected {length} bytes at {start}, and the file has {}",
                self.len()
            )));
        }
        let found = match self {
            Self::File(file) => file.get_bytes(start, length)?,
            Self::Ranges(ranges) => ranges
                .bytes(start, length as u64)
                .map_err(|e| ranges.note(e))?,
        };
        if end == self.end_of_footer() {
            check_footer(&found)?;
        }
        Ok(found)
    }
}

/// Reads on from an offset, and takes the end for an error, since no page goes up to it.
struct Onwards {
    source: Seekable,
    at: u64,
}

impl Read for Onwards {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let found = self.source.upto(self.at, buffer.len());
        let found = found.map_err(io::Error::other)?;
        if found.is_empty() && !buffer.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        buffer[..found.len()].copy_from_slice(&found);
        self.at += found.len() as u64;
        Ok(found.len())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::{Format, Input, ScanOptions, TabularError, convert, parquet_rows, scan};

    /// A Parquet file of many pages, as an input that can only be read by ranges; and what was asked for.
    fn ranged(bytes: Bytes, fail: bool) -> (Input, Arc<AtomicU64>) {
        let asked = Arc::new(AtomicU64::new(0));
        let (len, counted) = (bytes.len() as u64, Arc::clone(&asked));
        let read: ReadRange = Arc::new(move |start, len| {
            counted.fetch_add(len, Ordering::Relaxed);
            if fail {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "no answer"));
            }
            let start = usize::try_from(start).unwrap();
            Ok(bytes.slice(start..start + usize::try_from(len).unwrap()))
        });
        let open: crate::input::Opener = Arc::new(|| Err(io::Error::other("read as a whole")));
        let input = Input::new("s3://b/k.parquet", Format::PARQUET, open);
        (input.with_ranges(len, read), asked)
    }

    /// Text that no codec makes smaller, 24 MB of it.
    fn parquet(folder: &std::path::Path) -> Bytes {
        let (csv, out) = (folder.join("in.csv"), folder.join("out.parquet"));
        let mut text = "n,noise\n".to_owned();
        let mut state = 1u64;
        for n in 0..600_000u64 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(n | 1);
            text.push_str(&format!("{n},{state:x}{:x}\n", state.rotate_left(17)));
        }
        std::fs::write(&csv, text).unwrap();
        let target = crate::Target::File(out.clone());
        let job = crate::ConvertJob::new(vec![Input::file(&csv)], Format::PARQUET, target);
        convert(job, &()).unwrap();
        std::fs::read(out).unwrap().into()
    }

    #[test]
    fn a_look_reads_a_part_and_finds_what_the_file_says() {
        let folder = tempfile::tempdir().unwrap();
        let bytes = parquet(folder.path());
        let whole = bytes.len() as u64;
        let options = ScanOptions {
            limit_rows: Some(1000),
            ..ScanOptions::default()
        };
        let file = [Input::file(folder.path().join("out.parquet"))];
        let wanted = scan(&file, &options, &()).unwrap();
        let (input, asked) = ranged(bytes, false);
        let look = input.by_ranges();
        let found = scan(std::slice::from_ref(&look), &options, &()).unwrap();
        assert_eq!(
            (found.header, found.rows_source, found.bytes),
            (wanted.header, wanted.rows_source, wanted.bytes)
        );
        assert_eq!(parquet_rows(&look).unwrap(), 600_000);
        assert_eq!(look.stored_bytes().unwrap(), whole);
        let asked = asked.load(Ordering::Relaxed);
        assert!(asked > 0 && asked < whole / 3, "{asked} of {whole} bytes");
    }

    /// What is asked for more than once, or across blocks, are the bytes of the file.
    #[test]
    fn bytes_across_blocks_are_those_of_the_file() {
        let all: Bytes = (0..BLOCK_BYTES * 3 + 7)
            .map(|n| (n * 31 % 251) as u8)
            .collect();
        let copy = all.clone();
        let read: ReadRange =
            Arc::new(move |start, len| Ok(copy.slice(start as usize..(start + len) as usize)));
        let ranges = Ranges::new(all.len() as u64, read);
        for (start, len) in [
            (0, 10),
            (BLOCK_BYTES - 3, 6),
            (5, 3 * BLOCK_BYTES),
            (BLOCK_BYTES * 3, 7),
            (1, 0),
        ] {
            let found = ranges.bytes(start, len).unwrap();
            assert_eq!(
                found,
                all[start as usize..(start + len) as usize],
                "{start} {len}"
            );
        }
        assert_eq!(ranges.bytes(all.len() as u64 - 2, 9).unwrap().len(), 2);
    }

    #[test]
    fn a_store_that_fails_is_no_damaged_file() {
        let (input, _) = ranged(vec![0; 1 << 21].into(), true);
        let error = parquet_rows(&input.by_ranges()).unwrap_err();
        let TabularError::Io { source, .. } = error else {
            panic!("{error}");
        };
        assert_eq!(source.kind(), io::ErrorKind::TimedOut);
    }
}
