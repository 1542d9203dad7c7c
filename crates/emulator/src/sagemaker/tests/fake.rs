//! A container inside the test: answers what a function says, and remembers what it was asked.

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;

/// An answer to one invocation.
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) body: String,
    pub(super) after: Duration,
}

impl Reply {
    pub(super) fn ok(body: impl Into<String>) -> Self {
        Self {
            status: 200,
            body: body.into(),
            after: Duration::ZERO,
        }
    }

    pub(super) fn status(status: u16, body: &str) -> Self {
        Self {
            status,
            body: body.to_owned(),
            after: Duration::ZERO,
        }
    }

    pub(super) fn after(mut self, after: Duration) -> Self {
        self.after = after;
        self
    }
}

#[derive(Default)]
pub(super) struct Seen {
    /// Each invocation's headers and body, in the order of arrival.
    pub(super) invocations: Mutex<Vec<(HeaderMap, Bytes)>>,
    under_way: AtomicUsize,
    /// The most that were under way at once.
    pub(super) most: AtomicUsize,
}

pub(super) struct Fake {
    pub(super) url: String,
    pub(super) seen: Arc<Seen>,
}

type Answer = Arc<dyn Fn(Bytes, usize) -> BoxFuture<'static, Reply> + Send + Sync>;

/// `answer` gets the body and the number of the invocation, from 0. `parameters` is what
/// `/execution-parameters` says; without, it is not found.
pub(super) async fn start(
    parameters: Option<&'static str>,
    answer: impl Fn(&str, usize) -> Reply + Send + Sync + 'static,
) -> Fake {
    start_bytes(parameters, move |body, number| {
        answer(std::str::from_utf8(body).unwrap(), number)
    })
    .await
}

/// The same of bodies that may be no text.
pub(super) async fn start_bytes(
    parameters: Option<&'static str>,
    answer: impl Fn(&[u8], usize) -> Reply + Send + Sync + 'static,
) -> Fake {
    let answer = move |body: Bytes, number| -> BoxFuture<'static, Reply> {
        Box::pin(std::future::ready(answer(&body, number)))
    };
    serve(parameters, Arc::new(answer)).await
}

/// The same with an answer that may wait for something.
pub(super) async fn start_async<F: Future<Output = Reply> + Send + 'static>(
    answer: impl Fn(String) -> F + Send + Sync + 'static,
) -> Fake {
    let answer = move |body: Bytes, _| -> BoxFuture<'static, Reply> {
        Box::pin(answer(String::from_utf8(body.to_vec()).unwrap()))
    };
    serve(None, Arc::new(answer)).await
}

async fn serve(parameters: Option<&'static str>, answer: Answer) -> Fake {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let seen = Arc::new(Seen::default());
    let shared = Arc::clone(&seen);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (answer, seen) = (Arc::clone(&answer), Arc::clone(&shared));
            let service = service_fn(move |request| {
                let (answer, seen) = (Arc::clone(&answer), Arc::clone(&seen));
                async move { Ok::<_, Infallible>(route(request, parameters, answer, &seen).await) }
            });
            tokio::spawn(async move {
                let _ = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    });
    Fake { url, seen }
}

async fn route(
    request: Request<Incoming>,
    parameters: Option<&'static str>,
    answer: Answer,
    seen: &Seen,
) -> Response<Full<Bytes>> {
    match (request.uri().path(), parameters) {
        ("/ping", _) => reply(200, ""),
        ("/execution-parameters", Some(parameters)) => reply(200, parameters),
        ("/invocations", _) => {
            let (head, body) = request.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            let number = {
                let mut all = seen.invocations.lock().unwrap();
                all.push((head.headers, body.clone()));
                all.len() - 1
            };
            let now = seen.under_way.fetch_add(1, Ordering::SeqCst) + 1;
            seen.most.fetch_max(now, Ordering::SeqCst);
            let answer = answer(body, number).await;
            tokio::time::sleep(answer.after).await;
            seen.under_way.fetch_sub(1, Ordering::SeqCst);
            reply(answer.status, &answer.body)
        }
        _ => reply(404, ""),
    }
}

fn reply(status: u16, body: &str) -> Response<Full<Bytes>> {
    Response::builder()
        .status(status)
        .body(Full::new(Bytes::from(body.to_owned())))
        .unwrap()
}
