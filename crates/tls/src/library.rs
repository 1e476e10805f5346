//! The library's own configuration file (postconf(5), tls_config_file and tls_config_name): read once, before anything else
//! of the library is used.

use std::sync::OnceLock;

use config::{Settings, params};

use crate::ffi;

/// What tls_config_file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source<'a> {
    /// The host's own, errors ignored.
    Default,
    None,
    File(&'a str),
}

/// Makes sure that the library goes by the file that the settings name. The error, in Postfix's words, means that these settings can
/// have no TLS: what was asked for and is not in force might have been the strict part.
///
/// A process has one library. The first who asks decides, before anything else of the library is used; who wants another file later gets
/// an error.
pub(crate) fn configure(settings: &Settings) -> Result<(), String> {
    static IN_FORCE: OnceLock<([String; 2], Result<(), String>)> = OnceLock::new();
    let wanted = [params::tls_config_file, params::tls_config_name].map(|name| settings.get(name).to_owned());
    let (in_force, result) = IN_FORCE.get_or_init(|| (wanted.clone(), load(&wanted)));
    if *in_force != wanted {
        return Err("tls_config_file and tls_config_name are the same for all services here, disabling TLS support: set \
                    them in main.cf, not with -o"
            .into());
    }
    result.clone()
}

fn load([file, name]: &[String; 2]) -> Result<(), String> {
    let source = source(file)?;
    let (path, reads) = match source {
        // The library finds its own file; a name selects another section of it.
        Source::Default if name.is_empty() => return Ok(()),
        Source::Default => (None, true),
        Source::None => (None, false),
        Source::File(path) => (Some(path), true),
    };
    let which = match source {
        Source::Default => "default",
        _ => file,
    };
    let name = (!name.is_empty()).then_some(name.as_str());
    match ffi::init(path, name, reads) {
        Ok(()) => Ok(()),
        Err(_) if source == Source::Default => Ok(()),
        Err(error) => Err(format!(
            "error loading the '{}' settings from the {which} OpenSSL configuration file, disabling TLS support \
             (tls_config_file): {error}",
            name.unwrap_or("global")
        )),
    }
}

fn source(file: &str) -> Result<Source<'_>, String> {
    match file {
        "default" => Ok(Source::Default),
        "none" => Ok(Source::None),
        path if path.starts_with('/') => Ok(Source::File(path)),
        other => Err(format!(
            "non-default tls_config_file = {other} is not an absolute pathname, disabling TLS support: \
             use default, none or an absolute path"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_stand_there() {
        for (text, expected) in [
            ("default", Some(Source::Default)),
            ("none", Some(Source::None)),
            ("/etc/ssl/x.cnf", Some(Source::File("/etc/ssl/x.cnf"))),
            ("x.cnf", None),
            ("", None),
        ] {
            assert_eq!(source(text).ok(), expected, "{text}");
        }
    }
}
