//! What a ledger adds up to.

use std::collections::{BTreeMap, BTreeSet};

use gristmill_tabular::{Schema, SealedShard};

use crate::entry::{
    AnsweredPiece, Entry, OutputThere, PartRecord, Piece, PipelineText, RefusedRow, Wave,
};
use crate::error::JobSeen;
use crate::exit_code::ExitCode;
use crate::inventory::InputFile;
use crate::result::{JobRecord, RunResult};

/// Everything known about a run, folded from its ledger. Pure: the same entries, the same state.
#[derive(Debug, Clone, Default)]
pub struct RunState {
    /// The frozen beginning.
    pub opened: Option<Opened>,
    /// The number of the last attempt.
    pub attempt: u32,
    /// Inputs and the source stage's fingerprint.
    pub inputs: Option<(Vec<InputFile>, String)>,
    /// What the first attempt chose.
    pub planned: Option<Planned>,
    /// The first pass.
    pub scanned: Option<Scanned>,
    /// The shards stage's fingerprint.
    pub sharding: Option<String>,
    /// Shards of that fingerprint, by index.
    pub shards: BTreeMap<u32, SealedShard>,
    /// Indexes of those that the store confirmed.
    pub uploaded: BTreeSet<u32>,
    /// Set once all shards are known.
    pub sealed: Option<Sealed>,
    /// Jobs in the order of their launches.
    pub launches: Vec<Launched>,
    /// The transform stage's fingerprint under which the model's container was asked, and answered well.
    pub probed: Option<String>,
    /// What lay under the output folders of jobs before they were announced.
    pub outputs_there: BTreeMap<String, Vec<OutputThere>>,
    /// How many of them were announced since an attempt last said how it ended: killed attempts and
    /// those that only look (`--no-wait`) share one limit. First jobs that divide the shards among
    /// them count as one.
    pub jobs_in_a_row: u32,
    /// Verified outputs by the transform stage's fingerprint and the shard. Those of other settings
    /// are kept: they were paid for, and count again when the settings are what they were.
    pub outputs: BTreeMap<(String, u32), VerifiedOutput>,
    /// Verified outputs of pieces of shards, by the transform stage's fingerprint.
    pub pieces: BTreeMap<String, BTreeMap<Piece, VerifiedOutput>>,
    /// The joined output.
    pub assembled: Option<Assembled>,
    /// The destination that is complete with what was assembled.
    pub published: Option<Published>,
    /// The final result.
    pub finished: Option<RunResult>,
    /// How the last attempt ended, if it ended and not well.
    pub stopped: Option<(u8, String)>,
    /// The job that the last attempt left under way, if it ended so (`--no-wait`).
    pub waiting: Option<JobSeen>,
    /// `gristmill cancel` ended the run, and no attempt has begun since.
    pub cancelled: bool,
    /// How the attempt before this one ended.
    pub stopped_before: Option<(u8, String)>,
}

/// What the first attempt chose where the pipeline says nothing.
#[derive(Debug, Clone)]
pub struct Planned {
    /// Shards, payload, concurrency, instances, jobs.
    pub choices: gristmill_plan::planner::Choices,
    /// What an instance costs for an hour, in US dollars, if that was known.
    pub usd_per_hour: Option<f64>,
}

/// The frozen beginning of a run.
#[derive(Debug, Clone)]
pub struct Opened {
    /// The run.
    pub run_id: String,
    /// The pipeline's name.
    pub pipeline: String,
    /// Its key.
    pub run_key: String,
    /// The pipeline's file.
    pub file: PipelineText,
    /// Parameters as given.
    pub params: BTreeMap<String, String>,
    /// The clock.
    pub clock: String,
    /// Only so many rows.
    pub limit_rows: Option<u64>,
    /// With the embedded services.
    pub local: bool,
    /// The variables that the pipeline lists under `env:`.
    pub env: BTreeMap<String, String>,
}

/// The first pass over the inputs.
#[derive(Debug, Clone)]
pub struct Scanned {
    /// The sealed schema.
    pub schema: Schema,
    /// Data rows.
    pub rows_source: u64,
    /// Rows that conform.
    pub rows_accepted: u64,
    /// Decompressed bytes.
    pub bytes: u64,
}

