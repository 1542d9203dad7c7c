//! gzip and zstd, whose own libraries do the work: strict reading with errors that name the place, and
//! writing that does not show the caller's rhythm.

use std::io::{self, BufRead, BufReader, Read, Write};

use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;

use crate::compression::{FinishWrite, SOURCE_BUFFER};

/// Level 6 is gzip's own default: larger levels cost far more time than they save bytes on CSV.
const GZIP_LEVEL: u32 = 6;
/// zstd's own default (`ZSTD_CLEVEL_DEFAULT`).
const ZSTD_LEVEL: i32 = 3;
/// Largest window that a zstd frame may ask for, as a power of two: 128 MiB, zstd's own limit
/// (`ZSTD_WINDOWLOG_LIMIT_DEFAULT`); what needs more was written with `--long` or `--ultra`.
const ZSTD_WINDOW_LOG: u32 = 27;
/// Plain bytes that go to an encoder at a time, always the same: how much it is given at a time shows
/// in what it makes.
const STEP_BYTES: usize = 128 * 1024;

/// A stream of members or frames, in errors.
#[derive(Debug, Clone, Copy)]
struct Words {
    stream: &'static str,
    part: &'static str,
}

/// gzip: one or several members.
pub(crate) fn gzip_reader(r: Box<dyn Read + Send>) -> Box<dyn Read + Send> {
    let words = Words {
        stream: "gzip",
        part: "member",
    };
    Box::new(StreamReader {
        decoder: MultiGzDecoder::new(Counting::new(r)),
        words,
        failed: false,
    })
}

/// zstd: one or several frames, skippable ones too.
pub(crate) fn zstd_reader(r: Box<dyn Read + Send>) -> Box<dyn Read + Send> {
    let words = Words {
        stream: "zstd",
        part: "frame",
    };
    let opened = zstd::Decoder::with_buffer(Counting::new(r)).and_then(|mut decoder| {
        decoder.window_log_max(ZSTD_WINDOW_LOG)?;
        Ok(decoder)
    });
    match opened {
        Ok(decoder) => Box::new(StreamReader {
            decoder,
            words,
            failed: false,
        }),
        Err(error) => Box::new(Unopened(Some(error))),
    }
}

/// One member without time and name.
pub(crate) fn gzip_writer(w: Box<dyn Write + Send>) -> Box<dyn FinishWrite> {
    let level = flate2::Compression::new(GZIP_LEVEL);
    let encoder = flate2::GzBuilder::new().mtime(0).write(w, level);
    Box::new(StepWriter::new(encoder))
}

/// One frame with a checksum.
pub(crate) fn zstd_writer(w: Box<dyn Write + Send>) -> Box<dyn FinishWrite> {
    Box::new(StepWriter::new(ZstdEncode::New(w)))
}

/// An encoder of a whole stream.
trait Encode: Send {
    fn encode(&mut self, step: &[u8]) -> io::Result<()>;

    fn end(self) -> io::Result<Box<dyn Write + Send>>;
}

/// Gives an encoder its input in steps of one size, whatever the caller's writes.
struct StepWriter<E> {
    encoder: E,
    pending: Vec<u8>,
}

impl<E: Encode> StepWriter<E> {
    fn new(encoder: E) -> StepWriter<E> {
        StepWriter {
            encoder,
            pending: Vec::new(),
        }
    }
}

impl<E: Encode> Write for StepWriter<E> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if self.pending.len() == STEP_BYTES {
            self.encoder.encode(&self.pending)?;
            self.pending.clear();
        }
        let n = buf.len().min(STEP_BYTES - self.pending.len());
        self.pending.extend_from_slice(&buf[..n]);
        Ok(n)
    }

    /// Does nothing: a flush point inside the stream would make the bytes depend on the caller's
    /// rhythm. Everything is flushed by `finish`.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<E: Encode> FinishWrite for StepWriter<E> {
    fn finish(mut self: Box<Self>) -> io::Result<Box<dyn Write + Send>> {
        self.encoder.encode(&self.pending)?;
        let mut inner = self.encoder.end()?;
        inner.flush()?;
        Ok(inner)
    }
}

impl Encode for GzEncoder<Box<dyn Write + Send>> {
    fn encode(&mut self, step: &[u8]) -> io::Result<()> {
        self.write_all(step)
    }

