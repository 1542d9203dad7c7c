//! `local`: the embedded services in the foreground.

use std::time::Duration;

use gristmill_emulator::{EmulatorConfig, Endpoint, Server};
use gristmill_runner::{ExitCode, RunError};

use crate::answer::{Printer, say};
use crate::args::LocalArgs;
use crate::commands::runtime;

pub(crate) fn local(args: LocalArgs, printer: &Printer) -> Result<ExitCode, RunError> {
    let program = std::env::current_exe().map_err(|e| {
        RunError::new(
            ExitCode::Failure,
            format!("cannot find the program's own file: {e}"),
        )
    })?;
    let mut config = EmulatorConfig::new(args.dir, program);
    config.port = args.port;
    config.region = args.region;
    config.idle_exit = args.idle_exit.map(Duration::from_secs);
    let runtime = runtime()?;
    let served = runtime.block_on(async {
        let server = Server::start(config).await?;
        announce(server.endpoint(), printer);
        server.run().await
    });
    served.map_err(|e| RunError::new(ExitCode::Failure, e.to_string()))?;
    Ok(ExitCode::Success)
}

/// The endpoint, in a form that a shell or a program can use. Throwaway keys: they are made for
/// this folder and open nothing else.
fn announce(endpoint: &Endpoint, printer: &Printer) {
    let value = serde_json::to_value(endpoint).unwrap_or_default();
    let text = format!(
        "export AWS_ENDPOINT_URL={}\nexport AWS_ACCESS_KEY_ID={}\nexport AWS_SECRET_ACCESS_KEY={}\nexport AWS_REGION={r}\nexport AWS_DEFAULT_REGION={r}\n",
        endpoint.endpoint,
        endpoint.access_key_id,
        endpoint.secret_access_key,
        r = endpoint.region
    );
    printer.answer(&text, &value);
    if !printer.is_json() {
        say("serving S3 and SageMaker; end with Ctrl-C");
    }
}
