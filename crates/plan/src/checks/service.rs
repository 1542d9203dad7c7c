//! Quotas of the service that are about one section: environments, tags, the created model.

use serde_json::Value;

use super::View;
use crate::credentials::is_secret_key;
use crate::problem::code;

/// Entries of a model's `Environment` (API ContainerDefinition).
const MODEL_ENVIRONMENT_ENTRIES: usize = 100;
/// Characters of one of its keys or values (the same).
const MODEL_ENVIRONMENT_CHARS: usize = 1024;
/// Items of `SecurityGroupIds` and `Subnets` (API VpcConfig).
const VPC: [(&str, usize); 2] = [("security_group_ids", 5), ("subnets", 16)];

pub(super) fn check(view: &mut View<'_>) {
    let limits = view.limits;
    let job = Environment {
        entries: limits.environment_entries,
        key_chars: limits.environment_key_chars,
        value_chars: limits.environment_value_chars,
    };
    environment(view, "transform.environment", &job);
    let model = Environment {
        entries: MODEL_ENVIRONMENT_ENTRIES,
        key_chars: MODEL_ENVIRONMENT_CHARS,
        value_chars: MODEL_ENVIRONMENT_CHARS,
    };
    environment(view, "transform.model.environment", &model);
    tags(view);
    model_data(view);
    vpc(view);
}

struct Environment {
    entries: usize,
    key_chars: usize,
    value_chars: usize,
}

fn environment(view: &mut View<'_>, path: &str, most: &Environment) {
    let Some(map) = view.map(path) else { return };
    if map.len() > most.entries {
        let message = format!(
            "`{path}` has {} entries; the service takes at most {}",
            map.len(),
            most.entries
        );
        view.problem(path, code::BAD_VALUE, message, "");
    }
    for (key, value) in map {
        let at = format!("{path}.{key}");
        let first = |c: char| c.is_ascii_alphabetic() || c == '_';
        let rest = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if !key.starts_with(first) || !key.chars().all(rest) || key.len() > most.key_chars {
            let message = format!(
                "`{path}`: `{key}` is not a name that the service takes: letters, digits and \
                 `_`, at most {}",
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
                "`{at}` has {chars} characters; the service takes at most {}",
                most.value_chars
            );
            view.problem(&at, code::BAD_VALUE, message, "");
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
        view.problem(path, code::BAD_VALUE, message, "");
    }
    for (key, value) in map {
        let value = value.as_str().unwrap_or_default();
        if let Some(why) = wrong_tag(view, key, value) {
            let message = format!("`{path}`: the tag `{key}` {why}");
            view.problem(&format!("{path}.{key}"), code::BAD_VALUE, message, "");
        }
    }
}

fn wrong_tag(view: &View<'_>, key: &str, value: &str) -> Option<String> {
    // API TagKey and TagValue: [\p{L}\p{Z}\p{N}_.:/=+\-@]*; \p{Z} taken as the blank alone.
    let fine = |c: char| c.is_alphanumeric() || " _.:/=+-@".contains(c);
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
    let bad = key.chars().chain(value.chars()).find(|c| !fine(*c))?;
    Some(format!(
        "holds `{bad}`; letters, digits, blanks and `_ . : / = + - @` are allowed"
    ))
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
    for (key, most) in VPC {
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
