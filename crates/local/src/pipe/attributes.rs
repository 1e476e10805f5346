//! The attributes of a pipe(8) service in master.cf: `flags=`, `user=`, `argv=` and the others.

/// What a service's arguments say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attributes {
    /// Letters of `flags=`.
    pub(crate) flags: String,
    pub(crate) user: String,
    pub(crate) group: Option<String>,
    /// Program and arguments, macros not expanded.
    pub(crate) argv: Vec<String>,
    pub(crate) directory: Option<String>,
    pub(crate) chroot: Option<String>,
    /// Ends each line of the message.
    pub(crate) eol: String,
    /// Most bytes of a message; 0 for no limit.
    pub(crate) size: u64,
    pub(crate) null_sender: String,
}

/// The letters that are known.
const FLAGS: &str = "BDFORXhqu.>";

impl Attributes {
    /// Reads the arguments of the service. The error is fatal for the service; `warn` hears of flags that are ignored.
    pub(crate) fn parse(args: &[String], warn: &mut dyn FnMut(String)) -> Result<Attributes, String> {
        let mut found = Attributes {
            flags: String::new(),
            user: String::new(),
            group: None,
            argv: Vec::new(),
            directory: None,
            chroot: None,
            eol: "\n".into(),
            size: 0,
            null_sender: "MAILER-DAEMON".into(),
        };
        for (index, arg) in args.iter().enumerate() {
            let (name, value) = arg.split_once('=').unwrap_or((arg, ""));
            match name {
                "flags" => {
                    for flag in value.chars() {
                        match FLAGS.contains(flag) {
                            true => found.flags.push(flag),
                            false => warn(format!("unknown flag: {flag} (ignored)")),
                        }
                    }
                }
                "user" => match value.split_once(':') {
                    Some((user, group)) => {
                        found.user = user.to_owned();
                        found.group = Some(group.to_owned());
                    }
                    None => found.user = value.to_owned(),
                },
                "directory" => found.directory = Some(value.to_owned()),
                "chroot" => found.chroot = Some(value.to_owned()),
                "eol" => found.eol = unescape(value),
                "null_sender" => found.null_sender = value.to_owned(),
                "size" => {
                    found.size = value.parse().map_err(|_| format!("bad size= value: {value}"))?;
                }
                "argv" => {
                    found.argv.push(value.to_owned());
                    found.argv.extend_from_slice(&args[index + 1..]);
                    break;
                }
                _ => return Err(format!("unknown attribute name: {arg}")),
            }
        }
        if found.user.is_empty() {
            return Err("missing user= command-line attribute".into());
        }
        if found.argv.first().is_none_or(String::is_empty) {
            return Err("missing argv= command-line attribute".into());
        }
        Ok(found)
    }

    /// Is this letter among the flags?
    pub(crate) fn has(&self, flag: char) -> bool {
        self.flags.contains(flag)
    }
}

/// `\n`, `\r`, `\t`, `\040`... as in C.
fn unescape(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let digits = rest.bytes().take(3).take_while(|byte| (b'0'..=b'7').contains(byte)).count();
        if digits > 0 {
            // At most 0o777, of which one byte is meant; beyond ASCII nothing can end a line.
            let code = u32::from_str_radix(&rest[..digits], 8).unwrap_or_default() & 0x7F;
            out.extend(char::from_u32(code));
            rest = &rest[digits..];
            continue;
        }
        let Some(letter) = rest.chars().next() else { break };
        out.push(match letter {
            'a' => '\x07',
            'b' => '\x08',
            'f' => '\x0C',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\x0B',
            other => other,
        });
        rest = &rest[letter.len_utf8()..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Attributes, String> {
        let args: Vec<String> = text.split(' ').map(str::to_owned).collect();
        Attributes::parse(&args, &mut |_| {})
    }

    #[test]
    fn what_master_cf_says() {
        let found = parse("flags=DRhu user=vmail:mail size=100 argv=/bin/x -f ${sender} flags=x").unwrap();
        assert_eq!(found.flags, "DRhu");
        assert_eq!((found.user.as_str(), found.group.as_deref(), found.size), ("vmail", Some("mail"), 100));
        assert_eq!(found.argv, ["/bin/x", "-f", "${sender}", "flags=x"]);
        for (text, expected) in [
            ("argv=/bin/x", "missing user= command-line attribute"),
            ("user=vmail", "missing argv= command-line attribute"),
            ("user=vmail argv=", "missing argv= command-line attribute"),
            ("user=vmail size=big argv=x", "bad size= value: big"),
            ("user=vmail color=red argv=x", "unknown attribute name: color=red"),
        ] {
            assert_eq!(parse(text), Err(expected.to_owned()));
        }
        let mut warnings = Vec::new();
        let args = ["flags=Dz", "user=x", "argv=x"].map(str::to_owned);
        assert!(Attributes::parse(&args, &mut |text| warnings.push(text)).is_ok_and(|a| a.flags == "D"));
        assert_eq!(warnings, ["unknown flag: z (ignored)"]);
    }

    #[test]
    fn escapes() {
        for (text, expected) in
            [(r"\r\n", "\r\n"), (r"\015\012", "\r\n"), (r"\\x\", "\\x"), ("plain", "plain")]
        {
            assert_eq!(unescape(text), expected, "{text}");
        }
    }
}
