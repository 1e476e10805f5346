//! Addresses and ESMTP parameters of MAIL and RCPT (RFC 1870, 3461, 4954, 6152, 6531, 8689), as lenient as Postfix.

use ::mail::header_address::AddressList;
use ::mail::token::MAX_TOKENS;
use ::mail::{Address, BodyType, Notify, Recipient, Reply, Return, xtext};

use super::command::Word;
use super::mail::{Transaction, XverpDelimiters};
use super::notice::{Notice, printable};
use super::options::{EhloKeyword, Verp};
use super::reply;
use super::session::Session;

/// Reads an address word, in angle brackets or without. Comments, display names and more brackets are passed over, as in headers,
/// unless `strict` (`strict_rfc821_envelopes`). `None` when it is none, or more than one.
pub(super) fn address(word: &str, strict: bool) -> Option<Address> {
    let inner = word.strip_prefix('<').and_then(|word| word.strip_suffix('>')).unwrap_or(word);
    // RFC 5321 appendix C: a source route is ignored.
    let inner = match inner.split_once(':') {
        Some((route, rest)) if route.starts_with('@') => rest,
        _ => inner,
    };
    let list = AddressList::parse(inner, MAX_TOKENS);
    if strict && !(list.is_bare() && word.starts_with('<')) {
        return None;
    }
    let address = list.only_address()?;
    (!strict || !address.as_str().starts_with('@')).then_some(address)
}

/// Splits `KEYWORD=VALUE`; the keyword is compared without regard to case.
fn value<'a>(word: &'a str, keyword: &str) -> Option<&'a str> {
    let (name, value) = word.split_once('=')?;
    name.eq_ignore_ascii_case(keyword).then_some(value)
}

impl Session {
    /// Is SMTPUTF8 offered?
    pub(super) fn smtputf8_is_on(&self) -> bool {
        self.options.smtputf8 && !self.discards(EhloKeyword::SmtpUtf8)
    }

    /// The parameters of MAIL, which complete the transaction-to-be.
    pub(super) fn mail_parameters(&self, words: &[Word], transaction: &mut Transaction) -> Result<(), Reply> {
        let envelope = &mut transaction.envelope;
        for word in words.iter().map(|word| word.text.as_str()) {
            if let Some(body) = value(word, "BODY") {
                envelope.body = match body.to_ascii_uppercase().as_str() {
                    "8BITMIME" => BodyType::EightBitMime,
                    "7BIT" => BodyType::SevenBit,
                    _ => return Err(reply::unsupported_option(word)),
                };
            } else if let Some(size) = value(word, "SIZE") {
                transaction.size = Some(self::size(size)?);
            } else if word.eq_ignore_ascii_case("SMTPUTF8") && self.smtputf8_is_on() {
                envelope.smtputf8 = true;
            } else if word.eq_ignore_ascii_case("REQUIRETLS")
                && self.options.requiretls
                && self.client.tls.is_some()
                && !self.discards(EhloKeyword::RequireTls)
            {
                envelope.require_tls = true;
            } else if let Some(sender) = value(word, "AUTH") {
                if transaction.auth.is_some() {
                    return Err(reply::MULTIPLE_AUTH);
                }
                transaction.auth = (sender != "<>").then(|| sender.to_owned());
            } else if let (Some(verp), Some(wanted)) = (&self.options.verp, xverp(word)) {
                transaction.verp = Some(verp_delimiters(verp, wanted)?);
            } else if let Some(ret) = value(word, "RET") {
                self.dsn_is_on()?;
                envelope.ret = match (envelope.ret, ret.to_ascii_uppercase().as_str()) {
                    (None, "FULL") => Some(Return::Full),
                    (None, "HDRS") => Some(Return::Headers),
                    _ => return Err(reply::BAD_RET),
                };
            } else if let Some(envid) = value(word, "ENVID") {
                self.dsn_is_on()?;
                if envelope.envid.is_some() {
                    return Err(reply::BAD_ENVID);
                }
                envelope.envid = Some(self::envid(envid).ok_or(reply::BAD_ENVID)?);
            } else {
                return Err(reply::unsupported_option(word));
            }
        }
        Ok(())
    }

    /// The parameters of RCPT, and the default for ORCPT (RFC 3461 section 5.2.1).
    pub(super) fn rcpt_parameters(
        &mut self,
        words: &[Word],
        as_sent: &str,
        recipient: &mut Recipient,
    ) -> Result<(), Reply> {
        for word in words.iter().map(|word| word.text.as_str()) {
            if let Some(notify) = value(word, "NOTIFY") {
                self.dsn_is_on()?;
                if !recipient.notify.is_unspecified() {
                    return Err(reply::BAD_NOTIFY);
                }
                recipient.notify = self::notify(notify).map_err(|unknown| {
                    self.notices.extend(unknown.map(|word| Notice::UnknownNotify {
                        word: printable(word, usize::MAX),
                        list: printable(notify, usize::MAX),
                    }));
                    reply::BAD_NOTIFY
                })?;
            } else if let Some(orcpt) = value(word, "ORCPT") {
                self.dsn_is_on()?;
                if recipient.orcpt.is_some() {
                    return Err(reply::BAD_ORCPT);
                }
                recipient.orcpt = Some(self::orcpt(orcpt).ok_or(reply::BAD_ORCPT)?);
            } else {
                return Err(reply::unsupported_option(word));
            }
        }
        if recipient.orcpt.is_none() {
            let address = as_sent.strip_prefix('<').and_then(|a| a.strip_suffix('>')).unwrap_or(as_sent);
            recipient.orcpt = Some(format!("rfc822;{address}"));
        }
        Ok(())
    }

