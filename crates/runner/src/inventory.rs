//! Which files a run is about: patterns to a sorted list, with what tells one content from another.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use gristmill_cloud::{S3Uri, Store};
use gristmill_tabular::{Input, Layout, ReadRange, TextEncoding};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::RunError;
use crate::exit_code::ExitCode;

/// Patterns that name the standard input.
pub const STDIN: &str = "-";

/// The most objects or files that one run takes.
pub const MAX_INPUT_FILES: usize = 100_000;

/// One input, with what identifies its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputFile {
    /// `s3://…` or an absolute path.
    pub uri: String,
    /// Bytes as stored.
    pub size: u64,
    /// The ETag of an object, or `sha256:…` of a file's bytes.
    pub content: String,
    /// A file's modification time in nanoseconds since 1970: while it and the size stay, `content`
    /// is not computed again.
    pub modified_ns: Option<u64>,
}

impl InputFile {
    /// Whether the bytes are the same. The modification time does not matter.
    #[must_use]
    pub fn same_content(&self, other: &InputFile) -> bool {
        self.uri == other.uri && self.size == other.size && self.content == other.content
    }
}

/// Lists everything that `patterns` match, in the order of the patterns and by name in each.
/// `known` spares hashing files that have not been touched.
///
/// # Errors
/// When a plain name does not exist, a folder or bucket cannot be listed, or there are too many.
pub async fn list(
    patterns: &[String],
    store: Option<&Store>,
    known: &[InputFile],
) -> Result<Vec<InputFile>, RunError> {
    let mut files = Vec::new();
    for pattern in patterns {
        if pattern.starts_with("s3://") {
            let store = store.ok_or_else(|| RunError::bug("an S3 source without a store"))?;
            files.extend(list_objects(pattern, store).await?);
        } else {
            let (pattern, known) = (pattern.clone(), known.to_vec());
            files.extend(blocking(move || list_files(&pattern, &known)).await?);
        }
        if files.len() > MAX_INPUT_FILES {
            return Err(RunError::new(
                ExitCode::Failure,
                format!(
                    "{pattern}: more than {MAX_INPUT_FILES} files match; one run takes at most that many"
                ),
            ));
        }
    }
    let mut seen = std::collections::HashSet::new();
    files.retain(|f| seen.insert(f.uri.clone()));
    Ok(files)
}

/// Runs blocking work off the async threads.
///
/// # Errors
/// The work's own, or a bug if it panicked.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, RunError> + Send + 'static,
) -> Result<T, RunError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|e| RunError::bug(format!("a worker thread ended: {e}")))?
}

pub(crate) fn has_wildcard(pattern: &str) -> bool {
    pattern.contains(['*', '?', '['])
}

async fn list_objects(pattern: &str, store: &Store) -> Result<Vec<InputFile>, RunError> {
    let whole = S3Uri::parse(pattern)?;
    if !has_wildcard(&whole.key) && !whole.key.ends_with('/') && !whole.key.is_empty() {
        let meta = store.head(&whole).await?.ok_or_else(|| missing(pattern))?;
        return Ok(vec![InputFile {
            uri: whole.to_string(),
            size: meta.size,
            content: meta.etag,
            modified_ns: None,
        }]);
    }
    let literal = whole.key.find(['*', '?', '[']).unwrap_or(whole.key.len());
    let prefix = S3Uri {
        bucket: whole.bucket.clone(),
        key: whole.key[..literal].to_owned(),
    };
    let matcher = glob::Pattern::new(&whole.key)
        .map_err(|e| RunError::new(ExitCode::Pipeline, format!("{pattern}: not a pattern: {e}")))?;
    let options = glob::MatchOptions {
        require_literal_separator: true,
        ..Default::default()
    };
    let all = store.list(&prefix, MAX_INPUT_FILES).await?;
    Ok(all
        .into_iter()
        .filter(|o| o.size > 0 || !o.key.ends_with('/'))
        .filter(|o| literal == whole.key.len() || matcher.matches_with(&o.key, options))
        .map(|o| InputFile {
            uri: format!("s3://{}/{}", whole.bucket, o.key),
            size: o.size,
            content: o.etag,
            modified_ns: None,
        })
        .collect())
}

fn missing(name: &str) -> RunError {
    RunError::new(ExitCode::NoInput, format!("{name}: no such file or object")).with_help(
        "check source.uri; patterns such as *.csv may match nothing, a plain name must exist",
    )
}

fn list_files(pattern: &str, known: &[InputFile]) -> Result<Vec<InputFile>, RunError> {
    let paths = if has_wildcard(pattern) && !Path::new(pattern).exists() {
        expand(pattern)?
    } else {
        vec![PathBuf::from(pattern)]
    };
    paths
        .into_iter()
        .map(|path| identify(&path, known))
        .collect()
}

