//! The emulator's side of the container contract: three calls over HTTP/1.1.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full, Limited, StreamBody, combinators::BoxBody};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::Deserialize;

use super::file_body::FileBody;

/// `/ping` must answer within this (developer guide, "your-algorithms-batch-code").
const PING_TIMEOUT: Duration = Duration::from_secs(2);
/// A reply larger than this is a mistake, and would be held in memory.
const MAX_REPLY_BYTES: usize = 512 << 20;

type Body = BoxBody<Bytes, std::io::Error>;

/// A client of one container.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    http: HyperClient<HttpConnector, Body>,
    /// `http://host:port`, or with a path before it, without a slash at the end.
    base: String,
}

/// `GET /execution-parameters`; each may be absent.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct ExecutionParameters {
    /// Requests at once.
    pub(crate) max_concurrent_transforms: Option<u64>,
    /// `SINGLE_RECORD` or `MULTI_RECORD`.
    pub(crate) batch_strategy: Option<String>,
    /// Payload limit.
    #[serde(rename = "MaxPayloadInMB")]
    pub(crate) max_payload_in_mb: Option<u64>,
}

/// What is sent.
#[derive(Clone, Debug)]
pub(crate) enum Payload {
    /// A mini-batch, in memory.
    Bytes(Bytes),
    /// The same without its length before it.
    Chunked(Bytes),
    /// A whole object, read from disk while it is sent.
    File(FileBody),
}

/// One `POST /invocations`.
#[derive(Clone, Debug)]
pub(crate) struct Invocation {
    /// `TransformInput.ContentType`.
    pub(crate) content_type: Option<String>,
    /// `TransformOutput.Accept`.
    pub(crate) accept: Option<String>,
    /// Limit on the whole exchange.
    pub(crate) timeout: Duration,
}

/// What the container answered to an invocation.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answer {
    /// As sent; of an empty answer (204), none.
    pub(crate) content_type: Option<String>,
    pub(crate) body: Bytes,
}

/// Why an invocation gave no answer to keep.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InvokeError {
    /// A status other than 200 (or 204), with the start of the reply.
    #[error("Bad HTTP status received from algorithm: {status}")]
    Status {
        /// The status.
        status: u16,
        /// At most 1 KiB of the reply.
        message: String,
    },
    /// No reply at all: connection refused, broken, or no answer in time.
    #[error("Unable to get response from algorithm")]
    NoResponse(String),
}

impl Payload {
    /// Lines of what is in memory; none of a file.
    pub(crate) fn rows(&self) -> u32 {
        match self {
            Self::Bytes(body) | Self::Chunked(body) => {
                let ends = body.iter().filter(|b| **b == b'\n').count();
                let open = !body.is_empty() && !body.ends_with(b"\n");
                u32::try_from(ends + usize::from(open)).unwrap_or(u32::MAX)
            }
            Self::File(_) => 0,
        }
    }
}

impl InvokeError {
    /// No answer in time.
    pub(crate) fn late(timeout: Duration) -> Self {
        Self::NoResponse(format!("no answer within {} s", timeout.as_secs()))
    }
}

impl Client {
    pub(crate) fn new(base: &str) -> Self {
        let http = HyperClient::builder(TokioExecutor::new()).build(HttpConnector::new());
        Self {
            http,
            base: base.trim_end_matches('/').to_owned(),
        }
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        body: Body,
    ) -> Result<Request<Body>, InvokeError> {
        let no_request = |e: String| InvokeError::NoResponse(format!("{}{path}: {e}", self.base));
        let uri: Uri = format!("{}{path}", self.base)
            .parse()
            .map_err(|e: http::uri::InvalidUri| no_request(e.to_string()))?;
        Request::builder()
            .method(method)
            .uri(uri)
            .body(body)
            .map_err(|e| no_request(e.to_string()))
    }

