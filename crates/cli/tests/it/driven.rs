//! `gristmill local` as other people's software meets it: boto3, the AWS CLI, the SageMaker Python
//! SDK, shells, signals, and whatever else arrives on a port.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::project::{Done, Project, finish, judge, repository};

/// What a test waits for at most; nothing is measured by it.
const PATIENCE: Duration = Duration::from_secs(60);

/// The services in the foreground, killed with the test.
pub(crate) struct Services {
    process: Child,
    /// The JSON line that they announced themselves with.
    said: Value,
    folder: PathBuf,
}

impl Services {
    /// `local --dir d --output json` in the project's folder; returns once it is announced.
    pub(crate) fn start(project: &Project) -> Self {
        let mut command = project.command(&["local", "--dir", "d", "--output", "json"]);
        command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        let mut process = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.as_mut().unwrap())
            .read_line(&mut line)
            .unwrap();
        let said = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line:?}"));
        Self {
            process,
            said,
            folder: project.path("d"),
        }
    }

    fn endpoint_file(&self) -> String {
        self.folder
            .join("endpoint.json")
            .to_str()
            .unwrap()
            .to_owned()
    }

    /// A judge about these services.
    pub(crate) fn judge(&self, script: &str, more: &[&str]) -> Done {
        judge(script, &[&[self.endpoint_file().as_str()], more].concat())
    }

    /// Sends a signal and waits for the end; the exit code, -1 where it was killed.
    fn end(&mut self, signal: &str) -> i32 {
        let pid = self.process.id().to_string();
        self.signal(&[signal, &pid])
    }

    /// As Ctrl-C in a terminal: the signal goes to all processes of its group.
    fn end_group(&mut self, signal: &str) -> i32 {
        let group = format!("-{}", self.process.id());
        self.signal(&[signal, "--", &group])
    }

    fn signal(&mut self, arguments: &[&str]) -> i32 {
        assert!(
            Command::new("kill")
                .args(arguments)
                .status()
                .unwrap()
                .success()
        );
        self.process.wait().unwrap().code().unwrap_or(-1)
    }

    /// Sends bytes as they are; what comes back, if anything.
    fn send(&self, bytes: &[u8]) -> Vec<u8> {
        let port = u16::try_from(self.said["port"].as_u64().unwrap()).unwrap();
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut answer = Vec::new();
        // The other side may hang up at any point: that is an answer too.
        let _ = stream.write_all(bytes);
        let _ = stream.read_to_end(&mut answer);
        answer
    }
}

