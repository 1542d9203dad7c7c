//! `DataProcessing` of CSV: which columns the model gets, and which come back beside its answer.
//!
//! A record is taken as an array of its cells, so a filter is `$`, indexes (`$[0]`, `$[0,-1]`) or one
//! range (`$[1:]`); the service refuses a mixture of both (developer guide,
//! "batch-transform-data-processing"). A join puts the whole record, unfiltered, before the answer,
//! and `OutputFilter` picks from both. Cells are handed on as they are written, quotes and all.

use super::request::DataProcessing;
use crate::config::SliceEnd;

/// What a job does to its records besides scoring them.
#[derive(Clone, Debug)]
pub(crate) struct Processing {
    input: Filter,
    output: Filter,
    join: bool,
}

/// A filter that the service does not run, in its words as far as they are known.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("Invalid JsonPath: {path}: {why}")]
pub(crate) struct FilterError {
    path: String,
    why: &'static str,
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
    /// A quoted cell without an end.
    #[error("record {record} of a request: a quoted cell has no closing quote")]
    Quote { record: usize },
    /// The answer has another number of records than the request.
    #[error("the algorithm answered {found} records to a request of {expected}")]
    Records { expected: usize, found: usize },
}

/// Columns of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Filter {
    path: String,
    picks: Picks,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Picks {
    All,
    /// Negative ones count from the end.
    Indexes(Vec<i64>),
    Range {
        start: Option<i64>,
        end: Option<i64>,
        inclusive: bool,
    },
}

impl Processing {
    /// `None` where nothing is to be done.
    pub(crate) fn parse(
        request: Option<&DataProcessing>,
        slice_end: SliceEnd,
    ) -> Result<Option<Self>, FilterError> {
        let Some(request) = request.filter(|r| r.is_active()) else {
            return Ok(None);
        };
        let filter =
            |path: &Option<String>| Filter::parse(path.as_deref().unwrap_or("$"), slice_end);
        Ok(Some(Self {
            input: filter(&request.input_filter)?,
            output: filter(&request.output_filter)?,
            join: request.join_source.as_deref() == Some("Input"),
        }))
    }

    /// What the model gets for the records of `body`.
    pub(crate) fn request(&self, body: &[u8]) -> Result<Vec<u8>, ProcessingError> {
        if self.input.picks == Picks::All {
            return Ok(body.to_vec());
        }
        let mut out = Vec::with_capacity(body.len());
        for (number, line) in (1..).zip(lines(body)) {
            let cells = cells(line).ok_or(ProcessingError::Quote { record: number })?;
            write_row(&self.input.pick(number, &cells)?, &mut out);
        }
        Ok(out)
    }

    /// What is stored for the records of `body`, of which the model said `reply`.
    pub(crate) fn reply(&self, body: &[u8], reply: &[u8]) -> Result<Vec<u8>, ProcessingError> {
        let (expected, found) = (lines(body).count(), lines(reply).count());
        if expected != found {
            return Err(ProcessingError::Records { expected, found });
        }
        let mut out = Vec::with_capacity(body.len() + reply.len());
        for (number, (source, answer)) in (1..).zip(lines(body).zip(lines(reply))) {
            let quote = || ProcessingError::Quote { record: number };
            let mut row = if self.join {
                cells(source).ok_or_else(quote)?
            } else {
                Vec::new()
            };
            row.extend(cells(answer).ok_or_else(quote)?);
            write_row(&self.output.pick(number, &row)?, &mut out);
        }
        Ok(out)
    }
}

impl Filter {
    fn parse(path: &str, slice_end: SliceEnd) -> Result<Self, FilterError> {
        let refuse = |why| FilterError {
            path: path.to_owned(),
            why,
        };
        let picks = if path == "$" {
            Picks::All
        } else {
            let inner = path.strip_prefix("$[").and_then(|p| p.strip_suffix(']'));
            let no_index = "a record of CSV is an array: expected indexes such as $[0,-1], or a range such as $[1:]";
            match inner {
                Some(inner) if inner.contains(':') && inner.contains(',') => {
                    return Err(refuse(
                        "only single range filters of format (eg: [1:5]) are supported",
                    ));
                }
                Some(inner) if inner.contains(':') => range(inner, slice_end),
                Some(inner) => indexes(inner),
                None => None,
            }
            .ok_or_else(|| refuse(no_index))?
        };
        Ok(Self {
            path: path.to_owned(),
            picks,
        })
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
            Picks::Range {
                start,
                end,
                inclusive,
            } => bounds(*start, *end, *inclusive, cells.len())
                .and_then(|(from, to)| cells.get(from..to))
                .filter(|picked| !picked.is_empty())
                .map(<[_]>::to_vec),
        };
        picked.ok_or_else(|| ProcessingError::OutOfRange {
            record: number,
            path: self.path.clone(),
            columns: cells.len(),
        })
    }
}

