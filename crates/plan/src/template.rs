//! Templates: `{{ … }}` inside a scalar, rendered after the YAML is parsed, so that no value can
//! change the file's structure. Undefined names are errors.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;
use minijinja::value::{Kwargs, Object, Serde, Value as Template, ValueKind, from_args};
use minijinja::{Environment, Error, ErrorKind, State, context};
use serde_json::Value;

use crate::limits::{RENDERED_BYTES, RENDERED_CHARS};
use crate::template_expressions::{expressions, multiplies};
use crate::template_filters;
use crate::tree::shorten;

/// A parameter's value, as templates see it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Param {
    Plain(Value),
    Date(Date),
    /// Not known offline: whatever holds it fits any type and is not looked at further.
    Unknown,
}

/// Everything that templates may name.
pub(crate) struct Scope {
    environment: Environment<'static>,
    root: Template,
    /// Full names, for suggestions.
    names: Vec<String>,
    /// Full names whose value is not known.
    unknown: BTreeSet<String>,
}

/// A rendered scalar.
#[derive(Debug, PartialEq)]
pub(crate) enum Rendered {
    Value(Value),
    /// It depends on something that is not known offline.
    Unknown,
}

/// What goes wrong, and what to do.
#[derive(Debug, PartialEq)]
pub(crate) struct TemplateProblem {
    pub(crate) message: String,
    pub(crate) help: Option<String>,
}

/// Whether a text holds a template.
pub(crate) fn is_template(text: &str) -> bool {
    text.contains("{{")
}

impl Scope {
    /// `env` holds declared names only; a `None` is a value that is not known offline.
    pub(crate) fn new(
        params: &BTreeMap<String, Param>,
        env: &BTreeMap<String, Option<String>>,
        now: Timestamp,
        run: (&str, &str),
    ) -> Scope {
        let mut unknown = BTreeSet::new();
        let mut names: Vec<String> = ["now", "now.date", "run.id", "run.key"]
            .map(String::from)
            .to_vec();
        let mut values = BTreeMap::new();
        for (name, param) in params {
            names.push(format!("params.{name}"));
            let value = match param {
                Param::Plain(value) => Template::from(Serde(value)),
                Param::Date(date) => Template::from_object(Day(*date)),
                Param::Unknown => {
                    unknown.insert(format!("params.{name}"));
                    Template::from("")
                }
            };
            values.insert(name.clone(), value);
        }
        for (name, value) in env {
            names.push(format!("env.{name}"));
            if value.is_none() {
                unknown.insert(format!("env.{name}"));
            }
        }
        let env: BTreeMap<_, _> = env
            .iter()
            .map(|(k, v)| (k.clone(), v.clone().unwrap_or_default()))
            .collect();
        let (id, key) = run;
        let root = context! {
            params => Template::from(values),
            env => Template::from(Serde(&env)),
            now => Template::from_object(Now { at: now, zone: TimeZone::UTC }),
            run => context! { id, key },
        };
        Scope {
            environment: template_filters::environment(),
            root,
            names,
            unknown,
        }
    }

    /// Renders a text that [`is_template`]. One that is exactly one `{{ … }}` keeps its type.
    pub(crate) fn render(&self, text: &str) -> Result<Rendered, TemplateProblem> {
        if text.contains("{%") || text.contains("{#") {
            let message = "only `{{ … }}` is accepted in a template, not `{% … %}` or `{# … #}`";
            return Err(TemplateProblem {
                message: message.into(),
                help: None,
            });
        }
        let used = self
            .used(text)
            .map_err(|error| self.explain(text, &error))?;
        self.refuse_undefined(&used)?;
        if used.iter().any(|name| self.is_unknown(name)) {
            return Ok(Rendered::Unknown);
        }
        self.refuse_boundless(text, &used)?;
        let value = self
            .value(text)
            .map_err(|error| self.explain(text, &error))?;
        match &value {
            Value::String(s) if s.chars().count() > RENDERED_CHARS => Err(TemplateProblem {
                message: format!("the rendered text has more than {RENDERED_CHARS} characters"),
                help: None,
            }),
            _ => Ok(Rendered::Value(value)),
        }
    }

