//! The properties that the fuzz targets in `fuzz/` hold, a function a target: any bytes in, a panic
//! where the property is broken. Tests hold them too, on the targets' corpora and on mutations of them.
//!
//! Each compares with another way to the same answer: a plain reader written for it
//! ([`plain_csv`], [`plain_values`]), another library, or the same code fed in other pieces. The first
//! bytes of an input choose how the rest is read, so that one corpus serves every dialect, encoding and
//! block size.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{self, Cursor, Read, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Once, PoisonError};

use crate::dialect::Dialect;
use crate::encoding::TextEncoding;
use crate::format::Format;
use crate::input::Input;

mod cell_values;
mod convert_typed;
mod csv_blocks;
mod csv_records;
mod encodings;
mod json_lines;
mod parquet_input;
mod passthrough;
mod plain_csv;
mod plain_values;
mod predictions;
mod seen_rows;
mod sidecar;
mod snappy_blocks;
mod snappy_raw;
mod sniffing;
mod wrappers;

pub use cell_values::cell_values;
pub use convert_typed::convert_typed;
pub use csv_blocks::csv_blocks;
pub use csv_records::csv_records;
pub use encodings::encodings;
pub use json_lines::json_lines;
pub use parquet_input::parquet_input;
pub use passthrough::passthrough;
pub use predictions::predictions;
pub use sidecar::sidecar;
pub use snappy_blocks::snappy_blocks;
pub use snappy_raw::snappy_raw;
pub use sniffing::sniffing;
pub use wrappers::{gzip, snappy_framed, snappy_hadoop, zstd};

/// Takes the bytes that choose off the front: `N` of them, zeros where there are fewer.
fn choices<const N: usize>(data: &[u8]) -> ([usize; N], &[u8]) {
    let n = data.len().min(N);
    let mut chosen = [0; N];
    for (to, from) in chosen.iter_mut().zip(data) {
        *to = usize::from(*from);
    }
    (chosen, &data[n..])
}

/// A dialect, and the bytes behind its choice; none if the bytes choose one that is refused.
fn dialect(choice: usize, text: &[u8]) -> Option<(Dialect, &[u8])> {
    let usual = |delimiter, quote, escape, comment| Dialect {
        delimiter,
        quote,
        escape,
        comment,
        header: true,
        skip_lines: 0,
    };
    let (found, rest) = match choice % 8 {
        0 => (Dialect::default(), text),
        1 => (usual(b';', b'"', None, None), text),
        2 => (usual(b'\t', b'"', None, None), text),
        3 => (usual(b'|', b'\'', None, None), text),
        4 => (usual(b',', b'"', Some(b'\\'), None), text),
        5 => (usual(b',', b'"', None, Some(b'#')), text),
        6 => (usual(b';', b'\'', Some(b'\\'), Some(b'#')), text),
        _ => {
            let (own, rest) = text.split_first_chunk::<4>()?;
            let some = |byte: u8| (byte != b'0').then_some(byte);
            let [delimiter, quote, escape, comment] = *own;
            (usual(delimiter, quote, some(escape), some(comment)), rest)
        }
    };
    found.check().is_ok().then_some((found, rest))
}

/// Gives at most so many bytes a call.
struct Drip {
    bytes: Cursor<Vec<u8>>,
    step: usize,
}

impl Drip {
    fn new(bytes: &[u8], step: usize) -> Drip {
        Drip {
            bytes: Cursor::new(bytes.to_vec()),
            step: step.max(1),
        }
    }
}

impl Read for Drip {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = buf.len().min(self.step);
        self.bytes.read(&mut buf[..n])
    }
}

/// The name of a file that nothing else uses, for what has to be on a disk.
fn scratch_path(extension: &str) -> PathBuf {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let name = format!("gristmill-fuzz-{}-{number}.{extension}", std::process::id());
    std::env::temp_dir().join(name)
}

/// UTF-8 in memory, read in steps.
fn text_input(text: &[u8], format: Format, step: usize) -> Input {
    let text = text.to_vec();
    let open = move || -> io::Result<Box<dyn Read + Send>> { Ok(Box::new(Drip::new(&text, step))) };
    Input::new("input", format, Arc::new(open)).with_encoding(Some(TextEncoding::UTF_8))
}

/// A writer whose bytes can be had afterwards.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Written {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Written {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let mut bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        bytes.extend_from_slice(buf);
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The libraries of Parquet and Arrow panic on some files, which their readers here catch. libFuzzer's
/// hook would end the process before they can; a panic that is not caught ends it still.
fn silence() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        if cfg!(feature = "fuzzing") {
            std::panic::set_hook(Box::new(|_| {}));
        }
    });
}

#[cfg(test)]
mod tests {
    use gristmill_corpus::replay;

    /// A test a target: its corpus, and so many mutations of it.
    macro_rules! targets {
        ($($target:ident: $mutations:literal,)*) => {
            $(
                #[test]
                fn $target() {
                    replay(stringify!($target), $mutations, super::$target);
                }
            )*

            #[test]
            fn every_target_is_replayed() {
                let mut here = [$(stringify!($target)),*];
                here.sort_unstable();
                assert_eq!(gristmill_corpus::targets_of("gristmill_tabular"), here);
            }
        };
    }

    targets! {
        csv_records: 20_000,
        csv_blocks: 2_000,
        convert_typed: 1_000,
        encodings: 20_000,
        snappy_framed: 5_000,
        snappy_hadoop: 5_000,
        snappy_blocks: 5_000,
        snappy_raw: 1_000,
        gzip: 2_000,
        zstd: 2_000,
        json_lines: 2_000,
        parquet_input: 1_000,
        passthrough: 1_000,
        sidecar: 1_000,
        predictions: 20_000,
        cell_values: 50_000,
        sniffing: 10_000,
    }
}
