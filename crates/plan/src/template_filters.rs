//! What expressions of templates may call. A template makes one short value, so there is nothing that
//! goes through lists (`range`, `map`, `batch` …), and each filter is held to
//! [`RENDERED_CHARS`]: no file makes the program take all memory or time.

use std::sync::LazyLock;

use minijinja::value::{Rest, Value, ValueKind, ValueOrKwargs};
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior};

use crate::limits::RENDERED_CHARS;

/// Filters of Jinja that make one value of one, or of a short list.
const FILTERS: &str = "\
    abs attr bool capitalize count d default e escape first float format indent int join last \
    length lines list lower max min replace reverse round sort split string sum title trim \
    unique upper";

/// Tests of Jinja, as in `x is defined`.
const TESTS: &str = "\
    boolean defined divisibleby endingwith eq equalto escaped even false float ge greaterthan \
    gt in int integer iterable le lessthan lower lt mapping ne none number odd safe sameas \
    sequence startingwith string true undefined upper";

/// Most characters that a number takes, whatever the conversion; that of `1e308` as `%f` is 316.
const NUMBER_CHARS: usize = 400;

/// The library's own filters and tests, without limits.
static PLAIN: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut plain = Environment::new();
    plain.set_undefined_behavior(UndefinedBehavior::Strict);
    plain
});

/// An environment that knows these filters and tests, and no functions.
pub(crate) fn environment() -> Environment<'static> {
    let mut environment = Environment::empty();
    for name in FILTERS.split(' ') {
        let filter = move |args: Rest<ValueOrKwargs>| filtered(name, &args.into_values());
        environment.add_filter(name, filter);
    }
    for name in TESTS.split(' ') {
        let test = move |args: Rest<Value>| PLAIN.empty_state().perform_test(name, &args);
        environment.add_test(name, test);
    }
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    environment
}

/// The names that templates may call, for errors.
pub(crate) fn filter_names() -> String {
    FILTERS.replace(' ', ", ")
}

/// What a filter makes takes at most a few times what it is given, but for those that are asked before
/// how much that will be.
fn filtered(name: &str, args: &[Value]) -> Result<Value, Error> {
    let most = match name {
        "format" => format_chars(args),
        "indent" => indent_chars(args),
        "join" => join_chars(args),
        "replace" => replace_chars(args),
        _ => 0,
    };
    if most > RENDERED_CHARS {
        return Err(too_long(name));
    }
    let made = PLAIN.empty_state().apply_filter(name, args)?;
    if size(&made) > RENDERED_CHARS {
        return Err(too_long(name));
    }
    Ok(made)
}

fn too_long(name: &str) -> Error {
    let detail = format!("`{name}` would make more than {RENDERED_CHARS} characters or items");
    Error::new(ErrorKind::InvalidOperation, detail)
}

/// Bytes of a text, items of a list.
fn size(value: &Value) -> usize {
    let text = value.as_str().map(str::len);
    text.or_else(|| value.len()).unwrap_or(0)
}

/// Bytes of a value as text.
fn chars(value: &Value) -> usize {
    match value.as_str() {
        Some(text) => text.len(),
        None => value.to_string().len(),
    }
}

/// The largest number among the arguments, those with names too.
fn largest(args: &[Value]) -> usize {
    let of = |value: &Value| match value.kind() {
        ValueKind::Number => usize::try_from(value.clone()).unwrap_or(usize::MAX),
        ValueKind::Map => {
            let values = value.try_iter().into_iter().flatten();
            let values = values.filter_map(|key| value.get_item(&key).ok());
            values
                .filter(|value| value.kind() == ValueKind::Number)
                .map(|value| usize::try_from(value).unwrap_or(usize::MAX))
                .max()
                .unwrap_or(0)
        }
        _ => 0,
    };
    args.iter().map(of).max().unwrap_or(0)
}

/// Each conversion takes its width, or its precision, or the longest argument.
fn format_chars(args: &[Value]) -> usize {
    let Some((format, args)) = args.split_first() else {
        return 0;
    };
    let format = format.to_string();
    let digits = format.split(|c: char| !c.is_ascii_digit());
    let digits = digits.filter(|run| !run.is_empty());
    let width = digits.map(|run| run.parse().unwrap_or(usize::MAX)).max();
    let starred = if format.contains('*') {
        largest(args)
    } else {
        0
    };
    let longest = args.iter().map(chars).max().unwrap_or(0);
    let of_one = [width.unwrap_or(0), starred, longest, NUMBER_CHARS];
    let of_one = of_one.into_iter().fold(0, usize::saturating_add);
    let conversions = format.matches('%').count();
    of_one
        .saturating_mul(conversions)
        .saturating_add(format.len())
}

fn indent_chars(args: &[Value]) -> usize {
    let Some((text, args)) = args.split_first() else {
        return 0;
    };
    let lines = text.to_string().matches('\n').count() + 1;
    largest(args).saturating_mul(lines)
}

fn join_chars(args: &[Value]) -> usize {
    let separator = args.get(1).map_or(0, chars);
    let items = args.first().and_then(Value::len).unwrap_or(0);
    separator.saturating_mul(items)
}

fn replace_chars(args: &[Value]) -> usize {
    let [text, from, to, ..] = args else { return 0 };
    let (text, from) = (text.to_string(), from.to_string());
    let found = text.matches(from.as_str()).count();
    found.saturating_mul(chars(to)).saturating_add(text.len())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

    use super::*;

    #[test]
    fn each_name_is_one_of_the_library() {
        for name in FILTERS.split(' ') {
            let error = PLAIN.empty_state().apply_filter(name, &[]);
            let kind = error.map_err(|e| e.kind()).err();
            assert_ne!(kind, Some(ErrorKind::UnknownFilter), "{name}");
        }
        for name in TESTS.split(' ') {
            let error = PLAIN.empty_state().perform_test(name, &[]);
            let kind = error.map_err(|e| e.kind()).err();
            assert_ne!(kind, Some(ErrorKind::UnknownTest), "{name}");
        }
    }
}
