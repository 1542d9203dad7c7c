use serde_json::{Value, json};

use super::fake::{self, Reply};
use super::harness::{Emulator, job};
use super::processes::create_model;
use crate::error::ServiceError;
use crate::sagemaker::probe;

/// What is told of an object of a job, and its output.
async fn ask(
    emulator: &Emulator,
    more: Value,
    content: &str,
) -> Result<(Value, String), ServiceError> {
    let head = json!({ "Job": job("j", more), "Object": "a.csv" });
    let body = format!("{head}\n{content}");
    let answer = probe(&emulator.state, body.into()).await?;
    let text = String::from_utf8(answer).unwrap();
    let (head, output) = text.split_once('\n').unwrap();
    Ok((serde_json::from_str(head).unwrap(), output.to_owned()))
}

/// No job, no object, no file is left.
async fn leaves_nothing(emulator: &Emulator) {
    let jobs = emulator.call("ListTransformJobs", json!({})).await.unwrap();
    assert_eq!(jobs["TransformJobSummaries"], json!([]));
    assert_eq!(emulator.outputs(), Vec::<String>::new());
    let scratch = emulator.dir.path().join("sagemaker/scratch");
    assert_eq!(std::fs::read_dir(scratch).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_is_sent_as_by_a_job_that_is_not_created() {
    let fake = fake::start(None, |body, _| {
        Reply::ok(body.lines().map(|l| format!("s{l}\n")).collect::<String>())
    })
    .await;
    let emulator = Emulator::new().await;
    emulator.url_model(&fake.url).await;
    // Faults are of jobs.
    emulator.faults(
        &json!([{ "fault": "status" }, { "fault": "drop_row" }, { "fault": "ping" }, { "fault": "end", "status": "Failed" }]),
    );
    let (told, output) = ask(&emulator, json!({}), "1,a\n2,b\n").await.unwrap();
    assert_eq!(
        told,
        json!({ "Outcome": "answered", "Reason": null, "ContentTypes": [], "Log": [] })
    );
    assert_eq!(output, "s1,a\ns2,b\n");
    let single = json!({ "BatchStrategy": "SingleRecord" });
    assert_eq!(
        ask(&emulator, single, "1\n2\n").await.unwrap().1,
        "s1\ns2\n"
    );
    let join = json!({ "DataProcessing": { "JoinSource": "Input", "InputFilter": "$[1:]", "OutputFilter": "$[0,-1]" } });
    let (_, joined) = ask(&emulator, join, "k1,5\nk2,6\n").await.unwrap();
    assert_eq!(joined, "k1,s5\nk2,s6\n");
    {
        let seen = fake.seen.invocations.lock().unwrap();
        let sizes: Vec<usize> = seen.iter().map(|(_, body)| body.len()).collect();
        assert_eq!(sizes, [8, 2, 2, 4]);
        assert!(
            seen.iter()
                .all(|(headers, _)| headers["content-type"] == "text/csv")
        );
    }
    leaves_nothing(&emulator).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_is_told_by_its_kind() {
    let fake = fake::start(None, |body, _| match body {
        "refuse\n" => Reply::status(400, "cannot score refuse"),
        // One record for any number.
        _ => Reply::ok("1\n"),
    })
    .await;
    let emulator = Emulator::new().await;
    emulator.url_model(&fake.url).await;
    let (told, output) = ask(&emulator, json!({}), "refuse\n").await.unwrap();
    assert_eq!((&told["Outcome"], output.as_str()), (&"failed".into(), ""));
    assert_eq!(
        told["Reason"],
        "Bad HTTP status received from algorithm: 400: cannot score refuse"
    );
    let join = json!({ "DataProcessing": { "JoinSource": "Input" } });
    let (told, _) = ask(&emulator, join, "1\n2\n").await.unwrap();
    assert_eq!(told["Outcome"], "unfit");
    assert_eq!(
        told["Reason"],
        "ClientError: the algorithm answered 1 records to a request of 2"
    );
    leaves_nothing(&emulator).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_ends_is_told_with_its_last_lines() {
    let emulator = Emulator::new().await;
    let command = "for i in 1 2 3 4 5 6 7; do echo line $i; done; exit 3";
    let environment = json!({ "GRISTMILL_COMMAND": command });
    create_model(&emulator, "gristmill.local/command", environment, false).await;
    let (told, _) = ask(&emulator, json!({}), "1\n").await.unwrap();
    assert_eq!(told["Outcome"], "never_ready");
    let reason = told["Reason"].as_str().unwrap();
    assert!(reason.contains("before it answered GET /ping"), "{reason}");
    let log = told["Log"].to_string();
    assert!(log.contains("line 7") && !log.contains("line 1\""), "{log}");
    assert!(told["Log"].as_array().unwrap().len() <= 6);
    leaves_nothing(&emulator).await;
}

#[tokio::test]
async fn what_is_no_probe_is_refused() {
    let emulator = Emulator::new().await;
    for body in ["", "{}\n", "no json\n", "{\"Job\":{},\"Object\":\"a\"}"] {
        let error = probe(&emulator.state, body.into()).await.unwrap_err();
        assert_eq!(error.code, "SerializationException", "{body:?}");
    }
    let error = ask(&emulator, json!({}), "1\n").await.unwrap_err();
    assert!(error.message.contains("Could not find model"), "{error:?}");
}
