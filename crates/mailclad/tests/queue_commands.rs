//! What administrators ask of the queue, on a running and on a stopped system.
#![allow(clippy::unwrap_used)]

mod support;

use std::process::Output;

use support::{Client, Site, wait_for};
use testkit::authority::Authority;

fn text(output: &Output) -> (String, String) {
    let of = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (of(&output.stdout), of(&output.stderr))
}

/// A site whose mail for dead.test meets a closed port.
fn site_with_deferred_mail() -> Site {
    let closed = support::free_port();
    let extra = format!(
        "relay_domains = dead.test, gone.test\n\
         transport_maps = inline:{{ {{dead.test = smtp:[127.0.0.1]:{closed}}}, {{gone.test = retry:4.7.1 come back later}} }}\n\
         smtpd_reject_unlisted_recipient = no"
    );
    let site = Site::new(&Authority::new("Test CA"), &extra).start();
    let mut client = Client::connect(site.port);
    client.must("EHLO client.test", "250");
    client.send("a@client.test", &["one@dead.test", "two@dead.test"], "Subject: a\n\nbody\n");
    client.send("b@client.test", &["three@gone.test"], "Subject: b\n\nbody\n");
    wait_for(|| (site.log().matches("status=deferred").count() == 3).then_some(())).expect("all deferred");
    site.wait_for_queue(|listing| {
        listing.contains(": Connection refused)\n")
            && listing.contains("come back later)\n")
            && !listing.contains('*')
    });
    site
}

#[test]
fn the_queue_of_a_running_system_is_listed_explained_and_changed() {
    let site = site_with_deferred_mail();
    let (list, _) = text(&site.run(&["postqueue", "-p"], ""));
    assert!(
        list.starts_with("-Queue ID-  --Size-- ----Arrival Time---- -Sender/Recipient-------\n"),
        "{list}"
    );
    assert!(list.ends_with("-- 0 Kbytes in 2 Requests.\n"), "{list}");
    assert_eq!(list.matches(": Connection refused)").count(), 1, "one reason for both recipients\n{list}");

    let (json, _) = text(&site.run(&["queue", "list", "-j", "-s", "a@client.test"], ""));
    assert_eq!(json.lines().count(), 1, "{json}");
    let id = json.split("\"queue_id\": \"").nth(1).unwrap().split('"').next().unwrap().to_owned();

    let (why, _) = text(&site.run(&["why", &id], ""));
    for part in [
        "tried once; next attempt ",
        "<one@dead.test>\n",
        "Connection refused\n",
        "nothing listens on that port",
    ] {
        assert!(why.contains(part), "{part:?} in\n{why}");
    }
    let (causes, _) = text(&site.run(&["queue", "causes"], ""));
    let lines: Vec<_> = causes.lines().collect();
    assert_eq!(lines.len(), 3, "{causes}");
    assert!(
        lines[1].starts_with("         2        1 ") && lines[1].contains("Connection refused"),
        "{causes}"
    );
    assert!(lines[2].ends_with("come back later"), "{causes}");

    let (shown, said) = text(&site.run(&["queue", "delete", "-t", "connection REFUSED", "-n"], ""));
    assert_eq!((shown.trim(), said.contains("1 message would be deleted")), (id.as_str(), true), "{said}");
    let (_, said) = text(&site.run(&["queue", "delete", "-t", "connection refused"], ""));
    assert!(said.contains("1 message deleted"), "{said}");
    let (list, _) = text(&site.run(&["postqueue", "-p"], ""));
    assert!(!list.contains(&id) && list.contains("three@gone.test"), "{list}");
    let refused = site.run(&["postqueue", "-s", "elsewhere.test"], "");
    assert_eq!(refused.status.code(), Some(69));
    assert!(text(&refused).1.contains("Flush service is not configured for destination \"elsewhere.test\""));
    assert!(site.run(&["postqueue", "-s", "gone.test"], "").status.success());
    let gone = site.run(&["why", &id], "");
    assert!(!gone.status.success() && text(&gone).1.contains("no such message"), "{:?}", text(&gone));
}

