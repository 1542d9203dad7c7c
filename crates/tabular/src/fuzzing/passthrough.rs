//! CSV into another wrapper: what goes through in pieces, against what is parsed.

use std::collections::BTreeMap;
use std::io::{self, Cursor, Read, Write};
use std::path::Path;
use std::sync::Arc;

use crate::bad_rows::OnBadRow;
use crate::compression::{Compression, compress, decompress};
use crate::convert::{ConvertJob, Target, convert};
use crate::dialect::Dialect;
use crate::encoding::TextEncoding;
use crate::error::TabularError;
use crate::format::{Format, Layout};
use crate::input::Input;
use crate::scan::Typing;
use crate::schema::Schema;

use super::{Written, choices, dialect, scratch_path};

const WRAPPERS: [Compression; 5] = [
    Compression::SnappyFramed,
    Compression::None,
    Compression::Gzip,
    Compression::Zstd,
    Compression::SnappyHadoop,
];

/// What a conversion between wrappers gives is what it gives where all text is parsed: the same text,
/// counts and bad rows, or the same error; and where no row is bad, the text goes there and back
/// unchanged. The first byte chooses the dialect and header, the second the wrappers, the third the
/// pieces of the source and the threads, the fourth the limits and whether the source is damaged.
pub fn passthrough(data: &[u8]) {
    let ([which, wrappers, step, limit], text) = choices(data);
    let Some((mut dialect, text)) = dialect(which, text) else {
        return;
    };
    dialect.header = which & 8 == 0;
    let source = WRAPPERS[wrappers % 5];
    let to = WRAPPERS[wrappers / 5 % 5];
    let mut stored = wrapped(source, text, step + 1);
    if limit & 4 == 4 {
        damage(&mut stored, limit / 8);
    }
    let asked = Asked {
        dialect,
        threads: step % 3 + 1,
        max_record: if limit & 1 == 0 {
            1 << 20
        } else {
            limit as u64
        },
        strict: limit & 2 == 2,
    };
    let fast = asked.converted(&stored, source, to, Typing::Text);
    // A contract without columns asks nothing of rows, but has them parsed.
    let exact = asked.converted(&stored, source, to, Typing::Contract(Schema::default()));
    assert_eq!(fast, exact);
    let Ok(done) = fast else { return };
    if done.bad_rows.is_empty() && limit & 4 == 0 {
        assert_eq!(done.text, text);
        let there = wrapped(to, &done.text, usize::MAX);
        let back = asked.converted(&there, to, source, Typing::Text);
        assert_eq!(back.map(|back| back.text), Ok(done.text));
    }
}

/// What a conversion left behind.
#[derive(Debug, PartialEq)]
struct Done {
    text: Vec<u8>,
    rows: (u64, u64),
    counts: BTreeMap<crate::bad_rows::BadReason, u64>,
    bad_rows: Vec<u8>,
}

struct Asked {
    dialect: Dialect,
    threads: usize,
    max_record: u64,
    strict: bool,
}

impl Asked {
    fn converted(
        &self,
        stored: &[u8],
        from: Compression,
        to: Compression,
        typing: Typing,
    ) -> Result<Done, String> {
        let (output, bad_rows) = (scratch_path("out"), scratch_path("jsonl"));
        let mut job = self.job(stored, from, to, typing, &output);
        job.bad_rows = Some(bad_rows.clone());
        let converted = convert(job, &());
        let kept = taken(&bad_rows);
        let written = taken(&output);
        match converted {
            Ok(converted) => {
                let written = written.expect("an output");
                let mut text = Vec::new();
                let mut plain = decompress(to, Box::new(Cursor::new(written)));
                // Nothing at all is no stream of a wrapper, and no output either.
                plain.read_to_end(&mut text).unwrap();
                Ok(Done {
                    text,
                    rows: (converted.rows_source, converted.rows),
                    counts: converted.quarantined,
                    bad_rows: kept.unwrap_or_default(),
                })
            }
            Err(error) => {
                assert!(!matches!(error, TabularError::Internal(_)), "{error}");
                assert!(written.is_none(), "an output of a conversion that failed");
                Err(error.to_string())
            }
        }
    }

    fn job(
        &self,
        stored: &[u8],
        from: Compression,
        to: Compression,
        typing: Typing,
        output: &Path,
    ) -> ConvertJob {
        let format = |compression| Format {
            layout: Layout::Csv,
            compression,
        };
        let stored = stored.to_vec();
        let open = move || -> io::Result<Box<dyn Read + Send>> {
            Ok(Box::new(Cursor::new(stored.clone())))
        };
        let input = Input::new("input", format(from), Arc::new(open))
            .with_encoding(Some(TextEncoding::UTF_8));
        let target = Target::File(output.to_path_buf());
        let mut job = ConvertJob::new(vec![input], format(to), target);
        job.options.dialect = self.dialect;
        job.output_header = self.dialect.header;
        job.options.typing = typing;
        job.options.threads = self.threads;
        job.options.max_record = self.max_record.max(1);
        if !self.strict {
            job.options.on_bad_row = OnBadRow::Quarantine {
                max_ratio: None,
                max_rows: None,
            };
        }
        job
    }
}

/// Flips a bit or cuts the end off.
fn damage(stored: &mut Vec<u8>, how: usize) {
    let at = stored.len() * (how / 2) / 16;
    match stored.get_mut(at) {
        Some(byte) if how.is_multiple_of(2) => *byte ^= 1 << (how % 8),
        _ => stored.truncate(at),
    }
}

/// A file's bytes, and no file any more.
fn taken(path: &Path) -> Option<Vec<u8>> {
    let bytes = std::fs::read(path).ok();
    let _ = std::fs::remove_file(path);
    bytes
}

/// The text in a wrapper; chunks of the framing hold so many bytes each, so that few make a piece.
fn wrapped(wrapper: Compression, text: &[u8], chunk: usize) -> Vec<u8> {
    if wrapper == Compression::SnappyFramed && !text.is_empty() {
        let mut writer = snap::write::FrameEncoder::new(Vec::new());
        for piece in text.chunks(chunk.max(1)) {
            writer.write_all(piece).unwrap();
            // Ends the chunk.
            writer.flush().unwrap();
        }
        return writer.into_inner().unwrap();
    }
    let out = Written::default();
    let mut writer = compress(wrapper, Box::new(out.clone()));
    writer.write_all(text).unwrap();
    writer.finish().unwrap();
    out.take()
}
