//! Finding the rows that a model refuses, and saying which they are: shards of text cut further into
//! pieces, the answers to pieces put together again, and what is known of a single row.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use arrow_array::cast::AsArray;
use arrow_array::types::{UInt32Type, UInt64Type};

use crate::compression::{compress, decompress};
use crate::durable_file::DurableFile;
use crate::error::TabularError;
use crate::format::Format;
use crate::sidecar::SidecarReader;

/// Bytes read and written at a time.
const BUFFER_BYTES: usize = 256 * 1024;

/// A shard of text with a row a line, which holds for every shard that is cut at its lines by the
/// service. Memory: one row, and what the codec needs.
#[derive(Debug, Clone)]
pub struct TextShard {
    /// The file.
    pub path: PathBuf,
    /// What it is written as; pieces are written alike.
    pub format: Format,
    /// Its rows.
    pub rows: u64,
    /// Bytes of its longest row, with the line end.
    pub longest_record: u64,
}

/// Consecutive rows of a shard, and the file that they go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardPiece {
    /// The first row, from 0.
    pub first: u64,
    /// How many.
    pub rows: u64,
    /// The file; one that is there is replaced.
    pub path: PathBuf,
}

impl TextShard {
    /// Writes pieces, which are in order and do not overlap. Bytes of rows stay as they are. The files
    /// are not made durable: after a crash they are cut again.
    ///
    /// # Errors
    /// [`TabularError::Corrupt`] if the shard has not as many lines as rows, or a longer one than it
    /// should; [`TabularError::Io`].
    pub fn cut(&self, pieces: &[ShardPiece]) -> Result<(), TabularError> {
        let overlap = |pair: &[ShardPiece]| pair[0].first + pair[0].rows > pair[1].first;
        if pieces.windows(2).any(overlap) {
            return Err(self.corrupt("pieces of it overlap, or are out of order".into()));
        }
        let mut pieces = pieces.iter().peekable();
        let mut out = None;
        self.for_each(|row, line| {
            if let Some(piece) = pieces.next_if(|p| p.first == row) {
                let file = File::create(&piece.path);
                let file = file.map_err(TabularError::io("create", &piece.path))?;
                let file = Box::new(BufWriter::with_capacity(BUFFER_BYTES, file));
                out = Some((piece, compress(self.format.compression, file)));
            }
            let Some((piece, mut writer)) = out.take() else {
                return Ok(());
            };
            let failed = |e| TabularError::io("write", &piece.path)(e);
            writer.write_all(line).map_err(failed)?;
            if row + 1 < piece.first + piece.rows {
                out = Some((piece, writer));
                return Ok(());
            }
            let mut file = writer.finish().map_err(failed)?;
            file.flush().map_err(failed)
        })?;
        match (out, pieces.next()) {
            (None, None) => Ok(()),
            _ => Err(self.corrupt("a piece reaches beyond its end".into())),
        }
    }

    /// The text of some rows, by their numbers from 0, ascending; without line ends. All of it is held
    /// in memory.
    ///
    /// # Errors
    /// As [`TextShard::cut`].
    pub fn texts(&self, rows: &[u64]) -> Result<Vec<Vec<u8>>, TabularError> {
        let mut wanted = rows.iter().peekable();
        let mut found = Vec::with_capacity(rows.len());
        self.for_each(|row, line| {
            if wanted.next_if(|w| **w == row).is_some() {
                let text = line.strip_suffix(b"\n").unwrap_or(line);
                found.push(text.strip_suffix(b"\r").unwrap_or(text).to_vec());
            }
            Ok(())
        })?;
        match wanted.next() {
            None => Ok(found),
            Some(row) => Err(self.corrupt(format!("it has no row {row}"))),
        }
    }

    /// Every row with its line end; proves that there are as many as there should be.
    pub(crate) fn for_each(
        &self,
        mut take: impl FnMut(u64, &[u8]) -> Result<(), TabularError>,
    ) -> Result<(), TabularError> {
        let file = File::open(&self.path).map_err(TabularError::io("open", &self.path))?;
        let plain = decompress(self.format.compression, Box::new(file));
        let mut plain = BufReader::with_capacity(BUFFER_BYTES, plain);
        let (mut line, mut row) = (Vec::new(), 0);
        loop {
            line.clear();
            let limit = self.longest_record.saturating_add(1);
            let read = plain.by_ref().take(limit).read_until(b'\n', &mut line);
            read.map_err(TabularError::io("read", &self.path))?;
            if line.is_empty() {
                break;
            }
            if line.len() as u64 > self.longest_record {
                let most = self.longest_record;
                return Err(self.corrupt(format!("row {row} is longer than {most} bytes")));
            }
            take(row, &line)?;
            row += 1;
        }
        if row == self.rows {
            return Ok(());
        }
        Err(self.corrupt(format!("it has {row} lines, expected {}", self.rows)))
    }

    fn corrupt(&self, problem: String) -> TabularError {
        TabularError::Corrupt {
            path: self.path.clone(),
            problem,
        }
    }
}

