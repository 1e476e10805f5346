//! The envelope: who sent a message to whom, with the promises made about it (RFC 5321, 3461, 6531, 8689).

use serde::{Deserialize, Serialize};

use crate::address::Address;

/// Everything about a message but its content.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// Reverse path; null for bounces.
    pub sender: Address,
    /// At least one for a message that is to be delivered.
    pub recipients: Vec<Recipient>,
    /// `BODY=`.
    pub body: BodyType,
    /// `SMTPUTF8` was requested.
    pub smtputf8: bool,
    /// `RET=`.
    pub ret: Option<Return>,
    /// `ENVID=`, decoded from xtext.
    pub envid: Option<String>,
    /// `REQUIRETLS` was requested.
    pub require_tls: bool,
    /// The two delimiters of VERP senders (`sendmail -V`, `XVERP`): each recipient is delivered with a sender of its own.
    #[serde(default)]
    pub verp: Option<String>,
    /// The header says `TLS-Required: no` (RFC 8689 section 5): rather without authentication than not at all.
    #[serde(default)]
    pub tls_optional: bool,
    /// What the message is here for.
    #[serde(default)]
    pub purpose: Purpose,
}

impl Envelope {
    /// The same for other recipients. Those of a list can be many: they are not copied.
    pub fn for_recipients(&self, recipients: Vec<Recipient>) -> Envelope {
        // Every field is named here, so that a new one can not be forgotten.
        Envelope {
            sender: self.sender.clone(),
            recipients,
            body: self.body,
            smtputf8: self.smtputf8,
            ret: self.ret,
            envid: self.envid.clone(),
            require_tls: self.require_tls,
            verp: self.verp.clone(),
            tls_optional: self.tls_optional,
            purpose: self.purpose,
        }
    }
}

/// What a message is in the queue for (sendmail(1) options `-v` and `-bv`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Purpose {
    /// To be delivered.
    #[default]
    Delivery,
    /// To be delivered, and the sender gets a report of the first attempt (`-v`).
    Traced,
    /// To find out whether it could be delivered: no content is sent or stored anywhere, and the sender gets a report of
    /// the one attempt (`-bv`).
    Probe,
    /// The same for verify(8): whoever asked gets the outcome, and no report is sent.
    Verify,
}

impl Purpose {
    /// Is it only asked whether the message could be delivered?
    pub fn is_probe(self) -> bool {
        matches!(self, Purpose::Probe | Purpose::Verify)
    }
}

/// The declared content type of a body (RFC 6152).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum BodyType {
    /// Nothing was declared.
    #[default]
    Unspecified,
    /// `BODY=7BIT`.
    SevenBit,
    /// `BODY=8BITMIME`.
    EightBitMime,
}

/// How much of the message a failure notice shall return (RFC 3461 section 4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Return {
    /// `RET=FULL`.
    Full,
    /// `RET=HDRS`.
    Headers,
}

/// One recipient.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipient {
    /// Where the message goes now, after rewriting and aliases.
    pub address: Address,
    /// What the client asked for, before rewriting; logged as `orig_to=` when it differs.
    pub original: Address,
    /// `ORCPT=` as `type;address`, decoded from xtext; made from `original` when the client gave none.
    pub orcpt: Option<String>,
    /// `NOTIFY=`.
    pub notify: Notify,
}

impl Recipient {
    /// A recipient as it came in, without DSN parameters.
    pub fn new(address: Address) -> Self {
        Recipient { original: address.clone(), address, orcpt: None, notify: Notify::default() }
    }
}

/// `NOTIFY=` (RFC 3461 section 4.1). All false: nothing was said, which means failure and delay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notify {
    /// NEVER: no notice at all; the others are false then.
    pub never: bool,
    /// SUCCESS.
    pub success: bool,
    /// FAILURE.
    pub failure: bool,
    /// DELAY.
    pub delay: bool,
}

impl Notify {
    /// Nothing was said.
    pub fn is_unspecified(&self) -> bool {
        *self == Notify::default()
    }

    /// Shall a failure be told?
    pub fn wants_failure(&self) -> bool {
        self.failure || self.is_unspecified()
    }

    /// Shall a delay be told?
    pub fn wants_delay(&self) -> bool {
        self.delay || self.is_unspecified()
    }
}
