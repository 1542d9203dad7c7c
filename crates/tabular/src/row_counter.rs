//! Rows of text that comes in pieces cut anywhere, counted and held to their number of fields by masks
//! alone; nothing is kept of them.

use std::hint::select_unpredictable;
use std::ops::Range;

use crate::dialect::Dialect;
use crate::quotes::{self, Carry, Outside, outside_quotes};
use crate::structure::{LANE, Lane, Marks, Vectors, short_lane};

/// Delimiters of the record that a piece begins within, before those in the piece: they are not known.
const UNKNOWN: u64 = 1 << 40;

/// Counts records. What it gives up on, the exact [parser](crate::parser) has to judge: it may be
/// sound.
#[derive(Clone)]
pub(crate) struct RowCounter {
    marks: Marks,
    /// Fields of each record; 2 at least.
    fields: u64,
    max_record: u64,
    carry: Carry,
    /// Bytes taken.
    taken: u64,
    /// Where the record starts, and the delimiters in it so far.
    record: u64,
    delimiters: u64,
    records: u64,
    last_byte: u8,
    /// Where the record ended that the piece began within, and the delimiters in it until then.
    begun: Option<(usize, u64)>,
}

/// What was counted of a piece apart from those before it: right if they leave off as was taken for
/// granted.
pub(crate) struct Counted {
    granted: Carry,
    counter: RowCounter,
}

impl RowCounter {
    /// For text of records with so many fields, 2 at least: with one, an empty line may or may not be
    /// a record. None for dialects whose structure masks do not show.
    pub(crate) fn new(dialect: &Dialect, fields: usize, max_record: u64) -> Option<Self> {
        let plain = dialect.escape.is_none() && dialect.comment.is_none();
        (plain && fields >= 2).then(|| Self {
            marks: dialect.marks(),
            fields: fields as u64,
            max_record,
            carry: Carry::START,
            taken: 0,
            record: 0,
            delimiters: 0,
            records: 0,
            last_byte: b'\n',
            begun: None,
        })
    }

    /// Counts what is behind the first lane of a piece, which is likely to leave off outside quotes,
    /// and if that cannot be, within them. To be held against what is before by
    /// [`take_counted`](Self::take_counted); this counter may be of any state.
    pub(crate) fn count(&self, piece: &[u8]) -> Option<Counted> {
        let (lane, rest) = piece.split_at_checked(LANE)?;
        let last = lane[LANE - 1];
        let counts = |inside: bool| {
            let granted = Carry::behind(last, inside, self.marks);
            let mut counter = Self {
                carry: granted,
                taken: 0,
                record: 0,
                delimiters: UNKNOWN,
                records: 0,
                begun: None,
                last_byte: last,
                ..*self
            };
            counter.take(rest).map(|()| Counted { granted, counter })
        };
        counts(false).or_else(|| counts(true))
    }

    /// Takes the next piece, of which this was counted; none if a record is not as it should be at a
    /// glance.
    pub(crate) fn take_counted(&mut self, piece: &[u8], counted: Option<Counted>) -> Option<()> {
        let Some((lane, rest)) = piece.split_at_checked(LANE) else {
            return self.take(piece);
        };
        self.take(lane)?;
        let counter = match counted {
            Some(counted) if counted.granted == self.carry => counted.counter,
            _ => return self.take(rest),
        };
        if let Some((place, delimiters)) = counter.begun {
            self.delimiters += delimiters;
            self.end_record(place, rest)?;
            self.record = self.taken + counter.record;
            self.records += counter.records;
            self.delimiters = counter.delimiters;
        } else {
            self.delimiters += counter.delimiters - UNKNOWN;
        }
        self.taken += counter.taken;
        self.carry = counter.carry;
        self.last_byte = counter.last_byte;
        Some(())
    }

    /// Records that have ended so far.
    pub(crate) fn records(&self) -> u64 {
        self.records
    }

