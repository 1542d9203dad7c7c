use std::time::Duration;

use base64::Engine as _;
use serde_json::{Value, json};

use super::harness::{Emulator, container_program, job};

/// A case of the ONNX tests, as a tar.gz with one model.
pub(super) fn model_data(name: &str) -> (Vec<u8>, Value) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/onnx/cases.json");
    let cases: Vec<Value> = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let case = cases.into_iter().find(|c| c["name"] == name).unwrap();
    let model = base64::engine::general_purpose::STANDARD
        .decode(case["model"].as_str().unwrap())
        .unwrap();
    (tar_gz(&[("model.onnx", &model)]), case)
}

fn tar_gz(files: &[(&str, &[u8])]) -> Vec<u8> {
    let gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut tar = tar::Builder::new(gzip);
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, *bytes).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}

pub(super) async fn create_model(emulator: &Emulator, image: &str, environment: Value, data: bool) {
    let mut container = json!({ "Image": image, "Environment": environment });
    if data {
        container["ModelDataUrl"] = "s3://bucket/model.tar.gz".into();
    }
    emulator
        .call(
            "CreateModel",
            json!({ "ModelName": "m", "PrimaryContainer": container }),
        )
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_onnx_model_scores_as_onnxruntime() {
    let (data, case) = model_data("three_missing");
    let emulator = Emulator::new().await;
    emulator.put("model.tar.gz", data).await;
    create_model(&emulator, "gristmill.local/onnx:latest", json!({}), true).await;
    let rows = case["input"].as_array().unwrap();
    let line = |row: &Value| {
        let cells = row
            .as_array()
            .unwrap()
            .iter()
            .map(|c| c.as_f64().map_or(String::new(), |c| c.to_string()));
        cells.collect::<Vec<_>>().join(",") + "\n"
    };
    emulator
        .put("in/a.csv", rows.iter().map(line).collect::<String>())
        .await;
    let more = json!({ "BatchStrategy": "SingleRecord", "MaxConcurrentTransforms": 4, "TransformResources": { "InstanceCount": 3 } });
    let end = emulator.run(job("j", more)).await;
    assert_eq!(end["TransformJobStatus"], "Completed", "{end}");
    let out = emulator.get("out/a.csv.out").await.unwrap();
    let found: Vec<Vec<f64>> = out
        .lines()
        .map(|l| l.split(',').map(|c| c.parse().unwrap()).collect())
        .collect();
    let expected = case["output"].as_array().unwrap();
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!(found.len(), 3);
        for (found, expected) in found.iter().zip(expected.as_array().unwrap()) {
            assert!(
                (found - expected.as_f64().unwrap()).abs() < 1e-6,
                "{found} {expected}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_the_model_refuses_is_named_in_the_log() {
    let (data, _) = model_data("one_target_no_base");
    let emulator = Emulator::new().await;
    emulator.put("model.tar.gz", data).await;
    create_model(&emulator, "gristmill.local/onnx", json!({}), true).await;
    emulator.put("in/a.csv", "1,2,3\n1,two,3\n").await;
    let end = emulator.run(job("j", json!({}))).await;
    assert_eq!(
        end["FailureReason"],
        "ClientError: See job logs for more information"
    );
    let log = emulator.data_log("j").await;
    assert_eq!(
        log.last().unwrap(),
        "bucket/in/a.csv: line 2, column 2: expected a number, found 'two'"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_model_fails_the_job_and_the_log_says_why() {
    let emulator = Emulator::new().await;
    emulator
        .put(
            "model.tar.gz",
            tar_gz(&[("a.onnx", b"x"), ("b.onnx", b"y")]),
        )
        .await;
    create_model(&emulator, "gristmill.local/onnx", json!({}), true).await;
    emulator.put("in/a.csv", "1\n").await;
    let end = emulator.run(job("j", json!({}))).await;
    assert!(
        end["FailureReason"]
            .as_str()
            .unwrap()
            .starts_with("AlgorithmError: Model container failed to respond to ping."),
        "{end}"
    );
    let body = json!({ "logGroupName": "/aws/sagemaker/TransformJobs", "filterPattern": "must hold exactly one .onnx file, found 2" });
    // The container's last lines may still be on their way through the pipe.
    for _ in 0..1000 {
        let events = emulator
            .call("FilterLogEvents", body.clone())
            .await
            .unwrap();
        if events["events"].as_array().unwrap().len() == 1 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the container's message is in no log");
}

/// Serves `/ping` and answers each invocation with what the environment says, in plain Python.
const SERVER: &str = r#"exec python3 -c '
import http.server, os
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/ping" else 404); self.end_headers()
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        names = ["SAGEMAKER_BATCH", "SAGEMAKER_MAX_PAYLOAD_IN_MB", "SAGEMAKER_BATCH_STRATEGY", "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS", "MINE", "OURS", "AWS_SECRET_ACCESS_KEY"]
        self.send_response(200); self.end_headers()
        self.wfile.write((",".join(os.environ.get(n, "-") for n in names) + "," + str(os.getpid()) + "\n").encode())
    def log_message(self, *a): pass
http.server.HTTPServer(("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"])), H).serve_forever()
'"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_command_gets_the_documented_environment_and_ends_with_its_job() {
    let emulator = Emulator::new().await;
    let environment = json!({ "GRISTMILL_COMMAND": SERVER, "MINE": "model", "OURS": "model" });
    create_model(&emulator, "gristmill.local/command", environment, false).await;
    emulator.put("in/a.csv", "1\n").await;
    let more = json!({ "MaxPayloadInMB": 2, "BatchStrategy": "MultiRecord", "Environment": { "OURS": "job" } });
    let end = emulator.run(job("j", more)).await;
    assert_eq!(end["TransformJobStatus"], "Completed", "{end}");
    let out = emulator.get("out/a.csv.out").await.unwrap();
    let (environment, pid) = out.trim().rsplit_once(',').unwrap();
    assert_eq!(environment, "true,2,MULTI_RECORD,-,model,job,-");
    assert!(
        !std::path::Path::new(&format!("/proc/{pid}")).exists(),
        "the command outlived its job"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_is_not_ours_fails_the_job() {
    let emulator = Emulator::new().await;
    create_model(
        &emulator,
        "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1",
        json!({}),
        false,
    )
    .await;
    emulator.put("in/a.csv", "1\n").await;
    let end = emulator.run(job("j", json!({}))).await;
    insta::assert_snapshot!(end["FailureReason"].as_str().unwrap(), @"ClientError: image '683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1' cannot be run here: expected gristmill.local/onnx, gristmill.local/command or gristmill.local/url");
}

/// Waits for the end of a process that is to end by itself.
fn ends(mut child: std::process::Child) -> bool {
    for _ in 0..3000 {
        if child.try_wait().unwrap().is_some() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill().unwrap();
    false
}

#[test]
fn containers_end_when_their_standard_input_closes() {
    let folder = tempfile::tempdir().unwrap();
    let fixture = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../fixtures/models/flights-late.onnx"
    );
    std::fs::copy(fixture, folder.path().join("model.onnx")).unwrap();
    for words in [
        &["onnx"][..],
        &["command", "--", "echo; sleep 600 & sleep 600"],
    ] {
        let mut child = std::process::Command::new(container_program())
            .arg("container")
            .args(words)
            .env("SM_MODEL_DIR", folder.path())
            .env("SAGEMAKER_BIND_TO_PORT", "0")
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(100));
        assert!(
            child.try_wait().unwrap().is_none(),
            "{words:?} ended before its standard input"
        );
        let mut stdout = child.stdout.take().unwrap();
        drop(child.stdin.take());
        assert!(ends(child), "{words:?} does not end");
        // The pipe ends only when every process that inherited it has ended.
        std::io::Read::read_to_end(&mut stdout, &mut Vec::new()).unwrap();
    }
}

#[test]
fn a_command_that_ends_by_itself_is_an_error() {
    let mut child = std::process::Command::new(container_program())
        .args(["container", "command", "--", "exit 3"])
        .stdin(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let stdin = child.stdin.take();
    let mut said = String::new();
    let mut stderr = child.stderr.take().unwrap();
    std::io::Read::read_to_string(&mut stderr, &mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
    drop(stdin);
    insta::assert_snapshot!(said, @"container: the command ended by itself with exit code 3");
}
