//! Inputs to blocks: bounded pieces of text that start and end at record ends.
//!
//! The cutter knows the quote state exactly, because each block starts at the start of a record;
//! what follows the last record end waits for the next block.

use std::collections::VecDeque;
use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::RecordBatch;

use crate::dialect::Dialect;
use crate::error::TabularError;
use crate::format::Layout;
use crate::header::{self, Header};
use crate::input::{Input, read_full};
use crate::json_rows;
use crate::parser::{ParseLimits, parse};
use crate::record_ends::last_record_end;
use crate::records::MAX_BLOCK;

/// A piece of one input. Recycled through the [`Pool`] it came from.
#[derive(Debug)]
pub(crate) struct Block {
    /// The input, by its place in the list.
    pub(crate) file: usize,
    /// The input's first block; only it has a prefix.
    pub(crate) first: bool,
    /// The first byte's offset in the decompressed file.
    pub(crate) byte: u64,
    /// Where records start: after byte order mark and header.
    pub(crate) start: usize,
    /// Line ends in the prefix.
    pub(crate) prefix_lines: u64,
    /// The rows, where the source holds typed columns; the text is then made of them.
    pub(crate) batch: Option<RecordBatch>,
    buffer: Vec<u8>,
    len: usize,
    /// Bytes of the text that were read; what follows them was decoded.
    read: usize,
}

impl Block {
    /// A block of typed rows, whose text is still to be made.
    pub(crate) fn of_batch(file: usize, first: bool, batch: RecordBatch) -> Self {
        Self {
            file,
            first,
            byte: 0,
            start: 0,
            prefix_lines: 0,
            batch: Some(batch),
            buffer: Vec::new(),
            len: 0,
            read: 0,
        }
    }

    /// A block of this text, on its own.
    #[cfg(any(test, feature = "benches"))]
    pub(crate) fn of_text(text: Vec<u8>) -> Self {
        let empty =
            arrow_array::RecordBatch::new_empty(std::sync::Arc::new(arrow_schema::Schema::empty()));
        let mut block = Self::of_batch(0, true, empty);
        block.batch = None;
        block.set_text(text);
        block
    }

    /// The whole text, prefix included; records start at [`Block::start`].
    #[inline]
    pub(crate) fn text(&self) -> &[u8] {
        &self.buffer[..self.len]
    }

    /// The part of the text that was read as it is.
    pub(crate) fn text_read(&self) -> &[u8] {
        &self.buffer[..self.read]
    }

    /// Bytes of the source's text.
    pub(crate) fn bytes_read(&self) -> u64 {
        self.read as u64
    }

    /// The text is this one.
    pub(crate) fn set_text(&mut self, text: Vec<u8>) {
        (self.len, self.read) = (text.len(), text.len());
        self.buffer = text;
    }

    /// Appends decoded text behind what was read.
    pub(crate) fn append(&mut self, decoded: &[u8]) {
        self.buffer.truncate(self.len);
        self.buffer.extend_from_slice(decoded);
        self.len = self.buffer.len();
    }
}

/// Buffers for reuse: fresh pages cost more than filling them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pool(Arc<Mutex<Vec<Vec<u8>>>>);

impl Pool {
    fn take(&self, bytes: usize) -> Vec<u8> {
        let mut free = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        free.pop().unwrap_or_else(|| vec![0; bytes])
    }

    /// Gives a block's buffer back. One that had grown is dropped.
    pub(crate) fn give(&self, block: Block, bytes: usize) {
        if block.buffer.len() == bytes {
            self.0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(block.buffer);
        }
    }
}

/// How inputs are cut.
#[derive(Debug, Clone)]
pub(crate) struct Cutting {
    /// How the text is laid out: CSV or JSON Lines.
    pub(crate) layout: Layout,
    pub(crate) dialect: Dialect,
    /// The columns, where the text does not begin with their names.
    pub(crate) names: Option<Vec<String>>,
    /// The usual size of a block.
    pub(crate) block_bytes: usize,
    /// The most records of a block, where blank lines count as well; JSON Lines only.
    pub(crate) block_records: usize,
    /// The longest record.
    pub(crate) max_record: usize,
    /// Stop after so many records.
    pub(crate) limit_rows: Option<u64>,
}

