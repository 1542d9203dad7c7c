//! From configuration to clients: the only place that knows credentials, TLS and proxies.

use crate::config::{CloudConfig, LocalEndpoint, Timeouts};
use crate::containers::Containers;
use crate::error::{CloudError, CloudErrorKind};
use crate::job_logs::JobLogs;
use crate::store::Store;
use crate::transforms::Transforms;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_sdk_s3::config::ResponseChecksumValidation;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_http_client::{Builder, Connector, ConnectorBuilder};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::service_config::ServiceConfigKey;
use http::Uri;

/// The version of the SDK's defaults (retries, timeouts, checksums) that this crate was written
/// for; a new one of the SDK changes nothing until it is named here.
fn behavior() -> BehaviorVersion {
    BehaviorVersion::v2026_01_12()
}

/// A connection to S3 and SageMaker, by one set of credentials. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Cloud {
    store: Store,
    transforms: Transforms,
    job_logs: JobLogs,
    containers: Option<Containers>,
    is_aws: bool,
    /// The place of S3's endpoint if one is configured: a URL may hold more, such as a password.
    s3_place: Option<String>,
}

impl Cloud {
    /// Makes the clients. Reads the environment and profiles (unless `local` is set) and sends no
    /// request, but one: without any region, the instance metadata service is asked for it.
    ///
    /// # Errors
    /// [`CloudErrorKind::Invalid`] without a region, or if `local` is no address of this machine.
    pub async fn connect(config: CloudConfig) -> Result<Self, CloudError> {
        let (sdk, s3_url) = match &config.local {
            Some(local) => (local_sdk(local, &config)?, Some(local.endpoint_url.clone())),
            None => chain_sdk(&config).await?,
        };
        let path_style = s3_url.as_ref().is_some_and(|url| !is_aws(url));
        let s3 = |timeouts: TimeoutConfig, stall: StalledStreamProtectionConfig| {
            let builder = aws_sdk_s3::config::Builder::from(&sdk)
                .force_path_style(path_style)
                // Checksums of bodies are compared in `download`, over all ranges of a resumed
                // one; the SDK can only do it for one answer.
                .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
                .timeout_config(timeouts)
                .stalled_stream_protection(stall);
            aws_sdk_s3::Client::from_conf(builder.build())
        };
        let t = &config.timeouts;
        let reads = s3(timeout_config(t, t.read), stall_protection(t));
        // The answer to a long copy or join is blanks for minutes, which is no stall
        // (aws-sdk-rust#1141); the write timeout bounds it.
        let uploads = StalledStreamProtectionConfig::enabled()
            .download_enabled(false)
            .grace_period(t.stall);
        let writes = s3(timeout_config(t, t.write), uploads.build());
        Ok(Self {
            store: Store::new(reads, writes, &config),
            transforms: Transforms::new(aws_sdk_sagemaker::Client::new(&sdk)),
            job_logs: JobLogs::new(aws_sdk_cloudwatchlogs::Client::new(&sdk)),
            containers: config.local.clone().map(Containers::new),
            is_aws: s3_url.as_deref().is_none_or(is_aws),
            s3_place: s3_url.as_deref().map(place_of),
        })
    }

    /// Whether objects are kept by AWS itself, at whichever of its endpoints: then
    /// [`Store::probe`] has nothing to find out.
    #[must_use]
    pub fn is_aws(&self) -> bool {
        self.is_aws
    }

    /// Scheme, host and port of the endpoint that was configured for S3, if one was.
    #[must_use]
    pub fn s3_endpoint(&self) -> Option<&str> {
        self.s3_place.as_deref()
    }

    /// Objects.
    pub fn store(&self) -> Store {
        self.store.clone()
    }

    /// What transform jobs log.
    pub fn job_logs(&self) -> JobLogs {
        self.job_logs.clone()
    }

    /// Models' containers, which can be asked without a job: of the embedded services only, so never of
    /// AWS.
    #[must_use]
    pub fn containers(&self) -> Option<&Containers> {
        self.containers.as_ref()
    }

    /// Transform jobs and models.
    pub fn transforms(&self) -> Transforms {
        self.transforms.clone()
    }
}

/// Built by hand and not by aws-config, which would look around on this machine.
fn local_sdk(local: &LocalEndpoint, config: &CloudConfig) -> Result<SdkConfig, CloudError> {
    check_loopback(&local.endpoint_url)?;
    let keys = Credentials::new(
        &local.access_key_id,
        &local.secret_access_key,
        None,
        None,
        "local",
    );
    let provider = aws_credential_types::provider::SharedCredentialsProvider::new(keys);
    Ok(SdkConfig::builder()
        .behavior_version(behavior())
        .region(Region::new(local.region.clone()))
        .credentials_provider(provider)
        .endpoint_url(&local.endpoint_url)
        .http_client(http_client(plain))
        .retry_config(retry_config(config))
        .timeout_config(timeout_config(&config.timeouts, config.timeouts.read))
        .stalled_stream_protection(stall_protection(&config.timeouts))
        .build())
}

/// AWS, or whatever `AWS_ENDPOINT_URL…` says, and what it says for S3.
async fn chain_sdk(config: &CloudConfig) -> Result<(SdkConfig, Option<String>), CloudError> {
    let mut loader = aws_config::defaults(behavior())
        .http_client(http_client(secure))
        .retry_config(retry_config(config))
        .timeout_config(timeout_config(&config.timeouts, config.timeouts.read))
        .stalled_stream_protection(stall_protection(&config.timeouts));
    if let Some(region) = &config.region {
        loader = loader.region(Region::new(region.clone()));
    }
    let sdk = loader.load().await;
    if sdk.region().is_none() {
        return Err(invalid("region", "no region is configured")
            .with_help("set AWS_REGION, or `region` in the profile of AWS_PROFILE; with --local no account is needed"));
    }
    let s3_url = s3_endpoint(&sdk);
    Ok((sdk, s3_url))
}

