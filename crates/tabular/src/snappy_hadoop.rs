//! Snappy as Hadoop's `SnappyCodec` stores it (file extension `.snappy`); Hive and Spark do the same.
//!
//! A stream is blocks: the block's plain length, then chunks until that length is reached, each with
//! its packed length and one raw Snappy block. Lengths are four bytes, big endian. There is no
//! signature, no checksum and no end mark, so that streams may follow one another, and a cut between
//! two blocks cannot be seen here. (Hadoop: `BlockCompressorStream`, `BlockDecompressorStream`.)

use std::io::{self, Read};
use std::iter;

use crate::chunked::{BlockFormat, Chunks, Counted};
use crate::snappy_blocks::{Block, expand_blocks, plain_length};
use crate::snappy_fragments::FragmentCompressor;

/// Default of `io.compression.codec.snappy.buffersize` (Hadoop, `core-default.xml`). A reader there
/// decodes no chunk that is larger, packed or plain.
const BUFFER_BYTES: usize = 256 * 1024;
/// What `SnappyCodec` keeps free for data that does not compress: a sixth and 32 bytes.
const OVERHEAD_BYTES: usize = BUFFER_BYTES / 6 + 32;
/// Plain bytes of a block of ours: the most that Hadoop's own writer puts in a chunk.
pub(crate) const BLOCK_BYTES: usize = BUFFER_BYTES - OVERHEAD_BYTES;
/// Most plain bytes of a chunk that are read: 256 times Hadoop's default, for writers that were
/// given larger buffers.
pub(crate) const MAX_CHUNK_BYTES: usize = 64 * 1024 * 1024;
/// Most packed bytes of such a chunk: `32 + n + n / 6` (snappy.cc, `MaxCompressedLength`).
const MAX_PACKED_BYTES: usize = 32 + MAX_CHUNK_BYTES + MAX_CHUNK_BYTES / 6;
/// Most plain bytes of a block: a length is a signed integer there.
const MAX_BLOCK_BYTES: u32 = i32::MAX as u32;
/// Most that Snappy expands: a copy of 64 bytes is stored in three (google/snappy,
/// `format_description.txt`, 2.2), so fewer than 22 bytes of text for one.
const MAX_EXPANSION: u64 = 22;

/// What a stream is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Piece {
    /// A block of no bytes, as an empty file has it, and the end of some others.
    EmptyBlock,
    /// The first chunk of a block that says that it holds so many bytes.
    FirstChunk(u32),
    /// Another chunk of the same block.
    NextChunk,
}

/// Reads chunk by chunk. Memory: one chunk beside the caller's buffer, at most 75 MiB and never more
/// than twice what was read.
pub(crate) struct HadoopReader<R> {
    source: Counted<R>,
    /// Where the block begins.
    block: u64,
    /// Plain bytes that are still to come in the block.
    left: u32,
    packed: Vec<u8>,
    decoder: snap::raw::Decoder,
}

impl<R: Read> HadoopReader<R> {
    pub(crate) fn new(source: R) -> HadoopReader<R> {
        HadoopReader {
            source: Counted::new(source),
            block: 0,
            left: 0,
            packed: Vec::new(),
            decoder: snap::raw::Decoder::new(),
        }
    }

    /// Compressed bytes read.
    pub(crate) fn offset(&self) -> u64 {
        self.source.offset
    }

    /// The next piece, its plain bytes in `plain` (emptied first); `None` at the end.
    pub(crate) fn next(&mut self, plain: &mut Vec<u8>) -> io::Result<Option<Piece>> {
        plain.clear();
        let mut piece = Piece::NextChunk;
        if self.left == 0 {
            let Some(length) = self.open_block()? else {
                return Ok(None);
            };
            if length == 0 {
                return Ok(Some(Piece::EmptyBlock));
            }
            piece = Piece::FirstChunk(length);
        }
        self.chunk(plain)?;
        Ok(Some(piece))
    }

