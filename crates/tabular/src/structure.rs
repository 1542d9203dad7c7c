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
    /// Bit `i` is set if of the quotes up to byte `i`, it counted, there is an odd number.
    pub(crate) odd_quotes: u64,
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
            odd_quotes: self.odd_quotes & kept,
        }
    }
}

/// The lane of fewer than 64 bytes, at least one.
#[inline(always)]
pub(crate) fn short_lane(tail: &[u8], lane_of: impl Fn(&[u8; LANE]) -> Lane) -> Lane {
    let mut bytes = [0; LANE];
    bytes[..tail.len()].copy_from_slice(tail);
    lane_of(&bytes).cut(tail.len())
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
        let quotes = equal(bytes, self.quote);
        Lane {
            delimiters: equal(bytes, self.delimiter),
            line_feeds: equal(bytes, b'\n'),
            returns: equal(bytes, b'\r'),
            quotes,
            odd_quotes: odd_before_and_at(quotes),
        }
    }

    /// The same with AVX2.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,pclmulqdq")]
    #[inline]
    pub(crate) fn lane_avx2(&self, bytes: &[u8; LANE]) -> Lane {
        let quotes = avx2::equal(bytes, self.quote);
        Lane {
            delimiters: avx2::equal(bytes, self.delimiter),
            line_feeds: avx2::equal(bytes, b'\n'),
            returns: avx2::equal(bytes, b'\r'),
            quotes,
            odd_quotes: carryless::odd_before_and_at(quotes),
        }
    }
}

#[cfg(target_arch = "x86_64")]
impl Marks {
    /// The same with AVX-512.
    #[target_feature(enable = "avx512f,avx512bw,pclmulqdq")]
    #[inline]
    pub(crate) fn lane_avx512(&self, bytes: &[u8; LANE]) -> Lane {
        avx512::lane(self, bytes)
    }
}

/// The first sixteen places of the bits of `bits`, each with `base` added; what comes behind the last
/// means nothing.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi2")]
#[inline]
pub(crate) fn places_avx512(bits: u64, base: u32) -> [u32; 16] {
    avx512::places(bits, base)
}

/// Vectors that the processor has, of those that there is code for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Vectors {
    /// Those that every processor of the kind has.
    Baseline,
    /// AVX2, BMI1, POPCNT and PCLMULQDQ.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// The same, BMI2, and AVX-512 with BW, DQ, VL, VBMI and VBMI2 (Ice Lake and Zen 4, and later ones).
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Vectors {
    /// Asks the processor; the answer is kept by the standard library.
    #[inline]
    pub(crate) fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = is_x86_feature_detected!("avx2")
                && is_x86_feature_detected!("bmi1")
                && is_x86_feature_detected!("popcnt")
                && is_x86_feature_detected!("pclmulqdq");
            let avx512 = is_x86_feature_detected!("bmi2")
                && is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512vbmi")
                && is_x86_feature_detected!("avx512vbmi2");
            match (avx2, avx512) {
                (true, true) => return Self::Avx512,
                (true, false) => return Self::Avx2,
                (false, _) => {}
            }
        }
        Self::Baseline
    }
}

/// Bit `i` is set if of the bits up to `i`, it counted, an odd number is set.
#[inline]
fn odd_before_and_at(mut bits: u64) -> u64 {
    for shift in [1, 2, 4, 8, 16, 32] {
        bits ^= bits << shift;
    }
    bits
}

#[cfg(target_arch = "x86_64")]
mod carryless {
    use std::arch::x86_64::{_mm_clmulepi64_si128, _mm_cvtsi128_si64, _mm_set_epi64x};

    /// The same as a product without carries: each bit is added to all from its place on.
    #[target_feature(enable = "pclmulqdq")]
    #[inline]
    pub(super) fn odd_before_and_at(bits: u64) -> u64 {
        let (bits, ones) = (_mm_set_epi64x(0, bits as i64), _mm_set_epi64x(0, -1));
        _mm_cvtsi128_si64(_mm_clmulepi64_si128::<0>(bits, ones)) as u64
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
    use std::arch::x86_64::{__m256i, _mm256_cmpeq_epi8, _mm256_movemask_epi8, _mm256_set1_epi8};

    use super::LANE;

    #[target_feature(enable = "avx2")]
    #[inline]
    pub(super) fn equal(bytes: &[u8; LANE], wanted: u8) -> u64 {
        let (halves, _) = bytes.as_chunks::<32>();
        let mut mask = 0;
        for (i, half) in halves.iter().enumerate() {
            #[expect(
                unsafe_code,
                reason = "put together from words, the vector takes four loads"
            )]
            // SAFETY: both types are 32 bytes, and any bytes make a vector.
            let lane = unsafe { std::mem::transmute::<[u8; 32], __m256i>(*half) };
            let hits = _mm256_cmpeq_epi8(lane, _mm256_set1_epi8(wanted as i8));
            mask |= u64::from(_mm256_movemask_epi8(hits) as u32) << (32 * i);
        }
        mask
    }
}

