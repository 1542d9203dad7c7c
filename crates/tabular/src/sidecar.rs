//! What a shard remembers of its rows: an Arrow IPC file beside it, one row a row of the shard.
//!
//! The first three columns say where a row comes from; the rest are the columns that `assemble`
//! puts beside the predictions. Neither quarantined rows nor a shard cut further renumber a row,
//! because each carries its own ordinal.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_ipc::reader::{FileReader, read_footer_length};
use arrow_ipc::writer::FileWriter;
use arrow_ipc::{Block, root_as_footer};
use arrow_schema::{ArrowError, DataType, Field, Schema as ArrowSchema, SchemaRef};
use sha2::{Digest, Sha256};

use crate::error::TabularError;

/// Columns before those of the source.
pub const PLACE_COLUMNS: usize = 3;
/// Bytes read at a time while a sidecar is checked.
const CHECK_BUFFER: usize = 256 * 1024;
/// Bytes behind the footer: its length in four, and `ARROW1` (Arrow columnar format, "IPC File Format").
const FOOTER_END: usize = 10;

/// The schema of a sidecar that carries `columns`: `ordinal` (of the accepted row over all inputs,
/// from 0), `file` (index of the input), `record` (data record in its file, from 1), then those.
pub fn sidecar_schema(columns: &[Field]) -> SchemaRef {
    let mut fields = vec![
        Field::new("ordinal", DataType::UInt64, false),
        Field::new("file", DataType::UInt32, false),
        Field::new("record", DataType::UInt64, false),
    ];
    fields.extend(columns.iter().cloned());
    Arc::new(ArrowSchema::new(fields))
}

/// Writes a sidecar batch by batch to any writer. Memory: one batch. The same batches make the
/// same bytes.
pub struct SidecarWriter<W: Write> {
    file: FileWriter<W>,
    path: PathBuf,
}

impl<W: Write> std::fmt::Debug for SidecarWriter<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SidecarWriter")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl<W: Write> SidecarWriter<W> {
    /// Begins a sidecar of [`sidecar_schema`]`(columns)`. `path` names it in errors.
    ///
    /// # Errors
    /// [`TabularError::Io`] from `target`.
    pub fn new(
        target: W,
        columns: &[Field],
        path: &Path,
    ) -> Result<SidecarWriter<W>, TabularError> {
        let file = FileWriter::try_new(target, &sidecar_schema(columns));
        let file = file.map_err(|e| arrow_error(path, "write", e))?;
        Ok(SidecarWriter {
            file,
            path: path.to_path_buf(),
        })
    }

    /// Appends rows; the batch has all columns of the schema.
    ///
    /// # Errors
    /// [`TabularError::Columnar`] for other columns, [`TabularError::Io`] from the target.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), TabularError> {
        let types = |s: &SchemaRef| {
            s.fields()
                .iter()
                .map(|f| f.data_type().clone())
                .collect::<Vec<_>>()
        };
        let (expected, found) = (types(self.file.schema()), types(&batch.schema()));
        if expected != found {
            let message =
                format!("the sidecar has columns of types {expected:?}, the batch of {found:?}");
            return Err(TabularError::Columnar {
                path: self.path.clone(),
                action: "write",
                message,
            });
        }
        self.file
            .write(batch)
            .map_err(|e| arrow_error(&self.path, "write", e))
    }

    /// Writes the footer and gives the target back, flushed.
    ///
    /// # Errors
    /// [`TabularError::Io`] from the target.
    pub fn finish(self) -> Result<W, TabularError> {
        let path = self.path;
        self.file
            .into_inner()
            .map_err(|e| arrow_error(&path, "write", e))
    }
}

/// Reads a sidecar that proved to be the one that was written. Memory: one of its batches.
pub struct SidecarReader {
    file: FileReader<BufReader<File>>,
    path: PathBuf,
}

