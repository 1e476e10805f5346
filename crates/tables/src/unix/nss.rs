//! getpwnam_r(3) and getgrnam_r(3). The name service may be LDAP or anything else, so reading /etc/passwd would not do.
//!
//! Everything the C functions fill lives in a buffer owned here and is copied before it goes.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_char};
use std::mem::MaybeUninit;

/// Buffers double from the first to the second size when an entry is large (a group with many members).
const FIRST_BUFFER: usize = 4096;
const LARGEST_BUFFER: usize = 4 << 20;

/// `name:passwd:uid:gid:gecos:home:shell`; `None` when there is no such user.
pub(super) fn passwd_line(name: &str) -> Result<Option<String>, String> {
    let Ok(name) = CString::new(name) else { return Ok(None) };
    with_buffer(|buffer| {
        let mut entry = MaybeUninit::<libc::passwd>::zeroed();
        let mut found = std::ptr::null_mut();
        // SAFETY: the name ends in NUL, the buffer has the length given, and all three outlive the call.
        let error = unsafe {
            libc::getpwnam_r(name.as_ptr(), entry.as_mut_ptr(), buffer.as_mut_ptr(), buffer.len(), &mut found)
        };
        if error != 0 || found.is_null() {
            return Err(error);
        }
        // SAFETY: a result that is not null is `entry`, filled, its strings in `buffer`, which is still borrowed here.
        unsafe {
            let entry = entry.assume_init();
            Ok(format!(
                "{}:{}:{}:{}:{}:{}:{}",
                text(entry.pw_name),
                text(entry.pw_passwd),
                entry.pw_uid,
                entry.pw_gid,
                text(entry.pw_gecos),
                text(entry.pw_dir),
                text(entry.pw_shell)
            ))
        }
    })
}

/// `name:passwd:gid:member,member`; `None` when there is no such group.
pub(super) fn group_line(name: &str) -> Result<Option<String>, String> {
    let Ok(name) = CString::new(name) else { return Ok(None) };
    with_buffer(|buffer| {
        let mut entry = MaybeUninit::<libc::group>::zeroed();
        let mut found = std::ptr::null_mut();
        // SAFETY: the name ends in NUL, the buffer has the length given, and all three outlive the call.
        let error = unsafe {
            libc::getgrnam_r(name.as_ptr(), entry.as_mut_ptr(), buffer.as_mut_ptr(), buffer.len(), &mut found)
        };
        if error != 0 || found.is_null() {
            return Err(error);
        }
        // SAFETY: a result that is not null is `entry`, filled, its strings in `buffer`, which is still borrowed here;
        // the member list ends in a null pointer.
        unsafe {
            let entry = entry.assume_init();
            let mut members = Vec::new();
            let mut member = entry.gr_mem;
            while !member.is_null() && !(*member).is_null() {
                members.push(text(*member));
                member = member.add(1);
            }
            Ok(format!(
                "{}:{}:{}:{}",
                text(entry.gr_name),
                text(entry.gr_passwd),
                entry.gr_gid,
                members.join(",")
            ))
        }
    })
}

/// Calls with ever larger buffers. An error number zero means: no such entry.
fn with_buffer(
    mut call: impl FnMut(&mut [c_char]) -> Result<String, libc::c_int>,
) -> Result<Option<String>, String> {
    let mut size = FIRST_BUFFER;
    loop {
        match call(&mut vec![0; size]) {
            Ok(line) => return Ok(Some(line)),
            // Systems differ in how they say "no such entry"; these are the ways that getpwnam_r(3) lists.
            Err(0 | libc::ENOENT | libc::ESRCH | libc::EBADF | libc::EPERM) => return Ok(None),
            Err(libc::ERANGE) if size < LARGEST_BUFFER => size *= 2,
            Err(libc::EINTR) => {}
            Err(error) => return Err(std::io::Error::from_raw_os_error(error).to_string()),
        }
    }
}

/// Copies a C string; bytes that are not UTF-8 are replaced.
///
/// # Safety
/// `string` is null or points to a string that ends in NUL.
unsafe fn text(string: *const c_char) -> String {
    if string.is_null() {
        return String::new();
    }
    // SAFETY: as required above.
    unsafe { CStr::from_ptr(string) }.to_string_lossy().into_owned()
}
