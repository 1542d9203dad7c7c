//! The service's own filters and join: what they work with, and what they would make of our
//! records (developer guide, `batch-transform-data-processing`).

use serde_json::Value;

use super::View;
use crate::filter::{Filter, FilterError, Records, Step};
use crate::problem::code;
use crate::tree::shorten;

const SECTION: &str = "transform.data_processing";
const INPUT: &str = "transform.data_processing.input_filter";
const OUTPUT: &str = "transform.data_processing.output_filter";
const JOIN: &str = "transform.data_processing.join_source";

/// Media types whose records the service can take apart.
const MEDIA: &[&str] = &["text/csv", "application/json", "application/jsonlines"];

/// Where a join puts the answer to a JSON record.
const ANSWER: &str = "SageMakerOutput";

pub(super) fn check(view: &mut View<'_>) {
    if !active(view) {
        return;
    }
    if media(view) {
        lines(view);
    }
    filters(view);
    columns(view);
    joined_objects(view);
}

fn active(view: &View<'_>) -> bool {
    let filters = |path| view.text(path).is_some_and(|filter| filter != "$");
    filters(INPUT) || filters(OUTPUT) || view.text(JOIN) == Some("Input")
}

/// Where to show a setting: at its key if it is written, else at the section.
fn place_of(view: &View<'_>, path: &'static str) -> &'static str {
    if view.written(path) { path } else { SECTION }
}

/// Whether records can be taken apart.
fn media(view: &mut View<'_>) -> bool {
    let (content, accept) = ("transform.content_type", "transform.accept");
    let Some(media) = view.text(content) else {
        return true;
    };
    let bare = media.split(';').next().unwrap_or_default().trim();
    if !MEDIA.contains(&bare.to_ascii_lowercase().as_str()) {
        let message = format!(
            "`data_processing` works on text/csv, application/json and application/jsonlines, \
             not on `content_type: {media}`"
        );
        let at = place_of(view, content);
        let help = "remove `data_processing`: `prepare.select` and `assemble.columns` do the same";
        view.problem(at, code::DATA_PROCESSING, message, help);
        return false;
    }
    if let Some(other) = view.text(accept).filter(|other| *other != media) {
        let message = format!(
            "with `data_processing`, `accept` must equal `content_type`: `{other}` is not `{media}`"
        );
        let at = place_of(view, accept);
        let help = format!("`accept: {media}`");
        view.problem(at, code::DATA_PROCESSING, message, &help);
    }
    true
}

/// A record must be a line, on both sides, or records and answers could not be brought together.
fn lines(view: &mut View<'_>) {
    for key in ["transform.split_type", "transform.assemble_with"] {
        let Some(found) = view.text(key).filter(|found| *found != "Line") else {
            continue;
        };
        let name = key.trim_start_matches("transform.");
        let message = format!(
            "with `data_processing`, `{name}` must be `line`, found `{}`",
            found.to_lowercase()
        );
        let at = place_of(view, key);
        let help = format!("use `{name}: line`: records are filtered and joined line by line");
        view.problem(at, code::DATA_PROCESSING, message, &help);
    }
}

fn records(view: &View<'_>) -> Option<Records> {
    match view.text("shards.format")? {
        csv if csv.starts_with("csv") => Some(Records::Csv),
        jsonl if jsonl.starts_with("jsonl") => Some(Records::JsonLines),
        _ => None,
    }
}

/// A filter of the file that parses.
fn parsed(view: &View<'_>, path: &str) -> Option<Filter> {
    Filter::parse(view.text(path)?, view.limits).ok()
}

fn problem(view: &mut View<'_>, path: &str, wrong: &FilterError) {
    let text = view.text(path).unwrap_or_default();
    let message = format!("`{path}`: `{}`: {wrong}", shorten(text));
    view.problem_in(path, wrong.at, code::FILTER, message, &wrong.help);
}

fn filters(view: &mut View<'_>) {
    let Some(records) = records(view) else { return };
    let joined = view.text(JOIN) == Some("Input");
    for path in [INPUT, OUTPUT] {
        let Some(filter) = parsed(view, path) else {
            continue;
        };
        // An answer in JSON Lines may be of any shape.
        if path == OUTPUT && records == Records::JsonLines && !joined {
            continue;
        }
        if let Err(wrong) = filter.fits(records) {
            problem(view, path, &wrong);
        }
    }
}

/// What the file itself says about the columns of a shard; the rest is seen with the input.
fn columns(view: &mut View<'_>) {
    let Some(Value::Array(select)) = view.get("prepare.select") else {
        return;
    };
    let names: Vec<String> = select
        .iter()
        .filter_map(|name| name.as_str().map(str::to_owned))
        .collect();
    let holes = names.len() < select.len();
    let (Some(filter), Some(records)) = (parsed(view, INPUT), records(view)) else {
        return;
    };
    if holes || filter.fits(records).is_err() {
        return;
    }
    if let Err(wrong) = fits_columns(&filter, records, &names) {
        problem(view, INPUT, &wrong);
    }
}

/// Whether an input filter finds what it asks for among a shard's columns.
pub(crate) fn fits_columns(
    filter: &Filter,
    records: Records,
    columns: &[String],
) -> Result<(), FilterError> {
    if records == Records::Csv {
        return filter.within(columns.len());
    }
    let names = match filter.steps().next() {
        Some(Step::Names(names)) => names.as_slice(),
        _ => return Ok(()),
    };
    match names.iter().find(|name| !columns.contains(name)) {
        None => Ok(()),
        Some(name) => {
            let near = crate::template::nearest(name, columns.iter().map(String::as_str));
            Err(FilterError {
                at: 1,
                message: format!(
                    "names `{}`, which is no column of the shards",
                    shorten(name)
                ),
                help: match near {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("they have {}", shorten(&columns.join(", "))),
                },
            })
        }
    }
}

/// A join of JSON makes an object of each record, with the answer under a name of its own.
fn joined_objects(view: &mut View<'_>) {
    if records(view) != Some(Records::JsonLines) || view.text(JOIN) != Some("Input") {
        return;
    }
    for (at, name) in view.texts("prepare.select") {
        if name == ANSWER {
            let message = format!("`{ANSWER}` is where a join puts the answer: it would be lost");
            let help = "leave the column out, or do without `join_source: input`";
            view.problem(&at, code::DATA_PROCESSING, message, help);
        }
    }
    let only_answer = |filter: &Filter| {
        let first = filter.steps().next();
        matches!(first, Some(Step::Names(names)) if names.as_slice() == [ANSWER])
    };
    // Without a filter, what is stored is the record with the answer under its name, which is read.
    let fine = match view.text(OUTPUT) {
        Some("$") => true,
        Some(_) => parsed(view, OUTPUT).is_none_or(|filter| only_answer(&filter)),
        None => true,
    };
    if !fine {
        let at = if view.written(OUTPUT) { OUTPUT } else { JOIN };
        let message =
            "the job would store parts of JSON objects, of which no prediction is read".to_owned();
        let help = format!(
            "`output_filter: $.{ANSWER}` stores the answer alone; the columns beside it are put \
             back by `assemble.columns`"
        );
        view.problem(at, code::DATA_PROCESSING, message, &help);
    }
}
