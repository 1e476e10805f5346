//! Connections that serve more than one delivery (smtp(8), CONNECTION_CACHE_README): kept for a moment after a delivery, under a key that
//! is made of everything that the connection was good for.
//!
//! Postfix passes them between processes (scache, tlsproxy); here the deliveries of a service share one process.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use smtp::client::{Next, Peer, Ready};
use tls::policy::Plan;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};

use crate::sasl::Credentials;
use crate::session::Stream;

/// Most connections that a service keeps; beyond that the oldest leaves.
const MAX_KEPT: usize = 500;

/// How long a farewell may take: nobody waits for it but the socket.
const FAREWELL: Duration = Duration::from_secs(5);

/// What a connection is good for. A delivery that differs in any of it gets a connection of its own.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct ReuseKey {
    pub(crate) peer: Peer,
    /// The whole decision about TLS; deliveries under another plan know nothing of what this one proved.
    pub(crate) plan: Plan,
    pub(crate) credentials: Option<Credentials>,
    pub(crate) smtputf8: bool,
    pub(crate) require_tls: bool,
}

/// A connection between two deliveries.
pub(crate) struct Idle {
    pub(crate) ready: Ready,
    pub(crate) stream: Box<dyn Stream>,
    /// The `tls=` field of its delivery lines.
    pub(crate) tls_field: String,
    /// When it was made.
    pub(crate) since: Instant,
    /// Deliveries that it has served.
    pub(crate) uses: u32,
}

impl Idle {
    /// Is it still there, and silent? What a server says between two messages is a farewell, or a reply too many.
    pub(crate) async fn is_quiet(&mut self) -> bool {
        let mut byte = [0];
        std::future::poll_fn(|context| {
            let mut buffer = ReadBuf::new(&mut byte);
            Poll::Ready(Pin::new(&mut self.stream).poll_read(context, &mut buffer).is_pending())
        })
        .await
    }
}

/// How long and how often connections are used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// smtp_connection_cache_time_limit, and not more than connection_cache_ttl_limit.
    pub(crate) idle: Duration,
    /// smtp_connection_reuse_time_limit
    pub(crate) age: Duration,
    /// smtp_connection_reuse_count_limit: uses after the first; 0 is no limit.
    pub(crate) reuses: u32,
}

/// The kept connections of a service.
pub(crate) struct Connections {
    limits: Limits,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    kept: HashMap<ReuseKey, Vec<Kept>>,
    count: usize,
    /// A task waits for the end of the connections' time.
    is_swept: bool,
    /// The role ends: nothing is kept any more.
    closed: bool,
}

struct Kept {
    idle: Box<Idle>,
    until: Instant,
}

impl Connections {
    pub(crate) fn new(limits: Limits) -> Arc<Connections> {
        Arc::new(Connections { limits, state: Mutex::default() })
    }

    /// The connection that was used last, of those that fit.
    pub(crate) fn take(&self, key: &ReuseKey, now: Instant) -> Option<Box<Idle>> {
        let mut state = self.lock();
        let state = &mut *state;
        let fitting = state.kept.get_mut(key)?;
        let fresh = fitting.last().is_some_and(|kept| kept.until > now);
        let kept = if fresh { fitting.pop() } else { None };
        if fitting.is_empty() {
            state.kept.remove(key);
        }
        state.count -= usize::from(kept.is_some());
        kept.map(|kept| kept.idle)
    }

    /// Keeps a connection, or lets it go when it is too old or was used too often.
    pub(crate) fn keep(self: &Arc<Self>, key: ReuseKey, idle: Box<Idle>, now: Instant) {
        let left = self.limits.age.saturating_sub(now.saturating_duration_since(idle.since));
        let worn = self.limits.reuses > 0 && idle.uses > self.limits.reuses;
        let mut state = self.lock();
        if worn || left.is_zero() || state.closed {
            drop(state);
            tokio::spawn(leave(idle));
            return;
        }
        if state.count >= MAX_KEPT
            && let Some(oldest) = state.oldest()
        {
            tokio::spawn(leave(oldest));
        }
        state.count += 1;
        let kept = Kept { idle, until: now + self.limits.idle.min(left) };
        state.kept.entry(key).or_default().push(kept);
        if !state.is_swept {
            state.is_swept = true;
            tokio::spawn(Arc::clone(self).sweep());
        }
    }

    /// Says farewell on all of them, and keeps none from now on.
    pub(crate) async fn close(&self) {
        let kept = {
            let mut state = self.lock();
            state.closed = true;
            state.count = 0;
            std::mem::take(&mut state.kept)
        };
        let leaving: Vec<_> =
            kept.into_values().flatten().map(|kept| tokio::spawn(leave(kept.idle))).collect();
        for farewell in leaving {
            let _ = farewell.await;
        }
    }

