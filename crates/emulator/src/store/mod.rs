//! Objects on disk.
//!
//! An object is a content file and a record; the rename of the record is the moment in which it
//! exists. So a kill at any moment leaves the old object or the new one, never half of one, and a
//! reader of the old content keeps reading the old content. An index in memory, built when the
//! store opens, answers listings; records on disk are the truth.
//!
//! Locks: a key's lock is held from the check of a condition to the change of the index, so
//! `If-None-Match` and `If-Match` have one winner. Locks are never held across an `await`: whatever
//! takes one runs on a blocking thread.

mod bucket;
mod checksum;
mod complete;
mod error;
mod layout;
mod list;
mod multipart;
mod object;
mod stage;
mod upload;
mod write;

use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use serde::{Deserialize, Serialize};

use self::bucket::Bucket;
use self::layout::Layout;

pub use self::checksum::{Algorithm, ChecksumType, Checksums};
pub use self::complete::{CompletedPart, Completion, MIN_PART_BYTES};
pub use self::error::StoreError;
pub use self::list::{ListQuery, Page};
pub use self::object::{Condition, ObjectHeaders, ObjectInfo, PutRequest};
pub(crate) use self::stage::BodyError;
pub use self::upload::{PartInfo, UploadInfo, UploadRequest};

/// Locks for keys; two keys may share one.
const KEY_LOCKS: usize = 256;

/// Buckets and objects in one folder. Clones share everything.
#[derive(Debug, Clone)]
pub struct ObjectStore {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    layout: Layout,
    buckets: RwLock<BTreeMap<String, Arc<Bucket>>>,
    locks: Vec<Mutex<()>>,
}

/// A bucket, as listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BucketInfo {
    /// Its name.
    pub name: String,
    /// When it was created, in milliseconds since 1970.
    pub created_millis: u64,
}

impl ObjectStore {
    /// Opens the store in `dir`, creating it where it is missing, and removes what a killed process
    /// left half-made. Time and memory grow with the number of objects, not with their size. Only
    /// one process may have a store open.
    ///
    /// # Errors
    /// [`StoreError::Io`]; [`StoreError::Damaged`] where a record is not what the store wrote.
    pub async fn open(dir: impl AsRef<Path>) -> Result<Self, StoreError> {
        let layout = Layout::new(dir.as_ref());
        blocking(move || Self::open_blocking(layout)).await
    }

    fn open_blocking(layout: Layout) -> Result<Self, StoreError> {
        layout::remove_dir(&layout.tmp())?;
        layout::create_dir(&layout.tmp())?;
        layout::create_dir(&layout.buckets())?;
        let mut buckets = BTreeMap::new();
        for path in layout::entries(&layout.buckets())? {
            if let Some(bucket) = Bucket::load(&layout, &path)? {
                buckets.insert(bucket.info.name.clone(), Arc::new(bucket));
            }
        }
        let locks = (0..KEY_LOCKS).map(|_| Mutex::new(())).collect();
        Ok(Self {
            inner: Arc::new(Inner {
                layout,
                buckets: RwLock::new(buckets),
                locks,
            }),
        })
    }

    /// Creates a bucket.
    ///
    /// # Errors
    /// [`StoreError::InvalidBucketName`], [`StoreError::BucketExists`], [`StoreError::Io`].
    pub async fn create_bucket(&self, bucket: &str) -> Result<(), StoreError> {
        layout::check_bucket_name(bucket)?;
        let (store, name) = (self.clone(), bucket.to_owned());
        blocking(move || {
            let mut buckets = write(&store.inner.buckets);
            if buckets.contains_key(&name) {
                return Err(StoreError::BucketExists { bucket: name });
            }
            let bucket = Bucket::create(&store.inner.layout, &name)?;
            buckets.insert(name, Arc::new(bucket));
            Ok(())
        })
        .await
    }

    /// Does the bucket exist?
    #[must_use]
    pub fn bucket_exists(&self, bucket: &str) -> bool {
        read(&self.inner.buckets).contains_key(bucket)
    }

    /// All buckets, by name.
    #[must_use]
    pub fn list_buckets(&self) -> Vec<BucketInfo> {
        read(&self.inner.buckets)
            .values()
            .map(|b| b.info.clone())
            .collect()
    }

    /// Deletes an empty bucket, with its unfinished uploads.
    ///
    /// # Errors
    /// [`StoreError::NoSuchBucket`], [`StoreError::BucketNotEmpty`], [`StoreError::Io`].
    pub async fn delete_bucket(&self, bucket: &str) -> Result<(), StoreError> {
        let (store, name) = (self.clone(), bucket.to_owned());
        blocking(move || {
            let mut buckets = write(&store.inner.buckets);
            let bucket = buckets
                .get(&name)
                .cloned()
                .ok_or_else(|| no_bucket(&name))?;
            bucket.retire()?;
            buckets.remove(&name);
            layout::remove_dir(&store.inner.layout.bucket(&name))
        })
        .await
    }

    /// What is known of an object.
    ///
    /// # Errors
    /// [`StoreError::NoSuchBucket`], [`StoreError::NoSuchKey`].
    pub fn head(&self, bucket: &str, key: &str) -> Result<Arc<ObjectInfo>, StoreError> {
        self.bucket(bucket)?
            .object(key)
            .ok_or_else(|| StoreError::no_key(bucket, key))
    }

    /// An object and its content, opened: what is read is this object, even if it is replaced or
    /// deleted meanwhile.
    ///
    /// # Errors
    /// [`StoreError::NoSuchBucket`], [`StoreError::NoSuchKey`], [`StoreError::Io`].
    pub async fn get(
        &self,
        bucket: &str,
        key: &str,
    ) -> Result<(Arc<ObjectInfo>, tokio::fs::File), StoreError> {
        let mut missing: Option<String> = None;
        loop {
            let info = self.head(bucket, key)?;
            let path = self.inner.layout.content(bucket, key, &info.generation);
            match tokio::fs::File::open(&path).await {
                Ok(file) => return Ok((info, file)),
                // Replaced between the look-up and the opening. The same generation missing twice
                // is no race.
                Err(e)
                    if e.kind() == std::io::ErrorKind::NotFound
                        && missing.as_ref() != Some(&info.generation) =>
                {
                    missing = Some(info.generation.clone());
                }
                Err(e) => return Err(StoreError::io("open", &path)(e)),
            }
        }
    }

    fn bucket(&self, bucket: &str) -> Result<Arc<Bucket>, StoreError> {
        read(&self.inner.buckets)
            .get(bucket)
            .cloned()
            .ok_or_else(|| no_bucket(bucket))
    }

    fn layout(&self) -> &Layout {
        &self.inner.layout
    }

    /// Holds the lock of a key. Blocking threads only.
    fn lock_key(&self, bucket: &str, key: &str) -> MutexGuard<'_, ()> {
        let mut hasher = DefaultHasher::new();
        (bucket, key).hash(&mut hasher);
        let index = usize::try_from(hasher.finish() % KEY_LOCKS as u64).unwrap_or_default();
        lock(&self.inner.locks[index])
    }
}

fn no_bucket(bucket: &str) -> StoreError {
    StoreError::NoSuchBucket {
        bucket: bucket.to_owned(),
    }
}

/// Runs file work where it may block.
async fn blocking<T, F>(work: F) -> Result<T, StoreError>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, StoreError> + Send + 'static,
{
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or(Err(StoreError::Closing))
}

// A panic while a lock is held cannot leave half a change: indexes are changed by single calls.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read<T>(lock: &RwLock<T>) -> std::sync::RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> std::sync::RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
