//! Raw Snappy of any bytes, three fragments at once.
//!
//! What follows a copy is known when its length is, and that when the place of its bytes has been looked
//! up: a chain of loads that a core waits for most of the time. Fragments of at most 64 KiB do not know
//! each other (google/snappy, `snappy.cc`, `kBlockSize`), so that three of them are worked on in turn, a
//! step each, and a step has no branch on what is hard to guess: it looks up two places, writes
//! the bytes that are still to come and a copy, and keeps what it wrote only if there is one. Long
//! copies and long literals are rare, and leave the turn.
//!
//! The bytes depend on the input alone. Memory: 48 KiB of tables, and at most 3 MiB for the fragments in
//! work, of which only what they shrink to is touched.

use std::hint::select_unpredictable;

use crate::snappy_elements::{Elements, STRIDE, copy_element};

/// Most bytes of a fragment: places in it are numbers of 16 bits, and so are distances of copies.
pub(crate) const FRAGMENT_BYTES: usize = 1 << 16;
/// Fragments that are worked on in turn. Two leave the core waiting, four have more state than there
/// are registers.
pub(crate) const LANES: usize = 3;
/// Fragments whose elements are kept before they are taken.
const FRAGMENTS_AT_ONCE: usize = 8 * LANES;
/// Fewer bytes than this are one fragment: emptying a table takes as long as a few KiB.
const MIN_SPLIT_BYTES: usize = 16 << 10;
/// Bits of a place in a table: 16 KiB a lane, so that three are in a core's first cache. With one more,
/// text takes 1 % less, and 4 % longer.
const TABLE_BITS: u32 = 13;
/// See `HashBytes` in `snappy.cc`.
const MULTIPLIER: u32 = 0x1e35_a7bd;
/// A shorter copy is hardly shorter than what it stands for.
const MIN_COPY: usize = 4;
/// Steps of each lane from one look at their ends to the next.
const ROUNDS: usize = 16;
/// Bytes before a fragment's end that no step begins in: it looks at two places and [`STRIDE`] bytes.
const TAIL: usize = STRIDE + 1;
/// Most bytes that the steps of a round take, and the tail.
const MARGIN: usize = ROUNDS * STRIDE + TAIL;
/// A fragment with as much behind it as can be reached by a number of 16 bits and a stride.
const WINDOW_BYTES: usize = FRAGMENT_BYTES + STRIDE;
/// Elements take no more than `32 + n + n / 6` bytes; a power of two, so that no place in it needs a check.
const SLOT_PLACES: usize = 1 << 17;
/// A step writes this much behind its place: a literal's tag, a stride, and a copy in four bytes.
const SLOT_BYTES: usize = SLOT_PLACES + 1 + STRIDE + 4;

type Window = [u8; WINDOW_BYTES];
type Slot = [u8; SLOT_BYTES];
type Table = [u16; 1 << TABLE_BITS];

/// Kept from page to page.
#[derive(Default)]
pub(crate) struct FragmentCompressor {
    tables: Vec<Table>,
    slots: Vec<Slot>,
    /// Bytes of elements in each slot.
    sizes: Vec<usize>,
    /// The last fragments, with zeros behind them.
    padded: Vec<Window>,
}

impl FragmentCompressor {
    /// Whether [`FragmentCompressor::fragments`] takes the page: it has a byte, and not too many.
    pub(crate) fn is_few(page: &[u8]) -> bool {
        (1..=FRAGMENTS_AT_ONCE * FRAGMENT_BYTES).contains(&page.len())
    }

