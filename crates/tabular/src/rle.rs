//! Parquet's hybrid of run lengths and packed bits, for places in a dictionary and for levels.
//!
//! A stream is runs, each behind a varint: twice the number of repeats and then the value in whole
//! bytes, or twice the number of groups of eight plus one and then the groups, each value in
//! `width` bits, the lowest first.

use crate::page_buffer::{PageBuffer, SLACK};

/// Values that are packed together: eight of any width are whole bytes.
const GROUP: usize = 8;
/// Repeats become a run if they would take at least so many packed bytes: the run costs up to five,
/// and what was to be packed after it one or two more.
const WORTHWHILE_BYTES: usize = 8;

/// Appends a page's places in a dictionary, which has `distinct` values so far: the width in bits,
/// and the places.
pub(crate) fn write_numbers(numbers: &[u32], distinct: usize, out: &mut PageBuffer) {
    let width = bits_below(distinct);
    out.push(width as u8);
    write_hybrid(numbers, width, out);
}

/// Bits that hold every number below `count`.
fn bits_below(count: usize) -> u32 {
    usize::BITS - count.saturating_sub(1).leading_zeros()
}

/// Appends `values`, each below `2^width`; `width` is at most 32.
fn write_hybrid(values: &[u32], width: u32, out: &mut PageBuffer) {
    if values.is_empty() {
        return;
    }
    if width == 0 {
        // All are zero: a run without a value's bytes.
        out.varint((values.len() as u64) << 1);
        return;
    }
    let (groups, tail) = values.as_chunks::<GROUP>();
    let shortest = WORTHWHILE_BYTES.div_ceil(width as usize);
    let (mut written, mut at) = (0, 0);
    while at < groups.len() {
        let value = groups[at][0];
        if !is_all(&groups[at], value) {
            at += 1;
            continue;
        }
        let same = groups[at..].iter().take_while(|g| is_all(g, value));
        let end = at + same.count();
        if end - at >= shortest {
            write_packed(&groups[written..at], &[], width, out);
            write_run(value, (end - at) * GROUP, width, out);
            written = end;
        }
        at = end;
    }
    write_packed(&groups[written..], tail, width, out);
}

/// Without branches, so that it becomes a few vector operations.
#[inline(always)]
fn is_all(group: &[u32; GROUP], value: u32) -> bool {
    group.iter().fold(0, |differ, &v| differ | (v ^ value)) == 0
}

fn write_run(value: u32, count: usize, width: u32, out: &mut PageBuffer) {
    out.varint((count as u64) << 1);
    out.extend(&value.to_le_bytes()[..width.div_ceil(8) as usize]);
}

/// Whole groups, and one that is filled up with zeros if `tail` is not empty.
fn write_packed(groups: &[[u32; GROUP]], tail: &[u32], width: u32, out: &mut PageBuffer) {
    let count = groups.len() + usize::from(!tail.is_empty());
    if count == 0 {
        return;
    }
    out.varint(((count as u64) << 1) | 1);
    pack_into(groups, width, out);
    if !tail.is_empty() {
        let mut last = [0; GROUP];
        last[..tail.len()].copy_from_slice(tail);
        pack_into(&[last], width, out);
    }
}

fn pack_into(groups: &[[u32; GROUP]], width: u32, out: &mut PageBuffer) {
    let bytes = groups.len() * width as usize;
    pack(groups, width, out.room(bytes));
    out.advance(bytes);
}

/// `out` has [`SLACK`] bytes more than are packed.
fn pack(groups: &[[u32; GROUP]], width: u32, out: &mut [u8]) {
    macro_rules! narrow {
        ($($w:literal)*) => {
            match width {
                $($w => pack_narrow::<$w>(groups, out),)*
                _ => pack_wide(groups, width, out),
            }
        };
    }
    narrow!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16)
}

/// Up to 16 bits a value: a group is two words of four values each.
fn pack_narrow<const W: u32>(groups: &[[u32; GROUP]], out: &mut [u8]) {
    const { assert!(W <= 16 && SLACK >= 16) };
    let four = |v: &[u32]| {
        let [a, b, c, d] = [v[0], v[1], v[2], v[3]].map(u64::from);
        (a | b << W) | (c | d << W) << (2 * W)
    };
    let mut at = 0;
    for group in groups {
        let bits = u128::from(four(&group[..4])) | u128::from(four(&group[4..])) << (4 * W);
        out[at..at + 16].copy_from_slice(&bits.to_le_bytes());
        at += W as usize;
    }
}

/// Any width up to 32.
fn pack_wide(groups: &[[u32; GROUP]], width: u32, out: &mut [u8]) {
    let (mut word, mut filled, mut at) = (0_u64, 0, 0);
    for &value in groups.as_flattened() {
        word |= u64::from(value) << filled;
        filled += width;
        if filled >= 32 {
            out[at..at + 4].copy_from_slice(&(word as u32).to_le_bytes());
            at += 4;
            word >>= 32;
            filled -= 32;
        }
    }
    // Groups end at whole bytes.
    out[at..at + 8].copy_from_slice(&word.to_le_bytes());
}

