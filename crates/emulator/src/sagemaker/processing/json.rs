//! Filters and joins of JSON. Values are handed on as they are written, digit by digit.
//!
//! The operators are `$`, `.name`, `*`, `['name'(,'name')]`, `[n(,n)]` and `[start:end]` (developer
//! guide, "batch-transform-data-processing"); `..` and conditions are not among them.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::ProcessingError;
use super::path::{Bounds, FilterError, mixed, place};
use crate::assume::Assumptions;

/// Added to an input by a join, and reserved.
const OUTPUT: &str = "SageMakerOutput";
/// Where the input is, if it is no object.
const INPUT: &str = "SageMakerInput";

/// Parts of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Filter {
    path: String,
    steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Name(String),
    /// An object of just these.
    Names(Vec<String>),
    Index(i64),
    /// An array of just these.
    Indexes(Vec<i64>),
    Range(Bounds),
    /// An array of all values.
    All,
}

impl Filter {
    pub(super) fn parse(path: &str, assume: Assumptions) -> Result<Self, FilterError> {
        let wrong = || {
            FilterError::new(
                path,
                "expected $ and then .name, ['name','name'], [0,-1], [1:5] or [*]",
            )
        };
        let mut rest = path.strip_prefix('$').ok_or_else(wrong)?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            let (step, after) = if let Some(after) = rest.strip_prefix('[') {
                let end = closing_bracket(after).ok_or_else(wrong)?;
                let inner = &after[..end];
                if mixed(inner) && !inner.contains('\'') {
                    return Err(FilterError::mixed(path));
                }
                (bracket(inner, assume), &after[end + 1..])
            } else {
                let after = rest.strip_prefix('.').ok_or_else(wrong)?;
                let end = after.find(['.', '[']).unwrap_or(after.len());
                (name(&after[..end]), &after[end..])
            };
            steps.push(step.ok_or_else(wrong)?);
            rest = after;
        }
        let last = steps.len().saturating_sub(1);
        if steps[..last].iter().any(|s| matches!(s, Step::Names(_))) {
            return Err(wrong());
        }
        Ok(Self {
            path: path.to_owned(),
            steps,
        })
    }

    pub(super) fn is_all(&self) -> bool {
        self.steps.is_empty()
    }

    /// The parts of record `number`, as JSON. What it does not have is an error, as an index out of
    /// range is (API reference, DataProcessing).
    pub(super) fn pick(&self, number: usize, record: &[u8]) -> Result<String, ProcessingError> {
        let value = parse(number, record)?;
        pick(&self.steps, value).ok_or_else(|| ProcessingError::Missing {
            record: number,
            path: self.path.clone(),
        })
    }
}

fn closing_bracket(text: &str) -> Option<usize> {
    let mut quoted = false;
    text.char_indices().find_map(|(at, c)| {
        quoted ^= c == '\'';
        (c == ']' && !quoted).then_some(at)
    })
}

fn name(text: &str) -> Option<Step> {
    match text {
        "" => None,
        "*" => Some(Step::All),
        name => Some(Step::Name(name.to_owned())),
    }
}

fn bracket(inner: &str, assume: Assumptions) -> Option<Step> {
    let inner = inner.trim();
    if inner == "*" {
        return Some(Step::All);
    }
    if inner.starts_with('\'') {
        let unquote = |part: &str| {
            let text = part.trim().strip_prefix('\'')?.strip_suffix('\'')?;
            (!text.is_empty() && !text.contains('\'')).then(|| text.to_owned())
        };
        let mut names = inner.split(',').map(unquote).collect::<Option<Vec<_>>>()?;
        return Some(if names.len() == 1 {
            Step::Name(names.remove(0))
        } else {
            Step::Names(names)
        });
    }
    if inner.contains(':') {
        return Bounds::parse(inner, assume).map(Step::Range);
    }
    let indexes = inner.split(',').map(|n| n.trim().parse().ok());
    let indexes = indexes.collect::<Option<Vec<i64>>>()?;
    Some(match indexes.as_slice() {
        [one] => Step::Index(*one),
        _ => Step::Indexes(indexes),
    })
}

