//! Blocks of text to records and fields.
//!
//! The states are those of `csv-core`: a quote opens only as a field's first byte; a doubled quote
//! inside is one quote; after a closing quote other bytes go on with the field, which is reported
//! as [`BadReason::Quote`]. `\n`, `\r\n` and a lone `\r` end records; empty lines are skipped. A
//! comment ends where a record would (`csv-core` waits for `\n`).

use crate::bad_rows::BadReason;
use crate::dialect::Dialect;
use crate::records::{BadRecord, ESCAPED, MAX_BLOCK, QUOTED, Record, Rows, STRAY, Span, excerpt};
use crate::regular;
use crate::structure::LANE;

/// Where [`parse`] stops and what it refuses.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ParseLimits {
    /// Fields that each record must have; none for any number.
    pub(crate) fields: Option<usize>,
    /// Stop after so many records.
    pub(crate) records: u64,
    /// The longest record, in bytes.
    pub(crate) record_bytes: usize,
    /// Say of bad records what was expected and found; else both are empty.
    pub(crate) in_words: bool,
}

impl Default for ParseLimits {
    fn default() -> Self {
        Self {
            fields: None,
            records: u64::MAX,
            record_bytes: MAX_BLOCK,
            in_words: true,
        }
    }
}

impl ParseLimits {
    /// The fields a record if masks alone may give the rows of so many bytes: records have a known
    /// number of fields, none can be too long, and nothing but quotes hides separators.
    fn for_regular(&self, bytes: usize, dialect: &Dialect) -> Option<usize> {
        let plain = dialect.escape.is_none() && dialect.comment.is_none();
        let unlimited = self.records == u64::MAX && bytes <= self.record_bytes;
        self.fields.filter(|_| plain && unlimited)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// In a field without quotes, or at its start.
    Bare,
    /// Inside quotes.
    Quoted,
    /// After the closing quote.
    Closed,
    Comment,
}

/// Parses `block[from..]`, which starts at the start of a record.
pub(crate) fn parse(block: &[u8], from: usize, dialect: &Dialect, limits: &ParseLimits) -> Rows {
    let fast = limits.for_regular(block.len() - from, dialect);
    fast.and_then(|fields| regular::rows(block, from, dialect.marks(), fields))
        .unwrap_or_else(|| parse_exact(block, from, dialect, limits))
}

/// The same byte by byte of structure, whatever the block holds.
pub(crate) fn parse_exact(
    block: &[u8],
    from: usize,
    dialect: &Dialect,
    limits: &ParseLimits,
) -> Rows {
    let mut parser = Parser::new(block, from, dialect, limits);
    let marks = dialect.marks();
    let (lanes, tail) = block[from..].as_chunks::<LANE>();
    for (i, lane) in lanes.iter().enumerate() {
        if !parser.take(marks.mask(lane), from + i * LANE) {
            return parser.rows;
        }
    }
    if !tail.is_empty() && !parser.take(marks.mask_tail(tail), block.len() - tail.len()) {
        return parser.rows;
    }
    parser.finish()
}

struct Parser<'a> {
    block: &'a [u8],
    dialect: Dialect,
    limits: ParseLimits,
    rows: Rows,
    state: State,
    /// First byte of the field, the opening quote included.
    field: usize,
    /// Flags of the field so far.
    flags: u32,
    /// The closing quote, in `Closed`.
    close: usize,
    /// Marks before this byte are literal (the second of a doubled quote, an escaped byte).
    literal_until: usize,
    /// First byte of the record, and where its fields start in `rows.spans`.
    record: usize,
    first_span: usize,
    /// Line ends before the record.
    record_line: u32,
    /// Text after a closing quote was seen, or a quote that seems to open a field within one; where.
    torn: Option<usize>,
    /// A field of the record has a quote in it that stands in no quotes.
    stray: bool,
}

impl<'a> Parser<'a> {
    fn new(block: &'a [u8], from: usize, dialect: &Dialect, limits: &ParseLimits) -> Self {
        let mut parser = Self {
            block,
            dialect: *dialect,
            limits: *limits,
            rows: Rows::default(),
            state: State::Bare,
            field: from,
            flags: 0,
            close: 0,
            literal_until: 0,
            record: from,
            first_span: 0,
            record_line: 0,
            torn: None,
            stray: false,
        };
        let fields = limits.fields.unwrap_or(8).max(1);
        let guess = if limits.records == u64::MAX {
            (block.len() - from) / 6 + fields
        } else {
            fields
        };
        parser.rows.spans.reserve(guess);
        parser.rows.records.reserve(guess / fields);
        parser.start_record(from);
        parser
    }