/// All shards are known.
#[derive(Debug, Clone)]
pub struct Sealed {
    /// How many.
    pub shards: u32,
    /// Rows in the inputs.
    pub rows_source: u64,
    /// Rows in the shards.
    pub rows_accepted: u64,
    /// Quarantined rows by reason.
    pub quarantined: BTreeMap<String, u64>,
    /// Rows left out because they have no label.
    pub unlabelled: u64,
}

/// A transform job that was announced.
#[derive(Debug, Clone)]
pub struct Launched {
    /// The job attempt.
    pub attempt: u32,
    /// The transform stage's fingerprint.
    pub fingerprint: String,
    /// The shards that it covers.
    pub shards: Vec<u32>,
    /// Which of several first jobs it is.
    pub wave: Option<Wave>,
    /// The pieces of these that it covers, unless it covers them whole.
    pub pieces: Vec<Piece>,
    /// Rows that are sent with the pieces since they were answered before.
    pub controls: Vec<Piece>,
    /// Pieces whose outputs are there and do not agree with their rows.
    pub lost: BTreeSet<Piece>,
    /// Where it writes.
    pub output: String,
    /// The request.
    pub request: serde_json::Value,
    /// Its ARN once it was created.
    pub arn: Option<String>,
    /// The terminal status and the reason.
    pub ended: Option<(String, Option<String>)>,
    /// Seconds that each of its instances was billed, as far as the service says.
    pub billed_seconds: Option<f64>,
    /// An attempt has ended since the job did: what follows from how it ended was said then.
    pub settled: bool,
}

impl Launched {
    /// TransformJobName.
    #[must_use]
    pub fn name(&self) -> &str {
        self.request
            .get("TransformJobName")
            .and_then(|n| n.as_str())
            .unwrap_or_default()
    }

    /// InstanceCount.
    #[must_use]
    pub fn instances(&self) -> u64 {
        let count = self.request.pointer("/TransformResources/InstanceCount");
        count.and_then(serde_json::Value::as_u64).unwrap_or(0)
    }

    /// Whether it covers a shard, whole or in pieces.
    #[must_use]
    pub fn covers(&self, shard: u32) -> bool {
        self.shards.contains(&shard)
    }
}

/// A shard's predictions, counted.
#[derive(Debug, Clone)]
pub struct VerifiedOutput {
    /// The object.
    pub uri: String,
    /// Its ETag.
    pub etag: String,
    /// Its size.
    pub size: u64,
    /// Rows of the shard that are not in it, since the model refused them; ascending.
    pub refused: Vec<RefusedRow>,
}

/// A destination that is complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// The destination.
    pub uri: String,
    /// SHA-256 of its manifest.
    pub manifest_sha256: String,
}

/// The joined output.
#[derive(Debug, Clone)]
pub struct Assembled {
    /// The assemble stage's fingerprint.
    pub fingerprint: String,
    /// In row order.
    pub parts: Vec<PartRecord>,
    /// All rows.
    pub rows: u64,
}

impl RunState {
    /// Folds a ledger.
    #[must_use]
    pub fn of(entries: &[Entry]) -> Self {
        let mut state = Self::default();
        for entry in entries {
            state.apply(entry);
        }
        state
    }

    /// Takes one entry in.
    pub fn apply(&mut self, entry: &Entry) {
        match entry {
            Entry::Opened { .. } => self.open(entry),
            Entry::Resumed { attempt, .. } => {
                self.attempt = *attempt;
                self.waiting = None;
                self.cancelled = false;
                // A killed attempt leaves no word: what the one before it said still holds. And one
                // that got no further than to look changes nothing about what is waited for.
                let waits = self.stopped_before.as_ref().is_some_and(asks_for_data);
                self.stopped_before = match self.stopped.take() {
                    Some(stop) if !waits || asks_for_data(&stop) => Some(stop),
                    _ => self.stopped_before.take(),
                };
            }
            Entry::Inputs { files, fingerprint } => self.take_inputs(files, fingerprint),
            Entry::Planned {
                choices,
                usd_per_hour,
            } => {
                self.planned = Some(Planned {
                    choices: choices.clone(),
                    usd_per_hour: *usd_per_hour,
                });
            }
            Entry::Scanned {
                schema,
                rows_source,
                rows_accepted,
                bytes,
            } => {
                self.scanned = Some(Scanned {
                    schema: schema.clone(),
                    rows_source: *rows_source,
                    rows_accepted: *rows_accepted,
                    bytes: *bytes,
                });
            }
            Entry::Finished { result } => {
                self.finished = Some(result.as_ref().clone());
                self.stopped_before = None;
            }
            Entry::Stopped { exit, message } => {
                self.stopped = Some((*exit, message.clone()));
                self.settle();
            }
            Entry::Waiting { job, status } => {
                self.stopped = None;
                self.waiting = Some(JobSeen {
                    name: job.clone(),
                    status: status.clone(),
                });
            }
            Entry::Cancelled { .. } => {
                self.cancelled = true;
                self.settle();
            }
            other => self.apply_work(other),
        }
    }