    /// Refuses what could make far more than there is in the file: long values named over and over, and
    /// `*`, which repeats texts and lists, of anything but numbers.
    fn refuse_boundless(&self, text: &str, used: &BTreeSet<String>) -> Result<(), TemplateProblem> {
        let longest = used.iter().filter_map(|name| self.known(name));
        let longest = longest.map(|value| value.to_string().len());
        let times = used.iter().map(|name| text.matches(name.as_str()).count());
        let longest = longest.max().unwrap_or(0);
        let most = times.sum::<usize>().saturating_mul(longest);
        if text.len().max(most) > RENDERED_BYTES {
            return Err(TemplateProblem {
                message: format!(
                    "template `{}` and the values it names have more than {RENDERED_BYTES} bytes",
                    shorten(text)
                ),
                help: None,
            });
        }
        for expression in expressions(text) {
            if multiplies(expression) && !self.has_numbers_only(expression) {
                return Err(TemplateProblem {
                    message: format!(
                        "template `{}`: `*` multiplies numbers only, and this expression has other \
                         values or filters",
                        shorten(expression)
                    ),
                    help: Some("numbers are `2`, `params.NAME`, `now.year`".into()),
                });
            }
        }
        Ok(())
    }

    /// Whether an expression has nothing but numbers, operators and names of numbers.
    fn has_numbers_only(&self, expression: &str) -> bool {
        let numeric = |name: &String| {
            self.known(name)
                .is_some_and(|value| value.kind() == ValueKind::Number)
        };
        !expression[2..].contains(['"', '\'', '[', '|', ',', '{', '~'])
            && self
                .used(expression)
                .is_ok_and(|used| used.iter().all(numeric))
    }

    /// The value of a full name.
    fn known(&self, name: &str) -> Option<Template> {
        let mut parts = name.split('.');
        let value = parts.try_fold(self.root.clone(), |value, part| value.get_attr(part).ok());
        value.filter(|value| !value.is_undefined())
    }

    /// The full names (`params.run_date`) that a text uses.
    fn used(&self, text: &str) -> Result<BTreeSet<String>, Error> {
        let template = self.environment.template_from_str(text)?;
        Ok(template.undeclared_variables(true).into_iter().collect())
    }

    fn refuse_undefined(&self, used: &BTreeSet<String>) -> Result<(), TemplateProblem> {
        for name in used {
            let first = name.split('.').next().unwrap_or_default();
            let known = match first {
                "params" | "env" | "run" => {
                    let two: Vec<&str> = name.splitn(3, '.').take(2).collect();
                    two.len() < 2 || self.names.contains(&two.join("."))
                }
                "now" => true,
                _ => self
                    .environment
                    .globals()
                    .any(|(global, _)| global == first),
            };
            if !known {
                return Err(self.undefined(name, first));
            }
        }
        Ok(())
    }

    /// `name` may go on after the value's own name (`params.date.strftime`), or stop before it
    /// (`params`, with the rest computed).
    fn is_unknown(&self, name: &str) -> bool {
        self.unknown.iter().any(|unknown| {
            unknown == name
                || name
                    .strip_prefix(unknown.as_str())
                    .is_some_and(|rest| rest.starts_with('.'))
                || unknown
                    .strip_prefix(name)
                    .is_some_and(|rest| rest.starts_with('.'))
        })
    }

    fn undefined(&self, name: &str, first: &str) -> TemplateProblem {
        let message = format!("`{}` is not defined", shorten(name));
        let help = match nearest(name, self.names.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None if first == "params" => "declare it under `params:`".into(),
            None if first == "env" => "list it under `env:`".into(),
            None => format!("templates know {}", self.names.join(", ")),
        };
        TemplateProblem {
            message,
            help: Some(help),
        }
    }

    fn value(&self, text: &str) -> Result<Value, Error> {
        if let Some(expression) = single_expression(text)
            && let Ok(compiled) = self.environment.compile_expression(expression)
        {
            return to_json(&compiled.eval(self.root.clone())?);
        }
        let text = self.environment.render_str(text, self.root.clone())?;
        Ok(Value::String(text))
    }

    fn explain(&self, text: &str, error: &Error) -> TemplateProblem {
        let what = match error.detail() {
            Some(detail) => detail.to_owned(),
            None => error.kind().to_string(),
        };
        let message = format!("template `{}`: {}", shorten(text), shorten(&what));
        let help = match error.kind() {
            ErrorKind::UndefinedError => Some(format!("templates know {}", self.names.join(", "))),
            ErrorKind::UnknownFilter => {
                let known = template_filters::filter_names();
                Some(format!("a template makes one value; filters are {known}"))
            }
            ErrorKind::SyntaxError => {
                Some("a template is one expression: {{ params.NAME }}".into())
            }
            _ => None,
        };
        TemplateProblem { message, help }
    }
}

