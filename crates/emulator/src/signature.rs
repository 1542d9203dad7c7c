//! Signature Version 4 of the JSON services (AWS General Reference, "Signing AWS API requests").
//! S3's variant, with its streamed bodies, is checked by `s3s`.

use hmac::{Hmac, Mac as _};
use http::{HeaderMap, Method, Uri};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use sha2::{Digest as _, Sha256};

use crate::endpoint_file::Keys;
use crate::error::ServiceError;

/// A request may be this old, or this far ahead, in seconds.
const MAX_SKEW_SECONDS: i64 = 15 * 60;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// What is signed.
pub(crate) struct Signed<'a> {
    pub(crate) method: &'a Method,
    pub(crate) uri: &'a Uri,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a [u8],
}

/// Accepts a request that was signed for `service` with `keys`, at about `now`.
pub(crate) fn verify(
    request: &Signed<'_>,
    service: &str,
    keys: &Keys,
    now: Timestamp,
) -> Result<(), ServiceError> {
    let header = text(request.headers, "authorization").ok_or_else(|| {
        ServiceError::new(
            "MissingAuthenticationTokenException",
            "Missing Authentication Token",
        )
    })?;
    let auth = Authorization::parse(header).ok_or_else(|| {
        ServiceError::new(
            "IncompleteSignatureException",
            "The Authorization header is not of the form of Signature Version 4.",
        )
    })?;
    if auth.access_key_id != keys.access_key_id {
        return Err(ServiceError::new(
            "UnrecognizedClientException",
            "The security token included in the request is invalid.",
        ));
    }
    let date = check_scope(&auth, request, service, now)?;
    let string_to_sign = string_to_sign(&auth, request, date);
    let key = signing_key(&keys.secret_access_key, &auth);
    let given = hex::decode(auth.signature).unwrap_or_default();
    mac(&key, string_to_sign.as_bytes()).verify_slice(&given).map_err(|_| {
        invalid(
            "The request signature we calculated does not match the signature you provided. Check \
             your AWS Secret Access Key and signing method.",
        )
    })
}

fn invalid(message: impl Into<String>) -> ServiceError {
    ServiceError::new("InvalidSignatureException", message)
}

/// The parts of an `Authorization` header.
struct Authorization<'a> {
    access_key_id: &'a str,
    date: &'a str,
    region: &'a str,
    service: &'a str,
    signed_headers: &'a str,
    signature: &'a str,
}

impl<'a> Authorization<'a> {
    fn parse(header: &'a str) -> Option<Self> {
        let fields = header.strip_prefix(ALGORITHM)?;
        let field = |name: &str| {
            fields
                .split(',')
                .find_map(|f| f.trim().strip_prefix(name)?.strip_prefix('='))
        };
        let mut scope = field("Credential")?.split('/');
        let auth = Self {
            access_key_id: scope.next()?,
            date: scope.next()?,
            region: scope.next()?,
            service: scope.next()?,
            signed_headers: field("SignedHeaders")?,
            signature: field("Signature")?,
        };
        (scope.next() == Some("aws4_request") && scope.next().is_none()).then_some(auth)
    }

    fn scope(&self) -> String {
        format!(
            "{}/{}/{}/aws4_request",
            self.date, self.region, self.service
        )
    }
}

/// Checks date, service and signed headers, and gives the request's date as it was sent.
fn check_scope<'a>(
    auth: &Authorization<'_>,
    request: &Signed<'a>,
    service: &str,
    now: Timestamp,
) -> Result<&'a str, ServiceError> {
    let date =
        text(request.headers, "x-amz-date").ok_or_else(|| invalid("X-Amz-Date is missing"))?;
    let sent =
        parse_date(date).ok_or_else(|| invalid(format!("X-Amz-Date {date:?} is no date")))?;
    if (now.as_second() - sent.as_second()).abs() > MAX_SKEW_SECONDS {
        return Err(invalid(format!(
            "Signature expired or not yet current: {date} is more than 15 minutes from {now}"
        )));
    }
    if !date.starts_with(auth.date) || auth.date.len() != 8 {
        return Err(invalid(format!(
            "Date in Credential scope does not match {date}"
        )));
    }
    if auth.service != service {
        return Err(invalid(format!(
            "Credential should be scoped to correct service: '{service}'."
        )));
    }
    let signed = |name: &str| auth.signed_headers.split(';').any(|h| h == name);
    if !signed("host") || !signed("x-amz-date") {
        return Err(invalid("'host' and 'x-amz-date' must be signed headers"));
    }
    Ok(date)
}

/// Parses `20261122T031500Z`.
fn parse_date(date: &str) -> Option<Timestamp> {
    let date = DateTime::strptime("%Y%m%dT%H%M%SZ", date).ok()?;
    Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

fn string_to_sign(auth: &Authorization<'_>, request: &Signed<'_>, date: &str) -> String {
    let canonical = format!(
        "{}\n{}\n{}\n{}\n{}\n{}",
        request.method,
        request.uri.path(),
        canonical_query(request.uri),
        canonical_headers(auth.signed_headers, request.headers),
        auth.signed_headers,
        hex::encode(Sha256::digest(request.body)),
    );
    format!(
        "{ALGORITHM}\n{date}\n{}\n{}",
        auth.scope(),
        hex::encode(Sha256::digest(canonical))
    )
}

/// The query, sorted. Its parts are taken as they were sent: every SDK sends them encoded.
fn canonical_query(uri: &Uri) -> String {
    let mut pairs: Vec<String> = uri
        .query()
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            if pair.contains('=') {
                pair.to_owned()
            } else {
                format!("{pair}=")
            }
        })
        .collect();
    pairs.sort_unstable();
    pairs.join("&")
}

