//! `_manifest.json`: the list of what was published.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::entry::PartRecord;
use crate::error::RunError;

/// Its name at the destination.
pub const MANIFEST: &str = "_manifest.json";
/// The empty file that says that everything else is there.
pub const SUCCESS: &str = "_SUCCESS";
/// While a run publishes, this says which. It goes when `_SUCCESS` is there.
pub const CLAIM: &str = "_publishing.json";
/// The version of the manifest.
pub const MANIFEST_SCHEMA: &str = "gristmill.manifest.v1";
/// A manifest of 100,000 files is about 20 MB.
pub const MAX_MANIFEST_BYTES: u64 = 64 * 1024 * 1024;

/// The manifest's content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of this file's form.
    pub schema: String,
    /// The pipeline.
    pub pipeline: String,
    /// The run that published.
    pub run_id: String,
    /// Its key.
    pub run_key: String,
    /// Rows in all files.
    pub rows: u64,
    /// In row order.
    pub files: Vec<PartRecord>,
}

impl Manifest {
    /// Pretty JSON with a final newline.
    ///
    /// # Errors
    /// Never, for what this type can hold.
    pub fn to_bytes(&self) -> Result<Vec<u8>, RunError> {
        let mut bytes =
            serde_json::to_vec_pretty(self).map_err(|e| RunError::bug(e.to_string()))?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Every name that the destination has when all is done.
    #[must_use]
    pub fn names(&self) -> BTreeSet<String> {
        let data = self.files.iter().map(|f| f.name.clone());
        data.chain([MANIFEST.to_owned(), SUCCESS.to_owned()])
            .collect()
    }
}

/// Data files that a manifest lists; none if it is not one. Names that could leave their folder do
/// not count.
#[must_use]
pub fn listed_files(bytes: &[u8]) -> BTreeSet<String> {
    let Ok(manifest) = serde_json::from_slice::<Manifest>(bytes) else {
        return BTreeSet::new();
    };
    let names = manifest.files.into_iter().map(|f| f.name);
    names.filter(|n| is_plain_name(n)).collect()
}

/// A name that cannot leave its folder: a file's, or a folder's and a file's in it.
#[must_use]
pub fn is_plain_name(name: &str) -> bool {
    let plain = |segment: &str| {
        !segment.is_empty() && segment != "." && segment != ".." && !segment.contains(['\\', '\0'])
    };
    name.split('/').count() <= 2 && name.split('/').all(plain)
}

/// SHA-256 in hex.
#[must_use]
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_names_of_a_manifest_count() {
        let part = |name: &str| PartRecord {
            name: name.into(),
            rows: 1,
            bytes: 1,
            sha256: String::new(),
        };
        let manifest = Manifest {
            schema: MANIFEST_SCHEMA.into(),
            pipeline: "p".into(),
            run_id: "r".into(),
            run_key: "k".into(),
            rows: 0,
            files: [
                "part-00000.parquet",
                "train/part-00000.csv",
                "../up",
                "a/../b",
                "a/b/c",
                "a//b",
                "..",
            ]
            .map(part)
            .to_vec(),
        };
        let bytes = manifest.to_bytes().unwrap_or_default();
        let names: Vec<String> = listed_files(&bytes).into_iter().collect();
        assert_eq!(names, ["part-00000.parquet", "train/part-00000.csv"]);
        assert!(listed_files(b"not json").is_empty());
    }
}
