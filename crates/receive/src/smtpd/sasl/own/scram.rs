//! SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677), the server's part without any waiting.

use openssl::base64::{decode_block, encode_block};
use openssl::rand::rand_bytes;
use tls::channel_binding::Bindings;

use super::secret::Secret;

/// An exchange that waits for the client.
#[derive(Debug)]
pub(crate) enum Exchange {
    First(Binding),
    Final(Box<Final>),
    /// Our own proof was sent; an empty answer ends it.
    End {
        user: String,
    },
}

/// What the client may say of channel bindings.
#[derive(Debug)]
pub(crate) enum Binding {
    /// It has to name one of these.
    Demanded(Bindings),
    /// It may do without, but not believe that there are none: somebody in between would have hidden them.
    Offered,
    /// There are none.
    Absent,
}

impl Exchange {
    /// SCRAM-SHA-256-PLUS.
    pub(super) fn bound(bindings: Bindings) -> Exchange {
        Exchange::First(Binding::Demanded(bindings))
    }

    /// SCRAM-SHA-256.
    pub(super) fn unbound(offers_plus: bool) -> Exchange {
        Exchange::First(if offers_plus { Binding::Offered } else { Binding::Absent })
    }
}

/// `n,,n=USER,r=NONCE` (RFC 5802 section 7).
#[derive(Debug)]
pub(super) struct First {
    pub(super) user: String,
    nonce: String,
    /// The header with the value of the binding: what the client repeats in its proof.
    bound_to: Vec<u8>,
    bare: String,
}

impl First {
    /// An identity to act for must be the user's own.
    pub(super) fn parse(message: &str, binding: Binding) -> Option<First> {
        let mut parts = message.splitn(3, ',');
        let (flag, acting_for, bare) = (parts.next()?, parts.next()?, parts.next()?);
        let data = match (binding, flag) {
            (Binding::Demanded(bindings), flag) => bindings.get(flag.strip_prefix("p=")?)?.to_vec(),
            (Binding::Offered | Binding::Absent, "n") | (Binding::Absent, "y") => Vec::new(),
            _ => return None,
        };
        let mut attributes = bare.split(',');
        let user = attributes.next()?.strip_prefix("n=")?.replace("=2C", ",").replace("=3D", "=");
        let nonce = attributes.next()?.strip_prefix("r=")?;
        let acts_for_itself = match acting_for.strip_prefix("a=") {
            Some(name) => name.replace("=2C", ",").replace("=3D", "=") == user,
            None => acting_for.is_empty(),
        };
        let valid = acts_for_itself && (8..=256).contains(&nonce.len());
        valid.then(|| First {
            nonce: nonce.to_owned(),
            bound_to: [format!("{flag},{acting_for},").as_bytes(), &data].concat(),
            bare: bare.to_owned(),
            user,
        })
    }

    /// `r=NONCE,s=SALT,i=ITERATIONS`, and what is expected then.
    pub(super) fn answer(self, secret: Secret) -> Result<(Exchange, String), String> {
        let mut own = [0; 18];
        rand_bytes(&mut own).map_err(|error| error.to_string())?;
        let nonce = format!("{}{}", self.nonce, encode_block(&own));
        let challenge = secret.server_first(&nonce);
        let expected = Final {
            messages: format!("{},{challenge}", self.bare),
            expected: format!("c={},r={nonce}", encode_block(&self.bound_to)),
            user: self.user,
            secret,
        };
        Ok((Exchange::Final(Box::new(expected)), challenge))
    }
}

/// `c=HEADER,r=NONCE,p=PROOF` is to come.
#[derive(Debug)]
pub(crate) struct Final {
    user: String,
    secret: Secret,
    /// The message without its proof.
    expected: String,
    messages: String,
}

impl Final {
    /// Our own proof when the client's is good, otherwise the user's name.
    pub(super) fn prove(self, response: &str) -> Result<Result<(Exchange, String), String>, String> {
        let Some((without_proof, proof)) = response.rsplit_once(",p=") else { return Ok(Err(self.user)) };
        let proof = decode_block(proof).ok().filter(|_| without_proof == self.expected);
        let Some(proof) = proof else { return Ok(Err(self.user)) };
        let ours = self.secret.prove(&format!("{},{without_proof}", self.messages), &proof)?;
        Ok(match ours {
            Some(ours) => Ok((Exchange::End { user: self.user }, ours)),
            None => Err(self.user),
        })
    }
}