    /// The elements of a page, without its length: they are kept until the next one.
    pub(crate) fn fragments(&mut self, page: &[u8]) -> Fragments<'_> {
        debug_assert!(Self::is_few(page));
        self.encode(page, even_bytes(page.len()))
    }

    /// Compresses a page into the beginning of `out`; returns how many bytes that takes.
    pub(crate) fn compress(&mut self, page: &[u8], out: &mut Vec<u8>) -> usize {
        let mut output = Elements::begin(page.len(), out);
        for part in page.chunks(FRAGMENTS_AT_ONCE * FRAGMENT_BYTES) {
            self.each(part, even_bytes(part.len()), |_, elements| {
                output.put(elements);
            });
        }
        output.at
    }

    /// Each `block_bytes` of `blocks`, at most [`FRAGMENT_BYTES`], as elements without a length, in order.
    pub(crate) fn each(
        &mut self,
        blocks: &[u8],
        block_bytes: usize,
        mut take: impl FnMut(&[u8], &[u8]),
    ) {
        for blocks in blocks.chunks(FRAGMENTS_AT_ONCE * block_bytes) {
            let fragments = self.encode(blocks, block_bytes);
            for (block, elements) in blocks.chunks(block_bytes).zip(fragments.iter()) {
                take(block, elements);
            }
        }
    }

    fn encode(&mut self, blocks: &[u8], block_bytes: usize) -> Fragments<'_> {
        let count = blocks.len().div_ceil(block_bytes);
        if self.slots.len() < count {
            // Zeros from the system: what is never written takes no memory.
            self.slots = vec![[0; SLOT_BYTES]; count];
            self.sizes = vec![0; count];
        }
        self.tables.resize(LANES, [0; 1 << TABLE_BITS]);
        self.padded.clear();
        for block in (0..count).map(|number| &blocks[number * block_bytes..]) {
            if block.len() < WINDOW_BYTES {
                self.padded.push([0; WINDOW_BYTES]);
                if let Some(padded) = self.padded.last_mut() {
                    padded[..block.len()].copy_from_slice(block);
                }
            }
        }
        let first_padded = count - self.padded.len();
        let window = |number: usize| {
            let whole = blocks[number * block_bytes..].first_chunk();
            whole.or_else(|| self.padded.get(number.checked_sub(first_padded)?))
        };
        let room = self.slots.iter_mut().zip(&mut self.sizes);
        let mut fragments = (0..count).zip(room).filter_map(|(number, (slot, size))| {
            let bytes = block_bytes.min(blocks.len() - number * block_bytes);
            Some((window(number)?, bytes, slot, size))
        });
        let mut lanes: Vec<Lane<'_>> = Vec::with_capacity(LANES);
        for table in &mut self.tables {
            lanes.extend(fragments.next().map(|next| Lane::begin(table, next)));
        }
        while !lanes.is_empty() {
            while lanes.iter().all(|lane| lane.has(MARGIN)) {
                turns(&mut lanes);
            }
            for number in (0..lanes.len()).rev() {
                if !lanes[number].has(MARGIN) {
                    let table = lanes.swap_remove(number).finish();
                    lanes.extend(fragments.next().map(|next| Lane::begin(table, next)));
                }
            }
        }
        Fragments {
            slots: &self.slots[..count],
            sizes: &self.sizes[..count],
        }
    }
}

/// Elements of the fragments of a page.
pub(crate) struct Fragments<'a> {
    slots: &'a [Slot],
    sizes: &'a [usize],
}

impl<'a> Fragments<'a> {
    pub(crate) fn len(&self) -> usize {
        self.sizes.iter().sum()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &'a [u8]> {
        let slots = self.slots.iter().zip(self.sizes);
        slots.map(|(slot, &size)| &slot[..size])
    }
}

/// Bytes of a fragment for which all lanes have as many.
fn even_bytes(len: usize) -> usize {
    let fragments = match len {
        0..MIN_SPLIT_BYTES => 1,
        _ => len.div_ceil(FRAGMENT_BYTES).next_multiple_of(LANES),
    };
    len.div_ceil(fragments)
}

