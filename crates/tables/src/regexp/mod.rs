//! `regexp:file` (regexp_table(5)): the C library's POSIX regular expressions, so that every pattern means what it
//! meant under Postfix.
//!
//! Patterns are extended and ignore case; the options `i`, `x` and `m` toggle case, extended syntax and multi-line
//! mode.

mod posix;

use crate::map::{Opened, Opening};
use crate::pattern::{self, Captures, Expression};

pub(crate) fn open(opening: &Opening<'_>) -> Result<Opened, String> {
    pattern::open::<posix::Regex>(opening)
}

impl Expression for posix::Regex {
    const KIND: &'static str = "regexp";
    const SECOND_PATTERN: bool = true;

    fn knows_option(letter: char) -> bool {
        matches!(letter, 'i' | 'm' | 'x')
    }

    fn compile(pattern: &str, options: &str) -> Result<Self, String> {
        let odd = |letter| options.matches(letter).count() % 2 == 1;
        posix::Regex::compile(pattern, !odd('x'), !odd('i'), odd('m'))
    }

    fn groups(&self) -> usize {
        posix::Regex::groups(self)
    }

    fn find(&self, key: &str, groups: usize) -> Result<Option<Captures>, String> {
        self.execute(key, groups)
    }
}

#[cfg(test)]
mod tests {
    use crate::lookup::Lookup;
    use crate::map::Flags;
    use crate::map::tests::{listening, now};

    /// The table of regexp_table(5)'s rules; each expected result was asked of `postmap -q` as well.
    #[test]
    fn rules_in_order_blocks_and_substitution() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("re");
        std::fs::write(
            &path,
            "/^(.*)@a\\.test$/ $1@b.test\n\
             !/@/ nodomain\n\
             /case/i exact\n\
             /both/!/not/ two\n\
             if /^block-/\n\
             /one/ inside-one\n\
             if !/deep/\n\
             /two/ inside-two\n\
             endif\n\
             endif\n\
             /two/ outside-two\n\
             /cost/ $$5\n",
        )
        .unwrap();
        let (tables, heard) = listening();
        let map = tables.map(&format!("regexp:{}", path.to_str().unwrap()), Flags::default());
        for (key, expected) in [
            ("user@a.test", Some("user@b.test")),
            ("USER@A.TEST", Some("USER@b.test")),
            ("user", Some("nodomain")),
            ("case@", Some("exact")),
            ("CASE@", None),
            ("both@", Some("two")),
            ("both@not", None),
            ("block-one@", Some("inside-one")),
            ("one@", None),
            ("block-two@", Some("inside-two")),
            ("block-two-deep@", Some("outside-two")),
            ("cost@", Some("$5")),
        ] {
            assert_eq!(now(map.lookup(key)), Lookup::from(expected.map(str::to_owned)), "{key}");
        }
        assert!(heard.lock().unwrap().is_empty());
    }

    #[test]
    fn faulty_rules_are_skipped_with_the_line() {
        //   rule                      warning, behind "regexp map {path}, line 1: "
        for (rule, warning) in [
            ("/a", "no closing regexp delimiter \"/\": skipping this rule"),
            ("/a/q x", "unknown regexp option \"q\": skipping this rule"),
            ("/a/", "no replacement text: using empty string"),
            ("/(a/ x", "Unmatched ( or \\("),
            ("/a/ $1", "out of range replacement index \"1\": skipping this rule"),
            ("!/(a)/ $1", "$number found in negative match replacement text: skipping this rule"),
            ("/(a)/ $x", "non-numeric replacement index \"x\""),
            ("endif", "ignoring ENDIF without matching IF"),
            ("word x", "ignoring unrecognized request"),
            ("if /a/", "IF has no matching ENDIF"),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("re");
            std::fs::write(&path, rule).unwrap();
            let path = path.to_str().unwrap();
            let (tables, heard) = listening();
            let map = tables.map(&format!("regexp:{path}"), Flags::default());
            let _ = now(map.lookup("a"));
            let expected = format!("regexp map {path}, line 1: {warning}");
            assert_eq!(heard.lock().unwrap().first(), Some(&expected), "{rule}");
        }
    }

    #[test]
    fn substitution_can_be_forbidden_and_rules_can_stand_inline() {
        let (tables, heard) = listening();
        let spec = "regexp:{ {/(a)/ $1}, {/a/ plain} }";
        assert_eq!(now(tables.map(spec, Flags::default()).lookup("a")), Lookup::Found("a".into()));
        let strict = tables.map(spec, Flags::without_substitution());
        assert_eq!(now(strict.lookup("a")), Lookup::Found("plain".into()));
        assert_eq!(heard.lock().unwrap().len(), 1);
    }
}
