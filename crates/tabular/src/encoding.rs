//! Text in other encodings than UTF-8, decoded before anything looks for separators: the second bytes
//! of CP932 hold `\\` and `|`, and UTF-16 is full of NUL.
//!
//! Nothing is ever replaced. Where bytes do not decode, a byte that UTF-8 does not have takes their
//! place, so that the row is a bad one ([`BadReason::Encoding`](crate::bad_rows::BadReason)).

use std::fmt;
use std::io::{self, Read};
use std::str::FromStr;

use encoding_rs::{Decoder, DecoderResult, Encoding, UTF_8, UTF_16BE, UTF_16LE};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Stands for bytes that do not decode: no UTF-8 text has it (RFC 3629, section 3).
const UNDECODABLE: u8 = 0xff;
/// Bytes read and bytes decoded at a time.
const BUFFER_BYTES: usize = 64 * 1024;
/// Bytes at the beginning in which text in UTF-16 has a delimiter, a line end or another ASCII character.
const LOOK_BYTES: usize = 4096;

/// How the bytes of a text stand for characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct TextEncoding(&'static Encoding);

impl TextEncoding {
    /// UTF-8, which is read as it is.
    pub const UTF_8: TextEncoding = TextEncoding(UTF_8);

    /// The name that the Encoding Standard gives it, in lower case.
    pub fn name(self) -> String {
        self.0.name().to_ascii_lowercase()
    }
}

impl FromStr for TextEncoding {
    type Err = String;

    fn from_str(text: &str) -> Result<TextEncoding, String> {
        // Without replacement: that one is no encoding, but a refusal to decode.
        Encoding::for_label_no_replacement(text.as_bytes())
            .map(TextEncoding)
            .ok_or_else(|| format!("the Encoding Standard has no encoding named {text:?}"))
    }
}

impl fmt::Display for TextEncoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

impl From<TextEncoding> for String {
    fn from(encoding: TextEncoding) -> String {
        encoding.name()
    }
}

impl TryFrom<String> for TextEncoding {
    type Error = String;

    fn try_from(text: String) -> Result<TextEncoding, String> {
        text.parse()
    }
}

/// The text behind `reader` as UTF-8. `named` is its encoding if it is known; else a byte order mark of
/// UTF-16 tells, or it is UTF-8, which is passed on unchecked. Of UTF-16, a mark tells the byte order
/// whatever the name says. Memory: two buffers of 64 KiB.
///
/// # Errors
/// Those of reading, and [`io::ErrorKind::InvalidData`] for text that is of [another
/// encoding](OtherEncoding) than the named one; what does not decode is none.
pub fn decoded(
    named: Option<TextEncoding>,
    mut reader: Box<dyn Read + Send>,
) -> io::Result<Box<dyn Read + Send>> {
    if named == Some(TextEncoding::UTF_8) {
        return Ok(reader);
    }
    let mut first = vec![0; LOOK_BYTES];
    let read = crate::input::read_full(&mut reader, &mut first)?;
    first.truncate(read);
    let settled = settled(named, &first);
    let settled = settled.map_err(|other| io::Error::new(io::ErrorKind::InvalidData, other))?;
    let whole = Box::new(io::Cursor::new(first).chain(reader));
    Ok(match settled {
        Some(encoding) => Box::new(DecodingReader::new(encoding, whole)),
        None => whole,
    })
}

/// A text that is of another encoding than it is said to be. Inside the [`io::Error`] that [`decoded`]
/// gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum OtherEncoding {
    /// It begins with the byte order mark of another one.
    #[error("the text is said to be {named} and begins with the byte order mark of {found}")]
    Mark {
        /// What it is said to be.
        named: TextEncoding,
        /// Whose mark it has.
        found: TextEncoding,
    },
    /// In UTF-16 of this byte order it would have neither delimiters nor line ends.
    #[error(
        "the text is said to be {named}, in which its first {bytes} bytes have no delimiter, line end or \
         other ASCII character: they look like {found}"
    )]
    NoAscii {
        /// What it is said to be.
        named: TextEncoding,
        /// In which it would have some.
        found: TextEncoding,
        /// Bytes that were looked at.
        bytes: usize,
    },
}

impl OtherEncoding {
    /// What the text looks like.
    #[must_use]
    pub fn found(&self) -> TextEncoding {
        match self {
            Self::Mark { found, .. } | Self::NoAscii { found, .. } => *found,
        }
    }

    /// The one in `error`, if that is what it is.
    pub fn in_error(error: &io::Error) -> Option<&OtherEncoding> {
        error.get_ref()?.downcast_ref()
    }
}

