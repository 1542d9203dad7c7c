//! Stores that do less than S3, or say so and do not: small ones in memory, each with its lie.

use crate::wire::{Reply, Request, Wire, crc64, reply, reply_of_length, s3_error, uri};
use gristmill_cloud::{Capabilities, CloudError, CloudErrorKind, PROBE_PREFIX};
use std::sync::Mutex;

/// What a store honours of what it is asked.
#[derive(Clone, Copy)]
struct Honours {
    if_none_match: bool,
    if_match: bool,
    ranges: bool,
    get_if_match: bool,
    checksums: bool,
}

const ALL: Honours = Honours {
    if_none_match: true,
    if_match: true,
    ranges: true,
    get_if_match: true,
    checksums: true,
};

/// As s3rver 3.7.1 is: every header that it does not know is no header.
const NOTHING: Honours = Honours {
    if_none_match: false,
    if_match: false,
    ranges: false,
    get_if_match: false,
    checksums: false,
};

/// The one object, and how often it was written.
#[derive(Default)]
struct Kept {
    body: Option<Vec<u8>>,
    version: u32,
}

impl Kept {
    fn etag(&self) -> String {
        format!("\"v{}\"", self.version)
    }

    fn answer(&mut self, honours: Honours, request: &Request) -> Reply {
        match request.method.as_str() {
            "PUT" => self.put(honours, request),
            "GET" => self.get(honours, request),
            "HEAD" => self.head(honours),
            _ => {
                self.body = None;
                reply(204, &[], b"")
            }
        }
    }

    fn put(&mut self, honours: Honours, request: &Request) -> Reply {
        let absent = request.header("if-none-match").is_some() && honours.if_none_match;
        let other = request
            .header("if-match")
            .is_some_and(|etag| honours.if_match && etag != self.etag());
        if (absent && self.body.is_some()) || other {
            return s3_error(412, "PreconditionFailed", "it does not hold");
        }
        let stated = request.header("x-amz-checksum-crc64nvme");
        if honours.checksums && stated.is_some_and(|stated| stated != crc64(&request.body)) {
            return s3_error(400, "BadDigest", "the checksum differs");
        }
        self.body = Some(request.body.clone());
        self.version += 1;
        reply(200, &[("etag", &self.etag())], b"")
    }

    fn get(&self, honours: Honours, request: &Request) -> Reply {
        let body = self.body.clone().unwrap();
        if honours.get_if_match && request.header("if-match") != Some(&self.etag()) {
            return s3_error(412, "PreconditionFailed", "it does not hold");
        }
        if !honours.ranges {
            return reply(200, &[("etag", &self.etag())], body);
        }
        let range = format!("bytes 3-12/{}", body.len());
        let headers = [("etag", self.etag()), ("content-range", range)];
        let headers = headers
            .each_ref()
            .map(|(name, value)| (*name, value.as_str()));
        reply(206, &headers, &body[3..=12])
    }

    fn head(&self, honours: Honours) -> Reply {
        let body = self.body.as_ref().unwrap();
        let (etag, sum) = (self.etag(), crc64(body));
        let mut headers = vec![("etag", etag.as_str())];
        if honours.checksums {
            headers.push(("x-amz-checksum-crc64nvme", &sum));
        }
        reply_of_length(200, &headers, b"", body.len())
    }
}

async fn store_that(honours: Honours) -> Wire {
    let kept = Mutex::new(Kept::default());
    Wire::start(move |_, request| kept.lock().unwrap().answer(honours, request)).await
}

async fn probe(wire: &Wire) -> Result<Capabilities, CloudError> {
    wire.store().await.probe(&uri("s3://bkt/state")).await
}

fn shown(found: Capabilities) -> String {
    let line = |lack: &gristmill_cloud::Lack| {
        let mark = if lack.fatal { "fatal" } else { "stated" };
        format!("{mark}: {}\n", lack.what)
    };
    found.missing().iter().map(line).collect()
}

#[tokio::test]
async fn a_store_that_does_all_lacks_nothing_and_keeps_nothing() {
    let wire = store_that(ALL).await;
    assert_eq!(probe(&wire).await.unwrap().missing(), []);
    let lines = wire.lines();
    let begin = format!("/bkt/state/{PROBE_PREFIX}");
    assert!(
        lines
            .iter()
            .all(|l| l.split(' ').nth(1).unwrap().starts_with(&begin)),
        "{lines:?}"
    );
    assert!(lines.last().unwrap().starts_with("DELETE"), "{lines:?}");
    assert!(lines.len() <= 11, "{lines:?}");
}

