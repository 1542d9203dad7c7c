//! The work folder on this machine: runs, the index from keys to runs, and locks.
//!
//! ```text
//! <work-dir>/keys/<hash>.json         which run belongs to a key
//! <work-dir>/locks/<hash>.lock        held while a process works on a key
//! <work-dir>/last.json                the run that was begun last
//! <work-dir>/maps/<hash>.json         with --local-map: what was shown under an S3 name
//! <work-dir>/runs/<run id>/           ledger.jsonl, run.json, plan.json, events.jsonl,
//!                                     shards/, outputs/, parts/, quarantine/, and while it is asked
//!                                     to stop cancel-requested
//! <work-dir>/published/<bucket>/…     with --local: what was published, as plain files
//! <work-dir>/local/                   with --local: the embedded services' own data
//! ```

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

use crate::error::RunError;
use crate::exit_code::ExitCode;
use crate::ledger::sync_parent;

/// Everything below `--work-dir`.
#[derive(Debug, Clone)]
pub struct WorkFolder {
    root: PathBuf,
}

/// Which run belongs to a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRecord {
    /// The key.
    pub run_key: String,
    /// The run.
    pub run_id: String,
}

/// A lock that is held until it is dropped, or until the process ends in whatever way.
#[derive(Debug)]
pub struct KeyLock {
    _file: File,
}

impl WorkFolder {
    /// Opens a work folder, making it if needed (mode 0700: it holds data).
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(root: &Path) -> Result<Self, RunError> {
        let root = std::path::absolute(root).map_err(|e| RunError::io("find", root, e))?;
        let folder = Self { root };
        for name in ["keys", "locks", "runs"] {
            make_folder(&folder.root.join(name)).map_err(|error| {
                let exit = if folder.root.is_dir() {
                    error.exit
                } else {
                    ExitCode::Usage
                };
                RunError { exit, ..error }.with_help("choose another folder with --work-dir")
            })?;
        }
        Ok(folder)
    }

    /// The folder itself, absolute.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Takes the lock of a key.
    ///
    /// # Errors
    /// Temporary, when another process holds it.
    pub fn lock(&self, run_key: &str) -> Result<KeyLock, RunError> {
        let path = self
            .root
            .join("locks")
            .join(format!("{}.lock", key_hash(run_key)));
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(|e| RunError::io("open the lock", &path, e))?;
        match try_for_a_moment(&file) {
            Ok(()) => Ok(KeyLock { _file: file }),
            Err(TryLockError::WouldBlock) => Err(RunError::new(
                ExitCode::Temporary,
                format!("another process is working on run key {run_key:?} (lock {})", path.display()),
            )
            .with_help("`gristmill wait` waits for it; then call again. Or give this run a key of its own with --run-key")),
            Err(TryLockError::Error(e)) => Err(RunError::io("lock", &path, e)),
        }
    }

    /// Whether a process holds the lock of a key just now.
    #[must_use]
    pub fn is_locked(&self, run_key: &str) -> bool {
        self.lock(run_key)
            .is_err_and(|e| e.exit == ExitCode::Temporary)
    }

    /// Whether a process works on this run just now: it holds the lock of the run's key, and the key
    /// is this run's, not that of a later one.
    #[must_use]
    pub fn is_live(&self, record: &KeyRecord) -> bool {
        let current = || matches!(self.find_key(&record.run_key), Ok(Some(r)) if r == *record);
        self.is_locked(&record.run_key) && current()
    }

