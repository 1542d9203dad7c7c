use serde_json::{Value, json};

use super::fake::{self, Reply};
use super::harness::{Emulator, job};
use crate::assume::{Assumptions, SliceEnd};

/// The cells of each row, joined by `+`.
fn sums(body: &str) -> String {
    body.lines()
        .map(|line| format!("{}\n", line.replace(',', "+")))
        .collect()
}

/// The end of a job over two files, and the outputs of both.
async fn processed(assume: Assumptions, more: Value) -> (Emulator, Value) {
    let fake = fake::start(None, |body, _| Reply::ok(sums(body))).await;
    let emulator = Emulator::with(assume).await;
    emulator.url_model(&fake.url).await;
    emulator.put("in/a.csv", "id1,1,2,3\nid2,4,5,6\n").await;
    emulator.put("in/b.csv", "id3,7,8,9").await;
    let end = emulator.run(job("j", more)).await;
    (emulator, end)
}

#[tokio::test(flavor = "multi_thread")]
async fn inputs_are_filtered_and_joined_to_their_answers() {
    for strategy in ["SingleRecord", "MultiRecord"] {
        let processing =
            json!({ "InputFilter": "$[1:]", "JoinSource": "Input", "OutputFilter": "$[0,-1]" });
        let more = json!({ "DataProcessing": processing, "BatchStrategy": strategy });
        let (emulator, end) = processed(Assumptions::default(), more).await;
        assert_eq!(end["TransformJobStatus"], "Completed");
        assert_eq!(end["DataProcessing"], processing);
        assert_eq!(
            emulator.get("out/a.csv.out").await.unwrap(),
            "id1,1+2+3\nid2,4+5+6\n"
        );
        assert_eq!(emulator.get("out/b.csv.out").await.unwrap(), "id3,7+8+9\n");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_range_is_a_switch() {
    for (slice_end, expected) in [
        (SliceEnd::Exclusive, "1+2\n4+5\n"),
        (SliceEnd::Inclusive, "1+2+3\n4+5+6\n"),
    ] {
        let assume = Assumptions {
            slice_end,
            ..Assumptions::default()
        };
        let more = json!({ "DataProcessing": { "InputFilter": "$[1:3]" } });
        let (emulator, end) = processed(assume, more).await;
        // Four columns end at 3 for one and at 4 for the other.
        assert_eq!(end["TransformJobStatus"], "Completed");
        assert_eq!(emulator.get("out/a.csv.out").await.unwrap(), expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_that_cannot_be_run_fails_the_job_and_says_so_in_its_log() {
    let (emulator, end) = processed(
        Assumptions::default(),
        json!({ "DataProcessing": { "InputFilter": "$[0:2,3:]" } }),
    )
    .await;
    assert_eq!(end["TransformJobStatus"], "Failed");
    assert_eq!(
        end["FailureReason"],
        "ClientError: See job logs for more information"
    );
    let expected = "Invalid JsonPath: $[0:2,3:]: only single range filters of format (eg: [1:5]) are supported";
    assert_eq!(emulator.data_log("j").await, [expected]);
    assert!(emulator.outputs().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_that_is_not_there_fails_the_file() {
    let (emulator, end) = processed(
        Assumptions::default(),
        json!({ "DataProcessing": { "OutputFilter": "$[1]" } }),
    )
    .await;
    assert_eq!(end["TransformJobStatus"], "Failed");
    let log = emulator.data_log("j").await;
    let expected =
        "bucket/in/a.csv: ClientError: record 1 of a request: $[1] is not within its 1 columns";
    assert!(log.iter().any(|line| line == expected), "{log:?}");
    assert!(emulator.outputs().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_answer_to_many_records_cannot_be_joined() {
    let fake = fake::start(None, |_, _| Reply::ok("1\n")).await;
    let emulator = Emulator::new().await;
    emulator.url_model(&fake.url).await;
    emulator.put("in/a.csv", "1\n2\n").await;
    let end = emulator
        .run(job(
            "j",
            json!({ "DataProcessing": { "JoinSource": "Input" } }),
        ))
        .await;
    assert_eq!(end["TransformJobStatus"], "Failed");
    let log = emulator.data_log("j").await;
    let expected =
        "bucket/in/a.csv: ClientError: the algorithm answered 1 records to a request of 2";
    assert!(log.iter().any(|line| line == expected), "{log:?}");
}