    /// Sends and reads the whole reply.
    async fn exchange(
        &self,
        request: Request<Body>,
        timeout: Duration,
    ) -> Result<(StatusCode, Answer), InvokeError> {
        let exchange = async {
            let reply = self
                .http
                .request(request)
                .await
                .map_err(|e| e.to_string())?;
            let (head, body) = reply.into_parts();
            let content_type = head.headers.get(header::CONTENT_TYPE);
            let answer = Answer {
                content_type: content_type.map(|t| String::from_utf8_lossy(t.as_bytes()).into()),
                body: whole(&head.headers, body).await?,
            };
            Ok::<_, String>((head.status, answer))
        };
        match tokio::time::timeout(timeout, exchange).await {
            Ok(answer) => answer.map_err(InvokeError::NoResponse),
            Err(_) => Err(InvokeError::late(timeout)),
        }
    }

    /// One try; the error is for a log.
    pub(crate) async fn ping(&self) -> Result<(), String> {
        let request = self
            .request(Method::GET, "/ping", empty())
            .map_err(|e| detail(&e))?;
        match self.exchange(request, PING_TIMEOUT).await {
            Ok((StatusCode::OK, _)) => Ok(()),
            Ok((status, _)) => Err(format!("status {}", status.as_u16())),
            Err(error) => Err(detail(&error)),
        }
    }

    /// What the container proposes; nothing where it does not answer, as the call is optional.
    pub(crate) async fn execution_parameters(&self) -> ExecutionParameters {
        let Ok(request) = self.request(Method::GET, "/execution-parameters", empty()) else {
            return ExecutionParameters::default();
        };
        match self.exchange(request, PING_TIMEOUT).await {
            Ok((StatusCode::OK, answer)) => {
                serde_json::from_slice(&answer.body).unwrap_or_default()
            }
            _ => ExecutionParameters::default(),
        }
    }

    /// One try. 200 is an answer, 204 an empty one, all else an error.
    pub(crate) async fn invoke(
        &self,
        invocation: &Invocation,
        payload: &Payload,
    ) -> Result<Answer, InvokeError> {
        let body = match payload {
            Payload::Bytes(bytes) => full(bytes.clone()),
            Payload::Chunked(bytes) => chunked(bytes.clone()),
            Payload::File(file) => http_body_util::BodyExt::boxed(StreamBody::new(file.frames())),
        };
        let mut request = self.request(Method::POST, "/invocations", body)?;
        if let Payload::File(file) = payload
            && let Some(bytes) = file.content_length()
        {
            request
                .headers_mut()
                .insert(header::CONTENT_LENGTH, bytes.into());
        }
        let headers = [
            (header::CONTENT_TYPE, &invocation.content_type),
            (header::ACCEPT, &invocation.accept),
        ];
        for (name, value) in headers {
            if let Some(value) = value {
                let value = HeaderValue::from_str(value)
                    .map_err(|_| InvokeError::NoResponse(format!("{name}: not a header value")))?;
                request.headers_mut().insert(name, value);
            }
        }
        let (status, answer) = self.exchange(request, invocation.timeout).await?;
        let body = &answer.body;
        match status {
            StatusCode::OK => Ok(answer),
            StatusCode::NO_CONTENT => Ok(Answer::default()),
            _ => Err(InvokeError::Status {
                status: status.as_u16(),
                message: String::from_utf8_lossy(&body[..body.len().min(1024)]).into_owned(),
            }),
        }
    }
}

fn detail(error: &InvokeError) -> String {
    match error {
        InvokeError::Status { status, .. } => format!("status {status}"),
        InvokeError::NoResponse(why) => why.clone(),
    }
}

fn empty() -> Body {
    full(Bytes::new())
}

fn full(bytes: Bytes) -> Body {
    Full::new(bytes).map_err(|never| match never {}).boxed()
}

/// A body whose length is not known beforehand.
fn chunked(bytes: Bytes) -> Body {
    let frame = Ok(http_body::Frame::data(bytes));
    http_body_util::BodyExt::boxed(StreamBody::new(futures_util::stream::iter([frame])))
}

/// A reply's body in one piece, copied once.
async fn whole(headers: &HeaderMap, body: Incoming) -> Result<Bytes, String> {
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|v| v.to_str().ok()?.parse().ok())
        .unwrap_or(0);
    let mut whole = Vec::with_capacity(MAX_REPLY_BYTES.min(announced));
    let mut body = Limited::new(body, MAX_REPLY_BYTES);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|e| e.to_string())?;
        whole.extend_from_slice(frame.data_ref().map_or(&[], |d| &d[..]));
    }
    Ok(whole.into())
}
