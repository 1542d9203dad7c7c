//! The instances of a job: which of them gets which object, and what each does.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

use futures_util::StreamExt as _;
use futures_util::future::OptionFuture;
use futures_util::stream::FuturesUnordered;
use tokio::sync::Semaphore;

use super::inference_ids::InferenceIds;
use super::inputs::{self, InputObject, Place};
use super::job_rules::media;
use super::job_run::internal;
use super::jobs::JobRecord;
use super::logs::LogStream;
use super::processing::{FilterError, Processing, Records};
use super::request::TransformJobRequest;
use super::sending::Turn;
use super::settings::{Settings, Split};
use super::transform::{Fault, Transformed, Worker};
use super::work::{InstanceMeter, Work};
use super::{lock, now_millis, now_seconds};
use crate::assume::{Assumptions, Distribution};
use crate::containers::{Container, ContainerError, ContainerSpec, Image};
use crate::faults::{Faults, JobFault, Spot};
use crate::job_objects::JobObjects;
use crate::state::AppState;

/// Outputs that are complete and not stored yet: each with the file that holds it.
pub(crate) type Finished = Arc<Mutex<Vec<(InputObject, PathBuf)>>>;

/// Objects that wait for an instance; several may take from one queue.
type Queue = Arc<Mutex<VecDeque<InputObject>>>;

/// `InstanceCount`.
pub(crate) fn count(request: &TransformJobRequest) -> usize {
    let resources = request.transform_resources.as_ref();
    let count = resources.and_then(|r| r.instance_count);
    count
        .and_then(|n| usize::try_from(n).ok())
        .unwrap_or(1)
        .max(1)
}

/// The objects of a job, by key. The error is a FailureReason.
pub(crate) async fn inputs(
    state: &AppState,
    record: &JobRecord,
) -> Result<Vec<InputObject>, String> {
    inputs::list(&JobObjects::of(state), &record.request, state.config.assume).await
}

/// All instances. The error is a FailureReason. Outputs stay in `scratch`, so a stopped job stores
/// none.
pub(crate) async fn transform_all(
    state: &AppState,
    record: &JobRecord,
    scratch: &Path,
    finished: &Finished,
    work: &Work,
) -> Result<Option<Fault>, String> {
    let inputs = inputs(state, record).await?;
    tokio::fs::create_dir_all(scratch).await.map_err(internal)?;
    let model_data = fetch_model(state, record, scratch).await?;
    let _ = state
        .sagemaker
        .change_job(record.name(), |r| r.started = Some(now_seconds()));
    let queues = partition(
        inputs,
        count(&record.request),
        state.config.assume.distribution,
    );
    let mut running: FuturesUnordered<_> = queues
        .into_iter()
        .enumerate()
        .map(|(index, queue)| {
            let instance = Instance {
                state,
                record,
                folder: scratch.join(index.to_string()),
                model_data: model_data.clone(),
                finished,
                faults: &state.faults,
            };
            instance.run(queue, work, index)
        })
        .collect();
    let mut fault = None;
    while let Some(ended) = running.next().await {
        fault = fault.or(ended?);
    }
    Ok(fault)
}

/// Queues for the instances that have something to do; the others are not started.
fn partition(inputs: Vec<InputObject>, instances: usize, distribution: Distribution) -> Vec<Queue> {
    let busy = match distribution {
        Distribution::One => 1,
        _ => instances.min(inputs.len()).max(1),
    };
    if distribution == Distribution::Queue {
        let queue: Queue = Arc::new(Mutex::new(inputs.into()));
        return vec![queue; busy];
    }
    let total = inputs.len().max(1);
    let mut shares = vec![VecDeque::new(); busy];
    for (index, input) in inputs.into_iter().enumerate() {
        let share = match distribution {
            Distribution::Contiguous => index * busy / total,
            _ => index % busy,
        };
        shares[share].push_back(input);
    }
    let queues = shares.into_iter().map(|share| Arc::new(Mutex::new(share)));
    queues.collect()
}

/// One instance of a job.
pub(super) struct Instance<'a> {
    pub(super) state: &'a AppState,
    pub(super) record: &'a JobRecord,
    /// Its own.
    pub(super) folder: PathBuf,
    /// A tar.gz.
    pub(super) model_data: Option<PathBuf>,
    pub(super) finished: &'a Finished,
    pub(super) faults: &'a Faults,
}

/// Why an instance did not come so far as to send anything.
#[derive(Debug)]
pub(super) struct NotReady {
    /// FailureReason.
    pub(super) reason: String,
    /// What the data-log says of it.
    pub(super) why: String,
}

