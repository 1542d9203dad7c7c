//! What the transform jobs of a run may take, and what they have taken.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Seconds in an hour.
const HOUR: f64 = 3600.0;

/// `budget`. What is `None` is not bounded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Budget {
    /// Hours of all instances together.
    pub instance_hours: Option<f64>,
    /// US dollars.
    pub usd: Option<f64>,
}

/// One job as it is billed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BilledJob {
    /// `InstanceCount`: idle ones are billed like others.
    pub instances: u32,
    /// From TransformStartTime to TransformEndTime ("You are billed for the time interval between
    /// this time and the value of TransformEndTime", API DescribeTransformJobResponse).
    pub seconds: f64,
}

/// What jobs have taken, or would take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Spent {
    /// Hours of all instances together.
    pub instance_hours: f64,
    /// US dollars; `None` where the instance's price is not known.
    pub usd: Option<f64>,
}

/// The sum of jobs. `usd_per_hour` is the price of one instance, `None` if it is not known. A job
/// whose time is not a positive number counts nothing.
pub fn spent(jobs: impl IntoIterator<Item = BilledJob>, usd_per_hour: Option<f64>) -> Spent {
    let hours = |job: BilledJob| f64::from(job.instances) * job.seconds.max(0.0) / HOUR;
    let each = jobs.into_iter().map(hours).filter(|h| h.is_finite());
    let hours = each.fold(0.0, |sum, hours| sum + hours);
    Spent {
        instance_hours: hours,
        usd: usd_per_hour.map(|price| price * hours),
    }
}

impl Spent {
    /// Both together; dollars are unknown if either's are.
    #[must_use]
    pub fn and(self, other: Spent) -> Spent {
        Spent {
            instance_hours: self.instance_hours + other.instance_hours,
            usd: self.usd.zip(other.usd).map(|(a, b)| a + b),
        }
    }
}

impl Budget {
    /// The first bound that `spent` and then `next` pass. `next` is the least that is still to
    /// come: of a plan its low estimate, of a retry nothing less than what it will surely take.
    ///
    /// # Errors
    /// [`OverBudget`].
    pub fn check(&self, spent: Spent, next: Spent) -> Result<(), OverBudget> {
        let total = spent.and(next);
        if let Some(most) = self.instance_hours
            && total.instance_hours > most
        {
            return Err(OverBudget::InstanceHours {
                budget: most,
                spent: spent.instance_hours,
                next: next.instance_hours,
            });
        }
        match (self.usd, spent.usd, next.usd) {
            (None, ..) => Ok(()),
            (Some(budget), Some(spent), Some(next)) if spent + next <= budget => Ok(()),
            (Some(budget), Some(spent), Some(next)) => Err(OverBudget::Usd {
                budget,
                spent,
                next,
            }),
            (Some(budget), ..) => Err(OverBudget::UnknownPrice { budget }),
        }
    }
}

/// Why a job may not be created.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum OverBudget {
    /// `budget.instance_hours`.
    InstanceHours {
        /// What it says.
        budget: f64,
        /// By the jobs of the run so far.
        spent: f64,
        /// At least, by the next.
        next: f64,
    },
    /// `budget.usd`.
    Usd {
        /// What it says.
        budget: f64,
        /// By the jobs of the run so far.
        spent: f64,
        /// At least, by the next.
        next: f64,
    },
    /// `budget.usd`, and the price file does not know what an instance costs: a bound that nobody
    /// can check is not kept.
    UnknownPrice {
        /// What it says.
        budget: f64,
    },
}

impl OverBudget {
    /// The key of the pipeline file that is at fault.
    #[must_use]
    pub fn key(&self) -> &'static str {
        match self {
            OverBudget::InstanceHours { .. } => "budget.instance_hours",
            OverBudget::Usd { .. } | OverBudget::UnknownPrice { .. } => "budget.usd",
        }
    }

    /// What to do.
    #[must_use]
    pub fn help(&self) -> &'static str {
        match self {
            OverBudget::UnknownPrice { .. } => {
                "give a price file that has the type and the region (--prices FILE), or bound \
                 `instance_hours` instead"
            }
            _ => "raise the budget, or score fewer rows; `plan` shows what other settings take",
        }
    }
}

impl fmt::Display for OverBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            OverBudget::InstanceHours {
                budget,
                spent,
                next,
            } => write!(
                f,
                "`budget.instance_hours` is {budget}; {spent:.2} are spent, and at least {next:.2} \
                 would be by what is left"
            ),
            OverBudget::Usd {
                budget,
                spent,
                next,
            } => write!(
                f,
                "`budget.usd` is {budget}; {spent:.2} is spent, and at least {next:.2} would be by \
                 what is left"
            ),
            OverBudget::UnknownPrice { budget } => write!(
                f,
                "`budget.usd` is {budget}, and what the instances cost is not known"
            ),
        }
    }
}

impl std::error::Error for OverBudget {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn hours(instance_hours: f64) -> Spent {
        Spent {
            instance_hours,
            usd: None,
        }
    }

    #[test]
    fn every_instance_is_billed_for_the_whole_job() {
        let jobs = [
            BilledJob {
                instances: 4,
                seconds: 1800.0,
            },
            BilledJob {
                instances: 1,
                seconds: 3600.0,
            },
            BilledJob {
                instances: 9,
                seconds: f64::NAN,
            },
            BilledJob {
                instances: 9,
                seconds: -5.0,
            },
        ];
        let total = spent(jobs, Some(0.5));
        assert_eq!((total.instance_hours, total.usd), (3.0, Some(1.5)));
        assert_eq!(spent(jobs, None).usd, None);
    }

    #[test]
    fn a_budget_is_kept_to_the_last_cent_and_no_further() {
        let budget = Budget {
            instance_hours: Some(3.0),
            usd: None,
        };
        assert_eq!(budget.check(hours(2.0), hours(1.0)), Ok(()));
        let over = budget.check(hours(2.0), hours(1.5)).unwrap_err();
        insta::assert_snapshot!(over, @"`budget.instance_hours` is 3; 2.00 are spent, and at least 1.50 would be by what is left");
        let dollars = Budget {
            instance_hours: None,
            usd: Some(10.0),
        };
        let cost = |usd| Spent {
            instance_hours: 1.0,
            usd: Some(usd),
        };
        assert_eq!(dollars.check(cost(4.0), cost(6.0)), Ok(()));
        let over = dollars.check(cost(4.0), cost(6.01)).unwrap_err();
        assert_eq!(over.key(), "budget.usd");
        insta::assert_snapshot!(over, @"`budget.usd` is 10; 4.00 is spent, and at least 6.01 would be by what is left");
    }

    #[test]
    fn dollars_that_nobody_can_count_are_not_kept() {
        let dollars = Budget {
            instance_hours: None,
            usd: Some(10.0),
        };
        let over = dollars.check(hours(0.0), hours(1.0)).unwrap_err();
        assert_eq!(over, OverBudget::UnknownPrice { budget: 10.0 });
        assert_eq!(Budget::default().check(hours(9.0), hours(9.0)), Ok(()));
    }
}