    /// An attempt has said how it ended.
    fn settle(&mut self) {
        self.jobs_in_a_row = 0;
        for job in self.launches.iter_mut().filter(|l| l.ended.is_some()) {
            job.settled = true;
        }
    }

    fn open(&mut self, entry: &Entry) {
        let Entry::Opened {
            run_id,
            pipeline,
            run_key,
            file,
            params,
            clock,
            limit_rows,
            local,
            env,
            ..
        } = entry
        else {
            return;
        };
        self.attempt = 1;
        self.opened = Some(Opened {
            run_id: run_id.clone(),
            pipeline: pipeline.clone(),
            run_key: run_key.clone(),
            file: file.clone(),
            params: params.clone(),
            clock: clock.clone(),
            limit_rows: *limit_rows,
            local: *local,
            env: env.clone(),
        });
    }

    /// Other inputs than before: nothing that was made of those counts any longer.
    fn take_inputs(&mut self, files: &[InputFile], fingerprint: &str) {
        if self
            .inputs
            .as_ref()
            .is_some_and(|(_, before)| before != fingerprint)
        {
            *self = Self {
                opened: self.opened.take(),
                attempt: self.attempt,
                launches: std::mem::take(&mut self.launches),
                outputs_there: std::mem::take(&mut self.outputs_there),
                ..Self::default()
            };
        }
        self.inputs = Some((files.to_vec(), fingerprint.to_owned()));
        self.stopped_before = None;
    }

    /// Whether the last attempt ended because of the data, before anything was paid for or
    /// published: mended data is then what the next attempt is expected to bring.
    #[must_use]
    pub fn waits_for_data(&self) -> bool {
        let nothing_kept =
            self.launches.is_empty() && self.finished.is_none() && self.published.is_none();
        nothing_kept && self.stopped_before.as_ref().is_some_and(asks_for_data)
    }

    fn apply_work(&mut self, entry: &Entry) {
        match entry {
            Entry::Sharding { fingerprint } => self.begin_sharding(fingerprint),
            Entry::ShardSealed { shard } => {
                let same = self
                    .shards
                    .get(&shard.index)
                    .is_some_and(|s| s.sha256 == shard.sha256);
                if !same {
                    self.uploaded.remove(&shard.index);
                }
                self.shards.insert(shard.index, shard.clone());
            }
            Entry::ShardUploaded { index, sha256, .. } => {
                if self.shards.get(index).is_some_and(|s| s.sha256 == *sha256) {
                    self.uploaded.insert(*index);
                }
            }
            Entry::ShardsSealed {
                shards,
                rows_source,
                rows_accepted,
                quarantined,
                unlabelled,
                ..
            } => {
                self.sealed = Some(Sealed {
                    shards: *shards,
                    rows_source: *rows_source,
                    rows_accepted: *rows_accepted,
                    quarantined: quarantined.clone(),
                    unlabelled: *unlabelled,
                });
            }
            other => self.apply_answers(other),
        }
    }

    /// Shards of another fingerprint, and all that followed from them, count no longer.
    fn begin_sharding(&mut self, fingerprint: &str) {
        if self.sharding.as_deref() != Some(fingerprint) {
            self.shards.clear();
            self.uploaded.clear();
            self.assembled = None;
            self.published = None;
        }
        self.sealed = None;
        self.sharding = Some(fingerprint.to_owned());
    }

