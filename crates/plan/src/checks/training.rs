//! `prepare.label` and `prepare.split`: a training set is not for a model that exists.

use std::collections::BTreeMap;

use super::View;
use crate::limits::{SHARE_SLACK, part_name};
use crate::problem::code;
use crate::tree::shorten;

pub(super) fn check(view: &mut View<'_>) {
    if view.has("transform") {
        without_model(view);
    }
    label(view);
    split(view);
}

fn without_model(view: &mut View<'_>) {
    for (path, help) in [
        (
            "prepare.label",
            "a model must not see what it shall predict; to keep the column beside the \
             predictions, name it in `prepare.id`",
        ),
        (
            "prepare.split",
            "make the training set by a pipeline of its own, without `transform`",
        ),
    ] {
        if view.written(path) {
            let message = format!("`{path}` and `transform` exclude one another");
            view.problem(path, code::CONFLICT, message, help);
        }
    }
}

fn label(view: &mut View<'_>) {
    if view.written("prepare.label.above") && view.written("prepare.label.map") {
        let message = "`above` and `map` exclude one another in `prepare.label`".to_owned();
        let help = "`above` makes 0 and 1 of numbers, `map` makes numbers of texts";
        view.problem("prepare.label.map", code::CONFLICT, message, help);
    }
    if view
        .map("prepare.label.map")
        .is_some_and(serde_json::Map::is_empty)
    {
        let message = "`prepare.label.map` must not be empty".to_owned();
        let help = "for each text that the column holds, its label: { \"no\": 0, \"yes\": 1 }";
        view.problem("prepare.label.map", code::BAD_VALUE, message, help);
    }
    let short = view.text("prepare.label");
    let Some(column) = short.or_else(|| view.text("prepare.label.column")) else {
        return;
    };
    let dropped = view.texts("prepare.drop");
    if let Some((at, _)) = dropped.iter().find(|(_, name)| *name == column) {
        let message = format!("`{}` is the label, and dropped", shorten(column));
        let help = "the label becomes the first column and stands nowhere else: remove it here";
        view.problem(at, code::CONFLICT, message, help);
    }
}

fn split(view: &mut View<'_>) {
    if !view.written("prepare.split") {
        return;
    }
    key(view);
    parts(view);
    if let Some(to) = view.text("shards.to").filter(|to| !to.ends_with('/')) {
        let message = format!(
            "`shards.to: {}` names a file, but with `prepare.split` each part is a folder in it",
            shorten(to)
        );
        let help = format!("a folder ends with `/`: `to: {}/`", shorten(to));
        view.problem("shards.to", code::CONFLICT, message, &help);
    }
}

fn key(view: &mut View<'_>) {
    let mut seen = BTreeMap::new();
    for (at, name) in view.texts("prepare.split.key") {
        if seen.insert(name, ()).is_some() {
            let message = format!("`prepare.split.key` names `{}` twice", shorten(name));
            view.problem(&at, code::COLUMN, message, "");
        }
    }
}

fn parts(view: &mut View<'_>) {
    let path = "prepare.split.parts";
    let Some(parts) = view.map(path) else { return };
    let mut sum = Some(0.0);
    for (name, share) in parts {
        let at = format!("{path}.{name}");
        if let Err(why) = part_name(name) {
            let message = format!("`{path}`: the name `{}` {why}", shorten(name));
            view.problem(
                &at,
                code::BAD_VALUE,
                message,
                "a part's name is its folder's",
            );
        }
        let share = share.as_f64();
        if share == Some(0.0) {
            let message = format!("`{at}`: a share must be above 0");
            view.problem(&at, code::BAD_VALUE, message, "remove the part");
        }
        sum = sum.zip(share).map(|(sum, share)| sum + share);
    }
    if parts.len() < 2 {
        let message = format!("`{path}` needs at least two parts, found {}", parts.len());
        let help = "for example { train: 0.8, test: 0.2 }";
        view.problem(path, code::BAD_VALUE, message, help);
        return;
    }
    // A hole is a problem already, and what it would add is not known.
    if let Some(sum) = sum.filter(|sum: &f64| (sum - 1.0).abs() > SHARE_SLACK) {
        let shown = (sum * 1e10).round() / 1e10;
        let message = format!("`{path}`: the shares are {shown} together; they must be 1");
        view.problem(path, code::BAD_VALUE, message, "");
    }
}
