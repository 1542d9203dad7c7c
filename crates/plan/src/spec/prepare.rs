//! `prepare`: which columns go where, what is learnt, and which rows go to which part.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// `prepare`. All names are the source's own; `rename` comes last.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Prepare {
    /// Kept out of the model's input and put back beside the predictions.
    pub id: Vec<String>,
    /// The only columns that go on, in this order, after the label. `None`: all but `id` and
    /// `drop`.
    pub select: Option<Vec<String>>,
    /// Columns that do not go on. Empty if `select` is there.
    pub drop: Vec<String>,
    /// Source name → name in the shards' header; only without `transform`.
    pub rename: BTreeMap<String, String>,
    /// What a model shall learn: the first column of the output; only without `transform`.
    #[serde(default)]
    pub label: Option<Label>,
    /// Which rows go to which part; only without `transform`.
    #[serde(default)]
    pub split: Option<Split>,
}

/// `prepare.label`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Label {
    /// The source's name. It is written once, as the first column.
    pub column: String,
    /// How its cells become labels.
    pub rule: LabelRule,
    /// What happens to a row whose cell is null.
    pub on_missing: OnMissing,
}

/// How a cell becomes a label.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LabelRule {
    /// The cell as it is.
    AsIs,
    /// 1 if the cell's number is above this, else 0.
    Above(f64),
    /// The cell's text → the label's number as text (`1`, `0.5`), in the file's order. Never
    /// empty; texts are unique.
    Map(Vec<(String, String)>),
}

/// `prepare.label.on_missing`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnMissing {
    /// The row is left out, and counted.
    #[default]
    Drop,
    /// The run fails.
    Fail,
}

/// `prepare.split`: by a hash of the key's cells, so that rows with one key stay together and a
/// row's part depends on nothing but its key and the seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Split {
    /// Source columns; never empty. They may be dropped from the output.
    pub key: Vec<String>,
    /// Another seed is another split.
    pub seed: u64,
    /// Name and share, in the file's order: at least two, each above 0, together 1 (±1e-9). A
    /// name is a folder's: `[a-z0-9][a-z0-9_-]*`, at most 63 characters.
    pub parts: Vec<(String, f64)>,
}