    fn apply_answers(&mut self, entry: &Entry) {
        match entry {
            Entry::OutputsThere { output, objects } => {
                // The first look counts: later ones may see the job's own.
                let there = self.outputs_there.entry(output.clone());
                there.or_insert_with(|| objects.clone());
            }
            Entry::Probed { fingerprint, .. } => self.probed = Some(fingerprint.clone()),
            Entry::Launching { .. } => self.announce(entry),
            Entry::JobCreated { name, arn, .. } => {
                if let Some(job) = self.job(name) {
                    job.arn = Some(arn.clone());
                }
            }
            Entry::JobEnded {
                name,
                status,
                reason,
                billed_seconds,
            } => {
                if let Some(job) = self.job(name) {
                    job.ended = Some((status.clone(), reason.clone()));
                    job.billed_seconds = *billed_seconds;
                }
            }
            Entry::OutputVerified {
                index,
                fingerprint,
                uri,
                etag,
                size,
                refused,
                ..
            } => {
                self.outputs.insert(
                    (fingerprint.clone(), *index),
                    VerifiedOutput {
                        uri: uri.clone(),
                        etag: etag.clone(),
                        size: *size,
                        refused: refused.clone(),
                    },
                );
            }
            Entry::PiecesLost { name, pieces } => {
                if let Some(job) = self.job(name) {
                    job.lost.extend(pieces);
                }
            }
            Entry::PiecesAnswered {
                fingerprint,
                pieces,
            } => {
                let known = self.pieces.entry(fingerprint.clone()).or_default();
                known.extend(pieces.iter().map(answered));
            }
            Entry::Assembled {
                fingerprint,
                parts,
                rows,
            } => {
                let same = self
                    .assembled
                    .as_ref()
                    .is_some_and(|a| a.parts == *parts && a.fingerprint == *fingerprint);
                if !same {
                    self.published = None;
                }
                self.assembled = Some(Assembled {
                    fingerprint: fingerprint.clone(),
                    parts: parts.clone(),
                    rows: *rows,
                });
            }
            Entry::Publishing { .. } => self.published = None,
            Entry::Published {
                uri,
                manifest_sha256,
            } => {
                self.published = Some(Published {
                    uri: uri.clone(),
                    manifest_sha256: manifest_sha256.clone(),
                });
            }
            _ => {}
        }
    }

    fn announce(&mut self, entry: &Entry) {
        let Entry::Launching {
            attempt,
            fingerprint,
            shards,
            wave,
            pieces,
            controls,
            output,
            request,
        } = entry
        else {
            return;
        };
        // One that the service never knew is announced again under its name.
        let name = request["TransformJobName"].as_str().unwrap_or_default();
        let before = self.launches.len();
        self.launches
            .retain(|l| l.arn.is_some() || l.name() != name);
        let is_new = self.launches.len() == before;
        self.jobs_in_a_row = match wave {
            Some(_) => self.jobs_in_a_row.max(1),
            None => self.jobs_in_a_row + u32::from(is_new),
        };
        self.launches.push(Launched {
            attempt: *attempt,
            fingerprint: fingerprint.clone(),
            shards: shards.clone(),
            wave: *wave,
            pieces: pieces.clone(),
            controls: controls.clone(),
            lost: BTreeSet::new(),
            output: output.clone(),
            request: request.clone(),
            arn: None,
            ended: None,
            billed_seconds: None,
            settled: false,
        });
    }

    fn job(&mut self, name: &str) -> Option<&mut Launched> {
        self.launches.iter_mut().rev().find(|l| l.name() == name)
    }

    /// Whether a shard has a verified output under these settings.
    #[must_use]
    pub fn is_scored(&self, fingerprint: &str, index: u32) -> bool {
        self.outputs.contains_key(&(fingerprint.to_owned(), index))
    }

    /// What lay under a job's output folder before it was announced.
    #[must_use]
    pub fn outputs_there(&self, output: &str) -> &[OutputThere] {
        self.outputs_there.get(output).map_or(&[], Vec::as_slice)
    }

    /// The last job that was announced under these settings.
    #[must_use]
    pub fn last_launch(&self, fingerprint: &str) -> Option<&Launched> {
        self.launches
            .iter()
            .rev()
            .find(|l| l.fingerprint == fingerprint)
    }

