//! What every request handler sees.

use std::sync::Arc;

use crate::config::EmulatorConfig;
use crate::endpoint_file::Keys;
use crate::faults::Faults;
use crate::idle::Activity;
use crate::sagemaker::SageMaker;
use crate::store::ObjectStore;

/// The one state of an emulator, shared as `Arc<AppState>` by requests and jobs.
pub(crate) struct AppState {
    /// Objects, read and written in-process by transform jobs.
    pub(crate) store: ObjectStore,
    /// As given at the start.
    pub(crate) config: Arc<EmulatorConfig>,
    /// Models, jobs and logs, kept in `<dir>/sagemaker/`.
    pub(crate) sagemaker: SageMaker,
    /// The only credentials that are accepted.
    pub(crate) keys: Keys,
    /// What keeps the emulator from being idle: a job holds a guard while it runs.
    pub(crate) activity: Activity,
    /// Faults to inject into answers.
    pub(crate) faults: Faults,
}
