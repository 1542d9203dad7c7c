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
use parquet::basic::Compression as Codec;
use parquet::errors::ParquetError;
use parquet::file::properties::{
    EnabledStatistics, WriterProperties, WriterPropertiesBuilder, WriterVersion,
};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::ColumnPath;

use crate::error::TabularError;
use crate::parquet_writer::ParquetCompression;
use crate::row_groups::BLOCK_ROWS;

/// Who wrote the file, as the Parquet footer has it.
const CREATED_BY: &str = concat!("gristmill ", env!("CARGO_PKG_VERSION"));

/// One column of a row group, block by block.
pub(crate) fn encode_column(
    field: &Field,
    blocks: Vec<ArrayRef>,
    mut writer: ArrowColumnWriter,
) -> Result<ArrowColumnChunk, ParquetError> {
    for block in blocks {
        for leaf in compute_leaves(field, &block)? {
            writer.write(&leaf)?;
        }
    }
    writer.close()
}

/// A file that takes row groups, and what makes the encoders of their columns.
pub(crate) type Opened = (
    SerializedFileWriter<Box<dyn Write + Send>>,
    ArrowRowGroupWriterFactory,
);

/// Begins a file: its magic bytes are written here. `hints` says which columns get a dictionary.
pub(crate) fn open(
    target: Box<dyn Write + Send>,
    schema: &SchemaRef,
    compression: ParquetCompression,
    hints: &[bool],
) -> Result<Opened, ParquetError> {
    let parquet_schema = ArrowSchemaConverter::new().convert(schema)?;
    let mut properties = properties(schema, compression, hints).build();
    add_encoded_arrow_schema_to_metadata(schema, &mut properties);
    let file = SerializedFileWriter::new(
        target,
        parquet_schema.root_schema_ptr(),
        Arc::new(properties),
    )?;
    let factory = ArrowRowGroupWriterFactory::new(&file, Arc::clone(schema));
    Ok((file, factory))
}

fn properties(
    schema: &SchemaRef,
    compression: ParquetCompression,
    hints: &[bool],
) -> WriterPropertiesBuilder {
    let codec = match compression {
        ParquetCompression::Snappy => Codec::SNAPPY,
        ParquetCompression::None => Codec::UNCOMPRESSED,
    };
    let mut builder = WriterProperties::builder()
        .set_created_by(CREATED_BY.to_string())
        // Version 1 pages: every reader knows them, and Snappy sees the levels too.
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_compression(codec)
        // Statistics of chunks in the footer and of pages in the page index.
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_data_page_row_count_limit(BLOCK_ROWS);
    for (field, &hint) in schema.fields().iter().zip(hints) {
        let path = ColumnPath::new(vec![field.name().clone()]);
        builder = builder.set_column_dictionary_enabled(path, hint);
    }
    builder
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
