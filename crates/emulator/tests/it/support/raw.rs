//! Requests that no SDK would send, signed by hand.

use bytes::Bytes;
use gristmill_emulator::Endpoint;
use hmac::{Hmac, Mac};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use sha2::{Digest, Sha256};

pub(crate) struct Call<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) service: &'a str,
    pub(crate) headers: Vec<(&'a str, String)>,
    pub(crate) body: Vec<u8>,
    /// What is signed as the body's hash; `None`: the hash.
    pub(crate) payload: Option<&'a str>,
    /// Seconds by which the client's clock is ahead.
    pub(crate) ahead: i64,
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: String,
}

impl<'a> Call<'a> {
    pub(crate) fn s3(method: &'a str, path: &'a str) -> Self {
        Self {
            method,
            path,
            service: "s3",
            headers: Vec::new(),
            body: Vec::new(),
            payload: None,
            ahead: 0,
        }
    }

    pub(crate) fn json(target: &str) -> Self {
        let headers = vec![
            ("content-type", "application/x-amz-json-1.1".to_owned()),
            ("x-amz-target", target.to_owned()),
        ];
        Self {
            method: "POST",
            path: "/",
            service: "sagemaker",
            headers,
            body: b"{}".to_vec(),
            payload: None,
            ahead: 0,
        }
    }
}

/// Signs with the endpoint's keys and sends.
pub(crate) async fn send(endpoint: &Endpoint, call: Call<'_>) -> Answer {
    let now = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(call.ahead);
    let date = now.strftime("%Y%m%dT%H%M%SZ").to_string();
    let host = endpoint
        .endpoint
        .strip_prefix("http://")
        .unwrap()
        .to_owned();
    let hash = call
        .payload
        .map_or_else(|| hex::encode(Sha256::digest(&call.body)), str::to_owned);
    let mut headers = call.headers;
    headers.extend([
        ("host", host),
        ("x-amz-content-sha256", hash.clone()),
        ("x-amz-date", date.clone()),
    ]);
    headers.sort();
    let names = headers.iter().map(|h| h.0).collect::<Vec<_>>().join(";");
    let lines: String = headers.iter().map(|(n, v)| format!("{n}:{v}\n")).collect();
    let (path, query) = call.path.split_once('?').unwrap_or((call.path, ""));
    let canonical = format!("{}\n{path}\n{query}\n{lines}\n{names}\n{hash}", call.method);
    let scope = format!(
        "{}/{}/{}/aws4_request",
        &date[..8],
        endpoint.region,
        call.service
    );
    let text = format!(
        "AWS4-HMAC-SHA256\n{date}\n{scope}\n{}",
        hex::encode(Sha256::digest(canonical))
    );
    let mut key = format!("AWS4{}", endpoint.secret_access_key).into_bytes();
    for part in scope.split('/').chain([text.as_str()]) {
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
        mac.update(part.as_bytes());
        key = mac.finalize().into_bytes().to_vec();
    }
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={}",
        endpoint.access_key_id,
        hex::encode(key)
    );
    let mut request = Request::builder()
        .method(call.method)
        .uri(format!("{}{}", endpoint.endpoint, call.path));
    for (name, value) in headers.iter().chain([&("authorization", authorization)]) {
        request = request.header(*name, value);
    }
    let client = Client::builder(TokioExecutor::new()).build_http();
    let response = client
        .request(request.body(Full::new(Bytes::from(call.body))).unwrap())
        .await
        .unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    Answer {
        status,
        body: String::from_utf8_lossy(&body).into_owned(),
    }
}
