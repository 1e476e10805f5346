//! The files, as certbot lays them out:
//!
//! ```text
//! account.pem              the account's key, 0600
//! live/NAME                a link to the newest folder of archive/NAME
//! archive/NAME/DATE        cert.pem, chain.pem, fullchain.pem, and privkey.pem (0600)
//! ```
//!
//! The link is the only thing that changes, so whoever reads through it has a certificate with its own key, always.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use tls::inspect::Chain;

/// The files of one certificate.
pub(super) struct Live {
    directory: PathBuf,
    /// Its first name, where `*` is `_wildcard`.
    name: String,
}

impl Live {
    pub(super) fn new(directory: &Path, name: &str) -> Live {
        Live { directory: directory.to_owned(), name: name.replace('*', "_wildcard") }
    }

    /// What main.cf names: `PATH/fullchain.pem`, `PATH/privkey.pem`.
    pub(super) fn path(&self) -> PathBuf {
        self.directory.join("live").join(&self.name)
    }

    pub(super) fn account_file(&self) -> PathBuf {
        self.directory.join("account.pem")
    }

    /// Days that are left, when nothing has to be done yet: the certificate is for all names, and more than a third of its lifetime
    /// is left.
    pub(super) fn due(&self, names: &[String]) -> Result<Option<i64>, String> {
        let file = self.path().join("cert.pem");
        if !file.exists() {
            return Ok(None);
        }
        let chain = Chain::read(&file).map_err(|why| format!("{}: {why}", file.display()))?;
        let (left, lifetime) = chain.lifetime();
        let has = |name: &String| chain.names().iter().any(|found| found.eq_ignore_ascii_case(name));
        Ok((left * 3 > lifetime && names.iter().all(has)).then_some(left))
    }

    /// The account's key, made when there is none.
    pub(super) fn account_key(
        &self,
        make: impl FnOnce() -> Result<Vec<u8>, String>,
    ) -> Result<Vec<u8>, String> {
        let file = self.account_file();
        let named = |error: io::Error| format!("{}: {error}", file.display());
        match fs::read(&file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let key = make()?;
                make_directory(&self.directory, 0o755).map_err(named)?;
                write(&file, &key, 0o600).map_err(named)?;
                Ok(key)
            }
            key => key.map_err(named),
        }
    }

    /// Puts a certificate into service. The chain is the server's certificate and what is behind it.
    pub(super) fn install(&self, key: &[u8], fullchain: &str) -> Result<(), String> {
        let (cert, chain) = split(fullchain)?;
        let named = |error: io::Error| format!("{}: {error}", self.directory.display());
        let archive = self.directory.join("archive").join(&self.name);
        let installed = || -> io::Result<()> {
            make_directory(&self.directory.join("live"), 0o755)?;
            make_directory(&archive, 0o755)?;
            let stamp = new_folder(&archive)?;
            let folder = archive.join(&stamp);
            write(&folder.join("privkey.pem"), key, 0o600)?;
            for (name, text) in [("cert.pem", cert), ("chain.pem", chain), ("fullchain.pem", fullchain)] {
                write(&folder.join(name), text.as_bytes(), 0o644)?;
            }
            fs::File::open(&folder)?.sync_all()?;
            let beside = self.directory.join("live").join(format!(".{}", self.name));
            match fs::remove_file(&beside) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            symlink(Path::new("../archive").join(&self.name).join(&stamp), &beside)?;
            fs::rename(&beside, self.path())
        };
        installed().map_err(named)
    }
}

/// The first certificate, and the others.
fn split(fullchain: &str) -> Result<(&str, &str), String> {
    const END: &str = "-----END CERTIFICATE-----";
    let end = fullchain.find(END).ok_or("the authority sent no certificate")? + END.len();
    let end = fullchain[end..].find('\n').map_or(fullchain.len(), |at| end + at + 1);
    Ok((&fullchain[..end], fullchain[end..].trim_start()))
}

fn make_directory(path: &Path, mode: u32) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(mode).create(path)
}

/// Named after the second; with a number where two come in one.
fn new_folder(archive: &Path) -> io::Result<String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let mut name = now.to_string();
    for number in 1.. {
        match fs::DirBuilder::new().mode(0o755).create(archive.join(&name)) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => name = format!("{now}-{number}"),
            made => return made.map(|()| name),
        }
    }
    Ok(name)
}

/// Never to be seen by others, not even for a moment.
fn write(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use testkit::authority::{Authority, KeyKind, Wish};

    use super::*;

    fn issued(from_days: i64, to_days: i64) -> (String, String) {
        let wish = Wish { from_days, to_days, ..Wish::named("mx.test") };
        let authority = Authority::new("Test CA");
        let issued = authority.issue_as("mx.test", KeyKind::EcdsaP256, &wish);
        (issued.key_pem, issued.certificate_pem + &authority.certificate_pem)
    }

    #[test]
    fn files_change_all_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let live = Live::new(folder.path(), "mx.test");
        let names = ["mx.test".to_owned()];
        assert_eq!(live.due(&names), Ok(None));
        let (key, chain) = issued(-1, 60);
        live.install(key.as_bytes(), &chain).unwrap();
        let read = |name: &str| fs::read_to_string(live.path().join(name)).unwrap();
        assert_eq!((read("privkey.pem"), read("fullchain.pem")), (key, chain.clone()));
        assert_eq!(format!("{}{}", read("cert.pem"), read("chain.pem")), chain);
        assert_eq!(read("cert.pem").matches("BEGIN").count(), 1);
        let mode = |name: &str| fs::metadata(live.path().join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("privkey.pem"), mode("fullchain.pem")), (0o600, 0o644));
        assert!(fs::symlink_metadata(live.path()).unwrap().is_symlink());
        assert!(matches!(live.due(&names), Ok(Some(59 | 60))));
        assert_eq!(live.due(&["mx.test".into(), "more.test".into()]), Ok(None));
        assert!(live.install(b"", "nothing").unwrap_err().contains("no certificate"));
        assert!(matches!(live.due(&names), Ok(Some(59 | 60))));
    }

    #[test]
    fn a_third_of_the_lifetime_is_the_time_to_renew() {
        for (from, to, due) in
            [(-58, 32, false), (-61, 29, true), (-89, 1, true), (-3, 4, false), (-5, 2, true)]
        {
            let folder = tempfile::tempdir().unwrap();
            let live = Live::new(folder.path(), "mx.test");
            let (key, chain) = issued(from, to);
            live.install(key.as_bytes(), &chain).unwrap();
            assert_eq!(live.due(&["mx.test".into()]).unwrap().is_none(), due, "{from} {to}");
        }
    }

    #[test]
    fn the_accounts_key_is_made_once() {
        let folder = tempfile::tempdir().unwrap();
        let live = Live::new(&folder.path().join("new"), "*.mx.test");
        assert!(live.path().ends_with("live/_wildcard.mx.test"));
        assert_eq!(live.account_key(|| Ok(b"one".to_vec())), Ok(b"one".to_vec()));
        assert_eq!(live.account_key(|| Ok(b"two".to_vec())), Ok(b"one".to_vec()));
        let mode = fs::metadata(live.account_file()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
