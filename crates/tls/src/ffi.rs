//! OpenSSL functions without a safe wrapper in the `openssl` crate. The only unsafe code of this crate.
//!
//! Every function drains the library's error queue where it may leave something there, and gives owned values only.

use std::ffi::{CStr, CString, c_char, c_int, c_long, c_uchar, c_uint, c_void};
use std::ptr;
use std::time::SystemTime;

use foreign_types::ForeignTypeRef;
use openssl::cipher_ctx::CipherCtxRef;
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKeyRef, Private};
use openssl::rand::rand_bytes;
use openssl::ssl::{SslContextBuilder, SslRef, SslSession};
use openssl::stack::StackRef;
use openssl::x509::{X509, X509Ref};
use openssl_sys::{
    EVP_CIPHER_CTX, EVP_MAC_CTX, EVP_MD, EVP_PKEY, OPENSSL_INIT_SETTINGS, OSSL_PARAM, SSL, SSL_CTX,
    X509 as RawX509, stack_st_X509,
};

use crate::identity::Identity;
use crate::log_level::LogLevels;
use crate::policy::TlsaRecord;
use crate::server::tickets::{self, TicketKey};
use crate::{journal, trace};

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
    fn SSL_get0_peername(ssl: *mut SSL) -> *const c_char;
    fn SSL_CTX_dane_enable(ctx: *mut SSL_CTX) -> c_int;
    fn SSL_CTX_dane_mtype_set(ctx: *mut SSL_CTX, digest: *const EVP_MD, number: u8, rank: u8) -> c_int;
    fn SSL_dane_enable(ssl: *mut SSL, base: *const c_char) -> c_int;
    fn SSL_dane_set_flags(ssl: *mut SSL, flags: std::ffi::c_ulong) -> std::ffi::c_ulong;
    fn SSL_dane_tlsa_add(
        ssl: *mut SSL,
        usage: u8,
        selector: u8,
        matching_type: u8,
        data: *const c_uchar,
        length: usize,
    ) -> c_int;
    fn SSL_get0_dane_authority(
        ssl: *mut SSL,
        certificate: *mut *mut RawX509,
        key: *mut *mut EVP_PKEY,
    ) -> c_int;
    fn SSL_get0_dane_tlsa(
        ssl: *mut SSL,
        usage: *mut u8,
        selector: *mut u8,
        matching_type: *mut u8,
        data: *mut *const c_uchar,
        length: *mut usize,
    ) -> c_int;
    fn SSL_certs_clear(ssl: *mut SSL);
    fn SSL_use_cert_and_key(
        ssl: *mut SSL,
        leaf: *mut RawX509,
        key: *mut EVP_PKEY,
        chain: *mut stack_st_X509,
        replace: c_int,
    ) -> c_int;
    fn SSL_client_hello_get0_ext(
        ssl: *mut SSL,
        kind: c_uint,
        out: *mut *const c_uchar,
        length: *mut usize,
    ) -> c_int;
    fn SSL_get_verify_depth(ssl: *const SSL) -> c_int;
    fn SSL_get_cipher_list(ssl: *const SSL, priority: c_int) -> *const c_char;
    fn SSL_set_info_callback(ssl: *mut SSL, callback: unsafe extern "C" fn(*const SSL, c_int, c_int));
    fn SSL_set_msg_callback(ssl: *mut SSL, callback: MessageCallback);
    fn SSL_alert_type_string_long(value: c_int) -> *const c_char;
    fn SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx: *mut SSL_CTX, callback: TicketCallback) -> c_int;
    fn OSSL_PARAM_construct_utf8_string(key: *const c_char, text: *mut c_char, length: usize) -> OSSL_PARAM;
    fn X509_check_purpose(certificate: *mut RawX509, purpose: c_int, is_authority: c_int) -> c_int;
    fn OPENSSL_INIT_new() -> *mut OPENSSL_INIT_SETTINGS;
    fn OPENSSL_INIT_free(settings: *mut OPENSSL_INIT_SETTINGS);
    fn OPENSSL_INIT_set_config_filename(settings: *mut OPENSSL_INIT_SETTINGS, name: *const c_char) -> c_int;
    fn OPENSSL_INIT_set_config_appname(settings: *mut OPENSSL_INIT_SETTINGS, name: *const c_char) -> c_int;
    fn OPENSSL_INIT_set_config_file_flags(settings: *mut OPENSSL_INIT_SETTINGS, flags: std::ffi::c_ulong);
}

