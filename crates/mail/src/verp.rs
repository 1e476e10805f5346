//! Variable envelope return paths (VERP_README): a sender address of its own for each recipient, so that a bounce tells whom it
//! is about.

use crate::address::Address;

/// `owner-list@origin` and `user@domain` become `owner-list+user=domain@origin`, with delimiters of the sender's choice (`+=`). The null
/// sender stays what it is; a recipient without domain brings its local part alone.
pub fn verp_sender(sender: &Address, recipient: &Address, delimiters: &str) -> Address {
    let mut delimiters = delimiters.chars();
    let (Some(first), Some(second), Some(domain)) = (delimiters.next(), delimiters.next(), sender.domain())
    else {
        return sender.clone();
    };
    let whom = match recipient.domain() {
        Some(domain) => format!("{}{second}{domain}", recipient.local_part()),
        None => recipient.as_str().to_owned(),
    };
    let text = format!("{}{first}{whom}@{domain}", sender.local_part());
    // What is too long for an address goes without.
    Address::internal(text).unwrap_or_else(|_| sender.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_recipient_has_its_sender() {
        let address = |text: &str| Address::internal(text).unwrap();
        for (sender, recipient, delimiters, expected) in [
            ("owner-list@origin.test", "user@domain.test", "+=", "owner-list+user=domain.test@origin.test"),
            (
                "owner-list@origin.test",
                "user+x@domain.test",
                "-=",
                "owner-list-user+x=domain.test@origin.test",
            ),
            ("owner-list@origin.test", "user", "+=", "owner-list+user@origin.test"),
            ("owner-list@origin.test", "user@domain.test", "+", "owner-list@origin.test"),
        ] {
            assert_eq!(verp_sender(&address(sender), &address(recipient), delimiters), address(expected));
        }
        assert!(verp_sender(&Address::null(), &address("user@domain.test"), "+=").is_null());
    }
}
