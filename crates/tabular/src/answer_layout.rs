//! How a model's answers are written. It follows from what was asked of the service, never from the
//! answers: what they look like may be what went wrong.

use serde::{Deserialize, Serialize};

/// The form of a `.out` file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswerLayout {
    /// From the job's `Accept`.
    pub form: AnswerForm,
    /// What a document of JSON answers.
    #[serde(default)]
    pub documents: Documents,
    /// Each request held one record (`BatchStrategy: SingleRecord`): a list of answers in a document
    /// holds one.
    #[serde(default)]
    pub single_record: bool,
    /// The service put an id and a time behind each record (`GenerateInferenceId`).
    #[serde(default)]
    pub inference_ids: bool,
}

/// The text form of answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnswerForm {
    /// A line a row: CSV cells, or a Python list.
    #[default]
    Csv,
    /// JSON values one behind the other, with or without newlines between or within them.
    Json,
}

/// What one JSON document is the answer to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Documents {
    /// An object with a list `predictions` answers a request, an item a row; any other document, a
    /// row.
    #[default]
    Auto,
    /// Each document answers one row.
    Rows,
    /// Each document answers one request: it is a list, or an object with a list `predictions`, of
    /// an item a row.
    Batches,
}

impl AnswerLayout {
    /// A line of CSV a row.
    #[must_use]
    pub fn csv() -> Self {
        Self::default()
    }

    /// JSON values, each as [`Documents::Auto`] says.
    #[must_use]
    pub fn json() -> Self {
        Self {
            form: AnswerForm::Json,
            ..Self::default()
        }
    }

    /// By a media type: JSON where it is one of JSON's, else CSV.
    #[must_use]
    pub fn of_media_type(accept: &str) -> Self {
        let bare = accept.split(';').next().unwrap_or_default();
        if bare.trim().to_ascii_lowercase().contains("json") {
            Self::json()
        } else {
            Self::csv()
        }
    }
}
