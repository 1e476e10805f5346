//! Showing main.cf parameters (postconf(1) without -M, -F, -P).

use super::namespace::{Class, Namespace, Node};
use super::options::{Classes, Mode, Request};
use super::{Fatal, Report, wording};

/// Prints the parameters that are asked for by name, or else all of the chosen classes.
pub(super) fn show(names: &Namespace, request: &Request, report: &mut Report) -> Result<(), Fatal> {
    if request.operands.is_empty() {
        for (name, node) in names.known.iter().filter(|(_, node)| request.classes.admit(node.class)) {
            show_one(names, request.mode, name, node, report)?;
        }
    }
    for name in &request.operands {
        match names.known.get(name) {
            None => report.warn(format_args!("{name}: unknown parameter")),
            Some(node) => show_one(names, request.mode, name, node, report)?,
        }
    }
    Ok(())
}

impl Classes {
    /// Whether parameters of the class are shown. An old name is not, nor one that Postfix does not have, unless somebody sets it.
    pub(super) fn admit(self, class: Class) -> bool {
        match class {
            Class::Builtin | Class::ReadOnly => self.builtin,
            Class::Service => self.service,
            Class::User => self.user,
            Class::Unlisted => false,
        }
    }
}

fn show_one(
    names: &Namespace,
    mode: Mode,
    name: &str,
    node: &Node,
    report: &mut Report,
) -> Result<(), Fatal> {
    let value = if mode.has(Mode::NOT_DEFAULT) {
        names.main.get(name).map(String::as_str)
    } else {
        names.value(name, None)
    };
    let Some(value) = value else { return Ok(()) };
    let fold = mode.has(Mode::FOLD);
    let out = &mut report.stdout;
    if mode.has(Mode::HIDE_VALUE) {
        wording::line(out, fold, name);
        return Ok(());
    }
    let expanded;
    let value = if mode.has(Mode::EXPAND) && !node.raw {
        expanded = names.expand(value, None)?;
        &expanded
    } else {
        value
    };
    if mode.has(Mode::JSON) {
        wording::json(out, name, value);
    } else if mode.has(Mode::HIDE_NAME) {
        wording::line(out, fold, value);
    } else {
        wording::line(out, fold, &format!("{name} = {value}"));
    }
    Ok(())
}
