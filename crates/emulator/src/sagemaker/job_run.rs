//! A job from InProgress to its end.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream::{self, FuturesUnordered};
use tokio::sync::Semaphore;

use super::inputs::{self, InputObject, Place};
use super::jobs::{JobRecord, Status};
use super::logs::LogStream;
use super::processing::Processing;
use super::request::TransformJobRequest;
use super::settings::Settings;
use super::transform::{Fault, Transformed, Worker};
use super::{now_millis, now_seconds};
use crate::containers::{Container, ContainerError, ContainerSpec, Image};
use crate::job_objects::JobObjects;
use crate::state::AppState;

/// `FailureReason` is cut at this length (API model).
const MAX_REASON: usize = 1024;

/// How the transforming of a job ended.
enum End {
    Interrupted,
    Stopped,
    Reached(Result<InstanceEnd, String>),
}

/// Runs a job to its end and notes it. An interrupt leaves the job InProgress, to be run again.
pub(crate) async fn run(state: &AppState, name: &str) {
    let (Some(record), Some((stop, interrupt))) =
        (state.sagemaker.job(name), state.sagemaker.tokens(name))
    else {
        return;
    };
    let scratch = state.sagemaker.inner.folder.join("scratch").join(name);
    let transformed = tokio::select! {
        biased;
        () = interrupt.cancelled() => End::Interrupted,
        () = stop.cancelled() => End::Stopped,
        end = transform_all(state, &record, &scratch) => End::Reached(end),
    };
    // Storing cannot be stopped any more: all outputs that there are, or none.
    let outcome = match transformed {
        End::Interrupted => None,
        End::Stopped => Some((Status::Stopped, None)),
        End::Reached(end) => Some(conclude(state, end).await),
    };
    // What cannot be removed is removed at the next start.
    let _ = tokio::fs::remove_dir_all(&scratch).await;
    let Some((status, reason)) = outcome else {
        return;
    };
    // A disk that refuses leaves the job InProgress on disk, so that it runs again.
    let _ = state.sagemaker.change_job(name, |record| {
        record.status = status;
        record.failure_reason = reason.map(|r| r.chars().take(MAX_REASON).collect());
    });
}

/// Stores the outputs that there are; the status and the FailureReason.
async fn conclude(state: &AppState, end: Result<InstanceEnd, String>) -> (Status, Option<String>) {
    match store_outputs(state, end).await {
        Ok(None) => (Status::Completed, None),
        Ok(Some(Fault::Client)) => failed("ClientError: See job logs for more information"),
        Ok(Some(Fault::Algorithm)) => failed("AlgorithmError: See job logs for more information"),
        Err(reason) => failed(&reason),
    }
}

fn failed(reason: &str) -> (Status, Option<String>) {
    (Status::Failed, Some(reason.to_owned()))
}

async fn store_outputs(
    state: &AppState,
    end: Result<InstanceEnd, String>,
) -> Result<Option<Fault>, String> {
    let end = end?;
    for (output, path) in end.outputs {
        store_output(state, &output, &path).await?;
    }
    Ok(end.fault)
}

/// All instances. The error is a FailureReason. Outputs stay in `scratch`, so a stopped job stores
/// none.
async fn transform_all(
    state: &AppState,
    record: &JobRecord,
    scratch: &Path,
) -> Result<InstanceEnd, String> {
    let behaviour = state.config.behaviour;
    let objects = JobObjects::of(state);
    let inputs = inputs::list(&objects, &record.request, behaviour.output_layout).await?;
    tokio::fs::create_dir_all(scratch).await.map_err(internal)?;
    let model_data = fetch_model(state, record, scratch).await?;
    let _ = state
        .sagemaker
        .change_job(record.name(), |r| r.started = Some(now_seconds()));
    let shares = partition(inputs, instances(&record.request));
    let mut running: FuturesUnordered<_> = shares
        .into_iter()
        .enumerate()
        .map(|(index, share)| {
            let folder = scratch.join(index.to_string());
            run_instance(state, record, share, folder, model_data.clone())
        })
        .collect();
    let mut all = InstanceEnd {
        outputs: Vec::new(),
        fault: None,
    };
    while let Some(instance) = running.next().await {
        let instance = instance?;
        all.outputs.extend(instance.outputs);
        all.fault = all.fault.or(instance.fault);
    }
    Ok(all)
}

fn instances(request: &TransformJobRequest) -> usize {
    let count = request
        .transform_resources
        .as_ref()
        .and_then(|r| r.instance_count);
    count
        .and_then(|n| usize::try_from(n).ok())
        .unwrap_or(1)
        .max(1)
}

/// Objects to instances by key, in turn; an instance without an object is not started.
fn partition(inputs: Vec<InputObject>, instances: usize) -> Vec<Vec<InputObject>> {
    let count = instances.min(inputs.len()).max(1);
    let mut shares: Vec<Vec<InputObject>> = vec![Vec::new(); count];
    for (index, input) in inputs.into_iter().enumerate() {
        shares[index % count].push(input);
    }
    shares
}

/// What an instance leaves behind.
struct InstanceEnd {
    outputs: Vec<(Place, PathBuf)>,
    fault: Option<Fault>,
}

