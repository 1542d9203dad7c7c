//! Headers of Parquet pages.
//!
//! A header is the struct `PageHeader` of `parquet.thrift` in Thrift's compact protocol. Each field
//! begins with a byte: how far its number is from the last one's, and its type; integers are zigzag
//! varints; a zero byte ends a struct.

/// Type of a field: a 32-bit integer.
const I32: u8 = 5;
/// Type of a field: a struct.
const STRUCT: u8 = 12;
/// The end of a struct.
const STOP: u8 = 0;

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
    field(out, 1, page_type);
    field(out, 1, plain_len);
    field(out, 1, stored_len);
    // From field 3 to the struct for this type of page.
    out.push(((number - 3) << 4) | STRUCT);
    field(out, 1, values);
    match kind {
        PageKind::Dictionary => field(out, 1, PageEncoding::Plain as i32),
        PageKind::Data(encoding) => {
            field(out, 1, encoding as i32);
            // Definition levels, then repetition levels.
            field(out, 1, RLE);
            field(out, 1, RLE);
        }
    }
    out.extend_from_slice(&[STOP, STOP]);
}

/// A 32-bit integer whose number is `step` above the last field's.
fn field(out: &mut Vec<u8>, step: u8, value: i32) {
    out.push((step << 4) | I32);
    let zigzag = (value.cast_unsigned() << 1) ^ (value >> 31).cast_unsigned();
    write_varint(out, u64::from(zigzag));
}

/// Seven bits a byte, the lowest first; the highest bit says that more follow.
pub(crate) fn write_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
