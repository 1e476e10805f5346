//! Doing a job with the recipient's rights.
//!
//! As root, each job is done by a process of its own: this program again, started with [`ARGUMENT`], its job and the message
//! on its standard input, its answer on its standard output. That process gives up root before it looks at anything but the
//! job, and has the rights of a user and of one group, without secondary groups, as Postfix has it. A job with
//! root's rights is refused.
//!
//! Without root (quickstart, tests) jobs are done in this process, with the rights that it has.

use std::io::{self, Read, Write};
use std::process::{Command, ExitCode, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use mail::Status;

use crate::content::Body;
use crate::failure::{Failure, reason};
use crate::job::{Done, Job, Work, perform};
use crate::user::Rights;

/// The private first argument of the process that does one job.
pub const ARGUMENT: &str = "--deliver-as";

/// Gives up root for good: becomes the user of that login name, user id and group id.
pub type DropPrivileges = fn(&str, u32, u32) -> io::Result<()>;

/// A login name that nobody has: passwd(5) separates its fields by it. The user is given by numbers, and so gets no
/// secondary groups.
const NO_NAME: &str = ":";

/// Longest job, in bytes; and longest answer. A list of destinations is the longest of both.
const LONGEST: usize = 16 * 1024 * 1024;

/// The whole life of the process that does one job. `drop_privileges` is called before anything else is done.
pub fn run(drop_privileges: DropPrivileges) -> ExitCode {
    match do_one(drop_privileges, &mut io::stdin().lock(), &mut io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mailclad: deliver-as: fatal: {error}");
            ExitCode::FAILURE
        }
    }
}

fn do_one(drop_privileges: DropPrivileges, input: &mut dyn Read, output: &mut dyn Write) -> io::Result<()> {
    let mut length = [0; 4];
    input.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length) as usize;
    if length > LONGEST {
        return Err(io::Error::other("the job is too long"));
    }
    let mut bytes = vec![0; length];
    input.read_exact(&mut bytes)?;
    let job: Job = postcard::from_bytes(&bytes).map_err(io::Error::other)?;
    let done = match enter(&job, drop_privileges) {
        Ok(()) => perform(&job.work, input, job.length),
        Err(error) => Done::Failed(Failure::system(format!("cannot deliver as the recipient: {error}"))),
    };
    output.write_all(&postcard::to_stdvec(&done).map_err(io::Error::other)?)?;
    output.flush()
}

fn enter(job: &Job, drop_privileges: DropPrivileges) -> io::Result<()> {
    if let Some(root) = &job.chroot {
        rustix::process::chroot(root)?;
        std::env::set_current_dir("/")?;
    }
    drop_privileges(NO_NAME, job.rights.uid, job.rights.gid)
}

/// How jobs are done here.
#[derive(Clone)]
pub(crate) enum Deliverer {
    /// By a process for each.
    Child,
    /// By this process. fcntl(2) locks do not keep its own threads apart, so mailboxes are written one at a time.
    InProcess(Arc<Mutex<()>>),
}

impl Deliverer {
    /// By what this process may do.
    pub(crate) fn new() -> Deliverer {
        if rustix::process::geteuid().is_root() { Deliverer::Child } else { Deliverer::in_process() }
    }

    /// With the rights of this process.
    pub(crate) fn in_process() -> Deliverer {
        Deliverer::InProcess(Arc::default())
    }

    /// The rights that a delivery for `wanted` really has.
    pub(crate) fn rights(&self, wanted: Rights) -> Rights {
        match self {
            Deliverer::Child => wanted,
            Deliverer::InProcess(_) => {
                Rights { uid: rustix::process::geteuid().as_raw(), gid: rustix::process::getegid().as_raw() }
            }
        }
    }

    /// Does a job; the message is `body`, or nothing for work that needs none.
    pub(crate) async fn perform(
        &self,
        rights: Rights,
        chroot: Option<String>,
        work: Work,
        body: Option<&Body>,
    ) -> Done {
        let body = body.cloned().unwrap_or_else(|| Body::inline(Vec::new()));
        let job = Job { rights: self.rights(rights), chroot, work, length: body.length };
        let this = self.clone();
        let done = tokio::task::spawn_blocking(move || match this {
            Deliverer::Child => in_child(&job, &body),
            Deliverer::InProcess(_) if job.chroot.is_some() => {
                Done::Failed(Failure::system("chroot needs the rights of root"))
            }
            Deliverer::InProcess(mailboxes) => {
                let _turn = matches!(job.work, Work::Append(_))
                    .then(|| mailboxes.lock().unwrap_or_else(PoisonError::into_inner));
                perform(&job.work, &mut body.reader(), job.length)
            }
        });
        done.await.unwrap_or_else(|error| Done::Failed(Failure::system(error.to_string())))
    }
}