impl Instance<'_> {
    async fn run(self, queue: Queue, work: &Work, index: usize) -> Result<Option<Fault>, String> {
        let Self { state, record, .. } = self;
        let stream = format!("i-{:017x}-{}", fastrand::u64(..) >> 4, now_millis() / 1000);
        let meter = work.instance(index, &stream);
        let logs = state.sagemaker.logs();
        let container_log = logs.open(record.name(), &stream).map_err(internal)?;
        let data_log = logs
            .open(record.name(), &format!("{stream}/data-log"))
            .map_err(internal)?;
        let ready = self.ready(container_log, data_log, meter).await;
        let worker = ready.map_err(|not| not.reason)?;
        let fault = self.transform_queue(&worker, &queue).await;
        worker.container.stop().await;
        Ok(fault)
    }

    /// Starts the container and asks it how it wants its requests.
    pub(super) async fn ready(
        &self,
        container_log: LogStream,
        data_log: LogStream,
        meter: InstanceMeter,
    ) -> Result<Worker, NotReady> {
        let Self { state, record, .. } = self;
        let not_ready = |reason: String, why: String| {
            data_log.driver(&why);
            NotReady { reason, why }
        };
        let processing = processing(&record.request, state.config.assume).map_err(|error| {
            let reason = "ClientError: See job logs for more information";
            not_ready(reason.to_owned(), error.to_string())
        })?;
        let started = self.start(container_log).await;
        let container =
            started.map_err(|error| not_ready(start_reason(&error), error.to_string()))?;
        meter.ready();
        let proposed = container.execution_parameters().await;
        let settings = Settings::resolve(&record.request, &proposed, state.config.assume);
        data_log.driver(&settings.describe());
        Ok(Worker {
            job: record.name().to_owned(),
            faults: self.faults.clone(),
            meter,
            objects: JobObjects::of(state),
            container,
            permits: Arc::new(Semaphore::new(settings.concurrency)),
            turn: Arc::default(),
            workers: OnceLock::new(),
            ids: ids(&self.noted(), &settings, state.config.assume),
            settings,
            processing,
            data_log,
        })
    }

    /// The record as it is now, with its start.
    fn noted(&self) -> JobRecord {
        let noted = self.state.sagemaker.job(self.record.name());
        noted.unwrap_or_else(|| self.record.clone())
    }

    /// Objects in their order. Several are under way at once, as one object may be one request.
    async fn transform_queue(&self, worker: &Worker, queue: &Queue) -> Option<Fault> {
        let mut under_way = FuturesUnordered::new();
        let (mut fault, mut more, mut index) = (None, true, 0);
        loop {
            let turn = OptionFuture::from(more.then(|| worker.next_turn()));
            tokio::select! {
                biased;
                Some(ended) = under_way.next() => fault = fault.or(ended),
                // Taken when there is room: another instance may take from the same queue.
                Some(turn) = turn => match turn.zip(lock(queue).pop_front()) {
                    Some((turn, input)) => {
                        under_way.push(self.transform(worker, input, index, turn));
                        index += 1;
                    }
                    None => more = false,
                },
                else => return fault,
            }
        }
    }

    async fn transform(
        &self,
        worker: &Worker,
        input: InputObject,
        index: usize,
        mut turn: Turn,
    ) -> Option<Fault> {
        let path = self.folder.join("out").join(format!("{index}.out"));
        match worker.transform(&input, &path, &mut turn).await {
            Ok(Transformed::Written) => lock(self.finished).push((input, path)),
            Ok(Transformed::Nothing) => {}
            Err(fault) => return Some(fault),
        }
        None
    }

    async fn start(&self, log: LogStream) -> Result<Container, ContainerError> {
        let Self { state, record, .. } = self;
        let spot = Spot {
            job: record.name(),
            ..Spot::default()
        };
        let never = self.faults.first(spot, |fault| match fault {
            JobFault::Ping(limit) => Some(*limit),
            _ => None,
        });
        if let Some(limit) = never {
            tokio::time::sleep(limit).await;
            return Err(ContainerError::Ping {
                seconds: limit.as_secs(),
                last: "a fault on purpose".to_owned(),
            });
        }
        let image = Image::from_name(record.container.image.as_deref().unwrap_or_default())?;
        Container::start(ContainerSpec {
            image,
            program: state.config.container_program.clone(),
            environment: environment(record),
            model_data: self.model_data.clone(),
            folder: self.folder.join("container"),
            log: Arc::new(move |line| log.append(line)),
        })
        .await
    }
}

/// What is done to records besides scoring them.
fn processing(
    request: &TransformJobRequest,
    assume: Assumptions,
) -> Result<Option<Processing>, FilterError> {
    let input = request.transform_input.as_ref();
    let lines = input.is_some_and(|i| i.split_type.as_deref() == Some("Line"));
    let media = media(input.and_then(|i| i.content_type.as_deref()));
    // Of other media the request was refused.
    let Some(records) = Records::of(media, lines) else {
        return Ok(None);
    };
    Processing::parse(request.data_processing.as_ref(), records, assume)
}

/// What `GenerateInferenceId` adds, to answers of which it is known what a record is.
fn ids(record: &JobRecord, settings: &Settings, assume: Assumptions) -> Option<InferenceIds> {
    let capture = record.request.data_capture_config.as_ref();
    capture.filter(|c| c.generate_inference_id)?;
    let invocation = &settings.invocation;
    let accept = invocation
        .accept
        .as_deref()
        .or(invocation.content_type.as_deref());
    Some(InferenceIds {
        records: Records::of(media(accept), settings.split != Split::Whole)?,
        time: record
            .started_at()
            .strftime("%Y-%m-%dT%H:%M:%SZ")
            .to_string(),
        space: assume.inference_id_space,
    })
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
pub(super) async fn fetch_model(
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
