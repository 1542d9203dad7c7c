//! The distinct byte arrays of a column chunk, numbered in the order in which they first occur.

use std::cmp::Ordering;

use crate::dictionary::{MAX_DICTIONARY_BYTES, Slot, Slots};
use crate::text_values::{Text, WORDS_BYTES, Words};

/// Where a distinct value is, and what tells it from most others.
#[derive(Debug, Clone, Copy)]
struct Entry {
    words: Words,
    /// Its first byte in the dictionary page.
    at: u32,
    len: u32,
    /// As much of it as any table needs.
    hash: u32,
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
            words: text.words,
            at: self.page.len() as u32,
            len: bytes.len() as u32,
            hash: text.hash() as u32,
            page: 0,
        });
        self.page.extend_from_slice(bytes);
        let entries = &self.entries;
        self.slots
            .fill(slot, |number| u64::from(entries[number as usize].hash))
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
        let first = |number: u32| self.entries[number as usize].words.first;
        let order = first(a).cmp(&first(b));
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

#[inline(always)]
fn is_same(entry: &Entry, page: &[u8], text: &Text<'_>) -> bool {
    let (words, other) = (&entry.words, &text.words);
    // In one: values that differ are likely to differ anywhere.
    let differ = (words.first ^ other.first)
        | (words.second ^ other.second)
        | (words.last ^ other.last)
        | (entry.len as usize ^ text.len) as u64;
    let at = entry.at as usize;
    differ == 0 && (text.len <= WORDS_BYTES || &page[at..at + text.len] == text.bytes())
}
