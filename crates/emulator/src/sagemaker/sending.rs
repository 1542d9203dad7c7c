//! How the requests of an instance come one after another, and what becomes of each.
//!
//! Requests are sent in the order of objects and of records: the next object begins when all requests
//! of one are sent and there is room for another, or, where the switch says so, when all are answered.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{OwnedMutexGuard, OwnedSemaphorePermit, Semaphore, mpsc};

use super::inputs::InputObject;
use super::settings::Split;
use super::split::{self, Cut, SplitError};
use super::transform::{FileFailure, Worker};
use crate::assume::{GzipPayload, NextObject};
use crate::containers::{InvokeError, Payload};
use crate::faults::{JobFault, Spot};

/// Before the second try of an invocation; doubled for each further.
const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// A mini-batch on its way.
#[derive(Clone, Copy)]
pub(crate) struct Batch<'a> {
    pub(super) input: &'a InputObject,
    /// Its number in its object, from 1.
    pub(super) number: u64,
    /// The object's number for the meter.
    pub(super) object: usize,
}

/// The right to send an object's requests, with room for the first of them.
pub(crate) struct Turn {
    room: Option<OwnedSemaphorePermit>,
    right: Option<OwnedMutexGuard<()>>,
    to_the_end: bool,
}

impl Turn {
    /// The last request is on its way: the next object may begin.
    pub(super) fn all_sent(&mut self) {
        if !self.to_the_end {
            self.right = None;
        }
    }
}

impl Worker {
    /// Waits for the turn of the next object; none where the instance ends.
    pub(crate) async fn next_turn(&self) -> Option<Turn> {
        let right = Arc::clone(&self.turn).lock_owned().await;
        let room = Arc::clone(&self.permits).acquire_owned().await.ok()?;
        Some(Turn {
            room: Some(room),
            right: Some(right),
            to_the_end: self.settings.assume.next_object == NextObject::AllAnswered,
        })
    }

    /// Room for a request.
    pub(super) async fn permit(&self, turn: &mut Turn) -> Option<OwnedSemaphorePermit> {
        match turn.room.take() {
            Some(room) => Some(room),
            None => Arc::clone(&self.permits).acquire_owned().await.ok(),
        }
    }

    /// A thread that cuts ahead. It ends when the receiver is dropped.
    pub(super) fn cut(
        &self,
        reader: Box<dyn Read + Send>,
    ) -> mpsc::Receiver<Result<Bytes, SplitError>> {
        let settings = &self.settings;
        let packed = settings.gzip && settings.assume.gzip_payload == GzipPayload::Packed;
        let cut = Cut {
            split: settings.split,
            limit: settings
                .max_payload
                .filter(|_| !packed || settings.split != Split::Whole),
            assume: settings.assume,
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
    pub(super) async fn next_body(
        &self,
        bodies: &mut mpsc::Receiver<Result<Bytes, SplitError>>,
        turn: &mut Turn,
    ) -> Result<Option<(Bytes, OwnedSemaphorePermit)>, FileFailure> {
        let Some(permit) = self.permit(turn).await else {
            return Ok(None);
        };
        match bodies.recv().await {
            Some(body) => Ok(Some((body?, permit))),
            None => Ok(None),
        }
    }

    /// One body: filtered, sent, joined. The limit of the payload holds for the records before the
    /// filter.
    pub(super) async fn exchange(
        &self,
        batch: Batch<'_>,
        body: Bytes,
        permit: OwnedSemaphorePermit,
    ) -> Result<Bytes, FileFailure> {
        let Some(processing) = &self.processing else {
            let reply = self.invoke(batch, self.payload(body), permit).await?;
            return Ok(self.with_ids(reply));
        };
        let request = processing.request(&body)?;
        let payload = self.payload(request.into());
        let reply = self.invoke(batch, payload, permit).await?;
        Ok(self.with_ids(processing.reply(&body, &reply)?.into()))
    }

    pub(super) fn with_ids(&self, reply: Bytes) -> Bytes {
        match &self.ids {
            Some(ids) => ids.add(&reply).into(),
            None => reply,
        }
    }

    /// Without a limit a body is sent in chunks.
    fn payload(&self, body: Bytes) -> Payload {
        match self.settings.max_payload {
            Some(_) => Payload::Bytes(body),
            None => Payload::Chunked(body),
        }
    }

    /// One request with its retries. The permit is held until it is answered.
    pub(super) async fn invoke(
        &self,
        batch: Batch<'_>,
        payload: Payload,
        permit: OwnedSemaphorePermit,
    ) -> Result<Bytes, FileFailure> {
        let mut tries = 0;
        let answer = loop {
            match self.try_invoke(batch, &payload).await {
                Ok(reply) => break Ok(reply),
                Err(error) if tries >= self.settings.retries => break Err(error.into()),
                Err(_) => tokio::time::sleep(RETRY_PAUSE * 2u32.pow(tries)).await,
            }
            tries += 1;
        };
        drop(permit);
        answer
    }

    /// One try, or the fault that there is instead of it.
    async fn try_invoke(&self, batch: Batch<'_>, payload: &Payload) -> Result<Bytes, InvokeError> {
        let _under_way = self.meter.request(batch.object);
        let spot = self.spot(batch.input, Some(batch.number));
        let timeout = self.settings.invocation.timeout;
        let slow = tokio::time::timeout(timeout, self.take_time(spot, payload));
        slow.await.map_err(|_| InvokeError::late(timeout))?;
        let fault = self.faults.first(spot, |fault| match fault {
            JobFault::Status { status, message } => Some(InvokeError::Status {
                status: *status,
                message: message.clone(),
            }),
            JobFault::NoResponse => Some(InvokeError::NoResponse("a fault on purpose".to_owned())),
            _ => None,
        });
        match fault {
            Some(error) => Err(error),
            None => {
                self.container
                    .invoke(&self.settings.invocation, payload)
                    .await
            }
        }
    }

    /// What a container takes beside its own time, by the fault `slow`: for a request, and then for its
    /// rows, of which so many requests at once are computed as there are workers.
    async fn take_time(&self, spot: Spot<'_>, payload: &Payload) {
        let slow = self.faults.first(spot, |fault| match fault {
            JobFault::Slow {
                request,
                row,
                workers,
            } => Some((*request, *row, *workers)),
            _ => None,
        });
        let Some((request, row, workers)) = slow else {
            return;
        };
        tokio::time::sleep(request).await;
        let workers = self.workers.get_or_init(|| Semaphore::new(workers));
        let _worker = workers.acquire().await;
        tokio::time::sleep(row * payload.rows()).await;
    }
}
