//! What challenges ask for: a record in the DNS, by a program of the administrator's; or a file on a Web server of our own.

use std::collections::HashMap;
use std::net::Ipv6Addr;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use acme::{Challenge, Kind, Solver};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;

/// How long the program may take.
const HOOK_TIME: Duration = Duration::from_secs(300);

/// How long a client of the Web server may take, and how much of a request is read.
const WEB_TIME: Duration = Duration::from_secs(10);
const WEB_REQUEST: usize = 4096;

/// Runs `PROGRAM present|cleanup NAME TEXT`, with the record's whole name, the text and the file of credentials in the environment as
/// `ACME_RECORD`, `ACME_TEXT` and `ACME_CREDENTIALS`.
pub(super) struct Hook {
    program: String,
    credentials: Option<String>,
    wait: Duration,
}

impl Hook {
    /// Credentials that others can read are refused.
    pub(super) fn new(program: &str, credentials: Option<&str>, wait: Duration) -> Result<Hook, String> {
        if let Some(file) = credentials {
            let found =
                std::fs::metadata(file).map_err(|error| format!("--dns-credentials {file}: {error}"))?;
            let mode = found.permissions().mode() & 0o777;
            if mode & 0o077 != 0 {
                return Err(format!(
                    "--dns-credentials {file}: others can read it (mode {mode:04o}); chmod 600 {file}, and change what is in it"
                ));
            }
        }
        Ok(Hook { program: program.to_owned(), credentials: credentials.map(str::to_owned), wait })
    }

    async fn run(&self, action: &str, challenge: &Challenge) -> Result<(), String> {
        let bare = challenge.name.trim_start_matches("*.");
        let mut command = Command::new(&self.program);
        command
            .args([action, bare, &challenge.value])
            .env("ACME_RECORD", format!("_acme-challenge.{bare}"))
            .env("ACME_TEXT", &challenge.value)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        if let Some(file) = &self.credentials {
            command.env("ACME_CREDENTIALS", file);
        }
        let named = |why: &dyn std::fmt::Display| format!("{} {action}: {why}", self.program);
        let ended = tokio::time::timeout(HOOK_TIME, command.status()).await;
        match ended {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => Err(named(&status)),
            Ok(Err(error)) => Err(named(&error)),
            Err(_elapsed) => Err(named(&"is not done in five minutes")),
        }
    }
}

impl Solver for Hook {
    fn kind(&self) -> Kind {
        Kind::Dns01
    }

    async fn present(&mut self, challenge: &Challenge) -> Result<(), String> {
        self.run("present", challenge).await?;
        tokio::time::sleep(self.wait).await;
        Ok(())
    }

    async fn clean_up(&mut self, challenge: &Challenge) -> Result<(), String> {
        self.run("cleanup", challenge).await
    }
}

type Files = Arc<Mutex<HashMap<String, String>>>;

/// Serves the files that challenges ask for, and nothing else.
pub(super) struct WebServer {
    files: Files,
    task: tokio::task::JoinHandle<()>,
}

impl WebServer {
    /// On all addresses.
    pub(super) async fn start(port: u16) -> Result<WebServer, String> {
        let listener = match TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).await {
            Ok(listener) => listener,
            Err(_) => TcpListener::bind(("0.0.0.0", port))
                .await
                .map_err(|error| format!("--http-port {port}: {error}"))?,
        };
        let files = Files::default();
        let served = Arc::clone(&files);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let files = Arc::clone(&served);
                tokio::spawn(async move {
                    let _ = tokio::time::timeout(WEB_TIME, serve(stream, &files)).await;
                });
            }
        });
        Ok(WebServer { files, task })
    }
}

impl Drop for WebServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut stream: TcpStream, files: &Files) -> std::io::Result<()> {
    let mut request = Vec::new();
    while !request.windows(4).any(|four| four == b"\r\n\r\n") {
        if request.len() >= WEB_REQUEST || stream.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
    }
    let text = String::from_utf8_lossy(&request).into_owned();
    let target = text.split_whitespace().nth(1).unwrap_or_default();
    let token = target.strip_prefix("/.well-known/acme-challenge/").unwrap_or_default();
    let found = files.lock().unwrap_or_else(PoisonError::into_inner).get(token).cloned();
    let (status, body) = match found {
        Some(content) => ("200 OK", content),
        None => ("404 Not Found", String::new()),
    };
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/octet-stream\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await
}

impl Solver for WebServer {
    fn kind(&self) -> Kind {
        Kind::Http01
    }

    async fn present(&mut self, challenge: &Challenge) -> Result<(), String> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.insert(challenge.token.clone(), challenge.value.clone());
        Ok(())
    }

    async fn clean_up(&mut self, challenge: &Challenge) -> Result<(), String> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner).remove(&challenge.token);
        Ok(())
    }
}
