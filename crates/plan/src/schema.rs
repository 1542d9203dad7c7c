//! The JSON Schema (draft-07) of a pipeline file, from the table of keys. It is what editors
//! complete and mark by; rules over more than one key are not in it.

use serde_json::{Map as Json, Value, json};

use crate::limits::Limits;
use crate::table::{Key, Kind, Map, PIPELINE, Rule, Word};

/// A scalar with a template fits wherever a scalar is typed.
const TEMPLATE: &str = "#/definitions/template";

/// The schema of version 1.
pub fn schema() -> Value {
    let mut schema = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "gristmill pipeline",
        "description": "A pipeline file of gristmill, version 1.",
    });
    let own = map(&PIPELINE, true);
    if let (Some(schema), Value::Object(own)) = (schema.as_object_mut(), own) {
        schema.extend(own);
        let template = json!({
            "description": "A template, rendered when the pipeline runs.",
            "type": "string",
            "pattern": "\\{\\{",
        });
        schema.insert("definitions".into(), json!({ "template": template }));
    }
    schema
}

fn map(map: &Map, root: bool) -> Value {
    let mut properties = Json::new();
    for key in map.keys {
        let templates = !(root && matches!(key.name, "version" | "name" | "params" | "env"));
        properties.insert(key.name.to_owned(), property(key, templates));
    }
    let required: Vec<&str> = map
        .keys
        .iter()
        .filter(|k| k.required)
        .map(|k| k.name)
        .collect();
    let mut schema = json!({ "type": "object", "additionalProperties": false });
    if let Some(schema) = schema.as_object_mut() {
        if !required.is_empty() {
            schema.insert("required".into(), json!(required));
        }
        if map.exactly_one {
            schema.insert("minProperties".into(), json!(1));
            schema.insert("maxProperties".into(), json!(1));
        }
        schema.insert("properties".into(), Value::Object(properties));
    }
    schema
}

fn property(key: &Key, templates: bool) -> Value {
    let mut property = Json::new();
    property.insert("description".into(), json!(key.doc));
    if let Some(default) = key
        .default
        .and_then(|text| serde_json::from_str::<Value>(text).ok())
    {
        property.insert("default".into(), default);
    }
    if let Value::Object(own) = kind(key.kind, templates) {
        property.extend(own);
    }
    Value::Object(property)
}

fn kind(kind_: &Kind, templates: bool) -> Value {
    let templated = |own: Value| {
        if templates {
            json!({ "anyOf": [own, { "$ref": TEMPLATE }] })
        } else {
            own
        }
    };
    match kind_ {
        Kind::Text(rule) => text(rule, templates),
        Kind::Int(least, i64::MAX) => templated(json!({ "type": "integer", "minimum": least })),
        Kind::Int(least, most) => {
            templated(json!({ "type": "integer", "minimum": least, "maximum": most }))
        }
        Kind::Quota(least, most) => {
            let most = most(&Limits::SERVICE);
            templated(json!({ "type": "integer", "minimum": least, "maximum": most }))
        }
        Kind::Filter => {
            let most = Limits::SERVICE.json_path_chars;
            templated(json!({ "type": "string", "maxLength": most, "pattern": "^\\$" }))
        }
        Kind::Float(least, most) if *least == f64::MIN && *most == f64::MAX => {
            templated(json!({ "type": "number" }))
        }
        Kind::Float(least, most) if *most == f64::MAX => {
            templated(json!({ "type": "number", "minimum": least }))
        }
        Kind::Float(least, most) => {
            templated(json!({ "type": "number", "minimum": least, "maximum": most }))
        }
        Kind::Bool => templated(json!({ "type": "boolean" })),
        Kind::Size => quantity("^ *[0-9]+(\\.[0-9]+)? *([kKMGT]?B|[KMGT]iB)? *$"),
        Kind::Duration => {
            quantity("^(?=.*[0-9]) *([0-9]+|([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?) *$")
        }
        Kind::Byte => templated(json!({ "type": "string", "minLength": 1, "maxLength": 1 })),
        Kind::Quote => templated(json!({ "type": "string", "pattern": "^(.|none)$" })),
        Kind::Scalar => json!({ "type": ["string", "number", "boolean"] }),
        Kind::Enum(words) => templated(one_of(words)),
        Kind::List(item, least) => {
            json!({ "type": "array", "minItems": least, "items": kind(item, templates) })
        }
        Kind::Map(keys) => map(keys, false),
        Kind::Dict(value) => {
            json!({ "type": "object", "additionalProperties": kind(value, templates) })
        }
        Kind::AnyOf(kinds) => {
            let kinds: Vec<Value> = kinds.iter().map(|any| kind(any, templates)).collect();
            json!({ "anyOf": kinds })
        }
    }
}

fn text(rule: &Rule, templates: bool) -> Value {
    match rule.pattern {
        None => json!({ "type": "string" }),
        Some(pattern) if templates && rule.templates => json!({
            "anyOf": [{ "type": "string", "pattern": pattern }, { "$ref": TEMPLATE }]
        }),
        Some(pattern) => json!({ "type": "string", "pattern": pattern }),
    }
}

fn quantity(pattern: &str) -> Value {
    json!({ "anyOf": [
        { "type": "integer", "minimum": 1 },
        { "type": "string", "pattern": pattern },
        { "$ref": TEMPLATE },
    ] })
}

/// The words of the file first, then the API's spellings.
fn one_of(words: &[Word]) -> Value {
    let names = words.iter().map(|word| word.name);
    let spellings = words.iter().filter_map(|word| word.api);
    json!({ "enum": names.chain(spellings).collect::<Vec<_>>() })
}
