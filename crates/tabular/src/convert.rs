//! From any format to any other: the same bytes in another wrapper, canonical text, or Parquet; with a
//! label and a split, a training set.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use serde::Serialize;

use crate::bad_rows::BadReason;
use crate::convert_parquet::to_parquet;
use crate::convert_parts::Outputs;
use crate::convert_text::{to_text, verbatim};
use crate::error::TabularError;
use crate::format::{Format, Layout};
use crate::input::Input;
use crate::label::Label;
use crate::parquet_copy::copy_columns;
use crate::parquet_writer::ParquetCompression;
use crate::progress::Progress;
use crate::refusals::Refusals;
use crate::scan::{COLUMNAR_BLOCK_BYTES, DEFAULT_BLOCK_BYTES, ScanOptions, Typing};
use crate::schema::Schema;
use crate::split::Split;

/// Where to write it.
pub enum Target {
    /// One file; it appears under its name only when it is whole.
    File(PathBuf),
    /// `part-00000.csv` … in a folder, which is made if it is not there.
    Folder(PathBuf),
    /// A stream, such as stdout.
    Writer(Box<dyn Write + Send>),
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Folder(path) => f.debug_tuple("Folder").field(path).finish(),
            Self::Writer(_) => f.write_str("Writer"),
        }
    }
}

/// A conversion. `Default` converts to text, everything as it is, with no inputs.
#[derive(Debug)]
pub struct ConvertJob {
    /// What to read. To Parquet with [`Typing::Infer`] it is read twice: a stream has to be
    /// [spilled](Input::spilled) first.
    pub inputs: Vec<Input>,
    /// How to read it.
    pub options: ScanOptions,
    /// The format.
    pub to: Format,
    /// The place.
    pub output: Target,
    /// Replace what is there.
    pub overwrite: bool,
    /// Rewrite CSV as canonical CSV even where only the wrapper changes.
    pub canonical: bool,
    /// Begin CSV with a header line.
    pub output_header: bool,
    /// Only these columns, in this order.
    pub select: Option<Vec<String>>,
    /// All columns but these.
    pub drop: Vec<String>,
    /// New names, by old ones.
    pub rename: BTreeMap<String, String>,
    /// Which column is written first, as numbers.
    pub label: Option<Label>,
    /// Rows to parts, each a folder of its own in the output's.
    pub split: Option<Split>,
    /// Rows of a part, at most.
    pub max_rows: Option<u64>,
    /// Bytes of a part before compression, its header counted, at most; CSV only.
    pub max_bytes: Option<u64>,
    /// Rows of a Parquet row group, at most: it also ends at
    /// [`DEFAULT_ROW_GROUP_BYTES`](crate::parquet_writer::DEFAULT_ROW_GROUP_BYTES).
    pub row_group_rows: Option<usize>,
    /// The codec of Parquet pages.
    pub compression: ParquetCompression,
    /// Bad rows go here, a JSON object a line; not written if there are none.
    pub bad_rows: Option<PathBuf>,
    /// Hash the files on their way, at about 2 GB a second.
    pub digests: bool,
}

impl ConvertJob {
    /// Converts `inputs` to `output` with all else at its default.
    pub fn new(inputs: Vec<Input>, to: Format, output: Target) -> Self {
        Self {
            inputs,
            options: ScanOptions::default(),
            to,
            output,
            overwrite: false,
            canonical: false,
            output_header: true,
            select: None,
            drop: Vec::new(),
            rename: BTreeMap::new(),
            label: None,
            split: None,
            max_rows: None,
            max_bytes: None,
            row_group_rows: None,
            compression: ParquetCompression::default(),
            bad_rows: None,
            digests: false,
        }
    }

    fn check(&self) -> Result<(), TabularError> {
        let refuse = |message: &str| Err(TabularError::Options(message.to_owned()));
        if self.inputs.is_empty() {
            return Err(TabularError::NoInput);
        }
        if self.to.layout == Layout::Parquet && self.max_bytes.is_some() {
            return refuse("max_bytes does not limit Parquet parts: use max_rows");
        }
        if let Some(split) = &self.split {
            split.check()?;
            if !matches!(self.output, Target::Folder(_)) {
                return refuse("a split writes a folder for each part: name a folder as output");
            }
        }
        let cut = self.max_rows.is_some() || self.max_bytes.is_some();
        if cut && !matches!(self.output, Target::Folder(_)) {
            return refuse(
                "max_rows and max_bytes cut the output into parts: name a folder as output",
            );
        }
        Ok(())
    }

