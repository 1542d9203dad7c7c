//! Multipart uploads: begin, parts, abortion, listings.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use tokio::io::AsyncRead;
use tokio_util::io::ReaderStream;

use super::checksum::{Algorithm, ChecksumType};
use super::object::now_millis;
use super::stage::{BodyError, Staged};
use super::upload::{PartInfo, Upload, UploadInfo, UploadRequest, UploadState};
use super::{ObjectStore, StoreError, blocking, layout, lock};

/// The highest part number (same page).
const MAX_PART_NUMBER: u32 = 10_000;

impl ObjectStore {
    /// Begins a multipart upload and gives its id.
    ///
    /// # Errors
    /// [`StoreError::NoSuchBucket`], [`StoreError::InvalidKey`], [`StoreError::InvalidRequest`]
    /// where algorithm and checksum type do not go together, [`StoreError::Io`].
    pub async fn create_upload(
        &self,
        bucket: &str,
        key: &str,
        request: UploadRequest,
    ) -> Result<UploadInfo, StoreError> {
        layout::check_key(key)?;
        let (algorithm, kind) = (request.effective_algorithm(), request.effective_type());
        if !kind.allows(algorithm) {
            let text = format!(
                "The {kind:?} checksum type cannot be used with the {} checksum algorithm.",
                algorithm.name()
            );
            return Err(StoreError::InvalidRequest(text));
        }
        let id = layout::random_name();
        let info = UploadInfo {
            id,
            key: key.to_owned(),
            initiated_millis: now_millis(),
            request,
        };
        let (store, bucket) = (self.clone(), bucket.to_owned());
        blocking(move || {
            let holder = store.bucket(&bucket)?;
            let _alive = holder.keep()?;
            let folder = store.layout().upload(&bucket, &info.id);
            layout::create_dir(&folder)?;
            layout::write_record(
                &info,
                &store.layout().tmp_file(),
                &folder.join("upload.json"),
            )?;
            layout::sync_dir(&store.layout().uploads(&bucket))?;
            lock(&holder.uploads).insert(info.id.clone(), Arc::new(Upload::new(info.clone())));
            Ok(info)
        })
        .await
    }

    /// An upload under way.
    ///
    /// # Errors
    /// [`StoreError::NoSuchBucket`], [`StoreError::NoSuchUpload`] (also where its key is another).
    pub fn upload(&self, bucket: &str, key: &str, id: &str) -> Result<UploadInfo, StoreError> {
        Ok(self.find_upload(bucket, key, id)?.info.clone())
    }

    pub(super) fn find_upload(
        &self,
        bucket: &str,
        key: &str,
        id: &str,
    ) -> Result<Arc<Upload>, StoreError> {
        let found = lock(&self.bucket(bucket)?.uploads).get(id).cloned();
        found
            .filter(|u| u.info.key == key)
            .ok_or_else(|| no_upload(id))
    }

    /// Stores a part, replacing one of the same number.
    ///
    /// # Errors
    /// As [`Self::put`], and [`StoreError::NoSuchUpload`].
    pub async fn upload_part<R>(
        &self,
        bucket: &str,
        key: &str,
        id: &str,
        number: u32,
        body: R,
    ) -> Result<PartInfo, StoreError>
    where
        R: AsyncRead + Unpin + Send,
    {
        let body = ReaderStream::new(body).map(|r| r.map_err(BodyError::from));
        let staged = self.stage_part(bucket, key, id, number, body, &[]).await?;
        self.commit_part(bucket, key, id, number, staged).await
    }

    /// Writes a part's body to disk, with the upload's checksum and `algorithms`. It is no part
    /// before [`Self::commit_part`].
    pub(crate) async fn stage_part<S>(
        &self,
        bucket: &str,
        key: &str,
        id: &str,
        number: u32,
        body: S,
        algorithms: &[Algorithm],
    ) -> Result<Staged, StoreError>
    where
        S: Stream<Item = Result<Bytes, BodyError>> + Unpin + Send,
    {
        let upload = self.find_upload(bucket, key, id)?;
        if !(1..=MAX_PART_NUMBER).contains(&number) {
            let text = "Part number must be an integer between 1 and 10000, inclusive";
            return Err(StoreError::InvalidArgument(text));
        }
        check_part_algorithms(&upload.info.request, algorithms)?;
        let mut wanted = vec![upload.info.request.effective_algorithm()];
        wanted.extend(
            algorithms
                .iter()
                .filter(|a| **a != wanted[0])
                .copied()
                .collect::<Vec<_>>(),
        );
        self.stage(bucket, body, &wanted).await
    }

