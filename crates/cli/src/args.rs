//! The command line as typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use gristmill_plan::pace::Range;
use gristmill_runner::LocalMap;

use crate::args_convert::{ConvertArgs, InspectArgs};

/// Batch data preparation and SageMaker transform jobs, every row accounted for.
#[derive(Debug, Parser)]
#[command(name = "gristmill", version, propagate_version = true)]
#[command(
    after_help = "Exit codes: 0 done · 1 failed · 2 usage · 65 the data · 66 no input · 69 the model · \
70 a bug · 73 exists · 75 temporary, call again · 77 permission · 78 the pipeline file · 99 nothing to do · \
124 job_timeout · 130, 143 interrupted, state is kept"
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Flags of every verb.
#[derive(Debug, Clone, Args)]
pub(crate) struct Global {
    /// What standard output carries: text for people, or one JSON line.
    #[arg(
        long,
        value_enum,
        default_value_t,
        global = true,
        env = "GRISTMILL_OUTPUT"
    )]
    pub(crate) output: OutputFormat,
    /// How log lines on standard error look.
    #[arg(
        long,
        value_enum,
        default_value_t,
        global = true,
        env = "GRISTMILL_LOG_FORMAT"
    )]
    pub(crate) log_format: LogFormat,
    /// Writes the JSON answer to this file as well, on failures too.
    #[arg(
        long,
        value_name = "PATH",
        global = true,
        env = "GRISTMILL_RESULT_FILE"
    )]
    pub(crate) result_file: Option<PathBuf>,
    /// More detail on standard error.
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    pub(crate) verbose: u8,
}

/// What standard output carries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    /// For people.
    #[default]
    Text,
    /// One line of JSON, last.
    Json,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Begin here: write a pipeline with data and model that runs at once on this machine.
    Init(InitArgs),
    /// Run a pipeline; one with the same key goes on, or its stored result is printed again.
    Run(RunArgs),
    /// Check pipeline files offline: every mistake at once, with line and column.
    Validate(ValidateArgs),
    /// Show what a run would do: inputs, columns, shards, the request.
    Plan(PlanArgs),
    /// Continue a run with its own clock, inputs and parameters.
    Resume(ResumeArgs),
    /// Show the state of a run; exits as the run did, 75 while it is under way.
    Status(StatusArgs),
    /// Wait until a run is over, whoever runs it; exits as the run did.
    Wait(WaitArgs),
    /// Stop a run and its job; what is done is kept, and `resume` goes on from there.
    Cancel(CancelArgs),
    /// List the runs of the work folder, the newest first.
    Runs(RunsArgs),
    /// Convert files in one command, without a pipeline.
    Convert(Box<ConvertArgs>),
    /// Show what a file is: dialect, columns, rows, sizes, first rows.
    Inspect(InspectArgs),
    /// Serve the embedded S3 and SageMaker for any AWS client.
    Local(LocalArgs),
    /// Print the JSON Schema of pipeline files.
    Schema,
    /// A model's container of the embedded SageMaker.
    #[command(hide = true)]
    Container(ContainerArgs),
}

/// Flags that choose the work folder and the services.
#[derive(Debug, Clone, Args)]
pub(crate) struct WorkArgs {
    /// Folder for the state of runs on this machine.
    #[arg(
        long,
        value_name = "DIR",
        default_value = ".gristmill",
        env = "GRISTMILL_WORK_DIR"
    )]
    pub(crate) work_dir: PathBuf,
    /// Worker threads; by default one a core.
    #[arg(long, value_name = "N", env = "GRISTMILL_THREADS", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,
}

