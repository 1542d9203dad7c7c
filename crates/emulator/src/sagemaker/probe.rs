//! Rows through a model's container without a job: `POST /_gristmill/probe`, which no API of AWS's
//! has, signed for `sagemaker`.
//!
//! The body is a line of JSON, `{"Job": CreateTransformJob's request, "Object": base name}`, and behind it the
//! bytes of an object. They are treated as an object of that job would be: its model, environment, filters,
//! mini-batches, retries and assembly. Nothing is stored, and no fault acts: those of the file are of jobs.
//! The answer is a line of JSON (see [`Told`]), and behind it what the job would have stored.

use std::io::{Seek as _, Write as _};
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::inputs::{InputObject, Place, below};
use super::instances::{Finished, Instance, NotReady, fetch_model};
use super::jobs::JobRecord;
use super::logs::Logs;
use super::request::TransformJobRequest;
use super::sending::Batch;
use super::transform::{FileFailure, Transformed};
use super::work::Work;
use crate::error::ServiceError;
use crate::faults::Faults;
use crate::state::AppState;

/// A request's bytes: a few rows, each of at most 100 MiB as the service has it, are held in memory.
pub(crate) const MAX_PROBE_BYTES: usize = 256 << 20;
/// How long all of it may take, the start of the container included. A job has longer; whoever asks
/// before each of them does not.
const PROBE_LIMIT: Duration = Duration::from_secs(120);
/// Lines of the container's log that are told.
const LINES_TOLD: usize = 6;
/// How long the last lines of a container that failed may take to arrive.
const LINES_PAUSE: Duration = Duration::from_millis(100);
/// What a probe is called where a job has its name.
const NAME: &str = "probe";
/// The stream that the container's lines go to.
const STREAM: &str = "container";

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Asked {
    job: Map<String, Value>,
    object: String,
}

/// How a probe went.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Told {
    outcome: Outcome,
    /// Why there is no answer.
    reason: Option<String>,
    /// What the container said that its answers are, each once.
    content_types: Vec<String>,
    /// The last lines that the container printed.
    log: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    /// What would have been stored is behind the line.
    Answered,
    /// The container never answered `/ping`.
    NeverReady,
    /// It answered an error, or nothing.
    Failed,
    /// It answered, and its answers cannot be filtered or joined.
    Unfit,
    /// It did not come to an end in time.
    Late,
}

/// What came of the rows.
type End = (Outcome, Option<String>, Vec<u8>);

/// Sends an object's rows to the model of a job that is not created.
///
/// # Errors
/// `SerializationException` for a body that is none; the model's, if there is none of that name.
pub(crate) async fn probe(state: &AppState, body: Bytes) -> Result<Vec<u8>, ServiceError> {
    let unreadable = |why: String| {
        let message = format!("the probe cannot be read: {why}");
        ServiceError::new("SerializationException", message)
    };
    let end = body.iter().position(|b| *b == b'\n');
    let end = end.ok_or_else(|| unreadable("its first line has no end".to_owned()))?;
    let asked: Asked =
        serde_json::from_slice(&body[..end]).map_err(|e| unreadable(e.to_string()))?;
    let request: TransformJobRequest = serde_json::from_value(Value::Object(asked.job.clone()))
        .map_err(|e| unreadable(e.to_string()))?;
    let model = request.model_name.clone().unwrap_or_default();
    let container = state.sagemaker.model(&model)?.container;
    let record = JobRecord::unlisted(NAME, request, asked.job, container);
    let scratch = folder(state).map_err(|e| ServiceError::internal(e.to_string()))?;
    let object = Object {
        input: input_of(&record, &asked.object),
        content: body.slice(end + 1..),
    };
    Ok(told(state, &record, &object, scratch.path()).await)
}

/// A folder that goes with the probe, also if nobody waits for its answer any more.
fn folder(state: &AppState) -> std::io::Result<tempfile::TempDir> {
    let scratch = state.sagemaker.inner.folder.join("scratch");
    std::fs::create_dir_all(&scratch)?;
    tempfile::TempDir::new_in(scratch)
}

struct Object {
    input: InputObject,
    content: Bytes,
}

