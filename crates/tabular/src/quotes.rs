//! Which separators stand outside quotes, lane by lane, in text that is regular: each quote opens a
//! field as its first byte, closes one as its last, or is doubled inside one; each carriage return
//! outside quotes stands before a line feed. What is not is noticed.

use crate::structure::{LANE, Lane, Marks};

/// What a lane leaves to the next; masks have one bit, the first, unless said otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Carry {
    /// All ones inside quotes.
    inside: u64,
    /// The last byte was a separator outside quotes, or nothing is before.
    separator: u64,
    closing: u64,
    /// The last byte was a carriage return, outside quotes or anywhere.
    bare_return: u64,
    any_return: u64,
}

/// What counts of a lane.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outside {
    /// Outside quotes.
    pub(crate) delimiters: u64,
    /// Outside quotes.
    pub(crate) line_feeds: u64,
    /// Quotes that open a field, and the second ones of doubled quotes.
    pub(crate) opening: u64,
    pub(crate) doubled: u64,
    /// Line ends inside quotes; `\r\n` is one.
    pub(crate) inner_lines: u64,
    /// There are carriage returns outside quotes.
    pub(crate) returns: bool,
}

impl Carry {
    /// Before the first byte of a record.
    pub(crate) const START: Self = Self {
        inside: 0,
        separator: 1,
        closing: 0,
        bare_return: 0,
        any_return: 0,
    };

    /// Behind a byte outside quotes, or within them, if nothing but that byte matters.
    pub(crate) fn behind(byte: u8, inside: bool, marks: Marks) -> Self {
        let is = |this: bool| u64::from(this);
        let returned = byte == b'\r';
        let separates = byte == marks.delimiter || byte == b'\n' || returned;
        Self {
            inside: 0u64.wrapping_sub(is(inside)),
            separator: is(separates && !inside),
            closing: is(byte == marks.quote && !inside),
            bare_return: is(returned && !inside),
            any_return: is(returned),
        }
    }

    /// Whether quotes or carriage returns have to do with the lane. Else its delimiters and line feeds
    /// are all there is to it, and [`Carry::pass`] takes it.
    #[inline(always)]
    pub(crate) fn concerns(&self, lane: Lane) -> bool {
        let before = self.inside | self.closing | self.bare_return;
        lane.quotes | lane.returns | before != 0
    }

    /// Goes past a lane without quotes and carriage returns that has these separators.
    #[inline(always)]
    pub(crate) fn pass(&mut self, separators: u64) {
        self.separator = separators >> (LANE - 1);
        self.any_return = 0;
    }

    /// Whether the text may not end here: a quote is open, or a line feed missing.
    pub(crate) fn is_unfinished(&self) -> bool {
        self.inside != 0 || self.bare_return != 0
    }
}

/// Bytes at the beginning of a text that tell whether there are quotes in it.
const LOOK: usize = 1024;

/// Whether quotes are likely in about every other lane: then to ask each costs more than to treat all
/// alike, as if they [concerned](Carry::concerns) it.
pub(crate) fn are_common(text: &[u8], marks: Marks) -> bool {
    memchr::memchr(marks.quote, &text[..text.len().min(LOOK)]).is_some()
}

/// Takes a lane of `bytes` bytes, 1 to 64; none if it is not regular.
#[inline(always)]
pub(crate) fn outside_quotes(lane: Lane, carry: &mut Carry, bytes: usize) -> Option<Outside> {
    let inside = lane.odd_quotes ^ carry.inside;
    let ends = lane.delimiters | lane.line_feeds | lane.returns;
    let (opening, closing) = (lane.quotes & inside, lane.quotes & !inside);
    let bare_returns = lane.returns & !inside;
    let after_separator = ((ends & !inside) << 1) | carry.separator;
    let after_closing = (closing << 1) | carry.closing;
    let after_return = (bare_returns << 1) | carry.bare_return;
    let here = u64::MAX >> (LANE - bytes);
    let wrong = (opening & !(after_separator | after_closing))
        | (after_closing & !(ends | lane.quotes) & here)
        | (after_return & !lane.line_feeds & here);
    if wrong != 0 {
        return None;
    }
    let second_half = lane.line_feeds & ((lane.returns << 1) | carry.any_return);
    let found = Outside {
        delimiters: lane.delimiters & !inside,
        line_feeds: lane.line_feeds & !inside,
        opening: opening & !after_closing,
        doubled: opening & after_closing,
        inner_lines: (lane.line_feeds | lane.returns) & !second_half & inside,
        returns: bare_returns != 0,
    };
    let last = bytes - 1;
    *carry = Carry {
        // The last byte's state, in all bits.
        inside: 0u64.wrapping_sub((inside >> last) & 1),
        separator: ((ends & !inside) >> last) & 1,
        closing: (closing >> last) & 1,
        bare_return: (bare_returns >> last) & 1,
        any_return: (lane.returns >> last) & 1,
    };
    Some(found)
}
