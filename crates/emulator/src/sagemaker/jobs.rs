//! `CreateTransformJob`, `DescribeTransformJob`, `StopTransformJob`, `ListTransformJobs`.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use super::constraints::{Constraints, JOB_NAME, invalid};
use super::listing::{self, Item};
use super::request::{
    ContainerDefinition, JobNameRequest, ListRequest, TransformJobRequest, parse,
};
use super::{SageMaker, disk_error, job_rules, job_run, lock, now_seconds, records};
use crate::assume::MissingJob;
use crate::error::ServiceError;
use crate::faults::{JobFault, Spot};
use crate::state::AppState;

/// The status of a job, by the API's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Status {
    InProgress,
    Completed,
    Failed,
    Stopping,
    Stopped,
}

impl Status {
    /// The end of that name; Failed for all others.
    pub(crate) fn of_end(name: &str) -> Self {
        match name {
            "Completed" => Self::Completed,
            "Stopped" => Self::Stopped,
            _ => Self::Failed,
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::InProgress => "InProgress",
            Self::Completed => "Completed",
            Self::Failed => "Failed",
            Self::Stopping => "Stopping",
            Self::Stopped => "Stopped",
        }
    }
}

/// A job as it lies on disk. Times are seconds since 1970.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct JobRecord {
    name: String,
    /// As sent, for Describe.
    raw: Map<String, Value>,
    pub(crate) request: TransformJobRequest,
    /// The model as it was when the job was created: it may be deleted while the job runs.
    pub(crate) container: ContainerDefinition,
    pub(crate) status: Status,
    pub(crate) failure_reason: Option<String>,
    created: f64,
    modified: f64,
    pub(crate) started: Option<f64>,
    ended: Option<f64>,
}