    /// The verified output of a shard under these settings.
    #[must_use]
    pub fn output(&self, fingerprint: &str, index: u32) -> Option<&VerifiedOutput> {
        self.outputs.get(&(fingerprint.to_owned(), index))
    }

    /// The verified output of a piece of a shard under these settings.
    #[must_use]
    pub fn piece(&self, fingerprint: &str, piece: &Piece) -> Option<&VerifiedOutput> {
        self.pieces.get(fingerprint)?.get(piece)
    }

    /// Rows that the model refused under these settings.
    #[must_use]
    pub fn refused_rows(&self, fingerprint: &str) -> u64 {
        let outputs = self
            .shards
            .keys()
            .filter_map(|i| self.output(fingerprint, *i));
        outputs.map(|o| o.refused.len() as u64).sum()
    }

    /// The jobs that were announced under these settings, in order.
    pub fn launches_of<'a>(&'a self, fingerprint: &'a str) -> impl Iterator<Item = &'a Launched> {
        let of = move |l: &&Launched| l.fingerprint == fingerprint;
        self.launches.iter().filter(of)
    }

    /// The job of a name.
    #[must_use]
    pub fn launched(&self, name: &str) -> Option<&Launched> {
        self.launches.iter().rev().find(|l| l.name() == name)
    }

    /// Whether anything of what a job was given is answered.
    #[must_use]
    pub fn has_answered(&self, job: &Launched) -> bool {
        let fingerprint = &job.fingerprint;
        if job.pieces.is_empty() {
            let whole = |i| {
                self.output(fingerprint, i)
                    .is_some_and(|o| o.refused.is_empty())
            };
            return job.shards.iter().any(|i| whole(*i));
        }
        let mut sent = job.pieces.iter().chain(&job.controls);
        sent.any(|p| self.piece(fingerprint, p).is_some())
    }

    /// Jobs that were announced and have not ended as far as the ledger knows.
    pub fn open_jobs(&self) -> impl Iterator<Item = &Launched> {
        self.launches.iter().filter(|l| l.ended.is_none())
    }

    /// Whether a job that the service confirmed has not ended as far as the ledger knows.
    #[must_use]
    pub fn has_job_under_way(&self) -> bool {
        self.open_jobs().any(|l| l.arn.is_some())
    }

    /// The jobs that the service knows, as a result lists them.
    #[must_use]
    pub fn job_records(&self) -> Vec<JobRecord> {
        let record = |l: &Launched| JobRecord {
            name: l.name().to_owned(),
            arn: l.arn.clone(),
            status: match (&l.ended, &self.waiting) {
                (Some((status, _)), _) => status.clone(),
                (None, Some(seen)) if seen.name == l.name() => seen.status.clone(),
                (None, _) => "InProgress".to_owned(),
            },
            attempt: l.attempt,
            wave: l.wave.map(|w| w.number),
            shards: u32::try_from(l.shards.len()).unwrap_or(u32::MAX),
            pieces: u32::try_from(l.pieces.len()).unwrap_or(u32::MAX),
        };
        let known = self.launches.iter().filter(|l| l.arn.is_some());
        known.map(record).collect()
    }
}

fn answered(piece: &AnsweredPiece) -> (Piece, VerifiedOutput) {
    let output = VerifiedOutput {
        uri: piece.uri.clone(),
        etag: piece.etag.clone(),
        size: piece.size,
        refused: Vec::new(),
    };
    (piece.piece, output)
}

