//! What the footer says of a column chunk and its pages: statistics, column index, offset index.

use std::cmp::Ordering;

use parquet::basic::BoundaryOrder;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnIndexBuilder, LevelHistogram, OffsetIndexBuilder};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::page_index::offset_index::OffsetIndexMetaData;
use parquet::file::statistics::Statistics;

use crate::column_values::{ColumnValue, Extremes};
use crate::text_bounds::{lower_bound, upper_bound};

/// What a page holds, as its index needs it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PageContent<V> {
    pub(crate) rows: usize,
    pub(crate) nulls: usize,
    /// Of byte arrays, the bytes of all values without their lengths.
    pub(crate) text_bytes: Option<usize>,
    pub(crate) extremes: Extremes<V>,
}

/// Gathers a column chunk's statistics and page index, page by page.
pub(crate) struct PageIndexRecorder<V> {
    column_index: ColumnIndexBuilder,
    offset_index: OffsetIndexBuilder,
    nullable: bool,
    utf8: bool,
    bounds: Option<(V, V)>,
    last: Option<(V, V)>,
    ascending: bool,
    descending: bool,
    rows: u64,
    nulls: u64,
    nans: Option<u64>,
    text_bytes: Option<i64>,
}

/// A column chunk's part of the footer.
pub(crate) struct RecordedIndex {
    pub(crate) statistics: Statistics,
    pub(crate) column_index: ColumnIndexMetaData,
    pub(crate) offset_index: OffsetIndexMetaData,
    pub(crate) definition_levels: Option<LevelHistogram>,
    pub(crate) text_bytes: Option<i64>,
    pub(crate) rows: u64,
}

impl<V: ColumnValue> PageIndexRecorder<V> {
    /// `utf8`: byte arrays are text, whose bounds are cut at characters.
    pub(crate) fn new(nullable: bool, utf8: bool) -> Self {
        Self {
            column_index: ColumnIndexBuilder::new(V::PHYSICAL),
            offset_index: OffsetIndexBuilder::new(),
            nullable,
            utf8,
            bounds: None,
            last: None,
            ascending: true,
            descending: true,
            rows: 0,
            nulls: 0,
            nans: None,
            text_bytes: None,
        }
    }

    /// The next page, `stored` bytes (its header included) at `offset` of the chunk.
    pub(crate) fn add(&mut self, page: &PageContent<V>, offset: usize, stored: i32) {
        self.offset_index
            .append_offset_and_size(offset as i64, stored);
        self.offset_index.append_row_count(page.rows as i64);
        let bytes = page.text_bytes.map(|n| n as i64);
        self.offset_index
            .append_unencoded_byte_array_data_bytes(bytes);
        self.add_bounds(page);
        if self.nullable {
            let histogram = levels(page.rows as u64, page.nulls as u64);
            self.column_index.append_histograms(&None, &Some(histogram));
        }
        self.rows += page.rows as u64;
        self.nulls += page.nulls as u64;
        if let Some(bytes) = bytes {
            *self.text_bytes.get_or_insert(0) += bytes;
        }
    }

    fn add_bounds(&mut self, page: &PageContent<V>) {
        let nans = V::FLOATING.then_some(page.extremes.nans as i64);
        let nulls = page.nulls as i64;
        let Some((least, most)) = page.extremes.bounds else {
            self.column_index
                .append(true, Vec::new(), Vec::new(), nulls, nans);
            return;
        };
        self.column_index
            .append(false, self.lower(least).0, self.upper(most).0, nulls, nans);
        if let Some((last_least, last_most)) = self.last {
            let (low, high) = (least.order(last_least), most.order(last_most));
            self.ascending &= low != Ordering::Less && high != Ordering::Less;
            self.descending &= low != Ordering::Greater && high != Ordering::Greater;
        }
        self.last = Some((least, most));
        self.widen(least, most);
        if V::FLOATING {
            *self.nans.get_or_insert(0) += page.extremes.nans;
        }
    }

    /// A page of nothing but NaN counts only as long as there is nothing else.
    fn widen(&mut self, least: V, most: V) {
        self.bounds = Some(match self.bounds {
            None => (least, most),
            Some(bounds) if least.is_nan() && !bounds.0.is_nan() => bounds,
            Some(bounds) if bounds.0.is_nan() && !least.is_nan() => (least, most),
            Some((low, high)) => (
                if least.order(low) == Ordering::Less {
                    least
                } else {
                    low
                },
                if most.order(high) == Ordering::Greater {
                    most
                } else {
                    high
                },
            ),
        });
    }

    fn lower(&self, value: V) -> (Vec<u8>, bool) {
        match V::PHYSICAL {
            parquet::basic::Type::BYTE_ARRAY => lower_bound(&value.to_bytes(), self.utf8),
            _ => (value.to_bytes(), true),
        }
    }

    fn upper(&self, value: V) -> (Vec<u8>, bool) {
        match V::PHYSICAL {
            parquet::basic::Type::BYTE_ARRAY => upper_bound(&value.to_bytes(), self.utf8),
            _ => (value.to_bytes(), true),
        }
    }

    pub(crate) fn finish(mut self) -> Result<RecordedIndex, ParquetError> {
        self.column_index
            .set_boundary_order(match (self.ascending, self.descending) {
                (true, _) => BoundaryOrder::ASCENDING,
                (false, true) => BoundaryOrder::DESCENDING,
                (false, false) => BoundaryOrder::UNORDERED,
            });
        let cut = self
            .bounds
            .map(|(least, most)| [self.lower(least), self.upper(most)]);
        Ok(RecordedIndex {
            statistics: V::statistics(self.bounds, cut, self.nulls, self.nans),
            column_index: self.column_index.build()?,
            offset_index: self.offset_index.build(),
            definition_levels: self.nullable.then(|| levels(self.rows, self.nulls)),
            text_bytes: self.text_bytes,
            rows: self.rows,
        })
    }
}

/// How many definition levels are 0, which is null, and how many are 1.
fn levels(rows: u64, nulls: u64) -> LevelHistogram {
    LevelHistogram::from(vec![nulls as i64, (rows - nulls) as i64])
}