fn expand(pattern: &str) -> Result<Vec<PathBuf>, RunError> {
    let options = glob::MatchOptions {
        require_literal_separator: true,
        ..Default::default()
    };
    let matches = glob::glob_with(pattern, options)
        .map_err(|e| RunError::new(ExitCode::Pipeline, format!("{pattern}: not a pattern: {e}")))?;
    let mut paths = Vec::new();
    for entry in matches {
        let path = entry.map_err(|e| {
            let place = e.path().to_owned();
            RunError::io("list", &place, e.into())
        })?;
        if path.is_file() {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// One file of this machine.
///
/// # Errors
/// When it is not there or cannot be read.
pub(crate) fn of_file(path: &Path) -> Result<InputFile, RunError> {
    identify(path, &[])
}

fn identify(path: &Path, known: &[InputFile]) -> Result<InputFile, RunError> {
    let absolute = std::path::absolute(path).map_err(|e| RunError::io("find", path, e))?;
    let meta = match std::fs::metadata(&absolute) {
        Ok(meta) if meta.is_file() => meta,
        Ok(_) => {
            return Err(RunError::new(
                ExitCode::NoInput,
                format!("{}: is not a file", path.display()),
            )
            .with_help("name files, or a pattern such as folder/*.csv"));
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            return Err(missing(&path.display().to_string()));
        }
        Err(e) => return Err(RunError::io("read", path, e)),
    };
    let uri = absolute.display().to_string();
    let modified_ns = meta
        .modified()
        .ok()
        .and_then(|t| t.duration_since(UNIX_EPOCH).ok())
        .and_then(|d| u64::try_from(d.as_nanos()).ok());
    let before = known
        .iter()
        .find(|k| k.uri == uri && k.size == meta.len() && k.modified_ns == modified_ns);
    let content = match before {
        Some(file) if modified_ns.is_some() => file.content.clone(),
        _ => hash_file(&absolute)?,
    };
    Ok(InputFile {
        uri,
        size: meta.len(),
        content,
        modified_ns,
    })
}

/// `sha256:<hex>` of a file's bytes.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn hash_file(path: &Path) -> Result<String, RunError> {
    let mut file = File::open(path).map_err(|e| RunError::io("read", path, e))?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let n = file
            .read(&mut buffer)
            .map_err(|e| RunError::io("read", path, e))?;
        if n == 0 {
            return Ok(format!("sha256:{}", hex::encode(hash.finalize())));
        }
        hash.update(&buffer[..n]);
    }
}

/// What is known of the inputs' bytes before they are looked at.
#[derive(Debug, Clone, Copy, Default)]
pub struct Told {
    /// How rows are laid out.
    pub layout: Option<Layout>,
    /// How the bytes of a text stand for characters.
    pub encoding: Option<TextEncoding>,
}

/// Inputs that `tabular` can open, as often as it needs. An object is read only while its ETag
/// stays what the inventory says. Objects that a reader has to seek in are copied to `scratch`.
///
/// Blocks where the name of an object does not tell its format: its first bytes are read then.
#[must_use]
pub fn open(files: &[InputFile], store: Option<&Store>, told: Told, scratch: &Path) -> Vec<Input> {
    let runtime = tokio::runtime::Handle::current();
    files
        .iter()
        .map(|file| {
            open_one(file, store, told.layout, &runtime)
                .with_scratch(scratch)
                .with_encoding(told.encoding)
        })
        .collect()
}

fn open_one(
    file: &InputFile,
    store: Option<&Store>,
    layout: Option<Layout>,
    runtime: &tokio::runtime::Handle,
) -> Input {
    let remote = match (S3Uri::parse(&file.uri), store) {
        (Ok(uri), Some(store)) if file.uri.starts_with("s3://") => Some((uri, store.clone())),
        _ => None,
    };
    let Some((uri, store)) = remote else {
        return match layout {
            Some(layout) => Input::file_as(&file.uri, layout),
            None => Input::file(&file.uri),
        };
    };
    let ranges = ranges_of(file, &uri, &store, runtime);
    let (runtime, etag) = (runtime.clone(), file.content.clone());
    let open: gristmill_tabular::input::Opener = Arc::new(move || {
        let object = store.open_read(&uri, Some(&etag), runtime.clone())?;
        Ok(Box::new(object))
    });
    Input::detect(&file.uri, layout, open).with_ranges(file.size, ranges)
}

fn ranges_of(
    file: &InputFile,
    uri: &S3Uri,
    store: &Store,
    runtime: &tokio::runtime::Handle,
) -> ReadRange {
    let (uri, store, runtime) = (uri.clone(), store.clone(), runtime.clone());
    let etag = file.content.clone();
    Arc::new(move |start, len| Ok(store.read_range(&uri, &etag, start, len, &runtime)?))
}

/// What changed between two inventories, for people; `None` when nothing did.
#[must_use]
pub fn difference(before: &[InputFile], now: &[InputFile]) -> Option<String> {
    let find = |list: &[InputFile], uri: &str| list.iter().find(|f| f.uri == uri).cloned();
    let mut lines = Vec::new();
    for old in before {
        match find(now, &old.uri) {
            None => lines.push(format!("{} is gone", old.uri)),
            Some(new) if !new.same_content(old) => lines.push(format!(
                "{} changed: {} bytes, {} before; {} bytes, {} now",
                old.uri, old.size, old.content, new.size, new.content
            )),
            Some(_) => {}
        }
    }
    lines.extend(
        now.iter()
            .filter(|f| find(before, &f.uri).is_none())
            .map(|f| format!("{} is new", f.uri)),
    );
    (!lines.is_empty()).then(|| lines.join("; "))
}
