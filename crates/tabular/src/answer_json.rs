//! Where the parts of a JSON text are, without making values of them: numbers keep their digits.
//!
//! What is not asked for is checked for its brackets and quotes only. `NaN` and `Infinity`, which
//! Python writes and JSON has not, pass as words; no number is made of them later.

use std::borrow::Cow;

use crate::answer_bytes::is_space;
use crate::json_text::is_number;

/// Brackets within one another, at most: a bit each, in one number.
const MAX_DEPTH: u32 = 128;

/// How far into a value its bytes have come.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Nesting {
    depth: u32,
    /// A bit a bracket that is open, the innermost lowest: 1 for `{`.
    objects: u128,
    in_text: bool,
    escaped: bool,
    /// A number or a word, which does not show its end.
    bare: bool,
}

impl Nesting {
    pub(crate) fn is_bare(&self) -> bool {
        self.bare
    }

    /// Takes a byte; true if the value ends with it.
    pub(crate) fn take(&mut self, byte: u8) -> Result<bool, &'static str> {
        if self.in_text {
            return Ok(self.take_text(byte));
        }
        match byte {
            _ if self.bare => Ok(false),
            b'"' => {
                self.in_text = true;
                Ok(false)
            }
            b'{' | b'[' => self.open(byte == b'{'),
            b'}' | b']' => self.close(byte == b'}'),
            _ => {
                self.bare = self.depth == 0;
                Ok(false)
            }
        }
    }

    fn take_text(&mut self, byte: u8) -> bool {
        if self.escaped {
            self.escaped = false;
            return false;
        }
        self.escaped = byte == b'\\';
        self.in_text = byte != b'"';
        !self.in_text && self.depth == 0
    }

    fn open(&mut self, object: bool) -> Result<bool, &'static str> {
        if self.depth == MAX_DEPTH {
            return Err("JSON of at most 128 brackets within one another");
        }
        self.depth += 1;
        self.objects = self.objects << 1 | u128::from(object);
        Ok(false)
    }

    fn close(&mut self, object: bool) -> Result<bool, &'static str> {
        if self.depth == 0 || (self.objects & 1 == 1) != object {
            return Err("JSON; a bracket closes that is not open");
        }
        self.depth -= 1;
        self.objects >>= 1;
        Ok(self.depth == 0)
    }
}

/// Walks over the text of one list or object.
struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    fn skip_space(&mut self) {
        let rest = &self.text.as_bytes()[self.at..];
        self.at += rest.iter().take_while(|b| is_space(**b)).count();
    }

    fn peek(&mut self) -> Option<u8> {
        self.skip_space();
        self.text.as_bytes().get(self.at).copied()
    }

    /// Takes a byte if it comes next.
    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn value(&mut self) -> Result<&'a str, &'static str> {
        self.skip_space();
        let start = self.at;
        let mut nesting = Nesting::default();
        for (at, byte) in self.text.bytes().enumerate().skip(start) {
            let ends = is_space(byte) || matches!(byte, b',' | b']' | b'}' | b':');
            if ends && (nesting.is_bare() || at == start) {
                self.at = at;
                break;
            }
            if nesting.take(byte)? {
                self.at = at + 1;
                break;
            }
        }
        let found = &self.text[start..self.at];
        (!found.is_empty()).then_some(found).ok_or("a JSON value")
    }

    /// A comma: more comes; or the closing byte at the end of the text.
    fn more(&mut self, close: u8) -> Result<bool, &'static str> {
        if self.eat(b',') {
            return Ok(true);
        }
        if self.eat(close) && self.peek().is_none() {
            return Ok(false);
        }
        Err("JSON; a comma or the closing bracket must come here")
    }
}

/// The items of a list.
pub(crate) fn items(text: &str) -> Result<Vec<&str>, &'static str> {
    let mut cursor = Cursor { text, at: 0 };
    if !cursor.eat(b'[') {
        return Err("a list");
    }
    let mut items = Vec::new();
    if cursor.peek() == Some(b']') {
        cursor.more(b']')?;
        return Ok(items);
    }
    loop {
        items.push(cursor.value()?);
        if !cursor.more(b']')? {
            return Ok(items);
        }
    }
}

/// The members of an object, in their order.
pub(crate) fn members(text: &str) -> Result<Vec<(Cow<'_, str>, &str)>, &'static str> {
    let mut cursor = Cursor { text, at: 0 };
    if !cursor.eat(b'{') {
        return Err("an object");
    }
    let mut members = Vec::new();
    if cursor.peek() == Some(b'}') {
        cursor.more(b'}')?;
        return Ok(members);
    }
    loop {
        let name = string(cursor.value()?).ok_or("JSON; a name in quotes must come here")?;
        if !cursor.eat(b':') {
            return Err("JSON; a colon must follow a name");
        }
        members.push((name, cursor.value()?));
        if !cursor.more(b'}')? {
            return Ok(members);
        }
    }
}

/// A member by its name, of which there must not be two.
pub(crate) fn member<'a>(
    members: &[(Cow<'_, str>, &'a str)],
    name: &str,
) -> Result<Option<&'a str>, &'static str> {
    let mut named = members.iter().filter(|(n, _)| n == name);
    match (named.next(), named.next()) {
        (_, Some(_)) => Err("a name once in an object"),
        (found, None) => Ok(found.map(|(_, value)| *value)),
    }
}

