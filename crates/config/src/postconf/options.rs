//! The options of postconf(1): which exist, and which go together.

use super::Fatal;

/// What postconf(1) is asked to do.
#[derive(Debug, Clone, Default)]
pub struct Request {
    pub(super) mode: Mode,
    pub(super) classes: Classes,
    pub(super) overrides: Vec<String>,
    pub(super) tls: Option<String>,
    pub(super) operands: Vec<String>,
    pub(super) config_directory: Option<String>,
}

/// A set of options.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Mode(u32);

impl Mode {
    pub(super) const SASL_SERVER: Mode = Mode(1 << 0);
    pub(super) const SASL_CLIENT: Mode = Mode(1 << 1);
    pub(super) const BOUNCE_EXPANDED: Mode = Mode(1 << 2);
    pub(super) const DEFAULTS: Mode = Mode(1 << 4);
    pub(super) const EDIT: Mode = Mode(1 << 5);
    pub(super) const FOLD: Mode = Mode(1 << 6);
    pub(super) const MASTER_FIELD: Mode = Mode(1 << 7);
    pub(super) const HIDE_NAME: Mode = Mode(1 << 8);
    pub(super) const HIDE_VALUE: Mode = Mode(1 << 9);
    pub(super) const JSON: Mode = Mode(1 << 10);
    pub(super) const LOCKS: Mode = Mode(1 << 11);
    pub(super) const MAPS: Mode = Mode(1 << 12);
    pub(super) const MASTER_ENTRY: Mode = Mode(1 << 13);
    pub(super) const NOT_DEFAULT: Mode = Mode(1 << 14);
    const OVERRIDE: Mode = Mode(1 << 15);
    const MAIN: Mode = Mode(1 << 16);
    const MASTER_PARAMETER: Mode = Mode(1 << 17);
    pub(super) const BOUNCE: Mode = Mode(1 << 18);
    pub(super) const TLS: Mode = Mode(1 << 19);
    pub(super) const EXPAND: Mode = Mode(1 << 20);
    const REMOVE: Mode = Mode(1 << 21);
    pub(super) const COMMENT_OUT: Mode = Mode(1 << 22);
    pub(super) const MERGED: Mode = Mode(1 << 23);
    /// Off with `-q`.
    pub(super) const WARN: Mode = Mode(1 << 24);

    pub(super) const MASTER: Mode = Mode::MASTER_ENTRY.and(Mode::MASTER_FIELD).and(Mode::MASTER_PARAMETER);
    pub(super) const EDITS: Mode = Mode::EDIT.and(Mode::COMMENT_OUT).and(Mode::REMOVE);

    pub(super) const fn and(self, other: Mode) -> Mode {
        Mode(self.0 | other.0)
    }

    /// Whether any of `options` is in the set.
    pub(super) fn has(self, options: Mode) -> bool {
        self.0 & options.0 != 0
    }

    /// The options as one writes them, in the order of [`NAMES`].
    fn names(self) -> String {
        let names = NAMES.iter().filter(|(option, _)| self.has(*option));
        names.map(|(_, name)| *name).collect::<Vec<_>>().join(" ")
    }
}

const NAMES: &[(Mode, &str)] = &[
    (Mode::SASL_SERVER, "-a"),
    (Mode::SASL_CLIENT, "-A"),
    (Mode::BOUNCE_EXPANDED, "-b"),
    (Mode::DEFAULTS, "-d"),
    (Mode::EDIT, "-e"),
    (Mode::FOLD, "-f"),
    (Mode::MASTER_FIELD, "-F"),
    (Mode::HIDE_NAME, "-h"),
    (Mode::HIDE_VALUE, "-H"),
    (Mode::JSON, "-j"),
    (Mode::LOCKS, "-l"),
    (Mode::MAPS, "-m"),
    (Mode::MASTER_ENTRY, "-M"),
    (Mode::NOT_DEFAULT, "-n"),
    (Mode::OVERRIDE, "-o"),
    (Mode::MAIN, "-p"),
    (Mode::MASTER_PARAMETER, "-P"),
    (Mode::BOUNCE, "-t"),
    (Mode::TLS, "-T"),
    (Mode::EXPAND, "-x"),
    (Mode::REMOVE, "-X"),
    (Mode::COMMENT_OUT, "-#"),
    (Mode::MERGED, "-PP"),
];

