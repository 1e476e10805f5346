//! The configuration of the quickstart: main.cf and master.cf as postconf(5) and master(5) have them, certificates, and one
//! lookup table.

use std::path::PathBuf;

use testkit::authority::{Authority, KeyKind, Wish};

use super::folder::{Folder, MARK};
use super::ports::Ports;

/// The server's name; `.test` is nobody's (RFC 6761).
pub(crate) const HOST: &str = "mail.quickstart.test";

/// The domain with mailboxes.
pub(crate) const DOMAIN: &str = "quickstart.test";

/// Who has a mailbox.
pub(crate) const USER: &str = "you";

/// Everything that is to be known.
#[derive(Debug)]
pub(crate) struct Site {
    /// Where it is.
    pub(crate) folder: Folder,
    /// Where it listens.
    pub(crate) ports: Ports,
    /// How long the log was before the server started, in bytes: what is before belongs to earlier runs.
    pub(crate) log_begins: u64,
}

impl Site {
    /// A site on ports that are free now.
    pub(crate) fn new(folder: Folder) -> Result<Site, String> {
        let mut site = Site { folder, ports: Ports::choose()?, log_begins: 0 };
        site.log_begins = std::fs::metadata(site.log_file()).map_or(0, |found| found.len());
        Ok(site)
    }

    /// The certificate of the private authority.
    pub(crate) fn authority_file(&self) -> PathBuf {
        self.folder.path.join("tls/ca.pem")
    }

    /// The mail log.
    pub(crate) fn log_file(&self) -> PathBuf {
        self.folder.path.join("log/maillog")
    }

    /// Where new mail for [`USER`] lies.
    pub(crate) fn new_mail(&self) -> PathBuf {
        self.folder.path.join("mail").join(USER).join("new")
    }
}

/// Writes all of it. Queue and mail of an earlier run stay.
pub(crate) fn write(site: &Site) -> Result<(), String> {
    let folder = &site.folder;
    folder.directory("tls", 0o755)?;
    folder.directory("queue", 0o755)?;
    // A directory of its own: all roles may write to the one with the log, and to nothing else of each other's.
    folder.directory("log", 0o755)?;
    folder.owned_directory("data")?;
    folder.owned_directory("mail")?;
    let authority = Authority::new("Quickstart authority");
    let names = vec![HOST.to_owned(), "localhost".to_owned(), "127.0.0.1".to_owned()];
    let server =
        authority.issue_as(HOST, KeyKind::EcdsaP256, &Wish { names, client: false, ..Wish::named(HOST) });
    folder.file("tls/ca.pem", 0o644, &authority.certificate_pem)?;
    folder.file("tls/server.pem", 0o600, &format!("{}{}", server.key_pem, server.certificate_pem))?;
    folder.file("mailboxes", 0o644, &format!("{USER}@{DOMAIN}  {USER}/\n"))?;
    folder.file("main.cf", 0o644, &main_cf(site))?;
    folder.file("master.cf", 0o644, &master_cf(site.ports))
}

fn main_cf(site: &Site) -> String {
    let path = site.folder.path.display();
    let owner = &site.folder.owner;
    let (name, uid, gid) = (&owner.name, owner.uid, owner.gid);
    format!(
        "{MARK} Every line is explained in postconf(5).
compatibility_level = 3.12

myhostname = {HOST}
mydomain = {DOMAIN}
myorigin = $mydomain
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8

# Everything that is written is below this folder.
queue_directory = {path}/queue
data_directory = {path}/data
maillog_file = {path}/log/maillog
maillog_file_prefixes = {path}/log
mail_owner = {name}

# What comes in: STARTTLS is offered to all; the submission services of master.cf ask for more.
smtpd_tls_security_level = may
smtpd_tls_chain_files = {path}/tls/server.pem
smtpd_tls_loglevel = 1
smtpd_tls_received_header = yes

# What goes out.
smtp_tls_security_level = may
smtp_tls_CAfile = {path}/tls/ca.pem
smtp_tls_loglevel = 1

# No account of the system is needed: the mailboxes are listed in a file.
mydestination =
alias_maps =
alias_database =
local_recipient_maps =
virtual_mailbox_domains = $mydomain
virtual_mailbox_maps = texthash:{path}/mailboxes
virtual_mailbox_base = {path}/mail
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
virtual_minimum_uid = 1
virtual_alias_maps = inline:{{ postmaster@$mydomain={USER}@$mydomain }}
"
    )
}

fn master_cf(ports: Ports) -> String {
    let Ports { smtp, submissions, submission } = ports;
    format!(
        "{MARK} Every column is explained in master(5).
# service type  private unpriv  chroot  wakeup  maxproc command + args
{smtp}      inet  n       -       n       -       -       smtpd
{submission}      inet  n       -       n       -       -       smtpd
  -o syslog_name=postfix/submission
  -o smtpd_tls_security_level=encrypt
{submissions}      inet  n       -       n       -       -       smtpd
  -o syslog_name=postfix/submissions
  -o smtpd_tls_wrappermode=yes
pickup    unix  n       -       n       60      1       pickup
cleanup   unix  n       -       n       -       0       cleanup
qmgr      unix  n       -       n       300     1       qmgr
tlsmgr    unix  -       -       n       1000?   1       tlsmgr
rewrite   unix  -       -       n       -       -       trivial-rewrite
bounce    unix  -       -       n       -       0       bounce
defer     unix  -       -       n       -       0       bounce
trace     unix  -       -       n       -       0       bounce
verify    unix  -       -       n       -       1       verify
flush     unix  n       -       n       1000?   0       flush
proxymap  unix  -       -       n       -       -       proxymap
proxywrite unix -       -       n       -       1       proxymap
smtp      unix  -       -       n       -       -       smtp
relay     unix  -       -       n       -       -       smtp
  -o syslog_name=postfix/$service_name
showq     unix  n       -       n       -       -       showq
error     unix  -       -       n       -       -       error
retry     unix  -       -       n       -       -       error
discard   unix  -       -       n       -       -       discard
local     unix  -       n       n       -       -       local
virtual   unix  -       n       n       -       -       virtual
lmtp      unix  -       -       n       -       -       lmtp
anvil     unix  -       -       n       -       1       anvil
scache    unix  -       -       n       -       1       scache
postlog   unix-dgram n  -       n       -       1       postlogd
"
    )
}
