//! The life of a postscreen service: accepts clients, cleans the temporary allowlist, and leaves it to the next process at
//! the end.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::settings::Screen;
use super::{hear, now};
use crate::serve::{ACCEPT_PAUSE, Receive, drained};

/// Accepts until Drain, then waits for the sessions that have begun. Their number is bounded by
/// postscreen_pre_queue_limit and postscreen_post_queue_limit, and by the maxproc of the smtpd that they are handed to.
pub(crate) async fn serve(receive: Arc<Receive>, screen: Arc<Screen>, listener: TcpListener) {
    let mut draining = receive.draining.subscribe();
    let mut sessions = JoinSet::new();
    let mut cleanup = cleanup_interval(&screen);
    loop {
        while sessions.try_join_next().is_some() {}
        tokio::select! {
            () = drained(&mut draining) => break,
            () = tick(&mut cleanup) => clean(&screen),
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let (receive, screen) = (Arc::clone(&receive), Arc::clone(&screen));
                    // Sessions wait most of the time: what they need only at work does not belong into each task.
                    sessions.spawn(async move { Box::pin(hear(&receive, &screen, stream)).await });
                }
                Err(error) => {
                    maillog::warning!(screen.log, "accept connection: {error}");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    if let Some(cache) = &screen.cache {
        cache.close();
    }
    while sessions.join_next().await.is_some() {}
}

/// The first time comes at once: a process may live shorter than the interval.
fn cleanup_interval(screen: &Screen) -> Option<Interval> {
    if screen.cache.is_none() || screen.cleanup_interval == Duration::ZERO {
        return None;
    }
    let mut cleanup = interval(screen.cleanup_interval);
    cleanup.set_missed_tick_behavior(MissedTickBehavior::Delay);
    Some(cleanup)
}

async fn tick(cleanup: &mut Option<Interval>) {
    match cleanup {
        Some(cleanup) => _ = cleanup.tick().await,
        None => std::future::pending().await,
    }
}

/// Forgets clients whose passes were over postscreen_cache_retention_time ago.
fn clean(screen: &Screen) {
    let Some(cache) = &screen.cache else { return };
    let then = now().saturating_sub(screen.retention.as_secs());
    match cache.clean(|stamps| screen.policy.is_stale(stamps, then)) {
        Ok((0, 0)) => {}
        Ok((retained, dropped)) => maillog::info!(
            screen.log,
            "cache {} full cleanup: retained={retained} dropped={dropped} entries",
            screen.cache_name
        ),
        Err(why) => maillog::warning!(screen.log, "postscreen_cache_map: {why}"),
    }
}