    /// Takes the marks of one lane; false once the limits say stop.
    #[inline]
    fn take(&mut self, mut mask: u64, base: usize) -> bool {
        while mask != 0 {
            let at = base + mask.trailing_zeros() as usize;
            mask &= mask - 1;
            let byte = self.block[at];
            if byte == self.dialect.delimiter && self.state == State::Bare {
                self.rows.spans.push(Span::new(self.field, at, self.flags));
                self.field = at + 1;
                self.flags = 0;
            } else if !self.mark(byte, at) {
                return false;
            }
        }
        true
    }

    /// Any mark but a delimiter after a bare field.
    #[inline]
    fn mark(&mut self, byte: u8, at: usize) -> bool {
        if byte == b'\n' || byte == b'\r' {
            self.line_end(byte, at)
        } else {
            match self.state {
                State::Bare => self.mark_in_bare(byte, at),
                State::Quoted => self.mark_in_quotes(byte, at),
                State::Closed if byte == self.dialect.delimiter => self.end_field(at),
                State::Closed | State::Comment => {}
            }
            true
        }
    }

    fn mark_in_bare(&mut self, byte: u8, at: usize) {
        if byte == self.dialect.quote {
            if at == self.field {
                self.state = State::Quoted;
            } else {
                self.flags |= STRAY;
                self.stray = true;
            }
        }
    }

    fn mark_in_quotes(&mut self, byte: u8, at: usize) {
        if at < self.literal_until {
            return;
        }
        if byte == self.dialect.quote {
            if self.block.get(at + 1) == Some(&byte) {
                self.flags |= ESCAPED;
                self.literal_until = at + 2;
            } else {
                self.state = State::Closed;
                self.close = at;
            }
        } else if Some(byte) == self.dialect.escape {
            self.flags |= ESCAPED;
            self.literal_until = at + 2;
        }
    }

    #[inline]
    fn line_end(&mut self, byte: u8, at: usize) -> bool {
        let second_half = byte == b'\n' && at > 0 && self.block[at - 1] == b'\r';
        self.rows.lines += u32::from(!second_half);
        match self.state {
            State::Quoted => return true,
            State::Comment => {
                if self.comment_is_too_long(at) {
                    return false;
                }
            }
            State::Bare | State::Closed => {
                let empty = self.state == State::Bare && at == self.record;
                if !empty && !self.end_record(at) {
                    self.rows.terminated = true;
                    let crlf = byte == b'\r' && self.block.get(at + 1) == Some(&b'\n');
                    self.rows.consumed = at + 1 + usize::from(crlf);
                    return false;
                }
            }
        }
        self.start_record(at + 1);
        true
    }

    #[inline]
    fn start_record(&mut self, at: usize) {
        self.record = at;
        self.field = at;
        self.flags = 0;
        self.first_span = self.rows.spans.len();
        self.record_line = self.rows.lines;
        self.state = State::Bare;
        if self.dialect.comment.is_some() && self.block.get(at).copied() == self.dialect.comment {
            self.state = State::Comment;
        }
    }

    /// Ends the field before `at`, a delimiter or line end.
    #[inline]
    fn end_field(&mut self, at: usize) {
        if self.state == State::Closed {
            if self.close + 1 != at && self.torn.is_none() {
                self.torn = Some(self.close + 1);
            }
            self.rows
                .spans
                .push(Span::new(self.field + 1, self.close, self.flags | QUOTED));
        } else {
            self.rows.spans.push(Span::new(self.field, at, self.flags));
        }
        self.state = State::Bare;
        self.field = at + 1;
        self.flags = 0;
    }

    /// Ends the record before `at`; false if it was the last wanted.
    #[inline]
    fn end_record(&mut self, at: usize) -> bool {
        self.end_field(at);
        let record = self.record_to(at);
        if at - self.record > self.limits.record_bytes {
            self.rows.too_long = Some(record);
            return false;
        }
        self.rows.total += 1;
        let fields = self.rows.spans.len() - self.first_span;
        if std::mem::take(&mut self.stray) && self.torn.is_none() {
            self.torn = self.quoted_over_fields();
        }
        let torn = self.torn.take();
        if self.limits.fields.is_none() {
            self.rows.counts.push(fields as u32);
        }
        if torn.is_none() && self.limits.fields.is_none_or(|n| n == fields) {
            self.rows.records.push(record);
        } else {
            self.refuse(record, fields, torn);
        }
        u64::from(self.rows.total) < self.limits.records
    }

