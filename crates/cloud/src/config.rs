//! Where to connect and how patiently: plain data.

use std::fmt;
use std::time::Duration;

/// Everything a [`crate::Cloud`] is made from. `CloudConfig::default()` is AWS by the SDK's default
/// chain: environment, profiles, SSO, credential process, container and instance roles, and
/// `AWS_ENDPOINT_URL[_S3|_SAGEMAKER]`.
#[derive(Debug, Clone, Default)]
pub struct CloudConfig {
    /// The region; without it, that of the default chain.
    pub region: Option<String>,
    /// An emulator on this machine. With it nothing of the environment is read: no variable, no
    /// profile, no metadata service, no proxy.
    pub local: Option<LocalEndpoint>,
    /// How often and how fast a request is sent again.
    pub retry: RetryPolicy,
    /// How long is waited for what.
    pub timeouts: Timeouts,
    /// Sizes of what is in flight: the bound of this crate's memory.
    pub transfer: Transfer,
}

/// One URL on this machine for every service, with throwaway keys.
#[derive(Clone)]
pub struct LocalEndpoint {
    /// `http://127.0.0.1:<port>`; anything but loopback is refused.
    pub endpoint_url: String,
    /// The throwaway access key id.
    pub access_key_id: String,
    /// The throwaway secret. Never shown.
    pub secret_access_key: String,
    /// The region that requests are signed for.
    pub region: String,
}

impl fmt::Debug for LocalEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalEndpoint")
            .field("endpoint_url", &self.endpoint_url)
            .field("access_key_id", &crate::redact::REDACTED)
            .field("secret_access_key", &crate::redact::REDACTED)
            .field("region", &self.region)
            .finish()
    }
}

/// The SDK's standard mode: exponential backoff with full jitter, a token bucket of 500 shared by
/// all requests to a service, `x-amz-retry-after` honoured; transient errors (connection, timeout,
/// 500, 502, 503, 504, `InternalError` in a 200) and throttling are retried, nothing else.
///
/// Two things are retried here and not by the SDK, by this same policy; of SageMaker nothing is:
/// 1. a body that ended too early or stalled goes on from its last good byte by a ranged GET with
///    `If-Match`; a body with a wrong checksum is read again from its first byte;
/// 2. `409 ConditionalRequestConflict` and `BadDigest` on a write (a multipart upload begins anew).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts in all, the first included.
    pub max_attempts: u32,
    /// Upper end of the first pause; doubled for each that follows.
    pub initial_backoff: Duration,
    /// Upper end of every pause.
    pub max_backoff: Duration,
}

impl Default for RetryPolicy {
    /// Six attempts: pauses of at most 1, 2, 4, 8 and 16 seconds, half of that on average.
    fn default() -> Self {
        Self {
            max_attempts: 6,
            initial_backoff: Duration::from_secs(1),
            max_backoff: Duration::from_secs(20),
        }
    }
}

impl RetryPolicy {
    /// A pause before attempt `attempt` (2 is the first retry), with full jitter.
    pub(crate) fn pause(&self, attempt: u32) -> Duration {
        let doublings = attempt.saturating_sub(2).min(16);
        let top = self
            .initial_backoff
            .saturating_mul(1 << doublings)
            .min(self.max_backoff);
        top.mul_f64(fastrand::f64())
    }
}

/// How long is waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For a connection.
    pub connect: Duration,
    /// From sending a request until the first byte of its answer.
    pub read: Duration,
    /// The same for requests that send a body or let the service copy or join objects: the body's
    /// own time counts, and the service may take minutes (CompleteMultipartUpload).
    pub write: Duration,
    /// For a call with all its attempts and pauses.
    pub operation: Duration,
    /// How long a body may stand still before it counts as lost.
    pub stall: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_millis(3100),
            read: Duration::from_secs(30),
            write: Duration::from_secs(300),
            operation: Duration::from_secs(900),
            stall: Duration::from_secs(20),
        }
    }
}

/// Sizes in bytes of what is in memory for one transfer. At most
/// `max(single_put_max_bytes, part_bytes × parts_in_flight)` for an upload, `2 × range_bytes` for a
/// blocking reader, one network buffer for a download to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transfer {
    /// Up to this an object is sent by one PutObject (S3 allows 5 GiB).
    pub single_put_max_bytes: u64,
    /// Size of a part of a multipart upload; raised where 10,000 parts would not hold the file
    /// (S3 allows 5 MiB to 5 GiB).
    pub part_bytes: u64,
    /// Parts of one upload that are in flight at once.
    pub parts_in_flight: usize,
    /// Size of one ranged GET of a blocking reader.
    pub range_bytes: u64,
}

impl Default for Transfer {
    fn default() -> Self {
        const MIB: u64 = 1 << 20;
        Self {
            single_put_max_bytes: 16 * MIB,
            part_bytes: 16 * MIB,
            parts_in_flight: 4,
            range_bytes: 8 * MIB,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_never_shown() {
        let config = CloudConfig {
            local: Some(LocalEndpoint {
                endpoint_url: "http://127.0.0.1:1".into(),
                access_key_id: "canary-id".into(),
                secret_access_key: "canary-secret".into(),
                region: "us-east-1".into(),
            }),
            ..CloudConfig::default()
        };
        let shown = format!("{config:?}");
        assert!(
            shown.contains("127.0.0.1") && !shown.contains("canary"),
            "{shown}"
        );
    }

    #[test]
    fn pauses_are_bounded_whatever_the_attempt() {
        let policy = RetryPolicy::default();
        for attempt in [0, 1, 2, 3, 10, u32::MAX] {
            assert!(policy.pause(attempt) <= policy.max_backoff);
        }
        assert!(policy.pause(2) <= policy.initial_backoff);
    }
}
