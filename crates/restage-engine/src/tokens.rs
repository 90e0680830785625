//! Cores, memory, cards and job slots: what is free, and what running stages hold.

use restage_pipeline::{Gpus, Resources};

/// What stages may use at once, all together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capacity {
    /// Cores.
    pub cpu: u32,
    /// Bytes of memory.
    pub mem: u64,
    /// Names of graphics cards, as `CUDA_VISIBLE_DEVICES` takes them.
    pub gpus: Vec<String>,
    /// Stages at once (`-j`).
    pub jobs: usize,
}

/// What one stage holds while it runs.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "dropping a lease does not free what it holds"]
pub(crate) struct Lease {
    /// Of cores.
    thousandths: u64,
    /// How many threads it should start.
    pub(crate) threads: u32,
    mem: u64,
    /// Cards that no other stage gets.
    pub(crate) gpus: Vec<String>,
}

/// The amounts that are free now.
#[derive(Debug)]
pub(crate) struct Tokens {
    total: Capacity,
    /// Of cores.
    thousandths: u64,
    mem: u64,
    gpus: Vec<String>,
    jobs: usize,
}

impl Tokens {
    pub(crate) fn new(total: Capacity) -> Self {
        Self {
            thousandths: all_thousandths(&total),
            mem: total.mem,
            gpus: total.gpus.clone(),
            jobs: total.jobs.max(1),
            total,
        }
    }

    /// Takes what `wanted` asks for, or nothing. A stage that wants more cores or memory than the
    /// machine has gets all of them: it then runs alone, only slower.
    pub(crate) fn take(&mut self, wanted: Resources) -> Option<Lease> {
        let thousandths = u64::from(wanted.cpu.thousandths()).min(all_thousandths(&self.total));
        let mem = wanted.mem.unwrap_or(0).min(self.total.mem);
        if self.jobs == 0 || thousandths > self.thousandths || mem > self.mem {
            return None;
        }
        let gpus = self.take_gpus(wanted.gpu)?;
        self.jobs -= 1;
        self.thousandths -= thousandths;
        self.mem -= mem;
        Some(Lease {
            thousandths,
            threads: wanted.cpu.threads().min(self.total.cpu.max(1)),
            mem,
            gpus,
        })
    }

    /// Whether more jobs than cores were asked for, and only a core keeps `wanted` from starting.
    pub(crate) fn only_lacks_a_core(&self, wanted: Resources) -> bool {
        let thousandths = u64::from(wanted.cpu.thousandths());
        self.total.jobs > self.total.cpu as usize
            && self.jobs > 0
            && thousandths > self.thousandths
            && thousandths <= all_thousandths(&self.total)
    }

    fn take_gpus(&mut self, wanted: Gpus) -> Option<Vec<String>> {
        let Gpus::Card(number) = wanted else {
            let count = wanted.needed(self.total.gpus.len());
            return (count <= self.gpus.len()).then(|| self.gpus.drain(..count).collect());
        };
        let name = self.total.gpus.get(number as usize)?;
        let place = self.gpus.iter().position(|free| free == name)?;
        Some(vec![self.gpus.remove(place)])
    }

    /// Frees what a lease holds.
    pub(crate) fn give_back(&mut self, lease: Lease) {
        self.jobs += 1;
        self.thousandths += lease.thousandths;
        self.mem += lease.mem;
        self.gpus.extend(lease.gpus);
        self.gpus.sort();
    }
}

fn all_thousandths(total: &Capacity) -> u64 {
    u64::from(total.cpu.max(1)) * 1000
}

#[cfg(test)]
mod tests {
    use super::*;
    use restage_pipeline::Cores;

    fn capacity() -> Capacity {
        Capacity {
            cpu: 4,
            mem: 100,
            gpus: vec!["0".into(), "1".into()],
            jobs: 3,
        }
    }

    fn want(cpu: u32, gpu: u32, mem: u64) -> Resources {
        Resources {
            cpu: Cores::whole(cpu),
            gpu: Gpus::Count(gpu),
            mem: Some(mem),
        }
    }

    #[test]
    fn a_card_is_leased_to_one_stage_at_a_time() {
        let mut tokens = Tokens::new(capacity());
        let first = tokens.take(want(1, 1, 0)).expect("two cards are free");
        let second = tokens.take(want(1, 1, 0)).expect("one card is free");
        assert_ne!(first.gpus, second.gpus);
        assert_eq!(tokens.take(want(1, 1, 0)), None);
        tokens.give_back(first);
        assert!(tokens.take(want(1, 1, 0)).is_some());
    }

    #[test]
    fn a_named_card_is_that_very_one_and_auto_is_one_if_there_is_any() {
        let with = |gpu| Resources {
            gpu,
            ..want(1, 0, 0)
        };
        let mut tokens = Tokens::new(capacity());
        let named = tokens.take(with(Gpus::Card(1))).expect("it is free");
        assert_eq!(named.gpus, ["1"]);
        assert_eq!(tokens.take(with(Gpus::Card(1))), None);
        let any = tokens.take(with(Gpus::Auto)).expect("the other is free");
        assert_eq!(any.gpus, ["0"]);
        assert_eq!(tokens.take(with(Gpus::Auto)), None, "it waits for a card");

        let mut tokens = Tokens::new(Capacity {
            gpus: Vec::new(),
            ..capacity()
        });
        let none = tokens.take(with(Gpus::Auto)).expect("it needs no card");
        assert!(none.gpus.is_empty());
    }

    #[test]
    fn more_cores_than_the_machine_has_means_all_of_them_alone() {
        let mut tokens = Tokens::new(capacity());
        let all = tokens.take(want(64, 0, 0)).expect("nothing runs");
        assert_eq!(all.threads, 4);
        assert_eq!(tokens.take(want(1, 0, 0)), None);
    }

    #[test]
    fn stages_that_need_no_core_start_beside_those_that_hold_all() {
        let mut tokens = Tokens::new(capacity());
        let _all = tokens.take(want(4, 0, 0)).expect("nothing runs");
        assert_eq!(tokens.take(want(1, 0, 0)), None);
        let idle = tokens.take(want(0, 0, 0)).expect("it needs no core");
        assert_eq!(idle.threads, 1);
    }

    #[test]
    fn memory_and_jobs_bound_what_runs_at_once() {
        let mut tokens = Tokens::new(capacity());
        let _a = tokens.take(want(1, 0, 60)).expect("memory is free");
        assert_eq!(tokens.take(want(1, 0, 60)), None);
        let _b = tokens.take(want(1, 0, 0)).expect("a core is free");
        let _c = tokens.take(want(1, 0, 0)).expect("a core is free");
        assert_eq!(tokens.take(want(1, 0, 0)), None, "three jobs run");
    }

    #[test]
    fn everything_given_back_is_everything_again() {
        let mut tokens = Tokens::new(capacity());
        let leases: Vec<_> = (0..2).filter_map(|_| tokens.take(want(2, 1, 50))).collect();
        leases.into_iter().for_each(|lease| tokens.give_back(lease));
        assert_eq!(
            tokens.take(want(4, 2, 100)).expect("all is free").gpus,
            ["0", "1"]
        );
    }
}
