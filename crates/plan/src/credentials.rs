//! Credentials in a pipeline file are an error, and no message repeats them.

use crate::problem::{Problem, Problems, code};
use crate::tree::place;

const HELP: &str = "remove it, and treat it as leaked; AWS credentials come from the environment, \
                    a profile or a role";

/// Keys whose value is a credential, in lower case, `-` taken as `_`.
const SECRET_KEYS: &[&str] = &[
    "aws_access_key_id",
    "aws_secret_access_key",
    "aws_session_token",
    "aws_security_token",
    "access_key_id",
    "secret_access_key",
    "session_token",
    "secret_key",
    "private_key",
    "password",
];

/// Parts of the query of a presigned URL.
const PRESIGNED: &[&str] = &[
    "x-amz-signature=",
    "x-amz-security-token=",
    "x-amz-credential=",
];

/// Texts that were found to be secret.
#[derive(Clone, Default)]
pub(crate) struct Secrets(Vec<String>);

impl Secrets {
    /// Replaces every secret in every message.
    pub(crate) fn redact(&self, mut problems: Problems) -> Problems {
        for problem in &mut problems.0 {
            problem.message = self.hide(&problem.message);
            problem.help = problem.help.as_deref().map(|help| self.hide(help));
        }
        problems
    }

    fn hide(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| {
            text.replace(secret.as_str(), "…")
        })
    }
}

/// Whether a key of the file, or the name of an environment variable, is that of a credential.
pub(crate) fn is_secret_key(key: &str) -> bool {
    let key = key.to_ascii_lowercase().replace('-', "_");
    SECRET_KEYS.contains(&key.as_str())
}

/// Parts of the names of environment variables that hold credentials, in lower case.
const SECRET_PARTS: &[&str] = &[
    "password",
    "passwd",
    "secret",
    "credential",
    "private_key",
    "access_key",
    "api_key",
];

/// Whether an environment variable is one that a pipeline must not take: a credential, by its
/// name. Wider than [`is_secret_key`], since only the name can be judged.
pub(crate) fn is_secret_variable(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    is_secret_key(name)
        || SECRET_PARTS.iter().any(|part| lower.contains(part))
        || lower.split('_').any(|word| word == "token")
}

/// Looks through the whole text, comments included. One problem a line at most.
pub(crate) fn scan(text: &str, file: &str) -> (Vec<Problem>, Secrets) {
    let mut problems = Vec::new();
    let mut secrets = Secrets::default();
    for (number, line) in text.lines().enumerate() {
        let Some((column, what, _)) = find_in_line(line) else {
            continue;
        };
        secrets.0.extend(all_in_line(line));
        let line = u32::try_from(number + 1).unwrap_or(u32::MAX);
        problems.push(problem(file, (line, column), what));
    }
    // The longest first: what is left of one after a shorter one went would still tell.
    secrets
        .0
        .sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    (problems, secrets)
}

/// Everything of a line that no message may repeat: a URL may hold a key and a password.
fn all_in_line(line: &str) -> Vec<String> {
    let by_form = [access_key(line), presigned(line), userinfo(line)];
    let texts = by_form.into_iter().flatten().map(|(_, _, secret)| secret);
    let values = secret_value(line).map(|(_, secret)| secret);
    let parts = |secret: String| {
        let own: Vec<String> = secret.split(':').map(str::to_owned).collect();
        own.into_iter().chain([secret])
    };
    texts
        .chain(values)
        .flat_map(parts)
        .filter(|secret| secret.len() >= 4)
        .collect()
}

/// The problem for a credential at a place.
pub(crate) fn problem(file: &str, at: (u32, u32), what: &str) -> Problem {
    let message = format!("this looks like {what}; a pipeline file must not hold credentials");
    Problem::new(place(file, at), code::CREDENTIALS_IN_FILE, message).help(HELP)
}

