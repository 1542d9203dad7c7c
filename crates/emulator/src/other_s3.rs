//! Another S3 in place of the emulator's own, for transform jobs: the emulated SageMaker then works
//! on a store that nobody here wrote.

use std::path::Path;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_s3::error::DisplayErrorContext;
use aws_sdk_s3::primitives::ByteStream;
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use http::HeaderMap;
use tokio::fs::File;
use tokio::io::AsyncSeekExt as _;

use crate::endpoint_file::Keys;
use crate::job_objects::ObjectsError;

/// An S3 by its URL, and the credentials for it. SageMaker's calls may be signed with them too: a
/// client has one set for all services. Clones share the connection.
#[derive(Clone)]
pub struct OtherS3 {
    client: Client,
    keys: Keys,
}

/// Without the client, which would show the access key id.
impl std::fmt::Debug for OtherS3 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OtherS3").finish_non_exhaustive()
    }
}

impl OtherS3 {
    /// `url` is `http://host:port` or `https://…`; buckets are asked for by path.
    #[must_use]
    pub fn new(
        url: &str,
        region: &str,
        access_key_id: &str,
        secret_access_key: &str,
        session_token: Option<String>,
    ) -> Self {
        let keys = Credentials::new(access_key_id, secret_access_key, session_token, None, "env");
        let http = if url.starts_with("https:") {
            let tls = Provider::Rustls(CryptoMode::Ring);
            Builder::new().tls_provider(tls).build_https()
        } else {
            Builder::new().build_http()
        };
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .endpoint_url(url)
            .region(Region::new(region.to_owned()))
            .credentials_provider(keys)
            .force_path_style(true)
            .http_client(http);
        Self {
            client: Client::from_conf(config.build()),
            keys: Keys {
                access_key_id: access_key_id.to_owned(),
                secret_access_key: secret_access_key.to_owned(),
            },
        }
    }

    /// The keys, if a request says that it was signed with them.
    pub(crate) fn keys_of(&self, headers: &HeaderMap) -> Option<&Keys> {
        let header = headers.get(http::header::AUTHORIZATION)?.to_str().ok()?;
        let named = format!("Credential={}/", self.keys.access_key_id);
        header.contains(&named).then_some(&self.keys)
    }

    pub(crate) async fn keys(
        &self,
        bucket: &str,
        prefix: &str,
    ) -> Result<Vec<String>, ObjectsError> {
        let list = self.client.list_objects_v2().bucket(bucket).prefix(prefix);
        let mut pages = list.into_paginator().send();
        let mut keys = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|e| match e.as_service_error() {
                Some(said) if said.is_no_such_bucket() => {
                    ObjectsError::NoSuchBucket(bucket.to_owned())
                }
                _ => ObjectsError::Failed(DisplayErrorContext(e).to_string()),
            })?;
            keys.extend(page.contents.into_iter().flatten().filter_map(|o| o.key));
        }
        keys.sort();
        Ok(keys)
    }

    /// Copied to a nameless file first, since jobs read from a thread that may stand still for long.
    pub(crate) async fn open(
        &self,
        bucket: &str,
        key: &str,
        folder: &Path,
    ) -> Result<(u64, File), ObjectsError> {
        let get = self.client.get_object().bucket(bucket).key(key);
        let object = get.send().await.map_err(|e| {
            let missing = e.as_service_error().is_some_and(|s| s.is_no_such_key());
            let said = DisplayErrorContext(e);
            let text = format!("cannot read s3://{bucket}/{key}: {said}");
            if missing {
                ObjectsError::NoSuchKey(text)
            } else {
                ObjectsError::Failed(text)
            }
        })?;
        let stated = object.content_length;
        let file = tempfile::tempfile_in(folder).map_err(failed)?;
        let mut file = File::from_std(file);
        let mut body = object.body.into_async_read();
        let size = tokio::io::copy(&mut body, &mut file)
            .await
            .map_err(failed)?;
        if stated != i64::try_from(size).ok() {
            let text = format!("s3://{bucket}/{key} has {stated:?} bytes, {size} arrived");
            return Err(ObjectsError::Failed(text));
        }
        file.rewind().await.map_err(failed)?;
        Ok((size, file))
    }

    pub(crate) async fn put(
        &self,
        bucket: &str,
        key: &str,
        path: &Path,
    ) -> Result<(), ObjectsError> {
        let body = ByteStream::from_path(path).await.map_err(failed)?;
        let put = self.client.put_object().bucket(bucket).key(key).body(body);
        put.send()
            .await
            .map_err(|e| ObjectsError::Failed(DisplayErrorContext(e).to_string()))?;
        Ok(())
    }
}

fn failed(error: impl std::fmt::Display) -> ObjectsError {
    ObjectsError::Failed(error.to_string())
}