/// What to do: one of these at most.
const MAJOR: Mode = Mode::MASTER
    .and(Mode::MAIN)
    .and(Mode::SASL_SERVER)
    .and(Mode::SASL_CLIENT)
    .and(Mode::BOUNCE_EXPANDED)
    .and(Mode::BOUNCE)
    .and(Mode::LOCKS)
    .and(Mode::MAPS)
    .and(Mode::TLS);

/// Of each set, one at most.
const EXCLUSIVE: &[Mode] = &[
    MAJOR,
    Mode::MERGED.and(Mode::EDITS),
    Mode::DEFAULTS.and(Mode::NOT_DEFAULT).and(Mode::EDITS),
    Mode::FOLD.and(Mode::EDITS),
    Mode::EXPAND.and(Mode::EDITS),
    Mode::OVERRIDE.and(Mode::DEFAULTS).and(Mode::EDITS),
    Mode::HIDE_NAME.and(Mode::HIDE_VALUE).and(Mode::EDITS),
];

const SHOW: Mode = Mode::FOLD.and(Mode::OVERRIDE).and(Mode::EXPAND).and(Mode::JSON);
const HIDE: Mode = Mode::HIDE_NAME.and(Mode::HIDE_VALUE);
const NOTHING: Mode = Mode(0);

/// An option, and the only others with which it has a meaning.
const COMPANIONS: &[(Mode, Mode)] = &[
    (Mode::SASL_SERVER, NOTHING),
    (Mode::SASL_CLIENT, NOTHING),
    (Mode::BOUNCE_EXPANDED, NOTHING),
    (Mode::LOCKS, NOTHING),
    (Mode::MAPS, NOTHING),
    (Mode::TLS, NOTHING),
    (Mode::BOUNCE, NOTHING),
    (Mode::MAIN, Mode::EDITS.and(SHOW).and(HIDE).and(Mode::DEFAULTS).and(Mode::NOT_DEFAULT)),
    (Mode::MASTER_ENTRY, Mode::EDITS.and(SHOW)),
    (Mode::MASTER_FIELD, Mode::EDIT.and(SHOW).and(HIDE)),
    (Mode::MASTER_PARAMETER, Mode::EDIT.and(Mode::REMOVE).and(SHOW).and(HIDE).and(Mode::MERGED)),
    (Mode::MERGED, SHOW.and(HIDE).and(Mode::MASTER_PARAMETER)),
    (
        Mode::JSON,
        Mode::MAIN
            .and(Mode::MASTER)
            .and(Mode::OVERRIDE)
            .and(Mode::EXPAND)
            .and(Mode::NOT_DEFAULT)
            .and(Mode::DEFAULTS),
    ),
];

/// Classes of parameters, for `-C`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Classes {
    pub(super) builtin: bool,
    pub(super) service: bool,
    pub(super) user: bool,
}

impl Default for Classes {
    fn default() -> Classes {
        Classes { builtin: true, service: true, user: true }
    }
}

impl Classes {
    fn parse(text: &str) -> Result<Classes, Fatal> {
        let mut classes = Classes { builtin: false, service: false, user: false };
        for word in crate::list::split_plain(text) {
            match word.to_ascii_lowercase().as_str() {
                "builtin" => classes.builtin = true,
                "service" => classes.service = true,
                "user" => classes.user = true,
                "all" => classes = Classes::default(),
                _ => return Err(format!("unknown -C option value \"{word}\" in \"{text}\"")),
            }
        }
        Ok(classes)
    }
}

impl Request {
    /// The letters that getopt(3) takes; a colon follows those that have a value.
    pub const LETTERS: &'static str = "aAbc:C:defFhHjlmMno:pPqtT:vxX#";

    /// What to say about an option that does not exist.
    pub const USAGE: &'static str = "usage: postconf [-a (server SASL types)] [-A (client SASL types)] \
        [-b (bounce templates)] [-c config_dir] [-C param_class] [-d (parameter defaults)] [-e (edit configuration)] \
        [-f (fold lines)] [-F (master.cf fields)] [-h (no names)] [-H (no values)] [-j (streaming JSON)] \
        [-l (lock types)] [-m (map types)] [-M (master.cf)] [-n (non-default parameters)] \
        [-o name=value (override parameter value)] [-p (main.cf, default)] [-P (master.cf parameters)] \
        [-q (no warnings)] [-t (bounce templates)] [-T compile-version|run-version|public-key-algorithms] \
        [-v (verbose)] [-x (expand parameter values)] [-X (exclude)] [-# (comment-out)] [name...]";

