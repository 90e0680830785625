//! An engine's own threads: the caller and helpers that share the tasks of one job after another.
//! It must not know what runs on them; no result depends on how many there are.
//!
//! A training step is some hundred jobs of 20 µs to some ms. A general pool's threads sleep as soon
//! as they find nothing, and to wake one takes 15-70 µs here, a twentieth of a small network's
//! step: these wait awake for a moment before they sleep: docs/adr/0024-thread-pool.md.

use crate::config::ConfigError;
use std::any::Any;
use std::cell::UnsafeCell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::thread::{self, JoinHandle, Thread};
use std::time::{Duration, Instant};

/// How long a helper waits awake for the next job: longer than the stretches of a step that one
/// thread computes alone, shorter than anybody would miss a core.
const AWAKE: Duration = Duration::from_micros(300);
/// Turns of a waiting loop between two looks at the clock, or between two offers of the core to
/// others.
const TURNS: usize = 64;

/// A team of a fixed number of threads, or another handle of it.
#[derive(Clone)]
pub(crate) struct Threads {
    team: Arc<Team>,
}

impl Threads {
    pub(crate) fn new(threads: usize) -> Result<Self, ConfigError> {
        if threads == 0 {
            return Err(ConfigError::Zero {
                field: "threads".to_owned(),
            });
        }
        let mut team = Team {
            shared: Arc::new(Shared::default()),
            turn: Mutex::new(()),
            helpers: Vec::new(),
        };
        for helper in 1..threads {
            let shared = Arc::clone(&team.shared);
            // Where one can't be started, dropping the team ends those before it.
            let started = thread::Builder::new()
                .name(format!("nn-{helper}"))
                .spawn(move || shared.help())
                .map_err(|e| ConfigError::Threads {
                    threads,
                    reason: e.to_string(),
                })?;
            team.helpers.push(started);
        }
        Ok(Self {
            team: Arc::new(team),
        })
    }

    /// Helpers and the caller.
    pub(crate) fn count(&self) -> usize {
        self.team.helpers.len() + 1
    }

    /// Runs `f(0), ..., f(tasks - 1)`, in any order, each once, and returns when all are done.
    ///
    /// # Panics
    /// With a task's panic, after all others.
    pub(crate) fn each(&self, tasks: usize, f: impl Fn(usize) + Sync) {
        // One job at a time: a task's own tasks, or those of another handle, need no helpers.
        let turn = match self.team.turn.try_lock() {
            // A task's panic went through `run`, which leaves all in order.
            Ok(turn) => Some(turn),
            Err(TryLockError::Poisoned(turn)) => Some(turn.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        };
        if turn.is_some() && tasks > 1 && !self.team.helpers.is_empty() {
            self.team.run(tasks, &f);
        } else {
            (0..tasks).for_each(f);
        }
    }
}

struct Team {
    shared: Arc<Shared>,
    /// Held by whoever has the helpers work.
    turn: Mutex<()>,
    helpers: Vec<JoinHandle<()>>,
}

impl Team {
    /// Runs a job; the caller holds the turn.
    fn run(&self, tasks: usize, f: &(dyn Fn(usize) + Sync)) {
        let shared = &*self.shared;
        let job = Job {
            f: std::ptr::from_ref(f),
            tasks,
        };
        // SAFETY: the door is closed and nobody is inside, so no helper reads the job; only the
        // holder of the turn writes it. The lifetime of `f` is erased: helpers use it inside only,
        // and this function does not return before all have left. A task's panic does not leave
        // `work`.
        unsafe { *shared.job.get() = Some(std::mem::transmute::<Job<'_>, Job<'static>>(job)) };
        shared.next.store(0, Ordering::Relaxed);
        shared.door.store(0, Ordering::Release);
        shared.jobs.fetch_add(1, Ordering::SeqCst);
        self.wake();
        shared.work(job);
        shared.door.fetch_or(CLOSED, Ordering::Relaxed);
        let mut waited = 0;
        while shared.door.load(Ordering::Acquire) != CLOSED {
            wait_a_turn(&mut waited);
        }
        let panic = lock(&shared.panic).take();
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    }

    /// Wakes the helpers that sleep. Either this sees that one is about to, or that one sees the
    /// new job: both look after they have written, in one order for all.
    fn wake(&self) {
        if self.shared.asleep.load(Ordering::SeqCst) > 0 {
            self.helpers
                .iter()
                .map(JoinHandle::thread)
                .for_each(Thread::unpark);
        }
    }
}

impl Drop for Team {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        self.helpers.iter().for_each(|h| h.thread().unpark());
        for helper in self.helpers.drain(..) {
            // Helpers catch every panic of a task.
            let _ = helper.join();
        }
    }
}

/// Tasks that threads take one by one.
#[derive(Clone, Copy)]
struct Job<'a> {
    f: *const (dyn Fn(usize) + Sync + 'a),
    tasks: usize,
}

/// The door's state when no helper may enter; it counts those inside.
const CLOSED: usize = 1 << (usize::BITS - 1);

