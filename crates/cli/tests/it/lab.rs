//! A small scoring pipeline with a model that does as it is told: 250 rows, the answer of each is the
//! sum of its two numbers.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

use gristmill_cloud::{Cloud, CloudConfig, JobStatus, LocalEndpoint, S3Uri};
use serde_json::Value;

use crate::project::{Done, Project, repository};

/// Rows in `rows.csv`.
pub(crate) const ROWS: usize = 250;

/// What a test waits for at most; nothing is measured by it.
const PATIENCE: Duration = Duration::from_secs(60);

const PIPELINE: &str = r#"version: 1
name: sums
params:
  out: { type: string, default: sums }
work: { uri: s3://state/ }
source:
  uri: rows.csv
  columns: infer
  on_bad_row: fail
  on_empty: fail
prepare: { id: [id], select: [a, b] }
shards: { format: csv, max_rows: 100 }
transform:
  model: sums
  instance_type: ml.m5.xlarge
  instance_count: 1
  content_type: text/csv
  accept: text/csv
  split_type: line
  batch_strategy: multi_record
  assemble_with: line
  max_payload_in_mb: 1
  max_concurrent_transforms: 2
  invocations_max_retries: 0
  job_timeout: 1h
assemble:
  to: "s3://scores/{{ params.out }}/"
  mode: error
  format: csv
  columns:
    - id
    - { name: score, from: "prediction[0]", type: float64 }
local:
  model: { command: "COMMAND" }
"#;

/// A folder with `rows.csv`, `pipeline.yaml`, and the files `answer` (what the model does, see
/// `judges/container.py`) and `go` (the model starts once it is there).
pub(crate) struct Lab {
    pub(crate) project: Project,
}

impl Lab {
    pub(crate) fn new() -> Self {
        let lab = Self {
            project: Project::new(),
        };
        let python = std::env::var("GRISTMILL_PYTHON").unwrap_or_else(|_| "python3".to_owned());
        let container = repository().join("judges/container.py");
        // A file that a command names belongs to the model, and changes it; these two do not.
        let command = format!(
            "while [ ! -e $PWD/go ]; do sleep 0.02; done; ANSWER=\"$(cat answer)\" exec {python} {}",
            container.display()
        );
        let quoted = command.replace('"', "\\\"");
        lab.project
            .write("pipeline.yaml", PIPELINE.replace("COMMAND", &quoted));
        lab.project.write("rows.csv", rows(0..ROWS));
        lab.answer("sum");
        lab.project.write("go", "");
        lab
    }

    /// A lab whose model is not asked before the first job: what it does wrong, the job finds.
    pub(crate) fn unprobed() -> Self {
        let lab = Self::new();
        lab.skip_probe();
        lab
    }

    /// From now on the model is not asked before the first job.
    pub(crate) fn skip_probe(&self) {
        self.edit("  job_timeout: 1h\n", "  job_timeout: 1h\n  probe: off\n");
    }

    /// A lab whose model does not start before [`Lab::let_go`], and is not asked before.
    pub(crate) fn waiting() -> Self {
        let lab = Self::unprobed();
        std::fs::remove_file(lab.project.path("go")).unwrap();
        lab
    }

    pub(crate) fn let_go(&self) {
        self.project.write("go", "");
    }

    /// From the next container on, the model answers so.
    pub(crate) fn answer(&self, how: &str) {
        self.project.write("answer", how);
    }

    /// Replaces text of the pipeline; it must be there.
    #[track_caller]
    pub(crate) fn edit(&self, from: &str, to: &str) {
        let path = self.project.path("pipeline.yaml");
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{from:?} is not in the pipeline");
        std::fs::write(path, text.replace(from, to)).unwrap();
    }

    /// `run pipeline.yaml --local --output json` with more arguments.
    pub(crate) fn run(&self, more: &[&str]) -> Done {
        self.project.run(&arguments(more))
    }

    /// The same, not waited for.
    pub(crate) fn start(&self, more: &[&str]) -> Child {
        self.project.start(&arguments(more))
    }

    /// The services of this lab, over their own wire.
    fn ask<T>(&self, question: impl AsyncFnOnce(Cloud) -> T) -> T {
        let endpoint = self
            .project
            .endpoint(".gristmill")
            .expect("no services were started");
        let text = |key: &str| endpoint[key].as_str().unwrap().to_owned();
        let local = LocalEndpoint {
            endpoint_url: text("endpoint"),
            access_key_id: text("access_key_id"),
            secret_access_key: text("secret_access_key"),
            region: text("region"),
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let config = CloudConfig {
                local: Some(local),
                ..CloudConfig::default()
            };
            question(Cloud::connect(config).await.unwrap()).await
        })
    }

    /// Keys of a bucket; none where it does not exist.
    pub(crate) fn keys(&self, bucket: &str) -> Vec<String> {
        let uri = S3Uri {
            bucket: bucket.to_owned(),
            key: String::new(),
        };
        let listed = self.ask(async |cloud| cloud.store().list(&uri, 10_000).await);
        listed
            .unwrap_or_default()
            .into_iter()
            .map(|o| o.key)
            .collect()
    }

    /// An object's bytes.
    pub(crate) fn object(&self, bucket: &str, key: &str) -> Vec<u8> {
        let uri = S3Uri {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
        };
        let got = self.ask(async |cloud| cloud.store().get_bytes(&uri, 1 << 20).await);
        got.unwrap().0.to_vec()
    }

    /// Puts an object, into a bucket that is made if need be.
    pub(crate) fn put(&self, bucket: &str, key: &str, content: &'static str) {
        let uri = S3Uri {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
        };
        self.ask(async |cloud| {
            cloud.store().ensure_bucket(bucket).await.unwrap();
            let options = gristmill_cloud::PutOptions::default();
            cloud
                .store()
                .put_bytes(&uri, content.into(), &options)
                .await
                .unwrap();
        });
    }

    /// Names of all transform jobs that the service knows.
    pub(crate) fn jobs(&self) -> Vec<String> {
        let listed = self.ask(async |cloud| cloud.transforms().list_jobs("-").await.unwrap());
        listed.into_iter().map(|job| job.name).collect()
    }

    /// Waits for a job that is not one of these.
    #[track_caller]
    pub(crate) fn wait_for_job(&self, known: &[String]) {
        wait_until("another job", || {
            self.jobs().iter().any(|j| !known.contains(j))
        });
    }

    /// Stops all jobs that are under way, as somebody else may.
    pub(crate) fn stop_jobs(&self) {
        self.ask(async |cloud| {
            let transforms = cloud.transforms();
            for job in transforms.list_jobs("-").await.unwrap() {
                if job.status == JobStatus::InProgress {
                    transforms.stop_job(&job.name).await.unwrap();
                }
            }
        });
    }

    /// Their states, the newest first.
    pub(crate) fn job_states(&self) -> Vec<JobStatus> {
        let listed = self.ask(async |cloud| cloud.transforms().list_jobs("-").await.unwrap());
        listed.into_iter().map(|job| job.status).collect()
    }

    /// Starts the services, without a run.
    pub(crate) fn serve(&self, more: &[&str]) -> Child {
        let mut args = vec!["local", "--dir", ".gristmill/local"];
        args.extend(more);
        let child = self.project.start(&args);
        wait_until("the services' endpoint", || {
            self.project.endpoint(".gristmill").is_some()
        });
        child
    }

    /// Makes the pipeline one that needs no `--local`: the services of [`Lab::serve`] are reached as
    /// AWS is, by the default chain, with these variables.
    pub(crate) fn on_aws(&self) -> Vec<(&'static str, String)> {
        for bucket in ["state", "scores"] {
            self.put(bucket, "made", "");
        }
        let text = std::fs::read_to_string(self.project.path("pipeline.yaml")).unwrap();
        let (_, command) = text.split_once("command: ").unwrap();
        let folder = format!("\"cd '{}' && ", self.project.path("").display());
        let command = command.trim_end_matches(" }\n").replacen('"', &folder, 1);
        self.edit(
            "  model: sums\n",
            &format!(
                "  model:\n    image: gristmill.local/command\n    \
                 execution_role_arn: arn:aws:iam::000000000000:role/any-role\n    \
                 environment: {{ GRISTMILL_COMMAND: {command} }}\n"
            ),
        );
        let endpoint = self.project.endpoint(".gristmill").unwrap();
        let text = |key: &str| endpoint[key].as_str().unwrap().to_owned();
        vec![
            ("AWS_ENDPOINT_URL", text("endpoint")),
            ("AWS_ACCESS_KEY_ID", text("access_key_id")),
            ("AWS_SECRET_ACCESS_KEY", text("secret_access_key")),
            ("AWS_REGION", text("region")),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ]
    }

    /// Neither the store nor this machine has anything at the destination.
    #[track_caller]
    pub(crate) fn nothing_is_published(&self) {
        if self.project.endpoint(".gristmill").is_some() {
            assert_eq!(self.keys("scores"), Vec::<String>::new());
        }
        assert!(!self.project.path(".gristmill/published").exists());
    }

    /// Message, help and problems of a failed run, without what differs from run to run. Checks that
    /// the exit code is in the answer, and that nothing was published.
    #[track_caller]
    pub(crate) fn refusal(&self, done: Done, code: i32) -> String {
        self.nothing_is_published();
        self.told(done, code)
    }

    /// As [`Lab::refusal`], where something is published.
    #[track_caller]
    pub(crate) fn told(&self, done: Done, code: i32) -> String {
        let done = done.expect(code);
        let answer = done.json();
        assert_eq!(answer["exit"], code);
        assert_eq!(answer["output"], Value::Null);
        self.plain(&answer)
    }

    fn plain(&self, answer: &Value) -> String {
        let error = &answer["error"];
        let mut text = String::new();
        for problem in error["problems"].as_array().into_iter().flatten() {
            text.push_str(&format!(
                "{}:{}:{} {}: {}\n",
                problem["file"].as_str().unwrap_or("?"),
                problem["line"],
                problem["column"],
                problem["code"].as_str().unwrap_or("?"),
                problem["message"].as_str().unwrap_or("?")
            ));
            if let Some(help) = problem["help"].as_str() {
                text.push_str(&format!("  help: {help}\n"));
            }
        }
        text.push_str(error["message"].as_str().unwrap());
        if let Some(help) = error["help"].as_str() {
            text.push_str(&format!("\nhelp: {help}"));
        }
        let text = text.replace(self.project.path("").to_str().unwrap(), "DIR/");
        let text = match answer["run_id"].as_str() {
            Some(id) if !id.is_empty() => text.replace(id, "RUN"),
            _ => text,
        };
        without_hashes(&text)
    }

    /// The published rows: id and score.
    pub(crate) fn scores(&self, answer: &Value) -> Vec<(String, f64)> {
        let folder = PathBuf::from(answer["output"]["path"].as_str().unwrap());
        let mut all = Vec::new();
        for file in answer["output"]["files"].as_array().unwrap() {
            all.extend(scores_in(&folder.join(file.as_str().unwrap())));
        }
        all
    }

    /// The published bytes, file by file, as the manifest names them.
    pub(crate) fn published(&self, answer: &Value) -> Vec<(String, Vec<u8>)> {
        let folder = PathBuf::from(answer["output"]["path"].as_str().unwrap());
        let files = answer["output"]["files"].as_array().unwrap();
        let read = |f: &Value| {
            let name = f.as_str().unwrap();
            (name.to_owned(), std::fs::read(folder.join(name)).unwrap())
        };
        files.iter().map(read).collect()
    }

    /// The ledger of the run that was begun last, once there is one.
    pub(crate) fn ledger(&self) -> Option<PathBuf> {
        let text = std::fs::read(self.project.path(".gristmill/last.json")).ok()?;
        let last: Value = serde_json::from_slice(&text).ok()?;
        let run = last["run_id"].as_str()?;
        Some(
            self.project
                .path(&format!(".gristmill/runs/{run}/ledger.jsonl")),
        )
    }

    /// Whether the last run's ledger has an entry of this kind.
    pub(crate) fn has_entry(&self, kind: &str) -> bool {
        let text = self
            .ledger()
            .and_then(|path| std::fs::read_to_string(path).ok());
        text.is_some_and(|t| t.contains(&format!("\"kind\":\"{kind}\"")))
    }

    /// Waits for an entry of this kind.
    #[track_caller]
    pub(crate) fn wait_for(&self, kind: &str) {
        wait_until(kind, || self.has_entry(kind));
    }
}