#[cfg(target_arch = "x86_64")]
mod avx512 {
    use std::arch::x86_64::{
        __m512i, _mm512_add_epi32, _mm512_castsi512_si128, _mm512_cmpeq_epi8_mask,
        _mm512_cvtepu8_epi32, _mm512_maskz_compress_epi8, _mm512_set1_epi8, _mm512_set1_epi32,
    };

    use super::{LANE, Lane, Marks};

    #[target_feature(enable = "avx512f,avx512bw,pclmulqdq")]
    #[inline]
    pub(super) fn lane(marks: &Marks, bytes: &[u8; LANE]) -> Lane {
        let lane = vector(bytes);
        let equal = |wanted: u8| _mm512_cmpeq_epi8_mask(lane, _mm512_set1_epi8(wanted as i8));
        let quotes = equal(marks.quote);
        Lane {
            delimiters: equal(marks.delimiter),
            line_feeds: equal(b'\n'),
            returns: equal(b'\r'),
            quotes,
            odd_quotes: super::carryless::odd_before_and_at(quotes),
        }
    }

    #[target_feature(enable = "avx512f")]
    #[inline]
    fn vector(bytes: &[u8; LANE]) -> __m512i {
        #[expect(
            unsafe_code,
            reason = "put together from words, the vector takes eight loads"
        )]
        // SAFETY: both types are 64 bytes, and any bytes make a vector.
        unsafe {
            std::mem::transmute::<[u8; LANE], __m512i>(*bytes)
        }
    }

    const NUMBERS: [u8; LANE] = {
        let mut numbers = [0; LANE];
        let mut i = 0;
        while i < LANE {
            numbers[i] = i as u8;
            i += 1;
        }
        numbers
    };

    /// The first sixteen places of the bits of `bits`, each with `base` added; if there are fewer,
    /// what comes behind them means nothing.
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi2")]
    #[inline]
    pub(super) fn places(bits: u64, base: u32) -> [u32; 16] {
        let numbers = _mm512_maskz_compress_epi8(bits, vector(&NUMBERS));
        let wide = _mm512_cvtepu8_epi32(_mm512_castsi512_si128(numbers));
        let places = _mm512_add_epi32(wide, _mm512_set1_epi32(base as i32));
        #[expect(
            unsafe_code,
            reason = "taken apart into words, the vector takes sixteen stores"
        )]
        // SAFETY: both types are 64 bytes, and any bytes make integers.
        unsafe {
            std::mem::transmute::<__m512i, [u32; 16]>(places)
        }
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
                odd_quotes: (0..LANE as u64).fold(0, |odd, i| {
                    odd | u64::from(lane[..=i as usize].iter().filter(|&&b| b == b'"').count() % 2 == 1) << i
                }),
            };
            prop_assert_eq!(marks.lane(&lane), plain);
            #[cfg(target_arch = "x86_64")]
            if Vectors::detect() != Vectors::Baseline {
                #[expect(unsafe_code, reason = "a call across target features")]
                // SAFETY: the processor has just been found to have AVX2 and PCLMULQDQ.
                let lane = unsafe { marks.lane_avx2(&lane) };
                prop_assert_eq!(lane, plain);
            }
            #[cfg(target_arch = "x86_64")]
            if Vectors::detect() == Vectors::Avx512 {
                #[expect(unsafe_code, reason = "calls across target features")]
                // SAFETY: the processor has just been found to have AVX-512 with BW and VBMI2.
                let (lane, places) = unsafe { (marks.lane_avx512(&lane), places_avx512(plain.quotes, 7)) };
                prop_assert_eq!(lane, plain);
                let expected: Vec<u32> = (0..64).filter(|i| plain.quotes >> i & 1 == 1).map(|i| i + 7).take(16).collect();
                prop_assert_eq!(&places[..expected.len()], expected.as_slice());
            }
            let all = plain.delimiters | plain.line_feeds | plain.returns | plain.quotes | equal_plain(&lane, b'\\');
            prop_assert_eq!(marks.mask(&lane), all);
            prop_assert_eq!(marks.mask_tail(&lane[..len]), all & ((1u64 << len) - 1));
            prop_assert_eq!(plain.cut(len).quotes, plain.quotes & ((1u64 << len) - 1));
        }
    }
}