/// The inside of a text that is one `{{ … }}` and nothing else, as far as can be seen.
fn single_expression(text: &str) -> Option<&str> {
    let inner = text.trim().strip_prefix("{{")?.strip_suffix("}}")?;
    let marks = ['-', '+'];
    (!inner.starts_with(marks) && !inner.ends_with(marks)).then_some(inner)
}

/// A scalar result; `now` and dates become text.
fn to_json(value: &Template) -> Result<Value, Error> {
    if value.is_undefined() {
        return Err(Error::from(ErrorKind::UndefinedError));
    }
    if let Some(text) = value.as_str() {
        return Ok(Value::String(text.to_owned()));
    }
    if value.as_object().is_some() {
        return Ok(Value::String(value.to_string()));
    }
    serde_json::to_value(value).map_err(|_| {
        Error::new(
            ErrorKind::InvalidOperation,
            "the result is not a plain value",
        )
    })
}

/// The candidate nearest to `word`, if it is near enough to be what was meant.
pub(crate) fn nearest<'a>(
    word: &str,
    candidates: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    let most = (word.chars().count() / 3).clamp(1, 4);
    candidates
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= most)
        .min()
        .map(|(_, candidate)| candidate)
}

fn format_time(format: &str, time: impl Into<strtime::BrokenDownTime>) -> Result<Template, Error> {
    let text = strtime::BrokenDownTime::to_string(&time.into(), format).map_err(|error| {
        let detail = format!(
            "the format `{}` cannot be used here: {error}",
            shorten(format)
        );
        Error::new(ErrorKind::InvalidOperation, detail)
    })?;
    Ok(Template::from(text))
}

fn no_method(name: &str, known: &str) -> Error {
    let detail = format!("there is no `.{}()`; there is {known}", shorten(name));
    Error::new(ErrorKind::UnknownMethod, detail)
}

/// `params.X` of type date: ISO as text, with `.strftime()`, `.year`, `.month`, `.day`.
#[derive(Debug)]
struct Day(Date);

impl Object for Day {
    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Template> {
        match key {
            "year" => Some(Template::from(self.0.year())),
            "month" => Some(Template::from(self.0.month())),
            "day" => Some(Template::from(self.0.day())),
            _ => None,
        }
    }

    fn call_method(
        self: &Arc<Self>,
        _: &mut State<'_, '_>,
        method: &str,
        args: &[Template],
    ) -> Result<Template, Error> {
        match method {
            "strftime" => {
                let (format,): (&str,) = from_args(args)?;
                format_time(format, self.0)
            }
            _ => Err(no_method(method, "`.strftime('%Y-%m-%d')`")),
        }
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// `now`: the instant that the caller read once, in UTC or, by `now(tz='…')`, in another zone.
#[derive(Debug)]
struct Now {
    at: Timestamp,
    zone: TimeZone,
}

impl Object for Now {
    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Template> {
        let zoned = self.at.to_zoned(self.zone.clone());
        match key {
            "date" => Some(Template::from_object(Day(zoned.date()))),
            "year" => Some(Template::from(zoned.year())),
            "month" => Some(Template::from(zoned.month())),
            "day" => Some(Template::from(zoned.day())),
            "hour" => Some(Template::from(zoned.hour())),
            _ => None,
        }
    }

    fn call(self: &Arc<Self>, _: &mut State<'_, '_>, args: &[Template]) -> Result<Template, Error> {
        let (kwargs,): (Kwargs,) = from_args(args)?;
        let name: &str = kwargs.get("tz")?;
        kwargs.assert_all_used()?;
        let zone = TimeZone::get(name).map_err(|_| {
            let detail = format!(
                "`{}` is not a time zone such as 'Asia/Tokyo'",
                shorten(name)
            );
            Error::new(ErrorKind::InvalidOperation, detail)
        })?;
        Ok(Template::from_object(Now { at: self.at, zone }))
    }

    fn call_method(
        self: &Arc<Self>,
        _: &mut State<'_, '_>,
        method: &str,
        args: &[Template],
    ) -> Result<Template, Error> {
        match method {
            "strftime" => {
                let (format,): (&str,) = from_args(args)?;
                format_time(format, &self.at.to_zoned(self.zone.clone()))
            }
            _ => Err(no_method(method, "`.strftime('%Y-%m-%dT%H:%M:%SZ')`")),
        }
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let zoned = self.at.to_zoned(self.zone.clone());
        let format = if self.zone == TimeZone::UTC {
            "%Y-%m-%dT%H:%M:%SZ"
        } else {
            "%Y-%m-%dT%H:%M:%S%:z"
        };
        write!(f, "{}", zoned.strftime(format))
    }
}
