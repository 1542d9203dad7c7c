//! Parquet's pages on their way to the decoders, with what they say of their length held against their
//! bytes: the decoders make room for as many values as a page claims before they look for the first.

use parquet::basic::Encoding;
use parquet::bloom_filter::Sbbf;
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use parquet::file::reader::{FileReader, RowGroupReader, SerializedFileReader};
use parquet::record::reader::RowIter;
use parquet::schema::types::{ColumnDescPtr, Type as SchemaType};

use crate::ranges::Seekable;
use crate::thrift::varint;

/// Values of a page whose lengths are stored as deltas. A few bytes hold any number of equal ones, and the
/// decoder takes four bytes for each; writers end pages at some ten thousand values or a megabyte.
const MAX_DELTA_VALUES: u64 = 1 << 24;

type Result<T> = std::result::Result<T, ParquetError>;

/// A Parquet file whose pages are checked.
pub(crate) struct CheckedFile(SerializedFileReader<Seekable>);

impl CheckedFile {
    /// Reads the footer.
    pub(crate) fn open(file: Seekable) -> Result<Self> {
        SerializedFileReader::new(file).map(Self)
    }
}

impl FileReader for CheckedFile {
    fn metadata(&self) -> &ParquetMetaData {
        self.0.metadata()
    }

    fn num_row_groups(&self) -> usize {
        self.0.num_row_groups()
    }

    fn get_row_group(&self, i: usize) -> Result<Box<dyn RowGroupReader + '_>> {
        Ok(Box::new(CheckedGroup(self.0.get_row_group(i)?)))
    }

    fn get_row_iter(&self, projection: Option<SchemaType>) -> Result<RowIter<'_>> {
        RowIter::from_file(projection, self)
    }
}

struct CheckedGroup<'a>(Box<dyn RowGroupReader + 'a>);

impl RowGroupReader for CheckedGroup<'_> {
    fn metadata(&self) -> &RowGroupMetaData {
        self.0.metadata()
    }

    fn num_columns(&self) -> usize {
        self.0.num_columns()
    }

    fn get_column_page_reader(&self, i: usize) -> Result<Box<dyn PageReader>> {
        Ok(Box::new(CheckedPages {
            pages: self.0.get_column_page_reader(i)?,
            column: self.metadata().column(i).column_descr_ptr(),
        }))
    }

    fn get_column_bloom_filter(&self, i: usize) -> Option<&Sbbf> {
        self.0.get_column_bloom_filter(i)
    }

    fn get_row_iter(&self, projection: Option<SchemaType>) -> Result<RowIter<'_>> {
        RowIter::from_row_group(projection, self)
    }
}

struct CheckedPages {
    pages: Box<dyn PageReader>,
    column: ColumnDescPtr,
}

impl CheckedPages {
    fn checked(&self, page: Page) -> Result<Page> {
        match mistake(&page, &self.column) {
            None => Ok(page),
            Some(mistake) => Err(ParquetError::General(format!(
                "column {}: {mistake}",
                self.column.path()
            ))),
        }
    }
}

impl Iterator for CheckedPages {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl PageReader for CheckedPages {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        let page = self.pages.get_next_page()?;
        page.map(|page| self.checked(page)).transpose()
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        self.pages.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<()> {
        self.pages.skip_next_page()
    }

    fn supports_deferred_dictionary(&self) -> bool {
        self.pages.supports_deferred_dictionary()
    }

    fn take_deferred_dictionary(&mut self) -> Result<Option<Page>> {
        let page = self.pages.take_deferred_dictionary()?;
        page.map(|page| self.checked(page)).transpose()
    }

    fn at_record_boundary(&mut self) -> Result<bool> {
        self.pages.at_record_boundary()
    }
}

/// What a page claims that cannot be.
fn mistake(page: &Page, column: &ColumnDescPtr) -> Option<String> {
    if let Page::DictionaryPage {
        buf, num_values, ..
    } = page
    {
        let (values, bytes) = (*num_values as usize, buf.len());
        return (values > bytes)
            .then(|| format!("a dictionary is said to have {values} values in {bytes} bytes"));
    }
    let lists = match page.encoding() {
        Encoding::DELTA_LENGTH_BYTE_ARRAY => 1,
        Encoding::DELTA_BYTE_ARRAY => 2,
        _ => return None,
    };
    let values = u64::from(page.num_values());
    let mut rest = values_of(page, column)?;
    for _ in 0..lists {
        let list = Deltas::begin(&mut rest)?;
        if list.count > values {
            return Some(format!(
                "a page of {values} values is said to have {} lengths",
                list.count
            ));
        }
        if list.count > MAX_DELTA_VALUES {
            return Some(format!(
                "a page is said to have {} lengths: expected at most {MAX_DELTA_VALUES}",
                list.count
            ));
        }
        list.skip(&mut rest)?;
    }
    None
}

/// A data page's bytes behind its levels (apache/parquet-format, `README.md`, Data Pages).
fn values_of<'a>(page: &'a Page, column: &ColumnDescPtr) -> Option<&'a [u8]> {
    match page {
        Page::DataPage {
            buf,
            num_values,
            def_level_encoding,
            rep_level_encoding,
            ..
        } => {
            let mut rest: &[u8] = buf;
            for (most, encoding) in [
                (column.max_rep_level(), rep_level_encoding),
                (column.max_def_level(), def_level_encoding),
            ] {
                if most > 0 {
                    rest = behind_levels(rest, most, *encoding, *num_values)?;
                }
            }
            Some(rest)
        }
        Page::DataPageV2 {
            buf,
            def_levels_byte_len,
            rep_levels_byte_len,
            ..
        } => {
            let levels = u64::from(*def_levels_byte_len) + u64::from(*rep_levels_byte_len);
            buf.get(usize::try_from(levels).ok()?..)
        }
        Page::DictionaryPage { .. } => None,
    }
}

