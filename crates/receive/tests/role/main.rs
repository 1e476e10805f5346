//! The role as its neighbours see it: clients over real sockets, the queue and master over links.
#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

mod accept;
mod common;
mod milters;
mod pickup;
mod proxy_filter;
mod refused;
mod scripted_milter;
mod tls;
mod wrong_input;
