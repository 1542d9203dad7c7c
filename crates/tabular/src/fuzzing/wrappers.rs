//! Compressed streams: whole, cut, damaged, joined, and any bytes at all.

use std::io::{self, Read, Write};

use crate::compression::{Compression, compress, decompress};

use super::{Drip, Written, choices};

/// Plain bytes that are asked of a stream, at most: some bytes of zeros say gigabytes.
const MOST_PLAIN: u64 = 8 << 20;

/// The Snappy framing format; any bytes are read as a plain reader of chunks does, and whatever `snap`
/// reads is read too. See [`gzip`].
pub fn snappy_framed(data: &[u8]) {
    stream(Compression::SnappyFramed, data, |bytes, found| {
        assert_eq!(found, framed_plainly(bytes, true).as_deref());
        let mut theirs = Vec::new();
        let decoder = snap::read::FrameDecoder::new(bytes);
        if decoder.take(MOST_PLAIN).read_to_end(&mut theirs).is_ok() && !bytes.is_empty() {
            // It skips chunks of data that have lost their type.
            let found = framed_plainly(bytes, false);
            assert_eq!(found.as_deref(), Some(theirs.as_slice()));
        }
    });
}

/// Snappy in Hadoop's blocks; any bytes are read as a plain reader of blocks does. See [`gzip`].
pub fn snappy_hadoop(data: &[u8]) {
    stream(Compression::SnappyHadoop, data, |bytes, found| {
        // What begins as something else is refused, though it might be read.
        if found.is_some() || Compression::sniff(bytes) == Some(Compression::SnappyHadoop) {
            assert_eq!(found, hadoop_plainly(bytes).as_deref());
        }
    });
}

/// gzip. A text comes back from what is written of it, whatever the pieces; cut short or with a bit
/// flipped it gives an error, and nothing but its own bytes before; two streams give both texts. Any
/// bytes are read as flate2 reads them. The first byte chooses what is done, the second and third the
/// place and the step.
pub fn gzip(data: &[u8]) {
    stream(Compression::Gzip, data, |bytes, found| {
        if bytes.is_empty() {
            assert_eq!(found, None);
            return;
        }
        let theirs = read(Box::new(flate2::read::MultiGzDecoder::new(bytes)));
        assert_eq!(found, theirs.1.is_ok().then_some(theirs.0.as_slice()));
    });
}

/// zstd; any bytes are read as the library reads them. See [`gzip`].
pub fn zstd(data: &[u8]) {
    stream(Compression::Zstd, data, |bytes, found| {
        if bytes.is_empty() {
            assert_eq!(found, None);
            return;
        }
        let theirs = zstd::Decoder::new(bytes).map(|decoder| read(Box::new(decoder)));
        let (plain, end) = theirs.unwrap();
        assert_eq!(found, end.is_ok().then_some(plain.as_slice()));
    });
}

/// Holds `agrees` on any bytes and what was read of them, or what all codecs have in common on a text.
fn stream(c: Compression, data: &[u8], agrees: impl Fn(&[u8], Option<&[u8]>)) {
    let ([what, at, step], bytes) = choices(data);
    if what & 1 == 0 {
        let (plain, end) = unpacked(c, bytes, step + 1);
        agrees(bytes, end.is_ok().then_some(plain.as_slice()));
        return;
    }
    let plain = bytes.repeat(what / 2 % 8 + 1);
    let whole = packed(c, &plain, step + 1);
    assert_eq!(
        whole,
        packed(c, &plain, usize::MAX),
        "the writer's steps show"
    );
    let (back, end) = unpacked(c, &whole, step + 1);
    assert!(back == plain && end.is_ok(), "a text does not come back");

    let (both, end) = unpacked(c, &whole.repeat(2), step + 1);
    assert!(
        both == plain.repeat(2) && end.is_ok(),
        "two streams are not both texts"
    );

    let at = at * whole.len() / 256;
    let (part, end) = unpacked(c, &whole[..at], step + 1);
    assert!(plain.starts_with(&part));
    // A cut between the chunks of Snappy cannot be seen: then it gave all that was before.
    let boundary = matches!(c, Compression::SnappyFramed | Compression::SnappyHadoop);
    assert!(end.is_err() || boundary, "cut at {at}");

    let mut damaged = whole;
    damaged[at] ^= 1 << (step % 8);
    let (found, end) = unpacked(c, &damaged, step + 1);
    // Hadoop's blocks have no checksum, and a chunk of Snappy's framing may become one to be skipped.
    let skipped = c == Compression::SnappyFramed && damaged[at] >= 0x80;
    if end.is_ok() && c != Compression::SnappyHadoop && !skipped {
        assert!(found == plain, "damaged at {at}");
    }
}

