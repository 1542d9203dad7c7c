//! What a model answered: the answers of a `.out` file, one a row that it was sent.
//!
//! How the file is to be read comes from the job's request ([`AnswerLayout`]), never from the file.
//! Where the file leaves room for doubt, this decides:
//!
//! | doubt | what decides |
//! |---|---|
//! | the last line has no end, or lines end in CRLF | nothing is changed by it; whether a value may be cut off is for the caller to judge, see [`Evidence::is_open`] |
//! | blank lines, as doubled newlines between the answers to two requests leave them | they are no answers: a row that was answered by nothing beside a doubled newline would look as a row that was lost. Where the answers without them are not as many as the rows, the file is refused, and it is said how many there are |
//! | a newline that is missing | JSON lists, objects and texts end by themselves, and newlines between or within them mean nothing. In lines of text, and between numbers, `0.12` and `0.34` are `0.120.34`: the count is one too low, and the file is refused, since no cut is certain |
//! | a lost or an extra row | the count |
//! | a header that was answered as a row | the count; where it stands in for a row, the type of its cell, and other numbers of cells than in the lines below |
//! | lines of different shape (two rows glued and another torn) | all are as the first one: as many cells, or a list, or an object |
//! | `[0.1, 0.9]`: two rows or two values of one? | a document of JSON answers a row; an object with a list `predictions` answers a request, an item a row. Other readings are stated ([`Documents`]), never counted out: two of four rows, each with two values, are four as well |
//! | a name that an object has twice; null where a value is asked for | refused |
//! | the id and time of `generate_inference_id` | they must stand behind each record, and are taken off; where another answer goes on behind them, the file is refused |
//!
//! What no reader can see: a row that was lost beside another that was answered twice, and a text that
//! is a header in the place of a row. A probe of the model shows such things, a count does not.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::ops::Range;
use std::path::Path;

use crate::answer_bytes::{AnswerBytes, Piece};
pub use crate::answer_bytes::{MAX_DOCUMENT_BYTES, MAX_LINE_BYTES};
use crate::answer_cells::Shape;
pub use crate::answer_cells::{Cells, Pick, Step, Unfit};
use crate::answer_json::{items, member, members};
pub use crate::answer_layout::{AnswerForm, AnswerLayout, Documents};
use crate::error::TabularError;
use crate::inference_ids;

/// Bytes read at a time.
const BUFFER_BYTES: usize = 256 * 1024;
/// Characters of a cell that a message shows.
const SHOWN_CHARS: usize = 80;
/// Where a join puts the answer to a JSON record (API reference, DataProcessing).
const JOINED: &str = "SageMakerOutput";
/// Where a list of answers to a request is, by the custom of TensorFlow Serving and others.
const LISTED: &str = "predictions";

/// Reads answers one by one. Memory: a line of at most [`MAX_LINE_BYTES`], or a document of at most
/// [`MAX_DOCUMENT_BYTES`], and one answer of it.
#[derive(Debug)]
pub struct Predictions<R> {
    bytes: AnswerBytes<R>,
    layout: AnswerLayout,
    shard: String,
    /// The line or the document that was read last.
    text: Vec<u8>,
    /// The line in which it begins, from 1.
    line_number: u64,
    /// Answers in it that were not given yet, the last first; of a document that answers a request.
    listed: Vec<Range<usize>>,
    /// How many answers of it were given.
    given: u64,
    rows: u64,
    blank_lines: u64,
    documents: u64,
    is_open: bool,
    /// Where the last line or document ends is not known: nothing can be read behind it.
    is_broken: bool,
    /// The first line or document, cut to a readable length.
    first: String,
    /// How the first answer looks, and whether documents are lists and joined.
    shape: Option<Shape>,
    kind: Option<(bool, bool)>,
    cells: Cells,
}

/// What the bytes of a file say beside its answers; all of it, once it was read to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// Answers.
    pub rows: u64,
    /// Lines without anything, which are no answers.
    pub blank_lines: u64,
    /// JSON documents.
    pub documents: u64,
    /// The last value shows no end of its own, neither a line end nor a bracket or quote: if others
    /// of the same model do, it may have been cut off.
    pub is_open: bool,
    /// The first line or document, cut to a readable length.
    first: String,
    layout: AnswerLayout,
}