    fn open_block(&mut self) -> io::Result<Option<u32>> {
        self.block = self.source.offset;
        let mut length = [0; 4];
        match self.source.fill(&mut length)? {
            // Hadoop writes one empty block for no data, so no bytes at all are none of its files.
            0 if self.block > 0 => return Ok(None),
            4 => {}
            _ => return Err(self.cut_short()),
        }
        let length = u32::from_be_bytes(length);
        if length > MAX_BLOCK_BYTES {
            return Err(self.invalid(
                self.block,
                &format!("a block holds at most {MAX_BLOCK_BYTES} bytes, this one says {length}"),
            ));
        }
        self.left = length;
        Ok(Some(length))
    }

    fn chunk(&mut self, plain: &mut Vec<u8>) -> io::Result<()> {
        let start = self.source.offset;
        let mut length = [0; 4];
        if self.source.fill(&mut length)? < length.len() {
            return Err(self.cut_short());
        }
        // Lengths are checked before anything of that size is read or allocated.
        let length = u32::from_be_bytes(length);
        if length == 0 || length as usize > MAX_PACKED_BYTES {
            return Err(self.invalid(
                start,
                &format!("a chunk has 1 to {MAX_PACKED_BYTES} bytes, this one says {length}"),
            ));
        }
        let length = u64::from(length);
        if self.source.take_into(length, &mut self.packed)? < length {
            return Err(self.cut_short());
        }
        let written = self.expand(start, plain)?;
        plain.truncate(written);
        // `expand` gives no more than is left.
        self.left -= written as u32;
        Ok(())
    }

    fn expand(&mut self, start: u64, plain: &mut Vec<u8>) -> io::Result<usize> {
        let no_block = |error: snap::Error| format!("its data is no Snappy block: {error}");
        let length = match snap::raw::decompress_len(&self.packed) {
            Ok(length) => length,
            Err(error) => return Err(self.invalid(start, &no_block(error))),
        };
        if let Some(problem) = self.implausible(length) {
            return Err(self.invalid(start, &problem));
        }
        plain.resize(length, 0);
        let elements = plain_length(&self.packed).map(|(_, elements)| elements);
        let block = elements.map(|elements| Block { elements, plain });
        if block.is_some_and(|block| expand_blocks(iter::once(block)).is_some()) {
            return Ok(length);
        }
        // The library says what is wrong.
        let written = self.decoder.decompress(&self.packed, plain);
        written.map_err(|error| self.invalid(start, &no_block(error)))
    }

    /// What is wrong with a chunk that says that it holds `length` plain bytes.
    fn implausible(&self, length: usize) -> Option<String> {
        let packed = self.packed.len();
        if length > self.left as usize {
            let left = self.left;
            Some(format!(
                "its block has {left} bytes left to come, this chunk says {length}"
            ))
        } else if length > MAX_CHUNK_BYTES {
            Some(format!(
                "a chunk holds at most {MAX_CHUNK_BYTES} plain bytes, this one says {length}"
            ))
        } else if length as u64 > packed as u64 * MAX_EXPANSION {
            Some(format!(
                "{packed} bytes of Snappy cannot hold {length} plain bytes"
            ))
        } else {
            None
        }
    }

    fn cut_short(&self) -> io::Error {
        let (block, end) = (self.block, self.source.offset);
        let text = format!(
            "the Hadoop Snappy stream is cut short: the block at compressed byte {block} ends at byte {end}, too early"
        );
        io::Error::new(io::ErrorKind::UnexpectedEof, text)
    }

    fn invalid(&self, at: u64, what: &str) -> io::Error {
        let text = format!(
            "the Hadoop Snappy stream is damaged at compressed byte {at}, in the block at byte {}: {what}",
            self.block
        );
        io::Error::new(io::ErrorKind::InvalidData, text)
    }
}

impl<R: Read> Chunks for HadoopReader<R> {
    const NAME: &'static str = "Hadoop Snappy";

    fn load(&mut self, plain: &mut Vec<u8>) -> io::Result<bool> {
        Ok(self.next(plain)?.is_some())
    }
}

