//! The first pass: the whole input is read, counted, typed or held to a contract.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use arrow_schema::{FieldRef, Fields};

use crate::arrow_columns::{Cells, Rule, refused};
use crate::bad_rows::{BadReason, OnBadRow};
use crate::blocks::Block;
use crate::cell_text;
use crate::dialect::Dialect;
use crate::error::TabularError;
use crate::format::Layout;
use crate::infer::{CSV_QUOTED, Guess, JSON_QUOTED, observe};
use crate::input::Input;
use crate::progress::Progress;
use crate::records::{BadRecord, MAX_BLOCK, Rows};
use crate::refusals::Refusals;
use crate::rows::Pass;
use crate::schema::{Column, ColumnType, Schema};

/// How columns get their types.
#[derive(Debug, Clone, PartialEq)]
pub enum Typing {
    /// From all cells of the input: the narrowest type that holds each unchanged.
    Infer,
    /// All text; only empty unquoted cells (and the user's null tokens) are null.
    Text,
    /// From a contract; cells that break it make bad rows. Columns of the header that it does not
    /// name are ignored.
    Contract(Schema),
}

/// How inputs are read.
#[derive(Debug, Clone, PartialEq)]
pub struct ScanOptions {
    /// Delimiter, quotes, header.
    pub dialect: Dialect,
    /// How columns get their types.
    pub typing: Typing,
    /// Unquoted cells that mean null in every column, besides the empty one.
    pub null_tokens: Vec<String>,
    /// The longest record, in bytes; a longer one is an error. At most 128 MiB.
    pub max_record: u64,
    /// Threads that parse; reading and writing have one each besides.
    pub threads: usize,
    /// JSON Lines: the columns, where they are known already; else all keys are looked for first.
    pub keys: Option<Vec<String>>,
    /// Columns that a contract does not name are an error; else they are read past.
    pub refuse_new_columns: bool,
    /// Only so many first data rows.
    pub limit_rows: Option<u64>,
    /// What becomes of bad rows.
    pub on_bad_row: OnBadRow,
    /// Bytes of text at the beginning that types are first guessed from, where that saves a pass over the
    /// input; 0 guesses none. Changes no output.
    pub sample_bytes: u64,
    /// Bytes of a block. Bounds memory (about threads × 4 blocks) and changes no output but the
    /// batches of a sidecar.
    pub block_bytes: usize,
}

/// Bytes of a block unless asked otherwise.
pub const DEFAULT_BLOCK_BYTES: usize = 256 << 10;
/// Bytes of a block where rows become columns: a block's columns are arrays of their own, which should
/// not be too short, and its text, fields and arrays together still fit in a core's cache of 2 MiB.
pub const COLUMNAR_BLOCK_BYTES: usize = 512 << 10;
/// Bytes that types are first guessed from, unless asked otherwise.
pub const DEFAULT_SAMPLE_BYTES: u64 = 4 << 20;
/// The longest record unless asked otherwise.
pub const DEFAULT_MAX_RECORD: u64 = 16 << 20;

impl Default for ScanOptions {
    fn default() -> Self {
        Self {
            dialect: Dialect::default(),
            typing: Typing::Infer,
            null_tokens: Vec::new(),
            max_record: DEFAULT_MAX_RECORD,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            keys: None,
            refuse_new_columns: false,
            limit_rows: None,
            on_bad_row: OnBadRow::Fail,
            sample_bytes: DEFAULT_SAMPLE_BYTES,
            block_bytes: DEFAULT_BLOCK_BYTES,
        }
    }
}

impl ScanOptions {
    /// Refuses options that cannot work.
    pub(crate) fn check(&self) -> Result<(), TabularError> {
        self.dialect.check()?;
        let most = (MAX_BLOCK / 4) as u64;
        if self.max_record == 0 || self.max_record > most {
            let found = self.max_record;
            return Err(TabularError::Options(format!(
                "max_record: expected 1 to {most} bytes, found {found}"
            )));
        }
        if let OnBadRow::Quarantine {
            max_ratio: Some(ratio),
            ..
        } = self.on_bad_row
            && !(0.0..=1.0).contains(&ratio)
        {
            return Err(TabularError::Options(format!(
                "max_ratio: expected 0 to 1, found {ratio}"
            )));
        }
        Ok(())
    }

    /// The contract's columns as rules, in header order; none without a contract.
    pub(crate) fn contract_rules(
        &self,
        names: &[String],
        file: &str,
    ) -> Result<Vec<Rule>, TabularError> {
        match &self.typing {
            Typing::Contract(schema) => rules(schema, names, file, &self.null_tokens),
            Typing::Infer | Typing::Text => Ok(Vec::new()),
        }
    }
}

/// The columns of `schema` in the order of the header.
pub(crate) fn rules(
    schema: &Schema,
    names: &[String],
    file: &str,
    null_tokens: &[String],
) -> Result<Vec<Rule>, TabularError> {
    let wanted: Vec<&str> = schema.columns.iter().map(|c| c.name.as_str()).collect();
    let places = places(&wanted, names, file)?;
    let columns = schema.columns.iter().zip(places);
    let mut rules: Vec<Rule> = columns
        .map(|(c, i)| Rule::new(i, c.clone(), null_tokens))
        .collect();
    rules.sort_by_key(|r| r.index);
    Ok(rules)
}