impl Evidence {
    /// What may explain that there are not `expected` answers; empty if nothing does.
    #[must_use]
    pub fn hint(&self, expected: u64) -> String {
        let json = self.layout.form == AnswerForm::Json;
        let mut hint = String::new();
        if self.blank_lines > 0 && self.rows < expected {
            let (n, s) = (
                self.blank_lines,
                if self.blank_lines == 1 { "" } else { "s" },
            );
            hint.push_str(&format!(
                ", and {n} blank line{s}, taken for no answer: a lost row beside a doubled newline \
                 looks the same"
            ));
        }
        if !json && self.first.trim_start().starts_with('{') {
            hint.push_str(
                "; the first line begins with a brace: answers in JSON are read with \
                 `accept: application/json` or `application/jsonlines`",
            );
        } else if !json && self.rows > expected && self.is_header_like() {
            hint.push_str(&format!(
                "; the first line is {:?}: a header is no answer",
                self.first
            ));
        }
        if json && self.documents == expected && self.rows != expected {
            hint.push_str(
                "; as many documents: if each answers one row, state `assemble.answers: rows`",
            );
        } else if json && self.rows < expected && self.first.starts_with('[') {
            hint.push_str(
                "; they are lists: if each holds an answer a row, state `assemble.answers: batches`",
            );
        }
        hint
    }

    /// Whether no cell of the first line is a number.
    fn is_header_like(&self) -> bool {
        let mut cells = self.first.split(',');
        !self.first.is_empty() && cells.all(|cell| cell.trim().parse::<f64>().is_err())
    }
}

impl Predictions<BufReader<File>> {
    /// Opens the predictions of `shard`.
    ///
    /// # Errors
    /// [`TabularError::Io`].
    pub fn open(path: &Path, shard: &str, layout: AnswerLayout) -> Result<Self, TabularError> {
        let file = File::open(path).map_err(TabularError::io("open", path))?;
        Ok(Predictions::new(
            BufReader::with_capacity(BUFFER_BYTES, file),
            path,
            shard,
            layout,
        ))
    }
}

impl<R: BufRead> Predictions<R> {
    /// Reads from any source; `path` and `shard` name it in errors.
    pub fn new(source: R, path: &Path, shard: &str, layout: AnswerLayout) -> Predictions<R> {
        Predictions {
            bytes: AnswerBytes::new(source, path),
            layout,
            shard: shard.to_string(),
            text: Vec::new(),
            line_number: 0,
            listed: Vec::new(),
            given: 0,
            rows: 0,
            blank_lines: 0,
            documents: 0,
            is_open: false,
            is_broken: false,
            first: String::new(),
            shape: None,
            kind: None,
            cells: Cells::default(),
        }
    }

    /// The next row's values; `None` at the end.
    ///
    /// # Errors
    /// [`TabularError::Prediction`] for an answer that is too long, not UTF-8, badly quoted, no JSON
    /// or of another shape than the first; [`TabularError::Io`] from the source.
    pub fn next_row(&mut self) -> Result<Option<&Cells>, TabularError> {
        let found = match self.layout.form {
            AnswerForm::Csv => self.next_line()?,
            AnswerForm::Json => self.next_answer()?,
        };
        if !found {
            return Ok(None);
        }
        let shape = match self.layout.form {
            AnswerForm::Csv => self.parse_line()?,
            AnswerForm::Json => self.parse_answer()?,
        };
        self.hold_to_first(shape)?;
        Ok(Some(&self.cells))
    }

    /// Rows read so far, and by counting to the end, all that there are.
    ///
    /// # Errors
    /// As [`Predictions::next_row`], for what remains; single values are not looked at.
    pub fn count_to_end(&mut self) -> Result<u64, TabularError> {
        if self.is_broken {
            return Err(self.bad("answers that can be told from one another"));
        }
        match self.layout.form {
            AnswerForm::Csv => while self.next_line()? {},
            AnswerForm::Json => while self.next_answer()? {},
        }
        Ok(self.rows)
    }

    /// Rows read so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// What was seen so far.
    pub fn evidence(&self) -> Evidence {
        Evidence {
            rows: self.rows,
            blank_lines: self.blank_lines,
            documents: self.documents,
            is_open: self.is_open,
            first: self.first.clone(),
            layout: self.layout,
        }
    }

