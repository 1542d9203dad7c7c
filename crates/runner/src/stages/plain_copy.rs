//! What was published as plain files on this machine: the destination itself, or with the embedded
//! services a copy below the work folder.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use gristmill_cloud::S3Uri;

use crate::destination::copy_durably;
use crate::entry::PartRecord;
use crate::error::RunError;
use crate::folder::make_folder;
use crate::inventory::blocking;
use crate::manifest::{MANIFEST, MAX_MANIFEST_BYTES, SUCCESS, is_plain_name, listed_files};
use crate::session::Session;
use crate::stages::assemble::parts_folder;
use crate::stages::fetch::fetch;
use crate::target::Target;

/// The folder, made again if it is gone or holds another publication. Its manifest is removed
/// first and comes last, so that one that agrees with the store's stands for all files.
///
/// # Errors
/// The disk's or the store's.
pub(crate) async fn folder(
    session: &Arc<Session>,
    target: &Target,
    parts: &[PartRecord],
) -> Result<Option<PathBuf>, RunError> {
    let Target::S3(prefix) = target else {
        return Ok(target.local_path());
    };
    if !session.local {
        return Ok(None);
    }
    let folder = session
        .work
        .published()
        .join(&prefix.bucket)
        .join(safe_relative(&prefix.key));
    let store = session.store()?;
    let manifest_uri = prefix.with_key(&format!("{}{MANIFEST}", prefix.key));
    let (manifest, _) = session
        .cancel
        .guard(store.get_bytes(&manifest_uri, MAX_MANIFEST_BYTES))
        .await?;
    if !is_current(&folder, &manifest, parts) {
        refresh(session, prefix, &folder, parts).await?;
        crate::folder::write_atomically(&folder.join(MANIFEST), &manifest)?;
    }
    Ok(Some(folder))
}

fn is_current(folder: &Path, manifest: &[u8], parts: &[PartRecord]) -> bool {
    let whole =
        |p: &PartRecord| std::fs::metadata(folder.join(&p.name)).is_ok_and(|m| m.len() == p.bytes);
    std::fs::read(folder.join(MANIFEST)).is_ok_and(|there| there == manifest)
        && folder.join(SUCCESS).exists()
        && parts.iter().all(whole)
}

async fn refresh(
    session: &Arc<Session>,
    prefix: &S3Uri,
    folder: &Path,
    parts: &[PartRecord],
) -> Result<(), RunError> {
    clear(folder)?;
    make_folder(folder)?;
    let fingerprint = session.state(|s| s.assembled.as_ref().map(|a| a.fingerprint.clone()));
    let made_here = parts_folder(session, &fingerprint.unwrap_or_default());
    for part in parts.iter().filter(|p| is_plain_name(&p.name)) {
        let (local, to) = (made_here.join(&part.name), folder.join(&part.name));
        let run = session.run_id.clone();
        if local.exists() {
            blocking(move || copy_durably(&local, &to, &run)).await?;
        } else {
            if let Some(parent) = to.parent() {
                make_folder(parent)?;
            }
            let uri = prefix.with_key(&format!("{}{}", prefix.key, part.name));
            fetch(session, &uri, &to, None).await?;
        }
    }
    crate::folder::write_atomically(&folder.join(SUCCESS), b"")
}

/// Removes the files of an earlier publication; folders below belong to other destinations.
fn clear(folder: &Path) -> Result<(), RunError> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(RunError::io("list", folder, e)),
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|e| e.path()).collect();
    // Of those below, only what was published here.
    let manifest = std::fs::read(folder.join(MANIFEST)).unwrap_or_default();
    let listed = listed_files(&manifest)
        .into_iter()
        .filter(|n| n.contains('/'));
    paths.extend(listed.map(|n| folder.join(n)).filter(|p| p.exists()));
    // The manifest first: without it nothing here counts as a publication.
    paths.sort_by_key(|p| !p.ends_with(MANIFEST));
    for path in paths.into_iter().filter(|p| !p.is_dir()) {
        std::fs::remove_file(&path).map_err(|e| RunError::io("remove", &path, e))?;
    }
    Ok(())
}

/// A key as a path that stays below its folder: segments that could leave it are encoded.
fn safe_relative(key: &str) -> PathBuf {
    let safe = |segment: &str| match segment {
        "." | ".." => segment.replace('.', "%2E"),
        other => other.replace('\0', "%00"),
    };
    key.split('/').filter(|s| !s.is_empty()).map(safe).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_stay_below_their_folder() {
        assert_eq!(
            safe_relative("a/../../b//c/"),
            PathBuf::from("a/%2E%2E/%2E%2E/b/c")
        );
    }
}
