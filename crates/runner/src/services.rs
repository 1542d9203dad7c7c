//! Connecting: which services a pipeline needs, and with `--local` what has to be there first.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gristmill_cloud::{Cloud, CloudConfig, LocalEndpoint, PutOptions, RetryPolicy, S3Uri};
use gristmill_plan::{Location, Spec};

use crate::error::RunError;
use crate::exit_code::ExitCode;
use crate::folder::{key_hash, make_folder, write_json};
use crate::inventory::blocking;
use crate::local_services;

/// Local files shown under an S3 name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalMap {
    /// The S3 prefix.
    pub prefix: S3Uri,
    /// The folder (or file) that is behind it.
    pub path: PathBuf,
}

impl std::str::FromStr for LocalMap {
    type Err = String;

    /// `s3://bucket/prefix/=path`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (uri, path) = text
            .split_once('=')
            .ok_or_else(|| format!("expected s3://bucket/prefix/=path, found {text:?}"))?;
        let prefix = S3Uri::parse(uri).map_err(|e| e.to_string())?;
        if path.is_empty() {
            return Err(format!("expected a path after `=`, found {text:?}"));
        }
        Ok(Self {
            prefix,
            path: PathBuf::from(path),
        })
    }
}

/// Connects to what the pipeline needs; `None` when it needs nothing but this machine.
///
/// # Errors
/// When the embedded services do not start, or no region or credentials can be found.
pub async fn connect(spec: &Spec, local: Option<&Local<'_>>) -> Result<Option<Cloud>, RunError> {
    let buckets = buckets(spec)?;
    let wanted = spec.transform.is_some() || !buckets.is_empty();
    if !wanted {
        return Ok(None);
    }
    let Some(local) = local else {
        return Ok(Some(Cloud::connect(CloudConfig::default()).await?));
    };
    let cloud = connect_local(local.program, &local_services::folder(local.work_dir)).await?;
    let mapped = local.map.iter().map(|m| m.prefix.bucket.clone());
    for bucket in buckets.into_iter().chain(mapped).collect::<BTreeSet<_>>() {
        cloud.store().ensure_bucket(&bucket).await?;
    }
    for map in local.map {
        show(&cloud, local.work_dir, map).await?;
    }
    Ok(Some(cloud))
}

/// What `--local` is made of.
#[derive(Debug, Clone, Copy)]
pub struct Local<'a> {
    /// The `gristmill` binary.
    pub program: &'a Path,
    /// The work folder.
    pub work_dir: &'a Path,
    /// Local files under S3 names.
    pub map: &'a [LocalMap],
}

/// A service of this machine that does not answer has ended; waiting does not bring it back.
const LOCAL_RETRY: RetryPolicy = RetryPolicy {
    max_attempts: 4,
    initial_backoff: Duration::from_millis(100),
    max_backoff: Duration::from_secs(1),
};

async fn connect_local(program: &Path, folder: &Path) -> Result<Cloud, RunError> {
    let (program, folder) = (program.to_owned(), folder.to_owned());
    let services = blocking(move || local_services::ensure(&program, &folder)).await?;
    let endpoint = LocalEndpoint {
        endpoint_url: services.endpoint,
        access_key_id: services.access_key_id,
        secret_access_key: services.secret_access_key,
        region: services.region,
    };
    Ok(Cloud::connect(CloudConfig {
        local: Some(endpoint),
        retry: LOCAL_RETRY,
        ..CloudConfig::default()
    })
    .await?)
}

/// Every bucket that the pipeline names.
fn buckets(spec: &Spec) -> Result<BTreeSet<String>, RunError> {
    let mut locations: Vec<&Location> = spec.source.uri.iter().collect();
    locations.extend(spec.shards.to.as_ref());
    locations.extend(spec.assemble.as_ref().map(|a| &a.to));
    let mut uris: Vec<&str> = spec.work.iter().map(|w| w.uri.as_str()).collect();
    uris.extend(locations.into_iter().filter_map(|l| match l {
        Location::S3(uri) => Some(uri.as_str()),
        _ => None,
    }));
    uris.into_iter()
        .map(|uri| Ok(S3Uri::parse(uri)?.bucket))
        .collect()
}

/// Makes the embedded store show the files behind a map as they are now: each is put anew, and what
/// an earlier call put there and is no file any more is removed. Other objects under the prefix are
/// not touched.
async fn show(cloud: &Cloud, work_dir: &Path, map: &LocalMap) -> Result<(), RunError> {
    let (root, files) = {
        let path = map.path.clone();
        blocking(move || files_below(&path)).await?
    };
    let record = work_dir
        .join("maps")
        .join(format!("{}.json", key_hash(&map.prefix.to_string())));
    let store = cloud.store();
    let mut shown = BTreeSet::new();
    for file in files {
        let relative = file.strip_prefix(&root).unwrap_or(&file);
        let name = relative.to_str().ok_or_else(|| {
            RunError::new(
                ExitCode::Usage,
                format!("{}: the name is not UTF-8", file.display()),
            )
        })?;
        let key = format!("{}{name}", map.prefix.key);
        let uri = map.prefix.with_key(&key);
        store.put_file(&uri, &file, &PutOptions::default()).await?;
        shown.insert(key);
    }
    let before: BTreeSet<String> = std::fs::read(&record)
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .unwrap_or_default();
    for key in before.difference(&shown) {
        store.delete(&map.prefix.with_key(key)).await?;
    }
    make_folder(&work_dir.join("maps"))?;
    write_json(&record, &shown)
}

/// All files below a folder, sorted, and the folder; or the file itself, and its folder.
fn files_below(path: &Path) -> Result<(PathBuf, Vec<PathBuf>), RunError> {
    let missing = |e| {
        RunError::new(
            ExitCode::NoInput,
            format!("--local-map: {}: {e}", path.display()),
        )
    };
    let meta = std::fs::metadata(path).map_err(missing)?;
    if meta.is_file() {
        let folder = path.parent().map(Path::to_owned).unwrap_or_default();
        return Ok((folder, vec![path.to_owned()]));
    }
    let mut files = Vec::new();
    let mut folders = vec![path.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder).map_err(|e| RunError::io("list", &folder, e))?;
        for entry in entries {
            let entry = entry.map_err(|e| RunError::io("list", &folder, e))?.path();
            if entry.is_dir() {
                folders.push(entry);
            } else if entry.is_file() {
                files.push(entry);
            }
        }
    }
    files.sort();
    Ok((path.to_owned(), files))
}
