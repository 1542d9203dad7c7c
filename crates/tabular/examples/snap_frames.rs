//! A file to Snappy frames and back with the `snap` crate's own framing, on one thread: what
//! `benches/framing.py` compares with.
//!
//!     snap_frames compress|expand SOURCE TARGET

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};

/// Bytes of a read, and of a write of what was expanded.
const BUFFER_BYTES: usize = 1024 * 1024;

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [direction, source, target] = arguments.as_slice() else {
        return Err(io::Error::other(
            "snap_frames compress|expand SOURCE TARGET",
        ));
    };
    let (source, target) = (File::open(source)?, File::create(target)?);
    let target = BufWriter::with_capacity(BUFFER_BYTES, target);
    match direction.as_str() {
        "compress" => compress(source, target),
        "expand" => expand(source, target),
        other => Err(io::Error::other(format!("compress or expand, not {other}"))),
    }
}

fn compress(source: File, target: impl Write) -> io::Result<()> {
    let mut encoder = snap::write::FrameEncoder::new(target);
    copy(source, &mut encoder)?;
    let into_inner = encoder
        .into_inner()
        .map_err(|e| io::Error::other(e.to_string()));
    into_inner?.flush()
}

fn expand(source: File, mut target: impl Write) -> io::Result<()> {
    let source = io::BufReader::with_capacity(BUFFER_BYTES, source);
    copy(snap::read::FrameDecoder::new(source), &mut target)?;
    target.flush()
}

/// As `io::copy`, in larger pieces.
fn copy(mut source: impl Read, target: &mut impl Write) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let read = source.read(&mut buffer)?;
        if read == 0 {
            return Ok(());
        }
        target.write_all(&buffer[..read])?;
    }
}
