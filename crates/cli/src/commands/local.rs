//! `local`: the embedded services in the foreground.

use std::io::ErrorKind;
use std::time::Duration;

use gristmill_emulator::{EmulatorConfig, EmulatorError, Endpoint, OtherS3};
use gristmill_runner::{ExitCode, RunError};

use crate::answer::{Printer, say};
use crate::args::LocalArgs;
use crate::commands::{local_assume, runtime};

pub(crate) fn local(args: LocalArgs, printer: &Printer) -> Result<ExitCode, RunError> {
    if args.assume.iter().any(|word| word.trim() == "list") {
        return local_assume::list(&args.assume, printer);
    }
    let assume = local_assume::parse(&args.assume)?;
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
    config.assume = assume;
    let s3_url = args.s3_endpoint;
    if let Some(url) = &s3_url {
        config.other_s3 = Some(other_s3(url, &config.region)?);
    }
    let runtime = runtime()?;
    let served = gristmill_emulator::serve(config, |endpoint| {
        announce(endpoint, s3_url.as_deref(), printer);
    });
    runtime
        .block_on(served)
        .map_err(|e| RunError::new(exit_code(&e), e.to_string()))?;
    Ok(ExitCode::Success)
}

/// The S3 at `url`, with the credentials of the environment.
fn other_s3(url: &str, region: &str) -> Result<OtherS3, RunError> {
    let needed = |name: &str| {
        std::env::var(name).map_err(|_| {
            RunError::new(ExitCode::Usage, format!("--s3-endpoint needs {name}"))
                .with_help("set the access key of that S3 in the environment")
        })
    };
    let (id, secret) = (
        needed("AWS_ACCESS_KEY_ID")?,
        needed("AWS_SECRET_ACCESS_KEY")?,
    );
    let token = std::env::var("AWS_SESSION_TOKEN").ok();
    Ok(OtherS3::new(url, region, &id, &secret, token))
}

/// A folder or a port that another process has may be free later.
fn exit_code(error: &EmulatorError) -> ExitCode {
    match error {
        EmulatorError::Locked { .. } => ExitCode::Temporary,
        EmulatorError::Listen { source, .. } if source.kind() == ErrorKind::AddrInUse => {
            ExitCode::Temporary
        }
        _ => ExitCode::Failure,
    }
}

/// The endpoint, in a form that a shell or a program can use. Throwaway keys: they are made for
/// this folder and open nothing else. Those of another S3 are the user's, and not shown.
fn announce(endpoint: &Endpoint, s3_url: Option<&str>, printer: &Printer) {
    let value = serde_json::to_value(endpoint).unwrap_or_default();
    let text = match s3_url {
        Some(url) => format!(
            "export AWS_ENDPOINT_URL_S3={url}\nexport AWS_ENDPOINT_URL_SAGEMAKER={}\nexport AWS_REGION={r}\nexport AWS_DEFAULT_REGION={r}\n",
            endpoint.endpoint,
            r = endpoint.region
        ),
        None => format!(
            "export AWS_ENDPOINT_URL={}\nexport AWS_ACCESS_KEY_ID={}\nexport AWS_SECRET_ACCESS_KEY={}\nexport AWS_REGION={r}\nexport AWS_DEFAULT_REGION={r}\n",
            endpoint.endpoint,
            endpoint.access_key_id,
            endpoint.secret_access_key,
            r = endpoint.region
        ),
    };
    printer.answer(&text, &value);
    if !printer.is_json() {
        let what = if s3_url.is_some() {
            "SageMaker"
        } else {
            "S3 and SageMaker"
        };
        say(&format!("serving {what}; end with Ctrl-C"));
    }
}
