//! The last stage: data files, then `_manifest.json`, then `_SUCCESS`, at the destination.
//!
//! What is there already is refused unless it is ours from an interrupted attempt, or the pipeline
//! says `mode: overwrite`. An overwrite replaces the files of the manifest that it finds; files
//! that no manifest names are left alone.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use gristmill_cloud::{PutOptions, S3Uri};
use gristmill_plan::spec::PublishMode;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::entry::{Entry, PartRecord};
use crate::error::RunError;
use crate::event::{Level, Stage};
use crate::exit_code::ExitCode;
use crate::inventory::blocking;
use crate::remote::get_if_there;
use crate::session::Session;
use crate::stages::fetch::fetch;
use crate::target::Target;

/// The list of what was published.
pub(crate) const MANIFEST: &str = "_manifest.json";
/// The empty file that says that everything else is there.
pub(crate) const SUCCESS: &str = "_SUCCESS";
/// The version of the manifest.
pub(crate) const MANIFEST_SCHEMA: &str = "gristmill.manifest.v1";

/// `_manifest.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    /// The version of this file's form.
    pub(crate) schema: String,
    /// The pipeline.
    pub(crate) pipeline: String,
    /// The run that published.
    pub(crate) run_id: String,
    /// Its key.
    pub(crate) run_key: String,
    /// Rows in all files.
    pub(crate) rows: u64,
    /// In row order.
    pub(crate) files: Vec<PartRecord>,
}

impl Manifest {
    fn new(session: &Session, files: Vec<PartRecord>) -> Self {
        Self {
            schema: MANIFEST_SCHEMA.to_owned(),
            pipeline: session.spec.name.clone(),
            run_id: session.run_id.clone(),
            run_key: session.run_key.clone(),
            rows: files.iter().map(|f| f.rows).sum(),
            files,
        }
    }

    fn to_bytes(&self) -> Result<Vec<u8>, RunError> {
        let mut bytes =
            serde_json::to_vec_pretty(self).map_err(|e| RunError::bug(e.to_string()))?;
        bytes.push(b'\n');
        Ok(bytes)
    }
}

/// Refuses a destination that holds something, before any work is done.
///
/// # Errors
/// `Exists`, naming what is there; the store's.
pub(crate) async fn check_destination(
    session: &Session,
    target: &Target,
    mode: PublishMode,
) -> Result<(), RunError> {
    if mode == PublishMode::Overwrite {
        return Ok(());
    }
    let there = session
        .cancel
        .guard(target.names(session.cloud.as_ref()))
        .await?;
    let ours: BTreeSet<String> = session.state(|s| match &s.publishing {
        Some((uri, files)) if *uri == target.to_string() => files.iter().cloned().collect(),
        _ => BTreeSet::new(),
    });
    let foreign: Vec<&String> = there.iter().filter(|name| !ours.contains(*name)).collect();
    let Some(first) = foreign.first() else {
        return Ok(());
    };
    Err(RunError::new(
        ExitCode::Exists,
        format!(
            "the destination {target} already holds {} files, among them {first:?}",
            foreign.len()
        ),
    )
    .with_help(
        "choose another destination, or replace what is there: mode: overwrite, or --overwrite",
    ))
}

/// Publishes the parts, or finds that an earlier attempt did. Returns the seconds it took.
///
/// # Errors
/// `Exists`; the disk's; the store's.
pub(crate) async fn run(
    session: &Arc<Session>,
    target: &Target,
    mode: PublishMode,
) -> Result<f64, RunError> {
    let uri = target.to_string();
    if session.state(|s| s.published.as_deref() == Some(&uri)) {
        session.reused(Stage::Publish, format!("{uri} was published before"));
        return Ok(0.0);
    }
    let parts = session
        .state(|s| s.assembled.as_ref().map(|a| a.parts.clone()))
        .unwrap_or_default();
    let manifest = Manifest::new(session, parts);
    let bytes: u64 = manifest.files.iter().map(|f| f.bytes).sum();
    let clock = session.begin(Stage::Publish, Some(bytes), Some(manifest.rows));
    check_destination(session, target, mode).await?;
    session.record(&Entry::Publishing {
        uri: uri.clone(),
        files: names(&manifest),
    })?;
    session.mirror().await?;
    let text = manifest.to_bytes()?;
    let sha256 = hex::encode(Sha256::digest(&text));
    match target {
        Target::S3(prefix) => to_store(session, prefix, &manifest, text).await?,
        Target::Folder(folder) => to_folder(session, folder, &manifest, text).await?,
        Target::File(path) => to_file(session, path, &manifest).await?,
    }
    session.record(&Entry::Published {
        uri,
        manifest_sha256: sha256,
    })?;
    Ok(clock.finish(format!(
        "{} rows in {} files at {target}",
        manifest.rows,
        manifest.files.len()
    )))
}