/// The problem if a key and its value are a credential, however the file writes them: the value may stand
/// on a line of its own, and either may be written with escapes.
pub(crate) fn in_value(key: &str, value: &str, file: &str, at: (u32, u32)) -> Option<Problem> {
    let line = serde_json::json!({ key: value }).to_string();
    find_in_line(&line).map(|(_, what, _)| problem(file, at, what))
}

/// Column (from 1), kind and text of the first credential of a line.
fn find_in_line(line: &str) -> Option<(u32, &'static str, String)> {
    let column = |byte: usize| u32::try_from(line[..byte].chars().count() + 1).unwrap_or(u32::MAX);
    if let Some((byte, what, secret)) = find(line) {
        return Some((column(byte), what, secret));
    }
    secret_value(line).map(|(byte, secret)| (column(byte), "the value of a credential", secret))
}

/// Byte offset, kind and text of the first credential that a text holds by its form alone.
pub(crate) fn find(text: &str) -> Option<(usize, &'static str, String)> {
    access_key(text)
        .or_else(|| presigned(text))
        .or_else(|| userinfo(text))
        .or_else(|| {
            let byte = text.find("-----BEGIN ")?;
            text[byte..]
                .contains("PRIVATE KEY")
                .then(|| (byte, "a private key", String::new()))
        })
}

/// `AKIA` (long-lived) or `ASIA` (temporary) and 16 more capitals or digits.
fn access_key(text: &str) -> Option<(usize, &'static str, String)> {
    let bytes = text.as_bytes();
    let word = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit();
    let starts = (0..bytes.len()).filter(|&i| i == 0 || !word(bytes[i - 1]));
    for start in starts {
        let Some(key) = bytes.get(start..start + 20) else {
            break;
        };
        let ends = bytes.get(start + 20).is_none_or(|b| !word(*b));
        if (key.starts_with(b"AKIA") || key.starts_with(b"ASIA"))
            && key.iter().all(|b| word(*b))
            && ends
        {
            return Some((
                start,
                "an AWS access key",
                text[start..start + 20].to_owned(),
            ));
        }
    }
    None
}

fn presigned(text: &str) -> Option<(usize, &'static str, String)> {
    let lower = text.to_ascii_lowercase();
    let byte = PRESIGNED.iter().filter_map(|part| lower.find(part)).min()?;
    let rest = &text[byte..];
    let end = rest
        .find(|c: char| c.is_whitespace() || c == '"' || c == '\'')
        .unwrap_or(rest.len());
    Some((byte, "a presigned URL", rest[..end].to_owned()))
}

/// `scheme://user:password@host`.
fn userinfo(text: &str) -> Option<(usize, &'static str, String)> {
    for (byte, _) in text.match_indices("://") {
        let rest = &text[byte + 3..];
        let end = rest
            .find(|c: char| c.is_whitespace() || "/?#\"'".contains(c))
            .unwrap_or(rest.len());
        let Some((user, _)) = rest[..end].rsplit_once('@') else {
            continue;
        };
        let templated = user.contains("{{");
        if user.contains(':') && !templated {
            return Some((byte + 3, "a URL with a password", user.to_owned()));
        }
    }
    None
}

/// `aws_secret_access_key: …` and the like, in YAML, JSON or an ini file's style.
fn secret_value(line: &str) -> Option<(usize, String)> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    for (start, _) in line.match_indices(|c: char| c.is_ascii_alphabetic()) {
        // Only where a word begins is its end looked for: else a long word takes the square of its time.
        if line[..start].ends_with(is_word) {
            continue;
        }
        let rest = &line[start..];
        let end = rest.find(|c: char| !is_word(c)).unwrap_or(rest.len());
        if !is_secret_key(&rest[..end]) {
            continue;
        }
        let after = rest[end..].trim_start_matches(['"', '\'']).trim_start();
        let Some(value) = after.strip_prefix([':', '=']) else {
            continue;
        };
        let value = value.trim().trim_matches(['"', '\'']);
        let stop = value
            .find(['"', '\'', ',', '}', ' '])
            .unwrap_or(value.len());
        if !value[..stop].is_empty() {
            return Some((start, value[..stop].to_owned()));
        }
    }
    None
}
