//! Where a column chunk's pages begin and end, and their values without the nulls.

use arrow_buffer::{BooleanBufferBuilder, NullBuffer};

use crate::column_values::FixedValue;
use crate::page_buffer::PageBuffer;
use crate::rle::{write_bit_run, write_bits};
use crate::row_groups::BLOCK_ROWS;

/// Rows of one array that belong to one page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Which array.
    pub(crate) block: usize,
    /// Its first row.
    pub(crate) from: usize,
    pub(crate) rows: usize,
}

/// The pages of a column chunk: each ends at [`BLOCK_ROWS`] rows, or before the row that does not
/// fit. `fits(page, piece)` says how many rows of a piece fit into a page that has the bytes so far
/// that `page` says, and updates that.
///
/// They depend on the rows alone, not on how these came in arrays.
pub(crate) fn cut_pages(
    lengths: &[usize],
    mut fits: impl FnMut(&mut usize, Piece) -> usize,
) -> Vec<Vec<Piece>> {
    let (mut pages, mut page) = (Vec::new(), Vec::new());
    let (mut rows, mut bytes) = (0, 0);
    for (block, &length) in lengths.iter().enumerate() {
        let mut from = 0;
        while from < length {
            let piece = Piece {
                block,
                from,
                rows: (length - from).min(BLOCK_ROWS - rows),
            };
            let fitting = fits(&mut bytes, piece);
            // A value that is too long for any page has one of its own.
            let fit = if rows == 0 { fitting.max(1) } else { fitting };
            if fit > 0 {
                page.push(Piece { rows: fit, ..piece });
            }
            from += fit;
            rows += fit;
            if rows == BLOCK_ROWS || fitting < piece.rows {
                pages.push(std::mem::take(&mut page));
                (rows, bytes) = (0, 0);
            }
        }
    }
    if !page.is_empty() {
        pages.push(page);
    }
    pages
}

/// Nulls of some rows of an array.
pub(crate) fn nulls_in(nulls: Option<&NullBuffer>, from: usize, rows: usize) -> usize {
    nulls.map_or(0, |n| n.slice(from, rows).null_count())
}

/// Appends definition levels of a page: their length in four bytes, and a bit for each row.
/// `nulls_of` gives an array's nulls, `validity` is memory to use again.
pub(crate) fn write_levels<'a>(
    page: &[Piece],
    nulls: usize,
    nulls_of: impl Fn(usize) -> Option<&'a NullBuffer>,
    validity: &mut BooleanBufferBuilder,
    out: &mut PageBuffer,
) {
    let (start, rows) = (out.len(), page.iter().map(|p| p.rows).sum());
    out.extend(&[0; 4]);
    if nulls == 0 || nulls == rows {
        write_bit_run(nulls == 0, rows, out);
    } else {
        validity.truncate(0);
        for piece in page {
            match nulls_of(piece.block) {
                Some(nulls) => {
                    validity.append_buffer(&nulls.inner().slice(piece.from, piece.rows));
                }
                None => validity.append_n(piece.rows, true),
            }
        }
        // The builder's bits behind its length are zero.
        write_bits(validity.as_slice(), rows, out);
    }
    let len = (out.len() - start - 4) as u32;
    out.put_at(start, &len.to_le_bytes());
}

/// An array of values of fixed width.
#[derive(Clone, Copy)]
pub(crate) struct FixedBlock<'a, T> {
    pub(crate) values: &'a [T],
    /// Absent if none is null.
    pub(crate) nulls: Option<&'a NullBuffer>,
}

/// Nulls of each page, and its values that are not null, one after the other: as they lie in their
/// array if they lie so there, and else copied to `dense`.
pub(crate) fn dense_pages<'d, T: FixedValue>(
    blocks: &[FixedBlock<'d, T>],
    pages: &[Vec<Piece>],
    dense: &'d mut Vec<T>,
) -> Vec<(usize, &'d [T])> {
    dense.clear();
    let mut places = Vec::with_capacity(pages.len());
    for page in pages {
        let nulls = |p: &Piece| nulls_in(blocks[p.block].nulls, p.from, p.rows);
        let nulls: usize = page.iter().map(nulls).sum();
        let start = dense.len();
        match page.as_slice() {
            [_] if nulls == 0 => {}
            pieces => pieces
                .iter()
                .for_each(|&piece| append_dense(blocks[piece.block], piece, dense)),
        }
        places.push((nulls, start, dense.len()));
    }
    let dense: &'d [T] = dense;
    let values = |(&(nulls, start, end), page): (&(usize, usize, usize), &Vec<Piece>)| {
        let values = match page.as_slice() {
            [p] if nulls == 0 => &blocks[p.block].values[p.from..p.from + p.rows],
            _ => &dense[start..end],
        };
        (nulls, values)
    };
    places.iter().zip(pages).map(values).collect()
}

fn append_dense<T: FixedValue>(block: FixedBlock<'_, T>, piece: Piece, dense: &mut Vec<T>) {
    let values = &block.values[piece.from..piece.from + piece.rows];
    let Some(nulls) = block.nulls else {
        dense.extend_from_slice(values);
        return;
    };
    let nulls = nulls.slice(piece.from, piece.rows);
    if nulls.null_count() == 0 {
        dense.extend_from_slice(values);
        return;
    }
    // Every value is written, and the next over it if it was none: no branch to guess.
    let start = dense.len();
    dense.resize(start + values.len(), T::default());
    let (out, mut at) = (&mut dense[start..], 0);
    let chunks = nulls.inner().bit_chunks();
    for (values, bits) in values.chunks(64).zip(chunks.iter_padded()) {
        for (i, &value) in values.iter().enumerate() {
            out[at] = value;
            at += (bits >> i & 1) as usize;
        }
    }
    dense.truncate(start + at);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

    use super::*;

    #[test]
    fn pages_do_not_depend_on_arrays() {
        // Each row has as many bytes as its number modulo 50; a page takes 1,000.
        let fits = |starts: Vec<usize>| {
            move |bytes: &mut usize, piece: Piece| {
                let first = starts[piece.block] + piece.from;
                let fit = (first..first + piece.rows).take_while(|row| {
                    let enough = *bytes + row % 50 > 1_000;
                    if !enough {
                        *bytes += row % 50;
                    }
                    !enough
                });
                fit.count()
            }
        };
        let ends = |lengths: &[usize]| -> Vec<usize> {
            let starts = lengths.iter().scan(0, |at, n| {
                *at += n;
                Some(*at - n)
            });
            let pages = cut_pages(lengths, fits(starts.collect()));
            assert!(pages.iter().flatten().all(|p| p.rows > 0));
            pages
                .iter()
                .map(|p| p.iter().map(|p| p.rows).sum())
                .collect()
        };
        let whole = ends(&[5_000]);
        assert_eq!(whole.iter().sum::<usize>(), 5_000);
        assert!(whole.len() > 100);
        assert_eq!(ends(&[1_000, 0, 1, 3_999]), whole);
        assert_eq!(ends(&[7; 715])[..100], whole[..100]);
    }

    #[test]
    fn rows_too_long_have_pages_of_their_own() {
        let pages = cut_pages(&[2, 1], |_, _| 0);
        assert_eq!(pages.len(), 3);
        let pages = cut_pages(&[40_000], |_, p| p.rows);
        let rows: Vec<usize> = pages.iter().map(|p| p[0].rows).collect();
        assert_eq!(rows, [16_384, 16_384, 7_232]);
    }
}
