//! The wrappers that text comes in and goes out by: none, gzip, zstd, and Snappy in two containers.
//!
//! Reading is strict: a stream that is cut short or damaged is an [`io::Error`] that says so and
//! names the compressed byte, never a shorter result. Writing is deterministic: the same bytes in
//! give the same bytes out, on any machine and with any number of threads.

use std::ffi::OsStr;
use std::io::{self, BufReader, Read, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::chunked::{BlockWriter, ChunkedReader};
use crate::snappy_framing::{ChunkReader, FramedBlocks};
use crate::snappy_hadoop::{HadoopBlocks, HadoopReader};
use crate::stream_codecs::{gzip_reader, gzip_writer, zstd_reader, zstd_writer};
use crate::wrapper_signature::{self, Expecting};

/// Compressed bytes asked of the source at a time.
pub(crate) const SOURCE_BUFFER: usize = 256 * 1024;

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
    /// Snappy as Hadoop's `SnappyCodec` stores it (`.snappy`): what Spark and Hive write and read.
    SnappyHadoop,
    /// zstd (RFC 8878), one or several frames.
    Zstd,
}

impl Compression {
    /// All of them, the plain one first.
    pub const ALL: &'static [Compression] = &[
        Compression::None,
        Compression::Gzip,
        Compression::SnappyFramed,
        Compression::SnappyHadoop,
        Compression::Zstd,
    ];

    /// By the last extension of a file name or URI, in any case: `.gz`, `.sz`, `.snappy`, `.zst`;
    /// else none.
    pub fn from_name(name: &str) -> Compression {
        let extension = Path::new(name).extension().and_then(OsStr::to_str);
        match extension.map(str::to_ascii_lowercase).as_deref() {
            Some("gz") => Compression::Gzip,
            Some("sz") => Compression::SnappyFramed,
            Some("snappy") => Compression::SnappyHadoop,
            Some("zst") => Compression::Zstd,
            _ => Compression::None,
        }
    }

    /// By the first bytes of the content; `None` when they are no known wrapper. Sixteen are enough;
    /// fewer only if there are no more.
    ///
    /// Plain text is never mistaken: signatures hold bytes that UTF-8 text cannot start with. Hadoop's
    /// Snappy has no signature: it is known by a zero byte, lengths that fit each other and the
    /// beginning of a Snappy block.
    pub fn sniff(first_bytes: &[u8]) -> Option<Compression> {
        wrapper_signature::sniff(first_bytes)
    }

    /// The extension that files of this kind get, with its dot; empty for plain files.
    pub fn extension(self) -> &'static str {
        match self {
            Compression::None => "",
            Compression::Gzip => ".gz",
            Compression::SnappyFramed => ".sz",
            Compression::SnappyHadoop => ".snappy",
            Compression::Zstd => ".zst",
        }
    }

    /// What it is called in a sentence.
    pub fn in_words(self) -> &'static str {
        match self {
            Compression::None => "plain text",
            Compression::Gzip => "gzip",
            Compression::SnappyFramed => "the Snappy framing format",
            Compression::SnappyHadoop => "Hadoop's Snappy",
            Compression::Zstd => "zstd",
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
/// Memory: one source buffer of 256 KiB and what the codec needs: gzip 32 KiB, framed Snappy one chunk
/// of 64 KiB, Hadoop's one chunk (256 KiB as Hadoop writes it, at most 64 MiB), zstd the window that
/// its frame asks for (at most 128 MiB).
///
/// # Errors
/// The reader fails with `UnexpectedEof` when the compressed stream is cut short (an empty one
/// included) and with `InvalidData` when it is damaged; both name the compressed byte offset. It fails
/// with `InvalidData` too when the first bytes are those of another wrapper than `c`, plain ones
/// included, and names both. No format can show a cut between two whole gzip members, zstd frames,
/// Snappy chunks or Hadoop's blocks.
pub fn decompress(c: Compression, r: Box<dyn Read + Send>) -> Box<dyn Read + Send> {
    let r: Box<dyn Read + Send> = Box::new(Expecting::new(c, r));
    let buffered = |r| BufReader::with_capacity(SOURCE_BUFFER, r);
    match c {
        Compression::None => r,
        Compression::Gzip => gzip_reader(r),
        Compression::SnappyFramed => Box::new(ChunkedReader::over(ChunkReader::new(buffered(r)))),
        Compression::SnappyHadoop => Box::new(ChunkedReader::over(HadoopReader::new(buffered(r)))),
        Compression::Zstd => zstd_reader(r),
    }
}

/// A writer that wraps what it is given and passes it on to `w`.
///
/// gzip: one member, level 6, no time, no name. zstd: one frame, level 3, with a checksum. Snappy is
/// compressed in parallel on the rayon pool that the caller runs in and written in order: framed in
/// blocks of 65,536 bytes, of which at most 2 MiB wait; Hadoop's in blocks of 218,422 bytes with one
/// chunk each, which is as much as Hadoop itself puts in one with its default buffer, of which at most
/// 3.4 MiB wait. An empty input still gives a valid stream.
pub fn compress(c: Compression, w: Box<dyn Write + Send>) -> Box<dyn FinishWrite> {
    match c {
        Compression::None => Box::new(PlainWriter(w)),
        Compression::Gzip => gzip_writer(w),
        Compression::SnappyFramed => Box::new(BlockWriter::<FramedBlocks>::new(w)),
        Compression::SnappyHadoop => Box::new(BlockWriter::<HadoopBlocks>::new(w)),
        Compression::Zstd => zstd_writer(w),
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

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

    use std::sync::{Arc, Mutex};

    use proptest::prelude::*;

    use super::*;

    /// A writer whose bytes can be seen.
    #[derive(Clone, Default)]
    pub(crate) struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Shared {
        pub(crate) fn bytes(&self) -> Vec<u8> {
            self.0.lock().unwrap().clone()
        }
    }

    impl Write for Shared {
        fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(buf)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn packed_in(c: Compression, pieces: &[&[u8]]) -> Vec<u8> {
        let out = Shared::default();
        let mut w = compress(c, Box::new(out.clone()));
        for piece in pieces {
            w.write_all(piece).unwrap();
            w.flush().unwrap();
        }
        w.finish().unwrap();
        out.bytes()
    }

    pub(crate) fn packed(c: Compression, plain: &[u8]) -> Vec<u8> {
        packed_in(c, &[plain])
    }

    fn unpacked(c: Compression, bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        let mut r = decompress(c, Box::new(io::Cursor::new(bytes.to_vec())));
        r.read_to_end(&mut out).map(|_| out)
    }

    fn wrappers() -> impl Iterator<Item = Compression> {
        let all = Compression::ALL.iter().copied();
        all.filter(|c| *c != Compression::None)
    }

    fn numbers(seed: u32, count: u32) -> Vec<u8> {
        let line = |i: u32| format!("{i},{}\n", i.wrapping_mul(seed) % 1009).into_bytes();
        (0..count).flat_map(line).collect()
    }

    #[test]
    fn names_and_signatures() {
        assert_eq!(Compression::from_name("s3://b/a.CSV.GZ"), Compression::Gzip);
        assert_eq!(Compression::from_name("gz"), Compression::None);
        assert_eq!(Compression::from_name("a.gz/b"), Compression::None);
        for c in wrappers() {
            for plain in [b"".as_slice(), b"a", b"a,b\n1,2\n", &numbers(7, 90_000)] {
                let whole = packed(c, plain);
                assert_eq!(Compression::sniff(&whole), Some(c));
                assert_eq!(Compression::sniff(&whole[..whole.len().min(16)]), Some(c));
                assert_eq!(unpacked(c, &whole).unwrap(), plain);
            }
            assert_eq!(Compression::from_name(&format!("a{}", c.extension())), c);
        }
        assert_eq!(Compression::sniff(b"a,b\n"), None);
        assert_eq!(Compression::sniff(b"\xff\x06\x00"), None);
        assert_eq!(
            serde_json::to_string(Compression::ALL).unwrap(),
            r#"["none","gzip","snappy_framed","snappy_hadoop","zstd"]"#
        );
    }

    #[test]
    fn streams_follow_one_another() {
        for c in wrappers() {
            let mut bytes = packed(c, b"one,");
            bytes.extend(packed(c, b""));
            bytes.extend(packed(c, b"two"));
            assert_eq!(unpacked(c, &bytes).unwrap(), b"one,two", "{c:?}");
        }
        let gzip = packed(Compression::Gzip, b"one,");
        assert_eq!(&gzip[4..8], [0; 4], "mtime");
    }

    #[test]
    fn gzip_and_zstd_cut_anywhere_are_errors() {
        let plain = numbers(7, 4000);
        for c in [Compression::Gzip, Compression::Zstd] {
            let whole = packed(c, &plain);
            for cut in 0..whole.len() {
                let error = unpacked(c, &whole[..cut]).unwrap_err();
                assert_eq!(
                    error.kind(),
                    io::ErrorKind::UnexpectedEof,
                    "cut at {cut}: {error}"
                );
            }
        }
        let cut = |c| {
            let error = unpacked(c, &packed(c, &plain)[..100]).unwrap_err();
            error.to_string()
        };
        insta::assert_snapshot!(cut(Compression::Gzip), @"the gzip stream is cut short: it ends inside a member after 100 compressed bytes");
        insta::assert_snapshot!(cut(Compression::Zstd), @"the zstd stream is cut short: it ends inside a frame after 100 compressed bytes");
    }

    #[test]
    fn a_wrong_checksum_and_garbage_behind_the_end_are_errors() {
        for (c, checksum_from_end) in [(Compression::Gzip, 8), (Compression::Zstd, 4)] {
            let mut bytes = packed(c, b"1,2,3\n");
            let checksum = bytes.len() - checksum_from_end;
            bytes[checksum] ^= 1;
            let error = unpacked(c, &bytes).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{error}");
            bytes[checksum] ^= 1;
            bytes.extend(b"and more text, in no wrapper");
            assert!(unpacked(c, &bytes).is_err());
        }
    }

    #[test]
    fn after_an_error_there_is_no_end() {
        for c in wrappers() {
            let whole = packed(c, &numbers(7, 4000));
            let cut = io::Cursor::new(whole[..whole.len() - 1].to_vec());
            let mut reader = decompress(c, Box::new(cut));
            assert!(reader.read_to_end(&mut Vec::new()).is_err());
            assert!(reader.read(&mut [0; 8]).is_err(), "{c:?}");
        }
    }

    #[test]
    fn zstd_frames_that_are_skipped_and_windows_that_are_too_large() {
        let mut bytes = b"\x5a\x2a\x4d\x18\x03\0\0\0abc".to_vec();
        bytes.extend(packed(Compression::Zstd, b"1,2,3\n"));
        assert_eq!(unpacked(Compression::Zstd, &bytes).unwrap(), b"1,2,3\n");
        // A frame header that asks for a window of 256 MiB (RFC 8878, 3.1.1.1.2), then an empty block.
        let large = b"\x28\xb5\x2f\xfd\x00\x90\x01\0\0";
        let error = unpacked(Compression::Zstd, large).unwrap_err().to_string();
        insta::assert_snapshot!(error, @"the zstd stream is damaged near compressed byte 0: Frame requires too much memory for decoding");
    }

    #[test]
    fn an_error_of_the_source_passes_through() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("the disk said no"))
            }
        }
        for &c in Compression::ALL {
            let whole = packed(c, &numbers(7, 4000));
            let half = io::Cursor::new(whole[..whole.len() / 2].to_vec());
            for source in [
                Box::new(Broken) as Box<dyn Read + Send>,
                Box::new(half.chain(Broken)),
            ] {
                let error = decompress(c, source)
                    .read_to_end(&mut Vec::new())
                    .unwrap_err();
                assert_eq!(error.to_string(), "the disk said no");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn neither_the_callers_writes_nor_its_flushes_show(seed in 1u32..1000, cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..6)) {
            let plain = numbers(seed, 60_000);
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(plain.len())).collect();
            cuts.extend([0, plain.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|w| &plain[w[0]..w[1]]).collect();
            for c in wrappers() {
                prop_assert!(packed_in(c, &pieces) == packed(c, &plain), "{:?}", c);
            }
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            for &c in Compression::ALL {
                let _ = unpacked(c, &bytes);
                let _ = unpacked(c, &[&packed(c, b"")[..4.min(packed(c, b"").len())], &bytes].concat());
            }
        }

        #[test]
        fn no_flipped_bit_changes_the_text_where_there_is_a_checksum(seed in 1u32..1000, at: prop::sample::Index, bit in 0u8..8) {
            let plain = numbers(seed, 300);
            for c in [Compression::Gzip, Compression::Zstd] {
                let mut bytes = packed(c, &plain);
                let at = at.index(bytes.len());
                bytes[at] ^= 1 << bit;
                if let Ok(back) = unpacked(c, &bytes) {
                    prop_assert!(back == plain, "{:?}, byte {}", c, at);
                }
            }
        }
    }
}
