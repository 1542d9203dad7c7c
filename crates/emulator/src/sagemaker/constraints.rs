//! The checks that the service makes on every field, and its sentences about those that fail.
//!
//! Field limits are those of the API model (botocore 1.43.11, `sagemaker/2017-07-24`). botocore
//! checks none of them but minima, so a client finds them out here or after the call.

use crate::error::ServiceError;

/// Collects what is wrong with a request; the service answers all of it in one message.
#[derive(Default)]
pub(crate) struct Constraints {
    failures: Vec<String>,
}

/// Characters of a value that are shown in a message.
const MAX_QUOTED: usize = 1024;

/// A name pattern of the API model.
#[derive(Clone, Copy)]
pub(crate) struct Pattern {
    /// The expression as the service prints it.
    pub(crate) expression: &'static str,
    /// Decides as the expression does.
    pub(crate) matches: fn(&str) -> bool,
}

/// `TransformJobName`.
pub(crate) const JOB_NAME: Pattern = Pattern {
    expression: "^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}",
    matches: is_name,
};

/// `ModelName`.
pub(crate) const MODEL_NAME: Pattern = Pattern {
    expression: "^[a-zA-Z0-9]([\\-a-zA-Z0-9]*[a-zA-Z0-9])?",
    matches: is_name,
};

/// `NameContains`.
pub(crate) const NAME_CONTAINS: Pattern = Pattern {
    expression: "[a-zA-Z0-9\\-]+",
    matches: |s| !s.is_empty() && s.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'),
};

/// `S3Uri`.
pub(crate) const S3_URI: Pattern = Pattern {
    expression: "^(https|s3)://([^/]+)/?(.*)$",
    matches: |s| {
        let rest = s
            .strip_prefix("s3://")
            .or_else(|| s.strip_prefix("https://"));
        rest.is_some_and(|r| !r.is_empty() && !r.starts_with('/'))
    },
};

/// A key of `TransformEnvironmentMap`.
pub(crate) const ENVIRONMENT_KEY: Pattern = Pattern {
    expression: "[a-zA-Z_][a-zA-Z0-9_]{0,1023}",
    matches: |s| {
        s.bytes()
            .next()
            .is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
            && s.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    },
};

/// `TransformInstanceType` is an enumeration that grows with every release, so its form is checked.
pub(crate) const INSTANCE_TYPE: Pattern = Pattern {
    expression: "^ml\\.[a-z0-9-]+\\.[a-z0-9]+$",
    matches: |s| {
        let parts: Vec<&str> = s.split('.').collect();
        matches!(parts.as_slice(), ["ml", family, size] if !family.is_empty() && !size.is_empty())
            && s.bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'.' || b == b'-')
    },
};

/// `TransformAmiVersion`.
pub(crate) const AMI_VERSION: Pattern = Pattern {
    expression: "^[a-zA-Z0-9]+(-[a-zA-Z0-9]+)*$",
    matches: |s| {
        let word = |w: &str| !w.is_empty() && w.bytes().all(|b| b.is_ascii_alphanumeric());
        s.split('-').all(word)
    },
};

/// `ExperimentEntityName`.
pub(crate) const EXPERIMENT_NAME: Pattern = Pattern {
    expression: "^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,119}",
    matches: is_name,
};

/// `TagKey`, of which only that it is not empty is checked: its letters are those of all scripts.
pub(crate) const TAG_KEY: Pattern = Pattern {
    expression: "^([\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]*)$",
    matches: |s| !s.is_empty(),
};

/// A key of a model's environment.
pub(crate) const MODEL_ENVIRONMENT_KEY: Pattern = Pattern {
    expression: "[a-zA-Z_][a-zA-Z0-9_]*",
    matches: ENVIRONMENT_KEY.matches,
};

/// `ContainerImage`.
pub(crate) const IMAGE: Pattern = Pattern {
    expression: "[\\S]+",
    matches: |s| !s.is_empty() && !s.contains(char::is_whitespace),
};

/// `RoleArn`.
pub(crate) const ROLE_ARN: Pattern = Pattern {
    expression: "^arn:aws[a-z\\-]*:iam::\\d{12}:role/?[a-zA-Z_0-9+=,.@\\-_/]+$",
    matches: is_role_arn,
};

