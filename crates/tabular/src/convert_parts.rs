//! Where converted rows go: one file, a folder of parts, or a writer; each whole or not at all.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::compression::{FinishWrite, compress};
use crate::convert::{ConvertJob, OutputFile, Target};
use crate::durable_file::DurableFile;
use crate::error::TabularError;
use crate::format::Format;
use crate::split::Split;

/// Bytes gathered before a write reaches the file.
const BUFFER: usize = 256 * 1024;

/// Names the parts and keeps account of them. Dropped without [`Outputs::finish`], it removes those
/// that were made.
pub(crate) struct Outputs {
    place: Place,
    format: Format,
    digests: bool,
    /// Before the names of parts: `train/`; empty without a split.
    prefix: String,
    /// The folder was not there before.
    made_folder: bool,
    done: Vec<OutputFile>,
    finished: bool,
}

enum Place {
    File(PathBuf),
    Folder(PathBuf),
    /// Taken by the first part.
    Writer(Option<Box<dyn Write + Send>>),
}

/// A part under way.
pub(crate) struct OpenPart {
    path: PathBuf,
    /// None for a writer.
    file: Option<DurableFile>,
}

impl Outputs {
    /// Checks that nothing is in the way, and makes the folder.
    pub(crate) fn new(target: Target, job: &ConvertJob) -> Result<Self, TabularError> {
        let overwrite = job.overwrite;
        let mut made_folder = false;
        let place = match target {
            Target::File(path) => {
                if !overwrite && path.exists() {
                    return Err(TabularError::OutputExists { path });
                }
                // A device or a pipe would be replaced by a file.
                if path.metadata().is_ok_and(|meta| !meta.is_file()) {
                    let problem = io::Error::other("it is no file; for a stream write to -");
                    return Err(TabularError::io("replace", &path)(problem));
                }
                Place::File(path)
            }
            Target::Folder(path) if path.exists() && !path.is_dir() => {
                return Err(TabularError::OutputExists { path });
            }
            Target::Folder(path) => {
                made_folder = !path.exists();
                std::fs::create_dir_all(&path).map_err(TabularError::io("create", &path))?;
                let mut entries =
                    std::fs::read_dir(&path).map_err(TabularError::io("list", &path))?;
                if !overwrite && entries.next().is_some() {
                    return Err(TabularError::OutputExists { path });
                }
                Place::Folder(path)
            }
            Target::Writer(writer) => Place::Writer(Some(writer)),
        };
        Ok(Self {
            place,
            format: job.to,
            digests: job.digests,
            prefix: String::new(),
            made_folder,
            done: Vec::new(),
            finished: false,
        })
    }

    /// Outputs for the same place, for a second attempt should these be dropped; none for a stream,
    /// which cannot be taken back.
    pub(crate) fn again(&self) -> Option<Self> {
        let place = match &self.place {
            Place::File(path) => Place::File(path.clone()),
            Place::Folder(folder) => Place::Folder(folder.clone()),
            Place::Writer(_) => return None,
        };
        Some(Self {
            place,
            format: self.format,
            digests: self.digests,
            prefix: self.prefix.clone(),
            made_folder: false,
            done: Vec::new(),
            finished: false,
        })
    }

    /// One for each part of the split, in a folder of its own; itself without a split.
    pub(crate) fn split(self, split: Option<&Split>) -> Result<Vec<Self>, TabularError> {
        let (Some(split), Place::Folder(folder)) = (split, &self.place) else {
            return Ok(vec![self]);
        };
        let of_part = |(name, _): &(String, f64)| {
            let folder = folder.join(name);
            std::fs::create_dir_all(&folder).map_err(TabularError::io("create", &folder))?;
            Ok(Self {
                place: Place::Folder(folder),
                format: self.format,
                digests: self.digests,
                prefix: format!("{name}/"),
                made_folder: true,
                done: Vec::new(),
                finished: false,
            })
        };
        split.parts.iter().map(of_part).collect()
    }

