//! What a stream is by its first bytes, and whether it is what was expected.

use std::io::{self, Cursor, Read};

use thiserror::Error;

use crate::compression::Compression;
use crate::format::Layout;
use crate::snappy_framing::STREAM_IDENTIFIER;
use crate::snappy_hadoop::{begins_like_hadoop, begins_like_raw_block};

/// First two bytes of every gzip member (RFC 1952, 2.3.1).
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
/// First bytes of a zstd frame (RFC 8878, 3.1.1: 0xFD2FB528, little endian).
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// Bytes 2 to 4 of a skippable frame (RFC 8878, 3.1.2); the first is 0x50 to 0x5f.
const ZSTD_SKIPPABLE_MAGIC: [u8; 3] = [0x2a, 0x4d, 0x18];
/// First bytes of what snappy-java's `SnappyOutputStream` writes (`SnappyCodec.MAGIC_HEADER`).
const SNAPPY_JAVA_MAGIC: [u8; 8] = *b"\x82SNAPPY\0";
/// Enough to tell all of them apart.
pub(crate) const FIRST_BYTES: usize = 64;

/// What bytes seem to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signature {
    /// A wrapper that is read.
    Wrapper(Compression),
    /// snappy-java's own container.
    SnappyJava,
    /// A Parquet file.
    Parquet,
    /// UTF-8 without control characters.
    Text,
    /// A guess: what else may look so is text, or damaged.
    RawSnappy,
}

impl Signature {
    /// By the first bytes; `None` when they are like nothing known.
    pub(crate) fn of(first: &[u8]) -> Option<Signature> {
        if let Some(wrapper) = sniff(first) {
            Some(Signature::Wrapper(wrapper))
        } else if first.starts_with(&SNAPPY_JAVA_MAGIC) {
            Some(Signature::SnappyJava)
        } else if Layout::sniff(first) == Layout::Parquet {
            Some(Signature::Parquet)
        } else if is_text(first) {
            Some(Signature::Text)
        } else if begins_like_raw_block(first) {
            Some(Signature::RawSnappy)
        } else {
            None
        }
    }

    fn in_words(self) -> &'static str {
        match self {
            Signature::Wrapper(c) => c.in_words(),
            Signature::SnappyJava => "snappy-java's own container (SnappyOutputStream)",
            Signature::Parquet => "a Parquet file",
            Signature::Text => "plain text",
            Signature::RawSnappy => "what may be a raw Snappy block in no container",
        }
    }

    /// What to do with such a file.
    fn advice(self) -> String {
        match self {
            Signature::Wrapper(c) => {
                format!("give its name the extension {}", c.extension())
            }
            Signature::SnappyJava => {
                "it is not read: write it with Hadoop's SnappyCodec (.snappy) or \
                 with SnappyFramedOutputStream (.sz)"
                    .to_owned()
            }
            Signature::Parquet => "give its name the extension .parquet".to_owned(),
            Signature::Text => "take the extension off its name".to_owned(),
            Signature::RawSnappy => {
                "it is not read: write it in the Snappy framing format (.sz) or Hadoop's (.snappy)"
                    .to_owned()
            }
        }
    }
}

/// A stream that is not wrapped as its name, or whoever named its format, says. Inside the
/// [`io::Error`] of kind `InvalidData` that [`decompress`](crate::compression::decompress) gives.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("expected {}, found {found}", expected.in_words())]
pub struct WrongWrapper {
    /// What it should have been.
    pub expected: Compression,
    /// What it seems to be, in words.
    pub found: String,
    /// What to do about it.
    pub advice: String,
}

impl WrongWrapper {
    fn of(expected: Compression, found: Option<Signature>, first: &[u8]) -> WrongWrapper {
        let Some(found) = found else {
            let shown = hex::encode(&first[..first.len().min(8)]);
            return WrongWrapper {
                expected,
                found: format!("bytes that are like nothing known ({shown})"),
                advice: "look at what wrote it".to_owned(),
            };
        };
        WrongWrapper {
            expected,
            found: found.in_words().to_owned(),
            advice: found.advice(),
        }
    }

    /// Such an error, if `error` is one.
    pub fn in_error(error: &io::Error) -> Option<&WrongWrapper> {
        error.get_ref()?.downcast_ref()
    }
}

/// See [`Compression::sniff`].
pub(crate) fn sniff(first: &[u8]) -> Option<Compression> {
    // Hadoop writes four zeros for no data. More zeros are a file that never was written to.
    let hadoop = first == [0; 4] || first.first() == Some(&0) && begins_like_hadoop(first);
    if first.starts_with(&STREAM_IDENTIFIER) {
        Some(Compression::SnappyFramed)
    } else if first.starts_with(&GZIP_MAGIC) {
        Some(Compression::Gzip)
    } else if first.starts_with(&ZSTD_MAGIC) {
        Some(Compression::Zstd)
    } else if hadoop {
        Some(Compression::SnappyHadoop)
    } else {
        None
    }
}

/// Whether a stream that begins so can be wrapped in `expected`; if not, what it seems to be.
pub(crate) fn misfit(expected: Compression, first: &[u8]) -> Option<Option<Signature>> {
    let found = Signature::of(first);
    let fits = match expected {
        // Only what certainly is something else.
        Compression::None => !matches!(
            found,
            Some(Signature::Wrapper(_) | Signature::SnappyJava | Signature::Parquet)
        ),
        Compression::Gzip => agree(first, &GZIP_MAGIC),
        Compression::SnappyFramed => agree(first, &STREAM_IDENTIFIER),
        Compression::Zstd => agree(first, &ZSTD_MAGIC) || is_skippable(first),
        // It has no signature, so only what certainly is something else is told here.
        Compression::SnappyHadoop => {
            found.is_none_or(|f| f == Signature::Wrapper(expected))
                || begins_like_hadoop(first)
                || first.starts_with(&[0; 4])
        }
    };
    (!fits).then_some(found)
}

