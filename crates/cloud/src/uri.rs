//! `s3://bucket/key`: parsed and checked before anything is sent.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// The longest key, in bytes of UTF-8 (S3 user guide, "Naming Amazon S3 objects").
pub const KEY_MAX_BYTES: usize = 1024;

/// A bucket and a key, or a bucket and a prefix (which may be empty).
///
/// Keys are opaque: `//`, `..` and a trailing blank are kept as they are, and never resolved.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct S3Uri {
    /// The bucket's name.
    pub bucket: String,
    /// The key without its leading `/`; empty for the bucket itself.
    pub key: String,
}

/// Text that is no usable `s3://` URI.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{uri}` is no S3 URI: {reason}")]
pub struct S3UriError {
    /// What was given, cleaned.
    pub uri: String,
    /// What is wrong with it.
    pub reason: String,
}

impl S3Uri {
    /// Parses `s3://bucket`, `s3://bucket/` or `s3://bucket/key`.
    ///
    /// # Errors
    /// [`S3UriError`] if the scheme, the bucket's name (3–63 characters of `a-z 0-9 . -`, S3 user
    /// guide, "Bucket naming rules"; access point ARNs are not taken) or the key's length is wrong.
    pub fn parse(text: &str) -> Result<Self, S3UriError> {
        let wrong = |reason: String| S3UriError {
            uri: crate::redact::clean(text),
            reason,
        };
        let rest = text
            .strip_prefix("s3://")
            .ok_or_else(|| wrong("it must begin with s3://".into()))?;
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        check_bucket(bucket).map_err(|why| wrong(format!("the bucket's name {why}")))?;
        check_key(key).map_err(wrong)?;
        Ok(Self {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
        })
    }

    /// A key in a bucket, checked as [`S3Uri::parse`] does.
    ///
    /// # Errors
    /// As [`S3Uri::parse`].
    pub fn new(bucket: &str, key: &str) -> Result<Self, S3UriError> {
        Self::parse(&format!("s3://{bucket}/{key}"))
    }

    /// This URI as a folder with `name` below it: exactly one `/` between them.
    ///
    /// `s3://b/x` and `s3://b/x/` joined with `y` are both `s3://b/x/y`; a leading `/` of `name`
    /// is dropped, and nothing else is changed. The length is checked by the service alone, and
    /// by [`S3Uri::parse`] on the way back.
    #[must_use]
    pub fn join(&self, name: &str) -> Self {
        let name = name.strip_prefix('/').unwrap_or(name);
        let slash = if self.key.is_empty() || self.key.ends_with('/') {
            ""
        } else {
            "/"
        };
        Self {
            bucket: self.bucket.clone(),
            key: format!("{}{slash}{name}", self.key),
        }
    }

    /// This URI as a prefix: with a `/` at its end, unless it is the bucket itself.
    #[must_use]
    pub fn as_folder(&self) -> Self {
        self.join("")
    }

    /// Another key of the same bucket, as a listing gave it.
    #[must_use]
    pub fn with_key(&self, key: &str) -> Self {
        Self {
            bucket: self.bucket.clone(),
            key: key.to_owned(),
        }
    }

    /// What follows the last `/` of the key; the whole key if it has none.
    pub fn file_name(&self) -> &str {
        self.key.rsplit('/').next().unwrap_or_default()
    }
}

fn check_bucket(name: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    if !(3..=63).contains(&name.len()) {
        return Err(format!(
            "has {} characters, 3 to 63 are allowed",
            name.len()
        ));
    }
    if let Some(c) = name.chars().find(|c| !plain(*c) && !matches!(c, '.' | '-')) {
        return Err(format!(
            "has a `{}`, only a-z, 0-9, `.` and `-` are allowed",
            c.escape_debug()
        ));
    }
    if !name.starts_with(plain) || !name.ends_with(plain) {
        return Err("must begin and end with a letter or a digit".into());
    }
    if name.contains("..") {
        return Err("has two dots in a row".into());
    }
    if name.parse::<std::net::Ipv4Addr>().is_ok() {
        return Err("must not look like an IP address".into());
    }
    Ok(())
}

fn check_key(key: &str) -> Result<(), String> {
    if key.len() > KEY_MAX_BYTES {
        return Err(format!(
            "the key has {} bytes, at most {KEY_MAX_BYTES} are allowed",
            key.len()
        ));
    }
    if key.contains('\0') {
        return Err("the key has a NUL byte".into());
    }
    Ok(())
}

impl fmt::Display for S3Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.key)
    }
}

impl FromStr for S3Uri {
    type Err = S3UriError;

    fn from_str(text: &str) -> Result<Self, S3UriError> {
        Self::parse(text)
    }
}

impl Serialize for S3Uri {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for S3Uri {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn uri(text: &str) -> S3Uri {
        S3Uri::parse(text).unwrap()
    }

    #[test]
    fn good_ones() {
        for (text, bucket, key) in [
            ("s3://abc", "abc", ""),
            ("s3://abc/", "abc", ""),
            ("s3://abc/x//y/../z ", "abc", "x//y/../z "),
            ("s3://a.b-c/ключ", "a.b-c", "ключ"),
        ] {
            assert_eq!(
                (uri(text).bucket.as_str(), uri(text).key.as_str()),
                (bucket, key)
            );
        }
        assert!(S3Uri::parse(&format!("s3://abc/{}", "é".repeat(512))).is_ok());
    }

    #[test]
    fn bad_ones_say_why() {
        let long = format!("s3://abc/{}x", "é".repeat(512));
        let reasons: Vec<_> = [
            "https://abc/x",
            "s3://ab/x",
            "s3://Abc/x",
            "s3://-abc/x",
            "s3://a..b/x",
            "s3://10.0.0.1/x",
            "s3://abc/x\0y",
            &long,
        ]
        .iter()
        .map(|text| S3Uri::parse(text).unwrap_err().reason)
        .collect();
        insta::assert_snapshot!(reasons.join("\n"), @r"
        it must begin with s3://
        the bucket's name has 2 characters, 3 to 63 are allowed
        the bucket's name has a `A`, only a-z, 0-9, `.` and `-` are allowed
        the bucket's name must begin and end with a letter or a digit
        the bucket's name has two dots in a row
        the bucket's name must not look like an IP address
        the key has a NUL byte
        the key has 1025 bytes, at most 1024 are allowed
        ");
    }

    #[test]
    fn joining() {
        for (base, name, want) in [
            ("s3://abc", "x", "s3://abc/x"),
            ("s3://abc/x", "y", "s3://abc/x/y"),
            ("s3://abc/x/", "/y/", "s3://abc/x/y/"),
            ("s3://abc/x", "", "s3://abc/x/"),
        ] {
            assert_eq!(uri(base).join(name).to_string(), want);
        }
        assert_eq!(uri("s3://abc").as_folder().to_string(), "s3://abc/");
        assert_eq!(uri("s3://abc/x/y.csv").file_name(), "y.csv");
    }

    proptest! {
        #[test]
        fn shown_and_parsed_is_the_same(bucket in "[a-z0-9][a-z0-9-]{1,20}[a-z0-9]", key in "[^\\x00]{0,80}") {
            let one = S3Uri::new(&bucket, &key).unwrap();
            prop_assert_eq!(&S3Uri::parse(&one.to_string()).unwrap(), &one);
            let json = serde_json::to_string(&one).unwrap();
            prop_assert_eq!(serde_json::from_str::<S3Uri>(&json).unwrap(), one);
        }

        #[test]
        fn no_text_panics(text in any::<String>()) {
            let _ = S3Uri::parse(&text);
        }
    }
}
