//! The probe: before anything is cut and uploaded, the first rows go to the model's container, where it
//! can be reached, and as many answers must come back, of the content type that was asked for, with all
//! that `assemble` takes from them.
//!
//! The rows are cut, sent and answered as by a job that is not created, and judged by what judges a job's
//! outputs. So what is refused here, any job would end in; but for the content type, which the service does
//! not look at, and which tells of a model that was not made for the request. One row is sent where there is
//! one: then a container that scores the first row of a request only does no harm, and is not refused.
//!
//! | outcome | what follows |
//! |---|---|
//! | as many answers, of that type, with these columns | the job; it is recorded, and no attempt asks again |
//! | fewer or more answers, another type, answers that cannot be read or joined | exit code 69 |
//! | `/ping` is never answered, or there is nothing to start | exit code 69: no job could work |
//! | an error status, no answer in time, no probe to be had | a warning, and the job decides: a row may be refused for good reasons (`on_refused_row`), and retries are for the rest |

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use gristmill_cloud::{ProbeOutcome, ProbeReport};
use gristmill_plan::spec::Probe;
use gristmill_plan::{JobInput, Plan};
use gristmill_tabular::{
    AssembleJob, Compression, Input, Layout, OutputFormat, Progress, SealedShard, ShardOutput,
    TabularError, assemble, write_shards,
};

use crate::entry::Entry;
use crate::error::RunError;
use crate::event::{Event, Level};
use crate::folder::make_folder;
use crate::inventory::blocking;
use crate::session::Session;
use crate::stages::announce::request_over;
use crate::stages::assemble::output_columns;
use crate::stages::cut::{CutJob, interrupted_or, shard_job};
use crate::stages::joined_ids;
use crate::stages::outputs::{answer_layout, count};
use crate::stages::probe_verdict::{Sent, never_ready, unfit};
use crate::stages::score::ScoreJob;

/// A first shard that is larger is not sent: it would be in memory several times.
const MAX_CONTENT_BYTES: u64 = 64 << 20;

/// Whether the model is to be asked: not again once it answered well, nor once a job was announced.
pub(crate) fn is_due(session: &Session, fingerprint: &str) -> bool {
    let asked_for = session.spec.transform.as_ref().map(|t| t.probe) == Some(Probe::Auto);
    let reached = session.cloud.as_ref().and_then(|c| c.containers());
    asked_for
        && reached.is_some()
        && session.state(|s| {
            s.probed.as_deref() != Some(fingerprint)
                && s.launches_of(fingerprint).next().is_none()
                && s.scanned.as_ref().is_some_and(|x| x.rows_accepted > 0)
        })
}

/// Sends the first rows to the model, which the service knows already.
///
/// # Errors
/// `Model`, when no job could bring every row back; the data's, as of cutting; the disk's.
pub(crate) async fn run(
    session: &Arc<Session>,
    plan: &Plan,
    cut: &CutJob,
    job: &ScoreJob,
) -> Result<(), RunError> {
    let (folder, begun) = (session.folder.probe(), Instant::now());
    let asked = ask(session, plan, cut, job, &folder).await;
    // What is left behind, the next attempt removes.
    let _ = std::fs::remove_dir_all(&folder);
    match asked? {
        Verdict::NothingToSend => Ok(()),
        Verdict::Unsettled(why) => {
            let text = format!("the probe of the model settled nothing, the job decides: {why}");
            session.note(Level::Warn, text);
            Ok(())
        }
        Verdict::Good {
            rows,
            content_types,
        } => {
            session.record(&Entry::Probed {
                fingerprint: job.fingerprint.clone(),
                rows,
                content_types: content_types.clone(),
            })?;
            session.emit(&Event::Probed {
                rows,
                content_types,
                seconds: begun.elapsed().as_secs_f64(),
            });
            Ok(())
        }
    }
}

/// What came of it, where it is no reason to stop.
enum Verdict {
    Good {
        rows: u64,
        content_types: Vec<String>,
    },
    Unsettled(String),
    NothingToSend,
}

async fn ask(
    session: &Arc<Session>,
    plan: &Plan,
    cut: &CutJob,
    job: &ScoreJob,
    folder: &Path,
) -> Result<Verdict, RunError> {
    let Some(first) = first_rows(session, plan, cut, folder).await? else {
        return Ok(Verdict::NothingToSend);
    };
    joined_ids::check(session, &first).await?;
    if first.bytes > MAX_CONTENT_BYTES {
        let why = format!("its first rows take {} bytes", first.bytes);
        return Ok(Verdict::Unsettled(why));
    }
    let path = first.path.clone();
    let content =
        blocking(move || std::fs::read(&path).map_err(|e| RunError::io("read", &path, e)));
    let content = content.await?;
    let prefix = session.remote()?.shards(&job.shards_fingerprint);
    let input = JobInput::Prefix(prefix.to_string());
    let request = request_over(session, plan, job, None, 1, input)?;
    let containers = session.cloud.as_ref().and_then(|c| c.containers());
    let containers = containers.ok_or_else(|| RunError::bug("no container can be reached"))?;
    let call = async {
        let called = containers.probe(&request, &first.name, &content).await;
        Ok::<_, RunError>(called)
    };
    match session.cancel.guard(call).await? {
        Ok(report) => judge(session, folder, first, report).await,
        Err(error) => Ok(Verdict::Unsettled(error.to_string())),
    }
}

