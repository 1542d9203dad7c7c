//! Memory that pages are put together in, again and again, without being cleared in between.

/// Bytes that may be written behind what is asked for: values are copied and packed in steps of
/// up to so many bytes, the last of which may reach too far.
pub(crate) const SLACK: usize = 32;

/// A growing page. What lies behind its length is left from earlier pages.
#[derive(Debug, Default)]
pub(crate) struct PageBuffer {
    bytes: Vec<u8>,
    len: usize,
}

impl PageBuffer {
    pub(crate) fn clear(&mut self) {
        self.len = 0;
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// Room for `n` bytes and [`SLACK`] behind the page's end, of any content.
    pub(crate) fn room(&mut self, n: usize) -> &mut [u8] {
        let end = self.len + n + SLACK;
        if self.bytes.len() < end {
            // In one step, and in steps that grow, as a Vec does by itself.
            self.bytes.resize(end.max(self.bytes.len() * 2), 0);
        }
        &mut self.bytes[self.len..end]
    }

    /// The first `n` bytes of the room are now part of the page.
    pub(crate) fn advance(&mut self, n: usize) {
        self.len += n;
        debug_assert!(self.len <= self.bytes.len());
    }

    pub(crate) fn push(&mut self, byte: u8) {
        self.extend(&[byte]);
    }

    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        self.room(bytes.len())[..bytes.len()].copy_from_slice(bytes);
        self.advance(bytes.len());
    }

    pub(crate) fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.push(value as u8);
    }

    /// Overwrites bytes of the page.
    pub(crate) fn put_at(&mut self, at: usize, bytes: &[u8]) {
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// Gives memory back that only an unusual page needed.
    pub(crate) fn shrink_to(&mut self, most: usize) {
        if self.bytes.len() > most {
            *self = PageBuffer::default();
        }
    }
}