/// Every name that will be at the destination.
fn names(manifest: &Manifest) -> Vec<String> {
    let data = manifest.files.iter().map(|f| f.name.clone());
    data.chain([MANIFEST.to_owned(), SUCCESS.to_owned()])
        .collect()
}

async fn to_store(
    session: &Arc<Session>,
    prefix: &S3Uri,
    manifest: &Manifest,
    text: Vec<u8>,
) -> Result<(), RunError> {
    let store = session.store()?;
    let at = |name: &str| S3Uri {
        bucket: prefix.bucket.clone(),
        key: format!("{}{name}", prefix.key),
    };
    let before = get_if_there(&store, &at(MANIFEST), MAX_MANIFEST_BYTES).await?;
    let stale = before
        .map(|bytes| stale_names(&bytes, manifest))
        .unwrap_or_default();
    session.cancel.guard(store.delete(&at(SUCCESS))).await?;
    let progress = session.progress(Stage::Publish);
    for file in &manifest.files {
        let path = session.folder.parts().join(&file.name);
        session
            .cancel
            .guard(store.put_file(&at(&file.name), &path, &PutOptions::default()))
            .await?;
        progress.add(file.rows, file.bytes);
    }
    for name in stale {
        session.cancel.guard(store.delete(&at(&name))).await?;
    }
    store
        .put_bytes(&at(MANIFEST), Bytes::from(text), &PutOptions::default())
        .await?;
    store
        .put_bytes(&at(SUCCESS), Bytes::new(), &PutOptions::default())
        .await?;
    Ok(())
}

/// A manifest of 100,000 files is about 20 MB.
const MAX_MANIFEST_BYTES: u64 = 64 * 1024 * 1024;

/// Files of the manifest that is there, which the new one does not replace. Names that are not
/// plain file names are not followed.
fn stale_names(before: &[u8], now: &Manifest) -> Vec<String> {
    let Ok(before) = serde_json::from_slice::<Manifest>(before) else {
        return Vec::new();
    };
    let kept: BTreeSet<&String> = now.files.iter().map(|f| &f.name).collect();
    before
        .files
        .into_iter()
        .map(|f| f.name)
        .filter(|n| !kept.contains(n) && is_plain_name(n))
        .collect()
}

/// A name that cannot leave its folder.
fn is_plain_name(name: &str) -> bool {
    !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\\', '\0'])
}

async fn to_folder(
    session: &Arc<Session>,
    folder: &Path,
    manifest: &Manifest,
    text: Vec<u8>,
) -> Result<(), RunError> {
    let (inner, folder, manifest) = (Arc::clone(session), folder.to_owned(), manifest.clone());
    blocking(move || {
        std::fs::create_dir_all(&folder)
            .map_err(|e| RunError::io("make the folder", &folder, e))?;
        let before = std::fs::read(folder.join(MANIFEST)).unwrap_or_default();
        remove(&folder.join(SUCCESS))?;
        let progress = inner.progress(Stage::Publish);
        for file in &manifest.files {
            copy_durably(
                &inner.folder.parts().join(&file.name),
                &folder.join(&file.name),
            )?;
            progress.add(file.rows, file.bytes);
        }
        for name in stale_names(&before, &manifest) {
            remove(&folder.join(name))?;
        }
        crate::folder::write_atomically(&folder.join(MANIFEST), &text)?;
        crate::folder::write_atomically(&folder.join(SUCCESS), b"")
    })
    .await
}

async fn to_file(session: &Arc<Session>, path: &Path, manifest: &Manifest) -> Result<(), RunError> {
    let Some(file) = manifest.files.first() else {
        return Ok(());
    };
    let (from, to) = (session.folder.parts().join(&file.name), path.to_owned());
    blocking(move || {
        if let Some(folder) = to.parent() {
            std::fs::create_dir_all(folder)
                .map_err(|e| RunError::io("make the folder", folder, e))?;
        }
        copy_durably(&from, &to)
    })
    .await
}

