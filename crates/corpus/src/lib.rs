//! The corpora of the fuzz targets in `fuzz/`, for ordinary tests: no fuzzer, no nightly toolchain.
//!
//! Each input of a corpus is tried as it is, and then a fixed number of mutations of them, which are
//! the same on every machine. A fuzzer finds more, since it sees which code an input reaches; this
//! holds what it found, and notices the coarser mistakes at once.

use std::fs;
use std::panic::{RefUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

mod dictionary;
mod mutator;

pub use dictionary::tokens;
pub use mutator::Mutator;

/// How many mutations each test tries, in place of its own number: a longer search, or none.
const MUTATIONS: &str = "GRISTMILL_MUTATIONS";
/// Longest input that is made of others, in bytes: more takes time and shows nothing else.
const LONGEST: usize = 2048;

/// The folder of the fuzz targets.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz")
}

/// The corpus of a target, in the order of its files' names. None for a target without one.
pub fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let mut inputs = Vec::new();
    for entry in fs::read_dir(folder().join("corpus").join(target))
        .into_iter()
        .flatten()
        .flatten()
    {
        if let Ok(bytes) = fs::read(entry.path()) {
            inputs.push((entry.file_name().to_string_lossy().into_owned(), bytes));
        }
    }
    inputs.sort();
    inputs
}

/// Holds `property` on the corpus of `target` and on so many `mutations` of it. A property holds if it
/// does not panic.
///
/// # Panics
/// With the input, where the property does not hold, and where the target has no corpus.
#[expect(clippy::panic, reason = "that is how a test says that it fails")]
pub fn replay(target: &str, mutations: usize, property: impl Fn(&[u8]) + RefUnwindSafe) {
    let inputs = corpus(target);
    assert!(!inputs.is_empty(), "fuzz/corpus/{target} is empty");
    let hold = |origin: &str, input: &[u8]| {
        if catch_unwind(|| property(input)).is_err() {
            let shown = input.escape_ascii();
            panic!(
                "{target} does not hold for {origin}, {} bytes: b\"{shown}\"",
                input.len()
            );
        }
    };
    for (name, input) in &inputs {
        hold(name, input);
    }
    let dictionary = folder().join("dictionaries").join(format!("{target}.dict"));
    let tokens = fs::read_to_string(dictionary).map_or(Vec::new(), |text| tokens(&text));
    let asked = std::env::var(MUTATIONS).ok().and_then(|n| n.parse().ok());
    let inputs = inputs.into_iter().map(|(_, input)| input).collect();
    let mut mutator = Mutator::new(inputs, tokens, LONGEST);
    for number in 0..asked.unwrap_or(mutations) {
        hold(&format!("mutation {number}"), &mutator.next_input());
    }
}

/// The targets whose property is a function of `library`: each file in `fuzz/fuzz_targets` names it.
pub fn targets_of(library: &str) -> Vec<String> {
    let files = fs::read_dir(folder().join("fuzz_targets"));
    let mut targets = Vec::new();
    for entry in files.into_iter().flatten().flatten() {
        let path = entry.path();
        let text = fs::read_to_string(&path).unwrap_or_default();
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        if text.contains(&format!("{library}::fuzzing::{name}(")) {
            targets.push(name.into_owned());
        }
    }
    targets.sort();
    targets
}