/// The encoding to decode by, of a text with this beginning; none for UTF-8.
fn settled(
    named: Option<TextEncoding>,
    first: &[u8],
) -> Result<Option<TextEncoding>, OtherEncoding> {
    let wide = |encoding: TextEncoding| encoding.0 == UTF_16LE || encoding.0 == UTF_16BE;
    let marked = Encoding::for_bom(first).map(|(encoding, _)| TextEncoding(encoding));
    match (named, marked) {
        (None, marked) => Ok(marked.filter(|marked| wide(*marked))),
        (Some(named), None) => match without_ascii(named, first) {
            Some(found) => Err(OtherEncoding::NoAscii {
                named,
                found,
                bytes: first.len(),
            }),
            None => Ok(Some(named)),
        },
        (Some(named), Some(marked)) if named == marked || wide(named) && wide(marked) => {
            Ok(Some(marked))
        }
        (Some(named), Some(found)) => Err(OtherEncoding::Mark { named, found }),
    }
}

/// What text without a mark looks like that is said to be UTF-16 and has no ASCII character in it: read
/// so, all of it would be one name of a column, and no row.
fn without_ascii(named: TextEncoding, first: &[u8]) -> Option<TextEncoding> {
    let (units, _) = first.as_chunks::<2>();
    let little = units.iter().any(|unit| unit[1] == 0 && unit[0] < 0x80);
    let big = units.iter().any(|unit| unit[0] == 0 && unit[1] < 0x80);
    let (has_some, other, has_other) = match named.0 {
        order if order == UTF_16LE => (little, UTF_16BE, big),
        order if order == UTF_16BE => (big, UTF_16LE, little),
        _ => return None,
    };
    if has_some || units.is_empty() {
        return None;
    }
    let narrow = !first.contains(&0);
    let found = has_other.then_some(other).or(narrow.then_some(UTF_8));
    found.map(TextEncoding)
}

/// Decodes as it is read.
struct DecodingReader {
    source: Box<dyn Read + Send>,
    decoder: Decoder,
    /// Read and not decoded yet: `input[from..to]`.
    input: Vec<u8>,
    from: usize,
    to: usize,
    /// Decoded and not given yet: `output[given..]`.
    output: Vec<u8>,
    given: usize,
    ended: bool,
    finished: bool,
}

impl DecodingReader {
    fn new(encoding: TextEncoding, source: Box<dyn Read + Send>) -> Self {
        Self {
            source,
            decoder: encoding.0.new_decoder_with_bom_removal(),
            input: vec![0; BUFFER_BYTES],
            from: 0,
            to: 0,
            output: Vec::with_capacity(BUFFER_BYTES),
            given: 0,
            ended: false,
            finished: false,
        }
    }

    /// Decodes the next piece into the empty output.
    fn advance(&mut self) -> io::Result<()> {
        if self.from == self.to && !self.ended {
            self.to = self.source.read(&mut self.input)?;
            self.from = 0;
            self.ended = self.to == 0;
        }
        self.output.clear();
        self.given = 0;
        self.output.resize(BUFFER_BYTES, 0);
        let (result, read, written) = self.decoder.decode_to_utf8_without_replacement(
            &self.input[self.from..self.to],
            &mut self.output,
            self.ended,
        );
        self.from += read;
        self.output.truncate(written);
        match result {
            DecoderResult::InputEmpty => self.finished = self.ended,
            DecoderResult::OutputFull => {}
            DecoderResult::Malformed(..) => self.output.push(UNDECODABLE),
        }
        Ok(())
    }
}

