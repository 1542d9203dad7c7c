//! What one text of a pipeline file must satisfy: the checks of the table's texts. An error is the
//! end of a sentence.

use crate::encodings::parse_encoding;
use crate::limits;

pub(crate) fn anything(_: &str) -> Result<(), String> {
    Ok(())
}

pub(crate) fn not_empty(text: &str) -> Result<(), String> {
    if text.trim().is_empty() {
        Err("must not be empty".into())
    } else {
        Ok(())
    }
}

pub(crate) fn s3(text: &str) -> Result<(), String> {
    limits::s3_uri(text, &limits::Limits::default())
}

/// A local path, or an `s3://` URI that is well formed.
pub(crate) fn location(text: &str) -> Result<(), String> {
    if text.starts_with("s3://") {
        return s3(text);
    }
    if let Some((scheme, _)) = text.split_once("://") {
        return Err(format!(
            "has the scheme `{scheme}`; expected a local path or `s3://…`"
        ));
    }
    not_empty(text)
}

pub(crate) fn not_stdin(text: &str) -> Result<(), String> {
    if text == "-" {
        Err("cannot be `-` here".into())
    } else {
        location(text)
    }
}

pub(crate) fn encoding(text: &str) -> Result<(), String> {
    parse_encoding(text)
        .map(|_| ())
        .map_err(|expected| format!("is no known encoding; {expected}"))
}

pub(crate) fn local_path(text: &str) -> Result<(), String> {
    match text.split_once("://") {
        Some(_) => Err("must be a local path".into()),
        None => not_empty(text),
    }
}

pub(crate) fn http_url(text: &str) -> Result<(), String> {
    let host = text
        .strip_prefix("http://")
        .or_else(|| text.strip_prefix("https://"));
    match host {
        Some(host) if !host.is_empty() && !host.starts_with('/') => Ok(()),
        _ => Err("must be a URL like `http://127.0.0.1:9000`".into()),
    }
}

/// API ContentType and Accept: at most 256 characters; printable ASCII, since it is a header.
pub(crate) fn media_type(text: &str) -> Result<(), String> {
    let count = text.chars().count();
    let most = limits::Limits::default().content_type_chars;
    if count > most {
        return Err(format!(
            "has {count} characters; the service takes at most {most}"
        ));
    }
    if !text.contains('/') || !text.chars().all(|c| c.is_ascii_graphic() || c == ' ') {
        return Err("is not a media type such as `text/csv`".into());
    }
    Ok(())
}

/// One segment of a path: a file beside others.
pub(crate) fn file_name(text: &str) -> Result<(), String> {
    not_empty(text)?;
    if text.contains(['/', '\\']) || text == "." || text == ".." {
        return Err("must be a name without a path: it is looked for beside the inputs".into());
    }
    if text.contains(['*', '?', '[']) || text.chars().any(char::is_control) {
        return Err("must be the marker's exact name, without `*`, `?` or `[`".into());
    }
    Ok(())
}

/// API RoleArn: `arn:aws[a-z\-]*:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+`.
pub(crate) fn role_arn(text: &str) -> Result<(), String> {
    let mut parts = text.splitn(6, ':');
    let arn = parts.next() == Some("arn")
        && parts.next().is_some_and(|p| p.starts_with("aws"))
        && parts.next() == Some("iam")
        && parts.next() == Some("")
        && parts
            .next()
            .is_some_and(|a| a.len() == 12 && a.bytes().all(|b| b.is_ascii_digit()))
        && parts
            .next()
            .is_some_and(|r| r.strip_prefix("role/").is_some_and(|n| !n.is_empty()));
    if arn {
        Ok(())
    } else {
        Err("is not a role's ARN, `arn:aws:iam::123456789012:role/NAME`".into())
    }
}

/// API Image: no blanks, at most 255.
pub(crate) fn image(text: &str) -> Result<(), String> {
    if text.is_empty() || text.chars().any(char::is_whitespace) || text.chars().count() > 255 {
        return Err("is not an image name: at most 255 characters, none of them blank".into());
    }
    Ok(())
}

pub(crate) fn env_name(text: &str) -> Result<(), String> {
    let fine = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if text.is_empty() || text.starts_with(|c: char| c.is_ascii_digit()) || !text.chars().all(fine)
    {
        return Err("is not an environment variable's name: letters, digits and `_`".into());
    }
    if crate::credentials::is_secret_variable(text) {
        return Err("is a credential's name; a pipeline must not take credentials".into());
    }
    Ok(())
}
