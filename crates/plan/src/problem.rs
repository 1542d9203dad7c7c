//! Mistakes in a pipeline file: each with its place, a stable code, and what to do about it.

use std::fmt;

use serde::Serialize;

/// Where something stands in a pipeline file. Line and column count from 1; a column is one
/// character, not one byte.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The file's name as the caller gave it to [`crate::parse`].
    pub file: String,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// One mistake. `Display` is what a user reads: `file:line:column: message`, and on a second
/// line `  help: …`. Serialised flat, as `{file, line, column, code, message, help}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(into = "FlatProblem")]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// What kind: a stable kebab-case word from [`code`], for programs.
    pub code: &'static str,
    /// What was found and what was expected, in one sentence.
    pub message: String,
    /// What to do, if that can be said.
    pub help: Option<String>,
}

impl Problem {
    /// A problem without help.
    pub fn new(place: Place, code: &'static str, message: impl Into<String>) -> Problem {
        Problem {
            place,
            code,
            message: message.into(),
            help: None,
        }
    }

    /// The same problem with help.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Problem {
        self.help = Some(help.into());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)?;
        match &self.help {
            Some(help) => write!(f, "\n  help: {help}"),
            None => Ok(()),
        }
    }
}

/// The serialised shape of a [`Problem`].
#[derive(Serialize)]
struct FlatProblem {
    file: String,
    line: u32,
    column: u32,
    code: &'static str,
    message: String,
    help: Option<String>,
}

impl From<Problem> for FlatProblem {
    fn from(p: Problem) -> FlatProblem {
        FlatProblem {
            file: p.place.file,
            line: p.place.line,
            column: p.place.column,
            code: p.code,
            message: p.message,
            help: p.help,
        }
    }
}

/// Every mistake that was found, in the order of the file. Exit code 78.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// Sorts by place (then code) and drops exact repetitions.
    #[must_use]
    pub fn sorted(mut self) -> Problems {
        self.0
            .sort_by(|a, b| (&a.place, a.code, &a.message).cmp(&(&b.place, b.code, &b.message)));
        self.0.dedup();
        self
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// A mistake in what was typed on the command line rather than in the file. Exit code 2.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UsageError {
    /// `-p name=value` where the value is not of the parameter's type or not among its choices.
    #[error("parameter `{name}`: expected {expected}, found `{value}`")]
    WrongValue {
        /// The parameter.
        name: String,
        /// What was given.
        value: String,
        /// What its declaration asks for.
        expected: String,
    },
    /// `-p name=value` for a name that the file does not declare.
    #[error("parameter `{name}` is not declared by this pipeline; {hint}")]
    Unknown {
        /// The parameter.
        name: String,
        /// The nearest declared name, or the list of them.
        hint: String,
    },
    /// A required parameter without a value.
    #[error("parameter `{name}` is required: give it with `-p {name}=<{expected}>`")]
    Missing {
        /// The parameter.
        name: String,
        /// Its type.
        expected: String,
    },
}

/// Why a document did not become a [`crate::Spec`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// The call is wrong (`-p`): exit code 2.
    #[error("{}", join(.0))]
    Usage(Vec<UsageError>),
    /// The file is wrong: exit code 78.
    #[error(transparent)]
    Pipeline(#[from] Problems),
}

fn join(errors: &[UsageError]) -> String {
    errors
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\n")
}

/// The codes of [`Problem::code`]. They are stable: programs may match on them.
pub mod code {
    /// The text is not YAML.
    pub const SYNTAX: &str = "syntax";
    /// The file is larger, deeper or has more entries than allowed.
    pub const TOO_LARGE: &str = "too-large";
    /// YAML that is valid but not accepted here: anchors, aliases, tags, several documents.
    pub const UNSUPPORTED_YAML: &str = "unsupported-yaml";
    /// A key twice in one mapping.
    pub const DUPLICATE_KEY: &str = "duplicate-key";
    /// A key that does not exist.
    pub const UNKNOWN_KEY: &str = "unknown-key";
    /// A required key that is not there.
    pub const MISSING_KEY: &str = "missing-key";
    /// A mapping where a string is needed, and the like.
    pub const WRONG_TYPE: &str = "wrong-type";
    /// Of the right type, but not a value that is allowed.
    pub const BAD_VALUE: &str = "bad-value";
    /// A template that does not parse, or names something that does not exist.
    pub const TEMPLATE: &str = "template";
    /// Two keys that exclude one another, or one that needs another.
    pub const CONFLICT: &str = "conflict";
    /// A column named twice, or named where it cannot be.
    pub const COLUMN: &str = "column";
    /// A column that the input does not have.
    pub const NO_SUCH_COLUMN: &str = "no-such-column";
    /// Nothing in the file: the data at hand does not keep its contract, or cannot be read.
    pub const DATA: &str = "data";
    /// Snappy CSV with a `split_type` that cuts it at newlines.
    pub const SNAPPY_WITH_LINE_SPLIT: &str = "snappy-with-line-split";
    /// `max_concurrent_transforms` × `max_payload_in_mb` above 100.
    pub const PAYLOAD_PRODUCT: &str = "payload-product";
    /// A shard that is one request but larger than one request may be.
    pub const SHARD_ABOVE_PAYLOAD: &str = "shard-above-payload";
    /// `batch_strategy` without a `split_type` that it could apply to.
    pub const BATCH_WITHOUT_SPLIT: &str = "batch-without-split";
    /// A filter that the service would refuse, or could read in two ways.
    pub const FILTER: &str = "filter";
    /// `data_processing` with settings that it does not work with.
    pub const DATA_PROCESSING: &str = "data-processing";
    /// Not wrong: an instance type that is not known.
    pub const UNKNOWN_INSTANCE_TYPE: &str = "unknown-instance-type";
    /// Not wrong, but seldom what is wanted.
    pub const DOUBTFUL: &str = "doubtful";
    /// Parquet shards with a split or an assembly by lines.
    pub const PARQUET_WITH_SPLIT: &str = "parquet-with-split";
    /// A shard format that cannot be sent to a model.
    pub const SHARD_FORMAT: &str = "shard-format";
    /// An output under a location that is read or listed, or the reverse.
    pub const OVERLAP: &str = "overlap";
    /// Something that looks like a credential.
    pub const CREDENTIALS_IN_FILE: &str = "credentials-in-file";
}
