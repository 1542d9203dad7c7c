use crate::wire::{Reply, Wire, reply, uri};
use gristmill_cloud::CloudErrorKind;

fn page(keys: &[&str], encoded: bool, next: Option<&str>) -> Reply {
    let mut xml = String::from("<ListBucketResult>");
    if encoded {
        xml.push_str("<EncodingType>url</EncodingType>");
    }
    xml.push_str(&format!("<IsTruncated>{}</IsTruncated>", next.is_some()));
    for key in keys {
        xml.push_str(&format!(
            "<Contents><Key>{key}</Key><Size>3</Size><ETag>\"e\"</ETag><LastModified>2026-11-22T03:00:00.000Z</LastModified></Contents>"
        ));
    }
    if let Some(token) = next {
        xml.push_str(&format!(
            "<NextContinuationToken>{token}</NextContinuationToken>"
        ));
    }
    reply(
        200,
        &[("content-type", "application/xml")],
        xml + "</ListBucketResult>",
    )
}

#[tokio::test]
async fn every_page_is_read_and_the_order_is_kept() {
    let wire = Wire::script(vec![
        page(&["p/b", "p/a"], false, Some("t1")),
        page(&[], false, Some("t2")),
        page(&["p/c"], false, None),
    ])
    .await;
    let found = wire
        .store()
        .await
        .list(&uri("s3://bkt/p/"), 3)
        .await
        .unwrap();
    assert_eq!(
        found.iter().map(|o| o.key.as_str()).collect::<Vec<_>>(),
        ["p/b", "p/a", "p/c"]
    );
    assert_eq!(
        (
            found[0].size,
            found[0].etag.as_str(),
            found[0].last_modified
        ),
        (3, "\"e\"", 1_795_316_400)
    );
    let lines = wire.lines();
    assert!(
        lines[0].contains("prefix=p%2F") && lines[0].contains("encoding-type=url"),
        "{lines:?}"
    );
    assert!(lines[2].contains("continuation-token=t2"), "{lines:?}");
}

#[tokio::test]
async fn keys_that_xml_cannot_write_come_back_whole() {
    let wire = Wire::script(vec![
        page(&["a+b%2Bc%0D%C3%A9"], true, None),
        page(&["a+b%2B"], false, None),
    ])
    .await;
    let store = wire.store().await;
    assert_eq!(
        store.list(&uri("s3://bkt"), 9).await.unwrap()[0].key,
        "a b+c\ré"
    );
    assert_eq!(
        store.list(&uri("s3://bkt"), 9).await.unwrap()[0].key,
        "a+b%2B"
    );
}

#[tokio::test]
async fn a_repeated_token_is_an_error_and_not_for_ever() {
    let wire = Wire::start(|n, _| page(&["k"], false, Some(["t1", "t2"][n % 2]))).await;
    let error = wire
        .store()
        .await
        .list(&uri("s3://bkt/p"), 1000)
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind, wire.requests().len()),
        (CloudErrorKind::Corrupt, 3)
    );
    insta::assert_snapshot!(error, @"s3 ListObjectsV2 s3://bkt/p: the store repeated a continuation token: the listing would never end");
}

#[tokio::test]
async fn more_without_a_way_to_ask_is_an_error() {
    let xml = "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>";
    let wire = Wire::script(vec![reply(200, &[], xml)]).await;
    let error = wire
        .store()
        .await
        .list(&uri("s3://bkt/p"), 9)
        .await
        .unwrap_err();
    assert_eq!(error.kind, CloudErrorKind::Corrupt);
}

#[tokio::test]
async fn more_than_the_limit_is_an_error() {
    let wire = Wire::script(vec![page(&["a", "b", "c"], false, Some("t"))]).await;
    let error = wire
        .store()
        .await
        .list(&uri("s3://bkt/p"), 2)
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind, wire.requests().len()),
        (CloudErrorKind::Invalid, 1)
    );
}

#[tokio::test]
async fn keys_are_deleted_by_the_thousand_and_failures_are_named() {
    let fine = || reply(200, &[], "<DeleteResult></DeleteResult>");
    let failed = "<DeleteResult><Error><Key>k1000</Key><Code>AccessDenied</Code><Message>no</Message></Error></DeleteResult>";
    let wire = Wire::script(vec![fine(), reply(200, &[], failed)]).await;
    let keys: Vec<_> = (0..1001).map(|n| format!("k{n}")).collect();
    let error = wire
        .store()
        .await
        .delete_many(&uri("s3://bkt"), &keys)
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind, error.resource.as_str()),
        (CloudErrorKind::AccessDenied, "s3://bkt/k1000")
    );
    let counts: Vec<_> = wire
        .requests()
        .iter()
        .map(|r| String::from_utf8_lossy(&r.body).matches("<Key>").count())
        .collect();
    assert_eq!(counts, [1000, 1]);
}

#[tokio::test]
async fn uploads_left_behind_are_aborted() {
    let uploads = "<ListMultipartUploadsResult><IsTruncated>false</IsTruncated>\
        <Upload><Key>p/a</Key><UploadId>U1</UploadId></Upload><Upload><Key>p/b</Key><UploadId>U2</UploadId></Upload></ListMultipartUploadsResult>";
    let gone = crate::wire::s3_error(404, "NoSuchUpload", "gone");
    let wire = Wire::script(vec![reply(200, &[], uploads), reply(204, &[], ""), gone]).await;
    assert_eq!(
        wire.store()
            .await
            .abort_uploads(&uri("s3://bkt/p/"))
            .await
            .unwrap(),
        2
    );
    let lines = wire.lines();
    assert!(
        lines[1].starts_with("DELETE /bkt/p/a?") && lines[1].contains("uploadId=U1"),
        "{lines:?}"
    );
    assert!(
        lines[2].starts_with("DELETE /bkt/p/b?") && lines[2].contains("uploadId=U2"),
        "{lines:?}"
    );
}
