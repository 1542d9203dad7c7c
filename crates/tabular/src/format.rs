//! The formats that tables are read from and written to: a layout of rows in a wrapper of bytes.

use serde::{Deserialize, Serialize};

use crate::compression::Compression;

/// How rows are laid out in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// Delimited text.
    #[default]
    Csv,
    /// One JSON object a line (<https://jsonlines.org>).
    #[serde(rename = "jsonl")]
    JsonLines,
    /// Apache Parquet, whose compression is inside.
    Parquet,
}

impl Layout {
    /// By the first bytes of the text: Parquet's magic number, a `{` as the first character, else
    /// CSV. A CSV file may begin with PAR1 as the name of a column; in Parquet a length or an
    /// encoding follows, which is no printable character.
    pub fn sniff(first_bytes: &[u8]) -> Layout {
        let text = first_bytes
            .strip_prefix(b"\xef\xbb\xbf")
            .unwrap_or(first_bytes)
            .trim_ascii_start();
        match first_bytes {
            [b'P', b'A', b'R', b'1', next, ..] if *next < b' ' && !next.is_ascii_whitespace() => {
                Layout::Parquet
            }
            _ if text.starts_with(b"{") => Layout::JsonLines,
            _ => Layout::Csv,
        }
    }

    /// `csv`, `jsonl` or `parquet`.
    pub fn name(self) -> &'static str {
        match self {
            Layout::Csv => "csv",
            Layout::JsonLines => "jsonl",
            Layout::Parquet => "parquet",
        }
    }
}

/// A layout in a wrapper. Serialised as its name: `csv.gz`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Format {
    /// How rows are laid out.
    pub layout: Layout,
    /// What the text is wrapped in; [`Compression::None`] for Parquet.
    pub compression: Compression,
}

impl Format {
    /// Plain CSV.
    pub const CSV: Format = Format::text(Layout::Csv, Compression::None);
    /// Plain JSON Lines.
    pub const JSON_LINES: Format = Format::text(Layout::JsonLines, Compression::None);
    /// Parquet.
    pub const PARQUET: Format = Format::text(Layout::Parquet, Compression::None);

    /// A text layout in a wrapper.
    pub const fn text(layout: Layout, compression: Compression) -> Format {
        Format {
            layout,
            compression,
        }
    }

    /// Whether a format is text in this wrapper.
    pub(crate) fn wraps(compression: Compression) -> impl Fn(Format) -> bool {
        move |format| format.layout != Layout::Parquet && format.compression == compression
    }

    /// Every format, plain ones first.
    pub fn all() -> impl Iterator<Item = Format> {
        let wrapped = |layout| {
            Compression::ALL
                .iter()
                .map(move |&c| Format::text(layout, c))
        };
        wrapped(Layout::Csv)
            .chain(wrapped(Layout::JsonLines))
            .chain([Format::PARQUET])
    }

    /// The format that a file name or URI asks for by its extensions, in any case: `x.csv.gz`. A
    /// Parquet file may name its codec before, as Spark's do: `x.snappy.parquet`.
    pub fn from_name(name: &str) -> Option<Format> {
        let name = name.to_ascii_lowercase();
        Format::all().find(|format| {
            name.strip_suffix(format.name())
                .is_some_and(|stem| stem.is_empty() || stem.ends_with('.'))
        })
    }

    /// Its name, which is also the extension of its files without the first dot: `csv.gz`.
    pub fn name(self) -> &'static str {
        match (self.layout, self.compression) {
            (Layout::Csv, Compression::None) => "csv",
            (Layout::Csv, Compression::Gzip) => "csv.gz",
            (Layout::Csv, Compression::SnappyFramed) => "csv.sz",
            (Layout::Csv, Compression::SnappyHadoop) => "csv.snappy",
            (Layout::Csv, Compression::Zstd) => "csv.zst",
            (Layout::JsonLines, Compression::None) => "jsonl",
            (Layout::JsonLines, Compression::Gzip) => "jsonl.gz",
            (Layout::JsonLines, Compression::SnappyFramed) => "jsonl.sz",
            (Layout::JsonLines, Compression::SnappyHadoop) => "jsonl.snappy",
            (Layout::JsonLines, Compression::Zstd) => "jsonl.zst",
            (Layout::Parquet, _) => "parquet",
        }
    }
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Format, String> {
        Format::all()
            .find(|format| format.name() == text)
            .ok_or_else(|| {
                let names: Vec<&str> = Format::all().map(Format::name).collect();
                format!("expected one of {}, found {text:?}", names.join(", "))
            })
    }
}

impl From<Format> for String {
    fn from(format: Format) -> String {
        format.name().to_owned()
    }
}

impl TryFrom<String> for Format {
    type Error = String;

    fn try_from(text: String) -> Result<Format, String> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

    use super::*;

    #[test]
    fn every_name_is_its_own_and_comes_back() {
        for format in Format::all() {
            assert_eq!(format.name().parse::<Format>(), Ok(format));
            assert_eq!(Format::from_name(&format!("a.b/x.{format}")), Some(format));
            assert_eq!(Format::from_name(format.name()), Some(format));
        }
        assert_eq!(
            Format::from_name("part-0.snappy.parquet"),
            Some(Format::PARQUET)
        );
        assert_eq!(Format::from_name("X.CSV"), Some(Format::CSV));
        for other in ["x", "x.txt", "xcsv", "csv.x", ""] {
            assert_eq!(Format::from_name(other), None, "{other}");
        }
        assert!("tsv".parse::<Format>().is_err());
    }
}