fn pick(steps: &[Step], value: &RawValue) -> Option<String> {
    let Some((step, rest)) = steps.split_first() else {
        return Some(value.get().to_owned());
    };
    let each = |values: &[&RawValue]| {
        let picked = values.iter().map(|v| pick(rest, v));
        Some(format!(
            "[{}]",
            picked.collect::<Option<Vec<_>>>()?.join(",")
        ))
    };
    match step {
        Step::Name(name) => pick(rest, object(value)?.get(name)?),
        Step::Names(names) => {
            let fields = object(value)?;
            let picked = names.iter().map(|n| Some((n.as_str(), fields.get(n)?)));
            Some(written(picked.collect::<Option<Vec<_>>>()?))
        }
        Step::Index(index) => {
            let array = array(value)?;
            pick(rest, array.get(place(*index, array.len())?)?)
        }
        Step::Indexes(indexes) => {
            let array = array(value)?;
            let at = |i: &i64| array.get(place(*i, array.len())?).copied();
            each(&indexes.iter().map(at).collect::<Option<Vec<_>>>()?)
        }
        Step::Range(bounds) => {
            let array = array(value)?;
            each(array.get(bounds.of(array.len())?)?)
        }
        Step::All => match object(value) {
            Some(fields) => each(&fields.0.iter().map(|(_, v)| *v).collect::<Vec<_>>()),
            None => each(&array(value)?),
        },
    }
}

/// What is stored of one record and its answer, before the output filter.
pub(super) fn joined(
    number: usize,
    source: Option<&[u8]>,
    answer: &[u8],
) -> Result<String, ProcessingError> {
    let answer = parse(number, answer)?;
    let Some(source) = source else {
        return Ok(answer.get().to_owned());
    };
    let source = parse(number, source)?;
    Ok(match object(source) {
        Some(fields) => fields.with(&[(OUTPUT, answer)]),
        None => written([(INPUT, source), (OUTPUT, answer)]),
    })
}

/// A JSON record with further fields; one that is no object becomes one. None where it is no JSON.
pub(crate) fn with_fields(record: &[u8], fields: &[(&str, &str)]) -> Option<String> {
    let value = parse(1, record).ok()?;
    let texts: Vec<(&str, Box<RawValue>)> = fields
        .iter()
        .map(|(name, text)| Some((*name, serde_json::value::to_raw_value(text).ok()?)))
        .collect::<Option<_>>()?;
    let more: Vec<(&str, &RawValue)> = texts.iter().map(|(n, v)| (*n, v.as_ref())).collect();
    Some(match object(value) {
        Some(fields) => fields.with(&more),
        None => written([(OUTPUT, value)].into_iter().chain(more)),
    })
}

fn parse(number: usize, record: &[u8]) -> Result<&RawValue, ProcessingError> {
    let wrong = |why: String| ProcessingError::Json {
        record: number,
        why,
    };
    serde_json::from_slice(record).map_err(|e| wrong(e.to_string()))
}

/// The fields of an object in their order.
struct Object<'a>(Vec<(String, &'a RawValue)>);

impl<'a> Object<'a> {
    /// Of several fields of one name the last, as most readers have it.
    fn get(&self, name: &str) -> Option<&'a RawValue> {
        let found = self.0.iter().rfind(|(n, _)| n == name);
        found.map(|(_, value)| *value)
    }

    /// As JSON, with fields that take the place of those of their names.
    fn with(&self, more: &[(&str, &RawValue)]) -> String {
        let own = self.0.iter().map(|(name, value)| (name.as_str(), *value));
        let kept = own.filter(|(name, _)| more.iter().all(|(n, _)| n != name));
        written(kept.chain(more.iter().copied()))
    }
}

fn object(value: &RawValue) -> Option<Object<'_>> {
    serde_json::from_str(value.get()).ok()
}

fn array(value: &RawValue) -> Option<Vec<&RawValue>> {
    serde_json::from_str(value.get()).ok()
}

fn written<'a>(fields: impl IntoIterator<Item = (&'a str, &'a RawValue)>) -> String {
    let field = |(name, value): (&str, &RawValue)| {
        format!("{}:{}", serde_json::Value::from(name), value.get())
    };
    let fields: Vec<String> = fields.into_iter().map(field).collect();
    format!("{{{}}}", fields.join(","))
}

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(fields)
            }
        }
        deserializer.deserialize_map(Fields).map(Object)
    }
}
