//! Rows of application/jsonlines: a JSON value a line.
//!
//! A row is an array of its features, an object whose values are its features in the order in which
//! they are written, or `{"features": [...]}`, as AWS's built-in algorithms take it (developer guide,
//! "cdf-inference"). Numbers are read from their own text, as a cell of CSV is, so both give the same
//! float32. Positions decide, so objects whose keys change places are refused.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::rows::{Rows, RowsError, shown};

/// The key of AWS's form.
const FEATURES: &str = "features";

/// Reads a row of each line. null is NaN, a missing value; true is 1, false 0.
pub(super) fn read(body: &[u8], rows: &mut Rows<'_>) -> Result<(), RowsError> {
    let body = body.strip_suffix(b"\n").unwrap_or(body);
    let mut keys = None;
    for (number, line) in (1..).zip(body.split(|b| *b == b'\n')) {
        let text = std::str::from_utf8(line).map_err(|_| RowsError::Encoding { line: number })?;
        Line { number, text }.read(&mut keys, rows)?;
        rows.end_row()?;
    }
    rows.flush()
}

/// Where the keys of objects were first seen, and which they are.
type Keys = Option<(usize, Vec<String>)>;

struct Line<'a> {
    number: usize,
    text: &'a str,
}

impl<'a> Line<'a> {
    fn read(&self, keys: &mut Keys, rows: &mut Rows<'_>) -> Result<(), RowsError> {
        let text = self.text.trim_ascii();
        match text.bytes().next() {
            Some(b'[') => self.array(self.parse(self.text)?, rows),
            Some(b'{') => self.object(&self.parse(self.text)?, keys, rows),
            None => Err(self.shape("an empty line".to_owned())),
            Some(_) => Err(self.shape(format!("'{}'", shown(text)))),
        }
    }

    fn parse<T: Deserialize<'a>>(&self, text: &'a str) -> Result<T, RowsError> {
        serde_json::from_str(text).map_err(|error| {
            // The text is a line of its own to the parser, and its place is said already.
            let why = error.to_string();
            let why = why.split(" at line ").next().unwrap_or_default().to_owned();
            RowsError::Json {
                line: self.number,
                column: error.column(),
                why,
            }
        })
    }

    fn array(&self, values: Vec<&RawValue>, rows: &mut Rows<'_>) -> Result<(), RowsError> {
        self.width(values.len(), rows)?;
        for (index, value) in (1..).zip(values) {
            rows.push(self.value(value, || format!("value {index}"))?);
        }
        Ok(())
    }

    fn object(
        &self,
        object: &Object<'a>,
        keys: &mut Keys,
        rows: &mut Rows<'_>,
    ) -> Result<(), RowsError> {
        if let [(key, value)] = object.0.as_slice()
            && key == FEATURES
            && value.get().starts_with('[')
        {
            return self.array(self.parse(value.get())?, rows);
        }
        self.check_keys(object, keys)?;
        self.width(object.0.len(), rows)?;
        for (key, value) in &object.0 {
            rows.push(self.value(value, || format!("key '{}'", shown(key)))?);
        }
        Ok(())
    }

    /// The first object's keys must be distinct; those of the others the same in the same order.
    fn check_keys(&self, object: &Object<'a>, keys: &mut Keys) -> Result<(), RowsError> {
        let names = || object.0.iter().map(|(key, _)| key.as_ref());
        let Some((first, expected)) = keys else {
            let mut seen = std::collections::HashSet::new();
            if let Some(key) = names().find(|key| !seen.insert(*key)) {
                return Err(RowsError::Twice {
                    line: self.number,
                    key: shown(key),
                });
            }
            *keys = Some((self.number, names().map(str::to_owned).collect()));
            return Ok(());
        };
        let (mut found, mut wanted) = (names(), expected.iter().map(String::as_str));
        for position in 1.. {
            let (found, wanted) = (found.next(), wanted.next());
            if found != wanted {
                let quoted =
                    |key: Option<&str>| key.map_or("missing".into(), |k| format!("'{}'", shown(k)));
                return Err(RowsError::Keys {
                    line: self.number,
                    position,
                    found: quoted(found),
                    first: *first,
                    expected: quoted(wanted),
                });
            }
            if found.is_none() {
                break;
            }
        }
        Ok(())
    }

    fn width(&self, found: usize, rows: &Rows<'_>) -> Result<(), RowsError> {
        if found == rows.width() {
            return Ok(());
        }
        Err(RowsError::Cells {
            line: self.number,
            expected: rows.width(),
            found,
        })
    }

    fn value(&self, value: &RawValue, place: impl Fn() -> String) -> Result<f32, RowsError> {
        let text = value.get();
        let number = match text {
            "null" => Some(f64::NAN),
            "true" => Some(1.0),
            "false" => Some(0.0),
            _ if text.starts_with(|c: char| c == '-' || c.is_ascii_digit()) => text.parse().ok(),
            _ => None,
        };
        number.map(|n| n as f32).ok_or_else(|| RowsError::Value {
            line: self.number,
            place: place(),
            found: shown(text),
        })
    }

    fn shape(&self, found: String) -> RowsError {
        RowsError::Shape {
            line: self.number,
            found,
        }
    }
}

/// An object as it is written: serde_json's own map forgets a key that is there twice.
struct Object<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some((Key(key), value)) = map.next_entry()? {
                    entries.push((key, value));
                }
                Ok(Object(entries))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

/// Borrowed where it holds no escapes.
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);
