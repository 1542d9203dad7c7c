//! YAML text to a tree in which every node knows its place.
//!
//! YAML 1.2 core schema: plain `yes` and `no` are strings, `true` and `false` are booleans,
//! quoted scalars are always strings. Refused with a place: a key twice, anchors and aliases,
//! tags, several documents, keys that are not scalars, and files beyond the bounds in
//! [`crate::limits`].

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span};
use serde_json::{Number, Value};

use crate::credentials;
use crate::limits::{FILE_BYTES, FILE_DEPTH, FILE_NODES};
use crate::problem::{Place, Problem, Problems, code};

/// A parsed pipeline file: not yet looked at for meaning.
#[derive(Clone)]
pub struct Document {
    pub(crate) file: String,
    pub(crate) root: Node,
    /// Problems that do not stop the reading: duplicate keys, credentials.
    pub(crate) problems: Vec<Problem>,
    /// Texts that must not appear in any message.
    pub(crate) secrets: credentials::Secrets,
}

impl std::fmt::Debug for Document {
    // By hand, since the tree may hold what should not be printed.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Document")
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

/// Line and column, both from 1.
pub(crate) type At = (u32, u32);

/// A node with the place of its first character.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) at: At,
    pub(crate) kind: NodeKind,
}

#[derive(Clone, Debug)]
pub(crate) enum NodeKind {
    /// A scalar's text, and what the core schema makes of it.
    Scalar {
        text: String,
        value: Value,
        quote: Quote,
    },
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// How a scalar stands in the file, so that the place of one of its characters is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quote {
    /// As it is.
    Plain,
    /// In single quotes, where a quote is doubled.
    Single,
    /// In double quotes, where `"` and `\\` have a `\\` before them.
    Double,
    /// Over several lines, or with other escapes: only its beginning is known.
    Unknown,
}

impl Quote {
    /// Of a scalar with this text, where the file goes on with `source` from its beginning.
    fn of(style: ScalarStyle, text: &str, source: &str) -> Quote {
        let (quote, written) = match style {
            ScalarStyle::Plain => (Quote::Plain, text.to_owned()),
            ScalarStyle::SingleQuoted => (Quote::Single, format!("'{}'", text.replace('\'', "''"))),
            ScalarStyle::DoubleQuoted => {
                let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
                (Quote::Double, format!("\"{escaped}\""))
            }
            _ => return Quote::Unknown,
        };
        if !written.contains(['\n', '\r']) && source.starts_with(&written) {
            quote
        } else {
            Quote::Unknown
        }
    }

    /// Columns from the scalar's beginning to its character `n`, from 0.
    fn width(self, text: &str, n: usize) -> usize {
        let columns = |c: char| match (self, c) {
            (Quote::Single, '\'') | (Quote::Double, '"' | '\\') => 2,
            _ => 1,
        };
        let opening = usize::from(self != Quote::Plain);
        opening + text.chars().take(n).map(columns).sum::<usize>()
    }

    /// The place of character `n`, from 0, of a scalar that begins at `at`.
    pub(crate) fn place(self, at: At, text: &str, n: usize) -> At {
        if self == Quote::Unknown {
            return at;
        }
        let columns = u32::try_from(self.width(text, n)).unwrap_or(0);
        (at.0, at.1.saturating_add(columns))
    }
}

/// One key of a mapping with its value; in the file's order.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) at: At,
    pub(crate) node: Node,
}

impl Node {
    /// What a person calls it.
    pub(crate) fn describe(&self) -> String {
        match &self.kind {
            NodeKind::List(_) => "a list".into(),
            NodeKind::Map(_) => "a mapping".into(),
            NodeKind::Scalar {
                value: Value::Null, ..
            } => "nothing".into(),
            NodeKind::Scalar { value, .. } => describe_value(value),
        }
    }
}

/// A scalar value as a person calls it, shortened.
pub(crate) fn describe_value(value: &Value) -> String {
    match value {
        Value::Null => "nothing".into(),
        Value::Bool(b) => format!("the boolean {b}"),
        Value::Number(n) => format!("the number {n}"),
        Value::String(s) => format!("the text `{}`", shorten(s)),
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "a mapping".into(),
    }
}

/// At most 80 characters of a text, on one line.
pub(crate) fn shorten(text: &str) -> String {
    let line: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if line.chars().count() <= 80 {
        return line;
    }
    line.chars().take(79).chain(['…']).collect()
}

/// Reads a pipeline file. `file` is its name for messages.
///
/// # Errors
/// What keeps the text from being a tree. Mistakes of meaning are found by [`crate::resolve`].
pub fn parse(text: &str, file: &str) -> Result<Document, Problems> {
    let nothing = Nothing {
        message: "the file holds no pipeline",
        help: "a pipeline begins with `version: 1` and `name: …`",
    };
    parse_as(text, file, nothing)
}

/// What is said of a file that holds nothing.
#[derive(Clone, Copy)]
pub(crate) struct Nothing {
    pub(crate) message: &'static str,
    pub(crate) help: &'static str,
}

