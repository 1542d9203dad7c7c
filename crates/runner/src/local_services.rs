//! The embedded S3 and SageMaker of `--local`: found by their endpoint file, or started as a process
//! of their own that outlives this one.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::error::RunError;
use crate::exit_code::ExitCode;

/// The services end by themselves when nobody has called them and no job has run for so long.
pub const IDLE_EXIT_SECONDS: u64 = 15 * 60;

/// How long a start may take; it takes well under a second.
const START_LIMIT: Duration = Duration::from_secs(30);
/// What the services assume; the only setting that they take from the caller's environment.
const ASSUME: &str = "GRISTMILL_ASSUME";
/// Lines of what they said that are told at most: mistakes are a line each.
const LINES_TOLD: usize = 20;
const POLL: Duration = Duration::from_millis(20);
const HEALTH_TIMEOUT: Duration = Duration::from_secs(2);

/// Where the services are, and the throwaway keys that they accept.
#[derive(Clone, Deserialize)]
pub struct LocalServices {
    /// `http://127.0.0.1:<port>`, for every service.
    pub endpoint: String,
    /// Access key.
    pub access_key_id: String,
    /// Secret key.
    pub secret_access_key: String,
    /// Region.
    pub region: String,
    /// The process.
    pub pid: u32,
    /// What it takes the service to do where AWS does not say, by the names of `local --assume`.
    #[serde(default)]
    pub assume: BTreeMap<String, String>,
}

impl std::fmt::Debug for LocalServices {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LocalServices")
            .field("endpoint", &self.endpoint)
            .field("pid", &self.pid)
            .finish_non_exhaustive()
    }
}

/// Finds the services of `folder`, or starts them with `<program> local`.
///
/// # Errors
/// When they do not start, or not in time: by their own exit code, with what they said. `Usage`, when their
/// `faults.json` holds a mistake, or they run already and assume something else than
/// `GRISTMILL_ASSUME` says: they may have jobs, so they are not ended here.
pub fn ensure(program: &Path, folder: &Path) -> Result<LocalServices, RunError> {
    std::fs::create_dir_all(folder).map_err(|e| RunError::io("make", folder, e))?;
    let wanted = std::env::var(ASSUME).unwrap_or_default();
    if let Some(found) = answering(folder) {
        return fit(found, &wanted, folder);
    }
    let log = folder.join("services.log");
    let logged = std::fs::metadata(&log).map_or(0, |m| m.len());
    let mut child = spawn(program, folder, &log)?;
    let begun = Instant::now();
    let mut exit = ExitCode::Failure;
    while begun.elapsed() < START_LIMIT {
        if let Some(found) = answering(folder) {
            return fit(found, &wanted, folder);
        }
        let ended = child.try_wait().ok().flatten();
        if let Some(code) = ended.filter(|status| !status.success()) {
            exit = exit_code(code);
            // One that lost the race for the folder's lock ends at once; the winner will answer.
            if exit != ExitCode::Temporary || begun.elapsed() > START_LIMIT / 10 {
                break;
            }
        }
        std::thread::sleep(POLL);
    }
    let (said, help) = said_since(&log, logged);
    let error = RunError::new(
        exit,
        format!(
            "the embedded services in {} did not start: {said}",
            folder.display()
        ),
    );
    let in_foreground = "`gristmill local --dir` with that folder shows why in the foreground";
    Err(error.with_help(help.unwrap_or_else(|| in_foreground.to_owned())))
}

/// What the services' process ended with, as far as it is one of ours.
fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    code.and_then(ExitCode::from_number)
        .unwrap_or(ExitCode::Failure)
}

/// The services as they are, if they can be used and assume what is wanted.
fn fit(found: Answering, wanted: &str, folder: &Path) -> Result<LocalServices, RunError> {
    if let Some(mistake) = found.health.faults {
        return Err(RunError::new(
            ExitCode::Usage,
            format!(
                "the embedded services in {} answer nothing: {mistake}",
                folder.display()
            ),
        )
        .with_help(format!(
            "mend {}, or remove it; `gristmill local --help` tells what stands in it",
            folder.join("faults.json").display()
        )));
    }
    in_accord(found.services, wanted, folder)
}

