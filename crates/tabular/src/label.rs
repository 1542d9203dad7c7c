//! The label: one column first in each row, as a number that a trainer takes, without the rows that
//! have none.

use serde::{Deserialize, Serialize};

use crate::arrow_columns::Rule;
use crate::bad_rows::BadReason;
use crate::dialect::Dialect;
use crate::error::{TabularError, quoted};
use crate::records::{BadRecord, Record, Span, excerpt, unescape};
use crate::rows::Pass;
use crate::scan::places;
use crate::schema::{Column, ColumnType};
use crate::values;

/// How a row's `expected` ends where its text is not in the label's map.
pub const LABEL_MAP: &str = "as the label's map has them";
/// The most entries of a mapping.
pub const MAX_CLASSES: usize = 65_536;

/// Which column is the label, and how its cells become numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Label {
    /// The source's column. It is written first, and only there.
    pub column: String,
    /// What is written.
    pub rule: LabelRule,
    /// What becomes of rows without a label.
    pub on_missing: OnMissing,
}

/// What a label is made of its cell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LabelRule {
    /// The cell as it is.
    AsIs,
    /// 1 for numbers above this one, else 0.
    Above(f64),
    /// A number for each text, as it is to be written. Other texts make bad rows.
    Map(Vec<(String, String)>),
}

/// What becomes of rows whose label is null.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnMissing {
    /// They are left out and counted.
    #[default]
    Drop,
    /// They are bad rows.
    Fail,
}

/// Refuses a training set without a single row because no row has a label.
pub(crate) fn check_labelled(
    label: Option<&Label>,
    file: &str,
    rows: u64,
    unlabelled: u64,
) -> Result<(), TabularError> {
    let Some(label) = label.filter(|_| rows == 0 && unlabelled > 0) else {
        return Ok(());
    };
    let column = &label.column;
    Err(TabularError::Columns {
        file: file.to_owned(),
        problem: format!(
            "no row has a label: {column:?} is null in all {unlabelled} that were read; choose another \
             column, or check its null tokens"
        ),
    })
}

/// What a row's label came to.
pub(crate) enum Labelled {
    /// The number at this place in [`Labeller::values`], or the cell as it is where there are none.
    Value(u16),
    Missing,
    Refused(Box<BadRecord>),
}

/// A label over the columns of an input.
pub(crate) struct Labeller {
    label: Label,
    /// Its place, and which of its cells are null.
    rule: Rule,
    /// Every number that is written.
    pub(crate) values: Vec<String>,
}

impl Labeller {
    pub(crate) fn new(
        label: &Label,
        pass: &Pass,
        file: &str,
        null_tokens: &[String],
    ) -> Result<Self, TabularError> {
        let index = places(&[label.column.as_str()], pass.names(), file)?[0];
        pass.check_text([index])?;
        let values = match &label.rule {
            LabelRule::AsIs => Vec::new(),
            LabelRule::Above(limit) if !limit.is_finite() => {
                return Err(TabularError::Options(format!(
                    "label above {limit}: expected a finite number"
                )));
            }
            LabelRule::Above(_) => vec!["0".to_owned(), "1".to_owned()],
            LabelRule::Map(classes) => numbers_of(classes)?,
        };
        // A type that is not text makes the usual null tokens count.
        let column = Column::new(&label.column, ColumnType::Float64);
        Ok(Self {
            label: label.clone(),
            rule: Rule::new(index, column, null_tokens),
            values,
        })
    }

    /// Its place among the source's columns.
    pub(crate) fn index(&self) -> usize {
        self.rule.index
    }

    /// The type of the numbers that are written; none where cells stay as they are.
    pub(crate) fn column_type(&self) -> Option<ColumnType> {
        let is_int = |text: &String| values::int(text.as_bytes()).is_some();
        match &self.label.rule {
            LabelRule::AsIs => None,
            _ if self.values.iter().all(is_int) => Some(ColumnType::Int64),
            _ => Some(ColumnType::Float64),
        }
    }

    /// The label of a row.
    pub(crate) fn label(
        &self,
        record: Record,
        spans: &[Span],
        block: &[u8],
        dialect: &Dialect,
    ) -> Labelled {
        let span = spans[self.rule.index];
        let mut unescaped = Vec::new();
        let mut text = span.bytes(block);
        if span.is_escaped() {
            unescape(text, dialect, &mut unescaped);
            text = &unescaped;
        }
        let value = self.value(span, text);
        match (value, self.label.on_missing) {
            (Ok(Some(value)), _) => Labelled::Value(value),
            (Ok(None), OnMissing::Drop) => Labelled::Missing,
            (Ok(None), OnMissing::Fail) => {
                let found = if text.is_empty() {
                    "an empty cell".to_owned()
                } else {
                    excerpt(text)
                };
                self.refused(record, BadReason::Null, "a label".to_owned(), found)
            }
            (Err((reason, expected)), _) => self.refused(record, reason, expected, excerpt(text)),
        }
    }

    /// The place of the cell's number; none if it is null; else what was expected.
    fn value(&self, span: Span, text: &[u8]) -> Result<Option<u16>, (BadReason, String)> {
        if let LabelRule::Map(classes) = &self.label.rule
            && let Some(class) = classes.iter().position(|(from, _)| from.as_bytes() == text)
        {
            let number = &classes[class].1;
            let place = self.values.iter().position(|v| v == number);
            return Ok(Some(place.unwrap_or_default() as u16));
        }
        if self.rule.is_null(span, text) {
            return Ok(None);
        }
        match &self.label.rule {
            LabelRule::AsIs => Ok(Some(0)),
            LabelRule::Above(limit) => match values::number(text) {
                Some(number) => Ok(Some(u16::from(number > *limit))),
                None => Err((
                    BadReason::Type,
                    format!("a number, to be compared with {limit}"),
                )),
            },
            LabelRule::Map(classes) => {
                let known: Vec<String> = classes.iter().map(|(from, _)| from.clone()).collect();
                Err((
                    BadReason::NotAllowed,
                    format!("one of {}, {LABEL_MAP}", quoted(&known)),
                ))
            }
        }
    }

    fn refused(
        &self,
        record: Record,
        reason: BadReason,
        expected: String,
        found: String,
    ) -> Labelled {
        Labelled::Refused(Box::new(BadRecord {
            record,
            column: Some(self.label.column.clone()),
            reason,
            expected,
            found,
        }))
    }
}

/// The different numbers of a mapping, in order; all of its mistakes at once.
fn numbers_of(classes: &[(String, String)]) -> Result<Vec<String>, TabularError> {
    let mut wrong = Vec::new();
    if classes.is_empty() || classes.len() > MAX_CLASSES {
        wrong.push(format!(
            "{} entries, expected 1 to {MAX_CLASSES}",
            classes.len()
        ));
    }
    let mut numbers: Vec<String> = Vec::new();
    for (i, (from, number)) in classes.iter().enumerate() {
        if values::number(number.as_bytes()).is_none() {
            wrong.push(format!("{from:?} becomes {number:?}, which is no number"));
        }
        if classes[..i].iter().any(|(other, _)| other == from) {
            wrong.push(format!("{from:?} is there twice"));
        }
        if !numbers.contains(number) {
            numbers.push(number.clone());
        }
    }
    if wrong.is_empty() {
        return Ok(numbers);
    }
    Err(TabularError::Options(format!(
        "label map: {}",
        wrong.join("; ")
    )))
}
