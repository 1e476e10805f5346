//! Connections to the servers of one table: kept, checked by use, and made anew on whichever server answers.

use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Connections that are kept while nobody asks; more are made when many ask at once, and closed behind them.
const MOST_IDLE: usize = 8;

/// One try to connect, and one question with its answer, may take this long.
const PATIENCE: Duration = Duration::from_secs(30);

/// How to reach a kind of server.
pub(super) trait Server: Send + Sync {
    type Connection: Send;

    /// A connection to the server that `host` names.
    fn connect(&self, host: &str) -> impl Future<Output = Result<Self::Connection, String>> + Send;
}

/// Why an answer could not be had.
pub(super) enum Trouble {
    /// The connection is no good any more: another may be.
    Connection(String),
    /// The server understood and refused.
    Question(String),
}

/// The connections.
pub(super) struct Pool<S: Server> {
    server: S,
    hosts: Vec<String>,
    /// A host that failed is left alone this long while others answer (`retry_interval`).
    retry: Duration,
    state: Mutex<State<S::Connection>>,
}

struct State<C> {
    idle: Vec<C>,
    /// By host: until when it is left alone.
    resting: Vec<Option<Instant>>,
    /// Where the next connection is tried first, so that the hosts share the work.
    next: usize,
}

impl<S: Server> Pool<S> {
    pub(super) fn new(server: S, hosts: Vec<String>, retry: Duration) -> Pool<S> {
        let resting = vec![None; hosts.len()];
        Pool { server, hosts, retry, state: Mutex::new(State { idle: Vec::new(), resting, next: 0 }) }
    }

    /// Asks on a kept connection, or on a new one when there is none or it died meanwhile.
    pub(super) async fn ask<T, F>(&self, question: impl Fn(S::Connection) -> F) -> Result<T, String>
    where
        F: Future<Output = (S::Connection, Result<T, Trouble>)>,
    {
        let kept = self.lock().idle.pop();
        if let Some(connection) = kept {
            match self.answer(question(connection)).await {
                Ok(answer) => return Ok(answer),
                Err(Trouble::Question(why)) => return Err(why),
                // The server may have closed it an hour ago: the others are as old.
                Err(Trouble::Connection(_)) => self.lock().idle.clear(),
            }
        }
        let connection = self.connect().await?;
        match self.answer(question(connection)).await {
            Ok(answer) => Ok(answer),
            Err(Trouble::Question(why) | Trouble::Connection(why)) => Err(why),
        }
    }

    async fn answer<T>(
        &self,
        asking: impl Future<Output = (S::Connection, Result<T, Trouble>)>,
    ) -> Result<T, Trouble> {
        let late = || Trouble::Connection("no answer in time".into());
        let (connection, result) = tokio::time::timeout(PATIENCE, asking).await.map_err(|_| late())?;
        if !matches!(result, Err(Trouble::Connection(_))) {
            let mut state = self.lock();
            if state.idle.len() < MOST_IDLE {
                state.idle.push(connection);
            }
        }
        result
    }

    /// The first host that answers, beginning with those that are not resting.
    async fn connect(&self) -> Result<S::Connection, String> {
        let mut reasons = Vec::new();
        for index in self.order() {
            let host = &self.hosts[index];
            let connecting = tokio::time::timeout(PATIENCE, self.server.connect(host)).await;
            match connecting.unwrap_or_else(|_| Err("no answer in time".into())) {
                Ok(connection) => {
                    self.lock().resting[index] = None;
                    return Ok(connection);
                }
                Err(why) => {
                    self.lock().resting[index] = Some(Instant::now() + self.retry);
                    reasons.push(format!("{host}: {why}"));
                }
            }
        }
        Err(reasons.join("; "))
    }

    fn order(&self) -> Vec<usize> {
        let mut state = self.lock();
        let count = self.hosts.len();
        let first = state.next % count.max(1);
        state.next = first + 1;
        let now = Instant::now();
        let mut order: Vec<usize> = (0..count).map(|n| (first + n) % count).collect();
        order.sort_by_key(|index| state.resting[*index].is_some_and(|until| until > now));
        order
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State<S::Connection>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Connections are numbers; the host "down" never answers.
    struct Counting(Arc<AtomicUsize>);

    impl Server for Counting {
        type Connection = usize;

        async fn connect(&self, host: &str) -> Result<usize, String> {
            match host {
                "down" => Err("refused".into()),
                _ => Ok(self.0.fetch_add(1, Ordering::SeqCst)),
            }
        }
    }

    fn pool(hosts: &[&str]) -> (Pool<Counting>, Arc<AtomicUsize>) {
        let made = Arc::new(AtomicUsize::new(0));
        let hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
        (Pool::new(Counting(Arc::clone(&made)), hosts, Duration::from_secs(60)), made)
    }

    #[tokio::test]
    async fn connections_are_kept_and_replaced() {
        let (pool, made) = pool(&["down", "up"]);
        for _ in 0..5 {
            assert_eq!(pool.ask(|c| async move { (c, Ok(c)) }).await, Ok(0));
        }
        // The kept one has died; its successor answers.
        let answer =
            pool.ask(
                |c| async move { (c, if c == 0 { Err(Trouble::Connection("gone".into())) } else { Ok(c) }) },
            );
        assert_eq!(answer.await, Ok(1));
        let refused: Result<usize, _> =
            pool.ask(|c| async move { (c, Err(Trouble::Question("bad question".into()))) }).await;
        assert_eq!(refused, Err("bad question".into()));
        assert_eq!(made.load(Ordering::SeqCst), 2, "a bad question costs no connection");
    }

    #[tokio::test]
    async fn all_hosts_are_named_when_none_answers() {
        let (pool, _) = pool(&["down", "down"]);
        let answer: Result<usize, _> = pool.ask(|c| async move { (c, Ok(c)) }).await;
        assert_eq!(answer, Err("down: refused; down: refused".into()));
    }
}
