//! How fast scoring is taken to be where nobody has measured it.

use serde::{Deserialize, Serialize};

use crate::instance_types::{Machine, machine};
use crate::simulator::Pace;

/// From the least to the most.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Range {
    /// The least.
    pub low: f64,
    /// The most.
    pub high: f64,
}

impl Range {
    /// Around two numbers.
    pub fn of(a: f64, b: f64) -> Range {
        Range {
            low: a.min(b),
            high: a.max(b),
        }
    }

    /// Around both.
    #[must_use]
    pub fn and(self, other: Range) -> Range {
        Range {
            low: self.low.min(other.low),
            high: self.high.max(other.high),
        }
    }

    /// Both ends times a number that is not negative.
    #[must_use]
    pub fn times(self, factor: f64) -> Range {
        Range {
            low: self.low * factor,
            high: self.high * factor,
        }
    }
}

/// Rows that one worker of a fast model scores in a second: trees over a few dozen columns.
pub const FAST_ROWS_PER_SECOND: f64 = 20_000.0;
/// The same of a slow one: a network that reads texts.
pub const SLOW_ROWS_PER_SECOND: f64 = 200.0;

/// The two ends between which a run is expected to be. None of it is measured and none of it is
/// AWS's word, but for the workers, of which there is taken to be one a vCPU or accelerator.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Assumptions {
    /// A fast model on an instance that comes soon.
    pub fast: Pace,
    /// A slow model on one that comes late.
    pub slow: Pace,
    /// Bytes of shards that are written and uploaded in a second, at the slow end and the fast.
    pub prepared_bytes_per_second: Range,
}

impl Assumptions {
    /// For instances of a type. `rows_per_second` is what one instance scores, where it is known.
    pub fn of(instance_type: &str, rows_per_second: Option<Range>) -> Assumptions {
        let workers = machine(instance_type).map_or(1, Machine::workers).max(1);
        let row_s = |known: Option<f64>, assumed: f64| match known {
            Some(rate) if rate > 0.0 => f64::from(workers) / rate,
            _ => 1.0 / assumed,
        };
        let fast = Pace {
            provision_s: 120.0,
            start_s: 30.0,
            request_s: 0.005,
            row_s: row_s(rows_per_second.map(|r| r.high), FAST_ROWS_PER_SECOND),
            byte_s: 1.0 / 200e6,
            workers,
        };
        let slow = Pace {
            provision_s: 300.0,
            start_s: 180.0,
            request_s: 0.05,
            row_s: row_s(rows_per_second.map(|r| r.low), SLOW_ROWS_PER_SECOND),
            byte_s: 1.0 / 50e6,
            workers,
        };
        let prepared_bytes_per_second = Range {
            low: 20e6,
            high: 200e6,
        };
        Assumptions {
            fast,
            slow,
            prepared_bytes_per_second,
        }
    }
}
