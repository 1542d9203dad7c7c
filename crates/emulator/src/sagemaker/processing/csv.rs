//! Filters of CSV: a record is taken as an array of its cells, handed on as they are written.
//!
//! A filter is `$`, indexes (`$[0]`, `$[0,-1]`) or one range (`$[1:]`); the service refuses a mixture of
//! both (developer guide, "batch-transform-data-processing").

use super::path::{Bounds, FilterError, mixed, place};
use super::{ProcessingError, lines};
use crate::assume::Assumptions;

/// Columns of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Filter {
    path: String,
    picks: Picks,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Picks {
    All,
    /// Negative ones count from the end.
    Indexes(Vec<i64>),
    Range(Bounds),
}

impl Filter {
    pub(super) fn parse(path: &str, assume: Assumptions) -> Result<Self, FilterError> {
        let picks = if path == "$" {
            Picks::All
        } else {
            let inner = path.strip_prefix("$[").and_then(|p| p.strip_suffix(']'));
            match inner {
                Some(inner) if mixed(inner) => return Err(FilterError::mixed(path)),
                Some(inner) if inner.contains(':') => Bounds::parse(inner, assume).map(Picks::Range),
                Some(inner) => indexes(inner),
                None => None,
            }
            .ok_or_else(|| FilterError::new(path, "a record of CSV is an array: expected indexes such as $[0,-1], or a range such as $[1:]"))?
        };
        Ok(Self {
            path: path.to_owned(),
            picks,
        })
    }

    pub(super) fn is_all(&self) -> bool {
        self.picks == Picks::All
    }

    /// The columns of record `number`, in the filter's order. An index outside of it is an error
    /// (API reference, DataProcessing); so are the bounds of a range.
    fn pick<'a>(
        &self,
        number: usize,
        cells: &[&'a [u8]],
    ) -> Result<Vec<&'a [u8]>, ProcessingError> {
        let picked = match &self.picks {
            Picks::All => Some(cells.to_vec()),
            Picks::Indexes(indexes) => indexes
                .iter()
                .map(|i| cells.get(place(*i, cells.len())?).copied())
                .collect(),
            Picks::Range(bounds) => bounds
                .of(cells.len())
                .and_then(|range| cells.get(range))
                .map(<[_]>::to_vec),
        };
        picked.ok_or_else(|| ProcessingError::OutOfRange {
            record: number,
            path: self.path.clone(),
            columns: cells.len(),
        })
    }
}

/// What the model gets for the records of `body`.
pub(super) fn request(input: &Filter, body: &[u8]) -> Result<Vec<u8>, ProcessingError> {
    let mut out = Vec::with_capacity(body.len());
    for (number, line) in (1..).zip(lines(body)) {
        let cells = cells(line).ok_or(ProcessingError::Quote { record: number })?;
        write_row(&input.pick(number, &cells)?, &mut out);
    }
    Ok(out)
}

/// What is stored of one record and its answer.
pub(super) fn joined(
    output: &Filter,
    number: usize,
    source: Option<&[u8]>,
    answer: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), ProcessingError> {
    let quote = || ProcessingError::Quote { record: number };
    let mut row = match source {
        Some(source) => cells(source).ok_or_else(quote)?,
        None => Vec::new(),
    };
    row.extend(cells(answer).ok_or_else(quote)?);
    write_row(&output.pick(number, &row)?, out);
    Ok(())
}

fn indexes(inner: &str) -> Option<Picks> {
    let numbers = inner.split(',').map(|n| n.trim().parse().ok());
    numbers.collect::<Option<_>>().map(Picks::Indexes)
}

/// The cells of a line by RFC 4180, as written; `None` where a quote does not end.
fn cells(line: &[u8]) -> Option<Vec<&[u8]>> {
    let mut cells = Vec::new();
    let mut rest = line;
    loop {
        let quoted = match rest.strip_prefix(b"\"") {
            Some(inside) => 2 + closing_quote(inside)?,
            None => 0,
        };
        match rest[quoted..].iter().position(|b| *b == b',') {
            Some(comma) => {
                cells.push(&rest[..quoted + comma]);
                rest = &rest[quoted + comma + 1..];
            }
            None => {
                cells.push(rest);
                return Some(cells);
            }
        }
    }
}

/// The place of the quote that ends a cell; two quotes are one that belongs to it.
fn closing_quote(inside: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += inside[at..].iter().position(|b| *b == b'"')?;
        if inside.get(at + 1) != Some(&b'"') {
            return Some(at);
        }
        at += 2;
    }
}

fn write_row(cells: &[&[u8]], out: &mut Vec<u8>) {
    for (index, cell) in cells.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(cell);
    }
    out.push(b'\n');
}
