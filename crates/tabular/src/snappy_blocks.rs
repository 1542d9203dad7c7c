//! Raw Snappy back to its bytes, three blocks at once.
//!
//! Where an element begins is known when the one before it has been looked at: a chain of loads that a
//! core waits for most of the time. Blocks do not know each other, so that three of them are worked
//! on in turn, an element each, and what an element is picks a place to copy from, not a branch
//! (google/snappy, `format_description.txt`). Long literals, overlapping copies and the ends of blocks
//! are rare, and leave the turn.

use std::hint::select_unpredictable;

use crate::structure::Vectors;

/// Blocks that are worked on in turn. Two leave the core waiting, four have more state than there are
/// registers.
const LANES: usize = 3;
/// Bytes that every step copies; longer elements leave the turn.
const STRIDE: usize = 32;
/// Most bytes of an element that a step takes: a tag and a literal.
const ELEMENT_BYTES: usize = 1 + STRIDE;
/// Fewer bytes than this are taken element by element to the end.
const TAIL: usize = 2 * ELEMENT_BYTES;
/// Longest literal whose length is in its tag (section 2.1).
const SHORT_LITERAL: usize = 60;

/// A block to expand.
pub(crate) struct Block<'a> {
    /// What is behind its length.
    pub(crate) elements: &'a [u8],
    /// Where its bytes go: as many as its length says.
    pub(crate) plain: &'a mut [u8],
}

/// The length that a block begins with (section 1), and what is behind it; none if that is no length.
pub(crate) fn plain_length(block: &[u8]) -> Option<(usize, &[u8])> {
    let mut length = 0u64;
    for (place, &byte) in block.iter().take(5).enumerate() {
        length |= u64::from(byte & 0x7f) << (7 * place);
        if byte < 0x80 {
            let length = u32::try_from(length).ok()?;
            return Some((length as usize, &block[place + 1..]));
        }
    }
    None
}

/// Expands all blocks; none if one of them is no Snappy of so many bytes, and then what is in their
/// places is of no use. Memory: nothing but theirs.
pub(crate) fn expand_blocks<'a>(blocks: impl Iterator<Item = Block<'a>>) -> Option<()> {
    match Vectors::detect() {
        Vectors::Baseline => expand(blocks),
        #[cfg(target_arch = "x86_64")]
        #[expect(unsafe_code, reason = "a call across target features")]
        // SAFETY: the processor has just been found to have what the function is compiled for.
        Vectors::Avx2 | Vectors::Avx512 => unsafe { expand_avx2(blocks) },
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi1")]
fn expand_avx2<'a>(blocks: impl Iterator<Item = Block<'a>>) -> Option<()> {
    expand(blocks)
}

#[inline(always)]
fn expand<'a>(blocks: impl Iterator<Item = Block<'a>>) -> Option<()> {
    let mut blocks = blocks.map(Lane::begin);
    let mut lanes: Vec<Lane<'_>> = blocks.by_ref().take(LANES).collect();
    while !lanes.is_empty() {
        let stopped = take_turns(&mut lanes);
        let lane = &mut lanes[stopped];
        lane.take_one_by_one()?;
        if lane.is_finished() {
            match blocks.next() {
                Some(next) => *lane = next,
                None => drop(lanes.swap_remove(stopped)),
            }
        }
    }
    Some(())
}

