//! Where bytes come from: something with a name that can be opened again.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use crate::compression::{Compression, compress, decompress};
use crate::error::TabularError;
use crate::scratch::ScratchFile;

/// Opens the same bytes again, from their start.
pub type Opener = Arc<dyn Fn() -> io::Result<Box<dyn Read + Send>> + Send + Sync>;

/// One input. Cloning it is cheap.
#[derive(Clone)]
pub struct Input {
    /// For messages, sidecars and quarantine: a path or a URI.
    pub name: String,
    /// What has to be undone to reach the text.
    pub compression: Compression,
    /// Gives the bytes as stored, from the start, each time it is called.
    pub open: Opener,
}

impl std::fmt::Debug for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Input")
            .field("name", &self.name)
            .field("compression", &self.compression)
            .finish()
    }
}

impl Input {
    /// A file. Compression goes by the name's extension, else by the first bytes; a file that cannot
    /// be opened now gives its error when it is read.
    pub fn file(path: impl AsRef<Path>) -> Self {
        let path = path.as_ref().to_path_buf();
        let name = path.display().to_string();
        let compression = match Compression::from_name(&name) {
            Compression::None => sniff_file(&path).unwrap_or(Compression::None),
            named => named,
        };
        let open: Opener = Arc::new(move || Ok(Box::new(File::open(&path)?)));
        Self {
            name,
            compression,
            open,
        }
    }

    /// Reads `reader` to its end into a Snappy-framed scratch file in `folder`, so that it can be read
    /// twice. The file goes when the last clone of this input does. `compression` is that of `reader`;
    /// with [`Compression::None`] the first bytes decide.
    ///
    /// # Errors
    /// Those of reading and of writing the scratch file.
    pub fn spilled(
        name: &str,
        compression: Compression,
        reader: Box<dyn Read + Send>,
        folder: &Path,
    ) -> Result<Self, TabularError> {
        let (compression, reader) =
            sniffed(compression, reader).map_err(TabularError::io("read", name))?;
        let mut text = decompress(compression, reader);
        let scratch = ScratchFile::create_in(folder, "spill")?;
        let file = scratch.open_for_write()?;
        let mut out = compress(Compression::SnappyFramed, Box::new(file));
        copy(&mut text, &mut out, name, scratch.path())?;
        out.finish()
            .map_err(TabularError::io("write", scratch.path()))?;
        let open: Opener = Arc::new(move || Ok(Box::new(File::open(scratch.path())?)));
        Ok(Self {
            name: name.to_owned(),
            compression: Compression::SnappyFramed,
            open,
        })
    }

    /// The decompressed text from its start.
    pub(crate) fn text(&self) -> Result<Box<dyn Read + Send>, TabularError> {
        let stored = (self.open)().map_err(TabularError::io("open", &self.name))?;
        Ok(decompress(self.compression, stored))
    }
}

fn sniff_file(path: &Path) -> Option<Compression> {
    let mut first = [0u8; 16];
    let mut file = File::open(path).ok()?;
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let read = read_full(&mut file, &mut first).ok()?;
    Compression::sniff(&first[..read])
}

/// Where no compression was named, looks at the first bytes and puts them back.
pub(crate) fn sniffed(
    named: Compression,
    mut reader: Box<dyn Read + Send>,
) -> io::Result<(Compression, Box<dyn Read + Send>)> {
    if !matches!(named, Compression::None) {
        return Ok((named, reader));
    }
    let mut first = vec![0u8; 16];
    let read = read_full(&mut reader, &mut first)?;
    first.truncate(read);
    let compression = Compression::sniff(&first).unwrap_or(Compression::None);
    Ok((compression, Box::new(io::Cursor::new(first).chain(reader))))
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
