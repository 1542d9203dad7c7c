//! The wrappers that a CSV stream comes in and goes out by: none, gzip, framed Snappy.
//!
//! Reading is strict: a stream that is cut short or damaged is an [`io::Error`] that says so and
//! names the compressed byte, never a shorter result. Writing is deterministic: the same bytes in
//! give the same bytes out, on any machine and with any number of threads.

use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};

use crate::snappy_framing::{FramedReader, FramedWriter, STREAM_IDENTIFIER};

/// First two bytes of every gzip member (RFC 1952, 2.3.1).
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
/// Level 6 is gzip's own default: larger levels cost far more time than they save bytes on CSV.
const GZIP_LEVEL: u32 = 6;
/// Compressed bytes asked of the source at a time.
const SOURCE_BUFFER: usize = 256 * 1024;

/// How a byte stream is wrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    /// Not compressed.
    #[default]
    None,
    /// gzip (RFC 1952), one or several members.
    Gzip,
    /// The Snappy framing format (`.sz`), one or several concatenated streams.
    SnappyFramed,
}

impl Compression {
    /// All of them, the plain one first.
    pub const ALL: &'static [Compression] = &[
        Compression::None,
        Compression::Gzip,
        Compression::SnappyFramed,
    ];

    /// By the last extension of a file name or URI, in any case: `.gz`, `.sz`; else none.
    pub fn from_name(name: &str) -> Compression {
        let extension = Path::new(name).extension().and_then(OsStr::to_str);
        match extension.map(str::to_ascii_lowercase).as_deref() {
            Some("gz") => Compression::Gzip,
            Some("sz") => Compression::SnappyFramed,
            _ => Compression::None,
        }
    }

    /// By the first bytes of the content (ten are enough); `None` when they are no known wrapper.
    ///
    /// Plain text is never mistaken: both signatures hold bytes that UTF-8 text cannot start with.
    pub fn sniff(first_bytes: &[u8]) -> Option<Compression> {
        if first_bytes.starts_with(&STREAM_IDENTIFIER) {
            Some(Compression::SnappyFramed)
        } else if first_bytes.starts_with(&GZIP_MAGIC) {
            Some(Compression::Gzip)
        } else {
            None
        }
    }

    /// The extension that files of this kind get, with its dot; empty for plain files.
    pub fn extension(self) -> &'static str {
        match self {
            Compression::None => "",
            Compression::Gzip => ".gz",
            Compression::SnappyFramed => ".sz",
        }
    }
}

/// A writer that has something to say at the end: a trailer, or a last block.
///
/// Dropping one without [`finish`](FinishWrite::finish) leaves a stream that is cut short.
pub trait FinishWrite: Write + Send {
    /// Writes what is pending and the format's end, flushes, and gives the inner writer back.
    ///
    /// # Errors
    /// What the inner writer reports.
    fn finish(self: Box<Self>) -> io::Result<Box<dyn Write + Send>>;
}

/// A reader of the plain bytes behind `r`.
///
/// Memory: one source buffer of 256 KiB and the codec's window (gzip 32 KiB, Snappy 64 KiB).
///
/// # Errors
/// The reader fails with `UnexpectedEof` when the compressed stream is cut short (an empty one
/// included) and with `InvalidData` when it is damaged; both name the compressed byte offset.
/// Neither format can show a cut between two whole gzip members or two Snappy chunks.
pub fn decompress(c: Compression, r: Box<dyn Read + Send>) -> Box<dyn Read + Send> {
    match c {
        Compression::None => r,
        Compression::Gzip => Box::new(GzipReader::new(r)),
        Compression::SnappyFramed => Box::new(FramedReader::new(BufReader::with_capacity(
            SOURCE_BUFFER,
            r,
        ))),
    }
}

