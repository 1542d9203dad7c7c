//! Quotas of the service that are about one section: environments, tags, the created model.

use std::ops::RangeInclusive;

use serde_json::Value;

use super::View;
use crate::credentials::is_secret_key;
use crate::instance_types::has_local_disks;
use crate::problem::code;
use crate::tree::shorten;

pub(super) fn check(view: &mut View<'_>) {
    let limits = view.limits;
    let job = Environment {
        entries: limits.environment_entries,
        key_chars: limits.environment_key_chars,
        value_chars: limits.environment_value_chars,
        bytes: usize::MAX,
    };
    environment(view, "transform.environment", &job);
    let model = Environment {
        entries: limits.model_environment_entries,
        key_chars: limits.model_environment_chars,
        value_chars: limits.model_environment_chars,
        bytes: limits.model_environment_bytes,
    };
    environment(view, "transform.model.environment", &model);
    tags(view);
    model_data(view);
    vpc(view);
    volume_key(view);
}

struct Environment {
    entries: usize,
    key_chars: usize,
    value_chars: usize,
    /// Of all keys and values.
    bytes: usize,
}

fn environment(view: &mut View<'_>, path: &str, most: &Environment) {
    let Some(map) = view.map(path) else { return };
    if map.len() > most.entries {
        let message = format!(
            "`{path}` has {} entries; the service takes at most {}",
            map.len(),
            most.entries
        );
        let help = "put settings together, or into a file of the model's data";
        view.problem(path, code::BAD_VALUE, message, help);
    }
    let texts = map.values().filter_map(Value::as_str);
    let bytes = map.keys().map(String::len).sum::<usize>() + texts.map(str::len).sum::<usize>();
    if bytes > most.bytes {
        let message = format!(
            "`{path}` has {bytes} bytes in all; the service takes at most {}",
            most.bytes
        );
        view.problem(
            path,
            code::BAD_VALUE,
            message,
            "put large values into files of the model's data",
        );
    }
    for (key, value) in map {
        let at = format!("{path}.{key}");
        let first = |c: char| c.is_ascii_alphabetic() || c == '_';
        let rest = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if !key.starts_with(first) || !key.chars().all(rest) || key.len() > most.key_chars {
            let message = format!(
                "`{path}`: `{}` is not a name that the service takes: letters, digits and \
                 `_`, at most {}",
                shorten(key),
                most.key_chars
            );
            view.problem(&at, code::BAD_VALUE, message, "");
        }
        if is_secret_key(key) {
            let message = format!("`{path}`: `{key}` is a credential's name");
            let help = "the container gets its credentials from the model's execution role";
            view.problem(&at, code::CREDENTIALS_IN_FILE, message, help);
        }
        let chars = value.as_str().map_or(0, |text| text.chars().count());
        if chars > most.value_chars {
            let message = format!(
                "`{path}`: `{}` has {chars} characters; the service takes at most {}",
                shorten(key),
                most.value_chars
            );
            let help = "put a large value into a file of the model's data";
            view.problem(&at, code::BAD_VALUE, message, help);
        }
    }
}

fn tags(view: &mut View<'_>) {
    let path = "transform.tags";
    let Some(map) = view.map(path) else { return };
    let most = view.limits.own_tags();
    if map.len() > most {
        let message = format!(
            "`{path}` has {} tags; the service takes {}, of which two are the tool's own",
            map.len(),
            view.limits.tags
        );
        let help = format!("keep {most} of them");
        view.problem(path, code::BAD_VALUE, message, &help);
    }
    for (key, value) in map {
        let value = value.as_str().unwrap_or_default();
        if let Some(why) = wrong_tag(view, key, value) {
            let message = format!("`{path}`: the tag `{}` {why}", shorten(key));
            view.problem(&format!("{path}.{key}"), code::BAD_VALUE, message, "");
        }
    }
}

