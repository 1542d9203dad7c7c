//! Memory that a disk can be written from as it is.

/// What such memory, places in a file and lengths are multiples of: the page size, which is that of a
/// disk's logical blocks or a multiple of it.
pub(crate) const ALIGNMENT: usize = 4096;

/// Bytes to be filled, as many as are asked for; those from before stay.
pub(crate) trait Room {
    /// So many bytes at least.
    fn at_least(&mut self, bytes: usize) -> &mut [u8];
}

impl Room for Vec<u8> {
    fn at_least(&mut self, bytes: usize) -> &mut [u8] {
        if self.len() < bytes {
            self.resize(bytes, 0);
        }
        self
    }
}

/// Bytes that begin at a multiple of [`ALIGNMENT`].
#[derive(Default)]
pub(crate) struct AlignedMemory {
    memory: Vec<u8>,
    start: usize,
}

impl AlignedMemory {
    pub(crate) fn new(bytes: usize) -> Self {
        let memory = vec![0; bytes + ALIGNMENT];
        // Where this cannot be told, writing from it is refused and done in another way.
        let start = memory.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
        Self { memory, start }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.memory[self.start..]
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.memory[self.start..]
    }
}

impl Room for AlignedMemory {
    fn at_least(&mut self, bytes: usize) -> &mut [u8] {
        if self.bytes().len() < bytes {
            let before = std::mem::replace(self, Self::new(bytes));
            self.bytes_mut()[..before.bytes().len()].copy_from_slice(before.bytes());
        }
        self.bytes_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn begins_at_a_page_and_keeps_what_it_has_when_it_grows() {
        let mut memory = AlignedMemory::default();
        for bytes in [1, 5000, 100, 70_000] {
            let room = memory.at_least(bytes);
            assert!(room.len() >= bytes && room.as_ptr().addr().is_multiple_of(ALIGNMENT));
            assert!(room[0] == 0 || room[0] == 7);
            room[0] = 7;
        }
        assert_eq!(memory.bytes()[0], 7);
    }
}