/// Whether an attempt ended because of its data.
fn asks_for_data(stop: &(u8, String)) -> bool {
    let data = [
        ExitCode::Success,
        ExitCode::Data,
        ExitCode::NoInput,
        ExitCode::Skipped,
    ];
    data.iter().any(|code| code.number() == stop.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inputs(content: &str) -> Entry {
        let file = InputFile {
            uri: "/a.csv".into(),
            size: 1,
            content: content.into(),
            modified_ns: None,
        };
        Entry::Inputs {
            files: vec![file],
            fingerprint: content.into(),
        }
    }

    fn launching(name: &str) -> Entry {
        Entry::Launching {
            attempt: 1,
            fingerprint: "f".into(),
            shards: vec![0],
            wave: None,
            pieces: Vec::new(),
            controls: Vec::new(),
            output: "s3://b/out/".into(),
            request: serde_json::json!({ "TransformJobName": name }),
        }
    }

    #[test]
    fn a_job_that_the_service_never_knew_is_no_job() {
        let mut state = RunState::of(&[launching("j-a1")]);
        assert!(state.job_records().is_empty());
        state.apply(&launching("j-a1"));
        assert_eq!((state.launches.len(), state.jobs_in_a_row), (1, 1));
        let created = Entry::JobCreated {
            name: "j-a1".into(),
            arn: "arn".into(),
            adopted: false,
        };
        state.apply(&created);
        assert_eq!(state.job_records().len(), 1);
    }

    #[test]
    fn jobs_are_counted_until_an_attempt_says_how_it_ended() {
        let row = [launching("j-a1"), resumed(), launching("j-a2")];
        let mut state = RunState::of(&row);
        assert_eq!(state.jobs_in_a_row, 2);
        state.apply(&stopped(ExitCode::Model));
        state.apply(&launching("j-a3"));
        assert_eq!(state.jobs_in_a_row, 1);
    }

    #[test]
    fn a_job_that_was_left_is_waited_for_until_the_next_attempt() {
        let created = Entry::JobCreated {
            name: "j-a1".into(),
            arn: "arn".into(),
            adopted: false,
        };
        let waiting = Entry::Waiting {
            job: "j-a1".into(),
            status: "Stopping".into(),
        };
        let mut state = RunState::of(&[launching("j-a1"), created, waiting]);
        assert!(state.has_job_under_way() && state.waiting.is_some());
        assert_eq!(state.job_records()[0].status, "Stopping");
        state.apply(&Entry::JobEnded {
            name: "j-a1".into(),
            status: "Stopped".into(),
            reason: None,
            billed_seconds: None,
        });
        state.apply(&Entry::Cancelled {
            stopped: vec!["j-a1".into()],
        });
        assert!(state.cancelled && !state.has_job_under_way());
        assert_eq!(state.job_records()[0].status, "Stopped");
        state.apply(&resumed());
        assert!(!state.cancelled && state.waiting.is_none());
    }

    #[test]
    fn other_parts_than_the_published_ones_are_not_published() {
        let assembled = |fingerprint: &str| Entry::Assembled {
            fingerprint: fingerprint.into(),
            parts: Vec::new(),
            rows: 0,
        };
        let published = Entry::Published {
            uri: "u/".into(),
            manifest_sha256: "m".into(),
        };
        let mut state = RunState::of(&[assembled("a"), published]);
        state.apply(&assembled("a"));
        assert!(state.published.is_some());
        state.apply(&assembled("b"));
        assert!(state.published.is_none());
    }

    fn stopped(exit: ExitCode) -> Entry {
        Entry::Stopped {
            exit: exit.number(),
            message: String::new(),
        }
    }

    fn resumed() -> Entry {
        Entry::Resumed {
            attempt: 2,
            version: String::new(),
        }
    }

    #[test]
    fn only_an_attempt_that_ended_because_of_the_data_waits_for_other_data() {
        let after = |exit| RunState::of(&[inputs("a"), stopped(exit), resumed()]).waits_for_data();
        assert!(after(ExitCode::Data) && after(ExitCode::NoInput));
        assert!(!after(ExitCode::Model) && !after(ExitCode::Interrupted));
        assert!(!RunState::of(&[inputs("a"), resumed()]).waits_for_data());
        let data = [inputs("a"), stopped(ExitCode::Data), resumed()];
        let looked = [stopped(ExitCode::Exists), resumed()];
        assert!(RunState::of(&[&data[..], &looked].concat()).waits_for_data());
        let began = [inputs("b"), stopped(ExitCode::Exists), resumed()];
        assert!(!RunState::of(&[&data[..], &began].concat()).waits_for_data());
    }

    #[test]
    fn other_inputs_void_what_was_made_of_the_first() {
        let scanned = Entry::Scanned {
            schema: Schema::default(),
            rows_source: 1,
            rows_accepted: 1,
            bytes: 1,
        };
        let same = RunState::of(&[inputs("a"), scanned.clone(), inputs("a")]);
        assert!(same.scanned.is_some());
        let other = RunState::of(&[inputs("a"), scanned, inputs("b")]);
        assert!(other.scanned.is_none() && other.inputs.is_some());
    }
}
