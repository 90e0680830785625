//! The rules of leases on a virtual clock: whoever comes, freezes, dies or can't read, in whatever order.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

const LOOK: u64 = 3;

fn terms() -> Terms {
    Terms::looking_every(seconds(LOOK))
}

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// The files of a key, as every machine sees them.
#[derive(Default)]
struct Files {
    lease: Option<Token>,
    gone: BTreeSet<Token>,
    beats: BTreeMap<Token, u64>,
    heirs: BTreeMap<Token, Heir>,
    /// What the notes of kernel locks have said. Whoever got such a lock may have read any of them.
    notes: Vec<(Token, u32)>,
}

impl Files {
    fn found(&self, token: &Token) -> Found {
        Found {
            is_gone: self.gone.contains(token),
            beat: self.beats.get(token).map(|n| n.to_string().into_bytes()),
            heir: self.heirs.get(token).cloned(),
        }
    }
}

/// A worker, and the stage that it has started.
enum Actor {
    Idle,
    Waiting {
        token: Token,
        succession: Succession,
    },
    Running {
        token: Token,
        watch: Watch,
        folder: u32,
    },
    /// It died, and its stage goes on.
    Dead {
        folder: u32,
    },
}

#[derive(Debug, Clone)]
enum Happens {
    /// It takes the key, knowing the note of this holder.
    Comes(prop::sample::Index),
    /// It does nothing for so many seconds; its stage may write.
    Freezes(u64),
    /// It can't read the lease for so many seconds.
    IsBlind(u64),
    /// It dies, and its stage goes on.
    Dies,
    /// Nothing.
    Time(u64),
}

fn happens() -> impl Strategy<Value = (usize, Happens)> {
    let what = prop_oneof![
        4 => any::<prop::sample::Index>().prop_map(Happens::Comes),
        2 => (1..20u64).prop_map(Happens::Freezes),
        2 => (1..20u64).prop_map(Happens::IsBlind),
        1 => Just(Happens::Dies),
        6 => (1..15u64).prop_map(Happens::Time),
    ];
    (0..4usize, what)
}

struct World {
    now: u64,
    files: Files,
    actors: Vec<Actor>,
    /// Until when they do nothing, and can't read.
    frozen: Vec<u64>,
    blind: Vec<u64>,
}

impl World {
    fn new() -> Self {
        let token = Token::new();
        let files = Files {
            lease: Some(token.clone()),
            notes: vec![(token.clone(), 1)],
            ..Files::default()
        };
        let watch = Watch::new(terms(), seconds(0));
        let first = Actor::Running {
            token,
            watch,
            folder: 1,
        };
        let mut actors = vec![first];
        actors.resize_with(4, || Actor::Idle);
        Self {
            now: 0,
            files,
            actors,
            frozen: vec![0; 4],
            blind: vec![0; 4],
        }
    }

    fn comes(&mut self, who: usize, note: usize) {
        if !matches!(self.actors[who], Actor::Idle) {
            return;
        }
        let (holder, scratch) = self.files.notes[note].clone();
        let token = Token::new();
        self.files.lease = Some(token.clone());
        self.files.beats.insert(token.clone(), 0);
        let succession = Succession::new(terms(), holder, scratch, seconds(self.now));
        self.actors[who] = Actor::Waiting { token, succession };
    }

    /// A second passes.
    fn tick(&mut self) {
        self.now += 1;
        let now = seconds(self.now);
        for who in 0..self.actors.len() {
            if self.frozen[who] > self.now {
                continue;
            }
            let is_blind = self.blind[who] > self.now;
            let actor = std::mem::replace(&mut self.actors[who], Actor::Idle);
            self.actors[who] = match actor {
                Actor::Running {
                    token,
                    mut watch,
                    folder,
                } => {
                    if self.now % LOOK == who as u64 % LOOK {
                        let seen = match is_blind {
                            true => Seen::Unreadable,
                            false if self.files.lease.as_ref() == Some(&token) => Seen::Mine,
                            false => Seen::Others,
                        };
                        watch.looked(now, seen);
                        if !is_blind {
                            self.files.beats.insert(token.clone(), self.now);
                        }
                    }
                    if watch.is_lost(now) {
                        self.files.gone.insert(token);
                        Actor::Idle
                    } else {
                        Actor::Running {
                            token,
                            watch,
                            folder,
                        }
                    }
                }
                Actor::Waiting { token, succession } if is_blind => {
                    Actor::Waiting { token, succession }
                }
                Actor::Waiting {
                    token,
                    mut succession,
                } => self.waits(token, &mut succession, now),
                other => other,
            };
        }
        self.check();
    }

