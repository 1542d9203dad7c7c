//! What stands behind the pages of a Parquet file: page indexes, and the footer.
//!
//! Of each column chunk no more is kept until then than the bytes of its metadata and its indexes
//! (apache/parquet-format, `parquet.thrift` and `PageIndex.md`); the library keeps all of it as
//! structs, which take several times as much for as long as the file is written.

use std::io::{self, Write};
use std::sync::Arc;

use parquet::basic::{BoundaryOrder, Compression};
use parquet::column::writer::ColumnCloseResult;
use parquet::data_type::AsBytes;
use parquet::errors::ParquetError;
use parquet::file::metadata::{
    ColumnChunkMetaData, FileMetaData, ParquetMetaData, ParquetMetaDataWriter, RowGroupMetaData,
};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::page_index::offset_index::OffsetIndexMetaData;
use parquet::file::statistics::Statistics;

use crate::thrift::{ThriftStruct, write_zigzag};

/// The bytes that a file begins and ends with.
pub(crate) const MAGIC: [u8; 4] = *b"PAR1";

/// Gathers what the footer says of the row groups. Memory: about 600 bytes a column chunk of eight
/// pages.
#[derive(Default)]
pub(crate) struct Footer {
    groups: Vec<Group>,
}

/// A row group; its bytes are kept in their exact size, since memory that grows by doubling is half empty.
struct Group {
    chunks: Box<[Chunk]>,
    /// Fields of the chunks' `ColumnMetaData`, and their indexes, one behind the other.
    metadata: Box<[u8]>,
    column_indexes: Box<[u8]>,
    offset_indexes: Box<[u8]>,
    rows: i64,
    /// Where its first page is in the file.
    start: u64,
    plain_bytes: i64,
    stored_bytes: i64,
}

/// Bytes of what is kept of a chunk.
struct Chunk {
    metadata: usize,
    column_index: i32,
    offset_index: i32,
}

impl Footer {
    /// The next row group, whose chunks lie one behind the other from `start` on; what is said of them
    /// has places counted from the first byte of each.
    ///
    /// # Errors
    /// If an index takes 2 GiB.
    pub(crate) fn add<'a>(
        &mut self,
        start: u64,
        chunks: impl Iterator<Item = &'a ColumnCloseResult>,
    ) -> Result<(), ParquetError> {
        let (mut kept, mut rows) = (Kept::default(), 0);
        let (mut plain_bytes, mut stored_bytes) = (0, 0);
        for chunk in chunks {
            kept.add(chunk, start as i64 + stored_bytes)?;
            rows = chunk.rows_written as i64;
            plain_bytes += chunk.metadata.uncompressed_size();
            stored_bytes += chunk.metadata.compressed_size();
        }
        self.groups.push(Group {
            chunks: kept.chunks.into(),
            metadata: kept.metadata.into(),
            column_indexes: kept.column_indexes.into(),
            offset_indexes: kept.offset_indexes.into(),
            rows,
            start,
            plain_bytes,
            stored_bytes,
        });
        Ok(())
    }

    /// Writes all of it behind the `at` bytes that are there; how many bytes that is. `described`
    /// is the footer of a file without rows.
    ///
    /// # Errors
    /// Those of the target, and a footer of 4 GiB.
    pub(crate) fn write(
        self,
        described: &Described,
        at: u64,
        target: &mut impl Write,
    ) -> Result<u64, ParquetError> {
        let mut counted = Counted { target, bytes: 0 };
        for group in &self.groups {
            counted.write_all(&group.column_indexes)?;
        }
        let offset_indexes = at + counted.bytes;
        for group in &self.groups {
            counted.write_all(&group.offset_indexes)?;
        }
        let indexes = counted.bytes;
        let mut places = Places {
            column_index: at as i64,
            offset_index: offset_indexes as i64,
        };
        self.write_footer(described, &mut places, &mut counted)?;
        let bytes = counted.bytes - indexes;
        let length = u32::try_from(bytes)
            .map_err(|_| ParquetError::General(format!("the footer has {bytes} bytes")))?;
        target.write_all(&length.to_le_bytes())?;
        target.write_all(&MAGIC)?;
        Ok(indexes + bytes + 8)
    }

    fn write_footer(
        &self,
        described: &Described,
        places: &mut Places,
        to: &mut impl Write,
    ) -> io::Result<()> {
        let mut bytes = described.before_rows.clone();
        write_zigzag(&mut bytes, self.groups.iter().map(|group| group.rows).sum());
        let mut file = ThriftStruct::resume(&mut bytes, 3);
        file.structures(4, self.groups.len());
        to.write_all(&bytes)?;
        for (number, group) in self.groups.iter().enumerate() {
            bytes.clear();
            self.write_group(&mut bytes, number, group, places);
            to.write_all(&bytes)?;
        }
        to.write_all(&described.behind_groups)
    }

    fn write_group(&self, out: &mut Vec<u8>, number: usize, group: &Group, at: &mut Places) {
        let mut fields = ThriftStruct::begin(out);
        fields.structures(1, group.chunks.len());
        let mut metadata = &*group.metadata;
        for chunk in &group.chunks {
            let (own, others) = metadata.split_at(chunk.metadata);
            write_chunk(fields.next_structure(), chunk, own, at);
            metadata = others;
        }
        fields.i64(2, group.plain_bytes);
        fields.i64(3, group.rows);
        fields.i64(5, group.start as i64);
        fields.i64(6, group.stored_bytes);
        // All row groups say which they are, or none does.
        if i16::try_from(self.groups.len()).is_ok() {
            fields.i16(7, number as i16);
        }
        fields.end();
    }
}

