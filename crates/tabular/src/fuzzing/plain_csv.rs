//! A reader of CSV that goes byte by byte and remembers everything, as the parser's documentation says
//! it: the other way to each record, field and line number.

use crate::dialect::Dialect;

/// A field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) text: Vec<u8>,
    /// It stood in quotes.
    pub(super) quoted: bool,
    /// A quote is in it, though it stood in none.
    pub(super) stray: bool,
}

impl Field {
    /// Null in a column of any type.
    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty() && !self.quoted
    }
}

/// What is wrong with a record, whatever the number of its fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// Text after a closing quote, from here on.
    Torn(usize),
    /// A quote here seems to open a field in the middle of one, as a later one ends with a quote.
    Opened(usize),
    /// The quote that opens here is never closed.
    Unclosed(usize),
}

/// A record and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) start: usize,
    /// Its line end not included.
    pub(super) end: usize,
    /// Line ends before it.
    pub(super) line: usize,
    pub(super) fields: Vec<Field>,
    pub(super) fault: Option<Fault>,
}

/// A whole text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) records: Vec<Record>,
    /// First byte, end and line of each comment.
    pub(super) comments: Vec<(usize, usize, usize)>,
    /// Where the record or comment starts within which the text ended; else its end.
    pub(super) last_start: usize,
    /// The last record ended with a line end, not with the text.
    pub(super) terminated: bool,
}

/// A column is called as the header says; one without a name, by its place.
pub(super) fn is_name(cell: &[u8], name: &str, place: usize) {
    if cell.is_empty() {
        assert_eq!(name, format!("column_{}", place + 1));
    } else {
        assert_eq!(name.as_bytes(), cell);
    }
}

/// Line ends in `text[from..to]`: `\r\n` is one, and belongs to its `\r`.
pub(super) fn line_ends(text: &[u8], from: usize, to: usize) -> usize {
    (from..to)
        .filter(|&at| match text[at] {
            b'\r' => true,
            b'\n' => at == 0 || text[at - 1] != b'\r',
            _ => false,
        })
        .count()
}

fn is_line_end(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

/// Reads `text[from..]`.
pub(super) fn read(text: &[u8], from: usize, dialect: &Dialect) -> Table {
    let mut table = Table {
        records: Vec::new(),
        comments: Vec::new(),
        last_start: text.len(),
        terminated: true,
    };
    let (mut at, mut line, mut counted) = (from, 0, from);
    while at < text.len() {
        let start = at;
        if is_line_end(text[start]) {
            at += 1;
            continue;
        }
        line += line_ends(text, counted, start);
        counted = start;
        if Some(text[start]) == dialect.comment {
            while at < text.len() && !is_line_end(text[at]) {
                at += 1;
            }
            table.comments.push((start, at, line));
            if at == text.len() {
                table.last_start = start;
            }
            continue;
        }
        let record = read_record(text, start, line, dialect);
        at = record.end;
        if at == text.len() {
            table.last_start = start;
            table.terminated = false;
        }
        table.records.push(record);
    }
    table
}

fn read_record(text: &[u8], start: usize, line: usize, dialect: &Dialect) -> Record {
    let mut record = Record {
        start,
        end: start,
        line,
        fields: Vec::new(),
        fault: None,
    };
    let mut at = start;
    let mut starts = Vec::new();
    loop {
        starts.push(at);
        let field = if text.get(at) == Some(&dialect.quote) {
            read_quoted(text, &mut at, dialect, &mut record.fault)
        } else {
            read_bare(text, &mut at, dialect)
        };
        record.fields.push(field);
        record.end = at;
        if text.get(at) != Some(&dialect.delimiter) || at == text.len() {
            let opened = opened(&record.fields, &starts, dialect.quote);
            record.fault = record.fault.or(opened.map(Fault::Opened));
            return record;
        }
        at += 1;
    }
}

/// Among the bare fields with an odd number of quotes: the last quote of the first of two neighbours,
/// if text follows it at once, and the second ends with its last quote, the others of which are doubled.
fn opened(fields: &[Field], starts: &[usize], quote: u8) -> Option<usize> {
    let places =
        |f: &Field| -> Vec<usize> { (0..f.text.len()).filter(|&i| f.text[i] == quote).collect() };
    let bare = fields.iter().zip(starts).filter(|(f, _)| !f.quoted);
    let odd: Vec<(&Field, usize, Vec<usize>)> = bare
        .map(|(f, start)| (f, *start, places(f)))
        .filter(|(_, _, places)| places.len() % 2 == 1)
        .collect();
    odd.windows(2).find_map(|pair| {
        let ((first, start, quotes), (second, _, closing)) = (&pair[0], &pair[1]);
        let last = *quotes.last()?;
        let text_follows = first
            .text
            .get(last + 1)
            .is_some_and(|b| !b" \t\n\r\x0c".contains(b));
        let (end, others) = closing.split_last()?;
        let doubled = others.chunks(2).all(|pair| pair[1] == pair[0] + 1);
        let closes = *end == second.text.len() - 1 && doubled;
        (text_follows && closes).then_some(start + last)
    })
}

/// Up to the delimiter or line end.
fn read_bare(text: &[u8], at: &mut usize, dialect: &Dialect) -> Field {
    let start = *at;
    while *at < text.len() && text[*at] != dialect.delimiter && !is_line_end(text[*at]) {
        *at += 1;
    }
    let text = text[start..*at].to_vec();
    Field {
        stray: text.contains(&dialect.quote),
        text,
        quoted: false,
    }
}

/// From the opening quote up to the delimiter or line end behind the closing one.
fn read_quoted(text: &[u8], at: &mut usize, dialect: &Dialect, fault: &mut Option<Fault>) -> Field {
    let opening = *at;
    let mut content = Vec::new();
    let mut closed = false;
    *at += 1;
    while *at < text.len() && !closed {
        let (byte, next) = (text[*at], text.get(*at + 1));
        let doubled = byte == dialect.quote && next == Some(&dialect.quote);
        if doubled || Some(byte) == dialect.escape {
            content.extend(next);
            *at += 2;
        } else {
            closed = byte == dialect.quote;
            if !closed {
                content.push(byte);
            }
            *at += 1;
        }
    }
    *at = (*at).min(text.len());
    let behind = *at;
    while closed && *at < text.len() && text[*at] != dialect.delimiter && !is_line_end(text[*at]) {
        *at += 1;
    }
    if !closed {
        // Nothing else is said of a record that the text's end cuts off.
        *fault = Some(Fault::Unclosed(opening));
    } else if *at > behind && fault.is_none() {
        *fault = Some(Fault::Torn(behind));
    }
    Field {
        text: content,
        quoted: true,
        stray: false,
    }
}
