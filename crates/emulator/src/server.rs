//! The port: who answers a request, and how the process ends.

use std::fmt;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use s3s::service::S3Service;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::answer::{Body, Guarded, JSON, answer, fault_answer, service_error};
use crate::config::EmulatorConfig;
use crate::endpoint_file::{DirLock, Endpoint, Keys};
use crate::error::{EmulatorError, ServiceError};
use crate::faults::{Call, Fault, Faults};
use crate::idle::Activity;
use crate::sagemaker::{self, MAX_PROBE_BYTES, SageMaker};
use crate::signature::{self, Signed};
use crate::state::AppState;
use crate::store::ObjectStore;
use crate::{endpoint_file, s3};

/// The largest body of a JSON request, in bytes. SageMaker's own limit is not documented; its
/// requests are a few kilobytes.
const MAX_JSON_BYTES: usize = 4 * 1024 * 1024;

/// What these services have beside AWS's APIs: S3 has no bucket of such a name.
const OURS: &str = "/_gristmill/";

/// A client that sends no headers for so long is cut off.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);

/// Requests under way get so long to end when the process ends.
const GRACE: Duration = Duration::from_secs(5);

/// Serves `config.dir` until SIGINT, SIGTERM, or until it was idle for `config.idle_exit`. `announce`
/// is called once it listens; a signal from then on ends it in order.
///
/// # Errors
/// [`EmulatorError::Locked`] where another emulator serves the folder, [`EmulatorError::Listen`],
/// [`EmulatorError::Io`], [`EmulatorError::Damaged`], [`EmulatorError::Store`].
pub async fn serve(
    config: EmulatorConfig,
    announce: impl FnOnce(&Endpoint),
) -> Result<(), EmulatorError> {
    let signal = end_signal()?;
    let server = Server::start(config).await?;
    announce(server.endpoint());
    server.run_until_idle_or(signal).await;
    Ok(())
}

/// An emulator that listens: its endpoint is written, requests are answered once it runs.
pub struct Server {
    state: Arc<AppState>,
    listener: TcpListener,
    endpoint: Endpoint,
    s3: S3Service,
    /// Freed last, when everything else has ended.
    lock: DirLock,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("endpoint", &self.endpoint.endpoint)
            .finish_non_exhaustive()
    }
}

impl Server {
    /// Locks the folder, opens what it holds, binds 127.0.0.1 and writes `endpoint.json`.
    ///
    /// # Errors
    /// As [`serve`].
    pub async fn start(config: EmulatorConfig) -> Result<Self, EmulatorError> {
        let lock = DirLock::take(&config.dir)?;
        let keys = Keys::load_or_make(&config.dir)?;
        let store = ObjectStore::open(config.dir.join("s3")).await?;
        let sagemaker = SageMaker::open(&config.dir.join("sagemaker"), &config).await?;
        let (listener, address) = listen(config.port).await?;
        let endpoint = Endpoint {
            endpoint: format!("http://{address}"),
            port: address.port(),
            access_key_id: keys.access_key_id.clone(),
            secret_access_key: keys.secret_access_key.clone(),
            region: config.region.clone(),
            account: EmulatorConfig::ACCOUNT.to_owned(),
            pid: std::process::id(),
            assume: config.assume.to_map(),
        };
        endpoint.write(&config.dir)?;
        let s3 = s3::service(store.clone(), &config.region, &keys);
        let state = Arc::new(AppState {
            store,
            sagemaker,
            keys,
            activity: Activity::default(),
            faults: Faults::new(&config.dir),
            config: Arc::new(config),
        });
        Ok(Self {
            state,
            listener,
            endpoint,
            s3,
            lock,
        })
    }

    /// What clients need to know.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Answers requests until SIGINT, SIGTERM, or idleness.
    ///
    /// # Errors
    /// [`EmulatorError::Io`] where signals cannot be awaited.
    pub async fn run(self) -> Result<(), EmulatorError> {
        let signal = end_signal()?;
        self.run_until_idle_or(signal).await;
        Ok(())
    }

