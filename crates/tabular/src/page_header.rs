//! Headers of Parquet pages.
//!
//! A header is the struct `PageHeader` of `parquet.thrift`.

use crate::thrift::ThriftStruct;

/// `PageType` in `parquet.thrift`.
const DATA_PAGE: i32 = 0;
const DICTIONARY_PAGE: i32 = 2;

/// `Encoding` in `parquet.thrift`, as far as we write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PageEncoding {
    /// Values one after the other.
    Plain = 0,
    /// Places in the dictionary page.
    Dictionary = 8,
}

/// `Encoding` of the levels: the hybrid of run lengths and packed bits.
const RLE: i32 = 3;

/// What a page holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PageKind {
    /// The dictionary of a column chunk.
    Dictionary,
    /// Rows, in pages of version 1.
    Data(PageEncoding),
}

/// Appends the header of a page of `values` values (nulls counted), whose body has `plain_len`
/// bytes before compression and `stored_len` as stored.
pub(crate) fn write_page_header(
    out: &mut Vec<u8>,
    kind: PageKind,
    values: i32,
    plain_len: i32,
    stored_len: i32,
) {
    let (number, page_type) = match kind {
        PageKind::Dictionary => (7, DICTIONARY_PAGE),
        PageKind::Data(_) => (5, DATA_PAGE),
    };
    let mut header = ThriftStruct::begin(out);
    header.i32(1, page_type);
    header.i32(2, plain_len);
    header.i32(3, stored_len);
    let mut page = header.structure(number);
    page.i32(1, values);
    match kind {
        PageKind::Dictionary => page.i32(2, PageEncoding::Plain as i32),
        PageKind::Data(encoding) => {
            page.i32(2, encoding as i32);
            // Definition levels, then repetition levels.
            page.i32(3, RLE);
            page.i32(4, RLE);
        }
    }
    page.end();
    header.end();
}
