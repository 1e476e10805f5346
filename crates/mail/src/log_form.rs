//! How addresses stand in the log (postconf(5), info_log_address_format).

use std::borrow::Cow;

use crate::address::Address;

/// The form of addresses in log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogForm {
    /// As in mail commands: a local part has quotes where it needs them.
    #[default]
    External,
    /// Without quotes and their backslashes.
    Internal,
}

impl LogForm {
    /// The value of the parameter; what is not `internal` is external.
    pub fn of(value: &str) -> LogForm {
        if value == "internal" { LogForm::Internal } else { LogForm::External }
    }

    /// An address in this form.
    pub fn show(self, address: &Address) -> Cow<'_, str> {
        match self {
            LogForm::External => address.to_external().into(),
            LogForm::Internal => address.as_str().into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms() {
        // As Postfix 3.7 shows them.
        for (internal, external) in [
            ("a b@x", "\"a b\"@x"),
            ("@x", "\"\"@x"),
            (r"k\l@x", r#""k\\l"@x"#),
            ("i,j@x", "\"i,j\"@x"),
            ("plain@x", "plain@x"),
            ("", ""),
        ] {
            let address = Address::internal(internal).unwrap();
            assert_eq!(LogForm::of("internal").show(&address), internal);
            assert_eq!(LogForm::of("external").show(&address), external);
        }
    }
}
