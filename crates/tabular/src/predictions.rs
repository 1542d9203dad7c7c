//! What a model answered: the lines of a `.out` file, one a row that it was sent.
//!
//! Lines end in LF or CRLF and blank ones do not count; the last may lack its end. A line is CSV
//! cells, or a Python list (`[0.1, 0.9]`, also nested, as several containers print them), whose
//! elements are then the cells. Whether there are as many lines as rows is for the caller to ask:
//! lines glued together or lost show only there.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use crate::error::TabularError;

/// Longest line, in bytes: beyond it the file is no list of predictions, and memory stays bounded.
pub const MAX_LINE_BYTES: usize = 16 * 1024 * 1024;
/// Bytes read at a time.
const BUFFER_BYTES: usize = 256 * 1024;
/// Characters of a cell that a message shows.
const SHOWN_CHARS: usize = 80;

/// Reads predictions line by line. Memory: one line, at most [`MAX_LINE_BYTES`], twice.
#[derive(Debug)]
pub struct Predictions<R> {
    source: R,
    path: PathBuf,
    shard: String,
    line: Vec<u8>,
    line_number: u64,
    rows: u64,
    cells: Cells,
}

impl Predictions<BufReader<File>> {
    /// Opens the predictions of `shard`.
    ///
    /// # Errors
    /// [`TabularError::Io`].
    pub fn open(path: &Path, shard: &str) -> Result<Self, TabularError> {
        let file = File::open(path).map_err(TabularError::io("open", path))?;
        Ok(Predictions::new(
            BufReader::with_capacity(BUFFER_BYTES, file),
            path,
            shard,
        ))
    }
}

impl<R: BufRead> Predictions<R> {
    /// Reads from any source; `path` and `shard` name it in errors.
    pub fn new(source: R, path: &Path, shard: &str) -> Predictions<R> {
        Predictions {
            source,
            path: path.to_path_buf(),
            shard: shard.to_string(),
            line: Vec::new(),
            line_number: 0,
            rows: 0,
            cells: Cells::default(),
        }
    }

    /// The next row's cells; `None` at the end.
    ///
    /// # Errors
    /// [`TabularError::Prediction`] for a line that is too long, not UTF-8 or badly quoted;
    /// [`TabularError::Io`] from the source.
    pub fn next_row(&mut self) -> Result<Option<&Cells>, TabularError> {
        if !self.next_line()? {
            return Ok(None);
        }
        self.rows += 1;
        let Ok(text) = std::str::from_utf8(&self.line) else {
            return Err(self.error(0, "UTF-8 text", &String::from_utf8_lossy(&self.line)));
        };
        let parsed = self.cells.parse(text);
        parsed.map_err(|(index, expected)| self.error(index, expected, text))?;
        Ok(Some(&self.cells))
    }

    /// Rows read so far, and by counting to the end, all that there are.
    ///
    /// # Errors
    /// As [`Predictions::next_row`], for what remains.
    pub fn count_to_end(&mut self) -> Result<u64, TabularError> {
        while self.next_line()? {
            self.rows += 1;
        }
        Ok(self.rows)
    }

    /// Rows read so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The line of the last row, from 1; blank lines count here.
    pub fn line_number(&self) -> u64 {
        self.line_number
    }

    /// The last row's line as it came.
    pub fn line_text(&self) -> String {
        String::from_utf8_lossy(&self.line).into_owned()
    }

    /// A complaint about a cell of the last row.
    pub fn error(&self, index: usize, expected: &str, found: &str) -> TabularError {
        let mut shown: String = found.chars().take(SHOWN_CHARS).collect();
        if shown.len() < found.len() {
            shown.push('…');
        }
        TabularError::Prediction {
            shard: self.shard.clone(),
            line: self.line_number,
            index,
            expected: expected.to_string(),
            found: shown,
        }
    }

    /// Loads the next line that is not blank, without its end; false when there is none.
    fn next_line(&mut self) -> Result<bool, TabularError> {
        loop {
            self.line.clear();
            let ended = self.read_line()?;
            if self.line.is_empty() && !ended {
                return Ok(false);
            }
            if self.line.last() == Some(&b'\r') {
                self.line.pop();
            }
            if !self.line.trim_ascii().is_empty() {
                return Ok(true);
            }
        }
    }

