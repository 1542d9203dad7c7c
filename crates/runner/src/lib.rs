//! Executes a plan: stages in order, bounded concurrency, one ledger.
//!
//! [`run()`] takes a [`RunRequest`] and always gives a [`RunResult`], whose `exit` is the exit code.
//! What happens on the way goes to an [`EventSink`]; nothing is printed here.
//!
//! The ledger is the only truth about a run (see [`ledger`]): each stage looks at the state that it
//! adds up to ([`state`]), does what is missing, and records what it did. A killed run that is
//! started again therefore goes on where it was, here or, through `work.uri`, on another machine.

mod against;
pub mod cancel;
mod cancelling;
mod container_log;
pub mod data_error;
mod destination;
pub mod disk;
pub mod entry;
pub mod error;
pub mod event;
pub mod exit_code;
mod finishing;
pub mod folder;
mod intake;
pub mod inventory;
pub mod ledger;
pub mod local_services;
pub mod manifest;
mod model;
mod opening;
mod pieces;
mod pipeline;
pub mod preview;
mod read_text;
mod ready;
pub mod remote;
pub mod result;
mod reuse;
pub mod run;
pub mod runs;
pub mod sample;
pub mod services;
pub mod session;
mod stages;
pub mod state;
pub mod status;
mod store_check;
pub mod target;
mod waiting;
mod waves;
pub mod words;

pub use against::against;
pub use cancel::Cancel;
pub use cancelling::cancel;
pub use entry::PipelineText;
pub use error::RunError;
pub use event::{Event, EventSink, Level, Stage};
pub use exit_code::ExitCode;
pub use preview::preview;
pub use read_text::read_text;
pub use result::RunResult;
pub use run::{RunRequest, resume_request, run};
pub use runs::{RunSummary, runs};
pub use services::LocalMap;
pub use stages::source::{contract_of, contract_schema};
pub use status::status;
pub use waiting::wait;
