//! `container onnx`: the built-in model server. It reads text/csv, application/jsonlines and
//! application/x-parquet, and answers in text/csv or application/jsonlines, a line a row.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;

use super::answer_text::AnswerFormat;
use super::rows::{Rows, RowsError};
use super::{csv_rows, json_rows, parquet_rows, wait_for_stdin_to_close};
use crate::error::EmulatorError;
use crate::onnx::Model;

/// The service's own limit of a payload, plus room for a last line.
const MAX_BODY_BYTES: usize = 101 << 20;
/// The service's default `MaxPayloadInMB`.
const DEFAULT_PAYLOAD_MB: u64 = 6;

type Reply = Response<Full<Bytes>>;

/// Serves the model in `SM_MODEL_DIR` on 127.0.0.1:`SAGEMAKER_BIND_TO_PORT` until stdin closes.
pub(crate) fn run() -> Result<(), EmulatorError> {
    let port = variable("SAGEMAKER_BIND_TO_PORT")?;
    let port: u16 = port.parse().map_err(|_| {
        EmulatorError::Container(format!(
            "SAGEMAKER_BIND_TO_PORT is '{port}', expected a port"
        ))
    })?;
    let folder = PathBuf::from(variable("SM_MODEL_DIR")?);
    let model = Model::from_folder(&folder).map_err(|e| EmulatorError::Onnx(e.to_string()))?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .worker_threads(threads.min(4))
        .max_blocking_threads(threads)
        .build()
        .map_err(|e| EmulatorError::Container(format!("cannot start the runtime: {e}")))?;
    runtime.spawn(serve(port, Arc::new(Server { model, threads })));
    // The main thread waits, so that a server that fails still ends with its standard input.
    wait_for_stdin_to_close();
    runtime.shutdown_background();
    Ok(())
}

fn variable(name: &str) -> Result<String, EmulatorError> {
    std::env::var(name)
        .map_err(|_| EmulatorError::Container(format!("environment variable {name} is not set")))
}

struct Server {
    model: Model,
    /// Requests that may be evaluated at once.
    threads: usize,
}

async fn serve(port: u16, server: Arc<Server>) {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let listener = match tokio::net::TcpListener::bind(address).await {
        Ok(listener) => listener,
        Err(error) => {
            // The emulator sees the process end instead of a ping that never answers.
            report(&format!("cannot listen on {address}: {error}"));
            std::process::exit(1);
        }
    };
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            continue;
        };
        let server = Arc::clone(&server);
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let server = Arc::clone(&server);
                async move { Ok::<_, Infallible>(server.answer(request).await) }
            });
            // A client that goes away in the middle is its own business.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

/// A line in the container's log.
fn report(line: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "{line}");
}

impl Server {
    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Reply {
        match (request.method(), request.uri().path()) {
            (&Method::GET, "/ping") => reply(StatusCode::OK, "text/plain", String::new()),
            (&Method::GET, "/execution-parameters") => self.execution_parameters(),
            (&Method::POST, "/invocations") => self.invocations(request).await,
            _ => refuse(StatusCode::NOT_FOUND, "no such path"),
        }
    }

    fn execution_parameters(&self) -> Reply {
        let parameters = serde_json::json!({
            "MaxConcurrentTransforms": self.threads,
            "BatchStrategy": "MULTI_RECORD",
            "MaxPayloadInMB": DEFAULT_PAYLOAD_MB,
        });
        reply(StatusCode::OK, "application/json", parameters.to_string())
    }

    async fn invocations(self: Arc<Self>, request: Request<Incoming>) -> Reply {
        let (head, body) = request.into_parts();
        let formats = match Formats::of(&head.headers) {
            Ok(formats) => formats,
            Err(refusal) => return *refusal,
        };
        let body = match read_body(&head.headers, body).await {
            Ok(body) => body,
            Err(refusal) => return *refusal,
        };
        if body.is_empty() {
            return reply(StatusCode::NO_CONTENT, "text/plain", String::new());
        }
        // Evaluation takes a core; the async workers stay free for the wire.
        match tokio::task::spawn_blocking(move || self.score(&body, formats)).await {
            // No rows: Parquet alone can say so in bytes.
            Ok(Ok(text)) if text.is_empty() => reply(StatusCode::NO_CONTENT, "text/plain", text),
            Ok(Ok(text)) => reply(StatusCode::OK, formats.answer.content_type(), text),
            Ok(Err(error @ RowsError::Answer { .. })) => {
                refuse(StatusCode::PAYLOAD_TOO_LARGE, &error.to_string())
            }
            Ok(Err(error)) => refuse(StatusCode::BAD_REQUEST, &error.to_string()),
            Err(_) => refuse(StatusCode::INTERNAL_SERVER_ERROR, "the evaluation failed"),
        }
    }

