//! Columns of a block to Arrow arrays, and checks of cells against a contract.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, UInt32Array};
use arrow_schema::{Field, FieldRef, Fields};

use crate::bad_rows::BadReason;
use crate::blocks::Block;
use crate::column_sinks::{
    Booleans, Checked, Eight, Empties, Glance, Sink, Strings, dates, floats, integers, one_by_one,
    timestamps,
};
use crate::dialect::Dialect;
use crate::error::TabularError;
use crate::infer::Guess;
use crate::instants;
use crate::records::{BadRecord, EIGHT, EightSpans, Record, Rows, Span, excerpt, unescape};
use crate::schema::{Column, ColumnType};
#[cfg(target_arch = "x86_64")]
use crate::structure::Vectors;
use crate::swar;
use crate::values::{self, DEFAULT_NULLS};

/// A column of the header with all that its cells are held to.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    /// Its place in the header.
    pub(crate) index: usize,
    pub(crate) column: Column,
    /// First bytes of null tokens: most cells are no token at a glance.
    token_starts: Box<[bool; 256]>,
    limited: bool,
    /// A cell that is a value of the type at a glance is one: there is no limit to hold it against,
    /// and no null token that looks like it.
    pub(crate) direct: bool,
    /// Where the type is what a part of the input suggests.
    likely: Option<Likely>,
    /// The column as the source has it, if it has types and they are to stay.
    native: Option<FieldRef>,
}

impl Rule {
    /// `user_tokens` count in every column, the default ones in columns that are not text.
    pub(crate) fn new(index: usize, mut column: Column, user_tokens: &[String]) -> Self {
        let text = column.column_type == ColumnType::String;
        let defaults = DEFAULT_NULLS
            .iter()
            .filter(|_| !text)
            .map(|t| (*t).to_owned());
        for token in user_tokens.iter().cloned().chain(defaults) {
            if !column.null_tokens.contains(&token) {
                column.null_tokens.push(token);
            }
        }
        let mut token_starts = Box::new([false; 256]);
        for token in &column.null_tokens {
            if let Some(first) = token.as_bytes().first() {
                token_starts[usize::from(*first)] = true;
            }
        }
        let limited = column.min.is_some() || column.max.is_some() || !column.allowed.is_empty();
        let value_like = |token: &String| text || values::kinds(token.as_bytes(), values::ANY) != 0;
        let direct = !limited && !column.null_tokens.iter().any(value_like);
        Self {
            index,
            column,
            token_starts,
            limited,
            direct,
            likely: None,
            native: None,
        }
    }

    /// A rule for a column as a part of the input suggests it. A cell is refused if the column that
    /// holds it is another one.
    pub(crate) fn likely(index: usize, guess: Guess, name: &str, user_tokens: &[String]) -> Self {
        let column = guess.column(name, user_tokens);
        let mut rule = Self::new(index, column, user_tokens);
        let empty = !guess.has_value();
        if empty {
            rule.direct = false;
        }
        rule.likely = Some(Likely {
            empty,
            user_tokens: user_tokens.to_vec(),
        });
        rule
    }

    /// The nulls that a null cell stands for.
    fn null_kind(&self, text: &[u8]) -> Nulls {
        let token = match &self.likely {
            Some(likely) => {
                !text.is_empty() && !likely.user_tokens.iter().any(|t| t.as_bytes() == text)
            }
            None => false,
        };
        Nulls {
            plain: !token,
            token,
        }
    }

    /// The same rule with the source's own type, if it has one: its arrays are then taken as they
    /// are.
    pub(crate) fn with_native(mut self, fields: Option<&Fields>) -> Self {
        self.native = fields.and_then(|fields| fields.get(self.index)).cloned();
        self
    }

    /// The Arrow field of the arrays that this rule gives.
    pub(crate) fn field(&self) -> Field {
        match &self.native {
            Some(field) => field.as_ref().clone().with_name(&self.column.name),
            None => self.column.to_arrow(),
        }
    }

