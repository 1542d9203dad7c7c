//! Cross checks: rules over more than one key, or over a whole section. They run on walked
//! values, in which `null` is a hole that no rule complains about.

mod columns;
mod join;
mod locations;
mod processing;
mod refused;
mod service;
mod shards;
mod source;
mod stages;
mod training;
mod warnings;

pub(crate) use columns::{PredictionAt, constant_type, prediction_at};
pub(crate) use processing::fits_columns;

use serde_json::{Map, Value};

use crate::limits::Limits;
use crate::problem::{Place, Problem};
use crate::spec::Places;

/// Every rule, over the whole file.
pub(crate) fn all(root: &Value, places: &Places, limits: &Limits) -> Vec<Problem> {
    let mut view = View {
        root,
        places,
        limits,
        problems: Vec::new(),
    };
    stages::check(&mut view);
    source::check(&mut view);
    training::check(&mut view);
    shards::check(&mut view);
    service::check(&mut view);
    processing::check(&mut view);
    join::check(&mut view);
    refused::check(&mut view);
    columns::check(&mut view);
    locations::check(&mut view);
    view.problems
}

/// What is not wrong, but worth knowing, over the whole file.
pub(crate) fn warnings(root: &Value, places: &Places, limits: &Limits) -> Vec<Problem> {
    let mut view = View {
        root,
        places,
        limits,
        problems: Vec::new(),
    };
    warnings::find(&mut view);
    view.problems
}

/// The rules of a contract in a file of its own, walked as `columns`.
pub(crate) fn contract_file(root: &Value, places: &Places, limits: &Limits) -> Vec<Problem> {
    let mut view = View {
        root,
        places,
        limits,
        problems: Vec::new(),
    };
    columns::contract(&mut view, "columns");
    view.problems
}

/// A walked file, read by path.
pub(crate) struct View<'a> {
    root: &'a Value,
    places: &'a Places,
    limits: &'a Limits,
    problems: Vec<Problem>,
}

impl<'a> View<'a> {
    /// The value at a dotted path; `None` if absent or a hole.
    fn get(&self, path: &str) -> Option<&'a Value> {
        self.raw(path).filter(|value| !value.is_null())
    }

    /// Whether the key is there, be it a hole.
    fn has(&self, path: &str) -> bool {
        self.raw(path).is_some()
    }

    /// Whether the key is written in the file, rather than a default.
    fn written(&self, path: &str) -> bool {
        self.places.by_path.contains_key(path)
    }

    fn raw(&self, path: &str) -> Option<&'a Value> {
        path.split('.')
            .try_fold(self.root, |value, key| value.get(key))
    }

    fn text(&self, path: &str) -> Option<&'a str> {
        self.get(path)?.as_str()
    }

    fn number(&self, path: &str) -> Option<u64> {
        self.get(path)?.as_u64()
    }

    fn map(&self, path: &str) -> Option<&'a Map<String, Value>> {
        self.get(path)?.as_object()
    }

    /// The items of a list that are not holes, with their paths.
    fn items(&self, path: &str) -> Vec<(String, &'a Value)> {
        let list = self.get(path).and_then(Value::as_array);
        let items = list.into_iter().flatten().enumerate();
        items
            .filter(|(_, value)| !value.is_null())
            .map(|(i, value)| (format!("{path}[{i}]"), value))
            .collect()
    }

    /// The texts of a list, with their paths.
    fn texts(&self, path: &str) -> Vec<(String, &'a str)> {
        let items = self.items(path).into_iter();
        items
            .filter_map(|(path, value)| Some((path, value.as_str()?)))
            .collect()
    }

    fn place(&self, path: &str) -> Place {
        self.places.of(path)
    }

    /// The same at a character of a text, from 0.
    fn problem_in(
        &mut self,
        path: &str,
        character: usize,
        code: &'static str,
        message: String,
        help: &str,
    ) {
        let place = match self.text(path) {
            Some(text) => self.places.in_text(path, text, character),
            None => self.place(path),
        };
        self.problems
            .push(Problem::new(place, code, message).help(help));
    }

    fn problem(&mut self, path: &str, code: &'static str, message: String, help: &str) {
        let mut problem = Problem::new(self.place(path), code, message);
        if !help.is_empty() {
            problem = problem.help(help);
        }
        self.problems.push(problem);
    }
}
