//! What one text of a pipeline file must satisfy: the checks of the table's texts. An error is the
//! end of a sentence.

use crate::encodings::parse_encoding;
use crate::limits::{self, Limits};

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

pub(crate) fn s3(text: &str, limits: &Limits) -> Result<(), String> {
    limits::s3_uri(text, limits)
}

/// API ModelName.
pub(crate) fn model_name(text: &str, limits: &Limits) -> Result<(), String> {
    limits::service_name(text, limits.name_chars)
}

/// API ExperimentEntityName: `[a-zA-Z0-9](-*[a-zA-Z0-9]){0,119}`.
pub(crate) fn experiment_name(text: &str, limits: &Limits) -> Result<(), String> {
    limits::service_name(text, limits.experiment_name_chars)
}

/// At most so many characters, at least one.
fn length(text: &str, most: usize) -> Result<(), String> {
    let count = text.chars().count();
    if count > most {
        return Err(format!(
            "has {count} characters; the service takes at most {most}"
        ));
    }
    not_empty(text)
}

/// API KmsKeyId, `[a-zA-Z0-9:/_-]*`: a key's id or ARN, an alias or its ARN.
pub(crate) fn kms_key(text: &str, limits: &Limits) -> Result<(), String> {
    length(text, limits.kms_key_chars)?;
    let fine = |c: &char| c.is_ascii_alphanumeric() || ":/_-".contains(*c);
    match text.chars().find(|c| !fine(c)) {
        Some(bad) => Err(format!(
            "holds `{bad}`; a KMS key is an id, an ARN or `alias/NAME`, of letters, digits and \
             `: / _ -`"
        )),
        None => Ok(()),
    }
}

/// API TransformAmiVersion: `[a-zA-Z0-9]+(-[a-zA-Z0-9]+)*`.
pub(crate) fn ami_version(text: &str, limits: &Limits) -> Result<(), String> {
    length(text, limits.ami_version_chars)?;
    let word = |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric());
    if text.split('-').all(word) {
        return Ok(());
    }
    Err(
        "is not an image's name such as `al2-ami-sagemaker-batch-gpu-535`: letters and digits, \
         with one `-` between words"
            .into(),
    )
}

/// API SecurityGroupId and SubnetId: `[-0-9a-zA-Z]+`.
pub(crate) fn vpc_id(text: &str, limits: &Limits) -> Result<(), String> {
    length(text, limits.vpc_id_chars)?;
    let fine = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if text.chars().all(fine) {
        return Ok(());
    }
    Err("is not an id such as `subnet-0a1b`: letters, digits and `-`".into())
}

/// A local path, or an `s3://` URI that is well formed.
pub(crate) fn location(text: &str, limits: &Limits) -> Result<(), String> {
    if text.starts_with("s3://") {
        return s3(text, limits);
    }
    if let Some((scheme, _)) = text.split_once("://") {
        return Err(format!(
            "has the scheme `{scheme}`; expected a local path or `s3://…`"
        ));
    }
    not_empty(text)
}

pub(crate) fn not_stdin(text: &str, limits: &Limits) -> Result<(), String> {
    if text == "-" {
        Err("cannot be `-` here".into())
    } else {
        location(text, limits)
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
pub(crate) fn media_type(text: &str, limits: &Limits) -> Result<(), String> {
    length(text, limits.content_type_chars)?;
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

/// API RoleArn: `arn:aws[a-z\-]*:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+`. The `/` is asked for:
/// there is no role without.
pub(crate) fn role_arn(text: &str, limits: &Limits) -> Result<(), String> {
    length(text, limits.role_arn_chars)?;
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let arn = match parts.as_slice() {
        ["arn", partition, "iam", "", account, role] => {
            let partition = partition.strip_prefix("aws");
            partition.is_some_and(|p| p.chars().all(|c| c.is_ascii_lowercase() || c == '-'))
                && account.len() == 12
                && account.bytes().all(|b| b.is_ascii_digit())
                && role.strip_prefix("role/").is_some_and(role_path)
        }
        _ => false,
    };
    if arn {
        Ok(())
    } else {
        Err("is not a role's ARN, `arn:aws:iam::123456789012:role/NAME`".into())
    }
}

fn role_path(path: &str) -> bool {
    let fine = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-/".contains(c);
    !path.is_empty() && path.chars().all(fine)
}

/// API ContainerImage, `[\S]+`.
pub(crate) fn image(text: &str, limits: &Limits) -> Result<(), String> {
    length(text, limits.image_chars)?;
    if text.chars().any(char::is_whitespace) {
        return Err("is not an image's name: it holds a blank".into());
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

/// `2024-12-31`.
pub(crate) fn day(text: &str) -> Result<(), String> {
    match text.parse::<jiff::civil::Date>() {
        Ok(date) if date.to_string() == text => Ok(()),
        _ => Err("is not a day as YYYY-MM-DD".into()),
    }
}

/// ISO 4217.
pub(crate) fn currency(text: &str) -> Result<(), String> {
    if text.len() == 3 && text.chars().all(|c| c.is_ascii_uppercase()) {
        Ok(())
    } else {
        Err("is not a currency of three capital letters such as USD".into())
    }
}
