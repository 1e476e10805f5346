//! Cipher grades and exclusions (postconf(5), smtpd_tls_ciphers, tls_medium_cipherlist, smtpd_tls_exclude_ciphers).
//!
//! They end in one OpenSSL cipher string, whose grammar is the library's. TLS 1.3 suites are outside its reach, as in
//! Postfix.

use config::{Settings, params};

/// The string for a grade, without exclusions. The error is in Postfix's words; [`GRADES`] says what may stand there.
pub fn grade(settings: &Settings, name: &str) -> Result<String, String> {
    let list = match name.to_ascii_lowercase().as_str() {
        "high" => settings.get(params::tls_high_cipherlist),
        // Aliases of medium since Postfix 3.8.
        "medium" | "low" | "export" => settings.get(params::tls_medium_cipherlist),
        "null" => settings.get(params::tls_null_cipherlist),
        _ => return Err(format!("invalid cipher grade: \"{name}\"")),
    };
    Ok(list.to_owned())
}

/// For those who wrote another.
pub const GRADES: &str = "cipher grades are high, medium and null";

/// A grade's string with exclusions: each word of `exclusions` becomes `:!WORD`.
pub fn with_exclusions<'a>(
    base: String,
    exclusions: impl IntoIterator<Item = &'a str>,
) -> Result<String, String> {
    let mut list = base;
    for text in exclusions {
        for word in text.split([',', ':', ' ', '\t', '\r', '\n']).filter(|word| !word.is_empty()) {
            if word.starts_with(['!', '+', '-', '@']) {
                return Err(format!("invalid unary '!+-@' in cipher exclusion: {word}"));
            }
            list.push_str(":!");
            list.push_str(word);
        }
    }
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exclusions_are_appended_in_order() {
        assert_eq!(
            with_exclusions("HIGH:@STRENGTH".into(), ["EXP, MEDIUM:LOW  DES", "aNULL"]).unwrap(),
            "HIGH:@STRENGTH:!EXP:!MEDIUM:!LOW:!DES:!aNULL"
        );
        assert_eq!(with_exclusions("HIGH".into(), [""]).unwrap(), "HIGH");
        assert!(with_exclusions("HIGH".into(), ["!aNULL"]).is_err());
    }
}
