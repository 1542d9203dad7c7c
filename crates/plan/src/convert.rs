//! Walked and checked values to the typed [`Spec`], with the defaults that depend on other keys.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::checks::{PredictionAt, constant_type, prediction_at};
use crate::encodings::parse_encoding;
use crate::limits::{
    DEFAULT_PARQUET_PAYLOAD_IN_MB, DEFAULT_PAYLOAD_IN_MB, DEFAULT_ROW_GROUP_ROWS,
    DEFAULT_SHARD_BYTES, Limits, REQUEST_ROW_GROUP_ROWS,
};
use crate::problem::{Problem, Problems, code};
use crate::server_join;
use crate::spec::{
    DialectHints, Join, Local, LocalModel, Location, Places, Prepare, Source, Spec, Work,
};

/// Fills in what follows from other keys. A hole in one of these leaves a hole.
pub(crate) fn computed_defaults(root: &mut Value) {
    let format = root["shards"]["format"].clone();
    let scoring = root.get("transform").is_some_and(Value::is_object);
    if scoring {
        transform_defaults(root, &format);
        shard_bytes(root);
        output_columns(root);
    }
    let header = if root.get("transform").is_some() {
        Value::Bool(false)
    } else {
        Value::Bool(true)
    };
    default(root, "shards", "header", header);
    row_groups(root);
}

/// Small where a shard is one request, so that it can be filled close to the payload: a shard is
/// cut between row groups.
fn row_groups(root: &mut Value) {
    let transform = root.get("transform");
    let split = transform.map(|transform| transform.get("split_type").and_then(Value::as_str));
    let rows = match split {
        Some(Some("None")) => Value::from(REQUEST_ROW_GROUP_ROWS),
        Some(None) => Value::Null,
        Some(Some(_)) | None => Value::from(DEFAULT_ROW_GROUP_ROWS),
    };
    default(root, "shards", "row_group_rows", rows);
}

fn transform_defaults(root: &mut Value, format: &Value) {
    let by_format = |parquet: Value, jsonl: Value, csv: Value| match format.as_str() {
        None => Value::Null,
        Some("parquet") => parquet,
        Some(format) if format.starts_with("jsonl") => jsonl,
        Some(_) => csv,
    };
    let media = by_format(
        "application/x-parquet".into(),
        "application/jsonlines".into(),
        "text/csv".into(),
    );
    default(root, "transform", "content_type", media);
    let split = by_format("None".into(), "Line".into(), "Line".into());
    default(root, "transform", "split_type", split);
    let (parquet, text) = (DEFAULT_PARQUET_PAYLOAD_IN_MB, DEFAULT_PAYLOAD_IN_MB);
    let payload = by_format(parquet.into(), text.into(), text.into());
    default(root, "transform", "max_payload_in_mb", payload);
    default(root, "transform", "max_concurrent_transforms", 1.into());
    default(root, "transform", "instance_count", 1.into());
    let split = root["transform"]["split_type"].clone();
    let by_split = |none: Value, other: Value| match split.as_str() {
        None => Value::Null,
        Some("None") => none,
        Some(_) => other,
    };
    default(
        root,
        "transform",
        "assemble_with",
        by_split(Value::from("None"), Value::from("Line")),
    );
    default(
        root,
        "transform",
        "batch_strategy",
        by_split(Value::Null, Value::from("MultiRecord")),
    );
    let gzip = match format.as_str() {
        None => Value::Null,
        Some(format) if format.ends_with(".gz") => Value::from("Gzip"),
        Some(_) => Value::from("None"),
    };
    default(root, "transform", "compression_type", gzip);
}

/// What fits in one request if a shard is one, else a size of our choice.
fn shard_bytes(root: &mut Value) {
    let payload = root["transform"]["max_payload_in_mb"].as_u64();
    let bytes = match (root["transform"]["split_type"].as_str(), payload) {
        (None, _) | (Some("None"), None) => Value::Null,
        (Some("None"), Some(mb)) => {
            let fits = u32::try_from(mb).ok().and_then(Limits::payload_bytes);
            Value::from(fits.unwrap_or(DEFAULT_SHARD_BYTES))
        }
        (Some(_), _) => Value::from(DEFAULT_SHARD_BYTES),
    };
    default(root, "shards", "max_bytes", bytes);
}