/// Where the object would lie, and its output.
fn input_of(record: &JobRecord, name: &str) -> InputObject {
    let request = &record.request;
    let input = request.transform_input.as_ref();
    let source = input.and_then(|i| {
        i.data_source
            .as_ref()?
            .s3_data_source
            .as_ref()?
            .s3_uri
            .clone()
    });
    let output = request.transform_output.as_ref();
    let output = output.and_then(|o| o.s3_output_path.clone());
    let place = |uri: Option<String>, name: &str| {
        let nowhere = Place {
            bucket: String::new(),
            key: String::new(),
        };
        let folder = uri.and_then(|uri| Place::parse(&uri)).unwrap_or(nowhere);
        let key = below(&folder, name);
        Place { key, ..folder }
    };
    InputObject {
        source: place(source, name),
        output: place(output, &format!("{name}.out")),
    }
}

/// The answer's bytes.
async fn told(state: &AppState, record: &JobRecord, object: &Object, scratch: &Path) -> Vec<u8> {
    let logs = Logs::new(scratch.join("logs"));
    let mut content_types = Vec::new();
    let sent = send(state, record, object, scratch, &logs, &mut content_types);
    let late = || format!("it took longer than {} s", PROBE_LIMIT.as_secs());
    let (outcome, reason, output) = tokio::time::timeout(PROBE_LIMIT, sent)
        .await
        .unwrap_or_else(|_| (Outcome::Late, Some(late()), Vec::new()));
    if outcome != Outcome::Answered {
        tokio::time::sleep(LINES_PAUSE).await;
    }
    let told = Told {
        outcome,
        reason,
        content_types,
        log: logs.last(NAME, STREAM, LINES_TOLD),
    };
    // Texts and lists of them can be written.
    let mut answer = serde_json::to_vec(&told).unwrap_or_default();
    answer.push(b'\n');
    answer.extend(output);
    answer
}

async fn send(
    state: &AppState,
    record: &JobRecord,
    object: &Object,
    scratch: &Path,
    logs: &Logs,
    content_types: &mut Vec<String>,
) -> End {
    let never = |why: String| (Outcome::NeverReady, Some(why), Vec::new());
    let failed = |why: String| (Outcome::Failed, Some(why), Vec::new());
    let model_data = match fetch_model(state, record, scratch).await {
        Ok(path) => path,
        Err(why) => return never(why),
    };
    let streams = (logs.open(NAME, STREAM), logs.open(NAME, "data-log"));
    let (Ok(container_log), Ok(data_log)) = streams else {
        return failed("its log cannot be written".to_owned());
    };
    let (finished, faults, work) = (Finished::default(), Faults::none(), Work::new(1));
    let instance = Instance {
        state,
        record,
        folder: scratch.to_owned(),
        model_data,
        finished: &finished,
        faults: &faults,
    };
    let meter = work.instance(0, STREAM);
    let worker = match instance.ready(container_log, data_log, meter).await {
        Ok(worker) => worker,
        Err(NotReady { why, .. }) => return never(why),
    };
    let path = scratch.join("out").join("0.out");
    let done = async {
        let file = content_file(&object.content).map_err(|e| e.to_string())?;
        let turn = worker.next_turn().await;
        let mut turn = turn.ok_or("the services are about to end")?;
        let batch = Batch {
            input: &object.input,
            number: 1,
            object: worker.meter.object(&object.input.source.key),
        };
        let size = object.content.len() as u64;
        let sent = worker.transform_file(file, size, batch, &path, &mut turn);
        Ok::<_, String>(sent.await)
    };
    let done = done.await;
    *content_types = worker.container.content_types();
    worker.container.stop().await;
    match done {
        Err(why) => failed(why),
        Ok(done) => end(done, &path).await,
    }
}

async fn end(done: Result<Transformed, FileFailure>, path: &Path) -> End {
    match done {
        Ok(Transformed::Nothing) => (Outcome::Answered, None, Vec::new()),
        Ok(Transformed::Written) => match tokio::fs::read(path).await {
            Ok(output) => (Outcome::Answered, None, output),
            Err(e) => (Outcome::Failed, Some(e.to_string()), Vec::new()),
        },
        Err(failure) if failure.is_unfit => (Outcome::Unfit, Some(failure.text()), Vec::new()),
        Err(failure) => (Outcome::Failed, Some(failure.text()), Vec::new()),
    }
}

/// The content as a job would find it: a file, here one that has no name.
fn content_file(content: &[u8]) -> std::io::Result<std::fs::File> {
    let mut file = tempfile::tempfile()?;
    file.write_all(content)?;
    file.rewind()?;
    Ok(file)
}