fn indexes(inner: &str) -> Option<Picks> {
    let numbers = inner.split(',').map(|n| n.trim().parse().ok());
    numbers.collect::<Option<_>>().map(Picks::Indexes)
}

fn range(inner: &str, slice_end: SliceEnd) -> Option<Picks> {
    let (start, end) = inner.split_once(':')?;
    let bound = |text: &str| match text.trim() {
        "" => Some(None),
        text => text.parse().ok().map(Some),
    };
    Some(Picks::Range {
        start: bound(start)?,
        end: bound(end)?,
        inclusive: slice_end == SliceEnd::Inclusive,
    })
}

/// An index that counts from the start.
fn place(index: i64, columns: usize) -> Option<usize> {
    if index < 0 {
        columns.checked_sub(usize::try_from(index.unsigned_abs()).ok()?)
    } else {
        usize::try_from(index).ok()
    }
}

/// First and one after last.
fn bounds(
    start: Option<i64>,
    end: Option<i64>,
    inclusive: bool,
    columns: usize,
) -> Option<(usize, usize)> {
    let from = start.map_or(Some(0), |s| place(s, columns))?;
    let to = match end {
        None => columns,
        Some(end) => place(end, columns)?.checked_add(usize::from(inclusive))?,
    };
    Some((from, to))
}