/// [`parse`] of a file that is meant to be something.
pub(crate) fn parse_as(text: &str, file: &str, nothing: Nothing) -> Result<Document, Problems> {
    if text.len() > FILE_BYTES {
        let message = format!(
            "the file has {} bytes; at most {FILE_BYTES} are read",
            text.len()
        );
        return Err(Problems(vec![Problem::new(
            place(file, (1, 1)),
            code::TOO_LARGE,
            message,
        )]));
    }
    let (mut problems, secrets) = credentials::scan(text, file);
    let mut builder = Builder::new(file, nothing);
    let built = builder.build(text);
    problems.append(&mut builder.problems);
    match built {
        Ok(root) => Ok(Document {
            file: file.to_owned(),
            root,
            problems,
            secrets,
        }),
        Err(problem) => {
            problems.push(*problem);
            Err(secrets.redact(Problems(problems)).sorted())
        }
    }
}

pub(crate) fn place(file: &str, at: At) -> Place {
    Place {
        file: file.to_owned(),
        line: at.0,
        column: at.1,
    }
}

fn at(mark: &Marker) -> At {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    (
        number(mark.line()).max(1),
        number(mark.col()).saturating_add(1),
    )
}

/// A mapping or list that is still open.
enum Open {
    List {
        at: At,
        items: Vec<Node>,
    },
    Map {
        at: At,
        entries: Vec<Entry>,
        key: Option<Key>,
    },
}

/// A key whose value is still to come.
struct Key {
    text: String,
    at: At,
}

struct Builder<'a> {
    file: &'a str,
    nothing: Nothing,
    problems: Vec<Problem>,
    open: Vec<Open>,
    root: Option<Node>,
    nodes: usize,
    documents: usize,
    source: &'a str,
    /// Characters and bytes of the source that lie before the last scalar.
    passed: (usize, usize),
}

type Stop = Box<Problem>;

impl<'a> Builder<'a> {
    fn new(file: &'a str, nothing: Nothing) -> Builder<'a> {
        let (problems, open) = (Vec::new(), Vec::new());
        Builder {
            file,
            nothing,
            problems,
            open,
            root: None,
            nodes: 0,
            documents: 0,
            source: "",
            passed: (0, 0),
        }
    }

    fn stop(&self, at: At, code: &'static str, message: impl Into<String>) -> Stop {
        Box::new(Problem::new(place(self.file, at), code, message))
    }

    fn build(&mut self, text: &'a str) -> Result<Node, Stop> {
        self.source = text;
        for event in Parser::new_from_str(text) {
            let (event, span) = event.map_err(|error| self.syntax(&error))?;
            self.event(event, &span)?;
        }
        let empty = || {
            let Nothing { message, help } = self.nothing;
            Box::new(Problem::new(place(self.file, (1, 1)), code::SYNTAX, message).help(help))
        };
        let root = self.root.take().ok_or_else(empty)?;
        match root.kind {
            NodeKind::Scalar {
                value: Value::Null, ..
            } => Err(empty()),
            _ => Ok(root),
        }
    }

    fn syntax(&self, error: &ScanError) -> Stop {
        if error.info().contains("recursion limit") {
            let message = format!("nested more than {FILE_DEPTH} levels deep");
            return self.stop(at(error.marker()), code::TOO_LARGE, message);
        }
        let message = format!("not valid YAML: {}", shorten(error.info()));
        let problem = self.stop(at(error.marker()), code::SYNTAX, message);
        if error.info().contains("tab") {
            return Box::new(problem.help("YAML is indented with spaces, never with tabs"));
        }
        problem
    }

    fn event(&mut self, event: Event<'_>, span: &Span) -> Result<(), Stop> {
        let here = at(&span.start);
        match event {
            Event::DocumentStart(_) => self.document(here),
            Event::Alias(_) => Err(self.anchor(here)),
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse(here, anchor, tag.is_some())?;
                let value = if style == ScalarStyle::Plain {
                    core_schema(&text)
                } else {
                    Value::String(text.to_string())
                };
                let quote = Quote::of(style, &text, self.source_from(span.start.index()));
                let text = text.into_owned();
                self.node(Node {
                    at: here,
                    kind: NodeKind::Scalar { text, value, quote },
                })
            }
            Event::SequenceStart(anchor, tag) => {
                self.refuse(here, anchor, tag.is_some())?;
                self.push(
                    Open::List {
                        at: here,
                        items: Vec::new(),
                    },
                    here,
                )
            }
            Event::MappingStart(anchor, tag) => {
                self.refuse(here, anchor, tag.is_some())?;
                self.push(
                    Open::Map {
                        at: here,
                        entries: Vec::new(),
                        key: None,
                    },
                    here,
                )
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
        }
    }

    /// The source from a character on. Scalars come in order, so it is read once in all.
    fn source_from(&mut self, index: usize) -> &'a str {
        let (chars, bytes) = self.passed;
        let rest = self.source.get(bytes..).unwrap_or_default();
        let Some(ahead) = index.checked_sub(chars) else {
            return "";
        };
        let more = rest.char_indices().nth(ahead);
        let more = more.map_or(rest.len(), |(at, _)| at);
        self.passed = (index, bytes + more);
        &rest[more..]
    }

