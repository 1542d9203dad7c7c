//! What can go wrong, by name, and with which words it is described.

use std::fmt::Write as _;

/// A fault's name in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kind {
    pub(super) name: &'static str,
    /// Fields of its own, besides those of its group.
    pub(super) fields: &'static [&'static str],
    pub(super) group: Group,
    about: &'static str,
}

/// What a fault happens to, which decides what a rule can choose by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Group {
    /// A call of a service.
    Call,
    /// A job as a whole.
    Job,
    /// A request to a container.
    Request,
    /// The output of an object.
    Output,
}

impl Group {
    /// What a rule can choose by.
    pub(super) fn fields(self) -> &'static [&'static str] {
        match self {
            Self::Call => &["method", "path", "target", "skip", "times", "share"],
            Self::Job => &["job", "skip_jobs", "jobs", "skip", "times", "share"],
            Self::Request | Self::Output => &[
                "job",
                "skip_jobs",
                "jobs",
                "object",
                "skip",
                "times",
                "share",
            ],
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Call => "calls of a service (times counts calls)",
            Self::Job => "jobs (times counts jobs; for vanish and unknown_status, descriptions)",
            Self::Request => "requests to the model (times counts requests, each try is one)",
            Self::Output => "outputs (times counts objects; for glue and blank_line, mini-batches)",
        }
    }
}

const fn kind(
    name: &'static str,
    group: Group,
    fields: &'static [&'static str],
    about: &'static str,
) -> Kind {
    Kind {
        name,
        fields,
        group,
        about,
    }
}

/// Rules without a `fault` are of this kind.
pub(super) const CALL: Kind = kind(
    "",
    Group::Call,
    &["status", "code", "message", "lost", "delay_ms"],
    "with status: answers instead of the service; with lost: the work is done, the answer is not sent; \
     with delay_ms: late; with none: the connection is closed before anything is done",
);

/// All kinds that have a name.
pub(super) const KINDS: &[Kind] = &[
    kind(
        "throttle",
        Group::Call,
        &["per_second"],
        "ThrottlingException of a SageMaker call, or with method or path \
        SlowDown of S3; with per_second: only the calls above so many in a second",
    ),
    kind(
        "limit",
        Group::Call,
        &["running"],
        "CreateTransformJob is refused with ResourceLimitExceeded; with running: \
        only while so many jobs are under way",
    ),
    kind(
        "stuck",
        Group::Job,
        &[],
        "stays InProgress until it is stopped",
    ),
    kind(
        "stopping",
        Group::Job,
        &[],
        "stays Stopping once it is stopped",
    ),
    kind(
        "vanish",
        Group::Job,
        &[],
        "is not there any more when it is described",
    ),
    kind(
        "unknown_status",
        Group::Job,
        &["status"],
        "is described with that status",
    ),
    kind(
        "end",
        Group::Job,
        &["status", "reason"],
        "ends at once with that status and no output",
    ),
    kind(
        "ping",
        Group::Job,
        &["seconds"],
        "the container's /ping never succeeds, which is found out after so many \
        seconds (1)",
    ),
    kind(
        "foreign",
        Group::Job,
        &["object", "name", "text"],
        "an object of that name and text is put at the output path; \
        with object: one for each of those, {object} in the name is theirs",
    ),
    kind(
        "status",
        Group::Request,
        &["batch", "status", "message"],
        "is answered with that HTTP status (500)",
    ),
    kind("no_response", Group::Request, &["batch"], "gets no answer"),
    kind(
        "slow",
        Group::Request,
        &["batch", "ms", "ms_per_row", "workers"],
        "is answered so much later, for its rows then by so many workers (all at once); it counts to the \
        invocation's timeout",
    ),
    kind("drop_row", Group::Output, &["row"], "lacks that row (1)"),
    kind(
        "double_row",
        Group::Output,
        &["row"],
        "has that row (1) twice",
    ),
    kind(
        "header_row",
        Group::Output,
        &["text"],
        "begins with a row of that text (score)",
    ),
    kind(
        "glue",
        Group::Output,
        &["batch"],
        "lacks the newline after that mini-batch (each)",
    ),
    kind(
        "blank_line",
        Group::Output,
        &["batch"],
        "has a blank line after that mini-batch (each)",
    ),
    kind(
        "truncate",
        Group::Output,
        &["bytes"],
        "is cut after so many bytes (half of them)",
    ),
    kind(
        "missing_output",
        Group::Output,
        &[],
        "is not stored, although the job is Completed",
    ),
];

/// Everything above as text, for `gristmill local --help`.
#[must_use]
pub fn faults_help() -> String {
    let mut text = String::from(
        "Faults on demand: a list of rules in <DIR>/faults.json, read again whenever it changes. The first rule \
that fits and is not used up acts; each lets `skip` things through, then acts `times` times (always), on a `share` \
of them (1.0). `job` and `object` are names with * and ?, an object's with or without its folders, or lists of \
them; `batch` and `row` count from 1. `skip_jobs` and `jobs` count the jobs that fit: \"jobs\": 1 is only the first. \
While the file holds a mistake, every call is answered with InvalidFaults and what is wrong. None acts on the \
probe of a model (`transform.probe`), which is no job.\n\n  \
[ { \"fault\": \"status\", \"object\": [\"*-00003.csv\", \"*-00040.csv\"], \"batch\": 2, \"jobs\": 1 },\n    \
{ \"target\": \"SageMaker.CreateTransformJob\", \"times\": 1, \"lost\": true } ]\n",
    );
    for group in [Group::Call, Group::Job, Group::Request, Group::Output] {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "\n{}: {}", group.title(), group.fields().join(", "));
        let own = KINDS.iter().filter(|k| k.group == group);
        for kind in [CALL].iter().filter(|k| k.group == group).chain(own) {
            let name = if kind.name.is_empty() {
                "(none)"
            } else {
                kind.name
            };
            let fields = kind.fields.join(", ");
            let fields = if fields.is_empty() {
                fields
            } else {
                format!(" ({fields})")
            };
            let _ = writeln!(text, "  {name:<15}{}{fields}", kind.about);
        }
    }
    text
}
