//! Small text files beside a pipeline.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use gristmill_plan::limits::FILE_BYTES;

/// The text of a small file, such as a contract: at most [`FILE_BYTES`] bytes of UTF-8.
///
/// # Errors
/// Why it cannot be read, as the end of a sentence.
pub fn read_text(path: &Path) -> Result<String, String> {
    let file = File::open(path).map_err(|e| e.to_string())?;
    let mut bytes = Vec::new();
    let most = FILE_BYTES as u64 + 1;
    file.take(most)
        .read_to_end(&mut bytes)
        .map_err(|e| e.to_string())?;
    if bytes.len() > FILE_BYTES {
        return Err(format!(
            "it has more than the {FILE_BYTES} bytes that are read"
        ));
    }
    String::from_utf8(bytes)
        .map_err(|e| format!("not UTF-8 at byte {}", e.utf8_error().valid_up_to()))
}
