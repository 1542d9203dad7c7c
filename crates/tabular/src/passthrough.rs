//! The same CSV in another wrapper: read in pieces that are cut anywhere, unwrapped and wrapped beside
//! each other, counted and written in order.
//!
//! Nothing is parsed, so it only serves text in which nothing has to be left out. Where a row is not
//! as it should be at a glance, or the source cannot be read to its end, what was written is dropped, and
//! the caller reads anew and exactly.

use std::cell::RefCell;
use std::io::{self, BufReader, Write};
use std::sync::{Mutex, PoisonError};

use crate::aligned_memory::{AlignedMemory, Room};
use crate::compression::{Compression, FinishWrite, compress, decompress};
use crate::convert::{ConvertJob, OutputFile, Written};
use crate::convert_parts::{Outputs, finish_all};
use crate::encoding::TextEncoding;
use crate::error::TabularError;
use crate::format::Layout;
use crate::header;
use crate::input::{Input, read_full};
use crate::ordered::ordered_map;
use crate::progress::{Progress, report};
use crate::row_counter::{Counted, RowCounter, Sound, Utf8Stream};
use crate::rows::Pass;
use crate::scan::Typing;
use crate::snappy_fragments::{FragmentCompressor, LANES};
use crate::snappy_framing::{
    ChunkReader, MAX_BLOCK_BYTES, STREAM_IDENTIFIER, StoredChunks, pack_chunks,
};
use crate::wrapper_signature::Expecting;

/// Blocks of the framing in a piece, of together about a MiB: a disk takes that a tenth faster than half as much.
const BLOCKS: usize = 5 * LANES;
/// Plain bytes of a piece, at most.
const PIECE_BYTES: usize = BLOCKS * MAX_BLOCK_BYTES;

/// The buffer that chunks' headers are read through; what does not fit in it is read where it belongs.
const HEADERS_BUFFER: usize = 4096;

/// Pieces that wait to be written at most: a disk is fast and slow by turns, and while it is slow there
/// has to be room for what is ready.
const PIECES_AHEAD: usize = 6;

/// A piece on its way from the reader to the writer; recycled.
#[derive(Default)]
struct Piece {
    /// As the source has it, where it is framed.
    stored: StoredChunks,
    plain: AlignedMemory,
    plain_bytes: usize,
    /// What is known of its text apart from those before it.
    counted: Option<Counted>,
    sound: Option<Sound>,
    /// As the output wants it, where it is to be framed.
    packed: Vec<u8>,
}

impl Piece {
    fn plain(&self) -> &[u8] {
        &self.plain.bytes()[..self.plain_bytes]
    }
}

/// Converts so if it can; none if the job or the text asks for more.
///
/// # Errors
/// Those of reading the header, and of writing.
pub(crate) fn pass_through(
    job: &ConvertJob,
    outputs: &Outputs,
    progress: &dyn Progress,
) -> Result<Option<Written>, TabularError> {
    let ([input], Some(outputs)) = (job.inputs.as_slice(), outputs.again()) else {
        return Ok(None);
    };
    if !suits(job, input) {
        return Ok(None);
    }
    let pass = Pass::open(&job.inputs, &job.options)?;
    let fields = pass.names().len();
    drop(pass);
    let options = &job.options;
    let Some(counter) = RowCounter::new(&options.dialect, fields, options.max_record) else {
        return Ok(None);
    };
    let flow = Flow {
        input,
        to: job.to.compression,
        threads: options.threads,
        header: options.dialect.header,
        counter,
        free: Mutex::default(),
    };
    flow.run(outputs, progress)
}

/// Whether all that is asked for is the text as it is.
fn suits(job: &ConvertJob, input: &Input) -> bool {
    let options = &job.options;
    let as_it_is = input.encoding.is_none_or(|e| e == TextEncoding::UTF_8);
    let unlimited = options.limit_rows.is_none();
    input.layout == Layout::Csv
        && as_it_is
        && unlimited
        && !matches!(options.typing, Typing::Contract(_))
}

type NextPiece<'a> = Box<dyn FnMut() -> Result<Option<Piece>, TabularError> + Send + 'a>;

/// What all stages share.
struct Flow<'a> {
    input: &'a Input,
    to: Compression,
    threads: usize,
    header: bool,
    /// Before the first record.
    counter: RowCounter,
    free: Mutex<Vec<Piece>>,
}