/// Levels have their length before them, or, in the older encoding, a fixed number of bits each.
#[expect(deprecated, reason = "files have it")]
fn behind_levels(bytes: &[u8], most: i16, encoding: Encoding, values: u32) -> Option<&[u8]> {
    if encoding == Encoding::BIT_PACKED {
        let bits = u64::from(i16::BITS - most.leading_zeros());
        let levels = (u64::from(values) * bits).div_ceil(8);
        return bytes.get(usize::try_from(levels).ok()?..);
    }
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.get(usize::try_from(u32::from_le_bytes(*length)).ok()?..)
}

/// A list in DELTA_BINARY_PACKED (apache/parquet-format, `Encodings.md`).
struct Deltas {
    count: u64,
    block: u64,
    miniblocks: u64,
}

impl Deltas {
    /// Reads its header.
    fn begin(rest: &mut &[u8]) -> Option<Self> {
        let (block, miniblocks) = (varint(rest)?, varint(rest)?);
        let count = varint(rest)?;
        varint(rest)?;
        Some(Self {
            count,
            block,
            miniblocks,
        })
    }

    /// Passes over its blocks. Only miniblocks that hold values have bytes of their own.
    fn skip(&self, rest: &mut &[u8]) -> Option<()> {
        let each = self.block.checked_div(self.miniblocks)?;
        let mut left = self.count.saturating_sub(1);
        while left > 0 {
            varint(rest)?;
            let (widths, behind) = rest.split_at_checked(usize::try_from(self.miniblocks).ok()?)?;
            *rest = behind;
            for width in widths {
                if left == 0 {
                    break;
                }
                let bytes = each.checked_mul(u64::from(*width))? / 8;
                *rest = rest.get(usize::try_from(bytes).ok()?..)?;
                left = left.saturating_sub(each.max(1));
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

    use std::sync::Arc;

    use parquet::basic::Type;
    use parquet::data_type::{ByteArray, ByteArrayType};
    use parquet::file::properties::{WriterProperties, WriterVersion};
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::types::{ColumnDescriptor, ColumnPath};
    use proptest::prelude::*;

    use super::*;

    fn column(max_def: i16, max_rep: i16) -> ColumnDescPtr {
        let leaf = SchemaType::primitive_type_builder("a", Type::BYTE_ARRAY);
        let leaf = Arc::new(leaf.build().unwrap());
        let path = ColumnPath::new(vec!["a".into()]);
        Arc::new(ColumnDescriptor::new(leaf, max_def, max_rep, path))
    }

    fn page(values: &[u8], num_values: u32, encoding: Encoding) -> Page {
        Page::DataPage {
            buf: values.to_vec().into(),
            num_values,
            encoding,
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        }
    }

    /// Two lengths of 1, in blocks of 128 by 4: the header, the least delta, four widths of no bits.
    const TWO: [u8; 10] = [0x80, 0x01, 0x04, 0x02, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00];
    /// The same, said to be 2^28.
    const MANY: [u8; 14] = [
        0x80, 0x01, 0x04, 0x80, 0x80, 0x80, 0x80, 0x01, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00,
    ];

    #[test]
    fn a_page_has_no_more_lengths_than_values() {
        let (lengths, both) = (
            Encoding::DELTA_LENGTH_BYTE_ARRAY,
            Encoding::DELTA_BYTE_ARRAY,
        );
        let flat = column(0, 0);
        assert_eq!(mistake(&page(&TWO, 2, lengths), &flat), None);
        let wrong = "a page of 1 values is said to have 2 lengths".to_owned();
        assert_eq!(mistake(&page(&TWO, 1, lengths), &flat), Some(wrong));
        let wrong = "a page of 2 values is said to have 268435456 lengths".to_owned();
        assert_eq!(
            mistake(&page(&MANY, 2, lengths), &flat),
            Some(wrong.clone())
        );
        let second = [&TWO[..], &MANY[..]].concat();
        assert_eq!(mistake(&page(&second, 2, both), &flat), Some(wrong.clone()));
        assert_eq!(mistake(&page(&second, 2, lengths), &flat), None);
        let most = mistake(&page(&MANY, u32::MAX, lengths), &flat).unwrap();
        assert!(most.ends_with("expected at most 16777216"), "{most}");
        // Behind levels of three bytes each.
        let levels = [3, 0, 0, 0, 1, 1, 1];
        let nested = [&levels[..], &levels[..], &MANY[..]].concat();
        assert_eq!(
            mistake(&page(&nested, 2, lengths), &column(1, 1)),
            Some(wrong.clone())
        );
        assert_eq!(mistake(&page(&nested, 2, lengths), &column(3, 0)), None);
        let second = Page::DataPageV2 {
            buf: [&levels[..], &MANY[..]].concat().into(),
            num_values: 2,
            encoding: lengths,
            num_nulls: 0,
            num_rows: 2,
            def_levels_byte_len: 5,
            rep_levels_byte_len: 2,
            is_compressed: false,
            statistics: None,
        };
        assert_eq!(mistake(&second, &column(1, 1)), Some(wrong));
    }

    #[test]
    fn a_dictionary_has_at_most_a_value_a_byte() {
        let page = |num_values| Page::DictionaryPage {
            buf: vec![0; 100].into(),
            num_values,
            encoding: Encoding::PLAIN,
            is_sorted: false,
        };
        assert_eq!(mistake(&page(100), &column(0, 0)), None);
        let wrong = "a dictionary is said to have 101 values in 100 bytes".to_owned();
        assert_eq!(mistake(&page(101), &column(0, 0)), Some(wrong));
    }

    /// A file of these texts in these encodings, as the library writes it.
    fn written(texts: &[Option<Vec<u8>>], encoding: Encoding, version: WriterVersion) -> Vec<u8> {
        let schema = "message schema { optional binary a; }";
        let schema = parquet::schema::parser::parse_message_type(schema).unwrap();
        let properties = WriterProperties::builder()
            .set_dictionary_enabled(false)
            .set_encoding(encoding)
            .set_writer_version(version)
            .set_data_page_row_count_limit(7)
            .set_write_batch_size(7);
        let mut file = Vec::new();
        let properties = Arc::new(properties.build());
        let mut writer =
            SerializedFileWriter::new(&mut file, Arc::new(schema), properties).unwrap();
        let mut group = writer.next_row_group().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        let values: Vec<ByteArray> = texts
            .iter()
            .flatten()
            .cloned()
            .map(ByteArray::from)
            .collect();
        let levels: Vec<i16> = texts.iter().map(|t| i16::from(t.is_some())).collect();
        let typed = column.typed::<ByteArrayType>();
        typed.write_batch(&values, Some(&levels), None).unwrap();
        column.close().unwrap();
        group.close().unwrap();
        writer.close().unwrap();
        file
    }

    proptest! {
        /// What is sound passes, in pages of few values, and comes back.
        #[test]
        fn sound_pages_pass(
            texts in prop::collection::vec(prop::option::of("[a-c]{0,200}"), 1..300),
            prefixes in any::<bool>(),
            second in any::<bool>(),
        ) {
            let encoding = match prefixes {
                true => Encoding::DELTA_BYTE_ARRAY,
                false => Encoding::DELTA_LENGTH_BYTE_ARRAY,
            };
            let version = match second {
                true => WriterVersion::PARQUET_2_0,
                false => WriterVersion::PARQUET_1_0,
            };
            let texts: Vec<_> = texts.into_iter().map(|t| t.map(String::into_bytes)).collect();
            let path = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(path.path(), written(&texts, encoding, version)).unwrap();
            let file = CheckedFile::open(Seekable::File(path.reopen().unwrap())).unwrap();
            let rows = file.get_row_iter(None).unwrap().map(|row| row.unwrap());
            let found: Vec<_> = rows
                .map(|row| match row.get_column_iter().next().unwrap().1 {
                    parquet::record::Field::Bytes(bytes) => Some(bytes.data().to_vec()),
                    _ => None,
                })
                .collect();
            prop_assert_eq!(found, texts);
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..60), values in any::<u32>()) {
            for encoding in [Encoding::DELTA_BYTE_ARRAY, Encoding::DELTA_LENGTH_BYTE_ARRAY] {
                let _ = mistake(&page(&bytes, values, encoding), &column(1, 1));
            }
        }
    }
}
