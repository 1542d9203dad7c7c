//! The Snappy framing format: google/snappy, `framing_format.txt` (file extension `.sz`).
//!
//! A stream is a stream identifier and then chunks: a type byte, a length of three bytes (little
//! endian), the data. A data chunk holds at most 65,536 plain bytes and starts with their masked
//! CRC-32C (sections 3 and 4). Streams may follow one another; nothing marks the end, so a cut
//! between two chunks cannot be seen here: rows and bytes are recorded elsewhere.

use std::io::{self, Read};
use std::ops::Range;

use crc_fast::CrcAlgorithm;

use crate::aligned_memory::Room;
use crate::chunked::{BlockFormat, Chunks, Counted};
use crate::snappy_blocks::{Block, expand_blocks, plain_length};
use crate::snappy_elements::Elements;
use crate::snappy_fragments::{FRAGMENT_BYTES, FragmentCompressor, LANES};

/// The chunk that opens every stream (section 4.1).
pub(crate) const STREAM_IDENTIFIER: [u8; 10] = *b"\xff\x06\x00\x00sNaPpY";
/// Most plain bytes in one chunk (sections 4.2 and 4.3).
pub(crate) const MAX_BLOCK_BYTES: usize = 65_536;
const _: () = assert!(MAX_BLOCK_BYTES <= FRAGMENT_BYTES);
/// Most bytes that Snappy makes of [`MAX_BLOCK_BYTES`]: `32 + n + n / 6` (snappy.cc).
const MAX_COMPRESSED_BYTES: usize = 32 + MAX_BLOCK_BYTES + MAX_BLOCK_BYTES / 6;
/// Chunks that a reader expands together.
const CHUNKS_TOGETHER: usize = 2 * LANES;
/// The masking constant of section 3.
const CRC_MASK: u32 = 0xa282_ead8;

/// The masked CRC-32C of section 3: a stored checksum that is checksummed again stays sound.
pub(crate) fn masked_crc32c(data: &[u8]) -> u32 {
    // A CRC of 32 bits always fits.
    let crc = crc_fast::checksum(CrcAlgorithm::Crc32Iscsi, data) as u32;
    crc.rotate_right(15).wrapping_add(CRC_MASK)
}

/// What a chunk is, by its type byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChunkKind {
    /// 0xff
    StreamIdentifier,
    /// 0x00
    Compressed,
    /// 0x01
    Uncompressed,
    /// 0xfe, and 0x80 to 0xfd, which a reader must skip.
    Skipped,
}

/// One chunk as it was met, already checked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Chunk {
    pub(crate) kind: ChunkKind,
    /// Its bytes in the file, type and length included.
    pub(crate) stored_bytes: u64,
    /// Its plain bytes.
    pub(crate) plain_bytes: u64,
}

/// Data chunks as they are stored, to be expanded apart from reading them. Kept from batch to batch.
#[derive(Default)]
pub(crate) struct StoredChunks {
    /// Of these the first `used`; what is behind is left from before.
    bytes: Vec<u8>,
    used: usize,
    chunks: Vec<StoredChunk>,
}

struct StoredChunk {
    kind: ChunkKind,
    /// Where the chunk starts in the stream.
    start: u64,
    checksum: u32,
    /// Its data in the batch.
    data: Range<usize>,
}

impl StoredChunks {
    pub(crate) fn clear(&mut self) {
        self.used = 0;
        self.chunks.clear();
    }

    pub(crate) fn len(&self) -> usize {
        self.chunks.len()
    }

    /// Puts the plain bytes of the chunks, each checked, at the beginning of `plain`, up to the first
    /// fault: how many there are, and the fault. What is behind them is left from before.
    pub(crate) fn expand(
        &self,
        decoder: &mut snap::raw::Decoder,
        plain: &mut impl Room,
    ) -> (usize, io::Result<()>) {
        match self.expand_together(plain) {
            Some(bytes) => (bytes, Ok(())),
            None => self.expand_each(decoder, plain),
        }
    }

