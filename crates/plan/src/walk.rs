//! The one walker: a tree and the table of keys in, checked values and problems out.
//!
//! The result is JSON in which every value has the type that the table asks for: sizes and
//! durations are integers, enums have their canonical word, constant defaults are filled in.
//! What is wrong, or not known offline, is `null`: a hole, which nothing later complains about.

use serde_json::{Map as Json, Value};

use crate::api_fields;
use crate::credentials;
use crate::limits::Limits;
use crate::problem::{Problem, code};
use crate::scalar::{expected, typed};
use crate::spec::Places;
use crate::table::{Key, Kind, Map, PIPELINE, Rule};
use crate::template::{Rendered, Scope, is_template, nearest};
use crate::tree::{At, Entry, Node, NodeKind, Quote, place, shorten};

/// Keys of the file itself in which no template is rendered: the templates depend on them.
const LITERAL: &[&str] = &["version", "name", "params", "env"];

pub(crate) struct Walker<'a> {
    file: &'a str,
    scope: Option<&'a Scope>,
    /// `{{` is text like any other.
    literal: bool,
    limits: Limits,
    pub(crate) problems: Vec<Problem>,
    pub(crate) places: Places,
}

impl<'a> Walker<'a> {
    /// Without a scope, templates are refused.
    pub(crate) fn new(file: &'a str, scope: Option<&'a Scope>) -> Walker<'a> {
        let places = Places {
            file: file.to_owned(),
            ..Places::default()
        };
        Walker {
            file,
            scope,
            literal: false,
            limits: Limits::SERVICE,
            problems: Vec::new(),
            places,
        }
    }

    /// With other quotas than the service is known to have.
    pub(crate) fn limits(self, limits: &Limits) -> Walker<'a> {
        let limits = limits.clone();
        Walker { limits, ..self }
    }

    /// For a file that holds no templates.
    pub(crate) fn literal(file: &'a str) -> Walker<'a> {
        Walker {
            literal: true,
            ..Walker::new(file, None)
        }
    }

    /// Walks the whole file.
    pub(crate) fn pipeline(&mut self, root: &Node) -> Value {
        match &root.kind {
            NodeKind::Map(entries) => self.map(entries, &PIPELINE, "", root.at),
            _ => {
                let message = format!("a pipeline is a mapping, found {}", root.describe());
                self.problem(
                    root.at,
                    code::WRONG_TYPE,
                    message,
                    Some("begin with `version: 1`".into()),
                );
                Value::Null
            }
        }
    }

    /// Walks one node. `path` is where it stands; `at` is where its key does.
    pub(crate) fn node(&mut self, node: &Node, kind: &Kind, path: &str, at: At) -> Value {
        self.places.by_path.insert(path.to_owned(), node.at);
        match (kind, &node.kind) {
            (
                _,
                NodeKind::Scalar {
                    value: Value::Null, ..
                },
            ) => self.no_value(kind, path, at),
            (Kind::AnyOf(kinds), _) => self.any_of(node, kinds, path, at),
            (Kind::Map(map), NodeKind::Map(entries)) => {
                self.places.by_path.insert(path.to_owned(), at);
                self.map(entries, map, path, at)
            }
            (Kind::Dict(value), NodeKind::Map(entries)) => self.dict(entries, value, path),
            (Kind::List(item, least), NodeKind::List(items)) => {
                self.list(items, item, *least, path, node.at)
            }
            (Kind::Map(_) | Kind::Dict(_) | Kind::List(..), _) => self.wrong_type(node, kind, path),
            (_, NodeKind::Scalar { value, quote, .. }) => {
                self.scalar(value, kind, path, (node.at, *quote))
            }
            _ => self.wrong_type(node, kind, path),
        }
    }

    fn any_of(
        &mut self,
        node: &Node,
        kinds: &'static [&'static Kind],
        path: &str,
        at: At,
    ) -> Value {
        let fits = |kind: &&&Kind| match &node.kind {
            NodeKind::Scalar { .. } => {
                !matches!(kind, Kind::List(..) | Kind::Map(_) | Kind::Dict(_))
            }
            NodeKind::List(_) => matches!(kind, Kind::List(..)),
            NodeKind::Map(_) => matches!(kind, Kind::Map(_) | Kind::Dict(_)),
        };
        let is_word = |kind: &&&'static Kind| match (kind, &node.kind) {
            (Kind::Enum(words), NodeKind::Scalar { text, .. }) => {
                words.iter().any(|word| word.name == text)
            }
            _ => false,
        };
        // A word of an enum is that word; anything else may be the text that stands beside it.
        let fitting = || kinds.iter().filter(fits);
        let kind = fitting().find(is_word).or_else(|| fitting().next_back());
        let Some(kind) = kind else {
            return self.wrong_type(node, &Kind::AnyOf(kinds), path);
        };
        let told = self.problems.len();
        let value = self.node(node, kind, path, at);
        let word = fitting().find(|word| matches!(word, Kind::Enum(_)));
        if let (Kind::Int(..), Some(word), Some(problem)) =
            (kind, word, self.problems.get_mut(told))
        {
            let word = expected(word, &self.limits);
            problem
                .help
                .get_or_insert_with(|| format!("or write {word}"));
        }
        value
    }

    fn map(&mut self, entries: &[Entry], map: &Map, path: &str, at: At) -> Value {
        let mut json = Json::new();
        for entry in entries {
            let Some(key) = map.keys.iter().find(|key| key.name == entry.key) else {
                self.unknown_key(entry, map, path);
                continue;
            };
            let path = join(path, key.name);
            let scope = self.scope;
            if path == key.name && LITERAL.contains(&key.name) {
                self.scope = None;
            }
            let value = self.node(&entry.node, key.kind, &path, entry.at);
            self.scope = scope;
            json.insert(key.name.to_owned(), value);
        }
        for key in map
            .keys
            .iter()
            .filter(|key| !entries.iter().any(|e| e.key == key.name))
        {
            self.absent(key, path, at, &mut json);
        }
        if map.exactly_one {
            self.exactly_one(entries, map, path, at);
        }
        Value::Object(json)
    }

    /// A key that is not in the file: its default, or a problem if it is required.
    fn absent(&mut self, key: &Key, path: &str, at: At, json: &mut Json<String, Value>) {
        if key.required {
            let whole = if path.is_empty() {
                "the pipeline".into()
            } else {
                format!("`{path}`")
            };
            let message = format!("{whole} needs the key `{}`", key.name);
            self.problem(
                at,
                code::MISSING_KEY,
                message,
                Some(format!("`{}`: {}", key.name, key.doc)),
            );
            return;
        }
        let value = match (key.default, key.kind) {
            (Some("{}"), Kind::Map(map)) => self.map(&[], map, &join(path, key.name), at),
            (Some(default), _) => serde_json::from_str(default).unwrap_or(Value::Null),
            (None, _) => return,
        };
        json.insert(key.name.to_owned(), value);
    }

    fn exactly_one(&mut self, entries: &[Entry], map: &Map, path: &str, at: At) {
        let known = entries
            .iter()
            .filter(|e| map.keys.iter().any(|key| key.name == e.key))
            .count();
        if known == 1 {
            return;
        }
        let names: Vec<String> = map
            .keys
            .iter()
            .map(|key| format!("`{}`", key.name))
            .collect();
        let message = format!(
            "`{path}` needs exactly one of {}, found {known}",
            names.join(", ")
        );
        self.problem(at, code::CONFLICT, message, None);
    }

    fn unknown_key(&mut self, entry: &Entry, map: &Map, path: &str) {
        let inside = if path.is_empty() {
            String::new()
        } else {
            format!(" in `{path}`")
        };
        let message = format!("unknown key `{}`{inside}", shorten(&entry.key));
        let api = api_fields::help_with(&entry.key, path, map);
        let near = nearest(&entry.key, map.keys.iter().map(|key| key.name));
        let help = match (api, near) {
            (Some(help), _) => help,
            (None, Some(near)) => format!("did you mean `{near}`?"),
            (None, None) => match stage_of(&entry.key) {
                Some(stage) if stage != path => format!("`{}` belongs under `{stage}`", entry.key),
                _ => {
                    let names: Vec<&str> = map.keys.iter().map(|key| key.name).collect();
                    format!("the keys here are {}", names.join(", "))
                }
            },
        };
        self.problem(entry.at, code::UNKNOWN_KEY, message, Some(help));
    }

    fn dict(&mut self, entries: &[Entry], value: &'static Kind, path: &str) -> Value {
        let mut json = Json::new();
        for entry in entries {
            let path = join(path, &entry.key);
            let value = self.node(&entry.node, value, &path, entry.at);
            json.insert(entry.key.clone(), value);
        }
        Value::Object(json)
    }

    fn list(
        &mut self,
        items: &[Node],
        item: &'static Kind,
        least: usize,
        path: &str,
        at: At,
    ) -> Value {
        if items.len() < least {
            let message = format!("`{path}` must not be empty");
            self.problem(at, code::BAD_VALUE, message, None);
            return Value::Null;
        }
        let item =
            |(i, node): (usize, &Node)| self.node(node, item, &format!("{path}[{i}]"), node.at);
        Value::Array(items.iter().enumerate().map(item).collect())
    }

    fn scalar(
        &mut self,
        value: &Value,
        kind: &Kind,
        path: &str,
        (at, quote): (At, Quote),
    ) -> Value {
        let Some((value, rendered)) = self.render(value, kind, path, at) else {
            return Value::Null;
        };
        if value.is_null() {
            return self.no_value(kind, path, at);
        }
        if !rendered && matches!(kind, Kind::Filter) {
            self.places.quotes.insert(path.to_owned(), quote);
        }
        match typed(&value, kind, rendered, &self.limits) {
            Ok(value) => value,
            Err(mut wrong) => {
                if rendered && wrong.code == code::WRONG_TYPE {
                    let help = "a value that is one {{ … }} keeps its type, any other is a text";
                    wrong.help = Some(help.to_owned());
                }
                let at = match (wrong.character, value.as_str()) {
                    (Some(n), Some(text)) if !rendered => quote.place(at, text, n),
                    _ => at,
                };
                self.problem(
                    at,
                    wrong.code,
                    format!("`{path}`: {}", wrong.message),
                    wrong.help,
                );
                Value::Null
            }
        }
    }

    fn no_value(&mut self, kind: &Kind, path: &str, at: At) -> Value {
        let message = format!("`{path}` has no value");
        let help = format!(
            "expected {}; or remove the key",
            expected(kind, &self.limits)
        );
        self.problem(at, code::WRONG_TYPE, message, Some(help));
        Value::Null
    }

    /// The value with its templates rendered, and whether there were any. `None`: a hole.
    fn render(&mut self, value: &Value, kind: &Kind, path: &str, at: At) -> Option<(Value, bool)> {
        let template = |text: &&str| !self.literal && is_template(text);
        let Some(text) = value.as_str().filter(template) else {
            return Some((value.clone(), false));
        };
        let allowed = !matches!(
            kind,
            Kind::Text(Rule {
                templates: false,
                ..
            })
        );
        let Some(scope) = self.scope.filter(|_| allowed) else {
            let message = format!("`{path}` cannot hold a template");
            self.problem(
                at,
                code::TEMPLATE,
                message,
                Some("write the value itself".into()),
            );
            return None;
        };
        match scope.render(text) {
            Ok(Rendered::Unknown) => None,
            Ok(Rendered::Value(value)) => {
                let secret = value.as_str().and_then(credentials::find);
                if let Some((_, what, _)) = secret {
                    self.problems
                        .push(credentials::problem(self.file, at, what));
                    return None;
                }
                Some((value, true))
            }
            Err(wrong) => {
                let message = format!("`{path}`: {}", wrong.message);
                self.problem(at, code::TEMPLATE, message, wrong.help);
                None
            }
        }
    }

    fn wrong_type(&mut self, node: &Node, kind: &Kind, path: &str) -> Value {
        let message = format!(
            "`{path}`: expected {}, found {}",
            expected(kind, &self.limits),
            node.describe()
        );
        let help = match (kind, &node.kind) {
            // `key: {{ x }}` without quotes.
            (_, NodeKind::Map(entries)) if entries.is_empty() => {
                Some("a template needs quotes: \"{{ … }}\"".to_owned())
            }
            (Kind::List(..), NodeKind::Scalar { text, .. }) => {
                Some(format!("a list of one is [{}]", shorten(text)))
            }
            _ => None,
        };
        self.problem(node.at, code::WRONG_TYPE, message, help);
        Value::Null
    }

    fn problem(&mut self, at: At, code: &'static str, message: String, help: Option<String>) {
        self.problems.push(Problem {
            place: place(self.file, at),
            code,
            message,
            help,
        });
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

/// The stage that has this key, for "it belongs under".
fn stage_of(name: &str) -> Option<&'static str> {
    let has = |key: &&Key| match key.kind {
        Kind::Map(map) => map.keys.iter().any(|inner| inner.name == name),
        _ => false,
    };
    PIPELINE.keys.iter().find(has).map(|key| key.name)
}
