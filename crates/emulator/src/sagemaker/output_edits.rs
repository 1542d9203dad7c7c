//! Faults of an output that is finished otherwise: rows that are missing, doubled or foreign, and
//! bytes that are missing at its end.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, BufWriter, Write as _};
use std::path::Path;

use crate::faults::JobFault;

/// Does a fault change the bytes of an output?
pub(crate) fn is_edit(fault: &JobFault) -> Option<JobFault> {
    let edits = matches!(
        fault,
        JobFault::DropRow(_)
            | JobFault::DoubleRow(_)
            | JobFault::HeaderRow(_)
            | JobFault::Truncate(_)
    );
    edits.then(|| fault.clone())
}

/// Writes the file anew with all edits: rows by their places before any edit, then the cut.
/// Blocking; holds one row.
pub(crate) fn apply(path: &Path, edits: &[JobFault]) -> io::Result<()> {
    let edited = path.with_extension("edited");
    let mut out = BufWriter::new(File::create(&edited)?);
    for edit in edits {
        if let JobFault::HeaderRow(text) = edit {
            writeln!(out, "{text}")?;
        }
    }
    let mut rows = BufReader::new(File::open(path)?);
    let mut row = Vec::new();
    for number in 1.. {
        row.clear();
        if rows.read_until(b'\n', &mut row)? == 0 {
            break;
        }
        if edits.contains(&JobFault::DropRow(number)) {
            continue;
        }
        out.write_all(&row)?;
        if edits.contains(&JobFault::DoubleRow(number)) {
            if !row.ends_with(b"\n") {
                out.write_all(b"\n")?;
            }
            out.write_all(&row)?;
        }
    }
    let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    let length = file.metadata()?.len();
    for edit in edits {
        if let JobFault::Truncate(bytes) = edit {
            file.set_len(bytes.unwrap_or(length / 2).min(length))?;
        }
    }
    std::fs::rename(&edited, path)
}