fn wrong_tag(view: &View<'_>, key: &str, value: &str) -> Option<String> {
    let (key_chars, value_chars) = (view.limits.tag_key_chars, view.limits.tag_value_chars);
    if key.is_empty() || key.chars().count() > key_chars {
        return Some(format!("must have 1 to {key_chars} characters"));
    }
    if value.chars().count() > value_chars {
        return Some(format!("has a value of more than {value_chars} characters"));
    }
    if key.to_ascii_lowercase().starts_with("aws:") {
        return Some("begins with `aws:`, which is reserved by AWS".into());
    }
    if key.starts_with("gristmill:") {
        return Some("begins with `gristmill:`, which is kept for the tool's own".into());
    }
    let bad = key.chars().chain(value.chars()).find(|c| !is_of_tags(*c))?;
    Some(format!(
        "holds `{}`; letters, digits, blanks and `_ . : / = + - @` are allowed",
        bad.escape_debug()
    ))
}

/// API TagKey and TagValue: `[\p{L}\p{Z}\p{N}_.:/=+\-@]*`. Marks that combine with letters are none.
fn is_of_tags(c: char) -> bool {
    let separator = c.is_whitespace() && !c.is_control();
    "_.:/=+-@".contains(c) || separator || c.is_numeric() || is_letter(c)
}

/// Letters that begin no identifier (UAX #31): another form of them would not, and U+2E2F is kept for
/// syntax.
const OTHER_LETTERS: &[RangeInclusive<char>] = &[
    '\u{37a}'..='\u{37a}',
    '\u{e33}'..='\u{e33}',
    '\u{eb3}'..='\u{eb3}',
    '\u{2e2f}'..='\u{2e2f}',
    '\u{fc5e}'..='\u{fc63}',
    '\u{fdfa}'..='\u{fdfb}',
    '\u{fe70}'..='\u{fe74}',
    '\u{fe76}'..='\u{fe7e}',
    '\u{ff9e}'..='\u{ff9f}',
];

/// Marks and symbols that begin an identifier, since they once were letters.
const NO_LETTERS: &[char] = &['\u{1885}', '\u{1886}', '\u{2118}', '\u{212e}'];

/// `\p{L}`.
fn is_letter(c: char) -> bool {
    let begins = unicode_ident::is_xid_start(c) && !NO_LETTERS.contains(&c);
    begins || OTHER_LETTERS.iter().any(|range| range.contains(&c))
}

fn model_data(view: &mut View<'_>) {
    let path = "transform.model.model_data";
    if let Some(uri) = view.text(path)
        && !uri.ends_with(".tar.gz")
    {
        let message = format!("`model_data`: `{uri}` must be a `.tar.gz`");
        let help = "transform jobs take no uncompressed model data";
        view.problem(path, code::BAD_VALUE, message, help);
    }
}

fn vpc(view: &mut View<'_>) {
    let limits = view.limits;
    let lists = [
        ("security_group_ids", limits.security_groups),
        ("subnets", limits.subnets),
    ];
    for (key, most) in lists {
        let path = format!("transform.model.vpc_config.{key}");
        let count = view
            .get(&path)
            .and_then(Value::as_array)
            .map_or(0, Vec::len);
        if count > most {
            let message = format!("`{key}` has {count} items; the service takes at most {most}");
            view.problem(&path, code::BAD_VALUE, message, "");
        }
    }
}

/// "You can't request a VolumeKmsKeyId when using an instance type with local storage" (API
/// TransformResources).
fn volume_key(view: &mut View<'_>) {
    let path = "transform.volume_kms_key_id";
    let Some(machine) = view
        .text("transform.instance_type")
        .filter(|m| has_local_disks(m))
    else {
        return;
    };
    if view.has(path) {
        let message =
            format!("`volume_kms_key_id` is not taken for {machine}, which has disks of its own");
        let help = "leave it out: their hardware encrypts them";
        view.problem(path, code::CONFLICT, message, help);
    }
}