    /// The same for chunks without fault; none if there is one, wherever it is.
    fn expand_together(&self, plain: &mut impl Room) -> Option<usize> {
        let lengths: Option<Vec<usize>> = self.chunks.iter().map(|c| self.length_of(c)).collect();
        let lengths = lengths?;
        let bytes = lengths.iter().sum();
        let plain = &mut plain.at_least(bytes)[..bytes];
        let mut rest = &mut *plain;
        let places = lengths.iter().map(|&length| {
            let (place, behind) = std::mem::take(&mut rest).split_at_mut(length);
            rest = behind;
            place
        });
        let blocks = self.chunks.iter().zip(places).filter_map(|(chunk, plain)| {
            let data = &self.bytes[chunk.data.clone()];
            if chunk.kind == ChunkKind::Uncompressed {
                plain.copy_from_slice(data);
                return None;
            }
            let (_, elements) = plain_length(data)?;
            Some(Block { elements, plain })
        });
        expand_blocks(blocks)?;
        let mut at = 0;
        let mut sound = self.chunks.iter().zip(lengths).map(|(chunk, length)| {
            at += length;
            masked_crc32c(&plain[at - length..at]) == chunk.checksum
        });
        sound.all(|sound| sound).then_some(bytes)
    }

    /// Plain bytes of the chunk; none if it says nothing of them, or too many.
    fn length_of(&self, chunk: &StoredChunk) -> Option<usize> {
        let data = &self.bytes[chunk.data.clone()];
        let length = match chunk.kind {
            ChunkKind::Uncompressed => data.len(),
            _ => plain_length(data)?.0,
        };
        (length <= MAX_BLOCK_BYTES).then_some(length)
    }

    /// One after the other.
    fn expand_each(
        &self,
        decoder: &mut snap::raw::Decoder,
        plain: &mut impl Room,
    ) -> (usize, io::Result<()>) {
        let mut at = 0;
        for chunk in &self.chunks {
            match self.expand_one(chunk, decoder, plain, at) {
                Ok(bytes) => at += bytes,
                Err(fault) => return (at, Err(fault)),
            }
        }
        (at, Ok(()))
    }

    fn expand_one(
        &self,
        chunk: &StoredChunk,
        decoder: &mut snap::raw::Decoder,
        plain: &mut impl Room,
        at: usize,
    ) -> io::Result<usize> {
        let (start, data) = (chunk.start, &self.bytes[chunk.data.clone()]);
        let bad =
            |error: snap::Error| invalid(start, &format!("its data is no Snappy block: {error}"));
        let length = match chunk.kind {
            ChunkKind::Uncompressed => data.len(),
            _ => snap::raw::decompress_len(data).map_err(bad)?,
        };
        check_plain_length(length, start)?;
        let plain = &mut plain.at_least(at + length)[at..at + length];
        match chunk.kind {
            ChunkKind::Uncompressed => plain.copy_from_slice(data),
            _ => {
                decoder.decompress(data, plain).map_err(bad)?;
            }
        }
        let (expected, found) = (chunk.checksum, masked_crc32c(plain));
        if expected == found {
            return Ok(length);
        }
        Err(invalid(
            start,
            &format!("the checksum of its data is {found:#010x}, the chunk says {expected:#010x}"),
        ))
    }
}

/// Reads chunk by chunk, checking each. Memory: [`CHUNKS_TOGETHER`] chunks (142 KiB each) beside the
/// caller's buffer.
pub(crate) struct ChunkReader<R> {
    source: Counted<R>,
    stored: StoredChunks,
    decoder: snap::raw::Decoder,
    /// What is to be told once the chunks before it have been given.
    fault: Option<io::Error>,
}

impl<R: Read> ChunkReader<R> {
    pub(crate) fn new(source: R) -> ChunkReader<R> {
        ChunkReader {
            source: Counted::new(source),
            stored: StoredChunks::default(),
            decoder: snap::raw::Decoder::new(),
            fault: None,
        }
    }

    /// The next chunk, its plain bytes in `plain` (emptied first); `None` at the end.
    pub(crate) fn next(&mut self, plain: &mut Vec<u8>) -> io::Result<Option<Chunk>> {
        plain.clear();
        let start = self.source.offset;
        let Some((kind, length)) = self.header()? else {
            return Ok(None);
        };
        match kind {
            ChunkKind::Skipped => self.skip(length, start)?,
            ChunkKind::StreamIdentifier => self.identifier(length, start)?,
            ChunkKind::Compressed | ChunkKind::Uncompressed => {
                self.data(kind, length, start, plain)?;
            }
        }
        let stored_bytes = self.source.offset - start;
        Ok(Some(Chunk {
            kind,
            stored_bytes,
            plain_bytes: plain.len() as u64,
        }))
    }