/// `run`.
#[derive(Debug, Clone, Args)]
pub(crate) struct RunArgs {
    /// The pipeline file.
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) inputs: PipelineInputs,
    #[command(flatten)]
    pub(crate) work: WorkArgs,
    /// The key under which this run is found again; by default the pipeline's name with a hash of
    /// the parameters as given.
    #[arg(long, value_name = "KEY", env = "GRISTMILL_RUN_KEY", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub(crate) run_key: Option<String>,
    /// Start over, even if the key has a run.
    #[arg(long, env = "GRISTMILL_FRESH", value_parser = clap::builder::FalseyValueParser::new())]
    pub(crate) fresh: bool,
    /// Replace what is at the destination.
    #[arg(long, env = "GRISTMILL_OVERWRITE", value_parser = clap::builder::FalseyValueParser::new())]
    pub(crate) overwrite: bool,
    #[command(flatten)]
    pub(crate) waiting: WaitingArgs,
    #[command(flatten)]
    pub(crate) pace: PaceArgs,
}

/// Whether a job is waited for.
#[derive(Debug, Clone, Args)]
pub(crate) struct WaitingArgs {
    /// Do not wait for a transform job: do what can be done now, and exit with 75 (status `waiting`)
    /// while the job is under way. Each call looks once and goes on when the job has ended, so a
    /// scheduler calls again until the exit code is another, from any machine.
    #[arg(long, env = "GRISTMILL_NO_WAIT", value_parser = clap::builder::FalseyValueParser::new())]
    pub(crate) no_wait: bool,
}

/// What a pipeline is given.
#[derive(Debug, Clone, Args)]
pub(crate) struct PipelineInputs {
    /// A parameter of the pipeline.
    #[arg(short, long = "param", value_name = "NAME=VALUE", value_parser = name_value)]
    pub(crate) param: Vec<(String, String)>,
    /// Parameters from a YAML or JSON file that maps names to values; -p comes before it.
    #[arg(long, value_name = "FILE", env = "GRISTMILL_PARAMS_FILE")]
    pub(crate) params_file: Option<PathBuf>,
    /// Use the embedded S3 and SageMaker instead of AWS: no account, no network. A model that loses rows is
    /// refused before the first job: two are sent to its container (`transform.probe: off` sends none).
    #[arg(long, env = "GRISTMILL_LOCAL", value_parser = clap::builder::FalseyValueParser::new())]
    pub(crate) local: bool,
    /// With --local: show local files under an S3 name.
    #[arg(long, value_name = "S3URI=PATH", requires = "local")]
    pub(crate) local_map: Vec<LocalMap>,
    /// Only the first N data rows.
    #[arg(long, value_name = "N", env = "GRISTMILL_LIMIT_ROWS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) limit_rows: Option<u64>,
}

/// `validate`.
#[derive(Debug, Clone, Args)]
pub(crate) struct ValidateArgs {
    /// Pipeline files.
    #[arg(required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// Hold each of them to this file of data as well: the columns that it names, and every row to its
    /// contract. Exit code 78 where the pipeline has to change, 65 where the data has.
    #[arg(long, value_name = "DATA")]
    pub(crate) against: Option<PathBuf>,
    /// A parameter, as each of them takes it.
    #[arg(short, long = "param", value_name = "NAME=VALUE", value_parser = name_value)]
    pub(crate) param: Vec<(String, String)>,
    /// A file of parameters, which has to fit each of them; -p comes before it.
    #[arg(long, value_name = "FILE", env = "GRISTMILL_PARAMS_FILE")]
    pub(crate) params_file: Option<PathBuf>,
    /// With --against: worker threads; by default one a core.
    #[arg(long, value_name = "N", env = "GRISTMILL_THREADS", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,
}

/// `plan`.
#[derive(Debug, Clone, Args)]
pub(crate) struct PlanArgs {
    /// The pipeline file.
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) inputs: PipelineInputs,
    #[command(flatten)]
    pub(crate) work: WorkArgs,
    #[command(flatten)]
    pub(crate) pace: PaceArgs,
}

