//! The bytes of a `.out` file, cut into lines or into JSON documents. Memory: one of them.

use std::io::{self, BufRead};
use std::path::{Path, PathBuf};

use crate::answer_json::Nesting;
use crate::error::TabularError;

/// Longest line, in bytes: beyond it the file is no list of predictions, and memory stays bounded.
pub const MAX_LINE_BYTES: usize = 16 * 1024 * 1024;
/// Longest JSON document, in bytes: it may answer a whole request, which has 100 MB at most.
pub const MAX_DOCUMENT_BYTES: usize = 128 * 1024 * 1024;

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Piece {
    /// With its end.
    Whole,
    /// At the end of the file, without an end of its own: more may have followed.
    Open,
    /// There is no more.
    None,
    /// Longer than this many bytes.
    TooLong(usize),
    /// A document that the file breaks off within, or that is no JSON.
    Broken(&'static str),
}

/// A file of answers that is read piece by piece.
#[derive(Debug)]
pub(crate) struct AnswerBytes<R> {
    source: R,
    path: PathBuf,
    /// Newlines taken so far.
    newlines: u64,
}

impl<R: BufRead> AnswerBytes<R> {
    pub(crate) fn new(source: R, path: &Path) -> Self {
        Self {
            source,
            path: path.to_path_buf(),
            newlines: 0,
        }
    }

    /// The line that comes next, from 1.
    pub(crate) fn line_number(&self) -> u64 {
        self.newlines + 1
    }

    fn available(&mut self) -> Result<&[u8], TabularError> {
        loop {
            match self.source.fill_buf() {
                // Asked for again below: the borrow checker does not let it out of a loop.
                Ok(_) => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(TabularError::io("read", &self.path)(error)),
            }
        }
        self.source
            .fill_buf()
            .map_err(TabularError::io("read", &self.path))
    }

    /// Puts the next line into `line`, without its LF.
    pub(crate) fn line(&mut self, line: &mut Vec<u8>) -> Result<Piece, TabularError> {
        line.clear();
        loop {
            let available = self.available()?;
            let at_end = available.is_empty();
            let end = memchr::memchr(b'\n', available);
            let content = &available[..end.unwrap_or(available.len())];
            if line.len() + content.len() > MAX_LINE_BYTES {
                return Ok(Piece::TooLong(MAX_LINE_BYTES));
            }
            line.extend_from_slice(content);
            let taken = content.len() + usize::from(end.is_some());
            self.source.consume(taken);
            if end.is_some() {
                self.newlines += 1;
                return Ok(Piece::Whole);
            }
            if at_end {
                let is_none = line.is_empty();
                return Ok(if is_none { Piece::None } else { Piece::Open });
            }
        }
    }

    /// Puts the next JSON value into `document`, and gives the line that it begins in. Lists, objects
    /// and texts end by themselves; numbers and words end before white space.
    pub(crate) fn document(
        &mut self,
        document: &mut Vec<u8>,
    ) -> Result<(Piece, u64), TabularError> {
        document.clear();
        self.skip_space()?;
        let begins = self.line_number();
        let mut nesting = Nesting::default();
        loop {
            let available = self.available()?;
            if available.is_empty() {
                return Ok((at_end(document, &nesting), begins));
            }
            let (taken, step) = advance(&mut nesting, available);
            if document.len() + taken > MAX_DOCUMENT_BYTES {
                return Ok((Piece::TooLong(MAX_DOCUMENT_BYTES), begins));
            }
            document.extend_from_slice(&available[..taken]);
            let newlines = memchr::memchr_iter(b'\n', &available[..taken]).count();
            self.newlines += newlines as u64;
            self.source.consume(taken);
            match step {
                Some(Ok(())) => return Ok((Piece::Whole, begins)),
                Some(Err(why)) => return Ok((Piece::Broken(why), begins)),
                None => {}
            }
        }
    }

    fn skip_space(&mut self) -> Result<(), TabularError> {
        loop {
            let available = self.available()?;
            let space = available.iter().take_while(|b| is_space(**b));
            let taken = space.count();
            let newlines = memchr::memchr_iter(b'\n', &available[..taken]).count();
            let more = taken > 0 && taken == available.len();
            self.newlines += newlines as u64;
            self.source.consume(taken);
            if !more {
                return Ok(());
            }
        }
    }
}

/// How many of the bytes belong to the value, and whether it ends there.
fn advance(nesting: &mut Nesting, bytes: &[u8]) -> (usize, Option<Result<(), &'static str>>) {
    for (at, byte) in bytes.iter().enumerate() {
        if nesting.is_bare() && is_space(*byte) {
            return (at, Some(Ok(())));
        }
        match nesting.take(*byte) {
            Ok(false) => {}
            Ok(true) => return (at + 1, Some(Ok(()))),
            Err(why) => return (at + 1, Some(Err(why))),
        }
    }
    (bytes.len(), None)
}

fn at_end(document: &[u8], nesting: &Nesting) -> Piece {
    if document.is_empty() {
        Piece::None
    } else if nesting.is_bare() {
        Piece::Open
    } else {
        Piece::Broken("a whole document; the file breaks off within it")
    }
}

/// White space of JSON (RFC 8259, section 2).
pub(crate) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}
