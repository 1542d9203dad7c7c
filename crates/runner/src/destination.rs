//! A place that files are published to, by name: a prefix in S3 or a folder, with the same few
//! operations.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use gristmill_cloud::{Cloud, CloudErrorKind, PROBE_PREFIX, PutOptions, S3Uri, Store};

use crate::error::RunError;
use crate::inventory::blocking;
use crate::ledger::sync_parent;
use crate::remote::get_if_there;

/// Names that are looked at when a destination is listed.
const MAX_NAMES: usize = 200_000;
/// Published files are for others to read.
const PUBLISHED_MODE: u32 = 0o644;

/// Where files go by name. Every write is whole or not there.
#[derive(Debug, Clone)]
pub(crate) enum Destination {
    /// Every name is appended to the prefix, which ends with a slash.
    S3 { store: Store, prefix: S3Uri },
    /// A folder of this machine; made when the first file comes. `run` tells this run's unfinished
    /// files from those of others.
    Folder { path: PathBuf, run: String },
}

impl Destination {
    /// A prefix in S3.
    ///
    /// # Errors
    /// A bug, when no store was connected.
    pub(crate) fn s3(cloud: Option<&Cloud>, prefix: &S3Uri) -> Result<Self, RunError> {
        let cloud = cloud.ok_or_else(|| RunError::bug("no store was connected"))?;
        Ok(Self::S3 {
            store: cloud.store(),
            prefix: prefix.clone(),
        })
    }

    fn key(prefix: &S3Uri, name: &str) -> S3Uri {
        prefix.with_key(&format!("{}{name}", prefix.key))
    }

    /// The names of what is there, in no particular order. A folder marker is no file.
    ///
    /// # Errors
    /// The disk's or the store's.
    pub(crate) async fn names(&self) -> Result<Vec<String>, RunError> {
        match self {
            Self::S3 { store, prefix } => {
                let listed = store.list(prefix, MAX_NAMES).await?;
                let names = listed.into_iter();
                let names =
                    names.filter_map(|o| o.key.strip_prefix(&prefix.key).map(str::to_owned));
                // Of a probe that was cut off, or is another run's just now.
                let probe = |name: &str| name.starts_with(PROBE_PREFIX);
                Ok(names.filter(|n| !n.is_empty() && !probe(n)).collect())
            }
            Self::Folder { path, .. } => folder_names(path),
        }
    }

    /// The sizes of what is there, by name.
    ///
    /// # Errors
    /// The disk's or the store's.
    pub(crate) async fn sizes(&self) -> Result<BTreeMap<String, u64>, RunError> {
        match self {
            Self::S3 { store, prefix } => {
                let listed = store.list(prefix, MAX_NAMES).await?;
                let name = |key: &str| key.strip_prefix(&prefix.key).unwrap_or(key).to_owned();
                Ok(listed.iter().map(|o| (name(&o.key), o.size)).collect())
            }
            Self::Folder { path, .. } => {
                let names = folder_names(path)?.into_iter();
                let size = |n: String| {
                    let meta = std::fs::metadata(path.join(&n)).ok()?;
                    Some((n, meta.len()))
                };
                Ok(names.filter_map(size).collect())
            }
        }
    }

    /// A small file, if it is there.
    ///
    /// # Errors
    /// The disk's or the store's.
    pub(crate) async fn get(&self, name: &str, max_bytes: u64) -> Result<Option<Bytes>, RunError> {
        match self {
            Self::S3 { store, prefix } => {
                get_if_there(store, &Self::key(prefix, name), max_bytes).await
            }
            Self::Folder { path, .. } => match std::fs::read(path.join(name)) {
                Ok(bytes) => Ok(Some(Bytes::from(bytes))),
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
                Err(e) => Err(RunError::io("read", &path.join(name), e)),
            },
        }
    }