    /// Whether an unquoted cell is null.
    #[inline]
    pub(crate) fn is_null(&self, span: Span, text: &[u8]) -> bool {
        if span.is_quoted() {
            return false;
        }
        match text.first() {
            None => true,
            Some(first) => {
                self.token_starts[usize::from(*first)]
                    && self.column.null_tokens.iter().any(|t| t.as_bytes() == text)
            }
        }
    }

    fn violation(&self, reason: BadReason, text: &[u8]) -> Violation {
        let column = &self.column;
        let expected = match reason {
            BadReason::Null => format!("{}, not null", column.column_type),
            BadReason::Range => range_in_words(column.min, column.max),
            BadReason::NotAllowed => format!("one of {}", crate::error::quoted(&column.allowed)),
            _ => column.column_type.name().to_owned(),
        };
        let found = match reason {
            BadReason::Null if text.is_empty() => "an empty cell".to_owned(),
            _ if column.sensitive => "***".to_owned(),
            _ => excerpt(text),
        };
        Violation {
            reason,
            expected,
            found,
        }
    }
}

/// What is known of a column whose type is likely.
#[derive(Debug, Clone)]
struct Likely {
    /// No cell had a value.
    empty: bool,
    user_tokens: Vec<String>,
}

/// Which nulls a column has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Nulls {
    /// Empty cells, or tokens of the user's.
    pub(crate) plain: bool,
    /// Tokens that are null by default.
    pub(crate) token: bool,
}

impl Nulls {
    /// Those of both.
    pub(crate) fn merge(self, other: Self) -> Self {
        Self {
            plain: self.plain | other.plain,
            token: self.token | other.token,
        }
    }
}

fn range_in_words(min: Option<f64>, max: Option<f64>) -> String {
    match (min, max) {
        (Some(min), Some(max)) => format!("a number from {min} to {max}"),
        (Some(min), None) => format!("a number of at least {min}"),
        (None, Some(max)) => format!("a number of at most {max}"),
        (None, None) => "a number".to_owned(),
    }
}

struct Violation {
    reason: BadReason,
    expected: String,
    found: String,
}

/// A block's rows with what is needed to read a column of them.
#[derive(Clone, Copy)]
pub(crate) struct Cells<'a> {
    pub(crate) rows: &'a Rows,
    pub(crate) block: &'a Block,
    pub(crate) width: usize,
    pub(crate) dialect: &'a Dialect,
}

/// Rows that a column refuses, by their place among the good ones.
type Refused = Vec<(usize, BadRecord)>;

/// A column's cells as an array.
pub(crate) struct Filled {
    /// Refused cells are null in it.
    pub(crate) array: ArrayRef,
    pub(crate) refused: Refused,
    pub(crate) nulls: Nulls,
}

/// The column as an array of its type.
pub(crate) fn array(rule: &Rule, cells: Cells<'_>) -> Result<Filled, TabularError> {
    if let (Some(_), Some(batch)) = (&rule.native, &cells.block.batch) {
        return Ok(Filled {
            array: kept(batch.column(rule.index), cells.rows)?,
            refused: Vec::new(),
            nulls: Nulls::default(),
        });
    }
    #[cfg(target_arch = "x86_64")]
    match Vectors::detect() {
        Vectors::Baseline => {}
        #[expect(unsafe_code, reason = "a call across target features")]
        // SAFETY: the processor has just been found to have what the function is compiled for.
        Vectors::Avx2 => return unsafe { collect_avx2(rule, cells) },
        #[expect(unsafe_code, reason = "a call across target features")]
        // SAFETY: the same; AVX-512 is only found beside AVX2.
        Vectors::Avx512 => return unsafe { collect_avx512(rule, cells) },
    }
    let date = |block: &[u8], start, end| instants::date(&block[start..end]);
    collect_with(
        rule,
        cells,
        glance(swar::int),
        glance(swar::decimal),
        glance(date),
    )
}

