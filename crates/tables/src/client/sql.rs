//! What the SQL tables share: their settings, the question, and the way from rows to a result.

use super::settings::ClientSettings;
use super::template::{Template, is_wanted, joined};
use crate::lookup::Lookup;
use crate::map::Warn;

/// The question of one table.
pub(super) struct Question {
    pub(super) spec: String,
    query: Template,
    result_format: Template,
    domains: Vec<String>,
    expansion_limit: usize,
}

/// Rows of columns; NULL is `None`.
pub(super) type Rows = Vec<Vec<Option<String>>>;

impl Question {
    /// Reads it. `function` is `select_function` of pgsql tables.
    pub(super) fn read(settings: &ClientSettings, quote_char: char) -> Result<Question, String> {
        let explain = |name: &str, why: String| format!("{}: {name}: {why}", settings.spec);
        let query = match settings.text("query") {
            Some(query) => query,
            None => old_style(settings, quote_char)?,
        };
        Ok(Question {
            spec: settings.spec.clone(),
            query: Template::parse(&query).map_err(|why| explain("query", why))?,
            result_format: Template::parse(&settings.text_or("result_format", "%s"))
                .map_err(|why| explain("result_format", why))?,
            domains: settings.list("domain"),
            expansion_limit: settings.number("expansion_limit", 0)?,
        })
    }

    /// The statement for a key; `None` when there is nothing to ask.
    pub(super) fn statement(&self, key: &str, quote: impl Fn(&str) -> String) -> Option<String> {
        if !is_wanted(&self.domains, key) {
            return None;
        }
        self.query.question(key, quote)
    }

    /// What rows mean for a key.
    pub(super) fn result(&self, key: &str, rows: Rows) -> Lookup {
        let values = rows.into_iter().flatten().flatten();
        joined(&self.result_format, key, values, self.expansion_limit)
            .map_err(|why| format!("{}: {why}", self.spec))
            .into()
    }
}

/// The settings of before Postfix 2.2, which old files still have.
fn old_style(settings: &ClientSettings, quote_char: char) -> Result<String, String> {
    if let Some(function) = settings.text("select_function") {
        return Ok(format!("SELECT {function}('%s')"));
    }
    let (table, field, key) =
        (settings.text("table"), settings.text("select_field"), settings.text("where_field"));
    let (Some(table), Some(field), Some(key)) = (table, field, key) else {
        return Err(format!("{}: query is not set: there is nothing to ask", settings.spec));
    };
    let more = settings.text_or("additional_conditions", "");
    let escape = |text: String| text.replace('%', "%%");
    Ok(format!(
        "SELECT {} FROM {} WHERE {} = {quote_char}%s{quote_char} {}",
        escape(field),
        escape(table),
        escape(key),
        escape(more)
    ))
}

/// Says what in the file means nothing.
pub(super) fn warn_of_unknown(settings: &ClientSettings, warn: &Warn) {
    for name in settings.unknown() {
        warn(&format!("{}: unknown setting \"{name}\" has no effect", settings.spec));
    }
}
