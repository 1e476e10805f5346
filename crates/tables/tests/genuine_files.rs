//! Index files made by Postfix 3.7.11 with Berkeley DB 5.3 are read entry by entry. Files made here were read back by the
//! same postmap, and checked by db5.3_verify, when the writers were built.
#![allow(clippy::unwrap_used)] // helpers of tests fail loudly

use std::future::Future;
use std::task::{Context, Poll, Waker};

use tables::{Flags, Lookup, Tables, source};

fn now<T>(future: impl Future<Output = T>) -> T {
    match std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("a local table had to wait"),
    }
}

#[test]
fn every_entry_of_the_source_is_in_the_index() {
    for kind in ["hash", "btree"] {
        let path = format!("{}/tests/postfix-3.7/{kind}", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(&path).unwrap();
        let entries = source::parse(&text, &path, &mut |warning| panic!("{warning}"));
        assert_eq!(entries.len(), 122);
        let map = Tables::silent().map(&format!("{kind}:{path}"), Flags::default());
        for entry in &entries {
            assert_eq!(
                now(map.lookup(&entry.key)),
                Lookup::Found(entry.value.clone()),
                "{kind} {}",
                entry.key
            );
        }
        assert_eq!(now(map.lookup("user120@example.com")), Lookup::Absent);
        let mut listed = map.entries().unwrap().unwrap();
        let mut expected: Vec<_> = entries.into_iter().map(|entry| (entry.key, entry.value)).collect();
        listed.sort();
        expected.sort();
        assert_eq!(listed, expected);
    }
}
