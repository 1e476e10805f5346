//! A connection whose waiting is not cut short by the machine.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// A TCP connection with a limit on waiting. Where a process is stopped for a moment and goes on (a debugger, a machine that is saved),
/// Linux ends a read that has a limit with EINTR, signal(7): that is no word of the peer, and the read goes on here.
#[derive(Debug)]
pub struct Steady(TcpStream);

impl Steady {
    /// The connection `stream`, on which nothing is waited for longer than `limit`.
    pub fn new(stream: TcpStream, limit: Duration) -> std::io::Result<Steady> {
        stream.set_read_timeout(Some(limit))?;
        Ok(Steady(stream))
    }

    /// The connection itself.
    pub fn socket(&self) -> &TcpStream {
        &self.0
    }

    /// The same connection once more.
    pub fn try_clone(&self) -> std::io::Result<Steady> {
        self.0.try_clone().map(Steady)
    }
}

impl Read for &Steady {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        uninterrupted(|| (&self.0).read(buffer))
    }
}

impl Write for &Steady {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        uninterrupted(|| (&self.0).write(bytes))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Read for Steady {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        (&*self).read(buffer)
    }
}

impl Write for Steady {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        (&*self).write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn uninterrupted(mut act: impl FnMut() -> std::io::Result<usize>) -> std::io::Result<usize> {
    loop {
        match act() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

#[test]
fn a_limit_is_still_a_limit() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let mut silent = Steady::new(stream, Duration::from_millis(20)).unwrap();
    let error = silent.read(&mut [0; 8]).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}");
}