/// The ids, then the first field of the answer.
fn output_columns(root: &mut Value) {
    let ids = root["prepare"]["id"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let prediction = json!({ "name": "prediction", "from": "prediction[0]" });
    let columns: Vec<Value> = ids.into_iter().chain([prediction]).collect();
    default(root, "assemble", "columns", Value::Array(columns));
}

/// Sets a key of a section that is there and does not have it.
fn default(root: &mut Value, section: &str, key: &str, value: Value) {
    if let Some(section) = root.get_mut(section).and_then(Value::as_object_mut)
        && !section.contains_key(key)
    {
        section.insert(key.to_owned(), value);
    }
}

/// The typed spec. All has been checked, so a problem here is a gap in the checks; it is
/// reported rather than hidden.
pub(crate) fn spec(
    mut root: Value,
    places: Places,
    params: BTreeMap<String, Value>,
    base: &Path,
) -> Result<Spec, Problems> {
    let shards = root["shards"].take();
    let transform = section(&mut root, "transform");
    let assemble = section(&mut root, "assemble").map(normal_assemble);
    let read = Reader { places: &places };
    let mut spec = Spec {
        version: 1,
        name: root["name"].as_str().unwrap_or_default().to_owned(),
        params,
        work: read.optional("work", section(&mut root, "work"))?,
        source: source(&read, root["source"].take(), base)?,
        prepare: read.section::<Prepare>("prepare", normal_prepare(root["prepare"].take()))?,
        shards: read.section("shards", shards)?,
        transform: read.optional("transform", transform)?,
        assemble: read.optional("assemble", assemble)?,
        budget: read.optional("budget", section(&mut root, "budget"))?,
        local: read.optional("local", section(&mut root, "local"))?,
        base: base.to_owned(),
        warnings: Vec::new(),
        places: Places::default(),
    };
    spec.places = places;
    locate(&mut spec, base);
    join_by_the_service(&mut spec);
    Ok(spec)
}

/// What `join: server` is made of.
fn join_by_the_service(spec: &mut Spec) {
    let (ids, taken) = (
        spec.prepare.id.len(),
        server_join::taken(spec.assemble.as_ref()),
    );
    if let Some(transform) = spec.transform.as_mut().filter(|t| t.join == Join::Server) {
        let stated = transform
            .answer_columns
            .and_then(|n| usize::try_from(n).ok());
        transform.data_processing = Some(server_join::processing(ids, stated.unwrap_or(taken)));
    }
}

fn section(root: &mut Value, key: &str) -> Option<Value> {
    root.get_mut(key)
        .map(Value::take)
        .filter(|value| !value.is_null())
}

struct Reader<'a> {
    places: &'a Places,
}

impl Reader<'_> {
    fn section<T: DeserializeOwned>(&self, path: &str, value: Value) -> Result<T, Problems> {
        serde_json::from_value(value).map_err(|error| {
            let message = format!("`{path}` passed all checks but cannot be read: {error}");
            Problems(vec![Problem::new(
                self.places.of(path),
                code::BAD_VALUE,
                message,
            )])
        })
    }

    fn optional<T: DeserializeOwned>(
        &self,
        path: &str,
        value: Option<Value>,
    ) -> Result<Option<T>, Problems> {
        value.map(|value| self.section(path, value)).transpose()
    }
}

fn source(read: &Reader<'_>, mut value: Value, base: &Path) -> Result<Source, Problems> {
    let uri = match value["uri"].take() {
        Value::Array(list) => list,
        one => vec![one],
    };
    let uri: Vec<Location> = read.section("source.uri", Value::Array(uri))?;
    let columns = match value["columns"].take() {
        list @ Value::Array(_) => json!({ "contract": list }),
        word => word,
    };
    let on_bad_row = match value["on_bad_row"].take() {
        word @ Value::String(_) => json!({ "action": word }),
        map => map,
    };
    let max_record = value["max_record"].as_u64().unwrap_or_default();
    Ok(Source {
        uri: uri
            .into_iter()
            .map(|location| joined(location, base))
            .collect(),
        columns: read.section("source.columns", columns)?,
        on_bad_row: read.section("source.on_bad_row", on_bad_row)?,
        on_empty: read.section("source.on_empty", value["on_empty"].take())?,
        null_tokens: read.section("source.null_tokens", value["null_tokens"].take())?,
        max_record,
        format: read.optional("source.format", section(&mut value, "format"))?,
        encoding: value["encoding"]
            .take()
            .as_str()
            .and_then(|text| parse_encoding(text).ok()),
        on_new_column: read.section("source.on_new_column", value["on_new_column"].take())?,
        ready: read.optional("source.ready", section(&mut value, "ready"))?,
        dialect: read.section::<DialectHints>("source", value)?,
    })
}

