//! Connecting: which services a pipeline needs, and with `--local` what has to be there first.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use gristmill_cloud::{Cloud, CloudConfig, LocalEndpoint, PutOptions, S3Uri};
use gristmill_plan::{Location, Spec};

use crate::error::RunError;
use crate::exit_code::ExitCode;
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
        show(&cloud, map).await?;
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

/// Puts the files behind a map into the embedded store, unless the same size is there already and
/// not older than the file.
async fn show(cloud: &Cloud, map: &LocalMap) -> Result<(), RunError> {
    let (root, files) = {
        let path = map.path.clone();
        blocking(move || files_below(&path)).await?
    };
    let store = cloud.store();
    for file in files {
        let relative = file.strip_prefix(&root).unwrap_or(&file);
        let name = relative.to_str().ok_or_else(|| {
            RunError::new(
                ExitCode::Usage,
                format!("{}: the name is not UTF-8", file.display()),
            )
        })?;
        let uri = S3Uri {
            bucket: map.prefix.bucket.clone(),
            key: format!("{}{name}", map.prefix.key),
        };
        let meta = std::fs::metadata(&file).map_err(|e| RunError::io("read", &file, e))?;
        let there = store.head(&uri).await?;
        let current =
            there.is_some_and(|o| o.size == meta.len() && seconds(&meta) <= o.last_modified);
        if !current {
            store.put_file(&uri, &file, &PutOptions::default()).await?;
        }
    }
    Ok(())
}

fn seconds(meta: &std::fs::Metadata) -> i64 {
    let modified = meta
        .modified()
        .ok()
        .and_then(|t| t.duration_since(std::time::UNIX_EPOCH).ok());
    modified
        .and_then(|d| i64::try_from(d.as_secs()).ok())
        .unwrap_or(i64::MAX)
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
