//! The whole crate against a server that speaks the wire and misbehaves as scripted.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod conformance;
mod containers;
mod downloads;
mod environment;
mod job_logs;
mod jobs;
mod listings;
mod probing;
mod secrets;
mod uploads;
mod wire;
