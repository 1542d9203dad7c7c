//! What a pipeline file may say and a run does not do yet: refused rather than read over.

use gristmill_plan::Spec;
use gristmill_plan::spec::{OnNewColumn, ParquetCompression, ShardFormat, SourceFormat};

use crate::error::RunError;
use crate::exit_code::ExitCode;

/// The first key that is not carried out, as an error of the pipeline.
///
/// # Errors
/// `Pipeline`, with its place.
pub(crate) fn refuse(spec: &Spec) -> Result<(), RunError> {
    let Some(path) = first(spec) else {
        return Ok(());
    };
    Err(RunError::new(
        ExitCode::Pipeline,
        format!(
            "{}: `{path}` has a value that this version does not carry out",
            spec.places.of(path)
        ),
    ))
}

fn first(spec: &Spec) -> Option<&'static str> {
    let (source, prepare, shards) = (&spec.source, &spec.prepare, &spec.shards);
    let written = match shards.format {
        ShardFormat::Csv | ShardFormat::CsvGz | ShardFormat::CsvSz => true,
        ShardFormat::Parquet => spec.transform.is_none(),
        _ => false,
    };
    let codec = matches!(
        shards.compression,
        ParquetCompression::Snappy | ParquetCompression::None
    );
    let refused = [
        (
            "source.format",
            !matches!(source.format, None | Some(SourceFormat::Csv)),
        ),
        (
            "source.on_new_column",
            source.on_new_column != OnNewColumn::Ignore,
        ),
        ("prepare.label", prepare.label.is_some()),
        ("prepare.split", prepare.split.is_some()),
        ("shards.format", !written),
        ("shards.compression", !codec),
    ];
    let found = refused.into_iter().find(|(_, refused)| *refused);
    found.map(|(path, _)| path)
}
