//! A Milter with a script: what it answers to which command, and what it heard.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// Letter and data.
type Packet = (u8, Vec<u8>);

/// What it does about one command.
#[derive(Clone)]
pub(crate) enum Say {
    /// These packets.
    Packets(Vec<Packet>),
    /// Bytes that need not be packets.
    Bytes(Vec<u8>),
    /// Closes the connection.
    HangUp,
    /// Nothing, ever.
    Stall,
}

/// One packet without data.
pub(crate) fn letter(letter: u8) -> Say {
    Say::Packets(vec![(letter, Vec::new())])
}

pub(crate) struct ScriptedMilter {
    pub(crate) port: u16,
    heard: Arc<Mutex<Vec<Packet>>>,
}

type Script = dyn Fn(u8, &[u8]) -> Say + Send + Sync;

impl ScriptedMilter {
    /// Asks for all actions and all steps, may skip, and answers by the script; commands without answer (macros, abort, quit) are only heard.
    pub(crate) fn start(script: impl Fn(u8, &[u8]) -> Say + Send + Sync + 'static) -> ScriptedMilter {
        ScriptedMilter::start_with([6, 0x1ff, 0x400], script)
    }

    /// Version, actions and steps of the negotiation.
    pub(crate) fn start_with(
        numbers: [u32; 3],
        script: impl Fn(u8, &[u8]) -> Say + Send + Sync + 'static,
    ) -> ScriptedMilter {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let (script, ears): (Arc<Script>, _) = (Arc::new(script), Arc::clone(&heard));
        std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                let (script, ears) = (Arc::clone(&script), Arc::clone(&ears));
                // A connection that breaks is the subject of some tests.
                std::thread::spawn(move || drop(serve(stream, numbers, &*script, &ears)));
            }
        });
        ScriptedMilter { port, heard }
    }

    /// Waits until these are the letters of all commands so far, without macros and headers.
    pub(crate) fn must_hear(&self, expected: &str) {
        let end = std::time::Instant::now() + crate::common::PATIENCE;
        loop {
            let heard = self.heard.lock().unwrap().clone();
            let letters = heard.iter().map(|(letter, _)| char::from(*letter));
            let letters: String = letters.filter(|letter| !"DL".contains(*letter)).collect();
            if letters == expected {
                return;
            }
            assert!(std::time::Instant::now() < end, "{letters:?}, not {expected:?}");
            std::thread::yield_now();
        }
    }

    /// The data of all commands with this letter, NUL shown as `|`.
    pub(crate) fn data_of(&self, wanted: u8) -> Vec<String> {
        let heard = self.heard.lock().unwrap();
        let of_letter = heard.iter().filter(|(letter, _)| *letter == wanted);
        of_letter.map(|(_, data)| String::from_utf8_lossy(data).replace('\0', "|")).collect()
    }
}

fn serve(
    mut stream: TcpStream,
    numbers: [u32; 3],
    script: &Script,
    heard: &Mutex<Vec<Packet>>,
) -> std::io::Result<()> {
    loop {
        let mut length = [0; 4];
        stream.read_exact(&mut length)?;
        let mut packet = vec![0; u32::from_be_bytes(length) as usize];
        stream.read_exact(&mut packet)?;
        let letter = packet.remove(0);
        if letter == b'O' {
            send(&mut stream, b'O', &numbers.map(u32::to_be_bytes).concat())?;
            continue;
        }
        heard.lock().unwrap().push((letter, packet.clone()));
        if matches!(letter, b'D' | b'A' | b'Q') {
            continue;
        }
        match script(letter, &packet) {
            Say::Packets(packets) => {
                for (letter, data) in packets {
                    send(&mut stream, letter, &data)?;
                }
            }
            Say::Bytes(bytes) => stream.write_all(&bytes)?,
            Say::HangUp => return Ok(()),
            Say::Stall => {}
        }
    }
}

fn send(stream: &mut TcpStream, letter: u8, data: &[u8]) -> std::io::Result<()> {
    let mut packet = (data.len() as u32 + 1).to_be_bytes().to_vec();
    packet.push(letter);
    packet.extend_from_slice(data);
    stream.write_all(&packet)
}