    fn header(&mut self) -> io::Result<Option<(ChunkKind, usize)>> {
        let start = self.source.offset;
        let mut header = [0u8; 4];
        let got = self.source.fill(&mut header)?;
        if got == 0 && start > 0 {
            return Ok(None);
        }
        if got < header.len() {
            return Err(cut_short(start, self.source.offset));
        }
        let [kind, a, b, c] = header;
        if start == 0 && kind != STREAM_IDENTIFIER[0] {
            return Err(invalid(
                start,
                "a stream must start with the stream identifier (ff 06 00 00 sNaPpY)",
            ));
        }
        let length = u32::from_le_bytes([a, b, c, 0]) as usize;
        let kind = match kind {
            0x00 => ChunkKind::Compressed,
            0x01 => ChunkKind::Uncompressed,
            0x02..=0x7f => {
                return Err(invalid(
                    start,
                    &format!("chunk type {kind:#04x} is reserved and must not be skipped"),
                ));
            }
            0x80..=0xfe => ChunkKind::Skipped,
            0xff => ChunkKind::StreamIdentifier,
        };
        Ok(Some((kind, length)))
    }

    /// Passes over a chunk without data. One whose bytes are those of a data chunk has lost its type.
    fn skip(&mut self, length: usize, start: u64) -> io::Result<()> {
        if !(4..=4 + MAX_COMPRESSED_BYTES).contains(&length) {
            let got = self.source.skip(length as u64)?;
            return match got < length as u64 {
                true => Err(cut_short(start, self.source.offset)),
                false => Ok(()),
            };
        }
        let mut body = vec![0; length];
        self.fill_all(&mut body, start)?;
        let Some((&checksum, data)) = body.split_first_chunk() else {
            return Ok(());
        };
        let checksum = u32::from_le_bytes(checksum);
        let is_plain = !data.is_empty() && masked_crc32c(data) == checksum;
        let mut expanded = || self.decoder.decompress_vec(data).ok();
        let length = snap::raw::decompress_len(data).unwrap_or(usize::MAX);
        let is_packed = (1..=MAX_BLOCK_BYTES).contains(&length)
            && expanded().is_some_and(|plain| masked_crc32c(&plain) == checksum);
        if is_plain || is_packed {
            let text =
                "its type says that there is nothing in it, and it holds data with their checksum";
            return Err(invalid(start, text));
        }
        Ok(())
    }

    fn identifier(&mut self, length: usize, start: u64) -> io::Result<()> {
        let expected = &STREAM_IDENTIFIER[4..];
        if length != expected.len() {
            return Err(invalid(
                start,
                &format!("a stream identifier has 6 bytes, this one says {length}"),
            ));
        }
        let mut body = [0u8; 6];
        self.fill_all(&mut body, start)?;
        if body == expected {
            Ok(())
        } else {
            Err(invalid(start, "the stream identifier is not sNaPpY"))
        }
    }

    fn data(
        &mut self,
        kind: ChunkKind,
        length: usize,
        start: u64,
        plain: &mut Vec<u8>,
    ) -> io::Result<()> {
        let mut stored = std::mem::take(&mut self.stored);
        stored.clear();
        let expanded = self
            .store(kind, length, start, &mut stored)
            .and_then(|()| stored.expand(&mut self.decoder, plain).1);
        self.stored = stored;
        expanded
    }

    /// The plain bytes of the next chunks, in `plain`; false at the end. What comes before a fault is
    /// given before it is told.
    fn next_together(&mut self, plain: &mut Vec<u8>) -> io::Result<bool> {
        let mut stored = std::mem::take(&mut self.stored);
        stored.clear();
        let mut ended = false;
        while !ended && self.fault.is_none() && stored.len() < CHUNKS_TOGETHER {
            match self.next_stored(&mut stored) {
                Ok(more) => ended = !more,
                Err(fault) => self.fault = Some(fault),
            }
        }
        let (bytes, expanded) = stored.expand(&mut self.decoder, plain);
        plain.truncate(bytes);
        self.stored = stored;
        // Of two faults, this one comes first.
        self.fault = expanded.err().or(self.fault.take());
        match self.fault.take_if(|_| bytes == 0) {
            Some(fault) => Err(fault),
            None => Ok(!ended || bytes > 0),
        }
    }

