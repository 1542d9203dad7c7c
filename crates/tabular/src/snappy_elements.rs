//! What raw Snappy is made of: the length, then literals and copies of bytes that came before
//! (google/snappy, `format_description.txt`).

use std::hint::select_unpredictable;

/// Bytes that a copy makes at most (section 2.2.2).
pub(crate) const MAX_COPY: usize = 64;
/// Bytes of a short literal that are copied at once.
pub(crate) const STRIDE: usize = 16;
/// Bytes that may be written behind the end: literals are copied [`STRIDE`] bytes at a time.
const SLACK: usize = 64;

/// Elements being written; lengths of literals and copies are hard to guess, so there are few
/// branches.
pub(crate) struct Elements<'a> {
    pub(crate) out: &'a mut [u8],
    /// Where the next one goes.
    pub(crate) at: usize,
}

/// What stands before the elements of a page: its length, and the tag of a literal that may follow.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head {
    bytes: [u8; 10],
    len: usize,
}

impl Head {
    /// Of a page of so many bytes.
    pub(crate) fn of_page(length: usize) -> Self {
        Self::written(|output| output.length(length))
    }

    /// Of a page of so many bytes that does not shrink: all of it is one literal.
    pub(crate) fn of_literal(length: usize) -> Self {
        Self::written(|output| {
            output.length(length);
            output.literal_tag(length);
        })
    }

    fn written(write: impl FnOnce(&mut Elements<'_>)) -> Self {
        let mut bytes = [0; 10];
        let mut output = Elements {
            out: &mut bytes,
            at: 0,
        };
        write(&mut output);
        let len = output.at;
        Self { bytes, len }
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl Elements<'_> {
    /// Begins with the length.
    pub(crate) fn begin(length: usize, out: &mut Vec<u8>) -> Elements<'_> {
        // Each copy is shorter than what it stands for, and each literal of more than 60 bytes has
        // up to four more before it: the bound of the library holds here too.
        let most = snap::raw::max_compress_len(length) + SLACK;
        if out.len() < most {
            out.resize(most, 0);
        }
        let mut output = Elements { out, at: 0 };
        output.length(length);
        output
    }

    /// The length of a block or page, as a varint (section 1).
    pub(crate) fn length(&mut self, mut length: usize) {
        while length >= 0x80 {
            self.put(&[length as u8 | 0x80]);
            length >>= 7;
        }
        self.put(&[length as u8]);
    }

    pub(crate) fn put(&mut self, bytes: &[u8]) {
        self.out[self.at..self.at + bytes.len()].copy_from_slice(bytes);
        self.at += bytes.len();
    }

    /// Bytes `from..to` of the page as they are; there may be none.
    #[inline(always)]
    pub(crate) fn literal(&mut self, page: &[u8], from: usize, to: usize) {
        let len = to - from;
        if len <= 16 && from + 16 <= page.len() {
            let out = &mut self.out[self.at..self.at + 17];
            out[0] = (len.wrapping_sub(1) << 2) as u8;
            out[1..].copy_from_slice(&page[from..from + 16]);
            self.at += len + usize::from(len > 0);
        } else {
            self.any_literal(&page[from..to]);
        }
    }

    #[inline(never)]
    pub(crate) fn any_literal(&mut self, bytes: &[u8]) {
        self.literal_tag(bytes.len());
        self.put(bytes);
    }

    /// What stands before a literal of so many bytes (section 2.1): none where there are none.
    fn literal_tag(&mut self, len: usize) {
        // A literal's length is one less than that, in its tag or in the bytes behind that.
        let Some(length) = len.checked_sub(1) else {
            return;
        };
        let length_bytes = (length as u32).to_le_bytes();
        match length {
            0..60 => self.put(&[(length << 2) as u8]),
            60..0x100 => self.put(&[60 << 2, length_bytes[0]]),
            0x100..0x1_0000 => self.put(&[61 << 2, length_bytes[0], length_bytes[1]]),
            _ => {
                self.put(&[63 << 2]);
                self.put(&length_bytes);
            }
        }
    }

    /// `len` bytes, at least four, from `distance` bytes back.
    #[inline(always)]
    pub(crate) fn copy(&mut self, distance: usize, mut len: usize) {
        while len > MAX_COPY {
            // So that at least four are left.
            let now = MAX_COPY - if len < MAX_COPY + 4 { 4 } else { 0 };
            self.copy_once(distance, now);
            len -= now;
        }
        self.copy_once(distance, len);
    }

    #[inline(always)]
    fn copy_once(&mut self, distance: usize, len: usize) {
        let (element, size) = copy_element(distance, len);
        self.out[self.at..self.at + 4].copy_from_slice(&element.to_le_bytes());
        self.at += size;
    }
}

/// A copy of 4 to 64 bytes from at most 65,535 bytes back in the lowest two or three bytes (sections 2.2.1
/// and 2.2.2), and how many these are. What is no such copy gives bytes without a meaning.
#[inline(always)]
pub(crate) fn copy_element(distance: usize, len: usize) -> (u32, usize) {
    // Both limits in one comparison: a difference is below zero where one is passed.
    let short = ((11 - len as isize) | (2_047 - distance as isize)) >= 0;
    let (len, distance) = (len as u32, distance as u32);
    // What both have, and what is left: 1 | (len - 4) << 2 | (distance >> 8) << 5, or 2 | (len - 1) << 2.
    let base = (distance << 8).wrapping_add(len << 2);
    let high = ((distance >> 3) & 0xe0).wrapping_sub(15);
    let rest = select_unpredictable(short, high, 2_u32.wrapping_neg());
    (base.wrapping_add(rest), 3 - usize::from(short))
}
