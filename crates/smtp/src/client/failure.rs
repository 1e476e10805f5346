//! How failures are told: one place that turns replies and lost connections into outcomes, in Postfix's words.

use mail::outcome::RemoteReply;
use mail::{Outcome, Status};

use super::peer::Peer;
use super::reply::ServerReply;
use super::stage::Stage;

/// `host H[A] said: TEXT (in reply to COMMAND)`.
pub(super) fn said(peer: &Peer, reply: &ServerReply, stage: Stage) -> Outcome {
    remote(peer, reply, format!("host {peer} said: {} (in reply to {})", reply.one_line(), stage.command()))
}

/// `host H[A] refused to talk to me: TEXT`.
pub(super) fn refused_to_talk(peer: &Peer, reply: &ServerReply) -> Outcome {
    remote(peer, reply, format!("host {peer} refused to talk to me: {}", reply.one_line()))
}

/// A failure that quotes the server. A reply that is no refusal where one was expected is a protocol error.
pub(super) fn remote(peer: &Peer, reply: &ServerReply, text: String) -> Outcome {
    let outcome = match reply.status.class {
        4 => Outcome::deferred(reply.status, peer.relay(), text),
        5 => Outcome::bounced(reply.status, peer.relay(), text),
        _ => Outcome::bounced(Status::new(5, 5, 0), peer.relay(), format!("Protocol error: {text}")),
    };
    Outcome { remote: Some(RemoteReply { mta: peer.host.clone(), text: reply.text.clone() }), ..outcome }
}

/// `lost connection with H[A] while DOING`.
pub(super) fn lost(peer: &Peer, stage: Stage) -> Outcome {
    let text = format!("lost connection with {peer} while {}", stage.activity());
    Outcome::deferred(Status::new(4, 4, 2), peer.relay(), text)
}

/// `conversation with H[A] timed out while DOING`.
pub(super) fn timed_out(peer: &Peer, stage: Stage) -> Outcome {
    let text = format!("conversation with {peer} timed out while {}", stage.activity());
    Outcome::deferred(Status::new(4, 4, 2), peer.relay(), text)
}

/// A failure of our own finding.
pub(super) fn local(peer: &Peer, status: Status, text: String) -> Outcome {
    if status.class == 5 {
        Outcome::bounced(status, peer.relay(), text)
    } else {
        Outcome::deferred(status, peer.relay(), text)
    }
}

/// Delivered: the reply is the text.
pub(super) fn sent(peer: &Peer, reply: &ServerReply) -> Outcome {
    let remote = RemoteReply { mta: peer.host.clone(), text: reply.text.clone() };
    Outcome { status: reply.status, remote: Some(remote), ..Outcome::sent(peer.relay(), reply.one_line()) }
}
