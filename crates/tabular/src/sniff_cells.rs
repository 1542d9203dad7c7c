//! Whether a cell reads as one value: what a wrong delimiter or quote makes of a table does not.

use crate::records::Span;
use crate::values;

/// Bytes that separate fields in some file: where one stands in a cell without quotes, it may have
/// been a delimiter.
const SEPARATORS: [u8; 7] = [b'\t', b';', b'|', b',', b'^', 0x01, 0x1f];
/// A cell longer than this is prose, in which separators are punctuation.
const PROSE: usize = 60;

/// How much a cell reads as one value, 0 to 1.
pub(crate) fn worth(span: Span, block: &[u8], delimiter: u8) -> f64 {
    let text = span.bytes(block);
    if span.is_quoted() {
        return 1.0;
    }
    if text.is_empty() {
        return 0.7;
    }
    if text.first() == Some(&b'"') || text.last() == Some(&b'"') {
        return 0.1;
    }
    if values::kinds(text, values::ANY) != 0 || values::is_default_null(text) {
        return 1.0;
    }
    let separates = |byte: &&u8| **byte != delimiter && SEPARATES[usize::from(**byte)];
    match text.iter().filter(separates).take(2).count() {
        // `1,5` is a number to many; `1,5;2` is none to anybody.
        0 | 1 if is_figure(text) => 0.95,
        0 => 0.9,
        _ if text.len() > PROSE => 0.6,
        _ => 0.15,
    }
}

/// Whether a byte is one of [`SEPARATORS`]: of long cells every byte is asked.
const SEPARATES: [bool; 256] = {
    let mut separates = [false; 256];
    let mut number = 0;
    while number < SEPARATORS.len() {
        separates[SEPARATORS[number] as usize] = true;
        number += 1;
    }
    separates
};

/// Whether this is a value of some kind that no name of a column usually is.
pub(crate) fn is_value(text: &[u8]) -> bool {
    values::kinds(text, values::ANY) != 0 || is_figure(text)
}

/// A number, date, time or amount as people write them: digits and what goes with them.
fn is_figure(text: &[u8]) -> bool {
    let text = text.trim_ascii();
    let fits = |b: &u8| b.is_ascii_digit() || b" +-.,:/%$eETZ".contains(b);
    // Most text has a letter early.
    text.iter().filter(|b| b.is_ascii()).all(fits) && {
        let digits = text.iter().filter(|b| b.is_ascii_digit()).count();
        digits > 0 && digits * 3 >= text.len()
    }
}
