//! The crate as its callers see it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

mod contract;
mod draft;
mod filters;
mod fingerprints;
mod launch;
mod mistakes;
mod params;
mod params_file;
mod pipelines;
mod planning;
mod prices;
mod properties;
mod rules;
mod schema;
mod service_rules;
mod simulator;
mod source;
mod spec;
mod templates;
mod training;
mod yaml;
