//! Answers that are still good. Absences and failures are not kept: the server behind us has a cache of its own.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::answer::Answer;
use crate::record::{Rr, Type};

/// Answers kept at most.
const CAPACITY: usize = 8192;
/// No answer is kept longer, whatever its lifetime.
const LONGEST: Duration = Duration::from_secs(3600);

/// Name, type, and whether a validated answer was asked for.
type Key = (String, Type, bool);
/// An answer, and until when it is good.
type Kept = (Instant, Arc<Answer<Rr>>);

#[derive(Default)]
pub(crate) struct Cache {
    answers: Mutex<HashMap<Key, Kept>>,
}

impl Cache {
    pub(crate) fn find(&self, key: &Key) -> Option<Arc<Answer<Rr>>> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let (until, answer) = answers.get(key)?;
        (*until > Instant::now()).then(|| Arc::clone(answer))
    }

    pub(crate) fn keep(&self, key: Key, answer: &Arc<Answer<Rr>>) {
        if answer.ttl.is_zero() {
            return;
        }
        let now = Instant::now();
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if answers.len() >= CAPACITY {
            answers.retain(|_, (until, _)| *until > now);
        }
        // All of them good: better to ask again than to search for the least useful.
        if answers.len() >= CAPACITY {
            answers.clear();
        }
        answers.insert(key, (now + answer.ttl.min(LONGEST), Arc::clone(answer)));
    }

    /// Forgets everything, because other servers are asked from now on.
    pub(crate) fn clear(&self) {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_kept_for_its_lifetime() {
        let cache = Cache::default();
        let key = ("a.test".to_owned(), Type::Mx, false);
        for (seconds, asked_after, found) in
            [(10, 9, true), (10, 11, false), (0, 0, false), (90_000, 3601, false)]
        {
            let answer = Answer {
                records: Vec::new(),
                secure: false,
                ttl: Duration::from_secs(seconds),
                aliases: Vec::new(),
                name: "a.test".into(),
            };
            cache.clear();
            cache.keep(key.clone(), &Arc::new(answer));
            tokio::time::advance(Duration::from_secs(asked_after)).await;
            assert_eq!(cache.find(&key).is_some(), found, "{seconds} {asked_after}");
        }
    }
}
