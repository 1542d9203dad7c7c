//! `source`: keys that have an effect on some inputs only.

use serde_json::Value;

use super::View;
use crate::problem::code;

pub(super) fn check(view: &mut View<'_>) {
    new_columns(view);
    dialect_of_text(view);
    ready(view);
}

fn new_columns(view: &mut View<'_>) {
    let path = "source.on_new_column";
    if !view.written(path) {
        return;
    }
    if let Some(typing @ ("infer" | "text")) = view.get("source.columns").and_then(Value::as_str) {
        let message = format!("`{path}` has no effect with `source.columns: {typing}`");
        let help = "a column is new to a contract: give one in `source.columns`, or remove this";
        view.problem(path, code::CONFLICT, message, help);
    }
}

fn dialect_of_text(view: &mut View<'_>) {
    let Some(format) = view.text("source.format").filter(|format| *format != "csv") else {
        return;
    };
    for key in [
        "encoding",
        "delimiter",
        "quote",
        "escape",
        "comment",
        "header",
        "skip_lines",
    ] {
        let path = format!("source.{key}");
        // JSON Lines are text too.
        let has_effect = key == "encoding" && format == "jsonl";
        if view.written(&path) && !has_effect {
            let message = format!("`{path}` is for CSV; it has no effect with `format: {format}`");
            view.problem(&path, code::CONFLICT, message, "remove one of them");
        }
    }
}

fn ready(view: &mut View<'_>) {
    let one = view.text("source.uri") == Some("-");
    let listed = view.texts("source.uri").iter().any(|(_, uri)| *uri == "-");
    if view.written("source.ready") && (one || listed) {
        let message = "`source.ready` cannot be used with standard input".to_owned();
        let help = "nothing lies beside `-`: its end is what shows that it is complete";
        view.problem("source.ready", code::CONFLICT, message, help);
    }
}
