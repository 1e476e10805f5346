//! Tables behind a socket that speak a simple question-and-answer protocol: tcp_table(5), socketmap_table(5), memcache_table(5).

pub(crate) mod connection;
pub(crate) mod memcache;
pub(crate) mod socketmap;
pub(crate) mod tcp;

#[cfg(test)]
pub(crate) mod tests {
    pub(crate) use crate::map::Tables;

    use std::io::{Read, Write};
    use std::net::TcpListener;

    /// A server on loopback that answers each question as `answer` says, and closes a connection after an empty answer.
    pub(crate) fn serve(answer: impl Fn(&[u8]) -> Vec<u8> + Send + 'static) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                let mut question = [0; 4096];
                while let Ok(length @ 1..) = stream.read(&mut question) {
                    let answer = answer(&question[..length]);
                    if answer.is_empty() || stream.write_all(&answer).is_err() {
                        break;
                    }
                }
            }
        });
        port
    }
}
