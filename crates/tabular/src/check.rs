//! Data held to what is asked of it, without anything being written: every row is looked at, and the
//! first bad ones of each kind are kept to be shown.

use std::collections::BTreeMap;

use crate::bad_rows::{BadReason, BadRow, OnBadRow};
use crate::blocks::Block;
use crate::dialect::Dialect;
use crate::error::TabularError;
use crate::input::Input;
use crate::label::{Label, Labelled, Labeller};
use crate::progress::Progress;
use crate::records::Rows;
use crate::refusals::Refusals;
use crate::rows::Pass;
use crate::scan::{ScanOptions, hold_to};

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// Data rows, bad ones counted.
    pub rows: u64,
    /// Bad rows by reason.
    pub bad: BTreeMap<BadReason, u64>,
    /// The first bad rows of each kind in input order, as many as were asked for, without their bytes.
    /// A kind is a column and a reason: of each there are at most five, which found different things.
    pub first: Vec<BadRow>,
}

impl Checked {
    /// Bad rows of all reasons.
    pub fn bad_rows(&self) -> u64 {
        self.bad.values().sum()
    }
}

/// Reads all inputs once and holds each row to the contract of `options`, if it has one, and to
/// `label`. A row counts once, for its first fault. Whatever `options` say of bad rows, all are
/// counted, and the first of each kind are given, `shown` at most. Memory: as of a scan, and the rows shown.
///
/// # Errors
/// Those of [`scan`](crate::scan::scan), apart from bad rows.
pub fn check(
    inputs: &[Input],
    options: &ScanOptions,
    label: Option<&Label>,
    shown: usize,
    progress: &dyn Progress,
) -> Result<Checked, TabularError> {
    let pass = Pass::open(inputs, options)?;
    let file = &inputs[0].name;
    let rules = options.contract_rules(pass.names(), file)?;
    let tokens = &options.null_tokens;
    let labeller = label
        .map(|label| Labeller::new(label, &pass, file, tokens))
        .transpose()?;
    let (width, dialect) = (pass.names().len(), pass.dialect());
    let lenient = OnBadRow::Quarantine {
        max_ratio: None,
        max_rows: None,
    };
    let mut refusals = Refusals::new(lenient).showing(shown);
    let look = |block: &Block, rows: &mut Rows| {
        hold_to(&rules, rows, block, width, &dialect);
        if let Some(labeller) = &labeller {
            hold_to_label(labeller, rows, block, width, &dialect);
        }
    };
    pass.run(&mut refusals, progress, look, |_| Ok(()))?;
    Ok(Checked {
        rows: refusals.total,
        first: refusals.shown(),
        bad: refusals.counts,
    })
}

/// Refuses the rows that no label can be made for.
fn hold_to_label(
    labeller: &Labeller,
    rows: &mut Rows,
    block: &Block,
    width: usize,
    dialect: &Dialect,
) {
    let cells = rows.records.iter().zip(rows.spans.chunks_exact(width));
    let refused = cells.enumerate().filter_map(|(row, (record, spans))| {
        match labeller.label(*record, spans, block.text(), dialect) {
            Labelled::Refused(bad) => Some((row, *bad)),
            Labelled::Value(_) | Labelled::Missing => None,
        }
    });
    let refused = refused.collect();
    rows.refuse(refused, width);
}
