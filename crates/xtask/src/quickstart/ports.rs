//! Ports that need no privilege: the usual ones with a 2, 4 or 5 before them, or the next that are free.

use std::net::{Ipv4Addr, TcpListener};

/// How many ports are tried for each service.
const TRIES: u16 = 200;

/// One for each way in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ports {
    /// For port 25: other servers.
    pub(crate) smtp: u16,
    /// For port 465: submission in wrapper mode.
    pub(crate) submissions: u16,
    /// For port 587: submission with STARTTLS.
    pub(crate) submission: u16,
}

impl Ports {
    /// Ports that are free now.
    pub(crate) fn choose() -> Result<Ports, String> {
        let smtp = free(2525)?;
        let submissions = free(4465)?;
        let submission = free(5587)?;
        Ok(Ports { smtp, submissions, submission })
    }
}

/// The first free port from `first` on. Somebody may take it before the server does; then the server says so.
fn free(first: u16) -> Result<u16, String> {
    (first..first + TRIES)
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .ok_or_else(|| format!("all ports from {first} to {} are taken", first + TRIES - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_is_passed_over() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        // Near the end of the range there may be no room for the tries.
        if port < u16::MAX - TRIES {
            assert!(free(port).is_ok_and(|found| found > port));
        }
    }
}
