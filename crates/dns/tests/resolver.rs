//! The resolver against a scripted server on 127.0.0.1, over UDP and TCP.
#![allow(clippy::unwrap_used)] // helpers of tests fail loudly

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dns::{Failure, Family, HostLookup, Resolver, Tlsa};
use domain::base::iana::{Rcode, Rtype};
use domain::base::{Message, MessageBuilder, Name, Record, Ttl};
use domain::rdata::{A, Aaaa, Cname, Mx, Ptr, Txt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};

/// One reply of the script: code, AD bit, records in presentation form `owner ttl type data...`.
#[derive(Clone)]
struct Script {
    name: &'static str,
    rtype: Rtype,
    rcode: Rcode,
    ad: bool,
    records: &'static [&'static str],
    /// Over UDP the answer is cut short.
    truncated: bool,
}

fn ok(name: &'static str, rtype: Rtype, ad: bool, records: &'static [&'static str]) -> Script {
    Script { name, rtype, rcode: Rcode::NOERROR, ad, records, truncated: false }
}

fn name(text: &str) -> Name<Vec<u8>> {
    Name::from_str(text).unwrap()
}

fn reply(query: &[u8], script: &[Script], udp: bool) -> Vec<u8> {
    let query = Message::from_octets(query).unwrap();
    let question = query.sole_question().unwrap();
    let asked = question.qname().to_string().to_lowercase();
    let line = script.iter().find(|s| s.name == asked && s.rtype == question.qtype());
    let mut builder =
        MessageBuilder::new_vec().start_answer(&query, line.map_or(Rcode::SERVFAIL, |s| s.rcode)).unwrap();
    let Some(line) = line else { return builder.finish() };
    builder.header_mut().set_ra(true);
    builder.header_mut().set_ad(line.ad);
    if udp && line.truncated {
        builder.header_mut().set_tc(true);
        return builder.finish();
    }
    for record in line.records {
        let words: Vec<&str> = record.split(' ').collect();
        let (owner, ttl) = (name(words[0]), Ttl::from_secs(words[1].parse().unwrap()));
        match words[2] {
            "A" => builder.push(Record::new(
                owner,
                domain::base::iana::Class::IN,
                ttl,
                A::from_str(words[3]).unwrap(),
            )),
            "AAAA" => builder.push((owner, ttl, Aaaa::from_str(words[3]).unwrap())),
            "MX" => builder.push((owner, ttl, Mx::new(words[3].parse().unwrap(), name(words[4])))),
            "CNAME" => builder.push((owner, ttl, Cname::new(name(words[3])))),
            "PTR" => builder.push((owner, ttl, Ptr::new(name(words[3])))),
            "TXT" => {
                let mut text = domain::rdata::rfc1035::TxtBuilder::<Vec<u8>>::new();
                for word in &words[3..] {
                    let string = domain::base::CharStr::<Vec<u8>>::from_str(word).unwrap();
                    text.append_charstr(&string).unwrap();
                }
                let text: Txt<Vec<u8>> = text.finish().unwrap();
                builder.push((owner, ttl, text))
            }
            "TLSA" => {
                let number = |n: usize| words[n].parse::<u8>().unwrap();
                let data = domain::rdata::Tlsa::new(
                    number(3).into(),
                    number(4).into(),
                    number(5).into(),
                    words[6].as_bytes().to_vec(),
                );
                builder.push((owner, ttl, data))
            }
            other => panic!("{other}"),
        }
        .unwrap();
    }
    builder.finish()
}

/// Starts the server; gives its address and the count of questions.
async fn serve(script: Vec<Script>) -> (SocketAddr, Arc<AtomicUsize>) {
    let (udp, tcp) = loop {
        let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        // Somebody else's connection may have this number.
        if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()).await {
            break (udp, tcp);
        }
    };
    let address = udp.local_addr().unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let (count, lines) = (Arc::clone(&asked), script.clone());
    tokio::spawn(async move {
        let mut buffer = [0; 1500];
        loop {
            let (length, peer) = udp.recv_from(&mut buffer).await.unwrap();
            count.fetch_add(1, Ordering::SeqCst);
            udp.send_to(&reply(&buffer[..length], &lines, true), peer).await.unwrap();
        }
    });
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = tcp.accept().await.unwrap();
            while let Ok(length) = stream.read_u16().await {
                let mut query = vec![0; usize::from(length)];
                stream.read_exact(&mut query).await.unwrap();
                let answer = reply(&query, &script, false);
                stream.write_u16(answer.len() as u16).await.unwrap();
                stream.write_all(&answer).await.unwrap();
            }
        }
    });
    (address, asked)
}

