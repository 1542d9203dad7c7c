//! Where the last record of a text ends, so that the text can be cut there: outside quotes.
//!
//! Text without quotes is searched from its end. Of text that is regular, masks tell what is inside quotes;
//! else quotes are looked at one by one, and dialects with comments or an escape byte are parsed.

use std::hint::select_unpredictable;

use crate::dialect::Dialect;
use crate::parser::{ParseLimits, parse};
use crate::quotes::{self, Carry, outside_quotes};
use crate::structure::{LANE, Lane, Marks, Vectors, short_lane};

/// After the last record end in `text`, which starts at the start of a record and may go on. A `\r`
/// at the very end does not count: a `\n` may follow.
pub(crate) fn last_record_end(text: &[u8], dialect: &Dialect) -> Option<usize> {
    if dialect.escape.is_some() || dialect.comment.is_some() {
        return last_record_end_exact(text, dialect);
    }
    let Some(quote) = memchr::memchr(dialect.quote, text) else {
        return line_end_before(text, 0, text.len());
    };
    match last_regular_end(text, quote, dialect.marks()) {
        Some(end) => end.or_else(|| line_end_before(text, 0, quote)),
        None => last_end_by_quotes(text, dialect),
    }
}

/// After the last line feed outside quotes; `first` is the first quote. None if what follows that is not
/// regular (see [`crate::quotes`]).
fn last_regular_end(text: &[u8], first: usize, marks: Marks) -> Option<Option<usize>> {
    match Vectors::detect() {
        Vectors::Baseline => last_end_by(text, first, marks, |bytes| marks.lane(bytes)),
        #[cfg(target_arch = "x86_64")]
        #[expect(unsafe_code, reason = "a call across target features")]
        // SAFETY: the processor has just been found to have what the function is compiled for.
        Vectors::Avx2 => unsafe { last_end_avx2(text, first, marks) },
        #[cfg(target_arch = "x86_64")]
        #[expect(unsafe_code, reason = "a call across target features")]
        // SAFETY: the processor has just been found to have what the function is compiled for.
        Vectors::Avx512 => unsafe { last_end_avx512(text, first, marks) },
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi1,popcnt,pclmulqdq")]
fn last_end_avx2(text: &[u8], first: usize, marks: Marks) -> Option<Option<usize>> {
    last_end_by(text, first, marks, |bytes| marks.lane_avx2(bytes))
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi1,popcnt,pclmulqdq,avx512f,avx512bw")]
fn last_end_avx512(text: &[u8], first: usize, marks: Marks) -> Option<Option<usize>> {
    last_end_by(text, first, marks, |bytes| marks.lane_avx512(bytes))
}

#[inline(always)]
fn last_end_by(
    text: &[u8],
    first: usize,
    marks: Marks,
    lane_of: impl Fn(&[u8; LANE]) -> Lane,
) -> Option<Option<usize>> {
    let mut carry = match first.checked_sub(1) {
        Some(before) => Carry::behind(text[before], false, marks),
        None => Carry::START,
    };
    // The lane of the last line feed, where that begins.
    let mut last = (0, 0);
    let (lanes, tail) = text[first..].as_chunks::<LANE>();
    let common = quotes::are_common(text, marks);
    for (number, bytes) in lanes.iter().enumerate() {
        let lane = lane_of(bytes);
        let line_feeds = if common || carry.concerns(lane) {
            outside_quotes(lane, &mut carry, LANE)?.line_feeds
        } else {
            carry.pass(lane.delimiters | lane.line_feeds);
            lane.line_feeds
        };
        last = select_unpredictable(line_feeds == 0, last, (line_feeds, number));
    }
    if !tail.is_empty() {
        let lane = short_lane(tail, &lane_of);
        let line_feeds = outside_quotes(lane, &mut carry, tail.len())?.line_feeds;
        last = select_unpredictable(line_feeds == 0, last, (line_feeds, lanes.len()));
    }
    let (line_feeds, number) = last;
    let after = (u64::BITS - line_feeds.leading_zeros()) as usize;
    Some((line_feeds != 0).then_some(first + number * LANE + after))
}

/// The same for any text, quote by quote.
fn last_end_by_quotes(text: &[u8], dialect: &Dialect) -> Option<usize> {
    let mut end = None;
    let mut bare = 0;
    let mut from = 0;
    while let Some(at) = memchr::memchr(dialect.quote, &text[from..]).map(|i| from + i) {
        from = at + 1;
        let opens =
            at == 0 || matches!(text[at - 1], b'\n' | b'\r') || text[at - 1] == dialect.delimiter;
        if !opens || at < bare {
            continue;
        }
        end = line_end_before(text, bare, at).or(end);
        let Some(close) = closing_quote(text, at, dialect.quote) else {
            return end;
        };
        bare = close + 1;
        from = bare;
    }
    line_end_before(text, bare, text.len()).or(end)
}

/// After the last line end in `text[from..to]`.
fn line_end_before(text: &[u8], from: usize, to: usize) -> Option<usize> {
    let to = if to == text.len() && text.ends_with(b"\r") {
        to - 1
    } else {
        to
    };
    let region = text.get(from..to)?;
    memchr::memrchr2(b'\n', b'\r', region).map(|i| from + i + 1)
}

/// The quote that closes the one at `open`.
fn closing_quote(text: &[u8], open: usize, quote: u8) -> Option<usize> {
    let mut from = open + 1;
    loop {
        let at = from + memchr::memchr(quote, text.get(from..)?)?;
        if text.get(at + 1) != Some(&quote) {
            return Some(at);
        }
        from = at + 2;
    }
}

/// The same by parsing, for dialects with comments or an escape byte.
fn last_record_end_exact(text: &[u8], dialect: &Dialect) -> Option<usize> {
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    let rows = parse(text, 0, dialect, &ParseLimits::default());
    Some(rows.last_start).filter(|&at| at > 0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

    use proptest::prelude::*;

    use super::*;

    /// Whether masks were enough; all ways find the same end.
    fn agrees(text: &[u8]) -> bool {
        let dialect = Dialect::default();
        let expected = last_end_by_quotes(text, &dialect);
        let shown = String::from_utf8_lossy(text);
        assert_eq!(last_record_end(text, &dialect), expected, "{shown:?}");
        assert_eq!(last_record_end_exact(text, &dialect), expected, "{shown:?}");
        let Some(first) = memchr::memchr(b'"', text) else {
            return true;
        };
        let marks = dialect.marks();
        let plain = last_end_by(text, first, marks, |bytes| marks.lane(bytes));
        assert_eq!(last_regular_end(text, first, marks), plain, "{shown:?}");
        plain.is_some()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn any_text_ends_where_quotes_say(
            text in proptest::collection::vec(proptest::sample::select(&b"ab,,\"\"\n\r"[..]), 0..200),
        ) {
            agrees(&text);
        }

        #[test]
        fn of_well_formed_text_masks_tell(
            cells in proptest::collection::vec("[a-z]{0,40}|\"([a-z,\n\r]|\"\"){0,40}\"", 0..40),
            ends in proptest::collection::vec(proptest::sample::select(&[",", ",", "\n", "\r\n"][..]), 40),
            cut in 0_usize..80,
        ) {
            let mut text = String::new();
            for (cell, end) in cells.iter().zip(ends) {
                text += cell;
                text += end;
            }
            let text = &text.as_bytes()[..text.len().saturating_sub(cut)];
            prop_assert!(agrees(text), "{:?}", text);
        }
    }
}