    async fn run_until_idle_or(self, signal: impl Future<Output = ()>) {
        let idle_exit = self.state.config.idle_exit;
        let activity = self.state.activity.clone();
        let end = async move {
            tokio::select! {
                () = signal => {}
                () = idle(activity, idle_exit) => {}
            }
        };
        self.run_until(end).await;
    }

    /// Answers requests until `end`, then lets those under way end, for a few seconds.
    pub async fn run_until(self, end: impl Future<Output = ()>) {
        sagemaker::start(&self.state);
        let (closing, closed) = watch::channel(false);
        let mut connections = JoinSet::new();
        tokio::pin!(end);
        loop {
            tokio::select! {
                () = &mut end => break,
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        let router = Router { state: Arc::clone(&self.state), s3: self.s3.clone() };
                        connections.spawn(router.connection(stream, closed.clone()));
                    }
                    // No descriptor is free: wait for one rather than spin.
                    Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                },
                Some(_) = connections.join_next(), if !connections.is_empty() => {}
            }
        }
        drop(self.listener);
        let _ = closing.send(true);
        let _ = tokio::time::timeout(GRACE, async {
            while connections.join_next().await.is_some() {}
        })
        .await;
        connections.shutdown().await;
        sagemaker::stop(&self.state).await;
        endpoint_file::Endpoint::remove(&self.state.config.dir);
        drop(self.lock);
    }
}

