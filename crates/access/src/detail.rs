//! Which enhanced status fits what a reply is about: `5.1.1`, a bad recipient, makes no sense for a sender. Tables and transports
//! are written for one kind of address and used for others (smtpd(8)).

use mail::Detail;

/// The status that says the same of `class` ("Sender address", "Helo command"...).
pub(crate) fn fit(class: &str, detail: Detail) -> Detail {
    match (class, detail) {
        ("Sender address", Detail(1, 1 | 3 | 4 | 6)) => Detail(1, 7),
        ("Sender address", Detail(1, 2)) => Detail(1, 8),
        ("Sender address", Detail(1, 5 | 9)) => Detail(1, 0),
        ("Recipient address", Detail(1, 7)) => Detail(1, 3),
        ("Recipient address", Detail(1, 8)) => Detail(1, 2),
        ("Recipient address", Detail(1, 9)) => Detail(1, 0),
        ("Sender address" | "Recipient address", other) => other,
        // Nothing but an address has an address status.
        (_, Detail(1, _)) => Detail(0, 0),
        (_, other) => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_of_the_wrong_kind() {
        for (class, detail, expected) in [
            ("Sender address", Detail(1, 1), Detail(1, 7)),
            ("Sender address", Detail(1, 2), Detail(1, 8)),
            ("Sender address", Detail(1, 9), Detail(1, 0)),
            ("Sender address", Detail(1, 8), Detail(1, 8)),
            ("Recipient address", Detail(1, 1), Detail(1, 1)),
            ("Recipient address", Detail(1, 7), Detail(1, 3)),
            ("Helo command", Detail(1, 1), Detail(0, 0)),
            ("Client host", Detail(7, 1), Detail(7, 1)),
        ] {
            assert_eq!(fit(class, detail), expected, "{class} {detail:?}");
        }
    }
}
