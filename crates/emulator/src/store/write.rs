//! Putting, copying and deleting objects.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use tokio::io::AsyncRead;
use tokio_util::io::ReaderStream;

use super::bucket::Bucket;
use super::checksum::{Algorithm, ChecksumType, Checksums};
use super::layout;
use super::object::{Condition, ObjectHeaders, ObjectInfo, PutRequest, now_millis};
use super::stage::{BodyError, Staged};
use super::{ObjectStore, StoreError, blocking, write};

/// Bytes of one read of a body that is no stream yet.
const READ_BYTES: usize = 128 * 1024;

/// What an object becomes, apart from its bytes.
pub(super) struct NewObject {
    pub(super) etag: String,
    pub(super) headers: ObjectHeaders,
    pub(super) checksums: Checksums,
    pub(super) checksum_type: ChecksumType,
    pub(super) parts: Vec<u64>,
}

impl ObjectStore {
    /// Stores a body as an object, replacing one of the same key in one step. The body streams:
    /// memory does not grow with it.
    ///
    /// # Errors
    /// [`StoreError::NoSuchBucket`], [`StoreError::InvalidKey`], [`StoreError::BadDigest`],
    /// [`StoreError::PreconditionFailed`], [`StoreError::Body`], [`StoreError::Io`]; nothing is
    /// stored then.
    pub async fn put<R>(
        &self,
        bucket: &str,
        key: &str,
        body: R,
        request: PutRequest,
    ) -> Result<Arc<ObjectInfo>, StoreError>
    where
        R: AsyncRead + Unpin + Send,
    {
        let body =
            ReaderStream::with_capacity(body, READ_BYTES).map(|r| r.map_err(BodyError::from));
        let staged = self
            .stage(bucket, body, &request.expected.algorithms())
            .await?;
        self.commit(bucket, key, staged, request).await
    }

    /// Writes a body to disk and computes its sums, CRC64NVME where `algorithms` is empty. It is no
    /// object before [`Self::commit`].
    pub(crate) async fn stage<S>(
        &self,
        bucket: &str,
        body: S,
        algorithms: &[Algorithm],
    ) -> Result<Staged, StoreError>
    where
        S: Stream<Item = Result<Bytes, BodyError>> + Unpin + Send,
    {
        self.bucket(bucket)?;
        let algorithms = if algorithms.is_empty() {
            &[Algorithm::Crc64nvme]
        } else {
            algorithms
        };
        Staged::write(self.layout().tmp_file(), body, algorithms).await
    }

    /// Makes a staged content the object of `key`, if sums and condition hold.
    pub(crate) async fn commit(
        &self,
        bucket: &str,
        key: &str,
        staged: Staged,
        request: PutRequest,
    ) -> Result<Arc<ObjectInfo>, StoreError> {
        staged.verify(&request.expected, request.content_md5.as_deref())?;
        let new = NewObject {
            etag: hex::encode(&staged.md5),
            headers: request.headers,
            checksums: staged.checksums.clone(),
            checksum_type: ChecksumType::FullObject,
            parts: Vec::new(),
        };
        let (store, bucket, key) = (self.clone(), bucket.to_owned(), key.to_owned());
        blocking(move || store.replace(&bucket, &key, staged, new, &request.condition)).await
    }

    /// The one place where an object comes into being. Blocking.
    pub(super) fn replace(
        &self,
        bucket: &str,
        key: &str,
        staged: Staged,
        new: NewObject,
        condition: &Condition,
    ) -> Result<Arc<ObjectInfo>, StoreError> {
        layout::check_key(key)?;
        let holder = self.bucket(bucket)?;
        let _alive = holder.keep()?;
        let _lock = self.lock_key(bucket, key);
        let old = holder.object(key);
        check_condition(bucket, key, old.as_deref(), condition)?;
        let info = Arc::new(ObjectInfo {
            key: key.to_owned(),
            size: staged.size,
            etag: new.etag,
            modified_millis: now_millis(),
            headers: new.headers,
            checksums: new.checksums,
            checksum_type: new.checksum_type,
            parts: new.parts,
            generation: layout::random_name(),
        });
        self.write_object(bucket, staged, &info)?;
        write(&holder.objects).insert(key.to_owned(), Arc::clone(&info));
        if let Some(old) = old {
            layout::remove_file(&self.layout().content(bucket, key, &old.generation))?;
        }
        Ok(info)
    }

