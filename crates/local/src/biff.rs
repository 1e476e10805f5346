//! Telling comsat(8) of new mail (`biff = yes`, local(8)): a datagram to this machine, and nobody has to hear it.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

/// Port of the service `biff` (IANA, services(5)).
const PORT: u16 = 512;

/// Where new mail is told of.
pub(crate) struct Biff {
    socket: UdpSocket,
    to: SocketAddr,
}

impl Biff {
    /// To the service of this machine. `None` when there is no socket to be had: nobody misses what nobody hears.
    pub(crate) fn open() -> Option<Biff> {
        Biff::to(SocketAddr::from((Ipv4Addr::LOCALHOST, PORT)))
    }

    fn to(to: SocketAddr) -> Option<Biff> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).ok()?;
        socket.set_nonblocking(true).ok()?;
        Some(Biff { socket, to })
    }

    /// `USER@PLACE`, ended by a NUL: the user has a message that begins there in his mailbox.
    pub(crate) fn tell(&self, user: &str, begins: &str) {
        let _ = self.socket.send_to(format!("{user}@{begins}\0").as_bytes(), self.to);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_datagram_says_who_and_where() {
        let comsat = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        comsat.set_read_timeout(Some(std::time::Duration::from_secs(10))).unwrap();
        let biff = Biff::to(comsat.local_addr().unwrap()).unwrap();
        biff.tell("joe", "331");
        let mut heard = [0; 64];
        let length = comsat.recv(&mut heard).unwrap();
        assert_eq!(&heard[..length], b"joe@331\0");
    }
}
