//! Names of text encodings: those of the Encoding Standard
//! (<https://encoding.spec.whatwg.org/#names-and-labels>), and what else people call them.

use encoding_rs::Encoding;

/// Names in common use that the standard does not list.
const ALIASES: &[(&str, &str)] = &[
    ("cp932", "shift_jis"),
    ("cp936", "gbk"),
    ("cp949", "euc-kr"),
    ("cp950", "big5"),
    ("cp65001", "utf-8"),
    ("eucjp", "euc-jp"),
    ("euc_jp", "euc-jp"),
    ("euckr", "euc-kr"),
    ("euc_kr", "euc-kr"),
    ("latin-1", "windows-1252"),
    ("utf_8", "utf-8"),
    ("utf16", "utf-16"),
    ("utf_16", "utf-16"),
];

/// The standard's name, in lower case, of the encoding that `text` names.
///
/// # Errors
/// What was expected, as a sentence.
pub fn parse_encoding(text: &str) -> Result<String, String> {
    let label = text.trim().to_ascii_lowercase();
    let label = ALIASES
        .iter()
        .find(|(alias, _)| *alias == label)
        .map_or(label.as_str(), |(_, standard)| standard);
    // Without replacement: that one is no encoding, but a refusal to decode.
    Encoding::for_label_no_replacement(label.as_bytes())
        .map(|encoding| encoding.name().to_ascii_lowercase())
        .ok_or_else(|| {
            "expected the name of an encoding: utf-8, utf-16, windows-1252, shift_jis (cp932), \
             euc-jp, gb18030, big5, euc-kr or another of the Encoding Standard's"
                .to_owned()
        })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

    use super::*;

    #[test]
    fn names_are_those_in_use() {
        let pairs = [
            ("CP932", "shift_jis"),
            ("windows-31j", "shift_jis"),
            ("latin1", "windows-1252"),
            ("UTF-16", "utf-16le"),
            ("utf8", "utf-8"),
            ("EUC-JP", "euc-jp"),
        ];
        for (text, name) in pairs {
            assert_eq!(parse_encoding(text).unwrap(), name);
        }
        for (_, standard) in ALIASES {
            assert!(parse_encoding(standard).is_ok(), "{standard}");
        }
        for text in ["utf-7", "", "iso-2022-kr", "replacement"] {
            assert!(parse_encoding(text).is_err(), "{text}");
        }
    }
}