/// What S3's endpoint is replaced by: `AWS_ENDPOINT_URL_S3`, the profile's service section, or
/// the one for all services. The SDK looks it up by the same key when it builds its client.
fn s3_endpoint(sdk: &SdkConfig) -> Option<String> {
    let key = ServiceConfigKey::builder()
        .service_id("S3")
        .env("AWS_ENDPOINT_URL")
        .profile("endpoint_url")
        .build()
        .ok()?;
    sdk.service_config()
        .and_then(|service| service.load_config(key))
        .or_else(|| sdk.endpoint_url().map(str::to_owned))
}

/// AWS's own hosts know buckets by host name; of any other (an IP, localhost, MinIO in a
/// container's network) that cannot be expected, while all of them know buckets by path.
fn is_aws(url: &str) -> bool {
    let host = url
        .parse::<Uri>()
        .ok()
        .and_then(|uri| uri.host().map(str::to_ascii_lowercase));
    host.is_some_and(|host| host.ends_with(".amazonaws.com") || host.ends_with(".amazonaws.com.cn"))
}

/// `http://host:port` of a URL, and nothing else of it.
fn place_of(url: &str) -> String {
    let uri: Uri = url.parse().unwrap_or_default();
    let port = uri.port().map(|port| format!(":{port}"));
    let place = format!(
        "{}://{}{}",
        uri.scheme_str().unwrap_or("http"),
        uri.host().unwrap_or("?"),
        port.unwrap_or_default()
    );
    crate::redact::clean(&place)
}

/// `local` promises that no call leaves the machine.
fn check_loopback(url: &str) -> Result<(), CloudError> {
    let uri: Uri = url
        .parse()
        .map_err(|e| invalid(url, &format!("it is no URL: {e}")))?;
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let loopback = host
        .parse::<std::net::IpAddr>()
        .is_ok_and(|ip| ip.is_loopback());
    if loopback && uri.scheme_str() == Some("http") {
        return Ok(());
    }
    Err(invalid(
        url,
        "the local endpoint must be http:// with a loopback address, such as http://127.0.0.1:9000",
    ))
}

fn invalid(resource: &str, message: &str) -> CloudError {
    CloudError::new(CloudErrorKind::Invalid, "aws connect", resource, message)
}

/// Redirects are never followed: the SDK does not, and the signature would go to another host.
fn http_client(connector: fn(ConnectorBuilder) -> Connector) -> SharedHttpClient {
    Builder::new().build_with_connector_fn(move |settings, components| {
        let mut builder = Connector::builder();
        builder.set_connector_settings(settings.cloned());
        if let Some(components) = components {
            builder.set_sleep_impl(components.sleep_impl());
        }
        connector(builder)
    })
}

/// To this machine: no TLS, so that no certificates are loaded, and no proxy.
fn plain(builder: ConnectorBuilder) -> Connector {
    builder.proxy_config(ProxyConfig::disabled()).build_http()
}

/// rustls on ring with the system's certificates, and the environment's proxy.
fn secure(builder: ConnectorBuilder) -> Connector {
    builder
        .proxy_config(ProxyConfig::from_env())
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .build()
}

fn retry_config(config: &CloudConfig) -> RetryConfig {
    RetryConfig::standard()
        .with_max_attempts(config.retry.max_attempts.max(1))
        .with_initial_backoff(config.retry.initial_backoff)
        .with_max_backoff(config.retry.max_backoff)
}

fn timeout_config(timeouts: &Timeouts, read: std::time::Duration) -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(timeouts.connect)
        .read_timeout(read)
        .operation_timeout(timeouts.operation)
        .build()
}

fn stall_protection(timeouts: &Timeouts) -> StalledStreamProtectionConfig {
    StalledStreamProtectionConfig::enabled()
        .grace_period(timeouts.stall)
        .build()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_this_machine_is_local() {
        assert!(check_loopback("http://127.0.0.1:9000").is_ok());
        assert!(check_loopback("http://[::1]:9000").is_ok());
        for url in [
            "http://10.0.0.1:1",
            "http://example.com",
            "https://127.0.0.1",
            "127.0.0.1:1",
            "http://localhost:1",
            "",
        ] {
            assert_eq!(
                check_loopback(url).unwrap_err().kind,
                CloudErrorKind::Invalid,
                "{url}"
            );
        }
    }

    #[test]
    fn of_a_url_only_the_place_is_shown() {
        for (url, place) in [
            (
                "https://id:secret@s3.example.org:9000/x?y=z",
                "https://s3.example.org:9000",
            ),
            ("http://localhost", "http://localhost"),
            ("not a url", "http://?"),
        ] {
            assert_eq!(place_of(url), place);
        }
    }

    #[test]
    fn buckets_by_path_everywhere_but_at_aws() {
        assert!(is_aws(
            "https://bucket.vpce-1.s3.eu-west-1.vpce.amazonaws.com"
        ));
        for url in [
            "http://localhost:9000",
            "http://minio:9000",
            "https://s3.example.org",
            "http://127.0.0.1",
            "nonsense",
        ] {
            assert!(!is_aws(url), "{url}");
        }
    }
}
