//! Reading `name=value,name=value`.

use std::collections::BTreeMap;

use super::{Assumptions, Switch};
use crate::words::nearest;

/// A switch or a value that does not exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AssumeError {
    /// Neither `list` nor `name=value`.
    #[error(
        "expected NAME=VALUE, found {0:?}; `gristmill local --assume list` shows what there is"
    )]
    Shape(String),
    /// No switch of that name.
    #[error("there is no switch {name:?}{}", suggestion(*.nearest))]
    Name {
        /// As given.
        name: String,
        /// What was probably meant.
        nearest: Option<&'static str>,
    },
    /// The switch has no such value.
    #[error("{switch} cannot be {value:?}: it is {}{}", alternatives(switch), closest(*.nearest))]
    Value {
        /// The switch.
        switch: &'static str,
        /// As given.
        value: String,
        /// What was probably meant.
        nearest: Option<&'static str>,
    },
    /// Two values for one switch.
    #[error("{switch} is given twice, as {first:?} and as {second:?}")]
    Twice {
        /// The switch.
        switch: &'static str,
        /// The first value.
        first: String,
        /// Another.
        second: String,
    },
}

fn closest(nearest: Option<&str>) -> String {
    nearest.map_or(String::new(), |word| format!("; did you mean {word}?"))
}

fn suggestion(nearest: Option<&str>) -> String {
    match nearest {
        Some(_) => closest(nearest),
        None => "; `gristmill local --assume list` shows what there is".to_owned(),
    }
}

fn alternatives(switch: &str) -> String {
    let found = Assumptions::SWITCHES.iter().find(|s| s.name == switch);
    let values = found.map(|s| s.values).unwrap_or_default();
    let names: Vec<&str> = values.iter().map(|v| v.name).collect();
    names.join(" or ")
}

impl Assumptions {
    /// The defaults with what `pairs` say: each `name=value`, or several with commas between them.
    /// Blanks around names and values, and empty pairs, mean nothing.
    ///
    /// # Errors
    /// All that is wrong, in the order in which it was given.
    pub fn parse<'a>(pairs: impl IntoIterator<Item = &'a str>) -> Result<Self, Vec<AssumeError>> {
        let mut assumptions = Self::default();
        let mut given: BTreeMap<&'static str, String> = BTreeMap::new();
        let mut errors = Vec::new();
        let pairs = pairs.into_iter().flat_map(|list| list.split(','));
        for pair in pairs.map(str::trim).filter(|pair| !pair.is_empty()) {
            let set = split(pair).and_then(|(name, value)| {
                let switch = assumptions.set(name, value)?;
                match given.insert(switch, value.to_owned()) {
                    Some(first) if first != value => Err(AssumeError::Twice {
                        switch,
                        first,
                        second: value.to_owned(),
                    }),
                    _ => Ok(()),
                }
            });
            errors.extend(set.err());
        }
        if errors.is_empty() {
            Ok(assumptions)
        } else {
            Err(errors)
        }
    }

    /// Sets one switch.
    ///
    /// # Errors
    /// [`AssumeError::Name`], [`AssumeError::Value`].
    pub fn set(&mut self, name: &str, value: &str) -> Result<&'static str, AssumeError> {
        let names = || Self::SWITCHES.iter().map(|s| s.name);
        let found: Option<&Switch> = Self::SWITCHES.iter().find(|s| s.name == name);
        let switch = found.ok_or_else(|| AssumeError::Name {
            name: name.to_owned(),
            nearest: nearest(name, names()),
        })?;
        if self.put(name, value) {
            return Ok(switch.name);
        }
        Err(AssumeError::Value {
            switch: switch.name,
            value: value.to_owned(),
            nearest: nearest(value, switch.values.iter().map(|v| v.name)),
        })
    }

    /// Every switch with its value.
    #[must_use]
    pub fn to_map(&self) -> BTreeMap<String, String> {
        let pairs = Self::SWITCHES.iter().filter_map(|switch| {
            let value = self.value(switch.name)?;
            Some((switch.name.to_owned(), value.to_owned()))
        });
        pairs.collect()
    }
}

fn split(pair: &str) -> Result<(&str, &str), AssumeError> {
    match pair.split_once('=') {
        Some((name, value)) => Ok((name.trim(), value.trim())),
        None => Err(AssumeError::Shape(pair.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::{BlankLines, SliceEnd};
    use super::*;

    fn said(pairs: &[&str]) -> Vec<String> {
        let errors = Assumptions::parse(pairs.iter().copied()).unwrap_err();
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn pairs_come_in_lists_and_one_by_one() {
        let lists = ["slice-end=inclusive, blank-lines = skip,", "crlf=keep"];
        let parsed = Assumptions::parse(lists).unwrap();
        let expected = Assumptions {
            slice_end: SliceEnd::Inclusive,
            blank_lines: BlankLines::Skip,
            ..Assumptions::default()
        };
        assert_eq!(parsed, expected);
        assert_eq!(Assumptions::parse([]).unwrap(), Assumptions::default());
    }

    #[test]
    fn all_that_is_wrong_is_said_with_what_was_probably_meant() {
        let said = said(&[
            "slice-ends=inclusive,slice-end=inclusiv,slice-end=open",
            "what,x=y,crlf=keep,crlf=strip",
        ]);
        insta::assert_snapshot!(said.join("\n"), @r#"
        there is no switch "slice-ends"; did you mean slice-end?
        slice-end cannot be "inclusiv": it is exclusive or inclusive; did you mean inclusive?
        slice-end cannot be "open": it is exclusive or inclusive
        expected NAME=VALUE, found "what"; `gristmill local --assume list` shows what there is
        there is no switch "x"; `gristmill local --assume list` shows what there is
        crlf is given twice, as "keep" and as "strip"
        "#);
    }

    #[test]
    fn every_value_can_be_set_and_the_first_is_the_default() {
        let defaults = Assumptions::default().to_map();
        for switch in Assumptions::SWITCHES {
            assert_eq!(defaults[switch.name], switch.values[0].name);
            assert!(switch.unknown.ends_with(['?', '.']), "{}", switch.unknown);
            for value in switch.values {
                let pair = format!("{}={}", switch.name, value.name);
                let set = Assumptions::parse([pair.as_str()]).unwrap();
                assert_eq!(set.value(switch.name), Some(value.name), "{pair}");
                let others = set
                    .to_map()
                    .into_iter()
                    .filter(|(name, _)| name != switch.name);
                assert!(
                    others
                        .into_iter()
                        .all(|(name, value)| defaults[&name] == value),
                    "{pair}"
                );
            }
        }
    }
}