/// The input being read.
struct Current {
    reader: Box<dyn Read + Send>,
    /// Offset of the next block's first byte.
    byte: u64,
    /// What is read but not yet given.
    carry: Vec<u8>,
    first: bool,
    ended: bool,
}

/// Reads inputs in turn. The first is opened by [`Blocks::open`], so that its header is known before
/// anything runs in parallel.
pub(crate) struct Blocks {
    inputs: Vec<Input>,
    cutting: Cutting,
    pool: Pool,
    file: usize,
    current: Option<Current>,
    header: Header,
    ready: VecDeque<Block>,
    rows_left: Option<u64>,
}

impl Blocks {
    /// Opens the first input and reads its header.
    pub(crate) fn open(
        inputs: &[Input],
        cutting: &Cutting,
        pool: &Pool,
    ) -> Result<Self, TabularError> {
        let mut blocks = Self {
            inputs: inputs.to_vec(),
            cutting: cutting.clone(),
            pool: pool.clone(),
            file: 0,
            current: None,
            header: Header::default(),
            ready: VecDeque::new(),
            rows_left: cutting.limit_rows,
        };
        if inputs.is_empty() {
            return Err(TabularError::NoInput);
        }
        blocks.current = Some(blocks.open_input()?);
        let first = blocks.read()?;
        blocks.ready.extend(first);
        // Without headers, an empty file tells nothing: look on until one has a record.
        while blocks.header.names.is_empty() && cutting.names.is_none() {
            match blocks.advance()? {
                Some(block) => blocks.ready.push_back(block),
                None => {
                    return Err(TabularError::Empty {
                        file: inputs[0].name.clone(),
                        expected: "a header line",
                    });
                }
            }
        }
        Ok(blocks)
    }

    /// The first input's columns.
    pub(crate) fn header(&self) -> &Header {
        &self.header
    }

    /// The next block; each input gives at least one, however empty.
    pub(crate) fn next(&mut self) -> Result<Option<Block>, TabularError> {
        match self.ready.pop_front() {
            Some(block) => Ok(Some(block)),
            None => self.advance(),
        }
    }

    fn advance(&mut self) -> Result<Option<Block>, TabularError> {
        loop {
            if self.rows_left == Some(0) {
                return Ok(None);
            }
            if self.current.is_none() {
                if self.file + 1 >= self.inputs.len() {
                    return Ok(None);
                }
                self.file += 1;
                self.current = Some(self.open_input()?);
            }
            if let Some(block) = self.read()? {
                return Ok(Some(block));
            }
        }
    }

    fn open_input(&self) -> Result<Current, TabularError> {
        let reader = self.inputs[self.file].text()?;
        Ok(Current {
            reader,
            byte: 0,
            carry: Vec::new(),
            first: true,
            ended: false,
        })
    }

    /// The current input's next block; at its end none, and no current input any more.
    fn read(&mut self) -> Result<Option<Block>, TabularError> {
        let Some(mut current) = self.current.take() else {
            return Ok(None);
        };
        if current.ended && !current.first {
            return Ok(None);
        }
        let mut block = self.fill(&mut current)?;
        if let Some(left) = self.rows_left {
            self.limit(&mut block, left);
        }
        block.read = block.len;
        let empty = block.len == 0 && !block.first;
        self.current = Some(current);
        Ok(Some(block).filter(|_| !empty))
    }

    /// Reads until there is a record end to cut at, the input ends, or a record is too long.
    fn fill(&mut self, current: &mut Current) -> Result<Block, TabularError> {
        let mut block = self.empty_block(current);
        block.len = current.carry.len();
        if block.buffer.len() <= block.len {
            block.buffer.resize(block.len.max(1) * 2, 0);
        }
        block.buffer[..block.len].copy_from_slice(&current.carry);
        current.carry.clear();
        loop {
            let name = &self.inputs[self.file].name;
            let room = &mut block.buffer[block.len..];
            let read =
                read_full(&mut *current.reader, room).map_err(TabularError::io("read", name))?;
            current.ended = read < room.len();
            block.len += read;
            if self.cut(&mut block, current)? {
                current.byte += block.len as u64;
                current.first = false;
                return Ok(block);
            }
            let grown = (block.len * 2).min(self.longest());
            block.buffer.resize(grown, 0);
        }
    }