/// A writer that wraps what it is given and passes it on to `w`.
///
/// gzip: one member, level 6, no time, no name. Framed Snappy: blocks of 65,536 bytes, compressed
/// in parallel on the rayon pool that the caller runs in, written in order; at most 2 MiB of plain
/// bytes wait. An empty input still gives a valid stream.
pub fn compress(c: Compression, w: Box<dyn Write + Send>) -> Box<dyn FinishWrite> {
    match c {
        Compression::None => Box::new(PlainWriter(w)),
        Compression::Gzip => {
            let level = flate2::Compression::new(GZIP_LEVEL);
            Box::new(GzipWriter(
                flate2::GzBuilder::new().mtime(0).write(w, level),
            ))
        }
        Compression::SnappyFramed => Box::new(FramedWriter::new(w)),
    }
}

struct PlainWriter(Box<dyn Write + Send>);

impl Write for PlainWriter {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl FinishWrite for PlainWriter {
    fn finish(mut self: Box<Self>) -> io::Result<Box<dyn Write + Send>> {
        self.0.flush()?;
        Ok(self.0)
    }
}

struct GzipWriter(GzEncoder<Box<dyn Write + Send>>);

impl Write for GzipWriter {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.write(buf)
    }

    /// Does nothing: a flush point inside the member would make the bytes depend on the caller's
    /// rhythm. Everything is flushed by `finish`.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl FinishWrite for GzipWriter {
    fn finish(self: Box<Self>) -> io::Result<Box<dyn Write + Send>> {
        let mut inner = self.0.finish()?;
        inner.flush()?;
        Ok(inner)
    }
}

/// All members of a gzip stream, one after the other, with errors that name the place.
struct GzipReader {
    decoder: MultiGzDecoder<Counting>,
}

impl GzipReader {
    fn new(r: Box<dyn Read + Send>) -> GzipReader {
        let source = BufReader::with_capacity(SOURCE_BUFFER, r);
        GzipReader {
            decoder: MultiGzDecoder::new(Counting {
                source,
                consumed: 0,
                failed: false,
            }),
        }
    }

    /// Says where and what; an error of the source itself passes as it is.
    fn explain(&self, error: io::Error) -> io::Error {
        let source = self.decoder.get_ref();
        if source.failed || error.kind() == io::ErrorKind::Interrupted {
            return error;
        }
        let at = source.consumed;
        if error.kind() == io::ErrorKind::UnexpectedEof {
            let text = format!(
                "the gzip stream is cut short: it ends inside a member after {at} compressed bytes"
            );
            io::Error::new(io::ErrorKind::UnexpectedEof, text)
        } else {
            let text = format!("the gzip stream is damaged near compressed byte {at}: {error}");
            io::Error::new(io::ErrorKind::InvalidData, text)
        }
    }
}

impl Read for GzipReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        match self.decoder.read(buf) {
            // The decoder takes no bytes at all for a stream of no members; gzip(1) does not.
            Ok(0) if self.decoder.get_ref().consumed == 0 => {
                Err(self.explain(io::ErrorKind::UnexpectedEof.into()))
            }
            Ok(n) => Ok(n),
            Err(error) => Err(self.explain(error)),
        }
    }
}

/// Counts compressed bytes and remembers whether an error came from the source or the codec.
struct Counting {
    source: BufReader<Box<dyn Read + Send>>,
    consumed: u64,
    failed: bool,
}

impl Read for Counting {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.fill_buf()?.read(buf)?;
        self.consume(n);
        Ok(n)
    }
}

