//! One scalar against one kind: the value as the typed spec wants it, or what is wrong with it.

use serde_json::Value;

use crate::duration::parse_duration;
use crate::filter::Filter;
use crate::limits::Limits;
use crate::problem::code;
use crate::size::parse_size;
use crate::table::{Check, Kind, Rule, Word};
use crate::template::nearest;
use crate::tree::{describe_value, shorten};

/// `quote: none`.
const NO_QUOTE: u8 = 0xff;

/// What is wrong with a scalar: the parts of a [`crate::Problem`] without its place.
pub(crate) struct Wrong {
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
    /// The character of a text that is at fault, from 0.
    pub(crate) character: Option<usize>,
}

/// A scalar as its kind wants it.
pub(crate) fn typed(
    value: &Value,
    kind: &Kind,
    rendered: bool,
    limits: &Limits,
) -> Result<Value, Wrong> {
    let asked = Asked { kind, limits };
    match kind {
        Kind::Text(rule) => text(value, rule, &asked, rendered),
        Kind::Filter => filter(value, &asked),
        Kind::Int(least, most) => integer(value, *least, *most, &asked),
        Kind::Quota(least, most) => {
            let most = i64::try_from(most(limits)).unwrap_or(i64::MAX);
            integer(value, *least, most, &asked)
        }
        Kind::Float(least, most) => float(value, *least, *most, &asked),
        Kind::Bool if value.is_boolean() => Ok(value.clone()),
        Kind::Size => quantity(value, &asked, parse_size),
        Kind::Duration => quantity(value, &asked, parse_duration),
        Kind::Quote if value == "none" => Ok(Value::from(NO_QUOTE)),
        Kind::Byte | Kind::Quote => byte(value, &asked),
        Kind::Scalar => Ok(value.clone()),
        Kind::Enum(words) => one_of(value, words, &asked),
        _ => Err(wrong_scalar(value, &asked)),
    }
}

/// What a value must be.
struct Asked<'a> {
    kind: &'a Kind,
    limits: &'a Limits,
}

impl Asked<'_> {
    fn expected(&self) -> String {
        expected(self.kind, self.limits)
    }
}

fn wrong_scalar(value: &Value, asked: &Asked<'_>) -> Wrong {
    let message = format!(
        "expected {}, found {}",
        asked.expected(),
        describe_value(value)
    );
    let help = match (asked.kind, value) {
        (Kind::Bool, Value::String(s)) => match s.to_ascii_lowercase().as_str() {
            "yes" | "on" | "true" | "y" => Some(format!("`{s}` is a text in YAML 1.2; write true")),
            "no" | "off" | "false" | "n" => {
                Some(format!("`{s}` is a text in YAML 1.2; write false"))
            }
            _ => None,
        },
        (
            Kind::Text(_) | Kind::Filter | Kind::Byte | Kind::Quote,
            Value::Bool(_) | Value::Number(_),
        ) => Some(format!("put it in quotes: \"{value}\"")),
        (Kind::Int(..) | Kind::Quota(..) | Kind::Float(..), Value::String(s))
            if s.trim().parse::<f64>().is_ok() =>
        {
            Some("remove the quotes".to_owned())
        }
        _ => None,
    };
    Wrong {
        code: code::WRONG_TYPE,
        message,
        help,
        character: None,
    }
}

fn bad_value(message: String, help: Option<String>) -> Wrong {
    Wrong {
        code: code::BAD_VALUE,
        message,
        help,
        character: None,
    }
}

fn text(value: &Value, rule: &Rule, asked: &Asked<'_>, rendered: bool) -> Result<Value, Wrong> {
    let text = match value {
        Value::String(text) => text.clone(),
        // A template's number or boolean in a text is meant as text.
        Value::Number(_) | Value::Bool(_) if rendered => value.to_string(),
        _ => return Err(wrong_scalar(value, asked)),
    };
    let checked = match rule.check {
        Check::Own(check) => check(&text),
        Check::Service(check) => check(&text, asked.limits),
    };
    match checked {
        Ok(()) => Ok(Value::String(text)),
        Err(why) if text.is_empty() => Err(bad_value(why, None)),
        Err(why) => Err(bad_value(format!("`{}` {why}", shorten(&text)), None)),
    }
}

/// The text of a filter, with the character that is at fault.
fn filter(value: &Value, asked: &Asked<'_>) -> Result<Value, Wrong> {
    let text = value.as_str().ok_or_else(|| wrong_scalar(value, asked))?;
    match Filter::parse(text, asked.limits) {
        Ok(_) => Ok(value.clone()),
        Err(wrong) => Err(Wrong {
            code: code::FILTER,
            message: format!("`{}`: {wrong}", shorten(text)),
            help: Some(wrong.help),
            character: Some(wrong.at),
        }),
    }
}