/// Whether `first` begins with `magic`, or ends before it could differ: then it is cut short.
fn agree(first: &[u8], magic: &[u8]) -> bool {
    first.iter().zip(magic).all(|(a, b)| a == b)
}

fn is_skippable(first: &[u8]) -> bool {
    matches!(first, [0x50..=0x5f, rest @ ..] if agree(rest, &ZSTD_SKIPPABLE_MAGIC))
}

fn is_text(first: &[u8]) -> bool {
    // A character may be cut at the end of what was read.
    let text = match std::str::from_utf8(first) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&first[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return false,
    };
    let odd = |c: char| c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\x0c');
    !text.is_empty() && !text.contains(odd)
}

/// Looks at the first bytes before anything is decoded, and refuses what is something else.
pub(crate) struct Expecting {
    expected: Compression,
    state: State,
}

enum State {
    Unread(Box<dyn Read + Send>),
    Open(io::Chain<Cursor<Vec<u8>>, Box<dyn Read + Send>>),
    Refused,
}

impl Expecting {
    pub(crate) fn new(expected: Compression, source: Box<dyn Read + Send>) -> Expecting {
        Expecting {
            expected,
            state: State::Unread(source),
        }
    }

    fn look(&self, mut source: Box<dyn Read + Send>) -> io::Result<State> {
        let mut first = vec![0; FIRST_BYTES];
        let read = crate::input::read_full(&mut source, &mut first)?;
        first.truncate(read);
        match misfit(self.expected, &first) {
            None => Ok(State::Open(Cursor::new(first).chain(source))),
            Some(found) => {
                let wrong = WrongWrapper::of(self.expected, found, &first);
                Err(io::Error::new(io::ErrorKind::InvalidData, wrong))
            }
        }
    }
}

impl Read for Expecting {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            match &mut self.state {
                State::Open(source) => return source.read(buf),
                State::Refused => {
                    let text = "the stream was refused before";
                    return Err(io::Error::new(io::ErrorKind::InvalidData, text));
                }
                State::Unread(_) => {
                    let state = std::mem::replace(&mut self.state, State::Refused);
                    if let State::Unread(source) = state {
                        self.state = self.look(source)?;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

    use super::*;
    use crate::compression::decompress;
    use crate::compression::tests::packed;

    /// What is said, and advised.
    fn refused(c: Compression, bytes: &[u8]) -> String {
        let mut reader = decompress(c, Box::new(Cursor::new(bytes.to_vec())));
        let mut out = Vec::new();
        let error = reader.read_to_end(&mut out).unwrap_err();
        assert!(out.is_empty() && error.kind() == io::ErrorKind::InvalidData);
        let wrong = WrongWrapper::in_error(&error).unwrap();
        format!("{error}: {}", wrong.advice)
    }

    const TEXT: &[u8] = b"id,name\n1,Ada\n2,Bob\n";

    #[test]
    fn every_wrapper_in_the_place_of_every_other_is_named() {
        for &expected in Compression::ALL {
            for &found in Compression::ALL.iter().filter(|f| **f != expected) {
                let message = refused(expected, &packed(found, TEXT));
                let begin = format!(
                    "expected {}, found {}",
                    expected.in_words(),
                    found.in_words()
                );
                assert!(message.starts_with(&begin), "{message}");
            }
        }
        insta::assert_snapshot!(refused(Compression::SnappyHadoop, &packed(Compression::SnappyFramed, TEXT)), @"expected Hadoop's Snappy, found the Snappy framing format: give its name the extension .sz");
        insta::assert_snapshot!(refused(Compression::Gzip, TEXT), @"expected gzip, found plain text: take the extension off its name");
        insta::assert_snapshot!(refused(Compression::Zstd, b"PAR1\x15\x04"), @"expected zstd, found a Parquet file: give its name the extension .parquet");
        insta::assert_snapshot!(refused(Compression::Zstd, b"\xfe\xfe\xfe"), @"expected zstd, found bytes that are like nothing known (fefefe): look at what wrote it");
    }

    #[test]
    fn containers_that_are_not_read_are_named() {
        let java = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01\0\0\0\x08\x06\x141,2,3\n";
        let raw = b"\x06\x141,2,3\n";
        for &expected in Compression::ALL {
            assert!(refused(expected, java).contains("found snappy-java's own container"));
            if expected != Compression::None {
                assert!(refused(expected, raw).contains("found what may be a raw Snappy block"));
            }
        }
        insta::assert_snapshot!(refused(Compression::None, java), @"expected plain text, found snappy-java's own container (SnappyOutputStream): it is not read: write it with Hadoop's SnappyCodec (.snappy) or with SnappyFramedOutputStream (.sz)");
        insta::assert_snapshot!(refused(Compression::SnappyHadoop, raw), @"expected Hadoop's Snappy, found what may be a raw Snappy block in no container: it is not read: write it in the Snappy framing format (.sz) or Hadoop's (.snappy)");
    }

    #[test]
    fn text_is_no_wrapper() {
        for text in ["a,b\n", "", "(µ/ý", "P*M,1\n", "\u{1}", "\u{feff}a\n", "é"] {
            assert_eq!(sniff(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(sniff(&[0; 16]), None);
        assert!(is_text("aé".as_bytes()) && is_text(b"a\xc3") && !is_text(b"a\xc3a"));
    }
}
