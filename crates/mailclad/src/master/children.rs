//! The role processes: started from our own binary, linked with each other, restarted when they die.

use std::collections::HashMap;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use link::{Link, Reply, Request, Role};
use maillog::Log;
use tokio::process::{Child, Command};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::ORDER;
use super::key_files::KeyFiles;
use super::listeners::Listeners;

/// Which roles talk with each other. The first of a pair begins the conversation more often; both may.
const LINKS: [(Role, Role); 3] =
    [(Role::Receive, Role::Queue), (Role::Queue, Role::Send), (Role::Queue, Role::Local)];

/// How long a new process has until it serves.
const START_PATIENCE: Duration = Duration::from_secs(60);

/// A role that dies younger than this is restarted with a pause, which doubles up to the longest.
const YOUNG: Duration = Duration::from_secs(10);

struct Running {
    /// Which start of the role this is; a report about an earlier one is stale.
    generation: u64,
    control: Link,
    pid: u32,
    started: Instant,
}

/// All role processes.
pub(super) struct Children {
    config_directory: PathBuf,
    /// What `import_environment` keeps of master's own environment; nothing else reaches the roles.
    pub(super) environment: Vec<(String, String)>,
    log: Log,
    running: HashMap<Role, Running>,
    pauses: HashMap<Role, Duration>,
    longest_pause: Duration,
    next_generation: u64,
    deaths: UnboundedReceiver<(Role, u64, String)>,
    report: UnboundedSender<(Role, u64, String)>,
    /// Of the roles that hold keys.
    key_files: HashMap<Role, KeyFiles>,
    /// Processes that a reload has replaced and that finish what they have in hand.
    draining: Vec<Link>,
}

impl Children {
    /// `longest_pause` is service_throttle_time.
    pub(super) fn new(
        config_directory: PathBuf,
        environment: Vec<(String, String)>,
        longest_pause: Duration,
        log: Log,
    ) -> Children {
        let (report, deaths) = unbounded_channel();
        Children {
            config_directory,
            environment,
            longest_pause,
            log,
            running: HashMap::new(),
            pauses: HashMap::new(),
            next_generation: 0,
            deaths,
            report,
            key_files: HashMap::new(),
            draining: Vec::new(),
        }
    }

    /// Starts every role. The error is fatal: at the first start nothing half-working stays.
    pub(super) async fn start_all(&mut self, listeners: &Listeners) -> Result<(), String> {
        // All of them read the configuration at the same time.
        for role in ORDER {
            let running = self.spawn(role)?;
            self.running.insert(role, running);
        }
        for role in ORDER {
            self.ask_for_key_files(role).await?;
        }
        for (one, other) in LINKS {
            self.connect(one, other).await?;
        }
        self.give_listeners(listeners).await?;
        for role in ORDER {
            self.begin(role).await?;
        }
        Ok(())
    }

    /// The next role that died, not counting processes that were replaced on purpose.
    pub(super) async fn died(&mut self) -> Role {
        loop {
            // We hold a sender ourselves, so the channel never ends.
            let Some((role, generation, how)) = self.deaths.recv().await else { continue };
            if self.running.get(&role).is_some_and(|running| running.generation == generation) {
                maillog::warning!(self.log, "process {} {how}", role.name());
                return role;
            }
        }
    }

    /// Puts a new process in the place of one that died. Clients are not refused meanwhile: the sockets are ours.
    pub(super) async fn restart(&mut self, role: Role, listeners: &Listeners) {
        let age = self.running.remove(&role).map_or(Duration::ZERO, |running| running.started.elapsed());
        let pause = match age >= YOUNG {
            true => Duration::ZERO,
            false => self
                .pauses
                .get(&role)
                .map_or(Duration::from_millis(100), |last| *last * 2)
                .min(self.longest_pause),
        };
        self.pauses.insert(role, pause);
        if pause > Duration::from_millis(500) {
            maillog::warning!(
                self.log,
                "role {}: bad command startup -- throttling for {pause:?}",
                role.name()
            );
        }
        tokio::time::sleep(pause).await;
        if let Err(why) = self.start_one(role, listeners).await {
            maillog::error!(self.log, "role {}: {why}", role.name());
            // Its death, if it is one, comes back as a report; a process that never was does not.
            if !self.running.contains_key(&role) {
                let generation = self.next_generation;
                self.running.insert(role, self.absent(generation));
                let _ = self.report.send((role, generation, "could not be started".into()));
            }
        }
    }

