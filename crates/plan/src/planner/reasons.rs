//! Why each setting is what it is.

use serde_json::Value;

use super::layout::{Layout, Requests, Stated, slots, timely_mb};
use super::{Planner, Setting};
use crate::limits::{DEFAULT_PAYLOAD_IN_MB, Limits};
use crate::spec::BatchStrategy;

/// What the settings came from.
pub(super) struct Told<'a> {
    pub(super) written: &'a Stated,
    /// With what attempt 1 chose.
    pub(super) stated: &'a Stated,
    pub(super) layout: &'a Layout,
    pub(super) planner: &'a Planner,
}

impl Told<'_> {
    pub(super) fn settings(
        &self,
        strategy: Option<BatchStrategy>,
        says: &dyn Fn(&str) -> bool,
    ) -> Vec<Setting> {
        let (written, stated, layout) = (self.written, self.stated, self.layout);
        let setting = |key: &str, value: Value, said: bool, kept: bool, why: String| Setting {
            key: key.to_owned(),
            value,
            chosen: !said,
            reason: match (said, kept) {
                (true, _) => "as the file says".to_owned(),
                (false, true) => "as the run's first attempt chose".to_owned(),
                (false, false) => why,
            },
        };
        let size_said = written.max_rows.is_some();
        let mut all = vec![
            setting(
                "transform.instance_count",
                layout.instances.into(),
                written.instances.is_some(),
                stated.instances.is_some(),
                self.instances(),
            ),
            setting(
                "transform.jobs",
                layout.jobs.into(),
                says("transform.jobs") && written.jobs.is_some(),
                stated.jobs.is_some() && written.jobs.is_none(),
                jobs(written),
            ),
            setting(
                "transform.max_concurrent_transforms",
                layout.concurrency.into(),
                written.concurrency.is_some(),
                stated.concurrency.is_some(),
                self.concurrency(),
            ),
            setting(
                "transform.max_payload_in_mb",
                layout.payload_mb.into(),
                written.payload_mb.is_some(),
                stated.payload_mb.is_some(),
                self.payload(),
            ),
            setting(
                "shards.max_bytes",
                layout.max_bytes.into(),
                written.max_bytes.is_some(),
                stated.max_bytes.is_some(),
                self.max_bytes(),
            ),
        ];
        if let Some(strategy) = strategy {
            let value = match strategy {
                BatchStrategy::MultiRecord => "multi_record",
                BatchStrategy::SingleRecord => "single_record",
            };
            let why = "a request for each row would take many times longer".to_owned();
            let key = "transform.batch_strategy";
            all.push(setting(key, value.into(), says(key), false, why));
        }
        if layout.max_rows.is_some() {
            all.push(setting(
                "shards.max_rows",
                layout.max_rows.into(),
                size_said,
                stated.max_rows.is_some(),
                self.max_rows(),
            ));
        }
        all
    }

    fn instances(&self) -> String {
        format!(
            "the least product of time and cost up to {}, for a fast model; a slow one may be worth more",
            super::MOST_INSTANCES
        )
    }

    fn concurrency(&self) -> String {
        let layout = self.layout;
        let Some(machine) = self.planner.machine else {
            return "what this instance type has is not known, so it is left to the container: its \
                    /execution-parameters, else 1 (the API's default)"
                .to_owned();
        };
        let what = match machine.accelerators {
            0 => format!(
                "one for each of {} vCPUs, and some on their way",
                machine.vcpus
            ),
            1 => "two for one accelerator, one of them on its way".to_owned(),
            n => format!("two for each of {n} accelerators, one of them on its way"),
        };
        let bound = if layout.concurrency < slots(machine) {
            format!(
                ", as far as {} MB each come to at most {} MB",
                layout.payload_mb,
                Limits::SERVICE.payload_product_mb
            )
        } else {
            String::new()
        };
        format!(
            "{what}{bound}; what the container itself would ask for (/execution-parameters) is not known here"
        )
    }

    fn payload(&self) -> String {
        let (planner, mb) = (self.planner, self.layout.payload_mb);
        let product = super::payload_beside(self.layout.concurrency);
        if planner.requests == Requests::Whole {
            return format!(
                "a shard is one request; {} at once come to at most {} MB",
                self.layout.concurrency.max(1),
                Limits::SERVICE.payload_product_mb
            );
        }
        if u64::from(mb) > DEFAULT_PAYLOAD_IN_MB {
            return "the largest record of the sample, with room for larger ones".to_owned();
        }
        let timely = timely_mb(planner, self.layout.concurrency);
        if mb == timely && u64::from(mb) < DEFAULT_PAYLOAD_IN_MB {
            return format!(
                "rows are short: a slow model that computes one request at a time would not answer {} \
                 larger ones within `invocations_timeout_in_seconds`",
                self.layout.concurrency.max(1)
            );
        }
        if mb == product && u64::from(mb) < DEFAULT_PAYLOAD_IN_MB {
            return format!(
                "{} at once come to at most {} MB",
                self.layout.concurrency,
                Limits::SERVICE.payload_product_mb
            );
        }
        "the API's default, and what AWS's own containers take unless they are told otherwise"
            .to_owned()
    }

    fn max_bytes(&self) -> String {
        match self.planner.requests {
            Requests::Whole => "a shard is one request, which holds no more".to_owned(),
            Requests::Lines | Requests::Record => {
                "so much at most is scored again where a shard fails".to_owned()
            }
        }
    }

    fn max_rows(&self) -> String {
        let shards = self.layout.shards(&self.planner.measure);
        let instances = u64::from(self.layout.instances) * u64::from(self.layout.jobs);
        format!(
            "{shards} shards of one size for {instances} {} of {} at once, so that all end together",
            if instances == 1 {
                "instance"
            } else {
                "instances"
            },
            match self.layout.concurrency {
                0 => self.planner.assumptions.fast.workers,
                n => n.min(self.planner.assumptions.fast.workers),
            }
        )
    }
}

fn jobs(written: &Stated) -> String {
    if written.jobs.is_some() {
        return "one, unless the file says more; `auto` leaves it to the planner".to_owned();
    }
    "the least product of time and cost, for a fast model; each job pays for its own start"
        .to_owned()
}