    /// Where a quote seems to open a field within one, if a quote that seems to close it ends a later
    /// field: a separator may be missing before it, and those in between may be text. Inches and other
    /// quotes that are just text do not look so.
    #[cold]
    fn quoted_over_fields(&self) -> Option<usize> {
        let mut opened = None;
        for span in &self.rows.spans[self.first_span..] {
            if span.is_quoted() {
                continue;
            }
            let (start, end) = span.range();
            let text = &self.block[start as usize..end as usize];
            let quotes = memchr::memchr_iter(self.dialect.quote, text);
            let (count, last) = quotes.fold((0, 0), |(n, _), at| (n + 1, at));
            if count % 2 == 0 {
                continue;
            }
            let ends = last + 1 == text.len();
            let doubled = || text[..last].split(|b| *b == self.dialect.quote);
            // Between two quotes that are one nothing stands: what is left is every other part.
            let doubled = || doubled().skip(1).step_by(2).all(<[u8]>::is_empty);
            if ends && opened.is_some() && doubled() {
                return opened;
            }
            let before_text = text.get(last + 1).is_some_and(|b| !b.is_ascii_whitespace());
            opened = before_text.then_some(start as usize + last);
        }
        None
    }

    #[cold]
    fn refuse(&mut self, record: Record, fields: usize, torn: Option<usize>) {
        self.rows.spans.truncate(self.first_span);
        let reason = match torn {
            Some(_) => BadReason::Quote,
            None => BadReason::Ragged,
        };
        let (expected, found) = match torn {
            _ if !self.limits.in_words => Default::default(),
            Some(at) => self.torn_in_words(at, record.end as usize),
            None => {
                let expected = self.limits.fields.unwrap_or_default();
                (count(expected), count(fields))
            }
        };
        self.rows.bad.push(BadRecord {
            record,
            column: None,
            reason,
            expected,
            found,
        });
    }

    fn torn_in_words(&self, at: usize, end: usize) -> (String, String) {
        let quote = char::from(self.dialect.quote);
        // Behind a closing quote there is none, or it would be a doubled one.
        let expected = if self.block[at] == self.dialect.quote {
            format!("a delimiter before the {quote} that opens a field")
        } else {
            format!("a delimiter or the line's end after a closing {quote}")
        };
        (expected, excerpt(&self.block[at..end]))
    }

    fn record_to(&self, end: usize) -> Record {
        Record {
            start: self.record as u32,
            end: end as u32,
            line: self.record_line,
            index: self.rows.total,
        }
    }

    /// A comment is held to the limit of records: the reader gives up on both alike.
    #[cold]
    fn comment_is_too_long(&mut self, end: usize) -> bool {
        let long = end - self.record > self.limits.record_bytes;
        if long {
            self.rows.too_long = Some(self.record_to(end));
        }
        long
    }

    /// The text has ended, perhaps within a record.
    fn finish(mut self) -> Rows {
        let end = self.block.len();
        self.rows.consumed = end;
        self.rows.last_start = self.record;
        if self.state == State::Quoted {
            self.unclosed(end);
        } else if self.state != State::Comment && (self.record < end || self.state == State::Closed)
        {
            self.end_record(end);
        } else if self.state != State::Comment || !self.comment_is_too_long(end) {
            self.rows.terminated = true;
        }
        self.rows
    }

    fn unclosed(&mut self, end: usize) {
        let mut record = self.record_to(end);
        if end - self.record > self.limits.record_bytes {
            self.rows.too_long = Some(record);
            return;
        }
        record.line += line_ends(&self.block[self.record..self.field]);
        if self.limits.fields.is_none() {
            self.rows
                .counts
                .push((self.rows.spans.len() - self.first_span) as u32 + 1);
        }
        self.rows.spans.truncate(self.first_span);
        self.rows.total += 1;
        let expected = format!(
            "a closing {} before the end of the file",
            char::from(self.dialect.quote)
        );
        let found = excerpt(&self.block[self.field..end]);
        self.rows.bad.push(BadRecord {
            record,
            column: None,
            reason: BadReason::Quote,
            expected,
            found,
        });
    }
}

fn count(fields: usize) -> String {
    if fields == 1 {
        "1 field".to_owned()
    } else {
        format!("{fields} fields")
    }
}