#[test]
fn the_queue_of_a_stopped_system_is_there_for_its_owner() {
    let mut site = site_with_deferred_mail();
    site.stop();
    let (list, said) = text(&site.run(&["postqueue", "-p"], ""));
    assert!(said.contains("Mail system is down -- accessing queue directly"), "{said}");
    assert!(list.contains("three@gone.test") && list.contains("two@dead.test"), "{list}");
    let flushed = site.run(&["postqueue", "-f"], "");
    assert_eq!(flushed.status.code(), Some(69));
    assert!(text(&flushed).1.contains("Cannot flush mail queue - mail system is down"));

    let (_, said) = text(&site.run(&["postsuper", "-h", "ALL", "deferred"], ""));
    assert!(said.contains("postsuper: Placed on hold: 2 messages"), "{said}");
    let (_, said) = text(&site.run(&["postsuper", "-d", "ABCDEF1234"], ""));
    assert_eq!(said, "postsuper: Deleted: 0 messages\n");
    let (json, _) = text(&site.run(&["postqueue", "-j"], ""));
    assert_eq!(json.matches("\"queue_name\": \"hold\"").count(), 2, "{json}");
    let id = json.split("\"queue_id\": \"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let (shown, _) = text(&site.run(&["postcat", "-q", &id], ""));
    assert!(shown.contains("*** MESSAGE CONTENTS hold/"), "{shown}");

    // What was changed meanwhile holds when the system runs again.
    site.restart();
    let (list, _) = text(&site.run(&["postqueue", "-p"], ""));
    assert!(list.contains(&format!("{id}!")), "{list}");
}

#[test]
fn a_damaged_message_is_set_aside_with_its_bytes_and_keeps_nobody_waiting() {
    let mut site = site_with_deferred_mail();
    let mut client = Client::connect(site.port);
    client.must("EHLO client.test", "250");
    let large = format!("Subject: large\n\n{}", "a line of text\n".repeat(10_000));
    client.send("c@client.test", &["four@dead.test"], &large);
    wait_for(|| (site.log().matches("status=deferred").count() == 4).then_some(())).expect("all deferred");
    site.stop();
    let store = site.dir.path().join("spool/mailclad/store");
    let file = std::fs::read_dir(store.join("body")).unwrap().next().unwrap().unwrap().path();
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, [&bytes[..1000], b"what a disk made of it"].concat()).unwrap();
    let id = file.file_name().unwrap().to_str().unwrap().to_owned();

    site.restart();
    assert!(site.run(&["postqueue", "-f"], "").status.success());
    site.wait_for_log(&["error: ", &id, "is damaged", "is set aside in the corrupt queue"]);
    // The others are tried all the same.
    wait_for(|| (site.log().matches("come back later").count() >= 2).then_some(())).expect("the others");
    let listed = || text(&site.run(&["postqueue", "-j"], "")).0;
    let aside = format!("{{\"queue_name\": \"corrupt\", \"queue_id\": \"{id}\"");
    wait_for(|| (listed().contains(&aside) && !listed().contains("\"active\"")).then_some(()))
        .expect("it is listed");
    let (shown, _) = text(&site.run(&["postcat", "-q", &id], ""));
    assert!(
        shown.contains("what a disk made of it") && shown.contains("recipient: four@dead.test"),
        "{shown}"
    );
    let (_, said) = text(&site.run(&["postsuper", "-H", "ALL"], ""));
    assert!(said.contains("Released from hold: 0 messages"), "{said}");
    let (_, said) = text(&site.run(&["postsuper", "-d", "ALL", "corrupt"], ""));
    assert!(said.contains("Deleted: 1 message\n"), "{said}");
    assert!(!file.exists() && listed().lines().count() == 2, "{}", listed());
}

#[test]
fn requeued_mail_goes_through_cleanup_again_and_is_there_once() {
    let extra = "relay_domains = gone.test\n\
                 transport_maps = inline:{ {gone.test = retry:4.7.1 come back later} }\n\
                 smtpd_reject_unlisted_recipient = no";
    let site = Site::new(&Authority::new("Test CA"), extra).start();
    let mut client = Client::connect(site.port);
    client.must("EHLO client.test", "250");
    // One in the row, one in a file.
    for body in [1, 3000] {
        let content = format!("Subject: a\n\n{}", "twenty letters a line\n".repeat(body));
        client.send("a@client.test", &["one@gone.test"], &content);
    }
    let both = |listing: &str| {
        listing.matches("later)").count() == 2
            && listing.ends_with("in 2 Requests.\n")
            && !listing.contains('*')
    };
    site.wait_for_queue(both);
    let (_, said) = text(&site.run(&["postsuper", "-r", "ALL"], ""));
    assert!(said.ends_with("Requeued: 2 messages\n"), "{said}");
    wait_for(|| (site.log().matches(" from=<a@client.test> orig_id=").count() == 2).then_some(()))
        .expect("both taken up");
    wait_for(|| (site.log().matches("status=deferred").count() == 4).then_some(())).expect("both tried");
    site.wait_for_queue(both);
    let (json, _) = text(&site.run(&["postqueue", "-j"], ""));
    let id = json.split("\"queue_id\": \"").nth(1).unwrap().split('"').next().unwrap();
    let (header, _) = text(&site.run(&["postcat", "-qh", id], ""));
    assert!(header.starts_with("Received: by ") && header.contains("\nReceived: from "), "{header}");
}