impl JobRecord {
    /// A job that is nowhere listed, as it would be if it was created now.
    pub(crate) fn unlisted(
        name: &str,
        request: TransformJobRequest,
        raw: Map<String, Value>,
        container: ContainerDefinition,
    ) -> Self {
        let now = now_seconds();
        Self {
            name: name.to_owned(),
            raw,
            request,
            container,
            status: Status::InProgress,
            failure_reason: None,
            created: now,
            modified: now,
            started: None,
            ended: None,
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// `TransformStartTime`; of a job that has none yet, now.
    pub(crate) fn started_at(&self) -> jiff::Timestamp {
        let seconds = self.started.unwrap_or_else(now_seconds);
        jiff::Timestamp::from_second(seconds as i64).unwrap_or_default()
    }

    /// Will the status change no more?
    pub(crate) fn is_final(&self) -> bool {
        matches!(
            self.status,
            Status::Completed | Status::Failed | Status::Stopped
        )
    }
}

/// A job in memory.
pub(crate) struct Job {
    pub(crate) record: JobRecord,
    /// The user wants it stopped.
    pub(crate) stop: CancellationToken,
    /// The emulator ends; the job is to run again.
    pub(crate) interrupt: CancellationToken,
}

impl Job {
    pub(crate) fn new(record: JobRecord) -> Self {
        let stop = CancellationToken::new();
        if record.status == Status::Stopping {
            stop.cancel();
        }
        Self {
            record,
            stop,
            interrupt: CancellationToken::new(),
        }
    }
}

/// `CreateTransformJob`.
pub(crate) fn create(state: &Arc<AppState>, body: &[u8]) -> Result<Value, ServiceError> {
    let request: TransformJobRequest = parse(body)?;
    job_rules::check(&request, state.config.assume)?;
    let name = request.transform_job_name.clone().unwrap_or_default();
    let arn = state.sagemaker.arn("transform-job", &name);
    let tags = request.tags.clone();
    state.sagemaker.add_job(&name, request, parse(body)?)?;
    state.sagemaker.set_tags(&arn, &tags)?;
    spawn(state, name);
    Ok(json!({ "TransformJobArn": arn }))
}

/// Runs a job as a task, in which the emulator is not idle.
pub(crate) fn spawn(state: &Arc<AppState>, name: String) {
    let (state, guard) = (Arc::clone(state), state.activity.begin());
    let sagemaker = state.sagemaker.clone();
    let mut tasks = lock(&sagemaker.inner.tasks);
    while tasks.try_join_next().is_some() {}
    tasks.spawn(async move {
        job_run::run(&state, &name).await;
        drop(guard);
    });
}

/// `DescribeTransformJob`, with the faults that show in it.
pub(crate) fn describe(state: &AppState, body: &[u8]) -> Result<Value, ServiceError> {
    let (sagemaker, name) = (&state.sagemaker, job_name(body)?);
    let spot = Spot {
        job: &name,
        ..Spot::default()
    };
    let known = sagemaker.job(&name).is_some();
    if known && state.faults.hits(spot, &JobFault::Vanish) {
        sagemaker.remove_job(&name)?;
    }
    let mut answer = sagemaker.describe_job(&name)?;
    let shown = state.faults.first(spot, |fault| match fault {
        JobFault::UnknownStatus(status) => Some(status.clone()),
        _ => None,
    });
    if let Some(status) = shown {
        answer["TransformJobStatus"] = status.into();
    }
    Ok(answer)
}

impl SageMaker {
    /// How many jobs are under way.
    pub(crate) fn running(&self) -> u64 {
        let jobs = lock(&self.inner.jobs);
        jobs.values().filter(|job| !job.record.is_final()).count() as u64
    }

    /// Forgets a job; one that is under way ends without a trace.
    fn remove_job(&self, name: &str) -> Result<(), ServiceError> {
        let path = self.path("jobs", name);
        let removed = lock(&self.inner.jobs).remove(name);
        if let Some(job) = removed {
            job.interrupt.cancel();
            std::fs::remove_file(&path).map_err(disk_error(&path))?;
        }
        Ok(())
    }

    fn add_job(
        &self,
        name: &str,
        request: TransformJobRequest,
        raw: Map<String, Value>,
    ) -> Result<(), ServiceError> {
        let mut jobs = lock(&self.inner.jobs);
        if jobs.contains_key(name) {
            let arn = self.arn("transform-job", name);
            return Err(ServiceError::new(
                "ResourceInUse",
                format!(
                    "Job name must be unique within an AWS account and region, and a job with this \
                     name already exists ({arn})"
                ),
            ));
        }
        let model = self.model(request.model_name.as_deref().unwrap_or_default())?;
        let record = JobRecord::unlisted(name, request, raw, model.container);
        let path = self.path("jobs", name);
        records::write(&path, &record).map_err(disk_error(&path))?;
        jobs.insert(name.to_owned(), Job::new(record));
        Ok(())
    }

    fn describe_job(&self, name: &str) -> Result<Value, ServiceError> {
        let record = self.job(name).ok_or_else(|| self.no_job(name))?;
        let mut answer = record.raw;
        answer.remove("Tags");
        let mut insert = |key: &str, value: Value| answer.insert(key.to_owned(), value);
        insert("TransformJobArn", self.arn("transform-job", name).into());
        insert("TransformJobStatus", record.status.as_str().into());
        insert("CreationTime", record.created.into());
        if let Some(reason) = record.failure_reason {
            insert("FailureReason", reason.into());
        }
        if let Some(started) = record.started {
            insert("TransformStartTime", started.into());
        }
        if let Some(ended) = record.ended {
            insert("TransformEndTime", ended.into());
        }
        Ok(Value::Object(answer))
    }

    pub(crate) fn stop_job(&self, body: &[u8]) -> Result<Value, ServiceError> {
        let name = job_name(body)?;
        let record = self.job(&name).ok_or_else(|| self.no_job(&name))?;
        if record.is_final() {
            return Err(invalid(format!(
                "The request was rejected because the transform job is in status {}.",
                record.status.as_str()
            )));
        }
        self.change_job(&name, |record| {
            if !record.is_final() {
                record.status = Status::Stopping;
            }
        })?;
        if let Some(job) = lock(&self.inner.jobs).get(&name) {
            job.stop.cancel();
        }
        Ok(json!({}))
    }

    pub(crate) fn list_jobs(&self, body: &[u8]) -> Result<Value, ServiceError> {
        let request: ListRequest = parse(body)?;
        let jobs = lock(&self.inner.jobs);
        let items = jobs.values().map(|job| Item {
            name: &job.record.name,
            status: job.record.status.as_str(),
            created: job.record.created,
            modified: job.record.modified,
        });
        let page = listing::page(&request, items)?;
        let shown = page.names.iter().filter_map(|name| jobs.get(name));
        let summaries: Vec<Value> = shown.map(|job| self.summary(&job.record)).collect();
        let mut answer = json!({ "TransformJobSummaries": summaries });
        if let Some(token) = page.next_token {
            answer["NextToken"] = token.into();
        }
        Ok(answer)
    }

    fn summary(&self, record: &JobRecord) -> Value {
        let mut summary = json!({
            "TransformJobName": record.name,
            "TransformJobArn": self.arn("transform-job", &record.name),
            "CreationTime": record.created,
            "LastModifiedTime": record.modified,
            "TransformJobStatus": record.status.as_str(),
        });
        if let Some(ended) = record.ended {
            summary["TransformEndTime"] = ended.into();
        }
        if let Some(reason) = &record.failure_reason {
            summary["FailureReason"] = reason.clone().into();
        }
        summary
    }

    pub(crate) fn job(&self, name: &str) -> Option<JobRecord> {
        lock(&self.inner.jobs)
            .get(name)
            .map(|job| job.record.clone())
    }

    /// Changes a job on disk and then in memory.
    pub(crate) fn change_job(
        &self,
        name: &str,
        change: impl FnOnce(&mut JobRecord),
    ) -> Result<(), ServiceError> {
        let mut jobs = lock(&self.inner.jobs);
        let Some(job) = jobs.get_mut(name) else {
            return Err(self.no_job(name));
        };
        let mut record = job.record.clone();
        change(&mut record);
        record.modified = now_seconds();
        if record.is_final() && record.ended.is_none() {
            record.ended = Some(record.modified);
        }
        let path = self.path("jobs", name);
        records::write(&path, &record).map_err(disk_error(&path))?;
        job.record = record;
        Ok(())
    }

    pub(crate) fn tokens(&self, name: &str) -> Option<(CancellationToken, CancellationToken)> {
        lock(&self.inner.jobs)
            .get(name)
            .map(|job| (job.stop.clone(), job.interrupt.clone()))
    }

    fn no_job(&self, name: &str) -> ServiceError {
        let arn = self.arn("transform-job", name);
        let code = match self.inner.missing_job {
            MissingJob::ValidationException => "ValidationException",
            MissingJob::ResourceNotFound => "ResourceNotFound",
        };
        ServiceError::new(code, format!("Could not find transform job '{arn}'."))
    }
}

fn job_name(body: &[u8]) -> Result<String, ServiceError> {
    let request: JobNameRequest = parse(body)?;
    let mut c = Constraints::default();
    let name = c.required("transformJobName", request.transform_job_name.as_deref());
    c.pattern("transformJobName", name, 63, JOB_NAME);
    c.finish()?;
    Ok(request.transform_job_name.unwrap_or_default())
}
