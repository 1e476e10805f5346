//! A message of the queue that goes through cleanup once more (postsuper(1) `-r`), as pickup(8) takes in what postsuper moves to the
//! maildrop: with today's tables and content_filter, without Milters, under a new id and with a Received: header more.
//! Arrival, client, and who is not to be told what stay as they are. Notices of the queue's own go the same way where
//! `internal_mail_filter_classes` asks for it: with checks and Milters, and with nothing changed but by those.

use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::sync::Arc;
use std::time::SystemTime;

use access::Effect;
use link::message::Requeue;
use mail::{Envelope, Message, Origin, Return, Status};
use route::Context;

use crate::cleanup::checks::About;
use crate::cleanup::services::Overrides;
use crate::cleanup::{Beginning, Intake, Trouble};
use crate::pickup::{Content, feed};
use crate::serve::Receive;

/// Brings the message to the queue again. The error is for the log of the queue, which keeps the old one.
pub(crate) async fn requeue(
    receive: &Receive,
    requeue: Requeue,
    mut file: Option<File>,
) -> Result<(), String> {
    let Requeue { message, body, is_internal } = requeue;
    let content = |file: &mut Option<File>| match (&body, file) {
        (Some(bytes), _) => Ok(Content::Bytes(bytes.clone())),
        (None, Some(file)) => file.seek(SeekFrom::Start(0)).and_then(|_| file.try_clone()).map(Content::File),
        (None, None) => Err(std::io::Error::other("no descriptor came with the message")),
    };
    let first = content(&mut file).map_err(|error| error.to_string())?;
    let refusal = match pass(receive, &message, first, is_internal, None).await? {
        Ok(()) => return Ok(()),
        Err(Trouble::Rejected { status, text }) => (status, text),
        Err(Trouble::TooManyHops) => (Status::new(5, 4, 0), "too many hops".to_owned()),
        Err(trouble) => return Err(trouble.reply().text.into_owned()),
    };
    // Nobody waits for a reply: the sender is told by mail.
    let again = content(&mut file).map_err(|error| error.to_string())?;
    match pass(receive, &message, again, is_internal, Some(refusal)).await? {
        Ok(()) => Ok(()),
        Err(trouble) => Err(trouble.reply().text.into_owned()),
    }
}

/// One way through cleanup; with a refusal, for what is only to be returned.
async fn pass(
    receive: &Receive,
    message: &Message,
    content: Content,
    is_internal: bool,
    refusal: Option<(Status, String)>,
) -> Result<Result<(), Trouble>, String> {
    let pickup = &receive.prepared.pickup;
    let envelope = &message.envelope;
    let is_returned = refusal.is_some();
    let (id, first_lines, overrides) = match is_internal {
        true => (message.id, String::new(), Overrides::of_internal(!is_returned, false)),
        false => {
            let (id, uid) = (receive.next_id(), rustix::process::geteuid().as_raw());
            maillog::info!(
                pickup.log,
                "{id}: uid={uid} from=<{}> orig_id={}",
                pickup.log.form().show(&envelope.sender),
                message.id
            );
            let overrides = Overrides {
                detects_utf8: false,
                milters: false,
                checks: pickup.overrides.checks && !is_returned,
                ..pickup.overrides.clone()
            };
            let received = pickup.received.of_user(uid, &id, SystemTime::now());
            (id, received, overrides)
        }
    };
    let beginning = Beginning {
        id,
        arrival: message.arrival,
        sender: envelope.sender.clone(),
        full_name: None,
        context: match &message.origin {
            Origin::Client(client) if !client.local => Context::Remote,
            _ => Context::Local,
        },
        first_lines,
        overrides,
        about: match &message.origin {
            Origin::Client(client) => About::of_client(client, envelope),
            Origin::User { .. } | Origin::Internal => About::of_user(&envelope.recipients),
        },
        discard: false,
    };
    let mut intake = Intake::begin(Arc::clone(&pickup.cleanup), Arc::clone(&receive.queue), beginning).await;
    intake.replace(message.id, is_returned);
    feed(&mut intake, content, 0).await?;
    let mut effects: Vec<_> =
        refusal.into_iter().map(|(status, text)| Effect::Filter(format!("error:{status} {text}"))).collect();
    // What was refused is not returned: its header says what it was.
    let ret = if is_returned { Some(Return::Headers) } else { envelope.ret };
    let envelope = Envelope { ret, ..envelope.clone() };
    let (mut milters, said) = match intake.pretend_session(&envelope).await {
        Ok(shown) => shown,
        Err(trouble) => return Ok(Err(trouble)),
    };
    effects.extend(said);
    let kept = intake.keep(&envelope, message.origin.clone(), &effects, milters.as_deref_mut()).await;
    if let Some(milters) = milters {
        milters.quit().await;
    }
    Ok(kept)
}
