//! What a command answers: the one JSON line, `run.json` and `--result-file` are this.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::entry::PartRecord;
use crate::error::RunError;
use crate::exit_code::ExitCode;
use crate::state::RunState;

/// The answer of `run`, `resume`, `status`, `wait` and `cancel`. Fields are only ever added.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RunResult {
    /// `succeeded`, `skipped`, `failed`, `interrupted`, `cancelled`, `deferred`, `waiting` (a job is
    /// under way, and `--no-wait` was given), `timed_out` or `running`.
    pub status: String,
    /// The pipeline's name.
    pub pipeline: String,
    /// An earlier run's result, printed again.
    pub reused: bool,
    /// Which attempt of the run this is, from 1.
    pub attempt: u32,
    /// The key under which the run is found again.
    pub run_key: String,
    /// The run.
    pub run_id: String,
    /// Row counts. `source = quarantined + unlabelled + published`, and with a transform
    /// `scored = published`, or the run failed.
    pub rows: RowCounts,
    /// What was published, if anything was.
    pub output: Option<Output>,
    /// Transform jobs, in the order in which they were created.
    pub jobs: Vec<JobRecord>,
    /// Quarantined rows by reason.
    pub quarantine: BTreeMap<String, u64>,
    /// Where the quarantined rows are.
    pub quarantine_file: Option<String>,
    /// Seconds a stage, of the attempt that did it.
    pub stages: BTreeMap<String, f64>,
    /// The exit code.
    pub exit: u8,
    /// What went wrong.
    pub error: Option<ErrorRecord>,
}

/// How many rows went where.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowCounts {
    /// Data rows in the inputs.
    pub source: u64,
    /// Rows set aside as bad.
    pub quarantined: u64,
    /// Rows left out because they have no label; only with `prepare.label`.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unlabelled: u64,
    /// Rows that the model answered.
    pub scored: u64,
    /// Rows at the destination.
    pub published: u64,
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

fn is_none(n: &u32) -> bool {
    *n == 0
}

/// Rows by the folders that files are in, in their order: the parts of a split.
#[must_use]
pub fn rows_by_folder(parts: &[PartRecord]) -> serde_json::Map<String, serde_json::Value> {
    let mut rows = serde_json::Map::new();
    for part in parts {
        let Some((folder, _)) = part.name.split_once('/') else {
            continue;
        };
        let before = rows.get(folder).and_then(serde_json::Value::as_u64);
        rows.insert(folder.to_owned(), (before.unwrap_or(0) + part.rows).into());
    }
    rows
}

/// What was published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// The destination as the pipeline names it, with a final slash.
    pub uri: String,
    /// A plain folder with the same files, if there is one on this machine.
    pub path: Option<String>,
    /// Data files, in row order.
    pub files: Vec<String>,
    /// Rows of each part of a split, by its name; empty without `prepare.split`.
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub split: serde_json::Map<String, serde_json::Value>,
    /// Rows in them.
    pub rows: u64,
}

/// One transform job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobRecord {
    /// TransformJobName.
    pub name: String,
    /// Its ARN, once the service told it.
    pub arn: Option<String>,
    /// The last status seen.
    pub status: String,
    /// The job attempt, from 1.
    pub attempt: u32,
    /// Which of several first jobs it is, from 1; absent for the only one, and for later jobs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wave: Option<u32>,
    /// Shards that it was given.
    pub shards: u32,
    /// Pieces of these shards that it was given instead, to find the rows that the model refuses.
    #[serde(default, skip_serializing_if = "is_none")]
    pub pieces: u32,
}

/// An error in the answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorRecord {
    /// What happened, where.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
    /// The mistakes of the pipeline file, if that is what is wrong.
    #[serde(default)]
    pub problems: Vec<serde_json::Value>,
}

impl RunResult {
    /// Sets exit, status and error from an error.
    pub fn fail(&mut self, error: &RunError) {
        self.exit = error.exit.number();
        self.status = error.status().to_owned();
        self.error = Some(ErrorRecord {
            message: error.message.clone(),
            help: error.help.clone(),
            problems: error
                .problems
                .iter()
                .filter_map(|p| serde_json::to_value(p).ok())
                .collect(),
        });
    }

    /// Sets the counts of a run that is not done: what was read so far, and nothing published.
    pub fn rows_seen(&mut self, state: &RunState) {
        if let Some(scanned) = &state.scanned {
            self.rows.source = scanned.rows_source;
            self.rows.quarantined = scanned.rows_source.saturating_sub(scanned.rows_accepted);
        }
        if let Some(sealed) = &state.sealed {
            self.quarantine.clone_from(&sealed.quarantined);
        }
    }

    /// Sets exit and status of a run that is done.
    pub fn succeed(&mut self) {
        self.exit = ExitCode::Success.number();
        self.status = ExitCode::Success.status().to_owned();
        self.error = None;
    }
}
