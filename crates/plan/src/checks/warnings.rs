//! What is not wrong, but worth knowing before a run.

use super::View;
use crate::instance_types::{has_no_gpu, known};
use crate::problem::code;
use crate::template::nearest;

/// Images for GPU instances that are known (API TransformResources; the list is open).
const AMI_VERSIONS: &[&str] = &[
    "al2-ami-sagemaker-batch-gpu-470",
    "al2-ami-sagemaker-batch-gpu-535",
];

/// They are put among the view's problems.
pub(super) fn find(view: &mut View<'_>) {
    instance_type(view);
    ami_version(view);
    chunked(view);
    glued(view);
    super::join::doubt(view);
}

fn instance_type(view: &mut View<'_>) {
    let path = "transform.instance_type";
    let Some(name) = view.text(path) else { return };
    let known: Vec<String> = known().collect();
    if known.iter().any(|type_| type_ == name) {
        return;
    }
    let message =
        format!("`instance_type: {name}` is not among the types known for transform jobs");
    let help = match nearest(name, known.iter().map(String::as_str)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "the list grows: if the service has it, go on".to_owned(),
    };
    view.problem(path, code::UNKNOWN_INSTANCE_TYPE, message, &help);
}

fn ami_version(view: &mut View<'_>) {
    let path = "transform.transform_ami_version";
    let Some(name) = view.text(path) else { return };
    if !AMI_VERSIONS.contains(&name) {
        let message = format!("`transform_ami_version: {name}` is not among the known images");
        let help = match nearest(name, AMI_VERSIONS.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known are {}", AMI_VERSIONS.join(" and ")),
        };
        view.problem(path, code::DOUBTFUL, message, &help);
    }
    if let Some(machine) = view
        .text("transform.instance_type")
        .filter(|m| has_no_gpu(m))
    {
        let message = format!("`transform_ami_version` is for GPUs, and {machine} has none");
        view.problem(path, code::DOUBTFUL, message, "leave it out");
    }
}

fn chunked(view: &mut View<'_>) {
    let path = "transform.max_payload_in_mb";
    if view.number(path) == Some(0) {
        let message = "`max_payload_in_mb: 0` sends requests in chunks of no stated length; AWS's \
                       built-in algorithms refuse them"
            .to_owned();
        let help = "with a built-in algorithm, name a payload: 1 to 100";
        view.problem(path, code::DOUBTFUL, message, help);
    }
}

fn glued(view: &mut View<'_>) {
    let path = "transform.assemble_with";
    if view.text("transform.split_type") == Some("Line") && view.text(path) == Some("None") {
        let message = "`split_type: line` with `assemble_with: none`: a container that does not \
                       end its answers with a newline glues rows together, which fails the count \
                       of rows"
            .to_owned();
        view.problem(path, code::DOUBTFUL, message, "use `assemble_with: line`");
    }
}
