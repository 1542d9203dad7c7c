//! Columns: named once, and only where they can be. Whether the input has them is seen in
//! [`crate::draft`].

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use super::View;
use crate::params::date;
use crate::problem::code;
use crate::spec::PathStep;
use crate::tree::shorten;

pub(super) fn check(view: &mut View<'_>) {
    let ids = unique(view, "prepare.id", "prepare.id");
    let select = unique(view, "prepare.select", "prepare.select");
    let drop = unique(view, "prepare.drop", "prepare.drop");
    both(
        view,
        &ids,
        &select,
        "an id is kept out of the model's input: name it in one of them",
    );
    both(
        view,
        &ids,
        &drop,
        "an id is already kept out of the model's input",
    );
    rename(view, &drop);
    dialect(view);
    contract(view, "source.columns");
    assemble(view);
    answers(view);
}

/// A list of names: the first path of each. A name twice is a problem.
fn unique<'a>(view: &mut View<'a>, path: &str, list: &str) -> BTreeMap<&'a str, String> {
    let mut first = BTreeMap::new();
    for (at, name) in view.texts(path) {
        if first.contains_key(name) {
            let message = format!("`{list}` names `{}` twice", shorten(name));
            view.problem(&at, code::COLUMN, message, "");
        } else {
            first.insert(name, at);
        }
    }
    first
}

fn both(view: &mut View<'_>, a: &BTreeMap<&str, String>, b: &BTreeMap<&str, String>, help: &str) {
    for (name, at) in b.iter().filter(|(name, _)| a.contains_key(*name)) {
        let list = |path: &str| path.split('[').next().unwrap_or_default().to_owned();
        let other = a.get(name).map(|path| list(path)).unwrap_or_default();
        let message = format!(
            "`{}` is in both `{other}` and `{}`",
            shorten(name),
            list(at)
        );
        view.problem(at, code::COLUMN, message, help);
    }
}

fn rename(view: &mut View<'_>, drop: &BTreeMap<&str, String>) {
    let Some(map) = view.map("prepare.rename") else {
        return;
    };
    let mut targets = BTreeMap::new();
    for (from, to) in map {
        let Some(to) = to.as_str() else { continue };
        let at = format!("prepare.rename.{from}");
        if let Some(other) = targets.insert(to, from) {
            let message = format!("`prepare.rename`: both `{other}` and `{from}` become `{to}`");
            view.problem(&at, code::COLUMN, message, "");
        }
        if drop.contains_key(from.as_str()) {
            let message = format!("`prepare.rename`: `{from}` is dropped");
            view.problem(&at, code::COLUMN, message, "remove it from one of them");
        }
    }
}

fn dialect(view: &mut View<'_>) {
    let keys = ["delimiter", "quote", "escape", "comment"];
    for (i, key) in keys.iter().enumerate() {
        let path = format!("source.{key}");
        let Some(byte) = view.number(&path) else {
            continue;
        };
        let same = |other: &&&str| view.number(&format!("source.{other}")) == Some(byte);
        if let Some(other) = keys[..i].iter().find(same) {
            let message = format!("`source.{key}` and `source.{other}` are the same character");
            view.problem(&path, code::CONFLICT, message, "");
        }
    }
}

/// A contract's columns, in the pipeline or in a file of their own.
pub(super) fn contract(view: &mut View<'_>, list: &str) {
    let mut names = BTreeMap::new();
    for (at, column) in view.items(list) {
        let name = column["name"].as_str().unwrap_or_default();
        if !name.is_empty() && names.insert(name, ()).is_some() {
            let message = format!("the contract names `{}` twice", shorten(name));
            view.problem(&format!("{at}.name"), code::COLUMN, message, "");
        }
        let (min, max) = (column["min"].as_f64(), column["max"].as_f64());
        if let (Some(min), Some(max)) = (min, max)
            && min > max
        {
            let message = format!("`{name}`: `min` {min} is above `max` {max}");
            view.problem(&format!("{at}.min"), code::CONFLICT, message, "");
        }
        let number = matches!(column["type"].as_str(), Some("int64" | "float64") | None);
        for key in ["min", "max"] {
            if !number && column.get(key).is_some() {
                let message = format!("`{name}`: `{key}` is for numbers only");
                view.problem(&format!("{at}.{key}"), code::CONFLICT, message, "");
            }
        }
    }
}

