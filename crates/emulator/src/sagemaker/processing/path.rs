//! The service's subset of JSONPath, as far as CSV and JSON share it.

use std::ops::Range;

use crate::assume::{Assumptions, SliceEnd, SliceOverrun};

/// A filter that the service does not run, in its words as far as they are known.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("Invalid JsonPath: {path}: {why}")]
pub(crate) struct FilterError {
    path: String,
    why: &'static str,
}

impl FilterError {
    pub(super) fn new(path: &str, why: &'static str) -> Self {
        Self {
            path: path.to_owned(),
            why,
        }
    }

    /// Seen in the service's log (aws/sagemaker-python-sdk#1112).
    pub(super) fn mixed(path: &str) -> Self {
        let why = "only single range filters of format (eg: [1:5]) are supported";
        Self::new(path, why)
    }
}

/// A range together with other things between two brackets.
pub(super) fn mixed(inner: &str) -> bool {
    inner.contains(':') && inner.contains(',')
}

/// `start:end`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    start: Option<i64>,
    end: Option<i64>,
    /// Is the end part of it?
    inclusive: bool,
    /// May it end behind the last element?
    clip: bool,
}

impl Bounds {
    pub(super) fn parse(inner: &str, assume: Assumptions) -> Option<Self> {
        let (start, end) = inner.split_once(':')?;
        let bound = |text: &str| match text.trim() {
            "" => Some(None),
            text => text.parse().ok().map(Some),
        };
        Some(Self {
            start: bound(start)?,
            end: bound(end)?,
            inclusive: assume.slice_end == SliceEnd::Inclusive,
            clip: assume.slice_overrun == SliceOverrun::Clip,
        })
    }

    /// The places in an array of so many elements; none where it leaves the array or is empty.
    pub(super) fn of(&self, elements: usize) -> Option<Range<usize>> {
        let from = self.start.map_or(Some(0), |s| place(s, elements))?;
        let to = match self.end {
            None => elements,
            Some(end) => place(end, elements)?.checked_add(usize::from(self.inclusive))?,
        };
        let to = if self.clip { to.min(elements) } else { to };
        (from < to && to <= elements).then_some(from..to)
    }
}

/// An index that counts from the start.
pub(super) fn place(index: i64, elements: usize) -> Option<usize> {
    if index < 0 {
        elements.checked_sub(usize::try_from(index.unsigned_abs()).ok()?)
    } else {
        usize::try_from(index).ok()
    }
}
