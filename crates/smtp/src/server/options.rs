//! What a service's configuration says to its sessions (postconf(5), the `smtpd_` parameters).
//!
//! Plain fields, filled by the caller once for each service and shared; nothing here is read from a file.

use std::fmt;
use std::sync::Arc;

use ::mail::LogForm;

use crate::decode::BareNewline;

/// The settings of one SMTP service. `Default` is what Postfix does with an empty main.cf.
#[derive(Clone, Debug)]
pub struct Options {
    /// `myhostname`.
    pub hostname: String,
    /// `smtpd_banner`: what follows `220 `.
    pub banner: String,
    /// `smtpd_helo_required`.
    pub helo_required: bool,
    /// `smtpd_tls_security_level`, reduced to what the dialogue shows of it.
    pub tls: TlsOffer,
    /// False when certificates could not be loaded: STARTTLS is announced and then answered 454.
    pub tls_available: bool,
    /// `smtpd_sasl_auth_enable` and its company; `None` when authentication is off.
    pub auth: Option<Auth>,
    /// `message_size_limit` in bytes; 0 is no limit.
    pub message_size_limit: u64,
    /// `line_length_limit`: longest command line in bytes, line end included.
    pub line_length_limit: usize,
    /// `smtpd_recipient_limit`; 0 is no limit.
    pub recipient_limit: usize,
    /// `smtpd_recipient_overshoot_limit`: how many recipients beyond the limit are refused without counting as
    /// errors.
    pub recipient_overshoot_limit: u32,
    /// `smtpd_soft_error_limit`: from here on replies are delayed.
    pub soft_error_limit: u32,
    /// `smtpd_hard_error_limit`: here the session ends.
    pub hard_error_limit: u32,
    /// `smtpd_junk_command_limit`.
    pub junk_command_limit: u32,
    /// `disable_vrfy_command`.
    pub disable_vrfy: bool,
    /// `strict_rfc821_envelopes`.
    pub strict_rfc821_envelopes: bool,
    /// `smtputf8_enable`.
    pub smtputf8: bool,
    /// `strict_smtputf8`: non-ASCII addresses only after SMTPUTF8 was requested.
    pub strict_smtputf8: bool,
    /// `requiretls_enable`.
    pub requiretls: bool,
    /// `smtpd_discard_ehlo_keywords`, or what the address map gave for this client.
    pub discard: EhloKeywords,
    /// `smtpd_forbid_unauth_pipelining`.
    pub forbid_unauth_pipelining: bool,
    /// `smtpd_forbid_bare_newline`; `No` for clients in its exclusion list.
    pub bare_newline: BareNewline,
    /// `smtpd_forbid_bare_newline_reject_code`.
    pub bare_newline_reject_code: u16,
    /// `soft_bounce`.
    pub soft_bounce: bool,
    /// `smtpd_forbidden_commands`: these end the session.
    pub forbidden_commands: CommandList,
    /// `smtpd_command_filter`: what a command line is replaced by.
    pub command_filter: CommandFilter,
    /// `smtpd_noop_commands`: these are answered 250 and do nothing.
    pub noop_commands: CommandList,
    /// XVERP, for clients in `smtpd_authorized_verp_clients`.
    pub verp: Option<Verp>,
    /// Announce XCLIENT (`smtpd_authorized_xclient_hosts`).
    pub xclient: bool,
    /// Announce XFORWARD (`smtpd_authorized_xforward_hosts`).
    pub xforward: bool,
    /// Input from `sendmail -bs`: no access checks of syntax beyond the protocol's, no ETRN, no STARTTLS, no AUTH.
    pub stand_alone: bool,
    /// `info_log_address_format`
    pub log_form: LogForm,
    /// Each command line is told to the log, without what could be a password (`debug_peer_list`).
    pub tells_commands: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            hostname: "localhost".into(),
            banner: "localhost ESMTP Postfix".into(),
            helo_required: false,
            tls: TlsOffer::None,
            tls_available: true,
            auth: None,
            message_size_limit: 10_240_000,
            line_length_limit: 2048,
            recipient_limit: 1000,
            recipient_overshoot_limit: 1000,
            soft_error_limit: 10,
            hard_error_limit: 20,
            junk_command_limit: 100,
            disable_vrfy: false,
            strict_rfc821_envelopes: false,
            smtputf8: true,
            strict_smtputf8: false,
            requiretls: false,
            discard: EhloKeywords::default(),
            forbid_unauth_pipelining: true,
            bare_newline: BareNewline::Normalize,
            bare_newline_reject_code: 550,
            soft_bounce: false,
            forbidden_commands: CommandList::names(["CONNECT", "GET", "POST"]),
            command_filter: CommandFilter::default(),
            noop_commands: CommandList::default(),
            verp: None,
            xclient: false,
            xforward: false,
            stand_alone: false,
            log_form: LogForm::default(),
            tells_commands: false,
        }
    }
}

/// Whether a plaintext session is offered STARTTLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsOffer {
    /// `none`: the command is not implemented.
    None,
    /// `may`.
    Offered,
    /// `encrypt`: most commands are refused until TLS is on.
    Required,
}

/// How AUTH is offered.
#[derive(Clone, Debug)]
pub struct Auth {
    /// Mechanisms for plaintext sessions, separated by blanks.
    pub mechanisms: String,
    /// Mechanisms once TLS is on (`smtpd_sasl_tls_security_options`).
    pub mechanisms_in_tls: String,
    /// `smtpd_tls_auth_only`, also implied by [`TlsOffer::Required`].
    pub tls_only: bool,
    /// `broken_sasl_auth_clients`: also announce `AUTH=`.
    pub broken_clients: bool,
    /// False for clients in `smtpd_sasl_exceptions_networks`: accepted but not announced.
    pub announce: bool,
    /// `smtpd_sasl_response_limit` in bytes.
    pub response_limit: usize,
}