/// Where columns are in the header; an error that lists all that are not.
pub(crate) fn places(
    wanted: &[&str],
    names: &[String],
    file: &str,
) -> Result<Vec<usize>, TabularError> {
    // Of two columns with one name the first.
    let named = names
        .iter()
        .map(String::as_str)
        .enumerate()
        .rev()
        .map(|(at, name)| (name, at));
    let at: HashMap<&str, usize> = named.collect();
    let place = |w: &&str| at.get(*w).copied();
    let missing: Vec<String> = wanted
        .iter()
        .filter(|w| place(w).is_none())
        .map(|w| (*w).to_owned())
        .collect();
    if missing.is_empty() {
        return Ok(wanted.iter().filter_map(place).collect());
    }
    Err(TabularError::MissingColumns {
        file: file.into(),
        columns: missing,
        header: names.to_vec(),
    })
}

/// One input as a scan saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileScan {
    /// The input's name.
    pub name: String,
    /// Data rows, bad ones counted.
    pub rows: u64,
    /// Bytes after decompression.
    pub bytes: u64,
}

/// What a scan found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Scan {
    /// The columns with their types. `null_tokens` of each are complete, so that the schema alone
    /// tells a second pass which cells are null. A contract's columns come in header order.
    pub schema: Schema,
    /// The header's names in order, those that a contract leaves out as well.
    pub header: Vec<String>,
    /// Data rows of all inputs.
    pub rows_source: u64,
    /// Rows that are not bad.
    pub rows_accepted: u64,
    /// Bad rows by reason.
    pub bad: BTreeMap<BadReason, u64>,
    /// Bytes of all inputs after decompression.
    pub bytes: u64,
    /// The inputs in order, up to the limit of rows.
    pub files: Vec<FileScan>,
}

/// Reads all inputs once. Memory: about four blocks a thread.
///
/// # Errors
/// The first bad row in input order where none is allowed; too many of them; a header that cannot be
/// used or differs between inputs; a record beyond the limit; those of reading.
pub fn scan(
    inputs: &[Input],
    options: &ScanOptions,
    progress: &dyn Progress,
) -> Result<Scan, TabularError> {
    let pass = Pass::open(inputs, options)?;
    let header = pass.names().to_vec();
    let rules = options.contract_rules(&header, &inputs[0].name)?;
    let own = pass.fields().map(own_schema);
    let typed = options.typing == Typing::Infer && own.is_none();
    let (width, dialect) = (header.len(), pass.dialect());
    let quoted = if inputs[0].layout == Layout::JsonLines {
        JSON_QUOTED
    } else {
        CSV_QUOTED
    };
    let mut guesses = vec![Guess::NONE; width];
    let mut refusals = Refusals::new(options.on_bad_row);
    let look = |block: &Block, rows: &mut Rows| {
        hold_to(&rules, rows, block, width, &dialect);
        if typed {
            let tokens = &options.null_tokens;
            observe(rows, block.text(), width, &dialect, tokens, quoted)
        } else {
            Vec::new()
        }
    };
    let files = pass.run(&mut refusals, progress, look, |taken| {
        for (guess, seen) in guesses.iter_mut().zip(taken.value) {
            *guess = guess.merge(seen);
        }
        Ok(())
    })?;
    refusals.finish()?;
    let schema = match (&options.typing, own) {
        (Typing::Infer, Some(own)) => own,
        (Typing::Infer, None) => {
            let columns = header
                .iter()
                .zip(&guesses)
                .map(|(name, guess)| guess.column(name, &options.null_tokens));
            Schema {
                columns: columns.collect(),
            }
        }
        (Typing::Text, _) => text_schema(&header, &options.null_tokens),
        (Typing::Contract(_), _) => Schema {
            columns: rules.into_iter().map(|r| r.column).collect(),
        },
    };
    Ok(Scan {
        schema,
        header,
        rows_source: refusals.total,
        rows_accepted: refusals.total - refusals.bad(),
        bytes: files.iter().map(|f| f.bytes).sum(),
        bad: refusals.counts,
        files,
    })
}

/// The columns of a source that has types, each as the nearest of ours.
pub(crate) fn own_schema(fields: &Fields) -> Schema {
    let column = |field: &FieldRef| Column {
        nullable: field.is_nullable(),
        ..Column::new(field.name(), cell_text::column_type(field.data_type()))
    };
    Schema {
        columns: fields.iter().map(column).collect(),
    }
}

/// All columns as nullable text.
pub(crate) fn text_schema(names: &[String], null_tokens: &[String]) -> Schema {
    let column = |name: &String| Column {
        null_tokens: null_tokens.to_vec(),
        ..Column::new(name, ColumnType::String)
    };
    Schema {
        columns: names.iter().map(column).collect(),
    }
}

/// Refuses rows that break a rule, each for the first such column in header order.
pub(crate) fn hold_to(
    rules: &[Rule],
    rows: &mut Rows,
    block: &Block,
    width: usize,
    dialect: &Dialect,
) {
    let mut bad: BTreeMap<usize, BadRecord> = BTreeMap::new();
    for rule in rules {
        for (row, record) in refused(
            rule,
            Cells {
                rows,
                block,
                width,
                dialect,
            },
        ) {
            bad.entry(row).or_insert(record);
        }
    }
    rows.refuse(bad.into_iter().collect(), width);
}
