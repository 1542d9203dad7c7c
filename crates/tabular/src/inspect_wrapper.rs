//! How a file of text is wrapped: by its bytes, whatever its name says.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use serde::Serialize;

use crate::compression::{Compression, SOURCE_BUFFER};
use crate::error::TabularError;
use crate::format::Format;
use crate::input::read_full;
use crate::inspect_framing::{FramingInspection, inspect_framing};
use crate::inspect_hadoop::{HadoopInspection, inspect_hadoop};
use crate::inspect_zstd::{ZstdInspection, inspect_zstd};
use crate::wrapper_signature::{FIRST_BYTES, Signature};

/// How a file is wrapped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrapperInspection {
    /// The wrapper, by the first bytes; by the name only if these tell nothing.
    pub compression: Compression,
    /// The extension that says something else than the bytes do: `.snappy`.
    pub name_says: Option<String>,
    /// Size of the file as stored.
    pub bytes: u64,
    /// What the container is made of, where it is made of parts.
    pub framing: Option<Framing>,
}

/// The parts of a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Framing {
    /// Chunks with checksums.
    SnappyFramed(FramingInspection),
    /// Blocks of chunks.
    SnappyHadoop(HadoopInspection),
    /// Frames.
    Zstd(ZstdInspection),
}

/// Looks at a file's first bytes, and at the parts of its container to the end; both Snappy containers
/// are decompressed on the way, and the checksums of the one that has them compared.
///
/// Memory: one chunk.
///
/// # Errors
/// [`TabularError::Io`] if it cannot be read, is cut short or damaged; the message names the byte.
pub fn inspect_wrapper(path: &Path) -> Result<WrapperInspection, TabularError> {
    let mut file = File::open(path).map_err(TabularError::io("open", path))?;
    let mut first = [0; FIRST_BYTES];
    let read = read_full(&mut file, &mut first).map_err(TabularError::io("read", path))?;
    let metadata = file.metadata().map_err(TabularError::io("read", path))?;
    let name = path.to_string_lossy();
    let compression = by_bytes(&first[..read], Compression::from_name(&name));
    Ok(WrapperInspection {
        compression,
        name_says: contradiction(&name, Format::wraps(compression)),
        bytes: metadata.len(),
        framing: framing(path, compression)?,
    })
}

/// The bytes count; what they do not tell, the name does, and reading says what is wrong with them.
fn by_bytes(first: &[u8], named: Compression) -> Compression {
    match Signature::of(first) {
        Some(Signature::Wrapper(found)) => found,
        Some(Signature::Text) => Compression::None,
        _ => named,
    }
}

/// The extension of `name` if it is that of a format which is not among those that `fits` takes.
pub(crate) fn contradiction(name: &str, fits: impl Fn(Format) -> bool) -> Option<String> {
    let named = match (Format::from_name(name), Compression::from_name(name)) {
        (Some(format), _) => format,
        (None, Compression::None) => return None,
        // A wrapper around who knows what.
        (None, wrapper) => Format::text(crate::format::Layout::Csv, wrapper),
    };
    let extension = Path::new(name).extension()?.to_string_lossy().into_owned();
    (!fits(named)).then(|| format!(".{extension}"))
}

