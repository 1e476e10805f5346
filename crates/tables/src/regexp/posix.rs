//! regcomp(3), regexec(3), regerror(3), regfree(3), for tables of type `regexp:`.
//!
//! Everything the C functions get is owned here and lives through the call; nothing they give back is kept beyond
//! the `regex_t` itself.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::mem::MaybeUninit;

use crate::pattern::Captures;

/// A compiled expression. Boxed, because the C library may point into it.
pub(super) struct Regex {
    compiled: Box<libc::regex_t>,
    groups: usize,
}

// SAFETY: POSIX (2.9.1) makes regexec() thread-safe, and the compiled expression is only read through `&self`;
// glibc and musl lock or copy what they change inside. Nothing in it belongs to the thread that compiled it.
unsafe impl Send for Regex {}
// SAFETY: as above.
unsafe impl Sync for Regex {}

impl Drop for Regex {
    fn drop(&mut self) {
        // SAFETY: the only constructor fills it by a successful regcomp(), and it is freed once.
        unsafe { libc::regfree(&mut *self.compiled) }
    }
}

impl Regex {
    /// Compiles; the error is the C library's text.
    pub(super) fn compile(pattern: &str, extended: bool, icase: bool, newline: bool) -> Result<Self, String> {
        let groups = count_groups(pattern, extended);
        let pattern = CString::new(pattern).map_err(|_| "NUL character in pattern".to_owned())?;
        let mut flags = 0;
        for (wanted, bit) in
            [(extended, libc::REG_EXTENDED), (icase, libc::REG_ICASE), (newline, libc::REG_NEWLINE)]
        {
            flags |= if wanted { bit } else { 0 };
        }
        let mut regex = Box::new(MaybeUninit::<libc::regex_t>::zeroed());
        // SAFETY: the pattern is NUL-terminated, and regex_t is plain C data for which zeros are a valid state.
        let error = unsafe { libc::regcomp(regex.as_mut_ptr(), pattern.as_ptr(), flags) };
        if error != 0 {
            // SAFETY: after a failed regcomp() its regex_t may be given to regerror(), POSIX says; nothing is to free.
            return Err(unsafe { explain(error, regex.as_ptr()) });
        }
        // SAFETY: zeroed, then filled by regcomp(); both allocations have one layout.
        let compiled = unsafe { Box::from_raw(Box::into_raw(regex).cast()) };
        Ok(Regex { compiled, groups })
    }

    /// Number of groups in the expression.
    pub(super) fn groups(&self) -> usize {
        self.groups
    }

    /// Matches; gives the whole match and the first `groups` groups as byte ranges.
    ///
    /// C strings end at NUL; in a key a NUL counts as a blank, so that what stands behind it is matched too.
    pub(super) fn execute(&self, key: &str, groups: usize) -> Result<Option<Captures>, String> {
        let bytes: Vec<u8> = key.bytes().map(|b| if b == 0 { b' ' } else { b }).collect();
        let key = CString::new(bytes).map_err(|_| "NUL character in key".to_owned())?;
        let mut found = vec![libc::regmatch_t { rm_so: -1, rm_eo: -1 }; groups.min(self.groups()) + 1];
        // SAFETY: the expression is compiled, the key ends in NUL, and `found` has as many elements as said.
        let error =
            unsafe { libc::regexec(&*self.compiled, key.as_ptr(), found.len(), found.as_mut_ptr(), 0) };
        match error {
            0 => {
                let range = |m: &libc::regmatch_t| {
                    Some((usize::try_from(m.rm_so).ok()?, usize::try_from(m.rm_eo).ok()?))
                };
                Ok(Some(found.iter().map(range).collect()))
            }
            libc::REG_NOMATCH => Ok(None),
            // SAFETY: the expression is compiled.
            error => Err(unsafe { explain(error, &*self.compiled) }),
        }
    }
}

/// Counts the groups of a pattern. `re_nsub` would tell, but has no portable name in crate libc.
fn count_groups(pattern: &str, extended: bool) -> usize {
    let mut count = 0;
    let mut bytes = pattern.bytes().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => count += usize::from(bytes.next() == Some(b'(') && !extended),
            b'(' => count += usize::from(extended),
            b'[' => {
                // Within brackets nothing is special but the end, which may stand first as itself, and classes.
                bytes.next_if_eq(&b'^');
                bytes.next_if_eq(&b']');
                while let Some(byte) = bytes.next() {
                    match (byte, bytes.peek().copied()) {
                        (b']', _) => break,
                        (b'[', Some(kind @ (b':' | b'.' | b'='))) => {
                            bytes.next();
                            let mut last = 0;
                            for byte in bytes.by_ref() {
                                if last == kind && byte == b']' {
                                    break;
                                }
                                last = byte;
                            }
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    count
}

/// The C library's words for an error.
///
/// # Safety
/// `regex` points to what regcomp() or regexec() was called with.
unsafe fn explain(error: libc::c_int, regex: *const libc::regex_t) -> String {
    let mut text = [0_u8; 256];
    // SAFETY: the buffer has the length that is given; regerror() ends what it writes with NUL.
    unsafe { libc::regerror(error, regex, text.as_mut_ptr().cast(), text.len()) };
    let end = text.iter().position(|&b| b == 0).unwrap_or(text.len());
    String::from_utf8_lossy(&text[..end]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_counted() {
        for (pattern, extended, expected) in [
            ("(a)(b(c))", true, 3),
            ("\\(a)", true, 0),
            ("[(](a)", true, 1),
            ("[](](a)", true, 1),
            ("[^](](a)", true, 1),
            ("[[:alpha:](](a)", true, 1),
            ("\\(a\\)(b)", false, 1),
        ] {
            assert_eq!(count_groups(pattern, extended), expected, "{pattern}");
        }
    }
}
