//! MX, address, TLSA, TXT, SRV, NS and PTR look-ups, each answer with its security status, its lifetime and the aliases
//! that led to it.
//!
//! A resolver asks the servers of resolv.conf and believes their AD bit, as Postfix does: the path to them must be
//! trusted (`127.0.0.1`), and the validating is theirs. A look-up that fails is never an absence: [`Failure`] keeps the
//! two apart. What to do with an answer (preference, DANE, null MX) is decided by those who ask.
#![forbid(unsafe_code)]

mod answer;
mod cache;
mod failure;
mod filter;
mod hosts;
mod listing;
mod literal;
mod record;
mod resolver;
mod servers;

pub use answer::Answer;
pub use failure::Failure;
pub use filter::ReplyFilter;
pub use listing::Listing;
pub use literal::address_literal;
pub use record::{Mx, Srv, Tlsa};
pub use resolver::{Family, HostLookup, Resolver, ascii_name};
