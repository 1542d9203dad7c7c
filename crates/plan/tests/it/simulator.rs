//! The simulator against closed forms, and against another that only knows how to wait.

use gristmill_plan::simulator::{
    Cut, Distribution, Job, Object, Objects, Outcome, Pace, Service, equal_objects, simulate,
};
use proptest::prelude::*;

/// Ten seconds until a container answers, of which four are not billed.
const PACE: Pace = Pace {
    provision_s: 4.0,
    start_s: 6.0,
    request_s: 0.0,
    row_s: 1.0,
    byte_s: 0.0,
    workers: 1,
};

fn job(objects: &[u64], instances: u32, concurrency: u32) -> Job {
    let object = |rows: &u64| Object {
        rows: *rows,
        bytes: rows * 10,
    };
    Job {
        objects: objects.iter().map(object).collect(),
        cut: Cut::Whole,
        instances,
        concurrency,
        created_s: 0.0,
    }
}

fn run(job: &Job, pace: Pace, distribution: Distribution) -> Outcome {
    simulate(std::slice::from_ref(job), &pace, Service::of(distribution))
}

/// Seconds from when the containers answer.
fn work_s(outcome: &Outcome) -> f64 {
    outcome.wall_s() - 10.0
}

#[test]
fn equal_requests_take_a_round_for_each_filled_set_of_workers() {
    for (requests, workers, concurrency) in
        [(1, 1, 1), (7, 3, 9), (7, 9, 3), (12, 4, 4), (13, 4, 4)]
    {
        let pace = Pace { workers, ..PACE };
        let outcome = run(
            &job(&vec![5; requests], 1, concurrency),
            pace,
            Distribution::One,
        );
        let at_once = workers.min(concurrency) as usize;
        assert_eq!(work_s(&outcome), 5.0 * requests.div_ceil(at_once) as f64);
        assert_eq!(outcome.requests(), requests as u64);
    }
}

#[test]
fn what_a_request_costs_beside_its_rows_is_hidden_by_a_second_slot() {
    // Each takes 2 s outside the worker and 3 s in it.
    let pace = Pace {
        request_s: 2.0,
        row_s: 3.0,
        ..PACE
    };
    let one_slot = run(&job(&[1; 10], 1, 1), pace, Distribution::One);
    assert_eq!(work_s(&one_slot), 10.0 * (2.0 + 3.0));
    let two_slots = run(&job(&[1; 10], 1, 2), pace, Distribution::One);
    assert_eq!(work_s(&two_slots), 2.0 + 10.0 * 3.0);
}

#[test]
fn every_byte_takes_its_time() {
    let pace = Pace {
        row_s: 0.0,
        byte_s: 0.1,
        ..PACE
    };
    assert_eq!(
        work_s(&run(&job(&[7, 3], 1, 1), pace, Distribution::One)),
        10.0
    );
}

#[test]
fn objects_go_to_instances_as_the_switch_says() {
    let of = |distribution, objects: &[u64]| {
        let outcome = run(&job(objects, 3, 1), PACE, distribution);
        outcome.jobs[0].busy_s.clone()
    };
    let objects = [1, 2, 3, 4, 5, 6, 7];
    assert_eq!(
        of(Distribution::Contiguous, &objects),
        [1.0 + 2.0 + 3.0, 4.0 + 5.0, 6.0 + 7.0]
    );
    assert_eq!(
        of(Distribution::RoundRobin, &objects),
        [1.0 + 4.0 + 7.0, 2.0 + 5.0, 3.0 + 6.0]
    );
    assert_eq!(of(Distribution::One, &objects), [28.0, 0.0, 0.0]);
    // 1, 2, 3 at first; the first that is free takes 4, then 5, and so on.
    assert_eq!(
        of(Distribution::Queue, &objects),
        [1.0 + 4.0 + 7.0, 2.0 + 5.0, 3.0 + 6.0]
    );
    assert_eq!(
        of(Distribution::Queue, &[9, 1, 1, 1, 1]),
        [9.0, 1.0 + 1.0, 1.0 + 1.0]
    );
}

#[test]
fn idle_instances_are_billed_like_busy_ones() {
    let outcome = run(&job(&[4, 4], 5, 1), PACE, Distribution::RoundRobin);
    let job = &outcome.jobs[0];
    assert_eq!((job.idle, job.begins_s, job.ends_s), (3, 4.0, 14.0));
    assert_eq!(job.billed_s(), 5.0 * 10.0);
    assert_eq!(outcome.time_by_cost(), 14.0 * 50.0);
}

#[test]
fn objects_one_by_one_wait_for_each_others_last_request() {
    let mut job = job(&[4, 4], 1, 3);
    job.cut = Cut::Payload(10);
    let pace = Pace { workers: 3, ..PACE };
    let service = |objects| Service {
        distribution: Distribution::One,
        objects,
    };
    // 8 rows in 3 workers, or twice 4 in 3.
    let overlapping = simulate(&[job.clone()], &pace, service(Objects::Overlap));
    assert_eq!(work_s(&overlapping), 3.0);
    assert_eq!(
        work_s(&simulate(&[job], &pace, service(Objects::OneByOne))),
        4.0
    );
}

