//! An emulator in a temporary folder, and clients for it.

mod raw;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use gristmill_emulator::{EmulatorConfig, EmulatorError, Endpoint, Server};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub(crate) use raw::{Call, send};

pub(crate) struct Emulator {
    pub(crate) dir: TempDir,
    pub(crate) endpoint: Endpoint,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Emulator {
    pub(crate) async fn start() -> Self {
        Self::start_in(tempfile::tempdir().unwrap()).await
    }

    pub(crate) async fn start_in(dir: TempDir) -> Self {
        let server = start_server(&dir).await.unwrap();
        let endpoint = server.endpoint().clone();
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(server.run_until(async {
            let _ = stopped.await;
        }));
        Self {
            dir,
            endpoint,
            stop,
            task,
        }
    }

    /// Stops the server and gives its folder back.
    pub(crate) async fn stop(self) -> TempDir {
        self.stop.send(()).unwrap();
        self.task.await.unwrap();
        self.dir
    }

    pub(crate) async fn restart(self) -> Self {
        Self::start_in(self.stop().await).await
    }

    pub(crate) fn s3(&self) -> Client {
        self.s3_as(
            &self.endpoint.access_key_id,
            &self.endpoint.secret_access_key,
        )
    }

    pub(crate) fn s3_as(&self, key: &str, secret: &str) -> Client {
        let http = aws_smithy_http_client::Builder::new().build_http();
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(&self.endpoint.endpoint)
            .region(Region::new(self.endpoint.region.clone()))
            .credentials_provider(Credentials::new(key, secret, None, None, "test"))
            .force_path_style(true)
            .retry_config(RetryConfig::disabled())
            .http_client(http)
            .build();
        Client::from_conf(config)
    }

    /// An emulator with the bucket `bucket`, and a client.
    pub(crate) async fn with_bucket() -> (Self, Client) {
        let emulator = Self::start().await;
        let s3 = emulator.s3();
        s3.create_bucket().bucket("bucket").send().await.unwrap();
        (emulator, s3)
    }
}

pub(crate) async fn start_server(dir: &TempDir) -> Result<Server, EmulatorError> {
    Server::start(EmulatorConfig::new(dir.path(), "/nonexistent")).await
}

pub(crate) async fn put(s3: &Client, key: &str, body: &[u8]) -> String {
    let put = s3
        .put_object()
        .bucket("bucket")
        .key(key)
        .body(ByteStream::from(body.to_vec()));
    put.send().await.unwrap().e_tag.unwrap()
}

pub(crate) async fn get(s3: &Client, key: &str) -> Vec<u8> {
    let got = s3
        .get_object()
        .bucket("bucket")
        .key(key)
        .send()
        .await
        .unwrap();
    got.body.collect().await.unwrap().to_vec()
}

pub(crate) async fn keys(s3: &Client) -> Vec<String> {
    let mut pages = s3
        .list_objects_v2()
        .bucket("bucket")
        .into_paginator()
        .send();
    let mut keys = Vec::new();
    while let Some(page) = pages.next().await {
        keys.extend(
            page.unwrap()
                .contents
                .unwrap_or_default()
                .into_iter()
                .map(|o| o.key.unwrap()),
        );
    }
    keys
}

/// Status and code of a refusal.
pub(crate) fn refusal<T: std::fmt::Debug, E>(result: Result<T, SdkError<E>>) -> (u16, String)
where
    SdkError<E>: ProvideErrorMetadata,
{
    let error = result.expect_err("a refusal");
    let status = error.raw_response().map_or(0, |r| r.status().as_u16());
    (status, error.code().unwrap_or_default().to_owned())
}

/// Bytes that look like nothing, the same for the same seed.
pub(crate) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    (0..length).map(|_| random.u8(..)).collect()
}
