//! Answers to what AWS leaves undocumented, each a named switch.
//!
//! `gristmill local --assume list` prints them, `--assume slice-end=inclusive,blank-lines=skip` sets
//! them. A client must work under every setting: that is how behaviour that nobody can look up is
//! made harmless. The first value of each is the default: the likelier one.

mod parse;
mod switches;

pub use parse::AssumeError;
pub use switches::{
    AssembleLine, Assumptions, BlankLines, ByteOrderMark, CarriageReturn, CrLf, Distribution,
    EmptyObjects, FinalNewline, FolderMarkers, GzipOutputName, GzipPayload, InferenceIdSpace,
    InvocationDefaults, ManifestMissing, MissingJob, NextObject, NotUtf8, OutputLayout,
    PayloadNewline, PayloadUnit, SingleRecordNewline, SliceEnd, SliceOverrun, StoppedOutputs,
    StrategyWithoutSplit,
};

/// What one switch is, for those who print it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Switch {
    /// As in `--assume name=value`.
    pub name: &'static str,
    /// What is unknown, in one line.
    pub unknown: &'static str,
    /// All values; the first is the default.
    pub values: &'static [SwitchValue],
}

/// A value of a switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SwitchValue {
    /// As in `--assume name=value`.
    pub name: &'static str,
    /// What the service is then taken to do, in one line.
    pub meaning: &'static str,
}
