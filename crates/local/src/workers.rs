//! Processes with a user's rights that wait for the next delivery to that user: starting one costs more than a delivery does. Each
//! belongs to one user id and group id for its whole life, and does what needs no other environment: mailboxes and lists.

use std::io::{self, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::content::Body;
use crate::deliver_as::{ARGUMENT, LONGEST};
use crate::job::{Done, Job, Work};
use crate::user::Rights;

/// How long one waits for more.
const PATIENCE: Duration = Duration::from_secs(20);

/// Bytes of a message that are sent with its job.
const GATHER: u64 = 32 * 1024;

/// Most that wait at a time; beyond that the one that has waited longest goes.
const MOST_IDLE: usize = 50;

/// A process that does jobs, one at a time.
pub(crate) struct Worker {
    child: Child,
    /// Closed, it ends the process.
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Worker {
    /// Starts one. The link to this program itself: what was started stays what is started, even after an upgrade of the file.
    pub(crate) fn start() -> io::Result<Worker> {
        let mut child = Command::new("/proc/self/exe")
            .arg(ARGUMENT)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let missing = || io::Error::other("a process without pipes");
        let output = BufReader::new(child.stdout.take().ok_or_else(missing)?);
        Ok(Worker { input: child.stdin.take(), output, child })
    }

    /// Has a job done. After an error nobody knows whether it was, and the worker is of no more use.
    pub(crate) fn perform(&mut self, job: &Job, body: &Body) -> io::Result<Done> {
        let mut input = self.input.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        // Job and small message go in one system call.
        let mut gathered = frame(job)?;
        gathered.reserve(usize::try_from(body.length.min(GATHER)).unwrap_or_default() + 1);
        let mut body = body.reader();
        (&mut body).take(GATHER).read_to_end(&mut gathered)?;
        input.write_all(&gathered)?;
        io::copy(&mut body, &mut input)?;
        let mut length = [0; 4];
        self.output.read_exact(&mut length).map_err(|_| io::Error::other("it ended without an answer"))?;
        let length = u32::from_le_bytes(length) as usize;
        if length > LONGEST {
            return Err(io::Error::other("the answer is too long"));
        }
        let mut answer = vec![0; length];
        self.output.read_exact(&mut answer)?;
        postcard::from_bytes(&answer).map_err(io::Error::other)
    }

    fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

/// A job or an answer, behind its length.
pub(crate) fn frame(value: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut frame = postcard::to_extend(value, vec![0; 4]).map_err(io::Error::other)?;
    let length = frame.len() - 4;
    if length > LONGEST {
        return Err(io::Error::other("the job or the answer is too long"));
    }
    frame[..4].copy_from_slice(&(length as u32).to_le_bytes());
    Ok(frame)
}

impl Drop for Worker {
    /// Its input ends, and so does it.
    fn drop(&mut self) {
        self.input = None;
        let _ = self.child.wait();
    }
}

/// Those that wait.
#[derive(Default)]
pub(crate) struct Workers {
    idle: Mutex<Vec<Idle>>,
    is_swept: AtomicBool,
}

struct Idle {
    rights: Rights,
    worker: Worker,
    until: Instant,
}

impl Workers {
    /// Has a job done by one that has the rights already, or by a new one.
    pub(crate) fn perform(&self, job: &Job, body: &Body) -> io::Result<Done> {
        let mut worker = match is_for_all(job).then(|| self.take(job.rights)).flatten() {
            Some(worker) => worker,
            None => Worker::start()?,
        };
        let done = worker.perform(job, body)?;
        // Who could not become the user is nobody's worker.
        if is_for_all(job) && !matches!(done, Done::Failed(_)) {
            self.keep(job.rights, worker);
        }
        Ok(done)
    }

    fn take(&self, rights: Rights) -> Option<Worker> {
        let mut idle = self.lock();
        while let Some(at) = idle.iter().rposition(|idle| idle.rights == rights) {
            let mut found = idle.remove(at);
            if found.worker.is_alive() {
                return Some(found.worker);
            }
        }
        None
    }

    fn keep(&self, rights: Rights, worker: Worker) {
        let mut idle = self.lock();
        let oldest = (idle.len() >= MOST_IDLE).then(|| idle.remove(0));
        idle.push(Idle { rights, worker, until: Instant::now() + PATIENCE });
        drop(idle);
        // Waits for its end: not under the lock.
        drop(oldest);
    }

    /// Ends those whose time is over; runs for as long as there are any.
    pub(crate) fn sweep(self: &Arc<Self>) {
        if self.lock().is_empty() || self.is_swept.swap(true, Ordering::AcqRel) {
            return;
        }
        let workers = Arc::clone(self);
        tokio::spawn(async move {
            while let Some(until) = workers.next_end() {
                tokio::time::sleep_until(until.into()).await;
                let over = workers.expired(Instant::now());
                // Their ends are waited for.
                let _ = tokio::task::spawn_blocking(move || drop(over)).await;
            }
            workers.is_swept.store(false, Ordering::Release);
        });
    }

    fn next_end(&self) -> Option<Instant> {
        self.lock().iter().map(|idle| idle.until).min()
    }

    fn expired(&self, now: Instant) -> Vec<Idle> {
        let mut idle = self.lock();
        let (over, left) = std::mem::take(&mut *idle).into_iter().partition(|idle| idle.until <= now);
        *idle = left;
        over
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Commands have a root directory, an environment and children of their own, and so a process of their own.
fn is_for_all(job: &Job) -> bool {
    job.chroot.is_none() && !matches!(job.work, Work::Run(_))
}