    /// The line of the last row, from 1; blank lines count here.
    pub fn line_number(&self) -> u64 {
        self.line_number
    }

    /// The last answer as it came.
    pub fn line_text(&self) -> String {
        let whole = 0..self.text.len();
        let answer = self.answer_range().unwrap_or(whole);
        String::from_utf8_lossy(&self.text[answer]).into_owned()
    }

    /// A complaint about a value of the last row.
    pub fn error(&self, pick: &Pick, expected: &str, found: &str) -> TabularError {
        self.complaint(&pick.to_string(), expected, found)
    }

    /// A complaint about a value that is not there, or not of its type.
    pub(crate) fn unfit(&self, pick: &Pick, (expected, found): Unfit) -> TabularError {
        let found = found.unwrap_or_else(|| self.line_text());
        self.error(pick, &expected, &found)
    }

    fn complaint(&self, what: &str, expected: &str, found: &str) -> TabularError {
        let is_list = self.kind.is_some_and(|(is_list, _)| is_list);
        let place = match self.given {
            n if is_list && n > 0 => format!("line {}, answer {n}", self.line_number),
            _ => format!("line {}", self.line_number),
        };
        TabularError::Prediction {
            shard: self.shard.clone(),
            place,
            what: what.to_string(),
            expected: expected.to_string(),
            found: shown(found),
        }
    }

    /// A complaint about the last line or document.
    fn bad(&self, expected: &str) -> TabularError {
        let text = &self.text[..self.text.len().min(SHOWN_CHARS * 4 + 4)];
        self.complaint("prediction", expected, &String::from_utf8_lossy(text))
    }

    fn broken(&mut self, expected: &str) -> TabularError {
        self.is_broken = true;
        self.bad(expected)
    }

    /// Loads the next line that is not blank, without its end, and counts it.
    fn next_line(&mut self) -> Result<bool, TabularError> {
        loop {
            self.line_number = self.bytes.line_number();
            match self.bytes.line(&mut self.text)? {
                Piece::None => return Ok(false),
                Piece::TooLong(most) => {
                    return Err(self.broken(&format!("a line of at most {most} bytes")));
                }
                Piece::Broken(why) => return Err(self.broken(why)),
                Piece::Open => self.is_open = !self.ends_by_itself(),
                Piece::Whole => {}
            }
            if self.text.last() == Some(&b'\r') {
                self.text.pop();
            }
            if !self.text.trim_ascii().is_empty() {
                break;
            }
            self.is_open = false;
            self.blank_lines += 1;
        }
        self.rows += 1;
        self.keep_first();
        Ok(true)
    }

    /// Whether the last line shows its end where it has no line end: as a list or by its time.
    fn ends_by_itself(&self) -> bool {
        let line = self.text.trim_ascii();
        let is_list = line.starts_with(b"[") && line.ends_with(b"]");
        is_list || (self.layout.inference_ids && line.ends_with(b"Z"))
    }

    fn keep_first(&mut self) {
        if self.first.is_empty() {
            let start = &self.text[..self.text.len().min(SHOWN_CHARS * 4)];
            self.first = shown(&String::from_utf8_lossy(start));
        }
    }

    fn parse_line(&mut self) -> Result<Shape, TabularError> {
        let Ok(text) = std::str::from_utf8(&self.text) else {
            return Err(self.bad("UTF-8 text"));
        };
        let answer = if self.layout.inference_ids {
            inference_ids::without(text)
        } else {
            Some(text)
        };
        let Some(answer) = answer else {
            return Err(self.bad(inference_ids::EXPECTED));
        };
        let parsed = self.cells.parse(answer);
        parsed.map_err(|(index, expected)| {
            let line = String::from_utf8_lossy(&self.text);
            self.error(&Pick::Cell(index), expected, &line)
        })
    }

    /// Comes to the next answer in JSON, and counts it.
    fn next_answer(&mut self) -> Result<bool, TabularError> {
        self.listed.pop();
        while self.listed.is_empty() {
            if !self.next_document()? {
                return Ok(false);
            }
        }
        self.given += 1;
        self.rows += 1;
        Ok(true)
    }

