//! Bad rows of a pass: counted, kept, and held against what is allowed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::bad_rows::{BadReason, BadRow, OnBadRow};
use crate::error::TabularError;
use crate::quarantine::Quarantine;

/// How many bad rows of one column and reason are shown at most.
const OF_A_KIND: usize = 5;

/// Bad rows of a pass, in input order: counted, kept and held against the limit.
pub(crate) struct Refusals {
    policy: OnBadRow,
    quarantine: Option<Quarantine>,
    /// Where the quarantine will be.
    path: Option<PathBuf>,
    /// The first of them, without their bytes: at most `most`, and at least one.
    first: Vec<BadRow>,
    most: usize,
    /// Bad rows by reason.
    pub(crate) counts: BTreeMap<BadReason, u64>,
    /// Source rows, good and bad.
    pub(crate) total: u64,
}

impl Refusals {
    pub(crate) fn new(policy: OnBadRow) -> Self {
        Self {
            policy,
            quarantine: None,
            path: None,
            first: Vec::new(),
            most: 1,
            counts: BTreeMap::new(),
            total: 0,
        }
    }

    /// Bad rows go to a file at `path` as well.
    pub(crate) fn keep_in(mut self, path: &Path) -> Result<Self, TabularError> {
        self.quarantine = Some(Quarantine::create(path)?);
        self.path = Some(path.to_path_buf());
        Ok(self)
    }

    /// Forgets all bad rows, for another pass over the same input.
    pub(crate) fn begin_again(&mut self) -> Result<(), TabularError> {
        self.quarantine = None;
        self.first.clear();
        self.counts.clear();
        self.total = 0;
        if let Some(path) = &self.path {
            self.quarantine = Some(Quarantine::create(path)?);
        }
        Ok(())
    }

    /// The first bad rows of each kind are kept to be shown, `most` at most.
    pub(crate) fn showing(mut self, most: usize) -> Self {
        self.most = most.max(1);
        self
    }

    /// The rows to be shown, once.
    pub(crate) fn shown(&mut self) -> Vec<BadRow> {
        std::mem::take(&mut self.first)
    }

    /// Makes the file of bad rows durable. Worth calling even where the pass has failed: the rows
    /// are what the user needs to see.
    pub(crate) fn keep(&mut self) -> Result<(), TabularError> {
        self.quarantine.take().map_or(Ok(()), Quarantine::keep)
    }

    /// Takes the next bad row; an error if none is allowed.
    pub(crate) fn take(&mut self, row: impl FnOnce() -> BadRow) -> Result<(), TabularError> {
        let row = row();
        if self.policy == OnBadRow::Fail {
            return Err(TabularError::BadRow(Box::new(row)));
        }
        *self.counts.entry(row.reason).or_default() += 1;
        if let Some(quarantine) = &mut self.quarantine {
            quarantine.add(&row)?;
        }
        if self.first.len() < self.most && self.is_worth_showing(&row) {
            self.first.push(BadRow {
                raw: Vec::new(),
                ..row
            });
        }
        Ok(())
    }

    /// A fault of one column in every row is shown a few times, so that others are seen.
    fn is_worth_showing(&self, row: &BadRow) -> bool {
        let alike = |r: &&BadRow| r.reason == row.reason && r.column == row.column;
        let alike: Vec<&BadRow> = self.first.iter().filter(alike).collect();
        alike.len() < OF_A_KIND && alike.iter().all(|r| r.found != row.found)
    }

    /// Bad rows so far.
    pub(crate) fn bad(&self) -> u64 {
        self.counts.values().sum()
    }

    /// After the last row: an error if there were more bad ones than allowed.
    pub(crate) fn finish(&mut self) -> Result<(), TabularError> {
        let bad = self.bad();
        let OnBadRow::Quarantine {
            max_ratio,
            max_rows,
        } = self.policy
        else {
            return Ok(());
        };
        let ratio = max_ratio.filter(|r| bad as f64 > r * self.total as f64);
        let limit = match (ratio, max_rows.filter(|n| bad > *n)) {
            (Some(r), _) => format!("{} % of rows", r * 100.0),
            (None, Some(n)) => format!("{n} rows"),
            (None, None) => return Ok(()),
        };
        match self.shown().into_iter().next() {
            Some(first) => Err(TabularError::TooManyBadRows {
                bad,
                total: self.total,
                limit,
                first: Box::new(first),
            }),
            None => Ok(()),
        }
    }
}
