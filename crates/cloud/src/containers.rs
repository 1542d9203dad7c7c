//! What the embedded services have and AWS has not: rows through a model's container, without a job.
//!
//! `POST /_gristmill/probe`, signed for `sagemaker`. The body is a line of JSON, `{"Job": CreateTransformJob's
//! request, "Object": base name}`, and behind it the bytes of an object. They are treated as an object of
//! that job would be. The answer is a line of JSON, and behind it what the job would have stored.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sdk_s3::primitives::ByteStream;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_runtime_api::client::http::HttpConnector;
use aws_smithy_runtime_api::client::identity::Identity;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::classify::kind_of;
use crate::config::LocalEndpoint;
use crate::error::{CloudError, CloudErrorKind, chain};
use crate::redact::clean;
use crate::transform_job::CreateTransformJob;

const ACTION: &str = "gristmill probe";
/// How long one call may take. The services answer after two minutes in any case.
const CALL_LIMIT: Duration = Duration::from_secs(150);
/// Bytes of an answer that are read at most.
const MAX_ANSWER_BYTES: usize = 64 << 20;

/// The containers of the embedded services. Made by [`crate::Cloud::containers`].
#[derive(Debug, Clone)]
pub struct Containers {
    local: LocalEndpoint,
}

/// How a probe of a model's container went.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ProbeReport {
    /// How far it came.
    pub outcome: ProbeOutcome,
    /// Why there is no answer, in the services' words; cleaned.
    pub reason: Option<String>,
    /// The content types of the container's answers, each once.
    pub content_types: Vec<String>,
    /// The last lines that the container printed; cleaned.
    pub log: Vec<String>,
    /// What a job would have stored; empty unless [`ProbeOutcome::Answered`].
    #[serde(skip)]
    pub output: Bytes,
}

/// How far a probe came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProbeOutcome {
    /// The container answered all requests.
    Answered,
    /// It never answered `/ping`.
    NeverReady,
    /// It answered an error, or nothing, to a request.
    Failed,
    /// It answered, and its answers cannot be filtered or joined as the job asks.
    Unfit,
    /// It did not come to an end in time.
    Late,
}

impl Containers {
    pub(crate) fn new(local: LocalEndpoint) -> Self {
        Self { local }
    }

    /// Sends an object as a job would that is not created, through a container that is started for it
    /// and ended after it. Memory: the object, and an answer of at most 64 MiB.
    ///
    /// # Errors
    /// [`CloudErrorKind::NotFound`] if the model does not exist, [`CloudErrorKind::Invalid`] from
    /// services of a version that know no probe, [`CloudErrorKind::Network`].
    pub async fn probe(
        &self,
        job: &CreateTransformJob,
        object: &str,
        content: &[u8],
    ) -> Result<ProbeReport, CloudError> {
        let mut body = json!({ "Job": job, "Object": object })
            .to_string()
            .into_bytes();
        body.push(b'\n');
        body.extend(content);
        let model = &job.model_name;
        let call = async {
            let request = self.signed(body.into())?;
            let connector = Connector::builder()
                .proxy_config(ProxyConfig::disabled())
                .build_http();
            let response = connector.call(request).await;
            let response = response.map_err(|e| network(model, &chain(&e)))?;
            let status = response.status().as_u16();
            Ok((status, read(model, response.into_body()).await?))
        };
        let late = || network(model, &format!("no answer in {} s", CALL_LIMIT.as_secs()));
        let called = tokio::time::timeout(CALL_LIMIT, call).await;
        let (status, answer) = called.unwrap_or_else(|_| Err(late()))?;
        report(model, status, answer)
    }

