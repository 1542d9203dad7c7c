//! The stages of a run, each idempotent: it looks at the ledger's state, does what is missing,
//! records what it did.

pub(crate) mod announce;
pub(crate) mod assemble;
pub(crate) mod capacity;
pub(crate) mod claim;
pub(crate) mod convert;
pub(crate) mod cut;
pub(crate) mod fetch;
pub(crate) mod fleet;
pub(crate) mod joined_ids;
pub(crate) mod outputs;
pub(crate) mod pace;
pub(crate) mod plain_copy;
pub(crate) mod probe;
pub(crate) mod probe_verdict;
pub(crate) mod publish;
pub(crate) mod refused;
pub(crate) mod score;
pub(crate) mod source;
pub(crate) mod spending;
pub(crate) mod upload;
pub(crate) mod watch;