impl Flow<'_> {
    fn run(
        &self,
        mut outputs: Outputs,
        progress: &dyn Progress,
    ) -> Result<Option<Written>, TabularError> {
        let (part, writer) = outputs.start()?;
        let mut sink =
            Sink::new(self.to, writer).map_err(TabularError::io("write", part.path()))?;
        let mut check = Check::new(self.counter.clone());
        let mut regular = true;
        let source = self.source()?;
        let ran = ordered_map(
            self.threads,
            PIECES_AHEAD,
            source,
            |piece| self.work(piece),
            |piece| {
                let mut piece = piece?;
                let before = check.rows.records();
                regular = check.take(&mut piece).is_some();
                if !regular {
                    return Err(TabularError::Cancelled);
                }
                let written = sink.write(&piece);
                written.map_err(TabularError::io("write", part.path()))?;
                let bytes = piece.plain_bytes as u64;
                self.give(piece);
                report(progress, check.rows.records() - before, bytes)
            },
        );
        if !regular || of_reading(&ran) {
            return Ok(None);
        }
        ran?;
        let Some(records) = check.finish() else {
            return Ok(None);
        };
        let rows = records.saturating_sub(u64::from(self.header));
        sink.finish()
            .map_err(TabularError::io("write", part.path()))?;
        outputs.seal(part, rows)?;
        Ok(Some(written(rows, finish_all(vec![outputs])?)))
    }

    fn take(&self) -> Piece {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        free.pop().unwrap_or_default()
    }

    fn give(&self, piece: Piece) {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        free.push(piece);
    }

    /// What gives the next piece: stored chunks of a framed source, else its text.
    fn source(&self) -> Result<NextPiece<'_>, TabularError> {
        let failed = || TabularError::io("read", &self.input.name);
        let stored = (self.input.open)().map_err(TabularError::io("open", &self.input.name))?;
        if self.input.compression == Compression::SnappyFramed {
            let expected = Expecting::new(self.input.compression, stored);
            let buffered = BufReader::with_capacity(HEADERS_BUFFER, expected);
            let mut chunks = ChunkReader::new(buffered);
            return Ok(Box::new(move || {
                let mut piece = self.take();
                piece.stored.clear();
                while piece.stored.len() < BLOCKS
                    && chunks.next_stored(&mut piece.stored).map_err(failed())?
                {}
                Ok((piece.stored.len() > 0).then_some(piece))
            }));
        }
        let mut text = decompress(self.input.compression, stored);
        Ok(Box::new(move || {
            let mut piece = self.take();
            let room = &mut piece.plain.at_least(PIECE_BYTES)[..PIECE_BYTES];
            piece.plain_bytes = read_full(&mut *text, room).map_err(failed())?;
            Ok((piece.plain_bytes > 0).then_some(piece))
        }))
    }

    /// Unwraps, looks through, and wraps.
    fn work(&self, mut piece: Piece) -> Result<Piece, TabularError> {
        if self.input.compression == Compression::SnappyFramed {
            expand(&mut piece).map_err(TabularError::io("read", &self.input.name))?;
        }
        piece.counted = self.counter.count(piece.plain());
        piece.sound = Sound::find(piece.plain());
        if self.to == Compression::SnappyFramed {
            pack(&mut piece);
        }
        Ok(piece)
    }
}

/// A piece may hold a bad row before the damage that it ends at: which comes first is up to the caller.
fn of_reading(ran: &Result<(), TabularError>) -> bool {
    matches!(ran, Err(TabularError::Io { action: "read", .. }))
}

fn written(rows: u64, files: Vec<OutputFile>) -> Written {
    Written {
        rows,
        unlabelled: 0,
        files,
        schema: None,
        split: Vec::new(),
    }
}

thread_local! {
    static DECODER: RefCell<snap::raw::Decoder> = RefCell::new(snap::raw::Decoder::new());
    static COMPRESSOR: RefCell<FragmentCompressor> = RefCell::default();
}

fn expand(piece: &mut Piece) -> io::Result<()> {
    let Piece { stored, plain, .. } = piece;
    let (bytes, expanded) = DECODER.with_borrow_mut(|decoder| stored.expand(decoder, plain));
    piece.plain_bytes = bytes;
    expanded
}

/// To chunks: whatever the number of threads, pieces are the same, and so are chunks.
fn pack(piece: &mut Piece) {
    piece.packed.clear();
    let plain = &piece.plain.bytes()[..piece.plain_bytes];
    COMPRESSOR.with_borrow_mut(|compressor| pack_chunks(compressor, plain, &mut piece.packed));
}

/// Holds the text to what it must be.
struct Check {
    rows: RowCounter,
    utf8: Utf8Stream,
    begun: bool,
}

impl Check {
    fn new(rows: RowCounter) -> Self {
        Self {
            rows,
            utf8: Utf8Stream::default(),
            begun: false,
        }
    }

    fn take(&mut self, piece: &mut Piece) -> Option<()> {
        let (counted, sound) = (piece.counted.take(), piece.sound.take());
        let text = piece.plain();
        let mark = if self.begun { 0 } else { header::mark(text) };
        self.begun = true;
        // What was counted begins at a lane of the whole piece.
        match mark {
            0 => self.rows.take_counted(text, counted)?,
            _ => self.rows.take(&text[mark..])?,
        }
        self.utf8.take_found(text, sound)
    }

    fn finish(self) -> Option<u64> {
        self.utf8.finish()?;
        self.rows.finish()
    }
}

/// Where pieces go: as they were packed, or through the wrapper's own writer.
enum Sink {
    Packed(Box<dyn Write + Send>),
    Plain(Box<dyn FinishWrite>),
}

impl Sink {
    fn new(to: Compression, mut writer: Box<dyn Write + Send>) -> io::Result<Self> {
        if to == Compression::SnappyFramed {
            writer.write_all(&STREAM_IDENTIFIER)?;
            return Ok(Self::Packed(writer));
        }
        Ok(Self::Plain(compress(to, writer)))
    }

    fn write(&mut self, piece: &Piece) -> io::Result<()> {
        match self {
            Self::Packed(writer) => writer.write_all(&piece.packed),
            Self::Plain(writer) => writer.write_all(piece.plain()),
        }
    }

    fn finish(self) -> io::Result<()> {
        match self {
            Self::Packed(mut writer) => writer.flush(),
            Self::Plain(writer) => writer.finish()?.flush(),
        }
    }
}
