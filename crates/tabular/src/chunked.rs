//! What the two Snappy containers have in common: chunks that are read one after the other, blocks of
//! one size that are compressed beside each other, and a source that counts its bytes.

use std::io::{self, Read, Write};

use rayon::prelude::*;

use crate::compression::FinishWrite;
use crate::snappy_fragments::FragmentCompressor;

/// A source of compressed bytes that knows how many it gave.
pub(crate) struct Counted<R> {
    source: R,
    /// Compressed bytes read.
    pub(crate) offset: u64,
}

impl<R: Read> Counted<R> {
    pub(crate) fn new(source: R) -> Counted<R> {
        Counted { source, offset: 0 }
    }

    /// Reads until `buf` is full or the source ends; how much it got.
    pub(crate) fn fill(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut got = 0;
        while got < buf.len() {
            match self.source.read(&mut buf[got..]) {
                Ok(0) => break,
                Ok(n) => got += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.offset += got as u64;
        Ok(got)
    }

    /// The next `length` bytes in place of what `buf` held, or as many as there are: room is taken as
    /// they come, so that a length that lies takes none.
    pub(crate) fn take_into(&mut self, length: u64, buf: &mut Vec<u8>) -> io::Result<u64> {
        buf.clear();
        let got = self.source.by_ref().take(length).read_to_end(buf)? as u64;
        self.offset += got;
        Ok(got)
    }

    /// Passes over `length` bytes, or as many as there are; how many there were.
    pub(crate) fn skip(&mut self, length: u64) -> io::Result<u64> {
        let got = io::copy(&mut self.source.by_ref().take(length), &mut io::sink())?;
        self.offset += got;
        Ok(got)
    }
}

/// A container of chunks.
pub(crate) trait Chunks {
    /// Its name in errors.
    const NAME: &'static str;

    /// Puts the plain bytes of the next chunk in `plain`, in place of what it held; false at the end.
    fn load(&mut self, plain: &mut Vec<u8>) -> io::Result<bool>;
}

/// The plain bytes of all chunks. Memory: one chunk.
pub(crate) struct ChunkedReader<C> {
    chunks: C,
    plain: Vec<u8>,
    given: usize,
    failed: bool,
}

impl<C: Chunks> ChunkedReader<C> {
    pub(crate) fn over(chunks: C) -> ChunkedReader<C> {
        ChunkedReader {
            chunks,
            plain: Vec::new(),
            given: 0,
            failed: false,
        }
    }

    /// Loads the next chunk; false at the end. After an error there is no end, only errors.
    fn advance(&mut self) -> io::Result<bool> {
        if self.failed {
            let text = format!("the {} stream failed before", C::NAME);
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        self.given = 0;
        let next = self.chunks.load(&mut self.plain);
        if next.is_err() {
            self.failed = true;
            self.plain.clear();
        }
        next
    }
}

impl<C: Chunks> Read for ChunkedReader<C> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.given == self.plain.len() {
            if !self.advance()? {
                return Ok(0);
            }
        }
        let n = buf.len().min(self.plain.len() - self.given);
        buf[..n].copy_from_slice(&self.plain[self.given..self.given + n]);
        self.given += n;
        Ok(n)
    }
}

/// How a container writes its blocks.
pub(crate) trait BlockFormat: Send {
    /// Plain bytes of every block but the last.
    const BLOCK_BYTES: usize;
    /// Blocks that are compressed before any is written, in parallel.
    const BLOCKS_AT_ONCE: usize;
    /// Blocks that one core compresses together.
    const BLOCKS_TOGETHER: usize;
    /// What every stream begins with.
    const OPENING: &'static [u8];
    /// What follows the opening in a stream of no blocks.
    const EMPTY: &'static [u8];

    /// Puts `BLOCKS_TOGETHER` blocks, or what is left, each packed and with its lengths, in `packed` in
    /// place of what it held.
    fn pack(compressor: &mut FragmentCompressor, blocks: &[u8], packed: &mut Vec<u8>);
}

/// Room for blocks of one core, kept from round to round.
#[derive(Default)]
struct Slot {
    compressor: FragmentCompressor,
    packed: Vec<u8>,
}

/// Writes a stream whose blocks are cut at the same places whatever the caller's rhythm.
///
/// Blocks are compressed on the rayon pool that the caller runs in and written in order. Memory:
/// `BLOCKS_AT_ONCE` blocks, plain and packed.
pub(crate) struct BlockWriter<F> {
    inner: Box<dyn Write + Send>,
    plain: Vec<u8>,
    slots: Vec<Slot>,
    opened: bool,
    format: std::marker::PhantomData<F>,
}

impl<F: BlockFormat> BlockWriter<F> {
    pub(crate) fn new(inner: Box<dyn Write + Send>) -> BlockWriter<F> {
        BlockWriter {
            inner,
            plain: Vec::new(),
            slots: Vec::new(),
            opened: false,
            format: std::marker::PhantomData,
        }
    }

    fn write_blocks(&mut self) -> io::Result<()> {
        if !self.opened {
            self.inner.write_all(F::OPENING)?;
            if self.plain.is_empty() {
                self.inner.write_all(F::EMPTY)?;
            }
            self.opened = true;
        }
        let together = F::BLOCKS_TOGETHER * F::BLOCK_BYTES;
        let count = self.plain.len().div_ceil(together);
        let room = self.slots.len().max(count);
        self.slots.resize_with(room, Slot::default);
        let pack =
            |slot: &mut Slot, blocks| F::pack(&mut slot.compressor, blocks, &mut slot.packed);
        let slots = &mut self.slots[..count];
        if let [slot] = slots {
            pack(slot, &self.plain);
        } else {
            let blocks = self.plain.par_chunks(together);
            let each = slots.par_iter_mut().zip(blocks);
            each.for_each(|(slot, blocks)| pack(slot, blocks));
        }
        for slot in &self.slots[..count] {
            self.inner.write_all(&slot.packed)?;
        }
        self.plain.clear();
        Ok(())
    }
}

impl<F: BlockFormat> Write for BlockWriter<F> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let capacity = F::BLOCKS_AT_ONCE * F::BLOCK_BYTES;
        if self.plain.len() == capacity {
            self.write_blocks()?;
        }
        let n = buf.len().min(capacity - self.plain.len());
        self.plain.extend_from_slice(&buf[..n]);
        Ok(n)
    }

    /// Does nothing: a block that ended here would make the bytes depend on the caller's rhythm.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<F: BlockFormat> FinishWrite for BlockWriter<F> {
    fn finish(mut self: Box<Self>) -> io::Result<Box<dyn Write + Send>> {
        self.write_blocks()?;
        self.inner.flush()?;
        Ok(self.inner)
    }
}