fn assemble(view: &mut View<'_>) {
    let mut names = BTreeMap::new();
    let mut predictions = 0;
    let mut holes = view.get("assemble.columns").is_none();
    for (at, item) in view.items("assemble.columns") {
        let name = item
            .as_str()
            .or_else(|| item["name"].as_str())
            .unwrap_or_default();
        // Where nothing is written, the columns are the ids: that one is named twice is told there.
        let is_id = item.is_string() && !view.written("assemble.columns");
        if !name.is_empty() && names.insert(name, ()).is_some() && !is_id {
            let message = format!(
                "`assemble.columns` has two columns called `{}`",
                shorten(name)
            );
            view.problem(
                &at,
                code::COLUMN,
                message,
                "output columns need different names",
            );
        }
        holes |= item.get("from").is_some_and(Value::is_null);
        let from = item.as_str().or_else(|| item["from"].as_str());
        predictions += usize::from(from.is_some_and(|from| prediction_at(from).is_some()));
        if item.is_object() {
            output_column(view, &at, item, name);
        }
    }
    if !holes && predictions == 0 && view.has("assemble") && view.has("transform") {
        let message = "`assemble.columns` takes nothing from the model's answers".to_owned();
        let help = "add { name: score, from: \"prediction[0]\" }";
        view.problem("assemble.columns", code::COLUMN, message, help);
    }
}

fn output_column(view: &mut View<'_>, at: &str, item: &Value, name: &str) {
    match (item.get("from"), item.get("value")) {
        (Some(_), Some(_)) => {
            let message = format!("`{name}` has both `from` and `value`");
            view.problem(
                &format!("{at}.value"),
                code::CONFLICT,
                message,
                "keep one of them",
            );
        }
        (None, None) => {
            let message = format!("`{name}` has neither `from` nor `value`");
            let help = "a source column by its name: { name: NEW, from: OLD }";
            view.problem(at, code::MISSING_KEY, message, help);
        }
        (Some(from), None) => from_column(view, at, from, item, name),
        (None, Some(value)) => constant(view, at, value, item, name),
    }
}

fn from_column(view: &mut View<'_>, at: &str, from: &Value, item: &Value, name: &str) {
    let Some(from) = from.as_str() else { return };
    match prediction_at(from) {
        Some(Ok(PredictionAt::Cell(_))) => {}
        Some(Ok(PredictionAt::Path(_))) => named_value(view, at, from, name),
        Some(Err(())) => {
            let message = format!("`{name}`: `from: {}` is not a prediction", shorten(from));
            let help = "fields of an answer are counted from 0, or named in JSON: \
                        \"prediction[0]\", \"prediction.score\"";
            view.problem(&format!("{at}.from"), code::BAD_VALUE, message, help);
        }
        None if item.get("type").is_some() => {
            let message = format!("`{name}`: a source column keeps its type");
            let help = "remove `type`; `source.columns` decides about types";
            view.problem(&format!("{at}.type"), code::CONFLICT, message, help);
        }
        None => {}
    }
}

/// Only JSON has names.
fn named_value(view: &mut View<'_>, at: &str, from: &str, name: &str) {
    let Some(accept) = view.text("transform.accept").filter(|a| !is_json(a)) else {
        return;
    };
    let message = format!(
        "`{name}`: `from: {}` needs answers in JSON, and `accept` is `{accept}`",
        shorten(from)
    );
    let help = "use `accept: application/jsonlines`, or count fields from 0: \"prediction[0]\"";
    view.problem(&format!("{at}.from"), code::CONFLICT, message, help);
}

/// What a document of JSON answers is a question in JSON only.
fn answers(view: &mut View<'_>) {
    let path = "assemble.answers";
    let (Some(answers), Some(accept)) = (view.text(path), view.text("transform.accept")) else {
        return;
    };
    if answers == "auto" || is_json(accept) {
        return;
    }
    let message = format!(
        "`answers: {answers}` says what a document of JSON answers, and `accept` is `{accept}`: \
         each line answers a row"
    );
    let help = "remove it, or use `accept: application/json`";
    view.problem(path, code::CONFLICT, message, help);
}

