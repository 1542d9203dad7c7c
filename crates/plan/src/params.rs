//! Parameters: what the file declares, what `-p` gives, and the key of a run that follows.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde_json::{Value, json};

use crate::fingerprint::short_hash_json;
use crate::problem::{Problem, UsageError, code};
use crate::spec::Places;
use crate::template::{Param, nearest};
use crate::tree::describe_value;

/// The run key where none is given: the pipeline's name with 12 hex digits over the parameters
/// as given (before templates) and the row limit, so that calls that ask for the same thing meet.
pub fn run_key(name: &str, given: &BTreeMap<String, String>, limit_rows: Option<u64>) -> String {
    let hash = short_hash_json(&json!({ "params": given, "limit_rows": limit_rows }));
    format!("{name}-{hash}")
}

/// A declared parameter.
#[derive(Debug, Clone)]
pub(crate) struct Declared {
    kind: ParamKind,
    default: Option<Value>,
    choices: Vec<Value>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum ParamKind {
    String,
    Int,
    Float,
    Bool,
    Date,
}

impl ParamKind {
    fn from_word(word: &str) -> Option<ParamKind> {
        Some(match word {
            "string" => ParamKind::String,
            "int" => ParamKind::Int,
            "float" => ParamKind::Float,
            "bool" => ParamKind::Bool,
            "date" => ParamKind::Date,
            _ => return None,
        })
    }

    fn expected(self) -> &'static str {
        match self {
            ParamKind::String => "text",
            ParamKind::Int => "an integer",
            ParamKind::Float => "a number",
            ParamKind::Bool => "true or false",
            ParamKind::Date => "a date (YYYY-MM-DD)",
        }
    }

    /// From a command line.
    fn parse(self, text: &str) -> Option<Value> {
        match self {
            ParamKind::String => Some(Value::from(text)),
            ParamKind::Int => text.parse::<i64>().ok().map(Value::from),
            ParamKind::Float => text
                .parse::<f64>()
                .ok()
                .filter(|f| f.is_finite())
                .map(Value::from),
            ParamKind::Bool => text.parse::<bool>().ok().map(Value::from),
            ParamKind::Date => date(text).map(|_| Value::from(text)),
        }
    }

    /// From the file, where it has a type already.
    fn accepts(self, value: &Value) -> bool {
        match self {
            ParamKind::String => value.is_string(),
            ParamKind::Int => value.as_i64().is_some(),
            ParamKind::Float => value.is_number(),
            ParamKind::Bool => value.is_boolean(),
            ParamKind::Date => value.as_str().and_then(date).is_some(),
        }
    }
}

/// `YYYY-MM-DD` and nothing else.
pub(crate) fn date(text: &str) -> Option<Date> {
    let form = text.len() == 10
        && text.bytes().enumerate().all(|(i, b)| {
            if i == 4 || i == 7 {
                b == b'-'
            } else {
                b.is_ascii_digit()
            }
        });
    if form { text.parse().ok() } else { None }
}

/// The declarations of a walked `params` section. What is wrong with one is a problem, and a hole
/// in it counts as a value that is not known.
pub(crate) fn declared(
    section: &Value,
    places: &Places,
    problems: &mut Vec<Problem>,
) -> BTreeMap<String, Option<Declared>> {
    let mut all = BTreeMap::new();
    for (name, declaration) in section.as_object().into_iter().flatten() {
        let before = problems.len();
        check_name(name, places, problems);
        let kind = declaration["type"].as_str().and_then(ParamKind::from_word);
        let declared = kind.map(|kind| declare(name, kind, declaration, places, problems));
        let fine = problems.len() == before;
        all.insert(name.clone(), declared.filter(|_| fine));
    }
    all
}

fn check_name(name: &str, places: &Places, problems: &mut Vec<Problem>) {
    let fine = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && name.chars().all(fine) {
        return;
    }
    let place = places.of(&format!("params.{name}"));
    let message = format!("parameter `{name}`: a name holds letters, digits and `_`");
    problems.push(Problem::new(place, code::BAD_VALUE, message).help("use `_` in place of `-`"));
}

