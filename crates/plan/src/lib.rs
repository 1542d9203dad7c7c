//! Pipeline YAML and an inventory of inputs to a checked, complete plan.
//!
//! Three types that must not be confused: a [`Spec`] is what the user wrote, a [`Plan`] is what
//! will be done, a [`TransformRequest`] is what is sent. Everything here is pure: no clock, no
//! disk, no network. The caller reads the file, the clock and the environment and passes them in,
//! with a way to read a contract's file ([`Context::read`]).
//!
//! ```text
//! text ── parse ──► Document ── resolve(params, now, …) ──► Spec ── draft(inventory) ──► Plan ── launch(run) ──► request
//! ```

pub mod api_fields;
pub mod budget;
pub mod filter;
pub mod fingerprint;
pub mod forecast;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
pub mod instance_types;
pub mod launch;
pub mod limits;
pub mod pace;
pub mod plan;
pub mod planner;
pub mod prices;
pub mod problem;
pub mod request_settings;
pub mod server_join;
pub mod simulator;
pub mod spec;
pub mod waves;

mod checks;
mod contract;
mod convert;
mod credentials;
mod draft;
mod duration;
mod encodings;
mod params;
mod params_file;
mod resolve;
mod scalar;
mod schema;
mod size;
mod table;
mod template;
mod template_expressions;
mod template_filters;
mod text_rules;
mod tree;
mod walk;

pub use contract::{contract_yaml, parse_contract};
pub use draft::{draft, draft_on};
pub use duration::{format_duration, parse_duration};
pub use encodings::parse_encoding;
pub use fingerprint::{Fingerprint, canonical_json};
pub use jiff::Timestamp;
pub use launch::{JobInput, RunFacts, TransformRequest, launch};
pub use params::run_key;
pub use params_file::parse_params_file;
pub use plan::{InputFile, Inventory, Plan, Sample};
pub use problem::{Place, Problem, Problems, ResolveError, UsageError};
pub use resolve::{Context, ReadText, Review, RunIdentity, resolve, review, validate};
pub use schema::schema;
pub use size::{format_size, parse_size};
pub use spec::{Assemble, Location, Spec, Transform};
pub use tree::{Document, parse};
