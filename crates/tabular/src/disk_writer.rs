//! Bytes on their way to the disk, past the page cache where the file system lets them (`O_DIRECT`,
//! open(2)): nothing is copied by the kernel, no page has to be found and freed, and what is written is on
//! its way to the disk at once instead of at the sync. Where it does not, they go through the cache.
//!
//! What is aligned is written as it is; other bytes are gathered in large buffers, which a thread of its
//! own writes.

use std::fs::File;
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::{self, JoinHandle};

use crate::aligned_memory::{ALIGNMENT, AlignedMemory};

/// Bytes of a buffer: enough that the disk is not asked often, few enough to stay in the caches.
const BUFFER_BYTES: usize = 1 << 20;
/// Buffers of a file: one is filled, one written, one waits.
const BUFFERS: usize = 3;

/// Whether a file is soon read again, so that it should be in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    Soon,
    Later,
}

/// The rest of a file. Memory: [`BUFFERS`] times [`BUFFER_BYTES`] once bytes come that are not aligned.
pub(crate) struct DiskWriter {
    place: Place,
    filling: Option<Buffer>,
    beside: Option<Beside>,
}

impl DiskWriter {
    /// Goes on with a file at its cursor, a multiple of [`ALIGNMENT`], up to which it is in the cache.
    ///
    /// # Errors
    /// When there is no second handle to be had.
    pub(crate) fn start(file: &File, cursor: u64, reading: Reading) -> io::Result<Self> {
        start_writeback(file, 0, cursor);
        Ok(Self {
            place: Place {
                file: file.try_clone()?,
                cursor,
                direct: reading == Reading::Later && set_direct(file, true),
            },
            filling: None,
            beside: None,
        })
    }

    /// Takes all of these bytes; waits where the disk is slower.
    ///
    /// # Errors
    /// Those of writing these bytes or earlier ones.
    pub(crate) fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        let aligned = [bytes.as_ptr().addr(), bytes.len()];
        if self.filling.is_none() && aligned.iter().all(|n| n.is_multiple_of(ALIGNMENT)) {
            return self.place.write(bytes);
        }
        while !bytes.is_empty() {
            let filling = self.filling.get_or_insert_with(Buffer::new);
            bytes = filling.take(bytes);
            if filling.is_full() {
                let beside = match &mut self.beside {
                    Some(beside) => beside,
                    none => none.insert(Beside::start(self.place.again()?)?),
                };
                beside.send(filling)?;
            }
        }
        Ok(())
    }

    /// Waits for all that was taken to be written; some of it may be in the cache: what remains is a sync.
    ///
    /// # Errors
    /// Those of writing.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        if let Some(mut beside) = self.beside.take() {
            beside.end()?;
        }
        // The last bytes are no multiple of a block.
        set_direct(&self.place.file, false);
        let last = self.filling.as_ref().map_or(&[][..], Buffer::filled);
        (&self.place.file).write_all(last)
    }
}

/// The thread that writes, and what is under way to it.
struct Beside {
    full: Option<SyncSender<Buffer>>,
    empty: Receiver<Buffer>,
    made: usize,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Beside {
    fn start(place: Place) -> io::Result<Self> {
        let (full, to_write) = sync_channel(BUFFERS);
        let (done, empty) = channel();
        let work = move || write_all(place, &to_write, &done);
        Ok(Self {
            full: Some(full),
            empty,
            made: 1,
            thread: Some(thread::Builder::new().name("disk".into()).spawn(work)?),
        })
    }

    /// Takes the buffer for an empty one, which it may have to wait for.
    fn send(&mut self, buffer: &mut Buffer) -> io::Result<()> {
        let next = match self.empty.try_recv() {
            Ok(empty) => Some(empty),
            Err(_) if self.made < BUFFERS => {
                self.made += 1;
                Some(Buffer::new())
            }
            Err(_) => self.empty.recv().ok(),
        };
        let sent = next.and_then(|next| {
            let full = std::mem::replace(buffer, next);
            self.full.as_ref()?.send(full).ok()
        });
        match sent {
            Some(()) => Ok(()),
            None => Err(self.failure()),
        }
    }

    /// Why the thread has ended early.
    fn failure(&mut self) -> io::Error {
        let ended = || io::Error::other("the thread that writes has ended");
        self.end().err().unwrap_or_else(ended)
    }

    /// Waits for what is under way.
    fn end(&mut self) -> io::Result<()> {
        self.full = None;
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(written)) => written,
            Some(Err(_)) => Err(io::Error::other("the thread that writes has failed")),
            None => Ok(()),
        }
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        // Whoever gives up removes the file: nothing may be writing to it any more.
        let _ = self.end();
    }
}

fn write_all(
    mut place: Place,
    buffers: &Receiver<Buffer>,
    done: &Sender<Buffer>,
) -> io::Result<()> {
    while let Ok(mut buffer) = buffers.recv() {
        place.write(buffer.filled())?;
        buffer.length = 0;
        // Nobody wants it once all is handed over.
        let _ = done.send(buffer);
    }
    Ok(())
}

