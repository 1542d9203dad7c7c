//! What an emulator is told at its start.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::other_s3::OtherS3;

/// Everything that decides how one emulator runs.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct EmulatorConfig {
    /// The folder that holds all state. One emulator at a time; created when missing.
    pub dir: PathBuf,
    /// Port on 127.0.0.1; 0 lets the system choose one.
    pub port: u16,
    /// The region that endpoints, ARNs and `GetBucketLocation` speak of.
    pub region: String,
    /// End after this long without a request and without a running job; `None`: never.
    pub idle_exit: Option<Duration>,
    /// The program that is run as `<program> container onnx|command …` for a model's container.
    pub container_program: PathBuf,
    /// Answers to what AWS leaves undocumented.
    pub behaviour: Behaviour,
    /// Where transform jobs find and leave their objects; `None`: in this emulator's own S3.
    pub other_s3: Option<OtherS3>,
}

impl EmulatorConfig {
    /// The 12 digits that stand for the account in ARNs.
    pub const ACCOUNT: &'static str = "000000000000";

    /// An emulator over `dir` on any free port, in `us-east-1`, that never ends by itself.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>, container_program: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            port: 0,
            region: "us-east-1".to_owned(),
            idle_exit: None,
            container_program: container_program.into(),
            behaviour: Behaviour::default(),
            other_s3: None,
        }
    }
}

/// Switches for service behaviour that is undocumented or contradictory. A client must work under
/// every setting: that is how behaviour that nobody can look up is made harmless.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Behaviour {
    /// Is the end of a slice such as `$[1:4]` in `InputFilter` part of it?
    pub slice_end: SliceEnd,
    /// Does `AssembleWith: Line` add a newline to a reply that ends in one?
    pub assemble_line: AssembleLine,
    /// What happens to a blank line under `SplitType: Line`?
    pub blank_lines: BlankLines,
    /// What happens to an input object of zero bytes?
    pub empty_objects: EmptyObjects,
    /// Where does the output of an input in a subfolder of the prefix go?
    pub output_layout: OutputLayout,
    /// Timeout and retries of an invocation where the request names none.
    pub invocation_defaults: InvocationDefaults,
    /// What is a megabyte in `MaxPayloadInMB`?
    pub payload_unit: PayloadUnit,
    /// What happens to `BatchStrategy` without a `SplitType` that it could apply to?
    pub strategy_without_split: StrategyWithoutSplit,
}

/// How `$[a:b]` ends: the developer guide's examples include `b`, the library it names does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SliceEnd {
    /// `$[1:4]` is columns 1, 2, 3.
    #[default]
    Exclusive,
    /// `$[1:4]` is columns 1, 2, 3, 4.
    Inclusive,
}

/// What `AssembleWith: Line` does after a reply that already ends in a newline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AssembleLine {
    /// A newline only where there is none.
    #[default]
    WhereMissing,
    /// A newline after every reply, which leaves a blank line.
    Always,
}

/// What becomes of a blank line of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BlankLines {
    /// It is a record like any other.
    #[default]
    Send,
    /// It is left out.
    Skip,
}

/// What becomes of an input object of zero bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EmptyObjects {
    /// No request and no output.
    #[default]
    Skip,
    /// No request, and an output of zero bytes.
    EmptyOutput,
    /// The file fails, and the job with it.
    Fail,
}

/// Where the output of `<prefix>/sub/x.csv` goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputLayout {
    /// `<output>/sub/x.csv.out`: what follows the input prefix is kept.
    #[default]
    Nested,
    /// `<output>/x.csv.out`: the base name alone.
    Flat,
}

/// Timeout and retries of an invocation by default: two AWS sources, two answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InvocationDefaults {
    /// 600 s and 3 retries (API reference).
    #[default]
    ApiReference,
    /// 60 s and no retry (CDK reference).
    Cdk,
}

/// The unit of `MaxPayloadInMB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PayloadUnit {
    /// 2²⁰ bytes.
    #[default]
    Mebibyte,
    /// 10⁶ bytes.
    Megabyte,
}

/// What becomes of a request with a `BatchStrategy` and `SplitType: None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StrategyWithoutSplit {
    /// The strategy says nothing: the object is one request.
    #[default]
    Ignore,
    /// The request is refused.
    Refuse,
}
