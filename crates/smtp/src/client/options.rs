//! What a service's configuration says to its sessions (postconf(5), the `smtp_` and `lmtp_` parameters).

use crate::server::EhloKeywords;

/// Which of the two protocols.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// EHLO, one reply to a message.
    Smtp,
    /// LHLO, one reply to a message for each recipient.
    Lmtp,
}

/// The settings of one delivery service. `Default` is what Postfix does with an empty main.cf.
#[derive(Clone, Debug)]
pub struct Options {
    /// SMTP or LMTP.
    pub protocol: Protocol,
    /// `smtp_helo_name`.
    pub helo_name: String,
    /// `smtp_always_send_ehlo`.
    pub always_send_ehlo: bool,
    /// `smtp_never_send_ehlo`.
    pub never_send_ehlo: bool,
    /// `smtp_discard_ehlo_keywords`, or what the address map gave for this server.
    pub discard: EhloKeywords,
    /// What is done when the server seems to be behind a PIX firewall.
    pub pix: PixWorkarounds,
    /// `smtp_skip_5xx_greeting`: a 5xx greeting is a temporary failure.
    pub skip_5xx_greeting: bool,
    /// `smtp_skip_quit_response`.
    pub skip_quit_response: bool,
    /// `line_length_limit`: longest reply line kept, in bytes.
    pub line_length_limit: usize,
    /// `smtp_line_length_limit`: longest content line sent, in bytes; 0 is no limit.
    pub content_line_limit: usize,
    /// `smtp_send_dummy_mail_auth`: `AUTH=<>` with MAIL where AUTH is offered.
    pub send_dummy_mail_auth: bool,
    /// `smtp_address_verify_target = data`: a probe goes on to DATA, and no further.
    pub probes_data: bool,
    /// `smtp_quote_rfc821_envelope`: local parts are quoted where RFC 5321 wants that.
    pub quote_envelope: bool,
    /// `smtp_tls_block_early_mail_reply`.
    pub block_early_mail_reply: bool,
    /// Each line of a reply is told to the log (`debug_peer_list`).
    pub tells_replies: bool,
    /// `myhostname`, when a server that says this name means a mail loop; with the next hop for the text.
    pub loop_detection: Option<LoopDetection>,
}

/// `smtp_pix_workarounds`, as they apply to a server and to a message of some age.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PixWorkarounds {
    /// `disable_esmtp`: HELO in place of EHLO.
    pub disable_esmtp: bool,
    /// `delay_dotcrlf`: a pause before the end of data.
    pub delay_dot: bool,
}

impl PixWorkarounds {
    /// Is there anything to be done?
    pub fn is_empty(self) -> bool {
        self == PixWorkarounds::default()
    }
}

impl std::fmt::Display for PixWorkarounds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = [(self.disable_esmtp, "disable_esmtp"), (self.delay_dot, "delay_dotcrlf")];
        let names: Vec<&str> = names.into_iter().filter_map(|(on, name)| on.then_some(name)).collect();
        f.write_str(&names.join(" "))
    }
}

/// How to recognise and report that we talk to ourselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoopDetection {
    /// `myhostname`.
    pub hostname: String,
    /// The next hop, as it is named in the bounce.
    pub next_hop: String,
    /// True for the most preferred server, where the loop is certain.
    pub best_mx: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            protocol: Protocol::Smtp,
            helo_name: "localhost".into(),
            always_send_ehlo: true,
            never_send_ehlo: false,
            discard: EhloKeywords::default(),
            pix: PixWorkarounds::default(),
            skip_5xx_greeting: true,
            skip_quit_response: true,
            line_length_limit: 2048,
            content_line_limit: 998,
            send_dummy_mail_auth: false,
            probes_data: false,
            quote_envelope: true,
            block_early_mail_reply: false,
            tells_replies: false,
            loop_detection: None,
        }
    }
}
