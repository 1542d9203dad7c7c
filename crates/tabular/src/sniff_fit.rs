//! How well one dialect fits a sample.

use std::collections::BTreeMap;

use crate::dialect::Dialect;
use crate::parser::{ParseLimits, parse};
use crate::records::{Rows, Span};
use crate::sniff_cells::worth;

/// Records of the sample that are looked at.
const RECORDS: u64 = 2000;
/// Those that tell what is no table at all; more than a twentieth of all.
const FEW_RECORDS: u64 = RECORDS / 8;
/// Cells whose text is looked at.
const CELLS: usize = 20_000;
/// A table begins within so many records, or there is nothing before it.
const PREAMBLE_RECORDS: usize = 60;
/// What a single column is worth: any text is one. Two columns in every record are worth 0.5.
const ONE_COLUMN: f64 = 0.12;

/// A dialect on a sample.
#[derive(Debug, Clone)]
pub(crate) struct Fit {
    /// Its `skip_lines` and `header` are those that it was tried with.
    pub(crate) dialect: Dialect,
    /// Fields of most records.
    pub(crate) width: usize,
    /// Records of the table, and those of them that have that many fields.
    pub(crate) records: usize,
    pub(crate) alike: usize,
    /// Records with text after a closing quote, or with a quote that stays open.
    pub(crate) torn: usize,
    /// The last of them may be one whose quote is not closed.
    pub(crate) unclosed: bool,
    /// Cells in quotes, and those with a doubled or escaped quote in them.
    pub(crate) quoted: usize,
    pub(crate) escaped: usize,
    /// Lines before the table's first record.
    pub(crate) lines_before: u64,
    /// How much its cells read as values, 0 to 1.
    pub(crate) typed: f64,
    /// Cells looked at.
    pub(crate) cells: usize,
    /// A cell begins or ends with a double quote that means nothing.
    pub(crate) double_quotes: bool,
    /// All of the sample was looked at, and no escape in it stands before anything but a quote or an
    /// escape.
    pub(crate) escapes_are_plain: bool,
}

impl Fit {
    /// Tries `dialect` on `sample`; `whole` if nothing follows it. None if there is no record.
    pub(crate) fn new(sample: &[u8], whole: bool, dialect: &Dialect) -> Option<Self> {
        let rows = Sampled::parse(sample, whole, dialect, RECORDS);
        let width = rows.width()?;
        let from = rows.first_of_table(width);
        let table = &rows.records[from..];
        let torn = rows.records.iter().filter(|r| r.torn).count();
        let mut fit = Self {
            dialect: *dialect,
            width,
            records: table.len(),
            alike: table.iter().filter(|r| r.width == width && !r.torn).count(),
            torn,
            unclosed: !rows.rows.terminated && rows.records.last().is_some_and(|r| r.torn),
            quoted: 0,
            escaped: 0,
            // Comments and empty lines are passed over anyway.
            lines_before: if from == 0 {
                0
            } else {
                rows.records[from].line
            },
            typed: 0.0,
            cells: 0,
            double_quotes: false,
            escapes_are_plain: rows.rows.consumed == sample.len(),
        };
        fit.look_at_cells(sample, &rows, from);
        Some(fit)
    }

    /// Whether `dialect` splits the sample evenly, as far as a few records tell: not if any of them is torn,
    /// or if every number of fields leaves out so many of them that a twentieth of all would be left out.
    pub(crate) fn may_be_even(sample: &[u8], dialect: &Dialect) -> bool {
        let rows = Sampled::parse(sample, false, dialect, FEW_RECORDS);
        let widest = rows.counts().into_values().max().unwrap_or(0);
        let left_out = rows.records.len() - widest;
        left_out * 20 < RECORDS as usize && !rows.records.iter().any(|r| r.torn)
    }

    fn look_at_cells(&mut self, sample: &[u8], rows: &Sampled, from: usize) {
        let mut worths = 0.0;
        for record in rows.records[from..].iter().filter(|r| !r.torn) {
            let spans = &rows.rows.spans[record.spans.clone()];
            self.quoted += spans.iter().filter(|s| s.is_quoted()).count();
            self.escaped += spans.iter().filter(|s| s.is_escaped()).count();
            self.escapes_are_plain &= spans.iter().all(|s| self.is_plainly_escaped(*s, sample));
            self.double_quotes |= self.dialect.quote != b'"'
                && spans.iter().any(|s| {
                    let text = s.bytes(sample);
                    text.starts_with(b"\"") || text.ends_with(b"\"")
                });
            if self.cells < CELLS {
                let each = spans
                    .iter()
                    .map(|s| worth(*s, sample, self.dialect.delimiter));
                worths += each.sum::<f64>();
                self.cells += spans.len();
            }
        }
        self.typed = worths / self.cells.max(1) as f64;
    }

    fn is_plainly_escaped(&self, span: Span, sample: &[u8]) -> bool {
        let Some(escape) = self.dialect.escape.filter(|_| span.is_quoted()) else {
            return true;
        };
        let mut rest = span.bytes(sample);
        while let Some(at) = memchr::memchr(escape, rest) {
            let next = rest.get(at + 1).copied();
            if next != Some(escape) && next != Some(self.dialect.quote) {
                return false;
            }
            rest = &rest[at + 2..];
        }
        true
    }