#[tokio::test]
async fn mx_with_security_status() {
    let (server, _) = serve(vec![
        ok(
            "signed.test",
            Rtype::MX,
            true,
            &["signed.test 60 MX 10 MX1.signed.test", "signed.test 30 MX 5 mx2.test"],
        ),
        ok("plain.test", Rtype::MX, false, &["plain.test 60 MX 10 mx.plain.test"]),
        ok("null.test", Rtype::MX, true, &["null.test 60 MX 0 ."]),
    ])
    .await;
    let resolver = Resolver::with_servers(vec![server]);
    let answer = resolver.mx("Signed.Test.", true).await.unwrap();
    let seen: Vec<_> = answer.records.iter().map(|mx| (mx.preference, mx.host.as_str())).collect();
    assert_eq!(seen, [(10, "MX1.signed.test"), (5, "mx2.test")]);
    assert!(answer.secure);
    assert_eq!(answer.ttl.as_secs(), 30);
    assert!(!resolver.mx("plain.test", true).await.unwrap().secure);
    assert!(resolver.mx("null.test", false).await.unwrap().records[0].is_null());
}

#[tokio::test]
async fn absences_and_failures_are_told_apart() {
    let nx = Script { rcode: Rcode::NXDOMAIN, ..ok("nx.test", Rtype::MX, true, &[]) };
    let refused = Script { rcode: Rcode::REFUSED, ..ok("refused.test", Rtype::MX, true, &[]) };
    let (server, _) = serve(vec![nx, refused, ok("empty.test", Rtype::MX, false, &[])]).await;
    let resolver = Resolver::with_servers(vec![server]);
    for (domain, expected) in [
        ("nx.test", Failure::NotFound { secure: true }),
        ("empty.test", Failure::NoData { secure: false }),
        ("refused.test", Failure::TryAgain),
        ("servfail.test", Failure::TryAgain),
        ("", Failure::BadName),
        (&"a".repeat(64), Failure::BadName),
    ] {
        assert_eq!(resolver.mx(domain, false).await.unwrap_err(), expected, "{domain}");
    }
}

#[tokio::test]
async fn aliases_are_followed_and_must_all_be_secure() {
    let (server, asked) = serve(vec![
        ok(
            "one.test",
            Rtype::A,
            true,
            &["one.test 60 CNAME two.test", "two.test 50 CNAME end.test", "end.test 90 A 192.0.2.1"],
        ),
        ok("open.test", Rtype::A, true, &["open.test 60 CNAME other.test"]),
        ok("other.test", Rtype::A, false, &["other.test 60 A 192.0.2.2"]),
        ok("loop.test", Rtype::A, true, &["loop.test 60 CNAME pool.test", "pool.test 60 CNAME loop.test"]),
    ])
    .await;
    let resolver = Resolver::with_servers(vec![server]);
    let find = async |host| resolver.addresses(host, Family::V4, HostLookup::Dns, true).await;
    let answer = find("one.test").await.unwrap();
    assert_eq!(answer.aliases, ["one.test", "two.test"]);
    assert_eq!((answer.name.as_str(), answer.secure, answer.ttl.as_secs()), ("end.test", true, 50));
    let answer = find("open.test").await.unwrap();
    assert_eq!((answer.name.as_str(), answer.secure), ("other.test", false));
    assert_eq!(find("loop.test").await, Err(Failure::BadReply));
    let before = asked.load(Ordering::SeqCst);
    find("one.test").await.unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), before, "from the cache");
}

