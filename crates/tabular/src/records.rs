//! Records and fields of a block: spans into its text, nothing copied.

use crate::bad_rows::BadReason;
use crate::dialect::Dialect;

/// The longest block that spans can point into: their top bits are flags.
pub(crate) const MAX_BLOCK: usize = 1 << 29;

/// Flags of a [`Span`]: it stood in quotes.
pub(crate) const QUOTED: u32 = 1 << 31;
/// Doubled quotes or escapes are still in it.
pub(crate) const ESCAPED: u32 = 1 << 30;
/// A quote is in it, though it stood in none.
pub(crate) const STRAY: u32 = 1 << 29;
pub(crate) const POSITION: u32 = STRAY - 1;

/// A field: its text without the quotes around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    start: u32,
    end_and_flags: u32,
}

impl Span {
    /// Null like the empty cell at 0, and yet told apart from it: a key was there.
    pub(crate) const EMPTY_SEEN: Span = Span {
        start: 1,
        end_and_flags: 1,
    };

    #[inline]
    pub(crate) fn new(start: usize, end: usize, flags: u32) -> Self {
        Self {
            start: start as u32,
            end_and_flags: end as u32 | flags,
        }
    }

    /// The bytes, doubled quotes and escapes still in them.
    #[inline]
    pub(crate) fn bytes(self, block: &[u8]) -> &[u8] {
        &block[self.start as usize..(self.end_and_flags & POSITION) as usize]
    }

    /// First byte and the one after the last.
    #[inline]
    pub(crate) fn range(self) -> (u32, u32) {
        (self.start, self.end_and_flags & POSITION)
    }

    /// Bytes, doubled quotes and escapes counted as they are written.
    #[inline]
    pub(crate) fn len(self) -> usize {
        let (start, end) = self.range();
        (end - start) as usize
    }

    #[inline]
    pub(crate) fn is_quoted(self) -> bool {
        self.end_and_flags & QUOTED != 0
    }

    /// An empty field without quotes, which is always null.
    #[inline]
    pub(crate) fn is_bare_empty(self) -> bool {
        self.start == self.end_and_flags
    }

    /// Neither quoted nor with a quote in it.
    #[inline]
    pub(crate) fn is_plain(self) -> bool {
        self.end_and_flags & (QUOTED | STRAY) == 0
    }

    /// A list or an object of JSON.
    #[inline]
    pub(crate) fn is_nested(self) -> bool {
        self.end_and_flags & (QUOTED | STRAY) == (QUOTED | STRAY)
    }

    /// Holds doubled quotes or escapes that [`unescape`] takes out.
    #[inline]
    pub(crate) fn is_escaped(self) -> bool {
        self.end_and_flags & ESCAPED != 0
    }
}

/// Fields that are looked at together.
pub(crate) const EIGHT: usize = 8;

/// Eight fields of a column, so many fields apart.
#[derive(Clone, Copy)]
pub(crate) struct EightSpans<'a> {
    /// Seven steps and one field at least.
    spans: &'a [Span],
    step: usize,
}

impl<'a> EightSpans<'a> {
    /// From the first of `spans` on; none if there are not as many.
    #[inline]
    pub(crate) fn new(spans: &'a [Span], step: usize) -> Option<Self> {
        let last = (EIGHT - 1).checked_mul(step)?;
        (last < spans.len()).then_some(Self { spans, step })
    }

    #[inline]
    pub(crate) fn get(self, number: usize) -> Span {
        self.spans[number * self.step]
    }

    /// Of each field the start in the lower and the end with the flags in the higher half.
    #[inline]
    pub(crate) fn words(self) -> [u64; EIGHT] {
        let word = |number: usize| {
            #[expect(unsafe_code, reason = "eight bounds checked as one, in `new`")]
            // SAFETY: there are more than seven steps of fields, and at most seven are taken.
            let span = unsafe { self.spans.get_unchecked(number * self.step) };
            u64::from(span.start) | u64::from(span.end_and_flags) << 32
        };
        [
            word(0),
            word(1),
            word(2),
            word(3),
            word(4),
            word(5),
            word(6),
            word(7),
        ]
    }
}

