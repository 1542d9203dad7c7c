//! `DataProcessing`: what of each record the model gets, and what comes back beside its answer.
//!
//! A join puts the whole record, unfiltered, beside the answer, and `OutputFilter` picks from both
//! (developer guide, "batch-transform-data-processing").

mod csv;
mod json;
mod path;
#[cfg(test)]
mod tests;

pub(crate) use self::json::with_fields;
pub(crate) use self::path::FilterError;
use super::request::DataProcessing;
use crate::assume::Assumptions;

/// What the records of a body are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Records {
    /// A line each.
    Csv,
    /// A JSON value in a line each.
    JsonLines,
    /// The body is one JSON value.
    Json,
}

impl Records {
    /// By the media type without parameters, and whether objects are cut by lines; none where nobody
    /// knows what a record is.
    pub(crate) fn of(media: &str, lines: bool) -> Option<Self> {
        match media {
            "text/csv" => Some(Self::Csv),
            "application/jsonlines" => Some(Self::JsonLines),
            "application/json" if lines => Some(Self::JsonLines),
            "application/json" => Some(Self::Json),
            _ => None,
        }
    }
}

/// What a job does to its records besides scoring them.
#[derive(Clone, Debug)]
pub(crate) struct Processing {
    records: Records,
    filters: Filters,
    join: bool,
}

#[derive(Clone, Debug)]
enum Filters {
    Csv {
        input: csv::Filter,
        output: csv::Filter,
    },
    Json {
        input: json::Filter,
        output: json::Filter,
    },
}

/// Why the records of a request cannot be filtered or joined. Records count from 1 in their request.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ProcessingError {
    /// The filter names a column that the record does not have, or none at all.
    #[error("record {record} of a request: {path} is not within its {columns} columns")]
    OutOfRange {
        record: usize,
        path: String,
        columns: usize,
    },
    /// The filter names what the record does not have.
    #[error("record {record} of a request: {path} is not in it")]
    Missing { record: usize, path: String },
    /// A quoted cell without an end.
    #[error("record {record} of a request: a quoted cell has no closing quote")]
    Quote { record: usize },
    /// Not JSON.
    #[error("record {record} of a request is no JSON: {why}")]
    Json { record: usize, why: String },
    /// The answer has another number of records than the request.
    #[error("the algorithm answered {found} records to a request of {expected}")]
    Records { expected: usize, found: usize },
}

impl Processing {
    /// `None` where nothing is to be done.
    pub(crate) fn parse(
        request: Option<&DataProcessing>,
        records: Records,
        assume: Assumptions,
    ) -> Result<Option<Self>, FilterError> {
        let Some(request) = request.filter(|r| r.is_active()) else {
            return Ok(None);
        };
        let input = request.input_filter.as_deref().unwrap_or("$");
        let output = request.output_filter.as_deref().unwrap_or("$");
        let filters = match records {
            Records::Csv => Filters::Csv {
                input: csv::Filter::parse(input, assume)?,
                output: csv::Filter::parse(output, assume)?,
            },
            Records::JsonLines | Records::Json => Filters::Json {
                input: json::Filter::parse(input, assume)?,
                output: json::Filter::parse(output, assume)?,
            },
        };
        Ok(Some(Self {
            records,
            filters,
            join: request.join_source.as_deref() == Some("Input"),
        }))
    }

    /// What the model gets for the records of `body`.
    pub(crate) fn request(&self, body: &[u8]) -> Result<Vec<u8>, ProcessingError> {
        match &self.filters {
            Filters::Csv { input, .. } if input.is_all() => Ok(body.to_vec()),
            Filters::Csv { input, .. } => csv::request(input, body),
            Filters::Json { input, .. } if input.is_all() => Ok(body.to_vec()),
            Filters::Json { input, .. } => {
                let mut out = Vec::with_capacity(body.len());
                for (number, record) in (1..).zip(self.split(body)) {
                    out.extend(input.pick(number, record)?.into_bytes());
                    self.end(&mut out);
                }
                Ok(out)
            }
        }
    }

    /// What is stored for the records of `body`, of which the model said `reply`.
    pub(crate) fn reply(&self, body: &[u8], reply: &[u8]) -> Result<Vec<u8>, ProcessingError> {
        let (sources, answers) = (self.split(body), self.split(reply));
        if sources.len() != answers.len() {
            return Err(ProcessingError::Records {
                expected: sources.len(),
                found: answers.len(),
            });
        }
        let mut out = Vec::with_capacity(body.len() + reply.len());
        for (number, (source, answer)) in (1..).zip(sources.into_iter().zip(answers)) {
            let source = self.join.then_some(source);
            match &self.filters {
                Filters::Csv { output, .. } => {
                    csv::joined(output, number, source, answer, &mut out)?;
                }
                Filters::Json { output, .. } => {
                    let joined = json::joined(number, source, answer)?;
                    out.extend(output.pick(number, joined.as_bytes())?.into_bytes());
                    self.end(&mut out);
                }
            }
        }
        Ok(out)
    }

    fn split<'a>(&self, body: &'a [u8]) -> Vec<&'a [u8]> {
        match self.records {
            Records::Json => vec![body],
            Records::Csv | Records::JsonLines => lines(body).collect(),
        }
    }

    fn end(&self, out: &mut Vec<u8>) {
        if self.records != Records::Json {
            out.push(b'\n');
        }
    }
}

/// Without their ends; a newline at the end of all starts no further line.
pub(super) fn lines(body: &[u8]) -> impl Iterator<Item = &[u8]> {
    let whole = body.strip_suffix(b"\n").unwrap_or(body);
    let lines = whole
        .split(|b| *b == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    lines.take(if body.is_empty() { 0 } else { usize::MAX })
}
