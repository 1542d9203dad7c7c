//! The main job with S3 on a store that nobody here wrote, SeaweedFS, and SageMaker on the emulator,
//! whose jobs read and write there; and a store that only looks like one.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::lab::wait_until;
use crate::project::{Project, finish, repository};
use crate::seaweed::{self, Seaweed};

/// A project with both services.
struct Bench {
    project: Project,
    seaweed: Seaweed,
    sagemaker: Child,
    sagemaker_url: String,
}

impl Bench {
    fn new() -> Self {
        let seaweed = Seaweed::start();
        for bucket in ["gristmill-work", "gristmill-scores", "models"] {
            seaweed.make_bucket(bucket);
        }
        let project = Project::new();
        let mut command = project.command(&["local", "--dir", "services", "--output", "json"]);
        let mut sagemaker = keys(&mut command)
            .args(["--s3-endpoint", &seaweed.url()])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(sagemaker.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let said: Value = serde_json::from_str(&line).unwrap();
        let bench = Self {
            project,
            seaweed,
            sagemaker,
            sagemaker_url: said["endpoint"].as_str().unwrap().to_owned(),
        };
        bench.seaweed.put("models/flights.tar.gz", &model_data());
        bench.project.write("flights.yaml", pipeline(true));
        bench
    }

    /// `run flights.yaml` against both.
    fn run(&self, work_dir: &str) -> Command {
        let arguments = [
            "run",
            "flights.yaml",
            "--output",
            "json",
            "--work-dir",
            work_dir,
        ];
        let mut command = self.project.command(&arguments);
        keys(&mut command)
            .env("AWS_ENDPOINT_URL_S3", self.seaweed.url())
            .env("AWS_ENDPOINT_URL_SAGEMAKER", &self.sagemaker_url)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// What was published, by name, as SeaweedFS's own interface gives it.
    fn published(&self, names: &[String]) -> BTreeMap<String, Vec<u8>> {
        let get = |name: &String| {
            let path = format!("gristmill-scores/flights/dt=2013-01-31/{name}");
            (name.clone(), self.seaweed.get_object(&path).unwrap())
        };
        names.iter().map(get).collect()
    }

    fn jobs(&self) -> usize {
        let folder = self.project.path("services/sagemaker/jobs");
        std::fs::read_dir(folder).map_or(0, Iterator::count)
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = self.sagemaker.kill();
        let _ = self.sagemaker.wait();
    }
}

/// One set of credentials for both, as a client has.
fn keys(command: &mut Command) -> &mut Command {
    command
        .env("AWS_ACCESS_KEY_ID", seaweed::KEY_ID)
        .env("AWS_SECRET_ACCESS_KEY", seaweed::SECRET)
        .env("AWS_REGION", "us-east-1")
        .env("AWS_EC2_METADATA_DISABLED", "true")
}

/// The flights' pipeline; with `model`, that is described as an account would.
fn pipeline(model: bool) -> String {
    let text =
        std::fs::read_to_string(repository().join("pipelines/nightly-scoring.yaml")).unwrap();
    let fixtures = repository().join("fixtures").display().to_string();
    let text = text.replace("../fixtures", &fixtures);
    if !model {
        return text;
    }
    text.replace(
        "  model: flights-late-v1\n  instance_type",
        "  model:\n    image: gristmill.local/onnx\n    model_data: s3://models/flights.tar.gz\n    \
         execution_role_arn: arn:aws:iam::000000000000:role/any-role\n  instance_type",
    )
}

fn model_data() -> Vec<u8> {
    let models = repository().join("fixtures/models");
    let tar = Command::new("tar")
        .args(["-czf", "-", "-C"])
        .arg(models)
        .arg("flights-late.onnx")
        .output()
        .unwrap();
    assert!(tar.status.success());
    tar.stdout
}

/// The parts that a `--local` run publishes, by name.
fn local_parts() -> BTreeMap<String, Vec<u8>> {
    let project = Project::new();
    project.write("flights.yaml", pipeline(false));
    let done = project
        .run(&["run", "flights.yaml", "--local", "--output", "json"])
        .expect(0)
        .json();
    let folder = PathBuf::from(done["output"]["path"].as_str().unwrap());
    let files = std::fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().path());
    let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
    files
        .filter(|path| name(path).starts_with("part-"))
        .map(|path| (name(&path), std::fs::read(path).unwrap()))
        .collect()
}

#[test]
fn the_main_job_publishes_the_same_bytes_there() {
    let bench = Bench::new();
    let done = finish(&mut bench.run("work")).expect(0).json();
    assert_eq!(done["rows"]["published"], 27_004);
    let wanted = local_parts();
    assert!(!wanted.is_empty());
    let names: Vec<String> = wanted.keys().cloned().collect();
    assert!(bench.published(&names) == wanted);
    assert!(!bench.project.path("services/s3/gristmill-work").exists());
}

#[test]
fn a_killed_run_is_continued_there_with_its_one_job() {
    let bench = Bench::new();
    let mut run = bench.run("first").spawn().unwrap();
    wait_until("the job", || bench.jobs() == 1);
    run.kill().unwrap();
    run.wait().unwrap();
    // From another machine's work folder: all that is known is there.
    let done = finish(&mut bench.run("second")).expect(0).json();
    assert_eq!(
        (&done["rows"]["published"], &done["attempt"]),
        (&27_004.into(), &2.into())
    );
    assert_eq!(bench.jobs(), 1);
    let again = finish(&mut bench.run("first")).expect(0).json();
    assert_eq!(again["reused"], true);
}

/// Like npm's s3rver: it knows no header that it was not made for, and says 200.
fn lying_store() -> (String, std::sync::Arc<std::sync::Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let seen = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let lines = seen.clone();
    std::thread::spawn(move || {
        let mut objects = BTreeMap::new();
        for stream in listener.incoming().flatten() {
            let _ = answer(stream, &mut objects, &lines);
        }
    });
    (url, seen)
}

fn answer(
    mut stream: TcpStream,
    objects: &mut BTreeMap<String, Vec<u8>>,
    lines: &std::sync::Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut first, mut length) = (String::new(), 0);
    reader.read_line(&mut first)?;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let line = line.trim().to_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let mut words = first.split(' ');
    let (method, target) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
    let path = target.split('?').next().unwrap_or("").to_owned();
    lines.lock().unwrap().push(format!("{method} {path}"));
    let (status, content) = match method {
        "PUT" => (
            200,
            objects
                .insert(path, body)
                .map_or(Vec::new(), |_| Vec::new()),
        ),
        "DELETE" => (
            204,
            objects.remove(&path).map_or(Vec::new(), |_| Vec::new()),
        ),
        _ => objects
            .get(&path)
            .map_or((404, Vec::new()), |o| (200, o.clone())),
    };
    let shown: &[u8] = if method == "HEAD" { b"" } else { &content };
    write!(
        stream,
        "HTTP/1.1 {status} X\r\nconnection: close\r\netag: \"e\"\r\ncontent-length: {}\r\n\r\n",
        content.len()
    )?;
    stream.write_all(shown)
}

