//! Where bytes come from: something with a name that can be opened again.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use parquet::file::reader::Length as _;

use crate::compression::{Compression, compress, decompress};
use crate::encoding::{TextEncoding, decoded};
use crate::error::TabularError;
use crate::format::{Format, Layout};
use crate::ranges::{Ranges, ReadRange, Seekable};
use crate::scratch::ScratchFile;

/// Opens the same bytes again, from their start.
pub type Opener = Arc<dyn Fn() -> io::Result<Box<dyn Read + Send>> + Send + Sync>;

/// First bytes that tell a layout or a wrapper apart.
const SNIFFED: usize = 64;

/// One input. Cloning it is cheap.
#[derive(Clone)]
pub struct Input {
    /// For messages, sidecars and quarantine: a path or a URI.
    pub name: String,
    /// How its rows are laid out.
    pub layout: Layout,
    /// What has to be undone to reach the text.
    pub compression: Compression,
    /// How the bytes of its text stand for characters; where it is not known, UTF-16 with a byte
    /// order mark or UTF-8.
    pub encoding: Option<TextEncoding>,
    /// Gives the bytes as stored, from the start, each time it is called.
    pub open: Opener,
    local: Local,
}

/// Where a reader that has to seek finds the bytes: in the file itself, or in a copy of the stream,
/// made when it is first asked for.
#[derive(Clone)]
struct Local {
    file: Option<PathBuf>,
    folder: PathBuf,
    copy: Arc<Mutex<Option<Arc<ScratchFile>>>>,
    ranges: Option<Ranges>,
    by_ranges: bool,
}

impl std::fmt::Debug for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Input")
            .field("name", &self.name)
            .field("layout", &self.layout)
            .field("compression", &self.compression)
            .finish_non_exhaustive()
    }
}

impl Input {
    /// Bytes that `open` gives, in `format`. What has to seek in them (Parquet) copies them to a file
    /// in the folder for temporary files first, or in that of [`Input::with_scratch`].
    pub fn new(name: impl Into<String>, format: Format, open: Opener) -> Self {
        Self {
            name: name.into(),
            layout: format.layout,
            compression: format.compression,
            encoding: None,
            open,
            local: Local {
                file: None,
                folder: std::env::temp_dir(),
                copy: Arc::default(),
                ranges: None,
                by_ranges: false,
            },
        }
    }

    /// As [`Input::new`], with the format that the name's extensions or, without any, the first bytes
    /// show; `layout` is the one that is known. What cannot be opened now gives its error when it is
    /// read.
    pub fn detect(name: impl Into<String>, layout: Option<Layout>, open: Opener) -> Self {
        let name = name.into();
        let named = Format::from_name(&name);
        let format = match (named, layout) {
            (Some(named), None) => named,
            (Some(named), Some(layout)) if named.layout == layout => named,
            (_, Some(Layout::Parquet)) => Format::PARQUET,
            (_, layout) => {
                let found = open().ok().and_then(|reader| {
                    let wrapper = Compression::from_name(&name);
                    sniff_stream(reader, wrapper).ok()
                });
                let found = found.unwrap_or_default();
                Format::text(layout.unwrap_or(found.layout), found.compression)
            }
        };
        Self::new(name, format, open)
    }

    /// The same input, with copies made in `folder`.
    #[must_use]
    pub fn with_scratch(mut self, folder: &Path) -> Self {
        self.local.folder = folder.to_path_buf();
        self
    }

    /// The same input, its text in this encoding.
    #[must_use]
    pub fn with_encoding(mut self, encoding: Option<TextEncoding>) -> Self {
        self.encoding = encoding;
        self
    }

    /// The same input, of which `read` can also give a part of its `len` stored bytes.
    #[must_use]
    pub fn with_ranges(mut self, len: u64, read: ReadRange) -> Self {
        self.local.ranges = Some(Ranges::new(len, read));
        self
    }

    /// The same input for a look at its beginning: what has to seek in it asks for ranges, if it can
    /// give them and there is no copy yet. To read all of it so would be many small requests.
    #[must_use]
    pub fn by_ranges(&self) -> Self {
        let mut input = self.clone();
        input.local.by_ranges = true;
        input
    }

