//! Opaque bytes to S3; transform jobs to a terminal state.
