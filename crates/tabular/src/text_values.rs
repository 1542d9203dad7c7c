//! Byte arrays of a column, read eight bytes at a time.

use arrow_array::OffsetSizeTrait;
use arrow_buffer::NullBuffer;

use crate::column_values::Extremes;
use crate::page_buffer::PageBuffer;
use crate::pages::{Piece, nulls_in};

/// Bytes of a page's plain values before the page ends: 1 MiB, as parquet-rs has it.
pub(crate) const MAX_PAGE_BYTES: usize = 1 << 20;
/// Bytes before each byte array in plain encoding: its length.
const LENGTH_BYTES: usize = 4;

/// An array of byte arrays.
pub(crate) struct TextBlock<'a, O> {
    pub(crate) offsets: &'a [O],
    pub(crate) data: &'a [u8],
    /// Absent if none is null.
    pub(crate) nulls: Option<&'a NullBuffer>,
}

/// Bytes of a value that its words hold altogether; longer ones are compared byte by byte too.
pub(crate) const WORDS_BYTES: usize = 24;

/// A byte array, and what of it fits into registers.
#[derive(Clone, Copy)]
pub(crate) struct Text<'a> {
    data: &'a [u8],
    from: usize,
    pub(crate) len: usize,
    pub(crate) words: Words,
}

/// Up to 24 bytes of a value; with its length, a value of no more than these is known by them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Words {
    /// The first eight bytes as a big-endian number, zeros behind them if there are fewer: smaller
    /// if the value is less, but not the other way round.
    pub(crate) first: u64,
    /// The next eight bytes of more than sixteen, or 0.
    pub(crate) second: u64,
    /// The last eight bytes of more than eight, or 0.
    pub(crate) last: u64,
}

/// What is done to each value. A trait, so that it is compiled into the loop over the values.
pub(crate) trait TextVisitor<'a> {
    fn visit(&mut self, text: Text<'a>);
}

/// Bits that the first bytes of a value take, by their number.
const FIRST_MASKS: [u64; 9] = {
    let mut masks = [u64::MAX; 9];
    let mut bytes = 0;
    while bytes < 8 {
        masks[bytes] = !(u64::MAX >> (8 * bytes));
        bytes += 1;
    }
    masks
};

impl Words {
    /// Of bytes `from..to`. All words are read before it is known which are needed, since lengths
    /// are hard to guess.
    #[inline(always)]
    fn new(data: &[u8], from: usize, to: usize) -> Words {
        match (data.get(from..from + 16), to.checked_sub(8)) {
            (Some(head), Some(tail)) => {
                let tail = word_at(data, tail);
                Words::select(word_at(head, 0), word_at(head, 8), tail, to - from)
            }
            _ => Words::at_edge(&data[from..to]),
        }
    }

    #[inline(always)]
    fn select(first: u64, second: u64, last: u64, len: usize) -> Words {
        Words {
            first: first.swap_bytes() & FIRST_MASKS[len.min(8)],
            second: if len > 16 { second } else { 0 },
            last: if len > 8 { last } else { 0 },
        }
    }

    /// Near the beginning or the end of all bytes.
    #[cold]
    fn at_edge(bytes: &[u8]) -> Words {
        let mut head = [0; 16];
        let len = bytes.len().min(16);
        head[..len].copy_from_slice(&bytes[..len]);
        let tail = bytes
            .len()
            .checked_sub(8)
            .map_or(0, |at| word_at(bytes, at));
        Words::select(word_at(&head, 0), word_at(&head, 8), tail, bytes.len())
    }
}

impl<'a> Text<'a> {
    /// Bytes `from..to` of `data`.
    #[inline(always)]
    fn new(data: &'a [u8], from: usize, to: usize) -> Text<'a> {
        Text {
            data,
            from,
            len: to - from,
            words: Words::new(data, from, to),
        }
    }

    #[inline(always)]
    pub(crate) fn bytes(&self) -> &'a [u8] {
        &self.data[self.from..self.from + self.len]
    }

    /// Depends on every byte.
    #[inline(always)]
    pub(crate) fn hash(&self) -> u64 {
        let Words {
            first,
            second,
            last,
        } = self.words;
        let rest = second.wrapping_mul(MULTIPLIERS[1]).wrapping_add(last) ^ self.len as u64;
        let mut hash = fold(first ^ MULTIPLIERS[0], rest ^ MULTIPLIERS[2]);
        if self.len > WORDS_BYTES {
            for at in (self.from + 16..self.from + self.len - 8).step_by(8) {
                hash = fold(hash ^ word_at(self.data, at), MULTIPLIERS[0]);
            }
        }
        hash
    }
}

/// Odd numbers with mixed bits: those of the golden ratio, and primes of xxHash64.
const MULTIPLIERS: [u64; 3] = [
    0x9e37_79b9_7f4a_7c15,
    0xc2b2_ae3d_27d4_eb4f,
    0x1656_67b1_9e37_79f9,
];

