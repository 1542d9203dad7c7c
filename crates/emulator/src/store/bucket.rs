//! One bucket: the index of its objects and uploads, and how it is built from disk.

use std::collections::{BTreeMap, HashSet};
use std::ffi::OsString;
use std::path::Path;
use std::sync::{Arc, Mutex, RwLock, RwLockReadGuard};

use super::layout::{self, Layout};
use super::object::{ObjectInfo, now_millis};
use super::upload::Upload;
use super::{BucketInfo, StoreError, lock, read, write};

/// A bucket in memory.
#[derive(Debug)]
pub(super) struct Bucket {
    pub(super) info: BucketInfo,
    pub(super) objects: RwLock<BTreeMap<String, Arc<ObjectInfo>>>,
    pub(super) uploads: Mutex<BTreeMap<String, Arc<Upload>>>,
    /// Writers hold it shared while they change files; the deletion of the bucket takes it alone.
    alive: RwLock<bool>,
}

impl Bucket {
    fn new(info: BucketInfo) -> Self {
        Self {
            info,
            objects: RwLock::default(),
            uploads: Mutex::default(),
            alive: RwLock::new(true),
        }
    }

    /// Makes the folders and the record of a new bucket.
    pub(super) fn create(layout: &Layout, name: &str) -> Result<Self, StoreError> {
        let info = BucketInfo {
            name: name.to_owned(),
            created_millis: now_millis(),
        };
        layout::create_dir(&layout.objects(name))?;
        layout::create_dir(&layout.uploads(name))?;
        layout::write_record(&info, &layout.tmp_file(), &layout.bucket_record(name))?;
        layout::sync_dir(&layout.buckets())?;
        Ok(Self::new(info))
    }

    /// Reads the bucket in `path`, and clears away what a killed process left. `None` where its
    /// creation or deletion was cut off.
    pub(super) fn load(layout: &Layout, path: &Path) -> Result<Option<Self>, StoreError> {
        if !path.join("bucket.json").exists() {
            layout::remove_dir(path)?;
            return Ok(None);
        }
        let bucket = Self::new(layout::read_record(&path.join("bucket.json"))?);
        for folder in layout::entries(&path.join("objects"))? {
            bucket.load_objects(&folder)?;
        }
        bucket.load_uploads(layout)?;
        Ok(Some(bucket))
    }

    fn load_objects(&self, folder: &Path) -> Result<(), StoreError> {
        let (records, contents): (Vec<_>, Vec<_>) = layout::entries(folder)?
            .into_iter()
            .partition(|p| p.extension().is_some_and(|e| e == "json"));
        let mut used: HashSet<OsString> = HashSet::new();
        for path in records {
            let info: ObjectInfo = layout::read_record(&path)?;
            let content = path.with_extension(&info.generation);
            let size = std::fs::metadata(&content)
                .map_err(StoreError::io("read", &content))?
                .len();
            if size != info.size {
                let reason = format!("it has {size} bytes, its record says {}", info.size);
                return Err(StoreError::Damaged {
                    path: content,
                    reason,
                });
            }
            used.insert(content.into_os_string());
            write(&self.objects).insert(info.key.clone(), Arc::new(info));
        }
        for path in contents
            .into_iter()
            .filter(|p| !used.contains(p.as_os_str()))
        {
            layout::remove_file(&path)?;
        }
        Ok(())
    }

    fn load_uploads(&self, layout: &Layout) -> Result<(), StoreError> {
        for path in layout::entries(&layout.uploads(&self.info.name))? {
            if let Some(upload) = Upload::load(&path)? {
                lock(&self.uploads).insert(upload.info.id.clone(), Arc::new(upload));
            }
        }
        Ok(())
    }

    pub(super) fn object(&self, key: &str) -> Option<Arc<ObjectInfo>> {
        read(&self.objects).get(key).cloned()
    }

    /// Keeps the bucket from being deleted while files are changed.
    pub(super) fn keep(&self) -> Result<RwLockReadGuard<'_, bool>, StoreError> {
        let alive = read(&self.alive);
        if *alive {
            Ok(alive)
        } else {
            Err(super::no_bucket(&self.info.name))
        }
    }

    /// Marks the bucket as deleted: from here on, every writer is told that it does not exist.
    pub(super) fn retire(&self) -> Result<(), StoreError> {
        let mut alive = write(&self.alive);
        if !read(&self.objects).is_empty() {
            return Err(StoreError::BucketNotEmpty {
                bucket: self.info.name.clone(),
            });
        }
        *alive = false;
        Ok(())
    }
}