/// What is gathered of a row group.
#[derive(Default)]
struct Kept {
    chunks: Vec<Chunk>,
    metadata: Vec<u8>,
    column_indexes: Vec<u8>,
    offset_indexes: Vec<u8>,
}

impl Kept {
    fn add(&mut self, chunk: &ColumnCloseResult, at: i64) -> Result<(), ParquetError> {
        let metadata = self.metadata.len();
        write_metadata(&mut self.metadata, &chunk.metadata, at);
        let column_index = self.column_indexes.len();
        if let Some(index) = &chunk.column_index {
            write_column_index(&mut self.column_indexes, index);
        }
        let offset_index = self.offset_indexes.len();
        if let Some(index) = &chunk.offset_index {
            write_offset_index(&mut self.offset_indexes, index, at);
        }
        self.chunks.push(Chunk {
            metadata: self.metadata.len() - metadata,
            column_index: index_bytes(self.column_indexes.len() - column_index)?,
            offset_index: index_bytes(self.offset_indexes.len() - offset_index)?,
        });
        Ok(())
    }
}

fn write_chunk(mut fields: ThriftStruct<'_>, chunk: &Chunk, metadata: &[u8], at: &mut Places) {
    // Where the metadata would be if it was beside the pages as well.
    fields.i64(2, 0);
    let mut own = fields.structure(3);
    own.raw(metadata, 16);
    own.end();
    if chunk.offset_index > 0 {
        fields.i64(4, at.offset_index);
        fields.i32(5, chunk.offset_index);
        at.offset_index += i64::from(chunk.offset_index);
    }
    if chunk.column_index > 0 {
        fields.i64(6, at.column_index);
        fields.i32(7, chunk.column_index);
        at.column_index += i64::from(chunk.column_index);
    }
    fields.end();
}

/// Where the next chunk's indexes are in the file.
struct Places {
    column_index: i64,
    offset_index: i64,
}

fn index_bytes(bytes: usize) -> Result<i32, ParquetError> {
    let too_large = |_| ParquetError::General(format!("a page index takes {bytes} bytes"));
    i32::try_from(bytes).map_err(too_large)
}

struct Counted<'a, W> {
    target: &'a mut W,
    bytes: u64,
}

impl<W: Write> Write for Counted<'_, W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let bytes = self.target.write(buf)?;
        self.bytes += bytes as u64;
        Ok(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.target.flush()
    }
}

/// The `FileMetaData` of all files of a schema, but for their rows.
pub(crate) struct Described {
    /// Up to where the number of rows stands.
    before_rows: Vec<u8>,
    behind_groups: Vec<u8>,
}

/// What follows the number of rows in a file without row groups: field 4, an empty list of structs.
const NO_GROUPS: [u8; 2] = [0x19, 0x0c];