/// Puts the answers to the pieces of a shard one behind the other, each with a line end at its end;
/// the file is durable. Gives its size. Memory: one buffer.
///
/// # Errors
/// [`TabularError::Io`].
pub fn join_answers(answers: &[PathBuf], to: &Path) -> Result<u64, TabularError> {
    let file = DurableFile::create(to)?;
    let mut out = BufWriter::with_capacity(BUFFER_BYTES, file.writer());
    let mut buffer = vec![0; BUFFER_BYTES];
    for path in answers {
        let mut answer = File::open(path).map_err(TabularError::io("open", path))?;
        let mut last = b'\n';
        loop {
            let read = answer.read(&mut buffer);
            let read = read.map_err(TabularError::io("read", path))?;
            let Some(end) = buffer[..read].last() else {
                break;
            };
            last = *end;
            let written = out.write_all(&buffer[..read]);
            written.map_err(TabularError::io("write", to))?;
        }
        if last != b'\n' {
            out.write_all(b"\n")
                .map_err(TabularError::io("write", to))?;
        }
    }
    out.flush().map_err(TabularError::io("write", to))?;
    drop(out);
    Ok(file.commit()?.bytes)
}

/// Where a row of a shard comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowOrigin {
    /// Among accepted rows of all inputs, from 0.
    pub ordinal: u64,
    /// The index of the input.
    pub file: u32,
    /// The data record in that input, from 1.
    pub record: u64,
}

/// The origins of some rows, by their numbers in the shard from 0, ascending.
///
/// # Errors
/// [`TabularError::Corrupt`] if the sidecar is not the one that was written, or has no such row;
/// [`TabularError::Io`].
pub fn row_origins(
    sidecar: &Path,
    sha256: &str,
    rows: &[u64],
) -> Result<Vec<RowOrigin>, TabularError> {
    let mut wanted = rows.iter().copied().peekable();
    let mut found = Vec::with_capacity(rows.len());
    let mut before = 0;
    for batch in SidecarReader::open(sidecar, sha256)? {
        let batch = batch?;
        let ordinals = batch.column(0).as_primitive::<UInt64Type>();
        let files = batch.column(1).as_primitive::<UInt32Type>();
        let records = batch.column(2).as_primitive::<UInt64Type>();
        let end = before + batch.num_rows() as u64;
        while let Some(row) = wanted.next_if(|row| (before..end).contains(row)) {
            let at = usize::try_from(row - before).unwrap_or(usize::MAX);
            found.push(RowOrigin {
                ordinal: ordinals.value(at),
                file: files.value(at),
                record: records.value(at),
            });
        }
        before = end;
    }
    match wanted.next() {
        None => Ok(found),
        Some(row) => Err(TabularError::Corrupt {
            path: sidecar.to_path_buf(),
            problem: format!("it has {before} rows, and no row {row}"),
        }),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

    use super::*;

    const LINES: [&str; 5] = ["1,a\n", "22,b\n", "3,\n", "4444,d\r\n", "5,e\n"];

    fn shard(folder: &Path, format: &str) -> TextShard {
        let path = folder.join("shard");
        let format: Format = format.parse().unwrap();
        let file = Box::new(File::create(&path).unwrap());
        let mut writer = compress(format.compression, file);
        writer.write_all(LINES.concat().as_bytes()).unwrap();
        writer.finish().unwrap().flush().unwrap();
        TextShard {
            path,
            format,
            rows: 5,
            longest_record: 8,
        }
    }

    fn plain(path: &Path, format: Format) -> String {
        let mut text = String::new();
        let file = Box::new(File::open(path).unwrap());
        decompress(format.compression, file)
            .read_to_string(&mut text)
            .unwrap();
        text
    }

    #[test]
    fn pieces_hold_their_rows_as_they_are_and_gaps_are_left_out() {
        for format in ["csv", "csv.gz", "jsonl"] {
            let folder = tempfile::tempdir().unwrap();
            let shard = shard(folder.path(), format);
            let piece = |first, rows| ShardPiece {
                first,
                rows,
                path: folder.path().join(format!("p{first}")),
            };
            let pieces = [piece(0, 2), piece(2, 1), piece(4, 1)];
            shard.cut(&pieces).unwrap();
            let found = pieces.map(|p| plain(&p.path, shard.format));
            assert_eq!(
                found,
                [LINES[..2].concat(), LINES[2].into(), LINES[4].into()]
            );
            assert_eq!(
                shard.texts(&[0, 3]).unwrap(),
                [b"1,a".to_vec(), b"4444,d".to_vec()]
            );
            assert!(shard.texts(&[5]).is_err());
            for bad in [
                vec![piece(3, 3)],
                vec![piece(0, 2), piece(1, 1)],
                vec![piece(7, 1)],
            ] {
                assert!(shard.cut(&bad).is_err(), "{bad:?}");
            }
        }
    }

    #[test]
    fn a_shard_that_is_not_what_it_should_be_is_not_cut() {
        let folder = tempfile::tempdir().unwrap();
        let shard = shard(folder.path(), "csv");
        let fewer = TextShard {
            rows: 6,
            ..shard.clone()
        };
        let error = fewer.cut(&[]).unwrap_err().to_string();
        assert!(error.ends_with("it has 5 lines, expected 6"), "{error}");
        let shorter = TextShard {
            longest_record: 7,
            ..shard
        };
        let error = shorter.cut(&[]).unwrap_err().to_string();
        assert!(error.ends_with("row 3 is longer than 7 bytes"), "{error}");
    }

    #[test]
    fn answers_are_joined_with_a_line_end_each() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let answers = [
            file("a", "1\n2"),
            file("b", ""),
            file("c", "3\n"),
            file("d", "4"),
        ];
        let to = folder.path().join("joined");
        let bytes = join_answers(&answers, &to).unwrap();
        assert_eq!(std::fs::read_to_string(to).unwrap(), "1\n2\n3\n4\n");
        assert_eq!(bytes, 8);
    }
}
