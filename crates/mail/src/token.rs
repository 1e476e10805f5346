//! Tokens of addresses and address lists in external form (RFC 822, RFC 5322 section 3.2), as Postfix's rewriting,
//! aliases(5) and header rewriting see them.
//!
//! Nothing is refused and nothing is lost but white space and needless backslashes: what is no address goes through
//! unchanged. What a sequence of tokens means is not known here.

/// One token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    /// A special character of RFC 822, or one of `| % !`, which separate words in aliases and routing.
    Op(char),
    /// A word without special characters.
    Atom(String),
    /// A word that needs quotes, without them and with its backslashes resolved.
    Quoted(String),
    /// A domain literal, without its brackets.
    Literal(String),
    /// A comment with its parentheses, exactly as written.
    Comment(String),
}

/// Most tokens taken from one text; Postfix's header_address_token_limit. Text beyond is dropped.
pub const MAX_TOKENS: usize = 10_240;

/// Is it one of the characters that stand for themselves?
fn is_operator(c: char) -> bool {
    matches!(c, '|' | '%' | '!' | '(' | ')' | '<' | '>' | '@' | ',' | ';' | ':' | '"' | '.' | '[' | ']')
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

/// Splits a text into tokens; at most `limit` of them.
pub fn scan(text: &str, limit: usize) -> Vec<Token> {
    // An address: two words, the sign between them, and the dots of a domain.
    let mut tokens = Vec::with_capacity(if text.is_empty() { 0 } else { 8 });
    let mut rest = text;
    while tokens.len() < limit {
        rest = rest.trim_start_matches(is_blank);
        let Some(c) = rest.chars().next() else { break };
        let (token, after) = match c {
            '(' => comment(rest),
            '[' => {
                let (inside, after) = collect(&rest[1..], |c| c == ']');
                (Token::Literal(inside), skip(after))
            }
            '"' => {
                let (inside, after) = collect(&rest[1..], |c| c == '"');
                (Token::Quoted(inside), skip(after))
            }
            c if is_operator(c) => (Token::Op(c), &rest[1..]),
            _ => {
                let (word, after) = collect(rest, |c| is_blank(c) || is_operator(c));
                let special = |c: char| c == ' ' || c == '\\' || c.is_ascii_control() || is_operator(c);
                // A backslash made a special character part of the word: from here on it needs quotes.
                (if word.contains(special) { Token::Quoted(word) } else { Token::Atom(word) }, after)
            }
        };
        tokens.push(token);
        rest = after;
    }
    tokens
}

/// Everything up to a character that ends the token; backslashes are resolved.
fn collect(text: &str, ends: impl Fn(char) -> bool) -> (String, &str) {
    let mut out = String::with_capacity(text.len().min(24));
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        if c == '\\' {
            match chars.next() {
                Some((_, escaped)) => out.push(escaped),
                None => break,
            }
        } else if ends(c) {
            return (out, &text[at..]);
        } else {
            out.push(c);
        }
    }
    (out, "")
}

/// The text behind its first character.
fn skip(text: &str) -> &str {
    text.get(1..).unwrap_or("")
}

/// A comment; they nest. An open one ends with the text.
fn comment(text: &str) -> (Token, &str) {
    let mut depth = 0_usize;
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => {
                chars.next();
            }
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return (Token::Comment(text[..=at].to_owned()), &text[at + 1..]);
        }
    }
    (Token::Comment(text.to_owned()), "")
}

/// Joins tokens in external form: words quoted where needed, one blank where two words would run together, behind
/// commas and before `<`.
pub fn external(tokens: &[Token]) -> String {
    join(tokens, |token, out| match token {
        Token::Op(c) => out.push(*c),
        Token::Atom(word) | Token::Comment(word) => out.push_str(word),
        Token::Quoted(word) => {
            out.push('"');
            escape(word, "\"\\\r\n", out);
            out.push('"');
        }
        Token::Literal(inside) => {
            out.push('[');
            escape(inside, "\\\r\n", out);
            out.push(']');
        }
    })
}

/// Joins tokens in internal form, what `Address` holds: no quotes; blanks where [`external`] has them, so that `a b`
/// does not become another word.
pub fn internal(tokens: &[Token]) -> String {
    join(tokens, |token, out| match token {
        Token::Op(c) => out.push(*c),
        Token::Atom(word) | Token::Comment(word) | Token::Quoted(word) => out.push_str(word),
        Token::Literal(inside) => {
            out.push('[');
            out.push_str(inside);
            out.push(']');
        }
    })
}

fn join(tokens: &[Token], write: impl Fn(&Token, &mut String)) -> String {
    let mut out = String::new();
    for (index, token) in tokens.iter().enumerate() {
        write(token, &mut out);
        let Some(next) = tokens.get(index + 1) else { break };
        let word = |token: &Token| !matches!(token, Token::Op(_));
        if *token == Token::Op(',') || *next == Token::Op('<') || (word(token) && word(next)) {
            out.push(' ');
        }
    }
    out
}

fn escape(text: &str, special: &str, out: &mut String) {
    for c in text.chars() {
        if special.contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every row was asked of postalias(1), which writes its values this way.
    #[test]
    fn external_form() {
        for (text, expected) in [
            ("b ,  c", "b, c"),
            ("\"|/bin/cmd arg1 'x'\"", "\"|/bin/cmd arg1 'x'\""),
            (":include:/etc/f, /var/file", ":include:/etc/f, /var/file"),
            ("joe (comment here), <jane@example.com>", "joe (comment here), <jane@example.com>"),
            ("\\user, \"a\\\"b\"@x", "user, \"a\\\"b\"@x"),
            ("a b c", "a b c"),
            ("friends: a, b;", "friends:a, b;"),
            ("user@[1.2.3.4], x%y@z", "user@[1.2.3.4], x%y@z"),
            ("\"\"", "\"\""),
            ("Joe \"Q\" <a.b@c.d>", "Joe \"Q\" <a.b@c.d>"),
            ("\\,x", "\",x\""),
        ] {
            assert_eq!(external(&scan(text, MAX_TOKENS)), expected, "{text}");
        }
    }

    #[test]
    fn unfinished_tokens_end_with_the_text() {
        for (text, expected) in [
            ("(a (b) c", vec![Token::Comment("(a (b) c".into())]),
            ("\"a", vec![Token::Quoted("a".into())]),
            ("[1", vec![Token::Literal("1".into())]),
            ("a\\", vec![Token::Atom("a".into())]),
            ("(a\\)b)c", vec![Token::Comment("(a\\)b)".into()), Token::Atom("c".into())]),
        ] {
            assert_eq!(scan(text, MAX_TOKENS), expected, "{text}");
        }
    }

    #[test]
    fn the_number_of_tokens_is_bounded() {
        assert_eq!(scan(&"a,".repeat(100), 7).len(), 7);
    }
}
