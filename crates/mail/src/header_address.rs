//! Lists of addresses in headers, aliases, tables and, where clients are sloppy, commands (RFC 5322 section 3.4): display names, angle brackets, comments,
//! groups, and what people write instead.
//!
//! Nothing is refused: what is no address is kept as it is. Addresses can be changed in place, and the list written
//! out again; white space is not kept, as in Postfix.

use std::collections::VecDeque;

use crate::Address;
use crate::token::{self, Token};

/// A parsed list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressList {
    parts: Vec<Part>,
    lost_route: bool,
}

/// A piece of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    /// The tokens of one address.
    Address(Vec<Token>),
    /// Comments, display names, punctuation.
    Other(Token),
    /// The colon behind the name of a group.
    GroupStart,
}

/// Lines of a rewritten header are shorter.
const LINE_LENGTH: usize = 70;

impl AddressList {
    /// Parses at most `limit` tokens (header_address_token_limit); the rest of the text is dropped.
    ///
    /// Works from right to left, because what stands left of `<` is not known to be a display name before the
    /// bracket is seen. Addresses that are separated by blanks only get the comma they lack.
    pub fn parse(text: &str, limit: usize) -> Self {
        let mut tokens = token::scan(text, limit);
        let mut parser = Parser { parts: VecDeque::new(), address: VecDeque::new(), lost_route: false };
        let (mut word_may_come, mut in_group) = (true, false);
        while let Some(token) = tokens.pop() {
            match token {
                Token::Comment(_) => parser.parts.push_front(Part::Other(token)),
                Token::Op(';') => {
                    parser.end_address(true);
                    parser.parts.push_front(Part::Other(token));
                    (word_may_come, in_group) = (true, true);
                }
                Token::Op(':') if in_group => {
                    parser.end_address(false);
                    parser.parts.push_front(Part::GroupStart);
                    // The name of the group.
                    parser.keep_while(&mut tokens, |token| *token != Token::Op(','));
                }
                Token::Op('>') => {
                    parser.end_address(true);
                    parser.parts.push_front(Part::Other(token));
                    parser.read_angle_address(&mut tokens);
                    word_may_come = true;
                }
                Token::Atom(_) | Token::Quoted(_) | Token::Literal(_) => {
                    // Two words without anything between: two addresses.
                    if !word_may_come {
                        parser.end_address(true);
                    }
                    word_may_come = false;
                    parser.address.push_front(token);
                }
                Token::Op(',') => {
                    parser.end_address(false);
                    parser.parts.push_front(Part::Other(token));
                    word_may_come = true;
                }
                Token::Op(_) => {
                    word_may_come = true;
                    parser.address.push_front(token);
                }
            }
        }
        parser.end_address(false);
        AddressList { parts: parser.parts.into(), lost_route: parser.lost_route }
    }

    /// The addresses in internal form, in order; those that can not be one (too long) are left out.
    pub fn addresses(&self) -> Vec<Address> {
        self.parts
            .iter()
            .filter_map(|part| match part {
                Part::Address(tokens) => Address::internal(token::internal(tokens)).ok(),
                _ => None,
            })
            .collect()
    }

    /// Did an address have a source route, which is not kept (RFC 5321 appendix C)?
    pub fn lost_route(&self) -> bool {
        self.lost_route
    }

    /// The one address of a text that may have one; null where there is none. `None`: there are more, or it can not be one.
    pub fn only_address(&self) -> Option<Address> {
        let mut addresses = self.parts.iter().filter_map(|part| match part {
            Part::Address(tokens) => Some(tokens),
            Part::Other(_) | Part::GroupStart => None,
        });
        match (addresses.next(), addresses.next()) {
            (None, _) => Some(Address::null()),
            (Some(tokens), None) => Address::internal(token::internal(tokens)).ok(),
            (Some(_), Some(_)) => None,
        }
    }

    /// Are there only addresses and angle brackets, no comment, name or comma?
    pub fn is_bare(&self) -> bool {
        let bare = |part: &Part| matches!(part, Part::Address(_) | Part::Other(Token::Op('<' | '>')));
        self.parts.iter().all(bare)
    }

    /// Exchanges address number `index` of [`AddressList::addresses`].
    pub fn replace(&mut self, index: usize, address: &Address) {
        let is_address = |part: &&mut Part| matches!(part, Part::Address(tokens) if Address::internal(token::internal(tokens)).is_ok());
        if let Some(part) = self.parts.iter_mut().filter(is_address).nth(index) {
            *part = Part::Address(token::scan(&address.to_external(), token::MAX_TOKENS));
        }
    }

    /// The list as the value of a header whose name, colon included, is `name`: filled lines, continued with a
    /// tab; the name stands at the beginning.
    pub fn to_header(&self, name: &str) -> String {
        let mut out = name.to_owned();
        let mut line = out.len();
        for (index, item) in self.items().iter().enumerate() {
            if index > 0 && line + 1 + item.len() >= LINE_LENGTH {
                out.push_str("\n\t");
                line = 0;
            } else {
                out.push(' ');
            }
            out.push_str(item);
            line += 1 + item.len();
        }
        out
    }

    /// The texts between the commas, each with its comma.
    fn items(&self) -> Vec<String> {
        let mut items = vec![String::new()];
        let mut pieces = self.parts.iter().peekable();
        while let Some(part) = pieces.next() {
            let comma = *part == Part::Other(Token::Op(','));
            if let Some(item) = items.last_mut() {
                item.push_str(&part.external());
                if !comma && pieces.peek().is_some_and(|next| part.needs_blank_before(next)) {
                    item.push(' ');
                }
            }
            if comma {
                items.push(String::new());
            }
        }
        items.retain(|item| !item.is_empty());
        items
    }
}