impl Read for DecodingReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.given == self.output.len() && !self.finished && !buf.is_empty() {
            self.advance()?;
        }
        let n = buf.len().min(self.output.len() - self.given);
        buf[..n].copy_from_slice(&self.output[self.given..self.given + n]);
        self.given += n;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

    use super::*;
    use proptest::prelude::*;

    /// Byte order marks of UTF-16 (RFC 2781, section 3.2).
    const UTF_16LE_MARK: [u8; 2] = [0xff, 0xfe];
    const UTF_16BE_MARK: [u8; 2] = [0xfe, 0xff];

    /// Gives at most so many bytes a call.
    struct Drip(Vec<u8>, usize);

    impl Read for Drip {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            let n = self.1.min(buf.len()).min(self.0.len());
            buf[..n].copy_from_slice(&self.0[..n]);
            self.0.drain(..n);
            Ok(n)
        }
    }

    fn read(named: Option<&str>, bytes: &[u8], step: usize) -> Vec<u8> {
        let named = named.map(|name| name.parse().unwrap());
        let mut text = Vec::new();
        decoded(named, Box::new(Drip(bytes.to_vec(), step)))
            .unwrap()
            .read_to_end(&mut text)
            .unwrap();
        text
    }

    #[test]
    fn second_bytes_are_no_separators() {
        // 表 is 95 5C, ポ is 83 7C, 能 is 94 5C.
        let bytes = b"\x95\x5c|\"\x83\x7c|\"|\x94\x5c\n";
        for step in [1, 2, 100] {
            let text = read(Some("shift_jis"), bytes, step);
            assert_eq!(String::from_utf8(text).unwrap(), "表|\"ポ|\"|能\n");
        }
    }

    #[test]
    fn utf_16_tells_of_itself_and_is_not_taken_for_what_it_is_not() {
        let text = "a,é\n🌾,\u{4e00}\n";
        let wide = |mark: [u8; 2], order: fn(u16) -> [u8; 2]| {
            let units = text.encode_utf16().flat_map(order);
            mark.into_iter().chain(units).collect::<Vec<u8>>()
        };
        for step in [1, 3, 100] {
            let little = wide(UTF_16LE_MARK, u16::to_le_bytes);
            assert_eq!(read(None, &little, step), text.as_bytes());
            let big = wide(UTF_16BE_MARK, u16::to_be_bytes);
            assert_eq!(read(None, &big, step), text.as_bytes());
        }
        for plain in [&b""[..], b"a", b"\xef\xbb\xbfa,b\n", b"\xff", b"a\xff\xfe"] {
            assert_eq!(read(None, plain, 1), plain);
        }
    }

    #[test]
    fn a_mark_tells_the_byte_order_and_another_encoding_is_refused() {
        for named in ["utf-16", "utf-16le", "utf-16be"] {
            assert_eq!(read(Some(named), b"\xfe\xff\0a\0\n", 1), b"a\n");
            assert_eq!(read(Some(named), b"\xff\xfea\0\n\0", 1), b"a\n");
        }
        for (named, text) in [
            ("windows-1252", &b"\xef\xbb\xbfa"[..]),
            ("shift_jis", b"\xff\xfea\0"),
            ("utf-16le", b"\xef\xbb\xbfa"),
        ] {
            let source = Box::new(Drip(text.to_vec(), 9));
            let refused = decoded(Some(named.parse().unwrap()), source).err().unwrap();
            assert_eq!(refused.kind(), io::ErrorKind::InvalidData, "{named}");
        }
    }

    #[test]
    fn text_that_has_no_ascii_as_utf_16_is_not_utf_16() {
        let found = |named: &str, text: &[u8]| {
            let source = Box::new(Drip(text.to_vec(), 9));
            let error = decoded(Some(named.parse().unwrap()), source).err()?;
            Some(OtherEncoding::in_error(&error).unwrap().found().name())
        };
        let little: Vec<u8> = "表,1\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = "表,1\n".encode_utf16().flat_map(u16::to_be_bytes).collect();
        for plain in [&b"a,b\n1,2\n"[..], b"a,b\n1,2\n3", "é,è".as_bytes()] {
            assert_eq!(found("utf-16", plain).as_deref(), Some("utf-8"));
            assert_eq!(found("utf-16be", plain).as_deref(), Some("utf-8"));
        }
        assert_eq!(found("utf-16le", &big).as_deref(), Some("utf-16be"));
        assert_eq!(found("utf-16be", &little).as_deref(), Some("utf-16le"));
        for (named, text) in [
            ("utf-16le", &little[..]),
            ("utf-16be", &big),
            ("utf-16", b""),
            ("utf-16", b"a"),
            // Neither byte order has any, and there are zeros: whatever it is, it is not plain text.
            ("utf-16", b"\x00\x90\x90\x00"),
            ("windows-1252", b"a,b\n"),
        ] {
            assert_eq!(found(named, text), None, "{named} {text:?}");
        }
    }

    #[test]
    fn what_does_not_decode_is_marked_and_nothing_else_is_lost() {
        assert_eq!(
            read(Some("shift_jis"), b"a\x85\n\x95\x5c", 1),
            b"a\xff\n\xe8\xa1\xa8"
        );
        assert_eq!(read(Some("utf-16le"), b"a\0\x00\xd8b\0c", 2), b"a\xffb\xff");
    }

    #[test]
    fn a_replacement_is_no_decoder() {
        assert!("iso-2022-kr".parse::<TextEncoding>().is_err());
        assert_eq!("UTF-16".parse::<TextEncoding>().unwrap().name(), "utf-16le");
    }

    proptest! {
        /// The library's decoding of the whole is the other way.
        #[test]
        fn any_cut_decodes_as_the_whole(
            text in "[ -~é表ポ能\n]{0,60}",
            label in prop::sample::select(vec!["shift_jis", "euc-jp", "gb18030", "utf-16le"]),
            step in 1usize..9,
        ) {
            let encoding: TextEncoding = label.parse().unwrap();
            let bytes: Vec<u8> = if label == "utf-16le" {
                let text = format!("{text}\n");
                text.encode_utf16().flat_map(u16::to_le_bytes).collect()
            } else {
                encoding.0.encode(&text).0.into_owned()
            };
            let whole = encoding.0.decode_with_bom_removal(&bytes).0.into_owned();
            prop_assert_eq!(read(Some(label), &bytes, step), whole.as_bytes());
        }
    }
}