    /// The most that is ever held of one input: a record that is too long, with its prefix.
    fn longest(&self) -> usize {
        (header::longest_prefix(self.cutting.max_record) + self.cutting.max_record + 64)
            .max(self.cutting.block_bytes)
            .min(MAX_BLOCK - 1)
    }

    fn empty_block(&self, current: &Current) -> Block {
        Block {
            file: self.file,
            first: current.first,
            byte: current.byte,
            start: 0,
            prefix_lines: 0,
            batch: None,
            buffer: self.pool.take(self.cutting.block_bytes),
            len: 0,
            read: 0,
        }
    }

    /// Cuts what is read so far; false if more has to be read first. A record that is too long goes
    /// out as it is and ends the input: the parser sees its length and says where it is.
    fn cut(&mut self, block: &mut Block, current: &mut Current) -> Result<bool, TabularError> {
        let full = block.len >= self.longest();
        if block.first && block.start == 0 && !self.take_header(block, current.ended)? {
            let endless = || TabularError::Internal("a header without end".into());
            return if full { Err(endless()) } else { Ok(false) };
        }
        let text = &block.buffer[block.start..block.len];
        if current.ended && !self.is_crowded(text) {
            return Ok(true);
        }
        let end = match self.cutting.layout {
            Layout::JsonLines => last_line_end(text, self.cutting.block_records),
            Layout::Csv | Layout::Parquet => last_record_end(text, &self.cutting.dialect),
        };
        match end {
            Some(end) => {
                let end = block.start + end;
                current
                    .carry
                    .extend_from_slice(&block.buffer[end..block.len]);
                block.len = end;
                // Of a crowded block something is left even if nothing follows.
                current.ended = false;
                Ok(true)
            }
            None => {
                current.ended = full;
                Ok(full)
            }
        }
    }

    /// Whether the text may hold more lines than a block may.
    fn is_crowded(&self, text: &[u8]) -> bool {
        self.cutting.layout == Layout::JsonLines
            && text.len() > self.cutting.block_records
            && memchr::memchr_iter(b'\n', text)
                .nth(self.cutting.block_records - 1)
                .is_some()
    }

    /// Finds the end of the prefix; false if its end is not there yet.
    fn take_header(&mut self, block: &mut Block, all: bool) -> Result<bool, TabularError> {
        let name = &self.inputs[self.file].name;
        let text = &block.buffer[..block.len];
        if let Some(names) = &self.cutting.names {
            self.header.names.clone_from(names);
            block.start = header::mark(text);
            return Ok(true);
        }
        let Some(found) = header::read(
            text,
            all,
            name,
            &self.cutting.dialect,
            self.cutting.max_record,
        )?
        else {
            return Ok(false);
        };
        if self.header.names.is_empty() {
            self.header = found.header;
        } else if self.cutting.dialect.header {
            header::check_same(&self.inputs[0].name, &self.header, name, &found.header)?;
        }
        block.start = found.prefix;
        block.prefix_lines = found.lines;
        Ok(true)
    }

    /// Cuts the block after `left` records.
    fn limit(&mut self, block: &mut Block, left: u64) {
        if left == 0 {
            block.len = block.start;
            return;
        }
        if self.cutting.layout == Layout::JsonLines {
            let (len, records) = json_rows::first_records(block.text(), block.start, left);
            block.len = len;
            self.rows_left = Some(left - records);
            return;
        }
        let limits = ParseLimits {
            fields: None,
            records: left,
            record_bytes: self.cutting.max_record,
            ..ParseLimits::default()
        };
        let rows = parse(block.text(), block.start, &self.cutting.dialect, &limits);
        if rows.too_long.is_none() {
            block.len = rows.consumed;
        }
        self.rows_left = Some(left - u64::from(rows.total));
    }
}