/// `prepare` with label and split in the shapes of [`crate::spec::Label`] and
/// [`crate::spec::Split`].
fn normal_prepare(mut prepare: Value) -> Value {
    if let Some(label) = prepare.get_mut("label") {
        *label = normal_label(label);
    }
    if let Some(split) = prepare.get_mut("split") {
        *split = normal_split(split);
    }
    prepare
}

fn normal_label(label: &Value) -> Value {
    if label.is_string() {
        return json!({ "column": label, "rule": "as_is", "on_missing": "drop" });
    }
    let rule = if let Some(above) = label.get("above") {
        json!({ "above": above })
    } else if let Some(map) = label.get("map").and_then(Value::as_object) {
        // `0`, not `0.0`: a label is written as a person would.
        let text = |number: &Value| number.as_f64().map(|number| number.to_string());
        let pairs: Vec<Value> = map.iter().map(|(k, v)| json!([k, text(v)])).collect();
        json!({ "map": pairs })
    } else {
        Value::from("as_is")
    };
    json!({ "column": label["column"], "rule": rule, "on_missing": label["on_missing"] })
}

fn normal_split(split: &Value) -> Value {
    let key = match &split["key"] {
        Value::String(one) => json!([one]),
        list => list.clone(),
    };
    let parts = split["parts"].as_object().into_iter().flatten();
    let parts: Vec<Value> = parts.map(|(name, share)| json!([name, share])).collect();
    json!({ "key": key, "seed": split["seed"], "parts": parts })
}

/// `assemble` with every column in the shape of [`crate::spec::AssembleColumn`].
fn normal_assemble(mut assemble: Value) -> Value {
    if let Some(columns) = assemble.get_mut("columns").and_then(Value::as_array_mut) {
        for column in columns {
            *column = normal_column(column);
        }
    }
    assemble
}

fn normal_column(column: &Value) -> Value {
    if let Some(name) = column.as_str() {
        return json!({ "name": name, "from": "source", "column": name });
    }
    let name = &column["name"];
    let kind = column.get("type");
    if let Some(from) = column["from"].as_str() {
        let kind = kind.cloned().unwrap_or_else(|| Value::from("float64"));
        return match prediction_at(from) {
            Some(Ok(PredictionAt::Cell(index))) => {
                json!({ "name": name, "from": "prediction", "index": index, "type": kind })
            }
            Some(Ok(PredictionAt::Path(path))) => {
                json!({ "name": name, "from": "field", "path": path, "type": kind })
            }
            _ => json!({ "name": name, "from": "source", "column": from }),
        };
    }
    let value = &column["value"];
    let kind = kind
        .cloned()
        .unwrap_or_else(|| Value::from(constant_type(value)));
    let text = value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned);
    json!({ "name": name, "from": "constant", "value": text, "type": kind })
}

/// Joins relative paths to the file's folder, and ends prefixes with `/`.
fn locate(spec: &mut Spec, base: &Path) {
    if let Some(Work { uri, .. }) = &mut spec.work {
        end_with_slash(uri);
    }
    if let Some(to) = spec.shards.to.take() {
        spec.shards.to = Some(joined(to, base));
    }
    if let Some(assemble) = &mut spec.assemble {
        let mut to = joined(assemble.to.clone(), base).to_string();
        end_with_slash(&mut to);
        assemble.to = Location::from(to);
    }
    if let Some(Local {
        model: LocalModel::Onnx(path),
    }) = &mut spec.local
    {
        *path = lexical_join(base, path);
    }
}

fn end_with_slash(uri: &mut String) {
    if !uri.ends_with('/') {
        uri.push('/');
    }
}

fn joined(location: Location, base: &Path) -> Location {
    match location {
        Location::Local(path) => {
            let folder = path.as_os_str().to_string_lossy().ends_with('/');
            let mut path = lexical_join(base, &path);
            if folder {
                path.push("");
            }
            Location::Local(path)
        }
        other => other,
    }
}

/// `base` and `path` as one path, with `.` and `..` resolved by text alone: no disk is asked, so
/// links are not followed.
pub(crate) fn lexical_join(base: &Path, path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in base.join(path).components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir
                if matches!(out.components().next_back(), Some(Component::Normal(_))) =>
            {
                out.pop();
            }
            Component::ParentDir if out.has_root() => {}
            part => out.push(part),
        }
    }
    if out.as_os_str().is_empty() {
        PathBuf::from(".")
    } else {
        out
    }
}
