//! A parallel map whose results come in the order of the source.
//!
//! One thread makes items, `threads` threads map them, and the caller's thread takes results in
//! order. So many items are under way at once as there are threads, and some more that wait, which
//! bounds memory. No rayon task is involved, so none can wait here.

use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::error::TabularError;

/// An item and where its result goes.
type Work<T, R> = (T, Sender<R>);
/// A result to come, or the error at which the source ended.
type Slot<R> = Result<Receiver<R>, TabularError>;

/// Beside what the threads work on, as many items wait for them or for `take` at most: enough that none
/// of the three waits for another where each takes about as long for an item.
pub(crate) const AHEAD: usize = 2;

/// Runs `source` until it gives `None`, `map` on each item in parallel, and `take` on each result in
/// order. The first error in that order ends everything.
pub(crate) fn ordered_map<T: Send, R: Send>(
    threads: usize,
    ahead: usize,
    source: impl FnMut() -> Result<Option<T>, TabularError> + Send,
    map: impl Fn(T) -> R + Sync,
    mut take: impl FnMut(R) -> Result<(), TabularError>,
) -> Result<(), TabularError> {
    let threads = threads.max(1);
    thread::scope(|scope| {
        let (slots, in_order) = sync_channel::<Slot<R>>(threads + ahead);
        let (work, queue) = sync_channel::<Work<T, R>>(threads + ahead);
        let queue = Mutex::new(queue);
        let queue = std::sync::Arc::new(queue);
        scope.spawn(move || feed(source, &work, &slots));
        for _ in 0..threads {
            let queue = std::sync::Arc::clone(&queue);
            let map = &map;
            scope.spawn(move || mill(&queue, map));
        }
        drop(queue);
        // Leaving this loop early drops `in_order`; the feeder then stops and the others run dry.
        for slot in in_order {
            let result = slot?
                .recv()
                .map_err(|_| TabularError::Internal("a worker ended early".into()))?;
            take(result)?;
        }
        Ok(())
    })
}

fn feed<T, R>(
    mut source: impl FnMut() -> Result<Option<T>, TabularError>,
    work: &SyncSender<Work<T, R>>,
    slots: &SyncSender<Slot<R>>,
) {
    loop {
        match source() {
            Ok(Some(item)) => {
                let (done, result) = channel();
                if slots.send(Ok(result)).is_err() || work.send((item, done)).is_err() {
                    return;
                }
            }
            Ok(None) => return,
            Err(error) => {
                // A send fails only if the taker has gone with an earlier error.
                let _ = slots.send(Err(error));
                return;
            }
        }
    }
}

fn mill<T, R>(queue: &Mutex<Receiver<Work<T, R>>>, map: &(impl Fn(T) -> R + Sync)) {
    loop {
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((item, done)) = next else { return };
        let _ = done.send(map(item));
    }
}
