//! The store's refusals under their S3 names.

use http::StatusCode;
use s3s::{S3Error, S3ErrorCode};

use crate::store::StoreError;

impl From<StoreError> for S3Error {
    fn from(error: StoreError) -> Self {
        let code = match &error {
            StoreError::NoSuchBucket { .. } => S3ErrorCode::NoSuchBucket,
            StoreError::NoSuchKey { .. } => S3ErrorCode::NoSuchKey,
            StoreError::BucketExists { .. } => S3ErrorCode::BucketAlreadyOwnedByYou,
            StoreError::BucketNotEmpty { .. } => S3ErrorCode::BucketNotEmpty,
            StoreError::InvalidBucketName { .. } => S3ErrorCode::InvalidBucketName,
            StoreError::InvalidKey { .. } => S3ErrorCode::KeyTooLongError,
            StoreError::PreconditionFailed { .. } => S3ErrorCode::PreconditionFailed,
            StoreError::NoSuchUpload { .. } => S3ErrorCode::NoSuchUpload,
            StoreError::InvalidPart { .. } => S3ErrorCode::InvalidPart,
            StoreError::InvalidPartOrder { .. } => S3ErrorCode::InvalidPartOrder,
            StoreError::EntityTooSmall { .. } => S3ErrorCode::EntityTooSmall,
            StoreError::BadDigest { .. } => S3ErrorCode::BadDigest,
            StoreError::InvalidArgument(_) => S3ErrorCode::InvalidArgument,
            StoreError::InvalidRequest(_) => S3ErrorCode::InvalidRequest,
            StoreError::Body(source) => return body_error(&source.to_string()),
            StoreError::Io { .. } | StoreError::Damaged { .. } => S3ErrorCode::InternalError,
            StoreError::Closing => S3ErrorCode::ServiceUnavailable,
        };
        Self::with_message(code, error.to_string())
    }
}

/// `s3s` checks a body while it is read, and keeps the types of its errors to itself: their texts
/// are all there is.
fn body_error(text: &str) -> S3Error {
    if text.contains("Sha256Mismatch") {
        let code = S3ErrorCode::Custom("XAmzContentSHA256Mismatch".into());
        let message =
            "The provided 'x-amz-content-sha256' header does not match what was computed.";
        let mut error = S3Error::with_message(code, message);
        error.set_status_code(StatusCode::BAD_REQUEST);
        return error;
    }
    if text.contains("SignatureMismatch") {
        let message = "The signature of a chunk does not match.";
        return S3Error::with_message(S3ErrorCode::SignatureDoesNotMatch, message);
    }
    S3Error::with_message(
        S3ErrorCode::IncompleteBody,
        format!("The body could not be read: {text}"),
    )
}
