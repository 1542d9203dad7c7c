//! One pass over inputs: blocks parsed in parallel, taken in order, bad rows numbered and judged.

use std::collections::BTreeMap;
use std::path::Path;

use arrow_schema::Fields;

use crate::bad_rows::{BadReason, BadRow, OnBadRow};
use crate::batches::{Batches, Types};
use crate::blocks::{Block, Blocks, Cutting, Pool};
use crate::cell_text;
use crate::dialect::Dialect;
use crate::error::TabularError;
use crate::format::Layout;
use crate::input::Input;
use crate::json_columns;
use crate::json_rows::{self, Keys};
use crate::ordered::ordered_map;
use crate::parser::{ParseLimits, parse};
use crate::progress::{Progress, report};
use crate::quarantine::Quarantine;
use crate::records::{BadRecord, MAX_BLOCK, Record, Rows, excerpt};
use crate::rendered_rows;
use crate::scan::{FileScan, ScanOptions, Typing};

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

/// What gives blocks.
enum Source {
    Text(Blocks),
    Batches(Batches),
}

/// What finds the rows of a block.
enum Parser {
    Csv,
    Json(Keys),
    /// With the columns whose text is needed; without, all.
    Rendered(Option<Vec<usize>>),
}

impl Source {
    fn next(&mut self) -> Result<Option<Block>, TabularError> {
        match self {
            Source::Text(blocks) => blocks.next(),
            Source::Batches(batches) => batches.next(),
        }
    }
}

impl Parser {
    fn parse(&self, block: &mut Block, dialect: &Dialect, limits: &ParseLimits) -> Rows {
        match self {
            Parser::Csv => parse(block.text(), block.start, dialect, limits),
            Parser::Json(keys) => json_rows::parse(block, keys, limits),
            Parser::Rendered(needed) => rendered_rows::render(block, limits, needed.as_deref()),
        }
    }
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
        let unknown = |name: &&String| contract.index_of(name).is_none();
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

/// All inputs of a pass are laid out alike.
fn layout_of(inputs: &[Input]) -> Result<Layout, TabularError> {
    let first = inputs.first().ok_or(TabularError::NoInput)?;
    match inputs.iter().find(|input| input.layout != first.layout) {
        None => Ok(first.layout),
        Some(other) => Err(TabularError::Options(format!(
            "{} is {}, {} is {}: inputs of one pass are laid out alike",
            first.name,
            first.layout.name(),
            other.name,
            other.layout.name()
        ))),
    }
}

/// The columns of JSON Lines; those of a contract are there even if no object has them.
fn json_names(
    inputs: &[Input],
    cutting: &Cutting,
    options: &ScanOptions,
) -> Result<Vec<String>, TabularError> {
    let mut names = match &options.keys {
        Some(keys) => keys.clone(),
        None => json_columns::discover(inputs, cutting, options.threads)?,
    };
    if names.is_empty() && options.keys.is_none() {
        return Err(without_keys(inputs, options));
    }
    if let Typing::Contract(contract) = &options.typing {
        let missing = contract.columns.iter().map(|c| &c.name);
        let missing: Vec<String> = missing.filter(|n| !names.contains(n)).cloned().collect();
        names.extend(missing);
    }
    Ok(names)
}

/// Why JSON Lines have no keys: there is no line, there are other things than objects, or empty ones.
fn without_keys(inputs: &[Input], options: &ScanOptions) -> TabularError {
    let options = ScanOptions {
        keys: Some(Vec::new()),
        typing: Typing::Text,
        ..options.clone()
    };
    let mut refusals = Refusals::new(OnBadRow::Fail);
    let read = Pass::open(inputs, &options)
        .and_then(|pass| pass.run(&mut refusals, &(), |_, _| (), |_| Ok(())));
    let file = inputs
        .first()
        .map_or("", |input| input.name.as_str())
        .into();
    match read {
        Err(error) => error,
        Ok(_) if refusals.total == 0 => TabularError::Empty {
            file,
            expected: "a line with a JSON object",
        },
        Ok(_) => TabularError::Columns {
            file,
            problem: "its objects have no keys, so there are no columns".into(),
        },
    }
}

/// The most cells of a block of columns that need not take a byte each, as absent keys and nulls of
/// Parquet: 8 MiB of spans.
pub(crate) const BLOCK_CELLS: usize = 1 << 20;

/// Records of a block with so many columns.
pub(crate) fn records_of_block(columns: usize) -> usize {
    (BLOCK_CELLS / columns.max(1)).max(1)
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

/// Running numbers of the consumer: what stands before the block at hand.
struct Place<'a> {
    files: &'a [String],
    secret: bool,
    /// Parquet has no lines.
    layout: Layout,
    lines: u64,
    records: u64,
    /// Rows and bytes of the inputs, the last one under way.
    done: Vec<FileScan>,
}

impl<'a> Place<'a> {
    fn new(files: &'a [String], secret: bool, layout: Layout) -> Self {
        Self {
            files,
            secret,
            layout,
            lines: 0,
            records: 0,
            done: Vec::new(),
        }
    }

    fn enter(&mut self, block: &Block) {
        if block.first {
            self.lines = block.prefix_lines;
            self.records = 0;
            self.done.push(FileScan {
                name: self.files[block.file].clone(),
                rows: 0,
                bytes: 0,
            });
        }
    }

