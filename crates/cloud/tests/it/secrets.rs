use crate::wire::{KEY_ID, Reply, Request, SECRET, Wire, json, reply, s3_error, uri};
use gristmill_cloud::{CloudError, MESSAGE_MAX_CHARS, PutOptions};

/// A server that says back whatever it was told.
fn echo(request: &Request) -> Reply {
    let told: Vec<String> = request
        .headers
        .iter()
        .map(|(n, v)| format!("{n}: {v}"))
        .collect();
    let told = format!(
        "{} {} {{\"SecretAccessKey\": \"{SECRET}\"}} \u{9b}2J",
        request.target,
        told.join(" & ")
    );
    if request.header("x-amz-target").is_some() {
        return json(
            400,
            &serde_json::json!({"__type": "ValidationException", "Message": told}),
        );
    }
    s3_error(
        403,
        "AccessDenied",
        &told.replace('&', "&amp;").replace('<', "&lt;"),
    )
}

fn assert_clean(error: &CloudError) {
    let shown = format!(
        "{error} {error:?} {error:#?} {:?} {:?}",
        error.help, &**error
    );
    for secret in [KEY_ID, SECRET, "\u{9b}"] {
        assert!(!shown.contains(secret), "{secret:?} in {shown}");
    }
    assert!(
        error.message.contains("[redacted]"),
        "the server's text should be there, scrubbed: {shown}"
    );
    let signature = |c: &str| c.len() == 64 && c.chars().all(|c| c.is_ascii_hexdigit());
    let found = shown
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| signature(word))
        .count();
    // The hash of the (public) payload is the only 64 hex digits that may be shown.
    let payload = shown.matches("x-amz-content-sha256").count();
    assert!(found <= payload, "a signature is in {shown}");
}

#[tokio::test]
async fn a_server_that_echoes_the_request_leaks_nothing_into_errors() {
    let wire = Wire::start(|_, request| echo(request)).await;
    let (store, object) = (wire.store().await, uri("s3://bkt/k"));
    assert_clean(&store.get_bytes(&object, 9).await.unwrap_err());
    assert_clean(
        &store
            .put_bytes(&object, "x".into(), &PutOptions::default())
            .await
            .unwrap_err(),
    );
    assert_clean(&store.list(&object, 9).await.unwrap_err());
    assert_clean(&wire.transforms().await.describe_job("j").await.unwrap_err());
}

#[tokio::test]
async fn nothing_shows_keys() {
    let wire = Wire::script(vec![]).await;
    let cloud = gristmill_cloud::Cloud::connect(wire.config())
        .await
        .unwrap();
    let shown = format!(
        "{:?} {:?} {cloud:?} {:?} {:?}",
        wire.config(),
        wire.config().local,
        cloud.store(),
        cloud.transforms()
    );
    assert!(
        !shown.contains(SECRET) && !shown.contains(KEY_ID),
        "{shown}"
    );
}

#[tokio::test]
async fn a_long_message_is_cut() {
    let wire = Wire::script(vec![s3_error(403, "AccessDenied", &"x".repeat(100_000))]).await;
    let error = wire
        .store()
        .await
        .get_bytes(&uri("s3://bkt/k"), 9)
        .await
        .unwrap_err();
    assert_eq!(error.message.chars().count(), MESSAGE_MAX_CHARS + 1);
}

#[tokio::test]
async fn an_answer_that_is_no_answer_is_an_error() {
    let page = || {
        reply(
            200,
            &[("content-type", "text/html")],
            "<html>welcome to the airport</html>",
        )
    };
    let wire = Wire::start(move |_, _| page()).await;
    assert!(wire.transforms().await.describe_job("j").await.is_err());
    assert!(
        wire.store()
            .await
            .list(&uri("s3://bkt/k"), 9)
            .await
            .is_err()
    );
}
