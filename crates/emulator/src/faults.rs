//! Faults on purpose: `<dir>/faults.json`, read again whenever it changes.
//!
//! ```json
//! [ { "target": "SageMaker.CreateTransformJob", "times": 1,
//!     "status": 400, "code": "ThrottlingException", "message": "Rate exceeded" },
//!   { "method": "PUT", "path": "/bucket/shards/", "skip": 2, "times": 1, "lost": true } ]
//! ```
//!
//! The first rule that fits and has not been used up answers. A rule with `status` answers instead
//! of the service; one with `lost` lets the service do its work and then closes the connection
//! without an answer; one with neither closes it before anything is done.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use http::{HeaderMap, Method};
use serde::Deserialize;

/// The rules of one emulator.
#[derive(Debug, Clone)]
pub(crate) struct Faults {
    path: Arc<PathBuf>,
    loaded: Arc<Mutex<Loaded>>,
}

#[derive(Debug, Default)]
struct Loaded {
    /// Time and length of the file that the rules are from.
    version: Option<(SystemTime, u64)>,
    rules: Vec<(Rule, u64)>,
}

/// One line of the file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    /// HTTP method; absent: any.
    method: Option<String>,
    /// The path starts with it, as sent; absent: any.
    path: Option<String>,
    /// `X-Amz-Target`; absent: any, also none.
    target: Option<String>,
    /// So many requests that fit are let through first.
    #[serde(default)]
    skip: u64,
    /// So many are then answered by the rule; absent: all.
    times: Option<u64>,
    status: Option<u16>,
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    lost: bool,
}

/// What happens to a request instead of, or after, its work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// This answer.
    Answer {
        /// HTTP status.
        status: u16,
        /// Error code.
        code: String,
        /// Message.
        message: String,
    },
    /// The work is done, the answer lost.
    Lost,
    /// The connection is closed before anything is done.
    Reset,
}

impl Faults {
    /// The rules that stand in `<dir>/faults.json` at the time of each request.
    pub(crate) fn new(dir: &Path) -> Self {
        Self {
            path: Arc::new(dir.join("faults.json")),
            loaded: Arc::default(),
        }
    }

    /// The fault for a request. A file that is no list of rules is an answer of its own, so that a
    /// mistake in it does not pass for a test that found nothing.
    pub(crate) fn for_request(
        &self,
        method: &Method,
        path: &str,
        headers: &HeaderMap,
    ) -> Option<Fault> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(message) = loaded.refresh(&self.path) {
            return Some(Fault::Answer {
                status: 500,
                code: "InvalidFaults".to_owned(),
                message,
            });
        }
        let target = headers.get("x-amz-target").and_then(|t| t.to_str().ok());
        let fits = loaded
            .rules
            .iter_mut()
            .filter(|(rule, _)| rule.fits(method, path, target));
        for (rule, seen) in fits {
            *seen += 1;
            if *seen > rule.skip
                && rule
                    .times
                    .is_none_or(|times| *seen <= rule.skip.saturating_add(times))
            {
                return Some(rule.fault());
            }
        }
        None
    }
}

impl Loaded {
    fn refresh(&mut self, path: &Path) -> Result<(), String> {
        let version = std::fs::metadata(path)
            .ok()
            .and_then(|m| Some((m.modified().ok()?, m.len())));
        if version == self.version {
            return Ok(());
        }
        let rules: Vec<Rule> = match version {
            None => Vec::new(),
            Some(_) => {
                let text = std::fs::read(path).map_err(|e| e.to_string())?;
                serde_json::from_slice(&text).map_err(|e| format!("faults.json: {e}"))?
            }
        };
        *self = Self {
            version,
            rules: rules.into_iter().map(|rule| (rule, 0)).collect(),
        };
        Ok(())
    }
}

impl Rule {
    fn fits(&self, method: &Method, path: &str, target: Option<&str>) -> bool {
        self.method
            .as_deref()
            .is_none_or(|m| m.eq_ignore_ascii_case(method.as_str()))
            && self.path.as_deref().is_none_or(|p| path.starts_with(p))
            && self.target.as_deref().is_none_or(|t| target == Some(t))
    }

    fn fault(&self) -> Fault {
        match self.status {
            Some(status) => Fault::Answer {
                status,
                code: self.code.clone(),
                message: self.message.clone(),
            },
            None if self.lost => Fault::Lost,
            None => Fault::Reset,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_rule_answers_after_its_skips_and_as_often_as_it_says() {
        let dir = tempfile::tempdir().unwrap();
        let faults = Faults::new(dir.path());
        let ask = |method| faults.for_request(&method, "/b/k", &HeaderMap::new());
        assert_eq!(ask(Method::PUT), None);
        let rules = r#"[{"method":"PUT","path":"/b/","skip":1,"times":1,"lost":true}]"#;
        std::fs::write(dir.path().join("faults.json"), rules).unwrap();
        assert_eq!(ask(Method::GET), None);
        assert_eq!(ask(Method::PUT), None);
        assert_eq!(ask(Method::PUT), Some(Fault::Lost));
        assert_eq!(ask(Method::PUT), None);
        std::fs::write(dir.path().join("faults.json"), "[{}").unwrap();
        assert!(matches!(
            ask(Method::GET),
            Some(Fault::Answer { status: 500, .. })
        ));
    }
}
