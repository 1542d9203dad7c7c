//! One object through one container: cut, sent, put together in order.
//!
//! A thread cuts; at most two bodies wait. Requests are sent while others are under way, each under
//! a permit of the container's `MaxConcurrentTransforms` (see `sending`); replies are written in order,
//! and at most twice as many as may be under way wait for one before them. So memory is bounded by payload and
//! concurrency, not by the object. An object that is one request is read from disk while it is sent.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use futures_util::StreamExt as _;
use futures_util::future::OptionFuture;
use futures_util::stream::FuturesOrdered;
use tokio::sync::{Mutex, Semaphore};

use super::assemble::{Edge, Output};
use super::inference_ids::InferenceIds;
use super::inputs::InputObject;
use super::logs::LogStream;
use super::output_edits;
use super::processing::{Processing, ProcessingError};
use super::sending::{Batch, Turn};
use super::settings::{Settings, Split};
use super::split::SplitError;
use super::work::InstanceMeter;
use crate::assume::{EmptyObjects, GzipPayload, ManifestMissing};
use crate::containers::{Container, FileBody, InvokeError, Payload};
use crate::faults::{Faults, JobFault, Spot};
use crate::job_objects::{JobObjects, ObjectsError};

/// No object that is sent whole is unpacked to more than this, whatever bounds the payload.
const MAX_UNPACKED: u64 = 64 << 30;

/// An instance that is ready.
pub(crate) struct Worker {
    /// The job's name.
    pub(crate) job: String,
    pub(crate) faults: Faults,
    pub(crate) meter: InstanceMeter,
    pub(crate) objects: JobObjects,
    pub(crate) container: Container,
    pub(crate) settings: Settings,
    pub(crate) processing: Option<Processing>,
    pub(crate) ids: Option<InferenceIds>,
    pub(crate) permits: Arc<Semaphore>,
    /// Held by the object whose requests are being sent.
    pub(crate) turn: Arc<Mutex<()>>,
    /// Those of a container that is slow on purpose.
    pub(crate) workers: OnceLock<Semaphore>,
    pub(crate) data_log: LogStream,
}

/// Whose fault it was, as FailureReason tells them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Client,
    Algorithm,
}

/// An object without output.
#[derive(Debug)]
pub(crate) struct FileFailure {
    pub(crate) fault: Fault,
    /// Lines of the data-log.
    lines: Vec<String>,
    /// The container answered, and records and answers do not go together.
    pub(super) is_unfit: bool,
}

impl FileFailure {
    fn client(line: impl Into<String>) -> Self {
        Self {
            fault: Fault::Client,
            lines: vec![line.into()],
            is_unfit: false,
        }
    }

    /// What the data-log says, on one line.
    pub(super) fn text(&self) -> String {
        let said = self.lines.iter().map(|line| line.trim());
        let said = said.filter(|line| !line.is_empty() && *line != "Message:");
        said.collect::<Vec<_>>().join(": ")
    }
}

impl From<SplitError> for FileFailure {
    fn from(error: SplitError) -> Self {
        Self::client(error.to_string())
    }
}

impl From<ProcessingError> for FileFailure {
    fn from(error: ProcessingError) -> Self {
        Self {
            is_unfit: true,
            ..Self::client(format!("ClientError: {error}"))
        }
    }
}

impl From<InvokeError> for FileFailure {
    fn from(error: InvokeError) -> Self {
        let mut lines = vec![error.to_string()];
        let (fault, detail) = match error {
            InvokeError::Status { status, message } if (400..500).contains(&status) => {
                (Fault::Client, message)
            }
            InvokeError::Status { message, .. } => (Fault::Algorithm, message),
            InvokeError::NoResponse(why) => (Fault::Algorithm, why),
        };
        lines.extend([String::new(), "Message:".to_owned()]);
        lines.extend(detail.lines().map(str::to_owned));
        Self {
            fault,
            lines,
            is_unfit: false,
        }
    }
}

/// What an object came to.
pub(crate) enum Transformed {
    /// Its output is at the path that was given.
    Written,
    /// There is nothing to store.
    Nothing,
}

