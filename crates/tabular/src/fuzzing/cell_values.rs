//! Texts of cells as values, against the standard library and jiff.

use crate::instants;
use crate::values::{self, ANY, BOOLEAN, DATE, FLOAT, INT, Kinds, TIMESTAMP, TIMESTAMP_UTC};

use super::plain_values as plain;

/// Each line of any text is a value of just the types that the plain readings say, and the same value;
/// which types are looked for changes nothing. The first byte says which. Nor does it matter how many
/// are looked at together.
pub fn cell_values(data: &[u8]) {
    let ([among], text) = super::choices(data);
    for cell in text.split(|b| *b == b'\n') {
        one(cell, among as Kinds & ANY);
    }
    #[cfg(target_arch = "x86_64")]
    together(text);
}

/// What is known of eight cells at a glance is what each is.
#[cfg(target_arch = "x86_64")]
fn together(text: &[u8]) {
    use crate::records::{EIGHT, EightSpans, Span};
    use crate::simd_eights::{dates, decimals, ints};
    use crate::structure::Vectors;

    if Vectors::detect() != Vectors::Avx512 {
        return;
    }
    let mut end = 0;
    let spans: Vec<Span> = text
        .split_inclusive(|b| *b == b'\n')
        .map(|line| {
            let start = end;
            end += line.len();
            Span::new(start, end - usize::from(line.ends_with(b"\n")), 0)
        })
        .collect();
    for from in 0..spans.len().saturating_sub(EIGHT - 1) {
        let eight = EightSpans::new(&spans[from..], 1).unwrap();
        #[expect(unsafe_code, reason = "calls across target features")]
        // SAFETY: the processor has just been found to have what is asked for.
        let (ints, decimals, dates) =
            unsafe { (ints(text, eight), decimals(text, eight), dates(text, eight)) };
        for number in 0..EIGHT {
            let cell = eight.get(number).bytes(text);
            let known = |bits: u8| bits >> number & 1 == 1;
            if known(ints.1) {
                assert_eq!(values::int(cell), Some(ints.0[number]));
            }
            if known(decimals.1) {
                let found = values::float(cell).map(f64::to_bits);
                assert_eq!(found, Some(decimals.0[number].to_bits()));
            }
            if known(dates.1) {
                assert_eq!(instants::date(cell), Some(dates.0[number]));
            }
        }
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
