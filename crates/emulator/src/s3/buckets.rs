//! Buckets.

use s3s::S3Result;
use s3s::dto::*;

use super::{Api, headers};
use crate::store::StoreError;

/// Refuses a bucket that does not exist.
pub(super) fn require(api: &Api, bucket: &str) -> Result<(), StoreError> {
    if api.store.bucket_exists(bucket) {
        return Ok(());
    }
    Err(StoreError::NoSuchBucket {
        bucket: bucket.to_owned(),
    })
}

pub(super) async fn create(api: &Api, input: CreateBucketInput) -> S3Result<CreateBucketOutput> {
    match api.store.create_bucket(&input.bucket).await {
        // There alone, a bucket of one's own can be created again (API reference, CreateBucket).
        Err(StoreError::BucketExists { .. }) if api.region == "us-east-1" => {}
        created => created?,
    }
    Ok(CreateBucketOutput {
        location: Some(format!("/{}", input.bucket)),
    })
}

pub(super) fn head(api: &Api, input: &HeadBucketInput) -> S3Result<HeadBucketOutput> {
    require(api, &input.bucket)?;
    Ok(HeadBucketOutput {
        bucket_region: Some(api.region.clone()),
        ..HeadBucketOutput::default()
    })
}

pub(super) fn list(api: &Api, input: &ListBucketsInput) -> ListBucketsOutput {
    let prefix = input.prefix.clone().unwrap_or_default();
    let buckets = api
        .store
        .list_buckets()
        .into_iter()
        .filter(|b| b.name.starts_with(&prefix));
    let buckets = buckets.map(|b| Bucket {
        bucket_region: Some(api.region.clone()),
        creation_date: Some(headers::millis(b.created_millis)),
        name: Some(b.name),
    });
    ListBucketsOutput {
        buckets: Some(buckets.collect()),
        prefix: input.prefix.clone(),
        ..ListBucketsOutput::default()
    }
}

pub(super) async fn delete(api: &Api, input: &DeleteBucketInput) -> S3Result<DeleteBucketOutput> {
    api.store.delete_bucket(&input.bucket).await?;
    Ok(DeleteBucketOutput::default())
}

/// `us-east-1` is told by saying nothing (API reference, GetBucketLocation).
pub(super) fn location(
    api: &Api,
    input: &GetBucketLocationInput,
) -> S3Result<GetBucketLocationOutput> {
    require(api, &input.bucket)?;
    let region =
        (api.region != "us-east-1").then(|| BucketLocationConstraint::from(api.region.clone()));
    Ok(GetBucketLocationOutput {
        location_constraint: region,
    })
}
