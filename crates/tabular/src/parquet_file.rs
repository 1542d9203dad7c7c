//! A Parquet file and its columns: the library's types set up the way that we write.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_schema::{Field, SchemaRef};
use parquet::arrow::arrow_writer::{
    ArrowColumnChunk, ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves,
};
use parquet::arrow::{ArrowSchemaConverter, add_encoded_arrow_schema_to_metadata};
use parquet::basic::{Compression as Codec, GzipLevel, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::{
    EnabledStatistics, WriterProperties, WriterPropertiesBuilder, WriterPropertiesPtr,
    WriterVersion,
};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{ColumnPath, TypePtr};

use crate::error::TabularError;
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
    factory: ArrowRowGroupWriterFactory,
    /// Leaves of each field: one for a flat column.
    leaves: Vec<usize>,
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
        Ok(FilePlan {
            schema: Arc::clone(schema),
            root,
            properties,
            factory: ArrowRowGroupWriterFactory::new(&file, Arc::clone(schema)),
            leaves,
        })
    }

    /// Begins a file: its magic bytes are written here.
    pub(crate) fn open<W: Write + Send>(
        &self,
        target: W,
    ) -> Result<SerializedFileWriter<W>, ParquetError> {
        SerializedFileWriter::new(target, Arc::clone(&self.root), Arc::clone(&self.properties))
    }

    /// The writers of a row group's leaves, a list for each field.
    pub(crate) fn column_writers(&self) -> Result<Vec<Vec<ArrowColumnWriter>>, ParquetError> {
        // The number of the row group matters to encrypted files only.
        let mut writers = self.factory.create_column_writers(0)?.into_iter();
        let of_field = |&n: &usize| writers.by_ref().take(n).collect();
        Ok(self.leaves.iter().map(of_field).collect())
    }

    /// Encodes a row group in the caller's thread, a column after the other.
    pub(crate) fn encode(
        &self,
        columns: &[Vec<ArrayRef>],
    ) -> Result<Vec<ArrowColumnChunk>, ParquetError> {
        let writers = self.column_writers()?;
        let mut chunks = Vec::new();
        for ((field, blocks), writers) in self.schema.fields().iter().zip(columns).zip(writers) {
            chunks.extend(encode_column(field, blocks, writers)?);
        }
        Ok(chunks)
    }
}

/// One column of a row group, block by block: a chunk for each of its leaves.
pub(crate) fn encode_column(
    field: &Field,
    blocks: &[ArrayRef],
    mut writers: Vec<ArrowColumnWriter>,
) -> Result<Vec<ArrowColumnChunk>, ParquetError> {
    for block in blocks {
        for (leaf, writer) in compute_leaves(field, block)?.iter().zip(&mut writers) {
            writer.write(leaf)?;
        }
    }
    writers.into_iter().map(ArrowColumnWriter::close).collect()
}

/// Puts the next row group into a file.
pub(crate) fn append<W: Write + Send>(
    file: &mut SerializedFileWriter<W>,
    chunks: Vec<ArrowColumnChunk>,
) -> Result<(), ParquetError> {
    let mut group = file.next_row_group()?;
    for chunk in chunks {
        chunk.append_to_row_group(&mut group)?;
    }
    group.close().map(|_| ())
}

fn codec(compression: ParquetCompression) -> Result<Codec, ParquetError> {
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
        .set_compression(codec(compression)?)
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