impl Drop for Services {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Waits for what must come.
#[track_caller]
fn until(what: &str, mut met: impl FnMut() -> bool) {
    let start = Instant::now();
    while !met() {
        assert!(start.elapsed() < PATIENCE, "{what}: still not");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn boto3_finds_s3_as_documented() {
    let project = Project::new();
    Services::start(&project)
        .judge("drive_s3_boto3.py", &[])
        .expect(0);
}

#[test]
fn boto3_finds_sagemaker_as_documented() {
    let project = Project::new();
    Services::start(&project)
        .judge("drive_sagemaker_boto3.py", &[])
        .expect(0);
}

#[test]
fn the_model_scores_parquet_and_json_lines_as_csv() {
    let project = Project::new();
    Services::start(&project)
        .judge("drive_formats_boto3.py", &[])
        .expect(0);
}

#[test]
fn the_aws_cli_works() {
    let project = Project::new();
    let services = Services::start(&project);
    let script = repository().join("judges/drive_awscli.sh");
    finish(Command::new(script).arg(services.endpoint_file())).expect(0);
}

#[test]
fn the_sagemaker_sdk_transforms() {
    let project = Project::new();
    Services::start(&project)
        .judge("drive_sagemaker_sdk.py", &[])
        .expect(0);
}

#[test]
fn airflow_transforms() {
    let project = Project::new();
    let services = Services::start(&project);
    let python = std::env::var("GRISTMILL_AIRFLOW_PYTHON").expect(
        "GRISTMILL_AIRFLOW_PYTHON is not set: run the tests by ./scripts/test, which installs Airflow",
    );
    let script = repository().join("judges/drive_airflow.py");
    finish(
        Command::new(python)
            .arg(script)
            .arg(services.endpoint_file()),
    )
    .expect(0);
}

#[test]
fn objects_and_keys_outlive_an_end_and_a_kill() {
    let project = Project::new();
    let mut services = Services::start(&project);
    for (signal, code, bucket) in [("-TERM", 0, "ended"), ("-KILL", -1, "killed")] {
        services
            .judge("drive_s3_boto3.py", &["--keep", bucket])
            .expect(0);
        assert_eq!(services.end(signal), code);
        let key = services.said["access_key_id"].clone();
        services = Services::start(&project);
        assert_eq!(services.said["access_key_id"], key);
        services
            .judge("drive_s3_boto3.py", &["--kept", bucket])
            .expect(0);
    }
}

#[test]
fn its_containers_end_with_it_however_it_ends() {
    let container = repository().join("judges/container.py");
    let python = std::env::var("GRISTMILL_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    type End = fn(&mut Services) -> i32;
    let ends: [(End, i32); 4] = [
        (|s| s.end("-TERM"), 0),
        (|s| s.end("-INT"), 0),
        (|s| s.end_group("-INT"), 0),
        (|s| s.end("-KILL"), -1),
    ];
    for (end, code) in ends {
        let project = Project::new();
        let mut services = Services::start(&project);
        // A grandchild that nobody waits for, and the server itself.
        let command = format!(
            "sleep 600 & echo $! > grandchild; echo $$ > child; mv child container; exec {python} {}",
            container.display()
        );
        services.judge("leave_running.py", &[&command]).expect(0);
        until("the container is started", || {
            project.path("container").exists()
        });
        let processes = ["container", "grandchild"].map(|name| {
            let pid = std::fs::read_to_string(project.path(name)).unwrap();
            PathBuf::from("/proc").join(pid.trim())
        });
        assert!(processes.iter().all(|p| p.exists()));
        assert_eq!(end(&mut services), code);
        until("the processes end", || {
            !processes.iter().any(|p| is_running(p))
        });
    }
}

/// Is it a process that has not ended? One that nobody has waited for yet has ended.
fn is_running(process: &Path) -> bool {
    let stat = std::fs::read_to_string(process.join("stat")).unwrap_or_default();
    let state = stat.rsplit_once(") ").map(|(_, rest)| rest.chars().next());
    !matches!(state, None | Some(Some('Z' | 'X')))
}

#[test]
fn a_folder_and_a_port_are_served_once() {
    let project = Project::new();
    let services = Services::start(&project);
    let again = project
        .run(&["local", "--dir", "d", "--output", "json"])
        .expect(75);
    let pid = services.process.id();
    let expected = format!(
        "the folder d is served by another emulator (process {pid}); use that one or another folder"
    );
    assert_eq!(again.json()["error"]["message"], expected);
    let port = services.said["port"].to_string();
    let taken = project
        .run(&["local", "--dir", "other", "--port", &port])
        .expect(75);
    assert!(taken.stdout.is_empty(), "{}", taken.stdout);
    let expected = format!("cannot listen on 127.0.0.1:{port}: ");
    assert!(taken.stderr.contains(&expected), "{}", taken.stderr);
    assert!(
        taken
            .stderr
            .contains("give a port that is free, or 0 for any"),
        "{}",
        taken.stderr
    );
}

#[test]
fn it_ends_when_nobody_calls() {
    let project = Project::new();
    project
        .run(&["local", "--dir", "d", "--idle-exit", "1"])
        .expect(0);
    assert!(!project.path("d/endpoint.json").exists());
}

#[test]
fn a_shell_can_evaluate_what_it_says() {
    let project = Project::new();
    let mut process = project
        .command(&["local", "--dir", "a folder"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(process.stdout.as_mut().unwrap())
        .lines()
        .take(5);
    let said: String = lines.map(|line| line.unwrap() + "\n").collect();
    let endpoint = std::fs::read(project.path("a folder/endpoint.json")).unwrap();
    let endpoint: Value = serde_json::from_slice(&endpoint).unwrap();
    let show = r#"eval "$1"; env | grep ^AWS_ | sort"#;
    let shell = finish(
        Command::new("sh")
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .args(["-c", show, "sh", &said]),
    );
    let text = |key: &str| endpoint[key].as_str().unwrap();
    let expected = format!(
        "AWS_ACCESS_KEY_ID={}\nAWS_DEFAULT_REGION=us-east-1\nAWS_ENDPOINT_URL={}\nAWS_REGION=us-east-1\nAWS_SECRET_ACCESS_KEY={}\n",
        text("access_key_id"),
        text("endpoint"),
        text("secret_access_key")
    );
    let shown = shell.expect(0).stdout;
    assert!(
        Command::new("kill")
            .arg(process.id().to_string())
            .status()
            .unwrap()
            .success()
    );
    assert!(process.wait().unwrap().success());
    assert_eq!(shown, expected);
    project.run(&["local", "--region", "x; reboot"]).expect(2);
}

#[test]
fn nothing_that_arrives_on_the_port_ends_it() {
    let project = Project::new();
    let mut services = Services::start(&project);
    let noise: Vec<u8> = (0..20_000_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let head =
        |rest: &str| format!("{rest} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n").into_bytes();
    let with = |start: Vec<u8>, more: &[u8]| [start.as_slice(), more, b"\r\n"].concat();
    let json = |target: &str, body: &str| {
        let fields = format!(
            "X-Amz-Target: {target}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        with(head("POST /"), fields.as_bytes())
    };
    let answers = [
        (noise, "400 Bad Request"),
        (
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
            "400 Bad Request",
        ),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), ""),
        (
            with(
                head("GET /"),
                format!("X: {}\r\n", "a".repeat(2 << 20)).as_bytes(),
            ),
            "431 ",
        ),
        (
            with(head("GET /"), "X: a\r\n".repeat(5000).as_bytes()),
            "431 ",
        ),
        (
            with(head(&format!("GET /{}", "a".repeat(200_000))), b""),
            "414 ",
        ),
        (with(head("PUT /b/k"), b"Content-Length: -5\r\n"), "400 "),
        (
            with(
                head("PUT /b/k"),
                b"Content-Length: 99999999999999999999999\r\n",
            ),
            "400 ",
        ),
        (with(head("FROB /b/k"), b""), ""),
        (with(head("GET /%ff%fe/%00"), b""), ""),
        (with(head("GET /../../etc/passwd"), b""), ""),
        (
            with(
                head("GET /b"),
                b"Authorization: AWS4-HMAC-SHA256 nonsense\r\n",
            ),
            "400 ",
        ),
        (json("Other.Thing", "{}"), "UnknownOperationException"),
        (json("SageMaker", "{"), "UnknownOperationException"),
        (
            json("SageMaker.ListModels", "{"),
            "MissingAuthenticationTokenException",
        ),
        (
            json("SageMaker.ListModels", &"[".repeat(100_000)),
            "MissingAuthenticationTokenException",
        ),
    ];
    for (index, (request, expected)) in answers.iter().enumerate() {
        let answer = String::from_utf8_lossy(&services.send(request)).into_owned();
        assert!(answer.contains(expected), "request {index}: {answer:.300}");
    }
    let health = services.send(&with(head("GET /_gristmill/health"), b""));
    assert!(String::from_utf8_lossy(&health).contains(r#""status":"ok""#));
    assert_eq!(services.end("-TERM"), 0);
    let mut complaints = String::new();
    services
        .process
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut complaints)
        .unwrap();
    assert_eq!(complaints, "");
}
