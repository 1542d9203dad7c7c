//! A dialect as options of the command line.

use crate::dialect::{Dialect, NO_QUOTE};
use crate::sniff::{DialectGuess, SURE};

/// That a header is there or not is told from this confidence on.
const SURE_HEADER: f64 = 0.7;

/// The options that state what differs.
pub(crate) fn options(found: &Dialect, usual: &Dialect) -> Option<String> {
    let mut stated = Vec::new();
    let quoted = |byte: u8| match byte {
        b'\'' => "\"'\"".to_owned(),
        b'\t' => "tab".to_owned(),
        NO_QUOTE => "none".to_owned(),
        byte if byte.is_ascii_graphic() || byte == b' ' => format!("'{}'", char::from(byte)),
        byte => format!("$'\\x{byte:02x}'"),
    };
    if found.delimiter != usual.delimiter {
        stated.push(format!("--delimiter {}", quoted(found.delimiter)));
    }
    if found.quote != usual.quote {
        stated.push(format!("--quote {}", quoted(found.quote)));
    }
    if let Some(escape) = found.escape.filter(|_| found.escape != usual.escape) {
        stated.push(format!("--escape {}", quoted(escape)));
    }
    if let Some(comment) = found.comment.filter(|_| found.comment != usual.comment) {
        stated.push(format!("--comment {}", quoted(comment)));
    }
    if found.skip_lines != usual.skip_lines {
        stated.push(format!("--skip-lines {}", found.skip_lines));
    }
    if found.header != usual.header {
        stated.push(format!(
            "--header {}",
            if found.header { "yes" } else { "no" }
        ));
    }
    (!stated.is_empty()).then(|| stated.join(" "))
}

impl DialectGuess {
    /// The options that state what differs from the usual dialect; none where nothing does.
    #[must_use]
    pub fn options(&self) -> Option<String> {
        options(&self.dialect, &Dialect::default())
    }

    /// The dialect that is used, with the parts that are surely others.
    pub(crate) fn sure_parts(&self, used: &Dialect) -> Dialect {
        let (found, sure) = (&self.dialect, &self.confidences);
        if self.confidence < SURE {
            return *used;
        }
        fn part<T>(sure: bool, found: T, used: T) -> T {
            if sure { found } else { used }
        }
        Dialect {
            delimiter: found.delimiter,
            quote: part(sure.quote >= SURE, found.quote, used.quote),
            escape: part(sure.escape >= SURE, found.escape, used.escape),
            comment: part(sure.comment >= SURE, found.comment, used.comment),
            skip_lines: part(sure.skip_lines >= SURE, found.skip_lines, used.skip_lines),
            header: part(sure.header >= SURE_HEADER, found.header, used.header),
        }
    }
}