fn in_child(job: &Job, body: &Body) -> Done {
    if job.rights.uid == 0 {
        let text = "mail is not delivered with the rights of root: give root an alias";
        return Done::Failed(Failure::new(Status::new(4, 7, 0), text));
    }
    match ask_child(job, body) {
        Ok(done) => done,
        Err(error) => Done::Failed(Failure::system(format!("delivery process failed: {}", reason(&error)))),
    }
}

fn ask_child(job: &Job, body: &Body) -> io::Result<Done> {
    let job_bytes = postcard::to_stdvec(job).map_err(io::Error::other)?;
    if job_bytes.len() > LONGEST {
        return Err(io::Error::other("the job is too long"));
    }
    // The link to this program itself: what was started stays what is started, even after an upgrade of the file.
    let mut child =
        Command::new("/proc/self/exe").arg(ARGUMENT).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let sent = (|| {
        let Some(mut stdin) = child.stdin.take() else { return Ok(()) };
        stdin.write_all(&(job_bytes.len() as u32).to_le_bytes())?;
        stdin.write_all(&job_bytes)?;
        io::copy(&mut body.reader(), &mut stdin).map(drop)
    })();
    let mut answer = Vec::new();
    let heard = match child.stdout.take() {
        Some(stdout) => stdout.take(LONGEST as u64).read_to_end(&mut answer).map(drop),
        None => Ok(()),
    };
    child.wait()?;
    heard?;
    // A child that has answered before it read everything is no trouble; one that has not says nothing.
    match (postcard::from_bytes(&answer), sent) {
        (Ok(done), _) => Ok(done),
        (Err(_), Err(error)) => Err(error),
        (Err(_), Ok(())) => Err(io::Error::other("it ended without an answer")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::ReadList;

    fn answer(job: &Job, body: &[u8], drop_privileges: DropPrivileges) -> io::Result<Done> {
        let bytes = postcard::to_stdvec(job).unwrap();
        let mut input = (bytes.len() as u32).to_le_bytes().to_vec();
        input.extend(bytes);
        input.extend(body);
        let mut output = Vec::new();
        do_one(drop_privileges, &mut &input[..], &mut output)?;
        Ok(postcard::from_bytes(&output).unwrap())
    }

    fn job(uid: u32, work: Work, length: u64) -> Job {
        Job { rights: Rights { uid, gid: 100 }, chroot: None, work, length }
    }

    #[test]
    fn rights_are_given_up_before_the_work_is_done() {
        let directory = tempfile::tempdir().unwrap();
        let store = crate::maildir::Store {
            path: directory.path().display().to_string(),
            format: crate::content::Format::plain(String::new()),
            hostname: "mx.test".into(),
            limit: 0,
        };
        let store = Work::Store(store);
        let refuse: DropPrivileges = |name, uid, gid| {
            assert_eq!((name, uid, gid), (":", 1000, 100));
            Err(io::Error::other("refused"))
        };
        let text = "cannot deliver as the recipient: refused";
        let refused = answer(&job(1000, store.clone(), 5), b"A: b\n", refuse).unwrap();
        assert_eq!(refused, Done::Failed(Failure::system(text)));
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
        let done = answer(&job(1000, store, 5), b"A: b\n", |_, _, _| Ok(())).unwrap();
        assert_eq!(done, Done::Delivered(String::new()));
        assert_eq!(std::fs::read_dir(directory.path().join("new")).unwrap().count(), 1);
    }

    #[test]
    fn nonsense_on_the_input_is_an_error() {
        for input in [&b""[..], &[1, 0], &[255, 255, 255, 255], &[2, 0, 0, 0, 255, 255]] {
            assert!(do_one(|_, _, _| Ok(()), &mut &input[..], &mut Vec::new()).is_err(), "{input:?}");
        }
    }

    #[test]
    fn a_process_without_an_answer_is_a_delay() {
        // The program of this test does not know the argument, complains, and ends without reading its input.
        let list = Work::Read(ReadList { paths: vec!["/".into()], owner: None });
        let done = in_child(&job(1000, list, 0), &Body::inline(vec![b'x'; 1_000_000]));
        assert!(matches!(done, Done::Failed(failure) if failure.status == Status::new(4, 3, 0)));
    }

    #[test]
    fn nothing_is_done_as_root() {
        let list = Work::Read(ReadList { paths: vec!["/".into()], owner: None });
        let done = in_child(&job(0, list, 0), &Body::inline(Vec::new()));
        assert!(matches!(done, Done::Failed(failure) if failure.status == Status::new(4, 7, 0)));
    }
}
