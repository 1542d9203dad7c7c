//! The command lines of `convert` and `inspect` as typed.

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};
use gristmill_tabular::{Format, NO_QUOTE, TextEncoding};

use crate::args::name_value;

/// How CSV is read.
#[derive(Debug, Clone, Args)]
pub(crate) struct CsvArgs {
    /// Between fields: one ASCII character, or `tab`; by default (`auto`) a comma where that fits, else
    /// what the data shows.
    #[arg(long, value_name = "CHAR", value_parser = character_or_auto)]
    pub(crate) delimiter: Option<Character>,
    /// Around fields: one ASCII character, or `none`; by default (`auto`) a double quote where that
    /// fits, else what the data shows.
    #[arg(long, value_name = "CHAR", value_parser = quote_or_auto)]
    pub(crate) quote: Option<Character>,
    /// Within quotes, makes the next character literal: a quote that is not doubled, or itself.
    #[arg(long, value_name = "CHAR", value_parser = ascii_character)]
    pub(crate) escape: Option<u8>,
    /// Starts a comment line.
    #[arg(long, value_name = "CHAR", value_parser = ascii_character)]
    pub(crate) comment: Option<u8>,
    /// How the text's bytes stand for characters: utf-8, utf-16, windows-1252, cp932, euc-jp, gb18030,
    /// …; by default UTF-16 with a byte order mark, else UTF-8.
    #[arg(long, value_name = "NAME", env = "GRISTMILL_ENCODING", value_parser = encoding)]
    pub(crate) encoding: Option<TextEncoding>,
    /// Lines before the table that are no part of it.
    #[arg(long, value_name = "N", env = "GRISTMILL_SKIP_LINES", value_parser = clap::value_parser!(u64).range(..=1_000_000))]
    pub(crate) skip_lines: Option<u64>,
    /// Whether the first record holds the names; by default it does, for `inspect` it is found from
    /// the data.
    #[arg(long, value_enum, env = "GRISTMILL_HEADER")]
    pub(crate) header: Option<Header>,
    /// One more text that means null.
    #[arg(long = "null", value_name = "TOKEN")]
    pub(crate) null: Vec<String>,
    /// The longest record that is accepted, in bytes.
    #[arg(long, value_name = "SIZE", value_parser = size, env = "GRISTMILL_MAX_RECORD")]
    pub(crate) max_record: Option<u64>,
    /// Worker threads; by default one a core.
    #[arg(long, value_name = "N", env = "GRISTMILL_THREADS", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,
}

/// A byte that is stated, or is to be found from the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Character {
    /// This one.
    Byte(u8),
    /// What the data shows.
    Auto,
}

impl Character {
    /// The byte, where it is stated.
    pub(crate) fn stated(self) -> Option<u8> {
        match self {
            Self::Byte(byte) => Some(byte),
            Self::Auto => None,
        }
    }
}

/// `--header`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Header {
    /// It does.
    Yes,
    /// It does not: columns are named by their place.
    No,
    /// It is found from the data.
    Auto,
}

/// `--output-header`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum YesNo {
    /// Yes.
    Yes,
    /// No.
    No,
}

/// `--on-bad-row`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnBadRow {
    /// Stop at the first.
    #[default]
    Fail,
    /// Set them aside.
    Quarantine,
}

/// `--columns`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Columns {
    /// Types are found over the whole input.
    #[default]
    Infer,
    /// Every column is text; no cell is touched.
    Text,
    /// The file of a contract.
    Contract(PathBuf),
}

impl std::str::FromStr for Columns {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "infer" => Self::Infer,
            "text" => Self::Text,
            path => Self::Contract(PathBuf::from(path)),
        })
    }
}

/// `--on-new-column`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnNewColumn {
    /// They are read past.
    #[default]
    Ignore,
    /// They are read past, with a warning.
    Warn,
    /// Nothing is converted.
    Fail,
}

/// `--label-missing`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum LabelMissing {
    /// They are left out, and counted.
    #[default]
    Drop,
    /// They are bad rows.
    Fail,
}

/// `--compression`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Codec {
    /// Snappy.
    #[default]
    Snappy,
    /// zstd, level 3.
    Zstd,
    /// gzip, level 6.
    Gzip,
    /// None.
    None,
}

