//! What the user wrote, typed: templates rendered, defaults filled in, relative paths joined to
//! the file's folder. The unit of every size is bytes, of every duration seconds.

mod job_settings;
mod prepare;

pub use job_settings::{
    DataCaptureConfig, DataProcessing, ExperimentConfig, Jobs, Join, JoinSource,
};
pub use prepare::{Label, LabelRule, OnMissing, Prepare, Split};

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::budget::Budget;
use crate::problem::{Place, Problem};
use crate::tree::Quote;

/// A whole pipeline.
#[derive(Debug, Clone, PartialEq)]
pub struct Spec {
    /// The format's version: 1.
    pub version: u32,
    /// `a-z`, `0-9`, `-`; becomes part of job names and run keys.
    pub name: String,
    /// Every declared parameter with its value: an integer, float, boolean or string (a date is
    /// the string `YYYY-MM-DD`).
    pub params: BTreeMap<String, Value>,
    /// Where a run's state is kept; always there with `transform`.
    pub work: Option<Work>,
    /// What is read.
    pub source: Source,
    /// Which columns go where.
    pub prepare: Prepare,
    /// How the prepared rows are written.
    pub shards: Shards,
    /// The scoring job, if there is one.
    pub transform: Option<Transform>,
    /// What is published; there if and only if `transform` is.
    pub assemble: Option<Assemble>,
    /// What the transform jobs of a run may take.
    pub budget: Option<Budget>,
    /// What answers for the model under `--local`.
    pub local: Option<Local>,
    /// The pipeline file's folder: relative paths were joined to it, commands run in it.
    pub base: PathBuf,
    /// What is not wrong, but worth knowing before a run, with its place.
    pub warnings: Vec<Problem>,
    /// The place of every node that the file holds, by its path (`prepare.select[2]`).
    pub places: Places,
}

/// Node path → place. Paths are those of the file: keys joined by `.`, items as `[n]` from 0.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Places {
    /// For what is not in the file (a default): the nearest node above it, at last the start.
    pub(crate) file: String,
    pub(crate) by_path: BTreeMap<String, (u32, u32)>,
    /// How the texts stand there of which single characters have places.
    pub(crate) quotes: BTreeMap<String, Quote>,
}

impl Places {
    /// The place of a node, or of the nearest node above it that the file holds.
    pub fn of(&self, path: &str) -> Place {
        let mut path = path;
        loop {
            if let Some(&(line, column)) = self.by_path.get(path) {
                return Place {
                    file: self.file.clone(),
                    line,
                    column,
                };
            }
            match path.rfind(['.', '[']) {
                Some(cut) => path = &path[..cut],
                None => {
                    return Place {
                        file: self.file.clone(),
                        line: 1,
                        column: 1,
                    };
                }
            }
        }
    }

    /// The place of a character, from 0, of the text at `path`; of the text, where it is not as
    /// the file has it.
    pub(crate) fn in_text(&self, path: &str, text: &str, character: usize) -> Place {
        let mut place = self.of(path);
        if let Some(quote) = self.quotes.get(path) {
            let at = (place.line, place.column);
            (place.line, place.column) = quote.place(at, text, character);
        }
        place
    }
}

/// Something that is read or written. In JSON and on a screen it is one string.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", from = "String")]
pub enum Location {
    /// `s3://bucket/key`; in `source.uri` the key may be a glob (`*`, `?`, `[…]`, `**`).
    S3(String),
    /// A local path, already joined to the pipeline's folder; in `source.uri` it may be a glob.
    /// A trailing `/` is kept: see [`Location::is_folder`].
    Local(PathBuf),
    /// `-`: standard input.
    Stdin,
}

impl Location {
    /// Whether it ends with `/`, that is: names a folder or a prefix, not one file.
    pub fn is_folder(&self) -> bool {
        self.to_string().ends_with('/')
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Location::S3(uri) => f.write_str(uri),
            Location::Local(path) => write!(f, "{}", path.display()),
            Location::Stdin => f.write_str("-"),
        }
    }
}

impl From<Location> for String {
    fn from(location: Location) -> String {
        location.to_string()
    }
}

impl From<String> for Location {
    fn from(text: String) -> Location {
        match text.as_str() {
            "-" => Location::Stdin,
            s3 if s3.starts_with("s3://") => Location::S3(text),
            _ => Location::Local(PathBuf::from(text)),
        }
    }
}

