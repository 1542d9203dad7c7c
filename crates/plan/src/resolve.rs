//! From a document to a spec: parameters, templates, the walker, the cross checks, in this
//! order, gathering every mistake on the way.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde_json::Value;

use crate::checks;
use crate::contract;
use crate::convert;
use crate::limits::Limits;
use crate::params::{self, Declared};
use crate::problem::{Place, Problem, Problems, ResolveError, UsageError, code};
use crate::spec::{Places, Spec};
use crate::table::{Kind, PIPELINE};
use crate::template::{Param, Scope, nearest};
use crate::tree::{Document, NodeKind, shorten};
use crate::walk::Walker;

/// Reads a small text file beside the pipeline, of which the path is already joined to the
/// pipeline's folder. An error is the end of a sentence: `no such file`.
pub type ReadText<'a> = &'a dyn Fn(&Path) -> Result<String, String>;

/// Everything from outside the file that a spec depends on. The caller reads the clock and the
/// environment, once, and keeps what it read with the run.
#[derive(Clone)]
pub struct Context<'a> {
    /// `-p name=value`, as given.
    pub params: BTreeMap<String, String>,
    /// The instant that `now` is.
    pub now: Timestamp,
    /// What `run.id` and `run.key` are.
    pub run: RunIdentity,
    /// The environment; only names listed under `env:` are used. See [`Document::env_names`].
    pub env: BTreeMap<String, String>,
    /// The pipeline file's folder, to which relative paths are joined.
    pub base: PathBuf,
    /// Quotas.
    pub limits: Limits,
    /// How the file of a contract is read; only if `source.columns` names one.
    pub read: ReadText<'a>,
}

impl Context<'_> {
    /// A context with nothing but a clock and a folder; no other file can be read.
    pub fn new(now: Timestamp, base: impl Into<PathBuf>) -> Context<'static> {
        Context {
            params: BTreeMap::new(),
            now,
            run: RunIdentity::default(),
            env: BTreeMap::new(),
            base: base.into(),
            limits: Limits::default(),
            read: &no_file,
        }
    }
}

fn no_file(_: &Path) -> Result<String, String> {
    Err("no other file is read here".into())
}

impl std::fmt::Debug for Context<'_> {
    // By hand: neither the environment nor a function is for printing.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context")
            .field("params", &self.params)
            .field("now", &self.now)
            .field("run", &self.run)
            .field("base", &self.base)
            .finish_non_exhaustive()
    }
}

/// Which run this is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunIdentity {
    /// The run's id.
    pub id: String,
    /// The run's key.
    pub key: String,
}

impl Document {
    /// The pipeline's name as written, if it is there; needed for the run key before the file is
    /// resolved.
    pub fn name(&self) -> Option<&str> {
        match self.entry("name").map(|(_, node)| &node.kind) {
            Some(NodeKind::Scalar {
                value: Value::String(name),
                ..
            }) => Some(name),
            _ => None,
        }
    }

    /// The names listed under `env:`.
    pub fn env_names(&self) -> Vec<String> {
        let Some(NodeKind::List(items)) = self.entry("env").map(|(_, node)| &node.kind) else {
            return Vec::new();
        };
        let name = |kind: &NodeKind| match kind {
            NodeKind::Scalar {
                value: Value::String(name),
                ..
            } => Some(name.clone()),
            _ => None,
        };
        items.iter().filter_map(|item| name(&item.kind)).collect()
    }

    fn entry(&self, key: &str) -> Option<(crate::tree::At, &crate::tree::Node)> {
        match &self.root.kind {
            NodeKind::Map(entries) => entries
                .iter()
                .find(|e| e.key == key)
                .map(|e| (e.at, &e.node)),
            _ => None,
        }
    }
}

/// The typed spec of a document: templates rendered, defaults filled in, everything checked that
/// can be without looking at the input or the account.
///
/// # Errors
/// [`ResolveError::Usage`] if `-p` is wrong, [`ResolveError::Pipeline`] with every mistake in the
/// file otherwise.
pub fn resolve(doc: &Document, ctx: &Context<'_>) -> Result<Spec, ResolveError> {
    let (declared, problems) = declarations(doc);
    let (values, usage) = params::values(&declared, &ctx.params);
    if problems.is_empty() && !usage.is_empty() {
        return Err(ResolveError::Usage(usage));
    }
    let (env, mut missing) = environment(doc, ctx);
    let run = (ctx.run.id.as_str(), ctx.run.key.as_str());
    let scope = Scope::new(&with_holes(values, &usage), &env, ctx.now, run);
    let mut checked = check(doc, &scope, problems, &ctx.limits);
    checked.contract(doc, &ctx.base, ctx.read);
    checked.problems.append(&mut missing);
    if !checked.problems.is_empty() {
        return Err(doc
            .secrets
            .redact(Problems(checked.problems))
            .sorted()
            .into());
    }
    let (values, _) = params::values(&declared, &ctx.params);
    let values = values
        .iter()
        .map(|(k, v)| (k.clone(), params::to_json(v)))
        .collect();
    let mut spec = convert::spec(checked.value, checked.places, values, &ctx.base)
        .map_err(ResolveError::from)?;
    spec.warnings = doc.secrets.redact(Problems(checked.warnings)).sorted().0;
    Ok(spec)
}

/// Every mistake that can be seen in the file and the contract that it names. Parameters without
/// a default get a stand-in of their type, environment variables any value. `base` is the file's
/// folder; `read` is called for a contract only.
pub fn validate(text: &str, file: &str, base: &Path, read: ReadText<'_>) -> Vec<Problem> {
    review(text, file, base, read).problems
}

