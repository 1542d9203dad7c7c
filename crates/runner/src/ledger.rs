//! The ledger of a run: an append-only file of JSON lines, each with a checksum, and the only truth
//! about what was done.
//!
//! An entry is synced to disk before the act that it announces, or after the act whose success it
//! records was confirmed; never in between. A line that was torn by a crash is cut off when the
//! ledger is opened again; damage anywhere else is refused, since acting on a false record is worse
//! than stopping.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::entry::Entry;
use crate::error::RunError;

/// `{"crc":"` + 8 hex digits + `","entry":` … `}`: the fixed frame of a line.
const HEAD: &str = "{\"crc\":\"";
const MIDDLE: &str = "\",\"entry\":";
const HEX_DIGITS: usize = 8;

/// No ledger of a real run comes near this (10,000 shards make about 10 MB); a file above it is not
/// a ledger and is not read into memory.
pub const MAX_LEDGER_BYTES: u64 = 256 * 1024 * 1024;

/// An open ledger, positioned at its end. One process writes it at a time: the run's lock is held.
#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
    file: File,
    bytes: Vec<u8>,
    /// Set once a line could not be written or synced: what the disk holds is then unknown.
    broken: bool,
}

impl Ledger {
    /// Makes a new, empty ledger.
    ///
    /// # Errors
    /// When the file exists already or cannot be made.
    pub fn create(path: &Path) -> Result<Self, RunError> {
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(|e| RunError::io("create the ledger", path, e))?;
        sync_parent(path)?;
        Ok(Self {
            path: path.to_owned(),
            file,
            bytes: Vec::new(),
            broken: false,
        })
    }

    /// Opens a ledger, cuts off a torn last line, and gives the entries in order.
    ///
    /// # Errors
    /// When the file cannot be read, or a line other than the last is damaged.
    pub fn open(path: &Path) -> Result<(Self, Vec<Entry>), RunError> {
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .open(path)
            .map_err(|e| RunError::io("open the ledger", path, e))?;
        let bytes = read_bounded(&mut file, path)?;
        let (entries, sound) = parse(&bytes, &path.display().to_string())?;
        if sound < bytes.len() {
            file.set_len(sound as u64)
                .map_err(|e| RunError::io("mend the ledger", path, e))?;
            file.sync_all()
                .map_err(|e| RunError::io("sync the ledger", path, e))?;
            file.seek(SeekFrom::End(0))
                .map_err(|e| RunError::io("seek in the ledger", path, e))?;
        }
        let mut bytes = bytes;
        bytes.truncate(sound);
        Ok((
            Self {
                path: path.to_owned(),
                file,
                bytes,
                broken: false,
            },
            entries,
        ))
    }

    /// Appends one entry and syncs it: when this returns, the entry survives a crash.
    ///
    /// # Errors
    /// When the line cannot be written or synced. Every later call fails as well, since whether the
    /// line is there is unknown until the ledger is opened again: a line after half of one would be
    /// damage in the middle, which nothing can mend.
    pub fn append(&mut self, entry: &Entry) -> Result<(), RunError> {
        let line = encode(entry)?;
        if self.broken {
            return Err(RunError::damaged(format!(
                "the ledger {} takes no more entries: writing one failed before",
                self.path.display()
            )));
        }
        self.write(&line).inspect_err(|_| {
            self.broken = true;
            // Half a line does no harm, but need not stay.
            let _ = self.file.set_len(self.bytes.len() as u64);
        })?;
        self.bytes.extend_from_slice(&line);
        Ok(())
    }

    fn write(&mut self, line: &[u8]) -> Result<(), RunError> {
        self.file
            .write_all(line)
            .map_err(|e| RunError::io("write the ledger", &self.path, e))?;
        self.file
            .sync_data()
            .map_err(|e| RunError::io("sync the ledger", &self.path, e))
    }