    /// Bytes of the copy that reading all of it will make on this machine: of a store's Parquet.
    #[must_use]
    pub fn bytes_to_copy(&self) -> u64 {
        let needed = self.layout == Layout::Parquet && self.local.file.is_none();
        match &self.local.ranges {
            Some(ranges) if needed && lock(&self.local.copy).is_none() => ranges.len(),
            _ => 0,
        }
    }

    /// The same input, read as another format than its name says.
    #[must_use]
    pub fn with_format(mut self, format: Format) -> Self {
        (self.layout, self.compression) = (format.layout, format.compression);
        self
    }

    /// A file. Its format goes by the name's extensions, else by the first bytes; a file that cannot
    /// be opened now gives its error when it is read.
    pub fn file(path: impl AsRef<Path>) -> Self {
        Self::of_file(path.as_ref(), None)
    }

    /// A file of this layout, whatever its name says; its wrapper goes by the name or the first bytes.
    pub fn file_as(path: impl AsRef<Path>, layout: Layout) -> Self {
        Self::of_file(path.as_ref(), Some(layout))
    }

    fn of_file(path: &Path, layout: Option<Layout>) -> Self {
        let path = path.to_path_buf();
        let file = path.clone();
        let open: Opener = Arc::new(move || Ok(Box::new(File::open(&file)?)));
        let mut input = Self::detect(path.display().to_string(), layout, open);
        input.local.file = Some(path);
        input
    }

    /// Reads `reader` to its end into a scratch file in `folder`, so that it can be read twice. The
    /// file goes when the last clone of this input does. `format` is that of `reader`; without one
    /// the first bytes decide. Text is kept in Snappy's framing format, Parquet as it is.
    ///
    /// # Errors
    /// Those of reading and of writing the scratch file.
    pub fn spilled(
        name: &str,
        format: Option<Format>,
        reader: Box<dyn Read + Send>,
        folder: &Path,
    ) -> Result<Self, TabularError> {
        let (format, mut text) = match format {
            Some(Format::PARQUET) => (Format::PARQUET, reader),
            Some(format) => (format, decompress(format.compression, reader)),
            None => sniffed(reader).map_err(TabularError::io("read", name))?,
        };
        let kept = match format.layout {
            Layout::Parquet => Compression::None,
            Layout::Csv | Layout::JsonLines => Compression::SnappyFramed,
        };
        let scratch = Arc::new(ScratchFile::create_in(folder, "spill")?);
        let file = scratch.open_for_write()?;
        let mut out = compress(kept, Box::new(file));
        copy(&mut text, &mut out, name, scratch.path())?;
        out.finish()
            .map_err(TabularError::io("write", scratch.path()))?;
        let held = Arc::clone(&scratch);
        let open: Opener = Arc::new(move || Ok(Box::new(File::open(held.path())?)));
        let input = Self::new(name, Format::text(format.layout, kept), open);
        *lock(&input.local.copy) = Some(scratch);
        Ok(input)
    }

    /// The bytes for readers that have to seek; a stream is copied once.
    pub(crate) fn seekable(&self) -> Result<Seekable, TabularError> {
        let open = |path: &Path| {
            let file = File::open(path).map_err(TabularError::io("open", &self.name))?;
            Ok(Seekable::File(file))
        };
        if let Some(path) = &self.local.file {
            return open(path);
        }
        let mut copy_there = lock(&self.local.copy);
        if let Some(scratch) = &*copy_there {
            return open(scratch.path());
        }
        if let Some(ranges) = self.local.ranges.as_ref().filter(|_| self.local.by_ranges) {
            return Ok(Seekable::Ranges(ranges.clone()));
        }
        let scratch = Arc::new(ScratchFile::create_in(&self.local.folder, "input")?);
        let mut stored = (self.open)().map_err(TabularError::io("open", &self.name))?;
        let mut file = scratch.open_for_write()?;
        copy(&mut stored, &mut file, &self.name, scratch.path())?;
        let file = open(scratch.path())?;
        *copy_there = Some(scratch);
        Ok(file)
    }

