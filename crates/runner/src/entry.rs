//! What a ledger says: one entry an act, in the order of the acts.

use std::collections::BTreeMap;

use gristmill_tabular::{Schema, SealedShard};
use serde::{Deserialize, Serialize};

use crate::inventory::InputFile;

/// One line of the ledger. Past tense: it was confirmed; `Launching` and `Publishing` announce.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Entry {
    /// The run began. Everything that its first attempt resolved is frozen for the later ones.
    Opened {
        /// The run's identifier.
        run_id: String,
        /// The key under which it is found again.
        run_key: String,
        /// The pipeline's name.
        pipeline: String,
        /// Where the pipeline file was, and its text, for `resume`.
        file: PipelineText,
        /// Parameters as given on the command line.
        params: BTreeMap<String, String>,
        /// The clock, read once: RFC 3339, UTC.
        clock: String,
        /// Only the first so many rows.
        limit_rows: Option<u64>,
        /// Whether the embedded services were used.
        local: bool,
        /// The variables that the pipeline lists under `env:`, with their values.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        env: BTreeMap<String, String>,
        /// The version that wrote this.
        version: String,
    },
    /// A later attempt began.
    Resumed {
        /// Counts from 1; the first attempt is `Opened`'s.
        attempt: u32,
        /// The version of this attempt.
        version: String,
    },
    /// The inputs that the run is about, by size and content.
    Inputs {
        /// In the order in which their rows are numbered.
        files: Vec<InputFile>,
        /// The source stage's fingerprint.
        fingerprint: String,
    },
    /// What the first attempt chose where the pipeline says nothing, for all later ones.
    Planned {
        /// Shards, payload, concurrency, instances, jobs.
        choices: gristmill_plan::planner::Choices,
        /// What an instance costs for an hour, in US dollars, if that was known.
        usd_per_hour: Option<f64>,
    },
    /// All inputs were read once and typed.
    Scanned {
        /// The sealed schema.
        schema: Schema,
        /// Data rows in the inputs.
        rows_source: u64,
        /// Rows that conform.
        rows_accepted: u64,
        /// Decompressed bytes.
        bytes: u64,
    },
    /// Cutting began: shards recorded before this line under another fingerprint do not count.
    Sharding {
        /// The shards stage's fingerprint.
        fingerprint: String,
    },
    /// A shard and its sidecar are complete and durable on the local disk.
    ShardSealed {
        /// Name, rows, bytes, checksums.
        shard: SealedShard,
    },
    /// The store confirmed size and checksum of a shard and of its sidecar.
    ShardUploaded {
        /// The shard's index.
        index: u32,
        /// SHA-256 of the shard that was uploaded.
        sha256: String,
        /// The object's ETag.
        etag: String,
    },
    /// The inputs are exhausted: these are all shards.
    ShardsSealed {
        /// The shards stage's fingerprint.
        fingerprint: String,
        /// How many there are.
        shards: u32,
        /// Rows in the inputs.
        rows_source: u64,
        /// Rows in the shards.
        rows_accepted: u64,
        /// Rows in the quarantine, by reason.
        quarantined: BTreeMap<String, u64>,
        /// Rows left out because they have no label.
        #[serde(default)]
        unlabelled: u64,
    },
    /// The model's container was sent rows before the first job, and all came back.
    Probed {
        /// The transform stage's fingerprint.
        fingerprint: String,
        /// How many.
        rows: u64,
        /// What the container said that its answers are, each once.
        content_types: Vec<String>,
    },
    /// These objects lie where a job will write that is not announced yet: none is its output.
    OutputsThere {
        /// The folder that the job writes to, with a final slash.
        output: String,
        /// All of them.
        objects: Vec<OutputThere>,
    },
    /// A transform job is about to be created with this request.
    Launching {
        /// The job attempt, from 1.
        attempt: u32,
        /// The transform stage's fingerprint.
        fingerprint: String,
        /// The shards that it covers.
        shards: Vec<u32>,
        /// Which of several first jobs it is; absent for the only one, and for later jobs over what
        /// the first ones left.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        wave: Option<Wave>,
        /// The pieces of these shards that it covers, where it is not the shards as they are.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pieces: Vec<Piece>,
        /// Rows that were answered before and are sent beside the pieces: if they are answered again, the
        /// container works, and what is not answered is refused.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        controls: Vec<Piece>,
        /// Folder that the job writes to, with a final slash.
        output: String,
        /// The request as it is sent.
        request: serde_json::Value,
    },
    /// The service knows the job.
    JobCreated {
        /// Its name.
        name: String,
        /// Its ARN.
        arn: String,
        /// It was there already, and is ours.
        adopted: bool,
    },
    /// The job reached a terminal state.
    JobEnded {
        /// Its name.
        name: String,
        /// Completed, Failed or Stopped.
        status: String,
        /// The service's reason, if it failed.
        reason: Option<String>,
        /// Seconds that its instances were billed (TransformStartTime to TransformEndTime), each of
        /// them; absent where the service does not say.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        billed_seconds: Option<f64>,
    },
    /// A shard's predictions are there, and as many as the shard has rows.
    OutputVerified {
        /// The shard's index.
        index: u32,
        /// The transform stage's fingerprint.
        fingerprint: String,
        /// The object.
        uri: String,
        /// Its ETag.
        etag: String,
        /// Its bytes.
        size: u64,
        /// Rows counted.
        rows: u64,
        /// Rows of the shard that the model refused: they are not in the output.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        refused: Vec<RefusedRow>,
    },
    /// The predictions of pieces of shards are there, and as many as the pieces have rows.
    PiecesAnswered {
        /// The transform stage's fingerprint.
        fingerprint: String,
        /// Each with its object.
        pieces: Vec<AnsweredPiece>,
    },
    /// A job stored outputs for these pieces that do not agree with their rows: what is not in them was
    /// lost, and not refused.
    PiecesLost {
        /// The job's name.
        name: String,
        /// In the order of their rows.
        pieces: Vec<Piece>,
    },
    /// The output's parts are complete on the local disk.
    Assembled {
        /// The assemble stage's fingerprint.
        fingerprint: String,
        /// In row order.
        parts: Vec<PartRecord>,
        /// Rows in all parts.
        rows: u64,
    },
    /// Objects are about to be written at the destination.
    Publishing {
        /// The destination, with a final slash.
        uri: String,
        /// The names of the files that will be there.
        files: Vec<String>,
    },
    /// Data, manifest and `_SUCCESS` are all there.
    Published {
        /// The destination, with a final slash.
        uri: String,
        /// SHA-256 of the manifest.
        manifest_sha256: String,
    },
    /// The run is over, with this result.
    Finished {
        /// What was printed.
        result: Box<crate::result::RunResult>,
    },
    /// Under `--no-wait` an attempt ended while a job was under way.
    Waiting {
        /// Its name.
        job: String,
        /// Its status then.
        status: String,
    },
    /// `gristmill cancel` ended the run; none of its jobs is under way any more.
    Cancelled {
        /// The jobs that it told to stop.
        stopped: Vec<String>,
    },
    /// An attempt ended without finishing.
    Stopped {
        /// The exit code.
        exit: u8,
        /// The message.
        message: String,
    },
}

