//! Shard format, split, batch and payload: the combinations that the service, or a model, would
//! take wrongly.

use super::View;
use crate::limits::Limits;
use crate::problem::code;
use crate::size::format_size;
use crate::table::SNAPPY_FORMATS;

pub(super) fn check(view: &mut View<'_>) {
    if view.has("transform") {
        format_for_model(view);
        compression_type(view);
        batch_strategy(view);
        payload_product(view);
        shard_size(view);
        media_types(view);
        return;
    }
    if view
        .text("shards.null")
        .is_some_and(|null| !null.is_empty())
    {
        let message = "`shards.null` is for what a model reads; without `transform` cells stay as \
                       they were read"
            .to_owned();
        view.problem("shards.null", code::CONFLICT, message, "leave it out");
    }
    if view.text("shards.format") == Some("csv.snappy") {
        let message = "`shards.format`: `csv.snappy` (Hadoop framing) is not written".to_owned();
        let help = "use `csv.sz` (Snappy framing format)";
        view.problem("shards.format", code::BAD_VALUE, message, help);
    }
}

fn format_for_model(view: &mut View<'_>) {
    match (
        view.text("shards.format"),
        view.text("transform.split_type"),
    ) {
        (Some(format), Some(split @ "Line")) if SNAPPY_FORMATS.contains(&format) => {
            let message = format!(
                "`shards.format: {format}` cannot be split: with `split_type: {}` the service \
                 cuts at newlines, and it decompresses only gzip, never Snappy",
                split.to_lowercase()
            );
            let help = "use `format: csv` or `csv.gz`; Snappy CSV is for storage";
            view.problem("shards.format", code::SNAPPY_WITH_LINE_SPLIT, message, help);
        }
        (Some("parquet"), _) => parquet(view),
        (Some(format), _) if SNAPPY_FORMATS.contains(&format) => {
            let message = format!("`shards.format: {format}` is not sent to models");
            let help = "use `format: csv` or `csv.gz`; Snappy CSV is for storage";
            view.problem("shards.format", code::SHARD_FORMAT, message, help);
        }
        _ => {}
    }
}

/// Parquet is one request a shard; and sending it to a model is not built yet.
fn parquet(view: &mut View<'_>) {
    for (key, found) in [
        ("split_type", view.text("transform.split_type")),
        ("assemble_with", view.text("transform.assemble_with")),
    ] {
        if let Some(found) = found.filter(|found| *found != "None") {
            let path = format!("transform.{key}");
            let message = format!(
                "`{key}: {}` cannot be used with Parquet shards",
                found.to_lowercase()
            );
            let help = format!("a Parquet file is one request: use `{key}: none`");
            view.problem(&path, code::PARQUET_WITH_SPLIT, message, &help);
        }
    }
    let message = "`shards.format: parquet` is not sent to models by this version".to_owned();
    let help = "use `format: csv` or `csv.gz`";
    view.problem("shards.format", code::SHARD_FORMAT, message, help);
}

fn compression_type(view: &mut View<'_>) {
    let path = "transform.compression_type";
    if !view.written(path) {
        return;
    }
    let wrong = match (view.text("shards.format"), view.text(path)) {
        (Some("csv.gz"), Some("None")) => "gzip",
        (Some(format), Some("Gzip")) if format != "csv.gz" => "none",
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
    if view.written(path) && view.text("transform.split_type") == Some("None") {
        let message = "`batch_strategy` needs a `split_type` of line, recordio or tfrecord".into();
        let help = "with `split_type: none` a shard is one request: remove `batch_strategy`";
        view.problem(path, code::BATCH_WITHOUT_SPLIT, message, help);
    }
    let split = view.text("transform.split_type");
    let csv = view
        .text("shards.format")
        .is_some_and(|format| format.starts_with("csv"));
    if let Some(split @ ("RecordIO" | "TFRecord")) = split
        && csv
    {
        let message = format!("`split_type: {}` cannot split CSV", split.to_lowercase());
        let help = "use `split_type: line`";
        view.problem("transform.split_type", code::CONFLICT, message, help);
    }
}

fn payload_product(view: &mut View<'_>) {
    let (concurrent, payload) = (
        "transform.max_concurrent_transforms",
        "transform.max_payload_in_mb",
    );
    let (Some(n), Some(mb)) = (view.number(concurrent), view.number(payload)) else {
        return;
    };
    let most = view.limits.payload_product_mb;
    if n.saturating_mul(mb) <= most {
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

/// Without a split, a shard is one request.
fn shard_size(view: &mut View<'_>) {
    if view.text("transform.split_type") != Some("None") {
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
        "`shards.max_bytes` is {}, but with `split_type: none` a shard is one request, and one \
         request holds at most {} (`max_payload_in_mb: {mb}`, less 1 %)",
        format_size(bytes),
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

fn media_types(view: &mut View<'_>) {
    let format = view.text("shards.format");
    if let (Some(format), Some(media)) = (format, view.text("transform.content_type")) {
        let parquet = media.to_ascii_lowercase().contains("parquet");
        if parquet != (format == "parquet") {
            let message = format!("`content_type: {media}` does not fit `shards.format: {format}`");
            let help = if parquet {
                "use `text/csv`"
            } else {
                "use `application/x-parquet`"
            };
            view.problem("transform.content_type", code::CONFLICT, message, help);
        }
    }
    if let Some(accept) = view.text("transform.accept")
        && !accept.to_ascii_lowercase().starts_with("text/csv")
    {
        let message = format!("`accept: {accept}`: predictions are read as CSV only");
        view.problem(
            "transform.accept",
            code::BAD_VALUE,
            message,
            "use `accept: text/csv`",
        );
    }
}
