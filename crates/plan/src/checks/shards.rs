//! Shard format, split, batch and payload: the combinations that the service, or a model, would
//! take wrongly.

use super::View;
use crate::limits::Limits;
use crate::problem::code;
use crate::size::format_size;

/// A wrapper that the service does not take off, by the end of a format's name.
const STORAGE_ONLY: &[(&str, &str)] = &[
    (".sz", "Snappy"),
    (".snappy", "Snappy"),
    (".zst", "Zstandard"),
];

/// What such a format is wrapped in; `None` for one that can be sent to a model.
fn storage_only(format: &str) -> Option<&'static str> {
    let found = STORAGE_ONLY.iter().find(|(end, _)| format.ends_with(end));
    found.map(|(_, wrapper)| *wrapper)
}

pub(super) fn check(view: &mut View<'_>) {
    keys_of_format(view);
    if view.has("transform") {
        format_for_model(view);
        compression_type(view);
        batch_strategy(view);
        payload_product(view);
        shard_size(view);
        media_types(view);
        one_json_document(view);
        return;
    }
    parquet_size(view);
    if view
        .text("shards.null")
        .is_some_and(|null| !null.is_empty())
        && csv(view)
    {
        let message = "`shards.null` is for what a model reads; without `transform` cells stay as \
                       they were read"
            .to_owned();
        view.problem("shards.null", code::CONFLICT, message, "leave it out");
    }
}

fn csv(view: &View<'_>) -> bool {
    let format = view.text("shards.format");
    format.is_some_and(|format| format.starts_with("csv"))
}

/// Whether a shard is one request: by `split_type: none`, and whatever stands there for a format that cannot
/// be split.
pub(super) fn is_one_request(view: &View<'_>) -> bool {
    view.text("transform.split_type") == Some("None")
        || view.text("shards.format") == Some("parquet")
}

/// Keys that only some formats have a use for.
fn keys_of_format(view: &mut View<'_>) {
    let Some(format) = view.text("shards.format") else {
        return;
    };
    let parquet = format == "parquet";
    let keys = [
        ("null", csv(view), "CSV"),
        ("header", csv(view), "CSV"),
        ("compression", parquet, "Parquet"),
        ("row_group_rows", parquet, "Parquet"),
    ];
    for (key, of_use, only) in keys {
        let path = format!("shards.{key}");
        if !of_use && view.written(&path) {
            let message = format!("`{path}` is for {only}; it has no effect on `{format}`");
            view.problem(&path, code::CONFLICT, message, "leave it out");
        }
    }
}

fn format_for_model(view: &mut View<'_>) {
    match (
        view.text("shards.format"),
        view.text("transform.split_type"),
    ) {
        (Some("parquet"), _) => parquet(view),
        (Some(format), split) => {
            if let Some(wrapper) = storage_only(format) {
                for_storage(view, format, wrapper, split == Some("Line"));
            }
        }
        (None, _) => {}
    }
}

/// The service takes off gzip and nothing else, before it cuts at newlines.
fn for_storage(view: &mut View<'_>, format: &str, wrapper: &str, by_lines: bool) {
    let (layout, rows) = if format.starts_with("jsonl") {
        ("jsonl", "JSON Lines")
    } else {
        ("csv", "CSV")
    };
    let help = format!(
        "use `format: {layout}` or `{layout}.gz`; {wrapper} {rows} {} for storage",
        if layout == "csv" { "is" } else { "are" }
    );
    let (code, message) = if by_lines {
        let message = format!(
            "`shards.format: {format}` cannot be split: with `split_type: line` the service \
             cuts at newlines, and it decompresses only gzip, never {wrapper}"
        );
        let code = if wrapper == "Snappy" {
            code::SNAPPY_WITH_LINE_SPLIT
        } else {
            code::SHARD_FORMAT
        };
        (code, message)
    } else {
        let message = format!("`shards.format: {format}` is not sent to models");
        (code::SHARD_FORMAT, message)
    };
    view.problem("shards.format", code, message, &help);
}