    /// The whole ledger as it stands on disk, for its copy under `work.uri`.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

fn read_bounded(file: &mut File, path: &Path) -> Result<Vec<u8>, RunError> {
    let length = file
        .metadata()
        .map_err(|e| RunError::io("read the ledger", path, e))?
        .len();
    if length > MAX_LEDGER_BYTES {
        return Err(RunError::damaged(format!(
            "{}: {length} bytes are more than a ledger can have ({MAX_LEDGER_BYTES})",
            path.display()
        )));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
    file.read_to_end(&mut bytes)
        .map_err(|e| RunError::io("read the ledger", path, e))?;
    Ok(bytes)
}

/// One line: the checksum is CRC-32 (IEEE) of the entry's JSON text as written.
fn encode(entry: &Entry) -> Result<Vec<u8>, RunError> {
    let json =
        serde_json::to_string(entry).map_err(|e| RunError::bug(format!("ledger entry: {e}")))?;
    let crc = crc32fast::hash(json.as_bytes());
    Ok(format!("{HEAD}{crc:08x}{MIDDLE}{json}}}\n").into_bytes())
}

/// Parses whole ledgers: the entries, and how many bytes are sound. Only the last line may be torn.
///
/// # Errors
/// When a line before the last one is damaged.
pub fn parse(bytes: &[u8], name: &str) -> Result<(Vec<Entry>, usize), RunError> {
    let mut entries = Vec::new();
    let mut sound = 0;
    for (number, line) in bytes.split_inclusive(|b| *b == b'\n').enumerate() {
        match decode(line) {
            Some(entry) => entries.push(entry),
            None if sound + line.len() == bytes.len() => break,
            None => {
                return Err(RunError::damaged(format!(
                    "{name}: line {} (byte {sound}) does not match its checksum. \
                     The run cannot be continued from it; start a new one with --fresh",
                    number + 1
                )));
            }
        }
        sound += line.len();
    }
    Ok((entries, sound))
}

fn decode(line: &[u8]) -> Option<Entry> {
    let text = std::str::from_utf8(line).ok()?.strip_suffix("}\n")?;
    let rest = text.strip_prefix(HEAD)?;
    let (crc, rest) = rest.split_at_checked(HEX_DIGITS)?;
    let json = rest.strip_prefix(MIDDLE)?;
    let expected = u32::from_str_radix(crc, 16).ok()?;
    (crc32fast::hash(json.as_bytes()) == expected).then(|| serde_json::from_str(json).ok())?
}

/// Makes a rename or a creation in `path`'s folder durable.
///
/// # Errors
/// When the folder cannot be opened or synced.
pub(crate) fn sync_parent(path: &Path) -> Result<(), RunError> {
    let folder = path
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    File::open(folder)
        .and_then(|f| f.sync_all())
        .map_err(|e| RunError::io("sync the folder", folder, e))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn sample(n: u32) -> Entry {
        Entry::Resumed {
            attempt: n,
            version: "0.0.0".into(),
        }
    }

    fn ledger_of(n: u32) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.jsonl");
        let mut ledger = Ledger::create(&path).unwrap();
        for i in 0..n {
            ledger.append(&sample(i)).unwrap();
        }
        assert_eq!(ledger.bytes(), std::fs::read(&path).unwrap());
        (folder, path)
    }

    #[test]
    fn cut_at_every_byte_keeps_a_prefix_and_goes_on() {
        let (_folder, path) = ledger_of(4);
        let whole = std::fs::read(&path).unwrap();
        for cut in 0..=whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let (mut ledger, entries) = Ledger::open(&path).unwrap();
            let expected = whole[..cut].iter().filter(|b| **b == b'\n').count();
            assert_eq!(
                entries,
                (0..u32::try_from(expected).unwrap())
                    .map(sample)
                    .collect::<Vec<_>>()
            );
            ledger.append(&sample(99)).unwrap();
            let (_, entries) = Ledger::open(&path).unwrap();
            assert_eq!(entries.last(), Some(&sample(99)));
        }
    }

    #[test]
    fn nothing_is_appended_after_a_line_that_failed() {
        let (_folder, path) = ledger_of(1);
        let (mut ledger, _) = Ledger::open(&path).unwrap();
        let good = std::mem::replace(
            &mut ledger.file,
            OpenOptions::new().append(true).open("/dev/full").unwrap(),
        );
        let full = ledger.append(&sample(1)).unwrap_err();
        assert!(full.help.unwrap().contains("free space"));
        ledger.file = good;
        let after = ledger.append(&sample(2)).unwrap_err();
        assert!(after.message.contains("takes no more entries"));
        assert_eq!(Ledger::open(&path).unwrap().1, [sample(0)]);
    }

    #[test]
    fn a_flipped_byte_is_never_acted_on() {
        let (_folder, path) = ledger_of(4);
        let whole = std::fs::read(&path).unwrap();
        for at in 0..whole.len() {
            for bit in [1_u8, 0x20] {
                let mut bytes = whole.clone();
                bytes[at] ^= bit;
                match parse(&bytes, "ledger") {
                    Ok((entries, _)) => {
                        for (i, entry) in entries.iter().enumerate() {
                            assert_eq!(*entry, sample(u32::try_from(i).unwrap()), "byte {at}");
                        }
                    }
                    Err(e) => assert!(e.to_string().contains("checksum"), "{e}"),
                }
            }
        }
    }
}
