//! What is read: the files that names stand for, and how their text is written.

use std::io::Read;
use std::path::{Path, PathBuf};

use gristmill_runner::{ExitCode, RunError};
use gristmill_tabular::{
    Dialect, Format, Input, Layout, TabularError, TextEncoding, sniff_dialect,
};

use crate::args_convert::{CsvArgs, Header};
use crate::commands::convert::{DASH, usage};

/// The inputs, in order. `-` is standard input, kept in `scratch` so that it can be read twice.
///
/// # Errors
/// For a pattern that nothing matches, and standard input that cannot be kept.
pub(crate) fn open_inputs(
    paths: &[PathBuf],
    from: Option<Format>,
    encoding: Option<TextEncoding>,
    scratch: &Path,
) -> Result<Vec<Input>, RunError> {
    let mut inputs = Vec::new();
    for path in &expand(paths)? {
        let input = if path.as_os_str() == DASH {
            Input::spilled(DASH, from, Box::new(std::io::stdin()), scratch)?
        } else if is_pipe(path) {
            let name = path.to_string_lossy();
            let open = std::fs::File::open(path).map_err(TabularError::io("open", path))?;
            let from = from.or_else(|| Format::from_name(&name));
            Input::spilled(&name, from, Box::new(open), scratch)?
        } else {
            let input = Input::file(path);
            match from {
                Some(format) => input.with_format(format),
                None => input,
            }
        };
        inputs.push(input.with_encoding(encoding));
    }
    Ok(inputs)
}

/// Whether what has this name can be read once only: a named pipe, `<(command)`, a terminal.
fn is_pipe(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|meta| !meta.is_file() && !meta.is_dir())
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

/// The first text of an input, decompressed; nothing of one that is no CSV.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn head(input: Option<&Input>) -> Result<Vec<u8>, RunError> {
    let Some(input) = input.filter(|input| input.layout == Layout::Csv) else {
        return Ok(Vec::new());
    };
    let mut sample = Vec::new();
    input
        .text()?
        .take(SAMPLE_BYTES)
        .read_to_end(&mut sample)
        .map_err(TabularError::io("read", &input.name))?;
    Ok(sample)
}

/// The beginning of a file's text.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn read_sample(
    path: &Path,
    encoding: Option<TextEncoding>,
) -> Result<Vec<u8>, RunError> {
    head(Some(&Input::file(path).with_encoding(encoding)))
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