    /// Appends the next data chunk, unexpanded; false at the end of the source.
    pub(crate) fn next_stored(&mut self, batch: &mut StoredChunks) -> io::Result<bool> {
        loop {
            let start = self.source.offset;
            let Some((kind, length)) = self.header()? else {
                return Ok(false);
            };
            match kind {
                ChunkKind::Skipped => self.skip(length, start)?,
                ChunkKind::StreamIdentifier => self.identifier(length, start)?,
                ChunkKind::Compressed | ChunkKind::Uncompressed => {
                    self.store(kind, length, start, batch)?;
                    return Ok(true);
                }
            }
        }
    }

    fn store(
        &mut self,
        kind: ChunkKind,
        length: usize,
        start: u64,
        batch: &mut StoredChunks,
    ) -> io::Result<()> {
        // Lengths are checked before anything of that size is read or allocated.
        if !(4..=4 + MAX_COMPRESSED_BYTES).contains(&length) {
            return Err(invalid(
                start,
                &format!(
                    "a data chunk has 4 to {} bytes, this one says {length}",
                    4 + MAX_COMPRESSED_BYTES
                ),
            ));
        }
        let mut checksum = [0u8; 4];
        self.fill_all(&mut checksum, start)?;
        if kind == ChunkKind::Uncompressed {
            check_plain_length(length - 4, start)?;
        }
        let data = batch.used..batch.used + length - 4;
        self.fill_all(&mut batch.bytes.at_least(data.end)[data.clone()], start)?;
        batch.used = data.end;
        batch.chunks.push(StoredChunk {
            kind,
            start,
            checksum: u32::from_le_bytes(checksum),
            data,
        });
        Ok(())
    }

    fn fill_all(&mut self, buf: &mut [u8], start: u64) -> io::Result<()> {
        let got = self.source.fill(buf)?;
        if got < buf.len() {
            Err(cut_short(start, self.source.offset))
        } else {
            Ok(())
        }
    }
}

fn check_plain_length(length: usize, start: u64) -> io::Result<()> {
    if length <= MAX_BLOCK_BYTES {
        return Ok(());
    }
    Err(invalid(
        start,
        &format!("a chunk holds at most {MAX_BLOCK_BYTES} plain bytes, this one says {length}"),
    ))
}

fn cut_short(chunk: u64, end: u64) -> io::Error {
    let text = format!(
        "the framed Snappy stream is cut short: the chunk at compressed byte {chunk} ends at byte {end}, too early"
    );
    io::Error::new(io::ErrorKind::UnexpectedEof, text)
}

fn invalid(chunk: u64, what: &str) -> io::Error {
    let text = format!(
        "the framed Snappy stream is damaged in the chunk at compressed byte {chunk}: {what}"
    );
    io::Error::new(io::ErrorKind::InvalidData, text)
}

impl<R: Read> Chunks for ChunkReader<R> {
    const NAME: &'static str = "framed Snappy";

    fn load(&mut self, plain: &mut Vec<u8>) -> io::Result<bool> {
        self.next_together(plain)
    }
}

/// One block to one chunk. Data that gains less than an eighth is stored as it is.
pub(crate) struct FramedBlocks;

impl BlockFormat for FramedBlocks {
    const BLOCK_BYTES: usize = MAX_BLOCK_BYTES;
    /// 3 MiB of plain bytes.
    const BLOCKS_AT_ONCE: usize = 48;
    const BLOCKS_TOGETHER: usize = 2 * LANES;
    const OPENING: &'static [u8] = &STREAM_IDENTIFIER;
    const EMPTY: &'static [u8] = &[];

    fn pack(compressor: &mut FragmentCompressor, blocks: &[u8], packed: &mut Vec<u8>) {
        packed.clear();
        pack_chunks(compressor, blocks, packed);
    }
}

