//! The file of public certificate authorities that systems bring along: its place differs, and it grows old.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Where Debian, Red Hat, SUSE, Alpine and the BSDs have it.
const PLACES: [&str; 5] = [
    "etc/ssl/certs/ca-certificates.crt",
    "etc/pki/tls/certs/ca-bundle.crt",
    "etc/ssl/ca-bundle.pem",
    "etc/ssl/cert.pem",
    "usr/local/share/certs/ca-root-nss.crt",
];

/// More authorities in one file than any site has of its own.
const PUBLIC: usize = 40;

/// The file below `root`, and its age in days.
pub(super) fn find(root: &Path, now: SystemTime) -> Option<(PathBuf, u64)> {
    PLACES.iter().map(|place| root.join(place)).find_map(|path| {
        let modified = std::fs::metadata(&path).ok()?.modified().ok()?;
        let age = now.duration_since(modified).unwrap_or_default();
        Some((path, age.as_secs() / 86_400))
    })
}

/// A sentence about this system's file.
pub(super) fn hint() -> String {
    match find(Path::new("/"), SystemTime::now()) {
        Some((path, days)) => {
            format!("the public authorities of this system are in {}, {days} days old", path.display())
        }
        None => "this system has no file of public authorities in any of the usual places".into(),
    }
}

/// Does a file hold so many authorities that they are the public ones?
pub(super) fn is_public(path: &str) -> bool {
    std::fs::read_to_string(path).is_ok_and(|text| text.matches("BEGIN CERTIFICATE").count() >= PUBLIC)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn layouts_of_systems() {
        for place in PLACES {
            let root = tempfile::tempdir().unwrap();
            assert_eq!(find(root.path(), SystemTime::now()), None);
            let path = root.path().join(place);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, "-----BEGIN CERTIFICATE-----\n".repeat(PUBLIC)).unwrap();
            let later = SystemTime::now() + Duration::from_secs(10 * 86_400 + 3_600);
            assert_eq!(find(root.path(), later), Some((path.clone(), 10)));
            assert!(is_public(path.to_str().unwrap()));
            std::fs::write(&path, "-----BEGIN CERTIFICATE-----\n").unwrap();
            assert!(!is_public(path.to_str().unwrap()));
        }
    }
}
