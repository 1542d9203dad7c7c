//! A server on a raw socket: every answer is bytes as written here, so that it can break off, lie
//! about its length, or never come.

use base64::Engine as _;
use gristmill_cloud::{
    Cloud, CloudConfig, JobLogs, LocalEndpoint, RetryPolicy, S3Uri, Store, Transfer, Transforms,
};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

pub(crate) const KEY_ID: &str = "canary-key-id-4711";
pub(crate) const SECRET: &str = "canary-secret-0815";

#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Path and query as sent.
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, v)| v.as_str())
    }

    /// `GET /b/k?x`, as tests list them.
    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.method, self.target)
    }
}

/// The bytes of an answer; none at all if the connection is to be closed without one.
pub(crate) type Reply = Vec<u8>;

pub(crate) fn reply(status: u16, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Reply {
    reply_of_length(status, headers, body.as_ref(), body.as_ref().len())
}

/// An answer that states another length than it has.
pub(crate) fn reply_of_length(
    status: u16,
    headers: &[(&str, &str)],
    body: &[u8],
    length: usize,
) -> Reply {
    let mut head =
        format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {length}\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let mut bytes = format!("{head}\r\n").into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// The request happened, its answer is lost.
pub(crate) fn lost() -> Reply {
    Vec::new()
}

pub(crate) fn s3_error(status: u16, code: &str, message: &str) -> Reply {
    let body = format!(
        "<Error><Code>{code}</Code><Message>{message}</Message><RequestId>R1</RequestId></Error>"
    );
    reply(
        status,
        &[
            ("x-amz-request-id", "R1"),
            ("content-type", "application/xml"),
        ],
        body,
    )
}

pub(crate) fn json(status: u16, body: &serde_json::Value) -> Reply {
    reply(
        status,
        &[
            ("content-type", "application/x-amz-json-1.1"),
            ("x-amzn-requestid", "R2"),
        ],
        body.to_string(),
    )
}

/// CRC-64/NVME by the polynomial's definition: another implementation than the crate's.
pub(crate) fn crc64(bytes: &[u8]) -> String {
    let mut crc = u64::MAX;
    for byte in bytes {
        crc ^= u64::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0x9a6c_9329_ac4b_c9b5 * (crc & 1));
        }
    }
    base64::engine::general_purpose::STANDARD.encode((!crc).to_be_bytes())
}

type Handler = dyn Fn(usize, &Request) -> Reply + Send + Sync;

#[derive(Clone)]
pub(crate) struct Wire {
    pub(crate) url: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Wire {
    /// Answers by a function of the request's number (from 0) and the request.
    pub(crate) async fn start(
        handler: impl Fn(usize, &Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let wire = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            requests: Arc::default(),
        };
        let (requests, handler): (_, Arc<Handler>) = (wire.requests.clone(), Arc::new(handler));
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serve(socket, requests.clone(), handler.clone()));
            }
        });
        wire
    }

    /// Answers in this order, and with 501 when there are none left.
    pub(crate) async fn script(replies: Vec<Reply>) -> Self {
        Self::start(move |n, _| {
            replies
                .get(n)
                .cloned()
                .unwrap_or_else(|| s3_error(501, "NotImplemented", "the script has ended"))
        })
        .await
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.requests().iter().map(Request::line).collect()
    }

    pub(crate) fn config(&self) -> CloudConfig {
        CloudConfig {
            local: Some(LocalEndpoint {
                endpoint_url: self.url.clone(),
                access_key_id: KEY_ID.into(),
                secret_access_key: SECRET.into(),
                region: "us-east-1".into(),
            }),
            retry: RetryPolicy {
                max_attempts: 4,
                initial_backoff: Duration::from_millis(1),
                max_backoff: Duration::from_millis(2),
            },
            transfer: Transfer {
                single_put_max_bytes: 20,
                part_bytes: 8,
                parts_in_flight: 3,
                range_bytes: 4,
            },
            ..CloudConfig::default()
        }
    }

    pub(crate) async fn store(&self) -> Store {
        Cloud::connect(self.config()).await.unwrap().store()
    }

    pub(crate) async fn job_logs(&self) -> JobLogs {
        Cloud::connect(self.config()).await.unwrap().job_logs()
    }

    pub(crate) async fn transforms(&self) -> Transforms {
        Cloud::connect(self.config()).await.unwrap().transforms()
    }
}

pub(crate) fn uri(text: &str) -> S3Uri {
    S3Uri::parse(text).unwrap()
}

async fn serve(mut socket: TcpStream, requests: Arc<Mutex<Vec<Request>>>, handler: Arc<Handler>) {
    let Some(request) = read_request(&mut socket).await else {
        return;
    };
    let number = {
        let mut all = requests.lock().unwrap();
        all.push(request.clone());
        all.len() - 1
    };
    let answer = handler(number, &request);
    let _ = socket.write_all(&answer).await;
    let _ = socket.shutdown().await;
}

async fn read_request(socket: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(at) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            break at;
        }
        if socket.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8_lossy(&bytes[..head_end]).into_owned();
    let mut lines = head.split("\r\n");
    let mut first = lines.next()?.split(' ');
    let (method, target) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers
        .iter()
        .find(|(n, _)| n == "content-length")
        .map_or(0, |(_, v)| v.parse().unwrap());
    let mut body = bytes.split_off(head_end + 4);
    while body.len() < length {
        if socket.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
    }
    Some(Request {
        method,
        target,
        headers,
        body,
    })
}