impl Default for Auth {
    fn default() -> Self {
        Auth {
            mechanisms: "PLAIN LOGIN".into(),
            mechanisms_in_tls: "PLAIN LOGIN".into(),
            tls_only: false,
            broken_clients: false,
            announce: true,
            response_limit: 12_288,
        }
    }
}

/// XVERP delimiters.
#[derive(Clone, Debug)]
pub struct Verp {
    /// `default_verp_delimiters`.
    pub default_delimiters: String,
    /// `verp_delimiter_filter`: characters that a client may ask for.
    pub delimiter_filter: String,
}

/// A list of command names, which may come from lookup tables.
#[derive(Clone)]
pub struct CommandList(Arc<dyn Fn(&str) -> bool + Send + Sync>);

impl CommandList {
    /// A list that asks `contains` for each command word as the client wrote it.
    pub fn new(contains: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        CommandList(Arc::new(contains))
    }

    /// A list of plain names, compared without regard to case.
    pub fn names<const N: usize>(names: [&'static str; N]) -> Self {
        CommandList::new(move |word| names.iter().any(|name| name.eq_ignore_ascii_case(word)))
    }

    /// Is the word in the list?
    pub fn contains(&self, word: &str) -> bool {
        (self.0)(word)
    }
}

impl Default for CommandList {
    fn default() -> Self {
        CommandList::new(|_| false)
    }
}

impl fmt::Debug for CommandList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CommandList")
    }
}

/// The answer about one command line: another, or none; the error says that nobody could be asked.
pub type Filtered = Result<Option<String>, String>;

/// A table that command lines go through.
#[derive(Clone)]
pub struct CommandFilter(Arc<dyn Fn(&str) -> Filtered + Send + Sync>);

impl CommandFilter {
    /// A filter that asks `replace` for each command line.
    pub fn new(replace: impl Fn(&str) -> Filtered + Send + Sync + 'static) -> Self {
        CommandFilter(Arc::new(replace))
    }

    pub(super) fn replace(&self, line: &str) -> Filtered {
        (self.0)(line)
    }
}

impl Default for CommandFilter {
    fn default() -> Self {
        CommandFilter::new(|_| Ok(None))
    }
}

impl fmt::Debug for CommandFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CommandFilter")
    }
}

/// One keyword of `smtpd_discard_ehlo_keywords`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the keywords")]
pub enum EhloKeyword {
    EightBitMime,
    Auth,
    Etrn,
    Pipelining,
    Size,
    Verp,
    Vrfy,
    Xclient,
    Xforward,
    StartTls,
    EnhancedStatusCodes,
    Dsn,
    SmtpUtf8,
    Chunking,
    RequireTls,
    SilentDiscard,
}

/// Postfix's names, in the order in which it lists them in the log.
const KEYWORDS: [(&str, EhloKeyword); 16] = [
    ("8BITMIME", EhloKeyword::EightBitMime),
    ("AUTH", EhloKeyword::Auth),
    ("ETRN", EhloKeyword::Etrn),
    ("PIPELINING", EhloKeyword::Pipelining),
    ("SIZE", EhloKeyword::Size),
    ("VERP", EhloKeyword::Verp),
    ("VRFY", EhloKeyword::Vrfy),
    ("XCLIENT", EhloKeyword::Xclient),
    ("XFORWARD", EhloKeyword::Xforward),
    ("STARTTLS", EhloKeyword::StartTls),
    ("ENHANCEDSTATUSCODES", EhloKeyword::EnhancedStatusCodes),
    ("DSN", EhloKeyword::Dsn),
    ("SMTPUTF8", EhloKeyword::SmtpUtf8),
    ("CHUNKING", EhloKeyword::Chunking),
    ("REQUIRETLS", EhloKeyword::RequireTls),
    ("SILENT-DISCARD", EhloKeyword::SilentDiscard),
];

/// A set of EHLO keywords.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EhloKeywords(u32);

impl EhloKeywords {
    /// Reads a list separated by blanks or commas, without regard to case. Unknown names are ignored, so that a
    /// configuration can be shared between versions.
    pub fn parse(text: &str) -> Self {
        let mut set = EhloKeywords::default();
        for word in text.split([' ', '\t', ',', '\r', '\n']) {
            if let Some((_, keyword)) = KEYWORDS.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)) {
                set.0 |= 1 << *keyword as u32;
            }
        }
        set
    }

    /// Is the keyword in the set?
    pub fn contains(self, keyword: EhloKeyword) -> bool {
        self.0 & (1 << keyword as u32) != 0
    }

    /// True when a discard is to be logged: something is in the set, and `silent-discard` is not.
    pub fn is_noisy(self) -> bool {
        self.0 != 0 && !self.contains(EhloKeyword::SilentDiscard)
    }
}

impl fmt::Display for EhloKeywords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> =
            KEYWORDS.iter().filter(|(_, keyword)| self.contains(*keyword)).map(|(name, _)| *name).collect();
        f.write_str(&names.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keyword_lists_forgive_case_separators_and_unknown_names() {
        let set = EhloKeywords::parse("chunking, DSN silent-discard nonsense");
        assert!(set.contains(EhloKeyword::Chunking) && set.contains(EhloKeyword::Dsn));
        assert!(!set.contains(EhloKeyword::Auth));
        assert!(!set.is_noisy(), "silent-discard silences");
        assert_eq!(EhloKeywords::parse("starttls pipelining").to_string(), "PIPELINING STARTTLS");
        assert!(!EhloKeywords::parse("").is_noisy());
    }
}
