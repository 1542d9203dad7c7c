//! The values of one answer.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::answer_json::{items, member, members, scalar};

/// Where a value is in an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pick {
    /// The n-th value from 0, lists within lists taken as one; of an object of one member, that
    /// member's.
    Cell(usize),
    /// Down into JSON, step by step.
    Path(Vec<Step>),
}

/// A step into a JSON value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// A member of an object.
    Name(String),
    /// An item of a list, from 0.
    Index(usize),
}

impl fmt::Display for Pick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("prediction")?;
        let steps = match self {
            Pick::Cell(index) => return write!(f, "[{index}]"),
            Pick::Path(steps) => steps,
        };
        for step in steps {
            match step {
                Step::Name(name) => write!(f, ".{name}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// What was expected, and what was found unless that is the whole answer.
pub type Unfit = (String, Option<String>);

/// How an answer looks: within a file, all look alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// So many CSV cells.
    Cells(usize),
    /// A list in a line of text.
    List,
    /// A JSON object, list or single value.
    Object,
    Items,
    Single,
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Shape::Cells(1) => f.write_str("1 cell"),
            Shape::Cells(n) => write!(f, "{n} cells"),
            Shape::List | Shape::Items => f.write_str("a list"),
            Shape::Object => f.write_str("an object"),
            Shape::Single => f.write_str("a single value"),
        }
    }
}

/// The values of one answer, as text. Null is none.
#[derive(Debug, Default)]
pub struct Cells {
    text: String,
    /// Where each value ends in `text`, and whether it is null.
    ends: Vec<(usize, bool)>,
    /// The answer itself, if it is JSON.
    json: Option<String>,
}

impl Cells {
    /// Number of values; 0 for an object of several members, whose values have names only.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// True where no value has a number.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// A value from 0, quotes taken off; `None` for null, and where there is none.
    pub fn get(&self, index: usize) -> Option<&str> {
        let (end, is_null) = *self.ends.get(index)?;
        let start = if index == 0 {
            0
        } else {
            self.ends[index - 1].0
        };
        (!is_null).then(|| &self.text[start..end])
    }

