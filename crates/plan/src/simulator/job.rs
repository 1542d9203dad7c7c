//! One job, event by event.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use super::share::{Step, shares};
use super::{Distribution, Job, Micros, Objects, Pace, Service, micros};

/// What came of a job, in microseconds from when its containers answer.
pub(super) struct Ran {
    pub(super) end: Micros,
    /// Of each instance.
    pub(super) busy: Vec<Micros>,
    /// Objects of each instance.
    pub(super) objects: Vec<u64>,
}

/// Runs it. `stride` requests are one step.
pub(super) fn run(job: &Job, pace: &Pace, service: Service, stride: u64) -> Ran {
    let mut world = World::new(job, pace, service, stride);
    world.dispatch();
    while let Some(Reverse(event)) = world.events.pop() {
        world.now = event.at;
        world.happen(&event);
        // All that happens at one instant is done before anything new begins.
        let next = world.events.peek();
        if next.is_none_or(|Reverse(next)| next.at > world.now) {
            world.dispatch();
        }
    }
    let end = world.now;
    let instances = world.instances.into_iter();
    let (busy, objects) = instances.map(|i| (i.busy, i.objects)).unzip();
    Ran { end, busy, objects }
}

/// Something that ends. In the order of time, then of creation.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Event {
    at: Micros,
    sequence: u64,
    instance: usize,
    kind: Kind,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// A request has reached the container; its rows will take so long.
    Arrived(Micros),
    /// A worker has answered.
    Answered,
}

/// One machine and its container.
struct Instance {
    /// Slots without a request.
    slots: u32,
    /// Workers without one.
    workers: u32,
    /// Requests in the container that no worker has yet: how long each will take.
    line: VecDeque<Micros>,
    /// Objects that are its own, by their index.
    own: VecDeque<usize>,
    /// The object that it sends, and how many of its rows it has sent.
    current: Option<(usize, u64)>,
    /// Objects that it has had.
    objects: u64,
    busy: Micros,
    /// Since when a request has been under way.
    since: Micros,
}

struct World<'a> {
    job: &'a Job,
    pace: &'a Pace,
    service: Service,
    stride: u64,
    now: Micros,
    sequence: u64,
    events: BinaryHeap<Reverse<Event>>,
    instances: Vec<Instance>,
    /// Objects that whoever has room may take.
    queue: VecDeque<usize>,
}

impl<'a> World<'a> {
    fn new(job: &'a Job, pace: &'a Pace, service: Service, stride: u64) -> World<'a> {
        let count = job.instances.max(1) as usize;
        let total = job.objects.len();
        let settled = shares(service.distribution, total, count);
        let has_rows = |object: &usize| job.objects[*object].rows > 0;
        let queue = match settled {
            Some(_) => VecDeque::new(),
            None => (0..total).filter(has_rows).collect(),
        };
        let own = settled.unwrap_or_else(|| vec![Vec::new(); count]);
        let own = own
            .into_iter()
            .map(|own| own.into_iter().filter(has_rows).collect());
        let instance = |own: VecDeque<usize>| Instance {
            slots: job.concurrency.max(1),
            workers: pace.workers.max(1),
            line: VecDeque::new(),
            own,
            current: None,
            objects: 0,
            busy: 0,
            since: 0,
        };
        World {
            job,
            pace,
            service,
            stride,
            now: 0,
            sequence: 0,
            events: BinaryHeap::new(),
            instances: own.map(instance).collect(),
            queue,
        }
    }

    /// Fills the slots, one of each instance in turn, so that none takes more of the queue than
    /// others only because it was asked first.
    fn dispatch(&mut self) {
        let mut more = true;
        while more {
            more = false;
            for instance in 0..self.instances.len() {
                if let Some(step) = self.next_step(instance) {
                    self.send(instance, step);
                    more = true;
                }
            }
        }
    }

    /// The next request of an instance with a free slot.
    fn next_step(&mut self, index: usize) -> Option<Step> {
        let slots = self.job.concurrency.max(1);
        let one_by_one = self.service.objects == Objects::OneByOne;
        let instance = &mut self.instances[index];
        if instance.slots == 0 {
            return None;
        }
        if instance.current.is_none() {
            if one_by_one && instance.slots < slots {
                return None;
            }
            let next = match self.service.distribution {
                Distribution::Queue => self.queue.pop_front(),
                _ => instance.own.pop_front(),
            };
            instance.current = next.map(|object| (object, 0));
            instance.objects += u64::from(next.is_some());
        }
        let (object, sent) = instance.current?;
        let known = &self.job.objects[object];
        let step = self.job.cut.next(known, sent, self.stride);
        let sent = sent + step.rows;
        instance.current = (sent < known.rows).then_some((object, sent));
        Some(step)
    }

    fn send(&mut self, index: usize, step: Step) {
        let instance = &mut self.instances[index];
        if instance.slots == self.job.concurrency.max(1) {
            instance.since = self.now;
        }
        instance.slots -= 1;
        let outside =
            self.pace.request_s * real(step.requests) + self.pace.byte_s * real(step.bytes);
        let inside = micros(self.pace.row_s * real(step.rows));
        self.push(index, micros(outside), Kind::Arrived(inside));
    }

    fn happen(&mut self, event: &Event) {
        let instance = &mut self.instances[event.instance];
        match event.kind {
            Kind::Arrived(takes) => instance.line.push_back(takes),
            Kind::Answered => {
                instance.workers += 1;
                instance.slots += 1;
                if instance.slots == self.job.concurrency.max(1) {
                    instance.busy += self.now - instance.since;
                }
            }
        }
        if instance.workers > 0
            && let Some(takes) = instance.line.pop_front()
        {
            instance.workers -= 1;
            self.push(event.instance, takes, Kind::Answered);
        }
    }

    fn push(&mut self, instance: usize, takes: Micros, kind: Kind) {
        self.sequence += 1;
        self.events.push(Reverse(Event {
            at: self.now.saturating_add(takes),
            sequence: self.sequence,
            instance,
            kind,
        }));
    }
}

#[expect(clippy::cast_precision_loss, reason = "an estimate")]
fn real(n: u64) -> f64 {
    n as f64
}
