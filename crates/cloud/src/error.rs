//! The one error of this crate.

use crate::attempts::Attempts;
use crate::classify::{help_of, kind_of};
use crate::redact::clean;
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use std::error::Error as StdError;
use std::fmt;
use std::ops::Deref;

/// What kind of failure it is: what a caller decides by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum CloudErrorKind {
    /// The object, bucket, model or job does not exist.
    NotFound,
    /// Known to the service, and not allowed to do this.
    AccessDenied,
    /// No credentials, or such as the service does not take (expired, unknown, wrong clock).
    Credentials,
    /// Too many requests, still after all attempts.
    Throttled,
    /// A quota of the account is used up.
    Quota,
    /// Another writer was at work at the same moment, still after all attempts.
    Conflict,
    /// `If-Match` or `If-None-Match` did not hold: the object is another one than expected, or
    /// exists.
    PreconditionFailed,
    /// A job, model or bucket of that name exists.
    NameInUse,
    /// The request is wrong and will stay so.
    Invalid,
    /// No answer, or no whole one, still after all attempts.
    Network,
    /// The service failed, still after all attempts.
    Service,
    /// Bytes are not those that were sent: size or checksum differ.
    Corrupt,
    /// A local file could not be read or written.
    Io,
}

impl CloudErrorKind {
    /// Whether the same call may succeed later without anybody changing anything.
    pub fn is_temporary(self) -> bool {
        matches!(
            self,
            Self::Throttled | Self::Quota | Self::Conflict | Self::Network | Self::Service
        )
    }
}

/// A failed call: where, what, after how many attempts, and what to do.
///
/// Reads as [`ErrorDetails`] (`error.kind`, `error.code`, …). No credential and no presigned URL
/// is ever in it: texts of others go through [`clean`] first.
#[derive(Clone)]
pub struct CloudError(Box<ErrorDetails>);

/// What a [`CloudError`] knows.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ErrorDetails {
    /// What kind of failure it is.
    pub kind: CloudErrorKind,
    /// Service and operation, such as `s3 PutObject`.
    pub action: &'static str,
    /// On what: an `s3://` URI, a job's or a model's name, a local path.
    pub resource: String,
    /// The HTTP status of the last answer.
    pub status: Option<u16>,
    /// The service's own error code.
    pub code: Option<String>,
    /// The service's id of the last request, for its support.
    pub request_id: Option<String>,
    /// How many requests were sent; 0 if none was.
    pub attempts: u32,
    /// What happened, in the service's words where it has some; cleaned.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
}

impl Deref for CloudError {
    type Target = ErrorDetails;

    fn deref(&self) -> &ErrorDetails {
        &self.0
    }
}

impl CloudError {
    /// An error of our own finding, without an answer of a service.
    pub(crate) fn new(
        kind: CloudErrorKind,
        action: &'static str,
        resource: impl fmt::Display,
        message: impl AsRef<str>,
    ) -> Self {
        Self(Box::new(ErrorDetails {
            kind,
            action,
            resource: clean(&resource.to_string()),
            status: None,
            code: None,
            request_id: None,
            attempts: 0,
            message: clean(message.as_ref()),
            help: help_of(kind, None).map(str::to_owned),
        }))
    }

    /// What the SDK gave up with.
    pub(crate) fn from_sdk<E>(
        action: &'static str,
        resource: impl fmt::Display,
        attempts: &Attempts,
        error: &SdkError<E, HttpResponse>,
    ) -> Self
    where
        E: ProvideErrorMetadata + StdError + 'static,
    {
        let response = error.raw_response();
        let status = response.map(|r| r.status().as_u16());
        let code = error
            .as_service_error()
            .and_then(ProvideErrorMetadata::code);
        let said = error
            .as_service_error()
            .and_then(ProvideErrorMetadata::message);
        let kind = match error {
            SdkError::ServiceError(_) => kind_of(status, code, said.unwrap_or_default()),
            other => kind_without_answer(other),
        };
        let told = said.map_or_else(|| untold(status, attempts, error), str::to_owned);
        let mut new = Self::new(kind, action, resource, told);
        new.0.status = status;
        new.0.code = code.map(clean);
        new.0.request_id = response.and_then(request_id);
        new.0.attempts = attempts.count();
        new.0.help = help_of(kind, code).map(str::to_owned);
        if let Some(region) = response.and_then(|r| r.headers().get("x-amz-bucket-region"))
            && kind == CloudErrorKind::Invalid
        {
            new.0.help = Some(format!(
                "the bucket is in {}: set AWS_REGION to it",
                clean(region)
            ));
        }
        new
    }

    /// A local file that could not be read or written.
    pub(crate) fn io(action: &'static str, path: &std::path::Path, error: &std::io::Error) -> Self {
        Self::new(
            CloudErrorKind::Io,
            action,
            path.display(),
            error.to_string(),
        )
    }