    /// The cells of the first records of the table, as they stand; at most `most` records. Of those
    /// that have another number of fields only the first is among them, which may be a short header.
    pub(crate) fn first_records<'a>(&self, sample: &'a [u8], most: usize) -> Vec<Vec<&'a [u8]>> {
        let rows = Sampled::parse(sample, true, &self.dialect, RECORDS);
        let table = rows
            .records
            .iter()
            .skip_while(|r| r.line < self.lines_before);
        table
            .filter(|r| !r.torn)
            .enumerate()
            .filter(|(i, r)| *i == 0 || r.width == self.width)
            .take(most)
            .map(|(_, r)| {
                rows.rows.spans[r.spans.clone()]
                    .iter()
                    .map(|s| s.bytes(sample))
                    .collect()
            })
            .collect()
    }

    /// The share of records that are alike.
    pub(crate) fn share(&self) -> f64 {
        self.alike as f64 / self.records.max(1) as f64
    }

    /// Every record has the same number of fields, no quote is astray, and nothing stands before.
    pub(crate) fn is_even(&self) -> bool {
        self.alike == self.records && self.torn == 0 && self.lines_before == 0
    }

    /// Several cells and an eighth of them are in quotes.
    pub(crate) fn is_well_quoted(&self) -> bool {
        self.quoted > 1 && self.quoted * 8 >= self.cells
    }

    /// How good it is, 0 to 1: many records alike, many fields, cells that read as values.
    pub(crate) fn score(&self) -> f64 {
        let torn = self.torn as f64 / (self.records + self.torn) as f64;
        let fields = match self.width {
            1 => ONE_COLUMN,
            n => self.share().powi(2) * (1.0 - 1.0 / n as f64),
        };
        let quotes = if self.torn > 0 {
            0.5 * (1.0 - torn).powi(8)
        } else {
            1.0
        };
        let before = if self.lines_before > 0 { 0.9 } else { 1.0 };
        // An apostrophe may begin a word: as a quote it has to be common.
        let rare = self.dialect.quote == b'\'' && !self.is_well_quoted();
        let rare = if rare { 0.85 } else { 1.0 };
        fields * quotes * before * rare * self.typed
    }
}

/// A record of the sample.
struct Place {
    width: usize,
    torn: bool,
    line: u64,
    spans: std::ops::Range<usize>,
    /// Cells that are not empty.
    full: usize,
}

/// The records of a sample, good and bad, in order.
struct Sampled {
    rows: Rows,
    records: Vec<Place>,
}

impl Sampled {
    fn parse(sample: &[u8], whole: bool, dialect: &Dialect, records: u64) -> Self {
        let limits = ParseLimits {
            fields: None,
            records,
            in_words: false,
            ..ParseLimits::default()
        };
        let rows = parse(sample, 0, dialect, &limits);
        let mut places = Self::places(&rows, sample);
        // The last record may go on behind the sample, however it ends here.
        if !whole && !rows.terminated && places.len() > 1 {
            places.pop();
        }
        Self {
            rows,
            records: places,
        }
    }

    fn places(rows: &Rows, sample: &[u8]) -> Vec<Place> {
        let mut at = 0;
        let (mut good, mut bad) = (rows.records.iter(), rows.bad.iter().peekable());
        let mut places = Vec::with_capacity(rows.counts.len());
        for (index, &count) in rows.counts.iter().enumerate() {
            let torn = bad.next_if(|b| b.record.index as usize == index);
            let (line, spans) = match torn {
                Some(bad) => (bad.record.line, at..at),
                None => {
                    let line = good.next().map_or(0, |r| r.line);
                    (line, at..at + count as usize)
                }
            };
            at = spans.end;
            let cells = rows.spans.get(spans.clone()).unwrap_or_default();
            places.push(Place {
                width: count as usize,
                torn: torn.is_some(),
                line: u64::from(line),
                full: cells.iter().filter(|s| !s.bytes(sample).is_empty()).count(),
                spans,
            });
        }
        places
    }

    /// Records by their number of fields.
    fn counts(&self) -> BTreeMap<usize, usize> {
        let mut counts = BTreeMap::new();
        for record in &self.records {
            *counts.entry(record.width).or_default() += 1;
        }
        counts
    }

    /// The number of fields that explains most of the sample; more fields say more.
    fn width(&self) -> Option<usize> {
        let says = |&(width, records): &(usize, usize)| match width {
            1 => records as f64 * ONE_COLUMN,
            n => records as f64 * (1.0 - 1.0 / n as f64),
        };
        let best = self
            .counts()
            .into_iter()
            .max_by(|a, b| says(a).total_cmp(&says(b)));
        best.map(|(width, _)| width)
    }

    /// Where the table begins: after records that have far fewer fields, or that are nearly empty.
    fn first_of_table(&self, width: usize) -> usize {
        let starts = |r: &Place| r.width * 2 > width && (width < 3 || r.full * 2 > width || r.torn);
        let first = self.records.iter().take(PREAMBLE_RECORDS).position(starts);
        match first {
            // One record is no table to have something before it.
            Some(first) if first + 1 < self.records.len() => first,
            _ => 0,
        }
    }
}