/// Memory for [`BUFFER_BYTES`].
struct Buffer {
    memory: AlignedMemory,
    length: usize,
}

impl Buffer {
    fn new() -> Self {
        Self {
            memory: AlignedMemory::new(BUFFER_BYTES),
            length: 0,
        }
    }

    /// Takes the first bytes; gives those that have no room.
    fn take<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let (now, rest) = bytes.split_at(bytes.len().min(BUFFER_BYTES - self.length));
        let room = &mut self.memory.bytes_mut()[self.length..];
        room[..now.len()].copy_from_slice(now);
        self.length += now.len();
        rest
    }

    fn is_full(&self) -> bool {
        self.length == BUFFER_BYTES
    }

    fn filled(&self) -> &[u8] {
        &self.memory.bytes()[..self.length]
    }
}

/// A file up to its cursor.
struct Place {
    file: File,
    cursor: u64,
    direct: bool,
}

impl Place {
    /// The same file, to go on with from here.
    fn again(&self) -> io::Result<Self> {
        Ok(Self {
            file: self.file.try_clone()?,
            ..*self
        })
    }

    /// Writes all of it, past the cache as long as the system takes it so.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            match self.file.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => rest = &rest[written..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Another alignment than ours, a file system that has no such thing, or a write that
                // ended within a block since the disk is full, which the next one tells.
                Err(error) if self.direct && error.kind() == io::ErrorKind::InvalidInput => {
                    set_direct(&self.file, false);
                    self.direct = false;
                }
                Err(error) => return Err(error),
            }
        }
        if !self.direct {
            start_writeback(&self.file, self.cursor, bytes.len() as u64);
        }
        self.cursor += bytes.len() as u64;
        Ok(())
    }
}

/// Whether the file is now written past the cache, or no longer.
#[cfg(target_os = "linux")]
fn set_direct(file: &File, direct: bool) -> bool {
    use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
    let set = |flags: OFlags| fcntl_setfl(file, flags).is_ok();
    match fcntl_getfl(file) {
        Ok(mut flags) => {
            flags.set(OFlags::DIRECT, direct);
            set(flags) && direct
        }
        Err(_) => false,
    }
}

#[cfg(not(target_os = "linux"))]
fn set_direct(_: &File, _: bool) -> bool {
    false
}

/// Has the system begin to write cached bytes to the disk, without waiting for them: what goes wrong is
/// told by the sync at the end. That they are not needed is said of pages which are all being written,
/// so that they stay in memory for the next reader (`posix_fadvise(2)`, Linux).
#[cfg(target_os = "linux")]
fn start_writeback(file: &File, from: u64, bytes: u64) {
    let bytes = std::num::NonZeroU64::new(bytes);
    if bytes.is_some() {
        let _ = rustix::fs::fadvise(file, from, bytes, rustix::fs::Advice::DontNeed);
    }
}

#[cfg(not(target_os = "linux"))]
fn start_writeback(_: &File, _: u64, _: u64) {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

    use super::*;

    /// A disk may want another alignment than ours: here one that the cursor does not have.
    #[test]
    fn what_is_refused_past_the_cache_goes_through_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let mut memory = AlignedMemory::new(ALIGNMENT);
        memory.bytes_mut().fill(b'a');
        let aligned = &memory.bytes()[..ALIGNMENT];
        let odd = vec![b'b'; 2 * BUFFER_BYTES + 7];
        for pieces in [[aligned, &odd, aligned], [&odd, aligned, &odd]] {
            let mut file = File::create(&path).unwrap();
            file.write_all(b"begun").unwrap();
            let mut writer = DiskWriter::start(&file, 5, Reading::Later).unwrap();
            for piece in pieces {
                writer.write(piece).unwrap();
            }
            writer.finish().unwrap();
            let expected = [&b"begun"[..], &pieces.concat()].concat();
            assert!(std::fs::read(&path).unwrap() == expected);
        }
    }

    /// A file that cannot be written: that is told by the write, by a later one, or at the end.
    #[test]
    fn what_cannot_be_written_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, "").unwrap();
        let file = File::open(&path).unwrap();
        let aligned = AlignedMemory::new(ALIGNMENT);
        let mut writer = DiskWriter::start(&file, 0, Reading::Later).unwrap();
        assert!(writer.write(&aligned.bytes()[..ALIGNMENT]).is_err());
        for pieces in [1, 3, 100] {
            let mut writer = DiskWriter::start(&file, 0, Reading::Later).unwrap();
            let piece = vec![1; BUFFER_BYTES / 2 + 1];
            let written = (0..pieces).try_for_each(|_| writer.write(&piece));
            let error = written.and_then(|()| writer.finish()).unwrap_err();
            assert_eq!(
                error.raw_os_error(),
                Some(rustix::io::Errno::BADF.raw_os_error())
            );
        }
    }
}