/// `work`: the state that a retry needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Work {
    /// An S3 prefix, always ending with `/`.
    pub uri: String,
    /// How long shards stay there.
    pub keep_shards: KeepShards,
}

/// `work.keep_shards`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeepShards {
    /// They are deleted when the result is published.
    #[default]
    UntilPublished,
    /// They stay.
    Always,
}

/// `source`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Source {
    /// What to read, in this order; each may be a glob. Never empty.
    pub uri: Vec<Location>,
    /// How columns get their types.
    pub columns: Columns,
    /// What happens to a row that cannot be accepted.
    pub on_bad_row: OnBadRow,
    /// What happens when nothing matches or no data row is there.
    pub on_empty: OnEmpty,
    /// What the file fixes of the dialect; the rest is found by looking at the input.
    pub dialect: DialectHints,
    /// More texts that mean null, besides the built-in ones.
    pub null_tokens: Vec<String>,
    /// The longest record that is accepted, in bytes. By default 16 MiB.
    pub max_record: u64,
    /// What the inputs are; `None`: by each name, then by the first bytes.
    pub format: Option<SourceFormat>,
    /// The Encoding Standard's name of the text's encoding; `None`: UTF-16 with a byte order mark,
    /// else UTF-8.
    pub encoding: Option<String>,
    /// What happens when the input has columns that the contract does not name.
    pub on_new_column: OnNewColumn,
    /// What shows that the inputs are complete; `None`: they are taken as they are.
    pub ready: Option<Ready>,
}

/// `source.format`: how rows are laid out; a wrapper such as gzip is found by looking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceFormat {
    /// Delimited text.
    Csv,
    /// One JSON object a line.
    Jsonl,
    /// Parquet.
    Parquet,
}

/// `source.on_new_column`. Without a contract every column is new, so it is not asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnNewColumn {
    /// It is read over.
    #[default]
    Ignore,
    /// It is read over, and said.
    Warn,
    /// The run fails.
    Fail,
}

/// `source.ready`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// The name of a file or object that lies beside the inputs once they are complete: one
    /// path segment, such as `_SUCCESS`.
    pub marker: String,
    /// Seconds to wait for it; `None`: one look.
    pub wait: Option<u64>,
}

/// `source.columns`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Columns {
    /// Types are found over the whole input.
    Infer,
    /// Every column is text and no cell is touched.
    Text,
    /// The input must have these columns, in this order; see [`OnNewColumn`] for more of them.
    /// From the pipeline file or from a file of its own.
    Contract(Vec<ContractColumn>),
}

/// One column of a contract.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ContractColumn {
    /// The name in the header.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub column_type: ColumnType,
    /// Whether null is accepted; by default yes.
    pub nullable: bool,
    /// More texts that mean null in this column.
    pub null_tokens: Vec<String>,
    /// The smallest value that is accepted (numbers).
    pub min: Option<f64>,
    /// The largest value that is accepted (numbers).
    pub max: Option<f64>,
    /// The only values that are accepted; empty means any.
    pub allowed: Vec<String>,
    /// Whether its values are masked in errors and reports.
    pub sensitive: bool,
}

/// The type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnType {
    /// 64-bit signed integer.
    Int64,
    /// 64-bit IEEE 754 float.
    Float64,
    /// `true` or `false`.
    Boolean,
    /// `YYYY-MM-DD`.
    Date,
    /// Date and time without a zone, in microseconds.
    Timestamp,
    /// An instant, in microseconds, kept in UTC.
    TimestampUtc,
    /// Text.
    String,
}

/// `source.on_bad_row`.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "action")]
pub enum OnBadRow {
    /// The first bad row fails the run.
    #[default]
    Fail,
    /// Bad rows are set aside; the run fails when there are more than allowed.
    Quarantine {
        /// The largest share of the source's rows, 0 to 1; none means any.
        max_ratio: Option<f64>,
        /// The largest number of rows; none means any.
        max_rows: Option<u64>,
    },
}

/// `source.on_empty`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnEmpty {
    /// Exit code 66.
    #[default]
    Fail,
    /// Exit code 99, nothing is published.
    Skip,
    /// Exit code 0, nothing is published.
    Ok,
}

