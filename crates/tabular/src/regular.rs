//! Rows of blocks that are regular, by masks alone: the fast way, which most blocks of most files
//! take.
//!
//! A block is regular if each quote opens a field as its first byte, closes one as its last, or is
//! doubled inside one; each carriage return outside quotes stands before a line feed; and each record
//! has the fields that it must have. Then the quotes before a byte say whether it stands inside
//! quotes, and separators are all there is to know. What [`rows`] gives up on, the exact
//! [parser](crate::parser) takes from its start; both give the same rows.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::_pext_u64;
use std::cell::RefCell;

use crate::quotes::{self, Carry, outside_quotes};
use crate::records::{ESCAPED, QUOTED, Record, Rows, Span};
#[cfg(target_arch = "x86_64")]
use crate::structure::places_avx512;
use crate::structure::{LANE, Lane, Marks, Vectors, short_lane};

thread_local! {
    /// Kept from block to block: fresh pages cost more than filling them.
    static INDEX: RefCell<Index> = RefCell::default();
}

/// The records of `block[from..]`, which starts at the start of a record, with `fields` each; none
/// if the block is not regular.
pub(crate) fn rows(block: &[u8], from: usize, marks: Marks, fields: usize) -> Option<Rows> {
    if fields == 0 || from == block.len() {
        return None;
    }
    INDEX.with_borrow_mut(|index| {
        index.fill(block, from, marks)?;
        index.rows(block, from, fields)
    })
}

/// The separators of a block.
#[derive(Default)]
struct Index {
    /// Where fields end, in order; what is beyond `count` is left from before.
    ends: Vec<u32>,
    count: usize,
    /// Of those, the line feeds.
    records: usize,
    /// Line ends inside quotes.
    inner_lines: Vec<u32>,
    /// One if the last byte taken is a separator, or none is taken.
    after_separator: u64,
    quoted: Quoted,
    /// Fields with doubled quotes in them, by their number, perhaps twice.
    doubled: Vec<u32>,
    returns: bool,
}

/// The fields in quotes: a bit for each field.
#[derive(Default)]
struct Quoted(Vec<u64>);

