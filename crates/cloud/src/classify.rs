//! Which answer of a service means what: one table, as data.
//!
//! Sources: S3 API reference, "Error responses"; SageMaker API reference, "Common errors" and the
//! errors of each operation. `ValidationException`, `ThrottlingException` and
//! `AccessDeniedException` are in none of SageMaker's models and are what it really returns.

use crate::error::CloudErrorKind::{self, *};

/// Error codes of S3, SageMaker and the credential services, in no order.
const BY_CODE: &[(&str, CloudErrorKind)] = &[
    // Not there.
    ("NoSuchKey", NotFound),
    ("NoSuchBucket", NotFound),
    ("NoSuchUpload", NotFound),
    ("NoSuchVersion", NotFound),
    ("NotFound", NotFound),
    ("ResourceNotFound", NotFound),
    ("ResourceNotFoundException", NotFound),
    // Not allowed: another role is needed.
    ("AccessDenied", AccessDenied),
    ("AccessDeniedException", AccessDenied),
    ("AllAccessDisabled", AccessDenied),
    ("AccountProblem", AccessDenied),
    ("OptInRequired", AccessDenied),
    ("NotAuthorized", AccessDenied),
    // Not known, or no longer: other or fresh credentials are needed.
    ("AuthFailure", Credentials),
    ("ExpiredToken", Credentials),
    ("ExpiredTokenException", Credentials),
    ("IncompleteSignature", Credentials),
    ("InvalidAccessKeyId", Credentials),
    ("InvalidClientTokenId", Credentials),
    ("InvalidSecurity", Credentials),
    ("InvalidSignatureException", Credentials),
    ("InvalidToken", Credentials),
    ("MissingAuthenticationToken", Credentials),
    ("MissingAuthenticationTokenException", Credentials),
    ("RequestExpired", Credentials),
    ("RequestTimeTooSkewed", Credentials),
    ("SignatureDoesNotMatch", Credentials),
    ("TokenRefreshRequired", Credentials),
    ("UnrecognizedClientException", Credentials),
    // Too fast.
    ("BandwidthLimitExceeded", Throttled),
    ("RequestLimitExceeded", Throttled),
    ("RequestThrottled", Throttled),
    ("RequestThrottledException", Throttled),
    ("SlowDown", Throttled),
    ("Throttling", Throttled),
    ("ThrottlingException", Throttled),
    ("ThrottledException", Throttled),
    ("TooManyRequests", Throttled),
    ("TooManyRequestsException", Throttled),
    // Too much.
    ("LimitExceededException", Quota),
    ("ResourceLimitExceeded", Quota),
    ("ServiceQuotaExceededException", Quota),
    ("TooManyBuckets", Quota),
    // Somebody else, at the same moment or before.
    ("ConditionalRequestConflict", Conflict),
    ("ConflictException", Conflict),
    ("OperationAborted", Conflict),
    ("PreconditionFailed", PreconditionFailed),
    ("ResourceInUse", NameInUse),
    ("BucketAlreadyExists", NameInUse),
    ("BucketAlreadyOwnedByYou", NameInUse),
    // Bytes that did not arrive as they were sent.
    ("BadDigest", Corrupt),
    ("InvalidDigest", Corrupt),
    ("XAmzContentChecksumMismatch", Corrupt),
    ("XAmzContentSHA256Mismatch", Corrupt),
    // Wrong whenever it is sent.
    ("AuthorizationHeaderMalformed", Invalid),
    ("EntityTooLarge", Invalid),
    ("EntityTooSmall", Invalid),
    ("IllegalLocationConstraintException", Invalid),
    ("InvalidArgument", Invalid),
    ("InvalidBucketName", Invalid),
    ("InvalidBucketState", Invalid),
    ("InvalidObjectState", Invalid),
    ("InvalidPart", Invalid),
    ("InvalidPartOrder", Invalid),
    ("InvalidRange", Invalid),
    ("InvalidRequest", Invalid),
    ("InvalidURI", Invalid),
    ("KeyTooLongError", Invalid),
    ("MalformedXML", Invalid),
    ("MethodNotAllowed", Invalid),
    ("NotImplemented", Invalid),
    ("PermanentRedirect", Invalid),
    ("TemporaryRedirect", Invalid),
    ("ValidationError", Invalid),
    ("ValidationException", Invalid),
    // The wire, or the service itself.
    ("IncompleteBody", Network),
    ("RequestTimeout", Network),
    ("RequestTimeoutException", Network),
    ("InternalError", Service),
    ("InternalFailure", Service),
    ("InternalServerError", Service),
    ("ServiceUnavailable", Service),
    ("ServiceUnavailableException", Service),
];

