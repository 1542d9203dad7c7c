//! Which instance did what and when, written down for those who want to know how a job was spread:
//! `<dir>/sagemaker/work/<job>.json`. The service tells nobody.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use serde::Serialize;

use super::{lock, records};

/// The work of a job. Clones share it; times are seconds since it was made.
#[derive(Clone)]
pub(crate) struct Work {
    began: Instant,
    instances: Arc<Mutex<Vec<InstanceWork>>>,
}

#[derive(Debug, Default, Serialize)]
struct InstanceWork {
    instance: usize,
    /// As in the names of its log streams; none where it was not started, as there was nothing to do.
    id: Option<String>,
    /// From when on its container answered.
    ready_seconds: Option<f64>,
    /// For how long at least one request was under way.
    busy_seconds: f64,
    /// The sum of all requests' times.
    request_seconds: f64,
    /// Each try is one.
    requests: u64,
    /// In the order in which they were begun.
    objects: Vec<ObjectWork>,
    #[serde(skip)]
    under_way: u64,
    #[serde(skip)]
    busy_since: f64,
}

#[derive(Debug, Serialize)]
struct ObjectWork {
    key: String,
    began_seconds: f64,
    ended_seconds: Option<f64>,
    requests: u64,
    outcome: Option<&'static str>,
}

/// The work of one instance.
#[derive(Clone)]
pub(crate) struct InstanceMeter {
    work: Work,
    instance: usize,
}

/// A request under way; it ends when this is dropped.
pub(crate) struct RequestMeter {
    meter: InstanceMeter,
    began: f64,
}

impl Work {
    /// Of a job of so many instances.
    pub(crate) fn new(instances: usize) -> Self {
        let of = |instance| InstanceWork {
            instance,
            ..InstanceWork::default()
        };
        Self {
            began: Instant::now(),
            instances: Arc::new(Mutex::new((0..instances).map(of).collect())),
        }
    }

    fn now(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    /// That instance, which was given the id of its log streams.
    pub(crate) fn instance(&self, instance: usize, id: &str) -> InstanceMeter {
        let meter = InstanceMeter {
            work: self.clone(),
            instance,
        };
        meter.change(|work, _| work.id = Some(id.to_owned()));
        meter
    }

    /// Writes it down. That it cannot be is no reason for a job to fail.
    pub(crate) fn write(&self, path: &Path) {
        let seconds = self.now();
        let instances = lock(&self.instances);
        let document = serde_json::json!({ "seconds": seconds, "instances": *instances });
        if let Some(folder) = path.parent() {
            let _ = std::fs::create_dir_all(folder);
        }
        let _ = records::write(path, &document);
    }
}

impl InstanceMeter {
    fn change<T: Default>(&self, change: impl FnOnce(&mut InstanceWork, f64) -> T) -> T {
        let now = self.work.now();
        let mut instances = lock(&self.work.instances);
        let work = instances.get_mut(self.instance);
        work.map(|work| change(work, now)).unwrap_or_default()
    }

    /// The container answers.
    pub(crate) fn ready(&self) {
        self.change(|work, now| work.ready_seconds = Some(now));
    }

    /// An object is begun; its number.
    pub(crate) fn object(&self, key: &str) -> usize {
        self.change(|work, now| {
            work.objects.push(ObjectWork {
                key: key.to_owned(),
                began_seconds: now,
                ended_seconds: None,
                requests: 0,
                outcome: None,
            });
            work.objects.len() - 1
        })
    }

    /// An object is done.
    pub(crate) fn object_ends(&self, object: usize, outcome: &'static str) {
        self.change(|work, now| {
            if let Some(object) = work.objects.get_mut(object) {
                object.ended_seconds = Some(now);
                object.outcome = Some(outcome);
            }
        });
    }

    /// A request about an object begins.
    pub(crate) fn request(&self, object: usize) -> RequestMeter {
        let began = self.change(|work, now| {
            work.requests += 1;
            if let Some(object) = work.objects.get_mut(object) {
                object.requests += 1;
            }
            if work.under_way == 0 {
                work.busy_since = now;
            }
            work.under_way += 1;
            now
        });
        RequestMeter {
            meter: self.clone(),
            began,
        }
    }
}

impl Drop for RequestMeter {
    fn drop(&mut self) {
        let began = self.began;
        self.meter.change(|work, now| {
            work.request_seconds += now - began;
            work.under_way = work.under_way.saturating_sub(1);
            if work.under_way == 0 {
                work.busy_seconds += now - work.busy_since;
            }
        });
    }
}
