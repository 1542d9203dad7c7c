//! Raw Snappy as it is written, read by the `snap` crate.

use crate::snappy_elements::Elements;
use crate::snappy_fragments::{FRAGMENT_BYTES, FragmentCompressor};
use crate::snappy_words::WordCompressor;

use super::choices;

/// Bytes that one input is stretched to, at most: several fragments for each lane.
const MOST_BYTES: usize = 320 << 10;

/// Whatever is compressed comes back, in no more bytes than the library would need at most, and what was
/// compressed before changes nothing. The input is read as stretches: how often its next bytes come, how
/// many these are, and what is added to each time.
pub fn snappy_raw(data: &[u8]) {
    let ([start, block], data) = choices(data);
    let plain = stretched(data);
    let mut texts = FragmentCompressor::default();
    let mut out = Vec::new();
    let size = texts.compress(&plain, &mut out);
    comes_back(&out[..size], &plain);
    let mut again = Vec::new();
    assert_eq!(texts.compress(&plain, &mut again), size);
    assert!(again[..size] == out[..size], "an earlier page shows");
    let block = (block + 1) * (FRAGMENT_BYTES / 256);
    let mut whole = Vec::new();
    texts.each(&plain, block, |plain, elements| {
        let mut out = Vec::new();
        let mut output = Elements::begin(plain.len(), &mut out);
        output.put(elements);
        let size = output.at;
        comes_back(&out[..size], plain);
        whole.extend_from_slice(plain);
    });
    assert!(whole == plain, "a block is left out");
    let mut words = WordCompressor::default();
    let start = start.min(plain.len());
    let key = words.choose(&plain[start..], &mut out);
    let size = words.compress(&plain, start, key, &mut out);
    comes_back(&out[..size], &plain);
}

fn comes_back(packed: &[u8], plain: &[u8]) {
    assert!(packed.len() <= snap::raw::max_compress_len(plain.len()));
    let back = snap::raw::Decoder::new().decompress_vec(packed).unwrap();
    assert!(back == plain, "{} bytes do not come back", plain.len());
}

fn stretched(mut data: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    while let Some((&[often, len, step], rest)) = data.split_first_chunk() {
        let (text, after) = rest.split_at(usize::from(len).min(rest.len()));
        for time in 0..u32::from(often).pow(2) / 16 + 1 {
            if plain.len() + text.len() > MOST_BYTES {
                return plain;
            }
            let added = time.wrapping_mul(u32::from(step)).wrapping_mul(0x9e37) >> 8;
            plain.extend(text.iter().map(|byte| byte.wrapping_add(added as u8)));
        }
        data = after;
    }
    plain
}
