//! `pcre:file` (pcre_table(5)): Perl-compatible regular expressions through PCRE2.
//!
//! Patterns ignore case and let a dot match a line end; the options `i` and `s` toggle that, `m`, `x`, `A`, `U`
//! switch on what they do in Perl. `E` and `X` are accepted without effect: `E` matters only for keys that end in a
//! line end, which Postfix's keys do not, and PCRE2 always behaves as under `X`.

use pcre2::bytes::{Regex, RegexBuilder};

use crate::map::{Opened, Opening};
use crate::pattern::{self, Captures, Expression};

struct Pcre(Regex);

pub(crate) fn open(opening: &Opening<'_>) -> Result<Opened, String> {
    pattern::open::<Pcre>(opening)
}

impl Expression for Pcre {
    const KIND: &'static str = "pcre";
    const SECOND_PATTERN: bool = false;

    fn knows_option(letter: char) -> bool {
        "imsxAEUX".contains(letter)
    }

    fn compile(pattern: &str, options: &str) -> Result<Self, String> {
        let odd = |letter| options.matches(letter).count() % 2 == 1;
        let mut text = pattern.to_owned();
        if odd('A') {
            // In extended syntax a comment could hide the closing parenthesis; a line end closes the comment.
            text = format!("\\G(?:{text}{})", if odd('x') { "\n" } else { "" });
        }
        if odd('U') {
            text = format!("(?U){text}");
        }
        RegexBuilder::new()
            .caseless(!odd('i'))
            .dotall(!odd('s'))
            .multi_line(odd('m'))
            .extended(odd('x'))
            .utf(true)
            .jit_if_available(true)
            .build(&text)
            .map(Pcre)
            .map_err(|e| match e.offset() {
                Some(offset) => format!("error in regex at offset {offset}: {}", message(&e)),
                None => message(&e),
            })
    }

    fn groups(&self) -> usize {
        self.0.captures_len().saturating_sub(1)
    }

    fn find(&self, key: &str, groups: usize) -> Result<Option<Captures>, String> {
        let failed = |e: pcre2::Error| format!("regexp match error: {}", message(&e));
        if groups == 0 {
            return Ok(self.0.is_match(key.as_bytes()).map_err(failed)?.then(Vec::new));
        }
        let mut places = self.0.capture_locations();
        let found = self.0.captures_read(&mut places, key.as_bytes()).map_err(failed)?;
        Ok(found.map(|_| (0..=groups).map(|n| places.get(n)).collect()))
    }
}

/// PCRE2's own words, without the crate's frame around them.
fn message(error: &pcre2::Error) -> String {
    let text = error.to_string();
    let text = text.strip_prefix("PCRE2: ").unwrap_or(&text);
    let framed = text.starts_with("error compiling pattern") || text.starts_with("error matching");
    match text.split_once(": ") {
        Some((_, words)) if framed => words.to_owned(),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use crate::lookup::Lookup;
    use crate::map::Flags;
    use crate::map::tests::{listening, now};

    #[test]
    fn options_and_substitution() {
        //   rule                      key             expected
        for (rule, key, expected) in [
            ("/^(?<user>.*)@a$/ $1", "U@A", Some("U")),
            ("/^(a)(b)?(c)$/ $1-$2-$3", "ac", Some("a--c")),
            ("/a/i x", "A", None),
            ("/^a.b$/ x", "a\nb", Some("x")),
            ("/^a.b$/s x", "a\nb", None),
            ("/^b$/m x", "a\nb", Some("x")),
            ("/a b # comment/x x", "ab", Some("x")),
            ("/b/A x", "ab", None),
            ("/b # c/xA x", "b", Some("x")),
            ("/^(a+)/U $1", "aaa", Some("a")),
            ("!/a/ x", "b", Some("x")),
            ("/\\d{3}(?=x)/ x", "123x", Some("x")),
            ("/^\u{e9}$/ x", "\u{c9}", Some("x")),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("re");
            std::fs::write(&path, rule).unwrap();
            let (tables, heard) = listening();
            let map = tables.map(&format!("pcre:{}", path.to_str().unwrap()), Flags::default());
            assert_eq!(now(map.lookup(key)), Lookup::from(expected.map(str::to_owned)), "{rule}");
            assert!(heard.lock().unwrap().is_empty(), "{heard:?}");
        }
    }

    #[test]
    fn a_faulty_pattern_is_skipped_with_the_library_s_words() {
        let (tables, heard) = listening();
        let map = tables.map("pcre:{{/(a/ x}}", Flags::default());
        assert_eq!(now(map.lookup("a")), Lookup::Absent);
        let heard = heard.lock().unwrap();
        assert!(
            heard[0].contains("line 1: error in regex at offset 2: missing closing parenthesis"),
            "{heard:?}"
        );
    }
}
