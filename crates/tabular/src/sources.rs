//! What a pass reads: blocks of text or of typed rows, and what finds their rows.

use crate::bad_rows::OnBadRow;
use crate::batches::Batches;
use crate::blocks::{Block, Blocks, Cutting};
use crate::dialect::Dialect;
use crate::error::TabularError;
use crate::format::Layout;
use crate::input::Input;
use crate::json_columns;
use crate::json_rows::{self, Keys};
use crate::parser::{ParseLimits, parse};
use crate::records::Rows;
use crate::refusals::Refusals;
use crate::rendered_rows;
use crate::rows::Pass;
use crate::scan::{ScanOptions, Typing};

/// What gives blocks.
pub(crate) enum Source {
    Text(Blocks),
    Batches(Batches),
}

/// What finds the rows of a block.
pub(crate) enum Parser {
    Csv,
    Json(Keys),
    /// With the columns whose text is needed; without, all.
    Rendered(Option<Vec<usize>>),
}

impl Source {
    pub(crate) fn next(&mut self) -> Result<Option<Block>, TabularError> {
        match self {
            Source::Text(blocks) => blocks.next(),
            Source::Batches(batches) => batches.next(),
        }
    }
}

impl Parser {
    pub(crate) fn parse(&self, block: &mut Block, dialect: &Dialect, limits: &ParseLimits) -> Rows {
        match self {
            Parser::Csv => parse(block.text(), block.start, dialect, limits),
            Parser::Json(keys) => json_rows::parse(block, keys, limits),
            Parser::Rendered(needed) => rendered_rows::render(block, limits, needed.as_deref()),
        }
    }
}

/// All inputs of a pass are laid out alike.
pub(crate) fn layout_of(inputs: &[Input]) -> Result<Layout, TabularError> {
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
pub(crate) fn json_names(
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

/// Why JSON Lines have no keys: there is no line, there are other things than objects, or empty ones. Keys
/// are looked for up to a line that is too long, which is an error before those of allowed bad rows.
fn without_keys(inputs: &[Input], options: &ScanOptions) -> TabularError {
    let options = ScanOptions {
        keys: Some(Vec::new()),
        typing: Typing::Text,
        ..options.clone()
    };
    let rows = |on_bad_row: OnBadRow| {
        let mut refusals = Refusals::new(on_bad_row);
        let pass = Pass::open(inputs, &options)?;
        pass.run(&mut refusals, &(), |_, _| (), |_| Ok(()))?;
        Ok(refusals.total)
    };
    let read = rows(options.on_bad_row).and_then(|_| rows(OnBadRow::Fail));
    let file = inputs
        .first()
        .map_or("", |input| input.name.as_str())
        .into();
    match read {
        Err(error) => error,
        Ok(0) => TabularError::Empty {
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
