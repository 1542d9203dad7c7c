//! A file that is either there whole, and on the disk, or not there at all.
//!
//! Bytes go to a hidden name in the same folder and are counted on their way, and hashed where that
//! is asked for; at the end they are synced, the file is renamed, and the folder is synced, so that
//! neither a killed process nor a lost power supply leaves half a file under the real name.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};

use crate::aligned_memory::ALIGNMENT;
use crate::disk_writer::{DiskWriter, Reading};
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

/// Bytes of a file's beginning that are written through the page cache by the caller: a small file needs
/// no thread, and stays in memory for the next reader. A multiple of [`ALIGNMENT`].
const CACHED_BYTES: u64 = 1 << 20;
const _: () = assert!(CACHED_BYTES.is_multiple_of(ALIGNMENT as u64));

/// The file and what has been written to it.
struct Content {
    file: File,
    reading: Reading,
    hasher: Option<Sha256>,
    bytes: u64,
    /// Writes what comes after the beginning.
    disk: Option<DiskWriter>,
}

impl Content {
    /// As [`Write::write`]; all of it is taken at once where some goes past the beginning.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = usize::try_from(CACHED_BYTES.saturating_sub(self.bytes)).unwrap_or(usize::MAX);
        let (beginning, rest) = bytes.split_at(bytes.len().min(room));
        let mut written = 0;
        if !beginning.is_empty() {
            written = self.file.write(beginning)?;
            self.count(&beginning[..written]);
        }
        if written == beginning.len() && !rest.is_empty() {
            self.write_behind(rest)?;
            self.count(rest);
            written += rest.len();
        }
        Ok(written)
    }

    fn write_behind(&mut self, bytes: &[u8]) -> io::Result<()> {
        let disk = match &mut self.disk {
            Some(disk) => disk,
            none => none.insert(DiskWriter::start(&self.file, self.bytes, self.reading)?),
        };
        disk.write(bytes)
    }

    fn count(&mut self, bytes: &[u8]) {
        if let Some(hasher) = &mut self.hasher {
            hasher.update(bytes);
        }
        self.bytes += bytes.len() as u64;
    }

    /// All is on the disk.
    fn sync(&mut self) -> io::Result<()> {
        if let Some(disk) = self.disk.take() {
            disk.finish()?;
        }
        self.file.sync_all()
    }
}

