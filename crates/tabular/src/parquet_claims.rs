//! What a Parquet file's footer and the headers of its pages claim, held against the bytes that are there
//! before the library believes them: a damaged file of a few bytes may speak of thousands of millions.

use std::ops::RangeInclusive;

use bytes::Bytes;
use parquet::errors::ParquetError;

use crate::thrift::varint;

/// Bytes that one stored byte may stand for. Of the codecs that are read Zstandard goes furthest: four bytes for
/// a block of 128 KiB (RFC 8878, 3.1.1.2), beside the frame's own.
const MOST_TIMES: i64 = 1 << 15;
/// Structs and lists in each other, as many as the library passes over.
const MAX_DEPTH: usize = 64;
/// Booleans in lists, which the library passes over one by one without reading a byte. Neither a footer
/// nor a page's header has any.
const MAX_LISTED_BOOLEANS: u64 = 65_536;

/// Bytes of a page's header that are looked at: most have about fifty, longer ones the least and the
/// greatest of long values.
const FIRST_BYTES: usize = 4 << 10;
const MOST_BYTES: usize = FIRST_BYTES << 12;

/// Holds the header of the page at byte `at` against the file, and gives what was read of it: the whole of it,
/// unless it is longer than 16 MiB. `stored` gives as many bytes from `at` on as it is asked for, fewer at the
/// file's end; `left` is how many there are. What cannot be understood is left to the library to tell.
///
/// # Errors
/// The first claim that cannot be true; those of `stored`.
pub(crate) fn check_page(
    at: u64,
    left: u64,
    stored: impl Fn(usize) -> Result<Bytes, ParquetError>,
) -> Result<Bytes, ParquetError> {
    let mut asked = FIRST_BYTES;
    loop {
        let found = stored(asked)?;
        let mut rest = Compact::new(&found, left);
        match (page(&mut rest), rest.wrong) {
            (_, Some(wrong)) => {
                return Err(ParquetError::General(format!(
                    "the page at byte {at} is damaged: {wrong}"
                )));
            }
            (None, None) if found.len() == asked && asked < MOST_BYTES => asked *= 8,
            _ => return Ok(found),
        }
    }
}

/// Holds a footer against its bytes.
///
/// # Errors
/// As [`check_page`].
pub(crate) fn check_footer(footer: &[u8]) -> Result<(), ParquetError> {
    let mut rest = Compact::new(footer, footer.len() as u64);
    rest.skip(STRUCT, MAX_DEPTH);
    match rest.wrong {
        Some(wrong) => Err(ParquetError::General(format!(
            "its footer is damaged: {wrong}"
        ))),
        None => Ok(()),
    }
}

/// Reads a `PageHeader`, and holds the size before compression against that behind it.
fn page(rest: &mut Compact) -> Option<()> {
    let (mut plain, mut stored) = (None, None);
    rest.fields(|rest, id, field| {
        match (id, field) {
            (2, INT..=LONG) => plain = Some(rest.zigzag()?),
            (3, INT..=LONG) => stored = Some(rest.zigzag()?),
            _ => rest.skip(field, MAX_DEPTH)?,
        }
        Some(())
    })?;
    let (plain, stored) = (plain?, stored?);
    if plain > stored.max(1).saturating_mul(MOST_TIMES) {
        return rest.refuse(format!(
            "it is said to have {plain} bytes, stored as {stored}"
        ));
    }
    Some(())
}

/// Types of the compact protocol (apache/thrift, `thrift-compact-protocol.md`).
const BOOLEANS: RangeInclusive<u8> = 1..=2;
const BYTE: u8 = 3;
const SHORT: u8 = 4;
const INT: u8 = 5;
const LONG: u8 = 6;
const DOUBLE: u8 = 7;
const BINARY: u8 = 8;
const LIST: u8 = 9;
const SET: u8 = 10;
const MAP: u8 = 11;
const STRUCT: u8 = 12;
const UUID: u8 = 13;

