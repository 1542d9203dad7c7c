use crate::wire::{Reply, Wire, json};
use gristmill_cloud::{CloudErrorKind, TRANSFORM_LOG_GROUP};
use serde_json::{Value, json};

fn events(messages: &[&str], token: Option<&str>) -> Reply {
    let events: Vec<Value> = messages.iter().map(|m| json!({ "message": m })).collect();
    let mut page = json!({ "events": events, "searchedLogStreams": [] });
    if let Some(token) = token {
        page["nextToken"] = token.into();
    }
    json(200, &page)
}

fn failure(code: &str) -> Reply {
    json(400, &json!({ "__type": code, "message": "no" }))
}

#[tokio::test]
async fn pages_of_a_search_are_put_together_and_made_fit_to_be_shown() {
    let wire = Wire::script(vec![
        events(&["a", "password=hunter2"], Some("t1")),
        events(&[], Some("t2")),
        events(&["\u{1b}[31mred"], None),
    ])
    .await;
    let found = wire.job_logs().await.containing("j-1", "[x]", 100).await;
    assert_eq!(
        found.unwrap(),
        ["a", "password=[redacted]", "\\u{1b}[31mred"]
    );
    let sent: Vec<Value> = wire
        .requests()
        .iter()
        .map(|r| serde_json::from_slice(&r.body).unwrap())
        .collect();
    assert_eq!(
        sent[0],
        json!({ "logGroupName": TRANSFORM_LOG_GROUP, "logStreamNamePrefix": "j-1/", "filterPattern": "\"[x]\"" })
    );
    assert_eq!(
        (&sent[1]["nextToken"], &sent[2]["nextToken"]),
        (&"t1".into(), &"t2".into())
    );
}

/// However many lines there are, and though the service gives one token for ever.
#[tokio::test]
async fn a_search_has_an_end() {
    let wire = Wire::script(vec![events(&["a", "b", "c"], Some("t"))]).await;
    let logs = wire.job_logs().await;
    assert_eq!(logs.containing("j", "x", 2).await.unwrap(), ["a", "b"]);
    let wire = Wire::script(vec![events(&["a"], Some("t")), events(&["b"], Some("t"))]).await;
    let logs = wire.job_logs().await;
    assert_eq!(logs.containing("j", "x", 9).await.unwrap(), ["a", "b"]);
}

#[tokio::test]
async fn the_ends_of_streams() {
    let streams = json!({ "logStreams": [{ "logStreamName": "j/i-1" }, { "logStreamName": "j/i-1/data-log" }, { "logStreamName": "j/i-2" }] });
    let wire = Wire::script(vec![
        json(200, &streams),
        events(&["1", "2"], None),
        events(&["3"], None),
    ])
    .await;
    let logs = wire.job_logs().await;
    assert_eq!(
        logs.last("j", 2, 5).await.unwrap(),
        [vec!["1", "2"], vec!["3"]]
    );
    let sent: Value = serde_json::from_slice(&wire.requests()[2].body).unwrap();
    assert_eq!(
        (
            &sent["logStreamName"],
            &sent["limit"],
            &sent["startFromHead"]
        ),
        (&"j/i-1/data-log".into(), &5.into(), &false.into())
    );
}

#[tokio::test]
async fn no_group_is_no_lines_and_no_permission_is_told() {
    let answers = vec![
        failure("ResourceNotFoundException"),
        failure("ResourceNotFoundException"),
        failure("AccessDeniedException"),
    ];
    let wire = Wire::script(answers).await;
    let logs = wire.job_logs().await;
    assert!(logs.containing("j", "x", 9).await.unwrap().is_empty());
    assert!(logs.last("j", 1, 1).await.unwrap().is_empty());
    let error = logs.containing("j", "x", 9).await.unwrap_err();
    assert_eq!(error.kind, CloudErrorKind::AccessDenied);
}