    /// Puts a local file there, over what has its name.
    ///
    /// # Errors
    /// The disk's or the store's.
    pub(crate) async fn put_file(&self, name: &str, from: &Path) -> Result<(), RunError> {
        match self {
            Self::S3 { store, prefix } => {
                let uri = Self::key(prefix, name);
                store.put_file(&uri, from, &PutOptions::default()).await?;
                Ok(())
            }
            Self::Folder { path, run } => {
                let (from, to, run) = (from.to_owned(), path.join(name), run.clone());
                blocking(move || copy_durably(&from, &to, &run)).await
            }
        }
    }

    /// Puts a small file there, over what has its name.
    ///
    /// # Errors
    /// The disk's or the store's.
    pub(crate) async fn put_bytes(&self, name: &str, bytes: Bytes) -> Result<(), RunError> {
        match self {
            Self::S3 { store, prefix } => {
                let uri = Self::key(prefix, name);
                store.put_bytes(&uri, bytes, &PutOptions::default()).await?;
                Ok(())
            }
            Self::Folder { path, run } => {
                let (to, run) = (path.join(name), run.clone());
                blocking(move || write_durably(&to, &run, |out| out.write_all(&bytes))).await
            }
        }
    }

    /// Puts a small file there unless its name is taken; says whether it did. Of several writers,
    /// one succeeds.
    ///
    /// # Errors
    /// The disk's or the store's.
    pub(crate) async fn create(&self, name: &str, bytes: Bytes) -> Result<bool, RunError> {
        match self {
            Self::S3 { store, prefix } => {
                let uri = Self::key(prefix, name);
                match store.put_bytes(&uri, bytes, &PutOptions::if_absent()).await {
                    Ok(_) => Ok(true),
                    Err(e) if e.kind == CloudErrorKind::PreconditionFailed => Ok(false),
                    Err(e) => Err(e.into()),
                }
            }
            Self::Folder { path, run } => {
                let (to, run) = (path.join(name), run.clone());
                blocking(move || write_if_absent(&to, &run, |out| out.write_all(&bytes))).await
            }
        }
    }

    /// Removes a file, if it is there.
    ///
    /// # Errors
    /// The disk's or the store's.
    pub(crate) async fn delete(&self, name: &str) -> Result<(), RunError> {
        match self {
            Self::S3 { store, prefix } => Ok(store.delete(&Self::key(prefix, name)).await?),
            Self::Folder { path, .. } => {
                remove(&path.join(name))?;
                if let Some((part, _)) = name.rsplit_once('/') {
                    // A part's folder goes with its last file, as it does in S3.
                    let _ = std::fs::remove_dir(path.join(part));
                }
                Ok(())
            }
        }
    }
}

/// The name under which a run writes a file before it is whole.
pub(crate) fn partial_name(name: &str, run: &str) -> String {
    let (folder, file) = name.rsplit_once('/').unwrap_or(("", name));
    let slash = if folder.is_empty() { "" } else { "/" };
    format!("{folder}{slash}.{file}.{run}.partial")
}

/// Copies by a temporary name in the target's folder, synced before it is renamed.
///
/// # Errors
/// When either side fails; the temporary file is removed then.
pub(crate) fn copy_durably(from: &Path, to: &Path, run: &str) -> Result<(), RunError> {
    let mut source = std::fs::File::open(from).map_err(|e| RunError::io("read", from, e))?;
    write_durably(to, run, |out| std::io::copy(&mut source, out).map(|_| ()))
}

/// As [`copy_durably`], unless the name is taken; says whether it did.
///
/// # Errors
/// When either side fails.
pub(crate) fn copy_if_absent(from: &Path, to: &Path, run: &str) -> Result<bool, RunError> {
    let mut source = std::fs::File::open(from).map_err(|e| RunError::io("read", from, e))?;
    write_if_absent(to, run, |out| std::io::copy(&mut source, out).map(|_| ()))
}

fn write_durably(
    to: &Path,
    run: &str,
    write: impl FnOnce(&mut std::fs::File) -> std::io::Result<()>,
) -> Result<(), RunError> {
    let partial = fill_partial(to, run, write)?;
    std::fs::rename(&partial, to).map_err(|e| RunError::io("write", to, e))?;
    sync_parent(to)
}

