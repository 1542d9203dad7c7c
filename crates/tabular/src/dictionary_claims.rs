//! What a Parquet file says of its dictionaries, held against their size before the library makes room for
//! as many values: a damaged page of a few bytes may claim two thousand million.

use std::fs::File;

use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::{ChunkReader, Length};

/// Bytes of a page's header that are looked at: those of a dictionary have about twenty.
const HEADER_BYTES: u64 = 256;
/// `PageType.DICTIONARY_PAGE` (apache/parquet-format, `parquet.thrift`).
const DICTIONARY_PAGE: u64 = 2;
/// Structs in structs; a page's header has two levels.
const MAX_DEPTH: usize = 4;

/// The first mistake: a column chunk that begins with a dictionary of more values than bytes. What cannot be
/// read is left to the library to tell.
pub(crate) fn mistake(file: &File, metadata: &ParquetMetaData) -> Option<String> {
    let chunks = metadata.row_groups().iter().flat_map(|g| g.columns());
    chunks.into_iter().find_map(|chunk| {
        let (start, length) = chunk.byte_range();
        let there = file.len().saturating_sub(start).min(length);
        let bytes = usize::try_from(there.min(HEADER_BYTES)).ok()?;
        let header = file.get_bytes(start, bytes).ok()?;
        let (values, size) = claim(&header)?;
        (values > size).then(|| {
            format!(
                "column {}: the dictionary at byte {start} is said to have {values} values in {size} bytes",
                chunk.column_path()
            )
        })
    })
}

/// The values that a dictionary's header claims, and the bytes of them before compression.
fn claim(header: &[u8]) -> Option<(u64, u64)> {
    let mut rest = Compact(header);
    let (mut kind, mut size, mut values) = (None, None, None);
    let mut id = 0;
    while let Some(field) = rest.field(&mut id)? {
        match (id, field) {
            (1, INT..=LONG) => kind = Some(rest.zigzag()?),
            (2, INT..=LONG) => size = Some(rest.zigzag()?),
            (7, STRUCT) => {
                let mut inner = 0;
                while let Some(field) = rest.field(&mut inner)? {
                    match (inner, field) {
                        (1, INT..=LONG) => values = Some(rest.zigzag()?),
                        _ => rest.skip(field, MAX_DEPTH)?,
                    }
                }
            }
            _ => rest.skip(field, MAX_DEPTH)?,
        }
    }
    (kind? == DICTIONARY_PAGE as i64).then_some(())?;
    // Less than none is too many.
    Some((values?.cast_unsigned(), u64::try_from(size?).unwrap_or(0)))
}

/// Types of the compact protocol (apache/thrift, `thrift-compact-protocol.md`).
const FALSE: u8 = 2;
const BYTE: u8 = 3;
const INT: u8 = 5;
const LONG: u8 = 6;
const DOUBLE: u8 = 7;
const BINARY: u8 = 8;
const STRUCT: u8 = 12;

/// What is left of a text in Thrift's compact protocol. None for what is cut off or unknown.
struct Compact<'a>(&'a [u8]);

impl Compact<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// The next field's type, and its number in `id`; none within at the end of a struct.
    fn field(&mut self, id: &mut i64) -> Option<Option<u8>> {
        let header = self.byte()?;
        if header == 0 {
            return Some(None);
        }
        *id = match header >> 4 {
            0 => self.zigzag()?,
            delta => *id + i64::from(delta),
        };
        Some(Some(header & 0x0f))
    }

    /// One that goes on for longer than any number is read to its end, as the library does.
    fn varint(&mut self) -> Option<u64> {
        let (mut value, mut shift) = (0, 0);
        loop {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            shift += 7;
            if byte < 0x80 {
                return Some(value);
            }
        }
    }

    fn zigzag(&mut self) -> Option<i64> {
        let value = self.varint()?;
        Some((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    fn skip(&mut self, field: u8, depth: usize) -> Option<()> {
        match field {
            1..=FALSE => Some(()),
            BYTE => self.byte().map(|_| ()),
            4..=LONG => self.varint().map(|_| ()),
            DOUBLE => self.skip_bytes(8),
            BINARY => {
                let bytes = self.varint()?;
                self.skip_bytes(usize::try_from(bytes).ok()?)
            }
            STRUCT if depth > 0 => {
                let mut id = 0;
                while let Some(field) = self.field(&mut id)? {
                    self.skip(field, depth - 1)?;
                }
                Some(())
            }
            _ => None,
        }
    }

    fn skip_bytes(&mut self, bytes: usize) -> Option<()> {
        self.0 = self.0.get(bytes..)?;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_dictionary_claims_its_values_and_other_pages_claim_none() {
        // Type 2, 100 bytes, 60 stored; the dictionary: 25 values, PLAIN, not sorted.
        let header = [
            0x15, 0x04, 0x15, 0xc8, 0x01, 0x15, 0x78, 0x4c, 0x15, 0x32, 0x15, 0x00, 0x12, 0x00,
            0x00,
        ];
        assert_eq!(claim(&header), Some((25, 100)));
        let mut data = header;
        data[1] = 0x00;
        assert_eq!(claim(&data), None);
        let mut endless = header[..8].to_vec();
        endless.extend([
            0x15, 0xe9, 0xe9, 0xe9, 0xe9, 0xe9, 0xe9, 0xe9, 0xe9, 0xe9, 0xe9, 0xe9, 0x00, 0x00,
            0x00,
        ]);
        assert!(claim(&endless).is_some_and(|(values, size)| values > size));
        for cut in 0..header.len() {
            assert_eq!(claim(&header[..cut]), None);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = claim(&bytes);
        }
    }
}
