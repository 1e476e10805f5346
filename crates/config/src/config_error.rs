//! What is wrong with the values of a configuration: for the administrator, with file, line, and what would be right.

use std::fmt;
use std::sync::Arc;

/// What is wrong with a configuration: at least one error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<ConfigError>);

/// A value that is not allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The parameter.
    pub parameter: String,
    /// The text that was written, expanded as far as possible.
    pub value: String,
    /// What is wrong, in Postfix's words.
    pub text: String,
    /// What would be allowed.
    pub allowed: String,
    /// File and line that set it. `None` for a default, which then refers to something wrong.
    pub origin: Option<Origin>,
}

/// Where a parameter was set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The file: main.cf with its directory, or `master.cf -o`.
    pub file: Arc<str>,
    /// The line, counted from 1; 0 when it is not known.
    pub line: usize,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Some(Origin { file, line: 0 }) => write!(f, "{file}: ")?,
            Some(Origin { file, line }) => write!(f, "{file}, line {line}: ")?,
            None => {}
        }
        write!(f, "{} (allowed: {})", self.text, self.allowed)
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, error) in self.0.iter().enumerate() {
            if number > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}
impl std::error::Error for ConfigErrors {}