    /// The ids of all runs that have a folder here, sorted.
    ///
    /// # Errors
    /// When the folder cannot be listed.
    pub fn run_ids(&self) -> Result<Vec<String>, RunError> {
        let folder = self.root.join("runs");
        let failed = |e| RunError::io("list", &folder, e);
        let mut ids = Vec::new();
        for entry in std::fs::read_dir(&folder).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            ids.extend(name.into_string().ok().filter(|n| is_run_id(n)));
        }
        ids.sort();
        Ok(ids)
    }

    /// The run of a key, if this machine knows one.
    ///
    /// # Errors
    /// When the record is there and cannot be read.
    pub fn find_key(&self, run_key: &str) -> Result<Option<KeyRecord>, RunError> {
        let record: Option<KeyRecord> = read_json(&self.key_path(run_key))?;
        Ok(record.filter(|r| r.run_key == run_key && is_run_id(&r.run_id)))
    }

    /// Records the run of a key, and that it is the last one begun.
    ///
    /// # Errors
    /// When the record cannot be written.
    pub fn set_key(&self, record: &KeyRecord) -> Result<(), RunError> {
        write_json(&self.key_path(&record.run_key), record)?;
        write_json(&self.root.join("last.json"), record)
    }

    /// The run that was begun last.
    ///
    /// # Errors
    /// When the record is there and cannot be read.
    pub fn last(&self) -> Result<Option<KeyRecord>, RunError> {
        let record: Option<KeyRecord> = read_json(&self.root.join("last.json"))?;
        Ok(record.filter(|r| is_run_id(&r.run_id)))
    }

    /// The folder of a run. It need not exist.
    #[must_use]
    pub fn run(&self, run_id: &str) -> RunFolder {
        RunFolder {
            root: self.root.join("runs").join(run_id),
        }
    }

    /// Where published files are put as plain files under `--local`.
    #[must_use]
    pub fn published(&self) -> PathBuf {
        self.root.join("published")
    }

    fn key_path(&self, run_key: &str) -> PathBuf {
        self.root
            .join("keys")
            .join(format!("{}.json", key_hash(run_key)))
    }
}

/// How often, and at what intervals, a lock is tried: `status` and `wait` hold it for a moment when
/// they look whether it is held.
const LOCK_TRIES: u32 = 5;
const LOCK_PAUSE: Duration = Duration::from_millis(10);

fn try_for_a_moment(file: &File) -> Result<(), TryLockError> {
    for _ in 1..LOCK_TRIES {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
            done => return done,
        }
    }
    file.try_lock()
}

/// A key as a file or object name: 16 hex digits, since keys may hold anything.
#[must_use]
pub fn key_hash(run_key: &str) -> String {
    hex::encode(&Sha256::digest(run_key.as_bytes())[..8])
}

/// Whether a text has the form of a run's id, and so is safe as the name of a folder.
#[must_use]
pub fn is_run_id(text: &str) -> bool {
    let ok = |c: char| c.is_ascii_alphanumeric() || c == '-';
    !text.is_empty() && text.len() <= 128 && text.chars().all(ok) && !text.starts_with('-')
}

/// Everything below one run's folder.
#[derive(Debug, Clone)]
pub struct RunFolder {
    root: PathBuf,
}

impl RunFolder {
    /// Makes the folder and those in it.
    ///
    /// # Errors
    /// When one cannot be made.
    pub fn make(&self) -> Result<(), RunError> {
        for folder in [
            self.shards(),
            self.outputs(),
            self.parts(),
            self.quarantine(),
        ] {
            make_folder(&folder)?;
        }
        Ok(())
    }

    /// Removes what a killed process left half-written: copies of inputs, files before they got their
    /// names. Those begin with a dot, and nothing that lasts does. To be called under the key's lock.
    /// What cannot be removed does no harm but to the disk's room.
    pub(crate) fn sweep(&self) {
        for folder in [self.root.clone(), self.quarantine()] {
            let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
            let hidden = entries.filter(|e| e.file_name().as_encoded_bytes().starts_with(b"."));
            for entry in hidden {
                let _ = std::fs::remove_file(entry.path());
            }
        }
        let _ = std::fs::remove_dir_all(self.probe());
    }

    /// What the probe of the model makes, and removes.
    #[must_use]
    pub fn probe(&self) -> PathBuf {
        self.root.join("probe")
    }

    /// The folder itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The ledger.
    #[must_use]
    pub fn ledger(&self) -> PathBuf {
        self.root.join("ledger.jsonl")
    }