/// One of several jobs that divide a run's shards among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wave {
    /// From 1, in the order of the rows.
    pub number: u32,
    /// How many the rows are divided into: frozen by the first that is announced.
    pub of: u32,
}

/// Consecutive rows of a shard that are sent to the model by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Piece {
    /// The shard's index.
    pub shard: u32,
    /// The first row in it, from 0.
    pub first: u64,
    /// How many rows.
    pub rows: u64,
}

impl Piece {
    /// Whether all rows of another are in it.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        self.shard == other.shard
            && self.first <= other.first
            && other.first + other.rows <= self.first + self.rows
    }
}

/// An object under a job's output folder, and which version of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct OutputThere {
    /// Its whole key.
    pub key: String,
    /// Its ETag.
    pub etag: String,
    /// Seconds since 1970 UTC.
    pub last_modified: i64,
}

/// The predictions of a piece.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnsweredPiece {
    /// Which.
    pub piece: Piece,
    /// The object.
    pub uri: String,
    /// Its ETag.
    pub etag: String,
    /// Its bytes.
    pub size: u64,
}

/// A row that the model refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedRow {
    /// Its number in the shard, from 0.
    pub row: u64,
    /// What the service or the container said.
    pub reason: String,
}

/// A pipeline file as the run saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PipelineText {
    /// Its path as given, for messages.
    pub path: String,
    /// Its folder, absolute: what relative paths in it are relative to.
    pub folder: String,
    /// Its text.
    pub text: String,
}

/// One file of the output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartRecord {
    /// File name below the destination.
    pub name: String,
    /// Rows in it.
    pub rows: u64,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 of its bytes, hex.
    pub sha256: String,
}