/// Whether `first` can be how such a stream begins: lengths that fit each other and a Snappy block
/// that begins with text, not with a copy of text before it. Fourteen bytes are enough, ten needed.
pub(crate) fn begins_like_hadoop(first: &[u8]) -> bool {
    let word = |at: usize| {
        let bytes = first.get(at..at + 4)?;
        bytes.try_into().ok().map(u32::from_be_bytes)
    };
    let (Some(block), Some(packed)) = (word(0), word(4)) else {
        return false;
    };
    let Some((plain, &[tag, ..])) = plain_length(&first[8..]) else {
        return false;
    };
    let (block, packed, plain) = (u64::from(block), u64::from(packed), plain as u64);
    let chunk_fits = packed <= 32 + plain + plain / 6 && plain <= packed * MAX_EXPANSION;
    block <= u64::from(MAX_BLOCK_BYTES)
        && (1..=block).contains(&plain)
        && chunk_fits
        && is_literal(tag)
}

/// Whether `first` may be a raw Snappy block, in no container. Other data may look like one.
pub(crate) fn begins_like_raw_block(first: &[u8]) -> bool {
    matches!(plain_length(first), Some((1.., &[tag, ..])) if is_literal(tag))
}

/// The two low bits of a tag say what follows: 00 is text (`format_description.txt`, 2.1).
fn is_literal(tag: u8) -> bool {
    tag & 0b11 == 0
}

/// One chunk a block, as large as Hadoop's own: every reader has room for it.
pub(crate) struct HadoopBlocks;

impl BlockFormat for HadoopBlocks {
    const BLOCK_BYTES: usize = BLOCK_BYTES;
    /// 3.3 MiB of plain bytes.
    const BLOCKS_AT_ONCE: usize = 16;
    const BLOCKS_TOGETHER: usize = 1;
    const OPENING: &'static [u8] = &[];
    /// The block that Hadoop's `finish` writes when nothing was written.
    const EMPTY: &'static [u8] = &[0; 4];

