#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod calls;
mod engine;
mod fake;
mod formats;
mod harness;
mod processes;
mod processing;
mod splitting;