/// After the last line end in `text`, or after as many as a block may hold.
fn last_line_end(text: &[u8], most: usize) -> Option<usize> {
    let nth = (text.len() > most)
        .then(|| memchr::memchr_iter(b'\n', text).nth(most - 1))
        .flatten();
    nth.or_else(|| memchr::memrchr(b'\n', text))
        .map(|at| at + 1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

    use super::*;
    use crate::format::Format;
    use proptest::prelude::*;

    fn input(text: &[u8]) -> Input {
        let text = text.to_vec();
        let open = move || -> std::io::Result<Box<dyn Read + Send>> {
            Ok(Box::new(std::io::Cursor::new(text.clone())))
        };
        Input::new("a.csv", Format::CSV, Arc::new(open))
    }

    /// Where records are, in the file: first byte, end, line; good and bad alike.
    type Places = Vec<(u64, u64, u64)>;

    fn places(text: &[u8], cutting: &Cutting) -> (Vec<u8>, Places) {
        let pool = Pool::default();
        let mut blocks = Blocks::open(&[input(text)], cutting, &pool).unwrap();
        let (mut whole, mut places, mut lines) = (Vec::new(), Vec::new(), 0);
        while let Some(block) = blocks.next().unwrap() {
            assert_eq!(block.byte as usize, whole.len());
            whole.extend_from_slice(block.text());
            let rows = parse(
                block.text(),
                block.start,
                &cutting.dialect,
                &ParseLimits::default(),
            );
            lines += block.prefix_lines;
            let all = rows
                .records
                .iter()
                .chain(rows.bad.iter().map(|b| &b.record));
            let mut all: Vec<_> = all.collect();
            all.sort_by_key(|r| r.index);
            places.extend(all.iter().map(|r| {
                (
                    block.byte + u64::from(r.start),
                    block.byte + u64::from(r.end),
                    lines + u64::from(r.line),
                )
            }));
            lines += u64::from(rows.lines);
            pool.give(block, cutting.block_bytes);
        }
        (whole, places)
    }

    fn cutting(dialect: Dialect, block_bytes: usize) -> Cutting {
        Cutting {
            layout: Layout::Csv,
            names: None,
            dialect,
            block_bytes,
            block_records: usize::MAX,
            max_record: 1 << 20,
            limit_rows: None,
        }
    }

    fn every_block_size_agrees(text: &[u8], dialect: Dialect) {
        let whole = places(text, &cutting(dialect, 4096));
        assert_eq!(whole.0, text);
        for size in 1..=text.len() + 1 {
            assert_eq!(
                places(text, &cutting(dialect, size)),
                whole,
                "block size {size}"
            );
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(600))]

        #[test]
        fn cut_anywhere_equals_whole(
            body in proptest::collection::vec(proptest::sample::select(&b"ab,\"\"\n\n\r\xc3\xa9"[..]), 0..60),
            start in proptest::sample::select(&["h,i\n", "\u{feff}h,i\r\n", "h,\"i\nj\"\r", "\n\nh\n"][..]),
        ) {
            let text = [start.as_bytes(), &body].concat();
            every_block_size_agrees(&text, Dialect::default());
        }

        #[test]
        fn cut_anywhere_equals_whole_with_comments_and_escapes(
            body in proptest::collection::vec(proptest::sample::select(&b"ab,\"\"\\##\n\n\r"[..]), 0..60),
        ) {
            let text = [b"#\"c\nh,i\n", body.as_slice()].concat();
            let dialect = Dialect { escape: Some(b'\\'), comment: Some(b'#'), ..Dialect::default() };
            every_block_size_agrees(&text, dialect);
        }
    }

    #[test]
    fn the_first_rows_are_cut_exactly() {
        let text = b"h\n1\n\"2\n2\"\n3\n4\n";
        for size in 1..20 {
            for rows in 0..6 {
                let cutting = Cutting {
                    limit_rows: Some(rows),
                    ..cutting(Dialect::default(), size)
                };
                let (_, found) = places(text, &cutting);
                assert_eq!(found.len() as u64, rows.min(4), "block size {size}");
            }
        }
    }

    #[test]
    fn a_file_without_header_that_is_empty_is_passed_over() {
        let dialect = Dialect {
            header: false,
            ..Dialect::default()
        };
        let pool = Pool::default();
        let inputs = [input(b""), input(b"1,2\n")];
        let mut blocks = Blocks::open(&inputs, &cutting(dialect, 16), &pool).unwrap();
        assert_eq!(blocks.header().names, ["column_1", "column_2"]);
        let files: Vec<usize> = std::iter::from_fn(|| blocks.next().unwrap())
            .map(|b| b.file)
            .collect();
        assert_eq!(files, [0, 1]);
        let error = Blocks::open(&inputs[..1], &cutting(dialect, 16), &pool)
            .err()
            .unwrap();
        assert_eq!(
            error.to_string(),
            "a.csv: the file is empty: expected at least a header line"
        );
    }

    /// Whatever the size of blocks, what stands before the first record and that record have their limits.
    #[test]
    fn a_long_prefix_is_refused_and_a_header_behind_a_shorter_one_is_whole() {
        let comment = Dialect {
            comment: Some(b'#'),
            ..Dialect::default()
        };
        let pool = Pool::default();
        let most = header::longest_prefix(0);
        for (line, max_record) in [("\n", 30), ("\r\n", 18), ("# a\n\n#b\n", most + 9)] {
            let most = header::longest_prefix(max_record);
            let lines = most / line.len();
            for (lines, is_read) in [(lines, true), (lines + 1, false)] {
                let text = format!("{}aaaaa,bbbbb,ccccc\n1,2,3\n", line.repeat(lines));
                for size in [1, 2, 13, 64, 1000] {
                    let cutting = Cutting {
                        max_record,
                        ..cutting(comment, size)
                    };
                    let blocks = Blocks::open(&[input(text.as_bytes())], &cutting, &pool);
                    match blocks {
                        Ok(blocks) => {
                            assert!(is_read);
                            assert_eq!(blocks.header().names, ["aaaaa", "bbbbb", "ccccc"]);
                        }
                        Err(error) => {
                            assert!(!is_read, "{error}");
                            assert_eq!(
                                error.to_string(),
                                format!(
                                    "a.csv: expected the first record within {most} bytes, \
                                     found nothing but lines that are skipped, comments and empty \
                                     lines; raise max_record"
                                )
                            );
                        }
                    }
                }
            }
        }
    }

    /// The reader gives up on it; the parser must say so, or what follows would be lost in silence.
    #[test]
    fn what_goes_on_without_an_end_is_not_the_end() {
        let comment = Dialect {
            comment: Some(b'#'),
            ..Dialect::default()
        };
        let text = [b"h\n#".as_slice(), &[b'x'; 200], b"\n1\n"].concat();
        let cutting = Cutting {
            max_record: 9,
            ..cutting(comment, 16)
        };
        let pool = Pool::default();
        let mut blocks = Blocks::open(&[input(&text)], &cutting, &pool).unwrap();
        let mut found = None;
        while let Some(block) = blocks.next().unwrap() {
            let limits = ParseLimits {
                record_bytes: cutting.max_record,
                ..ParseLimits::default()
            };
            let rows = parse(block.text(), block.start, &comment, &limits);
            found = rows.too_long.map(|r| block.byte + u64::from(r.start));
        }
        assert_eq!(found, Some(2));
    }

    #[test]
    fn json_lines_are_cut_by_their_number_too() {
        let text = b"{}\n\n{}\n{}\r\n{}\n\n\n{}";
        for size in 1..text.len() + 2 {
            let cutting = Cutting {
                layout: Layout::JsonLines,
                names: Some(vec!["a".into()]),
                block_records: 2,
                ..cutting(Dialect::default(), size)
            };
            let pool = Pool::default();
            let mut blocks = Blocks::open(&[input(text)], &cutting, &pool).unwrap();
            let mut whole = Vec::new();
            while let Some(block) = blocks.next().unwrap() {
                assert_eq!(block.byte as usize, whole.len(), "block size {size}");
                let lines = block.text().split_inclusive(|b| *b == b'\n').count();
                assert!(lines <= 2, "block size {size}: {lines} lines");
                whole.extend_from_slice(block.text());
                pool.give(block, cutting.block_bytes);
            }
            assert_eq!(whole, text, "block size {size}");
        }
    }
}
