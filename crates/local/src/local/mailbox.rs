//! The jobs of local(8): a user's mailbox, a file, a command; each with the rights that it is done with.

use std::os::unix::fs::MetadataExt;
use std::time::SystemTime;

use mail::Status;

use super::expansion::{Expansion, Named};
use super::names::Names;
use crate::command::{Invocation, Run};
use crate::content::{Format, delivered_to, envelope_from, from_line, original_to, return_path};
use crate::failure::Failure;
use crate::job::{Done, Work};
use crate::lock::Locking;
use crate::maildir::Store;
use crate::mbox::{Append, FileKind};
use crate::user::{Rights, User};

impl Expansion<'_> {
    /// mailbox_command, home_mailbox or mail_spool_directory.
    pub(super) async fn mailbox(&mut self, named: &Named, names: &Names, user: &User) -> Result<(), Failure> {
        let settings = &self.agent.settings;
        let rights = self.rights_of(user).await?;
        let maps = &settings.mailbox_command_maps;
        if let Some(command) = self.mapped(maps, names, &settings.mailbox_command).await? {
            // `$USER` and its like are for the shell, from the environment.
            return self.run_command(&command, named, names, rights).await;
        }
        let (path, rights) = match settings.home_mailbox.as_str() {
            "" => {
                let directory = &settings.mail_spool_directory;
                match directory.ends_with('/') {
                    true => (format!("{directory}{}/", user.name), rights),
                    false => (format!("{directory}/{}", user.name), spool_rights(directory, rights)),
                }
            }
            mailbox => (format!("{}/{mailbox}", user.home), rights),
        };
        let is_maildir = path.ends_with('/');
        if self.in_hand.is_probe() {
            let text = if is_maildir { "delivers to maildir" } else { "delivers to mailbox" };
            self.delivered(&named.recipient, text);
            return Ok(());
        }
        if is_maildir {
            self.store(&path, named, rights).await?;
            self.delivered(&named.recipient, "delivered to maildir");
            return Ok(());
        }
        let owner = settings.strict_mailbox_ownership.then(|| self.agent.deliverer.rights(rights).uid);
        let kind = FileKind::Mailbox { owner };
        let appended = self.append(&path, named, rights, kind, settings.locking.clone()).await;
        let begins = appended.map_err(|failure| {
            if failure.text.ends_with(" is not owned by recipient") {
                maillog::warning!(
                    self.agent.log,
                    "specify \"strict_mailbox_ownership = no\" to ignore mailbox ownership mismatch"
                );
            }
            match failure.text.starts_with("destination ") {
                true => failure,
                false => {
                    failure.preceded_by(&format!("cannot update mailbox {path} for user {}. ", user.name))
                }
            }
        })?;
        if let Some(biff) = &self.agent.biff {
            biff.tell(&user.name, &begins);
        }
        self.delivered(&named.recipient, "delivered to mailbox");
        Ok(())
    }

    /// `/file/name`.
    pub(super) async fn file(&mut self, path: &str, named: &Named) -> Result<(), Failure> {
        let settings = &self.agent.settings;
        if !self.is_admitted(named, &settings.allow_mail_to_files) {
            return Err(Failure::new(Status::new(5, 7, 1), "mail to file is restricted"));
        }
        let rights = self.rights_of_text(named).await?;
        if !self.is_first(format!("file {} {path}", rights.uid)) {
            return Ok(());
        }
        if self.in_hand.is_probe() {
            self.delivered(&named.recipient, format!("delivers to file: {path}"));
            return Ok(());
        }
        if path.ends_with('/') {
            self.store(path, named, rights).await?;
        } else {
            let locking = Locking { dotlock_may_fail: true, ..settings.locking.clone() };
            self.append(path, named, rights, FileKind::Any, locking)
                .await
                .map_err(|failure| failure.preceded_by(&format!("cannot append message to file {path}: ")))?;
        }
        let text = match path.ends_with('/') {
            true => "delivered to maildir".to_owned(),
            false => format!("delivered to file: {path}"),
        };
        self.delivered(&named.recipient, text);
        Ok(())
    }

    /// `|command`.
    pub(super) async fn command(&mut self, command: &str, named: &Named) -> Result<(), Failure> {
        let settings = &self.agent.settings;
        if !self.is_admitted(named, &settings.allow_mail_to_commands) {
            return Err(Failure::new(Status::new(5, 7, 1), "mail to command is restricted"));
        }
        let rights = self.rights_of_text(named).await?;
        if !self.is_first(format!("command {} {command}", rights.uid)) {
            return Ok(());
        }
        let names = Names::of(&named.recipient.address, self.agent.routing.recipient_delimiter());
        let names = match &named.user {
            Some(user) => names.with(user),
            None => names,
        };
        self.run_command(command, named, &names, rights).await
    }

    async fn run_command(
        &mut self,
        command: &str,
        named: &Named,
        names: &Names,
        rights: Rights,
    ) -> Result<(), Failure> {
        if self.in_hand.is_probe() {
            self.delivered(&named.recipient, format!("delivers to command: {command}"));
            return Ok(());
        }
        let settings = &self.agent.settings;
        let mut environment = settings.environment.clone();
        let allowed = &settings.command_expansion_filter;
        environment.extend(names.environment(self.in_hand, &named.sender, &named.recipient, allowed));
        let allowed = &settings.execution_directory_expansion_filter;
        let directory = names.expand(&settings.command_execution_directory, allowed).unwrap_or_default();
        let run = Work::Run(Run {
            what: Invocation::Line { line: command.to_owned(), shell: settings.local_command_shell.clone() },
            environment,
            directory: match directory.is_empty() {
                true => settings.queue_directory.clone(),
                false => directory,
            },
            format: Format::plain(separator(named) + &self.head(named, "command")),
            time_limit: settings.command_time_limit,
            agent: "local".into(),
        });
        self.perform(rights, run).await?;
        self.delivered(&named.recipient, format!("delivered to command: {command}"));
        Ok(())
    }

    async fn store(&self, path: &str, named: &Named, rights: Rights) -> Result<(), Failure> {
        let store = Work::Store(Store {
            path: path.to_owned(),
            format: Format::plain(self.head(named, "file")),
            hostname: self.agent.settings.myhostname.clone(),
            limit: self.agent.settings.mailbox_size_limit,
        });
        self.perform(rights, store).await.map(drop)
    }

    async fn append(
        &self,
        path: &str,
        named: &Named,
        rights: Rights,
        kind: FileKind,
        locking: Locking,
    ) -> Result<String, Failure> {
        let append = Work::Append(Append {
            path: path.to_owned(),
            format: Format::mbox(separator(named) + &self.head(named, "file")),
            locking,
            limit: self.agent.settings.mailbox_size_limit,
            kind,
        });
        self.perform(rights, append).await
    }

    async fn perform(&self, rights: Rights, work: Work) -> Result<String, Failure> {
        match self.agent.deliverer.perform(rights, None, work, Some(&self.in_hand.body)).await {
            Done::Delivered(said) => Ok(said),
            Done::Failed(failure) => Err(failure),
            Done::List { .. } | Done::NoList | Done::UnsafeList(_) => {
                Err(Failure::system("the delivery process gave an answer that makes no sense"))
            }
        }
    }

    /// The lines before the message, `kind` being a word of prepend_delivered_header.
    fn head(&self, named: &Named, kind: &str) -> String {
        let mut head = return_path(&named.sender.to_external());
        if !named.recipient.original.is_null() {
            head.push_str(&original_to(&named.recipient.original));
        }
        if self.agent.settings.prepends_delivered_to(kind) {
            head.push_str(&delivered_to(&self.delivered_behind(named)));
        }
        head
    }

    /// The user's rights; in the place of root's, those of default_privs.
    async fn rights_of(&self, user: &User) -> Result<Rights, Failure> {
        match user.uid {
            0 => self.agent.default_rights().await,
            _ => Ok(user.rights()),
        }
    }

    /// The rights for commands and files that a text names: its owner's, or those of default_privs.
    async fn rights_of_text(&self, named: &Named) -> Result<Rights, Failure> {
        match named.rights {
            Some(rights) => Ok(rights.or_if_root(self.agent.default_rights().await?)),
            None => self.agent.default_rights().await,
        }
    }
}

/// The From_ line.
fn separator(named: &Named) -> String {
    from_line(&envelope_from(&named.sender), SystemTime::now())
}

/// In a spool directory that its group may write to, and not everybody, mailboxes and lock files are made with that group
/// (Debian: `/var/mail` of group mail).
fn spool_rights(directory: &str, rights: Rights) -> Rights {
    match std::fs::metadata(directory) {
        Ok(found) if found.mode() & 0o002 == 0 && found.mode() & 0o020 != 0 => {
            Rights { gid: found.gid(), ..rights }
        }
        _ => rights,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_spool_directory_of_a_group_gives_its_group() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().display().to_string();
        let group = std::fs::metadata(&path).unwrap().gid();
        let rights = Rights { uid: 5, gid: group + 1 };
        for (mode, expected) in [(0o2775, group), (0o1777, group + 1), (0o755, group + 1)] {
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
            assert_eq!(spool_rights(&path, rights), Rights { uid: 5, gid: expected }, "{mode:o}");
        }
    }
}
