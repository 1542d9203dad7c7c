//! The product as its users meet it: the binary, its messages, its exit codes, its files, judged by
//! other people's software where there is any.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod contract;
mod convert_refusals;
mod converting;
mod documents;
mod driven;
mod inspecting;
mod lab;
mod project;
mod publishing;
mod refusals;
mod resume;
mod scoring;
#[path = "../../../cloud/tests/it/conformance/seaweed.rs"]
mod seaweed;
mod second_store;
mod variants;
