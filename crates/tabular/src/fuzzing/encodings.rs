//! Bytes in other encodings, decoded piece by piece.

use std::io::Read;

use encoding_rs::Encoding;

use crate::encoding::{TextEncoding, decoded};

use super::{Drip, choices};

/// A label of each encoding of the Encoding Standard but the replacement, which is no decoder.
const LABELS: [&str; 39] = [
    "utf-8",
    "ibm866",
    "iso-8859-2",
    "iso-8859-3",
    "iso-8859-4",
    "iso-8859-5",
    "iso-8859-6",
    "iso-8859-7",
    "iso-8859-8",
    "iso-8859-8-i",
    "iso-8859-10",
    "iso-8859-13",
    "iso-8859-14",
    "iso-8859-15",
    "iso-8859-16",
    "koi8-r",
    "koi8-u",
    "macintosh",
    "windows-874",
    "windows-1250",
    "windows-1251",
    "windows-1252",
    "windows-1253",
    "windows-1254",
    "windows-1255",
    "windows-1256",
    "windows-1257",
    "windows-1258",
    "x-mac-cyrillic",
    "gbk",
    "gb18030",
    "big5",
    "euc-jp",
    "iso-2022-jp",
    "shift_jis",
    "euc-kr",
    "utf-16be",
    "utf-16le",
    "x-user-defined",
];

/// What is read in steps of any length is what encoding_rs makes of the whole, with a byte that no
/// UTF-8 has where that has a replacement character for bytes that do not decode. Without a name, UTF-16
/// tells of itself and all else passes as it is; a mark that says otherwise than the name is an error, and so
/// is UTF-16 that would be something else. The first byte chooses the encoding, the second the step.
pub fn encodings(data: &[u8]) {
    let ([which, step], bytes) = choices(data);
    let label = LABELS.get(which % (LABELS.len() + 1));
    let named: Option<TextEncoding> = label.map(|label| label.parse().unwrap());
    let mut text = Vec::new();
    let source = Box::new(Drip::new(bytes, step + 1));
    let decoded = decoded(named, source);
    assert_eq!(decoded.is_err(), is_contradicted(label, bytes));
    let Ok(mut decoded) = decoded else { return };
    decoded.read_to_end(&mut text).unwrap();
    let Some(encoding) = encoding(label, bytes) else {
        assert_eq!(text, bytes);
        return;
    };
    let (whole, damaged) = encoding.decode_with_bom_removal(bytes);
    assert_eq!(text.contains(&0xff), damaged);
    if damaged {
        let shown = text.split(|b| *b == 0xff).collect::<Vec<_>>();
        assert_eq!(shown.join("\u{fffd}".as_bytes()), whole.as_bytes());
    } else {
        assert_eq!(text, whole.as_bytes());
    }
}

/// Whether the bytes begin with the mark of another encoding, between both orders of UTF-16 a mark
/// decides; or are said to be UTF-16 without any mark, have no ASCII so, and would have some otherwise.
fn is_contradicted(label: Option<&&str>, bytes: &[u8]) -> bool {
    let is_wide = bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff");
    let is_utf8 = bytes.starts_with(b"\xef\xbb\xbf");
    let begin = &bytes[..bytes.len().min(4096) / 2 * 2];
    let has_ascii = |order: &'static Encoding| {
        let (text, _) = order.decode_without_bom_handling(begin);
        text.contains(|c: char| c.is_ascii())
    };
    match label {
        None | Some(&"utf-8") => false,
        Some(label) if label.starts_with("utf-16") && !is_wide && !is_utf8 => {
            let little = has_ascii(encoding_rs::UTF_16LE);
            let big = has_ascii(encoding_rs::UTF_16BE);
            let (this, other) = match *label {
                "utf-16le" => (little, big),
                _ => (big, little),
            };
            let zeros = bytes[..bytes.len().min(4096)].contains(&0);
            !begin.is_empty() && !this && (other || !zeros)
        }
        Some(label) if label.starts_with("utf-16") => is_utf8,
        Some(_) => is_wide || is_utf8,
    }
}

/// How the bytes are to be decoded; none if they are taken as they are.
fn encoding(label: Option<&&str>, bytes: &[u8]) -> Option<&'static Encoding> {
    match label {
        Some(&"utf-8") => None,
        Some(label) if label.starts_with("utf-16") => {
            let marked = Encoding::for_bom(bytes).map(|(encoding, _)| encoding);
            marked.or_else(|| Encoding::for_label(label.as_bytes()))
        }
        Some(label) => Encoding::for_label(label.as_bytes()),
        None if bytes.starts_with(b"\xff\xfe") => Some(encoding_rs::UTF_16LE),
        None if bytes.starts_with(b"\xfe\xff") => Some(encoding_rs::UTF_16BE),
        None => None,
    }
}