    /// Batch by batch: beside the body there is a batch and the answer.
    fn score(&self, body: &Bytes, formats: Formats) -> Result<String, RowsError> {
        let mut text = String::new();
        let mut take = |cells: &[f32]| {
            let scores = self.model.predict(cells);
            formats
                .answer
                .write(&scores.values, scores.columns, &mut text)
        };
        let mut rows = Rows::new(self.model.features(), &mut take);
        match formats.body {
            BodyFormat::Csv => csv_rows::read(body, &mut rows),
            BodyFormat::JsonLines => json_rows::read(body, &mut rows),
            BodyFormat::Parquet => parquet_rows::read(body, &mut rows),
        }?;
        Ok(text)
    }
}

/// The whole body in one piece, which Parquet needs and the readers of lines like; copied once.
async fn read_body(headers: &HeaderMap, body: Incoming) -> Result<Bytes, Box<Reply>> {
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|v| v.to_str().ok()?.parse().ok())
        .unwrap_or(0);
    let mut whole = Vec::with_capacity(MAX_BODY_BYTES.min(announced));
    let mut body = Limited::new(body, MAX_BODY_BYTES);
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => whole.extend_from_slice(frame.data_ref().map_or(&[], |d| &d[..])),
            Err(error) if error.is::<LengthLimitError>() => {
                let why = "the body is larger than 101 MiB";
                return Err(Box::new(refuse(StatusCode::PAYLOAD_TOO_LARGE, why)));
            }
            Err(error) => {
                let why = format!("the body broke off: {error}");
                return Err(Box::new(refuse(StatusCode::BAD_REQUEST, &why)));
            }
        }
    }
    Ok(whole.into())
}

/// What the body of a request is written in.
#[derive(Clone, Copy)]
enum BodyFormat {
    Csv,
    JsonLines,
    Parquet,
}

#[derive(Clone, Copy)]
struct Formats {
    body: BodyFormat,
    answer: AnswerFormat,
}

impl Formats {
    /// Reads `Content-Type` and `Accept`. The error is boxed: a whole reply is large.
    fn of(headers: &HeaderMap) -> Result<Self, Box<Reply>> {
        let media = |name| {
            let value = headers
                .get(name)
                .and_then(|v| v.to_str().ok())
                .unwrap_or("");
            let bare = value.split(';').next().unwrap_or("").trim();
            bare.to_ascii_lowercase()
        };
        let body = match media(header::CONTENT_TYPE).as_str() {
            "" | "text/csv" => BodyFormat::Csv,
            "application/jsonlines" => BodyFormat::JsonLines,
            "application/x-parquet" | "application/vnd.apache.parquet" => BodyFormat::Parquet,
            found => {
                let why = format!(
                    "content type '{found}' is not supported; send text/csv, \
                     application/jsonlines or application/x-parquet"
                );
                return Err(Box::new(refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, &why)));
            }
        };
        let answer = match media(header::ACCEPT).as_str() {
            "" | "*/*" | "text/csv" => AnswerFormat::Csv,
            "application/jsonlines" => AnswerFormat::JsonLines,
            found => {
                let why = format!(
                    "accept '{found}' is not supported; ask for text/csv or application/jsonlines"
                );
                return Err(Box::new(refuse(StatusCode::NOT_ACCEPTABLE, &why)));
            }
        };
        Ok(Self { body, answer })
    }
}

fn refuse(status: StatusCode, message: &str) -> Reply {
    report(message);
    reply(status, "text/plain", format!("{message}\n"))
}

fn reply(status: StatusCode, content_type: &'static str, body: String) -> Reply {
    let mut reply = Response::new(Full::new(Bytes::from(body)));
    *reply.status_mut() = status;
    let value = header::HeaderValue::from_static(content_type);
    reply.headers_mut().insert(header::CONTENT_TYPE, value);
    reply
}