impl Worker {
    /// Transforms `input` into the file `path`; a failure is in the data-log already.
    pub(crate) async fn transform(
        &self,
        input: &InputObject,
        path: &Path,
        turn: &mut Turn,
    ) -> Result<Transformed, Fault> {
        let object = self.meter.object(&input.source.key);
        let end = self.try_transform(input, object, path, turn).await;
        let outcome = match &end {
            Ok(Transformed::Written) => "written",
            Ok(Transformed::Nothing) => "nothing",
            Err(_) => "failed",
        };
        self.meter.object_ends(object, outcome);
        end.map_err(|failure| {
            for line in &failure.lines {
                self.data_log.driver(&format!("{}: {line}", input.source));
            }
            failure.fault
        })
    }

    pub(super) fn spot<'a>(&'a self, input: &'a InputObject, batch: Option<u64>) -> Spot<'a> {
        Spot {
            job: &self.job,
            object: Some(&input.source.key),
            batch,
        }
    }

    async fn try_transform(
        &self,
        input: &InputObject,
        object: usize,
        path: &Path,
        turn: &mut Turn,
    ) -> Result<Transformed, FileFailure> {
        let source = &input.source;
        let (size, file) = match self.objects.open(&source.bucket, &source.key).await {
            Ok(opened) => opened,
            Err(ObjectsError::NoSuchKey(_))
                if self.settings.assume.manifest_missing == ManifestMissing::Skip =>
            {
                return Ok(Transformed::Nothing);
            }
            Err(e) => return Err(FileFailure::client(format!("ClientError: {e}"))),
        };
        let batch = Batch {
            input,
            number: 1,
            object,
        };
        let file = file.into_std().await;
        self.transform_file(file, size, batch, path, turn).await
    }

    /// Transforms an object's content, of `size` bytes, into the file `path`.
    pub(super) async fn transform_file(
        &self,
        file: File,
        size: u64,
        batch: Batch<'_>,
        path: &Path,
        turn: &mut Turn,
    ) -> Result<Transformed, FileFailure> {
        let mut output = Output::create(path, &self.settings).await.map_err(disk)?;
        if size == 0 {
            match self.settings.assume.empty_objects {
                EmptyObjects::Skip => return Ok(Transformed::Nothing),
                EmptyObjects::EmptyOutput => {}
                EmptyObjects::Send => self.send_empty(batch, &mut output, turn).await?,
                EmptyObjects::Fail => {
                    return Err(FileFailure::client("ClientError: the object is empty"));
                }
            }
        } else if self.is_one_request() {
            self.send_whole(file, path, batch, &mut output, turn)
                .await?;
        } else {
            let reader = self.reader(file);
            self.send_bodies(reader, batch, &mut output, turn).await?;
        }
        output.finish().await.map_err(disk)?;
        self.spoil(batch.input, path).await
    }

    /// The faults of a finished output.
    async fn spoil(&self, input: &InputObject, path: &Path) -> Result<Transformed, FileFailure> {
        let spot = self.spot(input, None);
        let edits = self.faults.all(spot, output_edits::is_edit);
        if !edits.is_empty() {
            let path = path.to_owned();
            let edited = tokio::task::spawn_blocking(move || output_edits::apply(&path, &edits));
            let edited = edited
                .await
                .unwrap_or_else(|e| Err(std::io::Error::other(e)));
            edited.map_err(disk)?;
        }
        if self.faults.hits(spot, &JobFault::MissingOutput) {
            return Ok(Transformed::Nothing);
        }
        Ok(Transformed::Written)
    }

    /// What goes wrong after a mini-batch.
    fn edge(&self, batch: Batch<'_>) -> Edge {
        let spot = self.spot(batch.input, Some(batch.number));
        Edge {
            glued: self.faults.hits(spot, &JobFault::Glue),
            blank: self.faults.hits(spot, &JobFault::BlankLine),
        }
    }

    async fn send_empty(
        &self,
        batch: Batch<'_>,
        output: &mut Output,
        turn: &mut Turn,
    ) -> Result<(), FileFailure> {
        let Some(permit) = self.permit(turn).await else {
            return Ok(());
        };
        turn.all_sent();
        let payload = Payload::Bytes(Bytes::new());
        let reply = self.invoke(batch, payload, permit).await?;
        output.push(&reply, self.edge(batch)).await.map_err(disk)
    }

