//! What a session leaves for the log when it ends: the stage it reached and its command counts.
//!
//! The shapes are those of Postfix's `disconnect from` and `lost connection after` lines, which pflogsumm and fail2ban read.

use std::fmt::{self, Write};

use super::command::Verb;

/// Command counts of one session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Successes and attempts; the last entry is for unknown and malformed commands.
    counts: [(u32, u32); Verb::COUNT + 1],
    bare_lf: bool,
}

impl Tally {
    pub(super) fn attempt(&mut self, verb: Option<Verb>) {
        self.entry(verb).1 += 1;
    }

    pub(super) fn success(&mut self, verb: Verb) {
        self.entry(Some(verb)).0 += 1;
    }

    /// A lone LF ended a line, and the mode says to note it.
    pub(super) fn note_bare_lf(&mut self) {
        self.bare_lf = true;
    }

    fn entry(&mut self, verb: Option<Verb>) -> &mut (u32, u32) {
        &mut self.counts[verb.map_or(Verb::COUNT, |verb| verb as usize)]
    }
}

impl fmt::Display for Tally {
    /// `ehlo=1 mail=0/1 unknown=0/1 commands=1/3`, as it follows `disconnect from NAME[ADDR] `.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = Verb::all().map(Verb::name);
        for (name, (success, total)) in names.chain(["UNKNOWN"]).zip(self.counts) {
            if total > 0 {
                name.chars().try_for_each(|c| f.write_char(c.to_ascii_lowercase()))?;
                write!(f, "={success}")?;
                if success != total {
                    write!(f, "/{total}")?;
                }
                f.write_str(" ")?;
            }
        }
        let (success, total) =
            self.counts.iter().fold((0, 0), |sum, count| (sum.0 + count.0, sum.1 + count.1));
        write!(f, "commands={success}")?;
        // `0/0` marks a session without any command: every `n/m` says that something was odd.
        if success != total || total == 0 {
            write!(f, "/{total}")?;
        }
        if self.bare_lf {
            f.write_str(" notes=bare_lf")?;
        }
        Ok(())
    }
}

/// The last thing recognised before a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// No command yet.
    Connect,
    /// A command.
    Command(Verb),
    /// A command that is not known.
    Unknown,
    /// Between 354 and the end of data.
    DataContent,
    /// Inside a BDAT chunk, or between two.
    BdatContent,
    /// Behind the end of data.
    EndOfMessage,
}

impl Stage {
    /// The word that Postfix logs.
    pub fn name(self) -> &'static str {
        match self {
            Stage::Connect => "CONNECT",
            Stage::Command(verb) => verb.name(),
            Stage::Unknown => "UNKNOWN",
            Stage::DataContent => "DATA",
            Stage::BdatContent => "BDAT",
            Stage::EndOfMessage => "END-OF-MESSAGE",
        }
    }
}

/// Why a session ended otherwise than by QUIT or a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The client went away.
    LostConnection,
    /// The client was silent for too long.
    Timeout,
    /// `smtpd_hard_error_limit` was reached.
    TooManyErrors,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reason::LostConnection => "lost connection",
            Reason::Timeout => "timeout",
            Reason::TooManyErrors => "too many errors",
        })
    }
}

/// What is left of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// Why it ended, when there is something to say about it.
    pub reason: Option<Reason>,
    /// How far it got.
    pub stage: Stage,
    /// Content bytes received, when it ended inside a message.
    pub bytes: u64,
    /// The command counts; `Display` gives the tail of the disconnect line.
    pub tally: Tally,
}

impl End {
    /// `lost connection after DATA (17 bytes)`, to be preceded by the queue id or `NOQUEUE` and followed by
    /// ` from NAME[ADDR]`. `None` when Postfix logs no such line.
    pub fn abnormal(&self) -> Option<String> {
        let reason = self.reason?;
        match self.stage {
            Stage::DataContent | Stage::BdatContent => {
                Some(format!("{reason} after {} ({} bytes)", self.stage.name(), self.bytes))
            }
            // Clients that leave without QUIT once their message is in are too common to be worth a line.
            Stage::EndOfMessage if reason == Reason::LostConnection => None,
            stage => Some(format!("{reason} after {}", stage.name())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disconnect_lines() {
        let mut tally = Tally::default();
        assert_eq!(tally.to_string(), "commands=0/0");
        tally.attempt(Some(Verb::Quit));
        tally.success(Verb::Quit);
        assert_eq!(tally.to_string(), "quit=1 commands=1");
        tally.attempt(Some(Verb::Ehlo));
        tally.attempt(None);
        tally.note_bare_lf();
        assert_eq!(tally.to_string(), "ehlo=0/1 quit=1 unknown=0/1 commands=1/3 notes=bare_lf");
    }

    #[test]
    fn abnormal_ends() {
        for (reason, stage, expected) in [
            (None, Stage::Connect, None),
            (Some(Reason::LostConnection), Stage::Connect, Some("lost connection after CONNECT")),
            (Some(Reason::Timeout), Stage::DataContent, Some("timeout after DATA (17 bytes)")),
            (Some(Reason::LostConnection), Stage::EndOfMessage, None),
            (Some(Reason::Timeout), Stage::EndOfMessage, Some("timeout after END-OF-MESSAGE")),
            (Some(Reason::TooManyErrors), Stage::Command(Verb::Rcpt), Some("too many errors after RCPT")),
        ] {
            let end = End { reason, stage, bytes: 17, tally: Tally::default() };
            assert_eq!(end.abnormal().as_deref(), expected);
        }
    }
}
