//! What a content filter behind us is told of the client that a message came from (XFORWARD_README).

use std::net::IpAddr;

use mail::{Message, Origin};

/// The attributes that are known, with their values. Mail of this machine has no client.
pub(crate) fn attributes(message: &Message) -> Vec<(&'static str, String)> {
    let own_id = message.id.to_string();
    let Origin::Client(client) = &message.origin else {
        return vec![("IDENT", own_id), ("SOURCE", "LOCAL".into())];
    };
    // What another filter said of the client behind it is passed on.
    let forwarded = client.forwarded.as_deref();
    let address = forwarded.map_or(client.address, |facts| facts.address).map(|address| match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("IPV6:{address}"),
    });
    let own_protocol = if client.esmtp { "ESMTP" } else { "SMTP" };
    let text = |forwarded: Option<&Option<String>>, own: Option<&str>| match forwarded {
        Some(facts) => facts.clone(),
        None => own.map(str::to_owned),
    };
    let local = forwarded.and_then(|facts| facts.local).unwrap_or(client.local);
    let known = [
        ("NAME", text(forwarded.map(|facts| &facts.name), Some(&client.name))),
        ("ADDR", address),
        ("PORT", forwarded.map_or(Some(client.port), |facts| facts.port).map(|port| port.to_string())),
        ("PROTO", text(forwarded.map(|facts| &facts.protocol), Some(own_protocol))),
        ("HELO", text(forwarded.map(|facts| &facts.helo), client.helo.as_deref())),
        ("IDENT", Some(forwarded.and_then(|facts| facts.ident.clone()).unwrap_or(own_id))),
        ("SOURCE", Some(if local { "LOCAL" } else { "REMOTE" }.to_owned())),
    ];
    known.into_iter().filter_map(|(name, value)| value.map(|value| (name, value))).collect()
}
