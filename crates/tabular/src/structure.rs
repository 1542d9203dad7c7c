//! Where the bytes are that give a CSV file its structure: 64 bytes at a time, as bit masks.
//!
//! On x86-64 with AVX2 or SSE2; elsewhere a plain loop that gives the same masks.

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

/// Where each kind of byte is in a lane: bit `i` stands for byte `i`. Escapes are not among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lane {
    pub(crate) delimiters: u64,
    pub(crate) line_feeds: u64,
    pub(crate) returns: u64,
    pub(crate) quotes: u64,
}

impl Lane {
    /// Without what is beyond the first `bytes`, fewer than 64.
    pub(crate) fn cut(self, bytes: usize) -> Self {
        let kept = (1u64 << bytes) - 1;
        Self {
            delimiters: self.delimiters & kept,
            line_feeds: self.line_feeds & kept,
            returns: self.returns & kept,
            quotes: self.quotes & kept,
        }
    }
}

impl Marks {
    /// Bit `i` is set where `bytes[i]` is one of the marks.
    #[inline]
    pub(crate) fn mask(&self, bytes: &[u8; LANE]) -> u64 {
        let lane = self.lane(bytes);
        let escapes = if self.escape == self.quote {
            0
        } else {
            equal(bytes, self.escape)
        };
        lane.delimiters | lane.line_feeds | lane.returns | lane.quotes | escapes
    }

    /// The same for fewer than 64 bytes.
    pub(crate) fn mask_tail(&self, bytes: &[u8]) -> u64 {
        let mut lane = [0u8; LANE];
        lane[..bytes.len()].copy_from_slice(bytes);
        self.mask(&lane) & ((1u64 << bytes.len()) - 1)
    }

    /// Where each kind of mark is.
    #[inline]
    pub(crate) fn lane(&self, bytes: &[u8; LANE]) -> Lane {
        Lane {
            delimiters: equal(bytes, self.delimiter),
            line_feeds: equal(bytes, b'\n'),
            returns: equal(bytes, b'\r'),
            quotes: equal(bytes, self.quote),
        }
    }

    /// The same with AVX2.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    #[inline]
    pub(crate) fn lane_avx2(&self, bytes: &[u8; LANE]) -> Lane {
        Lane {
            delimiters: avx2::equal(bytes, self.delimiter),
            line_feeds: avx2::equal(bytes, b'\n'),
            returns: avx2::equal(bytes, b'\r'),
            quotes: avx2::equal(bytes, self.quote),
        }
    }
}

/// Bit `i` is set where `bytes[i]` is `wanted`.
#[inline]
fn equal(bytes: &[u8; LANE], wanted: u8) -> u64 {
    #[cfg(target_arch = "x86_64")]
    {
        #[expect(
            unsafe_code,
            reason = "a call across target features; every x86-64 processor has SSE2"
        )]
        // SAFETY: SSE2 is part of the x86-64 baseline, and the function only computes on values.
        unsafe {
            sse2::equal(bytes, wanted)
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        equal_plain(bytes, wanted)
    }
}

#[cfg(any(test, not(target_arch = "x86_64")))]
fn equal_plain(bytes: &[u8; LANE], wanted: u8) -> u64 {
    let hits = bytes.iter().enumerate();
    hits.fold(0, |mask, (i, &b)| mask | (u64::from(b == wanted) << i))
}

#[cfg(target_arch = "x86_64")]
mod sse2 {
    use std::arch::x86_64::{_mm_cmpeq_epi8, _mm_movemask_epi8, _mm_set_epi64x, _mm_set1_epi8};

    use super::LANE;

    #[target_feature(enable = "sse2")]
    #[inline]
    pub(super) fn equal(bytes: &[u8; LANE], wanted: u8) -> u64 {
        let (quarters, _) = bytes.as_chunks::<16>();
        let mut mask = 0;
        for (i, quarter) in quarters.iter().enumerate() {
            let all = u128::from_le_bytes(*quarter);
            let lane = _mm_set_epi64x((all >> 64) as i64, all as i64);
            let hits = _mm_cmpeq_epi8(lane, _mm_set1_epi8(wanted as i8));
            mask |= u64::from(_mm_movemask_epi8(hits) as u32) << (16 * i);
        }
        mask
    }
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::{
        _mm256_cmpeq_epi8, _mm256_movemask_epi8, _mm256_set_epi64x, _mm256_set1_epi8,
    };

    use super::LANE;

    #[target_feature(enable = "avx2")]
    #[inline]
    pub(super) fn equal(bytes: &[u8; LANE], wanted: u8) -> u64 {
        let (halves, _) = bytes.as_chunks::<32>();
        let mut mask = 0;
        for (i, half) in halves.iter().enumerate() {
            let (quads, _) = half.as_chunks::<8>();
            let quad = |i: usize| i64::from_le_bytes(quads[i]);
            let lane = _mm256_set_epi64x(quad(3), quad(2), quad(1), quad(0));
            let hits = _mm256_cmpeq_epi8(lane, _mm256_set1_epi8(wanted as i8));
            mask |= u64::from(_mm256_movemask_epi8(hits) as u32) << (32 * i);
        }
        mask
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_way_gives_the_same_masks(bytes in proptest::array::uniform32(any::<u8>()), len in 0usize..LANE) {
            let mut lane = [b','; LANE];
            lane[..32].copy_from_slice(&bytes);
            lane[32..].copy_from_slice(&bytes.map(|b| [b',', b'"', b'\\', b'\n', b'\r', b'x'][usize::from(b) % 6]));
            let marks = Marks { delimiter: b',', quote: b'"', escape: b'\\' };
            let plain = Lane {
                delimiters: equal_plain(&lane, b','),
                line_feeds: equal_plain(&lane, b'\n'),
                returns: equal_plain(&lane, b'\r'),
                quotes: equal_plain(&lane, b'"'),
            };
            prop_assert_eq!(marks.lane(&lane), plain);
            #[cfg(target_arch = "x86_64")]
            if is_x86_feature_detected!("avx2") {
                #[expect(unsafe_code, reason = "a call across target features")]
                // SAFETY: the processor has just been found to have AVX2.
                let lane = unsafe { marks.lane_avx2(&lane) };
                prop_assert_eq!(lane, plain);
            }
            let all = plain.delimiters | plain.line_feeds | plain.returns | plain.quotes | equal_plain(&lane, b'\\');
            prop_assert_eq!(marks.mask(&lane), all);
            prop_assert_eq!(marks.mask_tail(&lane[..len]), all & ((1u64 << len) - 1));
            prop_assert_eq!(plain.cut(len).quotes, plain.quotes & ((1u64 << len) - 1));
        }
    }
}
