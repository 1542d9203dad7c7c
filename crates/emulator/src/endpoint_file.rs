//! Who serves a folder, and with which keys: `endpoint.json`, the lock beside it, and the keys
//! that outlive a restart.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};

use crate::error::EmulatorError;

/// What a client needs to speak to an emulator: the content of `<dir>/endpoint.json`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// `http://127.0.0.1:PORT`, for every service.
    pub endpoint: String,
    /// The port alone.
    pub port: u16,
    /// Throwaway credentials, good for this emulator only.
    pub access_key_id: String,
    /// Their secret.
    pub secret_access_key: String,
    /// The region to sign for.
    pub region: String,
    /// The account in ARNs, 12 digits.
    pub account: String,
    /// The process that serves.
    pub pid: u32,
    /// Every switch of [`crate::assume`] with its value.
    #[serde(default)]
    pub assume: BTreeMap<String, String>,
}

impl Endpoint {
    /// The file's name in the emulator's folder.
    pub const FILE: &'static str = "endpoint.json";

    /// What the file in `dir` says, `None` where there is none. That it is there does not mean that
    /// the process is: ask `GET /_gristmill/health`.
    ///
    /// # Errors
    /// [`EmulatorError::Io`], [`EmulatorError::Damaged`].
    pub fn read(dir: &Path) -> Result<Option<Self>, EmulatorError> {
        read_json(&dir.join(Self::FILE))
    }

    /// Writes the file in one step, readable by its owner only.
    pub(crate) fn write(&self, dir: &Path) -> Result<(), EmulatorError> {
        write_json(self, &dir.join(Self::FILE))
    }

    /// Removes the file, so that nobody calls a port that is served no more.
    pub(crate) fn remove(dir: &Path) {
        // It does not matter if it cannot be removed: its reader has to ask anyway.
        let _ = fs::remove_file(dir.join(Self::FILE));
    }
}

/// Without the secret: what is printed ends up in logs.
impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Endpoint")
            .field("endpoint", &self.endpoint)
            .field("pid", &self.pid)
            .finish_non_exhaustive()
    }
}

/// An access key and its secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Keys {
    pub(crate) access_key_id: String,
    pub(crate) secret_access_key: String,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys")
            .field("access_key_id", &self.access_key_id)
            .finish_non_exhaustive()
    }
}

impl Keys {
    /// The keys of a folder; made at its first start, the same ever after, so that a client that
    /// was given them goes on working.
    pub(crate) fn load_or_make(dir: &Path) -> Result<Self, EmulatorError> {
        let path = dir.join("keys.json");
        if let Some(keys) = read_json(&path)? {
            return Ok(keys);
        }
        let keys = Self {
            access_key_id: format!("AKIALOCAL{}", random_text(11, UPPER)?),
            secret_access_key: random_text(40, LETTERS)?,
        };
        write_json(&keys, &path)?;
        Ok(keys)
    }
}

/// What an access key id is made of; 32 letters.
const UPPER: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// What a secret is made of; 64 letters, so that every byte of randomness is worth 6 bits.
const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Letters that cannot be guessed. The alphabet's length must be a power of two.
fn random_text(length: usize, alphabet: &[u8]) -> Result<String, EmulatorError> {
    let source = Path::new("/dev/urandom");
    let mut bytes = vec![0; length];
    let read = File::open(source).and_then(|mut file| file.read_exact(&mut bytes));
    read.map_err(EmulatorError::io("read", source))?;
    Ok(bytes
        .iter()
        .map(|b| char::from(alphabet[usize::from(*b) % alphabet.len()]))
        .collect())
}

/// The lock of a folder: held as long as the process lives, and freed by the system when it ends,
/// however it ends.
#[derive(Debug)]
pub(crate) struct DirLock {
    _file: File,
}

impl DirLock {
    /// Makes the folder where it is missing, for its owner only, and locks it.
    pub(crate) fn take(dir: &Path) -> Result<Self, EmulatorError> {
        let made = fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir);
        made.map_err(EmulatorError::io("create", dir))?;
        let path = dir.join("lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(EmulatorError::io("open", &path))?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { _file: file }),
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let pid = Endpoint::read(dir).ok().flatten().map(|e| e.pid);
                Err(EmulatorError::Locked {
                    dir: dir.to_path_buf(),
                    pid,
                })
            }
            Err(e) => Err(EmulatorError::io("lock", &path)(e.into())),
        }
    }
}

fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<Option<T>, EmulatorError> {
    let text = match fs::read(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        text => text.map_err(EmulatorError::io("read", path))?,
    };
    serde_json::from_slice(&text)
        .map(Some)
        .map_err(|e| EmulatorError::Damaged {
            path: path.to_path_buf(),
            reason: e.to_string(),
        })
}

fn write_json<T: Serialize>(value: &T, path: &Path) -> Result<(), EmulatorError> {
    let damaged = |e: serde_json::Error| EmulatorError::Damaged {
        path: path.to_path_buf(),
        reason: e.to_string(),
    };
    let text = serde_json::to_vec_pretty(value).map_err(damaged)?;
    let tmp = PathBuf::from(format!("{}.{:016x}", path.display(), fastrand::u64(..)));
    let written = OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(&tmp)
        .and_then(|mut file| file.write_all(&text).and_then(|()| file.sync_all()));
    written.map_err(EmulatorError::io("write", &tmp))?;
    fs::rename(&tmp, path).map_err(EmulatorError::io("rename to", path))
}