/// [`ROUNDS`] steps of each lane, or fewer.
fn turns(lanes: &mut [Lane<'_>]) {
    if let Ok(three) = <&mut [_; 3]>::try_from(&mut *lanes) {
        take_turns(three);
    } else if let Ok(two) = <&mut [_; 2]>::try_from(&mut *lanes) {
        take_turns(two);
    } else if let Some(one) = lanes.first_chunk_mut() {
        take_turns::<1>(one);
    }
}

#[inline(never)]
fn take_turns<const N: usize>(lanes: &mut [Lane<'_>; N]) {
    // By themselves, they are in registers.
    let mut places: [Place; N] = std::array::from_fn(|lane| lanes[lane].place);
    let mut far = None;
    'turns: for _ in 0..ROUNDS {
        for number in 0..N {
            let lane = &mut lanes[number];
            let step = places[number].step(lane.window, lane.table, lane.slot);
            if let Some(found) = step {
                far = Some((number, found));
                break 'turns;
            }
        }
    }
    for (lane, place) in lanes.iter_mut().zip(places) {
        lane.place = place;
    }
    if let Some((number, found)) = far {
        lanes[number].go_far(found);
    }
}

/// A fragment in work.
struct Lane<'a> {
    window: &'a Window,
    bytes: usize,
    place: Place,
    slot: &'a mut Slot,
    size: &'a mut usize,
    table: &'a mut Table,
}

/// How far a fragment is.
#[derive(Clone, Copy)]
struct Place {
    /// Where to look next.
    at: usize,
    /// What is before is written.
    copied: usize,
    written: usize,
}

/// What is at a place: so many bytes, at most [`STRIDE`], are the same as at `distance` before it.
struct Found {
    len: usize,
    distance: usize,
}

impl<'a> Lane<'a> {
    fn begin(
        table: &'a mut Table,
        (window, bytes, slot, size): (&'a Window, usize, &'a mut Slot, &'a mut usize),
    ) -> Self {
        // Every place that was never met is place 0, which is one to copy from like any other.
        table.fill(0);
        let place = Place {
            at: 1,
            copied: 0,
            written: 0,
        };
        Self {
            window,
            bytes,
            place,
            slot,
            size,
            table,
        }
    }

    /// Whether so many bytes are left.
    #[inline(always)]
    fn has(&self, bytes: usize) -> bool {
        self.place.at + bytes <= self.bytes
    }

    fn go_far(&mut self, found: Found) {
        let Place { at, copied, .. } = self.place;
        let Found { mut len, distance } = found;
        if len < MIN_COPY {
            // The longer nothing was found, the less is looked for.
            self.place.at = at + 1 + (at - copied) / 32;
            return;
        }
        if len == STRIDE {
            let known = &self.window[at - distance + STRIDE..];
            let here = &self.window[at + STRIDE..self.bytes];
            len += here.iter().zip(known).take_while(|(a, b)| a == b).count();
        }
        let mut output = self.literal();
        output.copy(distance, len);
        self.place = Place {
            at: at + len,
            copied: at + len,
            written: output.at,
        };
    }

    /// Writes what is still to come before the place.
    fn literal(&mut self) -> Elements<'_> {
        let Place { at, copied, .. } = self.place;
        let mut output = Elements {
            out: &mut *self.slot,
            at: self.place.written,
        };
        output.any_literal(&self.window[copied..at]);
        output
    }

    fn finish(mut self) -> &'a mut Table {
        while self.has(TAIL) {
            let step = self.place.step(self.window, self.table, self.slot);
            if let Some(found) = step {
                self.go_far(found);
            }
        }
        self.place.at = self.bytes;
        *self.size = self.literal().at;
        self.table
    }
}