async fn listen(port: u16) -> Result<(TcpListener, SocketAddr), EmulatorError> {
    let failed = |source| EmulatorError::Listen { port, source };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .await
        .map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

/// Ends when the process is asked to end. The handlers are set when this returns.
fn end_signal() -> Result<impl Future<Output = ()>, EmulatorError> {
    use tokio::signal::unix::{SignalKind, signal};
    let failed =
        |e| EmulatorError::io("await signals for", std::path::Path::new("this process"))(e);
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

async fn idle(activity: Activity, limit: Option<Duration>) {
    match limit {
        Some(limit) => activity.idle(limit).await,
        None => std::future::pending().await,
    }
}

/// Gives each request to whom it is for.
#[derive(Clone)]
struct Router {
    state: Arc<AppState>,
    s3: S3Service,
}

/// Returns when the server closes.
async fn closed(closing: &mut watch::Receiver<bool>) {
    let _ = closing.wait_for(|closing| *closing).await;
}

/// The connection is closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the answer is withheld")]
struct Withheld;

impl Router {
    async fn connection(self, stream: TcpStream, mut closing: watch::Receiver<bool>) {
        // Small answers must not wait for Nagle's algorithm; without it they only come later.
        let _ = stream.set_nodelay(true);
        let service = service_fn(move |request| {
            let router = self.clone();
            async move { router.answer(request).await }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection);
        // How a client's connection ends is the client's to see.
        tokio::select! {
            _ = connection.as_mut() => {}
            () = closed(&mut closing) => {
                connection.as_mut().graceful_shutdown();
                let _ = connection.await;
            }
        }
    }

    async fn answer(self, request: Request<Incoming>) -> Result<Response<Guarded>, Withheld> {
        let guard = self.state.activity.begin();
        let json = request.headers().contains_key("x-amz-target");
        let mut call = Call::new(request.method(), request.uri().path(), request.headers());
        if call.creates_a_job() {
            call.running = self.state.sagemaker.running();
        }
        // What is no API of AWS's has no faults of one.
        let ours = request.uri().path().starts_with(OURS);
        let fault = (!ours).then(|| self.state.faults.for_call(call)).flatten();
        let mut response = match fault {
            Some(Fault::Reset) => return Err(Withheld),
            Some(Fault::Answer {
                status,
                code,
                message,
            }) => fault_answer(json, status, &code, &message),
            Some(Fault::Lost) => {
                let lost = self.dispatch(request, json).await;
                drop(lost);
                return Err(Withheld);
            }
            Some(Fault::Delay(delay)) => {
                tokio::time::sleep(delay).await;
                self.dispatch(request, json).await
            }
            None => self.dispatch(request, json).await,
        };
        let id = HeaderValue::from_str(&format!("{:016X}", fastrand::u64(..)));
        let name = if json {
            "x-amzn-requestid"
        } else {
            "x-amz-request-id"
        };
        response
            .headers_mut()
            .insert(name, id.unwrap_or(HeaderValue::from_static("0")));
        Ok(response.map(|body| Guarded {
            body,
            _guard: guard,
        }))
    }

    async fn dispatch(&self, request: Request<Incoming>, json: bool) -> Response<Body> {
        if json {
            return self.json(request).await;
        }
        match request.uri().path().strip_prefix(OURS) {
            Some("health") => return self.health(),
            Some("probe") => return self.probe(request).await,
            _ => {}
        }
        match self.s3.call(request.map(Body::from)).await {
            Ok(response) => response,
            Err(e) => {
                let message = s3s::StdError::from(e).to_string();
                fault_answer(false, 500, "InternalError", &message)
            }
        }
    }

    fn health(&self) -> Response<Body> {
        let mut health = json!({ "status": "ok", "pid": std::process::id() });
        if let Err(why) = self.state.faults.check() {
            health["faults"] = why.into();
        }
        answer(StatusCode::OK, "application/json", health.to_string())
    }

    /// Rows through a model's container, without a job.
    async fn probe(&self, request: Request<Incoming>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let answered = match Limited::new(body, MAX_PROBE_BYTES).collect().await {
            Ok(body) => {
                let body = body.to_bytes();
                match self.verify(&parts, "sagemaker", &body) {
                    Ok(()) => sagemaker::probe(&self.state, body).await,
                    Err(error) => Err(error),
                }
            }
            Err(e) => Err(ServiceError::new(
                "SerializationException",
                format!("the body cannot be read: {e}"),
            )),
        };
        match answered {
            Ok(body) => {
                let mut response = Response::new(Body::from(body));
                let media = HeaderValue::from_static("application/octet-stream");
                response.headers_mut().insert(CONTENT_TYPE, media);
                response
            }
            Err(e) => service_error(e.status, e.code, &e.message),
        }
    }

    /// A call of a JSON 1.1 service.
    async fn json(&self, request: Request<Incoming>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let answered = match Limited::new(body, MAX_JSON_BYTES).collect().await {
            Ok(body) => self.operation(&parts, &body.to_bytes()).await,
            Err(e) => Err(ServiceError::new(
                "SerializationException",
                format!("the body cannot be read: {e}"),
            )),
        };
        match answered {
            Ok(Value::Null) => answer(StatusCode::OK, JSON, String::new()),
            Ok(value) => answer(StatusCode::OK, JSON, value.to_string()),
            Err(e) => service_error(e.status, e.code, &e.message),
        }
    }

    async fn operation(
        &self,
        parts: &http::request::Parts,
        body: &Bytes,
    ) -> Result<Value, ServiceError> {
        let (service, operation) = target(&parts.headers)?;
        if parts.method != Method::POST {
            return Err(ServiceError::new(
                "UnknownOperationException",
                "JSON services are called by POST",
            ));
        }
        self.verify(parts, service, body)?;
        sagemaker::handle(&self.state, operation, body).await
    }

    /// Whether a request is signed, for that service.
    fn verify(
        &self,
        parts: &http::request::Parts,
        service: &str,
        body: &Bytes,
    ) -> Result<(), ServiceError> {
        let signed = Signed {
            method: &parts.method,
            uri: &parts.uri,
            headers: &parts.headers,
            body,
        };
        let other = self.state.config.other_s3.as_ref();
        let keys = other.and_then(|o| o.keys_of(&parts.headers));
        let keys = keys.unwrap_or(&self.state.keys);
        signature::verify(&signed, service, keys, jiff::Timestamp::now())
    }
}

/// The service that a request must be signed for, and the operation.
fn target(headers: &HeaderMap) -> Result<(&'static str, &str), ServiceError> {
    let target = headers
        .get("x-amz-target")
        .and_then(|t| t.to_str().ok())
        .unwrap_or_default();
    match target.split_once('.') {
        Some(("SageMaker", operation)) => Ok(("sagemaker", operation)),
        Some(("Logs_20140328", operation)) => Ok(("logs", operation)),
        _ => Err(ServiceError::new(
            "UnknownOperationException",
            format!("no service answers for {target:?}"),
        )),
    }
}