fn packed(c: Compression, plain: &[u8], step: usize) -> Vec<u8> {
    let out = Written::default();
    let mut writer = compress(c, Box::new(out.clone()));
    for piece in plain.chunks(step) {
        writer.write_all(piece).unwrap();
        writer.flush().unwrap();
    }
    writer.finish().unwrap();
    out.take()
}

fn unpacked(c: Compression, bytes: &[u8], step: usize) -> (Vec<u8>, io::Result<()>) {
    read(decompress(c, Box::new(Drip::new(bytes, step))))
}

/// What a reader gives before its end or its error, after which nothing comes but errors.
fn read(mut reader: Box<dyn Read + '_>) -> (Vec<u8>, io::Result<()>) {
    let (mut plain, mut piece) = (Vec::new(), vec![0; 64 << 10]);
    loop {
        match reader.read(&mut piece) {
            Ok(0) => return (plain, Ok(())),
            Ok(n) => plain.extend_from_slice(&piece[..n]),
            Err(error) => return (plain, Err(error)),
        }
        if plain.len() as u64 >= MOST_PLAIN {
            return (plain, Ok(()));
        }
    }
}

/// The framing format as its document says it.
fn framed_plainly(bytes: &[u8], strict: bool) -> Option<Vec<u8>> {
    let (mut plain, mut rest) = (Vec::new(), bytes);
    if !bytes.starts_with(b"\xff\x06\0\0sNaPpY") {
        return None;
    }
    while !rest.is_empty() {
        let ([kind, a, b, c], after) = rest.split_first_chunk::<4>()?;
        let (body, after) = after.split_at_checked(u32::from_le_bytes([*a, *b, *c, 0]) as usize)?;
        rest = after;
        match kind {
            0xff if body == b"sNaPpY" => {}
            // To be skipped, unless it would be a sound chunk of data by another type.
            0x80..=0xfe => {
                let short = strict && (4..=4 + 76_490).contains(&body.len());
                let held = [0, 1].map(|kind| data_of(kind, body));
                if short && held.into_iter().flatten().any(|data| !data.is_empty()) {
                    return None;
                }
            }
            0x00 | 0x01 => plain.extend(data_of(*kind, body).filter(|t| t.len() <= 65_536)?),
            _ => return None,
        }
    }
    Some(plain)
}

/// The text of a data chunk, if it has its checksum.
fn data_of(kind: u8, body: &[u8]) -> Option<Vec<u8>> {
    let (checksum, data) = body.split_first_chunk::<4>()?;
    let text = match kind {
        0 => snap::raw::Decoder::new()
            .decompress_vec(limited(data)?)
            .ok()?,
        _ => data.to_vec(),
    };
    (masked(crc32c(&text)) == u32::from_le_bytes(*checksum)).then_some(text)
}

/// Snappy of at most one chunk's plain bytes: what says more is not expanded.
fn limited(data: &[u8]) -> Option<&[u8]> {
    let length = snap::raw::decompress_len(data).ok()?;
    // 76,490 is the most that Snappy makes of 65,536 bytes.
    (length <= 65_536 && data.len() <= 76_490).then_some(data)
}

/// CRC-32C, bit by bit.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ if crc & 1 == 1 { 0x82f6_3b78 } else { 0 }
        })
    })
}

fn masked(crc: u32) -> u32 {
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}

/// Hadoop's blocks: a plain length, then chunks, each a packed length and a Snappy block.
fn hadoop_plainly(bytes: &[u8]) -> Option<Vec<u8>> {
    let word = |rest: &[u8]| {
        rest.first_chunk::<4>()
            .map(|word| u32::from_be_bytes(*word))
    };
    let (mut plain, mut rest) = (Vec::new(), bytes);
    if bytes.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let mut left = word(rest).filter(|n| *n <= i32::MAX as u32)? as usize;
        rest = &rest[4..];
        while left > 0 {
            let packed = word(rest).filter(|n| *n > 0)? as usize;
            let (data, after) = rest[4..].split_at_checked(packed)?;
            let length = snap::raw::decompress_len(data).ok()?;
            // Snappy expands by 22 at most, so that the length is true or there is an error.
            if length > left || length > packed * 22 {
                return None;
            }
            plain.extend(snap::raw::Decoder::new().decompress_vec(data).ok()?);
            (left, rest) = (left - length, after);
        }
    }
    Some(plain)
}
