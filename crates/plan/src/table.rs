//! The one table of keys: what a pipeline file may hold. The walker, the JSON Schema and the
//! reference of keys all come from it, so that they cannot disagree.

use crate::limits::{self, Limits};
use crate::text_rules::{
    ami_version, anything, currency, day, encoding, env_name, experiment_name, file_name, http_url,
    image, kms_key, local_path, location, media_type, model_name, not_empty, not_stdin, role_arn,
    s3, vpc_id,
};

/// One key of a mapping.
pub(crate) struct Key {
    pub(crate) name: &'static str,
    /// One or two sentences, for people.
    pub(crate) doc: &'static str,
    pub(crate) kind: &'static Kind,
    pub(crate) required: bool,
    /// JSON of the value that stands where the file says nothing, if it is a constant.
    pub(crate) default: Option<&'static str>,
}

/// What a value must be.
pub(crate) enum Kind {
    /// A string that a rule accepts.
    Text(Rule),
    /// An integer within bounds, both included.
    Int(i64, i64),
    /// An integer from a bound up to one of the service's, both included.
    Quota(i64, fn(&Limits) -> u64),
    /// A filter of the service's: see [`crate::filter::Filter`].
    Filter,
    /// A number within bounds, both included.
    Float(f64, f64),
    Bool,
    /// Bytes: `45MB`, `45MiB` or an integer, at least 1. Becomes an integer.
    Size,
    /// Seconds: `2h`, `90s` or an integer, at least 1. Becomes an integer.
    Duration,
    /// One ASCII character. Becomes its code.
    Byte,
    /// The same, or `none`, which becomes 255: a byte that no text has.
    Quote,
    /// Any string, number or boolean.
    Scalar,
    /// One of a few words. Becomes [`Word::value`].
    Enum(&'static [Word]),
    /// A list with at least so many items.
    List(&'static Kind, usize),
    /// Known keys only.
    Map(&'static Map),
    /// Keys of the user's, values all alike.
    Dict(&'static Kind),
    /// By shape: a scalar, a list or a mapping.
    AnyOf(&'static [&'static Kind]),
}

/// A mapping with known keys.
pub(crate) struct Map {
    pub(crate) keys: &'static [Key],
    /// Exactly one of the keys must be there.
    pub(crate) exactly_one: bool,
}

/// One word of an enum.
pub(crate) struct Word {
    /// As written in the file.
    pub(crate) name: &'static str,
    /// The API's spelling, also accepted.
    pub(crate) api: Option<&'static str>,
    /// As [`crate::spec`] deserialises it.
    pub(crate) value: &'static str,
}

/// What a text must satisfy.
pub(crate) struct Rule {
    /// What is wrong with it, as the end of a sentence.
    pub(crate) check: Check,
    /// The same as a regular expression (ECMA 262), where it can be said so, for editors.
    pub(crate) pattern: Option<&'static str>,
    /// Whether templates are rendered in it.
    pub(crate) templates: bool,
}

/// How a text is checked.
pub(crate) enum Check {
    /// By rules of ours.
    Own(fn(&str) -> Result<(), String>),
    /// By rules of the service's.
    Service(fn(&str, &Limits) -> Result<(), String>),
}

const fn key(name: &'static str, kind: &'static Kind, doc: &'static str) -> Key {
    Key {
        name,
        doc,
        kind,
        required: false,
        default: None,
    }
}

const fn must(name: &'static str, kind: &'static Kind, doc: &'static str) -> Key {
    Key {
        name,
        doc,
        kind,
        required: true,
        default: None,
    }
}

const fn or(
    name: &'static str,
    kind: &'static Kind,
    default: &'static str,
    doc: &'static str,
) -> Key {
    Key {
        name,
        doc,
        kind,
        required: false,
        default: Some(default),
    }
}

const fn word(name: &'static str) -> Word {
    Word {
        name,
        api: None,
        value: name,
    }
}

const fn api(name: &'static str, api: &'static str) -> Word {
    Word {
        name,
        api: Some(api),
        value: api,
    }
}

const fn rule(check: fn(&str) -> Result<(), String>) -> Kind {
    Kind::Text(Rule {
        check: Check::Own(check),
        pattern: None,
        templates: true,
    })
}

/// A rule of the service's, with its pattern for editors.
const fn service(
    check: fn(&str, &Limits) -> Result<(), String>,
    pattern: Option<&'static str>,
) -> Kind {
    Kind::Text(Rule {
        check: Check::Service(check),
        pattern,
        templates: true,
    })
}

static ANY_TEXT: Kind = rule(anything);
static COLUMN: Kind = rule(not_empty);
static LOCATION: Kind = service(location, None);
static TO: Kind = service(not_stdin, None);
static S3: Kind = service(s3, Some("^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/.*)?$"));
static MEDIA_TYPE: Kind = service(media_type, None);
static KMS_KEY: Kind = service(kms_key, Some("^[a-zA-Z0-9:/_-]+$"));
static BOOL: Kind = Kind::Bool;
static SIZE: Kind = Kind::Size;
static ROWS: Kind = Kind::Int(1, i64::MAX);
static SKIPPED: Kind = Kind::Int(0, 1_000_000);
static SECONDS: Kind = Kind::Duration;
static BYTE: Kind = Kind::Byte;
static QUOTE: Kind = Kind::Quote;
static SCALAR: Kind = Kind::Scalar;
static NUMBER: Kind = Kind::Float(f64::MIN, f64::MAX);
static COLUMNS_LIST: Kind = Kind::List(&COLUMN, 0);
static COLUMNS_SOME: Kind = Kind::List(&COLUMN, 1);
static TEXTS: Kind = Kind::List(&ANY_TEXT, 0);
static TEXT_DICT: Kind = Kind::Dict(&ANY_TEXT);

static NAME: Kind = Kind::Text(Rule {
    check: Check::Own(limits::pipeline_name),
    pattern: Some("^[a-z0-9](-*[a-z0-9]){0,62}$"),
    templates: false,
});
static VERSION: Kind = Kind::Int(1, 1);

static PARAM_TYPE: Kind = Kind::Enum(&[
    word("string"),
    word("int"),
    word("float"),
    word("bool"),
    word("date"),
]);
static PARAM: Kind = Kind::Map(&Map {
    keys: &[
        must(
            "type",
            &PARAM_TYPE,
            "What `-p NAME=VALUE` must be; a date is YYYY-MM-DD.",
        ),
        or(
            "required",
            &BOOL,
            "false",
            "Whether the value must be given. Excludes `default`.",
        ),
        key("default", &SCALAR, "The value when none is given."),
        key("choices", &SCALARS, "The only values that are accepted."),
        key("doc", &ANY_TEXT, "What the parameter is for."),
    ],
    exactly_one: false,
});
static SCALARS: Kind = Kind::List(&SCALAR, 1);
static PARAMS: Kind = Kind::Dict(&PARAM);
static ENV: Kind = Kind::List(&ENV_NAME, 0);
static ENV_NAME: Kind = Kind::Text(Rule {
    check: Check::Own(env_name),
    pattern: Some("^[A-Za-z_][A-Za-z0-9_]*$"),
    templates: false,
});

static WORK: Kind = Kind::Map(&Map {
    keys: &[
        must(
            "uri",
            &S3,
            "An S3 prefix for all state that a retry needs: shards, sidecars, ledger.",
        ),
        or(
            "keep_shards",
            &KEEP_SHARDS,
            "\"until_published\"",
            "How long the uploaded shards stay there.",
        ),
    ],
    exactly_one: false,
});
static KEEP_SHARDS: Kind = Kind::Enum(&[word("until_published"), word("always")]);

static COLUMN_TYPE: Kind = Kind::Enum(&[
    word("int64"),
    word("float64"),
    word("boolean"),
    word("date"),
    word("timestamp"),
    word("timestamp_utc"),
    word("string"),
]);
static CONTRACT_COLUMN: Kind = Kind::Map(&Map {
    keys: &[
        must("name", &COLUMN, "The column's name in the header."),
        must("type", &COLUMN_TYPE, "What every value must parse as."),
        or("nullable", &BOOL, "true", "Whether a null is accepted."),
        or(
            "null_tokens",
            &TEXTS,
            "[]",
            "More texts that mean null in this column.",
        ),
        key("min", &NUMBER, "The smallest value that is accepted."),
        key("max", &NUMBER, "The largest value that is accepted."),
        or("allowed", &TEXTS, "[]", "The only texts that are accepted."),
        or(
            "sensitive",
            &BOOL,
            "false",
            "Masks the column's values in errors and reports.",
        ),
    ],
    exactly_one: false,
});
/// Inline, or the whole of a contract file.
pub(crate) static CONTRACT: Kind = Kind::List(&CONTRACT_COLUMN, 1);
static TYPING: Kind = Kind::Enum(&[word("infer"), word("text")]);
static CONTRACT_FILE: Kind = rule(local_path);
static SOURCE_COLUMNS: Kind = Kind::AnyOf(&[&TYPING, &CONTRACT_FILE, &CONTRACT]);
static SOURCE_FORMAT: Kind = Kind::Enum(&[word("csv"), word("jsonl"), word("parquet")]);
static ENCODING: Kind = rule(encoding);
static ON_NEW_COLUMN: Kind = Kind::Enum(&[word("ignore"), word("warn"), word("fail")]);
static MARKER: Kind = rule(file_name);
static READY: Kind = Kind::Map(&Map {
    keys: &[
        must(
            "marker",
            &MARKER,
            "The name of a file or object that is put beside the inputs once they are complete, \
             such as `_SUCCESS`.",
        ),
        key(
            "wait",
            &SECONDS,
            "How long to wait for it; by default not at all. Then the exit code is 75.",
        ),
    ],
    exactly_one: false,
});
static URIS: Kind = Kind::List(&LOCATION, 1);
static URI: Kind = Kind::AnyOf(&[&LOCATION, &URIS]);
static BAD_ROW_ACTION: Kind = Kind::Enum(&[word("fail"), word("quarantine")]);
static RATIO: Kind = Kind::Float(0.0, 1.0);
static COUNT: Kind = Kind::Int(0, i64::MAX);
static BAD_ROW_LIMITS: Kind = Kind::Map(&Map {
    keys: &[
        must(
            "action",
            &BAD_ROW_ACTION,
            "`fail` at the first bad row, or set bad rows aside.",
        ),
        key(
            "max_ratio",
            &RATIO,
            "The largest share of rows that may be set aside, 0 to 1.",
        ),
        key(
            "max_rows",
            &COUNT,
            "The largest number of rows that may be set aside.",
        ),
    ],
    exactly_one: false,
});
static ON_BAD_ROW: Kind = Kind::AnyOf(&[&BAD_ROW_ACTION, &BAD_ROW_LIMITS]);
static ON_EMPTY: Kind = Kind::Enum(&[word("fail"), word("skip"), word("ok")]);
static SOURCE: Kind = Kind::Map(&Map {
    keys: &[
        must(
            "uri",
            &URI,
            "What to read, in order: local paths, `s3://…`, either with globs, or `-` for \
             standard input. Relative paths are relative to this file.",
        ),
        or(
            "columns",
            &SOURCE_COLUMNS,
            "\"infer\"",
            "How columns get their types: `infer` over the whole input, `text` to touch no cell, \
             or a contract: the list of all columns in order, or the path of a file that holds it.",
        ),
        or(
            "on_new_column",
            &ON_NEW_COLUMN,
            "\"ignore\"",
            "What happens to a column that the contract does not name. Needs a contract.",
        ),
        key(
            "format",
            &SOURCE_FORMAT,
            "What the inputs are; by default told by each name, then by the first bytes.",
        ),
        key(
            "ready",
            &READY,
            "What shows that the inputs are complete: a half-written input passes every count.",
        ),
        or(
            "on_bad_row",
            &ON_BAD_ROW,
            "\"fail\"",
            "What happens to a row that cannot be accepted.",
        ),
        or(
            "on_empty",
            &ON_EMPTY,
            "\"fail\"",
            "When nothing matches or no data row is there: exit 66, exit 99, or exit 0.",
        ),
        key(
            "encoding",
            &ENCODING,
            "How the text's bytes stand for characters, such as windows-1252, cp932 or utf-16; by \
             default UTF-16 with a byte order mark, else UTF-8.",
        ),
        key(
            "delimiter",
            &BYTE,
            "The character between fields; by default a comma where that fits, else what the data shows.",
        ),
        key(
            "quote",
            &QUOTE,
            "The character around fields, or `none`; by default `\"` where that fits, else what the data shows.",
        ),
        key(
            "escape",
            &BYTE,
            "The character that makes the next one literal within quotes: a quote that is not doubled, or itself.",
        ),
        key(
            "comment",
            &BYTE,
            "The character that begins a comment line; by default none.",
        ),
        key(
            "header",
            &BOOL,
            "Whether the first record holds the names; by default it does.",
        ),
        key(
            "skip_lines",
            &SKIPPED,
            "Lines before the table that are no part of it, such as a title; by default none.",
        ),
        or(
            "null_tokens",
            &TEXTS,
            "[]",
            "More texts that mean null, besides NA, NULL and others.",
        ),
        or(
            "max_record",
            &SIZE,
            "16777216",
            "The longest record that is accepted.",
        ),
    ],
    exactly_one: false,
});

static PREPARE: Kind = Kind::Map(&Map {
    keys: &[
        or(
            "id",
            &COLUMNS_LIST,
            "[]",
            "Columns kept out of the model's input and put back beside the predictions.",
        ),
        key(
            "select",
            &COLUMNS_SOME,
            "The only columns that go on, in this order. Excludes `drop`.",
        ),
        or(
            "drop",
            &COLUMNS_LIST,
            "[]",
            "Columns that do not go on. Excludes `select`.",
        ),
        or(
            "rename",
            &RENAME,
            "{}",
            "Source name: name in the output. Not with `transform`.",
        ),
        key(
            "label",
            &LABEL,
            "The column that a model shall learn: it becomes the first of the output. Not with \
             `transform`.",
        ),
        key(
            "split",
            &SPLIT,
            "Which rows go to which part, each a folder under `shards.to`. Not with `transform`.",
        ),
    ],
    exactly_one: false,
});
static RENAME: Kind = Kind::Dict(&COLUMN);
static LABEL: Kind = Kind::AnyOf(&[&COLUMN, &LABEL_RULE]);
static LABEL_RULE: Kind = Kind::Map(&Map {
    keys: &[
        must("column", &COLUMN, "The column's name in the source."),
        key(
            "above",
            &NUMBER,
            "The label is 1 where the column is above this, else 0. Excludes `map`.",
        ),
        key(
            "map",
            &LABEL_MAP,
            "The cell's text: the label. A text that is not here is an error. Excludes `above`.",
        ),
        or(
            "on_missing",
            &ON_MISSING,
            "\"drop\"",
            "What happens to a row without a value there.",
        ),
    ],
    exactly_one: false,
});
static LABEL_MAP: Kind = Kind::Dict(&NUMBER);
static ON_MISSING: Kind = Kind::Enum(&[word("drop"), word("fail")]);
static SPLIT: Kind = Kind::Map(&Map {
    keys: &[
        or(
            "by",
            &SPLIT_BY,
            "\"hash\"",
            "How a row's part is chosen: by a hash of its key and the seed.",
        ),
        must(
            "key",
            &SPLIT_KEY,
            "The columns whose rows stay together; they may be dropped from the output.",
        ),
        or("seed", &COUNT, "0", "Another seed is another split."),
        must(
            "parts",
            &PARTS,
            "The name of each part: its share of the keys. At least two, together 1.",
        ),
    ],
    exactly_one: false,
});
static SPLIT_BY: Kind = Kind::Enum(&[word("hash")]);
static SPLIT_KEY: Kind = Kind::AnyOf(&[&COLUMN, &COLUMNS_SOME]);
static PARTS: Kind = Kind::Dict(&RATIO);

static SHARD_FORMAT: Kind = Kind::Enum(&[
    word("csv"),
    word("csv.gz"),
    word("csv.sz"),
    word("csv.snappy"),
    word("csv.zst"),
    word("jsonl"),
    word("jsonl.gz"),
    word("jsonl.sz"),
    word("jsonl.snappy"),
    word("jsonl.zst"),
    word("parquet"),
]);
static PARQUET_CODEC: Kind =
    Kind::Enum(&[word("snappy"), word("zstd"), word("gzip"), word("none")]);
static SHARDS: Kind = Kind::Map(&Map {
    keys: &[
        or(
            "format",
            &SHARD_FORMAT,
            "\"csv\"",
            "What rows are written as. To models go `csv`, `jsonl`, either with `.gz`, and \
             `parquet`; `.sz` and `.snappy` (Snappy's framing format and Hadoop's) and `.zst` are \
             for storage.",
        ),
        key(
            "to",
            &TO,
            "Where they go when there is no `transform`: a folder if it ends with `/`, else a \
             file. With `prepare.split` a folder, with one of its own for each part.",
        ),
        key(
            "max_bytes",
            &SIZE,
            "A shard is closed before it would pass this size, uncompressed. With `transform` by \
             default 64MB, or what fits in one request if the service does not split shards.",
        ),
        key(
            "max_rows",
            &ROWS,
            "A shard is closed at this many rows. With `transform`, where neither this nor \
             `max_bytes` is given, the planner chooses, so that no instance is idle.",
        ),
        or(
            "null",
            &ANY_TEXT,
            "\"\"",
            "What a null is written as in CSV shards.",
        ),
        key(
            "header",
            &BOOL,
            "Whether CSV begins with the names; never with `transform`.",
        ),
        key(
            "row_group_rows",
            &ROWS,
            "Rows in a Parquet row group: by default 131072, or 16384 where a shard is one \
             request, since a shard ends with a row group and small ones fill it better.",
        ),
        or(
            "compression",
            &PARQUET_CODEC,
            "\"snappy\"",
            "The codec inside Parquet.",
        ),
    ],
    exactly_one: false,
});

static MODEL_NAME: Kind = service(
    model_name,
    Some("^[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?$"),
);
static IMAGE: Kind = service(image, None);
static ROLE: Kind = service(role_arn, None);
static VPC: Kind = Kind::Map(&Map {
    keys: &[
        must("security_group_ids", &IDS, "1 to 5 security groups."),
        must("subnets", &IDS, "1 to 16 subnets."),
    ],
    exactly_one: false,
});
static IDS: Kind = Kind::List(&VPC_ID, 1);
static VPC_ID: Kind = service(vpc_id, Some("^[-0-9a-zA-Z]+$"));
static MODEL_DEFINITION: Kind = Kind::Map(&Map {
    keys: &[
        must("image", &IMAGE, "The container's image."),
        key(
            "model_data",
            &S3,
            "A tar.gz in S3 that is unpacked into /opt/ml/model.",
        ),
        must(
            "execution_role_arn",
            &ROLE,
            "The role that the container runs as.",
        ),
        or(
            "environment",
            &TEXT_DICT,
            "{}",
            "The container's environment.",
        ),
        or(
            "enable_network_isolation",
            &BOOL,
            "false",
            "No network for the container.",
        ),
        key("vpc_config", &VPC, "The network that the container is in."),
    ],
    exactly_one: false,
});
static MODEL: Kind = Kind::AnyOf(&[&MODEL_NAME, &MODEL_DEFINITION]);
static INSTANCE_TYPE: Kind = Kind::Text(Rule {
    check: Check::Own(limits::instance_type),
    pattern: Some("^ml\\.[a-z0-9-]+\\.[a-z0-9-]+$"),
    templates: true,
});
static INSTANCE_COUNT: Kind = Kind::Quota(1, |limits| limits.instance_count);
static SPLIT_TYPE: Kind = Kind::Enum(&[
    api("none", "None"),
    api("line", "Line"),
    api("recordio", "RecordIO"),
    api("tfrecord", "TFRecord"),
]);
static BATCH_STRATEGY: Kind = Kind::Enum(&[
    api("multi_record", "MultiRecord"),
    api("single_record", "SingleRecord"),
]);
static ASSEMBLE_WITH: Kind = Kind::Enum(&[api("none", "None"), api("line", "Line")]);
static COMPRESSION_TYPE: Kind = Kind::Enum(&[api("none", "None"), api("gzip", "Gzip")]);
static PAYLOAD: Kind = Kind::Quota(0, |limits| limits.max_payload_in_mb);
// The service names no limit but that of the product with the payload. The API's integer.
static CONCURRENT: Kind = Kind::Int(0, i32::MAX as i64);
static TIMEOUT: Kind = Kind::Quota(1, |limits| limits.invocations_timeout_s);
static RETRIES: Kind = Kind::Quota(0, |limits| limits.invocations_max_retries);
static AMI_VERSION: Kind = service(ami_version, Some("^[a-zA-Z0-9]+(-[a-zA-Z0-9]+)*$"));
static FILTER: Kind = Kind::Filter;
static JOIN_SOURCE: Kind = Kind::Enum(&[api("none", "None"), api("input", "Input")]);
static DATA_PROCESSING: Kind = Kind::Map(&Map {
    keys: &[
        key(
            "input_filter",
            &FILTER,
            "What of a record the model gets, as JSONPath: `$[1:]`, `$['age','plan']`; by default \
             `$`, all of it.",
        ),
        key(
            "output_filter",
            &FILTER,
            "What is stored of the joined record, or without a join of the answer; by default `$`, \
             all of it.",
        ),
        or(
            "join_source",
            &JOIN_SOURCE,
            "\"None\"",
            "`input` puts each input record, unfiltered, before its answer.",
        ),
    ],
    exactly_one: false,
});
static DATA_CAPTURE: Kind = Kind::Map(&Map {
    keys: &[
        must(
            "destination_s3_uri",
            &S3,
            "An S3 prefix of its own for the manifests.",
        ),
        key(
            "kms_key_id",
            &KMS_KEY,
            "The key that encrypts the volume which manifests are made on.",
        ),
        key(
            "generate_inference_id",
            &BOOL,
            "Appends a UUID and the job's start to each record that is stored.",
        ),
    ],
    exactly_one: false,
});
static EXPERIMENT_NAME: Kind =
    service(experiment_name, Some("^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,119}$"));
static EXPERIMENT: Kind = Kind::Map(&Map {
    keys: &[
        key(
            "experiment_name",
            &EXPERIMENT_NAME,
            "An experiment that exists.",
        ),
        key(
            "trial_name",
            &EXPERIMENT_NAME,
            "A trial that exists; by default a new one is made.",
        ),
        key(
            "trial_component_display_name",
            &EXPERIMENT_NAME,
            "How the job is shown in the trial.",
        ),
        key("run_name", &EXPERIMENT_NAME, "The experiment's run."),
    ],
    exactly_one: false,
});
static ON_INTERRUPT: Kind = Kind::Enum(&[word("leave"), word("stop")]);
static ATTEMPTS: Kind = Kind::Int(1, 10);
static PROBE: Kind = Kind::Enum(&[word("auto"), word("off")]);
static ON_REFUSED_ROW: Kind = Kind::Enum(&[word("fail"), word("quarantine")]);
static JOIN: Kind = Kind::Enum(&[word("local"), word("server")]);
static ANSWER_COLUMNS: Kind = Kind::Int(1, 100);
static AUTO: Kind = Kind::Enum(&[word("auto")]);
static JOB_COUNT: Kind = Kind::Int(1, limits::MOST_JOBS);
static JOBS: Kind = Kind::AnyOf(&[&AUTO, &JOB_COUNT]);
static TRANSFORM: Kind = Kind::Map(&Map {
    keys: &[
        must(
            "model",
            &MODEL,
            "A model's name, or the definition of one to create for the run.",
        ),
        must(
            "instance_type",
            &INSTANCE_TYPE,
            "`ml.…`; the list of types is open.",
        ),
        key(
            "instance_count",
            &INSTANCE_COUNT,
            "Instances of each job, 1 to 100. By default the planner chooses; `plan` says why.",
        ),
        key(
            "content_type",
            &MEDIA_TYPE,
            "Sent with each request; by default `text/csv`, `application/jsonlines` for JSON \
             Lines, `application/x-parquet` for Parquet.",
        ),
        or(
            "accept",
            &MEDIA_TYPE,
            "\"text/csv\"",
            "What the model is asked to answer in: `text/csv`, `application/jsonlines` or \
             `application/json`. Answers are read as that.",
        ),
        key(
            "compression_type",
            &COMPRESSION_TYPE,
            "Set from `shards.format`: `gzip` for `csv.gz` and `jsonl.gz`, else `none`.",
        ),
        key(
            "split_type",
            &SPLIT_TYPE,
            "How the service cuts a shard into records; by default `none` for Parquet, else \
             `line`.",
        ),
        key(
            "batch_strategy",
            &BATCH_STRATEGY,
            "As many records a request as fit, or one; by default `multi_record`. Needs a \
             `split_type` other than `none`.",
        ),
        key(
            "assemble_with",
            &ASSEMBLE_WITH,
            "How the service joins answers; by default as `split_type`: `line` or `none`.",
        ),
        key(
            "max_payload_in_mb",
            &PAYLOAD,
            "The largest request to the model, 1 to 100; 0 means no limit. By default the planner \
             chooses, up to 6, or up to 50 for Parquet.",
        ),
        key(
            "max_concurrent_transforms",
            &CONCURRENT,
            "Requests at once to one instance; 0 leaves it to the container. Times \
             `max_payload_in_mb` at most 100. By default one a vCPU, or two an accelerator.",
        ),
        or(
            "invocations_timeout_in_seconds",
            &TIMEOUT,
            "600",
            "For one request, 1 to 3600.",
        ),
        or(
            "invocations_max_retries",
            &RETRIES,
            "3",
            "For one request, 0 to 3.",
        ),
        or(
            "environment",
            &TEXT_DICT,
            "{}",
            "Merged over the model's own; at most 16 entries.",
        ),
        or(
            "join",
            &JOIN,
            "\"local\"",
            "Who puts ids beside answers. `local`: they never leave; answers are joined by position. \
             `server`: they go up first in each record, the service keeps them from the model and \
             puts them before its answer, and they are compared row by row.",
        ),
        key(
            "answer_columns",
            &ANSWER_COLUMNS,
            "With `join: server`, how many columns the model answers for a row. By default as many \
             as `assemble` names.",
        ),
        key(
            "data_processing",
            &DATA_PROCESSING,
            "Filters and a join that the service does. `prediction[n]` is then field n of what the \
             job stores. The same is had without it by `prepare.select` and `assemble.columns`.",
        ),
        key(
            "data_capture_config",
            &DATA_CAPTURE,
            "Manifests of what the job read and wrote, for SageMaker Model Monitor.",
        ),
        key(
            "experiment_config",
            &EXPERIMENT,
            "Where the job is shown in SageMaker Experiments.",
        ),
        key(
            "kms_key_id",
            &KMS_KEY,
            "The key that encrypts what the job stores: an id, ARN or alias.",
        ),
        key(
            "volume_kms_key_id",
            &KMS_KEY,
            "The key that encrypts the instances' volumes; not for types with disks of their own.",
        ),
        key(
            "transform_ami_version",
            &AMI_VERSION,
            "The image, with its NVIDIA driver, that GPU instances start from.",
        ),
        or(
            "tags",
            &TEXT_DICT,
            "{}",
            "The job's tags; at most 48 besides the tool's two.",
        ),
        key(
            "job_timeout",
            &SECONDS,
            "From the job's creation; then it is stopped, with exit 124. The service has none.",
        ),
        key(
            "capacity_wait",
            &SECONDS,
            "How long one call waits for a job to be let in while the account's instances are all in \
             use, or requests are throttled; then exit 75. By default 30m.",
        ),
        or(
            "on_interrupt",
            &ON_INTERRUPT,
            "\"leave\"",
            "Whether the job goes on when this program is interrupted. A stopped job stores no \
             output.",
        ),
        or(
            "max_attempts",
            &ATTEMPTS,
            "3",
            "Jobs that one call creates at most, 1 to 10: where a job failed after it answered \
             some shards, or by the service's own fault, the next is over just the others.",
        ),
        or(
            "on_refused_row",
            &ON_REFUSED_ROW,
            "\"fail\"",
            "Rows that the model refuses fail the run, or are found by up to three more jobs over \
             pieces of the shards that failed, and go to quarantine.",
        ),
        or(
            "probe",
            &PROBE,
            "\"auto\"",
            "Where the model's container can be reached, which is under --local, two rows are sent to it \
             before anything is cut, and two must come back. `off` for containers that count requests.",
        ),
        or(
            "jobs",
            &JOBS,
            "1",
            "Jobs that share the shards: while the first scores, later shards are written. `auto` \
             leaves the number to the planner.",
        ),
    ],
    exactly_one: false,
});

static MODE: Kind = Kind::Enum(&[word("error"), word("overwrite")]);
static ANSWERS: Kind = Kind::Enum(&[word("auto"), word("rows"), word("batches")]);
static OUTPUT_FORMAT: Kind = Kind::Enum(&[word("parquet"), word("csv")]);
static OUTPUT_COLUMN: Kind = Kind::Map(&Map {
    keys: &[
        must("name", &COLUMN, "The column's name in the output."),
        key(
            "from",
            &COLUMN,
            "A source column, or `prediction[0]` for a field of the answer; in JSON also by names, \
             as in `prediction.score` or `prediction.classes[0]`.",
        ),
        key(
            "value",
            &SCALAR,
            "The same value in every row. Excludes `from`.",
        ),
        key(
            "type",
            &COLUMN_TYPE,
            "Of a prediction (by default float64) or a value.",
        ),
    ],
    exactly_one: false,
});
static OUTPUT_ITEM: Kind = Kind::AnyOf(&[&COLUMN, &OUTPUT_COLUMN]);
static OUTPUT_COLUMNS: Kind = Kind::List(&OUTPUT_ITEM, 1);
static ASSEMBLE: Kind = Kind::Map(&Map {
    keys: &[
        must(
            "to",
            &TO,
            "Where the result goes: a local folder or an S3 prefix.",
        ),
        or(
            "mode",
            &MODE,
            "\"error\"",
            "What happens if something is there already.",
        ),
        or(
            "format",
            &OUTPUT_FORMAT,
            "\"parquet\"",
            "What the result is written as.",
        ),
        or(
            "answers",
            &ANSWERS,
            "\"auto\"",
            "What a document of JSON answers: a row (`rows`), or a request (`batches`: a list, or an \
             object with a list `predictions`, of an item a row). By `auto` an object with a list \
             `predictions` answers a request, and any other document a row.",
        ),
        key(
            "columns",
            &OUTPUT_COLUMNS,
            "The output's columns in order; by default the ids and `prediction[0]` as \
             `prediction`.",
        ),
        or("max_rows", &ROWS, "1048576", "Rows in one part."),
    ],
    exactly_one: false,
});

/// A price file: see [`crate::prices`].
pub(crate) static PRICES: Kind = Kind::Map(&Map {
    keys: &[
        must("as_of", &DAY, "The day of these prices, YYYY-MM-DD."),
        must("region", &COLUMN, "The AWS region that they hold for."),
        must("currency", &CURRENCY, "Three letters, such as USD."),
        must(
            "per_hour",
            &HOURLY,
            "The instance type: what one costs for an hour.",
        ),
    ],
    exactly_one: false,
});
static DAY: Kind = rule(day);
static CURRENCY: Kind = rule(currency);
static HOURLY: Kind = Kind::Dict(&AMOUNT);

static AMOUNT: Kind = Kind::Float(0.0, f64::MAX);
static BUDGET: Kind = Kind::Map(&Map {
    keys: &[
        key(
            "instance_hours",
            &AMOUNT,
            "Hours of all instances together that may be billed.",
        ),
        key(
            "usd",
            &AMOUNT,
            "US dollars that the instances may cost, by the price file.",
        ),
    ],
    exactly_one: false,
});

static LOCAL: Kind = Kind::Map(&Map {
    keys: &[must(
        "model",
        &LOCAL_MODEL,
        "What answers for the model under `--local`.",
    )],
    exactly_one: false,
});
static LOCAL_PATH: Kind = rule(local_path);
static URL: Kind = rule(http_url);
static LOCAL_MODEL: Kind = Kind::Map(&Map {
    keys: &[
        key("onnx", &LOCAL_PATH, "An ONNX file of tree ensembles."),
        key(
            "command",
            &COLUMN,
            "A command that serves the container's contract.",
        ),
        key(
            "url",
            &URL,
            "A server of the container's contract that runs already.",
        ),
    ],
    exactly_one: true,
});

/// The whole file.
pub(crate) static PIPELINE: Map = Map {
    keys: &[
        must("version", &VERSION, "The version of this format: 1."),
        must(
            "name",
            &NAME,
            "a-z, 0-9 and `-`; becomes part of job names and run keys.",
        ),
        or(
            "params",
            &PARAMS,
            "{}",
            "Parameters that `-p NAME=VALUE` sets: `{{ params.NAME }}`.",
        ),
        or(
            "env",
            &ENV,
            "[]",
            "Environment variables that templates may use: `{{ env.NAME }}`.",
        ),
        key(
            "work",
            &WORK,
            "Where a run keeps its state; required with `transform`.",
        ),
        must("source", &SOURCE, "What is read."),
        or("prepare", &PREPARE, "{}", "Which columns go where."),
        or(
            "shards",
            &SHARDS,
            "{}",
            "How the prepared rows are written.",
        ),
        key(
            "transform",
            &TRANSFORM,
            "The SageMaker transform job that scores the shards.",
        ),
        key(
            "assemble",
            &ASSEMBLE,
            "What is published; required with `transform`.",
        ),
        key(
            "budget",
            &BUDGET,
            "What the transform jobs of a run may take. A run that cannot keep it is refused \
             before anything is sent.",
        ),
        key("local", &LOCAL, "Read under `--local` only."),
    ],
    exactly_one: false,
};