    fn write_object(
        &self,
        bucket: &str,
        staged: Staged,
        info: &ObjectInfo,
    ) -> Result<(), StoreError> {
        let record = self.layout().record(bucket, &info.key);
        if let Some(folder) = record.parent()
            && !folder.exists()
        {
            layout::create_dir(folder)?;
            layout::sync_dir(&self.layout().objects(bucket))?;
        }
        staged.place(&self.layout().content(bucket, &info.key, &info.generation))?;
        layout::write_record(info, &self.layout().tmp_file(), &record)
    }

    /// Deletes an object. That it does not exist is as good, unless a condition asks for it.
    ///
    /// # Errors
    /// [`StoreError::NoSuchBucket`], [`StoreError::PreconditionFailed`], [`StoreError::Io`].
    pub async fn delete(
        &self,
        bucket: &str,
        key: &str,
        condition: Condition,
    ) -> Result<(), StoreError> {
        let (store, bucket, key) = (self.clone(), bucket.to_owned(), key.to_owned());
        blocking(move || {
            let holder = store.bucket(&bucket)?;
            store.delete_blocking(&holder, &bucket, &key, &condition)
        })
        .await
    }

    fn delete_blocking(
        &self,
        holder: &Bucket,
        bucket: &str,
        key: &str,
        condition: &Condition,
    ) -> Result<(), StoreError> {
        let _alive = holder.keep()?;
        let _lock = self.lock_key(bucket, key);
        let old = holder.object(key);
        check_condition(bucket, key, old.as_deref(), condition)?;
        let Some(old) = old else { return Ok(()) };
        let record = self.layout().record(bucket, key);
        layout::remove_file(&record)?;
        if let Some(folder) = record.parent() {
            layout::sync_dir(folder)?;
        }
        write(&holder.objects).remove(key);
        layout::remove_file(&self.layout().content(bucket, key, &old.generation))
    }

    /// Copies an object. Its checksum is computed anew over the whole, by the source's algorithm;
    /// `headers` replaces the source's headers where it is given.
    ///
    /// # Errors
    /// As [`Self::get`] and [`Self::put`].
    pub async fn copy(
        &self,
        from: (&str, &str),
        to: (&str, &str),
        headers: Option<ObjectHeaders>,
        algorithm: Option<Algorithm>,
    ) -> Result<Arc<ObjectInfo>, StoreError> {
        let (info, file) = self.get(from.0, from.1).await?;
        let algorithms = algorithm.map_or_else(|| info.checksums.algorithms(), |a| vec![a]);
        let body =
            ReaderStream::with_capacity(file, READ_BYTES).map(|r| r.map_err(BodyError::from));
        let staged = self.stage(to.0, body, &algorithms).await?;
        let request = PutRequest {
            headers: headers.unwrap_or_else(|| info.headers.clone()),
            ..PutRequest::default()
        };
        self.commit(to.0, to.1, staged, request).await
    }
}

/// Does the condition hold for what is stored now?
fn check_condition(
    bucket: &str,
    key: &str,
    old: Option<&ObjectInfo>,
    condition: &Condition,
) -> Result<(), StoreError> {
    match (condition, old) {
        (Condition::Always, _) | (Condition::Absent, None) => Ok(()),
        (Condition::Absent, Some(_)) => Err(StoreError::PreconditionFailed {
            condition: "If-None-Match",
        }),
        (Condition::Matches(_), None) => Err(StoreError::no_key(bucket, key)),
        (Condition::Matches(etag), Some(old)) if *etag == old.etag || etag == "*" => Ok(()),
        (Condition::Matches(_), Some(_)) => Err(StoreError::PreconditionFailed {
            condition: "If-Match",
        }),
    }
}