    /// Loads the next document and finds the answers in it.
    fn next_document(&mut self) -> Result<bool, TabularError> {
        let (piece, line) = self.bytes.document(&mut self.text)?;
        (self.line_number, self.given) = (line, 0);
        match piece {
            Piece::None => return Ok(false),
            Piece::TooLong(most) => {
                return Err(self.broken(&format!("a document of at most {most} bytes")));
            }
            Piece::Broken(why) => return Err(self.broken(why)),
            Piece::Open => self.is_open = true,
            Piece::Whole => {}
        }
        self.documents += 1;
        self.keep_first();
        let Ok(text) = std::str::from_utf8(&self.text) else {
            return Err(self.bad("UTF-8 text"));
        };
        let found = answers(text, &self.layout);
        let (answers, kind) = found.map_err(|expected| self.bad(expected))?;
        if *self.kind.get_or_insert(kind) != kind {
            return Err(self.bad("a document of the same kind as the first"));
        }
        if self.layout.single_record && answers.len() != 1 {
            return Err(self.bad("one answer, since the request had one record"));
        }
        self.listed = answers;
        self.listed.reverse();
        Ok(true)
    }

    fn answer_range(&self) -> Option<Range<usize>> {
        self.listed.last().cloned()
    }

    fn parse_answer(&mut self) -> Result<Shape, TabularError> {
        let range = self.answer_range().unwrap_or_default();
        // Proved to be UTF-8 with its document.
        let Some(answer) = self
            .text
            .get(range)
            .and_then(|t| std::str::from_utf8(t).ok())
        else {
            return Err(self.bad("UTF-8 text"));
        };
        let without: &[&str] = if self.layout.inference_ids {
            &[inference_ids::ID_MEMBER, inference_ids::TIME_MEMBER]
        } else {
            &[]
        };
        let parsed = self.cells.parse_json(answer, without);
        parsed.map_err(|expected| self.complaint("prediction", expected, &self.line_text()))
    }

    fn hold_to_first(&mut self, shape: Shape) -> Result<(), TabularError> {
        let first = *self.shape.get_or_insert(shape);
        if first == shape {
            return Ok(());
        }
        let expected = format!("{first}, as in the first answer");
        Err(self.complaint("prediction", &expected, &self.line_text()))
    }
}

/// Where the answers of a document are, and what it is: a list of them, and within what a join made.
type Answers = (Vec<Range<usize>>, (bool, bool));

fn answers(text: &str, layout: &AnswerLayout) -> Result<Answers, &'static str> {
    let range = |part: &str| {
        let start = part.as_ptr() as usize - text.as_ptr() as usize;
        start..start + part.len()
    };
    let list = |list: &str| -> Result<Answers, &'static str> {
        Ok((items(list)?.into_iter().map(range).collect(), (true, false)))
    };
    let row = |part: &str, joined: bool| Ok((vec![range(part)], (false, joined)));
    let text = text.trim_end();
    let members = match text.as_bytes().first() {
        Some(b'{') => members(text)?,
        _ if layout.inference_ids => return Err(inference_ids::EXPECTED),
        Some(b'[') if layout.documents == Documents::Batches => return list(text),
        _ if layout.documents == Documents::Batches => return Err("a list of answers"),
        _ => return row(text, false),
    };
    if layout.inference_ids && !inference_ids::has(&members) {
        return Err(inference_ids::EXPECTED);
    }
    if let Some(answer) = member(&members, JOINED)? {
        return row(answer, true);
    }
    let listed = member(&members, LISTED)?.filter(|l| l.starts_with('['));
    match (layout.documents, listed) {
        (Documents::Auto | Documents::Batches, Some(listed)) => list(listed),
        (Documents::Batches, None) => Err("a list of answers, or an object with `predictions`"),
        (Documents::Auto | Documents::Rows, _) => row(text, false),
    }
}