/// SageMaker says several things by the one code `ValidationException`: told apart by its text,
/// lower case. First match wins.
const VALIDATION_TEXTS: &[(&str, CloudErrorKind)] = &[
    ("could not find", NotFound),
    ("cannot find", NotFound),
    ("already exist", NameInUse),
    ("already in use", NameInUse),
    ("must be unique", NameInUse),
    ("rate exceeded", Throttled),
];

/// When there is no code: a HEAD has no body, and a proxy in between has codes of its own.
const BY_STATUS: &[(u16, CloudErrorKind)] = &[
    (301, Invalid),
    (302, Invalid),
    (307, Invalid),
    (308, Invalid),
    (401, Credentials),
    (403, AccessDenied),
    (404, NotFound),
    (408, Network),
    (409, Conflict),
    (412, PreconditionFailed),
    (429, Throttled),
    (503, Throttled),
];

/// The kind of an answer by its code and text, else by its status.
pub(crate) fn kind_of(status: Option<u16>, code: Option<&str>, message: &str) -> CloudErrorKind {
    if matches!(code, Some("ValidationException" | "ValidationError")) {
        let text = message.to_lowercase();
        if let Some((_, kind)) = VALIDATION_TEXTS
            .iter()
            .find(|(part, _)| text.contains(part))
        {
            return *kind;
        }
    }
    if let Some((_, kind)) = code.and_then(|code| BY_CODE.iter().find(|(name, _)| *name == code)) {
        return *kind;
    }
    match (
        status,
        BY_STATUS.iter().find(|(number, _)| Some(*number) == status),
    ) {
        (_, Some((_, kind))) => *kind,
        (Some(400..=499), None) => Invalid,
        _ => Service,
    }
}

/// What to do, where one sentence says it.
pub(crate) fn help_of(kind: CloudErrorKind, code: Option<&str>) -> Option<&'static str> {
    Some(match (code, kind) {
        (Some("NoSuchBucket"), _) => {
            "create the bucket, or correct its name; buckets are never created for you"
        }
        (Some("RequestTimeTooSkewed"), _) => "set this machine's clock",
        (
            Some(
                "PermanentRedirect"
                | "TemporaryRedirect"
                | "AuthorizationHeaderMalformed"
                | "IllegalLocationConstraintException",
            ),
            _,
        ) => "the bucket is in another region: set AWS_REGION to it",
        (_, AccessDenied) => "let the role do this action on this resource",
        (_, Credentials) => {
            "log in again, or set AWS_PROFILE or the AWS_* credential variables, or run under a role"
        }
        (_, Throttled | Service | Network) => "try again later; nothing that was done is lost",
        (_, Quota) => "wait until other work has ended, or ask for a higher service quota",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_texts_and_statuses() {
        for (status, code, text, want) in [
            (Some(404), Some("NoSuchKey"), "", NotFound),
            (Some(503), Some("SlowDown"), "", Throttled),
            (Some(503), Some("ServiceUnavailable"), "", Service),
            (Some(200), Some("InternalError"), "", Service),
            (Some(400), Some("ResourceInUse"), "", NameInUse),
            (Some(400), Some("ResourceLimitExceeded"), "", Quota),
            (
                Some(400),
                Some("ThrottlingException"),
                "Rate exceeded",
                Throttled,
            ),
            (
                Some(400),
                Some("ValidationException"),
                "1 validation error detected",
                Invalid,
            ),
            (
                Some(400),
                Some("ValidationException"),
                "Could not find model 'arn:x'.",
                NotFound,
            ),
            (
                Some(400),
                Some("ValidationException"),
                "Cannot create already existing model",
                NameInUse,
            ),
            (
                Some(400),
                Some("ValidationException"),
                "Rate exceeded",
                Throttled,
            ),
            (Some(403), None, "", AccessDenied),
            (Some(412), None, "", PreconditionFailed),
            (Some(418), Some("Teapot"), "", Invalid),
            (Some(502), None, "", Service),
            (None, None, "", Service),
        ] {
            assert_eq!(
                kind_of(status, code, text),
                want,
                "{status:?} {code:?} {text}"
            );
        }
    }

    #[test]
    fn no_code_stands_in_the_table_twice() {
        let mut codes: Vec<_> = BY_CODE.iter().map(|(code, _)| *code).collect();
        codes.sort_unstable();
        assert!(codes.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
