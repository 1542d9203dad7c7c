//! What determines each stage's bytes, hashed and chained: a stage's document holds the
//! fingerprint of the stage before it. No clock, no host, no instances, timeouts, retries, tags
//! or ratios: changing one of these continues a run, changing anything here starts another.

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::plan::{InputFile, Plan};
use crate::spec::{Answers, OnBadRow, ShardFormat, Transform};

/// Hex digits of a short hash: 48 bits, enough to tell one pipeline's runs apart.
const SHORT: usize = 12;

/// One stage's document and its hash. `Display` is the hash.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// `source`, `shards`, `transform` or `assemble`.
    pub stage: String,
    /// Everything that determines the stage's bytes; `upstream` in it is the hash of the stage
    /// before.
    pub document: Value,
    /// SHA-256 of the canonical JSON of `document`, in lower-case hex.
    pub sha256: String,
}

impl Fingerprint {
    fn new(stage: &str, upstream: Option<&Fingerprint>, mut document: Value) -> Fingerprint {
        if let (Some(upstream), Some(map)) = (upstream, document.as_object_mut()) {
            map.insert("upstream".into(), Value::from(upstream.sha256.clone()));
        }
        let sha256 = sha256_hex(&canonical_json(&document));
        Fingerprint {
            stage: stage.to_owned(),
            document,
            sha256,
        }
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sha256)
    }
}

/// How two documents of a stage differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The stage.
    pub stage: String,
    /// One line a value: `path: before → after`.
    pub lines: Vec<String>,
}

/// What the `source` stage's rows depend on: inputs, their format and encoding if they are given,
/// dialect, typing, null tokens, whether bad rows fail or are set aside, and the row limit.
pub fn source(plan: &Plan) -> Fingerprint {
    let source = &plan.source;
    let inputs: Vec<Value> = source.inputs.iter().map(input).collect();
    let on_bad_row = match source.on_bad_row {
        OnBadRow::Fail => "fail",
        OnBadRow::Quarantine { .. } => "quarantine",
    };
    let mut document = json!({
        "inputs": inputs,
        "dialect": source.dialect,
        "columns": source.columns,
        "null_tokens": source.null_tokens,
        "max_record": source.max_record,
        "on_bad_row": on_bad_row,
        "limit_rows": source.limit_rows,
    });
    if let Some(format) = source.format {
        document["format"] = json!(format);
    }
    if let Some(encoding) = &source.encoding {
        document["encoding"] = json!(encoding);
    }
    Fingerprint::new("source", None, document)
}

/// What the shards' and sidecars' bytes depend on.
pub fn shards(source: &Fingerprint, plan: &Plan) -> Fingerprint {
    let shards = &plan.shards;
    let mut document = json!({
        "columns": plan.columns.shards,
        "carried": plan.columns.carried,
        "rename": plan.prepare.rename,
        "format": shards.format,
        "max_bytes": shards.max_bytes,
        "max_rows": shards.max_rows,
        "max_record_bytes": plan.max_record_bytes,
    });
    let own = match shards.format {
        ShardFormat::Parquet => {
            json!({ "row_group_rows": shards.row_group_rows, "compression": shards.compression })
        }
        csv if csv.is_csv() => json!({ "null": shards.null, "header": shards.header }),
        _ => json!({}),
    };
    if let Some(label) = &plan.prepare.label {
        document["label"] = json!(label);
    }
    if let Some(split) = &plan.prepare.split {
        document["split"] = json!(split);
    }
    if let (Some(map), Value::Object(own)) = (document.as_object_mut(), own) {
        map.extend(own);
    }
    Fingerprint::new("shards", Some(source), document)
}

/// What the predictions depend on. `model` is what the account and the store tell about the
/// model: name, creation time, image, data with its ETag or hash, environment.
pub fn transform(shards: &Fingerprint, plan: &Plan, model: &Value) -> Fingerprint {
    let settings = plan.transform.as_ref().map(|transform| {
        json!({
            "content_type": transform.content_type,
            "accept": transform.accept,
            "compression_type": transform.compression_type,
            "split_type": transform.split_type,
            "batch_strategy": transform.batch_strategy,
            "assemble_with": transform.assemble_with,
            "environment": transform.environment,
        })
    });
    let mut document = json!({ "model": model, "settings": settings });
    if let Some(transform) = &plan.transform {
        stored_records(transform, &mut document["settings"]);
    }
    Fingerprint::new("transform", Some(shards), document)
}