fn remove(path: &Path) -> Result<(), RunError> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(RunError::io("remove", path, e)),
        _ => Ok(()),
    }
}

/// Copies by a temporary name in the target's folder, synced before it is renamed.
///
/// # Errors
/// When either side fails.
pub(crate) fn copy_durably(from: &Path, to: &Path) -> Result<(), RunError> {
    let folder = to
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let mut temporary = tempfile::NamedTempFile::new_in(folder)
        .map_err(|e| RunError::io("make a file in", folder, e))?;
    let mut source = std::fs::File::open(from).map_err(|e| RunError::io("read", from, e))?;
    std::io::copy(&mut source, &mut temporary).map_err(|e| RunError::io("write", to, e))?;
    temporary
        .as_file()
        .sync_all()
        .map_err(|e| RunError::io("sync", to, e))?;
    make_readable(&temporary, to)?;
    temporary
        .persist(to)
        .map_err(|e| RunError::io("write", to, e.error))?;
    crate::ledger::sync_parent(to)
}

/// Published files are for others to read; temporary files are made for their owner only.
fn make_readable(file: &tempfile::NamedTempFile, to: &Path) -> Result<(), RunError> {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::Permissions::from_mode(0o644);
    file.as_file()
        .set_permissions(mode)
        .map_err(|e| RunError::io("make readable", to, e))
}

/// Where the published files are as plain files on this machine: the destination itself, or with
/// the embedded services a copy below the work folder, made again if it is gone.
///
/// # Errors
/// The disk's or the store's.
pub(crate) async fn plain_folder(
    session: &Arc<Session>,
    target: &Target,
    files: &[String],
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
    crate::folder::make_folder(&folder)?;
    let store = session.store()?;
    let names = files.iter().map(String::as_str).chain([MANIFEST, SUCCESS]);
    for name in names.filter(|n| is_plain_name(n)) {
        let uri = S3Uri {
            bucket: prefix.bucket.clone(),
            key: format!("{}{name}", prefix.key),
        };
        let path = folder.join(name);
        let meta = session.cancel.guard(store.head(&uri)).await?;
        let Some(meta) = meta else {
            session.note(Level::Warn, format!("{uri} is gone"));
            continue;
        };
        let same = is_copy_of(&path, &meta);
        if !same {
            let local = session.folder.parts().join(name);
            fetch_plain(session, &uri, &local, &path).await?;
        }
    }
    Ok(Some(folder))
}

/// A copy is taken for current when it is not older than the object and has its size.
fn is_copy_of(path: &Path, object: &gristmill_cloud::ObjectMeta) -> bool {
    let Ok(meta) = std::fs::metadata(path) else {
        return false;
    };
    let modified = meta
        .modified()
        .ok()
        .and_then(|t| t.duration_since(std::time::UNIX_EPOCH).ok());
    meta.len() == object.size
        && modified
            .is_some_and(|m| i64::try_from(m.as_secs()).is_ok_and(|m| m >= object.last_modified))
}

async fn fetch_plain(
    session: &Session,
    uri: &S3Uri,
    local: &Path,
    path: &Path,
) -> Result<(), RunError> {
    if local.exists() {
        let (from, to) = (local.to_owned(), path.to_owned());
        return blocking(move || copy_durably(&from, &to)).await;
    }
    fetch(session, uri, path, None).await
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

    #[test]
    fn only_plain_names_of_an_older_manifest_are_removed() {
        let part = |name: &str| PartRecord {
            name: name.into(),
            rows: 1,
            bytes: 1,
            sha256: String::new(),
        };
        let manifest = |names: &[&str]| Manifest {
            schema: MANIFEST_SCHEMA.into(),
            pipeline: "p".into(),
            run_id: "r".into(),
            run_key: "k".into(),
            rows: 0,
            files: names.iter().map(|n| part(n)).collect(),
        };
        let before = manifest(&["part-00000.parquet", "part-00001.parquet", "../up", "a/b"]);
        let bytes = before.to_bytes().unwrap_or_default();
        assert_eq!(
            stale_names(&bytes, &manifest(&["part-00000.parquet"])),
            ["part-00001.parquet"]
        );
        assert!(stale_names(b"not json", &before).is_empty());
    }
}
