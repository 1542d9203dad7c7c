//! `container`: a model's container of the embedded SageMaker, started by it.

use gristmill_runner::{ExitCode, RunError};

use crate::args::ContainerArgs;

pub(crate) fn container(args: &ContainerArgs) -> Result<ExitCode, RunError> {
    gristmill_emulator::container_main(&args.args)
        .map_err(|e| RunError::new(ExitCode::Failure, e.to_string()))?;
    Ok(ExitCode::Success)
}