impl Index {
    /// None for what is not regular.
    fn fill(&mut self, block: &[u8], from: usize, marks: Marks) -> Option<()> {
        match Vectors::detect() {
            Vectors::Baseline => baseline(marks).fill(self, block, from, marks),
            #[cfg(target_arch = "x86_64")]
            #[expect(unsafe_code, reason = "a call across target features")]
            // SAFETY: the processor has just been found to have what the function is compiled for.
            Vectors::Avx2 => unsafe { self.fill_avx2(block, from, marks) },
            #[cfg(target_arch = "x86_64")]
            #[expect(unsafe_code, reason = "a call across target features")]
            // SAFETY: the processor has just been found to have what the function is compiled for.
            Vectors::Avx512 => unsafe { self.fill_avx512(block, from, marks) },
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,bmi1,popcnt,pclmulqdq")]
    fn fill_avx2(&mut self, block: &[u8], from: usize, marks: Marks) -> Option<()> {
        let ways = Ways {
            lane: |bytes: &[u8; LANE]| marks.lane_avx2(bytes),
            put: push_places_of_bytes,
            among,
        };
        ways.fill(self, block, from, marks)
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,bmi1,bmi2,popcnt,pclmulqdq,avx512f,avx512bw,avx512vbmi2")]
    fn fill_avx512(&mut self, block: &[u8], from: usize, marks: Marks) -> Option<()> {
        let put = |bits: u64, base: u32, room: &mut [u32; LANE]| {
            if bits.count_ones() > 16 {
                return push_places_of_bytes(bits, base, room);
            }
            if let Some(sixteen) = room.first_chunk_mut() {
                *sixteen = places_avx512(bits, base);
            }
        };
        let ways = Ways {
            lane: |bytes: &[u8; LANE]| marks.lane_avx512(bytes),
            put,
            among: |these: u64, all: u64| _pext_u64(these, all),
        };
        ways.fill(self, block, from, marks)
    }

    fn clear(&mut self) {
        self.count = 0;
        self.records = 0;
        self.inner_lines.clear();
        self.after_separator = 1;
        self.quoted.0.fill(0);
        self.doubled.clear();
        self.returns = false;
    }

    fn push_end(&mut self, end: usize) {
        self.ends.truncate(self.count);
        self.ends.push(end as u32);
        self.count += 1;
    }

    /// None if the records have not `fields` fields each.
    fn rows(&mut self, block: &[u8], from: usize, fields: usize) -> Option<Rows> {
        let ends = &self.ends[..self.count];
        if self.count != self.records * fields {
            return None;
        }
        let last_fields = ends.iter().skip(fields - 1).step_by(fields);
        let ends_record = |&end: &u32| block.get(end as usize).is_none_or(|&b| b == b'\n');
        if !last_fields.clone().all(ends_record) {
            return None;
        }
        let mut spans = spans_between(ends, from);
        if self.returns {
            cut_returns(&mut spans, block, fields);
        }
        self.take_quotes_off(&mut spans);
        // A record of one empty field may be an empty line, which is none.
        if fields == 1 && spans.iter().any(|span| span.is_bare_empty()) {
            return None;
        }
        let records = self.records_of(block, from, fields, &spans);
        let terminated = block.last() == Some(&b'\n');
        let last_start = match records.last() {
            Some(last) if !terminated => last.start as usize,
            _ => block.len(),
        };
        let unterminated = usize::from(!terminated);
        Some(Rows {
            spans,
            total: self.records as u32,
            lines: (self.records - unterminated + self.inner_lines.len()) as u32,
            consumed: block.len(),
            terminated,
            last_start,
            records,
            ..Rows::default()
        })
    }

    fn take_quotes_off(&self, spans: &mut [Span]) {
        for field in self.quoted.iter() {
            let (start, end) = spans[field].range();
            spans[field] = Span::new(start as usize + 1, end as usize - 1, QUOTED);
        }
        for &field in &self.doubled {
            let (start, end) = spans[field as usize].range();
            spans[field as usize] = Span::new(start as usize, end as usize, QUOTED | ESCAPED);
        }
    }

    fn records_of(&self, block: &[u8], from: usize, fields: usize, spans: &[Span]) -> Vec<Record> {
        let mut records = Vec::with_capacity(self.records);
        let (mut start, mut inner) = (from as u32, 0);
        let ends = self.ends[..self.count].iter();
        for (index, &end) in ends.skip(fields - 1).step_by(fields).enumerate() {
            while self.inner_lines.get(inner).is_some_and(|&at| at < start) {
                inner += 1;
            }
            let cut = self.returns && has_return(block, start, end);
            records.push(Record {
                start,
                end: end - u32::from(cut),
                line: (index + inner) as u32,
                index: index as u32,
            });
            start = end + 1;
        }
        debug_assert_eq!(records.len() * fields, spans.len());
        records
    }
}

/// What is done with masks, in the way that suits the processor.
struct Ways<L, P, C> {
    /// The masks of a lane.
    lane: L,
    /// Puts the places of bits, from a base on, where there is room.
    put: P,
    /// Of the bits that are set in the second, which are set in the first.
    among: C,
}

/// The way for every processor.
fn baseline(marks: Marks) -> Ways<impl Fn(&[u8; LANE]) -> Lane, Put, Among> {
    Ways {
        lane: move |bytes: &[u8; LANE]| marks.lane(bytes),
        put: push_places_of_bytes,
        among,
    }
}

type Put = fn(u64, u32, &mut [u32; LANE]);
type Among = fn(u64, u64) -> u64;

impl<L, P, C> Ways<L, P, C>
where
    L: Fn(&[u8; LANE]) -> Lane,
    P: Fn(u64, u32, &mut [u32; LANE]),
    C: Fn(u64, u64) -> u64,
{
    #[inline(always)]
    fn fill(&self, index: &mut Index, block: &[u8], from: usize, marks: Marks) -> Option<()> {
        index.clear();
        let mut carry = Carry::START;
        let (lanes, tail) = block[from..].as_chunks::<LANE>();
        let common = quotes::are_common(&block[from..], marks);
        for (i, bytes) in lanes.iter().enumerate() {
            let (lane, base) = ((self.lane)(bytes), from + i * LANE);
            if common || carry.concerns(lane) {
                self.take_special(index, lane, base, &mut carry, LANE)?;
            } else {
                let separators = lane.delimiters | lane.line_feeds;
                carry.pass(separators);
                self.take_separators(index, separators, lane.line_feeds, base);
            }
        }
        if !tail.is_empty() {
            let lane = short_lane(tail, &self.lane);
            // What would have to follow the last byte cannot be seen as missing here: below it is.
            let base = block.len() - tail.len();
            self.take_special(index, lane, base, &mut carry, tail.len())?;
        }
        let unfinished = carry.is_unfinished();
        if block.last() != Some(&b'\n') && !unfinished {
            index.push_end(block.len());
            index.records += 1;
        }
        (!unfinished).then_some(())
    }

    /// A lane of `bytes` bytes, which may have quotes or carriage returns in it or just before it.
    #[inline(always)]
    fn take_special(
        &self,
        index: &mut Index,
        lane: Lane,
        base: usize,
        carry: &mut Carry,
        bytes: usize,
    ) -> Option<()> {
        let found = outside_quotes(lane, carry, bytes)?;
        push_places(&mut index.inner_lines, found.inner_lines, base);
        index.returns |= found.returns;
        let separators = found.delimiters | found.line_feeds;
        push_fields(&mut index.doubled, found.doubled, separators, index.count);
        // Which of the fields that begin in the lane do so with a quote.
        let begins = (separators << 1) | index.after_separator;
        let first = index.count + 1 - index.after_separator as usize;
        let quoted = (self.among)(found.opening, begins);
        index.quoted.put(first, quoted);
        self.take_separators(index, separators, found.line_feeds, base);
        Some(())
    }

    #[inline(always)]
    fn take_separators(&self, index: &mut Index, separators: u64, line_feeds: u64, base: usize) {
        index.records += line_feeds.count_ones() as usize;
        if index.ends.len() < index.count + LANE {
            let more = (index.count + LANE).max(1024) * 2;
            index.ends.resize(more, 0);
        }
        if let Some(room) = index.ends[index.count..].first_chunk_mut() {
            (self.put)(separators, base as u32, room);
        }
        index.count += separators.count_ones() as usize;
        index.after_separator = separators >> (LANE - 1);
    }
}

impl Quoted {
    /// The bits say of the fields from `first` on whether they are in quotes.
    #[inline(always)]
    fn put(&mut self, first: usize, bits: u64) {
        let (word, shift) = (first / 64, first % 64);
        if self.0.len() < word + 2 {
            self.0.resize((word + 2) * 2, 0);
        }
        if let Some([low, high]) = self.0[word..].first_chunk_mut() {
            *low |= bits << shift;
            *high |= (bits >> 1) >> (63 - shift);
        }
    }

    /// Their numbers.
    fn iter(&self) -> impl Iterator<Item = usize> {
        let words = self.0.iter().enumerate();
        words.flat_map(|(word, &bits)| {
            let rest = |bits: &u64| Some(bits & (bits - 1)).filter(|&rest| rest != 0);
            std::iter::successors(Some(bits).filter(|&b| b != 0), rest)
                .map(move |bits| word * 64 + bits.trailing_zeros() as usize)
        })
    }
}

/// See [`Ways`]: as `_pext_u64`, which not every processor is fast at.
#[inline(always)]
fn among(mut these: u64, all: u64) -> u64 {
    let mut found = 0;
    while these != 0 {
        let before = these.wrapping_sub(1) & !these;
        found |= 1 << (all & before).count_ones();
        these &= these - 1;
    }
    found
}

/// The places of the bits of each byte, then zeros.
const PLACES: [[u8; 8]; 256] = {
    let mut table = [[0; 8]; 256];
    let mut byte = 0;
    while byte < 256 {
        let (mut bit, mut found) = (0, 0);
        while bit < 8 {
            if byte >> bit & 1 == 1 {
                table[byte][found] = bit as u8;
                found += 1;
            }
            bit += 1;
        }
        byte += 1;
    }
    table
};

/// The places of the bits, a byte of them after the other: how many there are is hard to foresee for
/// the processor, and here nothing depends on it but where the next ones go. What comes behind the
/// last means nothing.
#[inline(always)]
fn push_places_of_bytes(bits: u64, mut base: u32, room: &mut [u32; LANE]) {
    let mut count = 0;
    for byte in bits.to_le_bytes() {
        let places = &PLACES[usize::from(byte)];
        // Of 64 bits the eight of the last byte come last, and end with the room.
        for (end, place) in room[count..count + 8].iter_mut().zip(places) {
            *end = base + u32::from(*place);
        }
        count += byte.count_ones() as usize;
        base += 8;
    }
}

#[inline(always)]
fn push_places(places: &mut Vec<u32>, mut bits: u64, base: usize) {
    while bits != 0 {
        places.push(base as u32 + bits.trailing_zeros());
        bits &= bits - 1;
    }
}

/// The fields that the bits are in, where `before` separators come before the lane.
#[inline(always)]
fn push_fields(fields: &mut Vec<u32>, mut bits: u64, separators: u64, before: usize) {
    while bits != 0 {
        let earlier = separators & (bits.wrapping_sub(1) & !bits);
        fields.push(before as u32 + earlier.count_ones());
        bits &= bits - 1;
    }
}

fn spans_between(ends: &[u32], from: usize) -> Vec<Span> {
    let mut spans = Vec::with_capacity(ends.len());
    let first = ends.first().map(|&end| Span::new(from, end as usize, 0));
    spans.extend(first);
    let next = |pair: &[u32]| Span::new(pair[0] as usize + 1, pair[1] as usize, 0);
    spans.extend(ends.windows(2).map(next));
    spans
}

/// Whether `block[start..end]` ends with a carriage return.
fn has_return(block: &[u8], start: u32, end: u32) -> bool {
    end > start && block[end as usize - 1] == b'\r'
}

/// Carriage returns stand before line feeds only, so at the end of last fields.
fn cut_returns(spans: &mut [Span], block: &[u8], fields: usize) {
    for span in spans.iter_mut().skip(fields - 1).step_by(fields) {
        let (start, end) = span.range();
        if has_return(block, start, end) {
            *span = Span::new(start as usize, end as usize - 1, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

    use proptest::prelude::*;

    use super::*;
    use crate::dialect::Dialect;
    use crate::parser::{ParseLimits, parse_exact};

    fn fast(text: &[u8], from: usize, fields: usize) -> Option<Rows> {
        rows(text, from, Dialect::default().marks(), fields)
    }

    /// Where the fast way gives rows, they are those of the exact one; whether it did.
    fn agrees(text: &[u8], from: usize, fields: usize) -> bool {
        let Some(fast) = fast(text, from, fields) else {
            return false;
        };
        let limits = ParseLimits {
            fields: Some(fields),
            ..ParseLimits::default()
        };
        let exact = parse_exact(text, from, &Dialect::default(), &limits);
        let shown = String::from_utf8_lossy(text);
        assert_eq!(format!("{fast:?}"), format!("{exact:?}"), "{shown:?}");
        true
    }

    fn cell() -> impl Strategy<Value = String> {
        prop_oneof![
            4 => "[a-z0-9.é-]{0,12}",
            1 => "[a-z0-9]{13,90}",
            2 => "\"([a-z,\n\r]|\"\"){0,20}\"",
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn any_text_agrees(
            text in proptest::collection::vec(proptest::sample::select(&b"ab,,\"\"\n\r"[..]), 0..200),
            fields in 1usize..4,
        ) {
            agrees(&text, 0, fields);
        }

        #[test]
        fn well_formed_text_is_regular(
            records in proptest::collection::vec(proptest::collection::vec(cell(), 3), 1..20),
            crlf: bool,
            last_line_ends: bool,
            before in 0usize..70,
        ) {
            let line_end = if crlf { "\r\n" } else { "\n" };
            let lines: Vec<String> = records.iter().map(|r| r.join(",")).collect();
            let mut text = "x".repeat(before) + &lines.join(line_end);
            if last_line_ends {
                text += line_end;
            }
            prop_assert!(agrees(text.as_bytes(), before, 3), "{:?}", text);
            // At every place of a lane.
            for width in [1, 2, 4] {
                agrees(text.as_bytes(), before, width);
            }
        }
    }

    #[test]
    fn what_is_not_regular_is_left_to_the_exact_parser() {
        for text in [
            "",
            "a,b\n\nc,d\n",
            "a,b\nc\n",
            "a,b,c\n",
            "a\",b\n",
            "\"a\"b,c\n",
            "a,\"b",
            "a,b\r",
            "a,b\rc,d\n",
            "a,\"b\"\"",
            "a,b\n,\n\n",
            "a,b\r\n\r\n",
            " \"a\",b\n",
            "a,\"b\" \n",
        ] {
            assert!(fast(text.as_bytes(), 0, 2).is_none(), "{text:?}");
        }
        for text in ["\n", "a\n\nb\n", "a\r\n\r\n"] {
            assert!(fast(text.as_bytes(), 0, 1).is_none(), "{text:?}");
        }
        for text in [
            "a,b",
            ",\n",
            "\"\",\"\"\n",
            "a,\"\"\"\"",
            "a,b\r\n",
            "\"a\n\r\n\r\",b\nc,\"d\ne\"\r\nf,g",
        ] {
            assert!(agrees(text.as_bytes(), 0, 2), "{text:?}");
        }
    }

    #[test]
    fn a_block_after_a_longer_one_sees_nothing_of_it() {
        assert!(agrees("a,b\n".repeat(400).as_bytes(), 0, 2));
        assert!(agrees(b"c,d", 0, 2));
        assert!(agrees("e,f\n".repeat(30).as_bytes(), 0, 2));
    }

    #[test]
    fn both_ways_to_masks_give_the_same_rows() {
        let text = "ab,\"c\"\"\n\",d\r\n".repeat(40);
        let marks = Dialect::default().marks();
        let mut index = Index::default();
        let filled = baseline(marks).fill(&mut index, text.as_bytes(), 0, marks);
        filled.unwrap();
        let plain = index.rows(text.as_bytes(), 0, 3).unwrap();
        let found = fast(text.as_bytes(), 0, 3).unwrap();
        assert_eq!(format!("{plain:?}"), format!("{found:?}"));
        assert_eq!(found.total, 40);
    }
}