    fn leave(&mut self, rows: &Rows, bytes: u64) {
        self.lines += u64::from(rows.lines);
        self.records += u64::from(rows.total);
        if let Some(file) = self.done.last_mut() {
            file.rows += u64::from(rows.total);
            file.bytes += bytes;
        }
    }

    fn bad_row(&self, bad: &BadRecord, block: &Block) -> BadRow {
        let record = &bad.record;
        // These quote the row from somewhere within it, whatever column that is.
        let hidden = self.secret
            && matches!(
                bad.reason,
                BadReason::Quote | BadReason::Encoding | BadReason::Json
            );
        BadRow {
            file: self.files[block.file].clone(),
            line: match self.layout {
                Layout::Csv | Layout::JsonLines => self.lines + u64::from(record.line) + 1,
                Layout::Parquet => 0,
            },
            record: self.records + u64::from(record.index) + 1,
            byte: block.byte + u64::from(record.start),
            column: bad.column.clone(),
            reason: bad.reason,
            expected: bad.expected.clone(),
            found: if hidden {
                "***".to_owned()
            } else {
                bad.found.clone()
            },
            raw: block.text()[record.start as usize..record.end as usize].to_vec(),
        }
    }

    fn too_long(&self, record: &Record, block: &Block, limit: u64) -> TabularError {
        TabularError::RecordTooLong {
            file: self.files[block.file].clone(),
            layout: self.layout,
            record: self.records + u64::from(record.index) + 1,
            line: self.lines + u64::from(record.line) + 1,
            byte: block.byte + u64::from(record.start),
            limit,
        }
    }
}

/// How many bad rows of one column and reason are shown at most.
const OF_A_KIND: usize = 5;

/// Bad rows of a pass, in input order: counted, kept and held against the limit.
pub(crate) struct Refusals {
    policy: OnBadRow,
    quarantine: Option<Quarantine>,
    /// The first of them, without their bytes: at most `most`, and at least one.
    first: Vec<BadRow>,
    most: usize,
    /// Bad rows by reason.
    pub(crate) counts: BTreeMap<BadReason, u64>,
    /// Source rows, good and bad.
    pub(crate) total: u64,
}

impl Refusals {
    pub(crate) fn new(policy: OnBadRow) -> Self {
        Self {
            policy,
            quarantine: None,
            first: Vec::new(),
            most: 1,
            counts: BTreeMap::new(),
            total: 0,
        }
    }

    /// Bad rows go to a file at `path` as well.
    pub(crate) fn keep_in(mut self, path: &Path) -> Result<Self, TabularError> {
        self.quarantine = Some(Quarantine::create(path)?);
        Ok(self)
    }

    /// The first bad rows of each kind are kept to be shown, `most` at most.
    pub(crate) fn showing(mut self, most: usize) -> Self {
        self.most = most.max(1);
        self
    }

    /// The rows to be shown, once.
    pub(crate) fn shown(&mut self) -> Vec<BadRow> {
        std::mem::take(&mut self.first)
    }

    /// Makes the file of bad rows durable. Worth calling even where the pass has failed: the rows
    /// are what the user needs to see.
    pub(crate) fn keep(&mut self) -> Result<(), TabularError> {
        self.quarantine.take().map_or(Ok(()), Quarantine::keep)
    }

    /// Takes the next bad row; an error if none is allowed.
    fn take(&mut self, row: impl FnOnce() -> BadRow) -> Result<(), TabularError> {
        let row = row();
        if self.policy == OnBadRow::Fail {
            return Err(TabularError::BadRow(Box::new(row)));
        }
        *self.counts.entry(row.reason).or_default() += 1;
        if let Some(quarantine) = &mut self.quarantine {
            quarantine.add(&row)?;
        }
        if self.first.len() < self.most && self.is_worth_showing(&row) {
            self.first.push(BadRow {
                raw: Vec::new(),
                ..row
            });
        }
        Ok(())
    }

    /// A fault of one column in every row is shown a few times, so that others are seen.
    fn is_worth_showing(&self, row: &BadRow) -> bool {
        let alike = |r: &&BadRow| r.reason == row.reason && r.column == row.column;
        let alike: Vec<&BadRow> = self.first.iter().filter(alike).collect();
        alike.len() < OF_A_KIND && alike.iter().all(|r| r.found != row.found)
    }

    /// Bad rows so far.
    pub(crate) fn bad(&self) -> u64 {
        self.counts.values().sum()
    }

    /// After the last row: an error if there were more bad ones than allowed.
    pub(crate) fn finish(&mut self) -> Result<(), TabularError> {
        let bad = self.bad();
        let OnBadRow::Quarantine {
            max_ratio,
            max_rows,
        } = self.policy
        else {
            return Ok(());
        };
        let ratio = max_ratio.filter(|r| bad as f64 > r * self.total as f64);
        let limit = match (ratio, max_rows.filter(|n| bad > *n)) {
            (Some(r), _) => format!("{} % of rows", r * 100.0),
            (None, Some(n)) => format!("{n} rows"),
            (None, None) => return Ok(()),
        };
        match self.shown().into_iter().next() {
            Some(first) => Err(TabularError::TooManyBadRows {
                bad,
                total: self.total,
                limit,
                first: Box::new(first),
            }),
            None => Ok(()),
        }
    }
}
