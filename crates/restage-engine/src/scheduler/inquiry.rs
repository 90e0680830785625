//! Results that lie elsewhere, of stages whose keys are known only while others run. They are asked for on a thread,
//! so that nothing waits but the stage itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};

use crate::elsewhere::Elsewhere;
use restage_core::digest::Digest;

/// Whether a key was answered.
type Answers = Arc<Mutex<BTreeMap<Digest, bool>>>;

/// Asks for keys, each once.
#[derive(Debug)]
pub(super) struct Inquiry {
    answers: Answers,
    questions: Sender<Digest>,
}

impl Inquiry {
    /// `asked`: keys that were asked for before.
    pub(super) fn new(elsewhere: &Arc<dyn Elsewhere>, asked: &BTreeSet<Digest>) -> Self {
        let answers = asked.iter().map(|key| (*key, true)).collect();
        let answers: Answers = Arc::new(Mutex::new(answers));
        let (questions, queue) = mpsc::channel();
        let (elsewhere, told) = (Arc::clone(elsewhere), Arc::clone(&answers));
        let thread = std::thread::Builder::new().name("elsewhere".to_owned());
        // Without a thread nothing is asked: a question that nobody hears is answered.
        let _ = thread.spawn(move || answer(&*elsewhere, &queue, &told));
        Self { answers, questions }
    }

    /// Whether the stage of this key has to wait for an answer. If there is a result, the store has it afterwards.
    pub(super) fn is_open(&self, key: &Digest) -> bool {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        match answers.get(key) {
            Some(answered) => !answered,
            None => {
                let heard = self.questions.send(*key).is_ok();
                answers.insert(*key, !heard);
                heard
            }
        }
    }
}

/// Answers until nobody asks any more: all questions that there are, at once.
fn answer(elsewhere: &dyn Elsewhere, queue: &Receiver<Digest>, answers: &Answers) {
    while let Ok(first) = queue.recv() {
        let mut keys = vec![first];
        keys.extend(queue.try_iter());
        let found = elsewhere.records(&keys);
        if !found.is_empty() {
            elsewhere.bring(&found);
        }
        let mut answers = answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.extend(keys.into_iter().map(|key| (key, true)));
    }
}