impl Described {
    /// By the library's own footers of no row and of one, whose first difference is that number.
    ///
    /// # Errors
    /// If these are not as expected.
    pub(crate) fn new(file: &FileMetaData) -> Result<Self, ParquetError> {
        let none = footer_of(file, Vec::new())?;
        let one = footer_of(file, vec![group_of_one_row(file)?])?;
        let rows = none.iter().zip(&one).position(|(a, b)| a != b);
        let rows = rows.filter(|&at| none[at + 1..].starts_with(&NO_GROUPS));
        let rows = rows.ok_or_else(|| {
            ParquetError::General("the library writes other footers than expected".into())
        })?;
        Ok(Self {
            before_rows: none[..rows].to_vec(),
            behind_groups: none[rows + 1 + NO_GROUPS.len()..].to_vec(),
        })
    }
}

fn group_of_one_row(file: &FileMetaData) -> Result<RowGroupMetaData, ParquetError> {
    let schema = file.schema_descr_ptr();
    let columns = schema.columns().iter();
    let chunks = columns.map(|column| ColumnChunkMetaData::builder(Arc::clone(column)).build());
    RowGroupMetaData::builder(Arc::clone(&schema))
        .set_num_rows(1)
        .set_column_metadata(chunks.collect::<Result<_, _>>()?)
        .build()
}

/// Without its length and the magic bytes.
fn footer_of(file: &FileMetaData, groups: Vec<RowGroupMetaData>) -> Result<Vec<u8>, ParquetError> {
    let mut bytes = Vec::new();
    let metadata = ParquetMetaData::new(file.clone(), groups);
    ParquetMetaDataWriter::new(&mut bytes, &metadata).finish()?;
    bytes.truncate(bytes.len() - 8);
    Ok(bytes)
}

/// The fields of a `ColumnMetaData` whose chunk is `at` so many bytes of the file.
fn write_metadata(out: &mut Vec<u8>, chunk: &ColumnChunkMetaData, at: i64) {
    let mut fields = ThriftStruct::begin(out);
    // The library's enumerations have the numbers of the format.
    fields.i32(1, chunk.column_type() as i32);
    let encodings: Vec<i32> = chunk.encodings().map(|e| e as i32).collect();
    fields.i32s(2, encodings.into_iter());
    let path = chunk.column_path().parts();
    fields.binaries(3, path.len());
    path.iter()
        .for_each(|part| fields.next_binary(part.as_bytes()));
    fields.i32(4, codec_number(chunk.compression()));
    fields.i64(5, chunk.num_values());
    fields.i64(6, chunk.uncompressed_size());
    fields.i64(7, chunk.compressed_size());
    fields.i64(9, chunk.data_page_offset() + at);
    if let Some(dictionary) = chunk.dictionary_page_offset() {
        fields.i64(11, dictionary + at);
    }
    if let Some(statistics) = chunk.statistics() {
        write_statistics(fields.structure(12), statistics);
    }
    if let Some(pages) = chunk.page_encoding_stats() {
        fields.structures(13, pages.len());
        for page in pages {
            let mut counted = fields.next_structure();
            counted.i32(1, page.page_type as i32);
            counted.i32(2, page.encoding as i32);
            counted.i32(3, page.count);
            counted.end();
        }
    }
    write_sizes(&mut fields, chunk);
}

fn write_sizes(fields: &mut ThriftStruct<'_>, chunk: &ColumnChunkMetaData) {
    let (bytes, levels) = (
        chunk.unencoded_byte_array_data_bytes(),
        chunk.definition_level_histogram(),
    );
    if bytes.is_none() && levels.is_none() {
        return;
    }
    let mut sizes = fields.structure(16);
    if let Some(bytes) = bytes {
        sizes.i64(1, bytes);
    }
    if let Some(levels) = levels {
        sizes.i64s(3, levels.values());
    }
    sizes.end();
}

/// `CompressionCodec`.
fn codec_number(codec: Compression) -> i32 {
    match codec {
        Compression::UNCOMPRESSED => 0,
        Compression::SNAPPY => 1,
        Compression::GZIP(_) => 2,
        Compression::LZO => 3,
        Compression::BROTLI(_) => 4,
        Compression::LZ4 => 5,
        Compression::ZSTD(_) => 6,
        Compression::LZ4_RAW => 7,
    }
}