    /// There while `gristmill cancel` asks the process that works on the run to stop.
    #[must_use]
    pub fn cancel_request(&self) -> PathBuf {
        self.root.join("cancel-requested")
    }

    /// The last known result.
    #[must_use]
    pub fn run_json(&self) -> PathBuf {
        self.root.join("run.json")
    }

    /// The plan.
    #[must_use]
    pub fn plan_json(&self) -> PathBuf {
        self.root.join("plan.json")
    }

    /// The events, a line each.
    #[must_use]
    pub fn events(&self) -> PathBuf {
        self.root.join("events.jsonl")
    }

    /// Shards and sidecars.
    #[must_use]
    pub fn shards(&self) -> PathBuf {
        self.root.join("shards")
    }

    /// Pieces of shards, cut to find the rows that the model refuses.
    #[must_use]
    pub fn pieces(&self) -> PathBuf {
        self.root.join("pieces")
    }

    /// The model's answers.
    #[must_use]
    pub fn outputs(&self) -> PathBuf {
        self.root.join("outputs")
    }

    /// The output's parts before they are published.
    #[must_use]
    pub fn parts(&self) -> PathBuf {
        self.root.join("parts")
    }

    /// Bad rows.
    #[must_use]
    pub fn quarantine(&self) -> PathBuf {
        self.root.join("quarantine")
    }
}

/// Makes a folder and those above it, readable by its owner only.
///
/// # Errors
/// When it cannot be made.
pub fn make_folder(path: &Path) -> Result<(), RunError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|e| RunError::io("make the folder", path, e))
}

/// Writes JSON so that a reader sees the old file or the new one, never half of one.
///
/// # Errors
/// When it cannot be written.
pub fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), RunError> {
    let mut text = serde_json::to_vec_pretty(value)
        .map_err(|e| RunError::bug(format!("{}: {e}", path.display())))?;
    text.push(b'\n');
    write_atomically(path, &text)
}

/// Writes a file by a temporary name in the same folder, synced before it is renamed.
///
/// # Errors
/// When it cannot be written.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), RunError> {
    let folder = path
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)
        .map_err(|e| RunError::io("make a file in", folder, e))?;
    file.write_all(bytes)
        .and_then(|()| file.as_file().sync_all())
        .map_err(|e| RunError::io("write", path, e))?;
    file.persist(path)
        .map_err(|e| RunError::io("write", path, e.error))?;
    sync_parent(path)
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, RunError> {
    match std::fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|e| RunError::damaged(format!("{}: {e}", path.display()))),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(RunError::io("read", path, e)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_second_holder_of_a_key_is_told_to_come_back() {
        let dir = tempfile::tempdir().unwrap();
        let folder = WorkFolder::open(dir.path()).unwrap();
        let held = folder.lock("nightly").unwrap();
        assert_eq!(
            folder.lock("nightly").unwrap_err().exit,
            ExitCode::Temporary
        );
        assert!(folder.is_locked("nightly"));
        folder.lock("another").unwrap();
        drop(held);
        folder.lock("nightly").unwrap();
    }

    #[test]
    fn a_key_finds_its_run_and_names_that_could_leave_the_folder_do_not_count() {
        let dir = tempfile::tempdir().unwrap();
        let folder = WorkFolder::open(dir.path()).unwrap();
        assert_eq!(folder.find_key("k").unwrap(), None);
        let good = KeyRecord {
            run_key: "k".into(),
            run_id: "20260101t000000-abc".into(),
        };
        folder.set_key(&good).unwrap();
        assert_eq!(folder.find_key("k").unwrap(), Some(good.clone()));
        assert_eq!(folder.last().unwrap(), Some(good));
        folder
            .set_key(&KeyRecord {
                run_key: "k".into(),
                run_id: "../up".into(),
            })
            .unwrap();
        assert_eq!(folder.find_key("k").unwrap(), None);
    }
}
