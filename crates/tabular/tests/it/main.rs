//! The crate as its callers see it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod assembling;
mod converting;
mod doubtful_answers;
mod first_guess;
mod formats;
mod parquet_shards;
mod parquet_sink;
mod parquet_types;
mod reading;
mod sharding;
mod sniffing;
mod there_and_back;
mod training;
