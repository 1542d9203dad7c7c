//! How a caller watches a long pass and stops it.

use crate::error::TabularError;

/// Told how far a pass is, and asked whether to go on. Called from the thread that consumes blocks
/// in order, about once a block (1 MiB), never once a row.
pub trait Progress: Sync {
    /// `rows` source records and `bytes` decompressed bytes more have been done since the last call.
    fn advance(&self, rows: u64, bytes: u64);

    /// True once the pass should end early; it then returns [`TabularError::Cancelled`].
    fn cancelled(&self) -> bool {
        false
    }
}

/// Watches nothing.
impl Progress for () {
    fn advance(&self, _rows: u64, _bytes: u64) {}
}

/// Reports to `progress` and turns a wish to stop into the error that ends the pass.
pub(crate) fn report(progress: &dyn Progress, rows: u64, bytes: u64) -> Result<(), TabularError> {
    progress.advance(rows, bytes);
    if progress.cancelled() {
        Err(TabularError::Cancelled)
    } else {
        Ok(())
    }
}
