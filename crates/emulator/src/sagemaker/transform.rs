//! One object through one container: cut, sent, put together in order.
//!
//! A thread cuts; at most two bodies wait. Requests are sent while others are under way, each under
//! a permit of the container's `MaxConcurrentTransforms`; replies are written in order, and at most
//! twice as many as may be under way wait for one before them. So memory is bounded by payload and
//! concurrency, not by the object. An object that is one request is read from disk while it is sent.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use futures_util::StreamExt as _;
use futures_util::future::OptionFuture;
use futures_util::stream::FuturesOrdered;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::assemble::Output;
use super::inputs::InputObject;
use super::logs::LogStream;
use super::processing::{Processing, ProcessingError};
use super::settings::{Settings, Split};
use super::split::{self, Cut, SplitError};
use crate::config::EmptyObjects;
use crate::containers::{Container, FileBody, InvokeError, Payload};
use crate::job_objects::JobObjects;

/// Before the second try of an invocation; doubled for each further.
const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// An instance that is ready.
pub(crate) struct Worker {
    pub(crate) objects: JobObjects,
    pub(crate) container: Container,
    pub(crate) settings: Settings,
    pub(crate) processing: Option<Processing>,
    pub(crate) permits: Arc<Semaphore>,
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
}

impl FileFailure {
    fn client(line: impl Into<String>) -> Self {
        Self {
            fault: Fault::Client,
            lines: vec![line.into()],
        }
    }
}

impl From<SplitError> for FileFailure {
    fn from(error: SplitError) -> Self {
        Self::client(error.to_string())
    }
}

impl From<ProcessingError> for FileFailure {
    fn from(error: ProcessingError) -> Self {
        Self::client(format!("ClientError: {error}"))
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
        Self { fault, lines }
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
    ) -> Result<Transformed, Fault> {
        self.try_transform(input, path).await.map_err(|failure| {
            for line in &failure.lines {
                self.data_log.driver(&format!("{}: {line}", input.source));
            }
            failure.fault
        })
    }

    async fn try_transform(
        &self,
        input: &InputObject,
        path: &Path,
    ) -> Result<Transformed, FileFailure> {
        let source = &input.source;
        let opened = self.objects.open(&source.bucket, &source.key).await;
        let (size, file) = opened.map_err(|e| FileFailure::client(format!("ClientError: {e}")))?;
        if size == 0 {
            return self.empty(path).await;
        }
        let file = file.into_std().await;
        let mut output = Output::create(path, &self.settings).await.map_err(disk)?;
        if self.is_one_request() {
            self.send_whole(file, path, &mut output).await?;
        } else {
            self.send_bodies(self.reader(file), &mut output).await?;
        }
        output.finish().await.map_err(disk)?;
        Ok(Transformed::Written)
    }

    async fn empty(&self, path: &Path) -> Result<Transformed, FileFailure> {
        match self.settings.behaviour.empty_objects {
            EmptyObjects::Skip => Ok(Transformed::Nothing),
            EmptyObjects::EmptyOutput => {
                let output = Output::create(path, &self.settings).await.map_err(disk)?;
                output.finish().await.map_err(disk)?;
                Ok(Transformed::Written)
            }
            EmptyObjects::Fail => Err(FileFailure::client("ClientError: the object is empty")),
        }
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
        output: &mut Output,
    ) -> Result<(), FileFailure> {
        let mut bodies = self.cut(reader);
        let mut replies = FuturesOrdered::new();
        let mut more = true;
        loop {
            let room = more && replies.len() < 2 * self.settings.concurrency;
            let next_body = OptionFuture::from(room.then(|| self.next_body(&mut bodies)));
            tokio::select! {
                biased;
                Some(reply) = replies.next() => {
                    let reply: Bytes = reply?;
                    output.push(&reply).await.map_err(disk)?;
                }
                Some(body) = next_body => match body? {
                    Some((body, permit)) => replies.push_back(self.exchange(body, permit)),
                    None => more = false,
                },
                else => return Ok(()),
            }
        }
    }

    /// A thread that cuts ahead. It ends when the receiver is dropped.
    fn cut(&self, reader: Box<dyn Read + Send>) -> mpsc::Receiver<Result<Bytes, SplitError>> {
        let cut = Cut {
            split: self.settings.split,
            limit: self.settings.max_payload,
            blank_lines: self.settings.behaviour.blank_lines,
        };
        let (sender, receiver) = mpsc::channel(1);
        tokio::task::spawn_blocking(move || {
            let mut emit = |body: Vec<u8>| sender.blocking_send(Ok(body.into())).is_ok();
            if let Err(error) = split::split(reader, cut, &mut emit) {
                let _ = sender.blocking_send(Err(error));
            }
        });
        receiver
    }

    /// The permit comes first: dropped in between, this loses no body.
    async fn next_body(
        &self,
        bodies: &mut mpsc::Receiver<Result<Bytes, SplitError>>,
    ) -> Result<Option<(Bytes, OwnedSemaphorePermit)>, FileFailure> {
        let Ok(permit) = Arc::clone(&self.permits).acquire_owned().await else {
            return Ok(None);
        };
        match bodies.recv().await {
            Some(body) => Ok(Some((body?, permit))),
            None => Ok(None),
        }
    }

    /// One body: filtered, sent, joined. The limit of the payload holds for the records before the
    /// filter.
    async fn exchange(
        &self,
        body: Bytes,
        permit: OwnedSemaphorePermit,
    ) -> Result<Bytes, FileFailure> {
        let Some(processing) = &self.processing else {
            return self.invoke(Payload::Bytes(body), permit).await;
        };
        let request = processing.request(&body)?;
        let reply = self.invoke(Payload::Bytes(request.into()), permit).await?;
        Ok(processing.reply(&body, &reply)?.into())
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
        output: &mut Output,
    ) -> Result<(), FileFailure> {
        let limit = self.settings.max_payload.unwrap_or(u64::MAX);
        let (gzip, scratch) = (self.settings.gzip, path.with_extension("body"));
        let prepared = tokio::task::spawn_blocking(move || {
            if gzip {
                unpack(file, &scratch, limit)
            } else {
                let bytes = file.metadata()?.len();
                Ok((file, bytes))
            }
        });
        let prepared = prepared
            .await
            .unwrap_or_else(|e| Err(std::io::Error::other(e)));
        let (file, bytes) = prepared.map_err(SplitError::Read)?;
        if bytes > limit {
            return Err(SplitError::TooLarge.into());
        }
        if bytes == 0 {
            return Ok(());
        }
        let Ok(permit) = Arc::clone(&self.permits).acquire_owned().await else {
            return Ok(());
        };
        let chunked = self.settings.max_payload.is_none();
        let payload = Payload::File(FileBody::new(file, bytes, chunked));
        let reply = self.invoke(payload, permit).await?;
        output.push(&reply).await.map_err(disk)
    }

    /// One request with its retries. The permit is held until it is answered.
    async fn invoke(
        &self,
        payload: Payload,
        permit: OwnedSemaphorePermit,
    ) -> Result<Bytes, FileFailure> {
        let mut tries = 0;
        let answer = loop {
            match self
                .container
                .invoke(&self.settings.invocation, &payload)
                .await
            {
                Ok(reply) => break Ok(reply),
                Err(error) if tries >= self.settings.retries => break Err(error.into()),
                Err(_) => tokio::time::sleep(RETRY_PAUSE * 2u32.pow(tries)).await,
            }
            tries += 1;
        };
        drop(permit);
        answer
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
