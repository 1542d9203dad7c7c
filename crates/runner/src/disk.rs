//! Is there room? Asked before bytes are written, not when a write fails.

use std::path::Path;

use gristmill_tabular::Input;

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

/// Bytes of the copies that a pass over `inputs` makes: see [`Input::bytes_to_copy`].
pub(crate) fn copies(inputs: &[Input]) -> u64 {
    let each = inputs.iter().map(Input::bytes_to_copy);
    each.fold(0, u64::saturating_add)
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
    fn copies_of_a_stores_parquet_need_room_and_nothing_else_does() {
        use gristmill_tabular::Format;
        let input = |format| {
            let open: gristmill_tabular::input::Opener =
                std::sync::Arc::new(|| Err(std::io::ErrorKind::NotFound.into()));
            let read: gristmill_tabular::ReadRange =
                std::sync::Arc::new(|_, _| Err(std::io::ErrorKind::NotFound.into()));
            Input::new("s3://b/k", format, open).with_ranges(1 << 60, read)
        };
        let inputs = [
            input(Format::CSV),
            input(Format::PARQUET),
            input(Format::PARQUET),
        ];
        assert_eq!(copies(&inputs), 1 << 61);
        assert_eq!(copies(&inputs[..1]), 0);
    }

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