#[tokio::test]
async fn addresses_of_both_families() {
    let (server, _) = serve(vec![
        ok("both.test", Rtype::A, true, &["both.test 60 A 192.0.2.1"]),
        ok("both.test", Rtype::AAAA, true, &["both.test 60 AAAA 2001:db8::1"]),
        ok("four.test", Rtype::A, false, &["four.test 60 A 192.0.2.4"]),
        ok("four.test", Rtype::AAAA, false, &[]),
        Script { rcode: Rcode::NXDOMAIN, ..ok("half.test", Rtype::A, false, &[]) },
    ])
    .await;
    let resolver = Resolver::with_servers(vec![server]);
    for (host, family, expected) in [
        ("both.test", Family::PreferV4, Ok(vec!["192.0.2.1", "2001:db8::1"])),
        ("both.test", Family::PreferV6, Ok(vec!["2001:db8::1", "192.0.2.1"])),
        ("both.test", Family::V6, Ok(vec!["2001:db8::1"])),
        ("four.test", Family::PreferV6, Ok(vec!["192.0.2.4"])),
        ("four.test", Family::V6, Err(Failure::NoData { secure: false })),
        // No A record, and AAAA could not be asked: nothing is known.
        ("half.test", Family::PreferV4, Err(Failure::TryAgain)),
        ("[192.0.2.9]", Family::PreferV6, Ok(vec!["192.0.2.9"])),
        ("[192.0.2.9]", Family::V6, Err(Failure::NoData { secure: false })),
    ] {
        let found = resolver.addresses(host, family, HostLookup::Dns, false).await;
        let expected =
            expected.map(|list| list.iter().map(|a| a.parse::<IpAddr>().unwrap()).collect::<Vec<_>>());
        assert_eq!(found.map(|answer| answer.records), expected, "{host} {family:?}");
    }
}

#[tokio::test]
async fn tlsa_txt_and_ptr() {
    let (server, _) = serve(vec![
        ok(
            "_25._tcp.mx.test",
            Rtype::TLSA,
            true,
            &["_25._tcp.mx.test 60 TLSA 3 1 1 abc", "_25._tcp.mx.test 60 TLSA 9 1 1 x"],
        ),
        ok("txt.test", Rtype::TXT, false, &["txt.test 60 TXT v=1; more"]),
        ok("1.2.0.192.in-addr.arpa", Rtype::PTR, false, &["1.2.0.192.in-addr.arpa 60 PTR host.test"]),
        ok(
            "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa",
            Rtype::PTR,
            false,
            &["1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa 60 PTR six.test"],
        ),
    ])
    .await;
    let resolver = Resolver::with_servers(vec![server]);
    let answer = resolver.tlsa("_25._tcp.mx.test").await.unwrap();
    assert!(answer.secure);
    assert_eq!(answer.records[0], Tlsa { usage: 3, selector: 1, matching_type: 1, data: b"abc".to_vec() });
    assert_eq!(answer.records[1].usage, 9, "unknown usages are seen");
    assert_eq!(resolver.txt("txt.test").await.unwrap().records, [b"v=1;more".to_vec()]);
    for (address, expected) in [("192.0.2.1", "host.test"), ("2001:db8::1", "six.test")] {
        assert_eq!(resolver.ptr(address.parse().unwrap()).await.unwrap().records, [expected]);
    }
}

#[tokio::test]
async fn an_answer_cut_short_is_asked_again_over_tcp() {
    let script =
        Script { truncated: true, ..ok("long.test", Rtype::MX, true, &["long.test 60 MX 1 mx.long.test"]) };
    let (server, _) = serve(vec![script]).await;
    let resolver = Resolver::with_servers(vec![server]);
    assert_eq!(resolver.mx("long.test", false).await.unwrap().records[0].host, "mx.long.test");
}

#[tokio::test]
async fn the_next_server_is_asked_when_one_can_not_answer() {
    let (failing, _) = serve(vec![]).await;
    let (good, _) = serve(vec![ok("a.test", Rtype::MX, true, &["a.test 60 MX 1 mx.test"])]).await;
    let resolver = Resolver::with_servers(vec![failing, good]);
    assert_eq!(resolver.mx("a.test", false).await.unwrap().records.len(), 1);
}