#[test]
fn a_request_holds_whole_rows_of_one_object() {
    let object = |rows, bytes| Object { rows, bytes };
    assert_eq!(Cut::Payload(100).requests(&object(10, 500)), 5);
    assert_eq!(Cut::Payload(149).requests(&object(10, 500)), 5);
    assert_eq!(Cut::Payload(150).requests(&object(10, 500)), 4);
    // A row that does not fit is sent all the same: whether it may be is not asked here.
    assert_eq!(Cut::Payload(1).requests(&object(10, 500)), 10);
    assert_eq!(Cut::Record.requests(&object(10, 500)), 10);
    assert_eq!(Cut::Whole.requests(&object(10, 500)), 1);
    assert_eq!(Cut::Whole.requests(&object(0, 0)), 0);
}

#[test]
fn nothing_to_do_takes_no_work() {
    let outcome = run(&job(&[], 2, 1), PACE, Distribution::Contiguous);
    assert_eq!(
        (work_s(&outcome), outcome.requests(), outcome.idle()),
        (0.0, 0, 2)
    );
    let outcome = run(&job(&[0, 0], 2, 1), PACE, Distribution::Queue);
    assert_eq!(
        (work_s(&outcome), outcome.requests(), outcome.idle()),
        (0.0, 0, 2)
    );
    assert_eq!(
        simulate(&[], &PACE, Service::of(Distribution::One)).wall_s(),
        0.0
    );
}

#[test]
fn jobs_begin_when_they_are_created_and_are_billed_one_by_one() {
    let first = job(&[5], 1, 1);
    let second = Job {
        created_s: 100.0,
        ..job(&[3], 2, 1)
    };
    let outcome = simulate(&[first, second], &PACE, Service::of(Distribution::Queue));
    assert_eq!(outcome.wall_s(), 100.0 + 10.0 + 3.0);
    assert_eq!(outcome.billed_s(), (6.0 + 5.0) + 2.0 * (6.0 + 3.0));
}

#[test]
fn many_requests_are_taken_together_and_come_to_the_same() {
    let pace = Pace {
        request_s: 0.01,
        row_s: 0.001,
        workers: 4,
        ..PACE
    };
    let mut many = job(&[1_000_000; 4], 2, 4);
    many.cut = Cut::Record;
    let outcome = run(&many, pace, Distribution::RoundRobin);
    assert_eq!(outcome.requests(), 4_000_000);
    // Four slots an instance, each 2,000,000 ÷ 4 requests of 11 ms.
    let expected = 2_000_000.0 / 4.0 * 0.011;
    assert!(
        (work_s(&outcome) / expected - 1.0).abs() < 0.001,
        "{}",
        work_s(&outcome)
    );
}

/// The same question, answered by a clock that ticks through every second and looks at everything.
/// It knows no events, and none of the simulator's types but the answer's meaning.
mod ticking {
    /// A request under way: seconds to go outside the worker, then in it.
    #[derive(Clone, Copy)]
    struct Sent {
        outside: u64,
        inside: u64,
        in_worker: bool,
    }

    #[derive(Default)]
    struct Machine {
        sent: Vec<Sent>,
        requests: Vec<(u64, u64)>,
        busy: u64,
        had: u64,
    }

    pub(super) struct Question {
        /// Of each object, what each request takes outside and inside.
        pub(super) objects: Vec<Vec<(u64, u64)>>,
        pub(super) machines: usize,
        pub(super) slots: usize,
        pub(super) workers: usize,
        pub(super) one_by_one: bool,
    }

    /// The second in which all is done, and each machine's busy seconds and objects. `whose` is
    /// the machine of an object, or `None` for whichever has room.
    pub(super) fn answer(
        question: &Question,
        whose: impl Fn(usize) -> Option<usize>,
    ) -> (u64, Vec<u64>, Vec<u64>) {
        let mut machines: Vec<Machine> =
            (0..question.machines).map(|_| Machine::default()).collect();
        let mut waiting: Vec<usize> = (0..question.objects.len()).collect();
        let mut now = 0;
        loop {
            settle(question, &mut machines, &mut waiting, &whose);
            if machines.iter().all(|machine| machine.sent.is_empty()) {
                let busy = machines.iter().map(|m| m.busy).collect();
                return (now, busy, machines.iter().map(|m| m.had).collect());
            }
            for machine in &mut machines {
                machine.busy += u64::from(!machine.sent.is_empty());
                for sent in &mut machine.sent {
                    if sent.outside > 0 {
                        sent.outside -= 1;
                    } else if sent.in_worker {
                        sent.inside -= 1;
                    }
                }
            }
            now += 1;
        }
    }

