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
/// Those of reading, and [`io::ErrorKind::InvalidData`] for a mark of another encoding than the named one;
/// what does not decode is none.
pub fn decoded(
    named: Option<TextEncoding>,
    mut reader: Box<dyn Read + Send>,
) -> io::Result<Box<dyn Read + Send>> {
    if named == Some(TextEncoding::UTF_8) {
        return Ok(reader);
    }
    let mut first = [0; 3];
    let read = crate::input::read_full(&mut reader, &mut first)?;
    let whole = Box::new(io::Cursor::new(first).take(read as u64).chain(reader));
    let marked = Encoding::for_bom(&first[..read]).map(|(encoding, _)| TextEncoding(encoding));
    Ok(match settled(named, marked)? {
        Some(encoding) => Box::new(DecodingReader::new(encoding, whole)),
        None => whole,
    })
}

/// A text that begins with the byte order mark of another encoding than it is said to be in. Inside the
/// [`io::Error`] that [`decoded`] gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the text is said to be {named} and begins with the byte order mark of {marked}")]
pub struct OtherMark {
    /// What it is said to be.
    pub named: TextEncoding,
    /// Whose mark it has.
    pub marked: TextEncoding,
}

impl OtherMark {
    /// The one in `error`, if that is what it is.
    pub fn in_error(error: &io::Error) -> Option<&OtherMark> {
        error.get_ref()?.downcast_ref()
    }
}

/// The encoding to decode by; none for UTF-8.
fn settled(
    named: Option<TextEncoding>,
    marked: Option<TextEncoding>,
) -> io::Result<Option<TextEncoding>> {
    let wide = |encoding: TextEncoding| encoding.0 == UTF_16LE || encoding.0 == UTF_16BE;
    match (named, marked) {
        (None, marked) => Ok(marked.filter(|marked| wide(*marked))),
        (Some(named), None) => Ok(Some(named)),
        (Some(named), Some(marked)) if named == marked || wide(named) && wide(marked) => {
            Ok(Some(marked))
        }
        (Some(named), Some(marked)) => {
            let other = OtherMark { named, marked };
            Err(io::Error::new(io::ErrorKind::InvalidData, other))
        }
    }
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
                text.encode_utf16().flat_map(u16::to_le_bytes).collect()
            } else {
                encoding.0.encode(&text).0.into_owned()
            };
            let whole = encoding.0.decode_with_bom_removal(&bytes).0.into_owned();
            prop_assert_eq!(read(Some(label), &bytes, step), whole.as_bytes());
        }
    }
}
