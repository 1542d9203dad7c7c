//! Ids that go to the service and come back with the answers: a shard of CSV whose first cells are
//! ids, and the lines that a job stored, which begin with the same cells.
//!
//! A service that takes CSV apart and puts it together again need not write a quoted cell as it was, so
//! ids are cells that need no quotes; all else must come back byte for byte.

use std::path::Path;

use crate::error::TabularError;
use crate::predictions::{AnswerLayout, Predictions};
use crate::refused_rows::TextShard;

/// Characters of an id that a message shows.
const SHOWN_CHARS: usize = 80;

/// A row of a shard whose ids are not as they must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherIds {
    /// Its number in the shard, from 0.
    pub row: u64,
    /// The ids that were sent, as they stand in the shard.
    pub sent: String,
    /// What came back; nothing where the answers ended.
    pub back: Option<String>,
}

impl TextShard {
    /// The first row of which one of the first `ids` cells is quoted, if there is one: an id with a
    /// quote, a comma or a line break.
    ///
    /// # Errors
    /// [`TabularError::Corrupt`] if the shard has not as many lines as rows; [`TabularError::Io`].
    pub fn quoted_id(&self, ids: usize) -> Result<Option<OtherIds>, TabularError> {
        let mut found = None;
        self.for_each(|row, line| {
            let head = head(line, ids);
            if found.is_none() && memchr::memchr(b'"', head).is_some() {
                found = Some(OtherIds {
                    row,
                    sent: shown(head),
                    back: None,
                });
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// The first row whose ids did not come back as they were sent, if there is one. Rows in `left_out`,
    /// ascending, are not among the answers; beyond the last answer nothing is compared but that there
    /// is none for a row. Memory: a row of each.
    ///
    /// # Errors
    /// [`TabularError::Prediction`] for a line that is no row; [`TabularError::Corrupt`] if the shard has
    /// not as many lines as rows; [`TabularError::Io`].
    pub fn other_ids(
        &self,
        ids: usize,
        left_out: &[u64],
        answers: &Path,
        name: &str,
    ) -> Result<Option<OtherIds>, TabularError> {
        let mut answers = Predictions::open(answers, name, AnswerLayout::csv())?;
        let mut left_out = left_out.iter().peekable();
        let mut found = None;
        self.for_each(|row, line| {
            if found.is_some() || left_out.next_if(|out| **out == row).is_some() {
                return Ok(());
            }
            let sent = head(line, ids);
            let back = answers.next_row()?;
            let cells = sent.split(|b| *b == b',').enumerate();
            let same = back.is_some_and(|back| {
                let mut cells = cells;
                cells.all(|(i, cell)| back.get(i).is_some_and(|b| b.as_bytes() == cell))
            });
            if !same {
                let back = back.map(|back| {
                    let cells: Vec<&str> = (0..ids).filter_map(|i| back.get(i)).collect();
                    shown(cells.join(",").as_bytes())
                });
                found = Some(OtherIds {
                    row,
                    sent: shown(sent),
                    back,
                });
            }
            Ok(())
        })?;
        Ok(found)
    }
}

/// The first cells of a line without quotes in them; of others, up to some comma.
fn head(line: &[u8], cells: usize) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let end = memchr::memchr_iter(b',', line).nth(cells.saturating_sub(1));
    &line[..end.unwrap_or(line.len())]
}

fn shown(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let mut shown: String = text.chars().take(SHOWN_CHARS).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

    use super::*;

    fn shard(folder: &Path, text: &str) -> TextShard {
        let path = folder.join("s.csv");
        std::fs::write(&path, text).unwrap();
        TextShard {
            path,
            format: "csv".parse().unwrap(),
            rows: text.lines().count() as u64,
            longest_record: 100,
        }
    }

    #[test]
    fn quoted_ids_are_found_and_other_quoted_cells_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let rows = "a,1,\"x,y\"\nb,2,z\n\"c,d\",3,z\n\"e\"\"f\",3,z\n";
        let shard = shard(folder.path(), rows);
        let bad = shard.quoted_id(1).unwrap().unwrap();
        assert_eq!((bad.row, bad.sent.as_str()), (2, "\"c"));
        assert_eq!(shard.quoted_id(3).unwrap().unwrap().row, 0);
    }

    #[test]
    fn ids_are_compared_row_by_row() {
        let folder = tempfile::tempdir().unwrap();
        let shard = shard(folder.path(), "007,x,1\n,y,2\n9,é,3\n10,w,4\n");
        let compare = |text: &str, left_out: &[u64]| {
            let path = folder.path().join("s.csv.out");
            std::fs::write(&path, text).unwrap();
            shard.other_ids(2, left_out, &path, "s.csv").unwrap()
        };
        let good = "007,x,0.1\n,y,0.2\n9,é,0.3\n10,w,0.4\n";
        assert_eq!(compare(good, &[]), None);
        assert_eq!(compare("007,x,0.1\n9,é,0.3\n10,w,0.4", &[1]), None);
        let other = |row, sent: &str, back: Option<&str>| {
            Some(OtherIds {
                row,
                sent: sent.into(),
                back: back.map(str::to_owned),
            })
        };
        let cases = [
            (
                "007,x,0.1\n9,é,0.3\n,y,0.2\n10,w,0.4\n",
                other(1, ",y", Some("9,é")),
            ),
            (
                "7,x,0.1\n,y,0.2\n9,é,0.3\n10,w,0.4\n",
                other(0, "007,x", Some("7,x")),
            ),
            (
                "007,x,0.1\n,y,0.2\n9\n10,w,0.4\n",
                other(2, "9,é", Some("9")),
            ),
            ("007,x,0.1\n,y,0.2\n9,é,0.3\n", other(3, "10,w", None)),
        ];
        for (text, wanted) in cases {
            assert_eq!(compare(text, &[]), wanted, "{text}");
        }
    }
}
