//! The product as its users meet it: the binary, its messages, its exit codes, its files, judged by
//! other people's software where there is any.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod against;
mod answers;
mod assume;
mod benches;
mod contract;
mod convert_refusals;
mod converting;
mod dialects;
mod documents;
mod driven;
mod encodings;
mod formats;
mod init;
mod inspecting;
mod job_faults;
mod jobs;
mod join_server;
mod lab;
mod measured_order;
mod no_wait;
mod parameters;
mod parquet_scoring;
mod planning;
mod probing;
mod project;
mod publishing;
mod ready;
mod refusals;
mod refused;
mod resume;
mod runs;
mod scoring;
#[path = "../../../cloud/tests/it/conformance/seaweed.rs"]
mod seaweed;
mod second_store;
mod service_model;
mod several_jobs;
mod training;
mod unknowns;
mod validating;
mod variants;