impl std::fmt::Debug for SidecarReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SidecarReader")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl SidecarReader {
    /// Reads the whole file once to compare its SHA-256 (64 lower-case hexadecimal digits), then
    /// opens it.
    ///
    /// # Errors
    /// [`TabularError::Corrupt`] if the checksum or the first columns are not as expected,
    /// [`TabularError::Io`] if the file cannot be read.
    pub fn open(path: &Path, expected_sha256: &str) -> Result<SidecarReader, TabularError> {
        let mut file = File::open(path).map_err(TabularError::io("open", path))?;
        let found = sha256_of(&mut file).map_err(TabularError::io("read", path))?;
        if !found.eq_ignore_ascii_case(expected_sha256) {
            return Err(corrupt(
                path,
                format!(
                    "its SHA-256 is {found}, it was written as {expected_sha256}: fetch or make it again"
                ),
            ));
        }
        check_blocks(path, &mut file)?;
        file.rewind().map_err(TabularError::io("read", path))?;
        let file = guarded(path, || FileReader::try_new_buffered(file, None))?;
        let reader = SidecarReader {
            file,
            path: path.to_path_buf(),
        };
        reader.check_schema()?;
        Ok(reader)
    }

    /// All columns, the three of the place first.
    pub fn schema(&self) -> SchemaRef {
        self.file.schema()
    }

    fn check_schema(&self) -> Result<(), TabularError> {
        let schema = self.schema();
        let place = sidecar_schema(&[]);
        let same = schema.fields().len() >= PLACE_COLUMNS
            && schema
                .fields()
                .iter()
                .zip(place.fields())
                .all(|(a, b)| a.name() == b.name() && a.data_type() == b.data_type());
        if same {
            return Ok(());
        }
        Err(corrupt(
            &self.path,
            "it does not start with the columns ordinal, file, record".into(),
        ))
    }
}

impl Iterator for SidecarReader {
    type Item = Result<RecordBatch, TabularError>;

    fn next(&mut self) -> Option<Self::Item> {
        let Self { file, path } = self;
        guarded(path, || file.next().transpose()).transpose()
    }
}

/// Holds the batches that the footer names to the file: the library makes room for as many bytes as it is
/// told before it reads them.
fn check_blocks(path: &Path, file: &mut File) -> Result<(), TabularError> {
    let failed = || TabularError::io("read", path);
    let size = file.metadata().map_err(failed())?.len();
    let too_long = |what: &str, found: i128| {
        corrupt(
            path,
            format!("its {what} have {found} bytes, the file has {size}: fetch or make it again"),
        )
    };
    let mut end = [0; FOOTER_END];
    let Some(before_end) = size.checked_sub(FOOTER_END as u64) else {
        return Err(corrupt(path, format!("it ends after {size} bytes")));
    };
    file.seek(SeekFrom::Start(before_end)).map_err(failed())?;
    file.read_exact(&mut end).map_err(failed())?;
    let length = read_footer_length(end).map_err(|e| arrow_error(path, "read", e))?;
    let Some(start) = before_end.checked_sub(length as u64) else {
        return Err(too_long("columns", length as i128));
    };
    let mut footer = vec![0; length];
    file.seek(SeekFrom::Start(start)).map_err(failed())?;
    file.read_exact(&mut footer).map_err(failed())?;
    let blocks = guarded(path, || block_bytes(&footer))?;
    // None is negative, and no two share their bytes.
    if blocks.iter().any(|bytes| *bytes < 0) || blocks.iter().sum::<i128>() > i128::from(size) {
        return Err(too_long("batches", blocks.iter().sum()));
    }
    Ok(())
}

/// Bytes of each batch and dictionary by the footer; -1 for what cannot be.
fn block_bytes(footer: &[u8]) -> Result<Vec<i128>, ArrowError> {
    let footer = root_as_footer(footer)
        .map_err(|error| ArrowError::ParseError(format!("its footer: {error}")))?;
    let blocks = [footer.recordBatches(), footer.dictionaries()];
    let bytes = |block: &Block| {
        let (metadata, body) = (block.metaDataLength(), block.bodyLength());
        if block.offset() < 0 || metadata < 0 || body < 0 {
            return -1;
        }
        i128::from(metadata) + i128::from(body)
    };
    Ok(blocks.into_iter().flatten().flatten().map(bytes).collect())
}

/// Runs a piece of the library, which does not check all that a file says before it takes a slice by
/// it: what panics there is an error of the file.
fn guarded<T>(
    path: &Path,
    work: impl FnOnce() -> Result<T, ArrowError>,
) -> Result<T, TabularError> {
    let problem = "its metadata and its data contradict each other";
    catch_unwind(AssertUnwindSafe(work))
        .map_err(|_| corrupt(path, problem.into()))?
        .map_err(|error| arrow_error(path, "read", error))
}