fn constant(view: &mut View<'_>, at: &str, value: &Value, item: &Value, name: &str) {
    let Some(wanted) = item["type"].as_str().filter(|_| !value.is_null()) else {
        return;
    };
    let text = value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned);
    let fits = match wanted {
        "int64" => text.parse::<i64>().is_ok(),
        "float64" => text.parse::<f64>().is_ok_and(f64::is_finite),
        "boolean" => text.parse::<bool>().is_ok(),
        "date" => date(&text).is_some(),
        "timestamp" => instant(&text) == Some(false),
        "timestamp_utc" => instant(&text) == Some(true),
        _ => true,
    };
    if !fits {
        let message = format!(
            "`{name}`: the value `{}` is not of type {wanted}",
            shorten(&text)
        );
        view.problem(&format!("{at}.value"), code::BAD_VALUE, message, "");
    }
}

/// Whether a time such as `2024-12-31T23:59:59.5` names its zone, `Z` or `+05:30`; `None` for what is no time
/// as cells hold it: to the microsecond, with minutes.
fn instant(text: &str) -> Option<bool> {
    let (day, rest) = text.split_at_checked(10)?;
    let rest = rest.strip_prefix(['T', ' '])?;
    let at = rest.find(['Z', '+', '-']).unwrap_or(rest.len());
    let (clock, zone) = rest.split_at(at);
    let digits = clock
        .split_once('.')
        .map_or(0, |(_, fraction)| fraction.len());
    let is_clock = matches!(clock.find('.').unwrap_or(clock.len()), 5 | 8) && digits <= 6;
    let is_zone = matches!(zone, "" | "Z") || (zone.len() == 6 && &zone[3..4] == ":");
    let whole = format!("{day}T{clock}{}", if zone.is_empty() { "Z" } else { zone });
    let is_time = is_clock && is_zone && date(day).is_some() && whole.parse::<Timestamp>().is_ok();
    is_time.then_some(!zone.is_empty())
}

/// The type of a constant where none is given.
pub(crate) fn constant_type(value: &Value) -> &'static str {
    match value {
        Value::Bool(_) => "boolean",
        Value::Number(n) if n.is_f64() => "float64",
        Value::Number(_) => "int64",
        _ => "string",
    }
}

/// Where in an answer `from` points.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum PredictionAt {
    /// `prediction[3]`.
    Cell(usize),
    /// `prediction.score`, `prediction.classes[0]`, `prediction[0].score`, `prediction['a b']`.
    Path(Vec<PathStep>),
}

/// `prediction[3]` → `Some(Ok(…))`; something that is meant to be one → `Some(Err(()))`; a source
/// column → `None`.
pub(crate) fn prediction_at(from: &str) -> Option<Result<PredictionAt, ()>> {
    let mut rest = from.trim().strip_prefix("prediction")?;
    if !rest.is_empty() && !rest.starts_with(['[', '.', '(']) {
        return None;
    }
    let mut steps = Vec::new();
    while !rest.is_empty() {
        match step(rest) {
            Some((step, more)) => {
                steps.push(step);
                rest = more;
            }
            None => return Some(Err(())),
        }
    }
    Some(match steps.as_slice() {
        [] => Err(()),
        [PathStep::Index(index)] => Ok(PredictionAt::Cell(*index)),
        _ => Ok(PredictionAt::Path(steps)),
    })
}

/// The first step of a path, and what is behind it.
fn step(path: &str) -> Option<(PathStep, &str)> {
    if let Some(rest) = path.strip_prefix('.') {
        let end = rest.find(['.', '[']).unwrap_or(rest.len());
        let name = &rest[..end];
        let plain = !name.is_empty() && !name.contains([']', '(', ')', '\'', '"', ' ']);
        return plain.then(|| (PathStep::Name(name.to_owned()), &rest[end..]));
    }
    let rest = path.strip_prefix('[')?;
    if let Some(quote) = rest.chars().next().filter(|c| matches!(c, '\'' | '"')) {
        let (name, rest) = rest[1..].split_once(quote)?;
        let rest = rest.strip_prefix(']')?;
        return (!name.is_empty()).then(|| (PathStep::Name(name.to_owned()), rest));
    }
    let (index, rest) = rest.split_once(']')?;
    let digits = !index.is_empty() && index.bytes().all(|b| b.is_ascii_digit());
    let index = digits.then(|| index.parse::<u16>().ok()).flatten()?;
    Some((PathStep::Index(usize::from(index)), rest))
}

/// Whether answers of this media type are read as JSON.
pub(crate) fn is_json(accept: &str) -> bool {
    let bare = accept.split(';').next().unwrap_or_default();
    bare.to_ascii_lowercase().contains("json")
}
