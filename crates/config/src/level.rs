//! Compatibility levels (postconf(5), compatibility_level): `3`, `3.6`, `3.6.1`, compared number by number.

use std::fmt;

/// A compatibility level; numbers that are left out are 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Level(u64, u16, u16);

/// The text is not a level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotALevel(pub String);

impl fmt::Display for NotALevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "malformed compatibility level syntax: \"{}\"", self.0)
    }
}

impl std::error::Error for NotALevel {}

impl Level {
    /// Reads a level. Minor number and patch number go up to 1023, as in Postfix.
    pub fn parse(text: &str) -> Result<Level, NotALevel> {
        let wrong = || NotALevel(text.to_owned());
        let mut numbers = text.split('.').map(|number| number.parse::<u64>().map_err(|_| wrong()));
        let mut next = |limit: u64| match numbers.next() {
            None => Ok(0),
            Some(number) => number.and_then(|number| if number <= limit { Ok(number) } else { Err(wrong()) }),
        };
        // The first number may be as large as the space that two small ones leave of 63 bits.
        let level = Level(next(i64::MAX as u64 >> 20)?, next(1023)? as u16, next(1023)? as u16);
        if numbers.next().is_some() { Err(wrong()) } else { Ok(level) }
    }
}

#[cfg(test)]
mod tests {
    use super::Level;

    #[test]
    fn levels_compare_by_number() {
        let level = |text| Level::parse(text).expect(text);
        assert!(level("3.10") > level("3.9"));
        assert_eq!(level("2"), level("2.0.0"));
        for wrong in ["", "3.", "3.x", "-1", "3.1024", "1.2.3.4", "3 "] {
            assert!(Level::parse(wrong).is_err(), "{wrong}");
        }
    }
}
