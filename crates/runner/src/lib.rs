//! Executes a plan: stages on bounded channels, one ledger.
