//! What a service or a library says, made fit to be shown: no secret, no control character, one
//! bounded line.

/// The longest message of a service that is kept, in characters.
///
/// SageMaker bounds its own `FailureReason` and error messages at 1,024 characters; a hostile or
/// broken endpoint does not.
pub const MESSAGE_MAX_CHARS: usize = 1024;

/// What stands where a secret stood.
pub const REDACTED: &str = "[redacted]";

/// Names whose value is hidden wherever they are followed by `=`, `:` or `%3D` (lower case).
///
/// They are the query parameters of a presigned URL, the parts of an `Authorization` header
/// (`AWS4-HMAC-SHA256 Credential=…, Signature=…`), and the members of the documents in which
/// credential providers hand out keys.
const SECRET_NAMES: [&str; 14] = [
    "x-amz-signature",
    "x-amz-credential",
    "x-amz-security-token",
    "credential",
    "signature",
    "awsaccesskeyid",
    "accesskeyid",
    "access_key_id",
    "secretaccesskey",
    "secret_access_key",
    "sessiontoken",
    "session_token",
    "authorization",
    "password",
];

/// Prefixes of AWS access key ids: a user's, a role's (IAM user guide, "unique identifiers").
const KEY_ID_PREFIXES: [&str; 2] = ["AKIA", "ASIA"];

/// Letters and digits after the prefix: 16 in a real id, and from 12 on it is no word.
const KEY_ID_MIN_TAIL: usize = 12;

/// Makes text of others fit for an error or a log line.
///
/// Secrets are replaced by [`REDACTED`], control and bidirectional characters are escaped as
/// `\u{…}`, and the result is cut at [`MESSAGE_MAX_CHARS`] characters.
pub fn clean(text: &str) -> String {
    // Cut first, generously, so that a body of a gigabyte costs nothing; cutting a secret in two
    // leaves its name before it, which is what the scrubber looks for.
    let head: String = text.chars().take(MESSAGE_MAX_CHARS * 4).collect();
    let scrubbed = scrub_key_ids(&scrub_named(&head));
    let mut out = String::with_capacity(scrubbed.len());
    for (count, c) in scrubbed.chars().enumerate() {
        if count == MESSAGE_MAX_CHARS {
            out.push('…');
            break;
        }
        push_visible(&mut out, c);
    }
    out
}

/// Control and bidirectional characters could rewrite a terminal's line (or a reader's idea of
/// it), so they are shown by number.
fn push_visible(out: &mut String, c: char) {
    let bidi =
        matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if c.is_control() || bidi {
        out.extend(c.escape_unicode());
    } else {
        out.push(c);
    }
}

/// Hides the value after every name of [`SECRET_NAMES`].
fn scrub_named(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        match secret_value_at(&lower, at) {
            Some((start, end)) => {
                out.push_str(&text[at..start]);
                out.push_str(REDACTED);
                at = end;
            }
            None => {
                let step = text[at..].chars().next().map_or(1, char::len_utf8);
                out.push_str(&text[at..at + step]);
                at += step;
            }
        }
    }
    out
}

/// If a secret's name starts at byte `at`, the byte range of its value.
fn secret_value_at(lower: &str, at: usize) -> Option<(usize, usize)> {
    let rest = lower.get(at..)?;
    let name = SECRET_NAMES.iter().find(|name| rest.starts_with(**name))?;
    let after_name = at + name.len();
    let start = after_name + separator(lower.get(after_name..)?)?;
    let value = lower.get(start..)?;
    // A header's value is a scheme and a list: all of it goes.
    let whole_line = *name == "authorization";
    let end = value
        .find(|c: char| {
            if whole_line {
                matches!(c, '\n' | '\r' | '"' | '<')
            } else {
                ends_value(c)
            }
        })
        .unwrap_or(value.len());
    (end > 0).then_some((start, start + end))
}

/// The length of what stands between a name and its value, or nothing if it is no such pair.
fn separator(text: &str) -> Option<usize> {
    let is_quote = |c: char| matches!(c, '"' | '\'' | ' ' | '>' | '\\');
    let mut len = text.find(|c: char| !is_quote(c)).unwrap_or(text.len());
    // `<AWSAccessKeyId>X</…>`: the closing bracket is the separator.
    let bracket = text[..len].contains('>');
    let rest = &text[len..];
    if rest.starts_with("%3d") {
        len += 3;
    } else if rest.starts_with(['=', ':']) {
        len += 1;
    } else if !bracket {
        return None;
    }
    let rest = &text[len..];
    Some(len + rest.find(|c: char| !is_quote(c)).unwrap_or(rest.len()))
}