fn write_statistics(mut fields: ThriftStruct<'_>, statistics: &Statistics) {
    let (least, most) = (statistics.min_bytes_opt(), statistics.max_bytes_opt());
    let number = |count: Option<u64>| count.and_then(|count| i64::try_from(count).ok());
    let bounds = |fields: &mut ThriftStruct<'_>, first: u8| {
        for (number, value) in [(first, most), (first + 1, least)] {
            if let Some(value) = value {
                fields.binary(number, value);
            }
        }
    };
    // For readers from before fields 5 and 6, where the order is the same.
    if statistics.is_min_max_backwards_compatible() {
        bounds(&mut fields, 1);
    }
    if let Some(nulls) = number(statistics.null_count_opt()) {
        fields.i64(3, nulls);
    }
    if let Some(distinct) = number(statistics.distinct_count_opt()) {
        fields.i64(4, distinct);
    }
    if !statistics.is_min_max_deprecated() {
        bounds(&mut fields, 5);
    }
    fields.bool(7, statistics.max_is_exact());
    fields.bool(8, statistics.min_is_exact());
    if let Some(nans) = number(statistics.nan_count_opt()) {
        fields.i64(9, nans);
    }
    fields.end();
}

fn write_column_index(out: &mut Vec<u8>, index: &ColumnIndexMetaData) {
    let pages = index.num_pages() as usize;
    let mut fields = ThriftStruct::begin(out);
    fields.bools(1, (0..pages).map(|page| index.is_null_page(page)));
    write_bounds(&mut fields, index);
    let order = index.get_boundary_order();
    fields.i32(4, order.unwrap_or(BoundaryOrder::UNORDERED) as i32);
    if let Some(nulls) = index.null_counts() {
        fields.i64s(5, nulls);
    }
    let levels = (0..pages).map(|page| index.definition_level_histogram(page));
    let levels: Option<Vec<&[i64]>> = levels.collect();
    if let Some(levels) = levels.filter(|levels| !levels.is_empty()) {
        fields.i64s(7, &levels.concat());
    }
    if let Some(nans) = index.nan_counts() {
        fields.i64s(8, nans);
    }
    fields.end();
}

fn write_bounds(fields: &mut ThriftStruct<'_>, index: &ColumnIndexMetaData) {
    use ColumnIndexMetaData::{
        BOOLEAN, BYTE_ARRAY, DOUBLE, FIXED_LEN_BYTE_ARRAY, FLOAT, INT32, INT64, INT96,
    };
    let pages = index.num_pages() as usize;
    match index {
        BOOLEAN(i) => write_values(fields, pages, i.min_values_iter(), i.max_values_iter()),
        INT32(i) => write_values(fields, pages, i.min_values_iter(), i.max_values_iter()),
        INT64(i) => write_values(fields, pages, i.min_values_iter(), i.max_values_iter()),
        INT96(i) => write_values(fields, pages, i.min_values_iter(), i.max_values_iter()),
        FLOAT(i) => write_values(fields, pages, i.min_values_iter(), i.max_values_iter()),
        DOUBLE(i) => write_values(fields, pages, i.min_values_iter(), i.max_values_iter()),
        BYTE_ARRAY(i) | FIXED_LEN_BYTE_ARRAY(i) => {
            write_values(fields, pages, i.min_values_iter(), i.max_values_iter());
        }
    }
}

/// The least and the most of each page; of one without values, no bytes.
fn write_values<'a, T: AsBytes + ?Sized + 'a>(
    fields: &mut ThriftStruct<'_>,
    pages: usize,
    least: impl Iterator<Item = Option<&'a T>>,
    most: impl Iterator<Item = Option<&'a T>>,
) {
    fields.binaries(2, pages);
    least.for_each(|value| fields.next_binary(value.map(AsBytes::as_bytes).unwrap_or_default()));
    fields.binaries(3, pages);
    most.for_each(|value| fields.next_binary(value.map(AsBytes::as_bytes).unwrap_or_default()));
}

fn write_offset_index(out: &mut Vec<u8>, index: &OffsetIndexMetaData, at: i64) {
    let pages = index.page_locations();
    let mut fields = ThriftStruct::begin(out);
    fields.structures(1, pages.len());
    for page in pages {
        let mut place = fields.next_structure();
        place.i64(1, page.offset + at);
        place.i32(2, page.compressed_page_size);
        place.i64(3, page.first_row_index);
        place.end();
    }
    if let Some(bytes) = index.unencoded_byte_array_data_bytes() {
        fields.i64s(2, bytes);
    }
    fields.end();
}
