//! From a filter's text to its steps, character by character.

use std::iter::Peekable;
use std::str::Chars;

use super::{FilterError, Step, error, is_plain};

/// A step with the place of its first character.
pub(super) type PlacedStep = (usize, Step);

pub(super) struct Parser<'a> {
    chars: Peekable<Chars<'a>>,
    /// Characters read.
    at: usize,
}

impl<'a> Parser<'a> {
    pub(super) fn new(text: &'a str) -> Parser<'a> {
        Parser {
            chars: text.chars().peekable(),
            at: 0,
        }
    }

    fn peek(&mut self) -> Option<char> {
        self.chars.peek().copied()
    }

    fn take(&mut self) -> Option<char> {
        let c = self.chars.next()?;
        self.at += 1;
        Some(c)
    }

    fn take_if(&mut self, wanted: char) -> bool {
        let there = self.peek() == Some(wanted);
        if there {
            self.take();
        }
        there
    }

    /// What the parser stands before, for "found …".
    fn found(&mut self) -> String {
        self.peek()
            .map_or_else(|| "the end".to_owned(), |c| format!("`{c}`"))
    }

    pub(super) fn root(&mut self) -> Result<(), FilterError> {
        if self.take_if('$') {
            return Ok(());
        }
        let message = format!("must begin with `$`, found {}", self.found());
        Err(error(self.at, message, "`$` alone keeps everything"))
    }

    pub(super) fn step(&mut self) -> Result<Option<PlacedStep>, FilterError> {
        let at = self.at;
        let step = match self.peek() {
            None => return Ok(None),
            Some('[') => self.bracket()?,
            Some('.') => {
                self.take();
                match self.peek() {
                    Some('[') => self.bracket()?,
                    Some('*') => {
                        self.take();
                        Step::Any
                    }
                    Some('.') => return Err(unsupported(at, "`..`, a search in all depths,")),
                    _ => self.name()?,
                }
            }
            Some(c) => {
                let message = format!("expected `.` or `[`, found `{c}`");
                let help = "after `$` come steps such as `.name`, `['name']`, `[0]` or `[1:]`";
                return Err(error(at, message, help));
            }
        };
        Ok(Some((at, step)))
    }

    fn name(&mut self) -> Result<Step, FilterError> {
        let mut name = String::new();
        while let Some(c) = self.peek().filter(|c| is_plain(*c)) {
            name.push(c);
            self.take();
        }
        if self.peek() == Some('(') {
            return Err(unsupported(self.at, "a function"));
        }
        if name.is_empty() {
            let message = format!("expected a name after `.`, found {}", self.found());
            let help = "a name with other characters than letters, digits, `_` and `-` stands in \
                        brackets: `['a b']`";
            return Err(error(self.at, message, help));
        }
        Ok(Step::Names(vec![name]))
    }

    fn bracket(&mut self) -> Result<Step, FilterError> {
        self.take();
        let step = match self.peek() {
            Some('\'') => self.names()?,
            Some('*') => {
                self.take();
                Step::Any
            }
            Some('?') => return Err(unsupported(self.at, "a condition")),
            Some('"') => {
                let message = "names stand in single quotes, found `\"`";
                return Err(error(self.at, message, "write `['name']`"));
            }
            _ => self.places()?,
        };
        if self.take_if(']') {
            return Ok(step);
        }
        Err(self.unclosed(&step))
    }

    fn unclosed(&mut self, step: &Step) -> FilterError {
        if matches!(step, Step::Range { .. } | Step::Indexes(_))
            && matches!(self.peek(), Some(':' | ','))
        {
            let message = "mixes ranges and places, or has two ranges; only one range such as \
                           `[1:5]` is supported";
            let help = "list the places, `$[0,5,6]`, or put the columns that are kept first and \
                        use one open range, `$[2:]`";
            return error(self.at, message, help);
        }
        let blank = self.peek() == Some(' ');
        let message = format!("expected `,` or `]`, found {}", self.found());
        let help = if blank {
            "remove the blank"
        } else {
            "close the brackets"
        };
        error(self.at, message, help)
    }

    fn names(&mut self) -> Result<Step, FilterError> {
        let mut names = vec![self.quoted()?];
        while self.take_if(',') {
            if self.peek() != Some('\'') {
                let message = format!("expected a name in single quotes, found {}", self.found());
                return Err(error(self.at, message, "write `['a','b']`, without blanks"));
            }
            let at = self.at;
            names.push(self.quoted()?);
            nested(at, &names)?;
        }
        Ok(Step::Names(names))
    }

    fn quoted(&mut self) -> Result<String, FilterError> {
        self.take();
        let mut name = String::new();
        loop {
            match self.peek() {
                Some('\'') => break,
                Some(c) if c != '\\' && !c.is_control() => name.push(c),
                _ => {
                    let message =
                        format!("expected the name's closing `'`, found {}", self.found());
                    let help = "a name cannot hold `'`, `\\` or control characters";
                    return Err(error(self.at, message, help));
                }
            }
            self.take();
        }
        if name.is_empty() {
            let message = "has a name without characters";
            return Err(error(self.at, message, "write `['name']`"));
        }
        self.take();
        Ok(name)
    }

    /// Places or a range.
    fn places(&mut self) -> Result<Step, FilterError> {
        let start = match self.peek() {
            Some(':') => None,
            _ => Some(self.integer()?),
        };
        if self.take_if(':') {
            let end = match self.peek() {
                Some(']') => None,
                _ => Some(self.integer()?),
            };
            if start.is_none() && end.is_none() {
                let message = "has a range with neither a start nor an end";
                return Err(error(self.at, message, "`$` alone keeps everything"));
            }
            return Ok(Step::Range { start, end });
        }
        let mut indexes: Vec<i32> = start.into_iter().collect();
        while self.take_if(',') {
            indexes.push(self.integer()?);
        }
        Ok(Step::Indexes(indexes))
    }

    fn integer(&mut self) -> Result<i32, FilterError> {
        let at = self.at;
        let mut digits = String::new();
        if self.take_if('-') {
            digits.push('-');
        }
        while let Some(c) = self.peek().filter(char::is_ascii_digit) {
            digits.push(c);
            self.take();
        }
        if digits.is_empty() || digits == "-" {
            let message = format!("expected a whole number, found {}", self.found());
            let help = match self.peek() {
                Some(' ') => "remove the blank",
                Some(':') => "only one range such as `[1:5]` is supported",
                _ => {
                    "places count from 0, or from the end: `$[0,-1]`; names need quotes: `['age']`"
                }
            };
            return Err(error(self.at, message, help));
        }
        let number = digits.parse();
        number.map_err(|_| error(at, format!("`{digits}` is no place"), "places count from 0"))
    }
}

/// Within brackets of several names none may be a path.
fn nested(at: usize, names: &[String]) -> Result<(), FilterError> {
    let path = |name: &&String| name.contains('.');
    match names.iter().find(path) {
        Some(name) => {
            let message = format!("`{name}`: of several names in brackets none may hold a `.`");
            let help = "the service does not go deeper there: name attributes of one level";
            Err(error(at, message, help))
        }
        None => Ok(()),
    }
}

fn unsupported(at: usize, what: &str) -> FilterError {
    let help = "the service knows `$`, `.name`, `*`, `['a','b']`, `[0,-1]` and `[1:]`";
    error(at, format!("{what} is not supported"), help)
}