/// What is left of a text in Thrift's compact protocol, passed over as the library does it. None of any of
/// its methods: it is cut off here, cannot be understood, or `wrong`.
struct Compact<'a> {
    rest: &'a [u8],
    /// Bytes of the file behind `rest`.
    behind: u64,
    booleans: u64,
    /// The first claim that cannot be true.
    wrong: Option<String>,
}

impl<'a> Compact<'a> {
    /// `left` bytes are in the file from the first of `rest` on.
    fn new(rest: &'a [u8], left: u64) -> Self {
        Self {
            rest,
            behind: left.saturating_sub(rest.len() as u64),
            booleans: 0,
            wrong: None,
        }
    }

    fn refuse(&mut self, wrong: String) -> Option<()> {
        self.wrong = Some(wrong);
        None
    }

    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn varint(&mut self) -> Option<u64> {
        varint(&mut self.rest)
    }

    fn zigzag(&mut self) -> Option<i64> {
        let value = self.varint()?;
        Some((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    /// Gives each field of a struct, by its number and type, to `take`, which passes over its value.
    fn fields(&mut self, mut take: impl FnMut(&mut Self, i64, u8) -> Option<()>) -> Option<()> {
        let mut id = 0_i64;
        loop {
            let header = self.byte()?;
            if header & 0x0f == 0 {
                return Some(());
            }
            id = match header >> 4 {
                0 => self.zigzag()?,
                delta => id.checked_add(i64::from(delta))?,
            };
            take(self, id, header & 0x0f)?;
        }
    }

    /// Passes over a value. Each item of a list takes a byte at least, but booleans none here.
    fn skip(&mut self, field: u8, depth: usize) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        match field {
            1..=2 => Some(()),
            BYTE => self.byte().map(|_| ()),
            SHORT..=LONG => self.varint().map(|_| ()),
            DOUBLE => self.skip_bytes(8),
            UUID => self.skip_bytes(16),
            BINARY => {
                let bytes = self.varint()?;
                self.skip_bytes(bytes)
            }
            STRUCT => self.fields(|rest, _, field| rest.skip(field, depth)),
            LIST | SET => match self.byte()? {
                0 => Some(()),
                header => {
                    let items = match header >> 4 {
                        15 => self.varint()?,
                        items => u64::from(items),
                    };
                    self.skip_items(items, &[header & 0x0f], depth)
                }
            },
            MAP => match self.varint()? {
                0 => Some(()),
                items => {
                    let types = self.byte()?;
                    self.skip_items(items, &[types >> 4, types & 0x0f], depth)
                }
            },
            _ => None,
        }
    }

    fn skip_items(&mut self, items: u64, types: &[u8], depth: usize) -> Option<()> {
        if types.iter().all(|t| BOOLEANS.contains(t)) {
            self.booleans = self.booleans.saturating_add(items);
            if self.booleans > MAX_LISTED_BOOLEANS {
                return self.refuse(format!("it is said to list {} booleans", self.booleans));
            }
            return Some(());
        }
        let left = self.left();
        if items > left {
            return self.refuse(format!(
                "it is said to have a list of {items} items, and {left} bytes are left"
            ));
        }
        for _ in 0..items {
            for field in types {
                self.skip(*field, depth)?;
            }
        }
        Some(())
    }

    fn skip_bytes(&mut self, bytes: u64) -> Option<()> {
        let left = self.left();
        if bytes > left {
            return self.refuse(format!(
                "it is said to have a value of {bytes} bytes, and {left} are left"
            ));
        }
        self.rest = self.rest.get(usize::try_from(bytes).ok()?..)?;
        Some(())
    }

    fn left(&self) -> u64 {
        self.rest.len() as u64 + self.behind
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

    use proptest::prelude::*;

    use super::*;

    /// A dictionary of 100 bytes, 60 stored: 25 values, PLAIN, not sorted.
    const DICTIONARY: [u8; 15] = [
        0x15, 0x04, 0x15, 0xc8, 0x01, 0x15, 0x78, 0x4c, 0x15, 0x32, 0x15, 0x00, 0x12, 0x00, 0x00,
    ];
    /// As many bytes as there may be, stored as one; and one more.
    const MOST: [u8; 8] = [0x25, 0x80, 0x80, 0x04, 0x15, 0x02, 0x00, 0x00];
    const MORE: [u8; 8] = [0x25, 0x82, 0x80, 0x04, 0x15, 0x02, 0x00, 0x00];

    /// A header that a file of so many bytes ends with.
    fn told(header: &[u8]) -> Result<usize, String> {
        let left = header.len() as u64;
        let stored = |n: usize| Ok(Bytes::copy_from_slice(&header[..n.min(header.len())]));
        match check_page(4, left, stored) {
            Ok(read) => Ok(read.len()),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn a_page_is_no_larger_than_its_bytes_can_make_it() {
        assert_eq!(told(&DICTIONARY), Ok(15));
        assert_eq!(told(&MOST), Ok(8));
        let wrong = "the page at byte 4 is damaged: it is said to have 32769 bytes, stored as 1";
        assert!(
            told(&MORE).unwrap_err().ends_with(wrong),
            "{:?}",
            told(&MORE)
        );
        for cut in 0..7 {
            assert_eq!(told(&MORE[..cut]), Ok(cut));
        }
    }

    /// Fields that no page's header has: lists, a map, values of more bytes than there are.
    #[test]
    fn lists_and_values_behind_the_end_are_refused() {
        for (field, wrong) in [
            (
                &[0x19, 0xf5, 0xff, 0xff, 0xff, 0xff, 0x07][..],
                "a list of 2147483647 items, and 2 bytes",
            ),
            (
                &[0x19, 0xf1, 0xff, 0xff, 0xff, 0xff, 0x07],
                "list 2147483647 booleans",
            ),
            (
                &[0x1a, 0xf2, 0xff, 0xff, 0xff, 0xff, 0x07],
                "list 2147483647 booleans",
            ),
            (
                &[0x1b, 0xff, 0xff, 0xff, 0x07, 0x88],
                "a list of 16777215 items, and 2 bytes",
            ),
            (
                &[0x1b, 0xff, 0xff, 0xff, 0x07, 0x11],
                "list 16777215 booleans",
            ),
            (
                &[0x18, 0xff, 0xff, 0x03],
                "a value of 65535 bytes, and 2 are left",
            ),
            (&[0x1d], "a value of 16 bytes, and 2 are left"),
        ] {
            let header = [field, &[0x00, 0x00]].concat();
            let found = told(&header).unwrap_err();
            assert!(found.contains(wrong), "{found}");
            let found = check_footer(&header).unwrap_err().to_string();
            assert!(
                found.contains(wrong) && found.contains("its footer is damaged"),
                "{found}"
            );
        }
        // What is there is passed over: two numbers, three booleans, a map of one.
        let sound = [
            0x19, 0x25, 0x02, 0x04, 0x19, 0x31, 0x1b, 0x01, 0x58, 0x02, 0x01, 0x61, 0x00,
        ];
        assert_eq!(told(&sound), Ok(13));
        assert!(check_footer(&sound).is_ok());
    }

    /// Lists of lists without an end to their depth, and lists of booleans many times over.
    #[test]
    fn lists_in_lists_take_neither_the_stack_nor_long() {
        let deep = [vec![0x19], vec![0x19; 100_000]].concat();
        assert!(told(&deep).is_ok());
        let many: Vec<u8> = [
            &[0x19, 0xf9, 0x80, 0x80, 0x04][..],
            &[0xf1, 0xff, 0x07].repeat(65_536),
        ]
        .concat();
        assert!(told(&many).unwrap_err().contains("booleans"));
    }

    /// A header longer than what is asked for first is asked for again, up to its end.
    #[test]
    fn a_long_header_is_read_to_its_end() {
        let value = [&[0x18, 0xc0, 0x9a, 0x0c][..], &vec![7; 200_000]].concat();
        // The value is field 1, what follows it 2 and 3.
        let header = |sizes: [u8; 8]| [&value[..], &[0x15], &sizes[1..]].concat();
        assert_eq!(told(&header(MOST)), Ok(value.len() + 8));
        assert!(told(&header(MORE)).unwrap_err().contains("32769 bytes"));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = told(&bytes);
            let _ = check_footer(&bytes);
        }
    }
}
