//! The emulator over HTTP, as its clients see it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod s3_access;
mod s3_checksums;
mod s3_conditions;
mod s3_durability;
mod s3_listing;
mod s3_multipart;
mod s3_objects;
mod server;
mod support;