/// What can be said of a file offline.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Review {
    /// Every mistake, in the order of the file.
    pub problems: Vec<Problem>,
    /// What is not wrong, but worth knowing before a run; in the order of the file.
    pub warnings: Vec<Problem>,
}

/// [`validate`], with what is not wrong but worth knowing.
pub fn review(text: &str, file: &str, base: &Path, read: ReadText<'_>) -> Review {
    let doc = match crate::tree::parse(text, file) {
        Ok(doc) => doc,
        Err(problems) => {
            return Review {
                problems: problems.0,
                warnings: Vec::new(),
            };
        }
    };
    let (declared, problems) = declarations(&doc);
    let env = doc
        .env_names()
        .into_iter()
        .map(|name| (name, None))
        .collect();
    let values = params::stand_ins(&declared);
    let scope = Scope::new(&values, &env, STAND_IN_CLOCK, ("run", "run"));
    let mut checked = check(&doc, &scope, problems, &Limits::default());
    checked.contract(&doc, base, read);
    let redacted = |list| doc.secrets.redact(Problems(list)).sorted().0;
    Review {
        problems: redacted(checked.problems),
        warnings: redacted(checked.warnings),
    }
}

/// 2000-01-01T00:00:00Z.
const STAND_IN_CLOCK: Timestamp = Timestamp::constant(946_684_800, 0);

struct Checked {
    value: Value,
    places: Places,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
}

impl Checked {
    /// Puts the contract of the file that `source.columns` names in the name's place.
    fn contract(&mut self, doc: &Document, base: &Path, read: ReadText<'_>) {
        let Some(columns) = self
            .value
            .get_mut("source")
            .and_then(|source| source.get_mut("columns"))
        else {
            return;
        };
        let path = match columns.as_str() {
            None | Some("infer" | "text") => return,
            Some(path) => PathBuf::from(path),
        };
        // Named as the pipeline is, read where the pipeline lies.
        let folder = Path::new(&doc.file).parent().unwrap_or(Path::new(""));
        let shown = convert::lexical_join(folder, &path).display().to_string();
        *columns = Value::Null;
        match read(&convert::lexical_join(base, &path)) {
            Ok(text) => match contract::walked(&text, &shown) {
                Ok(list) => *columns = list,
                Err(mut problems) => self.problems.append(&mut problems.0),
            },
            Err(why) => {
                let place = self.places.of("source.columns");
                self.problems.push(unreadable(place, &path, &shown, &why));
            }
        }
    }
}

fn unreadable(place: Place, path: &Path, shown: &str, why: &str) -> Problem {
    let written = path.display().to_string();
    let help = match nearest(&written, ["infer", "text"].into_iter()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "expected `infer`, `text`, or the path of a contract relative to this file; \
                 `gristmill inspect FILE --contract` writes one"
            .to_owned(),
    };
    let message = format!(
        "`source.columns`: cannot read the contract `{}`: {why}",
        shorten(shown)
    );
    Problem::new(place, code::BAD_VALUE, message).help(help)
}

fn check(doc: &Document, scope: &Scope, mut problems: Vec<Problem>, limits: &Limits) -> Checked {
    let mut walker = Walker::new(&doc.file, Some(scope)).limits(limits);
    let mut value = walker.pipeline(&doc.root);
    let places = walker.places;
    problems.append(&mut walker.problems);
    problems.extend(doc.problems.iter().cloned());
    let mut warnings = Vec::new();
    if value.is_object() {
        convert::computed_defaults(&mut value);
        problems.append(&mut checks::all(&value, &places, limits));
        warnings = checks::warnings(&value, &places, limits);
    }
    Checked {
        value,
        places,
        problems: Problems(problems).sorted().0,
        warnings,
    }
}

/// The `params` section, walked on its own since everything else may depend on it.
fn declarations(doc: &Document) -> (BTreeMap<String, Option<Declared>>, Vec<Problem>) {
    let mut walker = Walker::new(&doc.file, None);
    let kind = PIPELINE
        .keys
        .iter()
        .find(|key| key.name == "params")
        .map(|key| key.kind);
    let section = match (doc.entry("params"), kind) {
        (Some((at, node)), Some(kind @ Kind::Dict(_))) => walker.node(node, kind, "params", at),
        _ => Value::Null,
    };
    let mut problems = walker.problems;
    let declared = params::declared(&section, &walker.places, &mut problems);
    (declared, problems)
}

/// A parameter that the command line got wrong is a hole, so that the rest can be checked.
fn with_holes(
    mut values: BTreeMap<String, Param>,
    usage: &[UsageError],
) -> BTreeMap<String, Param> {
    for error in usage {
        if let UsageError::WrongValue { name, .. } | UsageError::Missing { name, .. } = error {
            values.insert(name.clone(), Param::Unknown);
        }
    }
    values
}

/// The variables listed under `env:` with their values; one that is not set is a problem.
fn environment(
    doc: &Document,
    ctx: &Context<'_>,
) -> (BTreeMap<String, Option<String>>, Vec<Problem>) {
    let mut env = BTreeMap::new();
    let mut problems = Vec::new();
    let items = match doc.entry("env").map(|(_, node)| &node.kind) {
        Some(NodeKind::List(items)) => items.as_slice(),
        _ => &[],
    };
    for item in items {
        let NodeKind::Scalar {
            value: Value::String(name),
            ..
        } = &item.kind
        else {
            continue;
        };
        let value = ctx.env.get(name).cloned();
        if value.is_none() {
            let message = format!("the environment variable `{name}` is not set");
            let place = crate::tree::place(&doc.file, item.at);
            let help = "set it, or remove it from `env:`";
            problems.push(Problem::new(place, code::TEMPLATE, message).help(help));
        }
        env.insert(name.clone(), value);
    }
    (env, problems)
}
