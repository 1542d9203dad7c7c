//! The run's state under `work.uri`: where each thing is, and how it gets there and back.
//!
//! ```text
//! <work.uri>keys/<hash>.json              which run belongs to a key
//! <work.uri>models/<hash>.tar.gz          with --local: model data
//! <work.uri>runs/<run id>/ledger.jsonl
//! <work.uri>runs/<run id>/shards/<fp>/    the job's input: shards and nothing else
//! <work.uri>runs/<run id>/sidecars/<fp>/
//! <work.uri>runs/<run id>/pieces/<fp>/    shards cut further, to find rows that the model refuses
//! <work.uri>runs/<run id>/manifests/      inputs of later job attempts
//! <work.uri>runs/<run id>/out/a<n>/       one prefix a job attempt
//! <work.uri>runs/<run id>/out/joined-<fp>/  answers put together of those to pieces
//! <work.uri>runs/<run id>/quarantine/     bad rows
//! ```

use bytes::Bytes;
use gristmill_cloud::{CloudErrorKind, PutCondition, PutOptions, S3Uri, Store};

use crate::error::RunError;
use crate::exit_code::ExitCode;
use crate::folder::{KeyRecord, key_hash};
use crate::ledger::MAX_LEDGER_BYTES;

/// A key record is a few hundred bytes; more is not one.
const MAX_KEY_BYTES: u64 = 64 * 1024;
/// How much of a fingerprint goes into a prefix.
const FINGERPRINT_IN_PREFIX: usize = 12;

/// `work.uri` and the store that it is in.
#[derive(Debug, Clone)]
pub struct WorkStore {
    store: Store,
    base: S3Uri,
}

impl WorkStore {
    /// `work.uri`, with or without its final slash.
    ///
    /// # Errors
    /// When it is not an S3 URI.
    pub fn new(store: Store, uri: &str) -> Result<Self, RunError> {
        let uri = if uri.ends_with('/') {
            uri.to_owned()
        } else {
            format!("{uri}/")
        };
        Ok(Self {
            store,
            base: S3Uri::parse(&uri)?,
        })
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// An object below `work.uri`.
    #[must_use]
    pub fn at(&self, path: &str) -> S3Uri {
        S3Uri {
            bucket: self.base.bucket.clone(),
            key: format!("{}{path}", self.base.key),
        }
    }

    /// The run of a key.
    ///
    /// # Errors
    /// When the store fails, or the record is not one.
    pub async fn find_key(&self, run_key: &str) -> Result<Option<KeyRecord>, RunError> {
        let uri = self.key_uri(run_key);
        let Some(bytes) = get_if_there(&self.store, &uri, MAX_KEY_BYTES).await? else {
            return Ok(None);
        };
        let record: KeyRecord =
            serde_json::from_slice(&bytes).map_err(|e| RunError::damaged(format!("{uri}: {e}")))?;
        if record.run_key != run_key || !crate::folder::is_run_id(&record.run_id) {
            return Err(RunError::damaged(format!(
                "{uri} does not belong to run key {run_key:?}"
            )));
        }
        Ok(Some(record))
    }

    /// Claims a key for a run. Of two machines that try at once, one wins.
    ///
    /// # Errors
    /// Temporary, when another run has the key already and `replace` is not set.
    pub async fn claim_key(&self, record: &KeyRecord, replace: bool) -> Result<(), RunError> {
        let uri = self.key_uri(&record.run_key);
        let bytes = serde_json::to_vec(record).map_err(|e| RunError::bug(e.to_string()))?;
        let condition = if replace {
            PutCondition::None
        } else {
            PutCondition::IfAbsent
        };
        let options = PutOptions {
            condition,
            content_type: Some("application/json".into()),
        };
        match self
            .store
            .put_bytes(&uri, Bytes::from(bytes), &options)
            .await
        {
            Ok(_) => Ok(()),
            Err(e) if e.kind == CloudErrorKind::PreconditionFailed => Err(RunError::new(
                ExitCode::Temporary,
                format!(
                    "another run of key {:?} began just now ({uri})",
                    record.run_key
                ),
            )
            .with_help("call again: that run is then continued, or its result printed")),
            Err(e) => Err(e.into()),
        }
    }

    fn key_uri(&self, run_key: &str) -> S3Uri {
        self.at(&format!("keys/{}.json", key_hash(run_key)))
    }
}

/// One run's part of `work.uri`.
#[derive(Debug, Clone)]
pub struct RunStore {
    work: WorkStore,
    run_id: String,
}

impl RunStore {
    /// The part that belongs to `run_id`.
    #[must_use]
    pub fn new(work: WorkStore, run_id: &str) -> Self {
        Self {
            work,
            run_id: run_id.to_owned(),
        }
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.work.store
    }

