//! Walks the frames of a zstd file by their headers (RFC 8878, 3.1); decodes nothing.

use std::io::{self, Read};

use serde::Serialize;

use crate::chunked::Counted;

const FRAME_MAGIC: u32 = 0xFD2F_B528;
/// The low four bits of a skippable frame's are free.
const SKIPPABLE_MAGIC: u32 = 0x184D_2A50;

/// What a zstd file is made of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ZstdInspection {
    /// Frames that hold data.
    pub frames: u64,
    /// Frames that a reader skips.
    pub skippable_frames: u64,
    /// Frames with a checksum of their content.
    pub checksums: u64,
    /// Bytes of the content, if every frame's header says how many it has.
    pub content_bytes: Option<u64>,
    /// The largest window that a frame asks for: memory that a reader needs.
    pub largest_window_bytes: u64,
    /// Bytes of the file.
    pub compressed_bytes: u64,
}

/// What a frame's header says.
struct FrameHeader {
    window_bytes: u64,
    content_bytes: Option<u64>,
    checksum: bool,
}

/// Reads to the end. Memory: nothing to speak of.
///
/// # Errors
/// Those of the source; a stream that is cut short, or whose frames make no sense, with its place.
pub(crate) fn inspect_zstd(source: impl Read) -> io::Result<ZstdInspection> {
    let mut walk = Walk(Counted::new(source));
    let mut found = ZstdInspection {
        content_bytes: Some(0),
        ..ZstdInspection::default()
    };
    while let Some(magic) = walk.magic()? {
        if magic & !0xf == SKIPPABLE_MAGIC {
            let length = walk.number(4)?;
            walk.skip(length)?;
            found.skippable_frames += 1;
        } else if magic == FRAME_MAGIC {
            let header = walk.frame()?;
            found.frames += 1;
            found.checksums += u64::from(header.checksum);
            found.content_bytes = found
                .content_bytes
                .zip(header.content_bytes)
                .and_then(|(sum, n)| sum.checked_add(n));
            found.largest_window_bytes = found.largest_window_bytes.max(header.window_bytes);
        } else {
            return Err(walk.damaged("a frame must begin with 28 b5 2f fd"));
        }
    }
    found.compressed_bytes = walk.0.offset;
    Ok(found)
}

struct Walk<R>(Counted<R>);

impl<R: Read> Walk<R> {
    fn magic(&mut self) -> io::Result<Option<u32>> {
        let mut magic = [0; 4];
        match self.0.fill(&mut magic)? {
            0 if self.0.offset > 0 => Ok(None),
            4 => Ok(Some(u32::from_le_bytes(magic))),
            _ => Err(self.cut_short()),
        }
    }

    /// A frame behind its magic number, to its end.
    fn frame(&mut self) -> io::Result<FrameHeader> {
        let header = self.header()?;
        loop {
            // 3.1.1.2: one bit for the last, two for the type, the rest for the size.
            let block = self.number(3)?;
            let stored = match block >> 1 & 0b11 {
                0b01 => 1,
                0b11 => return Err(self.damaged("a block has the reserved type")),
                _ => block >> 3,
            };
            self.skip(stored)?;
            if block & 1 == 1 {
                break;
            }
        }
        if header.checksum {
            self.skip(4)?;
        }
        Ok(header)
    }

    /// 3.1.1.1: the descriptor says which fields follow, and how long they are.
    fn header(&mut self) -> io::Result<FrameHeader> {
        let descriptor = self.number(1)?;
        let single_segment = descriptor & 0x20 != 0;
        let mut window_bytes = 0;
        if !single_segment {
            let window = self.number(1)?;
            let base = 1u64 << (10 + (window >> 3));
            window_bytes = base + base / 8 * (window & 0b111);
        }
        let dictionary_bytes = [0, 1, 2, 4][(descriptor & 0b11) as usize];
        self.skip(dictionary_bytes)?;
        let content_bytes = match descriptor >> 6 {
            0 if single_segment => Some(self.number(1)?),
            0 => None,
            1 => Some(self.number(2)? + 256),
            2 => Some(self.number(4)?),
            _ => Some(self.number(8)?),
        };
        Ok(FrameHeader {
            window_bytes: if single_segment {
                content_bytes.unwrap_or(0)
            } else {
                window_bytes
            },
            content_bytes,
            checksum: descriptor & 0b100 != 0,
        })
    }

    /// A little-endian number of at most eight bytes.
    fn number(&mut self, size: usize) -> io::Result<u64> {
        let mut bytes = [0; 8];
        if self.0.fill(&mut bytes[..size])? < size {
            return Err(self.cut_short());
        }
        Ok(u64::from_le_bytes(bytes))
    }

    fn skip(&mut self, length: u64) -> io::Result<()> {
        if self.0.skip(length)? < length {
            return Err(self.cut_short());
        }
        Ok(())
    }

    fn cut_short(&self) -> io::Error {
        let text = format!(
            "the zstd stream is cut short: it ends inside a frame after {} compressed bytes",
            self.0.offset
        );
        io::Error::new(io::ErrorKind::UnexpectedEof, text)
    }

    fn damaged(&self, what: &str) -> io::Error {
        let text = format!(
            "the zstd stream is damaged near compressed byte {}: {what}",
            self.0.offset
        );
        io::Error::new(io::ErrorKind::InvalidData, text)
    }
}
