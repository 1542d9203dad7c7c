//! Waiting for a job to be let in: the account's instances are all in use (`ResourceLimitExceeded`),
//! or too many requests were made (`ThrottlingException` after all attempts of the request).

use std::time::{Duration, Instant};

use gristmill_plan::format_duration;

/// Before the service is asked again: doubled each time, up to the most, half of it at random, so that
/// many runs do not ask at the same moment.
const PAUSE_FIRST: Duration = Duration::from_secs(15);
const PAUSE_MOST: Duration = Duration::from_secs(300);
/// The same for the embedded service.
const LOCAL_PAUSE_FIRST: Duration = Duration::from_millis(100);
const LOCAL_PAUSE_MOST: Duration = Duration::from_secs(2);

/// How long the service has been saying "not now", and when it is asked again.
#[derive(Debug)]
pub(crate) struct Capacity {
    local: bool,
    since: Option<Instant>,
    tries: u32,
    next: Option<Instant>,
}

impl Capacity {
    pub(crate) fn new(local: bool) -> Self {
        Self {
            local,
            since: None,
            tries: 0,
            next: None,
        }
    }

    /// When the service may be asked; `None`: at once.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.next
    }

    /// Whether the last answer was "not now".
    pub(crate) fn is_refused(&self) -> bool {
        self.since.is_some()
    }

    /// A job was let in, or one of ours has ended and made room: the waiting begins anew.
    pub(crate) fn changed(&mut self) {
        *self = Self::new(self.local);
    }

    /// The service said "not now". Gives the pause before it is asked again, and how long it has been
    /// saying so.
    pub(crate) fn refused(&mut self) -> (Duration, Duration) {
        let now = Instant::now();
        let pause = self.pause(self.tries, fastrand::f64());
        self.tries += 1;
        self.next = Some(now + pause);
        let since = *self.since.get_or_insert(now);
        (pause, now - since)
    }

    fn pause(&self, tries: u32, random: f64) -> Duration {
        let (first, most) = match self.local {
            true => (LOCAL_PAUSE_FIRST, LOCAL_PAUSE_MOST),
            false => (PAUSE_FIRST, PAUSE_MOST),
        };
        let top = first.saturating_mul(1 << tries.min(16)).min(most);
        top.mul_f64(0.5 + 0.5 * random)
    }
}

/// A duration as people read it, to the second.
pub(crate) fn told(duration: Duration) -> String {
    match duration.as_secs() {
        0 => format!("{} ms", duration.as_millis()),
        seconds => format_duration(seconds),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_five_minutes_and_never_vanish() {
        let capacity = Capacity::new(false);
        let at = |tries| {
            let of = |random| capacity.pause(tries, random).as_secs_f64();
            (of(0.0), of(1.0))
        };
        assert_eq!(at(0), (7.5, 15.0));
        assert_eq!(at(1), (15.0, 30.0));
        assert_eq!((at(5), at(u32::MAX)), ((150.0, 300.0), (150.0, 300.0)));
    }

    #[test]
    fn an_answer_begins_the_waiting_anew() {
        let mut capacity = Capacity::new(true);
        assert!(capacity.next().is_none() && !capacity.is_refused());
        capacity.refused();
        assert!(capacity.next().is_some() && capacity.is_refused());
        capacity.changed();
        assert!(capacity.next().is_none() && !capacity.is_refused());
    }
}
