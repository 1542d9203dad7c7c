//! Raw Snappy of any origin, by our way and by the `snap` crate's.

use crate::snappy_blocks::{Block, expand_blocks, plain_length};

/// Plain bytes that a block may say it has: two fragments.
const MOST_BYTES: usize = 128 << 10;

/// Blocks that are expanded together come out as the library expands each, and if there is one that
/// it does not take, they are refused. The input is read as blocks, each behind its length in two bytes.
pub fn snappy_blocks(data: &[u8]) {
    let packed: Vec<&[u8]> = parts(data).collect();
    let mut plain: Vec<Vec<u8>> = Vec::new();
    let mut blocks = Vec::new();
    for packed in packed {
        match plain_length(packed) {
            Some((length, elements)) if length <= MOST_BYTES => {
                plain.push(vec![0; length]);
                blocks.push((packed, elements));
            }
            Some(_) => {}
            None => assert!(packed.is_empty() || snap::raw::decompress_len(packed).is_err()),
        }
    }
    let peer = |packed: &&[u8]| snap::raw::Decoder::new().decompress_vec(packed).ok();
    let expected: Option<Vec<Vec<u8>>> = blocks.iter().map(|(packed, _)| peer(packed)).collect();
    let room = plain.iter_mut().map(Vec::as_mut_slice);
    let together = blocks
        .iter()
        .zip(room)
        .map(|((_, elements), plain)| Block { elements, plain });
    let expanded = expand_blocks(together);
    assert_eq!(expanded.is_some(), expected.is_some());
    assert!(
        expected.is_none_or(|expected| expected == plain),
        "blocks differ"
    );
}

fn parts(mut data: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (&length, rest) = data.split_first_chunk()?;
        let length = usize::from(u16::from_le_bytes(length));
        let (part, rest) = rest.split_at(length.min(rest.len()));
        data = rest;
        Some(part)
    })
}