fn ends_value(c: char) -> bool {
    c.is_whitespace()
        || matches!(
            c,
            '&' | '"' | '\'' | ',' | ';' | '<' | '>' | ')' | '}' | ']'
        )
}

/// Hides bare access key ids, wherever they stand.
fn scrub_key_ids(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = KEY_ID_PREFIXES.iter().filter_map(|p| rest.find(p)).min() {
        let tail = &rest[start + 4..];
        let len = tail
            .find(|c: char| !c.is_ascii_alphanumeric())
            .unwrap_or(tail.len());
        out.push_str(&rest[..start]);
        if len >= KEY_ID_MIN_TAIL {
            out.push_str(REDACTED);
        } else {
            out.push_str(&rest[start..start + 4 + len]);
        }
        rest = &tail[len..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn presigned_urls_lose_their_secrets_and_keep_their_place() {
        let url = "https://b.s3.amazonaws.com/k?X-Amz-Algorithm=AWS4&X-Amz-Credential=AKIDEXAMPLE%2F2026&X-Amz-Date=1&X-Amz-Security-Token=IQoJ%2Fcanary%3D&X-Amz-Signature=deadbeef";
        insta::assert_snapshot!(clean(url), @"https://b.s3.amazonaws.com/k?X-Amz-Algorithm=AWS4&X-Amz-Credential=[redacted]&X-Amz-Date=1&X-Amz-Security-Token=[redacted]&X-Amz-Signature=[redacted]");
    }

    #[test]
    fn headers_documents_and_bare_key_ids_are_hidden() {
        for (text, want) in [
            (
                "Authorization: AWS4-HMAC-SHA256 Credential=canary/2026, Signature=canary\nnext",
                "Authorization: [redacted]\\u{a}next",
            ),
            (
                r#"{"SecretAccessKey" : "canary","x":1}"#,
                r#"{"SecretAccessKey" : "[redacted]","x":1}"#,
            ),
            (
                r#"{\"SessionToken\":\"canary\"}"#,
                r#"{\"SessionToken\":\"[redacted]"}"#,
            ),
            (
                "<AWSAccessKeyId>canary</AWSAccessKeyId>",
                "<AWSAccessKeyId>[redacted]</AWSAccessKeyId>",
            ),
            (
                "key AKIAIOSFODNN7EXAMPLE is unknown",
                "key [redacted] is unknown",
            ),
            (
                "aws_secret_access_key = canary",
                "aws_secret_access_key = [redacted]",
            ),
            (
                "The request signature we calculated does not match",
                "The request signature we calculated does not match",
            ),
            ("AKIA is a prefix", "AKIA is a prefix"),
        ] {
            assert_eq!(clean(text), want);
        }
    }

    #[test]
    fn a_terminal_cannot_be_written_to() {
        assert_eq!(
            clean("a\u{1b}[2Jb\r\u{202e}c"),
            "a\\u{1b}[2Jb\\u{d}\\u{202e}c"
        );
    }

    #[test]
    fn long_messages_are_cut() {
        let long = "é".repeat(5000);
        assert_eq!(clean(&long).chars().count(), MESSAGE_MAX_CHARS + 1);
    }

    proptest! {
        #[test]
        fn any_text_is_cleaned_without_panic_and_twice_is_once_for_secrets(
            before in "\\PC{0,40}",
            secret in "[A-Za-z0-9/+]{20,60}",
            after in "\\PC{0,40}",
            name in prop::sample::select(SECRET_NAMES.to_vec()),
        ) {
            prop_assume!(!before.contains(&secret) && !after.contains(&secret));
            let text = format!("{before} {name}={secret} {after}");
            prop_assert!(!clean(&text).contains(&secret), "{}", clean(&text));
        }

        #[test]
        fn any_bytes_at_all(text in any::<String>()) {
            let cleaned = clean(&text);
            prop_assert!(!cleaned.chars().any(char::is_control));
        }
    }
}
