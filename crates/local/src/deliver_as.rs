//! Doing a job with the recipient's rights.
//!
//! As root, jobs are done by other processes: this program again, started with [`ARGUMENT`], jobs and messages on its standard
//! input, answers on its standard output. Such a process gives up root before it looks at anything but its first job, and has
//! the rights of a user and of one group, without secondary groups, as Postfix has it; it does jobs with these rights and no
//! others. A job with root's rights is refused.
//!
//! Without root (quickstart, tests) jobs are done in this process, with the rights that it has.

use std::io::{self, Read, Write};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use mail::Status;

use crate::content::Body;
use crate::failure::{Failure, reason};
use crate::job::{Done, Job, Work, perform};
use crate::user::Rights;
use crate::workers::{Workers, frame};

/// The private first argument of the process that does one job.
pub const ARGUMENT: &str = "--deliver-as";

/// Gives up root for good: becomes the user of that login name, user id and group id.
pub type DropPrivileges = fn(&str, u32, u32) -> io::Result<()>;

/// A login name that nobody has: passwd(5) separates its fields by it. The user is given by numbers, and so gets no
/// secondary groups.
const NO_NAME: &str = ":";

/// Longest job, in bytes; and longest answer. A list of destinations is the longest of both.
pub(crate) const LONGEST: usize = 16 * 1024 * 1024;

