//! Starting a container, waiting until it answers, ending it.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::{Child, ChildStdin, Command};

use super::archive;
use super::client::{Client, ExecutionParameters, Invocation, InvokeError, Payload};
use super::error::ContainerError;

/// How long `/ping` may take to succeed. The service waits about 30 minutes; a laptop's user does
/// not. The environment variable [`PING_VARIABLE`] of the model says otherwise.
const PING_LIMIT: Duration = Duration::from_secs(60);
const PING_VARIABLE: &str = "GRISTMILL_PING_LIMIT_SECONDS";
/// Between two pings.
const PING_PAUSE: Duration = Duration::from_millis(50);
/// Between the closed standard input and the kill.
const END_LIMIT: Duration = Duration::from_secs(6);
/// Content types that are kept of a container's answers.
const MOST_CONTENT_TYPES: usize = 8;
/// A container's log line is cut at this length.
const MAX_LOG_LINE: usize = 16 << 10;

const COMMAND_VARIABLE: &str = "GRISTMILL_COMMAND";
const URL_VARIABLE: &str = "GRISTMILL_URL";

/// What an image's name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Image {
    /// The built-in server.
    Onnx,
    /// A command of the user's.
    Command,
    /// A server that is there already.
    Url,
}

impl Image {
    /// By the name without tag or digest.
    pub(crate) fn from_name(image: &str) -> Result<Self, ContainerError> {
        let bare = image.split(['@', ':']).next().unwrap_or(image);
        match bare {
            "gristmill.local/onnx" => Ok(Self::Onnx),
            "gristmill.local/command" => Ok(Self::Command),
            "gristmill.local/url" => Ok(Self::Url),
            _ => Err(ContainerError::Image(image.to_owned())),
        }
    }
}

/// All that a container is started with.
pub(crate) struct ContainerSpec {
    /// Which process.
    pub(crate) image: Image,
    /// The emulator's own program, run as `<program> container …`.
    pub(crate) program: PathBuf,
    /// The container's environment, merged already. The emulator's own is inherited under it,
    /// without AWS settings: a container has no business with the user's account.
    pub(crate) environment: BTreeMap<String, String>,
    /// A tar.gz on disk.
    pub(crate) model_data: Option<PathBuf>,
    /// A folder of the container's own: the model is unpacked in `model/` below it.
    pub(crate) folder: PathBuf,
    /// Gets each line that the container prints.
    pub(crate) log: Arc<dyn Fn(&str) + Send + Sync>,
}

/// A container that has answered `/ping`. Dropping it closes its standard input, which ends it.
pub(crate) struct Container {
    client: Client,
    process: Option<(Child, ChildStdin)>,
    /// Of its answers so far, each once.
    content_types: Mutex<Vec<String>>,
}

impl Container {
    /// Starts a container and waits until it is ready.
    pub(crate) async fn start(spec: ContainerSpec) -> Result<Self, ContainerError> {
        let limit = ping_limit(&spec.environment);
        let mut container = match spec.image {
            Image::Url => {
                let url = spec
                    .environment
                    .get(URL_VARIABLE)
                    .ok_or(ContainerError::Variable {
                        image: "gristmill.local/url",
                        variable: URL_VARIABLE,
                    })?;
                Self::new(Client::new(url), None)
            }
            Image::Onnx | Image::Command => Self::spawn(spec).await?,
        };
        container.wait_until_ready(limit).await?;
        Ok(container)
    }

    fn new(client: Client, process: Option<(Child, ChildStdin)>) -> Self {
        Self {
            client,
            process,
            content_types: Mutex::default(),
        }
    }

    async fn spawn(spec: ContainerSpec) -> Result<Self, ContainerError> {
        let model = spec.folder.join("model");
        std::fs::create_dir_all(&model).map_err(ContainerError::io("create", &model))?;
        if let Some(archive) = spec.model_data.clone() {
            let folder = model.clone();
            tokio::task::spawn_blocking(move || archive::unpack(&archive, &folder))
                .await
                .map_err(|e| ContainerError::ModelData(format!("unpacking failed: {e}")))??;
        }
        let port = free_port()?;
        let mut child = command(&spec, &model, port)?
            .spawn()
            .map_err(ContainerError::io("run", &spec.program))?;
        if let Some(out) = child.stdout.take() {
            forward_lines(out, Arc::clone(&spec.log));
        }
        if let Some(err) = child.stderr.take() {
            forward_lines(err, Arc::clone(&spec.log));
        }
        let process = child.stdin.take().map(|stdin| (child, stdin));
        let client = Client::new(&format!("http://127.0.0.1:{port}"));
        Ok(Self::new(client, process))
    }