/// What is known about instances.
#[derive(Debug, Clone, Args)]
pub(crate) struct PaceArgs {
    /// A file of prices, for costs and `budget.usd`: `as_of`, `region`, `currency`, and `per_hour` with
    /// a price for each instance type. By default an example that is built in and may be out of date.
    #[arg(long, value_name = "FILE", env = "GRISTMILL_PRICES")]
    pub(crate) prices: Option<PathBuf>,
    /// Rows that one instance scores in a second, such as 5000, or 2000..8000 where it is not known
    /// better. Without it a wide range is assumed.
    #[arg(long, value_name = "N", env = "GRISTMILL_ROWS_PER_SECOND", value_parser = rows_per_second)]
    pub(crate) rows_per_second: Option<Range>,
}

/// `5000`, `2000..8000`.
fn rows_per_second(text: &str) -> Result<Range, String> {
    let number = |text: &str| match text.trim().parse::<f64>() {
        Ok(n) if n.is_finite() && n > 0.0 => Ok(n),
        _ => Err(format!("{text:?} is not a number of rows above 0")),
    };
    let (low, high) = match text.split_once("..") {
        Some((low, high)) => (number(low)?, number(high)?),
        None => (number(text)?, number(text)?),
    };
    if low > high {
        return Err(format!("{low} is more than {high}: the slower comes first"));
    }
    Ok(Range { low, high })
}

/// `resume`.
#[derive(Debug, Clone, Args)]
pub(crate) struct ResumeArgs {
    /// A run's id, its key, or `last`.
    #[arg(default_value = "last")]
    pub(crate) run: String,
    #[command(flatten)]
    pub(crate) work: WorkArgs,
    /// Replace what is at the destination.
    #[arg(long, env = "GRISTMILL_OVERWRITE", value_parser = clap::builder::FalseyValueParser::new())]
    pub(crate) overwrite: bool,
    #[command(flatten)]
    pub(crate) waiting: WaitingArgs,
    #[command(flatten)]
    pub(crate) pace: PaceArgs,
}

/// `status`.
#[derive(Debug, Clone, Args)]
pub(crate) struct StatusArgs {
    /// A run's id, its key, or `last`.
    #[arg(default_value = "last")]
    pub(crate) run: String,
    #[command(flatten)]
    pub(crate) work: WorkArgs,
}

/// `wait`.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Only watches: nothing of the run is touched, and ending `wait` does not end the run. \
A run that was cut off ends it with 130. A run that `run --no-wait` left with jobs is watched until somebody \
has gone on with it; when all have ended and nobody does, the exit code is 75."
)]
pub(crate) struct WaitArgs {
    /// A run's id, its key, or `last`.
    #[arg(default_value = "last")]
    pub(crate) run: String,
    /// Stop waiting after so long, with exit code 75 (90s, 20m, 2h).
    #[arg(long, value_name = "TIME", value_parser = gristmill_plan::parse_duration, env = "GRISTMILL_TIMEOUT")]
    pub(crate) timeout: Option<u64>,
    /// Folder for the state of runs on this machine.
    #[arg(
        long,
        value_name = "DIR",
        default_value = ".gristmill",
        env = "GRISTMILL_WORK_DIR"
    )]
    pub(crate) work_dir: PathBuf,
}

/// `cancel`.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "A process that works on the run is asked to stop; then a job that is under way is \
stopped, and waited for until it says Stopped. What was published stays. A job that is stopped stores no \
output: `gristmill resume`, or the same `run` command, goes on with a new job. Exits with 0 when nothing of \
the run is under way any more; so it does for a run that was over before, which stays what it is."
)]
pub(crate) struct CancelArgs {
    /// A run's id, its key, or `last`.
    pub(crate) run: String,
    /// Folder for the state of runs on this machine.
    #[arg(
        long,
        value_name = "DIR",
        default_value = ".gristmill",
        env = "GRISTMILL_WORK_DIR"
    )]
    pub(crate) work_dir: PathBuf,
}

