//! Raw Snappy of 64-bit values, faster than a compressor of any bytes can be.
//!
//! The format (google/snappy, `format_description.txt`) is the length as a varint, and then literals
//! and copies of bytes that came before. Where those are is the compressor's business. Numbers repeat
//! each other byte for byte at the same place of the value: integers in their upper bytes, and
//! doubles that were decimals in their lower ones, since a fraction's bits come round again. So each
//! value is looked up once, by just these bytes, instead of at every byte.

use crate::snappy_elements::Elements;

/// Bits of a place in the table: 32 KiB of places stay in a core's first cache.
const TABLE_BITS: u32 = 14;
/// Values that a key is chosen by.
const SAMPLE_VALUES: usize = 1_024;
/// Bytes back that a copy of three bytes can reach.
const MAX_DISTANCE: usize = u16::MAX as usize;
/// See [`crate::dictionary`].
const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

const BYTES: usize = size_of::<u64>();

/// The bytes of a value that it is looked up by: a match has these at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Key {
    /// So many of the lowest.
    Low(u32),
    /// So many of the highest.
    High(u32),
}

/// Copies of fewer than four bytes are hardly shorter than what they stand for.
const KEYS: [Key; 6] = [
    Key::Low(4),
    Key::Low(5),
    Key::Low(6),
    Key::High(5),
    Key::High(6),
    Key::High(7),
];

/// Where values were last met, by their keys.
#[derive(Debug)]
pub(crate) struct WordCompressor {
    /// Numbers of values modulo 2^16, which is farther back than a copy can reach.
    places: Box<[u16; 1 << TABLE_BITS]>,
}

impl Default for WordCompressor {
    fn default() -> Self {
        Self {
            places: Box::new([0; 1 << TABLE_BITS]),
        }
    }
}

impl WordCompressor {
    /// The key that makes the beginning of these values smallest.
    pub(crate) fn choose(&mut self, values: &[u8], out: &mut Vec<u8>) -> Key {
        let sample = &values[..values.len().min(SAMPLE_VALUES * BYTES)];
        let mut best = (usize::MAX, KEYS[0]);
        for key in KEYS {
            let len = self.compress(sample, 0, key, out);
            if len < best.0 {
                best = (len, key);
            }
        }
        best.1
    }

    /// Compresses `page`, where values of eight bytes begin at `start`, into the beginning of `out`;
    /// returns how many bytes that takes.
    pub(crate) fn compress(
        &mut self,
        page: &[u8],
        start: usize,
        key: Key,
        out: &mut Vec<u8>,
    ) -> usize {
        let mut output = Elements::begin(page.len(), out);
        self.places.fill(0);
        match key {
            Key::Low(bytes) => self.encode::<true>(page, start, bytes, &mut output),
            Key::High(bytes) => self.encode::<false>(page, start, bytes, &mut output),
        }
        output.at
    }

    #[inline(always)]
    fn encode<const LOW: bool>(
        &mut self,
        page: &[u8],
        start: usize,
        key_bytes: u32,
        output: &mut Elements<'_>,
    ) {
        let values = page[start..].as_chunks::<BYTES>().0;
        let places = &mut *self.places;
        let shift = u64::BITS - 8 * key_bytes;
        let key = |value: u64| if LOW { value << shift } else { value >> shift };
        let slot = |value| (key(value).wrapping_mul(MULTIPLIER) >> (64 - TABLE_BITS)) as usize;
        // `page[..copied]` is done but for a copy of its last bytes, which may yet grow.
        let (mut copied, mut copy_from, mut distance) = (0, 0, 0);
        let Some(first) = values.first() else {
            output.literal(page, 0, page.len());
            return;
        };
        places[slot(u64::from_le_bytes(*first))] = 0;
        for (number, &value) in values.iter().enumerate().skip(1) {
            let value = u64::from_le_bytes(value);
            let place = &mut places[slot(value)];
            let values_back = usize::from((number as u16).wrapping_sub(*place));
            *place = number as u16;
            let known = number - values_back;
            let differ = value ^ u64::from_le_bytes(values[known]);
            let back = values_back * BYTES;
            if (key(differ) != 0) | (back > MAX_DISTANCE) | (back == 0) {
                continue;
            }
            let at = start + number * BYTES;
            let (from, to) = if LOW {
                let before = match known {
                    0 => 0,
                    _ => same_at_end(values[number - 1], values[known - 1]),
                };
                let same = match differ {
                    0 => BYTES,
                    _ => differ.trailing_zeros() as usize / 8,
                };
                (at - before.min(at - copied), at + same)
            } else {
                let same = differ.leading_zeros() as usize / 8;
                (at + BYTES - same, at + BYTES)
            };
            if from == copied && back == distance {
                copied = to;
                continue;
            }
            if distance > 0 {
                output.copy(distance, copied - copy_from);
            }
            output.literal(page, copied, from);
            copy_from = from;
            distance = back;
            copied = to;
        }
        if distance > 0 {
            output.copy(distance, copied - copy_from);
        }
        output.literal(page, copied, page.len());
    }
}