/// Without their ends; a newline at the end of all starts no further line.
fn lines(body: &[u8]) -> impl Iterator<Item = &[u8]> {
    let whole = body.strip_suffix(b"\n").unwrap_or(body);
    let lines = whole
        .split(|b| *b == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    lines.take(if body.is_empty() { 0 } else { usize::MAX })
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn processing(input: &str, output: &str, join: bool, slice_end: SliceEnd) -> Processing {
        let request = DataProcessing {
            input_filter: Some(input.to_owned()),
            output_filter: Some(output.to_owned()),
            join_source: join.then(|| "Input".to_owned()),
        };
        Processing::parse(Some(&request), slice_end)
            .unwrap()
            .unwrap()
    }

    fn picked(path: &str, slice_end: SliceEnd) -> Result<String, ProcessingError> {
        let filter = Filter::parse(path, slice_end).unwrap();
        let cells = cells(b"a,b,c,d,e").unwrap();
        let mut out = Vec::new();
        write_row(&filter.pick(1, &cells)?, &mut out);
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn filters_pick_by_index_and_by_range() {
        for (path, exclusive, inclusive) in [
            ("$", "a,b,c,d,e\n", "a,b,c,d,e\n"),
            ("$[2]", "c\n", "c\n"),
            ("$[0,-1]", "a,e\n", "a,e\n"),
            ("$[4, 0 ,0]", "e,a,a\n", "e,a,a\n"),
            ("$[1:]", "b,c,d,e\n", "b,c,d,e\n"),
            ("$[-2:]", "d,e\n", "d,e\n"),
            ("$[1:4]", "b,c,d\n", "b,c,d,e\n"),
            ("$[:1]", "a\n", "a,b\n"),
            ("$[:-1]", "a,b,c,d\n", "a,b,c,d,e\n"),
        ] {
            assert_eq!(
                picked(path, SliceEnd::Exclusive).unwrap(),
                exclusive,
                "{path}"
            );
            assert_eq!(
                picked(path, SliceEnd::Inclusive).unwrap(),
                inclusive,
                "{path}"
            );
        }
    }

    #[test]
    fn what_a_record_does_not_have_is_an_error() {
        for path in [
            "$[5]", "$[-6]", "$[0,5]", "$[5:]", "$[1:6]", "$[3:2]", "$[:-6]",
        ] {
            let error = picked(path, SliceEnd::Exclusive).unwrap_err();
            let expected = format!("record 1 of a request: {path} is not within its 5 columns");
            assert_eq!(error.to_string(), expected);
        }
        picked("$[1:5]", SliceEnd::Exclusive).unwrap();
        picked("$[1:5]", SliceEnd::Inclusive).unwrap_err();
    }

    #[test]
    fn what_is_no_filter_of_csv_is_refused() {
        let why = |path| {
            Filter::parse(path, SliceEnd::Exclusive)
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            why("$[0:2,246:]"),
            "Invalid JsonPath: $[0:2,246:]: only single range filters of format (eg: [1:5]) are supported"
        );
        for path in [
            "",
            "$.a",
            "$['a']",
            "$[]",
            "$[0",
            "[0]",
            "$[x]",
            "$[1:2:3]",
            "$[0]x",
            "$[99999999999999999999]",
        ] {
            assert!(why(path).contains("expected indexes"), "{path}");
        }
    }

    #[test]
    fn a_join_puts_the_unfiltered_record_before_the_answer() {
        let joined = processing("$[1:]", "$", true, SliceEnd::Exclusive);
        let body = b"7,\"x, \"\"y\"\"\",1\r\n8,,2";
        assert_eq!(joined.request(body).unwrap(), b"\"x, \"\"y\"\"\",1\n,2\n");
        let out = joined.reply(body, b"0.5\n0.25").unwrap();
        assert_eq!(out, b"7,\"x, \"\"y\"\"\",1,0.5\n8,,2,0.25\n");
        let ids = processing("$[1:]", "$[0,-1]", true, SliceEnd::Exclusive);
        assert_eq!(ids.reply(body, b"0.5\n0.25\n").unwrap(), b"7,0.5\n8,0.25\n");
    }

    #[test]
    fn without_a_join_the_output_filter_sees_the_answer_alone() {
        let first = processing("$", "$[0]", false, SliceEnd::Exclusive);
        assert_eq!(first.request(b"1,2\n").unwrap(), b"1,2\n");
        assert_eq!(first.reply(b"1,2\n", b"8,9\n").unwrap(), b"8\n");
    }

    #[test]
    fn another_number_of_answers_is_an_error() {
        let joined = processing("$", "$", true, SliceEnd::Exclusive);
        for (reply, found) in [(&b"1\n"[..], 1), (b"1\n2\n3\n", 3), (b"", 0)] {
            let error = joined.reply(b"a\nb\n", reply).unwrap_err();
            assert_eq!(error, ProcessingError::Records { expected: 2, found });
        }
        let open = joined.reply(b"a\n\"b\n", b"1\n2\n").unwrap_err();
        assert_eq!(open, ProcessingError::Quote { record: 2 });
    }

    proptest::proptest! {
        #[test]
        fn joined_cells_are_those_of_both_sides(rows in proptest::collection::vec(("[a-z\" ]{0,6}", "[0-9,]{0,6}"), 1..8)) {
            let body: String = rows.iter().map(|(cell, _)| format!("\"{}\",1\n", cell.replace('"', "\"\""))).collect();
            let reply: String = rows.iter().map(|(_, answer)| format!("{answer}\n")).collect();
            let joined = processing("$", "$", true, SliceEnd::Exclusive).reply(body.as_bytes(), reply.as_bytes()).unwrap();
            let expected: String = body.lines().zip(reply.lines()).map(|(b, r)| format!("{b},{r}\n")).collect();
            proptest::prop_assert_eq!(String::from_utf8(joined).unwrap(), expected);
        }

        #[test]
        fn no_filter_and_no_bytes_make_it_panic(path in "\\$?\\[?[-0-9,:a-z]{0,8}\\]?", body: Vec<u8>, reply: Vec<u8>) {
            let request = DataProcessing { input_filter: Some(path), output_filter: None, join_source: Some("Input".to_owned()) };
            if let Ok(Some(processing)) = Processing::parse(Some(&request), SliceEnd::Inclusive) {
                let _ = processing.request(&body);
                let _ = processing.reply(&body, &reply);
            }
        }
    }
}