    fn pack(compressor: &mut FragmentCompressor, block: &[u8], packed: &mut Vec<u8>) {
        let size = compressor.compress(block, packed);
        packed.truncate(size);
        // Neither is larger than the buffer's 256 KiB.
        let lengths = [block.len(), size].map(|length| (length as u32).to_be_bytes());
        packed.splice(..0, lengths.into_iter().flatten());
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

    use std::io::Write;

    use proptest::prelude::*;

    use super::*;
    use crate::chunked::{BlockWriter, ChunkedReader};
    use crate::compression::{FinishWrite, tests::Shared};

    /// "1,2,3\n" in one block of one chunk.
    const VECTOR: &str = "00000006000000080614312c322c330a";

    fn read(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        let mut reader = ChunkedReader::over(HadoopReader::new(bytes));
        reader.read_to_end(&mut out).map(|_| out)
    }

    fn write_in(pieces: &[&[u8]]) -> Vec<u8> {
        let out = Shared::default();
        let mut w = Box::new(BlockWriter::<HadoopBlocks>::new(Box::new(out.clone())));
        for piece in pieces {
            w.write_all(piece).unwrap();
            w.flush().unwrap();
        }
        w.finish().unwrap();
        out.bytes()
    }

    fn write(plain: &[u8]) -> Vec<u8> {
        write_in(&[plain])
    }

    /// A block as `BlockCompressorStream.write` makes it of more than it has room for.
    fn block_of_chunks(plain: &[u8], chunk_bytes: usize) -> Vec<u8> {
        let mut out = (plain.len() as u32).to_be_bytes().to_vec();
        for chunk in plain.chunks(chunk_bytes) {
            let packed = snap::raw::Encoder::new().compress_vec(chunk).unwrap();
            out.extend((packed.len() as u32).to_be_bytes());
            out.extend(packed);
        }
        out
    }

    fn numbers(seed: u32, count: u32) -> Vec<u8> {
        let text = |i: u32| (i.wrapping_mul(seed) % 99_991).to_string().into_bytes();
        (0..count).flat_map(text).collect()
    }

    #[test]
    fn a_block_is_as_large_as_hadoops_own() {
        // 262,144 - (43,690 + 32)
        assert_eq!(BLOCK_BYTES, 218_422);
        assert!(snap::raw::max_compress_len(BLOCK_BYTES) <= BUFFER_BYTES);
    }

    #[test]
    fn vectors_of_one_row_and_of_none() {
        assert_eq!(hex::encode(write(b"1,2,3\n")), VECTOR);
        assert_eq!(read(&hex::decode(VECTOR).unwrap()).unwrap(), b"1,2,3\n");
        assert_eq!(write(b""), [0; 4]);
        assert_eq!(read(&[0; 4]).unwrap(), b"");
    }

    #[test]
    fn every_block_has_one_chunk_and_its_lengths() {
        let plain = numbers(7, 200_000);
        let whole = write(&plain);
        let (mut reader, mut buffer) = (HadoopReader::new(whole.as_slice()), Vec::new());
        let mut lengths = Vec::new();
        while let Some(piece) = reader.next(&mut buffer).unwrap() {
            assert_eq!(piece, Piece::FirstChunk(buffer.len() as u32));
            lengths.push(buffer.len());
        }
        let (last, full) = lengths.split_last().unwrap();
        assert!(full.iter().all(|n| *n == BLOCK_BYTES) && full.len() > 3);
        assert_eq!(full.len() * BLOCK_BYTES + last, plain.len());
        assert_eq!(reader.offset(), whole.len() as u64);
    }

    #[test]
    fn blocks_of_many_chunks_empty_blocks_and_streams_one_after_the_other() {
        let plain = numbers(3, 200_000);
        let mut bytes = block_of_chunks(&plain, 100_000);
        // Hadoop's writer ends so after one large write; then a second file.
        bytes.extend([0; 4]);
        bytes.extend(write(b"tail\n"));
        assert_eq!(
            read(&bytes).unwrap(),
            [&plain, b"tail\n".as_slice()].concat()
        );
        // A chunk of more than Hadoop's default buffer.
        let large = block_of_chunks(&plain, plain.len());
        assert!(plain.len() > BUFFER_BYTES && read(&large).unwrap() == plain);
    }

    #[test]
    fn damage_is_named() {
        let message = |bytes: &[u8]| read(bytes).unwrap_err().to_string();
        let with = |tail: &[u8]| [hex::decode(VECTOR).unwrap().as_slice(), tail].concat();
        insta::assert_snapshot!(message(b""), @"the Hadoop Snappy stream is cut short: the block at compressed byte 0 ends at byte 0, too early");
        insta::assert_snapshot!(message(&with(b"\0\0\0\x06\0\0")), @"the Hadoop Snappy stream is cut short: the block at compressed byte 16 ends at byte 22, too early");
        insta::assert_snapshot!(message(&with(b"\x80\0\0\0\0\0\0\0")), @"the Hadoop Snappy stream is damaged at compressed byte 16, in the block at byte 16: a block holds at most 2147483647 bytes, this one says 2147483648");
        insta::assert_snapshot!(message(&with(b"\0\0\0\x06\0\0\0\0")), @"the Hadoop Snappy stream is damaged at compressed byte 20, in the block at byte 16: a chunk has 1 to 78293706 bytes, this one says 0");
        insta::assert_snapshot!(message(b"a,b\n1,2\n"), @"the Hadoop Snappy stream is damaged at compressed byte 4, in the block at byte 0: a chunk has 1 to 78293706 bytes, this one says 824979978");
        insta::assert_snapshot!(message(b"\0\0\0\x05\0\0\0\x08\x06\x141,2,3\n"), @"the Hadoop Snappy stream is damaged at compressed byte 4, in the block at byte 0: its block has 5 bytes left to come, this chunk says 6");
        insta::assert_snapshot!(message(b"\0\0\0\x07\0\0\0\x08\x06\x141,2,3\n"), @"the Hadoop Snappy stream is cut short: the block at compressed byte 0 ends at byte 16, too early");
        // Lengths that nothing is behind: 64 MiB and more of text in a few bytes.
        insta::assert_snapshot!(message(b"\x7f\xff\xff\xff\0\0\0\x06\x81\x80\x80\x20\0a"), @"the Hadoop Snappy stream is damaged at compressed byte 4, in the block at byte 0: a chunk holds at most 67108864 plain bytes, this one says 67108865");
        insta::assert_snapshot!(message(b"\x7f\xff\xff\xff\0\0\0\x06\x80\x80\x80\x20\0a"), @"the Hadoop Snappy stream is damaged at compressed byte 4, in the block at byte 0: 6 bytes of Snappy cannot hold 67108864 plain bytes");
        let copy_of_nothing = message(b"\0\0\0\x06\0\0\0\x08\x06\x151,2,3\n");
        assert!(
            copy_of_nothing.contains("its data is no Snappy block"),
            "{copy_of_nothing}"
        );
    }

    #[test]
    fn no_more_is_allocated_than_was_read() {
        // A chunk that says 64 MiB, with ten bytes behind it.
        let mut bytes = vec![0x04, 0, 0, 0, 0x04, 0, 0, 0];
        bytes.extend([1; 10]);
        let mut reader = HadoopReader::new(bytes.as_slice());
        let mut plain = Vec::new();
        reader.next(&mut plain).unwrap_err();
        assert!(reader.packed.capacity() < 4096 && plain.capacity() == 0);
    }

    #[test]
    fn the_beginning_tells() {
        for plain in [b"a".to_vec(), b"a,b\n1,2\n".to_vec(), numbers(1, 100_000)] {
            let whole = write(&plain);
            assert!(begins_like_hadoop(&whole[..whole.len().min(14)]));
            let packed = snap::raw::Encoder::new().compress_vec(&plain).unwrap();
            assert!(begins_like_raw_block(&packed) && !begins_like_hadoop(&packed));
        }
        // UTF-16 and UTF-32 text, big endian; zeros.
        for other in ["a,b\n1,2\n3,4\n5", "\u{feff}id,name,score"] {
            let utf16: Vec<u8> = other.encode_utf16().flat_map(u16::to_be_bytes).collect();
            let utf32: Vec<u8> = other
                .chars()
                .flat_map(|c| (c as u32).to_be_bytes())
                .collect();
            assert!(!begins_like_hadoop(&utf16) && !begins_like_hadoop(&utf32));
        }
        assert!(!begins_like_hadoop(&[0; 64]));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(tail in proptest::collection::vec(any::<u8>(), 0..400), headed: bool) {
            let bytes = if headed { [&[0, 0, 1, 0, 0, 0, 0, 40], tail.as_slice()].concat() } else { tail };
            let _ = read(&bytes);
            begins_like_hadoop(&bytes);
        }

        #[test]
        fn the_callers_writes_do_not_show(seed in 1u32..1000, cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..6)) {
            let plain = numbers(seed, 120_000);
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(plain.len())).collect();
            cuts.extend([0, plain.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|w| &plain[w[0]..w[1]]).collect();
            let whole = write(&plain);
            prop_assert!(write_in(&pieces) == whole);
            prop_assert!(read(&whole).unwrap() == plain);
        }

        #[test]
        fn cut_inside_a_block_is_an_error(seed in 1u32..1000, chunk_bytes in 1_000usize..90_000, cut: prop::sample::Index) {
            let plain = numbers(seed, 60_000);
            let (first, second) = plain.split_at(plain.len() / 3);
            let mut whole = block_of_chunks(first, chunk_bytes);
            let end = whole.len();
            whole.extend(block_of_chunks(second, chunk_bytes));
            let cut = cut.index(whole.len());
            let found = read(&whole[..cut]);
            if cut == end {
                prop_assert_eq!(found.unwrap(), first);
            } else {
                prop_assert_eq!(found.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
            }
        }

        #[test]
        fn a_flipped_bit_gives_text_of_the_same_length_or_an_error(plain in proptest::collection::vec(0u8..4, 1..3000), at: prop::sample::Index, bit in 0u8..8) {
            let mut bytes = write(&plain);
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            // Without checksums other text may come of it; never more or less.
            if let Ok(back) = read(&bytes) {
                prop_assert_eq!(back.len(), plain.len());
            }
        }
    }
}
