//! What an emulator is told at its start.

use std::path::PathBuf;
use std::time::Duration;

use crate::assume::Assumptions;
use crate::other_s3::OtherS3;

/// Everything that decides how one emulator runs.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct EmulatorConfig {
    /// The folder that holds all state. One emulator at a time; created when missing.
    pub dir: PathBuf,
    /// Port on 127.0.0.1; 0 lets the system choose one.
    pub port: u16,
    /// The region that endpoints, ARNs and `GetBucketLocation` speak of.
    pub region: String,
    /// End after this long without a request and without a running job; `None`: never.
    pub idle_exit: Option<Duration>,
    /// The program that is run as `<program> container onnx|command …` for a model's container.
    pub container_program: PathBuf,
    /// Answers to what AWS leaves undocumented.
    pub assume: Assumptions,
    /// Where transform jobs find and leave their objects; `None`: in this emulator's own S3.
    pub other_s3: Option<OtherS3>,
}

impl EmulatorConfig {
    /// The 12 digits that stand for the account in ARNs.
    pub const ACCOUNT: &'static str = "000000000000";

    /// An emulator over `dir` on any free port, in `us-east-1`, that never ends by itself.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>, container_program: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            port: 0,
            region: "us-east-1".to_owned(),
            idle_exit: None,
            container_program: container_program.into(),
            assume: Assumptions::default(),
            other_s3: None,
        }
    }
}
