//! Deleting objects.

use s3s::dto::*;
use s3s::{S3Error, S3Result, s3_error};

use super::{Api, buckets, conditions};
use crate::store::Condition;

/// Keys of one DeleteObjects (API reference).
const MAX_KEYS: usize = 1000;

pub(super) async fn one(api: &Api, input: DeleteObjectInput) -> S3Result<DeleteObjectOutput> {
    let condition = conditions::for_write(input.if_match, None)?;
    api.store
        .delete(&input.bucket, &input.key, condition)
        .await?;
    Ok(DeleteObjectOutput::default())
}

pub(super) async fn many(api: &Api, input: DeleteObjectsInput) -> S3Result<DeleteObjectsOutput> {
    buckets::require(api, &input.bucket)?;
    let objects = input.delete.objects;
    if objects.is_empty() || objects.len() > MAX_KEYS {
        return Err(s3_error!(
            MalformedXML,
            "1 to {MAX_KEYS} keys can be deleted at once, not {}",
            objects.len()
        ));
    }
    let mut output = DeleteObjectsOutput::default();
    for object in objects {
        let condition = object
            .e_tag
            .map_or(Condition::Always, |e| Condition::Matches(e.into_value()));
        match api
            .store
            .delete(&input.bucket, &object.key, condition)
            .await
        {
            Ok(()) if input.delete.quiet == Some(true) => {}
            Ok(()) => output.deleted.get_or_insert_default().push(DeletedObject {
                key: Some(object.key),
                ..DeletedObject::default()
            }),
            Err(e) => output
                .errors
                .get_or_insert_default()
                .push(refusal(object.key, e.into())),
        }
    }
    Ok(output)
}

fn refusal(key: String, error: S3Error) -> Error {
    Error {
        code: Some(error.code().as_str().to_owned()),
        key: Some(key),
        message: error.message().map(str::to_owned),
        version_id: None,
    }
}