/// A file being written under a temporary name. Dropped without [`commit`](DurableFile::commit),
/// it removes what it made.
pub struct DurableFile {
    content: Arc<Mutex<Content>>,
    temporary: PathBuf,
    path: PathBuf,
    /// The temporary name is no longer this file's.
    renamed: bool,
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
    /// The temporary name is `.NAME.partial` beside it, locked for as long as it is written (`flock(2)`,
    /// where the file system has that); one left by a killed process is replaced.
    ///
    /// # Errors
    /// [`TabularError::Io`] when the folder does not exist or may not be written, or another process is
    /// writing the same file ([`io::ErrorKind::ResourceBusy`]).
    pub fn create(path: &Path) -> Result<DurableFile, TabularError> {
        let temporary = temporary_name(path);
        let file = open_new(&temporary).map_err(TabularError::io("create", path))?;
        let content = Content {
            file,
            reading: Reading::Later,
            hasher: None,
            bytes: 0,
            disk: None,
        };
        Ok(DurableFile {
            content: Arc::new(Mutex::new(content)),
            temporary,
            path: path.to_path_buf(),
            renamed: false,
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

    /// The same file, kept in memory as far as the system can, since somebody reads it at once: to be
    /// called before anything is written. Others go past the page cache from the second MiB on.
    #[must_use]
    pub fn soon_read(self) -> DurableFile {
        let mut content = self.content.lock().unwrap_or_else(PoisonError::into_inner);
        content.reading = Reading::Soon;
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
    pub fn commit(mut self) -> Result<Committed, TabularError> {
        let (bytes, hasher) = {
            let mut content = self.content.lock().unwrap_or_else(PoisonError::into_inner);
            let synced = content.sync();
            synced.map_err(TabularError::io("sync", &self.path))?;
            (content.bytes, content.hasher.take())
        };
        std::fs::rename(&self.temporary, &self.path)
            .map_err(TabularError::io("rename to", &self.path))?;
        self.renamed = true;
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
        // Once renamed, a file of that name is somebody else's. Nobody is left to be told of failure.
        if !self.renamed {
            let _ = std::fs::remove_file(&self.temporary);
        }
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
    content.write(buf)
}

fn temporary_name(path: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".partial");
    path.with_file_name(name)
}

/// A new file under the temporary name, locked.
fn open_new(path: &Path) -> io::Result<File> {
    loop {
        // Never through a link that somebody put there.
        match OpenOptions::new().write(true).create_new(true).open(path) {
            Ok(file) => {
                lock(&file)?;
                // Somebody may have taken it for a left one before it was locked.
                if is_at(&file, path) {
                    return Ok(file);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => remove_left(path)?,
            Err(error) => return Err(error),
        }
    }
}

/// Removes what a killed process left.
fn remove_left(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    // To lock it, some network file systems want it open for writing.
    options.read(true).write(true);
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::OFlags;
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, flags.bits().cast_signed());
    }
    // What cannot be opened is nothing that a process like this one writes.
    let left = options.open(path);
    if let Ok(left) = &left {
        lock(left)?;
    }
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Locks it for as long as it is open. File systems without locks do without.
fn lock(file: &File) -> io::Result<()> {
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Err(io::Error::new(
            io::ErrorKind::ResourceBusy,
            "another process is writing it",
        )),
        _ => Ok(()),
    }
}

/// Whether the file has this name.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (file.metadata(), path.symlink_metadata()) {
        (Ok(ours), Ok(found)) => (ours.dev(), ours.ino()) == (found.dev(), found.ino()),
        _ => false,
    }
}

#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> bool {
    true
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
    use crate::aligned_memory::AlignedMemory;

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

    /// Pieces of other sizes than buffers and blocks, and aligned ones, which go their own way.
    #[test]
    fn what_goes_past_the_cache_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        let mut aligned = AlignedMemory::new(3 * ALIGNMENT);
        aligned.bytes_mut().fill(b'a');
        let aligned = &aligned.bytes()[..3 * ALIGNMENT];
        let odd: Vec<u8> = (0..1_234_567_u32).map(|i| (i / 7) as u8).collect();
        for pieces in [vec![&odd[..]; 40], vec![aligned; 4000], {
            let mut mixed = vec![aligned; 1000];
            mixed.extend([&odd[..], &odd[..5], aligned].repeat(7));
            mixed
        }] {
            for soon in [false, true] {
                let file = DurableFile::create(&path).unwrap().hashed();
                let mut file = if soon { file.soon_read() } else { file };
                for piece in &pieces {
                    file.write_all(piece).unwrap();
                }
                let done = file.commit().unwrap();
                let expected = pieces.concat();
                assert!(expected.len() as u64 > CACHED_BYTES);
                assert_eq!(done.bytes, expected.len() as u64);
                assert!(std::fs::read(&path).unwrap() == expected);
                assert_eq!(done.sha256.unwrap(), hex::encode(Sha256::digest(&expected)));
            }
        }
    }

    #[test]
    fn what_is_given_up_on_the_way_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = DurableFile::create(&folder.path().join("a.csv")).unwrap();
        for _ in 0..20 {
            file.write_all(&[7; 1_000_001]).unwrap();
        }
        drop(file);
        assert!(names(folder.path()).is_empty());
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

    /// Two that write the same file at once would publish each other's halves.
    #[test]
    fn a_file_that_is_being_written_is_nobody_elses() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        let mut file = DurableFile::create(&path).unwrap();
        file.write_all(b"first").unwrap();
        let error = DurableFile::create(&path).unwrap_err().to_string();
        assert!(error.ends_with("another process is writing it"), "{error}");
        file.commit().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"first");
        let mut second = DurableFile::create(&path).unwrap();
        second.write_all(b"second").unwrap();
        second.commit().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"second");
        assert_eq!(names(folder.path()), ["a.csv"]);
    }

    /// Many at once: those that are not refused publish what they wrote, whole.
    #[test]
    fn of_many_that_write_at_once_no_half_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        let committed: usize = std::thread::scope(|scope| {
            let write = |letter: u8| {
                let (path, mut done) = (&path, 0);
                move || {
                    for _ in 0..50 {
                        let Ok(mut file) = DurableFile::create(path) else {
                            continue;
                        };
                        for _ in 0..10 {
                            file.write_all(&[letter; 100]).unwrap();
                        }
                        file.commit().unwrap();
                        done += 1;
                        let found = std::fs::read(path).unwrap();
                        assert_eq!(found.len(), 1000);
                        assert!(found.iter().all(|byte| *byte == found[0]));
                    }
                    done
                }
            };
            let threads: Vec<_> = (b'a'..b'e').map(|l| scope.spawn(write(l))).collect();
            threads.into_iter().map(|t| t.join().unwrap()).sum()
        });
        assert!(committed > 0);
        assert_eq!(names(folder.path()), ["a.csv"]);
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