    /// Makes a staged content a part.
    pub(crate) async fn commit_part(
        &self,
        bucket: &str,
        key: &str,
        id: &str,
        number: u32,
        staged: Staged,
    ) -> Result<PartInfo, StoreError> {
        let upload = self.find_upload(bucket, key, id)?;
        let (store, bucket) = (self.clone(), bucket.to_owned());
        blocking(move || store.place_part(&bucket, &upload, number, staged)).await
    }

    fn place_part(
        &self,
        bucket: &str,
        upload: &Upload,
        number: u32,
        staged: Staged,
    ) -> Result<PartInfo, StoreError> {
        let holder = self.bucket(bucket)?;
        let _alive = holder.keep()?;
        let mut state = open_state(upload)?;
        let part = PartInfo {
            number,
            size: staged.size,
            etag: hex::encode(&staged.md5),
            checksums: staged.checksums.clone(),
            modified_millis: now_millis(),
            generation: layout::random_name(),
        };
        let id = &upload.info.id;
        staged.place(
            &self
                .layout()
                .part_content(bucket, id, number, &part.generation),
        )?;
        let record = self.layout().part_record(bucket, id, number);
        layout::write_record(&part, &self.layout().tmp_file(), &record)?;
        if let Some(old) = state.parts.insert(number, part.clone()) {
            layout::remove_file(
                &self
                    .layout()
                    .part_content(bucket, id, number, &old.generation),
            )?;
        }
        Ok(part)
    }

    /// Drops an upload and its parts.
    ///
    /// # Errors
    /// [`StoreError::NoSuchUpload`], [`StoreError::Io`].
    pub async fn abort_upload(&self, bucket: &str, key: &str, id: &str) -> Result<(), StoreError> {
        let upload = self.find_upload(bucket, key, id)?;
        let (store, bucket) = (self.clone(), bucket.to_owned());
        blocking(move || {
            let mut state = open_state(&upload)?;
            store.forget(&bucket, &upload, &mut state)
        })
        .await
    }

    /// Ends an upload. Its record goes first: a folder without one is cleared when the store opens.
    pub(super) fn forget(
        &self,
        bucket: &str,
        upload: &Upload,
        state: &mut UploadState,
    ) -> Result<(), StoreError> {
        state.closed = true;
        lock(&self.bucket(bucket)?.uploads).remove(&upload.info.id);
        let folder = self.layout().upload(bucket, &upload.info.id);
        layout::remove_file(&folder.join("upload.json"))?;
        layout::remove_dir(&folder)
    }

    /// The parts of an upload, by number.
    ///
    /// # Errors
    /// [`StoreError::NoSuchBucket`], [`StoreError::NoSuchUpload`].
    pub fn list_parts(
        &self,
        bucket: &str,
        key: &str,
        id: &str,
    ) -> Result<Vec<PartInfo>, StoreError> {
        let upload = self.find_upload(bucket, key, id)?;
        let parts = lock(&upload.state).parts.values().cloned().collect();
        Ok(parts)
    }

    /// The uploads under way for keys that start with `prefix`, by key, then by beginning.
    ///
    /// # Errors
    /// [`StoreError::NoSuchBucket`].
    pub fn list_uploads(&self, bucket: &str, prefix: &str) -> Result<Vec<UploadInfo>, StoreError> {
        let holder = self.bucket(bucket)?;
        let mut uploads: Vec<UploadInfo> = lock(&holder.uploads)
            .values()
            .filter(|u| u.info.key.starts_with(prefix))
            .map(|u| u.info.clone())
            .collect();
        uploads.sort_by(|a, b| {
            (&a.key, a.initiated_millis, &a.id).cmp(&(&b.key, b.initiated_millis, &b.id))
        });
        Ok(uploads)
    }
}

fn no_upload(id: &str) -> StoreError {
    StoreError::NoSuchUpload {
        upload_id: id.to_owned(),
    }
}

/// The state of an upload that is neither completed nor aborted.
pub(super) fn open_state(
    upload: &Upload,
) -> Result<std::sync::MutexGuard<'_, UploadState>, StoreError> {
    let state = lock(&upload.state);
    if state.closed {
        Err(no_upload(&upload.info.id))
    } else {
        Ok(state)
    }
}

/// A part must carry the checksum that its upload was begun with.
fn check_part_algorithms(
    request: &UploadRequest,
    announced: &[Algorithm],
) -> Result<(), StoreError> {
    let Some(expected) = request.algorithm else {
        return Ok(());
    };
    let found = announced.iter().find(|a| **a != expected).map(|a| a.name());
    let missing = announced.is_empty() && request.effective_type() == ChecksumType::Composite;
    if found.is_none() && !missing {
        return Ok(());
    }
    Err(StoreError::InvalidRequest(format!(
        "Checksum Type mismatch occurred, expected checksum Type: {}, actual checksum Type: {}",
        expected.name().to_ascii_lowercase(),
        found.unwrap_or("null").to_ascii_lowercase(),
    )))
}