struct Shared {
    /// Written while the door is closed and nobody is inside, read inside.
    job: UnsafeCell<Option<Job<'static>>>,
    /// The next task that nobody took.
    next: AtomicUsize,
    /// [`CLOSED`], and how many helpers are inside. A helper that comes late finds it closed.
    door: AtomicUsize,
    /// How many jobs there were.
    jobs: AtomicUsize,
    /// How many helpers sleep or are about to.
    asleep: AtomicUsize,
    over: AtomicBool,
    /// A task's.
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

// SAFETY: all but `job` is; that is written by one thread while no other reads it, as `door` sees
// to, and its function may be called from any thread (`Sync`).
unsafe impl Sync for Shared {}
// SAFETY: the job's function is only ever borrowed, and may be from any thread.
unsafe impl Send for Shared {}

impl Default for Shared {
    fn default() -> Self {
        Self {
            job: UnsafeCell::new(None),
            next: AtomicUsize::new(0),
            door: AtomicUsize::new(CLOSED),
            jobs: AtomicUsize::new(0),
            asleep: AtomicUsize::new(0),
            over: AtomicBool::new(false),
            panic: Mutex::new(None),
        }
    }
}

impl Shared {
    /// A helper's life.
    fn help(&self) {
        let mut seen = 0;
        while self.wait_for_job(&mut seen) {
            let entered = self
                .door
                .fetch_update(Ordering::Acquire, Ordering::Relaxed, |door| {
                    (door & CLOSED == 0).then_some(door + 1)
                });
            if entered.is_err() {
                continue;
            }
            // SAFETY: inside, where nobody writes the job.
            if let Some(job) = unsafe { *self.job.get() } {
                self.work(job);
            }
            self.door.fetch_sub(1, Ordering::Release);
        }
    }

    /// Takes tasks until none is left.
    fn work(&self, job: Job<'_>) {
        loop {
            let task = self.next.fetch_add(1, Ordering::Relaxed);
            if task >= job.tasks {
                break;
            }
            // SAFETY: the function lives until everybody has left the job; see `Team::run`.
            let f = unsafe { &*job.f };
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| f(task))) {
                lock(&self.panic).get_or_insert(panic);
            }
        }
    }

    /// Waits for a job after the `seen` first ones, awake at first; false when there will be none.
    fn wait_for_job(&self, seen: &mut usize) -> bool {
        let came = |seen: &mut usize| {
            let jobs = self.jobs.load(Ordering::SeqCst);
            std::mem::replace(seen, jobs) != jobs
        };
        let start = Instant::now();
        loop {
            for _ in 0..TURNS {
                if came(seen) {
                    return true;
                }
                std::hint::spin_loop();
            }
            if self.over.load(Ordering::SeqCst) {
                return false;
            }
            if start.elapsed() >= AWAKE {
                break;
            }
        }
        self.asleep.fetch_add(1, Ordering::SeqCst);
        let came = loop {
            if came(seen) {
                break true;
            }
            if self.over.load(Ordering::SeqCst) {
                break false;
            }
            thread::park();
        };
        self.asleep.fetch_sub(1, Ordering::SeqCst);
        came
    }
}

/// Passes a moment awake; from time to time, and then always, lets others have the core.
fn wait_a_turn(waited: &mut usize) {
    *waited += 1;
    if waited.is_multiple_of(TURNS) || *waited > TURNS * TURNS {
        thread::yield_now();
    } else {
        std::hint::spin_loop();
    }
}

/// What a mutex holds; nothing here panics while it is locked.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(threads: &Threads, tasks: usize) -> Vec<usize> {
        let counts: Vec<AtomicUsize> = (0..tasks).map(|_| AtomicUsize::new(0)).collect();
        threads.each(tasks, |task| {
            counts[task].fetch_add(1, Ordering::Relaxed);
        });
        counts.into_iter().map(AtomicUsize::into_inner).collect()
    }

    #[test]
    fn each_task_runs_once_in_every_one_of_many_jobs() {
        for threads in [1, 2, 5] {
            let threads = Threads::new(threads).unwrap();
            for job in 0..3000 {
                let tasks = job % 7;
                assert_eq!(counts(&threads, tasks), vec![1; tasks]);
            }
        }
    }

    #[test]
    fn helpers_that_fell_asleep_work_again() {
        let threads = Threads::new(3).unwrap();
        for _ in 0..20 {
            thread::sleep(AWAKE * 4);
            // Tasks that wait for each other: all three threads must take one.
            let barrier = std::sync::Barrier::new(3);
            threads.each(3, |_| {
                barrier.wait();
            });
        }
    }

    #[test]
    fn tasks_may_have_tasks_of_their_own() {
        let threads = Threads::new(3).unwrap();
        let total = AtomicUsize::new(0);
        threads.each(4, |_| {
            threads.each(5, |_| {
                total.fetch_add(1, Ordering::Relaxed);
            });
        });
        assert_eq!(total.into_inner(), 20);
    }

    #[test]
    fn handles_of_one_team_may_be_used_at_once() {
        let threads = Threads::new(2).unwrap();
        thread::scope(|scope| {
            for _ in 0..4 {
                let threads = threads.clone();
                scope.spawn(move || {
                    for _ in 0..500 {
                        assert_eq!(counts(&threads, 5), [1; 5]);
                    }
                });
            }
        });
    }

    #[test]
    fn a_panic_of_a_task_reaches_the_caller_after_all_tasks_and_the_team_lives_on() {
        let threads = Threads::new(3).unwrap();
        let ran = AtomicUsize::new(0);
        let caught = catch_unwind(AssertUnwindSafe(|| {
            threads.each(50, |task| {
                ran.fetch_add(1, Ordering::Relaxed);
                assert!(task != 7, "seven");
            });
        }));
        let message = caught.unwrap_err();
        assert!(
            message
                .downcast_ref::<&str>()
                .is_some_and(|m| m.contains("seven"))
        );
        assert_eq!(ran.into_inner(), 50);
        assert_eq!(counts(&threads, 9), [1; 9]);
        // Tasks that wait for each other: the helpers still take theirs.
        let barrier = std::sync::Barrier::new(3);
        threads.each(3, |_| {
            barrier.wait();
        });
    }

    #[test]
    fn no_threads_are_an_error() {
        assert!(Threads::new(0).is_err());
    }
}