/// A text cut to a readable length.
fn shown(text: &str) -> String {
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

    fn read_as(layout: AnswerLayout, bytes: &[u8]) -> Result<Vec<Vec<String>>, TabularError> {
        // A buffer of three bytes: every line crosses its edge.
        let source = BufReader::with_capacity(3, bytes);
        let new = |source| Predictions::new(source, Path::new("p.out"), "shard-00000", layout);
        let mut predictions = new(source);
        let mut rows = Vec::new();
        while let Some(cells) = predictions.next_row()? {
            let cell = |i| cells.get(i).unwrap_or("NULL").to_string();
            rows.push((0..cells.len()).map(cell).collect());
        }
        assert_eq!(predictions.rows(), rows.len() as u64);
        let mut counted = new(BufReader::with_capacity(3, bytes));
        assert_eq!(counted.count_to_end().unwrap(), rows.len() as u64);
        assert_eq!(counted.evidence(), predictions.evidence());
        Ok(rows)
    }

    fn read(bytes: &[u8]) -> Result<Vec<Vec<String>>, TabularError> {
        read_as(AnswerLayout::csv(), bytes)
    }

    fn json(text: &str) -> Result<Vec<Vec<String>>, TabularError> {
        read_as(AnswerLayout::json(), text.as_bytes())
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
        assert_eq!(cells("[0.1 0.9]"), ["0.1", "0.9"]);
        assert_eq!(
            cells(" [[ 1.  -2e3] [nan True]]"),
            ["1.", "-2e3", "nan", "True"]
        );
        assert_eq!(cells("[None, 'a']"), ["NULL", "a"]);
        for label in [
            "[UNK]",
            "[0.1][0.2]",
            "[0.1",
            "[]",
            "[1] 2",
            "[a b]",
            "[1 ... 2]",
            "[1[2]]",
            "[None 1]",
            "[1\t2]",
        ] {
            assert_eq!(cells(label), [label]);
        }
        assert_eq!(cells("[0.1 0.9, 2]"), ["[0.1 0.9", " 2]"]);
        assert_eq!(cells("[0.1, 0.9],2"), ["[0.1", " 0.9]", "2"]);
    }

    #[test]
    fn bad_lines_are_named() {
        let message = |text: &[u8]| read(text).unwrap_err().to_string();
        insta::assert_snapshot!(message(b"1\n\n2,\"open\n"), @r#"shard shard-00000, line 3: prediction[1]: expected a closing quote on the same line, found "2,\"open""#);
        insta::assert_snapshot!(message(b"\"a\"b\n"), @r#"shard shard-00000, line 1: prediction[0]: expected a comma after the closing quote, found "\"a\"b""#);
        insta::assert_snapshot!(message(b"1\n\xff\xfe\n"), @r#"shard shard-00000, line 2: prediction: expected UTF-8 text, found "��""#);
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
        for (layout, text) in [
            (AnswerLayout::csv(), "1\n2\n\n3"),
            (AnswerLayout::json(), "1\n2\n\n3"),
            (
                AnswerLayout::json(),
                r#"{"predictions":[1,2]}{"predictions":[]} {"predictions":[3]}"#,
            ),
        ] {
            for read in 0..4 {
                let mut p = Predictions::new(text.as_bytes(), Path::new("p.out"), "s", layout);
                for _ in 0..read {
                    p.next_row().unwrap();
                }
                assert_eq!((p.rows(), p.count_to_end().unwrap()), (read, 3), "{text}");
            }
        }
    }

    #[test]
    fn documents_end_by_themselves() {
        let rows = [["1", "a"], ["2", "b"]];
        for text in [
            "[1,\"a\"]\n[2,\"b\"]\n",
            "[1,\"a\"][2,\"b\"]",
            "\n\n[1,\n\"a\"]\n\r\n [2,\"b\"] \n",
            "{\"x\":[1,\"a\"]}{\"x\":[2,\"b\"]}",
            "{\"predictions\":[[1,\"a\"],[2,\"b\"]]}",
            "{\"predictions\":[[1,\"a\"]]}{\"model\":{},\n\"predictions\": [ [2,\"b\"] ]}",
            "{\"predictions\":[]}\n{\"predictions\":[{\"x\":[1,\"a\"]},{\"x\":[2,\"b\"]}]}",
            "{\"in\":0,\"SageMakerOutput\":[1,\"a\"]}{\"SageMakerOutput\":{\"predictions\":[2,\"b\"]}}",
        ] {
            if text.contains("SageMakerOutput") {
                let error = json(text).unwrap_err().to_string();
                assert!(
                    error.contains("an object, as") || error.contains("a list, as"),
                    "{error}"
                );
                continue;
            }
            assert_eq!(json(text).unwrap(), rows, "{text}");
        }
        assert_eq!(
            json("\"a\"\"b\"1e3 null\ttrue").unwrap(),
            [["a"], ["b"], ["1e3"], ["NULL"], ["true"]]
        );
        // Only single values need something between them.
        assert!(json("0.12\n0.340.56\n").is_err());
        assert_eq!(json("12\n3456\n").unwrap().len(), 2);
    }

    #[test]
    fn what_a_document_answers_is_stated() {
        let with = |documents| AnswerLayout {
            documents,
            ..AnswerLayout::json()
        };
        let read = |documents, text: &str| read_as(with(documents), text.as_bytes());
        let lists = "[0.1,0.9][0.2,0.8]";
        assert_eq!(
            read(Documents::Auto, lists).unwrap(),
            [["0.1", "0.9"], ["0.2", "0.8"]]
        );
        assert_eq!(
            read(Documents::Rows, lists).unwrap(),
            [["0.1", "0.9"], ["0.2", "0.8"]]
        );
        assert_eq!(
            read(Documents::Batches, lists).unwrap(),
            [["0.1"], ["0.9"], ["0.2"], ["0.8"]]
        );
        let named = r#"{"predictions":[0.1,0.9]}"#;
        assert_eq!(read(Documents::Auto, named).unwrap(), [["0.1"], ["0.9"]]);
        assert_eq!(read(Documents::Batches, named).unwrap(), [["0.1"], ["0.9"]]);
        assert_eq!(read(Documents::Rows, named).unwrap(), [["0.1", "0.9"]]);
        for text in ["1", "{\"a\":1}", "{\"predictions\":1}"] {
            assert!(read(Documents::Batches, text).is_err(), "{text}");
        }
        let single = AnswerLayout {
            single_record: true,
            ..AnswerLayout::json()
        };
        assert!(read_as(single, named.as_bytes()).is_err());
        assert_eq!(
            read_as(single, br#"{"predictions":[[0.1,0.9]]}"#).unwrap(),
            [["0.1", "0.9"]]
        );
    }

    #[test]
    fn answers_of_one_file_look_alike() {
        for text in ["1,2\n3\n", "1\n[1]\n", "[1, 2]\nx\n"] {
            let told = read(text.as_bytes()).unwrap_err().to_string();
            assert!(told.contains("as in the first answer"), "{told}");
        }
        for text in [
            "1[1]",
            "[1]{\"a\":1}",
            "{\"predictions\":[1]}[1]",
            "{\"predictions\":[1,[2]]}",
        ] {
            assert!(json(text).is_err(), "{text}");
        }
        assert_eq!(read(b"[1]\n[2, 3]\n").unwrap(), [vec!["1"], vec!["2", "3"]]);
    }

    #[test]
    fn values_are_found_by_their_names() {
        let text = r#"{"label":"a","p":[{"x":0.25},7],"n":null,"k":1,"k":2}"#;
        let find = |path: &[Step]| {
            let mut p =
                Predictions::new(text.as_bytes(), Path::new("p"), "s", AnswerLayout::json());
            let cells = p.next_row().unwrap().unwrap();
            assert!(cells.is_empty());
            let pick = Pick::Path(path.to_vec());
            let found = cells.find(&pick).map(|text| text.into_owned());
            found.map_err(|unfit| p.unfit(&pick, unfit).to_string())
        };
        let name = |n: &str| Step::Name(n.into());
        assert_eq!(find(&[name("label")]).unwrap(), "a");
        assert_eq!(
            find(&[name("p"), Step::Index(0), name("x")]).unwrap(),
            "0.25"
        );
        let told = |path: &[Step]| find(path).unwrap_err();
        insta::assert_snapshot!(told(&[name("p"), Step::Index(2)]), @r#"shard s, line 1: prediction.p[2]: expected a list of at least 3 items, found "[{\"x\":0.25},7]""#);
        insta::assert_snapshot!(told(&[name("p")]), @r#"shard s, line 1: prediction.p: expected a single value, found "[{\"x\":0.25},7]""#);
        insta::assert_snapshot!(told(&[name("n")]), @r#"shard s, line 1: prediction.n: expected a value, found "null""#);
        assert!(told(&[name("q")]).contains("expected an object with `q`"));
        assert!(told(&[name("k")]).contains("expected a name once in an object"));
    }

    #[test]
    fn ids_of_the_service_are_taken_off() {
        let with = |form| AnswerLayout {
            form,
            inference_ids: true,
            ..AnswerLayout::csv()
        };
        let id = "1f1d57b1-2e6f-488c-8c30-db4e6d757861";
        let line = |answer: &str| format!("{answer}, {id},2022-08-30T00:49:15Z\n");
        let text = format!("{}\n{}", line("0.5,a"), line(","));
        assert_eq!(
            read_as(with(AnswerForm::Csv), text.as_bytes()).unwrap(),
            [["0.5", "a"], ["", ""]]
        );
        assert_eq!(
            read_as(with(AnswerForm::Csv), line("[1, 2]").as_bytes()).unwrap(),
            [["1", "2"]]
        );
        assert!(read_as(with(AnswerForm::Csv), b"0.5,a\n").is_err());
        let members = format!(
            r#""SageMakerInferenceId":"{id}","SageMakerInferenceTime":"2022-08-30T00:49:15Z""#
        );
        for (text, rows) in [
            (format!(r#"{{"x":1,{members}}}"#), vec![["1"]]),
            (format!(r#"{{"SageMakerOutput":1,{members}}}"#), vec![["1"]]),
            (
                format!(r#"{{"predictions":[1,2],{members}}}"#),
                vec![["1"], ["2"]],
            ),
        ] {
            assert_eq!(
                read_as(with(AnswerForm::Json), text.as_bytes()).unwrap(),
                rows
            );
        }
        assert!(read_as(with(AnswerForm::Json), b"{\"x\":1}").is_err());
        assert!(read_as(with(AnswerForm::Json), b"1").is_err());
    }

    #[test]
    fn an_end_that_may_be_cut_off_is_seen() {
        let open = |layout, text: &str| {
            let mut p = Predictions::new(text.as_bytes(), Path::new("p"), "s", layout);
            p.count_to_end().unwrap();
            p.evidence().is_open
        };
        for (text, is_open) in [
            ("1\n2", true),
            ("1\n2\n", false),
            ("[1, 2]", false),
            ("1\n ", false),
            ("", false),
        ] {
            assert_eq!(open(AnswerLayout::csv(), text), is_open, "{text:?}");
        }
        for (text, is_open) in [
            ("1\n2", true),
            ("1\n2 ", false),
            ("[1]", false),
            ("\"a\"", false),
        ] {
            assert_eq!(open(AnswerLayout::json(), text), is_open, "{text:?}");
        }
        for cut in ["[1", "{\"a\":1", "\"a", "[1]]", "[1}"] {
            assert!(json(cut).is_err(), "{cut}");
        }
    }

    #[test]
    fn hints_say_what_may_be_wrong() {
        let hint = |layout, text: &str, expected| {
            let mut p = Predictions::new(text.as_bytes(), Path::new("p"), "s", layout);
            p.count_to_end().unwrap();
            p.evidence().hint(expected)
        };
        let csv = AnswerLayout::csv();
        insta::assert_snapshot!(hint(csv, "1\n\n3\n", 3), @", and 1 blank line, taken for no answer: a lost row beside a doubled newline looks the same");
        insta::assert_snapshot!(hint(csv, "score\n1\n", 1), @r#"; the first line is "score": a header is no answer"#);
        assert!(hint(csv, "{\"predictions\": [1]}\n", 2).contains("accept: application/json"));
        assert!(hint(AnswerLayout::json(), "[1,2]", 2).contains("assemble.answers: batches"));
        assert!(
            hint(AnswerLayout::json(), "{\"predictions\":[1,2]}", 1)
                .contains("assemble.answers: rows")
        );
        assert_eq!(hint(csv, "1\n\n2\n", 2), "");
        assert_eq!(hint(csv, "1\n", 2), "");
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(proptest::sample::select(b"[]{}:',\"\\ 0a\n\r\xc3".to_vec()), 0..60)) {
            let _ = read(&bytes);
            let _ = read_as(AnswerLayout::json(), &bytes);
        }
    }
}
