//! One pass over inputs: blocks parsed in parallel, taken in order, bad rows numbered and judged.

use arrow_schema::Fields;

use crate::bad_rows::BadReason;
use crate::batches::{Batches, Types};
use crate::blocks::{Block, Blocks, Cutting, Pool};
use crate::cell_text;
use crate::dialect::Dialect;
use crate::error::TabularError;
use crate::format::Layout;
use crate::input::Input;
use crate::json_rows::Keys;
use crate::ordered::{AHEAD, ordered_map};
use crate::parser::ParseLimits;
use crate::places::Place;
use crate::progress::{Progress, report};
use crate::records::{BadRecord, MAX_BLOCK, Rows, excerpt};
use crate::refusals::Refusals;
use crate::scan::{FileScan, ScanOptions, Typing};
use crate::sources::{Parser, Source, json_names, layout_of, records_of_block};

/// Inputs about to be read, with the first one's columns known.
pub(crate) struct Pass {
    source: Source,
    parser: Parser,
    names: Vec<String>,
    pool: Pool,
    cutting: Cutting,
    threads: usize,
    files: Vec<String>,
    /// A contract has columns that errors must not show.
    secret: bool,
}

/// A block's rows on their way from a worker to the consumer.
struct Parsed<X> {
    block: Block,
    rows: Rows,
    value: X,
}

/// A block's rows as the consumer gets them, in input order.
pub(crate) struct Taken<'a, X> {
    /// The input, by its place in the list.
    pub(crate) file: usize,
    /// Data records of that input before this block.
    pub(crate) records_before: u64,
    pub(crate) block: &'a Block,
    pub(crate) rows: &'a Rows,
    /// What the worker made of them.
    pub(crate) value: X,
}

impl Pass {
    /// Opens the first input. JSON Lines are read once before, for their keys, unless the options
    /// know them.
    pub(crate) fn open(inputs: &[Input], options: &ScanOptions) -> Result<Self, TabularError> {
        options.check()?;
        let layout = layout_of(inputs)?;
        let mut cutting = Cutting {
            layout,
            dialect: match layout {
                Layout::Csv => options.dialect,
                Layout::JsonLines | Layout::Parquet => Dialect::default(),
            },
            names: None,
            block_bytes: options.block_bytes.clamp(1, MAX_BLOCK / 4),
            block_records: usize::MAX,
            max_record: options.max_record as usize,
            limit_rows: options.limit_rows,
        };
        let pool = Pool::default();
        let (source, parser) = match layout {
            Layout::Csv => (
                Source::Text(Blocks::open(inputs, &cutting, &pool)?),
                Parser::Csv,
            ),
            Layout::JsonLines => {
                let names = json_names(inputs, &cutting, options)?;
                let keys = Keys::new(&names);
                cutting.block_records = records_of_block(names.len());
                cutting.names = Some(names);
                (
                    Source::Text(Blocks::open(inputs, &cutting, &pool)?),
                    Parser::Json(keys),
                )
            }
            Layout::Parquet => {
                let batches = Batches::open(inputs, Types::Parquet, None, options.limit_rows)?;
                (Source::Batches(batches), Parser::Rendered(None))
            }
        };
        let names = match &source {
            Source::Text(blocks) => blocks.header().names.clone(),
            Source::Batches(batches) => batches.names().to_vec(),
        };
        let files = inputs.iter().map(|i| i.name.clone()).collect();
        let secret =
            matches!(&options.typing, Typing::Contract(s) if s.columns.iter().any(|c| c.sensitive));
        let pass = Self {
            source,
            parser,
            names,
            pool,
            cutting,
            threads: options.threads,
            files,
            secret,
        };
        pass.check_new_columns(options)?;
        Ok(pass)
    }

    /// A contract may say that there are no other columns than its own.
    fn check_new_columns(&self, options: &ScanOptions) -> Result<(), TabularError> {
        let Typing::Contract(contract) = &options.typing else {
            return Ok(());
        };
        let places = contract.places();
        let unknown = |name: &&String| !places.contains_key(name.as_str());
        let new: Vec<String> = self.names.iter().filter(unknown).cloned().collect();
        if new.is_empty() || !options.refuse_new_columns {
            return Ok(());
        }
        Err(TabularError::NewColumns {
            file: self.files[0].clone(),
            columns: new,
        })
    }

    /// The columns, in order.
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// How the text is written; the usual way where that of the source is no CSV.
    pub(crate) fn dialect(&self) -> Dialect {
        self.cutting.dialect
    }