/// `init`.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Writes pipelines/KIND.yaml, a sample of real flights, the schema for editors and a README.md \
into DIR, and prints the commands that run it. No file that exists is touched: exit code 73 then, and nothing \
is written. A README.md that is there is simply kept, and so is what a pipeline of another KIND left."
)]
pub(crate) struct InitArgs {
    /// What the pipeline does.
    #[arg(value_enum, default_value_t)]
    pub(crate) kind: InitKind,
    /// The folder to write to; made if it is not there.
    #[arg(default_value = ".")]
    pub(crate) dir: PathBuf,
}

/// What `init` writes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum InitKind {
    /// CSV through a model, predictions beside their rows; model included.
    #[default]
    Scoring,
    /// A training set: label first, split by a hash into train, validation and test.
    Training,
    /// CSV to Parquet.
    Convert,
}

/// `runs`.
#[derive(Debug, Clone, Args)]
pub(crate) struct RunsArgs {
    /// Folder for the state of runs on this machine.
    #[arg(
        long,
        value_name = "DIR",
        default_value = ".gristmill",
        env = "GRISTMILL_WORK_DIR"
    )]
    pub(crate) work_dir: PathBuf,
}

/// `local`.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = gristmill_emulator::faults_help())]
pub(crate) struct LocalArgs {
    /// The folder that holds all state of the services.
    #[arg(
        long,
        value_name = "DIR",
        default_value = ".gristmill/local",
        env = "GRISTMILL_LOCAL_DIR"
    )]
    pub(crate) dir: PathBuf,
    /// The port on 127.0.0.1; 0 takes any that is free.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 0,
        env = "GRISTMILL_LOCAL_PORT"
    )]
    pub(crate) port: u16,
    /// The region that the services speak of.
    #[arg(
        long,
        default_value = "us-east-1",
        env = "GRISTMILL_LOCAL_REGION",
        value_parser = region
    )]
    pub(crate) region: String,
    /// End after so many seconds without a call and without a running job.
    #[arg(long, value_name = "SECONDS", env = "GRISTMILL_LOCAL_IDLE_EXIT")]
    pub(crate) idle_exit: Option<u64>,
    /// What the service is taken to do where AWS does not say: NAME=VALUE, several with commas or one
    /// by one. `list` prints all names and values. In the variable, it also reaches the services that
    /// `--local` starts; those that run already must be in accord with it.
    #[arg(
        long,
        value_name = "NAME=VALUE|list",
        value_delimiter = ',',
        env = "GRISTMILL_ASSUME"
    )]
    pub(crate) assume: Vec<String>,
    /// Transform jobs read and write there, and not in the S3 that is served here; its credentials
    /// are those of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and calls may be signed with them.
    #[arg(
        long,
        value_name = "URL",
        env = "GRISTMILL_LOCAL_S3_ENDPOINT",
        value_parser = http_url
    )]
    pub(crate) s3_endpoint: Option<String>,
}

/// A region's name stands in ARNs and, unquoted, in what a shell evaluates.
fn region(text: &str) -> Result<String, String> {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if !text.is_empty() && text.bytes().all(allowed) {
        return Ok(text.to_owned());
    }
    Err("expected a name such as us-east-1: lower-case letters, digits and '-'".to_owned())
}

/// Where another S3 is. It is shown, so it may hold no password.
fn http_url(text: &str) -> Result<String, String> {
    let rest = ["http://", "https://"]
        .iter()
        .find_map(|scheme| text.strip_prefix(scheme));
    if rest.is_some_and(|rest| !rest.is_empty() && !rest.contains(['@', ' ', '\''])) {
        return Ok(text.to_owned());
    }
    Err("expected a URL such as http://127.0.0.1:9000, without a user or a password".to_owned())
}

/// `container`.
#[derive(Debug, Clone, Args)]
pub(crate) struct ContainerArgs {
    /// What it runs.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) args: Vec<String>,
}

pub(crate) fn name_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(format!("expected NAME=VALUE, found {text:?}")),
    }
}