    fn document(&mut self, here: At) -> Result<(), Stop> {
        self.documents += 1;
        if self.documents == 1 {
            return Ok(());
        }
        let message = "a second document begins here; a file holds one pipeline";
        Err(self.stop(here, code::UNSUPPORTED_YAML, message))
    }

    fn refuse(&self, here: At, anchor: usize, tagged: bool) -> Result<(), Stop> {
        if anchor > 0 {
            return Err(self.anchor(here));
        }
        if tagged {
            let message = "YAML tags (`!…`) are not accepted";
            return Err(self.stop(here, code::UNSUPPORTED_YAML, message));
        }
        Ok(())
    }

    fn anchor(&self, here: At) -> Stop {
        let message = "YAML anchors and aliases (`&…`, `*…`) are not accepted";
        let help = "write the value out; a text that begins with `*` or `&` needs quotes";
        Box::new(self.stop(here, code::UNSUPPORTED_YAML, message).help(help))
    }

    fn push(&mut self, open: Open, here: At) -> Result<(), Stop> {
        // `{{ x }}` without quotes is, to YAML, a mapping that is the key of a mapping.
        if let Some(Open::Map { at, key: None, .. }) = self.open.last() {
            let message = "a key must be plain text, not a list or a mapping";
            let at = if matches!(open, Open::Map { .. }) {
                *at
            } else {
                here
            };
            let help = "a template needs quotes: \"{{ … }}\"";
            return Err(Box::new(self.stop(at, code::SYNTAX, message).help(help)));
        }
        if self.open.len() >= FILE_DEPTH {
            let message = format!("nested more than {FILE_DEPTH} levels deep");
            return Err(self.stop(here, code::TOO_LARGE, message));
        }
        self.open.push(open);
        Ok(())
    }

    fn close(&mut self) -> Result<(), Stop> {
        let node = match self.open.pop() {
            Some(Open::List { at, items }) => Node {
                at,
                kind: NodeKind::List(items),
            },
            Some(Open::Map { at, entries, .. }) => Node {
                at,
                kind: NodeKind::Map(entries),
            },
            None => return Ok(()),
        };
        self.node(node)
    }

    fn node(&mut self, node: Node) -> Result<(), Stop> {
        self.nodes += 1;
        if self.nodes > FILE_NODES {
            let message = format!("the file has more than {FILE_NODES} keys and values");
            return Err(self.stop(node.at, code::TOO_LARGE, message));
        }
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open::List { items, .. }) => items.push(node),
            Some(Open::Map { entries, key, .. }) => match key.take() {
                Some(Key { text, at }) => {
                    let first = entries.iter().find(|e| e.key == text).map(|e| e.at.0);
                    match first {
                        Some(line) => self.problems.push(duplicate(self.file, at, &text, line)),
                        None => entries.push(Entry {
                            key: text,
                            at,
                            node,
                        }),
                    }
                }
                None => {
                    if let NodeKind::Scalar { text, .. } = node.kind {
                        *key = Some(Key { text, at: node.at });
                    }
                }
            },
        }
        Ok(())
    }
}

fn duplicate(file: &str, at: At, key: &str, first: u32) -> Problem {
    let message = format!("`{}` is already there, on line {first}", shorten(key));
    Problem::new(place(file, at), code::DUPLICATE_KEY, message).help("keep one of them")
}

/// What YAML 1.2.2 §10.3.2 makes of a plain scalar. Integers beyond 64 bits become floats;
/// infinities and NaN stay text, since no key takes them.
pub(crate) fn core_schema(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    integer(text)
        .or_else(|| float(text))
        .unwrap_or_else(|| Value::String(text.to_owned()))
}

fn integer(text: &str) -> Option<Value> {
    let radix = |digits: &str, radix| i64::from_str_radix(digits, radix).ok();
    let unsigned = |digits: &&str| digits.starts_with(|c: char| c.is_ascii_alphanumeric());
    if let Some(digits) = text.strip_prefix("0x").filter(unsigned) {
        return radix(digits, 16).map(Value::from);
    }
    if let Some(digits) = text.strip_prefix("0o").filter(unsigned) {
        return radix(digits, 8).map(Value::from);
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse::<i64>()
        .map(Value::from)
        .or_else(|_| text.parse::<u64>().map(Value::from))
        .ok()
}

/// `[-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?`
fn float(text: &str) -> Option<Value> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let begins = unsigned.strip_prefix('.').unwrap_or(unsigned);
    if !begins.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    if !unsigned
        .bytes()
        .all(|b| b.is_ascii_digit() || b".eE+-".contains(&b))
    {
        return None;
    }
    text.parse::<f64>()
        .ok()
        .and_then(Number::from_f64)
        .map(Value::Number)
}