fn arguments<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let mut args = vec!["run", "pipeline.yaml", "--local", "--output", "json"];
    args.extend(more);
    args
}

/// CSV with a header: rows `rI`, I, I/2.
pub(crate) fn rows(range: std::ops::Range<usize>) -> String {
    let line = |i: usize| {
        format!(
            "r{i},{i},{}.{}\n",
            i / 2,
            if i.is_multiple_of(2) { 0 } else { 5 }
        )
    };
    std::iter::once("id,a,b\n".to_owned())
        .chain(range.map(line))
        .collect()
}

/// What the model says about [`rows`].
pub(crate) fn sums(range: std::ops::Range<usize>) -> Vec<(String, f64)> {
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    range.map(|i| (format!("r{i}"), i as f64 * 1.5)).collect()
}

/// A CSV file of ids and scores.
fn scores_in(path: &Path) -> Vec<(String, f64)> {
    let text = std::fs::read_to_string(path).unwrap();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("id,score"), "{}", path.display());
    let pair = |line: &str| {
        let (id, score) = line.split_once(',').unwrap();
        (id.to_owned(), score.parse().unwrap())
    };
    lines.map(pair).collect()
}

/// Waits for something that is certain to come.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut there: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !there() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Sends a signal to a child.
pub(crate) fn signal(child: &Child, name: &str) {
    kill(child.id().into(), name);
}

/// Sends a signal to a process.
pub(crate) fn kill(pid: u64, name: &str) {
    let done = std::process::Command::new("kill")
        .arg(format!("-{name}"))
        .arg(pid.to_string())
        .status();
    assert!(done.unwrap().success());
}

/// Waits for a child that was started with pipes.
pub(crate) fn wait(mut child: Child) -> Done {
    let mut stderr = child.stderr.take().unwrap();
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        let _ = stderr.read_to_string(&mut text);
        text
    });
    let mut stdout = String::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut stdout)
        .unwrap();
    let code = child.wait().unwrap().code().unwrap_or(-1);
    Done {
        code,
        stdout,
        stderr: reader.join().unwrap(),
    }
}

/// Runs of 12 or more hex digits are replaced by `HASH`.
fn without_hashes(text: &str) -> String {
    let mut out = String::new();
    let mut run = String::new();
    for c in text.chars().chain(std::iter::once('\0')) {
        if c.is_ascii_digit() || ('a'..='f').contains(&c) {
            run.push(c);
            continue;
        }
        out.push_str(if run.len() >= 12 { "HASH" } else { &run });
        run.clear();
        if c != '\0' {
            out.push(c);
        }
    }
    out
}