/// Parquet is one request a shard.
fn parquet(view: &mut View<'_>) {
    for (key, found) in [
        ("split_type", view.text("transform.split_type")),
        ("assemble_with", view.text("transform.assemble_with")),
    ] {
        let path = format!("transform.{key}");
        // What is not written follows from the other.
        if let Some(found) = found.filter(|found| *found != "None" && view.written(&path)) {
            let message = format!(
                "`{key}: {}` cannot be used with Parquet shards",
                found.to_lowercase()
            );
            let help = format!("a Parquet file is one request: use `{key}: none`");
            view.problem(&path, code::PARQUET_WITH_SPLIT, message, &help);
        }
    }
}

fn compression_type(view: &mut View<'_>) {
    let path = "transform.compression_type";
    if !view.written(path) {
        return;
    }
    let wrong = match (view.text("shards.format"), view.text(path)) {
        (Some(format), Some("None")) if format.ends_with(".gz") => "gzip",
        (Some(format), Some("Gzip")) if !format.ends_with(".gz") => "none",
        _ => return,
    };
    let message = format!("`compression_type` must be `{wrong}` for this `shards.format`");
    view.problem(
        path,
        code::CONFLICT,
        message,
        "leave it out: it follows from `shards.format`",
    );
}

fn batch_strategy(view: &mut View<'_>) {
    let path = "transform.batch_strategy";
    if view.written(path) && is_one_request(view) {
        let message = "`batch_strategy` needs a `split_type` of line, recordio or tfrecord".into();
        let help = match view.text("shards.format") {
            Some("parquet") => "a Parquet file is one request: remove `batch_strategy`",
            _ => "with `split_type: none` a shard is one request: remove `batch_strategy`",
        };
        view.problem(path, code::BATCH_WITHOUT_SPLIT, message, help);
    }
    let split = view.text("transform.split_type");
    let text = match view.text("shards.format") {
        Some(format) if format.starts_with("csv") => "CSV",
        Some(format) if format.starts_with("jsonl") => "JSON Lines",
        _ => return,
    };
    if let Some(split @ ("RecordIO" | "TFRecord")) = split {
        let message = format!("`split_type: {}` cannot split {text}", split.to_lowercase());
        let help = "use `split_type: line`";
        view.problem("transform.split_type", code::CONFLICT, message, help);
    }
}

fn payload_product(view: &mut View<'_>) {
    let (concurrent, payload) = (
        "transform.max_concurrent_transforms",
        "transform.max_payload_in_mb",
    );
    let (Some(n), Some(mb)) = (view.number(concurrent), least_payload(view)) else {
        return;
    };
    let most = view.limits.payload_product_mb;
    // A shard that no payload holds is told as such.
    let is_chosen = !view.written(payload) && mb > most;
    if n.saturating_mul(mb) <= most || is_chosen {
        return;
    }
    let message = format!(
        "`max_concurrent_transforms` × `max_payload_in_mb` is {n} × {mb} = {}; the service \
         takes at most {most}",
        n.saturating_mul(mb)
    );
    let help = match most.checked_div(mb) {
        Some(fits) if fits > 0 => format!("with {mb} MB at most {fits} at once"),
        _ => format!("a payload of at most {most} MB, one at once"),
    };
    let at = if view.written(concurrent) {
        concurrent
    } else {
        payload
    };
    view.problem(at, code::PAYLOAD_PRODUCT, message, &help);
}

/// The payload, or where the file does not say it the least that the planner could choose: what
/// holds a shard that is one request.
fn least_payload(view: &View<'_>) -> Option<u64> {
    let payload = view.number("transform.max_payload_in_mb")?;
    if view.written("transform.max_payload_in_mb") {
        return Some(payload);
    }
    let shard = view.number("shards.max_bytes");
    let shard = shard.filter(|_| is_one_request(view) && view.written("shards.max_bytes"));
    let mb = Limits::payload_bytes(1).unwrap_or(1);
    Some(shard.map_or(1, |bytes| bytes.div_ceil(mb)))
}

