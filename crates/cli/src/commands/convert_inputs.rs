//! What is read: the files that names stand for, and how their text is written.

use std::io::Read;
use std::path::{Path, PathBuf};

use gristmill_runner::{ExitCode, RunError};
use gristmill_tabular::{Compression, Dialect, Input, TabularError, decompress, sniff_dialect};

use crate::args::{CsvArgs, FileFormat, Header};
use crate::commands::convert::{DASH, usage};

/// The inputs, in order. `-` is standard input, kept in `scratch` so that it can be read twice.
///
/// # Errors
/// For a format that is not read, a pattern that nothing matches, and standard input that cannot be
/// kept.
pub(crate) fn open_inputs(
    paths: &[PathBuf],
    from: Option<FileFormat>,
    scratch: &Path,
) -> Result<Vec<Input>, RunError> {
    let compression = match from {
        Some(FileFormat::Parquet) => return Err(usage(PARQUET_IS_NOT_READ)),
        Some(FileFormat::CsvGz) => Some(Compression::Gzip),
        Some(FileFormat::CsvSz) => Some(Compression::SnappyFramed),
        Some(FileFormat::CsvSnappy) => Some(Compression::SnappyHadoop),
        Some(FileFormat::CsvZst) => Some(Compression::Zstd),
        Some(FileFormat::Csv) => Some(Compression::None),
        None => None,
    };
    let mut inputs = Vec::new();
    for path in &expand(paths)? {
        if path.as_os_str() == DASH {
            let stdin = Box::new(std::io::stdin());
            inputs.push(Input::spilled(
                DASH,
                compression.unwrap_or(Compression::None),
                stdin,
                scratch,
            )?);
            continue;
        }
        if path.extension().is_some_and(|e| e == "parquet") {
            return Err(parquet_found(&path.to_string_lossy()));
        }
        let mut input = Input::file(path);
        input.compression = compression.unwrap_or(input.compression);
        inputs.push(input);
    }
    Ok(inputs)
}

const PARQUET_IS_NOT_READ: &str =
    "Parquet can be written and inspected, and not read by `convert` in this version";

fn parquet_found(name: &str) -> RunError {
    usage(format!("{name}: {PARQUET_IS_NOT_READ}"))
}

/// Refuses what begins as a Parquet file does, whatever its name.
///
/// # Errors
/// A usage error that names the input.
pub(crate) fn refuse_parquet(input: Option<&Input>, first: &[u8]) -> Result<(), RunError> {
    // A column might be named PAR1: its name would not go on with a control character.
    let parquet = matches!(first, [b'P', b'A', b'R', b'1', next, ..]
        if *next < b' ' && !next.is_ascii_whitespace());
    match input {
        Some(input) if parquet => Err(parquet_found(&input.name)),
        _ => Ok(()),
    }
}

/// A name that no file has, and that is a pattern, stands for the files that match, in the order
/// of their names.
fn expand(paths: &[PathBuf]) -> Result<Vec<PathBuf>, RunError> {
    let mut found = Vec::new();
    for path in paths {
        let name = path.to_string_lossy();
        if !name.contains(['*', '?', '[']) || path.exists() {
            found.push(path.clone());
            continue;
        }
        let matches = glob::glob(&name).map_err(|e| usage(format!("{name}: no pattern: {e}")))?;
        let before = found.len();
        found.extend(matches.flatten().filter(|p| p.is_file()));
        if found.len() == before {
            return Err(RunError::new(
                ExitCode::NoInput,
                format!("{name}: no file matches"),
            ));
        }
    }
    Ok(found)
}

/// How much of an input the dialect is guessed from.
const SAMPLE_BYTES: u64 = 256 * 1024;

/// The first text of an input, decompressed.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn head(input: Option<&Input>) -> Result<Vec<u8>, RunError> {
    let Some(input) = input else {
        return Ok(Vec::new());
    };
    let failed = |action| {
        move |source| TabularError::Io {
            path: input.name.clone().into(),
            action,
            source,
        }
    };
    let reader = (input.open)().map_err(failed("open"))?;
    let mut sample = Vec::new();
    decompress(input.compression, reader)
        .take(SAMPLE_BYTES)
        .read_to_end(&mut sample)
        .map_err(failed("read"))?;
    Ok(sample)
}

/// The beginning of a file's text.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn read_sample(path: &Path) -> Result<Vec<u8>, RunError> {
    head(Some(&Input::file(path)))
}

/// The dialect: what was given, completed by what the data shows.
pub(crate) fn dialect_of(args: &CsvArgs, sample: &[u8]) -> Dialect {
    let guess = sniff_dialect(sample).dialect;
    Dialect {
        delimiter: args.delimiter.unwrap_or(guess.delimiter),
        quote: args.quote.unwrap_or(guess.quote),
        escape: args.escape,
        comment: args.comment,
        header: match args.header {
            Header::Yes => true,
            Header::No => false,
            Header::Auto => guess.header,
        },
    }
}

/// `delimiter ',', quote '"', a header`.
pub(crate) fn dialect_in_words(dialect: &Dialect) -> String {
    let header = if dialect.header {
        "a header"
    } else {
        "no header"
    };
    format!(
        "delimiter {:?}, quote {:?}, {header}",
        char::from(dialect.delimiter),
        char::from(dialect.quote)
    )
}
