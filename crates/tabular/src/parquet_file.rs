//! A Parquet file and its columns: the library's types set up the way that we write.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_schema::{Field, SchemaRef};
use bytes::Bytes;
use parquet::arrow::arrow_writer::{
    ArrowColumnChunk, ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves,
};
use parquet::arrow::{ArrowSchemaConverter, add_encoded_arrow_schema_to_metadata};
use parquet::basic::{Compression as Codec, GzipLevel, ZstdLevel};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::ParquetError;
use parquet::file::metadata::FileMetaData;
use parquet::file::properties::{
    EnabledStatistics, WriterProperties, WriterPropertiesBuilder, WriterPropertiesPtr,
    WriterVersion,
};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{ColumnPath, SchemaDescriptor, TypePtr};
use rayon::prelude::*;

use crate::chunk_writer::EncodedChunk;
use crate::column_chunk::FlatColumn;
use crate::error::TabularError;
use crate::parquet_footer::Described;
use crate::parquet_output::{FlatOutput, ParquetOutput};
use crate::parquet_writer::{PARQUET_GZIP_LEVEL, PARQUET_ZSTD_LEVEL, ParquetCompression};
use crate::row_groups::BLOCK_ROWS;

/// Who wrote the file, as the Parquet footer has it.
const CREATED_BY: &str = concat!("gristmill ", env!("CARGO_PKG_VERSION"));

/// What all files of one schema, codec and choice of dictionaries share. Column chunks made here
/// can be appended to any file opened here: their offsets are counted from where they come to lie.
pub(crate) struct FilePlan {
    schema: SchemaRef,
    root: TypePtr,
    properties: WriterPropertiesPtr,
    /// Columns that are encoded here; parquet-rs encodes the others.
    flat: Vec<Option<Arc<FlatColumn>>>,
    factory: ArrowRowGroupWriterFactory,
    /// Leaves of each field: one for a flat column.
    leaves: Vec<usize>,
}

/// What encodes a column of one row group.
pub(crate) enum ColumnEncoder {
    Flat(Arc<FlatColumn>),
    /// A writer for each leaf.
    Library(Vec<ArrowColumnWriter>),
}

/// An encoded leaf of a column.
pub(crate) enum ColumnChunk {
    Flat(EncodedChunk),
    Library(ArrowColumnChunk),
}

impl ColumnChunk {
    /// What the footer says of it, with places counted from the chunk's first byte.
    pub(crate) fn close(&self) -> Result<ColumnCloseResult, ParquetError> {
        match self {
            ColumnChunk::Flat(chunk) => Ok(chunk.close.clone()),
            ColumnChunk::Library(chunk) => {
                let close = chunk.close().clone();
                let size = close.metadata.compressed_size();
                let has_dictionary = close.metadata.dictionary_page_offset().is_some();
                // A dictionary's page comes first in the file; its length is not told.
                let length = if has_dictionary { size } else { 0 };
                close.update_dictionary_location(usize::try_from(length).unwrap_or(0))
            }
        }
    }
}

impl FilePlan {
    /// `hints` says which columns get a dictionary; those without one do.
    pub(crate) fn new(
        schema: &SchemaRef,
        compression: ParquetCompression,
        hints: &[bool],
    ) -> Result<FilePlan, ParquetError> {
        let described = ArrowSchemaConverter::new().convert(schema)?;
        let mut properties = properties(schema, compression, hints)?.build();
        add_encoded_arrow_schema_to_metadata(schema, &mut properties);
        let (root, properties) = (described.root_schema_ptr(), Arc::new(properties));
        // The factory wants a file to take schema and properties from; any will do.
        let file =
            SerializedFileWriter::new(io::sink(), Arc::clone(&root), Arc::clone(&properties))?;
        let mut leaves = vec![0; schema.fields().len()];
        for leaf in 0..described.num_columns() {
            leaves[described.get_column_root_idx(leaf)] += 1;
        }
        let mut first_leaf = 0;
        let flat = schema
            .fields()
            .iter()
            .zip(&leaves)
            .zip(hints.iter().chain(std::iter::repeat(&true)));
        let flat = flat.map(|((field, &count), &hint)| {
            let leaf = first_leaf;
            first_leaf += count;
            let column = || {
                let descriptor = described.column(leaf);
                FlatColumn::new(field.data_type(), descriptor, compression, hint)
            };
            (count == 1).then(column).flatten().map(Arc::new)
        });
        let flat = flat.collect();
        Ok(FilePlan {
            schema: Arc::clone(schema),
            root,
            flat,
            properties,
            factory: ArrowRowGroupWriterFactory::new(&file, Arc::clone(schema)),
            leaves,
        })
    }