    /// The value that is asked for.
    ///
    /// # Errors
    /// [`Unfit`], where there is none, or null, or one of several parts.
    pub fn find(&self, pick: &Pick) -> Result<Cow<'_, str>, Unfit> {
        match pick {
            Pick::Cell(index) => self.cell(*index).map(Cow::Borrowed),
            Pick::Path(steps) => match &self.json {
                Some(json) => down(json, steps),
                None => Err(("an answer in JSON, which has names".into(), None)),
            },
        }
    }

    fn cell(&self, index: usize) -> Result<&str, Unfit> {
        let null = || ("a value".to_owned(), Some("null".to_owned()));
        if self.ends.get(index).is_some_and(|(_, is_null)| *is_null) {
            return Err(null());
        }
        self.get(index).ok_or_else(|| {
            let expected = match &self.json {
                None => format!("a line of at least {} cells", index + 1),
                Some(json) if json.starts_with('{') => {
                    "an object of one member; of several, one by its name, as in \
                     `prediction.score`"
                        .to_owned()
                }
                Some(_) => format!("an answer of at least {} values", index + 1),
            };
            (expected, None)
        })
    }

    fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
        self.json = None;
    }

    fn end_cell(&mut self) {
        self.ends.push((self.text.len(), false));
    }

    /// Takes an answer in JSON.
    pub(crate) fn parse_json(
        &mut self,
        json: &str,
        without: &[&str],
    ) -> Result<Shape, &'static str> {
        self.clear();
        let shape = match json.as_bytes().first() {
            Some(b'{') => {
                let mut members = members(json)?;
                members.retain(|(name, _)| !without.contains(&name.as_ref()));
                if let [(_, only)] = members.as_slice() {
                    self.flatten(only)?;
                }
                Shape::Object
            }
            Some(b'[') => {
                self.flatten(json)?;
                Shape::Items
            }
            _ => {
                self.flatten(json)?;
                Shape::Single
            }
        };
        self.json = Some(json.to_owned());
        Ok(shape)
    }

    /// Adds the single values of JSON, those of lists in their order. From the first object on,
    /// values have no numbers: how many there are would depend on it.
    fn flatten(&mut self, json: &str) -> Result<bool, &'static str> {
        match json.as_bytes().first() {
            Some(b'{') => return members(json).map(|_| false),
            Some(b'[') => {
                for item in items(json)? {
                    if !self.flatten(item)? {
                        return Ok(false);
                    }
                }
            }
            _ => match scalar(json)? {
                Some(text) => {
                    self.text.push_str(&text);
                    self.end_cell();
                }
                None => self.ends.push((self.text.len(), true)),
            },
        }
        Ok(true)
    }

    /// Splits a line. An error is the cell's index and what was expected there.
    pub(crate) fn parse(&mut self, line: &str) -> Result<Shape, (usize, &'static str)> {
        self.clear();
        let trimmed = line.trim();
        if trimmed.starts_with('[') {
            if self.parse_list(trimmed).is_some() {
                return Ok(Shape::List);
            }
            self.clear();
            if self.parse_spaced_list(trimmed).is_some() {
                return Ok(Shape::List);
            }
            self.clear();
        }
        self.parse_csv(line)?;
        Ok(Shape::Cells(self.ends.len()))
    }

    /// RFC 4180 cells of one line.
    fn parse_csv(&mut self, line: &str) -> Result<(), (usize, &'static str)> {
        let mut rest = line;
        loop {
            rest = match rest.strip_prefix('"') {
                Some(quoted) => self.quoted_cell(quoted)?,
                None => {
                    let end = rest.find(',').unwrap_or(rest.len());
                    self.text.push_str(&rest[..end]);
                    &rest[end..]
                }
            };
            self.end_cell();
            match rest.strip_prefix(',') {
                Some(next) => rest = next,
                None if rest.is_empty() => return Ok(()),
                None => return Err((self.ends.len() - 1, "a comma after the closing quote")),
            }
        }
    }

    /// What follows an opening quote, up to the closing one; returns what is behind that.
    fn quoted_cell<'a>(&mut self, mut rest: &'a str) -> Result<&'a str, (usize, &'static str)> {
        loop {
            let Some(quote) = rest.find('"') else {
                return Err((self.ends.len(), "a closing quote on the same line"));
            };
            self.text.push_str(&rest[..quote]);
            rest = &rest[quote + 1..];
            match rest.strip_prefix('"') {
                Some(more) => {
                    self.text.push('"');
                    rest = more;
                }
                None => return Ok(rest),
            }
        }
    }

    /// A Python list of numbers and quoted strings, nested or not, flattened. `None` if the line
    /// is anything else: a label such as `[UNK]` stays a cell.
    fn parse_list(&mut self, line: &str) -> Option<()> {
        let mut rest = line;
        let mut depth = 0usize;
        // True where an element or a list may start, false where a comma or an end must come.
        let mut open = true;
        loop {
            rest = rest.trim_start();
            let first = rest.chars().next()?;
            match first {
                '[' if open => depth += 1,
                ']' => {
                    depth = depth.checked_sub(1)?;
                    open = false;
                }
                ',' if !open => open = true,
                _ if open && depth > 0 => {
                    rest = self.element(rest, first)?;
                    open = false;
                    continue;
                }
                _ => return None,
            }
            rest = &rest[1..];
            if depth == 0 {
                let whole = rest.is_empty() && !self.ends.is_empty();
                return whole.then_some(());
            }
        }
    }

    fn element<'a>(&mut self, rest: &'a str, first: char) -> Option<&'a str> {
        if first == '\'' || first == '"' {
            // Escapes are left alone: then it is no list that is understood here.
            let end = rest[1..]
                .find([first, '\\'])
                .filter(|&e| rest[1 + e..].starts_with(first))?;
            self.text.push_str(&rest[1..1 + end]);
            self.end_cell();
            return Some(&rest[end + 2..]);
        }
        let end = rest.find([',', ']'])?;
        self.word(rest[..end].trim_end())?;
        Some(&rest[end..])
    }

    /// A number or a word of Python's.
    fn word(&mut self, word: &str) -> Option<()> {
        if word == "None" {
            self.ends.push((self.text.len(), true));
            return Some(());
        }
        let known = word.parse::<f64>().is_ok() || matches!(word, "True" | "False");
        self.text.push_str(known.then_some(word)?);
        self.end_cell();
        Some(())
    }

    /// A list of numbers with blanks between them, as numpy prints it: `[0.1 0.9]`. Nothing but
    /// numbers and `True` and `False`, since blanks are part of all else; no commas.
    fn parse_spaced_list(&mut self, line: &str) -> Option<()> {
        let mut depth = 0usize;
        let mut rest = line;
        while let Some(first) = rest.chars().next() {
            match first {
                '[' => depth += 1,
                ']' => depth = depth.checked_sub(1)?,
                ' ' if depth > 0 => {}
                _ if depth > 0 => {
                    let end = rest.find([' ', ']'])?;
                    let word = &rest[..end];
                    (word != "None").then_some(())?;
                    self.word(word)?;
                    rest = &rest[end..];
                    continue;
                }
                _ => return None,
            }
            rest = &rest[1..];
            if depth == 0 && !rest.is_empty() {
                return None;
            }
        }
        (depth == 0 && !self.ends.is_empty()).then_some(())
    }
}

/// Follows a path into JSON, down to a single value.
fn down<'a>(json: &'a str, steps: &[Step]) -> Result<Cow<'a, str>, Unfit> {
    let mut at = json;
    for step in steps {
        let wrong = |expected: String| (expected, Some(at.to_owned()));
        at = match step {
            Step::Name(name) => {
                let members = members(at).map_err(|e| wrong(e.to_owned()))?;
                let found = member(&members, name).map_err(|e| wrong(e.to_owned()))?;
                found.ok_or_else(|| wrong(format!("an object with `{name}`")))?
            }
            Step::Index(index) => {
                let items = items(at).map_err(|e| wrong(e.to_owned()))?;
                let found = items.get(*index).copied();
                found.ok_or_else(|| wrong(format!("a list of at least {} items", index + 1)))?
            }
        };
    }
    let found = scalar(at).map_err(|e| (e.to_owned(), Some(at.to_owned())))?;
    found.ok_or_else(|| ("a value".to_owned(), Some("null".to_owned())))
}
