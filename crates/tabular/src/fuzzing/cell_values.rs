//! Texts of cells as values, against the standard library and jiff.

use crate::instants;
use crate::values::{self, ANY, BOOLEAN, DATE, FLOAT, INT, Kinds, TIMESTAMP, TIMESTAMP_UTC};

use super::plain_values as plain;

/// Each line of any text is a value of just the types that the plain readings say, and the same value;
/// which types are looked for changes nothing. The first byte says which.
pub fn cell_values(data: &[u8]) {
    let ([among], text) = super::choices(data);
    for cell in text.split(|b| *b == b'\n') {
        one(cell, among as Kinds & ANY);
    }
}

fn one(cell: &[u8], among: Kinds) {
    let all = values::kinds(cell, ANY);
    assert_eq!(values::kinds(cell, among), all & among, "among {among:#b}");
    let Ok(text) = std::str::from_utf8(cell) else {
        assert_eq!(all, 0);
        return;
    };
    assert_eq!(values::int(cell), plain::int(text));
    let float = values::float(cell).map(f64::to_bits);
    assert_eq!(float, plain::float(text).map(f64::to_bits));
    assert_eq!(values::boolean(cell), plain::boolean(text));
    assert_eq!(instants::date(cell), plain::date(text));
    assert_eq!(instants::instant(cell), plain::instant(text));
    assert_eq!(all, plain_kinds(text));
}

fn plain_kinds(text: &str) -> Kinds {
    let instant = plain::instant(text).map(|(_, zone)| zone);
    [
        (INT, plain::int(text).is_some()),
        (FLOAT, plain::is_kept(text)),
        (BOOLEAN, plain::boolean(text).is_some()),
        (DATE, plain::date(text).is_some()),
        (TIMESTAMP, instant == Some(false)),
        (TIMESTAMP_UTC, instant == Some(true)),
    ]
    .into_iter()
    .filter(|(_, holds)| *holds)
    .fold(0, |kinds, (kind, _)| kinds | kind)
}
