//! A Parquet file on its way out, row group by row group.
//!
//! Where all columns are our own encoder's, so is the footer: no more is kept of a row group than the
//! footer's bytes. Files with others are the library's.

use std::io::Write;

use parquet::errors::ParquetError;
use parquet::file::writer::SerializedFileWriter;

use crate::chunk_writer::EncodedChunk;
use crate::parquet_file::{ColumnChunk, append};
use crate::parquet_footer::{Described, Footer, MAGIC};

/// Begun by [`FilePlan::open`](crate::parquet_file::FilePlan::open). Left before it is finished, it is
/// no file.
pub(crate) enum ParquetOutput<W: Write + Send> {
    Flat(FlatOutput<W>),
    Library(SerializedFileWriter<W>),
}

impl<W: Write + Send> ParquetOutput<W> {
    /// Puts the next row group into the file.
    ///
    /// # Errors
    /// Those of the target.
    pub(crate) fn append(&mut self, chunks: Vec<ColumnChunk>) -> Result<(), ParquetError> {
        match self {
            Self::Flat(file) => file.append(chunks),
            Self::Library(file) => append(file, chunks),
        }
    }

    /// Writes what is behind the row groups, and flushes the target: the file's size in bytes.
    ///
    /// # Errors
    /// Those of the target.
    pub(crate) fn finish(self) -> Result<u64, ParquetError> {
        match self {
            Self::Flat(file) => file.finish(),
            Self::Library(mut file) => {
                file.finish()?;
                Ok(file.bytes_written() as u64)
            }
        }
    }
}

/// A file of flat columns.
pub(crate) struct FlatOutput<W> {
    target: W,
    described: Described,
    /// Bytes written.
    at: u64,
    footer: Footer,
}

impl<W: Write> FlatOutput<W> {
    /// Writes the magic bytes.
    pub(crate) fn begin(mut target: W, described: Described) -> Result<Self, ParquetError> {
        target.write_all(&MAGIC)?;
        Ok(Self {
            target,
            described,
            at: MAGIC.len() as u64,
            footer: Footer::default(),
        })
    }

    fn append(&mut self, chunks: Vec<ColumnChunk>) -> Result<(), ParquetError> {
        let flat = chunks.into_iter().map(|chunk| match chunk {
            ColumnChunk::Flat(chunk) => Ok(chunk),
            ColumnChunk::Library(_) => {
                let text = "a column that is encoded here came from the library";
                Err(ParquetError::General(text.into()))
            }
        });
        let flat = flat.collect::<Result<Vec<_>, _>>()?;
        let described = flat.iter().map(|chunk| &chunk.close);
        self.footer.add(self.at, described)?;
        // Each is dropped once it is written.
        for bytes in flat
            .into_iter()
            .flat_map(|EncodedChunk { bytes, .. }| bytes)
        {
            self.target.write_all(&bytes)?;
            self.at += bytes.len() as u64;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<u64, ParquetError> {
        let behind = self
            .footer
            .write(&self.described, self.at, &mut self.target)?;
        self.target.flush()?;
        Ok(self.at + behind)
    }
}
