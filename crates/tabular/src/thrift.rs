//! Thrift's compact protocol, as much of it as Parquet's structs take (apache/thrift,
//! `thrift-compact-protocol.md`).
//!
//! Each field begins with a byte: how far its number is from the last one's, and its type; integers
//! are zigzag varints; a zero byte ends a struct.

/// Types of fields, and of what is in lists. A boolean field has its value as its type.
const TRUE: u8 = 1;
const FALSE: u8 = 2;
const I16: u8 = 4;
const I32: u8 = 5;
const I64: u8 = 6;
const BINARY: u8 = 8;
const LIST: u8 = 9;
const STRUCT: u8 = 12;
/// The end of a struct.
const STOP: u8 = 0;
/// Shorter lists have their length in one byte with their type.
const LONG_LIST: usize = 15;

/// A struct being appended, its fields in the order of their numbers.
pub(crate) struct ThriftStruct<'a> {
    out: &'a mut Vec<u8>,
    /// The last field's number.
    last: u8,
}

impl<'a> ThriftStruct<'a> {
    /// A struct at the end of `out`.
    pub(crate) fn begin(out: &'a mut Vec<u8>) -> Self {
        Self { out, last: 0 }
    }

    pub(crate) fn end(self) {
        self.out.push(STOP);
    }

    pub(crate) fn i16(&mut self, number: u8, value: i16) {
        self.field(number, I16);
        write_zigzag(self.out, i64::from(value));
    }

    pub(crate) fn i32(&mut self, number: u8, value: i32) {
        self.field(number, I32);
        write_zigzag(self.out, i64::from(value));
    }

    pub(crate) fn i64(&mut self, number: u8, value: i64) {
        self.field(number, I64);
        write_zigzag(self.out, value);
    }

    pub(crate) fn bool(&mut self, number: u8, value: bool) {
        self.field(number, if value { TRUE } else { FALSE });
    }

    pub(crate) fn binary(&mut self, number: u8, value: &[u8]) {
        self.field(number, BINARY);
        write_binary(self.out, value);
    }

    pub(crate) fn structure(&mut self, number: u8) -> ThriftStruct<'_> {
        self.field(number, STRUCT);
        ThriftStruct::begin(self.out)
    }

    pub(crate) fn bools(&mut self, number: u8, values: impl ExactSizeIterator<Item = bool>) {
        self.list(number, FALSE, values.len());
        let values = values.map(|value| if value { TRUE } else { FALSE });
        self.out.extend(values);
    }

    pub(crate) fn i32s(&mut self, number: u8, values: impl ExactSizeIterator<Item = i32>) {
        self.list(number, I32, values.len());
        values.for_each(|value| write_zigzag(self.out, i64::from(value)));
    }

    pub(crate) fn i64s(&mut self, number: u8, values: &[i64]) {
        self.list(number, I64, values.len());
        values
            .iter()
            .for_each(|value| write_zigzag(self.out, *value));
    }

    /// A list of so many byte strings, which follow.
    pub(crate) fn binaries(&mut self, number: u8, values: usize) {
        self.list(number, BINARY, values);
    }

    /// The next byte string of a list.
    pub(crate) fn next_binary(&mut self, value: &[u8]) {
        write_binary(self.out, value);
    }

    /// A list of so many structs, which follow.
    pub(crate) fn structures(&mut self, number: u8, values: usize) {
        self.list(number, STRUCT, values);
    }

    /// The next struct of a list.
    pub(crate) fn next_structure(&mut self) -> ThriftStruct<'_> {
        ThriftStruct::begin(self.out)
    }

    fn list(&mut self, number: u8, kind: u8, values: usize) {
        self.field(number, LIST);
        if values < LONG_LIST {
            self.out.push((values as u8) << 4 | kind);
        } else {
            self.out.push((LONG_LIST as u8) << 4 | kind);
            write_varint(self.out, values as u64);
        }
    }

    /// Numbers are at most 15 apart.
    fn field(&mut self, number: u8, kind: u8) {
        self.out.push((number - self.last) << 4 | kind);
        self.last = number;
    }

    /// A struct whose first fields, up to this number, are in `out` already.
    pub(crate) fn resume(out: &'a mut Vec<u8>, last: u8) -> Self {
        Self { out, last }
    }

    /// Fields that were made elsewhere, the last of them of this number.
    pub(crate) fn raw(&mut self, fields: &[u8], last: u8) {
        self.out.extend_from_slice(fields);
        self.last = last;
    }
}

fn write_binary(out: &mut Vec<u8>, value: &[u8]) {
    write_varint(out, value.len() as u64);
    out.extend_from_slice(value);
}

/// Small numbers of either sign in few bytes.
pub(crate) fn write_zigzag(out: &mut Vec<u8>, value: i64) {
    write_varint(out, (value << 1 ^ value >> 63).cast_unsigned());
}

/// A number at the beginning of `rest`, which begins behind it afterwards; none if it is cut off. One that goes
/// on for longer than any number is read to its end, as readers of Parquet do.
pub(crate) fn varint(rest: &mut &[u8]) -> Option<u64> {
    let (mut value, mut shift) = (0, 0);
    loop {
        let (byte, behind) = rest.split_first()?;
        *rest = behind;
        value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
        shift += 7;
        if *byte < 0x80 {
            return Some(value);
        }
    }
}

/// Seven bits a byte, the lowest first; the highest bit says that more follow.
pub(crate) fn write_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