    /// Whether rows may be cut into several parts.
    pub(crate) fn is_folder(&self) -> bool {
        matches!(self.place, Place::Folder(_))
    }

    /// Starts the next part; gives what to write to.
    pub(crate) fn start(&mut self) -> Result<(OpenPart, Box<dyn Write + Send>), TabularError> {
        let path = match &mut self.place {
            Place::Writer(writer) => {
                let writer = writer.take();
                let writer = writer
                    .ok_or_else(|| TabularError::Internal("a stream takes one part".into()))?;
                return Ok((
                    OpenPart {
                        path: PathBuf::from("the output stream"),
                        file: None,
                    },
                    writer,
                ));
            }
            Place::File(path) => path.clone(),
            Place::Folder(folder) => folder.join(part_name(self.done.len(), self.format)),
        };
        let mut file = DurableFile::create(&path)?;
        if self.digests {
            file = file.hashed();
        }
        let writer = BufWriter::with_capacity(BUFFER, file.writer());
        Ok((
            OpenPart {
                path,
                file: Some(file),
            },
            Box::new(writer),
        ))
    }

    /// Makes a part durable whose writer has been flushed.
    pub(crate) fn seal(&mut self, part: OpenPart, rows: u64) -> Result<(), TabularError> {
        let Some(file) = part.file else { return Ok(()) };
        let done = file.commit()?;
        let name = done.path.file_name().unwrap_or_default();
        self.done.push(OutputFile {
            name: format!("{}{}", self.prefix, name.to_string_lossy()),
            path: done.path,
            rows,
            bytes: done.bytes,
            sha256: done.sha256,
        });
        Ok(())
    }

    /// All parts in row order. Parts of an earlier conversion that this one did not replace go.
    pub(crate) fn finish(mut self) -> Result<Vec<OutputFile>, TabularError> {
        if let Place::Folder(folder) = &self.place {
            for format in Format::all() {
                let replaced = if format == self.format {
                    self.done.len()
                } else {
                    0
                };
                remove_parts(folder, format, replaced)?;
            }
        }
        self.finished = true;
        Ok(std::mem::take(&mut self.done))
    }
}

impl Drop for Outputs {
    fn drop(&mut self) {
        if !self.finished {
            for part in &self.done {
                // The error that ends the conversion is the one to tell.
                let _ = std::fs::remove_file(&part.path);
            }
            if let (Place::Folder(folder), true) = (&self.place, self.made_folder) {
                // One that holds something stays.
                let _ = std::fs::remove_dir(folder);
            }
        }
    }
}

impl OpenPart {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// Removes the parts of a format from this one on.
fn remove_parts(folder: &Path, format: Format, from: usize) -> Result<(), TabularError> {
    for index in from.. {
        let stale = folder.join(part_name(index, format));
        match std::fs::remove_file(&stale) {
            Ok(()) => {}
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => break,
            Err(e) => return Err(TabularError::io("remove", &stale)(e)),
        }
    }
    Ok(())
}

fn part_name(index: usize, format: Format) -> String {
    format!("part-{index:05}.{}", format.name())
}

/// Rows of the parts of a split, by their names; empty without one.
pub(crate) fn split_rows(
    split: Option<&Split>,
    rows: impl Iterator<Item = u64>,
) -> Vec<(String, u64)> {
    let names = split.iter().flat_map(|s| &s.parts);
    names.map(|(name, _)| name.clone()).zip(rows).collect()
}

/// Text rows to parts.
pub(crate) struct TextParts {
    /// Before the outputs, whose folder it leaves when both are dropped.
    open: Option<OpenText>,
    outputs: Outputs,
    /// The header line of each part; may be empty.
    header: Vec<u8>,
    max_rows: u64,
    max_bytes: u64,
    /// Rows written to all parts.
    pub(crate) rows: u64,
}

struct OpenText {
    part: OpenPart,
    text: Box<dyn FinishWrite>,
    rows: u64,
    /// Before compression.
    bytes: u64,
}

impl TextParts {
    /// Limits hold for each part, its header counted; they need a folder.
    pub(crate) fn new(
        outputs: Outputs,
        header: Vec<u8>,
        max_rows: Option<u64>,
        max_bytes: Option<u64>,
    ) -> Self {
        let (max_rows, max_bytes) = (
            max_rows.unwrap_or(u64::MAX).max(1),
            max_bytes.unwrap_or(u64::MAX),
        );
        Self {
            outputs,
            header,
            max_rows,
            max_bytes,
            open: None,
            rows: 0,
        }
    }

