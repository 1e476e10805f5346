//! What clients hear: every reply of the receiving session that the session itself decides, in Postfix's words.
//!
//! Refusals by access control, policy services or filters come from outside, as verdicts.

use mail::{Detail, Reply};

const fn detailed(code: u16, subject: u16, detail: u16, text: &'static str) -> Reply {
    Reply::fixed(code, Some(Detail(subject, detail)), text)
}

const fn bare(code: u16, text: &'static str) -> Reply {
    Reply::fixed(code, None, text)
}

macro_rules! replies {
    ($($(#[$doc:meta])* $name:ident = $reply:expr;)*) => {
        $($(#[$doc])* pub const $name: Reply = $reply;)*
    };
}

replies! {
    /// RSET, NOOP.
    OK = detailed(250, 0, 0, "Ok");
    /// MAIL.
    SENDER_OK = detailed(250, 1, 0, "Ok");
    /// RCPT.
    RECIPIENT_OK = detailed(250, 1, 5, "Ok");
    /// QUIT.
    BYE = detailed(221, 0, 0, "Bye");
    /// A forbidden command, or a header.
    GOODBYE = detailed(221, 7, 0, "Error: I can break rules, too. Goodbye.");
    /// DATA.
    START_DATA = bare(354, "End data with <CR><LF>.<CR><LF>");
    /// STARTTLS.
    READY_FOR_TLS = detailed(220, 0, 0, "Ready to start TLS");
    /// AUTH.
    AUTHENTICATED = detailed(235, 7, 0, "Authentication successful");
    /// ETRN, when the flush service took the request.
    ETRN_OK = bare(250, "Queuing started");

    /// Nothing but blanks.
    BAD_SYNTAX = detailed(500, 5, 2, "Error: bad syntax");
    /// Invalid UTF-8.
    BAD_UTF8 = detailed(500, 5, 2, "Error: bad UTF-8 syntax");
    /// An unknown command.
    NOT_RECOGNIZED = detailed(500, 5, 2, "Error: command not recognized");
    /// A command that is switched off.
    NOT_IMPLEMENTED = detailed(502, 5, 1, "Error: command not implemented");
    /// Input before its time.
    SYNCHRONIZATION = detailed(554, 5, 0, "Error: SMTP protocol synchronization");
    /// Where TLS is required.
    MUST_STARTTLS = detailed(530, 7, 0, "Must issue a STARTTLS command first");
    /// STARTTLS without usable certificates.
    TLS_UNAVAILABLE = detailed(454, 7, 0, "TLS not available due to local problem");
    /// STARTTLS inside TLS.
    TLS_ACTIVE = detailed(554, 5, 1, "Error: TLS already active");
    /// XCLIENT, XFORWARD from a client that may not.
    NOT_AUTHORIZED = detailed(550, 7, 0, "Error: insufficient authorization");

    /// smtpd_helo_required.
    SEND_HELO = detailed(503, 5, 1, "Error: send HELO/EHLO first");
    /// The same for ETRN.
    SEND_HELO_BARE = bare(503, "Error: send HELO/EHLO first");
    /// MAIL inside a transaction.
    NESTED_MAIL = detailed(503, 5, 1, "Error: nested MAIL command");
    /// MAIL between chunks.
    MAIL_AFTER_BDAT = detailed(503, 5, 1, "Error: MAIL after BDAT");
    /// RCPT between chunks.
    RCPT_AFTER_BDAT = detailed(503, 5, 1, "Error: RCPT after BDAT");
    /// DATA between chunks.
    DATA_AFTER_BDAT = detailed(503, 5, 1, "Error: DATA after BDAT");
    /// RCPT outside a transaction.
    NEED_MAIL = detailed(503, 5, 1, "Error: need MAIL command");
    /// DATA outside a transaction.
    NEED_RCPT = detailed(503, 5, 1, "Error: need RCPT command");
    /// DATA when all recipients were refused.
    NO_RECIPIENTS = detailed(554, 5, 1, "Error: no valid recipients");
    /// AUTH inside a transaction.
    IN_TRANSACTION = detailed(503, 5, 1, "Error: MAIL transaction in progress");
    /// ETRN inside a transaction.
    IN_TRANSACTION_BARE = bare(503, "Error: MAIL transaction in progress");

    /// HELO without a name.
    SYNTAX_HELO = bare(501, "Syntax: HELO hostname");
    /// EHLO without a name.
    SYNTAX_EHLO = bare(501, "Syntax: EHLO hostname");
    /// MAIL.
    SYNTAX_MAIL = detailed(501, 5, 4, "Syntax: MAIL FROM:<address>");
    /// RCPT.
    SYNTAX_RCPT = detailed(501, 5, 4, "Syntax: RCPT TO:<address>");
    /// DATA with an argument.
    SYNTAX_DATA = detailed(501, 5, 4, "Syntax: DATA");
    /// RSET with an argument.
    SYNTAX_RSET = detailed(501, 5, 4, "Syntax: RSET");
    /// STARTTLS with an argument.
    SYNTAX_STARTTLS = detailed(501, 5, 4, "Syntax: STARTTLS");
    /// AUTH without or with too many arguments.
    SYNTAX_AUTH = detailed(501, 5, 4, "Syntax: AUTH mechanism");
    /// XCLIENT.
    SYNTAX_XCLIENT = detailed(501, 5, 4, "Syntax: XCLIENT attribute=value...");
    /// XFORWARD.
    SYNTAX_XFORWARD = detailed(501, 5, 4, "Syntax: XFORWARD attribute=value...");
    /// Either of the two.
    ATTRIBUTE_EXPECTED = detailed(501, 5, 4, "Error: attribute=value expected");
    /// Either of the two.
    ATTRIBUTE_TOO_LONG = detailed(501, 5, 4, "Error: attribute value too long");
    /// ETRN without or with too many arguments.
    SYNTAX_ETRN = bare(500, "Syntax: ETRN domain");
    /// ETRN with something that is no domain.
    BAD_ETRN_DOMAIN = bare(501, "Error: invalid parameter syntax");
    /// ETRN when the flush service is out of reach, and in stand-alone mode.
    ETRN_UNABLE = bare(458, "Unable to queue messages");
    /// BDAT without a size. Hangs up: what follows is content.
    SYNTAX_BDAT = detailed(521, 5, 4, "Syntax: BDAT count [LAST]");
    /// BDAT when CHUNKING is discarded. Hangs up.
    BDAT_OFF = detailed(521, 5, 1, "Error: command not implemented");
    /// VRFY when it is disabled.
    VRFY_OFF = detailed(502, 5, 1, "VRFY command is disabled");

    /// MAIL.
    BAD_SENDER = detailed(501, 1, 7, "Bad sender address syntax");
    /// RCPT, VRFY.
    BAD_RECIPIENT = detailed(501, 1, 3, "Bad recipient address syntax");
    /// SIZE=.
    BAD_SIZE = detailed(501, 5, 4, "Bad message size syntax");
    /// SIZE= with a number beyond any file.
    SIZE_OVERFLOW = detailed(552, 3, 4, "Message size exceeds file system imposed limit");
    /// SIZE= over message_size_limit.
    SIZE_LIMIT = detailed(552, 3, 4, "Message size exceeds fixed limit");
    /// RET=.
    BAD_RET = detailed(501, 5, 4, "Bad RET parameter syntax");
    /// ENVID=.
    BAD_ENVID = detailed(501, 5, 4, "Bad ENVID parameter syntax");
    /// NOTIFY=.
    BAD_NOTIFY = detailed(501, 5, 4, "Error: Bad NOTIFY parameter syntax");
    /// ORCPT=.
    BAD_ORCPT = detailed(501, 5, 4, "Error: Bad ORCPT parameter syntax");
    /// DSN parameters when DSN is discarded.
    DSN_OFF = detailed(501, 7, 1, "DSN support is disabled");
    /// A second AUTH=.
    MULTIPLE_AUTH = detailed(503, 5, 4, "Error: multiple AUTH= options");
    /// XVERP with the null sender.
    VERP_NULL_SENDER = detailed(503, 5, 4, "Error: XVERP requires non-null sender");
    /// strict_smtputf8.
    NEED_SMTPUTF8 = detailed(553, 6, 7, "Must declare SMTPUTF8 to send unicode address");
    /// smtpd_recipient_limit.
    TOO_MANY_RECIPIENTS = detailed(452, 5, 3, "Error: too many recipients");

    /// BDAT 0 without LAST.
    NULL_BDAT = detailed(551, 7, 1, "Null BDAT request");
    /// BDAT over message_size_limit.
    CHUNK_TOO_LARGE = detailed(552, 3, 4, "Chunk exceeds message size limit");
    /// Content over message_size_limit.
    TOO_BIG = detailed(552, 3, 4, "Error: message file too big");
    /// AUTH when it is off or not allowed without TLS.
    AUTH_OFF = detailed(503, 5, 1, "Error: authentication not enabled");
    /// A second AUTH.
    AUTH_DONE = detailed(503, 5, 1, "Error: already authenticated");
    /// The client sent `*`.
    AUTH_ABORTED = detailed(501, 7, 0, "Authentication aborted");
    /// smtpd_sasl_response_limit.
    AUTH_TOO_LONG = detailed(500, 5, 6, "SASL response limit exceeded");
}

/// `220 BANNER`.
pub(super) fn greeting(banner: &str) -> Reply {
    Reply::bare(220, banner.to_owned())
}

/// `421 4.7.0`: smtpd_hard_error_limit.
pub(super) fn too_many_errors(hostname: &str) -> Reply {
    Reply::new(421, Detail(7, 0), format!("{hostname} Error: too many errors"))
}

/// `421 4.4.2`: the client was silent for too long.
pub(super) fn timeout(hostname: &str) -> Reply {
    Reply::new(421, Detail(4, 2), format!("{hostname} Error: timeout exceeded"))
}

/// `421 4.3.0`: a table or a service that the session needs is out of order.
pub fn local_data_error(hostname: &str) -> Reply {
    Reply::new(421, Detail(3, 0), format!("{hostname} Server local data error"))
}

/// `500 5.5.2`: line_length_limit.
pub(super) fn command_too_long(hostname: &str) -> Reply {
    Reply::new(500, Detail(5, 2), format!("{hostname} Error: command too long"))
}

/// smtpd_forbid_bare_newline = reject.
pub(super) fn bare_lf(code: u16, hostname: &str) -> Reply {
    Reply::new(code, Detail(5, 2), format!("{hostname} Error: bare <LF> received"))
}

/// `503 5.7.0`: after a refusal at connect time.
pub(super) fn access_denied(client: &str) -> Reply {
    Reply::new(503, Detail(7, 0), format!("Error: access denied for {client}"))
}

/// `555 5.5.4`: an option of MAIL or RCPT that is not known.
pub(super) fn unsupported_option(option: &str) -> Reply {
    Reply::new(555, Detail(5, 4), format!("Unsupported option: {option}"))
}

/// `551 5.0.0`: content behind a chunk that failed.
pub(super) fn chunk_discarded(bytes: u64) -> Reply {
    Reply::new(551, Detail(0, 0), format!("Discarded {bytes} bytes after earlier error"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_carry_the_status_that_scripts_look_for() {
        for (reply, expected) in [
            (NESTED_MAIL, "503 5.5.1 Error: nested MAIL command"),
            (SYNTAX_EHLO, "501 Syntax: EHLO hostname"),
            (too_many_errors("h"), "421 4.7.0 h Error: too many errors"),
            (timeout("h"), "421 4.4.2 h Error: timeout exceeded"),
            (local_data_error("h"), "421 4.3.0 h Server local data error"),
            (chunk_discarded(7), "551 5.0.0 Discarded 7 bytes after earlier error"),
        ] {
            assert_eq!(reply.to_string(), expected);
        }
    }
}