fn sha256_of(file: &mut File) -> io::Result<String> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; CHECK_BUFFER];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(hex::encode(hasher.finalize())),
            Ok(n) => hasher.update(&buffer[..n]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn corrupt(path: &Path, problem: String) -> TabularError {
    TabularError::Corrupt {
        path: path.to_path_buf(),
        problem,
    }
}

/// The system's own errors as such, all others as what the library said.
fn arrow_error(path: &Path, action: &'static str, error: ArrowError) -> TabularError {
    let path = path.to_path_buf();
    match error {
        ArrowError::IoError(_, source) => TabularError::Io {
            path,
            action,
            source,
        },
        other => TabularError::Columnar {
            path,
            action,
            message: other.to_string(),
        },
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

    use arrow_array::{StringArray, UInt32Array, UInt64Array};

    use super::*;

    fn batch(from: u64, rows: u64) -> RecordBatch {
        let ordinals = UInt64Array::from_iter_values(from..from + rows);
        let ids = StringArray::from_iter_values((from..from + rows).map(|i| format!("id {i}")));
        RecordBatch::try_new(
            sidecar_schema(&[Field::new("id", DataType::Utf8, true)]),
            vec![
                Arc::new(ordinals.clone()),
                Arc::new(UInt32Array::from(vec![0; rows as usize])),
                Arc::new(UInt64Array::from_iter_values(
                    ordinals.values().iter().map(|o| o + 1),
                )),
                Arc::new(ids),
            ],
        )
        .unwrap()
    }

    fn bytes() -> Vec<u8> {
        let columns = [Field::new("id", DataType::Utf8, true)];
        let mut w = SidecarWriter::new(Vec::new(), &columns, Path::new("s.arrow")).unwrap();
        w.write(&batch(0, 5)).unwrap();
        w.write(&batch(5, 2)).unwrap();
        w.finish().unwrap()
    }

    fn stored(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.arrow");
        std::fs::write(&path, bytes).unwrap();
        (folder, path)
    }

    #[test]
    fn comes_back_batch_by_batch() {
        let written = bytes();
        assert_eq!(written, bytes(), "the same batches make the same bytes");
        let (_folder, path) = stored(&written);
        let reader = SidecarReader::open(&path, &hex::encode(Sha256::digest(&written))).unwrap();
        let batches: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
        assert_eq!(batches, [batch(0, 5), batch(5, 2)]);
    }

    #[test]
    fn one_changed_byte_is_found_before_any_row_is_given() {
        let mut written = bytes();
        let sha256 = hex::encode(Sha256::digest(&written));
        let middle = written.len() / 2;
        written[middle] ^= 1;
        let (_folder, path) = stored(&written);
        let error = SidecarReader::open(&path, &sha256).unwrap_err();
        assert!(
            matches!(&error, TabularError::Corrupt { problem, .. } if problem.contains(&sha256)),
            "{error}"
        );
    }

    #[test]
    fn another_file_with_its_own_checksum_is_refused() {
        let mut w = FileWriter::try_new(
            Vec::new(),
            &ArrowSchema::new(vec![Field::new("a", DataType::Utf8, true)]),
        )
        .unwrap();
        w.finish().unwrap();
        let other = w.into_inner().unwrap();
        for content in [other.as_slice(), b"a,b\n"] {
            let (_folder, path) = stored(content);
            assert!(SidecarReader::open(&path, &hex::encode(Sha256::digest(content))).is_err());
        }
    }

    #[test]
    fn lengths_that_lie_are_an_error_of_the_file() {
        let (written, mut caught) = (bytes(), 0);
        // Each number of eight bytes in turn says far too much: offsets and lengths are among them.
        for at in (8..written.len() - 8).step_by(8) {
            let mut bytes = written.clone();
            bytes[at + 7] = 0x40;
            let (_folder, path) = stored(&bytes);
            let sha256 = hex::encode(Sha256::digest(&bytes));
            let read = SidecarReader::open(&path, &sha256)
                .and_then(|reader| reader.collect::<Result<Vec<RecordBatch>, TabularError>>());
            let error = read.err().map(|e| e.to_string()).unwrap_or_default();
            caught += usize::from(error.contains("contradict each other"));
        }
        assert!(caught > 0);
    }

    #[test]
    fn batches_longer_than_the_file_are_refused_before_there_is_room_for_them() {
        let bytes = include_bytes!("../../../fuzz/corpus/sidecar/long_batch");
        let (_folder, path) = stored(bytes);
        let opened = SidecarReader::open(&path, &hex::encode(Sha256::digest(bytes)));
        let error = opened.err().unwrap().to_string();
        let found = "its batches have 1073742128 bytes, the file has 811";
        assert!(error.contains(found), "{error}");
    }

    #[test]
    fn writer_refuses_other_columns() {
        let mut w = SidecarWriter::new(Vec::new(), &[], Path::new("s.arrow")).unwrap();
        assert!(matches!(
            w.write(&batch(0, 1)),
            Err(TabularError::Columnar { .. })
        ));
    }
}