impl BufRead for Counting {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let failed = &mut self.failed;
        self.source.fill_buf().inspect_err(|_| *failed = true)
    }

    fn consume(&mut self, amount: usize) {
        self.consumed += amount as u64;
        self.source.consume(amount);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(buf)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn packed(c: Compression, plain: &[u8]) -> Vec<u8> {
        let out = Shared::default();
        let mut w = compress(c, Box::new(out.clone()));
        w.write_all(plain).unwrap();
        w.finish().unwrap();
        out.0.lock().unwrap().clone()
    }

    fn unpacked(c: Compression, bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        let mut r = decompress(c, Box::new(io::Cursor::new(bytes.to_vec())));
        r.read_to_end(&mut out).map(|_| out)
    }

    #[test]
    fn names_and_signatures() {
        assert_eq!(Compression::from_name("s3://b/a.CSV.GZ"), Compression::Gzip);
        assert_eq!(
            Compression::from_name("a.csv.sz"),
            Compression::SnappyFramed
        );
        assert_eq!(Compression::from_name("gz"), Compression::None);
        assert_eq!(Compression::from_name("a.gz/b"), Compression::None);
        for c in [Compression::Gzip, Compression::SnappyFramed] {
            assert_eq!(Compression::sniff(&packed(c, b"")), Some(c));
            assert_eq!(Compression::from_name(&format!("a{}", c.extension())), c);
        }
        assert_eq!(Compression::sniff(b"a,b\n"), None);
        assert_eq!(Compression::sniff(b"\xff\x06\x00"), None);
        let words = [
            Compression::None,
            Compression::Gzip,
            Compression::SnappyFramed,
        ];
        assert_eq!(
            serde_json::to_string(&words).unwrap(),
            r#"["none","gzip","snappy_framed"]"#
        );
    }

    #[test]
    fn gzip_members_follow_one_another_and_carry_no_time() {
        let mut both = packed(Compression::Gzip, b"one,");
        assert_eq!(&both[4..8], [0; 4], "mtime");
        both.extend(packed(Compression::Gzip, b"two"));
        assert_eq!(unpacked(Compression::Gzip, &both).unwrap(), b"one,two");
    }

    #[test]
    fn gzip_cut_anywhere_is_an_error() {
        let plain: Vec<u8> = (0..4000u32)
            .flat_map(|i| format!("{i},{}\n", i * 7).into_bytes())
            .collect();
        let whole = packed(Compression::Gzip, &plain);
        for cut in 0..whole.len() {
            let error = unpacked(Compression::Gzip, &whole[..cut]).unwrap_err();
            assert_eq!(
                error.kind(),
                io::ErrorKind::UnexpectedEof,
                "cut at {cut}: {error}"
            );
        }
        let text = unpacked(Compression::Gzip, &whole[..100])
            .unwrap_err()
            .to_string();
        insta::assert_snapshot!(text, @"the gzip stream is cut short: it ends inside a member after 100 compressed bytes");
    }

    #[test]
    fn gzip_with_a_wrong_checksum_or_garbage_behind_it_is_an_error() {
        let mut bytes = packed(Compression::Gzip, b"1,2,3\n");
        let crc = bytes.len() - 8;
        bytes[crc] ^= 1;
        let error = unpacked(Compression::Gzip, &bytes).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        bytes[crc] ^= 1;
        bytes.extend(b"and more text, not a gzip member");
        assert!(unpacked(Compression::Gzip, &bytes).is_err());
    }

    #[test]
    fn flush_does_not_change_the_bytes() {
        for c in [
            Compression::None,
            Compression::Gzip,
            Compression::SnappyFramed,
        ] {
            let out = Shared::default();
            let mut w = compress(c, Box::new(out.clone()));
            for piece in [b"1,2\n".as_slice(), b"3,4\n"] {
                w.write_all(piece).unwrap();
                w.flush().unwrap();
            }
            w.finish().unwrap();
            assert_eq!(*out.0.lock().unwrap(), packed(c, b"1,2\n3,4\n"));
        }
    }

    #[test]
    fn an_error_of_the_source_passes_through() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("the disk said no"))
            }
        }
        for c in [Compression::Gzip, Compression::SnappyFramed] {
            let error = decompress(c, Box::new(Broken))
                .read(&mut [0; 8])
                .unwrap_err();
            assert_eq!(error.to_string(), "the disk said no");
        }
    }
}