fn glance<T, O>(one: O) -> Glance<O, impl Fn(&[u8], EightSpans<'_>) -> Option<Eight<T>>>
where
    O: Fn(&[u8], usize, usize) -> Option<T>,
{
    Glance {
        one,
        eight: one_by_one,
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi1,popcnt")]
fn collect_avx2(rule: &Rule, cells: Cells<'_>) -> Result<Filled, TabularError> {
    use crate::simd_digits::{date, decimal, int};
    collect_with(
        rule,
        cells,
        glance(|block: &[u8], start, end| int(block, start, end)),
        glance(|block: &[u8], start, end| decimal(block, start, end)),
        glance(|block: &[u8], start, end| date(block, start, end)),
    )
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi1,popcnt,avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi")]
fn collect_avx512(rule: &Rule, cells: Cells<'_>) -> Result<Filled, TabularError> {
    use crate::simd_digits::{date, decimal, int};
    use crate::simd_eights::{dates, decimals, ints};
    collect_with(
        rule,
        cells,
        Glance {
            one: |block: &[u8], start, end| int(block, start, end),
            eight: |block: &[u8], spans: EightSpans<'_>| Some(ints(block, spans)),
        },
        Glance {
            one: |block: &[u8], start, end| decimal(block, start, end),
            eight: |block: &[u8], spans: EightSpans<'_>| Some(decimals(block, spans)),
        },
        Glance {
            one: |block: &[u8], start, end| date(block, start, end),
            eight: |block: &[u8], spans: EightSpans<'_>| Some(dates(block, spans)),
        },
    )
}

/// The column by these ways to read numbers and dates at a glance.
#[inline(always)]
fn collect_with<IntOne, IntEight, DecOne, DecEight, DateOne, DateEight>(
    rule: &Rule,
    cells: Cells<'_>,
    int: Glance<IntOne, IntEight>,
    decimal: Glance<DecOne, DecEight>,
    date: Glance<DateOne, DateEight>,
) -> Result<Filled, TabularError>
where
    IntOne: Fn(&[u8], usize, usize) -> Option<i64>,
    IntEight: Fn(&[u8], EightSpans<'_>) -> Option<Eight<i64>>,
    DecOne: Fn(&[u8], usize, usize) -> Option<f64>,
    DecEight: Fn(&[u8], EightSpans<'_>) -> Option<Eight<f64>>,
    DateOne: Fn(&[u8], usize, usize) -> Option<i32>,
    DateEight: Fn(&[u8], EightSpans<'_>) -> Option<Eight<i32>>,
{
    let rows = cells.rows.records.len();
    let empty = rule.likely.as_ref().is_some_and(|l| l.empty);
    match rule.column.column_type {
        ColumnType::Int64 => collect(rule, cells, integers(rows, int)),
        ColumnType::Float64 => collect(rule, cells, floats(rows, rule.likely.is_some(), decimal)),
        ColumnType::Date => collect(rule, cells, dates(rows, date)),
        ColumnType::Timestamp => collect(rule, cells, timestamps(rows, false)),
        ColumnType::TimestampUtc => collect(rule, cells, timestamps(rows, true)),
        ColumnType::Boolean => collect(rule, cells, Booleans::new(rows)),
        ColumnType::String if empty => collect(rule, cells, Empties::new(rows)),
        ColumnType::String => {
            let bytes = column_spans(rule, cells).map(Span::len).sum();
            collect(rule, cells, Strings::new(rows, bytes))
        }
    }
}

#[inline(always)]
fn collect<S: Sink>(rule: &Rule, cells: Cells<'_>, mut sink: S) -> Result<Filled, TabularError> {
    let (refused, nulls) = fill(&mut sink, rule, cells);
    Ok(Filled {
        array: sink.finish()?,
        refused,
        nulls,
    })
}

/// The rows of a typed column that are still there.
fn kept(column: &ArrayRef, rows: &Rows) -> Result<ArrayRef, TabularError> {
    if rows.records.len() == column.len() {
        return Ok(Arc::clone(column));
    }
    let places = UInt32Array::from_iter_values(rows.records.iter().map(|r| r.index));
    arrow_select::take::take(column, &places, None)
        .map_err(|e| TabularError::Internal(format!("rows of a column: {e}")))
}

/// Rows that a column refuses; nothing is built.
pub(crate) fn refused(rule: &Rule, cells: Cells<'_>) -> Refused {
    fill(&mut Checked(rule.column.column_type), rule, cells).0
}

/// Runs a column's cells into a sink, one call a row.
#[inline(always)]
fn fill<S: Sink>(sink: &mut S, rule: &Rule, cells: Cells<'_>) -> (Refused, Nulls) {
    let mut slow = Slow {
        rule,
        cells,
        refused: Vec::new(),
        nulls: Nulls::default(),
        scratch: Vec::new(),
    };
    let block = cells.block.text();
    let spans = cells.rows.spans.get(rule.index..).unwrap_or_default();
    let mut row = 0;
    if rule.direct {
        while let Some(eight) = EightSpans::new(&spans[row * cells.width..], cells.width)
            && let Some(known) = sink.take_eight(row, block, eight)
        {
            for number in 0..EIGHT {
                if known >> number & 1 == 0 {
                    slow.take_at_a_glance(sink, row + number, eight.get(number));
                }
            }
            row += EIGHT;
            if spans.len() <= row * cells.width {
                break;
            }
        }
    }
    let rest = spans.iter().step_by(cells.width).enumerate().skip(row);
    for (row, span) in rest {
        if rule.direct {
            slow.take_at_a_glance(sink, row, *span);
        } else {
            slow.take(sink, row, *span);
        }
    }
    (slow.refused, slow.nulls)
}

/// The cells of the rule's column.
#[inline(always)]
fn column_spans<'a>(rule: &Rule, cells: Cells<'a>) -> impl Iterator<Item = Span> + use<'a> {
    let spans = cells.rows.spans.get(rule.index..).unwrap_or_default();
    spans.iter().step_by(cells.width).copied()
}

/// Takes the cells that are not values at a glance.
struct Slow<'a> {
    rule: &'a Rule,
    cells: Cells<'a>,
    refused: Refused,
    nulls: Nulls,
    scratch: Vec<u8>,
}

impl Slow<'_> {
    #[inline(always)]
    fn take_at_a_glance(&mut self, sink: &mut impl Sink, row: usize, span: Span) {
        if !sink.take(row, self.cells.block.text(), span) {
            self.take(sink, row, span);
        }
    }

    #[inline(never)]
    fn take(&mut self, sink: &mut impl Sink, row: usize, span: Span) {
        let mut text = span.bytes(self.cells.block.text());
        if span.is_escaped() {
            self.scratch.clear();
            unescape(text, self.cells.dialect, &mut self.scratch);
            text = &self.scratch;
        }
        let rule = self.rule;
        let violation = if rule.is_null(span, text) {
            sink.null(row);
            self.nulls = self.nulls.merge(rule.null_kind(text));
            let fine = rule.column.nullable;
            (!fine).then(|| rule.violation(BadReason::Null, text))
        } else {
            match sink.value(row, text) {
                None => {
                    sink.null(row);
                    Some(rule.violation(BadReason::Type, text))
                }
                Some(number) if rule.limited => limits(rule, number, text),
                Some(_) => None,
            }
        };
        if let Some(violation) = violation {
            let record = self.cells.rows.records[row];
            self.refused.push((row, violation.at(record, rule)));
        }
    }
}

impl Violation {
    fn at(self, record: Record, rule: &Rule) -> BadRecord {
        BadRecord {
            record,
            column: Some(rule.column.name.clone()),
            reason: self.reason,
            expected: self.expected,
            found: self.found,
        }
    }
}

#[cold]
fn limits(rule: &Rule, number: Option<f64>, text: &[u8]) -> Option<Violation> {
    let column = &rule.column;
    if let Some(number) = number
        && (column.min.is_some_and(|min| number < min)
            || column.max.is_some_and(|max| number > max))
    {
        return Some(rule.violation(BadReason::Range, text));
    }
    let among = column.allowed.iter().any(|a| a.as_bytes() == text);
    let fine = column.allowed.is_empty() || among;
    (!fine).then(|| rule.violation(BadReason::NotAllowed, text))
}
