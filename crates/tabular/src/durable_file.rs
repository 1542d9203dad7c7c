//! A file that is either there whole, and on the disk, or not there at all.
//!
//! Bytes go to a hidden name in the same folder and are counted on their way, and hashed where that
//! is asked for; at the end they are synced, the file is renamed, and the folder is synced, so that
//! neither a killed process nor a lost power supply leaves half a file under the real name.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use sha2::{Digest, Sha256};

use crate::error::TabularError;

/// What a committed file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// Its final path.
    pub path: PathBuf,
    /// Its size in bytes.
    pub bytes: u64,
    /// SHA-256 of its bytes, 64 lower-case hexadecimal digits; of a [hashed](DurableFile::hashed)
    /// file.
    pub sha256: Option<String>,
}

impl Committed {
    /// The SHA-256 of a hashed file.
    pub(crate) fn digest(&self) -> Result<String, TabularError> {
        let missing = || TabularError::Internal(format!("{}: not hashed", self.path.display()));
        self.sha256.clone().ok_or_else(missing)
    }
}

/// Bytes after which those written so far are sent to the disk while others are made: what is left
/// to the end is then soon done.
const SEND_EVERY: u64 = 8 << 20;

/// The file and what has been written to it.
struct Content {
    file: File,
    hasher: Option<Sha256>,
    bytes: u64,
    /// Bytes that have been sent, and the thread that sends the last of them.
    sent: u64,
    sending: Option<JoinHandle<()>>,
}

impl Content {
    /// Sends what is new if that is enough and nothing is being sent.
    fn send_soon(&mut self) -> io::Result<()> {
        if self.bytes - self.sent < SEND_EVERY {
            return Ok(());
        }
        if self.sending.as_ref().is_some_and(|s| !s.is_finished()) {
            return Ok(());
        }
        let file = self.file.try_clone()?;
        let (from, to) = (self.sent, self.bytes);
        let thread = thread::Builder::new().name("sync".into());
        self.sending = Some(thread.spawn(move || send(&file, from, to))?);
        self.sent = self.bytes;
        Ok(())
    }
}

/// Has the system begin to write these bytes to the disk, without waiting for them: what goes wrong is
/// told by the sync at the end. That they are not needed is said of pages which are all being written,
/// so that they stay in memory for the next reader (`posix_fadvise(2)`, Linux).
#[cfg(target_os = "linux")]
fn send(file: &File, from: u64, to: u64) {
    if let Some(bytes) = std::num::NonZeroU64::new(to - from) {
        let _ = rustix::fs::fadvise(file, from, Some(bytes), rustix::fs::Advice::DontNeed);
    }
}

#[cfg(not(target_os = "linux"))]
fn send(_: &File, _: u64, _: u64) {}

/// A file being written under a temporary name. Dropped without [`commit`](DurableFile::commit),
/// it removes what it made.
pub struct DurableFile {
    content: Arc<Mutex<Content>>,
    temporary: PathBuf,
    path: PathBuf,
}

impl std::fmt::Debug for DurableFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DurableFile")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl DurableFile {
    /// Starts a file that will be `path`, readable as the process's umask says.
    ///
    /// The temporary name is `.NAME.partial` beside it; one left by a killed process is replaced.
    ///
    /// # Errors
    /// [`TabularError::Io`] when the folder does not exist or may not be written.
    pub fn create(path: &Path) -> Result<DurableFile, TabularError> {
        let temporary = temporary_name(path);
        let file = open_new(&temporary).map_err(TabularError::io("create", path))?;
        let content = Content {
            file,
            hasher: None,
            bytes: 0,
            sent: 0,
            sending: None,
        };
        Ok(DurableFile {
            content: Arc::new(Mutex::new(content)),
            temporary,
            path: path.to_path_buf(),
        })
    }

    /// The same file, hashed from its first byte on: to be called before anything is written.
    #[must_use]
    pub fn hashed(self) -> DurableFile {
        let mut content = self.content.lock().unwrap_or_else(PoisonError::into_inner);
        content.hasher = Some(Sha256::new());
        drop(content);
        self
    }

    /// A handle to write through, for writers that want to own what they write to. Writing is
    /// not buffered here: hand over blocks, not lines.
    pub fn writer(&self) -> Box<dyn Write + Send> {
        Box::new(Handle(Arc::clone(&self.content)))
    }

    /// Bytes written so far.
    pub fn bytes(&self) -> u64 {
        self.content
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .bytes
    }

    /// Syncs, renames to the final path (replacing a file of that name), syncs the folder.
    ///
    /// # Errors
    /// [`TabularError::Io`]; the temporary file is then removed and an older file left as it was.
    pub fn commit(self) -> Result<Committed, TabularError> {
        let (bytes, hasher) = {
            let mut content = self.content.lock().unwrap_or_else(PoisonError::into_inner);
            let sent = content.sending.take().map(JoinHandle::join);
            // It gives nothing, and waiting for it keeps it from outliving the file.
            drop(sent);
            let synced = content.file.sync_all();
            synced.map_err(TabularError::io("sync", &self.temporary))?;
            (content.bytes, content.hasher.take())
        };
        std::fs::rename(&self.temporary, &self.path)
            .map_err(TabularError::io("rename to", &self.path))?;
        sync_folder(&self.path)?;
        Ok(Committed {
            path: self.path.clone(),
            bytes,
            sha256: hasher.map(|hasher| hex::encode(hasher.finalize())),
        })
    }
}

