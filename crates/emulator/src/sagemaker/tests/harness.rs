//! A whole emulator's state in a temporary folder, called without the wire.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::AsyncReadExt as _;

use crate::assume::Assumptions;
use crate::config::EmulatorConfig;
use crate::endpoint_file::Keys;
use crate::error::ServiceError;
use crate::faults::Faults;
use crate::idle::Activity;
use crate::sagemaker::{self, SageMaker};
use crate::state::AppState;
use crate::store::{ObjectStore, PutRequest};

pub(super) struct Emulator {
    pub(super) state: Arc<AppState>,
    pub(super) dir: Arc<TempDir>,
}

/// The example `container`, which cargo builds together with the tests.
pub(super) fn container_program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let program = test
        .parent()
        .and_then(Path::parent)
        .unwrap()
        .join("examples/container");
    assert!(
        program.exists(),
        "{} is not built; run the tests of the whole package",
        program.display()
    );
    program
}

impl Emulator {
    pub(super) async fn new() -> Self {
        Self::with(Assumptions::default()).await
    }

    pub(super) async fn with(assume: Assumptions) -> Self {
        let emulator = Self::open(Arc::new(TempDir::new().unwrap()), assume).await;
        emulator.state.store.create_bucket("bucket").await.unwrap();
        emulator
    }

    pub(super) async fn open(dir: Arc<TempDir>, assume: Assumptions) -> Self {
        let mut config = EmulatorConfig::new(dir.path(), container_program());
        config.assume = assume;
        let state = AppState {
            store: ObjectStore::open(dir.path().join("s3")).await.unwrap(),
            sagemaker: SageMaker::open(&dir.path().join("sagemaker"), &config)
                .await
                .unwrap(),
            keys: Keys::load_or_make(dir.path()).unwrap(),
            activity: Activity::default(),
            faults: Faults::new(dir.path()),
            config: Arc::new(config),
        };
        Self {
            state: Arc::new(state),
            dir,
        }
    }

    /// Ends it as SIGTERM does, and opens another on the same folder.
    pub(super) async fn restart(self) -> Self {
        sagemaker::stop(&self.state).await;
        let assume = self.state.config.assume;
        let next = Self::open(self.dir, assume).await;
        sagemaker::start(&next.state);
        next
    }

    /// Writes the rules of faults; from then on they hold, with nothing counted.
    pub(super) fn faults(&self, rules: &Value) {
        std::fs::write(self.dir.path().join("faults.json"), rules.to_string()).unwrap();
    }

    /// What each instance of a job did.
    pub(super) fn work(&self, name: &str) -> Value {
        let path = self.dir.path().join(format!("sagemaker/work/{name}.json"));
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    }

    pub(super) async fn call(&self, operation: &str, body: Value) -> Result<Value, ServiceError> {
        sagemaker::handle(&self.state, operation, body.to_string().as_bytes()).await
    }

    pub(super) async fn put(&self, key: &str, body: impl AsRef<[u8]>) {
        let body = body.as_ref().to_vec();
        self.state
            .store
            .put("bucket", key, body.as_slice(), PutRequest::default())
            .await
            .unwrap();
    }

    pub(super) async fn get(&self, key: &str) -> Option<String> {
        let (_, mut file) = self.state.store.get("bucket", key).await.ok()?;
        let mut text = String::new();
        file.read_to_string(&mut text).await.unwrap();
        Some(text)
    }

    /// Keys under `out/`, without that.
    pub(super) fn outputs(&self) -> Vec<String> {
        let objects = self.state.store.list("bucket", "out/", None, 1000).unwrap();
        objects
            .iter()
            .map(|o| o.key["out/".len()..].to_owned())
            .collect()
    }

    pub(super) async fn url_model(&self, url: &str) {
        let model = json!({
            "ModelName": "m",
            "ExecutionRoleArn": "arn:aws:iam::000000000000:role/r",
            "PrimaryContainer": { "Image": "gristmill.local/url", "Environment": { "GRISTMILL_URL": url } },
        });
        self.call("CreateModel", model).await.unwrap();
    }

    pub(super) async fn status(&self, name: &str) -> Value {
        self.call("DescribeTransformJob", json!({ "TransformJobName": name }))
            .await
            .unwrap()
    }

    /// Waits for the end, and returns the description.
    pub(super) async fn end(&self, name: &str) -> Value {
        let poll = async {
            loop {
                let job = self.status(name).await;
                if !matches!(
                    job["TransformJobStatus"].as_str().unwrap(),
                    "InProgress" | "Stopping"
                ) {
                    return job;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(120), poll)
            .await
            .expect("the job does not end")
    }

    pub(super) async fn run(&self, job: Value) -> Value {
        let name = job["TransformJobName"].as_str().unwrap().to_owned();
        self.call("CreateTransformJob", job).await.unwrap();
        self.end(&name).await
    }

    /// Messages of all data-logs of a job, without their times.
    pub(super) async fn data_log(&self, name: &str) -> Vec<String> {
        let group = "/aws/sagemaker/TransformJobs";
        let body = json!({ "logGroupName": group, "logStreamNamePrefix": format!("{name}/") });
        let events = self.call("FilterLogEvents", body).await.unwrap();
        let messages = events["events"].as_array().unwrap().iter();
        let messages = messages.map(|e| e["message"].as_str().unwrap());
        let messages = messages.filter_map(|m| m.split_once("[sagemaker logs]: "));
        messages.map(|(_, text)| text.to_owned()).collect()
    }
}

/// A job over `s3://bucket/in/` to `s3://bucket/out/`, split and assembled by lines; `more` is
/// merged over it.
pub(super) fn job(name: &str, more: Value) -> Value {
    let mut job = json!({
        "TransformJobName": name,
        "ModelName": "m",
        "ModelClientConfig": { "InvocationsTimeoutInSeconds": 30, "InvocationsMaxRetries": 0 },
        "TransformInput": {
            "DataSource": { "S3DataSource": { "S3DataType": "S3Prefix", "S3Uri": "s3://bucket/in/" } },
            "ContentType": "text/csv",
            "SplitType": "Line",
        },
        "TransformOutput": { "S3OutputPath": "s3://bucket/out/", "Accept": "text/csv", "AssembleWith": "Line" },
        "TransformResources": { "InstanceType": "ml.m5.large", "InstanceCount": 1 },
    });
    merge(&mut job, more);
    job
}

pub(super) fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                if value.is_null() {
                    into.remove(&key);
                } else {
                    merge(into.entry(key).or_insert(Value::Null), value);
                }
            }
        }
        (into, from) => *into = from,
    }
}