/// Cuts what the first shard begins with, as it will be cut; none where no row is left to send.
async fn first_rows(
    session: &Arc<Session>,
    plan: &Plan,
    cut: &CutJob,
    folder: &Path,
) -> Result<Option<SealedShard>, RunError> {
    let (inner, plan, folder) = (Arc::clone(session), plan.clone(), folder.to_owned());
    let cut = CutJob {
        inputs: cut.inputs.iter().map(without_a_copy).collect(),
        options: cut.options.clone(),
        schema: cut.schema.clone(),
        fingerprint: cut.fingerprint.clone(),
    };
    blocking(move || {
        let quarantine = folder.join("bad-rows.jsonl");
        make_folder(&folder)?;
        let mut job = shard_job(&plan, &cut, &folder, &quarantine)?;
        job.name_prefix = "probe-".to_owned();
        job.max_rows = Some(job.max_rows.unwrap_or(Probe::ROWS).min(Probe::ROWS));
        let mut first = None;
        let done = write_shards(
            &job,
            &mut |shard| {
                first = Some(shard);
                Err(TabularError::Cancelled)
            },
            &UntilCancelled(&inner),
        );
        match (first, done) {
            (Some(first), _) => Ok(Some(first)),
            (None, Ok(_)) => Ok(None),
            (None, Err(error)) => Err(interrupted_or(&inner, error)),
        }
    })
    .await
}

/// A few rows of Parquet in a store are asked for where they are.
fn without_a_copy(input: &Input) -> Input {
    match input.layout {
        Layout::Parquet => input.by_ranges(),
        _ => input.clone(),
    }
}

struct UntilCancelled<'a>(&'a Session);

impl Progress for UntilCancelled<'_> {
    fn advance(&self, _rows: u64, _bytes: u64) {}

    fn cancelled(&self) -> bool {
        self.0.cancel.is_cancelled()
    }
}

async fn judge(
    session: &Arc<Session>,
    folder: &Path,
    first: SealedShard,
    report: ProbeReport,
) -> Result<Verdict, RunError> {
    let transform = session.spec.transform.as_ref();
    let transform = transform.ok_or_else(|| RunError::bug("no transform stage"))?;
    let reason = report.reason.clone().unwrap_or_default();
    match report.outcome {
        ProbeOutcome::NeverReady => return Err(never_ready(&reason, &report.log)),
        ProbeOutcome::Unfit => return Err(unfit(&reason, first.rows)),
        ProbeOutcome::Failed | ProbeOutcome::Late => {
            let said = report.log.last();
            let said = said.map(|line| format!("; its log ends in {line:?}"));
            let why = format!("{reason}{}", said.unwrap_or_default());
            return Ok(Verdict::Unsettled(why));
        }
        ProbeOutcome::Answered => {}
    }
    let sent = Sent {
        transform,
        rows: first.rows,
        report: &report,
    };
    sent.check_content_type()?;
    let path = folder.join(format!("{}.out", first.name));
    let (output, layout) = (report.output.clone(), answer_layout(&session.spec));
    let (written, name, rows) = (path.clone(), first.name.clone(), first.rows);
    let counted = blocking(move || {
        std::fs::write(&written, &output).map_err(|e| RunError::io("write", &written, e))?;
        count(&written, &name, layout, rows)
    });
    if let Err(what) = counted.await? {
        return Err(sent.lost(&what));
    }
    if let Err(error) = join(session, folder, &first, &path).await? {
        return Err(sent.unreadable(&error));
    }
    Ok(Verdict::Good {
        rows: first.rows,
        content_types: report.content_types,
    })
}

/// Joins the answers as they will be joined. What is wrong with them is the inner error.
async fn join(
    session: &Arc<Session>,
    folder: &Path,
    first: &SealedShard,
    path: &Path,
) -> Result<Result<(), TabularError>, RunError> {
    let Some(spec) = &session.spec.assemble else {
        return Ok(Ok(()));
    };
    let shards = [ShardOutput {
        index: first.index,
        name: first.name.clone(),
        sidecar: first.sidecar_path.clone(),
        sidecar_sha256: first.sidecar_sha256.clone(),
        predictions: path.to_owned(),
        rows: first.rows,
        refused: Vec::new(),
    }];
    let columns = output_columns(session, spec);
    let (answers, folder) = (answer_layout(&session.spec), folder.to_owned());
    blocking(move || {
        let job = AssembleJob {
            shards: &shards,
            columns: &columns,
            answers,
            // Read by nobody.
            format: OutputFormat::Csv {
                header: false,
                compression: Compression::None,
            },
            folder: &folder,
            rows_per_part: u64::MAX,
            threads: 1,
        };
        match assemble(&job, &()) {
            Ok(_) => Ok(Ok(())),
            Err(error @ TabularError::Prediction { .. }) => Ok(Err(error)),
            Err(error) => Err(error.into()),
        }
    })
    .await
}
