//! Who may call: the holder of the one key, speaking of the one account.

use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{S3Auth, SecretKey};
use s3s::{S3Result, s3_error};

use crate::config::EmulatorConfig;
use crate::endpoint_file::Keys;

/// Knows the secret of one access key.
pub(super) struct OneKey {
    access_key_id: String,
    secret: SecretKey,
}

impl OneKey {
    pub(super) fn new(keys: &Keys) -> Self {
        Self {
            access_key_id: keys.access_key_id.clone(),
            secret: SecretKey::from(keys.secret_access_key.clone()),
        }
    }
}

#[async_trait::async_trait]
impl S3Auth for OneKey {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        if access_key == self.access_key_id {
            return Ok(self.secret.clone());
        }
        Err(s3_error!(
            InvalidAccessKeyId,
            "The AWS Access Key Id you provided does not exist in our records."
        ))
    }
}

/// Refuses the anonymous, and requests that expect a bucket to be somebody else's.
pub(super) struct OwnerOnly;

#[async_trait::async_trait]
impl S3Access for OwnerOnly {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        let expected = [
            "x-amz-expected-bucket-owner",
            "x-amz-source-expected-bucket-owner",
        ];
        let other = |name| {
            context
                .headers()
                .get(name)
                .is_some_and(|v| v.as_bytes() != EmulatorConfig::ACCOUNT.as_bytes())
        };
        if context.credentials().is_none() || expected.into_iter().any(other) {
            return Err(s3_error!(AccessDenied, "Access Denied"));
        }
        Ok(())
    }
}