#[tokio::test]
async fn the_hosts_file_is_asked_where_the_setting_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let (hosts, resolv) = (dir.path().join("hosts"), dir.path().join("resolv.conf"));
    std::fs::write(&hosts, "127.0.0.5 local.test\n").unwrap();
    std::fs::write(&resolv, "options timeout:1 attempts:1\nnameserver 127.0.0.1\n").unwrap();
    let resolver = Resolver::from_files(&resolv, &hosts);
    let found = resolver.addresses("local.test", Family::PreferV4, HostLookup::Native, false).await.unwrap();
    assert_eq!(found.records, ["127.0.0.5".parse::<IpAddr>().unwrap()]);
    assert!(!found.secure);
    assert_eq!(resolver.ptr("127.0.0.5".parse().unwrap()).await.unwrap().records, ["local.test"]);
}

#[tokio::test]
async fn a_filter_sees_records_as_text_and_can_drop_them() {
    let (server, asked) = serve(vec![
        ok("mx.test", Rtype::MX, true, &["mx.test 60 MX 10 a.test", "mx.test 30 MX 20 b.test"]),
        ok("null.test", Rtype::MX, true, &["null.test 60 MX 0 ."]),
        ok("alias.test", Rtype::A, true, &["alias.test 60 CNAME A.test", "A.test 40 A 192.0.2.1"]),
        ok("_25._tcp.a.test", Rtype::TLSA, true, &["_25._tcp.a.test 60 TLSA 3 1 1 abc"]),
        ok("txt.test", Rtype::TXT, false, &["txt.test 60 TXT v=1;"]),
        ok("2.2.0.192.in-addr.arpa", Rtype::PTR, false, &["2.2.0.192.in-addr.arpa 60 PTR host.test"]),
    ])
    .await;
    let plain = Resolver::with_servers(vec![server]);
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let filtered = |verdict: fn(&str) -> Option<bool>| {
        let seen = Arc::clone(&seen);
        plain.filtered(Arc::new(move |record| {
            seen.lock().unwrap().push(record.clone());
            Box::pin(async move { verdict(&record) })
        }))
    };
    let partly = filtered(|record| Some(!record.contains(" 10 ")));
    let answer = partly.mx("mx.test", false).await.unwrap();
    assert_eq!(answer.records.iter().map(|mx| mx.host.as_str()).collect::<Vec<_>>(), ["b.test"]);
    assert!(answer.secure);
    assert!(partly.mx("null.test", false).await.unwrap().records[0].is_null());
    let nothing = filtered(|_| Some(false));
    assert_eq!(nothing.mx("mx.test", false).await.unwrap_err(), Failure::Filtered);
    assert_eq!(nothing.tlsa("_25._tcp.a.test").await.unwrap_err(), Failure::Filtered);
    assert_eq!(nothing.txt("txt.test").await.unwrap_err(), Failure::Filtered);
    let address = async |resolver: &Resolver, lookup| {
        let answer = resolver.addresses("alias.test", Family::V4, lookup, false).await;
        answer.map(|answer| answer.records.len())
    };
    assert_eq!(address(&nothing, HostLookup::Dns).await, Err(Failure::Filtered));
    let undecided = filtered(|_| None);
    assert_eq!(undecided.mx("mx.test", false).await.unwrap_err(), Failure::BadFilter);
    assert_eq!(
        *seen.lock().unwrap(),
        [
            "mx.test. 60 IN MX 10 a.test.",
            "mx.test. 30 IN MX 20 b.test.",
            "mx.test. 60 IN MX 10 a.test.",
            "mx.test. 30 IN MX 20 b.test.",
            "_25._tcp.a.test. 60 IN TLSA 3 1 1 616263",
            "txt.test. 60 IN TXT v=1;",
            "A.test. 40 IN A 192.0.2.1",
            "mx.test. 60 IN MX 10 a.test.",
        ]
    );
    // What the system itself would look up is not shown to it, and who has no filter sees all.
    assert_eq!(address(&nothing, HostLookup::Native).await, Ok(1));
    assert_eq!(nothing.ptr("192.0.2.2".parse().unwrap()).await.unwrap().records, ["host.test"]);
    assert_eq!(nothing.unfiltered().mx("mx.test", false).await.unwrap().records.len(), 2);
    assert_eq!(asked.load(Ordering::SeqCst), 6, "the cache is shared");
}