/// The text of an escaped field, appended to `out`.
pub(crate) fn unescape(bytes: &[u8], dialect: &Dialect, out: &mut Vec<u8>) {
    let escape = dialect.escape.unwrap_or(dialect.quote);
    let mut rest = bytes;
    while let Some(at) = memchr::memchr2(dialect.quote, escape, rest) {
        out.extend_from_slice(&rest[..at]);
        // The byte after a quote (its double) or an escape is literal.
        out.extend(rest.get(at + 1));
        rest = rest.get(at + 2..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
}

/// Where a record is. Numbers count from the start of what was parsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Record {
    /// First byte, in the block.
    pub(crate) start: u32,
    /// After the last byte, the line end not included.
    pub(crate) end: u32,
    /// Line ends before it.
    pub(crate) line: u32,
    /// Records before it, bad ones counted.
    pub(crate) index: u32,
}

/// A record that was refused, in place.
#[derive(Debug, Clone)]
pub(crate) struct BadRecord {
    pub(crate) record: Record,
    /// The name of the column at fault.
    pub(crate) column: Option<String>,
    pub(crate) reason: BadReason,
    pub(crate) expected: String,
    pub(crate) found: String,
}

/// What [`parse`](crate::parser::parse) found.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    /// Fields of good records, one record after the other.
    pub(crate) spans: Vec<Span>,
    /// Good records, in order.
    pub(crate) records: Vec<Record>,
    /// Refused records, in order.
    pub(crate) bad: Vec<BadRecord>,
    /// Records, good and bad.
    pub(crate) total: u32,
    /// Line ends passed.
    pub(crate) lines: u32,
    /// Where parsing stopped: after a line end, or at the end of the text.
    pub(crate) consumed: usize,
    /// The first record longer than the limit; parsing ends there.
    pub(crate) too_long: Option<Record>,
    /// The last record ended with a line end, not with the text.
    pub(crate) terminated: bool,
    /// Fields of each record, where the caller set no number; else empty.
    pub(crate) counts: Vec<u32>,
    /// Where the record or comment starts within which the text ended; else the text's end.
    pub(crate) last_start: usize,
}

impl Rows {
    /// So many more lines end before all this.
    pub(crate) fn shift_lines(&mut self, by: u32) {
        self.lines += by;
        let bad = self.bad.iter_mut().map(|bad| &mut bad.record);
        let all = self.records.iter_mut().chain(bad);
        for record in all.chain(&mut self.too_long) {
            record.line += by;
        }
    }

    /// Moves records to `bad`; `refused` is in order, each index into `records`. `width` is the
    /// number of fields a record.
    pub(crate) fn refuse(&mut self, refused: Vec<(usize, BadRecord)>, width: usize) {
        if refused.is_empty() {
            return;
        }
        let keep = vec![true; self.records.len()];
        self.retain(&keep, refused, width);
    }

    /// Leaves out the records that are not to be kept, and moves the refused ones to `bad`. `keep`
    /// has an item for each record; `refused` is in order, each index into `records`.
    pub(crate) fn retain(
        &mut self,
        keep: &[bool],
        refused: impl IntoIterator<Item = (usize, BadRecord)>,
        width: usize,
    ) {
        let mut keep = keep.to_vec();
        for (row, bad) in refused {
            keep[row] = false;
            self.bad.push(bad);
        }
        let mut kept = 0;
        for (row, _) in keep.iter().enumerate().filter(|(_, keep)| **keep) {
            self.records[kept] = self.records[row];
            self.spans
                .copy_within(row * width..(row + 1) * width, kept * width);
            kept += 1;
        }
        self.records.truncate(kept);
        self.spans.truncate(kept * width);
        self.bad.sort_by_key(|bad| bad.record.index);
    }
}

/// The first characters of a text for a message, in quotes and escaped.
pub(crate) fn excerpt(bytes: &[u8]) -> String {
    const SHOWN: usize = 60;
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(SHOWN * 4)]);
    let mut shown: String = text.chars().take(SHOWN).collect();
    let whole = shown.len() == text.len() && bytes.len() <= SHOWN * 4;
    if !whole {
        shown.push('…');
    }
    format!("{shown:?}")
}
