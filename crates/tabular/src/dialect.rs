//! How a CSV file is written.

use serde::{Deserialize, Serialize};

use crate::error::TabularError;
use crate::structure::Marks;

/// The quote of a text in which nothing is quoted: a byte that UTF-8 never has.
pub const NO_QUOTE: u8 = 0xff;

/// The bytes that structure a CSV file. Quoting follows `csv-core`: a quote opens only as the first
/// byte of a field, and a doubled quote inside is one quote. Serialised, each is a text of one
/// character.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Characters", try_from = "Characters")]
pub struct Dialect {
    /// Between fields.
    pub delimiter: u8,
    /// Around fields, or [`NO_QUOTE`].
    pub quote: u8,
    /// Inside quotes, makes the next byte literal.
    pub escape: Option<u8>,
    /// As the first byte of a line, makes it a comment.
    pub comment: Option<u8>,
    /// Whether the first record names the columns.
    pub header: bool,
    /// Lines before the first record that are no part of the table. Lines end as records do, and
    /// quotes mean nothing in them.
    pub skip_lines: u64,
}

impl Default for Dialect {
    fn default() -> Self {
        Self {
            delimiter: b',',
            quote: b'"',
            escape: None,
            comment: None,
            header: true,
            skip_lines: 0,
        }
    }
}

impl Dialect {
    /// Refuses bytes that are not ASCII, are line ends, or have two roles, and an escape without quotes.
    ///
    /// # Errors
    /// [`TabularError::Options`] that names the byte and its role.
    pub fn check(&self) -> Result<(), TabularError> {
        let roles = [
            ("delimiter", Some(self.delimiter)),
            ("quote", Some(self.quote)),
            ("escape", self.escape),
            ("comment", self.comment),
        ];
        if let (NO_QUOTE, Some(escape)) = (self.quote, self.escape) {
            return Err(TabularError::Options(format!(
                "escape: {:?} stands within quotes only, and there are none: leave it out, and it is text",
                char::from(escape)
            )));
        }
        for (i, (role, byte)) in roles.iter().enumerate() {
            let Some(byte) = *byte else { continue };
            if *role == "quote" && byte == NO_QUOTE {
                continue;
            }
            if !byte.is_ascii() || matches!(byte, b'\n' | b'\r' | 0) {
                return Err(TabularError::Options(format!(
                    "{role}: expected one ASCII character that is no line end, found byte 0x{byte:02x}"
                )));
            }
            if let Some((other, _)) = roles[..i].iter().find(|(_, b)| *b == Some(byte)) {
                let shown = char::from(byte);
                return Err(TabularError::Options(format!(
                    "{other} and {role} are both {shown:?}: choose another for one"
                )));
            }
        }
        Ok(())
    }

    pub(crate) fn marks(&self) -> Marks {
        Marks {
            delimiter: self.delimiter,
            quote: self.quote,
            escape: self.escape.unwrap_or(self.quote),
        }
    }
}

/// A [`Dialect`] as people and JSON write it.
#[derive(Serialize, Deserialize)]
struct Characters {
    delimiter: char,
    /// None for [`NO_QUOTE`].
    quote: Option<char>,
    escape: Option<char>,
    comment: Option<char>,
    header: bool,
    #[serde(default, skip_serializing_if = "is_zero")]
    skip_lines: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl From<Dialect> for Characters {
    fn from(dialect: Dialect) -> Self {
        Self {
            delimiter: char::from(dialect.delimiter),
            quote: (dialect.quote != NO_QUOTE).then_some(char::from(dialect.quote)),
            escape: dialect.escape.map(char::from),
            comment: dialect.comment.map(char::from),
            header: dialect.header,
            skip_lines: dialect.skip_lines,
        }
    }
}

impl TryFrom<Characters> for Dialect {
    type Error = std::char::TryFromCharError;

    fn try_from(written: Characters) -> Result<Self, Self::Error> {
        Ok(Self {
            delimiter: written.delimiter.try_into()?,
            quote: written.quote.map_or(Ok(NO_QUOTE), u8::try_from)?,
            escape: written.escape.map(u8::try_from).transpose()?,
            comment: written.comment.map(u8::try_from).transpose()?,
            header: written.header,
            skip_lines: written.skip_lines,
        })
    }
}