impl Place {
    /// Looks at two bytes, goes on behind a copy if one of them begins one, else behind the two.
    /// What there is of a long copy or literal is left to the caller, with the place before it.
    #[inline(always)]
    fn step(&mut self, window: &Window, table: &mut Table, out: &mut Slot) -> Option<Found> {
        let at = self.at % FRAGMENT_BYTES;
        let (first, first_known) = look(window, table, at);
        let (second, second_known) = look(window, table, at + 1);
        let later = first < MIN_COPY;
        let found = !later | (second >= MIN_COPY);
        let len = select_unpredictable(later, second, first);
        let known = select_unpredictable(later, second_known, first_known);
        let at = at + usize::from(later);
        let distance = at.wrapping_sub(known);
        let pending = at.wrapping_sub(self.copied);
        if len >= STRIDE || pending > STRIDE {
            self.at = at;
            return Some(Found { len, distance });
        }
        let literal = self.written % SLOT_PLACES;
        // A literal of one byte has the tag 0, and one of none has none.
        out[literal] = (pending as u8).wrapping_sub(1) << 2;
        let text = literal + usize::from(pending > 0);
        out[text..text + STRIDE].copy_from_slice(&sixteen(window, self.copied));
        let (element, size) = copy_element(distance, len);
        let end = text + pending;
        out[end..end + 4].copy_from_slice(&element.to_le_bytes());
        let next = at + select_unpredictable(found, len, 1);
        self.written = select_unpredictable(found, end + size, literal);
        self.copied = select_unpredictable(found, next, self.copied);
        self.at = next;
        None
    }
}

/// How many bytes at `at` are the same as where its first four were last met, and where that is.
#[inline(always)]
fn look(window: &Window, table: &mut Table, at: usize) -> (usize, usize) {
    let here = sixteen(window, at);
    let word = u32::from_le_bytes([here[0], here[1], here[2], here[3]]);
    let place = &mut table[(word.wrapping_mul(MULTIPLIER) >> (u32::BITS - TABLE_BITS)) as usize];
    let known = usize::from(*place);
    *place = at as u16;
    (same(here, sixteen(window, known)), known)
}

#[inline(always)]
fn sixteen(window: &Window, at: usize) -> [u8; STRIDE] {
    let at = at % FRAGMENT_BYTES;
    let mut bytes = [0; STRIDE];
    bytes.copy_from_slice(&window[at..at + STRIDE]);
    bytes
}

/// Bytes that are the same from the first one on.
#[inline(always)]
fn same(a: [u8; STRIDE], b: [u8; STRIDE]) -> usize {
    let (a, b) = (u128::from_le_bytes(a), u128::from_le_bytes(b));
    #[cfg(target_arch = "x86_64")]
    {
        #[expect(
            unsafe_code,
            reason = "a call across target features; every x86-64 processor has SSE2"
        )]
        // SAFETY: SSE2 is part of the x86-64 baseline, and the function only computes on values.
        unsafe {
            sse2::same(a, b)
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        ((a ^ b).trailing_zeros() / 8) as usize
    }
}

#[cfg(target_arch = "x86_64")]
mod sse2 {
    use std::arch::x86_64::{__m128i, _mm_cmpeq_epi8, _mm_movemask_epi8, _mm_set_epi64x};

    #[target_feature(enable = "sse2")]
    #[inline]
    pub(super) fn same(a: u128, b: u128) -> usize {
        let equal = _mm_movemask_epi8(_mm_cmpeq_epi8(vector(a), vector(b)));
        (!equal).trailing_zeros() as usize
    }

