//! The file behind `mysql:/path`, in the format of main.cf. Names in it are fixed; `$` is an ordinary character, since passwords may hold
//! it.

use std::collections::HashSet;
use std::sync::Mutex;

use config::MainCf;

use crate::map::Opening;
use crate::watched::read_text;

/// The settings of one table.
pub(crate) struct ClientSettings {
    /// `type:path`, for messages.
    pub(crate) spec: String,
    file: MainCf,
    /// Names that were asked for: the others are mistakes.
    known: Mutex<HashSet<&'static str>>,
}

impl ClientSettings {
    /// Reads the file.
    pub(crate) fn read(opening: &Opening<'_>) -> Result<ClientSettings, String> {
        let spec = format!("{}:{}", opening.type_name, opening.name);
        if !opening.name.starts_with(['/', '.']) {
            return Err(format!(
                "{spec}: settings inside main.cf ({}_...) are not supported: move them to a file and name it, {}:/path",
                opening.name, opening.type_name
            ));
        }
        let (_, text) = read_text(opening.name)?;
        let file = MainCf::parse(opening.name, text.as_bytes()).map_err(|error| error.to_string())?;
        Ok(ClientSettings { spec, file, known: Mutex::default() })
    }

    /// A text, when it is set and not empty.
    pub(crate) fn text(&self, name: &'static str) -> Option<String> {
        self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner).insert(name);
        self.file.get(name).map(|entry| entry.value.clone()).filter(|value| !value.is_empty())
    }

    /// A text with a default.
    pub(crate) fn text_or(&self, name: &'static str, default: &str) -> String {
        self.text(name).unwrap_or_else(|| default.to_owned())
    }

    /// A whole number, at least 0.
    pub(crate) fn number(&self, name: &'static str, default: usize) -> Result<usize, String> {
        match self.text(name) {
            None => Ok(default),
            Some(text) => {
                text.parse().map_err(|_| format!("{}: {name} = {text}: not a whole number", self.spec))
            }
        }
    }

    /// yes or no.
    pub(crate) fn yes(&self, name: &'static str, default: bool) -> Result<bool, String> {
        match self.text(name).map(|text| text.to_ascii_lowercase()).as_deref() {
            None => Ok(default),
            Some("yes" | "1" | "true" | "on") => Ok(true),
            Some("no" | "0" | "false" | "off") => Ok(false),
            Some(text) => Err(format!("{}: {name} = {text}: use yes or no", self.spec)),
        }
    }

    /// Names separated by commas or blanks.
    pub(crate) fn list(&self, name: &'static str) -> Vec<String> {
        let text = self.text(name).unwrap_or_default();
        config::list::split(&text).into_iter().map(str::to_owned).collect()
    }

    /// Names in the file that no one asked for.
    pub(crate) fn unknown(&self) -> Vec<String> {
        let known = self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let names = self.file.entries().iter().map(|entry| entry.name.as_str());
        names.filter(|name| !known.contains(name)).map(str::to_owned).collect()
    }
}
