//! `transform.join: server`: what it works with.

use super::View;
use super::columns::{PredictionAt, prediction_at};
use crate::filter::Filter;
use crate::problem::code;
use crate::server_join::output_filter;

const JOIN: &str = "transform.join";
const ANSWERS: &str = "transform.answer_columns";
const MEDIA: &str = "text/csv";

pub(super) fn check(view: &mut View<'_>) {
    if view.text(JOIN) != Some("server") {
        if view.written(ANSWERS) && view.has(JOIN) {
            let message = "`transform.answer_columns` has no effect without `join: server`";
            view.problem(ANSWERS, code::CONFLICT, message.to_owned(), "remove it");
        }
        return;
    }
    others(view);
    records(view);
    ids(view);
}

/// `prepare.id`, if all of it is known.
fn id_count(view: &View<'_>) -> Option<usize> {
    let list = view.get("prepare.id")?.as_array()?;
    list.iter().all(|id| !id.is_null()).then_some(list.len())
}

/// What else decides what a job stores.
fn others(view: &mut View<'_>) {
    let section = "transform.data_processing";
    if view.written(section) {
        let message =
            "`join: server` makes filters and a join of its own: `data_processing` cannot \
                       stand beside it"
                .to_owned();
        view.problem(section, code::CONFLICT, message, "keep one of them");
    }
    let inference_id = "transform.data_capture_config.generate_inference_id";
    if view.get(inference_id).is_some_and(|on| *on == true) {
        let message =
            "`generate_inference_id` appends columns to what `join: server` counts from the \
                       end"
            .to_owned();
        view.problem(inference_id, code::CONFLICT, message, "keep one of them");
    }
}

/// A record is a line of CSV, on both sides.
fn records(view: &mut View<'_>) {
    let fits = |path: &str, text: &str| match path {
        "shards.format" => matches!(text, "csv" | "csv.gz"),
        "transform.content_type" | "transform.accept" => {
            let bare = text.split(';').next().unwrap_or_default().trim();
            bare.eq_ignore_ascii_case(MEDIA)
        }
        _ => text == "Line",
    };
    for (path, wanted) in [
        ("shards.format", "csv"),
        ("transform.content_type", MEDIA),
        ("transform.accept", MEDIA),
        ("transform.split_type", "line"),
        ("transform.assemble_with", "line"),
    ] {
        let Some(found) = view.text(path).filter(|found| !fits(path, found)) else {
            continue;
        };
        let name = path.rsplit('.').next().unwrap_or_default();
        let message = format!(
            "`join: server` joins lines of CSV, so `{name}` must be `{wanted}`, found `{}`",
            found.to_lowercase()
        );
        let at = if view.written(path) { path } else { JOIN };
        let help = format!("`{name}: {wanted}`, or `join: local`, which joins any of them");
        view.problem(at, code::DATA_PROCESSING, message, &help);
    }
    let (content, accept) = (
        view.text("transform.content_type"),
        view.text("transform.accept"),
    );
    if let (Some(content), Some(accept)) = (content, accept)
        && content != accept
        && fits("transform.accept", accept)
        && fits("transform.accept", content)
    {
        let message = format!(
            "with `join: server`, `accept` must equal `content_type`: `{accept}` is not `{content}`"
        );
        let help = format!("`accept: {content}`");
        view.problem("transform.accept", code::DATA_PROCESSING, message, &help);
    }
}

fn ids(view: &mut View<'_>) {
    let ids = match view.get("prepare.id") {
        None if view.has("prepare.id") => return,
        None => 0,
        Some(_) => match id_count(view) {
            Some(ids) => ids,
            None => return,
        },
    };
    if ids == 0 {
        let message = "`join: server` has nothing to join: `prepare.id` names no column".to_owned();
        let help = "name in `prepare.id` what is to stand beside the answers";
        view.problem(JOIN, code::MISSING_KEY, message, help);
        return;
    }
    let stated = view.number(ANSWERS).and_then(|n| usize::try_from(n).ok());
    let mut most = 1;
    for (at, item) in view.items("assemble.columns") {
        let from = item.get("from").and_then(serde_json::Value::as_str);
        let Some(Ok(PredictionAt::Cell(index))) = from.and_then(prediction_at) else {
            continue;
        };
        most = most.max(index + 1);
        if let Some(stated) = stated.filter(|n| index >= *n) {
            let message = format!(
                "`prediction[{index}]`: an answer has {stated} columns, says `transform.answer_columns`"
            );
            let help = "they are counted from 0";
            view.problem(&format!("{at}.from"), code::BAD_VALUE, message, help);
        }
    }
    let text = output_filter(ids, stated.unwrap_or(most));
    if let Err(wrong) = Filter::parse(&text, view.limits) {
        let message = format!("`join: server` would need the filter `{text}`, which {wrong}");
        let of_one_id = Filter::parse(&output_filter(1, stated.unwrap_or(most)), view.limits);
        let help = match of_one_id {
            Ok(_) => {
                "name fewer ids (the others in `assemble.columns` alone), or use `join: local`"
            }
            Err(_) => "so many answers do not fit beside any id: use `join: local`",
        };
        view.problem(JOIN, code::FILTER, message, help);
    }
}

/// How many columns an answer has is not known, and the last are taken.
pub(super) fn doubt(view: &mut View<'_>) {
    if view.text(JOIN) == Some("server") && !view.has(ANSWERS) {
        let message = "`join: server` keeps the last columns of what the service joins: if the model \
                       answers more than the predictions that `assemble` names, they are the wrong ones"
            .to_owned();
        let help = "state `answer_columns`: how many columns the model answers for a row";
        view.problem(JOIN, code::DOUBTFUL, message, help);
    }
}