    /// Stores columns as they are where Snappy does little to them, judged by the rows of the first
    /// row group.
    pub(crate) fn with_codecs_for(mut self, first: &[Vec<ArrayRef>]) -> Result<Self, ParquetError> {
        let mut columns = self.flat.iter_mut().zip(first);
        columns.try_for_each(|(column, blocks)| judge_codec(column, blocks))?;
        Ok(self)
    }

    /// The same on the rayon pool that the caller runs in.
    pub(crate) fn with_codecs_in_parallel(
        mut self,
        first: &[Vec<ArrayRef>],
    ) -> Result<Self, ParquetError> {
        let columns = self.flat.par_iter_mut().zip(first);
        columns.try_for_each(|(column, blocks)| judge_codec(column, blocks))?;
        Ok(self)
    }

    /// The same, with all columns encoded by parquet-rs: what ours are compared with.
    #[cfg(test)]
    pub(crate) fn by_library(mut self) -> FilePlan {
        self.flat.fill(None);
        self
    }

    /// Begins a file: its magic bytes are written here.
    pub(crate) fn open<W: Write + Send>(
        &self,
        target: W,
    ) -> Result<ParquetOutput<W>, ParquetError> {
        if self.flat.iter().any(Option::is_none) {
            return Ok(ParquetOutput::Library(self.open_by_library(target)?));
        }
        let described = Described::new(&self.described())?;
        Ok(ParquetOutput::Flat(FlatOutput::begin(target, described)?))
    }

    /// What the footer says of a file without rows.
    fn described(&self) -> FileMetaData {
        let properties = &self.properties;
        FileMetaData::new(
            properties.writer_version().as_num(),
            0,
            Some(properties.created_by().to_owned()),
            properties.key_value_metadata().cloned(),
            Arc::new(SchemaDescriptor::new(Arc::clone(&self.root))),
            None,
        )
    }

    /// The same by the library alone, which writes the same bytes.
    pub(crate) fn open_by_library<W: Write + Send>(
        &self,
        target: W,
    ) -> Result<SerializedFileWriter<W>, ParquetError> {
        SerializedFileWriter::new(target, Arc::clone(&self.root), Arc::clone(&self.properties))
    }

    /// The column of this place, if its chunks are encoded in parts.
    pub(crate) fn in_parts(&self, column: usize) -> Option<&Arc<FlatColumn>> {
        let flat = self.flat.get(column)?.as_ref();
        flat.filter(|column| column.is_in_parts())
    }

    /// What encodes the columns of a row group.
    pub(crate) fn encoders(&self) -> Result<Vec<ColumnEncoder>, ParquetError> {
        let needed = self.flat.iter().any(Option::is_none);
        // The number of the row group matters to encrypted files only.
        let writers = needed.then(|| self.factory.create_column_writers(0));
        let mut writers = writers.transpose()?.into_iter().flatten();
        let columns = self.flat.iter().zip(&self.leaves);
        let encoder = |(flat, &leaves): (&Option<Arc<FlatColumn>>, &usize)| {
            let writers: Vec<_> = writers.by_ref().take(leaves).collect();
            match flat {
                Some(column) => ColumnEncoder::Flat(Arc::clone(column)),
                None => ColumnEncoder::Library(writers),
            }
        };
        Ok(columns.map(encoder).collect())
    }

    /// Encodes a row group in the caller's thread, a column after the other.
    pub(crate) fn encode(
        &self,
        columns: &[Vec<ArrayRef>],
    ) -> Result<Vec<ColumnChunk>, ParquetError> {
        let encoders = self.encoders()?;
        let mut chunks = Vec::new();
        for ((field, blocks), encoder) in self.schema.fields().iter().zip(columns).zip(encoders) {
            chunks.extend(encoder.encode(field, blocks)?);
        }
        Ok(chunks)
    }
}

