//! Opaque bytes to S3; transform jobs to a terminal state.
//!
//! The only crate with credentials and TLS. It never prints, never looks into the bytes it moves,
//! and knows nothing of rows. Start at [`Cloud::connect`]: [`Store`] is S3, [`Transforms`] is
//! SageMaker, [`JobLogs`] is what its jobs log, [`Containers`] is what only the embedded services have, every failure is a [`CloudError`].
//!
//! What holds everywhere:
//! - an object is written whole or not at all, and the store has confirmed its checksum;
//! - a write whose answer was lost is recognised as done, not reported as somebody else's;
//! - bytes that are read are counted, compared with a checksum where there is one, and all of one
//!   version of the object;
//! - requests are retried here ([`RetryPolicy`]) and by no caller;
//! - no credential and no presigned URL is in any error or `Debug` output.

mod attempts;
mod blocking;
mod body;
mod checksum;
mod classify;
mod config;
mod connect;
mod containers;
mod download;
mod error;
mod job_logs;
mod listing;
mod models;
mod multipart;
mod probe;
mod redact;
mod store;
mod transform_job;
mod transform_wire;
mod transforms;
mod upload;
mod uri;

pub use blocking::BlockingObject;
pub use config::{CloudConfig, LocalEndpoint, RetryPolicy, Timeouts, Transfer};
pub use connect::Cloud;
pub use containers::{Containers, ProbeOutcome, ProbeReport};
pub use download::{Expected, GetReceipt};
pub use error::{CloudError, CloudErrorKind, ErrorDetails};
pub use job_logs::{JobLogs, TRANSFORM_LOG_GROUP};
pub use models::{CreateModel, ModelInfo, VpcConfig};
pub use probe::{Capabilities, Lack, PROBE_PREFIX};
pub use redact::{MESSAGE_MAX_CHARS, REDACTED, clean};
pub use store::{ObjectMeta, Store};
pub use transform_job::{
    CreateTransformJob, DataCaptureConfig, DataProcessing, DataSource, Difference,
    ExperimentConfig, JobInfo, JobStatus, JobSummary, ModelClientConfig, S3DataSource, Tag,
    TransformInput, TransformOutput, TransformResources,
};
pub use transforms::Transforms;
pub use upload::{PutCondition, PutOptions, PutReceipt};
pub use uri::{KEY_MAX_BYTES, S3Uri, S3UriError};
