//! `DataCaptureConfig`: lists of what a job read and wrote, no copies.
//!
//! `<destination>/input/yyyy/mm/dd/hh/<id>.json` and `…/output/…`, by the UTC hour of the job's start;
//! each a manifest, `[{"prefix":"s3://…/"},"dummy_0.csv",…]` (developer guide,
//! "model-monitor-data-capture-batch"). What the files are called is not documented.

use std::path::Path;

use serde_json::{Value, json};

use super::inference_ids::uuid;
use super::inputs::{InputObject, Place, below};
use crate::job_objects::JobObjects;

/// Writes both manifests of the objects that have an output. The error is a FailureReason.
pub(crate) async fn write(
    objects: &JobObjects,
    destination: &Place,
    started: jiff::Timestamp,
    captured: &[InputObject],
    scratch: &Path,
) -> Result<(), String> {
    let hour = started.strftime("%Y/%m/%d/%H").to_string();
    let sources = captured.iter().map(|o| &o.source).collect();
    let outputs = captured.iter().map(|o| &o.output).collect();
    for (side, places) in [("input", sources), ("output", outputs)] {
        let manifest = manifest(places);
        let path = scratch.join("capture.json");
        let failed = |e: String| {
            format!("ClientError: cannot write the captured data to s3://{destination}: {e}")
        };
        let text = manifest.to_string();
        tokio::fs::write(&path, text)
            .await
            .map_err(|e| failed(e.to_string()))?;
        let key = below(destination, &format!("{side}/{hour}/{}.json", uuid()));
        let put = objects.put(&destination.bucket, &key, &path).await;
        put.map_err(|e| failed(e.to_string()))?;
    }
    Ok(())
}

/// All places are in one bucket, as a job's inputs and outputs are.
fn manifest(mut places: Vec<&Place>) -> Value {
    places.sort_by(|a, b| a.key.cmp(&b.key));
    let bucket = places.first().map_or("", |p| p.bucket.as_str());
    let folder = common_folder(&places);
    let mut entries = vec![json!({ "prefix": format!("s3://{bucket}/{folder}") })];
    entries.extend(places.iter().map(|p| Value::from(&p.key[folder.len()..])));
    Value::Array(entries)
}

/// Up to a slash and with it, or empty. The keys are in order, so the first and the last share what
/// all share.
fn common_folder<'a>(places: &[&'a Place]) -> &'a str {
    let (Some(first), Some(last)) = (places.first(), places.last()) else {
        return "";
    };
    let shared = first.key.bytes().zip(last.key.bytes());
    let shared = shared.take_while(|(a, b)| a == b).count();
    let end = first.key.as_bytes()[..shared]
        .iter()
        .rposition(|b| *b == b'/');
    end.map_or("", |at| &first.key[..=at])
}