/// Bytes that are the same from the last one on.
#[inline(always)]
fn same_at_end(a: [u8; BYTES], b: [u8; BYTES]) -> usize {
    (u64::from_le_bytes(a) ^ u64::from_le_bytes(b)).leading_zeros() as usize / 8
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

    use proptest::prelude::*;

    use super::*;

    fn comes_back(page: &[u8], start: usize) -> usize {
        let (mut compressor, mut out) = (WordCompressor::default(), Vec::new());
        let chosen = compressor.choose(&page[start..], &mut out);
        for key in KEYS {
            let len = compressor.compress(page, start, key, &mut out);
            assert!(len <= snap::raw::max_compress_len(page.len()));
            let back = snap::raw::Decoder::new().decompress_vec(&out[..len]);
            assert!(back.unwrap() == page, "{key:?}");
        }
        compressor.compress(page, start, chosen, &mut out)
    }

    fn bytes(values: impl Iterator<Item = u64>) -> Vec<u8> {
        values.flat_map(u64::to_le_bytes).collect()
    }

    fn noise(i: u64) -> u64 {
        (i ^ 77).wrapping_mul(0x5851_f42d_4c95_7f2d).rotate_left(31)
    }

    #[test]
    fn numbers_shrink_as_by_the_library() {
        let pages = [
            bytes((0..16_384).map(|i| noise(i) % 200_000)),
            bytes((0..16_384).map(|i| ((noise(i) % 100_000) as f64 / 10_000.0).to_bits())),
            bytes((0..16_384).map(|i| ((noise(i) % 9_000_000) as f64 / 100.0).to_bits())),
            bytes((0..16_384).map(|i| 1_700_000_000_000_000 + i * 1_000_000)),
            bytes((0..16_384).map(|i| i / 4)),
        ];
        for (index, page) in pages.iter().enumerate() {
            let ours = comes_back(page, 0);
            let theirs = snap::raw::Encoder::new().compress_vec(page).unwrap().len();
            assert!(ours * 10 <= theirs * 11, "{index}: {ours}, {theirs}");
        }
    }

    #[test]
    fn pages_of_odd_sizes() {
        for len in [0, 1, 7, 8, 9, 15, 16, 17, 63, 64, 65, 1_000, 70_001] {
            for start in [0, 3, 8, 100] {
                comes_back(&vec![7; len], start.min(len));
                let noise: Vec<u8> = (0..len as u64).map(|i| noise(i) as u8).collect();
                comes_back(&noise, start.min(len));
            }
        }
        // More values than a place can number.
        comes_back(&bytes((0..70_000).map(|i| noise(i) % 1_000)), 0);
    }

    proptest! {
        #[test]
        fn any_page_comes_back(
            stretches in prop::collection::vec((1_usize..3_000, 0_u64..5, any::<u64>()), 0..8),
            head in prop::collection::vec(any::<u8>(), 0..30),
            tail in prop::collection::vec(any::<u8>(), 0..8),
        ) {
            let values = stretches.into_iter().flat_map(|(count, kind, seed)| {
                (0..count as u64).map(move |i| match kind {
                    0 => seed,
                    1 => seed + i % 300,
                    2 => noise(i ^ seed) % 10_000,
                    3 => noise(i) << 40 | seed >> 30,
                    _ => noise(i ^ seed),
                })
            });
            let mut page = head.clone();
            page.extend(bytes(values.collect::<Vec<_>>().into_iter()));
            page.extend(tail);
            comes_back(&page, head.len());
        }
    }
}