/// Line ends in `bytes`; `\r\n` is one.
pub(crate) fn line_ends(bytes: &[u8]) -> u32 {
    let ends = memchr::memchr2_iter(b'\n', b'\r', bytes);
    ends.filter(|&at| !(bytes[at] == b'\n' && at > 0 && bytes[at - 1] == b'\r'))
        .count() as u32
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

    use super::*;
    use crate::records::unescape;
    use proptest::prelude::*;

    fn any_number() -> ParseLimits {
        ParseLimits::default()
    }

    /// Records as text, by index; bad ones are none.
    pub(crate) fn texts(text: &[u8], dialect: &Dialect) -> Vec<Option<Vec<Vec<u8>>>> {
        let rows = parse(text, 0, dialect, &any_number());
        let mut all = vec![None; rows.total as usize];
        let mut spans = rows.spans.iter();
        let bad: Vec<u32> = rows.bad.iter().map(|b| b.record.index).collect();
        let counts = rows
            .counts
            .iter()
            .enumerate()
            .filter(|(i, _)| !bad.contains(&(*i as u32)));
        for (record, (_, fields)) in rows.records.iter().zip(counts) {
            let cells = spans
                .by_ref()
                .take(*fields as usize)
                .map(|s| cell(*s, text, dialect));
            all[record.index as usize] = Some(cells.collect());
        }
        all
    }

    fn cell(span: Span, text: &[u8], dialect: &Dialect) -> Vec<u8> {
        let mut out = Vec::new();
        if span.is_escaped() {
            unescape(span.bytes(text), dialect, &mut out);
        } else {
            out.extend_from_slice(span.bytes(text));
        }
        out
    }

    fn by_csv_crate(text: &[u8], dialect: &Dialect) -> Vec<Vec<Vec<u8>>> {
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(dialect.delimiter)
            .quote(dialect.quote)
            .escape(dialect.escape)
            .from_reader(text);
        let records = reader.byte_records();
        records
            .map(|r| r.unwrap().iter().map(<[u8]>::to_vec).collect())
            .collect()
    }

    fn compare(text: &[u8], dialect: &Dialect) {
        let (ours, theirs) = (texts(text, dialect), by_csv_crate(text, dialect));
        let shown = String::from_utf8_lossy(text);
        assert_eq!(ours.len(), theirs.len(), "records of {shown:?}");
        for (index, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
            if let Some(ours) = ours {
                assert_eq!(ours, theirs, "record {index} of {shown:?}");
            }
        }
    }

    fn alphabet(bytes: &'static [u8], longest: usize) -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(proptest::sample::select(bytes), 0..longest)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        #[test]
        fn agrees_with_the_csv_crate(text in alphabet(b"ab,\"\n\r\xc3\xa9", 40)) {
            compare(&text, &Dialect::default());
        }

        #[test]
        fn agrees_with_the_csv_crate_over_lanes(text in alphabet(b"abcdefghijk,,,\"\n\r", 400)) {
            compare(&text, &Dialect::default());
        }

        #[test]
        fn agrees_with_the_csv_crate_on_escapes(text in alphabet(b"ab;'\\\n\r", 40)) {
            compare(&text, &Dialect { delimiter: b';', quote: b'\'', escape: Some(b'\\'), ..Dialect::default() });
        }

        #[test]
        fn well_formed_records_come_back(
            rows in proptest::collection::vec(proptest::collection::vec("[a,\"\n\ré ]{0,6}", 3), 1..8)
        ) {
            let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
            for row in &rows {
                writer.write_record(row).unwrap();
            }
            let text = writer.into_inner().unwrap();
            let ours = texts(&text, &Dialect::default());
            let expected: Vec<_> =
                rows.iter().map(|r| Some(r.iter().map(|c| c.clone().into_bytes()).collect::<Vec<_>>())).collect();
            prop_assert_eq!(ours, expected);
        }
    }

    fn bad(text: &str, fields: usize) -> Vec<(u32, u32, BadReason, String, String)> {
        let limits = ParseLimits {
            fields: Some(fields),
            ..ParseLimits::default()
        };
        let rows = parse(text.as_bytes(), 0, &Dialect::default(), &limits);
        rows.bad
            .into_iter()
            .map(|b| (b.record.line, b.record.index, b.reason, b.expected, b.found))
            .collect()
    }

    #[test]
    fn torn_quotes_are_bad_and_stray_ones_are_text() {
        let found = bad("a,\"b\"x\n5\" disk,1\n\"\"\"q\"\"\",2\n", 2);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].2, BadReason::Quote);
        assert_eq!(found[0].4, "\"x\"");
        assert_eq!(
            texts(b"5\" disk,1\n", &Dialect::default())[0]
                .as_ref()
                .unwrap()[0],
            b"5\" disk"
        );
    }

    #[test]
    fn a_quote_that_seems_to_open_within_a_field_is_bad_if_a_later_field_closes_it() {
        let found = bad("ab\"c,d\",e\n", 3);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].2, BadReason::Quote);
        assert_eq!(found[0].4, "\"\\\"c,d\\\",e\"");
        assert_eq!(bad("1,2\"x, 5\"\" y\"\n", 3).len(), 1);
        for text in [
            "1,2\"x, 5\" y\"z\"\n",
            "5\" disk,7\",x\n",
            "6\"x4\",12\",x\n",
            "a \"b\" c,d\",e\n",
            "5\",7\",x\n",
            "ab\"c,d\"e,f\n",
            "ab\"c,\"d\",e\n",
        ] {
            assert_eq!(bad(text, 3), [], "{text:?}");
        }
    }

    #[test]
    fn ragged_rows_are_bad_whichever_way() {
        let found = bad("1,2\n1\n\n1,2,3\r\n1,2\r4,5", 2);
        let reasons: Vec<_> = found
            .iter()
            .map(|b| (b.0, b.1, b.2, b.4.as_str()))
            .collect();
        assert_eq!(
            reasons,
            [
                (1, 1, BadReason::Ragged, "1 field"),
                (3, 2, BadReason::Ragged, "3 fields")
            ]
        );
    }

    #[test]
    fn an_unclosed_quote_names_its_own_line() {
        let found = bad("1,2\n\"a\nb\",\"c\nd\n", 2);
        assert_eq!(
            (found[0].0, found[0].1, found[0].2),
            (2, 1, BadReason::Quote)
        );
        assert_eq!(found[0].4, "\"\\\"c\\nd\\n\"");
    }

    #[test]
    fn comments_and_blank_lines_count_as_lines_only() {
        let dialect = Dialect {
            comment: Some(b'#'),
            ..Dialect::default()
        };
        let rows = parse(b"# \"a\n\r\n1\r#x\r2\n#", 0, &dialect, &any_number());
        let lines: Vec<u32> = rows.records.iter().map(|r| r.line).collect();
        assert_eq!((rows.total, lines, rows.lines), (2, vec![2, 4], 5));
    }

    #[test]
    fn a_comment_is_no_longer_than_a_record_may_be() {
        let dialect = Dialect {
            comment: Some(b'#'),
            ..Dialect::default()
        };
        let limits = ParseLimits {
            record_bytes: 4,
            ..ParseLimits::default()
        };
        for text in ["1\n#abc\n#abcd\n2\n", "1\n#abc\n#abcd"] {
            let rows = parse(text.as_bytes(), 0, &dialect, &limits);
            let long = rows.too_long.unwrap();
            assert_eq!((long.start, long.end, long.line), (7, 12, 2));
        }
    }

    #[test]
    fn nulls_empties_and_quotes_are_told_apart() {
        let rows = parse(
            b",\"\",x,\"y\",z\"\n",
            0,
            &Dialect::default(),
            &any_number(),
        );
        let seen: Vec<_> = rows
            .spans
            .iter()
            .map(|s| (s.is_bare_empty(), s.is_quoted(), s.is_plain()))
            .collect();
        assert_eq!(
            seen,
            [
                (true, false, true),
                (false, true, false),
                (false, false, true),
                (false, true, false),
                (false, false, false)
            ]
        );
    }

    #[test]
    fn refused_rows_leave_the_others_in_order() {
        let text = b"1,2\n3,4\n5,6\n7,8\n";
        let limits = ParseLimits {
            fields: Some(2),
            ..ParseLimits::default()
        };
        let mut rows = parse(text, 0, &Dialect::default(), &limits);
        let refused = [0, 2].map(|row| {
            let record = rows.records[row];
            (
                row,
                BadRecord {
                    record,
                    column: None,
                    reason: BadReason::Type,
                    expected: String::new(),
                    found: String::new(),
                },
            )
        });
        rows.refuse(refused.to_vec(), 2);
        let cells: Vec<_> = rows.spans.iter().map(|s| s.bytes(text)).collect();
        assert_eq!(cells, [b"3", b"4", b"7", b"8"]);
        assert_eq!(
            rows.bad.iter().map(|b| b.record.index).collect::<Vec<_>>(),
            [0, 2]
        );
    }
}
