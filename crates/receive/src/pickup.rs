//! Messages of this machine's users (pickup(8), sendmail(1)): from the command itself over a socket, or from the maildrop
//! directory when it was left there while nobody listened.
//!
//! Who submits is known from the socket's credentials or the file's owner, never from what is said.

use std::fs::File;
use std::io::Read;
use std::os::unix::net::UnixListener as StdListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use link::message::Submission;
use link::{Incoming, Link, Reply, Request};
use mail::{Address, Envelope, Origin, QueueId};
use route::Context;
use tables::users::User;
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;

use crate::cleanup::checks::About;
use crate::cleanup::{Beginning, Intake, Trouble};
use crate::maildrop;
use crate::serve::{Receive, drained};

/// How often the maildrop directory is looked into, as master.cf's `pickup` line has it by default.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// Bytes of content read at once.
const PIECE: usize = 64 * 1024;

/// Serves until Drain.
pub(crate) async fn serve(receive: Arc<Receive>, listener: StdListener) {
    let log = &receive.prepared.pickup.log;
    let listener = match listener.set_nonblocking(true).and_then(|()| UnixListener::from_std(listener)) {
        Ok(listener) => listener,
        Err(error) => {
            maillog::fatal!(log, "pickup socket: {error}");
            return;
        }
    };
    let mut draining = receive.draining.subscribe();
    let mut look = tokio::time::interval(LOOK_EVERY);
    let mut sessions = JoinSet::new();
    loop {
        while sessions.try_join_next().is_some() {}
        tokio::select! {
            () = drained(&mut draining) => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    sessions.spawn(hear(Arc::clone(&receive), stream));
                }
                Err(error) => maillog::warning!(log, "pickup socket: {error}"),
            },
            _ = look.tick() => empty_maildrop(&receive).await,
        }
    }
    while sessions.join_next().await.is_some() {}
}

/// One sendmail command; it may submit several messages.
async fn hear(receive: Arc<Receive>, stream: UnixStream) {
    let log = &receive.prepared.pickup.log;
    let opened =
        stream.peer_cred().and_then(|peer| Ok((peer.uid(), Link::open(stream.into_std()?, "sendmail")?)));
    let (uid, (_link, mut calls)) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            maillog::warning!(log, "pickup socket: {error}");
            return;
        }
    };
    while let Some(call) = calls.recv().await {
        let Incoming { request, mut descriptors, call } = match call {
            Ok(incoming) => incoming,
            Err(error) => {
                maillog::warning!(log, "uid={uid}: {error}");
                return;
            }
        };
        let reply = match (request, descriptors.pop()) {
            (Request::Submit(submission), Some(content)) => {
                match take_in(&receive, uid, *submission, File::from(content), SystemTime::now()).await {
                    Ok(id) => Reply::Submitted(id),
                    Err(NotTaken { trouble: Some(Trouble::NoSpace), .. }) => Reply::NoSpace,
                    Err(not_taken) => Reply::Failed(not_taken.text),
                }
            }
            (Request::Submit(_), None) => Reply::Failed("no descriptor came with the message".into()),
            (Request::Ping, _) => Reply::Done,
            _ => Reply::Failed("not a request to pickup".into()),
        };
        call.answer(reply, Vec::new());
    }
}

/// Why a message was not taken; `text` is for the submitter.
struct NotTaken {
    trouble: Option<Trouble>,
    text: String,
}

impl NotTaken {
    fn because(text: impl Into<String>) -> NotTaken {
        NotTaken { trouble: None, text: text.into() }
    }
}