/// The whole life of a process that does jobs of one user. `drop_privileges` is called before anything else is done.
pub fn run(drop_privileges: DropPrivileges) -> ExitCode {
    match do_all(drop_privileges, &mut io::stdin().lock(), &mut io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mailclad: deliver-as: fatal: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Until the input ends between two jobs.
fn do_all(drop_privileges: DropPrivileges, input: &mut dyn Read, output: &mut dyn Write) -> io::Result<()> {
    let mut rights = None;
    while let Some(job) = next_job(input)? {
        // Whatever of the message the work did not want is passed over, so that the next job begins where it begins.
        let mut message = input.take(job.length);
        let done = match rights.replace(job.rights) {
            Some(own) if own != job.rights => {
                return Err(io::Error::other("a job with the rights of another"));
            }
            Some(_) => perform(&job.work, &mut message, job.length),
            None => match enter(&job, drop_privileges) {
                Ok(()) => perform(&job.work, &mut message, job.length),
                Err(error) => {
                    // Without the rights there is nothing that this process may do.
                    let failure = Failure::system(format!("cannot deliver as the recipient: {error}"));
                    return answer(&Done::Failed(failure), &mut message, output);
                }
            },
        };
        answer(&done, &mut message, output)?;
    }
    Ok(())
}

fn answer(done: &Done, message: &mut dyn Read, output: &mut dyn Write) -> io::Result<()> {
    io::copy(message, &mut io::sink())?;
    output.write_all(&frame(done)?)?;
    output.flush()
}

fn next_job(input: &mut dyn Read) -> io::Result<Option<Job>> {
    let mut length = [0; 4];
    // The end of the input before the first byte is the end of the work.
    if input.read(&mut length[..1])? == 0 {
        return Ok(None);
    }
    input.read_exact(&mut length[1..])?;
    let length = u32::from_le_bytes(length) as usize;
    if length > LONGEST {
        return Err(io::Error::other("the job is too long"));
    }
    let mut bytes = vec![0; length];
    input.read_exact(&mut bytes)?;
    postcard::from_bytes(&bytes).map(Some).map_err(io::Error::other)
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
    /// By processes that have the rights.
    Children(Arc<Workers>),
    /// By this process. fcntl(2) locks do not keep its own threads apart, so mailboxes are written one at a time.
    InProcess(Arc<Mutex<()>>),
}

impl Deliverer {
    /// By what this process may do.
    pub(crate) fn new() -> Deliverer {
        if rustix::process::geteuid().is_root() { Deliverer::children() } else { Deliverer::in_process() }
    }

    /// By processes that have the rights.
    pub(crate) fn children() -> Deliverer {
        Deliverer::Children(Arc::default())
    }

    /// With the rights of this process.
    pub(crate) fn in_process() -> Deliverer {
        Deliverer::InProcess(Arc::default())
    }

    /// The rights that a delivery for `wanted` really has.
    pub(crate) fn rights(&self, wanted: Rights) -> Rights {
        match self {
            Deliverer::Children(_) => wanted,
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
            Deliverer::Children(workers) => in_child(&workers, &job, &body),
            Deliverer::InProcess(_) if job.chroot.is_some() => {
                Done::Failed(Failure::system("chroot needs the rights of root"))
            }
            Deliverer::InProcess(mailboxes) => {
                let _turn = matches!(job.work, Work::Append(_))
                    .then(|| mailboxes.lock().unwrap_or_else(PoisonError::into_inner));
                perform(&job.work, &mut body.reader(), job.length)
            }
        });
        let done = done.await.unwrap_or_else(|error| Done::Failed(Failure::system(error.to_string())));
        if let Deliverer::Children(workers) = self {
            workers.sweep();
        }
        done
    }
}

fn in_child(workers: &Workers, job: &Job, body: &Body) -> Done {
    if job.rights.uid == 0 {
        let text = "mail is not delivered with the rights of root: give root an alias";
        return Done::Failed(Failure::new(Status::new(4, 7, 0), text));
    }
    match workers.perform(job, body) {
        Ok(done) => done,
        Err(error) => Done::Failed(Failure::system(format!("delivery process failed: {}", reason(&error)))),
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
        do_all(drop_privileges, &mut &input[..], &mut output)?;
        assert_eq!(u32::from_le_bytes(output[..4].try_into().unwrap()) as usize, output.len() - 4);
        Ok(postcard::from_bytes(&output[4..]).unwrap())
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
    fn one_process_does_many_jobs_of_one_user_and_none_of_another() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| vec![directory.path().join(name).display().to_string()];
        std::fs::write(directory.path().join("list"), "a, b\n").unwrap();
        let read = |name: &str| Work::Read(ReadList { paths: path(name), owner: None });
        let mut input = Vec::new();
        let mut add = |uid, name: &str, body: &[u8]| {
            let bytes = postcard::to_stdvec(&job(uid, read(name), body.len() as u64)).unwrap();
            input.extend((bytes.len() as u32).to_le_bytes());
            input.extend(bytes);
            // Nobody reads it: it must not be taken for the next job.
            input.extend(body);
        };
        add(1000, "list", b"a message that the work does not want");
        add(1000, "missing", b"");
        let mut output = Vec::new();
        do_all(|_, _, _| Ok(()), &mut &input[..], &mut output).unwrap();
        let mut answers = Vec::new();
        let mut rest = &output[..];
        while let Some((length, more)) = rest.split_at_checked(4) {
            let (answer, more) = more.split_at(u32::from_le_bytes(length.try_into().unwrap()) as usize);
            answers.push(postcard::from_bytes::<Done>(answer).unwrap());
            rest = more;
        }
        assert_eq!(answers.len(), 2);
        assert_eq!(answers[1], Done::NoList);
        let bytes = postcard::to_stdvec(&job(1001, read("list"), 0)).unwrap();
        input.extend((bytes.len() as u32).to_le_bytes());
        input.extend(bytes);
        let error = do_all(|_, _, _| Ok(()), &mut &input[..], &mut Vec::new()).unwrap_err();
        assert_eq!(error.to_string(), "a job with the rights of another");
    }

    #[test]
    fn nonsense_on_the_input_is_an_error() {
        for input in [&[1, 0][..], &[255, 255, 255, 255], &[2, 0, 0, 0, 255, 255]] {
            assert!(do_all(|_, _, _| Ok(()), &mut &input[..], &mut Vec::new()).is_err(), "{input:?}");
        }
    }

    #[test]
    fn a_process_without_an_answer_is_a_delay() {
        // The program of this test does not know the argument, complains, and ends without reading its input.
        let list = Work::Read(ReadList { paths: vec!["/".into()], owner: None });
        let done = in_child(&Workers::default(), &job(1000, list, 0), &Body::inline(vec![b'x'; 1_000_000]));
        assert!(matches!(done, Done::Failed(failure) if failure.status == Status::new(4, 3, 0)));
    }

    #[test]
    fn nothing_is_done_as_root() {
        let list = Work::Read(ReadList { paths: vec!["/".into()], owner: None });
        let done = in_child(&Workers::default(), &job(0, list, 0), &Body::inline(Vec::new()));
        assert!(matches!(done, Done::Failed(failure) if failure.status == Status::new(4, 7, 0)));
    }
}