/// The parts of the CSV dialect that the file fixes. `None`: found by looking at the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DialectHints {
    /// One ASCII byte between fields.
    pub delimiter: Option<u8>,
    /// One ASCII byte around fields; 255 for none.
    pub quote: Option<u8>,
    /// One ASCII byte that makes the next one literal within quotes.
    pub escape: Option<u8>,
    /// One ASCII byte that starts a comment line.
    pub comment: Option<u8>,
    /// Whether the first record holds the names.
    pub header: Option<bool>,
    /// Lines before the table that are no part of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skip_lines: Option<u64>,
}

/// The whole CSV dialect, as found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dialect {
    /// One ASCII byte between fields.
    pub delimiter: u8,
    /// One ASCII byte around fields.
    pub quote: u8,
    /// One ASCII byte that makes the next one literal within quotes.
    pub escape: Option<u8>,
    /// One ASCII byte that starts a comment line.
    pub comment: Option<u8>,
    /// Whether the first record holds the names.
    pub header: bool,
    /// Lines before the table that are no part of it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub skip_lines: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Default for Dialect {
    fn default() -> Dialect {
        Dialect {
            delimiter: b',',
            quote: b'"',
            escape: None,
            comment: None,
            header: true,
            skip_lines: 0,
        }
    }
}

/// `shards`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shards {
    /// What they are written as.
    pub format: ShardFormat,
    /// Where they go when there is no `transform`; a folder if it ends with `/`, else one file.
    pub to: Option<Location>,
    /// A shard is closed before it would pass this many bytes, uncompressed. With `transform`
    /// always there; without, `None` means no limit.
    pub max_bytes: Option<u64>,
    /// A shard is closed at this many rows.
    pub max_rows: Option<u64>,
    /// What a null is written as in CSV; by default nothing.
    pub null: String,
    /// Whether CSV shards begin with the names. Never with `transform`.
    pub header: bool,
    /// Rows in a Parquet row group. By default 131,072; 16,384 where a shard is one request.
    pub row_group_rows: u64,
    /// The codec inside Parquet.
    pub compression: ParquetCompression,
}

/// `shards.format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ShardFormat {
    /// Plain CSV.
    #[serde(rename = "csv")]
    Csv,
    /// CSV in gzip.
    #[serde(rename = "csv.gz")]
    CsvGz,
    /// CSV in the Snappy framing format.
    #[serde(rename = "csv.sz")]
    CsvSz,
    /// CSV in Hadoop's Snappy framing.
    #[serde(rename = "csv.snappy")]
    CsvSnappy,
    /// CSV in Zstandard.
    #[serde(rename = "csv.zst")]
    CsvZst,
    /// One JSON object a line.
    #[serde(rename = "jsonl")]
    Jsonl,
    /// JSON Lines in gzip.
    #[serde(rename = "jsonl.gz")]
    JsonlGz,
    /// JSON Lines in the Snappy framing format.
    #[serde(rename = "jsonl.sz")]
    JsonlSz,
    /// JSON Lines in Hadoop's Snappy framing.
    #[serde(rename = "jsonl.snappy")]
    JsonlSnappy,
    /// JSON Lines in Zstandard.
    #[serde(rename = "jsonl.zst")]
    JsonlZst,
    /// Parquet.
    #[serde(rename = "parquet")]
    Parquet,
}

impl ShardFormat {
    /// As written in the file, and the file name's extension.
    pub fn as_str(self) -> &'static str {
        match self {
            ShardFormat::Csv => "csv",
            ShardFormat::CsvGz => "csv.gz",
            ShardFormat::CsvSz => "csv.sz",
            ShardFormat::CsvSnappy => "csv.snappy",
            ShardFormat::CsvZst => "csv.zst",
            ShardFormat::Jsonl => "jsonl",
            ShardFormat::JsonlGz => "jsonl.gz",
            ShardFormat::JsonlSz => "jsonl.sz",
            ShardFormat::JsonlSnappy => "jsonl.snappy",
            ShardFormat::JsonlZst => "jsonl.zst",
            ShardFormat::Parquet => "parquet",
        }
    }

    /// Whether it is CSV in any wrapper: `null` and `header` are for it alone.
    pub fn is_csv(self) -> bool {
        self.as_str().starts_with("csv")
    }
}

/// `shards.compression`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParquetCompression {
    /// Snappy (raw blocks), which every reader knows.
    #[default]
    Snappy,
    /// Zstandard.
    Zstd,
    /// Gzip.
    Gzip,
    /// Not compressed.
    None,
}