/// Both halves of the product.
#[inline(always)]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

#[inline(always)]
fn word_at(data: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&data[at..at + 8]);
    u64::from_le_bytes(word)
}

impl<'a, O: OffsetSizeTrait> TextBlock<'a, O> {
    /// Shows each value of these rows that is not null.
    pub(crate) fn each(&self, piece: Piece, visitor: &mut impl TextVisitor<'a>) {
        let ends = &self.offsets[piece.from..=piece.from + piece.rows];
        let nulls = self
            .nulls
            .filter(|n| nulls_in(Some(n), piece.from, piece.rows) > 0);
        match nulls {
            None => {
                let mut from = ends[0].as_usize();
                for to in &ends[1..] {
                    let to = to.as_usize();
                    visitor.visit(Text::new(self.data, from, to));
                    from = to;
                }
            }
            Some(nulls) => {
                for row in nulls.slice(piece.from, piece.rows).valid_indices() {
                    let (from, to) = (ends[row].as_usize(), ends[row + 1].as_usize());
                    visitor.visit(Text::new(self.data, from, to));
                }
            }
        }
    }

    /// Plain bytes of these rows; a null may count as a value.
    pub(crate) fn plain_bytes(&self, from: usize, rows: usize) -> usize {
        let bytes = self.offsets[from + rows].as_usize() - self.offsets[from].as_usize();
        bytes + rows * LENGTH_BYTES
    }

    /// How many of these rows fit into a page that has `bytes` already, which it updates.
    pub(crate) fn fitting(&self, bytes: &mut usize, piece: Piece) -> usize {
        let room = MAX_PAGE_BYTES.saturating_sub(*bytes);
        let (mut fit, mut too_many) = (piece.rows, piece.rows + 1);
        if self.plain_bytes(piece.from, piece.rows) > room {
            (fit, too_many) = (0, piece.rows);
            while fit + 1 < too_many {
                let middle = fit.midpoint(too_many);
                if self.plain_bytes(piece.from, middle) <= room {
                    fit = middle;
                } else {
                    too_many = middle;
                }
            }
        }
        debug_assert!(fit < too_many);
        *bytes += self.plain_bytes(piece.from, fit);
        fit
    }
}

/// Appends plain values, and gives their extremes and the bytes of all without lengths.
pub(crate) fn write_plain_texts<'a, O: OffsetSizeTrait>(
    blocks: &[TextBlock<'a, O>],
    page: &[Piece],
    out: &mut PageBuffer,
) -> (Extremes<&'a [u8]>, usize) {
    let most = |p: &Piece| blocks[p.block].plain_bytes(p.from, p.rows);
    let mut writer = PlainWriter {
        out: out.room(page.iter().map(most).sum()),
        at: 0,
        bytes: 0,
        bounds: None,
    };
    for &piece in page {
        blocks[piece.block].each(piece, &mut writer);
    }
    let PlainWriter {
        at, bytes, bounds, ..
    } = writer;
    out.advance(at);
    let bounds = bounds.map(|(least, greatest)| (least.bytes(), greatest.bytes()));
    (Extremes { bounds, nans: 0 }, bytes)
}

/// Writes plain values behind each other.
struct PlainWriter<'a, 'o> {
    out: &'o mut [u8],
    at: usize,
    /// Without lengths.
    bytes: usize,
    /// The least and the greatest so far.
    bounds: Option<(Text<'a>, Text<'a>)>,
}

impl<'a> TextVisitor<'a> for PlainWriter<'a, '_> {
    #[inline(always)]
    fn visit(&mut self, text: Text<'a>) {
        put(text, &mut self.out[self.at..]);
        self.at += LENGTH_BYTES + text.len;
        self.bytes += text.len;
        match &mut self.bounds {
            None => self.bounds = Some((text, text)),
            Some((least, greatest)) => {
                if text.words.first <= least.words.first && is_less(&text, least) {
                    *least = text;
                }
                if text.words.first >= greatest.words.first && is_less(greatest, &text) {
                    *greatest = text;
                }
            }
        }
    }
}

fn is_less(a: &Text<'_>, b: &Text<'_>) -> bool {
    let (first, other) = (a.words.first, b.words.first);
    first < other || (first == other && a.bytes() < b.bytes())
}

/// Writes a length and a value; what lies behind may change. Short values are copied in steps of
/// one size, which takes no call.
#[inline(always)]
fn put(text: Text<'_>, out: &mut [u8]) {
    let Text {
        data, from, len, ..
    } = text;
    out[..LENGTH_BYTES].copy_from_slice(&(len as u32).to_le_bytes());
    let out = &mut out[LENGTH_BYTES..];
    if len <= 16 && from + 16 <= data.len() {
        out[..16].copy_from_slice(&data[from..from + 16]);
    } else if len <= 32 && from + 32 <= data.len() {
        out[..32].copy_from_slice(&data[from..from + 32]);
    } else {
        out[..len].copy_from_slice(&data[from..from + len]);
    }
}