/// `convert`.
#[derive(Debug, Clone, Args)]
pub(crate) struct ConvertArgs {
    /// Inputs, then the output: a file, a folder (with a final slash), or `-` for standard input
    /// and output.
    #[arg(required = true, num_args = 2.., value_name = "IN... OUT")]
    pub(crate) paths: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) csv: CsvArgs,
    /// Format of the input, where its name does not tell.
    #[arg(long, value_name = "FORMAT", value_parser = format_names())]
    pub(crate) from: Option<Format>,
    /// Format of the output, where its name does not tell.
    #[arg(long, value_name = "FORMAT", value_parser = format_names())]
    pub(crate) to: Option<Format>,
    /// How columns get their types: `infer` (over the whole input), `text` (no cell is touched), or a
    /// contract's file.
    #[arg(long, value_name = "infer|text|FILE", default_value = "infer")]
    pub(crate) columns: Columns,
    /// What happens when the input has columns that the contract does not name.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) on_new_column: OnNewColumn,
    /// The type of one column.
    #[arg(long = "type", value_name = "NAME=TYPE", value_parser = name_value)]
    pub(crate) types: Vec<(String, String)>,
    /// What happens to a row that cannot be accepted.
    #[arg(long, value_enum, default_value_t, env = "GRISTMILL_ON_BAD_ROW")]
    pub(crate) on_bad_row: OnBadRow,
    /// Where bad rows are written, as JSON Lines.
    #[arg(long, value_name = "FILE")]
    pub(crate) bad_rows: Option<PathBuf>,
    /// Whether CSV output, or each part of it, begins with the names.
    #[arg(long, value_enum, default_value_t = YesNo::Yes)]
    pub(crate) output_header: YesNo,
    /// Only these columns, in this order.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) select: Vec<String>,
    /// All but these columns.
    #[arg(
        long,
        value_name = "NAMES",
        value_delimiter = ',',
        conflicts_with = "select"
    )]
    pub(crate) drop: Vec<String>,
    /// A column's new name.
    #[arg(long, value_name = "OLD=NEW", value_parser = name_value)]
    pub(crate) rename: Vec<(String, String)>,
    /// The label: written first, as a number; rows without one are left out and counted.
    #[arg(long, value_name = "NAME")]
    pub(crate) label: Option<String>,
    /// The label is 1 for numbers above this one, else 0.
    #[arg(
        long,
        value_name = "NUMBER",
        requires = "label",
        conflicts_with = "label_map",
        allow_negative_numbers = true
    )]
    pub(crate) label_above: Option<f64>,
    /// The number for each text of the label.
    #[arg(long, value_name = "TEXT=NUMBER,...", requires = "label", value_delimiter = ',', value_parser = name_value)]
    pub(crate) label_map: Vec<(String, String)>,
    /// What happens to rows without a label.
    #[arg(long, value_enum, default_value_t, requires = "label")]
    pub(crate) label_missing: LabelMissing,
    /// Parts and their shares, each a folder in OUT: train=0.8,test=0.2.
    #[arg(
        long,
        value_name = "PART=SHARE,...",
        value_delimiter = ',',
        value_parser = part_share,
        requires = "split_key"
    )]
    pub(crate) split: Vec<(String, f64)>,
    /// The columns whose hash decides a row's part: rows of one key stay together.
    #[arg(long, value_name = "NAMES", value_delimiter = ',', requires = "split")]
    pub(crate) split_key: Vec<String>,
    /// Another seed makes another split.
    #[arg(long, value_name = "N", default_value_t = 0, requires = "split")]
    pub(crate) split_seed: u64,
    /// Close a shard before it would pass this size, uncompressed (45MB, 45MiB).
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(crate) max_bytes: Option<u64>,
    /// Close a shard at this many rows.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) max_rows: Option<u64>,
    /// Rows in a Parquet row group, at most; long rows end it at 64 MiB of values.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub(crate) row_group_rows: Option<u64>,
    /// Codec of the pages of Parquet; text is wrapped by its format's name.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) compression: Codec,
    /// Write canonical text even where the bytes could stay as they are.
    #[arg(long)]
    pub(crate) canonical: bool,
    /// Only the first N data rows.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) limit_rows: Option<u64>,
    /// Replace the output if it exists.
    #[arg(long, env = "GRISTMILL_OVERWRITE", value_parser = clap::builder::FalseyValueParser::new())]
    pub(crate) overwrite: bool,
}

/// `inspect`.
#[derive(Debug, Clone, Args)]
pub(crate) struct InspectArgs {
    /// A file of any format that `convert` reads.
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) csv: CsvArgs,
    /// Write the columns as a contract (YAML) to standard output instead, for `source.columns`.
    #[arg(long)]
    pub(crate) contract: bool,
    /// How many rows are shown.
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub(crate) rows: usize,
}

fn encoding(text: &str) -> Result<TextEncoding, String> {
    gristmill_plan::parse_encoding(text)?.parse()
}

/// Every format's name, as a parser that lists them in the help.
fn format_names() -> impl TypedValueParser<Value = Format> {
    PossibleValuesParser::new(Format::all().map(Format::name))
        .try_map(|name| name.parse::<Format>())
}

fn part_share(text: &str) -> Result<(String, f64), String> {
    let (name, share) =
        name_value(text).map_err(|_| format!("expected PART=SHARE, found {text:?}"))?;
    match share.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok((name, number)),
        _ => Err(format!(
            "{name}: expected a number between 0 and 1, found {share:?}"
        )),
    }
}

fn character_or_auto(text: &str) -> Result<Character, String> {
    match text {
        "auto" => Ok(Character::Auto),
        _ => ascii_character(text).map(Character::Byte),
    }
}

fn quote_or_auto(text: &str) -> Result<Character, String> {
    match text {
        "none" => Ok(Character::Byte(NO_QUOTE)),
        _ => character_or_auto(text),
    }
}

fn ascii_character(text: &str) -> Result<u8, String> {
    match text {
        "tab" | "\\t" => Ok(b'\t'),
        "comma" => Ok(b','),
        "semicolon" => Ok(b';'),
        "pipe" => Ok(b'|'),
        "space" => Ok(b' '),
        _ => match text.as_bytes() {
            [byte] if byte.is_ascii() => Ok(*byte),
            _ => Err(format!(
                "expected one ASCII character, or `tab`, found {text:?}"
            )),
        },
    }
}

fn size(text: &str) -> Result<u64, String> {
    gristmill_plan::parse_size(text)
}
