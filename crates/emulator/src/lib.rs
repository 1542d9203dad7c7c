//! An S3 and a SageMaker on loopback that behave as documented.
//!
//! One process serves one folder on one port of 127.0.0.1. Requests with an `X-Amz-Target` header
//! are JSON 1.1 calls (SageMaker, CloudWatch Logs); `/_gristmill/health` and `/_gristmill/probe` (rows
//! through a model's container, without a job) are our own; everything else is S3 with path-style
//! addresses. Every request but for health is signed and its signature is checked, so a client that is wrong
//! here would be wrong against AWS too.
//!
//! The tour:
//!
//! - [`config`]: what an emulator is told at its start.
//! - [`assume`]: the switches for behaviour that AWS does not document.
//! - `faults`: what goes wrong on purpose.
//! - [`server`]: the port, the routing, the signal handling.
//! - [`store`]: objects on disk; a crash at any moment leaves whole objects only.
//! - `s3`: the S3 protocol over [`store`].
//! - `signature`: Signature Version 4 of the JSON services (S3's is checked by `s3s`).
//! - `sagemaker`: models, transform jobs and their logs.
//! - `job_objects`, `other_s3`: what jobs read and write, in [`store`] or in another S3.
//! - `containers`, [`onnx`]: the processes that answer for a model.
//!
//! What this crate must not do: share code with the client crates. A mistake made on both sides
//! would otherwise look like an agreement.

mod answer;
pub mod assume;
pub mod config;
mod containers;
pub mod endpoint_file;
pub mod error;
mod faults;
mod idle;
mod job_objects;
pub mod onnx;
mod other_s3;
mod s3;
mod sagemaker;
pub mod server;
mod signature;
mod state;
pub mod store;
mod words;

pub use assume::{AssumeError, Assumptions};
pub use config::EmulatorConfig;
pub use containers::container_main;
pub use endpoint_file::Endpoint;
pub use error::EmulatorError;
pub use faults::faults_help;
pub use other_s3::OtherS3;
pub use server::{Server, serve};