    async fn wait_until_ready(&mut self, limit: Duration) -> Result<(), ContainerError> {
        let start = Instant::now();
        loop {
            let last = match self.client.ping().await {
                Ok(()) => return Ok(()),
                Err(last) => last,
            };
            if let Some((child, _)) = &mut self.process
                && let Ok(Some(status)) = child.try_wait()
            {
                return Err(ContainerError::Ended(status));
            }
            if start.elapsed() >= limit {
                return Err(ContainerError::Ping {
                    seconds: limit.as_secs(),
                    last,
                });
            }
            tokio::time::sleep(PING_PAUSE).await;
        }
    }

    /// What the container proposes for a job.
    pub(crate) async fn execution_parameters(&self) -> ExecutionParameters {
        self.client.execution_parameters().await
    }

    /// One try of `POST /invocations`.
    pub(crate) async fn invoke(
        &self,
        invocation: &Invocation,
        payload: &Payload,
    ) -> Result<Bytes, InvokeError> {
        let answer = self.client.invoke(invocation, payload).await?;
        let mut known = self.known_content_types();
        if let Some(found) = answer.content_type
            && known.len() < MOST_CONTENT_TYPES
            && !known.contains(&found)
        {
            known.push(found);
        }
        Ok(answer.body)
    }

    /// What its answers said that they are, each once, in the order in which they came.
    pub(crate) fn content_types(&self) -> Vec<String> {
        self.known_content_types().clone()
    }

    fn known_content_types(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        // A panic while it is held leaves a whole list.
        let known = self.content_types.lock();
        known.unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the process and waits for it; one that ignores its standard input is killed.
    pub(crate) async fn stop(mut self) {
        let Some((mut child, stdin)) = self.process.take() else {
            return;
        };
        drop(stdin);
        if tokio::time::timeout(END_LIMIT, child.wait()).await.is_err() {
            let _ = child.kill().await;
        }
    }
}

fn ping_limit(environment: &BTreeMap<String, String>) -> Duration {
    let given = environment.get(PING_VARIABLE).and_then(|v| v.parse().ok());
    given.map_or(PING_LIMIT, Duration::from_secs)
}

fn command(spec: &ContainerSpec, model: &Path, port: u16) -> Result<Command, ContainerError> {
    let mut command = Command::new(&spec.program);
    command.arg("container");
    if spec.image == Image::Onnx {
        command.arg("onnx");
    } else {
        let line = spec
            .environment
            .get(COMMAND_VARIABLE)
            .ok_or(ContainerError::Variable {
                image: "gristmill.local/command",
                variable: COMMAND_VARIABLE,
            })?;
        command.arg("command").arg("--").arg(line);
    }
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("AWS_") {
            command.env_remove(name);
        }
    }
    command
        .envs(&spec.environment)
        .env("SAGEMAKER_BATCH", "true")
        .env("SAGEMAKER_BIND_TO_PORT", port.to_string())
        .env("SM_MODEL_DIR", model)
        // Ctrl-C in a terminal is for the emulator; its containers end by their standard input.
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    Ok(command)
}

/// A port that is free now. Another process may take it first; the container then ends, and says so.
fn free_port() -> Result<u16, ContainerError> {
    let place = Path::new("127.0.0.1:0");
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .map_err(ContainerError::io("listen on", place))?;
    let address = listener
        .local_addr()
        .map_err(ContainerError::io("listen on", place))?;
    Ok(address.port())
}

/// Hands on each line until the pipe closes; a line without end is handed on in pieces.
fn forward_lines(
    pipe: impl AsyncRead + Send + Unpin + 'static,
    log: Arc<dyn Fn(&str) + Send + Sync>,
) {
    tokio::spawn(async move {
        let mut reader = BufReader::with_capacity(MAX_LOG_LINE, pipe);
        let mut line = Vec::new();
        while let Ok(available) = reader.fill_buf().await {
            if available.is_empty() {
                break;
            }
            let end = available.iter().position(|b| *b == b'\n');
            let taken = end.map_or(available.len(), |at| at + 1);
            line.extend_from_slice(&available[..end.unwrap_or(taken)]);
            reader.consume(taken);
            if end.is_some() || line.len() >= MAX_LOG_LINE {
                log(&String::from_utf8_lossy(&line));
                line.clear();
            }
        }
        if !line.is_empty() {
            log(&String::from_utf8_lossy(&line));
        }
    });
}