fn framing(path: &Path, compression: Compression) -> Result<Option<Framing>, TabularError> {
    let source = || {
        let file = File::open(path).map_err(TabularError::io("open", path))?;
        Ok(BufReader::with_capacity(SOURCE_BUFFER, file))
    };
    let failed = TabularError::io("read", path);
    Ok(match compression {
        Compression::None | Compression::Gzip => None,
        Compression::SnappyFramed => Some(Framing::SnappyFramed(inspect_framing(path)?)),
        Compression::SnappyHadoop => {
            let found = inspect_hadoop(source()?).map_err(failed)?;
            Some(Framing::SnappyHadoop(found))
        }
        Compression::Zstd => Some(Framing::Zstd(inspect_zstd(source()?).map_err(failed)?)),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

    use std::path::PathBuf;

    use super::*;
    use crate::compression::tests::packed;

    fn file(folder: &Path, name: &str, content: &[u8]) -> PathBuf {
        let path = folder.join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    fn text() -> Vec<u8> {
        (0..90_000u32)
            .flat_map(|i| format!("{i},{}\n", i % 7).into_bytes())
            .collect()
    }

    #[test]
    fn the_bytes_count_and_a_name_that_lies_is_told() {
        let folder = tempfile::tempdir().unwrap();
        for &named in Compression::ALL {
            for &real in Compression::ALL {
                let name = format!("x.csv{}", named.extension());
                let path = file(folder.path(), &name, &packed(real, &text()));
                let found = inspect_wrapper(&path).unwrap();
                assert_eq!(found.compression, real);
                let extension = name.rfind('.').map(|at| name[at..].to_owned());
                assert_eq!(found.name_says, extension.filter(|_| named != real));
            }
        }
        // A name that says nothing, and one that says nothing but the wrapper.
        let gzip = packed(Compression::Gzip, b"a\n1\n");
        let said = |name| {
            inspect_wrapper(&file(folder.path(), name, &gzip))
                .unwrap()
                .name_says
        };
        assert_eq!((said("export.dat"), said("rows.gz")), (None, None));
        assert_eq!(said("rows.zst").as_deref(), Some(".zst"));
        assert_eq!(said("rows.parquet").as_deref(), Some(".parquet"));
    }

    #[test]
    fn hadoops_blocks_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        let plain = text();
        let mut stored = packed(Compression::SnappyHadoop, &plain);
        // An empty block, and one of two chunks.
        stored.extend([0; 4]);
        stored.extend(b"\0\0\0\x04\0\0\0\x04\x02\x041,\0\0\0\x04\x02\x042\n");
        let found = inspect_wrapper(&file(folder.path(), "x.snappy", &stored)).unwrap();
        let blocks = plain.len().div_ceil(crate::snappy_hadoop::BLOCK_BYTES) as u64;
        assert!(blocks > 2);
        let expected = HadoopInspection {
            blocks: blocks + 1,
            empty_blocks: 1,
            chunks: blocks + 2,
            compressed_bytes: stored.len() as u64,
            uncompressed_bytes: plain.len() as u64 + 4,
            largest_block_bytes: 218_422,
            largest_chunk_bytes: 218_422,
        };
        assert_eq!(found.framing, Some(Framing::SnappyHadoop(expected)));
    }

    #[test]
    fn zstd_frames_are_counted_and_cuts_are_seen() {
        let folder = tempfile::tempdir().unwrap();
        let plain = text();
        let mut stored = packed(Compression::Zstd, &plain);
        let found = |stored: &[u8]| inspect_wrapper(&file(folder.path(), "x.zst", stored));
        let expected = ZstdInspection {
            frames: 1,
            checksums: 1,
            largest_window_bytes: 2 << 20,
            compressed_bytes: stored.len() as u64,
            ..ZstdInspection::default()
        };
        assert_eq!(
            found(&stored).unwrap().framing,
            Some(Framing::Zstd(expected))
        );
        // Another, made in one go: its header says its size, and it has no checksum.
        let whole = zstd::bulk::compress(&plain, 1).unwrap();
        stored.clone_from(&whole);
        stored.extend(b"\x50\x2a\x4d\x18\x02\0\0\0xx");
        stored.extend(&whole);
        let Some(Framing::Zstd(two)) = found(&stored).unwrap().framing else {
            panic!("no frames");
        };
        assert_eq!((two.frames, two.skippable_frames, two.checksums), (2, 1, 0));
        assert_eq!(two.content_bytes, Some(2 * plain.len() as u64));
        for cut in (5..whole.len()).step_by(97) {
            assert!(found(&whole[..cut]).is_err(), "cut at {cut}");
        }
    }
}
