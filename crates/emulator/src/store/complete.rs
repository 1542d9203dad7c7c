//! The completion of a multipart upload: parts become an object.

use std::sync::Arc;

use md5::{Digest as _, Md5};

use super::checksum::{self, ChecksumType, Checksums};
use super::multipart::open_state;
use super::object::{Condition, ObjectInfo};
use super::stage::Staged;
use super::upload::{PartInfo, Upload, UploadRequest, UploadState};
use super::write::NewObject;
use super::{ObjectStore, StoreError, blocking};

/// The smallest part, but for the last, in bytes: 5 MiB (S3 user guide, "Multipart upload limits").
pub const MIN_PART_BYTES: u64 = 5 * 1024 * 1024;

/// A part that a completion names.
#[derive(Debug, Clone, Default)]
pub struct CompletedPart {
    /// Its number.
    pub number: u32,
    /// Its ETag, without quotes.
    pub etag: String,
    /// The checksums that the client holds of it.
    pub checksums: Checksums,
}

/// What a completion asks for.
#[derive(Debug, Clone, Default)]
pub struct Completion {
    /// The parts, ascending.
    pub parts: Vec<CompletedPart>,
    /// The checksum that the whole must have.
    pub expected: Checksums,
    /// Its type must be this one.
    pub checksum_type: Option<ChecksumType>,
    /// The size in bytes that the whole must have.
    pub size: Option<u64>,
    /// What must hold when the object is replaced.
    pub condition: Condition,
}

impl ObjectStore {
    /// Makes an object of parts. The object appears in one step; the upload is gone afterwards.
    ///
    /// # Errors
    /// [`StoreError::NoSuchUpload`], [`StoreError::InvalidPart`], [`StoreError::InvalidPartOrder`],
    /// [`StoreError::EntityTooSmall`], [`StoreError::BadDigest`], [`StoreError::InvalidRequest`],
    /// [`StoreError::PreconditionFailed`], [`StoreError::Io`]; the upload stays then.
    pub async fn complete_upload(
        &self,
        bucket: &str,
        key: &str,
        id: &str,
        completion: Completion,
    ) -> Result<Arc<ObjectInfo>, StoreError> {
        let upload = self.find_upload(bucket, key, id)?;
        let (store, bucket) = (self.clone(), bucket.to_owned());
        blocking(move || store.complete_blocking(&bucket, &upload, &completion)).await
    }

    fn complete_blocking(
        &self,
        bucket: &str,
        upload: &Upload,
        completion: &Completion,
    ) -> Result<Arc<ObjectInfo>, StoreError> {
        let mut state = open_state(upload)?;
        let parts = chosen_parts(&state, &upload.info.request, completion)?;
        let new = assemble(&upload.info.request, &parts, completion)?;
        let id = &upload.info.id;
        let contents: Vec<_> = parts
            .iter()
            .map(|p| {
                self.layout()
                    .part_content(bucket, id, p.number, &p.generation)
            })
            .collect();
        let staged = Staged::concatenate(self.layout().tmp_file(), &contents)?;
        let info = self.replace(bucket, &upload.info.key, staged, new, &completion.condition)?;
        self.forget(bucket, upload, &mut state)?;
        Ok(info)
    }
}

/// The parts that a completion names, each as it was uploaded.
fn chosen_parts(
    state: &UploadState,
    request: &UploadRequest,
    completion: &Completion,
) -> Result<Vec<PartInfo>, StoreError> {
    let mut chosen: Vec<PartInfo> = Vec::with_capacity(completion.parts.len());
    for named in &completion.parts {
        if let Some(previous) = chosen.last()
            && previous.number >= named.number
        {
            return Err(StoreError::InvalidPartOrder {
                number: named.number,
                previous: previous.number,
            });
        }
        chosen.push(check_part(state, request, named)?);
    }
    if chosen.is_empty() {
        return Err(StoreError::InvalidRequest(
            "You must specify at least one part".to_owned(),
        ));
    }
    for part in &chosen[..chosen.len() - 1] {
        if part.size < MIN_PART_BYTES {
            let (number, size) = (part.number, part.size);
            return Err(StoreError::EntityTooSmall {
                number,
                size,
                minimum: MIN_PART_BYTES,
            });
        }
    }
    Ok(chosen)
}

