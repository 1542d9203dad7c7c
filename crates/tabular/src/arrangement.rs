//! What a conversion makes of a row: which columns it writes, its label, and the part that it is in.

use std::collections::{BTreeMap, HashSet};

use crate::blocks::Block;
use crate::convert::ConvertJob;
use crate::dialect::Dialect;
use crate::error::TabularError;
use crate::label::{Labelled, Labeller};
use crate::records::{BadRecord, Rows};
use crate::rows::Pass;
use crate::scan::places;
use crate::split::Splitter;

/// A column of the output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OutputColumn {
    pub(crate) name: String,
    pub(crate) from: From,
}

/// Where its cells come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum From {
    /// A column of the source, by its place.
    Column(usize),
    /// The number that the label came to.
    Label,
}

/// Fixed for a conversion.
pub(crate) struct Arrangement {
    pub(crate) columns: Vec<OutputColumn>,
    pub(crate) labeller: Option<Labeller>,
    splitter: Option<Splitter>,
    width: usize,
    dialect: Dialect,
}

/// Found for the rows of a block that are left.
#[derive(Debug, Default)]
pub(crate) struct Arranged {
    /// Places in [`Labeller::values`], a row each; empty where labels are not made.
    pub(crate) labels: Vec<u16>,
    /// Parts, a row each; empty where there is one part.
    pub(crate) parts: Vec<u8>,
    /// Rows that were left out because they have no label.
    pub(crate) unlabelled: u64,
}

impl Arranged {
    /// The part of a row.
    pub(crate) fn part(&self, row: usize) -> usize {
        self.parts.get(row).copied().map_or(0, usize::from)
    }
}

impl Arrangement {
    pub(crate) fn new(job: &ConvertJob, pass: &Pass) -> Result<Self, TabularError> {
        let file = &job.inputs[0].name;
        let tokens = &job.options.null_tokens;
        let labeller = job.label.as_ref();
        let labeller = labeller
            .map(|label| Labeller::new(label, pass, file, tokens))
            .transpose()?;
        let splitter = job.split.as_ref();
        let splitter = splitter
            .map(|split| Splitter::new(split, pass, file))
            .transpose()?;
        Ok(Self {
            columns: output_columns(job, pass.names(), labeller.as_ref())?,
            labeller,
            splitter,
            width: pass.names().len(),
            dialect: pass.dialect(),
        })
    }

    /// Places of the columns that labels and parts are found by.
    pub(crate) fn read_as_text(&self) -> Vec<usize> {
        let label = self.labeller.iter().map(Labeller::index);
        let keys = self.splitter.iter().flat_map(Splitter::key);
        label.chain(keys.copied()).collect()
    }

    /// Names of the output's columns, in order.
    pub(crate) fn names(&self) -> Vec<String> {
        self.columns.iter().map(|c| c.name.clone()).collect()
    }

    /// Places of the source's columns that are written.
    pub(crate) fn written(&self) -> impl Iterator<Item = usize> {
        self.columns.iter().filter_map(|column| match column.from {
            From::Column(place) => Some(place),
            From::Label => None,
        })
    }

    /// Labels the rows and finds their parts. Rows without a label go, those with a wrong one go to
    /// the bad ones.
    pub(crate) fn arrange(&self, block: &Block, rows: &mut Rows) -> Arranged {
        let mut arranged = Arranged::default();
        if let Some(labeller) = &self.labeller {
            self.label(labeller, block, rows, &mut arranged);
        }
        if let Some(splitter) = &self.splitter {
            let mut scratch = Vec::new();
            let spans = rows.spans.chunks_exact(self.width);
            let part =
                |spans| splitter.part_of(spans, block.text(), &self.dialect, &mut scratch) as u8;
            arranged.parts = spans.map(part).collect();
        }
        arranged
    }

    fn label(&self, labeller: &Labeller, block: &Block, rows: &mut Rows, arranged: &mut Arranged) {
        let mut bad: BTreeMap<usize, BadRecord> = BTreeMap::new();
        let mut keep = vec![true; rows.records.len()];
        let made = !labeller.values.is_empty();
        let cells = rows.records.iter().zip(rows.spans.chunks_exact(self.width));
        for (row, (record, spans)) in cells.enumerate() {
            match labeller.label(*record, spans, block.text(), &self.dialect) {
                Labelled::Value(value) if made => arranged.labels.push(value),
                Labelled::Value(_) => {}
                Labelled::Missing => {
                    keep[row] = false;
                    arranged.unlabelled += 1;
                }
                Labelled::Refused(record) => {
                    bad.insert(row, *record);
                }
            }
        }
        if arranged.unlabelled > 0 || !bad.is_empty() {
            rows.retain(&keep, bad, self.width);
        }
    }
}

/// Columns to write: selected or not dropped, under their new names, the label first.
pub(crate) fn output_columns(
    job: &ConvertJob,
    names: &[String],
    labeller: Option<&Labeller>,
) -> Result<Vec<OutputColumn>, TabularError> {
    let file = &job.inputs[0].name;
    let asked = job.drop.iter().chain(job.rename.keys());
    places(&asked.map(String::as_str).collect::<Vec<_>>(), names, file)?;
    let wanted: Vec<&str> = match &job.select {
        Some(select) => select.iter().map(String::as_str).collect(),
        None => names.iter().map(String::as_str).collect(),
    };
    let label = job.label.as_ref().map(|label| label.column.as_str());
    if let Some(dropped) = label.filter(|l| job.drop.iter().any(|d| d == l)) {
        return Err(TabularError::Options(format!(
            "{dropped:?} is the label and dropped: it is written first, and only there"
        )));
    }
    let kept = wanted
        .into_iter()
        .filter(|n| Some(*n) != label && !job.drop.iter().any(|d| d == n));
    let kept: Vec<&str> = label.into_iter().chain(kept).collect();
    if kept.is_empty() {
        return Err(TabularError::Options(
            "no column is left to write: select more or drop fewer".into(),
        ));
    }
    let made = labeller.filter(|labeller| !labeller.values.is_empty());
    let column = |(place, name): (usize, &&str)| OutputColumn {
        name: job
            .rename
            .get(*name)
            .map_or((*name).to_owned(), Clone::clone),
        from: match made {
            Some(labeller) if labeller.index() == place => From::Label,
            _ => From::Column(place),
        },
    };
    let places = places(&kept, names, file)?;
    let columns: Vec<OutputColumn> = places.into_iter().zip(&kept).map(column).collect();
    let mut seen = HashSet::with_capacity(columns.len());
    for column in &columns {
        if !seen.insert(column.name.as_str()) {
            return Err(TabularError::Options(format!(
                "two columns of the output would be named {:?}",
                column.name
            )));
        }
    }
    Ok(columns)
}
