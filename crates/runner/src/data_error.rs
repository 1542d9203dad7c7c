//! From errors of the data crate to exit codes and advice.

use gristmill_cloud::CloudError;
use gristmill_tabular::{
    BadReason, LABEL_MAP, NOT_PARQUET, OtherEncoding, TabularError, TextEncoding, WrongWrapper,
};

use crate::error::RunError;
use crate::exit_code::ExitCode;

/// The class of an error about data, with advice where there is any.
#[must_use]
pub fn classify(error: &TabularError) -> RunError {
    let text = error.to_string();
    match error {
        TabularError::Io { source, path, action } => {
            if let Some(cloud) = source.get_ref().and_then(|e| e.downcast_ref::<CloudError>()) {
                return RunError::from(cloud.clone());
            }
            if source.kind() == std::io::ErrorKind::NotFound && *action == "open" {
                return RunError::new(ExitCode::NoInput, text).with_help("check the path of the input");
            }
            if source.kind() == std::io::ErrorKind::PermissionDenied && matches!(*action, "open" | "read") {
                return RunError::new(ExitCode::Permission, text).with_help("make the input readable for this user");
            }
            if source.kind() == std::io::ErrorKind::IsADirectory && *action == "read" {
                return RunError::new(ExitCode::NoInput, text).with_help("it is a folder: name the files in it");
            }
            if *action == "replace" {
                return RunError::new(ExitCode::Exists, text);
            }
            if source.kind() == std::io::ErrorKind::ResourceBusy {
                return RunError::new(ExitCode::Temporary, text).with_help("wait for it, or choose another name");
            }
            let copy = std::io::Error::new(source.kind(), source.to_string());
            let mut mapped = RunError::io(action, path, copy);
            if matches!(source.kind(), std::io::ErrorKind::InvalidData | std::io::ErrorKind::UnexpectedEof) {
                mapped.exit = ExitCode::Data;
                let help = WrongWrapper::in_error(source).map(|wrong| wrong.advice.clone());
                let encoding = OtherEncoding::in_error(source).map(|other| match other {
                    // Without a mark and without a name it would be read as UTF-8.
                    OtherEncoding::NoAscii { found, .. } if *found != TextEncoding::UTF_8 => {
                        format!("name {found}: source.encoding (--encoding)")
                    }
                    other => format!("name {}, or none: source.encoding (--encoding)", other.found()),
                });
                mapped.help = Some(help.or(encoding).unwrap_or_else(|| "the compressed input is damaged or cut short: fetch it again".into()));
            }
            if source.kind() == std::io::ErrorKind::NotFound && *action == "create" {
                mapped.help = Some("make its folder first".into());
            }
            mapped
        }
        TabularError::NoInput | TabularError::Empty { .. } => RunError::new(ExitCode::NoInput, text),
        TabularError::BadRow(row) if row.reason == BadReason::TooLong => RunError::new(ExitCode::Data, format!("bad row: {text}"))
            .with_help("raise transform.max_payload_in_mb or source.max_record, or set such rows aside: on_bad_row: quarantine"),
        TabularError::BadRow(row) if row.reason == BadReason::Encoding => {
            RunError::new(ExitCode::Data, format!("bad row: {text}")).with_help(
                "name the encoding, such as windows-1252 or cp932: source.encoding (--encoding), or set such rows aside: \
                 on_bad_row: quarantine (--on-bad-row quarantine)",
            )
        }
        TabularError::BadRow(row) if row.expected.ends_with(LABEL_MAP) => {
            RunError::new(ExitCode::Data, format!("bad row: {text}")).with_help(
                "add the text to the label's map, mend the row, or set bad rows aside: \
                 on_bad_row: quarantine (--on-bad-row quarantine)",
            )
        }
        TabularError::BadRow(_) => RunError::new(ExitCode::Data, format!("bad row: {text}"))
            .with_help("mend the row, or set bad rows aside: on_bad_row: quarantine (--on-bad-row quarantine)"),
        TabularError::TooManyBadRows { .. } => RunError::new(ExitCode::Data, text)
            .with_help("`gristmill convert IN OUT --on-bad-row quarantine --bad-rows FILE` lists every bad row with its place; \
                 then mend them, or raise max_ratio or max_rows"),
        TabularError::MissingColumns { header, .. } => RunError::new(ExitCode::Data, text).with_help(match header.len() {
            1 => "if the header has more than one column, state the delimiter: source.delimiter (--delimiter)",
            _ => "write names as the header does, in upper and lower case too",
        }),
        TabularError::Header { .. }
        | TabularError::Columns { .. }
        | TabularError::HeadersDiffer { .. }
        | TabularError::NewColumns { .. }
        | TabularError::RecordTooLong { .. }
        | TabularError::RowTooLarge { .. } => RunError::new(ExitCode::Data, text),
        TabularError::Changed { .. } => RunError::new(ExitCode::Data, text)
            .with_help("wait until the input is complete, then start again with --fresh"),
        TabularError::OutputExists { .. } => {
            RunError::new(ExitCode::Exists, text).with_help("--overwrite replaces it")
        }
        TabularError::RowsDisagree { .. } => RunError::new(ExitCode::Model, text)
            .with_help("the model must answer exactly one line a row, in order; nothing was published"),
        TabularError::Prediction { .. } => RunError::new(ExitCode::Model, text)
            .with_help("the pipeline's `from` and `type` must fit what the model answers; nothing was published. A model that was mended under its old name scores again with --fresh"),
        TabularError::Options(_) => RunError::new(ExitCode::Usage, text),
        TabularError::Cancelled => RunError::new(ExitCode::Interrupted, "interrupted"),
        TabularError::Internal(_) => RunError::bug(text),
        TabularError::Corrupt { problem, .. } if problem.starts_with(NOT_PARQUET) => {
            RunError::new(ExitCode::Data, text).with_help(
                "`gristmill inspect` says what the file is; where its name does not tell, --from \
                 (source.format) does",
            )
        }
        TabularError::Corrupt { .. } => RunError::new(ExitCode::Data, text),
        TabularError::Columnar { action, .. } if *action != "encode" && *action != "write" => {
            RunError::new(ExitCode::Data, text)
        }
        TabularError::Columnar { .. } => RunError::new(ExitCode::Failure, text),
    }
}