fn check_part(
    state: &UploadState,
    request: &UploadRequest,
    named: &CompletedPart,
) -> Result<PartInfo, StoreError> {
    let number = named.number;
    let invalid = |reason: String| StoreError::InvalidPart { number, reason };
    let part = state
        .parts
        .get(&number)
        .ok_or_else(|| invalid("it was not uploaded".to_owned()))?;
    if part.etag != named.etag {
        return Err(invalid(format!(
            "its ETag is {}, not {}",
            part.etag, named.etag
        )));
    }
    for (algorithm, value) in named.checksums.iter() {
        if part
            .checksums
            .get(algorithm)
            .is_some_and(|found| found != value)
        {
            return Err(invalid(format!("its {} is not {value}", algorithm.name())));
        }
    }
    if let Some(algorithm) = request.algorithm
        && request.effective_type() == ChecksumType::Composite
        && named.checksums.get(algorithm).is_none()
    {
        let name = algorithm.name().to_ascii_lowercase();
        return Err(StoreError::InvalidRequest(format!(
            "The upload was created using a {name} checksum. The complete request must include the \
             checksum for each part. It was missing for part {number} in the request."
        )));
    }
    Ok(part.clone())
}

/// ETag, checksum and sizes of the object that the parts make.
fn assemble(
    request: &UploadRequest,
    parts: &[PartInfo],
    completion: &Completion,
) -> Result<NewObject, StoreError> {
    let size: u64 = parts.iter().map(|p| p.size).sum();
    if completion.size.is_some_and(|expected| expected != size) {
        return Err(StoreError::InvalidRequest(format!(
            "The provided 'x-amz-mp-object-size' header does not match what was computed: {size}"
        )));
    }
    let checksums = whole_checksum(request, parts)?;
    check_whole(request, &checksums, completion)?;
    let mut md5 = Md5::new();
    for part in parts {
        md5.update(hex::decode(&part.etag).unwrap_or_default());
    }
    Ok(NewObject {
        etag: format!("{}-{}", hex::encode(md5.finalize()), parts.len()),
        headers: request.headers.clone(),
        checksums,
        checksum_type: request.effective_type(),
        parts: parts.iter().map(|p| p.size).collect(),
    })
}

fn whole_checksum(request: &UploadRequest, parts: &[PartInfo]) -> Result<Checksums, StoreError> {
    let algorithm = request.effective_algorithm();
    let sums = parts
        .iter()
        .map(|p| (p.checksums.get(algorithm).unwrap_or_default(), p.size));
    let value = match request.effective_type() {
        ChecksumType::FullObject => checksum::full_object(algorithm, &sums.collect::<Vec<_>>())?,
        ChecksumType::Composite => {
            checksum::composite(algorithm, &sums.map(|s| s.0).collect::<Vec<_>>())?
        }
    };
    Ok(Checksums::one(algorithm, value))
}

/// Compares the whole's checksum with what the completion announced, with or without `-N`.
fn check_whole(
    request: &UploadRequest,
    checksums: &Checksums,
    completion: &Completion,
) -> Result<(), StoreError> {
    let kind = request.effective_type();
    if completion
        .checksum_type
        .is_some_and(|announced| announced != kind)
    {
        return Err(StoreError::InvalidRequest(format!(
            "The upload was created with checksum type {kind:?}."
        )));
    }
    for (algorithm, expected) in completion.expected.iter() {
        let found = checksums.get(algorithm).unwrap_or("not computed");
        let digest = found.split('-').next().unwrap_or(found);
        if expected != found && expected != digest {
            return Err(StoreError::bad_checksum(algorithm, expected, found));
        }
    }
    Ok(())
}