    /// Everything that can happen without time passing.
    fn settle(
        question: &Question,
        machines: &mut [Machine],
        waiting: &mut Vec<usize>,
        whose: &impl Fn(usize) -> Option<usize>,
    ) {
        loop {
            for machine in machines.iter_mut() {
                machine
                    .sent
                    .retain(|sent| sent.outside > 0 || !sent.in_worker || sent.inside > 0);
                while machine.sent.iter().filter(|sent| sent.in_worker).count() < question.workers {
                    // Those that have reached the container first go first.
                    let next = machine
                        .sent
                        .iter()
                        .position(|s| s.outside == 0 && !s.in_worker);
                    let Some(next) = next else { break };
                    let mut sent = machine.sent.remove(next);
                    sent.in_worker = true;
                    if sent.inside > 0 {
                        machine.sent.push(sent);
                    }
                }
            }
            let mut sent_any = false;
            for (index, machine) in machines.iter_mut().enumerate() {
                if machine.sent.len() >= question.slots {
                    continue;
                }
                if machine.requests.is_empty() && (!question.one_by_one || machine.sent.is_empty())
                {
                    let next = waiting
                        .iter()
                        .position(|o| whose(*o).is_none_or(|m| m == index));
                    if let Some(next) = next {
                        machine.requests = question.objects[waiting.remove(next)].clone();
                        machine.had += 1;
                    }
                }
                if !machine.requests.is_empty() {
                    let (outside, inside) = machine.requests.remove(0);
                    machine.sent.push(Sent {
                        outside,
                        inside,
                        in_worker: false,
                    });
                    sent_any = true;
                }
            }
            if !sent_any {
                return;
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_clock_that_ticks_agrees(
        objects in prop::collection::vec(1u64..9, 0..12),
        payload in 1u64..5,
        machines in 1u32..5,
        slots in 1u32..5,
        workers in 1u32..5,
        outside in 0u32..3,
        inside in 1u32..4,
        distribution in prop::sample::select(Distribution::ALL.to_vec()),
        one_by_one in any::<bool>(),
    ) {
        // All requests take the same time outside, so that those sent first arrive first.
        let pace = Pace {
            provision_s: 4.0,
            start_s: 6.0,
            request_s: f64::from(outside),
            row_s: f64::from(inside),
            byte_s: 0.0,
            workers,
        };
        let mut asked = job(&objects, machines, slots);
        asked.cut = Cut::Payload(payload * 10);
        let switch = if one_by_one { Objects::OneByOne } else { Objects::Overlap };
        let outcome = simulate(&[asked], &pace, Service { distribution, objects: switch });
        let cut = |rows: &u64| {
            let mut left = *rows;
            let mut requests = Vec::new();
            while left > 0 {
                let some = left.min(payload);
                requests.push((u64::from(outside), some * u64::from(inside)));
                left -= some;
            }
            requests
        };
        let question = ticking::Question {
            objects: objects.iter().map(cut).collect(),
            machines: machines as usize,
            slots: slots as usize,
            workers: workers as usize,
            one_by_one,
        };
        let (count, of) = (objects.len(), machines as usize);
        let (end, busy, had) = ticking::answer(&question, |object| match distribution {
            Distribution::Contiguous => Some(object * of / count),
            Distribution::RoundRobin => Some(object % of),
            Distribution::One => Some(0),
            Distribution::Queue => None,
        });
        prop_assert_eq!(work_s(&outcome), end as f64);
        let busy: Vec<f64> = busy.into_iter().map(|s| s as f64).collect();
        prop_assert_eq!(&outcome.jobs[0].busy_s, &busy);
        prop_assert_eq!(outcome.idle() as usize, had.iter().filter(|n| **n == 0).count());
    }

    #[test]
    fn no_schedule_beats_the_work_there_is(
        rows in 1u64..5_000,
        count in 1u64..40,
        machines in 1u32..6,
        slots in 1u32..6,
        workers in 1u32..6,
        distribution in prop::sample::select(Distribution::ALL.to_vec()),
    ) {
        let objects = equal_objects(rows, rows * 7, count);
        prop_assert_eq!(objects.iter().map(|o| o.rows).sum::<u64>(), rows);
        prop_assert_eq!(objects.iter().map(|o| o.bytes).sum::<u64>(), rows * 7);
        prop_assert_eq!(objects.len() as u64, count.min(rows));
        let pace = Pace { row_s: 0.01, workers, ..PACE };
        let asked = Job { objects, cut: Cut::Payload(350), instances: machines, concurrency: slots, created_s: 0.0 };
        let outcome = run(&asked, pace, distribution);
        let at_once = machines * workers.min(slots);
        prop_assert!(work_s(&outcome) * f64::from(at_once) >= rows as f64 * 0.01 - 1e-6);
        prop_assert!(work_s(&outcome) <= rows as f64 * 0.01 + 1e-6);
    }
}