    /// Ends the connections whose time is over, until there are none.
    async fn sweep(self: Arc<Self>) {
        loop {
            let (over, next) = self.expire(Instant::now());
            for kept in over {
                tokio::spawn(leave(kept.idle));
            }
            match next {
                Some(next) => tokio::time::sleep_until(next.into()).await,
                None => return,
            }
        }
    }

    /// Takes out what has waited long enough, and tells when to look again.
    fn expire(&self, now: Instant) -> (Vec<Kept>, Option<Instant>) {
        let mut state = self.lock();
        let mut over = Vec::new();
        let mut next: Option<Instant> = None;
        state.kept.retain(|_, fitting| {
            let (old, young): (Vec<Kept>, Vec<Kept>) =
                std::mem::take(fitting).into_iter().partition(|kept| kept.until <= now);
            over.extend(old);
            next = young.iter().map(|kept| kept.until).chain(next).min();
            *fitting = young;
            !fitting.is_empty()
        });
        state.count -= over.len().min(state.count);
        state.is_swept = next.is_some();
        (over, next)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn oldest(&mut self) -> Option<Box<Idle>> {
        let first = |fitting: &Vec<Kept>| fitting.first().map(|kept| kept.until);
        let key = self.kept.iter().min_by_key(|(_, fitting)| first(fitting)).map(|(key, _)| key.clone())?;
        let fitting = self.kept.get_mut(&key)?;
        let oldest = (!fitting.is_empty()).then(|| fitting.remove(0).idle);
        if fitting.is_empty() {
            self.kept.remove(&key);
        }
        self.count -= usize::from(oldest.is_some());
        oldest
    }
}

/// QUIT, and the end of the connection: with the reply, where it is waited for (smtp_skip_quit_response).
pub(crate) async fn leave(idle: Box<Idle>) {
    let Idle { ready, mut stream, .. } = *idle;
    let farewell = async {
        let step = ready.quit();
        stream.write_all(&step.send).await?;
        stream.flush().await?;
        if let Next::Read(_) = step.next {
            let mut reply = [0; 512];
            let _ = stream.read(&mut reply).await?;
        }
        stream.shutdown().await
    };
    // It has served its purpose, whatever becomes of it.
    let _: Result<std::io::Result<()>, _> = tokio::time::timeout(FAREWELL, farewell).await;
}

#[cfg(test)]
mod tests {
    use bytes::BufMut;
    use config::{HostFacts, MainCf, Settings};
    use smtp::client::{Clearance, Options, begin};
    use tls::ClientLevel;
    use tls::policy::{Facts, Mx, Needs, Tlsa, Wish, decide};

    use super::*;

    struct Anything;
    impl Clearance for Anything {
        fn admits(&self, _: Option<&mail::TlsFacts>) -> bool {
            true
        }
    }

    fn peer() -> Peer {
        Peer { host: "mx.test".into(), address: "192.0.2.1".into(), port: Some(25) }
    }

    /// A session that is ready for mail, and the server's end of its connection.
    fn idle(uses: u32, since: Instant) -> (Box<Idle>, tokio::io::DuplexStream) {
        let (ours, theirs) = tokio::io::duplex(1000);
        let mut next = begin(Arc::new(Options::default()), peer(), None).next;
        for line in ["220 mx.test ESMTP\r\n", "250 mx.test\r\n"] {
            let Next::Read(mut conversation) = next else { panic!("{next:?}") };
            conversation.input().put_slice(line.as_bytes());
            next = conversation.receive().next;
        }
        let Next::Greeted(greeted) = next else { panic!("{next:?}") };
        let ready = greeted.proceed(&Anything).unwrap();
        (Box::new(Idle { ready, stream: Box::new(ours), tls_field: "none".into(), since, uses }), theirs)
    }

    fn plan(level: ClientLevel, domain: &str) -> Plan {
        let main = MainCf::parse("main.cf", b"compatibility_level = 3.12\n").unwrap();
        let host = HostFacts { hostname: "me.test".into(), ..HostFacts::default() };
        let settings = Settings::load(&main, &[], &host).unwrap();
        let wish = Wish::of(&settings, level).unwrap();
        let facts = Facts {
            next_hop: domain.into(),
            host: "mx.test".into(),
            mx: Mx::None,
            tlsa: Tlsa::NotAsked,
            sts: None,
        };
        decide(&wish, &facts, Needs::default()).unwrap()
    }

