//! Raw Snappy of 64-bit values, faster than a compressor of any bytes can be.
//!
//! The format (google/snappy, `format_description.txt`) is the length as a varint, and then literals
//! and copies of bytes that came before. Where those are is the compressor's business. Numbers repeat
//! each other byte for byte at the same place of the value: integers in their upper bytes, and
//! doubles that were decimals in their lower ones, since a fraction's bits come round again. So each
//! value is looked up once, by just these bytes, instead of at every byte.

/// Bits of a place in the table: 32 KiB of places stay in a core's first cache.
const TABLE_BITS: u32 = 14;
/// Values that a key is chosen by.
const SAMPLE_VALUES: usize = 1_024;
/// Bytes back that a copy of three bytes can reach.
const MAX_DISTANCE: usize = u16::MAX as usize;
/// Bytes that a copy makes at most.
const MAX_COPY: usize = 64;
/// Bytes that may be written behind the end: literals are copied 16 bytes at a time.
const SLACK: usize = 64;
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
        let mut output = Output::begin(page.len(), out);
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
        output: &mut Output<'_>,
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

/// A compressed page being written; lengths of literals and copies are hard to guess, so there are
/// few branches.
struct Output<'a> {
    out: &'a mut [u8],
    at: usize,
}

/// Writes a page that does not shrink: one literal.
pub(crate) fn store_as_literal(page: &[u8], out: &mut Vec<u8>) -> usize {
    let mut output = Output::begin(page.len(), out);
    output.any_literal(page);
    output.at
}

impl Output<'_> {
    /// Begins with the length.
    fn begin(mut length: usize, out: &mut Vec<u8>) -> Output<'_> {
        // Each copy is shorter than what it stands for, and each literal of more than 60 bytes has
        // up to four more before it: the bound of the library holds here too.
        let most = snap::raw::max_compress_len(length) + SLACK;
        if out.len() < most {
            out.resize(most, 0);
        }
        let mut output = Output { out, at: 0 };
        while length >= 0x80 {
            output.put(&[length as u8 | 0x80]);
            length >>= 7;
        }
        output.put(&[length as u8]);
        output
    }

    fn put(&mut self, bytes: &[u8]) {
        self.out[self.at..self.at + bytes.len()].copy_from_slice(bytes);
        self.at += bytes.len();
    }

    /// Bytes `from..to` of the page as they are; there may be none.
    #[inline(always)]
    fn literal(&mut self, page: &[u8], from: usize, to: usize) {
        let len = to - from;
        if len <= 16 && from + 16 <= page.len() {
            let out = &mut self.out[self.at..self.at + 17];
            out[0] = (len.wrapping_sub(1) << 2) as u8;
            out[1..].copy_from_slice(&page[from..from + 16]);
            self.at += len + usize::from(len > 0);
        } else {
            self.any_literal(&page[from..to]);
        }
    }

    #[inline(never)]
    fn any_literal(&mut self, bytes: &[u8]) {
        // A literal's length is one less than that, in its tag or in the bytes behind that.
        let Some(length) = bytes.len().checked_sub(1) else {
            return;
        };
        let length_bytes = (length as u32).to_le_bytes();
        match length {
            0..60 => self.put(&[(length << 2) as u8]),
            60..0x100 => self.put(&[60 << 2, length_bytes[0]]),
            0x100..0x1_0000 => self.put(&[61 << 2, length_bytes[0], length_bytes[1]]),
            _ => {
                self.put(&[63 << 2]);
                self.put(&length_bytes);
            }
        }
        self.put(bytes);
    }

    /// `len` bytes, at least four, from `distance` bytes back.
    #[inline(always)]
    fn copy(&mut self, distance: usize, mut len: usize) {
        while len > MAX_COPY {
            // So that at least four are left.
            let now = MAX_COPY - if len < MAX_COPY + 4 { 4 } else { 0 };
            self.copy_once(distance, now);
            len -= now;
        }
        self.copy_once(distance, len);
    }

    #[inline(always)]
    fn copy_once(&mut self, distance: usize, len: usize) {
        let near = (len <= 11) & (distance < 2_048);
        let short = 1 | len.wrapping_sub(4) << 2 | (distance >> 8) << 5 | (distance & 0xff) << 8;
        let long = 2 | (len - 1) << 2 | distance << 8;
        let word = if near { short } else { long } as u32;
        self.out[self.at..self.at + 4].copy_from_slice(&word.to_le_bytes());
        self.at += if near { 2 } else { 3 };
    }
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
        let len = store_as_literal(page, &mut out);
        let back = snap::raw::Decoder::new().decompress_vec(&out[..len]);
        assert!(back.unwrap() == page && len <= page.len() + 10);
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
