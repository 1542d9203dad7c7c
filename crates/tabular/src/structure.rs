//! Where the bytes are that give a CSV file its structure: 64 bytes at a time, as a bit mask.
//!
//! On x86-64 this is SSE2; elsewhere a plain loop that gives the same masks.

/// The bytes looked for: delimiter, quote, escape and both line ends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Marks {
    pub(crate) delimiter: u8,
    pub(crate) quote: u8,
    /// The quote again where there is no escape byte.
    pub(crate) escape: u8,
}

/// Bytes covered by one mask.
pub(crate) const LANE: usize = 64;

impl Marks {
    /// Bit `i` is set where `bytes[i]` is one of the marks.
    #[inline]
    pub(crate) fn mask(&self, bytes: &[u8; LANE]) -> u64 {
        #[cfg(target_arch = "x86_64")]
        {
            #[expect(
                unsafe_code,
                reason = "a call across target features; every x86-64 processor has SSE2"
            )]
            // SAFETY: SSE2 is part of the x86-64 baseline, and the function only computes on values.
            unsafe {
                self.mask_sse2(bytes)
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        {
            self.mask_plain(bytes)
        }
    }

    /// The same for fewer than 64 bytes.
    pub(crate) fn mask_tail(&self, bytes: &[u8]) -> u64 {
        let mut lane = [0u8; LANE];
        lane[..bytes.len()].copy_from_slice(bytes);
        self.mask(&lane) & ((1u64 << bytes.len()) - 1)
    }

    #[cfg(any(test, not(target_arch = "x86_64")))]
    fn mask_plain(&self, bytes: &[u8; LANE]) -> u64 {
        bytes.iter().enumerate().fold(0, |mask, (i, &b)| {
            let hit = b == self.delimiter
                || b == self.quote
                || b == self.escape
                || b == b'\n'
                || b == b'\r';
            mask | (u64::from(hit) << i)
        })
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "sse2")]
    #[inline]
    fn mask_sse2(&self, bytes: &[u8; LANE]) -> u64 {
        let (quarters, _) = bytes.as_chunks::<16>();
        let mut mask = 0;
        for (i, quarter) in quarters.iter().enumerate() {
            mask |= self.mask_16(quarter) << (16 * i);
        }
        mask
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "sse2")]
    #[inline]
    fn mask_16(&self, bytes: &[u8; 16]) -> u64 {
        use std::arch::x86_64::{
            _mm_cmpeq_epi8, _mm_movemask_epi8, _mm_or_si128, _mm_set_epi64x, _mm_set1_epi8,
        };
        let all = u128::from_le_bytes(*bytes);
        let lane = _mm_set_epi64x((all >> 64) as i64, all as i64);
        let mut hits = _mm_cmpeq_epi8(lane, _mm_set1_epi8(self.delimiter as i8));
        for mark in [self.quote, self.escape, b'\n', b'\r'] {
            hits = _mm_or_si128(hits, _mm_cmpeq_epi8(lane, _mm_set1_epi8(mark as i8)));
        }
        u64::from(_mm_movemask_epi8(hits) as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn both_ways_give_the_same_mask(bytes in proptest::array::uniform32(any::<u8>()), len in 0usize..LANE) {
            let mut lane = [b','; LANE];
            lane[..32].copy_from_slice(&bytes);
            lane[32..].copy_from_slice(&bytes.map(|b| [b',', b'"', b'\\', b'\n', b'\r', b'x'][usize::from(b) % 6]));
            let marks = Marks { delimiter: b',', quote: b'"', escape: b'\\' };
            prop_assert_eq!(marks.mask(&lane), marks.mask_plain(&lane));
            let short = marks.mask_tail(&lane[..len]);
            prop_assert_eq!(short, marks.mask_plain(&lane) & ((1u64 << len) - 1));
        }
    }
}
