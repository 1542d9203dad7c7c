//! What lies under a prefix: all pages, in the service's order.

use crate::attempts::Attempts;
use crate::error::{CloudError, CloudErrorKind};
use crate::store::{ObjectMeta, Store, size_of};
use crate::uri::S3Uri;
use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output;
use aws_sdk_s3::types::{EncodingType, Object};
use percent_encoding::percent_decode_str;
use std::collections::HashSet;

const ACTION: &str = "s3 ListObjectsV2";

impl Store {
    /// Every object whose key starts with the URI's key (a literal prefix, no folder: end it with
    /// `/` to mean one), in UTF-8 order, at most `limit`. Memory: one [`ObjectMeta`] an object.
    ///
    /// # Errors
    /// [`CloudErrorKind::Invalid`] if there are more than `limit`;
    /// [`CloudErrorKind::Corrupt`] if the store repeats a continuation token or leaves one out
    /// (it would never end, or end too early); any of a request.
    pub async fn list(&self, prefix: &S3Uri, limit: usize) -> Result<Vec<ObjectMeta>, CloudError> {
        let mut found = Vec::new();
        let mut tokens = HashSet::new();
        let mut token = None;
        loop {
            let page = self.list_page(prefix, token.as_deref()).await?;
            for object in page.contents() {
                found.push(listed(prefix, &page, object)?);
            }
            if found.len() > limit {
                let text = format!("more than {limit} objects have this prefix");
                return Err(
                    CloudError::new(CloudErrorKind::Invalid, ACTION, prefix, text)
                        .with_help("narrow the prefix, or raise the limit"),
                );
            }
            token = next_token(prefix, &page)?;
            let Some(next) = &token else { return Ok(found) };
            if !tokens.insert(next.clone()) {
                return Err(broken(
                    prefix,
                    "the store repeated a continuation token: the listing would never end",
                ));
            }
        }
    }

    async fn list_page(
        &self,
        prefix: &S3Uri,
        token: Option<&str>,
    ) -> Result<ListObjectsV2Output, CloudError> {
        let attempts = Attempts::default();
        self.reads
            .list_objects_v2()
            .bucket(&prefix.bucket)
            .prefix(&prefix.key)
            // XML has no way to write some characters that keys may have (a CR, a control).
            .encoding_type(EncodingType::Url)
            .set_continuation_token(token.map(str::to_owned))
            .customize()
            .interceptor(attempts.counter())
            .send()
            .await
            .map_err(|e| CloudError::from_sdk(ACTION, prefix, &attempts, &e))
    }

    /// Aborts every multipart upload under a prefix that was begun and never completed: a killed
    /// run leaves them, and they cost storage. Returns how many.
    ///
    /// # Errors
    /// Any [`CloudErrorKind`] of a request; uploads that have ended meanwhile are none.
    pub async fn abort_uploads(&self, prefix: &S3Uri) -> Result<u64, CloudError> {
        const ACTION: &str = "s3 ListMultipartUploads";
        let (mut aborted, mut seen) = (0, HashSet::new());
        let (mut key_marker, mut id_marker) = (None::<String>, None::<String>);
        loop {
            let attempts = Attempts::default();
            let page = self
                .reads
                .list_multipart_uploads()
                .bucket(&prefix.bucket)
                .prefix(&prefix.key)
                .set_key_marker(key_marker)
                .set_upload_id_marker(id_marker)
                .customize()
                .interceptor(attempts.counter())
                .send()
                .await
                .map_err(|e| CloudError::from_sdk(ACTION, prefix, &attempts, &e))?;
            for upload in page.uploads() {
                if let (Some(key), Some(id)) = (upload.key(), upload.upload_id()) {
                    self.abort_upload(&prefix.with_key(key), id).await?;
                    aborted += 1;
                }
            }
            key_marker = page.next_key_marker().map(str::to_owned);
            id_marker = page.next_upload_id_marker().map(str::to_owned);
            if page.is_truncated() != Some(true) {
                return Ok(aborted);
            }
            if !seen.insert((key_marker.clone(), id_marker.clone())) {
                return Err(broken(
                    prefix,
                    "the store repeated a marker: the listing would never end",
                ));
            }
        }
    }
}

fn next_token(prefix: &S3Uri, page: &ListObjectsV2Output) -> Result<Option<String>, CloudError> {
    match (page.is_truncated(), page.next_continuation_token()) {
        (_, Some(token)) if !token.is_empty() && page.is_truncated() != Some(false) => {
            Ok(Some(token.to_owned()))
        }
        (Some(true), _) => Err(broken(
            prefix,
            "the store said that there is more, and not how to ask for it",
        )),
        _ => Ok(None),
    }
}

fn listed(
    prefix: &S3Uri,
    page: &ListObjectsV2Output,
    object: &Object,
) -> Result<ObjectMeta, CloudError> {
    let encoded = page.encoding_type() == Some(&EncodingType::Url);
    let key = decoded(object.key().unwrap_or_default(), encoded)
        .ok_or_else(|| broken(prefix, "the store listed a key that is not UTF-8"))?;
    if key.is_empty() {
        return Err(broken(prefix, "the store listed an object without a key"));
    }
    Ok(ObjectMeta {
        size: size_of(ACTION, &prefix.with_key(&key), object.size())?,
        key,
        etag: object.e_tag().unwrap_or_default().to_owned(),
        last_modified: object
            .last_modified()
            .map_or(0, aws_sdk_s3::primitives::DateTime::secs),
        checksum: None,
    })
}

/// `EncodingType: url` is that of HTML forms: a blank is `+`, and a `+` is `%2B`.
fn decoded(key: &str, encoded: bool) -> Option<String> {
    if !encoded {
        return Some(key.to_owned());
    }
    let spaced = key.replace('+', " ");
    percent_decode_str(&spaced)
        .decode_utf8()
        .ok()
        .map(std::borrow::Cow::into_owned)
}

fn broken(prefix: &S3Uri, message: &str) -> CloudError {
    CloudError::new(CloudErrorKind::Corrupt, ACTION, prefix, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_decoded_only_if_they_were_encoded() {
        for (key, encoded, want) in [
            ("a+b%2Bc%0D", true, Some("a b+c\r")),
            ("a+b%2Bc", false, Some("a+b%2Bc")),
            ("%ff", true, None),
            ("%d0%BA", true, Some("к")),
        ] {
            assert_eq!(decoded(key, encoded).as_deref(), want);
        }
    }
}
