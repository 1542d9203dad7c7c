//! What happens during a run, as plain data. The progress bar, the log and `events.jsonl` are views
//! of the same events.

use serde::{Deserialize, Serialize};

/// The stages of a run, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Inputs are listed, read once and typed.
    Source,
    /// Rows are prepared, cut into shards and uploaded.
    Shards,
    /// The service scores the shards.
    Transform,
    /// Outputs are counted, verified and joined.
    Assemble,
    /// The result is put at its destination.
    Publish,
}

impl Stage {
    /// The stage's name in the pipeline's words.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Stage::Source => "source",
            Stage::Shards => "shards",
            Stage::Transform => "transform",
            Stage::Assemble => "assemble",
            Stage::Publish => "publish",
        }
    }
}

/// How loud an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Shown with `-v`.
    Debug,
    /// Shown.
    Info,
    /// Shown, and stands out.
    Warn,
}

/// One event.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The run has an identity.
    RunStarted {
        /// The run.
        run_id: String,
        /// Its key.
        run_key: String,
        /// 1 for the first.
        attempt: u32,
    },
    /// A stage began.
    StageStarted {
        /// Which.
        stage: Stage,
        /// Bytes to go through, if known.
        total_bytes: Option<u64>,
        /// Rows to go through, if known.
        total_rows: Option<u64>,
    },
    /// More rows and bytes went through; not written to `events.jsonl`.
    Advanced {
        /// Which.
        stage: Stage,
        /// Rows since the last event of this kind.
        rows: u64,
        /// Bytes since the last event of this kind.
        bytes: u64,
    },
    /// A stage ended well.
    StageFinished {
        /// Which.
        stage: Stage,
        /// Seconds.
        seconds: f64,
        /// What it did, for people.
        summary: String,
    },
    /// A stage was done by an earlier attempt.
    StageReused {
        /// Which.
        stage: Stage,
        /// Why, for people.
        summary: String,
    },
    /// The model's container was sent rows before the first job, and all came back.
    Probed {
        /// How many.
        rows: u64,
        /// What the container said that its answers are, each once.
        content_types: Vec<String>,
        /// Seconds, the container's start included.
        seconds: f64,
    },
    /// A transform job changed its status.
    Job {
        /// Its name.
        name: String,
        /// Its status.
        status: String,
        /// Seconds since its creation was asked for.
        seconds: u64,
    },
    /// A remark.
    Note {
        /// How loud.
        level: Level,
        /// One line.
        message: String,
    },
}

/// Where events go. Called from several threads; must be quick.
pub trait EventSink: Send + Sync {
    /// Takes one event.
    fn emit(&self, event: &Event);
}

impl EventSink for () {
    fn emit(&self, _: &Event) {}
}