    /// Why a range could not be read, which a reader of Parquet tells as text only.
    pub(crate) fn take_failure(&self) -> Option<TabularError> {
        let failure = self.local.ranges.as_ref()?.take_failure()?;
        Some(TabularError::io("read", &self.name)(failure))
    }

    /// Bytes as stored. Of a stream it makes the copy that a reader of Parquet needs as well.
    ///
    /// # Errors
    /// Those of reading.
    pub fn stored_bytes(&self) -> Result<u64, TabularError> {
        Ok(self.seekable()?.len())
    }

    /// The text from its start, decompressed and decoded.
    ///
    /// # Errors
    /// Those of opening it and of reading its first bytes.
    pub fn text(&self) -> Result<Box<dyn Read + Send>, TabularError> {
        let stored = (self.open)().map_err(TabularError::io("open", &self.name))?;
        self.text_of(stored)
    }

    /// The first `bytes` of the text, and whether that is all of it.
    ///
    /// # Errors
    /// Those of [`Input::text`] and of reading.
    pub fn beginning(&self, bytes: u64) -> Result<(Vec<u8>, bool), TabularError> {
        let mut text = Vec::new();
        self.text()?
            .take(bytes)
            .read_to_end(&mut text)
            .map_err(TabularError::io("read", &self.name))?;
        let whole = (text.len() as u64) < bytes;
        Ok((text, whole))
    }

    /// As [`Input::text`], of the bytes that `stored` gives.
    ///
    /// # Errors
    /// Those of reading the first bytes.
    pub fn text_of(
        &self,
        stored: Box<dyn Read + Send>,
    ) -> Result<Box<dyn Read + Send>, TabularError> {
        let text = decompress(self.compression, stored);
        decoded(self.encoding, text).map_err(TabularError::io("read", &self.name))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The wrapper that the name says, else the one that the first bytes show; the layout by the first
/// bytes of the text.
fn sniff_stream(reader: Box<dyn Read + Send>, named: Compression) -> io::Result<Format> {
    if named == Compression::None {
        return sniffed(reader).map(|(format, _)| format);
    }
    let (layout, _) = layout_of(decompress(named, reader))?;
    Ok(Format::text(layout, named))
}

/// The format that the first bytes show, and the text from its start.
pub(crate) fn sniffed(reader: Box<dyn Read + Send>) -> io::Result<(Format, Box<dyn Read + Send>)> {
    let (first, stored) = peek(reader)?;
    let compression = Compression::sniff(&first).unwrap_or_default();
    let text = match compression {
        // Parquet is no text, which is looked for below.
        Compression::None => stored,
        wrapped => decompress(wrapped, stored),
    };
    let (layout, text) = layout_of(text)?;
    Ok((Format::text(layout, compression), text))
}

fn layout_of(text: Box<dyn Read + Send>) -> io::Result<(Layout, Box<dyn Read + Send>)> {
    let (first, text) = peek(text)?;
    Ok((Layout::sniff(&first), text))
}

/// The first bytes, and the reader with them put back.
fn peek(mut reader: Box<dyn Read + Send>) -> io::Result<(Vec<u8>, Box<dyn Read + Send>)> {
    let mut first = vec![0u8; SNIFFED];
    let read = read_full(&mut reader, &mut first)?;
    first.truncate(read);
    let again = io::Cursor::new(first.clone()).chain(reader);
    Ok((first, Box::new(again)))
}

/// Reads until `buffer` is full or the input ends; gives the number of bytes.
pub(crate) fn read_full(reader: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut len = 0;
    while len < buffer.len() {
        match reader.read(&mut buffer[len..]) {
            Ok(0) => break,
            Ok(n) => len += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(len)
}

/// `io::copy`, with errors that say which side failed.
fn copy(
    from: &mut dyn Read,
    to: &mut dyn io::Write,
    name: &str,
    path: &Path,
) -> Result<(), TabularError> {
    let mut buffer = vec![0u8; 256 * 1024];
    loop {
        let n = read_full(from, &mut buffer).map_err(TabularError::io("read", name))?;
        if n == 0 {
            return Ok(());
        }
        to.write_all(&buffer[..n])
            .map_err(TabularError::io("write", path))?;
    }
}