    fn dsn_is_on(&self) -> Result<(), Reply> {
        if self.discards(EhloKeyword::Dsn) { Err(reply::DSN_OFF) } else { Ok(()) }
    }
}

fn size(text: &str) -> Result<u64, Reply> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(reply::BAD_SIZE);
    }
    // A file offset is signed.
    text.parse().ok().filter(|&size| i64::try_from(size).is_ok()).ok_or(reply::SIZE_OVERFLOW)
}

/// `XVERP` or `XVERP=DELIMITERS`.
fn xverp(word: &str) -> Option<Option<&str>> {
    match value(word, "XVERP") {
        Some(delimiters) => Some(Some(delimiters)),
        None => word.eq_ignore_ascii_case("XVERP").then_some(None),
    }
}

fn verp_delimiters(verp: &Verp, wanted: Option<&str>) -> Result<XverpDelimiters, Reply> {
    let text = wanted.unwrap_or(&verp.default_delimiters);
    let mut chars = text.chars();
    match (chars.next(), chars.next(), chars.next()) {
        (Some(first), Some(second), None)
            if wanted.is_none() || [first, second].iter().all(|&c| verp.delimiter_filter.contains(c)) =>
        {
            Ok(XverpDelimiters(first, second))
        }
        _ => Err(Reply::new(
            501,
            ::mail::Detail(5, 4),
            format!("Error: XVERP needs two characters from {}", verp.delimiter_filter),
        )),
    }
}

fn envid(text: &str) -> Option<String> {
    let envid = String::from_utf8(xtext::decode(text)?).ok()?;
    envid.bytes().all(|b| b == b'\t' || (b' '..=b'~').contains(&b)).then_some(envid)
}

/// The error is the word that is none of NOTIFY's, if it is for a word.
fn notify(text: &str) -> Result<Notify, Option<&str>> {
    let mut notify = Notify::default();
    for word in text.split(',').filter(|word| !word.is_empty()) {
        match word.to_ascii_uppercase().as_str() {
            "NEVER" => notify.never = true,
            "SUCCESS" => notify.success = true,
            "FAILURE" => notify.failure = true,
            "DELAY" => notify.delay = true,
            _ => return Err(Some(word)),
        }
    }
    let wants_something = notify.success || notify.failure || notify.delay;
    if notify.never != wants_something { Ok(notify) } else { Err(None) }
}

fn orcpt(text: &str) -> Option<String> {
    let (kind, address) = text.split_once(';')?;
    if kind.is_empty() {
        return None;
    }
    let address = if kind.eq_ignore_ascii_case("utf-8") {
        utf8_address(address)?
    } else {
        String::from_utf8(xtext::decode(address)?).ok()?
    };
    (!address.contains('\0')).then(|| format!("{kind};{address}"))
}

/// RFC 6533 section 3: UTF-8 as it is, or characters as `\x{HEX}`.
fn utf8_address(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        let (hex, after) = escape.strip_prefix("\\x{")?.split_once('}')?;
        out.push_str(before);
        if hex.is_empty() || hex.len() > 6 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        out.push(char::from_u32(u32::from_str_radix(hex, 16).ok()?)?);
        rest = after;
    }
    out.push_str(rest);
    out.chars().all(|c| !c.is_control()).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (word, lenient, strict) in [
            ("<a@b>", Some("a@b"), Some("a@b")),
            ("<>", Some(""), Some("")),
            ("a@b", Some("a@b"), None),
            ("<@r:a@b>", Some("a@b"), Some("a@b")),
            ("<\"a b\"@c>", Some("a b@c"), Some("a b@c")),
            ("<a b>", None, None),
            ("<@b>", Some("@b"), None),
            ("< a@b >", Some("a@b"), Some("a@b")),
            ("<a,b@c>", None, None),
            ("<a;b@c>", None, None),
            ("<,a@b>", Some("a@b"), None),
            ("<a@b>,<c@d>", None, None),
            ("<<a@b>>", Some("a@b"), Some("a@b")),
            ("a@b>", Some("a@b"), None),
            ("(c)<a@b>", Some("a@b"), None),
            ("\"N\"<a@b>", Some("a@b"), None),
            ("(c)", Some(""), None),
            ("@r,@s:a@b", Some("a@b"), None),
        ] {
            for (mode, expected) in [(false, lenient), (true, strict)] {
                assert_eq!(address(word, mode).as_ref().map(Address::as_str), expected, "{word} {mode}");
            }
        }
    }

    #[test]
    fn notify_lists() {
        for (text, valid) in [
            ("never", true),
            ("SUCCESS,failure", true),
            ("NEVER,SUCCESS", false),
            ("", false),
            (",", false),
            (",DELAY,,FAILURE,", true),
            ("ALWAYS", false),
        ] {
            assert_eq!(notify(text).is_ok(), valid, "{text}");
        }
        assert_eq!(notify("DELAY,x"), Err(Some("x")));
    }

    #[test]
    fn original_recipients() {
        for (text, expected) in [
            ("rfc822;a+2Bb@c", Some("rfc822;a+b@c")),
            ("utf-8;\u{fc}@c", Some("utf-8;\u{fc}@c")),
            ("utf-8;\\x{FC}@c", Some("utf-8;\u{fc}@c")),
            ("utf-8;\\x{D800}@c", None),
            ("utf-8;\\x{}", None),
            ("utf-8;\\y", None),
            ("rfc822", None),
            (";a", None),
            ("rfc822;a+", None),
            ("rfc822;a+00", None),
        ] {
            assert_eq!(orcpt(text).as_deref(), expected, "{text}");
        }
    }
}
