//! The JSON Schema: in the repository as the code makes it.

use std::path::Path;

use serde_json::Value;

#[test]
fn the_schema_in_the_repository_is_this_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schema/pipeline.v1.json");
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    let made = format!(
        "{}\n",
        serde_json::to_string_pretty(&gristmill_plan::schema()).unwrap()
    );
    assert!(
        kept == made,
        "schema/pipeline.v1.json is not what the code makes; run:\n\n    \
         gristmill schema > schema/pipeline.v1.json\n"
    );
}

#[test]
fn every_key_is_described_and_nothing_else_is_allowed() {
    let schema = gristmill_plan::schema();
    assert_eq!(schema["$schema"], "http://json-schema.org/draft-07/schema#");
    let mut keys = 0;
    visit(&schema, &mut keys);
    assert!(keys > 80, "{keys}");
}

fn visit(value: &Value, keys: &mut usize) {
    if let Some(properties) = value.get("properties").and_then(Value::as_object) {
        assert_eq!(value["additionalProperties"], false, "{value}");
        for (name, property) in properties {
            *keys += 1;
            let description = property["description"].as_str().unwrap_or_default();
            assert!(
                description.ends_with('.') && description.len() > 8,
                "{name}: {description}"
            );
        }
    }
    match value {
        Value::Object(map) => map.values().for_each(|v| visit(v, keys)),
        Value::Array(list) => list.iter().for_each(|v| visit(v, keys)),
        _ => {}
    }
}

#[test]
fn what_the_schema_calls_required_the_walker_does_too() {
    let problems = crate::support::problems("{}");
    for key in gristmill_plan::schema()["required"].as_array().unwrap() {
        let key = key.as_str().unwrap();
        assert!(
            problems.contains(&format!("the pipeline needs the key `{key}`")),
            "{key}: {problems}"
        );
    }
}
