//! The distinct values of a column chunk, numbered in the order in which they first occur.

use crate::column_values::FixedValue;

/// Bytes of a dictionary page, at most: what parquet-rs and parquet-mr allow, and what readers
/// expect to hold.
pub(crate) const MAX_DICTIONARY_BYTES: usize = 1 << 20;
/// Slots of a table at first. Half of the slots are in use at most.
const FIRST_SLOTS: usize = 1 << 10;
/// Occupied slots met before values are found, for each value on average, before the dictionary is
/// given up: values made to meet in few slots must not cost more than that.
const MAX_PROBES: usize = 16;
/// Integers are looked up by their distance from the least if that is below so much.
const MAX_DIRECT: u64 = 1 << 17;
/// And if that is at most so many times the number of values, since all places are cleared first.
const DIRECT_PER_VALUE: u64 = 2;
/// Odd, and with its bits mixed (the golden ratio).
const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

/// A slot that no value has.
const EMPTY: u32 = 0;

/// A table of numbers with a power of two of slots, probed one slot after the other.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    /// A value's number plus one, or [`EMPTY`].
    slots: Vec<u32>,
    mask: usize,
    used: usize,
    /// Occupied slots met that were not the ones looked for.
    probes: usize,
}

/// Where a value is, or belongs.
pub(crate) enum Slot {
    Found(u32),
    Free(usize),
}

impl Slots {
    pub(crate) fn clear(&mut self) {
        self.slots.clear();
        self.slots.resize(FIRST_SLOTS, EMPTY);
        self.mask = FIRST_SLOTS - 1;
        self.used = 0;
        self.probes = 0;
    }

    /// Looks for the value with this hash for whose number `is_same` holds.
    #[inline(always)]
    pub(crate) fn find(&mut self, hash: u64, is_same: impl Fn(u32) -> bool) -> Slot {
        let mut at = hash as usize & self.mask;
        loop {
            match self.slots[at] {
                EMPTY => return Slot::Free(at),
                number if is_same(number - 1) => return Slot::Found(number - 1),
                _ => {
                    self.probes += 1;
                    at = (at + 1) & self.mask;
                }
            }
        }
    }

    /// Numbers the value whose free slot was found; then grows if that is due.
    pub(crate) fn fill(&mut self, at: usize, hash_of: impl Fn(u32) -> u64) -> u32 {
        let number = self.used as u32;
        self.slots[at] = number + 1;
        self.used += 1;
        if self.used * 2 > self.slots.len() {
            self.grow(hash_of);
        }
        number
    }

    #[cold]
    fn grow(&mut self, hash_of: impl Fn(u32) -> u64) {
        let slots = self.slots.len() * 4;
        self.slots.clear();
        self.slots.resize(slots, EMPTY);
        self.mask = slots - 1;
        for number in 0..self.used as u32 {
            let mut at = hash_of(number) as usize & self.mask;
            while self.slots[at] != EMPTY {
                self.probes += 1;
                at = (at + 1) & self.mask;
            }
            self.slots[at] = number + 1;
        }
    }

    /// True if values meet in the same slots far more often than chance has it.
    pub(crate) fn is_crowded(&self, values: usize) -> bool {
        self.probes > MAX_PROBES * (values + FIRST_SLOTS)
    }
}

/// Numbers values of fixed width.
#[derive(Debug, Default)]
pub(crate) struct FixedDictionary {
    slots: Slots,
    /// Numbers plus one of integers, by their distance from the least one.
    direct: Vec<u32>,
    /// The bits of each value, in order of their numbers.
    pub(crate) values: Vec<u64>,
}

#[inline(always)]
fn hash_bits(bits: u64) -> u64 {
    // The upper bits of the product depend on all bits below them.
    (bits ^ (bits >> 32)).wrapping_mul(MULTIPLIER) >> 32
}

impl FixedDictionary {
    /// Appends the numbers of all values to `numbers`, and for each page how many distinct values
    /// there were up to its end. False if there are too many; then nothing is of use.
    ///
    /// `bounds` are the least and the greatest of all values.
    pub(crate) fn number<T: FixedValue>(
        &mut self,
        pages: &[(usize, &[T])],
        bounds: Option<(T, T)>,
        numbers: &mut Vec<u32>,
        distinct: &mut Vec<usize>,
    ) -> bool {
        self.values.clear();
        let most = MAX_DICTIONARY_BYTES / size_of::<T>();
        let count: usize = pages.iter().map(|(_, values)| values.len()).sum();
        numbers.clear();
        numbers.resize(count, 0);
        let span = bounds
            .and_then(|(least, greatest)| Some((least, greatest.steps_above(least)?)))
            .filter(|&(_, span)| span < MAX_DIRECT && span <= count as u64 * DIRECT_PER_VALUE);
        match span {
            Some((_, span)) => {
                self.direct.clear();
                self.direct.resize(span as usize + 1, EMPTY);
            }
            None => self.slots.clear(),
        }
        let mut at = 0;
        for (_, values) in pages {
            let out = &mut numbers[at..at + values.len()];
            match span {
                Some((least, _)) => self.number_direct(values, least, out),
                None => self.number_hashed(values, out),
            }
            at += values.len();
            if self.values.len() > most || self.slots.is_crowded(at) {
                return false;
            }
            distinct.push(self.values.len());
        }
        true
    }

    fn number_direct<T: FixedValue>(&mut self, values: &[T], least: T, out: &mut [u32]) {
        for (&value, out) in values.iter().zip(out) {
            // All values lie within the span.
            let at = value.steps_above(least).unwrap_or(0) as usize;
            let number = self.direct[at];
            *out = if number == EMPTY {
                self.values.push(value.bits());
                self.direct[at] = self.values.len() as u32;
                self.values.len() as u32 - 1
            } else {
                number - 1
            };
        }
    }

    fn number_hashed<T: FixedValue>(&mut self, values: &[T], out: &mut [u32]) {
        for (&value, out) in values.iter().zip(out) {
            let bits = value.bits();
            let known = &self.values;
            let slot = self
                .slots
                .find(hash_bits(bits), |number| known[number as usize] == bits);
            *out = match slot {
                Slot::Found(number) => number,
                Slot::Free(at) => {
                    self.values.push(bits);
                    let known = &self.values;
                    self.slots
                        .fill(at, |number| hash_bits(known[number as usize]))
                }
            };
        }
    }

    /// Gives memory back that only an unusual column needed.
    pub(crate) fn shrink(&mut self) {
        if self.values.capacity() * size_of::<u64>() > 4 * MAX_DICTIONARY_BYTES {
            *self = FixedDictionary::default();
        }
    }
}