    /// Understands the options and the operands after them.
    pub fn new(options: &[(char, Option<String>)], operands: Vec<String>) -> Result<Request, Fatal> {
        let mut request = Request { mode: Mode::WARN, operands, ..Request::default() };
        for (letter, value) in options {
            request.option(*letter, value.clone().unwrap_or_default())?;
        }
        request.complete()?;
        Ok(request)
    }

    fn option(&mut self, letter: char, value: String) -> Result<(), Fatal> {
        let option = match letter {
            'c' => {
                self.config_directory = Some(value);
                return Ok(());
            }
            'C' => {
                self.classes = Classes::parse(&value)?;
                return Ok(());
            }
            'o' => {
                self.overrides.push(value);
                Mode::OVERRIDE
            }
            'P' if self.mode.has(Mode::MASTER_PARAMETER) => Mode::MERGED,
            'q' => {
                self.mode = Mode(self.mode.0 & !Mode::WARN.0);
                return Ok(());
            }
            'T' => {
                if self.tls.replace(value).is_some() {
                    return Err("At most one -T <mode> option may be specified".to_owned());
                }
                Mode::TLS
            }
            'b' | 't' if self.mode.has(Mode::BOUNCE.and(Mode::BOUNCE_EXPANDED)) => {
                return Err("specify one of -b and -t".to_owned());
            }
            // Accepted without effect: more words would be for those who debug postconf.
            'v' => return Ok(()),
            _ => {
                let name = ['-', letter].iter().collect::<String>();
                match NAMES.iter().find(|(_, known)| *known == name) {
                    Some((option, _)) => *option,
                    None => return Err(Request::USAGE.to_owned()),
                }
            }
        };
        self.mode = self.mode.and(option);
        Ok(())
    }

    /// Makes explicit what is implied, and refuses what does not go together.
    fn complete(&mut self) -> Result<(), Fatal> {
        if !self.mode.has(MAJOR) {
            self.mode = self.mode.and(Mode::MAIN);
        }
        let edits = self.operands.first().is_some_and(|operand| operand.contains('='));
        if edits && self.mode.has(Mode::MASTER.and(Mode::MAIN)) {
            self.mode = self.mode.and(Mode::EDIT);
        }
        let chosen = Mode(self.mode.0 & !Mode::WARN.0);
        for set in EXCLUSIVE {
            let of_set = Mode(chosen.0 & set.0);
            if of_set.0.count_ones() > 1 {
                return Err(format!("specify one of {}", of_set.names()));
            }
        }
        for (option, companions) in COMPANIONS {
            let excess = Mode(chosen.0 & !option.and(*companions).0);
            if chosen.has(*option) && excess.0 != 0 {
                return Err(format!("with option {}, do not specify {}", option.names(), excess.names()));
            }
        }
        if self.mode.has(Mode::EDIT) && self.operands.is_empty() {
            return Err("-e requires name=value argument".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(options: &str, operands: &[&str]) -> Result<Request, Fatal> {
        let options: Vec<_> = options.chars().map(|letter| (letter, Some(String::new()))).collect();
        Request::new(&options, operands.iter().map(|&operand| operand.to_owned()).collect())
    }

    #[test]
    fn conflicts() {
        for (options, operands, expected) in [
            ("dn", &[][..], "specify one of -d -n"),
            ("hH", &[], "specify one of -h -H"),
            ("eX", &["a=b"], "specify one of -e -X"),
            ("Mn", &[], "with option -M, do not specify -n"),
            ("ad", &[], "with option -a, do not specify -d"),
            ("e", &[], "-e requires name=value argument"),
            ("n", &["a=b"], "specify one of -e -n"), // a value means editing
            ("bt", &[], "specify one of -b and -t"),
            ("jh", &[], "with option -j, do not specify -h"),
        ] {
            assert_eq!(request(options, operands).err().as_deref(), Some(expected), "{options}");
        }
        for options in ["", "nxf", "dj", "Mf", "PP", "q", "Fh", "b"] {
            assert!(request(options, &[]).is_ok(), "{options}");
        }
    }

    #[test]
    fn classes() {
        let classes = Classes::parse("User,service").expect("both exist");
        assert_eq!(classes, Classes { builtin: false, service: true, user: true });
        assert_eq!(Classes::parse("foo"), Err("unknown -C option value \"foo\" in \"foo\"".to_owned()));
    }
}