#[test]
fn a_store_that_ignores_conditions_is_refused_before_anything_is_written() {
    let (url, seen) = lying_store();
    let project = Project::new();
    project.write("flights.yaml", pipeline(false));
    let mut command = project.command(&["run", "flights.yaml", "--output", "json"]);
    let done = finish(keys(&mut command).env("AWS_ENDPOINT_URL", &url)).expect(1);
    let said = done.json();
    let message = said["error"]["message"].as_str().unwrap();
    let start = format!("the S3 at {url} (bucket gristmill-work) cannot keep a run: ");
    assert!(message.starts_with(&start), "{message}");
    insta::assert_snapshot!(message[start.len()..], @"it ignores If-None-Match on PutObject: two runs would each take the same key or destination for their own and publish over each other; it ignores If-Match on PutObject: a run that is continued on two machines at once would create its jobs twice; it does not give the range of an object that GetObject asks for: rows of large inputs would be lost or doubled; it ignores If-Match on GetObject: an object that is replaced while it is read would be read as a mix of both; nothing was written");
    let lines = seen.lock().unwrap().clone();
    let probe = |line: &&String| line.contains("/gristmill-work/flights/_gristmill-probe-");
    let written = |line: &&String| line.starts_with("PUT") && !probe(line);
    assert_eq!(lines.iter().filter(written).count(), 0, "{lines:?}");
    let last = lines.iter().rfind(probe).unwrap();
    assert!(last.starts_with("DELETE"), "{lines:?}");
}