    /// Takes the next piece; none if a record is not as it should be at a glance.
    pub(crate) fn take(&mut self, piece: &[u8]) -> Option<()> {
        let marks = self.marks;
        match Vectors::detect() {
            Vectors::Baseline => self.take_by(piece, |bytes| marks.lane(bytes)),
            #[cfg(target_arch = "x86_64")]
            #[expect(unsafe_code, reason = "a call across target features")]
            // SAFETY: the processor has just been found to have what the function is compiled for.
            Vectors::Avx2 => unsafe { self.take_avx2(piece) },
            #[cfg(target_arch = "x86_64")]
            #[expect(unsafe_code, reason = "a call across target features")]
            // SAFETY: the processor has just been found to have what the function is compiled for.
            Vectors::Avx512 => unsafe { self.take_avx512(piece) },
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,bmi1,popcnt,pclmulqdq")]
    fn take_avx2(&mut self, piece: &[u8]) -> Option<()> {
        let marks = self.marks;
        self.take_by(piece, |bytes| marks.lane_avx2(bytes))
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,bmi1,popcnt,pclmulqdq,avx512f,avx512bw")]
    fn take_avx512(&mut self, piece: &[u8]) -> Option<()> {
        let marks = self.marks;
        self.take_by(piece, |bytes| marks.lane_avx512(bytes))
    }

    #[inline(always)]
    fn take_by(&mut self, piece: &[u8], lane_of: impl Fn(&[u8; LANE]) -> Lane) -> Option<()> {
        let (lanes, tail) = piece.as_chunks::<LANE>();
        let lanes = lanes.iter().enumerate();
        if quotes::are_common(piece, self.marks) {
            for (i, bytes) in lanes {
                let found = outside_quotes(lane_of(bytes), &mut self.carry, LANE)?;
                self.take_separators(found, piece, i * LANE)?;
            }
        } else {
            for (i, bytes) in lanes {
                self.take_lane(lane_of(bytes), piece, i * LANE)?;
            }
        }
        if !tail.is_empty() {
            let lane = short_lane(tail, &lane_of);
            let found = outside_quotes(lane, &mut self.carry, tail.len())?;
            self.take_separators(found, piece, piece.len() - tail.len())?;
        }
        self.taken += piece.len() as u64;
        self.last_byte = piece.last().copied().unwrap_or(self.last_byte);
        Some(())
    }

    #[inline(always)]
    fn take_lane(&mut self, lane: Lane, piece: &[u8], at: usize) -> Option<()> {
        if self.carry.concerns(lane) {
            let found = outside_quotes(lane, &mut self.carry, LANE)?;
            return self.take_separators(found, piece, at);
        }
        self.carry.pass(lane.delimiters | lane.line_feeds);
        let found = Outside {
            delimiters: lane.delimiters,
            line_feeds: lane.line_feeds,
            opening: 0,
            doubled: 0,
            inner_lines: 0,
            returns: false,
        };
        self.take_separators(found, piece, at)
    }

    #[inline(always)]
    fn take_separators(&mut self, found: Outside, piece: &[u8], at: usize) -> Option<()> {
        let (delimiters, line_feeds) = (found.delimiters, found.line_feeds);
        // Most lanes have one line feed or none; which of the two is hard to guess, so nothing branches on it.
        let ends = line_feeds != 0;
        let before = line_feeds.wrapping_sub(1) & !line_feeds;
        let known = self.delimiters + u64::from((delimiters & before).count_ones());
        let end = self.taken + at as u64 + u64::from(line_feeds.trailing_zeros());
        let whole = (known + 1 == self.fields) & (end - self.record <= self.max_record);
        let several = line_feeds & line_feeds.wrapping_sub(1) != 0;
        if several | (ends & !whole) {
            return self.take_records(delimiters, line_feeds, piece, at);
        }
        let behind = u64::from((delimiters & !before).count_ones());
        self.records += u64::from(ends);
        self.record = select_unpredictable(ends, end + 1, self.record);
        self.delimiters = select_unpredictable(ends, behind, known);
        Some(())
    }

    /// The same, one line feed after the other.
    fn take_records(
        &mut self,
        mut delimiters: u64,
        mut line_feeds: u64,
        piece: &[u8],
        at: usize,
    ) -> Option<()> {
        while line_feeds != 0 {
            let before = line_feeds.wrapping_sub(1) & !line_feeds;
            self.delimiters += u64::from((delimiters & before).count_ones());
            delimiters &= !before;
            self.end_record(at + line_feeds.trailing_zeros() as usize, piece)?;
            line_feeds &= line_feeds - 1;
        }
        self.delimiters += u64::from(delimiters.count_ones());
        Some(())
    }

    /// The record ends before the line feed at `place` of the piece.
    #[inline(always)]
    fn end_record(&mut self, place: usize, piece: &[u8]) -> Option<()> {
        let end = self.taken + place as u64;
        if self.delimiters + 1 != self.fields {
            self.end_other(end, place, piece)?;
        } else if end - self.record > self.max_record {
            return None;
        } else {
            self.records += 1;
        }
        self.record = end + 1;
        self.delimiters = 0;
        Some(())
    }

    /// Ends what is no whole record: the first one of a piece that is counted apart, or a blank line.
    #[cold]
    fn end_other(&mut self, end: u64, place: usize, piece: &[u8]) -> Option<()> {
        if self.delimiters >= UNKNOWN {
            self.begun = Some((place, self.delimiters - UNKNOWN));
            return Some(());
        }
        (self.delimiters == 0 && self.is_blank(end, place, piece)).then_some(())
    }

    /// Whether nothing, or only a carriage return, stands on the line that ends at `end`.
    fn is_blank(&self, end: u64, place: usize, piece: &[u8]) -> bool {
        let before = place.checked_sub(1).map_or(self.last_byte, |i| piece[i]);
        end == self.record || (end == self.record + 1 && before == b'\r')
    }

    /// Records of the whole text, which may end without a line end; none if it ends within quotes or
    /// with a lone carriage return, or its last record is not as it should be.
    pub(crate) fn finish(mut self) -> Option<u64> {
        if self.carry.is_unfinished() {
            return None;
        }
        if self.taken > self.record {
            let whole = self.delimiters + 1 == self.fields;
            let short = self.taken - self.record <= self.max_record;
            self.records += u64::from(whole && short);
            if !(whole && short) {
                return None;
            }
        }
        Some(self.records)
    }
}

/// What of a piece was found to be UTF-8 apart from those before it.
pub(crate) struct Sound(Range<usize>);

impl Sound {
    /// All of `piece` but its first lane and characters that go on from there or beyond its end; none if
    /// that is not UTF-8, or too short.
    pub(crate) fn find(piece: &[u8]) -> Option<Self> {
        let behind = piece.get(LANE..)?;
        let start = LANE + behind.iter().take(4).position(|byte| byte & 0xc0 != 0x80)?;
        let end = piece.len() - unfinished(piece);
        let text = piece.get(start..end)?;
        simdutf8::basic::from_utf8(text).ok()?;
        Some(Self(start..end))
    }
}

/// Whether text that comes in pieces is UTF-8: what a piece ends within waits for the next.
#[derive(Debug, Default)]
pub(crate) struct Utf8Stream {
    begun: Vec<u8>,
}

impl Utf8Stream {
    /// Takes the next piece; none if the text is not UTF-8.
    pub(crate) fn take(&mut self, piece: &[u8]) -> Option<()> {
        let mut rest = piece;
        while let Some(&first) = self.begun.first() {
            if self.begun.len() == width(first) {
                std::str::from_utf8(&self.begun).ok()?;
                self.begun.clear();
                break;
            }
            let (&byte, after) = match rest.split_first() {
                Some(split) => split,
                None => return Some(()),
            };
            self.begun.push(byte);
            rest = after;
        }
        let whole = rest.len() - unfinished(rest);
        self.begun.extend_from_slice(&rest[whole..]);
        simdutf8::basic::from_utf8(&rest[..whole])
            .is_ok()
            .then_some(())
    }

    /// Takes the next piece, of which this was found; none if the text is not UTF-8.
    pub(crate) fn take_found(&mut self, piece: &[u8], found: Option<Sound>) -> Option<()> {
        let Some(Sound(Range { start, end })) = found else {
            return self.take(piece);
        };
        self.take(&piece[..start])?;
        // A character begins at `start`.
        self.begun.is_empty().then_some(())?;
        self.begun.extend_from_slice(&piece[end..]);
        Some(())
    }

    /// None if the text ends within a character.
    pub(crate) fn finish(self) -> Option<()> {
        let whole = std::str::from_utf8(&self.begun).is_ok();
        whole.then_some(())
    }
}

/// Bytes of the character that begins so; 1 for what begins none.
fn width(first: u8) -> usize {
    match first {
        0xc0..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf7 => 4,
        _ => 1,
    }
}

/// Bytes at the end of a character that goes on behind `text`.
fn unfinished(text: &[u8]) -> usize {
    let last = text.iter().rev().take(3);
    let start = last.clone().position(|&byte| byte & 0xc0 != 0x80);
    match start {
        Some(back) if width(text[text.len() - 1 - back]) > back + 1 => back + 1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

    use proptest::prelude::*;

    use super::*;
    use crate::parser::{ParseLimits, parse_exact};

    const FIELDS: usize = 2;

    /// Pieces of these sizes, over and over.
    fn count(text: &[u8], sizes: &[usize]) -> Option<u64> {
        let mut counter = RowCounter::new(&Dialect::default(), FIELDS, 1 << 20).unwrap();
        let (mut at, mut sizes) = (0, sizes.iter().cycle());
        while at < text.len() {
            let end = text.len().min(at + sizes.next().unwrap());
            counter.take(&text[at..end])?;
            at = end;
        }
        counter.finish()
    }

    /// As [`count`], each piece apart from the others.
    fn count_apart(text: &[u8], sizes: &[usize]) -> Option<u64> {
        let mut counter = RowCounter::new(&Dialect::default(), FIELDS, 1 << 20).unwrap();
        let apart = counter.clone();
        let (mut at, mut sizes) = (0, sizes.iter().cycle());
        while at < text.len() {
            let end = text.len().min(at + sizes.next().unwrap());
            let piece = &text[at..end];
            counter.take_counted(piece, apart.count(piece))?;
            at = end;
        }
        counter.finish()
    }

    /// Records of the exact parser, if none is bad.
    fn exact(text: &[u8]) -> Option<u64> {
        let limits = ParseLimits {
            fields: Some(FIELDS),
            ..ParseLimits::default()
        };
        let rows = parse_exact(text, 0, &Dialect::default(), &limits);
        rows.bad.is_empty().then_some(u64::from(rows.total))
    }

    fn utf8(text: &[u8], sizes: &[usize]) -> bool {
        let mut stream = Utf8Stream::default();
        let (mut at, mut sizes) = (0, sizes.iter().cycle());
        while at < text.len() {
            let end = text.len().min(at + sizes.next().unwrap());
            if stream.take(&text[at..end]).is_none() {
                return false;
            }
            at = end;
        }
        stream.finish().is_some()
    }

    /// As [`utf8`], each piece apart from the others.
    fn utf8_apart(text: &[u8], sizes: &[usize]) -> bool {
        let mut stream = Utf8Stream::default();
        let (mut at, mut sizes) = (0, sizes.iter().cycle());
        while at < text.len() {
            let piece = &text[at..text.len().min(at + sizes.next().unwrap())];
            if stream.take_found(piece, Sound::find(piece)).is_none() {
                return false;
            }
            at += piece.len();
        }
        stream.finish().is_some()
    }

    fn sizes() -> impl Strategy<Value = Vec<usize>> {
        proptest::collection::vec(1usize..300, 1..4)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(3000))]

        #[test]
        fn a_count_is_that_of_the_exact_parser(
            text in proptest::collection::vec(proptest::sample::select(&b"ab,,\"\"\n\n\r"[..]), 0..400),
            sizes in sizes(),
        ) {
            prop_assert_eq!(count_apart(&text, &sizes), count(&text, &sizes));
            if let Some(found) = count(&text, &sizes) {
                prop_assert_eq!(Some(found), exact(&text), "{:?}", String::from_utf8_lossy(&text));
            }
        }

        #[test]
        fn well_formed_text_is_counted(
            rows in proptest::collection::vec(("[a-z]{0,30}|\"([a-z,\n\r]|\"\"){0,30}\"", "[0-9]{1,9}"), 1..40),
            crlf: bool,
            blank in 0usize..3,
            last_line_ends: bool,
            sizes in sizes(),
        ) {
            let line_end = if crlf { "\r\n" } else { "\n" };
            let lines: Vec<String> = rows.iter().map(|(a, b)| format!("{a},{b}")).collect();
            let mut text = line_end.repeat(blank) + &lines.join(&line_end.repeat(blank + 1));
            if last_line_ends {
                text += line_end;
            }
            prop_assert_eq!(count(text.as_bytes(), &sizes), Some(rows.len() as u64), "{:?}", text);
            prop_assert_eq!(count_apart(text.as_bytes(), &sizes), Some(rows.len() as u64), "{:?}", text);
        }

        #[test]
        fn a_record_of_other_fields_is_found_wherever_it_is(
            mut rows in proptest::collection::vec(prop::collection::vec("[a-z]{1,90}", FIELDS), 1..20),
            other in prop::option::of(prop::collection::vec("[a-z]{1,90}", 1..4)),
            at: prop::sample::Index,
            sizes in sizes(),
        ) {
            let at = at.index(rows.len() + 1);
            rows.splice(at..at, other);
            let text: String = rows.iter().map(|row| row.join(",") + "\n").collect();
            let sound = rows.iter().all(|row| row.len() == FIELDS);
            let expected = sound.then_some(rows.len() as u64);
            prop_assert_eq!(count(text.as_bytes(), &sizes), expected, "{:?}", text);
            prop_assert_eq!(count_apart(text.as_bytes(), &sizes), expected, "{:?}", text);
        }

        #[test]
        fn utf8_is_what_the_standard_library_says(
            text in "[aé表😀]{0,250}",
            bytes in proptest::collection::vec(any::<u8>(), 0..3),
            at: prop::sample::Index,
            sizes in sizes(),
        ) {
            prop_assert!(utf8(text.as_bytes(), &sizes) && utf8_apart(text.as_bytes(), &sizes));
            let mut other = text.into_bytes();
            let at = at.index(other.len() + 1);
            other.splice(at..at, bytes);
            for _ in 0..2 {
                let sound = std::str::from_utf8(&other).is_ok();
                prop_assert_eq!(utf8(&other, &sizes), sound);
                prop_assert_eq!(utf8_apart(&other, &sizes), sound);
                other.truncate(at);
            }
        }
    }

    #[test]
    fn what_is_not_as_it_should_be_is_left_to_others() {
        for text in [
            "a,b\nc\n",
            "a\n",
            "a,b,c",
            "a,\"b",
            "a,b\r",
            "a,b\rc,d",
            "a,\"b\"c\n",
            "x\"y\",b\n",
        ] {
            assert_eq!(count(text.as_bytes(), &[1]), None, "{text:?}");
        }
        let cell = |bytes: usize| format!("a,{}\nb,c\n", "x".repeat(bytes - 2));
        assert_eq!(count(cell(1 << 20).as_bytes(), &[4096]), Some(2));
        assert_eq!(count(cell((1 << 20) + 1).as_bytes(), &[4096]), None);
        assert!(RowCounter::new(&Dialect::default(), 1, 9).is_none());
    }
}