impl ColumnEncoder {
    /// One column of a row group: a chunk for each of its leaves.
    pub(crate) fn encode(
        self,
        field: &Field,
        blocks: &[ArrayRef],
    ) -> Result<Vec<ColumnChunk>, ParquetError> {
        match self {
            ColumnEncoder::Flat(column) => Ok(vec![ColumnChunk::Flat(column.encode(blocks)?)]),
            ColumnEncoder::Library(writers) => encode_by_library(field, blocks, writers),
        }
    }
}

fn encode_by_library(
    field: &Field,
    blocks: &[ArrayRef],
    mut writers: Vec<ArrowColumnWriter>,
) -> Result<Vec<ColumnChunk>, ParquetError> {
    for block in blocks {
        for (leaf, writer) in compute_leaves(field, block)?.iter().zip(&mut writers) {
            writer.write(leaf)?;
        }
    }
    let chunks = writers.into_iter().map(ArrowColumnWriter::close);
    chunks.map(|c| c.map(ColumnChunk::Library)).collect()
}

/// Puts the next row group into a file of the library's.
pub(crate) fn append<W: Write + Send>(
    file: &mut SerializedFileWriter<W>,
    chunks: Vec<ColumnChunk>,
) -> Result<(), ParquetError> {
    let mut group = file.next_row_group()?;
    for chunk in chunks {
        match chunk {
            ColumnChunk::Flat(chunk) => {
                let bytes: Bytes = match <[Bytes; 1]>::try_from(chunk.bytes) {
                    Ok([whole]) => whole,
                    Err(several) => several.concat().into(),
                };
                group.append_column(&bytes, chunk.close)?;
            }
            ColumnChunk::Library(chunk) => chunk.append_to_row_group(&mut group)?,
        }
    }
    group.close().map(|_| ())
}

/// A codec as the footer names it.
pub(crate) fn codec_of(compression: ParquetCompression) -> Result<Codec, ParquetError> {
    Ok(match compression {
        ParquetCompression::Snappy => Codec::SNAPPY,
        ParquetCompression::Zstd => Codec::ZSTD(ZstdLevel::try_new(PARQUET_ZSTD_LEVEL)?),
        ParquetCompression::Gzip => Codec::GZIP(GzipLevel::try_new(PARQUET_GZIP_LEVEL)?),
        ParquetCompression::None => Codec::UNCOMPRESSED,
    })
}

fn properties(
    schema: &SchemaRef,
    compression: ParquetCompression,
    hints: &[bool],
) -> Result<WriterPropertiesBuilder, ParquetError> {
    let mut builder = WriterProperties::builder()
        .set_created_by(CREATED_BY.to_string())
        // Version 1 pages: every reader knows them, and the codec sees the levels too.
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_compression(codec_of(compression)?)
        // Statistics of chunks in the footer and of pages in the page index.
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_data_page_row_count_limit(BLOCK_ROWS);
    for (field, &hint) in schema.fields().iter().zip(hints) {
        let path = ColumnPath::new(vec![field.name().clone()]);
        builder = builder.set_column_dictionary_enabled(path, hint);
    }
    Ok(builder)
}

/// An error of the library with the place; one of the target's own is handed on as such.
pub(crate) fn columnar(path: PathBuf, action: &'static str, error: ParquetError) -> TabularError {
    match error {
        ParquetError::External(inner) => match inner.downcast::<io::Error>() {
            Ok(source) => TabularError::Io {
                path,
                action: "write",
                source: *source,
            },
            Err(other) => TabularError::Columnar {
                path,
                action,
                message: other.to_string(),
            },
        },
        other => TabularError::Columnar {
            path,
            action,
            message: other.to_string(),
        },
    }
}

/// Has the column stored as it is if Snappy does little to these rows.
fn judge_codec(
    column: &mut Option<Arc<FlatColumn>>,
    blocks: &[ArrayRef],
) -> Result<(), ParquetError> {
    let stored = column.as_ref().map(|c| c.judged_by(blocks));
    if let Some(stored) = stored.transpose()?.flatten() {
        *column = Some(Arc::new(stored));
    }
    Ok(())
}
