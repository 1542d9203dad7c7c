#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod calls;
mod engine;
mod fake;
mod faults;
mod formats;
mod harness;
mod probe;
mod processes;
mod processing;
mod records;
mod splitting;
mod switches;
