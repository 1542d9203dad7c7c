//! What is known about instance types. The service's list is open: it grows with every release and
//! differs by region, so what is not here is worth a warning, not more.

/// Sizes of each family that a transform job takes, `ml.<family>.<size>` (API
/// TransformInstanceType, botocore 1.44.5).
const SIZES: &[(&str, &[&str])] = &[
    (
        "m4",
        &["xlarge", "2xlarge", "4xlarge", "10xlarge", "16xlarge"],
    ),
    ("c4", &["xlarge", "2xlarge", "4xlarge", "8xlarge"]),
    ("p2", &["xlarge", "8xlarge", "16xlarge"]),
    ("p3", &["2xlarge", "8xlarge", "16xlarge"]),
    (
        "c5",
        &["xlarge", "2xlarge", "4xlarge", "9xlarge", "18xlarge"],
    ),
    (
        "m5",
        &[
            "large", "xlarge", "2xlarge", "4xlarge", "12xlarge", "24xlarge",
        ],
    ),
    ("m6i", SIXTH),
    ("c6i", SIXTH),
    ("r6i", SIXTH),
    ("m7i", SEVENTH),
    ("c7i", SEVENTH),
    ("r7i", SEVENTH),
    (
        "g4dn",
        &[
            "xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge", "16xlarge",
        ],
    ),
    ("g5", GPU),
    ("g6", GPU),
    ("g6e", GPU),
    ("trn1", &["2xlarge", "32xlarge"]),
    ("inf2", &["xlarge", "8xlarge", "24xlarge", "48xlarge"]),
];

const SIXTH: &[&str] = &[
    "large", "xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge", "16xlarge", "24xlarge",
    "32xlarge",
];

const SEVENTH: &[&str] = &[
    "large", "xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge", "16xlarge", "24xlarge",
    "48xlarge",
];

const GPU: &[&str] = &[
    "xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge", "16xlarge", "24xlarge", "48xlarge",
];

/// Families whose instances have disks of their own, encrypted by their hardware: for them the
/// service takes no `VolumeKmsKeyId` (API TransformResources; EC2 user guide, "Instance store
/// volumes").
const LOCAL_DISKS: &[&str] = &[
    "g4dn", "g5", "g6", "g6e", "trn1", "p3dn", "p4d", "p4de", "p5", "m5d", "c5d", "r5d", "m6id",
    "c6id", "r6id",
];

/// Families with NVIDIA GPUs, which `TransformAmiVersion` chooses a driver for.
const NVIDIA: &[&str] = &["p2", "p3", "g4dn", "g5", "g6", "g6e"];

/// Every type that is known, in no order that means anything.
pub fn known() -> impl Iterator<Item = String> {
    let family = |(family, sizes): &'static (&str, &[&str])| {
        sizes.iter().map(move |size| format!("ml.{family}.{size}"))
    };
    SIZES.iter().flat_map(family)
}

/// `m5` of `ml.m5.xlarge`.
fn family(name: &str) -> &str {
    name.split('.').nth(1).unwrap_or_default()
}

pub(crate) fn has_local_disks(name: &str) -> bool {
    LOCAL_DISKS.contains(&family(name))
}

/// Whether it surely has no NVIDIA GPU: nothing is said about families that are not known.
pub(crate) fn has_no_gpu(name: &str) -> bool {
    let family = family(name);
    SIZES.iter().any(|(known, _)| *known == family) && !NVIDIA.contains(&family)
}

/// What an instance computes with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Machine {
    /// Virtual processors.
    pub vcpus: u32,
    /// GPUs, or chips of AWS's own; 0 for most.
    pub accelerators: u32,
}

impl Machine {
    /// Workers that a container is expected to have: one an accelerator, else one a vCPU, as AWS's
    /// own containers do.
    pub fn workers(self) -> u32 {
        match self.accelerators {
            0 => self.vcpus,
            accelerators => accelerators,
        }
    }
}

/// What is known of a type; `None` for one that is not listed here. Every size of these families
/// has the vCPUs that its name says: 2 for `large`, 4 for `xlarge`, four times n for `<n>xlarge` (EC2
/// user guide, "Instance types").
pub fn machine(name: &str) -> Option<Machine> {
    let family = family(name);
    let size = name.split('.').nth(2)?;
    let (_, sizes) = SIZES.iter().find(|(known, _)| *known == family)?;
    if !sizes.contains(&size) {
        return None;
    }
    let vcpus = match size {
        "large" => 2,
        "xlarge" => 4,
        many => 4 * many.strip_suffix("xlarge")?.parse::<u32>().ok()?,
    };
    Some(Machine {
        vcpus,
        accelerators: accelerators(family, size),
    })
}

/// EC2 user guide, "Accelerated computing".
fn accelerators(family: &str, size: &str) -> u32 {
    match (family, size) {
        ("p2", "16xlarge") => 16,
        ("p2", "8xlarge") | ("p3", "16xlarge") | ("g5" | "g6" | "g6e", "48xlarge") => 8,
        ("inf2", "48xlarge") => 12,
        ("inf2", "24xlarge") => 6,
        ("trn1", "32xlarge") => 16,
        ("p3", "8xlarge") | ("g4dn" | "g5" | "g6" | "g6e", "12xlarge" | "24xlarge") => 4,
        ("p2" | "p3" | "g4dn" | "g5" | "g6" | "g6e" | "inf2" | "trn1", _) => 1,
        _ => 0,
    }
}
