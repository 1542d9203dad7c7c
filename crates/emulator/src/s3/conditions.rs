//! Conditional requests (RFC 9110, section 13; S3 user guide, "Conditional requests").

use std::time::{Duration, UNIX_EPOCH};

use http::{HeaderMap, HeaderValue};
use s3s::dto::{ETag, ETagCondition, Timestamp};
use s3s::{S3Error, S3ErrorCode, S3Result, s3_error};

use crate::store::{Condition, ObjectInfo};

/// The four conditions of a read.
#[derive(Default)]
pub(super) struct ReadConditions {
    pub(super) if_match: Option<ETagCondition>,
    pub(super) if_none_match: Option<ETagCondition>,
    pub(super) if_modified_since: Option<Timestamp>,
    pub(super) if_unmodified_since: Option<Timestamp>,
}

impl ReadConditions {
    /// Do they hold? A read that is not needed answers 304, one that must not be 412.
    pub(super) fn check(&self, info: &ObjectInfo) -> S3Result<()> {
        if let Some(condition) = &self.if_match {
            if !fits(condition, info) {
                return Err(failed("If-Match"));
            }
        } else if self
            .if_unmodified_since
            .as_ref()
            .is_some_and(|t| modified_after(info, t))
        {
            return Err(failed("If-Unmodified-Since"));
        }
        if let Some(condition) = &self.if_none_match {
            if fits(condition, info) {
                return Err(not_modified(info));
            }
        } else if self
            .if_modified_since
            .as_ref()
            .is_some_and(|t| !modified_after(info, t))
        {
            return Err(not_modified(info));
        }
        Ok(())
    }

    /// Do they hold for the source of a copy? There, nothing answers 304.
    pub(super) fn check_source(&self, info: &ObjectInfo) -> S3Result<()> {
        self.check(info).map_err(|_| failed("x-amz-copy-source-if"))
    }
}

fn fits(condition: &ETagCondition, info: &ObjectInfo) -> bool {
    condition.is_any()
        || condition
            .as_etag()
            .is_some_and(|etag| etag.value() == info.etag)
}

/// Headers carry whole seconds, so that is what is compared.
fn modified_after(info: &ObjectInfo, time: &Timestamp) -> bool {
    let seconds = UNIX_EPOCH + Duration::from_secs(info.modified_millis / 1000);
    Timestamp::from(seconds) > *time
}

fn failed(condition: &str) -> S3Error {
    let message =
        format!("At least one of the pre-conditions you specified did not hold: {condition}");
    S3Error::with_message(S3ErrorCode::PreconditionFailed, message)
}

fn not_modified(info: &ObjectInfo) -> S3Error {
    let mut error = S3Error::new(S3ErrorCode::NotModified);
    let mut headers = HeaderMap::new();
    if let Ok(etag) = HeaderValue::from_str(&format!("\"{}\"", info.etag)) {
        headers.insert(http::header::ETAG, etag);
    }
    error.set_headers(headers);
    error
}

/// The condition of a write: `If-None-Match: *` or `If-Match: <etag>`.
pub(super) fn for_write(
    if_match: Option<ETagCondition>,
    if_none_match: Option<ETagCondition>,
) -> S3Result<Condition> {
    match (if_match, if_none_match) {
        (None, None) => Ok(Condition::Always),
        (None, Some(condition)) if condition.is_any() => Ok(Condition::Absent),
        (Some(condition), None) => Ok(Condition::Matches(match condition.into_etag() {
            Some(etag) => etag.into_value(),
            None => "*".to_owned(),
        })),
        _ => Err(s3_error!(
            NotImplemented,
            "A header you provided implies functionality that is not implemented: writes know If-Match with an ETag or If-None-Match with *"
        )),
    }
}

/// The ETag of an object on the wire.
pub(super) fn etag(value: &str) -> ETag {
    ETag::Strong(value.to_owned())
}
