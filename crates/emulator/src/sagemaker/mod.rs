//! Models, transform jobs and their logs.
//!
//! The calls of a client are answered from memory; each change is on disk before it is answered. A
//! job runs as a task of the emulator's; one that was under way when the emulator was killed runs
//! again from its start, as nothing of it was stored.

mod assemble;
mod capture;
mod constraints;
mod inference_ids;
mod inputs;
mod instances;
mod job_rules;
mod job_run;
mod jobs;
mod listing;
mod logs;
mod models;
mod output_edits;
mod probe;
mod processing;
mod records;
mod request;
mod sending;
mod settings;
mod split;
mod tags;
#[cfg(test)]
mod tests;
mod transform;
mod work;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use self::jobs::Job;
use self::models::ModelRecord;
pub(crate) use self::probe::{MAX_PROBE_BYTES, probe};
use self::tags::TagRecord;
use crate::assume::MissingJob;
use crate::config::EmulatorConfig;
use crate::error::{EmulatorError, ServiceError};
use crate::state::AppState;

/// All state of the emulated SageMaker. Clones share it.
#[derive(Clone)]
pub(crate) struct SageMaker {
    inner: Arc<Inner>,
}

struct Inner {
    /// `<dir>/sagemaker`.
    folder: PathBuf,
    region: String,
    missing_job: MissingJob,
    models: Mutex<BTreeMap<String, ModelRecord>>,
    jobs: Mutex<BTreeMap<String, Job>>,
    /// By ARN.
    tags: Mutex<TagRecord>,
    /// The jobs under way.
    tasks: Mutex<tokio::task::JoinSet<()>>,
}

impl SageMaker {
    /// Reads `folder`, which is created where it is missing. Starts nothing.
    pub(crate) async fn open(
        folder: &Path,
        config: &EmulatorConfig,
    ) -> Result<Self, EmulatorError> {
        let (folder, config) = (folder.to_owned(), config.clone());
        let opened = tokio::task::spawn_blocking(move || Self::open_blocking(folder, config)).await;
        opened.unwrap_or_else(|e| {
            Err(EmulatorError::Container(format!(
                "the state cannot be read: {e}"
            )))
        })
    }

    fn open_blocking(folder: PathBuf, config: EmulatorConfig) -> Result<Self, EmulatorError> {
        let models: Vec<ModelRecord> = records::load_all(&folder.join("models"))?;
        let jobs: Vec<jobs::JobRecord> = records::load_all(&folder.join("jobs"))?;
        let tags = records::load_if_there(&folder.join("tags.json"))?.unwrap_or_default();
        let scratch = folder.join("scratch");
        if scratch.exists() {
            std::fs::remove_dir_all(&scratch).map_err(EmulatorError::io("remove", &scratch))?;
        }
        let inner = Inner {
            folder,
            region: config.region,
            missing_job: config.assume.missing_job,
            models: Mutex::new(
                models
                    .into_iter()
                    .map(|m| (m.name().to_owned(), m))
                    .collect(),
            ),
            jobs: Mutex::new(
                jobs.into_iter()
                    .map(|r| (r.name().to_owned(), Job::new(r)))
                    .collect(),
            ),
            tags: Mutex::new(tags),
            tasks: Mutex::new(tokio::task::JoinSet::new()),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    fn arn(&self, kind: &str, name: &str) -> String {
        let region = &self.inner.region;
        format!(
            "arn:aws:sagemaker:{region}:{}:{kind}/{name}",
            EmulatorConfig::ACCOUNT
        )
    }

    fn path(&self, folder: &str, name: &str) -> PathBuf {
        self.inner.folder.join(folder).join(format!("{name}.json"))
    }

    fn logs(&self) -> logs::Logs {
        logs::Logs::new(self.inner.folder.join("logs"))
    }
}

/// Starts again what was under way when the emulator last ended. Call once, when serving.
pub(crate) fn start(state: &Arc<AppState>) {
    let unfinished: Vec<String> = lock(&state.sagemaker.inner.jobs)
        .iter()
        .filter(|(_, job)| !job.record.is_final())
        .map(|(name, _)| name.clone())
        .collect();
    for name in unfinished {
        jobs::spawn(state, name);
    }
}

/// Ends every container and waits for the tasks. Jobs under way stay InProgress on disk.
pub(crate) async fn stop(state: &Arc<AppState>) {
    let inner = &state.sagemaker.inner;
    for job in lock(&inner.jobs).values() {
        job.interrupt.cancel();
    }
    let mut tasks = std::mem::take(&mut *lock(&inner.tasks));
    while tasks.join_next().await.is_some() {}
}

/// Answers one JSON 1.1 call. `operation` is the `X-Amz-Target` header, or what follows its dot.
pub(crate) async fn handle(
    state: &Arc<AppState>,
    operation: &str,
    body: &[u8],
) -> Result<Value, ServiceError> {
    let sagemaker = &state.sagemaker;
    let name = operation
        .rsplit_once('.')
        .map_or(operation, |(_, name)| name);
    match name {
        "CreateModel" => sagemaker.create_model(body),
        "DescribeModel" => sagemaker.describe_model(body),
        "DeleteModel" => sagemaker.delete_model(body),
        "ListModels" => sagemaker.list_models(body),
        "CreateTransformJob" => jobs::create(state, body),
        "DescribeTransformJob" => jobs::describe(state, body),
        "StopTransformJob" => sagemaker.stop_job(body),
        "ListTransformJobs" => sagemaker.list_jobs(body),
        "AddTags" => sagemaker.add_tags(body),
        "ListTags" => sagemaker.list_tags(body),
        "DeleteTags" => sagemaker.delete_tags(body),
        "DescribeLogStreams" => sagemaker.logs().describe_streams(body),
        "GetLogEvents" => sagemaker.logs().get_events(body),
        "FilterLogEvents" => sagemaker.logs().filter_events(body),
        _ => Err(ServiceError::new(
            "UnknownOperationException",
            format!("{operation} is not supported by the gristmill emulator"),
        )),
    }
}

/// Seconds since 1970 to the millisecond, as the service gives them.
fn now_seconds() -> f64 {
    now_millis() as f64 / 1000.0
}

fn now_millis() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

// A panic while a lock is held cannot leave half a change: records are replaced whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn disk_error(path: &Path) -> impl FnOnce(std::io::Error) -> ServiceError {
    move |e| ServiceError::internal(format!("cannot write {}: {e}", path.display()))
}
