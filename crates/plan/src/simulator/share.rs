//! Objects, the requests that they become, and the instances that they go to.

use super::Distribution;

/// One shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Object {
    /// Rows, all of one size.
    pub rows: u64,
    /// Bytes of them all, as the service splits them: not compressed.
    pub bytes: u64,
}

/// `rows` in `count` objects of one size, give or take a row. None if there are no rows; never
/// more than there are rows.
pub fn equal_objects(rows: u64, bytes: u64, count: u64) -> Vec<Object> {
    let count = count.clamp(u64::from(rows > 0), rows);
    let part = |total: u64, i: u64| {
        let end = |i| u128::from(total) * u128::from(i) / u128::from(count);
        u64::try_from(end(i + 1) - end(i)).unwrap_or(u64::MAX)
    };
    let object = |i| Object {
        rows: part(rows, i),
        bytes: part(bytes, i),
    };
    (0..count).map(object).collect()
}

/// How an object becomes requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// It is one (`SplitType` none, or no limit of the payload).
    Whole,
    /// As many rows as fit in so many bytes, at least one (`MultiRecord`).
    Payload(u64),
    /// A row each (`SingleRecord`).
    Record,
}

impl Cut {
    /// Rows of every request of an object but the last.
    fn rows_each(self, object: &Object) -> u64 {
        let rows = match self {
            Cut::Whole => object.rows,
            Cut::Record => 1,
            Cut::Payload(limit) => {
                let fit =
                    u128::from(limit) * u128::from(object.rows) / u128::from(object.bytes.max(1));
                u64::try_from(fit).unwrap_or(u64::MAX)
            }
        };
        rows.max(1)
    }

    /// Requests of an object; none if it is empty.
    pub fn requests(self, object: &Object) -> u64 {
        object.rows.div_ceil(self.rows_each(object))
    }

    /// The rows and bytes of the next step of an object of which `sent` rows were sent, and the
    /// requests that it stands for, at most `stride`.
    pub(super) fn next(self, object: &Object, sent: u64, stride: u64) -> Step {
        let each = self.rows_each(object);
        let rows = each.saturating_mul(stride).min(object.rows - sent);
        let bytes = u128::from(object.bytes) * u128::from(rows) / u128::from(object.rows.max(1));
        Step {
            rows,
            bytes: u64::try_from(bytes).unwrap_or(u64::MAX),
            requests: rows.div_ceil(each),
        }
    }
}

/// One request, or several that follow one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) rows: u64,
    pub(super) bytes: u64,
    pub(super) requests: u64,
}

/// Which objects each instance has, by their index, in order; `None` where that is not settled
/// before they run.
pub(super) fn shares(
    distribution: Distribution,
    objects: usize,
    instances: usize,
) -> Option<Vec<Vec<usize>>> {
    let mut shares = vec![Vec::new(); instances];
    for object in 0..objects {
        let instance = match distribution {
            Distribution::Contiguous => object * instances / objects,
            Distribution::RoundRobin => object % instances,
            Distribution::One => 0,
            Distribution::Queue => return None,
        };
        shares[instance].push(object);
    }
    Some(shares)
}
