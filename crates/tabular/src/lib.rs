//! CSV to columns to Parquet and Snappy CSV, and predictions back to rows.
//!
//! Pure computation over readers and writers: no async, no network, no YAML. Output order is input
//! order and output bytes are the same whatever the number of threads. Memory is bounded by
//! threads × block (and row group), never by the input.
//!
//! The way of a row: [`Input`] → blocks cut at record ends by exact quote state → records parsed by
//! worker threads → consumed in input order by [`scan`](scan::scan), [`write_shards`] or
//! [`convert`](convert::convert); after scoring, [`assemble`](assemble::assemble) puts predictions
//! beside the rows that their sidecars remember.

pub mod assemble;
pub mod bad_rows;
pub mod check;
mod checked_pages;
pub mod compression;
pub mod convert;
pub mod dialect;
pub mod disk_writer;
mod durable_file;
pub mod encoding;
pub mod error;
pub mod format;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
pub mod input;
pub mod inspect;
pub mod inspect_framing;
pub mod inspect_hadoop;
pub mod inspect_parquet;
pub mod inspect_wrapper;
pub mod inspect_zstd;
pub mod label;
mod likely_types;
pub mod parquet_writer;
pub mod predictions;
pub mod progress;
pub mod scan;
pub mod schema;
pub mod shard;
pub mod sidecar;
pub mod sniff;
pub mod split;
#[cfg(feature = "benches")]
#[doc(hidden)]
pub mod steps;

mod aligned_memory;
mod answer_bytes;
mod answer_cells;
mod answer_json;
mod answer_layout;
mod arrangement;
mod arrow_columns;
mod assembly;
mod batches;
mod blocks;
mod boolean_chunk;
mod cell_text;
mod chunk_writer;
mod chunked;
mod column_chunk;
#[cfg(test)]
mod column_chunk_tests;
mod column_scratch;
mod column_sinks;
mod column_values;
mod convert_parquet;
mod convert_parts;
mod convert_text;
mod csv_sink;
mod csv_text;
mod dictionary;
mod dictionary_policy;
mod fixed_chunk;
mod header;
mod infer;
mod inference_ids;
mod instants;
mod joined_ids;
mod json_columns;
mod json_rows;
mod json_text;
mod ordered;
mod page_buffer;
mod page_codec;
mod page_header;
mod page_index;
mod pages;
mod parquet_claims;
mod parquet_copy;
mod parquet_file;
mod parquet_footer;
mod parquet_output;
mod parquet_shards;
mod parquet_size;
mod parser;
mod parts;
mod passthrough;
mod places;
mod quarantine;
mod quotes;
mod ranges;
mod record_ends;
mod records;
mod refusals;
mod refused_rows;
mod regular;
mod rendered_rows;
mod rle;
mod row_counter;
mod row_group_encoder;
mod row_groups;
mod rows;
mod scratch;
mod shard_files;
mod shard_rows;
mod shard_writer;
#[cfg(target_arch = "x86_64")]
mod simd_digits;
#[cfg(target_arch = "x86_64")]
mod simd_eights;
mod snappy_blocks;
mod snappy_elements;
mod snappy_fragments;
mod snappy_framing;
mod snappy_hadoop;
mod snappy_words;
mod sniff_candidates;
mod sniff_cells;
mod sniff_choice;
mod sniff_fit;
mod sniff_header;
mod sniff_options;
mod sources;
mod stream_codecs;
mod structure;
mod swar;
mod text_bounds;
mod text_chunk;
mod text_dictionary;
mod text_values;
mod thrift;
mod typed_cells;
mod value_bytes;
mod values;
mod wrapper_signature;

pub use assemble::*;
pub use bad_rows::{BadReason, BadRow, OnBadRow};
pub use batches::{NOT_PARQUET, parquet_rows};
pub use check::{Checked, check};
pub use compression::*;
pub use convert::{ConvertJob, Converted, OutputFile, Target, convert};
pub use dialect::{Dialect, NO_QUOTE};
pub use durable_file::{Committed, DurableFile};
pub use encoding::{OtherEncoding, TextEncoding};
pub use error::TabularError;
pub use format::{Format, Layout};
pub use input::Input;
pub use inspect::{InspectOptions, Inspection, TextInspection, inspect};
pub use joined_ids::OtherIds;
pub use label::{LABEL_MAP, Label, LabelRule, OnMissing};
pub use parquet_writer::*;
pub use progress::Progress;
pub use ranges::ReadRange;
pub use refused_rows::{RowOrigin, ShardPiece, TextShard, join_answers, row_origins};
pub use scan::{FileScan, Scan, ScanOptions, Typing, scan};
pub use schema::{Column, ColumnType, Schema};
pub use shard::{SealedShard, ShardJob, ShardTotals, write_shards};
pub use sniff::*;
pub use split::Split;
pub use wrapper_signature::WrongWrapper;
