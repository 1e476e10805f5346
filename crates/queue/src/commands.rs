//! The socket that postqueue(1), postsuper(1) and their relatives talk to.

use std::os::unix::net::UnixListener;

use link::{Link, Reply};
use tokio::sync::mpsc::UnboundedSender;

use crate::permission::Current;
use crate::role::Event;

/// Commands served at a time; more wait in the socket's backlog.
const AT_A_TIME: usize = 32;

/// Accepts commands for as long as the role lives.
pub(crate) fn listen(
    listener: UnixListener,
    permissions: Current,
    events: UnboundedSender<Event>,
) -> std::io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::UnixListener::from_std(listener)?;
    let places = std::sync::Arc::new(tokio::sync::Semaphore::new(AT_A_TIME));
    tokio::spawn(async move {
        loop {
            let Ok(place) = std::sync::Arc::clone(&places).acquire_owned().await else { return };
            let Ok((stream, _)) = listener.accept().await else { continue };
            let (events, permissions) = (events.clone(), permissions.clone());
            tokio::spawn(async move {
                // Without the kernel's word on who it is, it is nobody.
                let Ok(credentials) = stream.peer_cred() else { return };
                let Ok(stream) = stream.into_std() else { return };
                let Ok((_link, mut calls)) = Link::open(stream, "command") else { return };
                while let Some(Ok(incoming)) = calls.recv().await {
                    let permitted = permissions.get().check(&incoming.request, credentials.uid()).await;
                    match permitted {
                        Err(why) => incoming.call.answer(Reply::Failed(why), Vec::new()),
                        Ok(()) if events.send(Event::Command(credentials.uid(), incoming)).is_err() => return,
                        Ok(()) => {}
                    }
                }
                drop(place);
            });
        }
    });
    Ok(())
}