type MessageCallback = unsafe extern "C" fn(c_int, c_int, c_int, *const c_void, usize, *mut SSL, *mut c_void);

type TicketCallback = unsafe extern "C" fn(
    *mut SSL,
    *mut c_uchar,
    *mut c_uchar,
    *mut EVP_CIPHER_CTX,
    *mut EVP_MAC_CTX,
    c_int,
) -> c_int;

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

/// The suites that a connection may use, in their order.
pub(crate) fn cipher_names(ssl: &SslRef) -> Vec<String> {
    let mut names = Vec::new();
    loop {
        let priority = c_int::try_from(names.len()).unwrap_or(c_int::MAX);
        // SAFETY: the connection is alive for the call; the answer is null at the end of the list, else a static text.
        let name = unsafe { SSL_get_cipher_list(ssl.as_ptr(), priority) };
        if name.is_null() {
            return names;
        }
        // SAFETY: not null, and a C string by the library's contract.
        names.push(unsafe { CStr::from_ptr(name) }.to_string_lossy().into_owned());
    }
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

/// Lets the sessions of a context be verified by TLSA records, whose digests are these, strongest first.
pub(crate) fn prepare_dane(
    context: &mut SslContextBuilder,
    digests: impl Iterator<Item = (u8, MessageDigest)>,
) -> Result<(), ErrorStack> {
    // SAFETY: the context is live, and the digests are tables that live as long as the library.
    let done = unsafe {
        SSL_CTX_dane_enable(context.as_ptr()) == 1
            && (1..=255u8).rev().zip(digests).all(|(rank, (number, digest))| {
                SSL_CTX_dane_mtype_set(context.as_ptr(), digest.as_ptr(), number, rank) == 1
            })
    };
    if done { Ok(()) } else { Err(ErrorStack::get()) }
}

/// One of these records must match, and nothing else is trusted; false when the library can use none of them. With a base domain that
/// is the SNI and the first name of those that trust anchors vouch for. `check_names`: for end entities as well.
pub(crate) fn expect_records(
    ssl: &mut SslRef,
    base: Option<&str>,
    records: &[TlsaRecord],
    check_names: bool,
) -> Result<bool, ErrorStack> {
    /// DANE_FLAG_NO_DANE_EE_NAMECHECKS in x509_vfy.h.
    const NO_EE_NAME_CHECKS: std::ffi::c_ulong = 1;
    let Ok(base) = base.map(CString::new).transpose() else { return Ok(false) };
    let base = base.as_ref().map_or(ptr::null(), |base| base.as_ptr());
    // SAFETY: `ssl` is live and not yet connected; the name is null or ends in NUL, and is copied.
    if unsafe { SSL_dane_enable(ssl.as_ptr(), base) } < 1 {
        return Err(ErrorStack::get());
    }
    if !check_names {
        // SAFETY: as above; the function stores a number.
        unsafe { SSL_dane_set_flags(ssl.as_ptr(), NO_EE_NAME_CHECKS) };
    }
    let mut used = false;
    for TlsaRecord { usage, selector, matching_type, data } in records {
        // SAFETY: as above; the data is copied.
        used |= unsafe {
            SSL_dane_tlsa_add(ssl.as_ptr(), *usage, *selector, *matching_type, data.as_ptr(), data.len()) == 1
        };
    }
    drop(ErrorStack::get());
    Ok(used)
}

/// Which record matched, at which depth of the chain; `None` when none did, and after a resumption.
pub(crate) fn matched_record(ssl: &SslRef) -> Option<(u32, TlsaRecord)> {
    let (mut usage, mut selector, mut matching_type) = (0, 0, 0);
    let (mut data, mut length) = (ptr::null(), 0);
    // SAFETY: `ssl` is live; the first function takes null for what nobody wants to know, the second writes through pointers that
    // are valid for the call.
    let depth = unsafe {
        let depth = SSL_get0_dane_authority(ssl.as_ptr(), ptr::null_mut(), ptr::null_mut());
        SSL_get0_dane_tlsa(
            ssl.as_ptr(),
            &raw mut usage,
            &raw mut selector,
            &raw mut matching_type,
            &raw mut data,
            &raw mut length,
        );
        depth
    };
    let depth = u32::try_from(depth).ok()?;
    let data = match data.is_null() {
        true => Vec::new(),
        // SAFETY: the session owns so many bytes there; they are copied here.
        false => unsafe { std::slice::from_raw_parts(data, length) }.to_vec(),
    };
    Some((depth, TlsaRecord { usage, selector, matching_type, data }))
}

/// The name of the certificate that matched.
pub(crate) fn matched_name(ssl: &SslRef) -> Option<String> {
    // SAFETY: `ssl` is live; the result is null or a string of the session, and is copied here.
    unsafe {
        let name = SSL_get0_peername(ssl.as_ptr());
        (!name.is_null()).then(|| CStr::from_ptr(name).to_string_lossy().into_owned())
    }
}

/// The peer's certificate must carry one of these names; a name with a leading dot stands for all names below it. They come beside those
/// that are expected already.
pub(crate) fn expect_names(ssl: &mut SslRef, names: &[String], beside: bool) -> Result<(), ErrorStack> {
    for (index, name) in names.iter().enumerate() {
        // A NUL can not stand in a name that a certificate could match.
        let Ok(name) = CString::new(name.as_str()) else { continue };
        // SAFETY: `ssl` is live, the string ends in NUL and is copied by the library.
        let done = unsafe {
            match index {
                0 if !beside => SSL_set1_host(ssl.as_ptr(), name.as_ptr()),
                _ => SSL_add1_host(ssl.as_ptr(), name.as_ptr()),
            }
        };
        if done != 1 {
            return Err(ErrorStack::get());
        }
    }
    Ok(())
}

/// Puts other certificates in the place of all those that a handshake has; inside its ClientHello callback.
pub(crate) fn replace_identities(ssl: &mut SslRef, identities: &[Identity]) -> Result<(), ErrorStack> {
    // SAFETY: `ssl` is live; the function frees what the session holds of certificates and keys.
    unsafe { SSL_certs_clear(ssl.as_ptr()) };
    for identity in identities {
        let chain = identity.chain_stack()?;
        let (leaf, key) = (identity.certificate.as_ptr(), identity.key.as_ptr());
        // SAFETY: all four are live objects; the library takes references of its own to what it keeps.
        let done = unsafe { SSL_use_cert_and_key(ssl.as_ptr(), leaf, key, chain.as_ptr().cast(), 1) };
        if done != 1 {
            return Err(ErrorStack::get());
        }
    }
    Ok(())
}

/// The body of a ClientHello extension; inside the ClientHello callback.
pub(crate) fn client_hello_extension(ssl: &mut SslRef, kind: u16) -> Option<Vec<u8>> {
    let mut start: *const c_uchar = ptr::null();
    let mut length = 0;
    // SAFETY: `ssl` is live; the function writes a pointer and a length, both valid for the call.
    let found = unsafe {
        SSL_client_hello_get0_ext(ssl.as_ptr(), c_uint::from(kind), &raw mut start, &raw mut length)
    };
    if found != 1 || start.is_null() {
        return None;
    }
    // SAFETY: the library says that so many bytes stand there while the callback runs; they are copied here.
    Some(unsafe { std::slice::from_raw_parts(start, length) }.to_vec())
}

/// Did both sides tie the keys to the whole handshake (RFC 7627)? TLS 1.3 always does, and has no such extension.
pub(crate) fn has_extended_master_secret(ssl: &SslRef) -> bool {
    // The macro SSL_get_extms_support of openssl/ssl.h.
    const SSL_CTRL_GET_EXTMS_SUPPORT: c_int = 122;
    // SAFETY: `ssl` is a valid session, and this command reads neither of its arguments.
    unsafe { openssl_sys::SSL_ctrl(ssl.as_ptr(), SSL_CTRL_GET_EXTMS_SUPPORT, 0, std::ptr::null_mut()) == 1 }
}

/// The longest chain that is verified, counted as the library does.
pub(crate) fn verify_depth(ssl: &SslRef) -> u32 {
    // SAFETY: `ssl` is live; the function reads a number.
    u32::try_from(unsafe { SSL_get_verify_depth(ssl.as_ptr()) }).unwrap_or(0)
}

/// May the certificate stand for a server, or sign those that do?
pub(crate) fn is_for_servers(certificate: &X509Ref, is_authority: bool) -> bool {
    /// X509_PURPOSE_SSL_SERVER in x509v3.h.
    const SSL_SERVER: c_int = 2;
    // SAFETY: the certificate is live; the function caches what it finds in it, under a lock of its own.
    let fits = unsafe { X509_check_purpose(certificate.as_ptr(), SSL_SERVER, c_int::from(is_authority)) };
    drop(ErrorStack::get());
    fits > 0
}

/// Lets a context ask for sessions by their ids.
pub(crate) fn find_sessions<F>(context: &mut SslContextBuilder, find: F)
where
    F: Fn(&mut SslRef, &[u8]) -> Option<SslSession> + Send + Sync + 'static,
{
    // SAFETY: a session must not belong to another context. Ours are decoded for each question and belong to none.
    unsafe { context.set_get_session_callback(find) };
}

/// Offers a session for resumption. It must come from the context of `ssl`.
pub(crate) fn offer_session(ssl: &mut SslRef, session: &SslSession) -> Result<(), ErrorStack> {
    // SAFETY: `client/sessions.rs` and the tests keep the sessions of each context apart.
    unsafe { ssl.set_session(session) }
}

/// Tells the journal of a handshake through which states it goes, and which alerts pass.
pub(crate) fn tell_states(ssl: &mut SslRef) {
    // SAFETY: `ssl` is live; the callback is a plain function that lives as long as the program.
    unsafe { SSL_set_info_callback(ssl.as_ptr(), on_state) };
}

unsafe extern "C" fn on_state(ssl: *const SSL, what: c_int, value: c_int) {
    const LOOP: c_int = 1;
    const READ: c_int = 4;
    const ALERT: c_int = 0x4000;
    const CLOSE_NOTIFY: c_int = 0;
    // SAFETY: the library calls with a live session.
    let session = unsafe { SslRef::from_ptr(ssl.cast_mut()) };
    let Some(journal) = journal::of(session) else { return };
    // SAFETY: the library gives strings that live as long as it does; each is copied here.
    let text = |name: *const c_char| unsafe { CStr::from_ptr(name) }.to_string_lossy().into_owned();
    if what & LOOP != 0 {
        // SAFETY: as above.
        let state = text(unsafe { openssl_sys::SSL_state_string_long(ssl) });
        let side = if session.is_server() { "SSL_accept" } else { "SSL_connect" };
        journal.tell(LogLevels::STATES, |_| format!("{side}:{state}"));
    } else if what & ALERT != 0 && value & 0xff != CLOSE_NOTIFY {
        // SAFETY: both take any number.
        let (kind, why) = unsafe {
            (text(SSL_alert_type_string_long(value)), text(openssl_sys::SSL_alert_desc_string_long(value)))
        };
        let way = if what & READ != 0 { "read" } else { "write" };
        journal.tell(LogLevels::STATES, |_| format!("SSL3 alert {way}:{kind}:{why}"));
    }
}

/// Tells the transcript of a handshake of every message.
pub(crate) fn tell_messages(ssl: &mut SslRef) {
    // SAFETY: `ssl` is live; the callback is a plain function that lives as long as the program.
    unsafe { SSL_set_msg_callback(ssl.as_ptr(), on_message) };
}

unsafe extern "C" fn on_message(
    sent: c_int,
    version: c_int,
    kind: c_int,
    start: *const c_void,
    length: usize,
    ssl: *mut SSL,
    _: *mut c_void,
) {
    if ssl.is_null() || start.is_null() {
        return;
    }
    // SAFETY: the library calls with a live session and with so many bytes, both valid for the call.
    let (ssl, bytes) =
        unsafe { (SslRef::from_ptr(ssl), std::slice::from_raw_parts(start.cast::<u8>(), length)) };
    if let Some(transcript) = trace::of(ssl) {
        transcript.add(sent == 1, version, kind, bytes);
    }
}

/// Lets a context make tickets with the keys that [`tickets`] gave it.
pub(crate) fn use_ticket_keys(context: &mut SslContextBuilder) {
    // SAFETY: the context is live; the callback is a plain function that lives as long as the program.
    unsafe { SSL_CTX_set_tlsext_ticket_key_evp_cb(context.as_ptr(), on_ticket) };
}

/// SSL_CTX_set_tlsext_ticket_key_evp_cb(3): 1 goes on, 2 as well and with a new ticket, 0 without a ticket, -1 ends the handshake.
unsafe extern "C" fn on_ticket(
    ssl: *mut SSL,
    name: *mut c_uchar,
    iv: *mut c_uchar,
    cipher: *mut EVP_CIPHER_CTX,
    mac: *mut EVP_MAC_CTX,
    encrypts: c_int,
) -> c_int {
    // SAFETY: the library calls with live objects; the name has 16 bytes, and so has the vector (EVP_MAX_IV_LENGTH).
    let (ssl, name, iv, cipher) = unsafe {
        (
            SslRef::from_ptr(ssl),
            &mut *name.cast::<[u8; 16]>(),
            &mut *iv.cast::<[u8; 16]>(),
            CipherCtxRef::from_ptr_mut(cipher),
        )
    };
    let Some(keys) = tickets::of(ssl.ssl_context()) else { return 0 };
    let now = SystemTime::now();
    let tell = |what: &str, key: &TicketKey| {
        if let Some(journal) = journal::of(ssl) {
            let at = key.expiration();
            journal.tell(LogLevels::CACHE, |peer| {
                format!("{peer}: {what} session ticket, key expiration: {at}")
            });
        }
    };
    if encrypts == 1 {
        let Ok(key) = keys.to_encrypt(now) else { return -1 };
        *name = key.name;
        let ready = rand_bytes(iv)
            .and_then(|()| cipher.encrypt_init(Some(keys.cipher()), Some(&key.cipher_key), Some(&iv[..])));
        tell("Issuing", &key);
        return if ready.is_ok() && use_mac_key(mac, &key) { 1 } else { -1 };
    }
    let Some((key, renew)) = keys.to_decrypt(name, now) else { return 0 };
    tell("Decrypting", &key);
    if let Some(journal) = journal::of(ssl) {
        journal.ticket_came();
    }
    match cipher.decrypt_init(Some(keys.cipher()), Some(&key.cipher_key), Some(&iv[..])) {
        Ok(()) if use_mac_key(mac, &key) => 1 + c_int::from(renew),
        _ => -1,
    }
}

fn use_mac_key(mac: *mut EVP_MAC_CTX, key: &TicketKey) -> bool {
    // SAFETY: `mac` is live for the callback that gives it. The library reads the key and the name of the digest during the call, and
    // writes through neither pointer.
    unsafe {
        let params = [
            openssl_sys::OSSL_PARAM_construct_octet_string(
                c"key".as_ptr(),
                key.mac_key.as_ptr().cast_mut().cast(),
                key.mac_key.len(),
            ),
            OSSL_PARAM_construct_utf8_string(c"digest".as_ptr(), c"SHA256".as_ptr().cast_mut(), 0),
            openssl_sys::OSSL_PARAM_construct_end(),
        ];
        openssl_sys::EVP_MAC_CTX_set_params(mac, params.as_ptr()) == 1
    }
}

/// Starts the library with a configuration file of its own: `path`, or its usual one; `name` is the section of the program. Without
/// `load` it reads none. Only the first use of the library in a process can do that.
pub(crate) fn init(path: Option<&str>, name: Option<&str>, load: bool) -> Result<(), String> {
    /// From crypto.h.
    const LOAD_CONFIG: u64 = 0x40;
    const NO_LOAD_CONFIG: u64 = 0x80;
    let text =
        |value: Option<&str>| value.map(CString::new).transpose().map_err(|_| "a NUL in the name".to_owned());
    let (path, name) = (text(path)?, text(name)?);
    // SAFETY: the settings are made and freed here; the strings end in NUL, live through the calls, and are copied by the library.
    let done = unsafe {
        let settings = OPENSSL_INIT_new();
        if settings.is_null() {
            return Err("no memory".into());
        }
        if let Some(path) = &path {
            OPENSSL_INIT_set_config_filename(settings, path.as_ptr());
        }
        if let Some(name) = &name {
            OPENSSL_INIT_set_config_appname(settings, name.as_ptr());
        }
        // No flag: an error in the file is an error.
        OPENSSL_INIT_set_config_file_flags(settings, 0);
        let done = openssl_sys::OPENSSL_init_ssl(if load { LOAD_CONFIG } else { NO_LOAD_CONFIG }, settings);
        OPENSSL_INIT_free(settings);
        done
    };
    match done {
        1 => Ok(()),
        _ => Err(ErrorStack::get().to_string()),
    }
}
