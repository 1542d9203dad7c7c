//! What is read: the files that names stand for, and how their text is written.

use std::path::{Path, PathBuf};

use gristmill_runner::{ExitCode, RunError};
use gristmill_tabular::{
    Dialect, Format, Input, Layout, NO_QUOTE, SNIFF_BYTES, Settled, Stated, TabularError,
    TextEncoding, settle_dialect, sniff_stated,
};

use crate::args_convert::{Character, CsvArgs, Header};
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

/// The beginning of an input's text, and whether it is all of it; nothing of one that is no CSV.
///
/// # Errors
/// When it cannot be read.
fn head(input: Option<&Input>) -> Result<(Vec<u8>, bool), RunError> {
    match input.filter(|input| input.layout == Layout::Csv) {
        Some(input) => Ok(input.beginning(SNIFF_BYTES)?),
        None => Ok((Vec::new(), true)),
    }
}

/// What the options state of the dialect; `--header auto` states nothing.
pub(crate) fn stated(args: &CsvArgs) -> Stated {
    Stated {
        delimiter: args.delimiter.and_then(Character::stated),
        quote: args.quote.and_then(Character::stated),
        escape: args.escape,
        comment: args.comment,
        header: match args.header {
            Some(Header::Yes) => Some(true),
            Some(Header::No) => Some(false),
            Some(Header::Auto) | None => None,
        },
        skip_lines: args.skip_lines,
    }
}

/// The dialect to read the inputs with, by the options and the first of them. Names are in the first
/// record unless the options say otherwise.
///
/// # Errors
/// When it cannot be read, and when the data shows two delimiters.
pub(crate) fn settled(args: &CsvArgs, first: Option<&Input>) -> Result<Settled, RunError> {
    let mut stated = stated(args);
    let (sample, whole) = head(first)?;
    if args.header == Some(Header::Auto) {
        stated.header = Some(sniff_stated(&sample, whole, &stated).dialect.header);
    }
    let name = first.map_or("", |input| &input.name);
    Ok(settle_dialect(name, &sample, whole, &stated)?)
}

/// `delimiter ',', quote '"', a header`.
pub(crate) fn dialect_in_words(dialect: &Dialect) -> String {
    let quote = match dialect.quote {
        NO_QUOTE => "no quotes".to_owned(),
        quote => format!("quote {:?}", char::from(quote)),
    };
    let mut text = format!("delimiter {:?}, {quote}", char::from(dialect.delimiter));
    for (role, byte) in [("escape", dialect.escape), ("comment", dialect.comment)] {
        if let Some(byte) = byte {
            text.push_str(&format!(", {role} {:?}", char::from(byte)));
        }
    }
    if dialect.skip_lines > 0 {
        let s = if dialect.skip_lines == 1 { "" } else { "s" };
        text.push_str(&format!(", {} line{s} skipped", dialect.skip_lines));
    }
    text.push_str(if dialect.header {
        ", a header"
    } else {
        ", no header"
    });
    text
}