impl Write for DurableFile {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        write_to(&self.content, buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for DurableFile {
    fn drop(&mut self) {
        // After a commit there is no such name any more, and nobody is left to be told of failure.
        let _ = std::fs::remove_file(&self.temporary);
    }
}

struct Handle(Arc<Mutex<Content>>);

impl Write for Handle {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        write_to(&self.0, buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write_to(content: &Mutex<Content>, buf: &[u8]) -> io::Result<usize> {
    let mut content = content.lock().unwrap_or_else(PoisonError::into_inner);
    let n = content.file.write(buf)?;
    if let Some(hasher) = &mut content.hasher {
        hasher.update(&buf[..n]);
    }
    content.bytes += n as u64;
    content.send_soon()?;
    Ok(n)
}

fn temporary_name(path: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".partial");
    path.with_file_name(name)
}

fn open_new(path: &Path) -> io::Result<File> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // Never through a link that somebody put there.
    OpenOptions::new().write(true).create_new(true).open(path)
}

/// Makes the name itself durable. Only Unix can open a folder for this.
fn sync_folder(path: &Path) -> Result<(), TabularError> {
    if !cfg!(unix) {
        return Ok(());
    }
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let synced = File::open(folder).and_then(|f| f.sync_all());
    synced.map_err(TabularError::io("sync", folder))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn appears_whole_with_size_and_hash() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        let mut file = DurableFile::create(&path).unwrap().hashed();
        file.write_all(b"1,2").unwrap();
        file.writer().write_all(b",3\n").unwrap();
        assert!(!path.exists());
        assert_eq!(file.bytes(), 6);
        let done = file.commit().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"1,2,3\n");
        assert_eq!((done.path.as_path(), done.bytes), (path.as_path(), 6));
        assert_eq!(
            done.digest().unwrap(),
            hex::encode(Sha256::digest(b"1,2,3\n"))
        );
        assert_eq!(names(folder.path()), ["a.csv"]);
    }

    #[test]
    fn what_is_synced_on_the_way_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        let mut file = DurableFile::create(&path).unwrap();
        let piece: Vec<u8> = (0..SEND_EVERY / 4).map(|i| i as u8).collect();
        for _ in 0..9 {
            file.write_all(&piece).unwrap();
        }
        let done = file.commit().unwrap();
        assert_eq!((done.bytes, &done.sha256), (piece.len() as u64 * 9, &None));
        assert_eq!(std::fs::read(&path).unwrap(), piece.repeat(9));
    }

    #[test]
    fn dropped_leaves_nothing_and_the_older_file_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        std::fs::write(&path, "old").unwrap();
        // What a killed process left behind.
        std::fs::write(temporary_name(&path), "half").unwrap();
        let mut file = DurableFile::create(&path).unwrap();
        file.write_all(b"new").unwrap();
        drop(file);
        assert_eq!(names(folder.path()), ["a.csv"]);
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
    }

    #[test]
    fn missing_folder_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("absent").join("a.csv");
        let message = DurableFile::create(&path).unwrap_err().to_string();
        assert!(
            message.contains("absent") && message.contains("create"),
            "{message}"
        );
    }
}