    pub(crate) fn with_message(mut self, message: &str) -> Self {
        self.0.message = clean(message);
        self
    }

    pub(crate) fn with_help(mut self, help: impl Into<String>) -> Self {
        self.0.help = Some(help.into());
        self
    }

    pub(crate) fn with_attempts(mut self, attempts: u32) -> Self {
        self.0.attempts = attempts;
        self
    }
}

/// A failure before there was a whole answer.
fn kind_without_answer<E: StdError + 'static>(error: &SdkError<E, HttpResponse>) -> CloudErrorKind {
    if sources(error).any(|e| e.is::<CredentialsError>()) {
        return CloudErrorKind::Credentials;
    }
    match error {
        SdkError::ConstructionFailure(_) => CloudErrorKind::Invalid,
        SdkError::DispatchFailure(failure) if failure.is_user() => CloudErrorKind::Invalid,
        _ => CloudErrorKind::Network,
    }
}

fn sources<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |e: &&'a (dyn StdError + 'static)| {
        (*e).source()
    })
}

/// What every error in the chain says, outermost first, each sentence once.
pub(crate) fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut parts: Vec<String> = Vec::new();
    for source in sources(error) {
        let text = source.to_string();
        if !parts.iter().any(|part| part.contains(&text)) {
            parts.push(text);
        }
    }
    parts.join(": ")
}

/// What to tell where the service told nothing: a HEAD is answered by a status alone, and what does not
/// answer as S3 does may be no S3 at all.
fn untold<E: StdError + 'static>(
    status: Option<u16>,
    attempts: &Attempts,
    error: &SdkError<E, HttpResponse>,
) -> String {
    let Some(server) = attempts.server() else {
        return chain(error);
    };
    match (status, error) {
        (Some(403), SdkError::ServiceError(_)) => {
            format!(
                "{server} refused it and gave no reason: these credentials may be wrong, or lack a permission"
            )
        }
        (_, SdkError::ServiceError(_)) => {
            format!("{server} gave no reason that can be read; is it the service's endpoint?")
        }
        _ => format!("{server}: {}", chain(error)),
    }
}

/// S3 and the JSON services name the header differently.
fn request_id(response: &HttpResponse) -> Option<String> {
    ["x-amz-request-id", "x-amzn-requestid"]
        .iter()
        .find_map(|name| response.headers().get(*name))
        .map(clean)
}

impl fmt::Display for CloudError {
    /// `s3 PutObject s3://b/k: 403 AccessDenied after 1 attempt (request id X): what it said`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}:", self.action, self.resource)?;
        if let Some(status) = self.status {
            write!(f, " {status}")?;
        }
        if let Some(code) = &self.code {
            write!(f, " {code}")?;
        }
        let answered = self.status.is_some() || self.code.is_some();
        if self.attempts > 0 {
            let s = if self.attempts == 1 { "" } else { "s" };
            write!(f, " after {} attempt{s}", self.attempts)?;
        }
        if let Some(id) = &self.request_id {
            write!(f, " (request id {id})")?;
        }
        let colon = if answered || self.attempts > 0 {
            ":"
        } else {
            ""
        };
        write!(f, "{colon} {}", self.message)
    }
}

/// As [`fmt::Display`]: a derived one would print the same members, and more than a log needs.
impl fmt::Debug for CloudError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CloudError({:?}: {self})", self.kind)
    }
}

impl StdError for CloudError {}

impl From<CloudError> for std::io::Error {
    /// For the blocking readers; `get_ref` and a downcast give the [`CloudError`] back.
    fn from(error: CloudError) -> Self {
        let kind = match error.kind {
            CloudErrorKind::NotFound => std::io::ErrorKind::NotFound,
            CloudErrorKind::AccessDenied | CloudErrorKind::Credentials => {
                std::io::ErrorKind::PermissionDenied
            }
            CloudErrorKind::Corrupt => std::io::ErrorKind::InvalidData,
            _ => std::io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_our_own_reads_as_one_sentence() {
        let error = CloudError::new(
            CloudErrorKind::Corrupt,
            "s3 GetObject",
            "s3://b/k",
            "3 bytes of 5 arrived",
        );
        insta::assert_snapshot!(error, @"s3 GetObject s3://b/k: 3 bytes of 5 arrived");
        insta::assert_snapshot!(error.with_attempts(2), @"s3 GetObject s3://b/k: after 2 attempts: 3 bytes of 5 arrived");
    }

    #[test]
    fn an_io_error_keeps_the_error() {
        let io: std::io::Error =
            CloudError::new(CloudErrorKind::NotFound, "s3 GetObject", "s3://b/k", "gone").into();
        assert_eq!(io.kind(), std::io::ErrorKind::NotFound);
        assert!(io.get_ref().is_some_and(|e| e.is::<CloudError>()));
    }
}