    fn key(level: ClientLevel, domain: &str) -> ReuseKey {
        let plan = plan(level, domain);
        ReuseKey { peer: peer(), plan, credentials: None, smtputf8: false, require_tls: false }
    }

    const LIMITS: Limits = Limits { idle: Duration::from_secs(2), age: Duration::from_secs(300), reuses: 0 };

    async fn heard(mut theirs: tokio::io::DuplexStream) -> String {
        let mut text = String::new();
        theirs.read_to_string(&mut text).await.unwrap();
        text
    }

    #[tokio::test]
    async fn a_connection_serves_only_an_equal_need() {
        let now = Instant::now();
        let connections = Connections::new(LIMITS);
        let mine = key(ClientLevel::May, "a.test");
        let (one, _theirs) = idle(1, now);
        connections.keep(mine.clone(), one, now);
        let credentials = Some(Credentials::new("user", "password"));
        for other in [
            key(ClientLevel::Encrypt, "a.test"),
            key(ClientLevel::Secure, "a.test"),
            ReuseKey { credentials, ..mine.clone() },
            ReuseKey { smtputf8: true, ..mine.clone() },
            ReuseKey { require_tls: true, ..mine.clone() },
            ReuseKey { peer: Peer { port: Some(26), ..peer() }, ..mine.clone() },
        ] {
            assert!(connections.take(&other, now).is_none());
        }
        assert!(key(ClientLevel::Secure, "a.test") != key(ClientLevel::Secure, "b.test"), "other names");
        // Another domain on the same server, as long as nothing depends on the domain.
        assert!(connections.take(&key(ClientLevel::May, "b.test"), now).is_some());
        assert!(connections.take(&mine, now).is_none(), "it is in use");
    }

    #[tokio::test]
    async fn who_waits_too_long_leaves_with_a_farewell() {
        let now = Instant::now();
        let connections = Connections::new(LIMITS);
        let (one, theirs) = idle(1, now);
        connections.keep(key(ClientLevel::May, "a.test"), one, now);
        let late = now + Duration::from_secs(3);
        assert!(connections.take(&key(ClientLevel::May, "a.test"), late).is_none());
        let (over, next) = connections.expire(late);
        assert_eq!((over.len(), next), (1, None));
        for kept in over {
            leave(kept.idle).await;
        }
        assert_eq!(heard(theirs).await, "QUIT\r\n");
    }

    #[tokio::test]
    async fn a_word_or_the_end_between_messages_is_noticed() {
        let (mut one, theirs) = idle(1, Instant::now());
        assert!(one.is_quiet().await);
        drop(theirs);
        assert!(!one.is_quiet().await, "gone");
        let (mut one, mut theirs) = idle(1, Instant::now());
        theirs.write_all(b"421 4.4.2 idle\r\n").await.unwrap();
        assert!(!one.is_quiet().await);
    }

    #[tokio::test]
    async fn neither_the_old_nor_the_worn_are_kept() {
        let now = Instant::now();
        for (limits, uses, age, kept) in [
            (LIMITS, 9, 0, true),
            (Limits { reuses: 2, ..LIMITS }, 2, 0, true),
            (Limits { reuses: 2, ..LIMITS }, 3, 0, false),
            (LIMITS, 1, 299, true),
            (LIMITS, 1, 300, false),
        ] {
            let connections = Connections::new(limits);
            let (one, theirs) = idle(uses, now);
            let later = now + Duration::from_secs(age);
            connections.keep(key(ClientLevel::May, "a.test"), one, later);
            let found = connections.take(&key(ClientLevel::May, "a.test"), later);
            assert_eq!(found.is_some(), kept, "{limits:?} {uses} {age}");
            if found.is_none() {
                assert_eq!(heard(theirs).await, "QUIT\r\n");
            }
        }
    }

    #[tokio::test]
    async fn there_is_a_bound_and_an_end() {
        let now = Instant::now();
        let connections = Connections::new(LIMITS);
        let mut servers = Vec::new();
        for _ in 0..=MAX_KEPT {
            let (one, theirs) = idle(1, now);
            connections.keep(key(ClientLevel::May, "a.test"), one, now);
            servers.push(theirs);
        }
        assert_eq!(connections.lock().count, MAX_KEPT);
        assert_eq!(heard(servers.remove(0)).await, "QUIT\r\n");
        connections.close().await;
        for theirs in servers {
            assert_eq!(heard(theirs).await, "QUIT\r\n");
        }
        let (one, theirs) = idle(1, now);
        connections.keep(key(ClientLevel::May, "a.test"), one, now);
        assert_eq!(heard(theirs).await, "QUIT\r\n", "nothing is kept any more");
    }
}