    #[target_feature(enable = "sse2")]
    #[inline]
    fn vector(bytes: u128) -> __m128i {
        _mm_set_epi64x((bytes >> 64) as i64, bytes as i64)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

    use proptest::prelude::*;

    use super::*;

    fn comes_back(page: &[u8]) -> usize {
        let (mut compressor, mut out) = (FragmentCompressor::default(), Vec::new());
        let size = compressor.compress(page, &mut out);
        assert!(size <= snap::raw::max_compress_len(page.len()));
        let back = snap::raw::Decoder::new().decompress_vec(&out[..size]);
        assert!(back.unwrap() == page);
        let again = FragmentCompressor::default().compress(page, &mut Vec::new());
        assert_eq!(again, size);
        // What was compressed before leaves no trace.
        let mut other = Vec::new();
        assert_eq!(compressor.compress(page, &mut other), size);
        assert!(other[..size] == out[..size]);
        size
    }

    fn noise(i: u64) -> u64 {
        (i ^ 77).wrapping_mul(0x5851_f42d_4c95_7f2d).rotate_left(31)
    }

    fn words(bytes: usize) -> Vec<u8> {
        let mut text = Vec::new();
        for i in 0.. {
            if text.len() >= bytes {
                break;
            }
            text.extend(format!("{:x},{} ", noise(i) % 4_000, noise(i) % 77).bytes());
        }
        text.truncate(bytes);
        text
    }

    #[test]
    fn text_shrinks_as_by_the_library() {
        for page in [
            words(1 << 20),
            words(70_000),
            words(3_000),
            vec![b'x'; 1 << 20],
        ] {
            let ours = comes_back(&page);
            let theirs = snap::raw::Encoder::new().compress_vec(&page).unwrap().len();
            assert!(ours * 20 <= theirs * 21, "{ours}, {theirs}");
        }
    }

    #[test]
    fn pages_of_odd_sizes() {
        let edges = [
            TAIL,
            MARGIN,
            MIN_SPLIT_BYTES,
            FRAGMENT_BYTES,
            LANES * FRAGMENT_BYTES,
        ];
        let around = edges.into_iter().flat_map(|edge| edge - 2..edge + 3);
        for len in (0..40).chain(around).chain([100_000, 2_000_000]) {
            comes_back(&vec![7; len]);
            comes_back(&words(len));
            let noise: Vec<u8> = (0..len as u64).map(|i| noise(i) as u8).collect();
            comes_back(&noise);
        }
    }

    #[test]
    fn distances_and_lengths_at_the_limits_of_an_element() {
        for distance in [1, 2, 3, 4, 15, 16, 17, 2_047, 2_048, 65_000, 65_535] {
            for len in [3, 4, 11, 12, 15, 16, 17, 63, 64, 65, 67, 68, 69, 128, 300] {
                let head: Vec<u8> = (0..distance as u64).map(|i| noise(i) as u8).collect();
                let mut page = head.clone();
                page.extend(head.iter().cycle().take(len));
                page.extend((0..40).map(|i| noise(i ^ 0x55) as u8));
                comes_back(&page);
            }
        }
    }

    #[test]
    fn blocks_apart() {
        let text = words(FRAGMENTS_AT_ONCE * FRAGMENT_BYTES + 100_000);
        let (mut compressor, mut back) = (FragmentCompressor::default(), Vec::new());
        compressor.each(&text, FRAGMENT_BYTES, |block, elements| {
            let mut out = Vec::new();
            let mut output = Elements::begin(block.len(), &mut out);
            output.put(elements);
            let size = output.at;
            let plain = snap::raw::Decoder::new()
                .decompress_vec(&out[..size])
                .unwrap();
            assert!(plain == block);
            back.extend(plain);
        });
        assert!(back == text);
    }

    proptest! {
        #[test]
        fn any_page_comes_back(
            stretches in prop::collection::vec((1_usize..9_000, 0_u64..5, any::<u64>()), 0..12),
        ) {
            let bytes = stretches.into_iter().flat_map(|(count, kind, seed)| {
                (0..count as u64).map(move |i| match kind {
                    0 => seed as u8,
                    1 => (noise((i / 7) ^ seed) >> (i % 7 * 8)) as u8 % 9,
                    2 => (noise(i ^ seed) % 3) as u8,
                    3 => (seed >> (i % 8 * 8)) as u8,
                    _ => noise(i ^ seed) as u8,
                })
            });
            comes_back(&bytes.collect::<Vec<u8>>());
        }
    }
}