/// The signed headers, a line each, values trimmed and runs of blanks made one.
fn canonical_headers(names: &str, headers: &HeaderMap) -> String {
    let mut lines = String::new();
    for name in names.split(';') {
        let values: Vec<String> = headers
            .get_all(name)
            .iter()
            .map(|v| {
                String::from_utf8_lossy(v.as_bytes())
                    .split_whitespace()
                    .collect::<Vec<_>>()
                    .join(" ")
            })
            .collect();
        lines.push_str(&format!("{name}:{}\n", values.join(",")));
    }
    lines
}

fn signing_key(secret: &str, auth: &Authorization<'_>) -> Vec<u8> {
    let parts = [auth.date, auth.region, auth.service, "aws4_request"];
    parts
        .iter()
        .fold(format!("AWS4{secret}").into_bytes(), |key, part| {
            mac(&key, part.as_bytes()).finalize().into_bytes().to_vec()
        })
}

fn mac(key: &[u8], data: &[u8]) -> Hmac<Sha256> {
    // HMAC pads or hashes its key: any length is accepted.
    let mut mac =
        Hmac::<Sha256>::new_from_slice(key).unwrap_or_else(|_| Hmac::new(&Default::default()));
    mac.update(data);
    mac
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// The request of the General Reference's example, "get-vanilla-query-order-key" of its suite.
    fn example() -> (Uri, HeaderMap, Keys) {
        let uri = "/?Param1=value1&Param2=value2".parse().unwrap();
        let mut headers = HeaderMap::new();
        headers.insert("host", "example.amazonaws.com".parse().unwrap());
        headers.insert("x-amz-date", "20150830T123600Z".parse().unwrap());
        let authorization = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
             SignedHeaders=host;x-amz-date, \
             Signature=b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500";
        headers.insert("authorization", authorization.parse().unwrap());
        let keys = Keys {
            access_key_id: "AKIDEXAMPLE".to_owned(),
            secret_access_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned(),
        };
        (uri, headers, keys)
    }

    fn check(
        uri: &Uri,
        headers: &HeaderMap,
        keys: &Keys,
        body: &[u8],
        now: &str,
    ) -> Result<(), &'static str> {
        let request = Signed {
            method: &Method::GET,
            uri,
            headers,
            body,
        };
        verify(&request, "service", keys, now.parse().unwrap()).map_err(|e| e.code)
    }

    #[test]
    fn the_example_of_the_suite_verifies() {
        let (uri, headers, keys) = example();
        assert_eq!(
            check(&uri, &headers, &keys, b"", "2015-08-30T12:50:59Z"),
            Ok(())
        );
    }

    #[test]
    fn what_is_altered_is_refused() {
        let (uri, headers, keys) = example();
        let now = "2015-08-30T12:36:00Z";
        let wrong = Err("InvalidSignatureException");
        assert_eq!(check(&uri, &headers, &keys, b"x", now), wrong);
        assert_eq!(
            check(
                &"/?Param1=value1".parse().unwrap(),
                &headers,
                &keys,
                b"",
                now
            ),
            wrong
        );
        assert_eq!(
            check(&uri, &headers, &keys, b"", "2015-08-30T12:51:01Z"),
            wrong
        );
        assert_eq!(
            check(&uri, &headers, &keys, b"", "2015-08-30T12:20:59Z"),
            wrong
        );
        let other = Keys {
            secret_access_key: "other".to_owned(),
            ..keys.clone()
        };
        assert_eq!(check(&uri, &headers, &other, b"", now), wrong);
        let other = Keys {
            access_key_id: "OTHER".to_owned(),
            ..keys.clone()
        };
        assert_eq!(
            check(&uri, &headers, &other, b"", now),
            Err("UnrecognizedClientException")
        );
        let none = Err("MissingAuthenticationTokenException");
        assert_eq!(check(&uri, &HeaderMap::new(), &keys, b"", now), none);
    }

    proptest::proptest! {
        #[test]
        fn no_header_makes_it_panic(credential in ".*", names in "[a-z;-]*", signature in "[0-9a-f]*", date in "[0-9TZ]*") {
            let (uri, mut headers, keys) = example();
            let text = format!("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/{credential}, SignedHeaders={names}, Signature={signature}");
            if let (Ok(text), Ok(date)) = (text.parse(), date.parse()) {
                headers.insert("authorization", text);
                headers.insert("x-amz-date", date);
            }
            let verified = check(&uri, &headers, &keys, b"x", "2015-08-30T12:36:00Z");
            proptest::prop_assert!(verified.is_err());
        }
    }
}