fn integer(value: &Value, least: i64, most: i64, asked: &Asked<'_>) -> Result<Value, Wrong> {
    match value.as_i64() {
        Some(n) if (least..=most).contains(&n) => Ok(value.clone()),
        Some(n) => Err(bad_value(
            format!("expected {}, found {n}", asked.expected()),
            None,
        )),
        None => Err(wrong_scalar(value, asked)),
    }
}

fn float(value: &Value, least: f64, most: f64, asked: &Asked<'_>) -> Result<Value, Wrong> {
    match value.as_f64() {
        Some(n) if (least..=most).contains(&n) => Ok(Value::from(n)),
        Some(n) => Err(bad_value(
            format!("expected {}, found {n}", asked.expected()),
            None,
        )),
        None => Err(wrong_scalar(value, asked)),
    }
}

/// A size or a duration: at least 1.
fn quantity(
    value: &Value,
    asked: &Asked<'_>,
    parse: fn(&str) -> Result<u64, String>,
) -> Result<Value, Wrong> {
    let number = match value {
        Value::Number(n) => n.as_u64().ok_or_else(|| wrong_scalar(value, asked))?,
        Value::String(text) => parse(text).map_err(|why| Wrong {
            code: code::BAD_VALUE,
            message: shorten(&why),
            help: None,
            character: None,
        })?,
        _ => return Err(wrong_scalar(value, asked)),
    };
    if number == 0 {
        return Err(bad_value(
            format!("expected {}, found 0", asked.expected()),
            None,
        ));
    }
    Ok(Value::from(number))
}

fn byte(value: &Value, asked: &Asked<'_>) -> Result<Value, Wrong> {
    let text = value.as_str().ok_or_else(|| wrong_scalar(value, asked))?;
    match text.as_bytes() {
        [b'\n' | b'\r'] => Err(bad_value("cannot be a line break".into(), None)),
        [byte] if byte.is_ascii() => Ok(Value::from(*byte)),
        _ if text == "\\t" || text == "tab" => Err(bad_value(
            format!("`{text}` is not one character"),
            Some("a tab is \"\\t\", in double quotes".into()),
        )),
        _ => {
            let message = format!("`{}` is not one ASCII character", shorten(text));
            Err(bad_value(message, None))
        }
    }
}

fn one_of(value: &Value, words: &[Word], asked: &Asked<'_>) -> Result<Value, Wrong> {
    let text = match value {
        Value::String(text) => text.as_str(),
        _ => return Err(wrong_scalar(value, asked)),
    };
    let found = words
        .iter()
        .find(|word| word.name == text || word.api == Some(text));
    if let Some(word) = found {
        return Ok(Value::String(word.value.to_owned()));
    }
    let message = format!("expected {}, found `{}`", asked.expected(), shorten(text));
    let near = nearest(
        &text.to_ascii_lowercase(),
        words.iter().map(|word| word.name),
    );
    Err(bad_value(
        message,
        near.map(|near| format!("did you mean `{near}`?")),
    ))
}

/// What a value must be, as people say it.
pub(crate) fn expected(kind: &Kind, limits: &Limits) -> String {
    match kind {
        Kind::Text(_) => "a text".into(),
        Kind::Int(least, i64::MAX) => format!("an integer of at least {least}"),
        Kind::Int(least, most) if least == most => format!("{least}"),
        Kind::Int(least, most) => format!("an integer from {least} to {most}"),
        Kind::Quota(least, most) => format!("an integer from {least} to {}", most(limits)),
        Kind::Filter => "a filter such as `$[1:]`".into(),
        Kind::Float(least, most) if *least == f64::MIN && *most == f64::MAX => "a number".into(),
        Kind::Float(least, most) if *most == f64::MAX => format!("a number of at least {least}"),
        Kind::Float(least, most) => format!("a number from {least} to {most}"),
        Kind::Bool => "true or false".into(),
        Kind::Size => "a size of at least one byte such as 64MB".into(),
        Kind::Duration => "a duration of at least one second such as 2h".into(),
        Kind::Byte => "one character".into(),
        Kind::Quote => "one character, or `none`".into(),
        Kind::Scalar => "a text, a number or true or false".into(),
        Kind::Enum(words) => {
            let names: Vec<String> = words
                .iter()
                .map(|word| format!("`{}`", word.name))
                .collect();
            match names.split_last() {
                Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
                _ => names.concat(),
            }
        }
        Kind::List(..) => "a list".into(),
        Kind::Map(_) | Kind::Dict(_) => "a mapping".into(),
        Kind::AnyOf(kinds) => kinds
            .iter()
            .map(|kind| expected(kind, limits))
            .collect::<Vec<_>>()
            .join(", or "),
    }
}
