//! What decides how a job is run: the request first, then what the container proposes, then the
//! service's defaults.

use std::time::Duration;

use super::request::TransformJobRequest;
use crate::assume::{Assumptions, InvocationDefaults, PayloadUnit};
use crate::containers::{ExecutionParameters, Invocation};

/// `MaxPayloadInMB` by default.
const DEFAULT_PAYLOAD_MB: u64 = 6;
/// Even a container that asks for more gets no more requests at once.
const MAX_CONCURRENCY: u64 = 100;

/// How an object becomes requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Split {
    /// The whole object is one.
    Whole,
    /// As many whole lines as fit.
    Lines,
    /// A line each.
    SingleLines,
}

/// The settings of one instance of a job.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) split: Split,
    /// Decompress first.
    pub(crate) gzip: bool,
    /// Bytes of a request; none: no limit, chunked.
    pub(crate) max_payload: Option<u64>,
    payload_mb: u64,
    /// Requests at once.
    pub(crate) concurrency: usize,
    single_record: bool,
    /// Tries after the first.
    pub(crate) retries: u32,
    pub(crate) invocation: Invocation,
    /// `AssembleWith: Line`.
    pub(crate) assemble_lines: bool,
    pub(crate) assume: Assumptions,
}

impl Settings {
    pub(crate) fn resolve(
        request: &TransformJobRequest,
        proposed: &ExecutionParameters,
        assume: Assumptions,
    ) -> Self {
        let input = request.transform_input.clone().unwrap_or_default();
        let output = request.transform_output.clone().unwrap_or_default();
        let single_record = match request.batch_strategy.as_deref() {
            Some(strategy) => strategy == "SingleRecord",
            None => proposed.batch_strategy.as_deref() == Some("SINGLE_RECORD"),
        };
        let split = match (input.split_type.as_deref(), single_record) {
            (Some("Line"), true) => Split::SingleLines,
            (Some("Line"), false) => Split::Lines,
            _ => Split::Whole,
        };
        let payload_mb = given(request.max_payload_in_mb)
            .or(proposed.max_payload_in_mb)
            .unwrap_or(DEFAULT_PAYLOAD_MB);
        // 0 in the request stands for "not said".
        let concurrency = given(request.max_concurrent_transforms)
            .filter(|n| *n > 0)
            .or(proposed.max_concurrent_transforms)
            .unwrap_or(1);
        let (timeout, retries) = invocation_limits(request, assume);
        Self {
            split,
            gzip: input.compression_type.as_deref() == Some("Gzip"),
            max_payload: (payload_mb > 0).then(|| payload_mb.saturating_mul(unit(assume))),
            payload_mb,
            concurrency: usize::try_from(concurrency.clamp(1, MAX_CONCURRENCY)).unwrap_or(1),
            single_record,
            retries,
            invocation: Invocation {
                content_type: input.content_type,
                accept: output.accept,
                timeout,
            },
            assemble_lines: output.assemble_with.as_deref() == Some("Line"),
            assume,
        }
    }

    /// The first line of a data-log.
    pub(crate) fn describe(&self) -> String {
        let strategy = if self.single_record {
            "SINGLE_RECORD"
        } else {
            "MULTI_RECORD"
        };
        format!(
            "MaxConcurrentTransforms={}, MaxPayloadInMB={}, BatchStrategy={strategy}",
            self.concurrency, self.payload_mb
        )
    }
}

fn given(value: Option<i64>) -> Option<u64> {
    value.and_then(|v| u64::try_from(v).ok())
}

fn unit(assume: Assumptions) -> u64 {
    match assume.payload_unit {
        PayloadUnit::Mebibyte => 1 << 20,
        PayloadUnit::Megabyte => 1_000_000,
    }
}

fn invocation_limits(request: &TransformJobRequest, assume: Assumptions) -> (Duration, u32) {
    let (seconds, retries) = match assume.invocation_defaults {
        InvocationDefaults::ApiReference => (600, 3),
        InvocationDefaults::Cdk => (60, 0),
    };
    let client = request.model_client_config.clone().unwrap_or_default();
    let seconds = given(client.invocations_timeout_in_seconds).unwrap_or(seconds);
    let given_retries = given(client.invocations_max_retries).and_then(|r| u32::try_from(r).ok());
    (
        Duration::from_secs(seconds),
        given_retries.unwrap_or(retries),
    )
}