    /// For reload: new processes beside the old ones, which finish what they have in hand. The queue has the store to itself and
    /// reads its configuration again instead.
    pub(super) async fn replace_all(&mut self, listeners: &Listeners) -> Result<(), String> {
        self.ask(Role::Queue, Request::Reload, Vec::new()).await?;
        for role in [Role::Local, Role::Send, Role::Receive] {
            let old = self.running.remove(&role);
            let started = self.start_one(role, listeners).await;
            match (started, old) {
                (Ok(()), Some(old)) => {
                    let _ = old.control.call(Request::Drain, Vec::new()).await;
                    self.draining.push(old.control);
                }
                (Ok(()), None) => {}
                (Err(why), old) => {
                    if let Some(failed) = self.running.remove(&role) {
                        kill(failed.pid);
                    }
                    if let Some(old) = old {
                        self.running.insert(role, old);
                        // The old process had its links replaced at the other ends: give it new ones.
                        for (one, other) in links_of(role) {
                            self.connect(one, other).await?;
                        }
                    }
                    return Err(why);
                }
            }
        }
        Ok(())
    }

    /// Ends all roles: first those that take work, then the queue.
    pub(super) async fn stop(&mut self, patience: Duration) {
        let deadline = tokio::time::Instant::now() + patience;
        for role in [Role::Receive, Role::Send, Role::Local, Role::Queue] {
            let Some(running) = self.running.get(&role) else { continue };
            let (generation, pid) = (running.generation, running.pid);
            let drained = async {
                let _ = running.control.call(Request::Drain, Vec::new()).await;
                while let Some((dead, which, _)) = self.deaths.recv().await {
                    if (dead, which) == (role, generation) {
                        return;
                    }
                }
            };
            if tokio::time::timeout_at(deadline, drained).await.is_err() {
                kill(pid);
            }
        }
    }

    async fn start_one(&mut self, role: Role, listeners: &Listeners) -> Result<(), String> {
        let running = self.spawn(role)?;
        self.running.insert(role, running);
        self.ask_for_key_files(role).await?;
        for (one, other) in links_of(role) {
            self.connect(one, other).await?;
        }
        if role == Role::Receive {
            self.give_listeners(listeners).await?;
        }
        self.begin(role).await
    }

    fn spawn(&mut self, role: Role) -> Result<Running, String> {
        self.next_generation += 1;
        let generation = self.next_generation;
        let (ours, theirs) = UnixStream::pair().map_err(|error| error.to_string())?;
        let program = std::env::current_exe().map_err(|error| format!("own program: {error}"))?;
        let mut child = Command::new(program)
            .arg0(format!("mailclad-{}", role.name()))
            .arg("--role")
            .arg(role.name())
            .arg("--tag")
            // Tells queue ids of this process from those of others alive at the same time.
            .arg((generation % 256).to_string())
            .arg("--config")
            .arg(&self.config_directory)
            .env_clear()
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            // A Ctrl-C at the terminal is for master, which ends the roles in order.
            .process_group(0)
            .spawn()
            .map_err(|error| format!("cannot start a process: {error}"))?;
        let pid = child.id().unwrap_or_default();
        let (control, mut calls) = Link::open(ours, role.name()).map_err(|error| error.to_string())?;
        // Roles ask nothing of master; a role that does is answered by the end of the link.
        tokio::spawn(async move { while let Some(Ok(_)) = calls.recv().await {} });
        let report = self.report.clone();
        tokio::spawn(async move {
            let how = ended(&mut child).await;
            let _ = report.send((role, generation, how));
        });
        Ok(Running { generation, control, pid, started: Instant::now() })
    }

    /// A place-holder for a process that could not be started, so that the retry finds its way.
    fn absent(&self, generation: u64) -> Running {
        let (ours, _theirs) = match UnixStream::pair() {
            Ok(pair) => pair,
            // Without descriptors nothing can be started either; the program ends and its service manager decides.
            Err(error) => {
                maillog::fatal!(self.log, "cannot make a socket pair: {error}");
                std::process::exit(1);
            }
        };
        match Link::open(ours, "absent") {
            Ok((control, _)) => Running { generation, control, pid: 0, started: Instant::now() },
            Err(error) => {
                maillog::fatal!(self.log, "cannot watch a socket: {error}");
                std::process::exit(1);
            }
        }
    }

