//! `--params-file`: parameters from a file.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::credentials;
use crate::problem::{Problem, Problems, code};
use crate::tree::{Entry, Node, NodeKind, Nothing, parse_as, place, shorten};

const NOTHING: Nothing = Nothing {
    message: "the file holds no parameters",
    help: "write `NAME: VALUE` on a line each, or {} for none",
};

/// The parameters that a YAML or JSON file holds: a mapping from names to scalars. A value is
/// taken as it is written, as if it stood after `-p NAME=`, so that `007` and `2013-01-31` stay
/// what they are; whether it fits the parameter is [`crate::resolve`]'s to say. `file` is the
/// file's name for messages.
///
/// # Errors
/// Every mistake in it, with its place there.
pub fn parse_params_file(text: &str, file: &str) -> Result<BTreeMap<String, String>, Problems> {
    let doc = parse_as(text, file, NOTHING)?;
    let mut problems = doc.problems.clone();
    let mut values = BTreeMap::new();
    match &doc.root.kind {
        NodeKind::Map(entries) => {
            for entry in entries {
                match value(entry, file) {
                    Ok(value) => {
                        let told = |p: &Problem| {
                            p.code == code::CREDENTIALS_IN_FILE && p.place.line == entry.at.0
                        };
                        let hidden = credentials::in_value(&entry.key, &value, file, entry.at);
                        problems.extend(hidden.filter(|_| !doc.problems.iter().any(told)));
                        values.insert(entry.key.clone(), value);
                    }
                    Err(problem) => problems.push(*problem),
                }
            }
        }
        _ => problems.push(not_a_mapping(&doc.root, file)),
    }
    if problems.is_empty() {
        Ok(values)
    } else {
        Err(doc.secrets.redact(Problems(problems)).sorted())
    }
}

fn not_a_mapping(root: &Node, file: &str) -> Problem {
    let message = format!(
        "parameters are a mapping from names to values, found {}",
        root.describe()
    );
    Problem::new(place(file, root.at), code::WRONG_TYPE, message)
        .help("write `NAME: VALUE` on a line each")
}

fn value(entry: &Entry, file: &str) -> Result<String, Box<Problem>> {
    let name = shorten(&entry.key);
    let wrong = |message: String, help: &str| {
        let at = place(file, entry.node.at);
        Box::new(Problem::new(at, code::WRONG_TYPE, message).help(help))
    };
    match &entry.node.kind {
        NodeKind::Scalar {
            value: Value::Null, ..
        } => Err(wrong(
            format!("parameter `{name}` has no value"),
            "remove it, or write \"\" for an empty text",
        )),
        // `True` is a boolean to YAML; a command line knows `true`.
        NodeKind::Scalar {
            value: Value::Bool(value),
            ..
        } => Ok(value.to_string()),
        NodeKind::Scalar { text, .. } => Ok(text.clone()),
        _ => Err(wrong(
            format!(
                "parameter `{name}`: expected a text, a number or true or false, found {}",
                entry.node.describe()
            ),
            "a parameter is one value",
        )),
    }
}