/// A link fails where a rename would replace: the file appears whole, or another's stays.
fn write_if_absent(
    to: &Path,
    run: &str,
    write: impl FnOnce(&mut std::fs::File) -> std::io::Result<()>,
) -> Result<bool, RunError> {
    let partial = fill_partial(to, run, write)?;
    let linked = std::fs::hard_link(&partial, to);
    remove(&partial)?;
    match linked {
        Ok(()) => sync_parent(to).map(|()| true),
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        Err(e) => Err(RunError::io("write", to, e)),
    }
}

fn fill_partial(
    to: &Path,
    run: &str,
    write: impl FnOnce(&mut std::fs::File) -> std::io::Result<()>,
) -> Result<PathBuf, RunError> {
    if let Some(folder) = to.parent() {
        std::fs::create_dir_all(folder).map_err(|e| RunError::io("make the folder", folder, e))?;
    }
    let name = to.file_name().unwrap_or_default().to_string_lossy();
    let partial = to.with_file_name(partial_name(&name, run));
    // One that a kill left may be linked to a published name: it is never written into.
    remove(&partial)?;
    let created = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&partial);
    let written = created.and_then(|mut out| {
        write(&mut out)?;
        out.set_permissions(std::fs::Permissions::from_mode(PUBLISHED_MODE))?;
        out.sync_all()
    });
    written.map(|()| partial.clone()).map_err(|e| {
        let _ = std::fs::remove_file(&partial);
        RunError::io("write", to, e)
    })
}

fn remove(path: &Path) -> Result<(), RunError> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(RunError::io("remove", path, e)),
        _ => Ok(()),
    }
}

/// The files of a folder and of the folders in it (`train/part-00000.csv`); what is deeper counts by
/// its folder's name.
fn folder_names(path: &Path) -> Result<Vec<String>, RunError> {
    let mut names = Vec::new();
    for (name, is_folder) in entries(path)? {
        if !is_folder {
            names.push(name);
            continue;
        }
        let inner = entries(&path.join(&name))?;
        names.extend(inner.into_iter().map(|(file, _)| format!("{name}/{file}")));
    }
    Ok(names)
}

/// Names in a folder, and which are folders.
fn entries(path: &Path) -> Result<Vec<(String, bool)>, RunError> {
    let entries = match std::fs::read_dir(path) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(RunError::io("list", path, e)),
    };
    let name = |entry: std::io::Result<std::fs::DirEntry>| {
        let entry = entry.map_err(|e| RunError::io("list", path, e))?;
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        Ok((entry.file_name().to_string_lossy().into_owned(), is_folder))
    };
    entries.map(name).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test]
    async fn of_two_creators_one_succeeds_and_nothing_half_made_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let place = Destination::Folder {
            path: dir.path().join("out"),
            run: "r1".into(),
        };
        assert!(
            place
                .create("claim", Bytes::from_static(b"a"))
                .await
                .unwrap()
        );
        assert!(
            !place
                .create("claim", Bytes::from_static(b"b"))
                .await
                .unwrap()
        );
        assert_eq!(place.get("claim", 10).await.unwrap().unwrap(), "a");
        let source = dir.path().join("source");
        std::fs::write(&source, b"rows").unwrap();
        place.put_file("part", &source).await.unwrap();
        let mut names = place.names().await.unwrap();
        names.sort();
        assert_eq!(names, ["claim", "part"]);
        assert!(!copy_if_absent(&source, &dir.path().join("out/part"), "r2").unwrap());
        place.put_file("train/part", &source).await.unwrap();
        assert!(
            place
                .names()
                .await
                .unwrap()
                .contains(&"train/part".to_owned())
        );
        place.put_file("train/other", &source).await.unwrap();
        place.delete("train/part").await.unwrap();
        assert!(dir.path().join("out/train/other").exists());
        place.delete("train/other").await.unwrap();
        assert!(!dir.path().join("out/train").exists());
        place.delete("part").await.unwrap();
        place.delete("part").await.unwrap();
        assert_eq!(place.names().await.unwrap(), ["claim"]);
    }
}
