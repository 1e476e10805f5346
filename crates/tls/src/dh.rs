//! Diffie-Hellman parameters (postconf(5), smtpd_tls_dh1024_param_file). Trouble with the file never switches TLS off.

use openssl::dh::Dh;
use openssl::ssl::SslContextBuilder;

use crate::files::Files;
use crate::{Notice, ffi};

/// Shorter groups are refused by current clients, and are within reach of an attacker (RFC 8247 section 2.4).
const LEAST_BITS: i32 = 2048;

/// Uses the file's parameters; without a good file, those that the library has for the size of the certificate's key.
pub(crate) fn apply(context: &mut SslContextBuilder, file: &str, files: &Files, notices: &mut Vec<Notice>) {
    if !file.is_empty() && !file.eq_ignore_ascii_case("auto") {
        match from_file(file, files).and_then(|dh| {
            context
                .set_tmp_dh(&dh)
                .map_err(|error| format!("error configuring explicit DH parameters from \"{file}\": {error}"))
        }) {
            Ok(()) => return,
            Err(why) => notices.push(Notice(format!("{why} -- using compiled-in defaults"))),
        }
    }
    ffi::set_dh_auto(context);
}

fn from_file(file: &str, files: &Files) -> Result<Dh<openssl::pkey::Params>, String> {
    let content =
        files.read(file).map_err(|why| format!("error opening DH parameter file \"{file}\": {why}"))?;
    let dh = Dh::params_from_pem(&content.bytes)
        .map_err(|_| format!("error decoding DH parameters from file \"{file}\""))?;
    match dh.prime_p().num_bits() {
        bits if bits < LEAST_BITS => Err(format!(
            "smtpd_tls_dh1024_param_file: \"{file}\" has only {bits} bits, which clients refuse; remove the parameter"
        )),
        _ => Ok(dh),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use openssl::ssl::{SslContext, SslMethod};

    #[test]
    fn a_file_that_is_no_good_is_named_and_tls_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| {
            let path = dir.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let short = write("short", &Dh::generate_params(512, 2).unwrap().params_to_pem().unwrap());
        let garbled = write("garbled", b"nothing");
        let long = write("long", &Dh::get_2048_256().unwrap().params_to_pem().unwrap_or_default());
        for (file, expected) in [
            ("", None),
            ("auto", None),
            (
                "/nowhere/dh.pem",
                Some(
                    "error opening DH parameter file \"/nowhere/dh.pem\": No such file or directory -- using",
                ),
            ),
            (garbled.as_str(), Some("error decoding DH parameters from file")),
            (short.as_str(), Some("has only 512 bits")),
            (long.as_str(), None),
        ] {
            let mut context = SslContext::builder(SslMethod::tls()).unwrap();
            let mut notices = Vec::new();
            apply(&mut context, file, &Files::default(), &mut notices);
            assert_eq!(notices.len(), usize::from(expected.is_some()), "{file}: {notices:?}");
            assert!(expected.is_none_or(|part| notices[0].0.contains(part)), "{notices:?}");
        }
    }
}