    /// Appends up to the next LF, which is taken but not kept; false at the end of the file.
    fn read_line(&mut self) -> Result<bool, TabularError> {
        self.line_number += 1;
        loop {
            let available = match self.source.fill_buf() {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(TabularError::io("read", &self.path)(error)),
            };
            let end = memchr::memchr(b'\n', available);
            let content = &available[..end.unwrap_or(available.len())];
            if self.line.len() + content.len() > MAX_LINE_BYTES {
                let start = String::from_utf8_lossy(&self.line).into_owned();
                return Err(self.error(
                    0,
                    &format!("a line of at most {MAX_LINE_BYTES} bytes"),
                    &start,
                ));
            }
            self.line.extend_from_slice(content);
            let taken = content.len() + usize::from(end.is_some());
            let at_end = available.is_empty();
            self.source.consume(taken);
            if end.is_some() || at_end {
                return Ok(end.is_some());
            }
        }
    }
}

/// The cells of one row, as text.
#[derive(Debug, Default)]
pub struct Cells {
    text: String,
    /// Where each cell ends in `text`.
    ends: Vec<usize>,
}

impl Cells {
    /// Number of cells, at least 1.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// True before the first row only.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// A cell from 0, quotes taken off.
    pub fn get(&self, index: usize) -> Option<&str> {
        let end = *self.ends.get(index)?;
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        Some(&self.text[start..end])
    }

    fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
    }

    fn end_cell(&mut self) {
        self.ends.push(self.text.len());
    }

    /// Splits a line. An error is the cell's index and what was expected there.
    fn parse(&mut self, line: &str) -> Result<(), (usize, &'static str)> {
        self.clear();
        if line.trim_start().starts_with('[') {
            if self.parse_list(line.trim()).is_some() {
                return Ok(());
            }
            self.clear();
        }
        self.parse_csv(line)
    }

    /// RFC 4180 cells of one line.
    fn parse_csv(&mut self, line: &str) -> Result<(), (usize, &'static str)> {
        let mut rest = line;
        loop {
            rest = match rest.strip_prefix('"') {
                Some(quoted) => self.quoted_cell(quoted)?,
                None => {
                    let end = rest.find(',').unwrap_or(rest.len());
                    self.text.push_str(&rest[..end]);
                    &rest[end..]
                }
            };
            self.end_cell();
            match rest.strip_prefix(',') {
                Some(next) => rest = next,
                None if rest.is_empty() => return Ok(()),
                None => return Err((self.ends.len() - 1, "a comma after the closing quote")),
            }
        }
    }

    /// What follows an opening quote, up to the closing one; returns what is behind that.
    fn quoted_cell<'a>(&mut self, mut rest: &'a str) -> Result<&'a str, (usize, &'static str)> {
        loop {
            let Some(quote) = rest.find('"') else {
                return Err((self.ends.len(), "a closing quote on the same line"));
            };
            self.text.push_str(&rest[..quote]);
            rest = &rest[quote + 1..];
            match rest.strip_prefix('"') {
                Some(more) => {
                    self.text.push('"');
                    rest = more;
                }
                None => return Ok(rest),
            }
        }
    }

    /// A Python list of numbers and quoted strings, nested or not, flattened. `None` if the line
    /// is anything else: a label such as `[UNK]` stays a cell.
    fn parse_list(&mut self, line: &str) -> Option<()> {
        let mut rest = line;
        let mut depth = 0usize;
        // True where an element or a list may start, false where a comma or an end must come.
        let mut open = true;
        loop {
            rest = rest.trim_start();
            let first = rest.chars().next()?;
            match first {
                '[' if open => depth += 1,
                ']' => {
                    depth = depth.checked_sub(1)?;
                    open = false;
                }
                ',' if !open => open = true,
                _ if open && depth > 0 => {
                    rest = self.element(rest, first)?;
                    open = false;
                    continue;
                }
                _ => return None,
            }
            rest = &rest[1..];
            if depth == 0 {
                let whole = rest.is_empty() && !self.ends.is_empty();
                return whole.then_some(());
            }
        }
    }

    fn element<'a>(&mut self, rest: &'a str, first: char) -> Option<&'a str> {
        if first == '\'' || first == '"' {
            // Escapes are left alone: then it is no list that is understood here.
            let end = rest[1..]
                .find([first, '\\'])
                .filter(|&e| rest[1 + e..].starts_with(first))?;
            self.text.push_str(&rest[1..1 + end]);
            self.end_cell();
            return Some(&rest[end + 2..]);
        }
        let end = rest.find([',', ']'])?;
        let word = rest[..end].trim_end();
        let known = word.parse::<f64>().is_ok() || matches!(word, "True" | "False" | "None");
        self.text.push_str(known.then_some(word)?);
        self.end_cell();
        Some(&rest[end..])
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

    use super::*;

    fn read(bytes: &[u8]) -> Result<Vec<Vec<String>>, TabularError> {
        // A buffer of three bytes: every line crosses its edge.
        let source = BufReader::with_capacity(3, bytes);
        let mut predictions = Predictions::new(source, Path::new("p.out"), "shard-00000");
        let mut rows = Vec::new();
        while let Some(cells) = predictions.next_row()? {
            rows.push(
                (0..cells.len())
                    .map(|i| cells.get(i).unwrap().to_string())
                    .collect(),
            );
        }
        assert_eq!(predictions.rows(), rows.len() as u64);
        Ok(rows)
    }

    fn cells(line: &str) -> Vec<String> {
        let rows = read(line.as_bytes()).unwrap();
        assert_eq!(rows.len(), 1, "{line}");
        rows.into_iter().next().unwrap()
    }

    #[test]
    fn line_ends_of_every_kind() {
        for text in [
            "1,2\n3,4\n",
            "1,2\r\n3,4\r\n",
            "1,2\n3,4",
            "\n1,2\n\n \n3,4\n\r\n\n",
        ] {
            assert_eq!(
                read(text.as_bytes()).unwrap(),
                [["1", "2"], ["3", "4"]],
                "{text:?}"
            );
        }
        assert!(read(b"").unwrap().is_empty());
        assert!(read(b"\n\n").unwrap().is_empty());
    }

    #[test]
    fn cells_of_csv() {
        assert_eq!(cells("0.5"), ["0.5"]);
        assert_eq!(cells(",a, b,"), ["", "a", " b", ""]);
        assert_eq!(cells(r#""a,b","say ""x""",c"#), ["a,b", r#"say "x""#, "c"]);
        assert_eq!(
            cells(r#""[0.1, 0.9]",1"#),
            ["[0.1, 0.9]", "1"],
            "quoted text is no list"
        );
    }

    #[test]
    fn lists_are_flattened_and_labels_are_not() {
        assert_eq!(cells("[0.1, 0.9]"), ["0.1", "0.9"]);
        assert_eq!(cells(" [[1e-3,-2],[3]] "), ["1e-3", "-2", "3"]);
        assert_eq!(
            cells(r#"['a, b', "c", True, nan]"#),
            ["a, b", "c", "True", "nan"]
        );
        for label in ["[UNK]", "[0.1 0.9]", "[0.1][0.2]", "[0.1", "[]", "[1] 2"] {
            assert_eq!(cells(label), [label]);
        }
        assert_eq!(cells("[0.1, 0.9],2"), ["[0.1", " 0.9]", "2"]);
    }

    #[test]
    fn bad_lines_are_named() {
        let message = |text: &[u8]| read(text).unwrap_err().to_string();
        insta::assert_snapshot!(message(b"1\n\n2,\"open\n"), @r#"shard shard-00000, line 3: prediction[1]: expected a closing quote on the same line, found "2,\"open""#);
        insta::assert_snapshot!(message(b"\"a\"b\n"), @r#"shard shard-00000, line 1: prediction[0]: expected a comma after the closing quote, found "\"a\"b""#);
        insta::assert_snapshot!(message(b"1\n\xff\xfe\n"), @r#"shard shard-00000, line 2: prediction[0]: expected UTF-8 text, found "��""#);
        let long = vec![b'7'; MAX_LINE_BYTES + 1];
        let error = message(&long);
        assert!(
            error.contains("at most 16777216 bytes") && error.len() < 400,
            "{error}"
        );
        assert_eq!(read(&long[1..]).unwrap().len(), 1);
    }

    #[test]
    fn counting_goes_to_the_end() {
        let mut p = Predictions::new(b"1\n2\n\n3".as_slice(), Path::new("p.out"), "s");
        p.next_row().unwrap();
        assert_eq!(p.count_to_end().unwrap(), 3);
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(proptest::sample::select(b"[]',\"\\ 0a\n\r\xc3".to_vec()), 0..60)) {
            let _ = read(&bytes);
        }
    }
}