    fn at(&self, path: &str) -> S3Uri {
        self.work.at(&format!("runs/{}/{path}", self.run_id))
    }

    /// The prefix of everything of this run, with a final slash.
    #[must_use]
    pub fn root(&self) -> S3Uri {
        self.at("")
    }

    /// The prefix that holds the shards of one fingerprint, with a final slash.
    #[must_use]
    pub fn shards(&self, fingerprint: &str) -> S3Uri {
        self.at(&format!("shards/{}/", short(fingerprint)))
    }

    /// The prefix that holds the sidecars of one fingerprint, with a final slash.
    #[must_use]
    pub fn sidecars(&self, fingerprint: &str) -> S3Uri {
        self.at(&format!("sidecars/{}/", short(fingerprint)))
    }

    /// The prefix that a job attempt writes to, with a final slash.
    #[must_use]
    pub fn out(&self, attempt: u32) -> S3Uri {
        self.at(&format!("out/a{attempt}/"))
    }

    /// The prefix that holds pieces of the shards of one fingerprint, with a final slash.
    #[must_use]
    pub fn pieces(&self, fingerprint: &str) -> S3Uri {
        self.at(&format!("pieces/{}/", short(fingerprint)))
    }

    /// The prefix of answers that were put together of those to pieces, with a final slash.
    #[must_use]
    pub fn joined(&self, fingerprint: &str) -> S3Uri {
        self.at(&format!("out/joined-{}/", short(fingerprint)))
    }

    /// The manifest of a job attempt.
    #[must_use]
    pub fn manifest(&self, attempt: u32) -> S3Uri {
        self.at(&format!("manifests/a{attempt}.json"))
    }

    /// The quarantine file.
    #[must_use]
    pub fn quarantine(&self) -> S3Uri {
        self.at("quarantine/bad-rows.jsonl")
    }

    /// Puts the ledger as it is now over the version with ETag `before`, or where there is none.
    /// Gives the new ETag.
    ///
    /// # Errors
    /// Temporary, when another machine put one meanwhile; the store's.
    pub async fn put_ledger(&self, bytes: &[u8], before: Option<&str>) -> Result<String, RunError> {
        let options = PutOptions {
            condition: before.map_or(PutCondition::IfAbsent, |etag| {
                PutCondition::IfMatch(etag.to_owned())
            }),
            content_type: Some("application/x-ndjson".into()),
        };
        let uri = self.at("ledger.jsonl");
        let put = self
            .work
            .store
            .put_bytes(&uri, Bytes::copy_from_slice(bytes), &options);
        match put.await {
            Ok(receipt) => Ok(receipt.etag),
            Err(e) if e.kind == CloudErrorKind::PreconditionFailed => Err(RunError::new(
                ExitCode::Temporary,
                format!(
                    "run {} is being continued on another machine ({uri} was written there)",
                    self.run_id
                ),
            )
            .with_help("call again when that has ended: its result is then printed, or continued")),
            Err(e) => Err(e.into()),
        }
    }

    /// The ledger as it was last put, and its ETag.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn get_ledger(&self) -> Result<Option<(Bytes, String)>, RunError> {
        let uri = self.at("ledger.jsonl");
        get_with_etag(&self.work.store, &uri, MAX_LEDGER_BYTES).await
    }
}

/// A small object, or `None` where there is none. A bucket that does not exist is an error.
///
/// # Errors
/// The store's.
pub(crate) async fn get_if_there(
    store: &Store,
    uri: &S3Uri,
    max_bytes: u64,
) -> Result<Option<Bytes>, RunError> {
    let found = get_with_etag(store, uri, max_bytes).await?;
    Ok(found.map(|(bytes, _)| bytes))
}

async fn get_with_etag(
    store: &Store,
    uri: &S3Uri,
    max_bytes: u64,
) -> Result<Option<(Bytes, String)>, RunError> {
    if store.head(uri).await?.is_none() {
        return Ok(None);
    }
    match store.get_bytes(uri, max_bytes).await {
        Ok(found) => Ok(Some(found)),
        Err(e) if e.kind == CloudErrorKind::NotFound => Ok(None),
        Err(e) => Err(e.into()),
    }
}

/// The part of a fingerprint that names folders and prefixes.
pub(crate) fn short(fingerprint: &str) -> &str {
    fingerprint
        .get(..FINGERPRINT_IN_PREFIX)
        .unwrap_or(fingerprint)
}