    fn end(self) -> io::Result<Box<dyn Write + Send>> {
        self.finish()
    }
}

/// The encoder is made when there is something to do: making one can fail.
enum ZstdEncode {
    New(Box<dyn Write + Send>),
    Open(zstd::Encoder<'static, Box<dyn Write + Send>>),
    Failed,
}

impl ZstdEncode {
    fn open(self) -> io::Result<zstd::Encoder<'static, Box<dyn Write + Send>>> {
        match self {
            ZstdEncode::New(w) => {
                let mut encoder = zstd::Encoder::new(w, ZSTD_LEVEL)?;
                encoder.include_checksum(true)?;
                Ok(encoder)
            }
            ZstdEncode::Open(encoder) => Ok(encoder),
            ZstdEncode::Failed => Err(io::Error::other("the zstd stream failed before")),
        }
    }
}

impl Encode for ZstdEncode {
    fn encode(&mut self, step: &[u8]) -> io::Result<()> {
        let mut encoder = std::mem::replace(self, ZstdEncode::Failed).open()?;
        encoder.write_all(step)?;
        *self = ZstdEncode::Open(encoder);
        Ok(())
    }

    fn end(self) -> io::Result<Box<dyn Write + Send>> {
        self.open()?.finish()
    }
}

/// A decoder that tells of its source.
trait Decode: Read {
    fn source(&self) -> &Counting;
}

impl Decode for MultiGzDecoder<Counting> {
    fn source(&self) -> &Counting {
        self.get_ref()
    }
}

impl Decode for zstd::Decoder<'static, Counting> {
    fn source(&self) -> &Counting {
        self.get_ref()
    }
}

/// All parts of a stream, one after the other, with errors that name the place.
struct StreamReader<D> {
    decoder: D,
    words: Words,
    failed: bool,
}

impl<D: Decode> StreamReader<D> {
    /// Says where and what; an error of the source itself passes as it is.
    fn explain(&self, error: io::Error) -> io::Error {
        let source = self.decoder.source();
        if source.failed || error.kind() == io::ErrorKind::Interrupted {
            return error;
        }
        let (Words { stream, part }, at) = (self.words, source.consumed);
        if error.kind() == io::ErrorKind::UnexpectedEof {
            let text = format!(
                "the {stream} stream is cut short: it ends inside a {part} after {at} compressed bytes"
            );
            io::Error::new(io::ErrorKind::UnexpectedEof, text)
        } else {
            let text = format!("the {stream} stream is damaged near compressed byte {at}: {error}");
            io::Error::new(io::ErrorKind::InvalidData, text)
        }
    }

    fn advance(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.failed {
            let text = format!("the {} stream failed before", self.words.stream);
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        match self.decoder.read(buf) {
            // The decoders take no bytes at all for a stream of no parts; gzip(1), zstd(1) do not.
            Ok(0) if self.decoder.source().consumed == 0 => {
                Err(io::ErrorKind::UnexpectedEof.into())
            }
            result => result,
        }
    }
}

impl<D: Decode> Read for StreamReader<D> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        let read = self.advance(buf).map_err(|error| self.explain(error));
        // After an error there is no end, only errors.
        self.failed |= matches!(&read, Err(e) if e.kind() != io::ErrorKind::Interrupted);
        read
    }
}

/// A decoder that could not be made gives its error when it is read.
struct Unopened(Option<io::Error>);

impl Read for Unopened {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        let error = self.0.take();
        Err(error.unwrap_or_else(|| io::Error::other("the zstd decoder could not be made")))
    }
}

/// Counts compressed bytes and remembers whether an error came from the source or the codec.
struct Counting {
    source: BufReader<Box<dyn Read + Send>>,
    consumed: u64,
    failed: bool,
}

impl Counting {
    fn new(r: Box<dyn Read + Send>) -> Counting {
        Counting {
            source: BufReader::with_capacity(SOURCE_BUFFER, r),
            consumed: 0,
            failed: false,
        }
    }
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
        self.source
            .fill_buf()
            .inspect_err(|error| *failed |= error.kind() != io::ErrorKind::Interrupted)
    }

    fn consume(&mut self, amount: usize) {
        self.consumed += amount as u64;
        self.source.consume(amount);
    }
}
