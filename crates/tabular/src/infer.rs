//! Types over the whole input: what each column's cells have in common. Merging is associative and
//! commutative, so blocks may be looked at in any order.

use crate::arrow_columns::Nulls;
use crate::dialect::Dialect;
use crate::records::{Rows, unescape};
use crate::schema::{Column, ColumnType};
use crate::values::{self, ANY, DEFAULT_NULLS, Kinds};

/// What is known of a column from some of its cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Guess {
    /// Types that hold every value seen.
    kinds: Kinds,
    /// A value was seen: neither empty nor a null token.
    value: bool,
    /// An empty unquoted cell, or a null token of the user's.
    null: bool,
    /// One of the default null tokens, which are text in a text column.
    token: bool,
}

impl Guess {
    /// Nothing seen: the neutral element.
    pub(crate) const NONE: Self = Self {
        kinds: ANY,
        value: false,
        null: false,
        token: false,
    };

    /// What both have seen.
    pub(crate) fn merge(self, other: Self) -> Self {
        Self {
            kinds: self.kinds & other.kinds,
            value: self.value | other.value,
            null: self.null | other.null,
            token: self.token | other.token,
        }
    }

    /// Whether a value was seen.
    pub(crate) fn has_value(self) -> bool {
        self.value
    }

    /// The same with more nulls.
    pub(crate) fn with_nulls(self, nulls: Nulls) -> Self {
        Self {
            null: self.null | nulls.plain,
            token: self.token | nulls.token,
            ..self
        }
    }

    /// The column that holds all that was seen. Its null tokens are all it needs for a second pass.
    pub(crate) fn column(self, name: &str, user_tokens: &[String]) -> Column {
        let column_type = if self.value {
            values::narrowest(self.kinds)
        } else {
            ColumnType::String
        };
        let text = self.value && column_type == ColumnType::String;
        let mut column = Column::new(name, column_type);
        column.nullable = self.null || !self.value || (self.token && !text);
        column.null_tokens = user_tokens.to_vec();
        if self.token && !text {
            column
                .null_tokens
                .extend(DEFAULT_NULLS.iter().map(|t| (*t).to_owned()));
        }
        column
    }
}

/// What a quoted cell may be: anything in CSV, where quotes say nothing of types; no number or
/// boolean in JSON, where they do.
pub(crate) const CSV_QUOTED: Kinds = ANY;
pub(crate) const JSON_QUOTED: Kinds = values::DATE | values::TIMESTAMP | values::TIMESTAMP_UTC;

/// Looks at every column of the rows; `quoted` is [`CSV_QUOTED`] or [`JSON_QUOTED`].
pub(crate) fn observe(
    rows: &Rows,
    block: &[u8],
    width: usize,
    dialect: &Dialect,
    user_tokens: &[String],
    quoted: Kinds,
) -> Vec<Guess> {
    (0..width)
        .map(|column| observe_column(rows, block, width, column, dialect, user_tokens, quoted))
        .collect()
}

fn observe_column(
    rows: &Rows,
    block: &[u8],
    width: usize,
    column: usize,
    dialect: &Dialect,
    user_tokens: &[String],
    quoted: Kinds,
) -> Guess {
    let mut guess = Guess::NONE;
    let mut scratch = Vec::new();
    for span in rows.spans.iter().skip(column).step_by(width) {
        if span.is_bare_empty() {
            guess.null = true;
            continue;
        }
        if guess.kinds == 0 {
            if guess.null {
                // Text that may be null: nothing is left to learn.
                break;
            }
            if user_tokens.is_empty() {
                continue;
            }
        }
        let mut text = span.bytes(block);
        if span.is_escaped() {
            scratch.clear();
            unescape(text, dialect, &mut scratch);
            text = &scratch;
        }
        if !span.is_quoted() {
            if user_tokens.iter().any(|t| t.as_bytes() == text) {
                guess.null = true;
                continue;
            }
            if values::is_default_null(text) {
                guess.token = true;
                continue;
            }
        }
        guess.value = true;
        let among = if span.is_quoted() { quoted } else { ANY };
        guess.kinds = values::kinds(text, guess.kinds & among);
    }
    guess
}