async fn run_instance(
    state: &AppState,
    record: &JobRecord,
    share: Vec<InputObject>,
    folder: PathBuf,
    model_data: Option<PathBuf>,
) -> Result<InstanceEnd, String> {
    let stream = format!("i-{:017x}-{}", fastrand::u64(..) >> 4, now_millis() / 1000);
    let logs = state.sagemaker.logs();
    let container_log = logs.open(record.name(), &stream).map_err(internal)?;
    let data_log = logs
        .open(record.name(), &format!("{stream}/data-log"))
        .map_err(internal)?;
    let processing = Processing::parse(
        record.request.data_processing.as_ref(),
        state.config.behaviour.slice_end,
    )
    .map_err(|error| {
        data_log.driver(&error.to_string());
        "ClientError: See job logs for more information".to_owned()
    })?;
    let container = start(state, record, &folder, model_data, container_log)
        .await
        .map_err(|error| {
            data_log.driver(&error.to_string());
            start_reason(&error)
        })?;
    let proposed = container.execution_parameters().await;
    let settings = Settings::resolve(&record.request, &proposed, state.config.behaviour);
    data_log.driver(&settings.describe());
    let worker = Worker {
        objects: JobObjects::of(state),
        container,
        permits: Arc::new(Semaphore::new(settings.concurrency)),
        settings,
        processing,
        data_log,
    };
    let end = transform_share(&worker, share, &folder).await;
    worker.container.stop().await;
    Ok(end)
}

/// Several objects at once, as one object may be one request; requests are bounded by permits.
async fn transform_share(worker: &Worker, share: Vec<InputObject>, folder: &Path) -> InstanceEnd {
    let objects = share
        .into_iter()
        .enumerate()
        .map(|(index, input)| async move {
            let path = folder.join("out").join(format!("{index}.out"));
            let end = worker.transform(&input, &path).await;
            (index, input.output, path, end)
        });
    let mut ends: Vec<_> = stream::iter(objects)
        .buffer_unordered(worker.settings.concurrency)
        .collect()
        .await;
    ends.sort_by_key(|(index, ..)| *index);
    let mut end = InstanceEnd {
        outputs: Vec::new(),
        fault: None,
    };
    for (_, output, path, transformed) in ends {
        match transformed {
            Ok(Transformed::Written) => end.outputs.push((output, path)),
            Ok(Transformed::Nothing) => {}
            Err(fault) => end.fault = end.fault.or(Some(fault)),
        }
    }
    end
}

async fn start(
    state: &AppState,
    record: &JobRecord,
    folder: &Path,
    model_data: Option<PathBuf>,
    log: LogStream,
) -> Result<Container, ContainerError> {
    let image = Image::from_name(record.container.image.as_deref().unwrap_or_default())?;
    Container::start(ContainerSpec {
        image,
        program: state.config.container_program.clone(),
        environment: environment(record),
        model_data,
        folder: folder.join("container"),
        log: Arc::new(move |line| log.append(line)),
    })
    .await
}

/// The model's environment, the job's over it, and what the service adds where the user said it.
fn environment(record: &JobRecord) -> BTreeMap<String, String> {
    let request = &record.request;
    let mut all = record.container.environment.clone();
    all.extend(request.environment.clone());
    let mut add = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            all.insert(name.to_owned(), value);
        }
    };
    add(
        "SAGEMAKER_MAX_PAYLOAD_IN_MB",
        request.max_payload_in_mb.map(|n| n.to_string()),
    );
    add(
        "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS",
        request.max_concurrent_transforms.map(|n| n.to_string()),
    );
    let strategy = request.batch_strategy.as_deref();
    let strategy = strategy.map(|s| {
        if s == "SingleRecord" {
            "SINGLE_RECORD"
        } else {
            "MULTI_RECORD"
        }
    });
    add("SAGEMAKER_BATCH_STRATEGY", strategy.map(str::to_owned));
    all
}

fn start_reason(error: &ContainerError) -> String {
    match error {
        ContainerError::Ping { .. } | ContainerError::Ended(_) => {
            "AlgorithmError: Model container failed to respond to ping. Please ensure /ping \
             endpoint is implemented and responds with an HTTP 200 status code"
                .to_owned()
        }
        other => format!("ClientError: {other}"),
    }
}

/// Copies the model data out of the store, once for all instances.
async fn fetch_model(
    state: &AppState,
    record: &JobRecord,
    scratch: &Path,
) -> Result<Option<PathBuf>, String> {
    let Some(url) = &record.container.model_data_url else {
        return Ok(None);
    };
    let missing = |why: String| format!("ClientError: Could not find model data at {url}: {why}");
    let place = Place::parse(url).ok_or_else(|| missing("not an S3 URI".to_owned()))?;
    let opened = JobObjects::of(state).open(&place.bucket, &place.key).await;
    let (_, mut file) = opened.map_err(|e| missing(e.to_string()))?;
    let path = scratch.join("model.tar.gz");
    let mut copy = tokio::fs::File::create(&path).await.map_err(internal)?;
    tokio::io::copy(&mut file, &mut copy)
        .await
        .map_err(internal)?;
    copy.sync_all().await.map_err(internal)?;
    Ok(Some(path))
}

async fn store_output(state: &AppState, output: &Place, path: &Path) -> Result<(), String> {
    let objects = JobObjects::of(state);
    let put = objects.put(&output.bucket, &output.key, path).await;
    put.map_err(|e| format!("ClientError: cannot write s3://{output}: {e}"))
}

fn internal(error: impl std::fmt::Display) -> String {
    format!("InternalServerError: We encountered an internal error.  Please try again. ({error})")
}