/// The services as they are, if every switch that `wanted` (`name=value,…`) names is so there.
fn in_accord(
    services: LocalServices,
    wanted: &str,
    folder: &Path,
) -> Result<LocalServices, RunError> {
    let pairs = wanted.split(',').map(str::trim).filter(|p| !p.is_empty());
    let other: Vec<String> = pairs
        .filter_map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let there = services.assume.get(name.trim()).map_or("?", String::as_str);
            (there != value.trim()).then(|| format!("{}={there}", name.trim()))
        })
        .collect();
    if other.is_empty() {
        return Ok(services);
    }
    Err(RunError::new(
        ExitCode::Usage,
        format!(
            "{ASSUME} is {wanted:?}, but the embedded services in {} run already and assume {}",
            folder.display(),
            other.join(", ")
        ),
    )
    .with_help(format!(
        "end them with `kill {}` (what they hold is kept), or take another --work-dir",
        services.pid
    )))
}

fn spawn(program: &Path, folder: &Path, log: &Path) -> Result<Child, RunError> {
    let sink = |path: &Path| -> std::io::Result<File> {
        OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(path)
    };
    let out = sink(log).map_err(|e| RunError::io("write", log, e))?;
    let err = out.try_clone().map_err(|e| RunError::io("write", log, e))?;
    let mut command = Command::new(program);
    // Settings of the caller's verb, such as where its result goes, are none of the services'.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("GRISTMILL_") && name != ASSUME {
            command.env_remove(name);
        }
    }
    command
        .arg("local")
        .arg("--dir")
        .arg(folder)
        .arg("--port")
        .arg("0")
        .arg("--idle-exit")
        .arg(IDLE_EXIT_SECONDS.to_string())
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(err)
        .process_group(0)
        .spawn()
        .map_err(|e| RunError::io("start", program, e))
}

/// Services that answer.
struct Answering {
    services: LocalServices,
    health: Health,
}

/// What they say of themselves.
#[derive(Deserialize)]
struct Health {
    pid: u32,
    /// What is wrong with their `faults.json`: they answer every call of a service with it.
    faults: Option<String>,
}

/// Those of a folder, if the process that wrote its endpoint file is the one that answers there.
fn answering(folder: &Path) -> Option<Answering> {
    let text = std::fs::read_to_string(folder.join("endpoint.json")).ok()?;
    let services: LocalServices = serde_json::from_str(&text).ok()?;
    let health = health(&services).filter(|health| health.pid == services.pid)?;
    Some(Answering { services, health })
}

fn health(services: &LocalServices) -> Option<Health> {
    let address: SocketAddr = services
        .endpoint
        .strip_prefix("http://")?
        .trim_end_matches('/')
        .parse()
        .ok()?;
    let mut stream = TcpStream::connect_timeout(&address, HEALTH_TIMEOUT).ok()?;
    stream.set_read_timeout(Some(HEALTH_TIMEOUT)).ok()?;
    stream.set_write_timeout(Some(HEALTH_TIMEOUT)).ok()?;
    let request =
        format!("GET /_gristmill/health HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.take(64 * 1024).read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let is_ok = head.starts_with("HTTP/1.1 200");
    is_ok.then(|| serde_json::from_str(body).ok()).flatten()
}

/// What the services logged from an offset on: their error, and what they advise.
fn said_since(log: &Path, offset: u64) -> (String, Option<String>) {
    let text = std::fs::read(log).unwrap_or_default();
    let start = usize::try_from(offset).unwrap_or(usize::MAX);
    let text = String::from_utf8_lossy(text.get(start..).unwrap_or_default()).into_owned();
    let (mut said, mut help) = (Vec::new(), None);
    // Services that came up say how to reach them, with their keys.
    for line in text.lines().filter(|line| !line.starts_with("export ")) {
        match line.trim_start().strip_prefix("help: ") {
            Some(advice) => help = Some(advice.to_owned()),
            None => said.push(line.strip_prefix("error: ").unwrap_or(line)),
        }
    }
    said.drain(..said.len().saturating_sub(LINES_TOLD));
    let said = if said.is_empty() {
        format!("they said nothing in {} s", START_LIMIT.as_secs())
    } else {
        said.join("; ")
    };
    (said, help)
}

/// The folder of the embedded services below a work folder.
#[must_use]
pub fn folder(work_dir: &Path) -> PathBuf {
    work_dir.join("local")
}
