//! Every operation of S3 that this crate uses, as named cases that hold on any store: the embedded
//! emulator, and SeaweedFS, which nobody here wrote.
//!
//! What is not asked of SeaweedFS is in [`NOT_ON_SEAWEEDFS`], with what rests on it: nothing. And
//! nowhere is asked for keys with `//` or with `.` or `..` between slashes, which gateways over file
//! systems refuse or normalise. gristmill makes none: every key is a prefix that the user wrote,
//! joined by exactly one slash ([`S3Uri::join`]) with names of letters, digits and `-_.=`
//! ([`objects::KEYS`] has one of each kind).

mod conditions;
mod listings;
mod multipart;
mod objects;
mod seaweed;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use gristmill_cloud::{Cloud, CloudConfig, LocalEndpoint, RetryPolicy, S3Uri, Store, Transfer};
use gristmill_emulator::{EmulatorConfig, Server};
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

pub(crate) use seaweed::Seaweed;

const MIB: u64 = 1 << 20;

/// A store, and a prefix of it for one case alone.
#[derive(Clone)]
pub(crate) struct Bench {
    pub(crate) store: Store,
    /// For what this crate never does: leave an upload unfinished.
    pub(crate) sdk: Client,
    pub(crate) key_id: String,
    pub(crate) prefix: S3Uri,
}

impl Bench {
    pub(crate) fn at(&self, name: &str) -> S3Uri {
        self.prefix.join(name)
    }
}

type Case = fn(Bench) -> Pin<Box<dyn Future<Output = ()> + Send>>;

/// The suite: a name for each sentence that must hold.
macro_rules! cases {
    ($($module:ident::$case:ident),+ $(,)?) => {
        const CASES: &[(&str, Case)] = &[
            $((concat!(stringify!($module), "::", stringify!($case)), |bench| Box::pin($module::$case(bench))),)+
        ];
    };
}

cases![
    objects::what_is_put_is_there_with_size_etag_and_checksum,
    objects::what_is_got_is_what_was_put,
    objects::an_object_of_no_bytes_is_an_object,
    objects::every_kind_of_key_is_kept_as_it_is,
    objects::what_is_not_there_is_not_found,
    objects::a_bucket_that_is_not_there_is_not_found,
    objects::nothing_is_put_into_a_bucket_that_is_not_there,
    objects::a_key_that_ends_in_a_slash_has_content_like_any,
    objects::a_bucket_may_be_made_twice,
    objects::what_is_deleted_is_gone_and_may_be_deleted_again,
    objects::ranges_come_as_they_are_asked_for,
    objects::a_download_of_another_version_is_refused,
    objects::a_reader_notices_a_replaced_object,
    objects::a_copy_has_the_same_bytes,
    objects::a_copy_of_another_version_is_refused,
    objects::a_wrong_key_is_a_question_of_credentials,
    conditions::a_second_put_if_absent_is_refused,
    conditions::a_deleted_object_is_absent,
    conditions::of_sixteen_writers_one_is_first,
    conditions::of_four_writers_over_one_version_one_is_first,
    conditions::a_put_over_the_expected_version_is_done_and_over_another_refused,
    conditions::the_probe_finds_nothing_missing_and_leaves_nothing,
    multipart::a_large_file_comes_back_as_it_was,
    multipart::parts_may_be_smaller_at_the_end_only,
    multipart::a_large_file_is_not_put_over_another,
    multipart::a_large_file_is_put_over_the_expected_version,
    multipart::of_four_large_writers_one_is_first,
    multipart::what_was_left_unfinished_is_aborted_under_its_prefix,
    listings::a_prefix_is_literal_and_sorted,
    listings::more_than_a_page_is_listed_whole_and_deleted_whole,
    listings::nothing_is_listed_where_nothing_is,
    listings::a_listing_has_sizes_and_etags,
];

/// What S3 and the emulator do and SeaweedFS 4.48 does not.
const NOT_ON_SEAWEEDFS: [&str; 3] = [
    // It makes the bucket, so a mistyped one is an error of the user's that it hides.
    "objects::nothing_is_put_into_a_bucket_that_is_not_there",
    // It is a folder, and its content is dropped. No key of ours ends so.
    "objects::a_key_that_ends_in_a_slash_has_content_like_any",
    // Two completions at the same moment may both find nothing there. What decides between runs
    // (keys, claims, ledgers) is a few kilobytes, and goes by one PutObject.
    "multipart::of_four_large_writers_one_is_first",
];

/// Runs every case but those in a prefix of its own, and names all that fail.
async fn run_all_but(left_out: &[&str], endpoint: LocalEndpoint) {
    let (sdk, key_id) = (sdk(&endpoint), endpoint.access_key_id.clone());
    let config = CloudConfig {
        local: Some(endpoint),
        retry: RetryPolicy {
            max_attempts: 4,
            initial_backoff: Duration::from_millis(50),
            max_backoff: Duration::from_millis(500),
        },
        transfer: Transfer {
            single_put_max_bytes: MIB,
            part_bytes: 5 * MIB,
            parts_in_flight: 3,
            range_bytes: MIB,
        },
        ..CloudConfig::default()
    };
    let store = Cloud::connect(config).await.unwrap().store();
    store.ensure_bucket("suite").await.unwrap();
    let mut failed = Vec::new();
    let cases = CASES.iter().filter(|(name, _)| !left_out.contains(name));
    for (name, case) in cases {
        let folder = name.replace("::", "/");
        let bench = Bench {
            store: store.clone(),
            sdk: sdk.clone(),
            key_id: key_id.clone(),
            prefix: S3Uri::new("suite", &format!("{folder}/")).unwrap(),
        };
        // The message of a panic is on standard error.
        if tokio::spawn(case(bench)).await.is_err() {
            failed.push(*name);
        }
    }
    assert!(
        failed.is_empty(),
        "{} of {}: {failed:#?}",
        failed.len(),
        CASES.len()
    );
}

fn sdk(endpoint: &LocalEndpoint) -> Client {
    let keys = Credentials::new(
        &endpoint.access_key_id,
        &endpoint.secret_access_key,
        None,
        None,
        "test",
    );
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .endpoint_url(&endpoint.endpoint_url)
        .region(Region::new(endpoint.region.clone()))
        .credentials_provider(keys)
        .force_path_style(true)
        .http_client(aws_smithy_http_client::Builder::new().build_http());
    Client::from_conf(config.build())
}

#[tokio::test]
async fn the_emulator_conforms() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(EmulatorConfig::new(dir.path(), "/nonexistent"))
        .await
        .unwrap();
    let at = server.endpoint().clone();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let task = tokio::spawn(server.run_until(async {
        let _ = stopped.await;
    }));
    run_all_but(
        &[],
        LocalEndpoint {
            endpoint_url: at.endpoint,
            access_key_id: at.access_key_id,
            secret_access_key: at.secret_access_key,
            region: at.region,
        },
    )
    .await;
    drop(stop);
    task.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn seaweedfs_conforms() {
    let server = Seaweed::start();
    run_all_but(
        &NOT_ON_SEAWEEDFS,
        LocalEndpoint {
            endpoint_url: server.url(),
            access_key_id: seaweed::KEY_ID.into(),
            secret_access_key: seaweed::SECRET.into(),
            region: "us-east-1".into(),
        },
    )
    .await;
}
