//! Which objects a job reads, and where the output of each goes.

use serde_json::Value;
use tokio::io::AsyncReadExt as _;

use super::request::TransformJobRequest;
use crate::assume::{Assumptions, FolderMarkers, GzipOutputName, OutputLayout};
use crate::job_objects::{JobObjects, ObjectsError};

/// A manifest is held in memory.
const MAX_MANIFEST_BYTES: u64 = 64 << 20;

/// `s3://bucket/key`; the key may be empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) bucket: String,
    pub(crate) key: String,
}

impl Place {
    /// The checks of the request have seen the scheme; `https://bucket/key` is read alike.
    pub(crate) fn parse(uri: &str) -> Option<Self> {
        let rest = uri
            .strip_prefix("s3://")
            .or_else(|| uri.strip_prefix("https://"))?;
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        (!bucket.is_empty()).then(|| Self {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
        })
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.bucket, self.key)
    }
}

/// One object to transform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InputObject {
    pub(crate) source: Place,
    pub(crate) output: Place,
}

/// Lists the inputs, by key. The error is a FailureReason.
pub(crate) async fn list(
    store: &JobObjects,
    request: &TransformJobRequest,
    assume: Assumptions,
) -> Result<Vec<InputObject>, String> {
    let source = request
        .transform_input
        .as_ref()
        .and_then(|i| i.data_source.as_ref());
    let source = source
        .and_then(|s| s.s3_data_source.clone())
        .unwrap_or_default();
    let uri = source.s3_uri.unwrap_or_default();
    let place = Place::parse(&uri).ok_or_else(|| format!("ClientError: '{uri}' is no S3 URI"))?;
    let output = request
        .transform_output
        .as_ref()
        .and_then(|o| o.s3_output_path.as_deref());
    let output = output
        .and_then(Place::parse)
        .ok_or("ClientError: the output path is no S3 URI")?;
    let (folder, mut found) = match source.s3_data_type.as_deref() {
        Some("ManifestFile") => manifest(store, &place).await?,
        _ => prefix(store, &place, assume.folder_markers).await?,
    };
    found.sort_by(|a, b| a.0.key.cmp(&b.0.key));
    if found.is_empty() {
        return Err(format!(
            "ClientError: No S3 objects found under S3 URL \"{uri}\" given in input data source. \
             Please ensure that the bucket exists in the selected region, and that objects exist \
             under that S3 prefix."
        ));
    }
    let gzip = request
        .transform_input
        .as_ref()
        .is_some_and(|i| i.compression_type.as_deref() == Some("Gzip"));
    let names = OutputNames {
        output,
        folder,
        layout: assume.output_layout,
        drop_gz: gzip && assume.gzip_output_name == GzipOutputName::Dropped,
    };
    let objects = found.into_iter().map(|(source, relative)| InputObject {
        output: names.of(&relative),
        source,
    });
    Ok(objects.collect())
}

/// The folder that the keys have in common, and each with the part of it that follows the folder.
type Listed = (String, Vec<(Place, String)>);

/// All keys that start with the prefix, which is a literal start and no folder; its folder ends with
/// the prefix's last slash.
async fn prefix(
    store: &JobObjects,
    place: &Place,
    markers: FolderMarkers,
) -> Result<Listed, String> {
    let folder = place.key.rfind('/').map_or(0, |at| at + 1);
    let keys = match store.keys(&place.bucket, &place.key).await {
        Ok(keys) => keys,
        // A bucket that is not there has no objects: one message for both.
        Err(ObjectsError::NoSuchBucket(_)) => Vec::new(),
        Err(error) => return Err(format!("InternalServerError: {error}")),
    };
    // "Folders" made by consoles are empty objects whose key ends in a slash.
    let files = keys
        .into_iter()
        .filter(|key| !key.ends_with('/') || markers == FolderMarkers::AsEmpty);
    let found = files.map(|key| {
        let relative = key[folder..].to_owned();
        let bucket = place.bucket.clone();
        (Place { bucket, key }, relative)
    });
    Ok((place.key[..folder].to_owned(), found.collect()))
}

/// `[{"prefix": "s3://b/p/"}, "relative", …]`: prefix and entry are simply put together.
async fn manifest(store: &JobObjects, place: &Place) -> Result<Listed, String> {
    let bad = |why: &str| format!("ClientError: the manifest s3://{place} cannot be used: {why}");
    let (size, mut file) = store
        .open(&place.bucket, &place.key)
        .await
        .map_err(|e| bad(&e.to_string()))?;
    if size > MAX_MANIFEST_BYTES {
        return Err(bad(&format!(
            "{} bytes, expected at most {MAX_MANIFEST_BYTES}",
            size
        )));
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)
        .await
        .map_err(|e| bad(&e.to_string()))?;
    let entries: Vec<Value> = serde_json::from_slice(&bytes).map_err(|e| bad(&e.to_string()))?;
    let (first, rest) = entries
        .split_first()
        .ok_or_else(|| bad("the list is empty"))?;
    let prefix = first.get("prefix").and_then(Value::as_str);
    let prefix = prefix.ok_or_else(|| bad("the first entry must be an object with 'prefix'"))?;
    let folder = Place::parse(prefix).map(|p| p.key).unwrap_or_default();
    let folder = folder.rfind('/').map_or("", |at| &folder[..=at]).to_owned();
    let named = rest
        .iter()
        .enumerate()
        .map(|(index, entry)| {
            let relative = entry
                .as_str()
                .ok_or_else(|| bad(&format!("entry {} is no text", index + 1)))?;
            let uri = format!("{prefix}{relative}");
            let source = Place::parse(&uri).ok_or_else(|| bad(&format!("'{uri}' is no S3 URI")))?;
            Ok((source, relative.to_owned()))
        })
        .collect::<Result<_, String>>();
    Ok((folder, named?))
}

/// How outputs are called.
struct OutputNames {
    output: Place,
    /// The inputs' folder, with its slash at the end, or empty.
    folder: String,
    layout: OutputLayout,
    drop_gz: bool,
}

impl OutputNames {
    /// Of an input by the part of its key that follows the folder.
    fn of(&self, relative: &str) -> Place {
        let base = relative.rsplit('/').next().unwrap_or(relative);
        let name = match self.layout {
            OutputLayout::Nested => relative.trim_start_matches('/').to_owned(),
            OutputLayout::Flat => base.to_owned(),
            OutputLayout::InputPrefix => format!("{}{base}", self.folder.trim_start_matches('/')),
        };
        let name = match name.strip_suffix(".gz") {
            Some(unpacked) if self.drop_gz => unpacked,
            _ => &name,
        };
        Place {
            bucket: self.output.bucket.clone(),
            key: format!("{}.out", below(&self.output, name)),
        }
    }
}

/// The key of `name` below an output path, whether that ends in a slash or not.
pub(crate) fn below(output: &Place, name: &str) -> String {
    let folder = output.key.trim_end_matches('/');
    let slash = if folder.is_empty() { "" } else { "/" };
    format!("{folder}{slash}{name}")
}