    fn waits(&mut self, token: Token, succession: &mut Succession, now: Duration) -> Actor {
        let files = &mut self.files;
        let mut next = Next::Look;
        while next == Next::Look {
            next = succession.looked(now, files.found(&succession.holder));
        }
        if let Next::Inherit(scratch, _) = next
            && !files.heirs.contains_key(&succession.holder)
        {
            let heir = Heir {
                token: token.clone(),
                scratch,
            };
            files.heirs.insert(succession.holder.clone(), heir);
            files.notes.push((token.clone(), scratch));
            return Actor::Running {
                token,
                watch: Watch::new(terms(), now),
                folder: scratch,
            };
        }
        match files.lease.as_ref() == Some(&token) {
            true => Actor::Waiting {
                token,
                succession: succession.clone(),
            },
            false => Actor::Idle,
        }
    }

    /// Never two writers in a folder: also those count that are frozen, or whose worker is dead.
    fn check(&self) {
        let folders = self.actors.iter().filter_map(|actor| match actor {
            Actor::Running { folder, .. } | Actor::Dead { folder } => Some(*folder),
            Actor::Idle | Actor::Waiting { .. } => None,
        });
        let folders: Vec<u32> = folders.collect();
        let once: BTreeSet<u32> = folders.iter().copied().collect();
        assert_eq!(once.len(), folders.len(), "two write in one of {folders:?}");
    }

    fn runs(&self, who: usize) -> Option<u32> {
        match &self.actors[who] {
            Actor::Running { folder, .. } => Some(*folder),
            _ => None,
        }
    }

    fn pass(&mut self, time: u64) {
        for _ in 0..time {
            self.tick();
        }
    }
}

proptest! {
    #[test]
    fn never_two_write_in_one_folder_and_whoever_has_the_lease_gets_to_run(
        events in prop::collection::vec(happens(), 1..40),
    ) {
        let mut world = World::new();
        for (who, what) in events {
            match what {
                Happens::Comes(note) => world.comes(who, note.index(world.files.notes.len())),
                Happens::Freezes(time) => world.frozen[who] = world.now + time,
                Happens::IsBlind(time) => world.blind[who] = world.now + time,
                Happens::Dies => {
                    if let Some(folder) = world.runs(who) {
                        world.actors[who] = Actor::Dead { folder };
                    }
                }
                Happens::Time(time) => world.pass(time),
            }
        }
        world.frozen = vec![0; 4];
        world.blind = vec![0; 4];
        // All that were frozen look once, and who only fell silent is outlived.
        world.pass(LOOK * 20);
        let waiting = world.actors.iter().any(|actor| matches!(actor, Actor::Waiting { .. }));
        prop_assert!(!waiting, "someone waits for ever");
    }
}

#[test]
fn a_holder_that_is_told_to_end_hands_its_folder_on_within_a_look() {
    let mut world = World::new();
    world.pass(10);
    world.comes(1, 0);
    world.pass(LOOK + 1);
    assert_eq!((world.runs(0), world.runs(1)), (None, Some(1)));
}

#[test]
fn one_that_fell_silent_keeps_its_folder() {
    let mut world = World::new();
    world.actors[0] = Actor::Dead { folder: 1 };
    world.comes(1, 0);
    world.pass(LOOK * 4 - 1);
    assert_eq!(world.runs(1), None);
    world.pass(2);
    assert_eq!(world.runs(1), Some(2));
}

#[test]
fn a_holder_that_nobody_follows_keeps_its_lease_through_a_short_outage_and_not_through_a_long_one()
{
    let mut world = World::new();
    world.pass(LOOK * 10);
    world.blind[0] = world.now + LOOK;
    world.pass(LOOK * 10);
    assert_eq!(world.runs(0), Some(1));
    world.blind[0] = world.now + LOOK * 4;
    world.pass(LOOK * 4);
    assert_eq!(world.runs(0), None);
}
