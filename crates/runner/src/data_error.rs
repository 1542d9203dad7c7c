//! From errors of the data crate to exit codes and advice.

use gristmill_cloud::CloudError;
use gristmill_tabular::TabularError;

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
            let copy = std::io::Error::new(source.kind(), source.to_string());
            let mut mapped = RunError::io(action, path, copy);
            if matches!(source.kind(), std::io::ErrorKind::InvalidData | std::io::ErrorKind::UnexpectedEof) {
                mapped.exit = ExitCode::Data;
                mapped.help = Some("the compressed input is damaged or cut short: fetch it again".into());
            }
            mapped
        }
        TabularError::NoInput | TabularError::Empty { .. } => RunError::new(ExitCode::NoInput, text),
        TabularError::BadRow(_) => RunError::new(ExitCode::Data, format!("bad row: {text}"))
            .with_help("mend the row, or set bad rows aside: on_bad_row: quarantine (--on-bad-row quarantine)"),
        TabularError::TooManyBadRows { .. } => RunError::new(ExitCode::Data, text)
            .with_help("look at the quarantine file: each bad row is there with its place and reason"),
        TabularError::Header { .. }
        | TabularError::HeadersDiffer { .. }
        | TabularError::MissingColumns { .. }
        | TabularError::RecordTooLong { .. } => RunError::new(ExitCode::Data, text),
        TabularError::Changed { .. } => RunError::new(ExitCode::Data, text)
            .with_help("wait until the input is complete, then start again with --fresh"),
        TabularError::OutputExists { .. } => {
            RunError::new(ExitCode::Exists, text).with_help("--overwrite replaces it")
        }
        TabularError::RowsDisagree { .. } | TabularError::Prediction { .. } => RunError::new(ExitCode::Model, text)
            .with_help("the model must answer exactly one line a row, in order; nothing was published"),
        TabularError::Options(_) => RunError::new(ExitCode::Usage, text),
        TabularError::Cancelled => RunError::new(ExitCode::Interrupted, "interrupted"),
        TabularError::Internal(_) => RunError::bug(text),
        TabularError::Corrupt { .. } | TabularError::Columnar { .. } => RunError::new(ExitCode::Failure, text),
    }
}