/// A text without its quotes and escapes; `None` if it is something else.
fn string(text: &str) -> Option<Cow<'_, str>> {
    let inner = text.strip_prefix('"')?.strip_suffix('"')?;
    if memchr::memchr2(b'\\', b'"', inner.as_bytes()).is_none() {
        let plain = inner.bytes().all(|b| b >= b' ');
        return plain.then_some(Cow::Borrowed(inner));
    }
    serde_json::from_str(text).ok().map(Cow::Owned)
}

/// A value that has no parts: its text, or `None` for null.
pub(crate) fn scalar(text: &str) -> Result<Option<Cow<'_, str>>, &'static str> {
    match text.as_bytes().first() {
        Some(b'"') => string(text).map(Some).ok_or("a text of JSON"),
        Some(b'[' | b'{') => Err("a single value"),
        _ if text == "null" => Ok(None),
        _ if is_number(text.as_bytes())
            || matches!(text, "true" | "false" | "NaN" | "Infinity" | "-Infinity") =>
        {
            Ok(Some(Cow::Borrowed(text)))
        }
        _ => Err("a value of JSON"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    #[test]
    fn parts_of_lists_and_objects() {
        assert_eq!(
            items(" [ 1 ,[2,3], \"a,]\" ] ").unwrap(),
            ["1", "[2,3]", "\"a,]\""]
        );
        assert!(items("[]").unwrap().is_empty() && members("{ }").unwrap().is_empty());
        let found = members(r#"{"a" : {"b":[1,{}]}, "c\u0041\"":null}"#).unwrap();
        assert_eq!(found[0], ("a".into(), r#"{"b":[1,{}]}"#));
        assert_eq!(found[1], ("cA\"".into(), "null"));
        for bad in [
            "[1 2]",
            "[1,]",
            "[,1]",
            "[1",
            "[1]]",
            "[1}",
            "{\"a\"}",
            "{\"a\" 1}",
            "{a:1}",
            "{\"a\":}",
            "{\"a\":1,}",
            "[1] 2",
            "1",
            "",
        ] {
            assert!(items(bad).is_err() && members(bad).is_err(), "{bad}");
        }
        let deep = |n| "[".repeat(n) + &"]".repeat(n);
        assert!(items(&format!("[{}]", deep(128))).is_ok());
        assert!(items(&format!("[{}]", deep(129))).is_err());
    }

    #[test]
    fn a_name_twice_is_no_answer() {
        let found = members(r#"{"a":1,"b":2,"a":1}"#).unwrap();
        assert_eq!(member(&found, "b"), Ok(Some("2")));
        assert_eq!(member(&found, "c"), Ok(None));
        assert!(member(&found, "a").is_err());
    }

    #[test]
    fn single_values() {
        for (text, value) in [
            ("1e-3", "1e-3"),
            ("true", "true"),
            (r#""a\n\"b""#, "a\n\"b"),
            ("NaN", "NaN"),
        ] {
            assert_eq!(scalar(text).unwrap().unwrap(), value);
        }
        assert_eq!(scalar("null"), Ok(None));
        for bad in [
            "nan", "1.", "0.120.34", "[1]", "{}", "\"a", "True", "'a'", "",
        ] {
            assert!(scalar(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        /// A value that the library writes has the parts that the library has.
        #[test]
        fn parts_are_those_of_the_library(numbers in prop::collection::vec(any::<f64>().prop_filter("JSON has no NaN", |v| v.is_finite()), 0..5), text: String, name: String) {
            let value = serde_json::json!({ "n": numbers, "t": [text, { name.clone(): null }] });
            let written = if text.len() % 2 == 0 { value.to_string() } else { serde_json::to_string_pretty(&value).unwrap() };
            let found = members(&written).unwrap();
            let list: Vec<f64> = items(found[0].1).unwrap().iter().map(|n| n.parse().unwrap()).collect();
            prop_assert_eq!(list, numbers);
            let parts = items(found[1].1).unwrap();
            prop_assert_eq!(scalar(parts[0]).unwrap().unwrap(), text);
            prop_assert_eq!(&members(parts[1]).unwrap()[0].0, &name);
        }

        #[test]
        fn what_the_library_refuses_is_refused_or_never_asked_for(text in "[\\[\\]{}\",:0a \\\\n]{0,24}") {
            if let Ok(found) = items(&text) {
                let whole = serde_json::from_str::<Value>(&text).is_ok();
                let parts = found.iter().all(|p| serde_json::from_str::<Value>(p).is_ok());
                prop_assert_eq!(whole, parts, "{}", text);
            }
        }
    }
}