impl std::fmt::Display for AddressList {
    /// One line, as postmap(1) and `sendmail -t` see it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.items().join(" "))
    }
}

impl Part {
    fn external(&self) -> String {
        match self {
            Part::Address(tokens) => {
                let internal = token::internal(tokens);
                Address::internal(internal).map_or_else(|_| token::external(tokens), |a| a.to_external())
            }
            Part::Other(token) => token::external(std::slice::from_ref(token)),
            Part::GroupStart => ":".into(),
        }
    }

    fn needs_blank_before(&self, next: &Part) -> bool {
        let word = |part: &Part| {
            matches!(part, Part::Address(_)) || matches!(part, Part::Other(t) if !matches!(t, Token::Op(_)))
        };
        *self == Part::GroupStart || *next == Part::Other(Token::Op('<')) || (word(self) && word(next))
    }
}

/// The list so far, growing to the left.
struct Parser {
    parts: VecDeque<Part>,
    /// The address that is being read.
    address: VecDeque<Token>,
    lost_route: bool,
}

impl Parser {
    fn end_address(&mut self, missing_comma: bool) {
        if self.address.is_empty() {
            return;
        }
        let mut tokens: Vec<Token> = std::mem::take(&mut self.address).into();
        // RFC 5321 appendix C: a source route `@a,@b:user@c` is ignored.
        if tokens.first() == Some(&Token::Op('@'))
            && let Some(colon) = tokens.iter().position(|token| *token == Token::Op(':'))
            && colon + 1 < tokens.len()
        {
            tokens.drain(..=colon);
            self.lost_route = true;
        }
        self.parts.push_front(Part::Address(tokens));
        if missing_comma {
            self.parts.push_front(Part::Other(Token::Op(',')));
        }
    }

    /// Takes tokens from the end that are no part of an address.
    fn keep_while(&mut self, tokens: &mut Vec<Token>, keep: impl Fn(&Token) -> bool) {
        while let Some(token) = tokens.pop_if(|token| keep(token)) {
            self.parts.push_front(Part::Other(token));
        }
    }

    /// Left of a `>`: the address, the `<`, and the display name.
    fn read_angle_address(&mut self, tokens: &mut Vec<Token>) {
        while let Some(token) = tokens.pop() {
            match token {
                Token::Op('<') => {
                    self.end_address(false);
                    self.parts.push_front(Part::Other(token));
                    break;
                }
                Token::Comment(_) => self.parts.push_front(Part::Other(token)),
                other => self.address.push_front(other),
            }
        }
        self.end_address(false);
        self.keep_while(tokens, |token| !matches!(token, Token::Op('>' | ';' | ',' | ':')));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_the_list_written_again() {
        //   text, addresses, text again
        for (text, addresses, again) in [
            ("a@b", &["a@b"][..], "a@b"),
            ("a@b,c@d", &["a@b", "c@d"], "a@b, c@d"),
            ("Joe User <joe@x.test>", &["joe@x.test"], "Joe User <joe@x.test>"),
            ("\"User, Joe\" <joe@x.test> , b", &["joe@x.test", "b"], "\"User, Joe\" <joe@x.test>, b"),
            ("a@b (comment)", &["a@b"], "a@b (comment)"),
            ("(one) a (two) @ b", &["a@b"], "a@b (one) (two)"),
            ("a@b c@d", &["a@b", "c@d"], "a@b, c@d"),
            ("friends: a@b, Joe <c@d>;", &["a@b", "c@d"], "friends: a@b, Joe <c@d>;"),
            ("undisclosed-recipients:;", &[], "undisclosed-recipients: ;"),
            ("<>", &[], "<>"),
            ("<@r,@s:u@x.test>", &["u@x.test"], "<u@x.test>"),
            ("\"a b\"@c", &["a b@c"], "\"a b\"@c"),
            ("J. R. <j@x>", &["j@x"], "J.R. <j@x>"),
            ("a@b <c@d>", &["c@d"], "a@b <c@d>"),
            ("x <y", &["x <y"], "\"x <y\""),
            ("", &[], ""),
            (",,", &[], ", ,"),
        ] {
            let list = AddressList::parse(text, 1000);
            let seen: Vec<String> = list.addresses().iter().map(|a| a.as_str().to_owned()).collect();
            assert_eq!(seen, addresses, "{text}");
            assert_eq!(list.to_string(), again, "{text}");
        }
    }

    #[test]
    fn addresses_are_exchanged_in_place() {
        let mut list = AddressList::parse("Joe <a@b>, (x) c", 1000);
        list.replace(1, &Address::internal("two words@d").unwrap());
        list.replace(7, &Address::internal("nobody").unwrap());
        assert_eq!(list.to_string(), "Joe <a@b>, \"two words\"@d (x)");
    }

    #[test]
    fn long_lists_are_folded_and_long_texts_cut() {
        let text = ["someone@somewhere.example.test"; 5].join(",");
        let header = AddressList::parse(&text, 1000).to_header("To:");
        assert!(header.starts_with("To: someone@") && header.matches("\n\tsome").count() == 2, "{header}");
        assert!(header.lines().all(|line| line.len() < LINE_LENGTH));
        assert_eq!(AddressList::parse(&"a,".repeat(100), 10).addresses().len(), 5);
    }

    /// Mangled input in all its forms: an answer, never a panic.
    #[test]
    fn nonsense_is_survived() {
        let pieces = ["a", "@", "<", ">", "(", ")", ":", ";", ",", "\"", "[", "]", "\\", " ", "\u{e9}"];
        for n in 0..pieces.len().pow(4) {
            let text: String =
                (0..4).map(|place| pieces[n / pieces.len().pow(place) % pieces.len()]).collect();
            let list = AddressList::parse(&text, 100);
            let _ = (list.addresses(), list.to_string());
        }
    }
}
