//! The JSONPath of `data_processing.input_filter` and `output_filter`: the part of it that the
//! service runs, parsed offline. The service finds a mistake here only after its instances have
//! started.
//!
//! Grammar, from the developer guide's "Supported JSONPath operators"
//! (`batch-transform-data-processing`):
//!
//! ```text
//! filter := '$' step*
//! step   := '.' name | '.*' | '.'? bracket
//! bracket:= '[*]' | '[' quoted (',' quoted)* ']' | '[' int (',' int)* ']' | '[' int? ':' int? ']'
//! ```
//!
//! Indexes may be negative and count from the end. A range stands alone in its brackets: the API
//! reference's own example, `$[0,5:]`, is refused by the service.

mod parser;

use std::fmt;

use crate::limits::Limits;
use parser::{Parser, PlacedStep};

/// A parsed filter. `Display` writes it in its shortest form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// Each with the place of its first character, from 0.
    steps: Vec<PlacedStep>,
}

/// One step down from the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Attributes by their names; never empty. One may be written `.name`.
    Names(Vec<String>),
    /// `.*` or `[*]`: everything there is.
    Any,
    /// Elements by their places, in this order; negative ones count from the end. Never empty.
    Indexes(Vec<i32>),
    /// Elements from `start` on, up to `end`. At least one of the two is there. Whether the element
    /// at `end` belongs to it, the service's documents say both ways.
    Range {
        /// By default the first.
        start: Option<i32>,
        /// By default the last.
        end: Option<i32>,
    },
}

/// What is wrong with a filter. `Display` is a sentence about it, to be read after it and a colon.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct FilterError {
    /// The character that is at fault, from 0; the length of the text where something is missing.
    pub at: usize,
    /// What is wrong there.
    pub message: String,
    /// What to write instead.
    pub help: String,
}

/// What a filter is applied to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Records {
    /// Lines of CSV: the service takes each as an array of its cells.
    Csv,
    /// Lines of JSON Lines: gristmill's are objects.
    JsonLines,
}

impl Filter {
    /// Parses a filter, no longer than [`Limits::json_path_chars`].
    ///
    /// # Errors
    /// [`FilterError`] with the first character that is wrong.
    pub fn parse(text: &str, limits: &Limits) -> Result<Filter, FilterError> {
        let most = limits.json_path_chars;
        let count = text.chars().count();
        if count > most {
            let message = format!("has {count} characters; the service takes at most {most}");
            let help = "put the columns that are kept apart first in `prepare.select`: then one \
                        open range such as `$[2:]` is enough";
            return Err(error(most, message, help));
        }
        let mut parser = Parser::new(text);
        parser.root()?;
        let mut steps = Vec::new();
        while let Some(step) = parser.step()? {
            steps.push(step);
        }
        Ok(Filter { steps })
    }

    /// Its steps, from the root on.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().map(|(_, step)| step)
    }

    /// Whether it is `$`, which keeps everything.
    pub fn is_root(&self) -> bool {
        self.steps.is_empty()
    }

    /// Whether the service can apply it to records of this kind, and to them in one way only.
    ///
    /// # Errors
    /// [`FilterError`] with the first step that does not fit.
    pub fn fits(&self, records: Records) -> Result<(), FilterError> {
        for (number, (at, step)) in self.steps.iter().enumerate() {
            match (records, step) {
                (Records::Csv, Step::Names(_) | Step::Any) => return Err(no_index(*at)),
                (Records::Csv, _) if number > 0 => {
                    let message = "goes two steps into a record of CSV, whose cells hold nothing";
                    return Err(error(*at, message, "keep the first brackets alone"));
                }
                (Records::JsonLines, Step::Indexes(_) | Step::Range { .. }) if number == 0 => {
                    let message = "asks for elements by their places, but a record of JSON Lines \
                                   is an object";
                    return Err(error(
                        *at,
                        message,
                        "name its attributes: `$['age','plan']`",
                    ));
                }
                _ => {}
            }
            if let Step::Range { start, end } = step {
                one_meaning(*at, *start, *end)?;
            }
        }
        Ok(())
    }

    /// Whether all that it asks for is among the `columns` of a record of CSV.
    ///
    /// # Errors
    /// [`FilterError`]: the service fails a job over an index outside of its records.
    pub fn within(&self, columns: usize) -> Result<(), FilterError> {
        let Some((at, step)) = self.steps.first() else {
            return Ok(());
        };
        let outside = |index: &&i32| match usize::try_from(**index) {
            Ok(index) => index >= columns,
            Err(_) => index.unsigned_abs() as usize > columns,
        };
        let found = match step {
            Step::Indexes(indexes) => indexes.iter().find(outside),
            Step::Range { start, .. } => start.iter().find(outside),
            Step::Names(_) | Step::Any => None,
        };
        let Some(index) = found else { return Ok(()) };
        let message = format!("asks for column {index}, but what it is applied to has {columns}");
        let help = format!("columns count from 0: here 0 to {}", columns.max(1) - 1);
        Err(error(*at, message, help))
    }
}

fn error(at: usize, message: impl Into<String>, help: impl Into<String>) -> FilterError {
    FilterError {
        at,
        message: message.into(),
        help: help.into(),
    }
}

fn no_index(at: usize) -> FilterError {
    let message = "asks for names, but a record of CSV is an array of its cells";
    let help = "count columns from 0: `$[0,2]`, from one on `$[1:]`, the last `$[-1]`";
    error(at, message, help)
}

/// Documents call the end of a range its last element; the JSONPath that they refer to ends before
/// it. So a range with an end is never sent.
fn one_meaning(at: usize, start: Option<i32>, end: Option<i32>) -> Result<(), FilterError> {
    let Some(end) = end else { return Ok(()) };
    let message = "is a range with an end, of which the service's documents say both that it \
                   belongs to the range and that it does not";
    let help = match (start.unwrap_or(0), end) {
        (start, end) if start >= 0 && start < end && end - start < 24 => {
            let list = |to: i32| {
                let places: Vec<String> = (start..to).map(|place| place.to_string()).collect();
                format!("`[{}]`", places.join(","))
            };
            format!("write {} or {}, as you mean it", list(end), list(end + 1))
        }
        _ => "list the places, or leave the end open".to_owned(),
    };
    Err(error(at, message, help))
}

/// What may stand in a name after `.`, without quotes.
fn is_plain(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '-'
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("$")?;
        self.steps().try_for_each(|step| step.fmt(f))
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bound = |bound: &Option<i32>| bound.map_or_else(String::new, |n| n.to_string());
        match self {
            Step::Any => f.write_str("[*]"),
            Step::Names(names) => match names.as_slice() {
                [name] if name.chars().all(is_plain) => write!(f, ".{name}"),
                names => write!(f, "['{}']", names.join("','")),
            },
            Step::Indexes(indexes) => {
                let indexes: Vec<String> = indexes.iter().map(i32::to_string).collect();
                write!(f, "[{}]", indexes.join(","))
            }
            Step::Range { start, end } => write!(f, "[{}:{}]", bound(start), bound(end)),
        }
    }
}
