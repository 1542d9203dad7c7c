//! An object to a file that appears under its name only when it is whole.

use std::path::Path;

use gristmill_cloud::{Expected, S3Uri};

use crate::error::RunError;
use crate::session::Session;

/// Downloads by a temporary name beside `path`.
///
/// # Errors
/// The store's or the disk's; nothing lies at `path` then.
pub(crate) async fn fetch(
    session: &Session,
    uri: &S3Uri,
    path: &Path,
    expected: Option<Expected>,
) -> Result<(), RunError> {
    let name = path
        .file_name()
        .map(|n| n.to_string_lossy().into_owned())
        .unwrap_or_default();
    let partial = path.with_file_name(format!("{name}.partial"));
    let store = session.store()?;
    session
        .cancel
        .guard(store.get_file(uri, &partial, expected.as_ref()))
        .await?;
    std::fs::rename(&partial, path).map_err(|e| RunError::io("write", path, e))?;
    crate::ledger::sync_parent(path)
}