/// Without a split, a shard is one request.
fn shard_size(view: &mut View<'_>) {
    // Where lines are split, by mistake, the default is that of lines.
    let is_stated =
        view.text("transform.split_type") == Some("None") || view.written("shards.max_bytes");
    if !is_one_request(view) || !is_stated {
        return;
    }
    let payload = view
        .number("transform.max_payload_in_mb")
        .and_then(|mb| u32::try_from(mb).ok());
    let (Some(mb), Some(bytes)) = (payload, view.number("shards.max_bytes")) else {
        return;
    };
    let Some(fits) = Limits::payload_bytes(mb).filter(|fits| bytes > *fits) else {
        return;
    };
    let message = format!(
        "`shards.max_bytes` is {}, but {} is one request, and one request holds at most {} \
         (`max_payload_in_mb: {mb}`, less 1 %)",
        format_size(bytes),
        match view.text("shards.format") {
            Some("parquet") => "a Parquet file",
            _ => "with `split_type: none` a shard",
        },
        format_size(fits),
    );
    let help = format!(
        "`max_bytes: {}` or less, or a larger payload",
        format_size(fits)
    );
    view.problem(
        "shards.max_bytes",
        code::SHARD_ABOVE_PAYLOAD,
        message,
        &help,
    );
}

/// A Parquet file is as large as its rows make it; only those that are sent are measured.
fn parquet_size(view: &mut View<'_>) {
    let path = "shards.max_bytes";
    if view.text("shards.format") != Some("parquet") || !view.written(path) {
        return;
    }
    let message = format!("without `transform`, `{path}` does not limit the size of Parquet files");
    view.problem(path, code::CONFLICT, message, "use `max_rows`");
}

/// Media types of answers that are read: a line a row, or JSON values.
const ANSWERS: &[&str] = &["text/csv", "application/jsonlines", "application/json"];

fn media_types(view: &mut View<'_>) {
    let format = view.text("shards.format");
    if let (Some(format), Some(media)) = (format, view.text("transform.content_type")) {
        let lower = media.to_ascii_lowercase();
        let named = |what| lower.contains(what);
        let (fits, usual) = match format {
            "parquet" => (named("parquet"), "application/x-parquet"),
            json if json.starts_with("jsonl") => (named("json"), "application/jsonlines"),
            _ => (!named("parquet") && !named("json"), "text/csv"),
        };
        if !fits {
            let message = format!("`content_type: {media}` does not fit `shards.format: {format}`");
            let help = format!("use `{usual}`");
            view.problem("transform.content_type", code::CONFLICT, message, &help);
        }
    }
    if let Some(accept) = view.text("transform.accept")
        && !ANSWERS.iter().any(|media| bare(accept) == *media)
    {
        let message =
            format!("`accept: {accept}`: predictions are read as CSV, JSON Lines or JSON only");
        view.problem(
            "transform.accept",
            code::BAD_VALUE,
            message,
            "use `accept: text/csv`, `application/jsonlines` or `application/json`",
        );
    }
}

/// A media type without its parameters.
fn bare(media: &str) -> String {
    let bare = media.split(';').next().unwrap_or_default();
    bare.trim().to_ascii_lowercase()
}

/// `application/json` is one document a request; lines of it are many (a container's "Extra data").
fn one_json_document(view: &mut View<'_>) {
    let path = "transform.content_type";
    let json = view
        .text(path)
        .is_some_and(|media| bare(media) == "application/json");
    let one_line = view.text("transform.split_type") == Some("Line")
        && view.text("transform.batch_strategy") == Some("SingleRecord");
    let lines = view
        .text("shards.format")
        .is_some_and(|format| format.starts_with("jsonl"));
    if !json || !lines || one_line || view.text("transform.split_type").is_none() {
        return;
    }
    let message = "`content_type: application/json` announces one document, but a request would \
                   hold many, a line each"
        .to_owned();
    let help = "use `content_type: application/jsonlines`, or `batch_strategy: single_record`";
    view.problem(path, code::CONFLICT, message, help);
}