#[tokio::test]
async fn a_store_that_ignores_every_header_is_found_out() {
    let wire = store_that(NOTHING).await;
    insta::assert_snapshot!(shown(probe(&wire).await.unwrap()), @r"
    fatal: does not honour If-None-Match on PutObject
    fatal: does not honour If-Match on PutObject
    fatal: does not give the range of an object that GetObject asks for
    fatal: does not honour If-Match on GetObject
    stated: does not check the checksum of what it is sent
    stated: does not state the checksums of its objects
    ");
    assert!(wire.lines().last().unwrap().starts_with("DELETE"));
}

#[tokio::test]
async fn each_lie_is_told_from_the_others() {
    let lies = [
        (
            Honours {
                if_none_match: false,
                ..ALL
            },
            "fatal: does not honour If-None-Match on PutObject\n",
        ),
        (
            Honours {
                if_match: false,
                ..ALL
            },
            "fatal: does not honour If-Match on PutObject\n",
        ),
        (
            Honours {
                ranges: false,
                ..ALL
            },
            "fatal: does not give the range of an object that GetObject asks for\n",
        ),
        (
            Honours {
                get_if_match: false,
                ..ALL
            },
            "fatal: does not honour If-Match on GetObject\n",
        ),
        (
            Honours {
                checksums: false,
                ..ALL
            },
            "stated: does not check the checksum of what it is sent\nstated: does not state the checksums of its objects\n",
        ),
    ];
    for (honours, wanted) in lies {
        let wire = store_that(honours).await;
        assert_eq!(shown(probe(&wire).await.unwrap()), wanted);
    }
}

#[tokio::test]
async fn a_store_that_refuses_conditions_as_such_lacks_them() {
    let kept = Mutex::new(Kept::default());
    let wire = Wire::start(move |_, request| {
        let conditional = ["if-none-match", "if-match"]
            .iter()
            .any(|h| request.header(h).is_some());
        if conditional && request.method == "PUT" {
            return s3_error(
                501,
                "NotImplemented",
                "A header you provided implies functionality that is not implemented",
            );
        }
        kept.lock().unwrap().answer(ALL, request)
    })
    .await;
    insta::assert_snapshot!(shown(probe(&wire).await.unwrap()), @r"
    fatal: does not honour If-None-Match on PutObject
    fatal: does not honour If-Match on PutObject
    ");
}

#[tokio::test]
async fn a_wrong_checksum_is_sent_once_however_it_is_refused() {
    for (status, code) in [
        (400, "BadDigest"),
        (400, "XAmzContentChecksumMismatch"),
        (403, "Odd"),
    ] {
        let kept = Mutex::new(Kept::default());
        let wire = Wire::start(move |_, request| {
            let stated = request.header("x-amz-checksum-crc64nvme");
            if stated.is_some_and(|stated| stated != crc64(&request.body)) {
                return s3_error(status, code, "no");
            }
            kept.lock().unwrap().answer(ALL, request)
        })
        .await;
        assert!(probe(&wire).await.unwrap().checksums_verified);
        let wrong = |r: &&Request| {
            r.header("x-amz-checksum-crc64nvme")
                .is_some_and(|c| c != crc64(&r.body))
        };
        assert_eq!(wire.requests().iter().filter(wrong).count(), 1);
    }
}

#[tokio::test]
async fn what_stops_every_request_is_an_error_and_ends_soon() {
    for (status, code, kind, requests) in [
        (403, "AccessDenied", CloudErrorKind::AccessDenied, 2),
        (404, "NoSuchBucket", CloudErrorKind::NotFound, 2),
        (503, "SlowDown", CloudErrorKind::Throttled, 8),
    ] {
        let wire = Wire::start(move |_, _| s3_error(status, code, "no")).await;
        let error = probe(&wire).await.unwrap_err();
        assert_eq!((error.kind, error.action), (kind, "s3 PutObject"));
        assert_eq!(wire.requests().len(), requests, "{code}");
    }
}

#[tokio::test]
async fn an_answer_that_was_lost_is_no_lie() {
    let kept = Mutex::new(Kept::default());
    let wire = Wire::start(move |n, request| {
        let answer = kept.lock().unwrap().answer(ALL, request);
        if n == 0 { crate::wire::lost() } else { answer }
    })
    .await;
    assert_eq!(probe(&wire).await.unwrap().missing(), []);
}