fn is_role_arn(s: &str) -> bool {
    let parts: Vec<&str> = s.splitn(6, ':').collect();
    let ["arn", partition, "iam", "", account, resource] = parts.as_slice() else {
        return false;
    };
    let partition = partition.strip_prefix("aws");
    let name = resource.strip_prefix("role");
    partition.is_some_and(|p| p.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'))
        && account.len() == 12
        && account.bytes().all(|b| b.is_ascii_digit())
        && name.is_some_and(|n| {
            let text = n.strip_prefix('/').unwrap_or(n);
            let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_+=,.@-/".contains(&b);
            !text.is_empty() && text.bytes().all(allowed)
        })
}

fn is_name(s: &str) -> bool {
    let edge = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_alphanumeric());
    edge(s.bytes().next())
        && edge(s.bytes().next_back())
        && s.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

impl Constraints {
    fn fail(&mut self, value: &str, field: &str, constraint: &str) {
        self.failures.push(format!(
            "Value {value} at '{field}' failed to satisfy constraint: {constraint}"
        ));
    }

    /// The value, or a failure where it is absent.
    pub(crate) fn required<'a, T: ?Sized>(
        &mut self,
        field: &str,
        value: Option<&'a T>,
    ) -> Option<&'a T> {
        if value.is_none() {
            self.fail("null", field, "Member must not be null");
        }
        value
    }

    /// At most `max` characters.
    pub(crate) fn length(&mut self, field: &str, value: Option<&str>, max: usize) {
        if let Some(value) = value.filter(|v| v.chars().count() > max) {
            self.fail(
                &quoted(value),
                field,
                &format!("Member must have length less than or equal to {max}"),
            );
        }
    }

    /// At most `max` characters, of this form.
    pub(crate) fn pattern(
        &mut self,
        field: &str,
        value: Option<&str>,
        max: usize,
        pattern: Pattern,
    ) {
        self.length(field, value, max);
        if let Some(value) = value.filter(|v| !(pattern.matches)(v)) {
            let constraint = format!(
                "Member must satisfy regular expression pattern: {}",
                pattern.expression
            );
            self.fail(&quoted(value), field, &constraint);
        }
    }

    /// One of `values`.
    pub(crate) fn one_of(&mut self, field: &str, value: Option<&str>, values: &[&str]) {
        if let Some(value) = value.filter(|v| !values.contains(v)) {
            let constraint = format!(
                "Member must satisfy enum value set: [{}]",
                values.join(", ")
            );
            self.fail(&quoted(value), field, &constraint);
        }
    }

    /// Between `min` and `max`, both included.
    pub(crate) fn range(&mut self, field: &str, value: Option<i64>, min: i64, max: i64) {
        let Some(value) = value else { return };
        if value < min {
            let constraint = format!("Member must have value greater than or equal to {min}");
            self.fail(&quoted(&value.to_string()), field, &constraint);
        }
        if value > max {
            let constraint = format!("Member must have value less than or equal to {max}");
            self.fail(&quoted(&value.to_string()), field, &constraint);
        }
    }

    /// At most `max` entries.
    pub(crate) fn entries(&mut self, field: &str, count: usize, max: usize) {
        if count > max {
            let constraint = format!("Member must have length less than or equal to {max}");
            self.fail(&quoted(&format!("{count} entries")), field, &constraint);
        }
    }

    /// The refusal, if anything failed.
    pub(crate) fn finish(self) -> Result<(), ServiceError> {
        let count = self.failures.len();
        if count == 0 {
            return Ok(());
        }
        let errors = if count == 1 { "error" } else { "errors" };
        Err(invalid(format!(
            "{count} validation {errors} detected: {}",
            self.failures.join("; ")
        )))
    }
}

/// A `ValidationException`.
pub(crate) fn invalid(message: impl Into<String>) -> ServiceError {
    ServiceError::new("ValidationException", message)
}

/// A value in a message; one that is longer than any field may be is cut.
fn quoted(value: &str) -> String {
    match value.char_indices().nth(MAX_QUOTED) {
        Some((end, _)) => format!("'{}…'", &value[..end]),
        None => format!("'{value}'"),
    }
}
