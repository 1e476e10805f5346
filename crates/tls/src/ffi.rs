//! OpenSSL functions without a safe wrapper in the `openssl` crate. The only unsafe code of this crate.
//!
//! Every function drains the library's error queue where it may leave something there, and gives owned values only.

use std::ffi::{CStr, CString, c_char, c_int, c_long, c_void};
use std::ptr;

use foreign_types::ForeignTypeRef;
use openssl::error::ErrorStack;
use openssl::pkey::{PKeyRef, Private};
use openssl::ssl::{SslContextBuilder, SslRef};
use openssl::stack::StackRef;
use openssl::x509::{X509, X509Ref};
use openssl_sys::{EVP_PKEY, SSL, SSL_CTX, X509 as RawX509, stack_st_X509};

/// From ssl.h; macros there.
const SSL_CTRL_GET_SIGNATURE_NID: c_int = 132;
const SSL_CTRL_GET_PEER_SIGNATURE_NID: c_int = 108;
const SSL_CTRL_GET_NEGOTIATED_GROUP: c_int = 134;

unsafe extern "C" {
    fn SSL_get_signature_type_nid(ssl: *const SSL, nid: *mut c_int) -> c_int;
    fn SSL_get_peer_signature_type_nid(ssl: *const SSL, nid: *mut c_int) -> c_int;
    fn SSL_group_to_name(ssl: *mut SSL, id: c_int) -> *const c_char;
    fn SSL_CTX_use_cert_and_key(
        ctx: *mut SSL_CTX,
        leaf: *mut RawX509,
        key: *mut EVP_PKEY,
        chain: *mut stack_st_X509,
        replace: c_int,
    ) -> c_int;
    fn SSL_CTX_set_timeout(ctx: *mut SSL_CTX, seconds: c_long) -> c_long;
    fn SSL_set1_host(ssl: *mut SSL, name: *const c_char) -> c_int;
    fn SSL_add1_host(ssl: *mut SSL, name: *const c_char) -> c_int;
}

/// Which side's signature.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// Ours.
    Own,
    /// The peer's.
    Peer,
}

/// NID of the digest of a handshake signature; `None` when there was none, or it has no separate digest.
pub(crate) fn signature_digest(ssl: &SslRef, side: Side) -> Option<c_int> {
    let command = match side {
        Side::Own => SSL_CTRL_GET_SIGNATURE_NID,
        Side::Peer => SSL_CTRL_GET_PEER_SIGNATURE_NID,
    };
    let mut nid: c_int = 0;
    // SAFETY: `ssl` is a live session; the command writes one int through the pointer, which is valid for the call.
    let found = unsafe { openssl_sys::SSL_ctrl(ssl.as_ptr(), command, 0, (&raw mut nid).cast::<c_void>()) };
    drop(ErrorStack::get());
    (found == 1 && nid != 0).then_some(nid)
}

/// NID of the key type of a handshake signature; `None` when there was none.
pub(crate) fn signature_type(ssl: &SslRef, side: Side) -> Option<c_int> {
    let mut nid: c_int = 0;
    // SAFETY: `ssl` is a live session; the functions write one int through a pointer that is valid for the call.
    let found = unsafe {
        match side {
            Side::Own => SSL_get_signature_type_nid(ssl.as_ptr(), &raw mut nid),
            Side::Peer => SSL_get_peer_signature_type_nid(ssl.as_ptr(), &raw mut nid),
        }
    };
    drop(ErrorStack::get());
    (found == 1 && nid != 0).then_some(nid)
}

/// The name of the group that the keys were exchanged with, as the library spells it.
pub(crate) fn negotiated_group(ssl: &SslRef) -> Option<String> {
    // SAFETY: `ssl` is a live session; the command takes no pointer.
    let id = unsafe { openssl_sys::SSL_ctrl(ssl.as_ptr(), SSL_CTRL_GET_NEGOTIATED_GROUP, 0, ptr::null_mut()) }
        as c_int;
    if id == 0 {
        return None;
    }
    // SAFETY: as above; the result is null or a string that lives as long as the library, and is copied here.
    let name = unsafe {
        let name = SSL_group_to_name(ssl.as_ptr(), id);
        (!name.is_null()).then(|| CStr::from_ptr(name).to_string_lossy().into_owned())
    };
    drop(ErrorStack::get());
    name
}

/// Adds a certificate, its key and its chain to a context: one set for each kind of key, a later one of the same kind
/// replacing the earlier. Fails when key and certificate do not match.
pub(crate) fn add_identity(
    context: &mut SslContextBuilder,
    leaf: &X509Ref,
    key: &PKeyRef<Private>,
    chain: &StackRef<X509>,
) -> Result<(), ErrorStack> {
    // SAFETY: all four are live objects; the library takes references of its own to what it keeps.
    let done = unsafe {
        SSL_CTX_use_cert_and_key(context.as_ptr(), leaf.as_ptr(), key.as_ptr(), chain.as_ptr().cast(), 1)
    };
    if done == 1 { Ok(()) } else { Err(ErrorStack::get()) }
}

/// How long sessions and tickets of this context can be resumed, in seconds.
pub(crate) fn set_session_timeout(context: &mut SslContextBuilder, seconds: i64) {
    // SAFETY: the context is live; the function stores a number.
    unsafe { SSL_CTX_set_timeout(context.as_ptr(), seconds as c_long) };
}

/// Lets the library choose DHE parameters that fit the certificate.
pub(crate) fn set_dh_auto(context: &mut SslContextBuilder) {
    // SAFETY: the context is live; the macro behind it stores a flag.
    unsafe { openssl_sys::SSL_CTX_set_dh_auto(context.as_ptr(), 1) };
    drop(ErrorStack::get());
}

/// The peer's certificate must carry one of these names; a name with a leading dot stands for all names below it.
pub(crate) fn expect_names(ssl: &mut SslRef, names: &[String]) -> Result<(), ErrorStack> {
    for (index, name) in names.iter().enumerate() {
        // A NUL can not stand in a name that a certificate could match.
        let Ok(name) = CString::new(name.as_str()) else { continue };
        // SAFETY: `ssl` is live, the string ends in NUL and is copied by the library.
        let done = unsafe {
            match index {
                0 => SSL_set1_host(ssl.as_ptr(), name.as_ptr()),
                _ => SSL_add1_host(ssl.as_ptr(), name.as_ptr()),
            }
        };
        if done != 1 {
            return Err(ErrorStack::get());
        }
    }
    Ok(())
}