/// Appends levels of one bit. `bits` holds the lowest first, `count` of them; what is left of the
/// last byte is zero.
pub(crate) fn write_bits(bits: &[u8], count: usize, out: &mut PageBuffer) {
    let whole = &bits[..count / 8];
    let (mut written, mut at) = (0, 0);
    while at < whole.len() {
        let byte = whole[at];
        let end = match byte {
            0 | 0xff => at + whole[at..].iter().take_while(|&&b| b == byte).count(),
            _ => at + 1,
        };
        if end - at >= WORTHWHILE_BYTES {
            write_bytes(&bits[written..at], out);
            write_run(u32::from(byte & 1), (end - at) * 8, 1, out);
            written = end;
        }
        at = end;
    }
    write_bytes(&bits[written..count.div_ceil(8)], out);
}

fn write_bytes(bits: &[u8], out: &mut PageBuffer) {
    if !bits.is_empty() {
        out.varint(((bits.len() as u64) << 1) | 1);
        out.extend(bits);
    }
}

/// Appends `count` times a level of one bit.
pub(crate) fn write_bit_run(bit: bool, count: usize, out: &mut PageBuffer) {
    write_run(u32::from(bit), count, 1, out);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

    use proptest::prelude::*;

    use super::*;

    /// A reader as plain as the format's description.
    fn read(mut bytes: &[u8], width: u32, count: usize) -> Vec<u32> {
        let varint = |bytes: &mut &[u8]| {
            let (mut value, mut shift) = (0_u64, 0);
            loop {
                let byte = bytes[0];
                *bytes = &bytes[1..];
                value |= u64::from(byte & 0x7f) << shift;
                shift += 7;
                if byte < 0x80 {
                    return value as usize;
                }
            }
        };
        let mut values = Vec::new();
        while values.len() < count {
            let header = varint(&mut bytes);
            if header & 1 == 0 {
                let len = width.div_ceil(8) as usize;
                let mut value = [0; 4];
                value[..len].copy_from_slice(&bytes[..len]);
                bytes = &bytes[len..];
                values.extend(std::iter::repeat_n(u32::from_le_bytes(value), header >> 1));
                assert!(values.len() <= count, "runs are exact");
            } else {
                let len = (header >> 1) * width as usize;
                for value in 0..(header >> 1) * 8 {
                    let bit = |i: u32| {
                        let at = value * width as usize + i as usize;
                        u32::from(bytes[at / 8] >> (at % 8) & 1) << i
                    };
                    values.push((0..width).map(bit).sum());
                }
                bytes = &bytes[len..];
            }
        }
        assert!(bytes.is_empty() && values[count..].iter().all(|&v| v == 0));
        values.truncate(count);
        values
    }

    #[test]
    fn nothing_takes_no_byte() {
        for width in [0, 1, 32] {
            let mut out = PageBuffer::default();
            write_hybrid(&[], width, &mut out);
            assert!(out.as_slice().is_empty());
        }
    }

    #[test]
    fn widths() {
        let widths = [0, 1, 2, 3, 4, 5, 8, 9, 256, 257, 65_536, 65_537, 1 << 32].map(bits_below);
        assert_eq!(widths, [0, 0, 1, 2, 2, 3, 3, 4, 8, 9, 16, 17, 32]);
    }

    proptest! {
        #[test]
        fn hybrid_comes_back(
            width in 0_u32..=32,
            runs in prop::collection::vec((any::<u32>(), 1_usize..200, any::<bool>()), 0..30),
        ) {
            let mask = (1_u64 << width) - 1;
            let values: Vec<u32> = runs
                .iter()
                .flat_map(|&(value, count, noisy)| (0..count as u32).map(move |i| {
                    let value = if noisy { value.wrapping_mul(i | 1).rotate_left(i) } else { value };
                    (u64::from(value) & mask) as u32
                }))
                .collect();
            let mut out = PageBuffer::default();
            out.extend(b"x");
            write_hybrid(&values, width, &mut out);
            prop_assert_eq!(read(&out.as_slice()[1..], width, values.len()), values);
        }

        #[test]
        fn bits_come_back(
            runs in prop::collection::vec((any::<u8>(), any::<bool>(), 1_usize..20), 0..20),
            cut in 0_usize..8,
        ) {
            let mut bits: Vec<u8> = runs
                .iter()
                .flat_map(|&(byte, whole, count)| {
                    std::iter::repeat_n(if whole { (byte & 1) * 0xff } else { byte }, count)
                })
                .collect();
            let count = (bits.len() * 8).saturating_sub(cut);
            if let Some(last) = bits.last_mut() {
                *last &= 0xff >> cut;
            }
            let mut out = PageBuffer::default();
            write_bits(&bits, count, &mut out);
            let expected: Vec<u32> =
                (0..count).map(|i| u32::from(bits[i / 8] >> (i % 8) & 1)).collect();
            prop_assert_eq!(read(out.as_slice(), 1, count), expected);
        }
    }
}