/// Appends each [`MAX_BLOCK_BYTES`] of `plain`, and what is left of it, as a chunk.
pub(crate) fn pack_chunks(compressor: &mut FragmentCompressor, plain: &[u8], packed: &mut Vec<u8>) {
    compressor.each(plain, MAX_BLOCK_BYTES, |block, elements| {
        // At most five bytes: the length of a block is that of what they stand for.
        let mut prefix = [0; 5];
        let mut length = Elements {
            out: &mut prefix,
            at: 0,
        };
        length.length(block.len());
        let length = length.at;
        let size = length + elements.len();
        if size < block.len() - block.len() / 8 {
            open_chunk(ChunkKind::Compressed, size, block, packed);
            packed.extend_from_slice(&prefix[..length]);
            packed.extend_from_slice(elements);
        } else {
            open_chunk(ChunkKind::Uncompressed, block.len(), block, packed);
            packed.extend_from_slice(block);
        }
    });
}

fn open_chunk(kind: ChunkKind, size: usize, block: &[u8], packed: &mut Vec<u8>) {
    let kind = u8::from(kind == ChunkKind::Uncompressed);
    let [a, b, c, _] = ((4 + size) as u32).to_le_bytes();
    packed.extend_from_slice(&[kind, a, b, c]);
    packed.extend_from_slice(&masked_crc32c(block).to_le_bytes());
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

    use std::io::Write;

    use proptest::prelude::*;

    use super::*;
    use crate::chunked::ChunkedReader;

    const UNCOMPRESSED: &str = "ff060000734e61507059010a00007420932b312c322c330a";
    const COMPRESSED: &str = "ff060000734e61507059000c00007420932b0614312c322c330a";

    fn read(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        ChunkedReader::over(ChunkReader::new(bytes))
            .read_to_end(&mut out)
            .map(|_| out)
    }

    fn write(plain: &[u8]) -> Vec<u8> {
        let mut out = STREAM_IDENTIFIER.to_vec();
        pack_chunks(&mut FragmentCompressor::default(), plain, &mut out);
        out
    }

    #[test]
    fn checksum_of_the_standard_vector() {
        let crc = crc_fast::checksum(CrcAlgorithm::Crc32Iscsi, b"123456789");
        assert_eq!(crc, 0xe306_9283);
        assert_eq!(masked_crc32c(b"1,2,3\n"), 0x2b93_2074);
    }

    #[test]
    fn both_vectors_read_and_the_writer_makes_the_first() {
        for vector in [UNCOMPRESSED, COMPRESSED] {
            assert_eq!(read(&hex::decode(vector).unwrap()).unwrap(), b"1,2,3\n");
        }
        assert_eq!(hex::encode(write(b"1,2,3\n")), UNCOMPRESSED);
    }

    #[test]
    fn streams_padding_and_skippable_chunks_concatenate() {
        let mut bytes = hex::decode(UNCOMPRESSED).unwrap();
        bytes.extend(b"\xfe\x03\x00\x00abc");
        // Larger than any data chunk may be: skipped all the same.
        bytes.extend(b"\x80\x00\x00\x02");
        bytes.resize(bytes.len() + 0x02_0000, 7);
        bytes.extend(hex::decode(COMPRESSED).unwrap());
        assert_eq!(read(&bytes).unwrap(), b"1,2,3\n1,2,3\n");
    }

    #[test]
    fn damage_is_named() {
        let message = |bytes: &[u8]| read(bytes).unwrap_err().to_string();
        let with = |tail: &[u8]| [STREAM_IDENTIFIER.as_slice(), tail].concat();
        insta::assert_snapshot!(message(b""), @"the framed Snappy stream is cut short: the chunk at compressed byte 0 ends at byte 0, too early");
        insta::assert_snapshot!(message(b"a,b\n1,2\n"), @"the framed Snappy stream is damaged in the chunk at compressed byte 0: a stream must start with the stream identifier (ff 06 00 00 sNaPpY)");
        insta::assert_snapshot!(message(&with(b"\x02\x00\x00\x00")), @"the framed Snappy stream is damaged in the chunk at compressed byte 10: chunk type 0x02 is reserved and must not be skipped");
        insta::assert_snapshot!(message(&with(b"\x00\xff\xff\xff")), @"the framed Snappy stream is damaged in the chunk at compressed byte 10: a data chunk has 4 to 76494 bytes, this one says 16777215");
        // An uncompressed chunk of 65,537 bytes, and a block that says that it holds 2^31 bytes.
        insta::assert_snapshot!(message(&with(b"\x01\x05\x00\x01\x00\x00\x00\x00")), @"the framed Snappy stream is damaged in the chunk at compressed byte 10: a chunk holds at most 65536 plain bytes, this one says 65537");
        insta::assert_snapshot!(message(&with(b"\x00\x09\x00\x00\x00\x00\x00\x00\x80\x80\x80\x80\x08")), @"the framed Snappy stream is damaged in the chunk at compressed byte 10: a chunk holds at most 65536 plain bytes, this one says 2147483648");
        insta::assert_snapshot!(message(b"\xff\x06\x00\x00sNaPpX"), @"the framed Snappy stream is damaged in the chunk at compressed byte 0: the stream identifier is not sNaPpY");
        let mut flipped = hex::decode(COMPRESSED).unwrap();
        flipped[20] ^= 1;
        insta::assert_snapshot!(message(&flipped), @"the framed Snappy stream is damaged in the chunk at compressed byte 10: the checksum of its data is 0x01a6d6d4, the chunk says 0x2b932074");
    }

    #[test]
    fn a_damaged_stream_does_not_give_bytes_of_the_bad_chunk() {
        let mut bytes = write(&vec![b'x'; 200_000]);
        let last = bytes.len() - 1;
        bytes[last] ^= 0xff;
        let (mut out, mut reader) = (
            Vec::new(),
            ChunkedReader::over(ChunkReader::new(bytes.as_slice())),
        );
        reader.read_to_end(&mut out).unwrap_err();
        assert_eq!(out.len(), 3 * MAX_BLOCK_BYTES);
    }

    #[test]
    fn snap_agrees_in_both_directions() {
        let plain: Vec<u8> = (0..60_000u32)
            .flat_map(|i| (i * i % 1000).to_string().into_bytes())
            .collect();
        let mut theirs = snap::write::FrameEncoder::new(Vec::new());
        theirs.write_all(&plain).unwrap();
        let theirs = theirs.into_inner().unwrap();
        assert!(read(&theirs).unwrap() == plain);
        let ours = write(&plain);
        let mut back = Vec::new();
        snap::read::FrameDecoder::new(ours.as_slice())
            .read_to_end(&mut back)
            .unwrap();
        assert!(back == plain);
        assert!(ours.len() * 20 <= theirs.len() * 21);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(tail in proptest::collection::vec(any::<u8>(), 0..400), headed: bool) {
            let bytes = if headed { [STREAM_IDENTIFIER.as_slice(), &tail].concat() } else { tail };
            let _ = read(&bytes);
        }

        #[test]
        fn cut_inside_a_chunk_is_an_error(seed in 1u32..1000, cut in 0usize..100_000) {
            let plain: Vec<u8> = (0..40_000u32).flat_map(|i| (i.wrapping_mul(seed) % 997).to_string().into_bytes()).collect();
            let whole = write(&plain);
            let mut ends = vec![10];
            let mut chunks = ChunkReader::new(whole.as_slice());
            let mut buffer = Vec::new();
            while chunks.next(&mut buffer).unwrap().is_some() { ends.push(chunks.source.offset as usize); }
            let cut = cut % whole.len();
            let found = read(&whole[..cut]);
            if ends.contains(&cut) {
                prop_assert!(plain.starts_with(&found.unwrap()));
            } else {
                prop_assert_eq!(found.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
            }
        }

        #[test]
        fn no_flipped_bit_in_a_data_chunk_changes_the_text(plain in proptest::collection::vec(0u8..4, 1..3000), at: prop::sample::Index, bit in 0u8..8) {
            let mut bytes = write(&plain);
            // Behind the identifier.
            let at = 10 + at.index(bytes.len() - 10);
            bytes[at] ^= 1 << bit;
            // A copy may come from another place that holds the same: then nothing is lost.
            if let Ok(back) = read(&bytes) {
                prop_assert_eq!(back, plain);
            }
        }
    }
}