/// `transform`: the service's own words, all limits already checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transform {
    /// Which model.
    pub model: Model,
    /// `ml.…`
    pub instance_type: String,
    /// 1 to 100.
    pub instance_count: u32,
    /// Sent with each request to the model.
    pub content_type: String,
    /// What the model is asked to answer in.
    pub accept: String,
    /// `Gzip` for `csv.gz` and `jsonl.gz` shards.
    pub compression_type: CompressionType,
    /// How the service cuts a shard into records.
    pub split_type: SplitType,
    /// `None` if and only if `split_type` is none.
    pub batch_strategy: Option<BatchStrategy>,
    /// How the service joins the model's answers.
    pub assemble_with: AssembleWith,
    /// In units of 10^6 bytes; 0 means no limit.
    pub max_payload_in_mb: u32,
    /// Requests at once to one instance; 0 leaves it to the container.
    pub max_concurrent_transforms: u32,
    /// 1 to 3600.
    pub invocations_timeout_in_seconds: u32,
    /// 0 to 3.
    pub invocations_max_retries: u32,
    /// Merged over the model's own.
    pub environment: BTreeMap<String, String>,
    /// Who puts ids beside answers.
    #[serde(default)]
    pub join: Join,
    /// With [`Join::Server`], how many columns an answer has; `None`: as many as `assemble` names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer_columns: Option<u32>,
    /// The service's own filters and join; with [`Join::Server`], those that it is made of.
    pub data_processing: Option<DataProcessing>,
    /// Manifests of what was read and written.
    pub data_capture_config: Option<DataCaptureConfig>,
    /// SageMaker Experiments.
    pub experiment_config: Option<ExperimentConfig>,
    /// Encrypts what the job stores.
    pub kms_key_id: Option<String>,
    /// Encrypts the instances' volumes.
    pub volume_kms_key_id: Option<String>,
    /// The image, with its NVIDIA driver, that GPU instances start from.
    pub transform_ami_version: Option<String>,
    /// The user's; the tool adds two of its own.
    pub tags: BTreeMap<String, String>,
    /// Seconds from the job's CreationTime after which it is stopped; none by default.
    pub job_timeout: Option<u64>,
    /// Seconds that one call waits for a job to be let in: see [`Transform::capacity_wait`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity_wait: Option<u64>,
    /// What happens to the job when the runner is interrupted.
    pub on_interrupt: OnInterrupt,
    /// 1 to 10. See [`Transform::max_jobs`].
    #[serde(default = "default_attempts")]
    pub max_attempts: u32,
    /// What happens to a row that the model refuses.
    #[serde(default)]
    pub on_refused_row: OnRefusedRow,
    /// Whether the model is asked before the first job.
    #[serde(default)]
    pub probe: Probe,
    /// Jobs that share the shards, as written: see [`crate::plan::Plan::waves`].
    #[serde(default)]
    pub jobs: Jobs,
}

/// `transform.max_attempts` of a plan that was written before there was the key.
fn default_attempts() -> u32 {
    3
}

impl Transform {
    /// How many times the shards that fail are cut into pieces at most, a job each: enough to come
    /// down to single rows, since each cut takes a root of the rows that remain.
    pub const REFUSAL_LEVELS: u32 = 3;

    /// Seconds that one call waits for a job to be let in while the service answers
    /// `ResourceLimitExceeded`, or `ThrottlingException` after all attempts of a request, and no job of
    /// the run is under way that will make room; by default half an hour.
    pub fn capacity_wait(&self) -> u64 {
        self.capacity_wait.unwrap_or(1_800)
    }

    /// Jobs that one call creates at most; those that share the shards ([`Transform::jobs`]) count as
    /// one.
    pub fn max_jobs(&self) -> u32 {
        match self.on_refused_row {
            OnRefusedRow::Fail => self.max_attempts,
            OnRefusedRow::Quarantine => self.max_attempts.max(1 + Self::REFUSAL_LEVELS),
        }
    }
}

/// `transform.model`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Model {
    /// One that exists already.
    Named(String),
    /// One that is created for the run.
    Defined(Box<ModelDefinition>),
}

/// A model that is created for the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelDefinition {
    /// The container's image.
    pub image: String,
    /// A tar.gz in S3.
    pub model_data: Option<String>,
    /// The role that the container runs as.
    pub execution_role_arn: String,
    /// The container's environment.
    pub environment: BTreeMap<String, String>,
    /// No network for the container.
    pub enable_network_isolation: bool,
    /// The network that the container is in.
    pub vpc_config: Option<VpcConfig>,
}