    /// The columns with their own types, where the source has types.
    pub(crate) fn fields(&self) -> Option<&Fields> {
        match &self.source {
            Source::Text(_) => None,
            Source::Batches(batches) => Some(batches.schema().fields()),
        }
    }

    /// Of a source that has types, only the text of these columns is needed.
    pub(crate) fn need_text(&mut self, places: Vec<usize>) {
        if let Parser::Rendered(needed) = &mut self.parser {
            *needed = Some(places);
        }
    }

    /// Refuses columns whose values have no text, such as lists.
    pub(crate) fn check_text(
        &self,
        places: impl IntoIterator<Item = usize>,
    ) -> Result<(), TabularError> {
        let Some(fields) = self.fields() else {
            return Ok(());
        };
        let nested: Vec<String> = places
            .into_iter()
            .map(|place| &fields[place])
            .filter(|field| !cell_text::has_text(field.data_type()))
            .map(|field| format!("{} ({})", field.name(), field.data_type()))
            .collect();
        if nested.is_empty() {
            return Ok(());
        }
        Err(TabularError::Columns {
            file: self.files[0].clone(),
            problem: format!(
                "columns that are no single values cannot be written as text: {}; select or drop \
                 columns so that they are left out",
                nested.join(", ")
            ),
        })
    }

    /// Runs `map` on each block's rows in parallel, hands bad rows to `refusals`, then the rest to
    /// `take`, both in input order. Gives rows and bytes of each input read.
    pub(crate) fn run<X: Send>(
        self,
        refusals: &mut Refusals,
        progress: &dyn Progress,
        map: impl Fn(&Block, &mut Rows) -> X + Sync,
        mut take: impl FnMut(Taken<'_, X>) -> Result<(), TabularError>,
    ) -> Result<Vec<FileScan>, TabularError> {
        let Self {
            mut source,
            parser,
            names,
            pool,
            cutting,
            threads,
            files,
            secret,
        } = self;
        let limits = ParseLimits {
            fields: Some(names.len()),
            records: u64::MAX,
            record_bytes: cutting.max_record,
            ..ParseLimits::default()
        };
        let (dialect, block_bytes) = (cutting.dialect, cutting.block_bytes);
        let work = |mut block: Block| {
            let mut rows = parser.parse(&mut block, &dialect, &limits);
            check_encoding(&block, &mut rows, limits.fields.unwrap_or_default());
            let value = map(&block, &mut rows);
            Parsed { block, rows, value }
        };
        let mut place = Place::new(&files, secret, cutting.layout);
        ordered_map(
            threads,
            AHEAD,
            || source.next(),
            work,
            |parsed: Parsed<X>| {
                place.enter(&parsed.block);
                for bad in &parsed.rows.bad {
                    refusals.take(|| place.bad_row(bad, &parsed.block))?;
                }
                if let Some(record) = &parsed.rows.too_long {
                    return Err(place.too_long(record, &parsed.block, limits.record_bytes as u64));
                }
                refusals.total += u64::from(parsed.rows.total);
                let (rows, bytes) = (u64::from(parsed.rows.total), parsed.block.bytes_read());
                let Parsed {
                    block,
                    rows: parsed_rows,
                    value,
                } = parsed;
                take(Taken {
                    file: block.file,
                    records_before: place.records,
                    block: &block,
                    rows: &parsed_rows,
                    value,
                })?;
                place.leave(&parsed_rows, bytes);
                pool.give(block, block_bytes);
                report(progress, rows, bytes)
            },
        )?;
        Ok(place.done)
    }
}

/// Rows that are not UTF-8 are bad. The block is checked as a whole first: records end at ASCII
/// bytes, so a valid block is valid records.
fn check_encoding(block: &Block, rows: &mut Rows, width: usize) {
    let text = block.text();
    if simdutf8::basic::from_utf8(&text[block.start..]).is_ok() {
        return;
    }
    let refused = rows.records.iter().enumerate().filter_map(|(row, record)| {
        let raw = &text[record.start as usize..record.end as usize];
        let at = std::str::from_utf8(raw).err()?.valid_up_to();
        let found = format!(
            "byte 0x{:02x} after {}",
            raw[at],
            excerpt(&raw[at.saturating_sub(20)..at])
        );
        let bad = BadRecord {
            record: *record,
            column: None,
            reason: BadReason::Encoding,
            expected: "UTF-8".to_owned(),
            found,
        };
        Some((row, bad))
    });
    let refused = refused.collect();
    rows.refuse(refused, width);
}
