//! Signed requests (RFC 7515, RFC 8555 section 6.2) with a key on the curve P-256 (ES256).

use openssl::base64;
use openssl::bn::{BigNum, BigNumContext};
use openssl::ec::{EcGroup, EcKey};
use openssl::ecdsa::EcdsaSig;
use openssl::error::ErrorStack;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::sha::sha256;
use serde_json::{Value, json};

/// The key of an account.
pub struct AccountKey {
    key: EcKey<Private>,
    x: String,
    y: String,
}

impl AccountKey {
    /// A new one.
    pub fn generate() -> Result<AccountKey, String> {
        let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).map_err(text)?;
        AccountKey::of(EcKey::generate(&group).map_err(text)?)
    }

    /// Reads one that [`AccountKey::to_pem`] wrote.
    pub fn from_pem(pem: &[u8]) -> Result<AccountKey, String> {
        let key = PKey::private_key_from_pem(pem).and_then(|key| key.ec_key()).map_err(text)?;
        match key.group().curve_name() {
            Some(Nid::X9_62_PRIME256V1) => AccountKey::of(key),
            _ => Err("the key is not one on the curve P-256".into()),
        }
    }

    fn of(key: EcKey<Private>) -> Result<AccountKey, String> {
        let mut context = BigNumContext::new().map_err(text)?;
        let (mut x, mut y) = (BigNum::new().map_err(text)?, BigNum::new().map_err(text)?);
        key.public_key().affine_coordinates(key.group(), &mut x, &mut y, &mut context).map_err(text)?;
        let coordinate = |number: &BigNum| number.to_vec_padded(32).map(|bytes| encode(&bytes)).map_err(text);
        Ok(AccountKey { x: coordinate(&x)?, y: coordinate(&y)?, key })
    }

    /// For a file.
    pub fn to_pem(&self) -> Result<Vec<u8>, String> {
        PKey::from_ec_key(self.key.clone()).and_then(|key| key.private_key_to_pem_pkcs8()).map_err(text)
    }

    /// The public key (RFC 7517).
    pub(crate) fn jwk(&self) -> Value {
        json!({ "crv": "P-256", "kty": "EC", "x": self.x, "y": self.y })
    }

    /// What a challenge's token becomes (RFC 8555 section 8.1).
    pub(crate) fn authorization(&self, token: &str) -> String {
        // The members in the order of RFC 7638 section 3, in which `jwk` puts them.
        format!("{token}.{}", encode(&sha256(self.jwk().to_string().as_bytes())))
    }

    /// A request: the header with its nonce and address, the payload or nothing (POST-as-GET), the signature.
    pub(crate) fn sign(&self, header: &Value, payload: Option<&Value>) -> Result<Vec<u8>, String> {
        let protected = encode(header.to_string().as_bytes());
        let payload = payload.map_or_else(String::new, |payload| encode(payload.to_string().as_bytes()));
        let digest = sha256(format!("{protected}.{payload}").as_bytes());
        let signature = EcdsaSig::sign(&digest, &self.key).map_err(text)?;
        let mut bytes = signature.r().to_vec_padded(32).map_err(text)?;
        bytes.extend(signature.s().to_vec_padded(32).map_err(text)?);
        let request = json!({ "protected": protected, "payload": payload, "signature": encode(&bytes) });
        Ok(request.to_string().into_bytes())
    }
}

/// Base64 for URLs, without padding (RFC 7515 section 2).
pub(crate) fn encode(bytes: &[u8]) -> String {
    base64::encode_block(bytes)
        .chars()
        .filter_map(|c| match c {
            '+' => Some('-'),
            '/' => Some('_'),
            '=' | '\n' => None,
            other => Some(other),
        })
        .collect()
}

pub(crate) fn text(error: ErrorStack) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_signatures() {
        let key = AccountKey::generate().unwrap();
        let again = AccountKey::from_pem(&key.to_pem().unwrap()).unwrap();
        assert_eq!(again.jwk(), key.jwk());
        assert!(AccountKey::from_pem(b"nothing").is_err());
        let request = key.sign(&json!({ "alg": "ES256", "nonce": "n" }), Some(&json!({}))).unwrap();
        let request: Value = serde_json::from_slice(&request).unwrap();
        assert_eq!(
            (&request["payload"], &request["protected"]),
            (&json!("e30"), &json!(encode(br#"{"alg":"ES256","nonce":"n"}"#)))
        );
        assert_eq!(request["signature"].as_str().unwrap().len(), 86);
        let request: Value = serde_json::from_slice(&key.sign(&json!({}), None).unwrap()).unwrap();
        assert_eq!(request["payload"], "");
        assert!(key.authorization("token").starts_with("token."));
        assert_eq!(key.authorization("token").len(), 6 + 43);
        assert_eq!(encode(&[0xfb, 0xff, 0xfe]), "-__-");
    }

    /// RFC 7638 section 3.1 has its example for RSA; the order of members is what counts.
    #[test]
    fn the_thumbprint_is_made_of_ordered_members() {
        let text = AccountKey::generate().unwrap().jwk().to_string();
        assert!(text.starts_with("{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\""), "{text}");
    }
}
