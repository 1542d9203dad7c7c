//! `GenerateInferenceId`: an id and the job's start beside each answer.
//!
//! Of CSV two columns, `0, <id>,<time>`; of JSON the fields `SageMakerInferenceId` and
//! `SageMakerInferenceTime` (developer guide, "model-monitor-data-capture-batch"). Answers of another
//! kind stay as they are.

use super::processing::{Records, lines, with_fields};
use crate::assume::InferenceIdSpace;

/// What is added to each record of an answer.
#[derive(Clone, Debug)]
pub(crate) struct InferenceIds {
    pub(crate) records: Records,
    /// The job's start, `2022-08-30T00:49:15Z`.
    pub(crate) time: String,
    pub(crate) space: InferenceIdSpace,
}

impl InferenceIds {
    /// The answer with its ids; a record that is no JSON where it should be stays as it is.
    pub(crate) fn add(&self, reply: &[u8]) -> Vec<u8> {
        if self.records == Records::Json {
            return self.json(reply);
        }
        let mut out = Vec::with_capacity(reply.len() * 2);
        for record in lines(reply) {
            match self.records {
                Records::Csv => {
                    out.extend_from_slice(record);
                    let space = match self.space {
                        InferenceIdSpace::Printed => " ",
                        InferenceIdSpace::None => "",
                    };
                    out.extend(format!(",{space}{},{}", uuid(), self.time).into_bytes());
                }
                Records::JsonLines | Records::Json => out.extend(self.json(record)),
            }
            out.push(b'\n');
        }
        out
    }

    fn json(&self, record: &[u8]) -> Vec<u8> {
        let id = uuid();
        let fields = [
            ("SageMakerInferenceId", id.as_str()),
            ("SageMakerInferenceTime", self.time.as_str()),
        ];
        with_fields(record, &fields).map_or_else(|| record.to_vec(), String::into_bytes)
    }
}

/// A random one (version 4).
pub(crate) fn uuid() -> String {
    let bits = fastrand::u128(..) & !(0xf000 << 64 | 0xc000 << 48) | 0x4000 << 64 | 0x8000 << 48;
    let hex = format!("{bits:032x}");
    let parts = [
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    ];
    parts.join("-")
}