/// What makes a job's records others than the model's answers; absent where nothing does, so that
/// runs of older versions go on.
fn stored_records(transform: &Transform, settings: &mut Value) {
    if let Some(processing) = transform.data_processing.as_ref().filter(|p| p.is_active()) {
        settings["data_processing"] = json!(processing);
    }
    let capture = transform.data_capture_config.as_ref();
    if capture.and_then(|capture| capture.generate_inference_id) == Some(true) {
        settings["generate_inference_id"] = json!(true);
    }
}

/// What the published bytes depend on, and where they go.
pub fn assemble(transform: &Fingerprint, plan: &Plan) -> Fingerprint {
    let settings = plan.assemble.as_ref().map(|assemble| {
        let mut settings = json!({
            "columns": assemble.columns,
            "format": assemble.format,
            "to": assemble.to,
            "max_rows": assemble.max_rows,
        });
        // Absent where it is the default, so that runs of older versions go on.
        if assemble.answers != Answers::Auto {
            settings["answers"] = json!(assemble.answers);
        }
        settings
    });
    Fingerprint::new("assemble", Some(transform), json!({ "settings": settings }))
}

/// A local file is known by its name, size and content: where it lies depends on the machine.
fn input(file: &InputFile) -> Value {
    let uri = if file.uri.starts_with("s3://") {
        file.uri.clone()
    } else {
        let name = Path::new(&file.uri).file_name();
        name.map_or_else(
            || file.uri.clone(),
            |name| name.to_string_lossy().into_owned(),
        )
    };
    json!({ "uri": uri, "size": file.size, "etag": file.etag })
}

/// The first stage, in order, whose fingerprint differs, with a readable difference; `None` if
/// all agree. A stage that only one side has counts as different.
pub fn first_difference(before: &[Fingerprint], after: &[Fingerprint]) -> Option<Difference> {
    let longest = before.len().max(after.len());
    (0..longest).find_map(|i| difference_of(before.get(i), after.get(i)))
}

fn difference_of(before: Option<&Fingerprint>, after: Option<&Fingerprint>) -> Option<Difference> {
    let key = |print: &Fingerprint| (print.stage.clone(), print.sha256.clone());
    if before.map(key) == after.map(key) {
        return None;
    }
    let document = |print: Option<&Fingerprint>| print.map_or(Value::Null, |p| p.document.clone());
    let mut lines = Vec::new();
    difference("", &document(before), &document(after), &mut lines);
    let stage = after.or(before).map(|print| print.stage.clone())?;
    Some(Difference { stage, lines })
}

/// Appends a line for each value that differs; in the order of `before`, then new keys.
fn difference(path: &str, before: &Value, after: &Value, lines: &mut Vec<String>) {
    if before == after {
        return;
    }
    match (before, after) {
        (Value::Object(a), Value::Object(b)) => {
            let new = b.keys().filter(|key| !a.contains_key(*key));
            for key in a.keys().chain(new) {
                let path = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                let part = |map: &Map<String, Value>| map.get(key).cloned().unwrap_or(Value::Null);
                difference(&path, &part(a), &part(b), lines);
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (i, (a, b)) in a.iter().zip(b).enumerate() {
                difference(&format!("{path}[{i}]"), a, b, lines);
            }
        }
        _ => {
            let name = if path.is_empty() { "stage" } else { path };
            lines.push(format!("{name}: {} → {}", brief(before), brief(after)));
        }
    }
}

fn brief(value: &Value) -> String {
    match value {
        Value::Null => "nothing".into(),
        Value::String(text) => crate::tree::shorten(text),
        other => crate::tree::shorten(&other.to_string()),
    }
}

/// JSON with keys in byte order at every level, no blanks.
pub fn canonical_json(value: &Value) -> String {
    sorted(value).to_string()
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort();
            let entry = |key: &String| (key.clone(), map.get(key).map_or(Value::Null, sorted));
            Value::Object(keys.into_iter().map(entry).collect())
        }
        Value::Array(list) => Value::Array(list.iter().map(sorted).collect()),
        other => other.clone(),
    }
}

/// SHA-256 in lower-case hex.
pub fn sha256_hex(text: &str) -> String {
    hex::encode(Sha256::digest(text.as_bytes()))
}

/// 12 hex digits over several texts; where one ends and the next begins matters.
pub(crate) fn short_hash(parts: &[&str]) -> String {
    short_hash_json(&json!(parts))
}

/// 12 hex digits over a JSON value.
pub(crate) fn short_hash_json(value: &Value) -> String {
    sha256_hex(&canonical_json(value))
        .chars()
        .take(SHORT)
        .collect()
}