    /// Whether rows have to be told apart.
    pub(crate) fn cuts(&self) -> bool {
        self.max_rows != u64::MAX || self.max_bytes != u64::MAX
    }

    /// Appends `rows` rows as they are, to the one part.
    pub(crate) fn write_whole(&mut self, text: &[u8], rows: u64) -> Result<(), TabularError> {
        let open = self.open()?;
        open.write(text)?;
        open.rows += rows;
        self.rows += rows;
        Ok(())
    }

    /// Appends rows that end at `ends` in `text`, beginning parts as they fill.
    pub(crate) fn write_rows(&mut self, text: &[u8], ends: &[usize]) -> Result<(), TabularError> {
        let (mut from, mut start) = (0, 0);
        while from < ends.len() {
            let (max_rows, max_bytes) = (self.max_rows, self.max_bytes);
            let open = self.open()?;
            let bytes_left = max_bytes.saturating_sub(open.bytes);
            let fit = ends[from..].partition_point(|end| (end - start) as u64 <= bytes_left);
            let rows_left = usize::try_from(max_rows - open.rows).unwrap_or(usize::MAX);
            let mut room = fit.min(rows_left);
            if room == 0 && open.rows > 0 {
                self.seal()?;
                continue;
            }
            // A row that no part can hold gets one of its own.
            room = room.max(1);
            let end = ends[from + room - 1];
            open.write(&text[start..end])?;
            open.rows += room as u64;
            self.rows += room as u64;
            (from, start) = (from + room, end);
        }
        Ok(())
    }

    fn open(&mut self) -> Result<&mut OpenText, TabularError> {
        let open = match self.open.take() {
            Some(open) => open,
            None => {
                let (part, writer) = self.outputs.start()?;
                let text = compress(self.outputs.format.compression, writer);
                let mut open = OpenText {
                    part,
                    text,
                    rows: 0,
                    bytes: 0,
                };
                open.write(&self.header)?;
                open
            }
        };
        Ok(self.open.insert(open))
    }

    fn seal(&mut self) -> Result<(), TabularError> {
        let Some(open) = self.open.take() else {
            return Ok(());
        };
        let failed = TabularError::io("write", open.part.path());
        let mut writer = match open.text.finish() {
            Ok(writer) => writer,
            Err(e) => return Err(failed(e)),
        };
        writer.flush().map_err(failed)?;
        drop(writer);
        self.outputs.seal(open.part, open.rows)
    }

    /// Seals the last part; with no rows at all there is one part with a header.
    pub(crate) fn close(mut self) -> Result<Outputs, TabularError> {
        self.open()?;
        self.seal()?;
        Ok(self.outputs)
    }
}

/// All files of all parts of a split, each whole. Only now they stay.
pub(crate) fn finish_all(closed: Vec<Outputs>) -> Result<Vec<OutputFile>, TabularError> {
    let mut files = Vec::new();
    for outputs in closed {
        files.extend(outputs.finish()?);
    }
    Ok(files)
}

impl OpenText {
    fn write(&mut self, text: &[u8]) -> Result<(), TabularError> {
        self.text
            .write_all(text)
            .map_err(TabularError::io("write", self.part.path()))?;
        self.bytes += text.len() as u64;
        Ok(())
    }
}
