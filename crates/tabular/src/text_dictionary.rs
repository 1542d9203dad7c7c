//! The distinct byte arrays of a column chunk, numbered in the order in which they first occur.

use std::cmp::Ordering;

use crate::dictionary::{MAX_DICTIONARY_BYTES, Slot, Slots};
use crate::text_values::Text;

/// Where a distinct value is, and what tells it from most others.
#[derive(Debug, Clone, Copy)]
struct Entry {
    /// See [`Text::prefix`].
    prefix: u64,
    /// See [`Text::suffix`].
    suffix: u64,
    /// Its first byte in the dictionary page.
    at: u32,
    len: u32,
    hash: u64,
    /// The last page that it was met in, plus one.
    page: u32,
}

/// Numbers byte arrays, and puts each distinct one into a dictionary page.
#[derive(Debug, Default)]
pub(crate) struct TextDictionary {
    slots: Slots,
    entries: Vec<Entry>,
    /// The dictionary page: each value behind its length in four bytes.
    pub(crate) page: Vec<u8>,
    pages: u32,
    least: u32,
    greatest: u32,
    is_new_page: bool,
}

impl TextDictionary {
    pub(crate) fn clear(&mut self) {
        self.slots.clear();
        self.entries.clear();
        self.page.clear();
        self.pages = 0;
    }

    /// Distinct values so far.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn begin_page(&mut self) {
        self.pages += 1;
        self.is_new_page = true;
    }

    /// True if the dictionary is of no use for a column of which so many values were seen.
    pub(crate) fn is_too_large(&self, values: usize) -> bool {
        self.page.len() > MAX_DICTIONARY_BYTES || self.slots.is_crowded(values)
    }

    /// Numbers of the least and of the greatest value since the last
    /// [`begin_page`](TextDictionary::begin_page), if there is any.
    pub(crate) fn page_bounds(&self) -> Option<(u32, u32)> {
        (!self.is_new_page).then_some((self.least, self.greatest))
    }

    /// The number of a value.
    #[inline(always)]
    pub(crate) fn number(&mut self, text: Text<'_>) -> u32 {
        let (entries, page) = (&self.entries, &self.page);
        let slot = self.slots.find(text.hash(), |number| {
            is_same(&entries[number as usize], page, &text)
        });
        let number = match slot {
            Slot::Found(number) => number,
            Slot::Free(at) => self.insert(at, text),
        };
        if self.entries[number as usize].page != self.pages {
            self.met(number);
        }
        number
    }

    #[cold]
    fn insert(&mut self, slot: usize, text: Text<'_>) -> u32 {
        let bytes = text.bytes();
        self.page
            .extend_from_slice(&(bytes.len() as u32).to_le_bytes());
        self.entries.push(Entry {
            prefix: text.prefix,
            suffix: text.suffix,
            at: self.page.len() as u32,
            len: bytes.len() as u32,
            hash: text.hash(),
            page: 0,
        });
        self.page.extend_from_slice(bytes);
        let entries = &self.entries;
        self.slots
            .fill(slot, |number| entries[number as usize].hash)
    }

    /// For the first time in this page.
    fn met(&mut self, number: u32) {
        self.entries[number as usize].page = self.pages;
        if self.is_new_page {
            self.is_new_page = false;
            (self.least, self.greatest) = (number, number);
        } else if self.order(number, self.least) == Ordering::Less {
            self.least = number;
        } else if self.order(number, self.greatest) == Ordering::Greater {
            self.greatest = number;
        }
    }

    fn order(&self, a: u32, b: u32) -> Ordering {
        let prefix = |number: u32| self.entries[number as usize].prefix;
        let order = prefix(a).cmp(&prefix(b));
        order.then_with(|| self.value(a).cmp(self.value(b)))
    }

    /// The value with this number.
    pub(crate) fn value(&self, number: u32) -> &[u8] {
        let entry = &self.entries[number as usize];
        let at = entry.at as usize;
        &self.page[at..at + entry.len as usize]
    }

    /// Gives memory back that only an unusual column needed.
    pub(crate) fn shrink(&mut self) {
        if self.page.capacity() > 4 * MAX_DICTIONARY_BYTES {
            *self = TextDictionary::default();
        }
    }
}

/// Up to 16 bytes, the first and the last eight are the whole value.
#[inline(always)]
fn is_same(entry: &Entry, page: &[u8], text: &Text<'_>) -> bool {
    let (at, len) = (entry.at as usize, entry.len as usize);
    entry.prefix == text.prefix
        && entry.suffix == text.suffix
        && len == text.len
        && (len <= 16 || &page[at..at + len] == text.bytes())
}
