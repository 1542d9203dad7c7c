//! The options of `convert` that make a training set, and what it says of one.

use gristmill_runner::words::grouped;
use gristmill_tabular::{Converted, Label, LabelRule, OnMissing, Split};
use serde_json::{Value, json};

use crate::args_convert::{ConvertArgs, LabelMissing};

/// `--label`, `--label-above`, `--label-map`, `--label-missing`.
pub(crate) fn label(args: &ConvertArgs) -> Option<Label> {
    let column = args.label.clone()?;
    let rule = match args.label_above {
        Some(limit) => LabelRule::Above(limit),
        None if args.label_map.is_empty() => LabelRule::AsIs,
        None => LabelRule::Map(args.label_map.clone()),
    };
    let on_missing = match args.label_missing {
        LabelMissing::Drop => OnMissing::Drop,
        LabelMissing::Fail => OnMissing::Fail,
    };
    Some(Label {
        column,
        rule,
        on_missing,
    })
}

/// `--split`, `--split-key`, `--split-seed`.
pub(crate) fn split(args: &ConvertArgs) -> Option<Split> {
    (!args.split.is_empty()).then(|| Split {
        key: args.split_key.clone(),
        seed: args.split_seed,
        parts: args.split.clone(),
    })
}

/// Rows of each part, for the JSON answer; null without a split.
pub(crate) fn split_json(done: &Converted) -> Value {
    if done.split.is_empty() {
        return Value::Null;
    }
    let parts = done.split.iter();
    let object = parts.map(|(name, rows)| (name.clone(), json!(rows)));
    Value::Object(object.collect())
}

/// A line for the rows left out, and one for each part.
pub(crate) fn summary(args: &ConvertArgs, done: &Converted) -> String {
    let mut text = String::new();
    if done.unlabelled > 0 {
        text.push_str(&format!(
            "{} row{} without a label ({} is null) left out\n",
            grouped(done.unlabelled),
            if done.unlabelled == 1 { "" } else { "s" },
            args.label.as_deref().unwrap_or_default(),
        ));
    }
    let widest = done.split.iter().map(|(name, _)| name.len()).max();
    for (name, rows) in &done.split {
        let share = *rows as f64 * 100.0 / done.rows.max(1) as f64;
        text.push_str(&format!(
            "  {name:widest$}  {:>12} rows  {share:5.2} %\n",
            grouped(*rows),
            widest = widest.unwrap_or_default(),
        ));
    }
    text
}
