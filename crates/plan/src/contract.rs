//! A contract in a file of its own: read with every mistake at its place there, and written in
//! the one form that comes back as it was.

use std::fmt::Write as _;

use serde_json::Value;

use crate::checks;
use crate::limits::Limits;
use crate::problem::{Problem, Problems, code};
use crate::spec::{ColumnType, ContractColumn};
use crate::table::CONTRACT;
use crate::tree::{self, Nothing, core_schema, place};
use crate::walk::Walker;

/// What stands at the top of a contract that is written.
const HEAD: &str = "\
# A contract: every column of the input, in order, and what its values must be.
# In a pipeline: `source: { columns: THIS_FILE }`, relative to the pipeline.
# Types: int64, float64, boolean, date, timestamp, timestamp_utc, string. Further keys, all
# optional: nullable (by default true), null_tokens, min, max, allowed, sensitive.
";

const NOTHING: Nothing = Nothing {
    message: "the file holds no contract",
    help: "a contract is a list: `- { name: NAME, type: int64 }` for each column",
};

/// Words that YAML 1.1, which many readers still speak, takes for booleans.
const BOOLEANS_OF_OLD: &[&str] = &["y", "n", "yes", "no", "on", "off"];

/// The contract that a YAML file holds: a list of the items that `source.columns` takes inline.
/// Templates are not rendered: `{{` is text. `file` is its name for messages.
///
/// # Errors
/// Every mistake in it, with its place there.
pub fn parse_contract(text: &str, file: &str) -> Result<Vec<ContractColumn>, Problems> {
    let value = walked(text, file)?;
    serde_json::from_value(value).map_err(|error| {
        let message = format!("the contract passed all checks but cannot be read: {error}");
        Problems(vec![Problem::new(
            place(file, (1, 1)),
            code::BAD_VALUE,
            message,
        )])
    })
}

/// The list as the walker leaves it: defaults filled in, nothing wrong.
pub(crate) fn walked(text: &str, file: &str) -> Result<Value, Problems> {
    let doc = tree::parse_as(text, file, NOTHING)?;
    let mut walker = Walker::literal(file);
    let list = walker.node(&doc.root, &CONTRACT, "columns", doc.root.at);
    let mut problems = doc.problems;
    problems.append(&mut walker.problems);
    let root = serde_json::json!({ "columns": list });
    problems.append(&mut checks::contract_file(
        &root,
        &walker.places,
        &Limits::default(),
    ));
    if problems.is_empty() {
        Ok(list)
    } else {
        Err(doc.secrets.redact(Problems(problems)).sorted())
    }
}

/// The YAML of a contract, with comments at the top that say what it is; one line a column, keys
/// that say nothing more than the default left out. The same columns are the same bytes, and
/// [`parse_contract`] reads them back.
pub fn contract_yaml(columns: &[ContractColumn]) -> String {
    let mut yaml = HEAD.to_owned();
    for column in columns {
        // Writing to a string does not fail.
        let _ = writeln!(yaml, "- {{ {} }}", keys(column).join(", "));
    }
    yaml
}

fn keys(column: &ContractColumn) -> Vec<String> {
    let mut keys = vec![
        format!("name: {}", scalar(&column.name)),
        format!("type: {}", type_word(column.column_type)),
    ];
    if !column.nullable {
        keys.push("nullable: false".into());
    }
    let list = |texts: &[String]| {
        let texts: Vec<String> = texts.iter().map(|text| scalar(text)).collect();
        texts.join(", ")
    };
    if !column.null_tokens.is_empty() {
        keys.push(format!("null_tokens: [{}]", list(&column.null_tokens)));
    }
    for (key, bound) in [("min", column.min), ("max", column.max)] {
        if let Some(bound) = bound.filter(|bound| bound.is_finite()) {
            // Zero without a sign: read again, `-0` is an integer that has none.
            keys.push(format!("{key}: {}", bound + 0.0));
        }
    }
    if !column.allowed.is_empty() {
        keys.push(format!("allowed: [{}]", list(&column.allowed)));
    }
    if column.sensitive {
        keys.push("sensitive: true".into());
    }
    keys
}

fn type_word(column_type: ColumnType) -> &'static str {
    match column_type {
        ColumnType::Int64 => "int64",
        ColumnType::Float64 => "float64",
        ColumnType::Boolean => "boolean",
        ColumnType::Date => "date",
        ColumnType::Timestamp => "timestamp",
        ColumnType::TimestampUtc => "timestamp_utc",
        ColumnType::String => "string",
    }
}

/// A text as a YAML scalar that is a text to every reader: plain where that is safe.
fn scalar(text: &str) -> String {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(word)
        && core_schema(text).is_string()
        && !BOOLEANS_OF_OLD.contains(&text.to_ascii_lowercase().as_str());
    if plain { text.to_owned() } else { quoted(text) }
}

/// YAML 1.2.2 §7.3.1, with §5.7's escapes for all that is not plainly printable.
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        let hidden = c.is_control()
            || matches!(
                c,
                '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
            );
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            c if hidden => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