    /// Gives both roles an end of a new link.
    async fn connect(&self, one: Role, other: Role) -> Result<(), String> {
        let (first, second) = UnixStream::pair().map_err(|error| error.to_string())?;
        self.ask(one, Request::Peer { role: other }, vec![first.into()]).await?;
        self.ask(other, Request::Peer { role: one }, vec![second.into()]).await
    }

    async fn give_listeners(&self, listeners: &Listeners) -> Result<(), String> {
        for (service_line, listener) in listeners.iter() {
            let copy = listener.as_fd().try_clone_to_owned().map_err(|error| error.to_string())?;
            self.ask(Role::Receive, Request::Listen { service_line }, vec![copy]).await?;
        }
        Ok(())
    }

    /// A new process names the files that it wants to have watched before it has heard a byte from anybody else, and never again:
    /// whoever takes it over later can not have other files opened.
    async fn ask_for_key_files(&mut self, role: Role) -> Result<(), String> {
        if matches!(role, Role::Receive | Role::Queue | Role::Send) {
            match self.call(role, Request::KeyFiles, Vec::new()).await? {
                Reply::KeyFiles(paths) => _ = self.key_files.insert(role, KeyFiles::new(paths)),
                _ => return Err(format!("role {} does not say which files it reads", role.name())),
            }
        }
        Ok(())
    }

    /// Gives every process the new file of the log. One that does not take it goes on in the old one.
    pub(super) async fn change_log(&mut self, file: &File) {
        self.draining.retain(|link| !link.is_closed());
        let links = self.running.values().map(|running| &running.control).chain(&self.draining);
        for link in links {
            let Ok(copy) = file.try_clone() else { continue };
            let call = link.call(Request::LogFile, vec![copy.into()]);
            let _ = tokio::time::timeout(START_PATIENCE, call).await;
        }
    }

    /// Hands over the key files that have changed. Call it every [`super::key_files::POLL`].
    pub(super) async fn renew_key_files(&mut self) {
        let changed: Vec<_> = self.key_files.iter_mut().map(|(role, files)| (*role, files.poll())).collect();
        for (role, files) in changed {
            if let Err(why) = self.hand_over(role, files).await {
                // A process that is gone reads all files when it starts again.
                maillog::warning!(self.log, "renewed TLS files: {why}");
            }
        }
    }

    async fn hand_over(&self, role: Role, files: Vec<(String, Option<File>)>) -> Result<(), String> {
        let mut left = files.len();
        for (path, file) in files {
            left -= 1;
            let request = Request::KeyFile { path, more: left > 0 };
            let descriptors = file.into_iter().map(OwnedFd::from).collect();
            self.ask(role, request, descriptors).await?;
        }
        Ok(())
    }

    async fn begin(&self, role: Role) -> Result<(), String> {
        self.ask(role, Request::Begin, Vec::new()).await
    }

    async fn ask(&self, role: Role, request: Request, descriptors: Vec<OwnedFd>) -> Result<(), String> {
        self.call(role, request, descriptors).await.map(drop)
    }

    /// As [`Children::ask`], for an answer that says something.
    async fn call(&self, role: Role, request: Request, descriptors: Vec<OwnedFd>) -> Result<Reply, String> {
        let Some(running) = self.running.get(&role) else {
            return Err(format!("role {} is not there", role.name()));
        };
        let call = running.control.call(request, descriptors);
        match tokio::time::timeout(START_PATIENCE, call).await {
            Ok(Ok((Reply::Failed(why), _))) => Err(format!("role {}: {why}", role.name())),
            Ok(Ok((reply, _))) => Ok(reply),
            Ok(Err(error)) => Err(format!("role {}: {error}; see its lines in the log", role.name())),
            Err(_elapsed) => Err(format!("role {} does not answer", role.name())),
        }
    }
}

fn links_of(role: Role) -> impl Iterator<Item = (Role, Role)> {
    LINKS.into_iter().filter(move |(one, other)| *one == role || *other == role)
}

/// `pid N exit status S`, as master(8) words it.
async fn ended(child: &mut Child) -> String {
    use std::os::unix::process::ExitStatusExt;
    let pid = child.id().unwrap_or_default();
    match child.wait().await {
        Ok(status) => match (status.code(), status.signal()) {
            (Some(code), _) => format!("pid {pid} exit status {code}"),
            (None, Some(signal)) => format!("pid {pid} killed by signal {signal}"),
            (None, None) => format!("pid {pid} ended"),
        },
        Err(error) => format!("pid {pid}: {error}"),
    }
}

fn kill(pid: u32) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
}