    fn reader(&self, file: File) -> Box<dyn Read + Send> {
        if self.settings.gzip {
            Box::new(MultiGzDecoder::new(std::io::BufReader::new(file)))
        } else {
            Box::new(file)
        }
    }

    async fn send_bodies(
        &self,
        reader: Box<dyn Read + Send>,
        first: Batch<'_>,
        output: &mut Output,
        turn: &mut Turn,
    ) -> Result<(), FileFailure> {
        let mut bodies = self.cut(reader);
        let mut replies = FuturesOrdered::new();
        let (mut more, mut sent, mut written) = (true, first, first);
        loop {
            let room = more && replies.len() < 2 * self.settings.concurrency;
            let next_body = OptionFuture::from(room.then(|| self.next_body(&mut bodies, turn)));
            tokio::select! {
                biased;
                Some(reply) = replies.next() => {
                    let reply: Bytes = reply?;
                    output.push(&reply, self.edge(written)).await.map_err(disk)?;
                    written.number += 1;
                }
                Some(body) = next_body => match body? {
                    Some((body, permit)) => {
                        replies.push_back(self.exchange(sent, body, permit));
                        sent.number += 1;
                    }
                    None => {
                        more = false;
                        turn.all_sent();
                    }
                },
                else => return Ok(()),
            }
        }
    }

    /// Is an object sent as it is? Without a limit on the payload lines are not cut either.
    fn is_one_request(&self) -> bool {
        let whole = match self.settings.split {
            Split::Whole => true,
            Split::Lines => self.settings.max_payload.is_none(),
            Split::SingleLines => false,
        };
        whole && self.processing.is_none()
    }

    /// The object in one request, read from disk while it is sent, and again for a retry.
    async fn send_whole(
        &self,
        file: File,
        path: &Path,
        batch: Batch<'_>,
        output: &mut Output,
        turn: &mut Turn,
    ) -> Result<(), FileFailure> {
        let limit = self.settings.max_payload.unwrap_or(MAX_UNPACKED);
        let (gzip, scratch) = (self.settings.gzip, path.with_extension("body"));
        let packed = self.settings.assume.gzip_payload == GzipPayload::Packed;
        let prepared = tokio::task::spawn_blocking(move || {
            let bytes = file.metadata()?.len();
            if !gzip {
                return Ok((file, bytes, bytes));
            }
            let most = if packed { MAX_UNPACKED } else { limit };
            let (file, unpacked) = unpack(file, &scratch, most)?;
            Ok((file, unpacked, if packed { bytes } else { unpacked }))
        });
        let prepared = prepared
            .await
            .unwrap_or_else(|e| Err(std::io::Error::other(e)));
        let (file, bytes, counted) = prepared.map_err(SplitError::Read)?;
        if counted > limit {
            return Err(SplitError::TooLarge.into());
        }
        if bytes == 0 {
            return Ok(());
        }
        let Some(permit) = self.permit(turn).await else {
            return Ok(());
        };
        turn.all_sent();
        let chunked = self.settings.max_payload.is_none();
        let payload = Payload::File(FileBody::new(file, bytes, chunked));
        let reply = self.with_ids(self.invoke(batch, payload, permit).await?);
        output.push(&reply, self.edge(batch)).await.map_err(disk)
    }
}

fn disk(error: std::io::Error) -> FileFailure {
    FileFailure::client(format!("InternalServerError: {error}"))
}

/// Unpacks gzip to a file that has lost its name at `scratch`; stops after more than `limit` bytes.
/// Blocking. Returns the file and its bytes.
fn unpack(packed: File, scratch: &Path, limit: u64) -> std::io::Result<(File, u64)> {
    let mut unpacked = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(scratch)?;
    std::fs::remove_file(scratch)?;
    let reader = MultiGzDecoder::new(std::io::BufReader::new(packed));
    let bytes = std::io::copy(&mut reader.take(limit.saturating_add(1)), &mut unpacked)?;
    Ok((unpacked, bytes))
}