/// Brings one message to the queue.
async fn take_in(
    receive: &Receive,
    uid: u32,
    submission: Submission,
    content: File,
    arrival: SystemTime,
) -> Result<QueueId, NotTaken> {
    let pickup = &receive.prepared.pickup;
    let Submission { sender, full_name, recipients, envelope } = submission;
    if recipients.is_empty() {
        return Err(NotTaken::because("no recipient addresses found in message"));
    }
    let name = login_name(uid).await.map_err(|why| NotTaken::because(format!("uid {uid}: {why}")))?;
    let sender = match sender {
        Some(sender) => sender,
        None => own_address(name.as_deref(), uid, &pickup.origin)
            .ok_or_else(|| NotTaken::because("the user has no address"))?,
    };
    if let Err(why) = pickup.submitters.check(uid, name.as_deref(), &sender).await {
        maillog::warning!(pickup.log, "uid={uid}: {why}");
        return Err(NotTaken::because(why));
    }
    let id = receive.next_id();
    maillog::info!(pickup.log, "{id}: uid={uid} from=<{}>", pickup.log.form().show(&sender));
    let beginning = Beginning {
        id,
        arrival,
        sender: sender.clone(),
        full_name,
        context: Context::Local,
        first_lines: pickup.received.of_user(uid, &id, arrival),
        overrides: pickup.overrides.clone(),
        about: About::of_user(&recipients),
        discard: false,
    };
    let mut intake = Intake::begin(Arc::clone(&pickup.cleanup), Arc::clone(&receive.queue), beginning).await;
    feed(&mut intake, Content::File(content), pickup.size_limit).await.map_err(NotTaken::because)?;
    let envelope = Envelope { sender, recipients, ..envelope };
    let kept = match intake.pretend_session(&envelope).await {
        Ok((mut milters, effects)) => {
            let origin = Origin::User { uid };
            let kept = intake.keep(&envelope, origin, &effects, milters.as_deref_mut()).await;
            if let Some(milters) = milters {
                milters.quit().await;
            }
            kept
        }
        Err(trouble) => Err(trouble),
    };
    match kept {
        Ok(()) => Ok(id),
        Err(trouble) => {
            let text = trouble.reply().text.into_owned();
            Err(NotTaken { trouble: Some(trouble), text })
        }
    }
}

/// Content with LF line ends that comes from this machine.
pub(crate) enum Content {
    /// Perhaps a pipe.
    File(File),
    Bytes(Vec<u8>),
}

/// Brings content to cleanup. `limit` is `message_size_limit` in bytes, 0 for none. The error is for who submits.
pub(crate) async fn feed(intake: &mut Intake, content: Content, limit: u64) -> Result<(), String> {
    let mut file = match content {
        Content::File(file) => Some(file),
        Content::Bytes(bytes) => {
            intake.raw().extend_from_slice(&bytes);
            intake.take().await;
            None
        }
    };
    let (mut total, mut last) = (0u64, None);
    while let Some(mut open) = file.take() {
        // A pipe may keep us waiting.
        let read = tokio::task::spawn_blocking(move || {
            let mut piece = vec![0; PIECE];
            open.read(&mut piece).map(|count| {
                piece.truncate(count);
                (piece, open)
            })
        });
        match read.await.map_err(std::io::Error::other).flatten() {
            Ok((piece, _)) if piece.is_empty() => break,
            Ok((piece, open)) => {
                total += piece.len() as u64;
                if limit > 0 && total > limit {
                    return Err("message file too big".to_owned());
                }
                last = piece.last().copied();
                intake.raw().extend_from_slice(&piece);
                intake.take().await;
                file = Some(open);
            }
            Err(error) => return Err(format!("cannot read the message: {error}")),
        }
    }
    if last.is_some_and(|byte| byte != b'\n') {
        intake.take_line_end().await;
    }
    Ok(())
}

/// `None` for a user without a name. The name service may be far away.
async fn login_name(uid: u32) -> Result<Option<String>, String> {
    let asked = tokio::task::spawn_blocking(move || User::numbered(uid)).await;
    Ok(asked.map_err(|error| error.to_string())??.map(|user| user.name))
}

/// The user's address here; a user without a name goes by number.
fn own_address(name: Option<&str>, uid: u32, origin: &str) -> Option<Address> {
    let name = name.map_or_else(|| uid.to_string(), str::to_owned);
    Address::internal(format!("{name}@{origin}")).ok()
}

/// Takes in what lies in the maildrop directory. What can not be taken now stays for the next look.
async fn empty_maildrop(receive: &Receive) {
    let pickup = &receive.prepared.pickup;
    let directory = pickup.maildrop.clone();
    let listed = tokio::task::spawn_blocking(move || maildrop::list(&directory)).await;
    for path in listed.ok().and_then(Result::ok).unwrap_or_default() {
        if let Err(why) = take_dropped(receive, &path).await {
            maillog::warning!(pickup.log, "{}: {why}", path.display());
        }
    }
}

async fn take_dropped(receive: &Receive, path: &Path) -> Result<(), String> {
    let to_read: PathBuf = path.to_owned();
    let read = tokio::task::spawn_blocking(move || maildrop::read(&to_read)).await;
    let dropped = read.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
    let maildrop::Dropped { uid, submission, content, arrival } = dropped;
    take_in(receive, uid, submission, content, arrival).await.map_err(|not_taken| not_taken.text)?;
    // Kept now: a crash before this line would bring the message a second time, never lose it.
    std::fs::remove_file(path).map_err(|error| format!("remove: {error}"))
}