/// Steps of all lanes until one of them cannot: its number.
#[inline(always)]
fn take_turns(lanes: &mut [Lane<'_>]) -> usize {
    if let Ok(three) = <&mut [_; 3]>::try_from(&mut *lanes) {
        turns_of::<3>(three)
    } else if let Ok(two) = <&mut [_; 2]>::try_from(&mut *lanes) {
        turns_of::<2>(two)
    } else {
        lanes.first_chunk_mut().map_or(0, turns_of::<1>)
    }
}

#[inline(always)]
fn turns_of<const N: usize>(lanes: &mut [Lane<'_>; N]) -> usize {
    loop {
        for (number, lane) in lanes.iter_mut().enumerate() {
            if lane.step().is_none() {
                return number;
            }
        }
    }
}

/// A block in work.
struct Lane<'a> {
    elements: &'a [u8],
    plain: &'a mut [u8],
    /// Bytes taken of the elements, and given.
    taken: usize,
    given: usize,
}

impl<'a> Lane<'a> {
    fn begin(block: Block<'a>) -> Self {
        Self {
            elements: block.elements,
            plain: block.plain,
            taken: 0,
            given: 0,
        }
    }

    fn is_finished(&self) -> bool {
        self.taken == self.elements.len()
    }

    /// Takes an element that has room and is not rare; else nothing is done, and there is none.
    #[inline(always)]
    fn step(&mut self) -> Option<()> {
        let element = self.elements.get(self.taken..)?;
        let element = element.first_chunk::<ELEMENT_BYTES>()?;
        let kind = KINDS[usize::from(element[0])];
        let distance = (u16::from_le_bytes([element[1], element[2]]) & kind.low) | kind.high;
        if distance < u16::from(kind.copied) {
            return None;
        }
        let from = self.given.wrapping_sub(usize::from(distance));
        let before: &[u8; STRIDE] = self.plain.get(from..)?.first_chunk()?;
        let literal: &[u8; STRIDE] = element.last_chunk()?;
        let bytes = *select_unpredictable(kind.copied == 0, literal, before);
        *self.plain.get_mut(self.given..)?.first_chunk_mut()? = bytes;
        self.given += usize::from(kind.given);
        self.taken += usize::from(kind.taken);
        Some(())
    }

    /// Takes one element or, near an end, all that are left.
    #[inline(never)]
    fn take_one_by_one(&mut self) -> Option<()> {
        while !self.is_finished() {
            self.take_one()?;
            let left = (self.elements.len() - self.taken).min(self.plain.len() - self.given);
            if left > TAIL {
                return Some(());
            }
        }
        (self.given == self.plain.len()).then_some(())
    }

    fn take_one(&mut self) -> Option<()> {
        let tag = self.number(1)?;
        let above = tag >> 2;
        match tag & 3 {
            0 if above < SHORT_LITERAL => self.literal(above + 1),
            0 => {
                let length = self.number(above + 1 - SHORT_LITERAL)?;
                self.literal(length + 1)
            }
            1 => {
                let distance = (above >> 3) << 8 | self.number(1)?;
                self.copy(4 + (above & 7), distance)
            }
            bytes => {
                let distance = self.number(if bytes == 2 { 2 } else { 4 })?;
                self.copy(above + 1, distance)
            }
        }
    }

    /// The next number of at most four bytes, little endian.
    fn number(&mut self, bytes: usize) -> Option<usize> {
        let bytes = self.take(bytes)?;
        let each = bytes.iter().rev();
        Some(each.fold(0, |number, &byte| number << 8 | usize::from(byte)))
    }

    fn take(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let (taken, _) = self.elements.get(self.taken..)?.split_at_checked(bytes)?;
        self.taken += bytes;
        Some(taken)
    }

    fn literal(&mut self, length: usize) -> Option<()> {
        let bytes = self.take(length)?;
        let room = self.plain.get_mut(self.given..)?.get_mut(..length)?;
        room.copy_from_slice(bytes);
        self.given += length;
        Some(())
    }

    /// What is copied may begin before the copy and end in it: it then repeats.
    fn copy(&mut self, length: usize, distance: usize) -> Option<()> {
        let from = self.given.checked_sub(distance)?;
        if distance == 0 || length > self.plain.len() - self.given {
            return None;
        }
        let end = self.given + length;
        while self.given < end {
            let bytes = (self.given - from).min(end - self.given);
            self.plain.copy_within(from..from + bytes, self.given);
            self.given += bytes;
        }
        Some(())
    }
}

/// What a tag says of its element; for those that leave the turn, no distance is far enough.
#[derive(Clone, Copy)]
struct Kind {
    taken: u8,
    given: u8,
    /// Bytes given that are copies of earlier ones: all or none.
    copied: u8,
    /// Of the two bytes behind the tag, what belongs to the distance, and what the tag adds to that.
    low: u16,
    high: u16,
}

const KINDS: [Kind; 256] = kinds();

const fn kinds() -> [Kind; 256] {
    let rare = Kind {
        taken: 0,
        given: 0,
        copied: u8::MAX,
        low: 0,
        high: 0,
    };
    let mut kinds = [rare; 256];
    let mut tag = 0;
    while tag < 256 {
        // Not above 64.
        let length = (tag >> 2) as u8 + 1;
        let short = length as usize <= STRIDE;
        if tag & 3 == 0 && short {
            kinds[tag] = Kind {
                taken: 1 + length,
                given: length,
                copied: 0,
                ..rare
            };
        } else if tag & 3 == 1 {
            let length = 4 + (tag >> 2 & 7) as u8;
            kinds[tag] = Kind {
                taken: 2,
                given: length,
                copied: length,
                low: 0xff,
                high: (tag as u16 >> 5) << 8,
            };
        } else if tag & 3 == 2 && short {
            kinds[tag] = Kind {
                taken: 3,
                given: length,
                copied: length,
                low: 0xffff,
                high: 0,
            };
        }
        tag += 1;
    }
    kinds
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

    use proptest::prelude::*;

    use super::*;

    /// By both ways of this module's own, which must agree.
    fn expanded(packed: &[&[u8]]) -> Option<Vec<Vec<u8>>> {
        let blocks: Option<Vec<_>> = packed.iter().map(|p| plain_length(p)).collect();
        let blocks = blocks?;
        let room = || blocks.iter().map(|(bytes, _)| vec![0; *bytes]).collect();
        let (mut one, mut other): (Vec<Vec<u8>>, Vec<Vec<u8>>) = (room(), room());
        let with = |(&(_, elements), plain)| Block { elements, plain };
        let by_one = expand(
            blocks
                .iter()
                .zip(one.iter_mut().map(Vec::as_mut_slice))
                .map(with),
        );
        let by_other = expand_blocks(
            blocks
                .iter()
                .zip(other.iter_mut().map(Vec::as_mut_slice))
                .map(with),
        );
        assert_eq!(by_one, by_other);
        by_one.inspect(|()| assert_eq!(one, other)).map(|()| one)
    }

    fn packed(plain: &[u8]) -> Vec<u8> {
        snap::raw::Encoder::new().compress_vec(plain).unwrap()
    }

    /// Bytes with copies of all lengths and distances.
    fn plain() -> impl Strategy<Value = Vec<u8>> {
        let word = proptest::collection::vec(b'a'..b'f', 1..90);
        let step = (
            any::<prop::sample::Index>(),
            1usize..90,
            word,
            any::<bool>(),
        );
        proptest::collection::vec(step, 0..200).prop_map(|steps| {
            let mut plain: Vec<u8> = Vec::new();
            for (from, length, word, again) in steps {
                if again && !plain.is_empty() {
                    let from = from.index(plain.len());
                    for place in from..from + length {
                        plain.push(plain[place]);
                    }
                } else {
                    plain.extend(word);
                }
            }
            plain
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn gives_back_what_the_peer_packed(blocks in proptest::collection::vec(plain(), 0..9)) {
            let stored: Vec<Vec<u8>> = blocks.iter().map(|b| packed(b)).collect();
            let stored: Vec<&[u8]> = stored.iter().map(Vec::as_slice).collect();
            prop_assert_eq!(expanded(&stored), Some(blocks));
        }

        #[test]
        fn judges_damage_as_the_peer_does(
            plain in plain(),
            damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
            cut: Option<prop::sample::Index>,
        ) {
            let mut stored = packed(&plain);
            for (at, byte) in damage {
                let at = at.index(stored.len());
                stored[at] = byte;
            }
            if let Some(cut) = cut {
                stored.truncate(cut.index(stored.len() + 1));
            }
            if plain_length(&stored).is_none_or(|(length, _)| length < 1 << 20) {
                let peer = snap::raw::Decoder::new().decompress_vec(&stored).ok();
                // No bytes at all are no block here; the peer takes them for an empty one.
                let peer = peer.filter(|_| !stored.is_empty());
                prop_assert_eq!(expanded(&[&stored]).map(|mut all| all.remove(0)), peer);
            }
        }

        #[test]
        fn any_elements_are_judged_as_the_peer_does(
            length in 0u8..128,
            elements in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let mut stored = vec![length];
            stored.extend(elements);
            let peer = snap::raw::Decoder::new().decompress_vec(&stored).ok();
            prop_assert_eq!(expanded(&[&stored]).map(|mut all| all.remove(0)), peer);
        }
    }

    #[test]
    fn takes_elements_that_no_encoder_here_writes() {
        // A copy by a distance of four bytes, a literal with a length of three, a run.
        let mut stored = vec![24, 0, b'a', (7 << 2) | 3, 1, 0, 0, 0, 62 << 2, 14, 0, 0];
        stored.extend(*b"0123456789abcde");
        let back = expanded(&[&stored]).unwrap();
        assert_eq!(back[0], b"aaaaaaaaa0123456789abcde");
    }

    #[test]
    fn lengths_are_those_of_the_format() {
        assert_eq!(plain_length(&[64, 7]), Some((64, &[7][..])));
        assert_eq!(
            plain_length(&[0xfe, 0xff, 0x7f]),
            Some((2_097_150, &[][..]))
        );
        assert_eq!(
            plain_length(&[0xff, 0xff, 0xff, 0xff, 0x0f]).unwrap().0,
            u32::MAX as usize
        );
        assert_eq!(plain_length(&[0xff, 0xff, 0xff, 0xff, 0x1f]), None);
        assert_eq!(plain_length(&[0x80]), None);
        assert_eq!(plain_length(&[]), None);
    }
}