/// `transform.model.vpc_config`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VpcConfig {
    /// 1 to 5 ids.
    pub security_group_ids: Vec<String>,
    /// 1 to 16 ids.
    pub subnets: Vec<String>,
}

/// `CompressionType`. Serialised as the API spells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum CompressionType {
    /// As it is.
    None,
    /// The service decompresses before it splits.
    Gzip,
}

/// `SplitType`. Serialised as the API spells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SplitType {
    /// The whole object is one request.
    None,
    /// At newline bytes.
    Line,
    /// At RecordIO frames.
    RecordIO,
    /// At TFRecord frames.
    TFRecord,
}

/// `BatchStrategy`. Serialised as the API spells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum BatchStrategy {
    /// As many records a request as fit.
    MultiRecord,
    /// One record a request.
    SingleRecord,
}

/// `AssembleWith`. Serialised as the API spells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum AssembleWith {
    /// Answers one after another as they are.
    None,
    /// A newline after each record.
    Line,
}

/// `transform.on_interrupt`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnInterrupt {
    /// The job goes on; the next call finds it.
    #[default]
    Leave,
    /// The job is stopped; it stores no output.
    Stop,
}

/// `transform.on_refused_row`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnRefusedRow {
    /// Exit code 69.
    #[default]
    Fail,
    /// The rows are found and set aside; the others are published.
    Quarantine,
}

/// `transform.probe`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Probe {
    /// With [`Probe::ROWS`] rows, where its container can be reached.
    #[default]
    Auto,
    /// Never.
    Off,
}

impl Probe {
    /// Rows that are sent: the fewest that show a container that scores the first of a request only.
    pub const ROWS: u64 = 2;
}

/// `assemble`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Assemble {
    /// A folder or an S3 prefix, always ending with `/`.
    pub to: Location,
    /// What happens if something is there.
    pub mode: PublishMode,
    /// What is written.
    pub format: OutputFormat,
    /// What a document of JSON answers.
    #[serde(default)]
    pub answers: Answers,
    /// In the order of the output. Never empty; names are unique.
    pub columns: Vec<AssembleColumn>,
    /// Rows in one part.
    pub max_rows: u64,
}

/// `assemble.mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PublishMode {
    /// Exit code 73.
    #[default]
    Error,
    /// It is replaced.
    Overwrite,
}

/// `assemble.format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputFormat {
    /// Parquet with Snappy.
    #[default]
    Parquet,
    /// CSV with a header.
    Csv,
}

/// `assemble.answers`: what one document of JSON is the answer to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answers {
    /// An object with a list `predictions`: a request, an item a row. Any other: a row.
    #[default]
    Auto,
    /// A row.
    Rows,
    /// A request: a list, or an object with a list `predictions`, of an item a row.
    Batches,
}

/// One column of the output.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AssembleColumn {
    /// Its name there.
    pub name: String,
    /// Where its values come from.
    #[serde(flatten)]
    pub from: ColumnFrom,
}

/// Where an output column's values come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "from")]
pub enum ColumnFrom {
    /// A column of the source, with the type that it has there.
    Source {
        /// The source's name.
        column: String,
    },
    /// A field of the model's answer.
    Prediction {
        /// From 0.
        index: usize,
        /// What its text must parse as; by default float64.
        #[serde(rename = "type")]
        column_type: ColumnType,
    },
    /// A value within an answer in JSON.
    Field {
        /// The steps down to it.
        path: Vec<PathStep>,
        /// What its text must parse as; by default float64.
        #[serde(rename = "type")]
        column_type: ColumnType,
    },
    /// The same in every row.
    Constant {
        /// As text.
        value: String,
        /// What the text parses as (checked).
        #[serde(rename = "type")]
        column_type: ColumnType,
    },
}

/// A step into a JSON value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum PathStep {
    /// An item of a list, from 0.
    Index(usize),
    /// A member of an object.
    Name(String),
}

/// `local`: read under `--local` only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Local {
    /// What answers for the model.
    pub model: LocalModel,
}

/// `local.model`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LocalModel {
    /// An ONNX file, already joined to the pipeline's folder.
    Onnx(PathBuf),
    /// A command line that serves the container's contract; run in the pipeline's folder.
    Command(String),
    /// A server that runs already.
    Url(String),
}
