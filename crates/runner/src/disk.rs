//! Is there room? Asked before bytes are written, not when a write fails.

use std::path::Path;

use crate::error::RunError;
use crate::exit_code::ExitCode;

/// Free bytes that a process without privileges can use on the file system of `path`.
///
/// # Errors
/// When the file system cannot be asked.
pub fn free_bytes(path: &Path) -> Result<u64, RunError> {
    let stat = rustix::fs::statvfs(path)
        .map_err(|e| RunError::io("ask the free space of", path, e.into()))?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Refuses when fewer than `needed` bytes are free where `path` is.
///
/// # Errors
/// The refusal, with both numbers.
pub fn require(path: &Path, needed: u64, purpose: &str) -> Result<(), RunError> {
    let free = free_bytes(path)?;
    if free >= needed {
        return Ok(());
    }
    Err(RunError::new(
        ExitCode::Failure,
        format!(
            "{purpose} needs about {needed} bytes at {}, and {free} are free",
            path.display()
        ),
    )
    .with_help("free space there, or choose another disk with --work-dir; nothing was written"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn refuses_what_no_disk_has() {
        let folder = tempfile::tempdir().unwrap();
        require(folder.path(), 1, "a byte").unwrap();
        let error = require(folder.path(), u64::MAX, "the shards").unwrap_err();
        assert!(
            error
                .message
                .starts_with("the shards needs about 18446744073709551615 bytes")
        );
    }
}
