//! The table of the switches: the struct, the enumerations and what is printed of them, from one text.

use super::{Switch, SwitchValue};

/// A line of documentation starts with the blank after `///`.
const fn line(text: &'static str) -> &'static str {
    text.trim_ascii_start()
}

macro_rules! switches {
    ($(
        $(#[doc = $unknown:literal])+
        $name:literal $field:ident: $kind:ident {
            #[doc = $first_meaning:literal]
            $first_value:literal $first:ident,
            $( #[doc = $meaning:literal] $value:literal $variant:ident, )+
        }
    )+) => {
        /// How the service is taken to behave where nobody says how it does.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        #[non_exhaustive]
        pub struct Assumptions {
            $( $(#[doc = $unknown])+ pub $field: $kind, )+
        }

        $(
            $(#[doc = $unknown])+
            #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
            pub enum $kind {
                #[doc = $first_meaning]
                #[default]
                $first,
                $( #[doc = $meaning] $variant, )+
            }
        )+

        impl Assumptions {
            /// All switches, in the order in which they are printed.
            pub const SWITCHES: &'static [Switch] = &[$(
                Switch {
                    name: $name,
                    unknown: line(concat!($($unknown),+)),
                    values: &[
                        SwitchValue { name: $first_value, meaning: line($first_meaning) },
                        $( SwitchValue { name: $value, meaning: line($meaning) }, )+
                    ],
                },
            )+];

            /// The value of a switch, as its name is written; none where there is no such switch.
            #[must_use]
            pub fn value(&self, switch: &str) -> Option<&'static str> {
                match switch {
                    $( $name => Some(match self.$field {
                        $kind::$first => $first_value,
                        $( $kind::$variant => $value, )+
                    }), )+
                    _ => None,
                }
            }

            /// Sets a switch; false where the name or the value does not exist.
            pub(super) fn put(&mut self, switch: &str, value: &str) -> bool {
                match (switch, value) {
                    $(
                        ($name, $first_value) => self.$field = $kind::$first,
                        $( ($name, $value) => self.$field = $kind::$variant, )+
                    )+
                    _ => return false,
                }
                true
            }
        }
    };
}

switches! {
    /// Is the end of a range such as `$[1:4]` in a filter part of it? The developer guide's examples say yes, the library that it names says no.
    "slice-end" slice_end: SliceEnd {
        /// `$[1:4]` is columns 1, 2, 3, counted from 0
        "exclusive" Exclusive,
        /// `$[1:4]` is columns 1, 2, 3, 4, counted from 0
        "inclusive" Inclusive,
    }

    /// What does a filter's range do that ends behind the last column?
    "slice-overrun" slice_overrun: SliceOverrun {
        /// it is an error, as an index out of range is
        "error" Error,
        /// it ends with the last column
        "clip" Clip,
    }

    /// What is a megabyte in MaxPayloadInMB?
    "payload-unit" payload_unit: PayloadUnit {
        /// 2^20 bytes
        "mebibyte" Mebibyte,
        /// 10^6 bytes
        "megabyte" Megabyte,
    }

    /// Does the newline of a record count to the payload?
    "payload-newline" payload_newline: PayloadNewline {
        /// it counts
        "counted" Counted,
        /// only what stands before it counts
        "free" Free,
    }

    /// What does MaxPayloadInMB bound of a gzip object that is sent whole?
    "gzip-payload" gzip_payload: GzipPayload {
        /// its bytes once decompressed
        "unpacked" Unpacked,
        /// its bytes as they are stored
        "packed" Packed,
    }

    /// What becomes of a blank line under SplitType Line?
    "blank-lines" blank_lines: BlankLines {
        /// it is a record like any other
        "send" Send,
        /// it is left out
        "skip" Skip,
    }

    /// What becomes of a last line without a newline under SplitType Line?
    "final-newline" final_newline: FinalNewline {
        /// it is sent as it is
        "as-is" AsIs,
        /// it is sent with a newline
        "added" Added,
    }

    /// What becomes of the CR of a CRLF under SplitType Line?
    "crlf" crlf: CrLf {
        /// it is sent
        "keep" Keep,
        /// it is left out
        "strip" Strip,
    }

    /// What is a CR without an LF under SplitType Line?
    "lone-cr" lone_cr: CarriageReturn {
        /// data of the record
        "data" Data,
        /// the end of a record
        "line-end" LineEnd,
    }

    /// What becomes of a UTF-8 byte order mark under SplitType Line?
    "bom" bom: ByteOrderMark {
        /// it is sent with the first record
        "keep" Keep,
        /// it is left out
        "strip" Strip,
    }

    /// What becomes of a mini-batch that is no UTF-8 under SplitType Line?
    "not-utf8" not_utf8: NotUtf8 {
        /// it is sent as it is
        "send" Send,
        /// its object fails
        "fail" Fail,
    }

    /// What becomes of an input object of zero bytes?
    "empty-objects" empty_objects: EmptyObjects {
        /// no request and no output
        "skip" Skip,
        /// no request, and an output of zero bytes
        "empty-output" EmptyOutput,
        /// one request of zero bytes, and its answer as output
        "send" Send,
        /// the object fails, and the job with it
        "fail" Fail,
    }

    /// What becomes of the zero-byte objects whose key ends in '/', which consoles make for folders?
    "folder-markers" folder_markers: FolderMarkers {
        /// they are no input
        "ignore" Ignore,
        /// they are empty objects like any other (see empty-objects)
        "as-empty" AsEmpty,
    }

    /// Is the newline of a record sent under BatchStrategy SingleRecord?
    "single-record-newline" single_record_newline: SingleRecordNewline {
        /// it is
        "sent" Sent,
        /// only what stands before it is
        "dropped" Dropped,
    }

    /// Does AssembleWith Line add a newline to a reply that ends in one?
    "assemble-line" assemble_line: AssembleLine {
        /// a newline only where there is none
        "where-missing" WhereMissing,
        /// a newline after every reply, which leaves a blank line
        "always" Always,
    }

    /// Where does the output of an object go whose key has folders below the input prefix, or that a manifest names?
    "output-layout" output_layout: OutputLayout {
        /// <output>/sub/x.csv.out: what follows the prefix is kept
        "nested" Nested,
        /// <output>/x.csv.out: the last part of the key alone
        "flat" Flat,
        /// <output>/<input prefix>/x.csv.out, as in the API reference's own example
        "input-prefix" InputPrefix,
    }

    /// What is the output of a gzip object called?
    "gzip-output-name" gzip_output_name: GzipOutputName {
        /// x.csv.gz.out
        "kept" Kept,
        /// x.csv.out
        "dropped" Dropped,
    }

    /// Timeout and retries of an invocation where the request names none: two AWS sources, two answers.
    "invocation-defaults" invocation_defaults: InvocationDefaults {
        /// 600 s and 3 retries
        "api-reference" ApiReference,
        /// 60 s and no retry
        "cdk" Cdk,
    }

    /// What becomes of a request with a BatchStrategy and SplitType None?
    "strategy-without-split" strategy_without_split: StrategyWithoutSplit {
        /// the strategy says nothing: an object is one request
        "ignore" Ignore,
        /// the request is refused
        "refuse" Refuse,
    }

    /// Does a space stand before the inference id that GenerateInferenceId adds to a row of CSV?
    "inference-id-space" inference_id_space: InferenceIdSpace {
        /// `0, <id>,<time>`, as the developer guide prints it
        "printed" Printed,
        /// `0,<id>,<time>`
        "none" None,
    }

    /// Which instance gets which of the input objects, in the order of their keys?
    "distribution" distribution: Distribution {
        /// one each in turn
        "round-robin" RoundRobin,
        /// the first ones to the first instance, and so on, in equal numbers
        "contiguous" Contiguous,
        /// an instance takes the next one when it has room
        "queue" Queue,
        /// all to one, the others stay idle
        "one" One,
    }

    /// When does an instance begin its next object?
    "next-object" next_object: NextObject {
        /// when all requests of one are sent and there is room for another
        "all-sent" AllSent,
        /// when all requests of one are answered
        "all-answered" AllAnswered,
    }

    /// What becomes of the outputs that were finished when a job is stopped?
    "stopped-outputs" stopped_outputs: StoppedOutputs {
        /// none is stored
        "none" None,
        /// they are stored
        "finished" Finished,
    }

    /// What becomes of a key in a manifest that has no object?
    "manifest-missing" manifest_missing: ManifestMissing {
        /// it fails, and the job with it
        "fail" Fail,
        /// it is left out, and the job may well be Completed
        "skip" Skip,
    }

    /// How is a transform job described or stopped that is not there? The API model names one error, Airflow expects another.
    "missing-job" missing_job: MissingJob {
        /// ValidationException
        "validation-exception" ValidationException,
        /// ResourceNotFound
        "resource-not-found" ResourceNotFound,
    }
}