fn declare(
    name: &str,
    kind: ParamKind,
    declaration: &Value,
    places: &Places,
    problems: &mut Vec<Problem>,
) -> Declared {
    let path = format!("params.{name}");
    let default = declaration.get("default").filter(|v| !v.is_null()).cloned();
    let choices: Vec<Value> = declaration["choices"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let values = default.iter().map(|v| (format!("{path}.default"), v));
    let values = values.chain(
        choices
            .iter()
            .enumerate()
            .map(|(i, v)| (format!("{path}.choices[{i}]"), v)),
    );
    for (at, value) in values {
        if !kind.accepts(value) {
            let found = describe_value(value);
            let message = format!("`{at}`: expected {}, found {found}", kind.expected());
            problems.push(Problem::new(places.of(&at), code::WRONG_TYPE, message));
        }
    }
    if let Some(default) = default
        .as_ref()
        .filter(|d| !choices.is_empty() && !choices.contains(d))
    {
        let message = format!(
            "`{path}.default`: {} is not among `choices`",
            describe_value(default)
        );
        let at = places.of(&format!("{path}.default"));
        problems.push(Problem::new(at, code::BAD_VALUE, message));
    }
    match (
        declaration.get("required").and_then(Value::as_bool),
        &default,
    ) {
        (Some(true), Some(_)) => {
            let message = format!("`{path}` is required, so its default is never used");
            let at = places.of(&format!("{path}.default"));
            problems.push(Problem::new(at, code::CONFLICT, message).help("remove one of them"));
        }
        (Some(false), None) if declaration.get("default").is_none() => {
            let message = format!("`{path}` is not required, but has no default");
            let at = places.of(&path);
            problems.push(Problem::new(at, code::CONFLICT, message).help("add `default:`"));
        }
        _ => {}
    }
    Declared {
        kind,
        default,
        choices,
    }
}

/// Every parameter's value: given, or the default.
pub(crate) fn values(
    declared: &BTreeMap<String, Option<Declared>>,
    given: &BTreeMap<String, String>,
) -> (BTreeMap<String, Param>, Vec<UsageError>) {
    let mut values = BTreeMap::new();
    let mut errors = Vec::new();
    for (name, declared) in declared {
        let Some(declared) = declared else {
            values.insert(name.clone(), Param::Unknown);
            continue;
        };
        let value = match given.get(name) {
            Some(text) => parse(name, text, declared),
            None => declared.default.clone().ok_or_else(|| UsageError::Missing {
                name: name.clone(),
                expected: declared.kind.expected().to_owned(),
            }),
        };
        match value {
            Ok(value) => drop(values.insert(name.clone(), param(declared.kind, value))),
            Err(error) => errors.push(error),
        }
    }
    for name in given.keys().filter(|name| !declared.contains_key(*name)) {
        errors.push(unknown(name, declared.keys()));
    }
    (values, errors)
}

fn parse(name: &str, text: &str, declared: &Declared) -> Result<Value, UsageError> {
    let wrong = |expected: String| UsageError::WrongValue {
        name: name.to_owned(),
        value: text.to_owned(),
        expected,
    };
    let kind = declared.kind;
    let value = kind
        .parse(text)
        .ok_or_else(|| wrong(kind.expected().to_owned()))?;
    let choices = &declared.choices;
    // A float's choices may be written as integers.
    let same = |choice: &Value| {
        *choice == value || (kind == ParamKind::Float && choice.as_f64() == value.as_f64())
    };
    if !choices.is_empty() && !choices.iter().any(same) {
        let list: Vec<String> = choices.iter().map(plain).collect();
        return Err(wrong(format!("one of {}", list.join(", "))));
    }
    Ok(value)
}

fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

fn unknown<'a>(name: &str, known: impl Iterator<Item = &'a String> + Clone) -> UsageError {
    let hint = match nearest(name, known.clone().map(String::as_str)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => {
            let list: Vec<&str> = known.map(String::as_str).collect();
            if list.is_empty() {
                "it declares none".into()
            } else {
                format!("it declares {}", list.join(", "))
            }
        }
    };
    UsageError::Unknown {
        name: name.to_owned(),
        hint,
    }
}

fn param(kind: ParamKind, value: Value) -> Param {
    match (kind, value.as_str().and_then(date)) {
        (ParamKind::Date, Some(date)) => Param::Date(date),
        _ => Param::Plain(value),
    }
}

/// Values where none is given, for a check without a command line: the default, else the first
/// choice, else something of the type; a text or number of which nothing is known stays so.
pub(crate) fn stand_ins(declared: &BTreeMap<String, Option<Declared>>) -> BTreeMap<String, Param> {
    let stand_in = |declared: &Declared| {
        let known = declared
            .default
            .as_ref()
            .or_else(|| declared.choices.first());
        match (known, declared.kind) {
            (Some(value), kind) => param(kind, value.clone()),
            (None, ParamKind::Date) => Param::Date(Date::constant(2000, 1, 1)),
            (None, ParamKind::Bool) => Param::Plain(Value::Bool(false)),
            (None, _) => Param::Unknown,
        }
    };
    let value = |declared: &Option<Declared>| declared.as_ref().map_or(Param::Unknown, stand_in);
    declared
        .iter()
        .map(|(name, declared)| (name.clone(), value(declared)))
        .collect()
}

/// A parameter's value as JSON.
pub(crate) fn to_json(param: &Param) -> Value {
    match param {
        Param::Plain(value) => value.clone(),
        Param::Date(date) => Value::String(date.to_string()),
        Param::Unknown => Value::Null,
    }
}
