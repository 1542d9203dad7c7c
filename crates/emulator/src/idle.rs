//! Is the emulator in use?

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Counts what is under way: requests, and running jobs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Activity {
    inner: Arc<Mutex<Count>>,
}

#[derive(Debug)]
struct Count {
    under_way: u64,
    last: Instant,
}

impl Default for Count {
    fn default() -> Self {
        Self {
            under_way: 0,
            last: Instant::now(),
        }
    }
}

/// As long as it lives, the emulator is in use.
#[derive(Debug)]
pub(crate) struct ActivityGuard(Activity);

impl Activity {
    /// Something begins; it ends when the guard is dropped.
    pub(crate) fn begin(&self) -> ActivityGuard {
        self.change(|count| count.under_way += 1);
        ActivityGuard(self.clone())
    }

    fn change(&self, change: impl FnOnce(&mut Count)) {
        let mut count = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut count);
        count.last = Instant::now();
    }

    /// For how long nothing was under way; zero while something is.
    pub(crate) fn idle_for(&self) -> Duration {
        let count = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if count.under_way > 0 {
            Duration::ZERO
        } else {
            count.last.elapsed()
        }
    }

    /// Returns when nothing was under way for `limit`.
    pub(crate) async fn idle(&self, limit: Duration) {
        loop {
            let left = limit.saturating_sub(self.idle_for());
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left).await;
        }
    }
}

impl Drop for ActivityGuard {
    fn drop(&mut self) {
        self.0
            .change(|count| count.under_way = count.under_way.saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nothing_is_idle_while_a_guard_lives() {
        let activity = Activity::default();
        let (first, second) = (activity.begin(), activity.begin());
        drop(first);
        assert_eq!(activity.idle_for(), Duration::ZERO);
        drop(second);
        activity.idle(Duration::from_millis(5)).await;
        assert!(activity.idle_for() >= Duration::from_millis(5));
    }
}