    fn signed(&self, body: Bytes) -> Result<HttpRequest, CloudError> {
        let local = &self.local;
        let base = local.endpoint_url.trim_end_matches('/');
        let url = format!("{base}/_gristmill/probe");
        let failed = |why: String| CloudError::new(CloudErrorKind::Invalid, ACTION, &url, why);
        let keys = Credentials::new(
            &local.access_key_id,
            &local.secret_access_key,
            None,
            None,
            "local",
        );
        let identity = Identity::from(keys);
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&local.region)
            .name("sagemaker")
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()
            .map_err(|e| failed(e.to_string()))?;
        let signable = SignableRequest::new(
            "POST",
            url.as_str(),
            std::iter::empty(),
            SignableBody::Bytes(&body),
        );
        let signable = signable.map_err(|e| failed(e.to_string()))?;
        let signed = sign(signable, &params.into()).map_err(|e| failed(e.to_string()))?;
        let (instructions, _) = signed.into_parts();
        let mut request = HttpRequest::new(SdkBody::from(body));
        let set = request
            .set_method("POST")
            .map_err(|e| failed(e.to_string()));
        set?;
        let set = request
            .set_uri(url.as_str())
            .map_err(|e| failed(e.to_string()));
        set?;
        for (name, value) in instructions.headers() {
            request
                .headers_mut()
                .insert(name.to_owned(), value.to_owned());
        }
        Ok(request)
    }
}

fn network(model: &str, why: &str) -> CloudError {
    CloudError::new(CloudErrorKind::Network, ACTION, model, why)
}

async fn read(model: &str, body: SdkBody) -> Result<Bytes, CloudError> {
    let (mut stream, mut all) = (ByteStream::new(body), Vec::new());
    while let Some(piece) = stream.next().await {
        let piece = piece.map_err(|e| network(model, &chain(&e)))?;
        if all.len() + piece.len() > MAX_ANSWER_BYTES {
            let why = format!("the answer is larger than {MAX_ANSWER_BYTES} bytes");
            return Err(CloudError::new(CloudErrorKind::Invalid, ACTION, model, why));
        }
        all.extend_from_slice(&piece);
    }
    Ok(all.into())
}

fn report(model: &str, status: u16, answer: Bytes) -> Result<ProbeReport, CloudError> {
    if status != 200 {
        return Err(refusal(model, status, &answer));
    }
    let end = answer.iter().position(|b| *b == b'\n');
    let end = end.unwrap_or(answer.len());
    let report: ProbeReport = serde_json::from_slice(&answer[..end]).map_err(|e| {
        let why = format!("the answer is not that of a probe: {e}");
        CloudError::new(CloudErrorKind::Invalid, ACTION, model, why)
    })?;
    Ok(ProbeReport {
        reason: report.reason.map(|text| clean(&text)),
        content_types: report.content_types.iter().map(|t| clean(t)).collect(),
        log: report.log.iter().map(|line| clean(line)).collect(),
        output: answer.slice((end + 1).min(answer.len())..),
        ..report
    })
}

/// What the services said instead.
fn refusal(model: &str, status: u16, answer: &[u8]) -> CloudError {
    let said: Value = serde_json::from_slice(answer).unwrap_or_default();
    let text = |key: &str| said[key].as_str();
    let (code, message) = (text("__type"), text("message").unwrap_or_default());
    let kind = match code {
        // Services that know no probe take it for a call of S3's.
        None => CloudErrorKind::Invalid,
        code => kind_of(Some(status), code, message),
    };
    let message = match message {
        "" => format!("the services answered {status}"),
        said => said.to_owned(),
    };
    CloudError::new(kind, ACTION, model, message)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_answer_is_a_line_and_an_output() {
        let answer = "{\"Outcome\":\"answered\",\"Reason\":null,\"ContentTypes\":[\"text/csv\"],\"Log\":[]}\n0.5\n";
        let found = report("m", 200, answer.into()).unwrap();
        assert_eq!(found.outcome, ProbeOutcome::Answered);
        assert_eq!(found.output, "0.5\n");
        let bare = answer.trim_end_matches("\n0.5\n");
        assert!(report("m", 200, bare.into()).unwrap().output.is_empty());
    }

    #[test]
    fn what_is_no_answer_is_an_error_of_its_kind() {
        let kind = |status, text: &'static str| report("m", status, text.into()).unwrap_err().kind;
        let unknown = "{\"__type\":\"ValidationException\",\"message\":\"Could not find model \\\"arn:x\\\".\"}";
        assert_eq!(kind(400, unknown), CloudErrorKind::NotFound);
        let s3 = "<Error><Code>MethodNotAllowed</Code></Error>";
        assert_eq!(kind(405, s3), CloudErrorKind::Invalid);
        assert_eq!(kind(200, "<html>"), CloudErrorKind::Invalid);
        assert_eq!(kind(200, ""), CloudErrorKind::Invalid);
    }
}