    /// Whether all columns go on as they are, none but left out or renamed.
    fn keeps_rows(&self) -> bool {
        self.label.is_none() && self.split.is_none()
    }

    /// Whether the text stays as it is, byte for byte, but for bad rows taken out.
    fn is_verbatim(&self) -> bool {
        let [input] = self.inputs.as_slice() else {
            return false;
        };
        // Of the text layouts only CSV has a header.
        let same_header =
            input.layout == Layout::JsonLines || self.output_header == self.options.dialect.header;
        input.layout == self.to.layout
            && same_header
            && self.options.dialect.skip_lines == 0
            && self.keeps_rows()
            && !self.canonical
            && self.select.is_none()
            && self.drop.is_empty()
            && self.rename.is_empty()
            && self.max_rows.is_none()
            && self.max_bytes.is_none()
    }

    /// Whether Parquet's own columns can be copied, types and all.
    fn copies_columns(&self) -> bool {
        self.inputs.iter().all(|i| i.layout == Layout::Parquet)
            && self.keeps_rows()
            && self.options.typing == Typing::Infer
    }
}

/// A file that was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OutputFile {
    /// Its name in the output's folder: `part-00000.parquet`, of a split `train/part-00000.parquet`.
    pub name: String,
    /// Its whole path.
    pub path: PathBuf,
    /// Rows in it.
    pub rows: u64,
    /// Its size in bytes.
    pub bytes: u64,
    /// SHA-256 of its bytes, 64 lower-case hexadecimal digits; where the job asked for it.
    pub sha256: Option<String>,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Converted {
    /// Data rows of all inputs.
    pub rows_source: u64,
    /// Rows written.
    pub rows: u64,
    /// Rows left out because they have no label. Source rows are these, the bad ones and those
    /// written.
    pub unlabelled: u64,
    /// Bad rows by reason.
    pub quarantined: BTreeMap<BadReason, u64>,
    /// The files in row order, of a split part by part; none for a stream.
    pub files: Vec<OutputFile>,
    /// The columns written, under their new names; none for text, whose cells have no types.
    pub schema: Option<Schema>,
    /// Rows of each part of a split, in its order; empty without one.
    pub split: Vec<(String, u64)>,
}

impl ConvertJob {
    /// Blocks of the size that suits the output, unless the caller chose another.
    fn suit_blocks(&mut self) {
        if self.to.layout == Layout::Parquet && self.options.block_bytes == DEFAULT_BLOCK_BYTES {
            self.options.block_bytes = COLUMNAR_BLOCK_BYTES;
        }
    }
}

/// Converts. Memory: about four blocks a thread, and for Parquet the row groups under way. Where the
/// input is read twice, `progress` is told of both passes.
///
/// # Errors
/// Those of [`scan`](crate::scan::scan); an output that exists; options that contradict each other;
/// those of writing. Nothing is then left under a final name.
pub fn convert(mut job: ConvertJob, progress: &dyn Progress) -> Result<Converted, TabularError> {
    job.check()?;
    job.suit_blocks();
    let target = std::mem::replace(&mut job.output, Target::Folder(PathBuf::new()));
    let outputs = Outputs::new(target, &job)?;
    let mut refusals = Refusals::new(job.options.on_bad_row);
    if let Some(path) = &job.bad_rows {
        refusals = refusals.keep_in(path)?;
    }
    let written = match job.to.layout {
        Layout::Parquet if job.copies_columns() => {
            copy_columns(&job, outputs, &mut refusals, progress)
        }
        Layout::Parquet => to_parquet(&job, outputs, &mut refusals, progress),
        _ if job.is_verbatim() => verbatim(&job, outputs, &mut refusals, progress),
        _ => to_text(&job, outputs, &mut refusals, progress),
    };
    refusals.keep()?;
    let written = written?;
    Ok(Converted {
        rows_source: refusals.total,
        rows: written.rows,
        unlabelled: written.unlabelled,
        quarantined: refusals.counts,
        files: written.files,
        schema: written.schema,
        split: written.split,
    })
}

/// What a conversion wrote.
pub(crate) struct Written {
    pub(crate) rows: u64,
    /// Rows left out because they have no label.
    pub(crate) unlabelled: u64,
    pub(crate) files: Vec<OutputFile>,
    /// The columns, where they have types.
    pub(crate) schema: Option<Schema>,
    /// Rows of each part of a split.
    pub(crate) split: Vec<(String, u64)>,
}
