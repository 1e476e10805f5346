//! Records, in words that need no DNS library.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use domain::base::iana::Rtype;
use domain::base::name::ToName;
use domain::base::{ParsedName, Record};
use domain::rdata::AllRecordData;

/// A mail exchanger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mx {
    /// Lower is tried first.
    pub preference: u16,
    /// The host; empty for the root, which is how a domain says that it takes no mail (RFC 7505).
    pub host: String,
}

impl Mx {
    /// Is it the null MX?
    pub fn is_null(&self) -> bool {
        self.host.is_empty()
    }
}

/// A TLSA record (RFC 6698), its fields as numbers, since unknown ones must be told apart too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tlsa {
    /// Certificate usage.
    pub usage: u8,
    /// Selector.
    pub selector: u8,
    /// Matching type.
    pub matching_type: u8,
    /// The association data.
    pub data: Vec<u8>,
}

/// A service location (RFC 2782).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Srv {
    /// Lower is tried first.
    pub priority: u16,
    /// Share among equals.
    pub weight: u16,
    /// Port.
    pub port: u16,
    /// Host; empty for the root: no such service.
    pub host: String,
}

/// The data of one record, of the types that a mail server asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Data {
    A(Ipv4Addr),
    Aaaa(Ipv6Addr),
    Mx(Mx),
    Ns(String),
    Ptr(String),
    Srv(Srv),
    Tlsa(Tlsa),
    Txt(Vec<u8>),
    Cname(String),
}

/// A record's data with its own lifetime.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rr {
    pub(crate) ttl: Duration,
    pub(crate) data: Data,
}

/// As zone files write it, but for texts, which stand as they are.
impl fmt::Display for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Data::A(address) => address.fmt(f),
            Data::Aaaa(address) => address.fmt(f),
            Data::Mx(Mx { preference, host }) => write!(f, "{preference} {host}."),
            Data::Ns(host) | Data::Ptr(host) | Data::Cname(host) => write!(f, "{host}."),
            Data::Srv(Srv { priority, weight, port, host }) => {
                write!(f, "{priority} {weight} {port} {host}.")
            }
            Data::Tlsa(Tlsa { usage, selector, matching_type, data }) => {
                write!(f, "{usage} {selector} {matching_type} ")?;
                data.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
            Data::Txt(text) => f.write_str(&String::from_utf8_lossy(text)),
        }
    }
}

impl Data {
    pub(crate) fn ipv4(&self) -> Option<Ipv4Addr> {
        if let Data::A(address) = self { Some(*address) } else { None }
    }
}

/// A record type that can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Type {
    A,
    Aaaa,
    Mx,
    Ns,
    Ptr,
    Srv,
    Tlsa,
    Txt,
}

impl Type {
    pub(crate) fn rtype(self) -> Rtype {
        match self {
            Type::A => Rtype::A,
            Type::Aaaa => Rtype::AAAA,
            Type::Mx => Rtype::MX,
            Type::Ns => Rtype::NS,
            Type::Ptr => Rtype::PTR,
            Type::Srv => Rtype::SRV,
            Type::Tlsa => Rtype::TLSA,
            Type::Txt => Rtype::TXT,
        }
    }

    pub(crate) fn admits(self, data: &Data) -> bool {
        matches!(
            (self, data),
            (Type::A, Data::A(_))
                | (Type::Aaaa, Data::Aaaa(_))
                | (Type::Mx, Data::Mx(_))
                | (Type::Ns, Data::Ns(_))
                | (Type::Ptr, Data::Ptr(_))
                | (Type::Srv, Data::Srv(_))
                | (Type::Tlsa, Data::Tlsa(_))
                | (Type::Txt, Data::Txt(_))
        )
    }
}

/// A record as the library parses it.
pub(crate) type Raw<'a> = Record<ParsedName<&'a [u8]>, AllRecordData<&'a [u8], ParsedName<&'a [u8]>>>;

/// The owner of a record and its data; nothing for types that nobody asks for.
pub(crate) fn read(raw: &Raw<'_>) -> Option<(String, Data)> {
    let data = match raw.data() {
        AllRecordData::A(a) => Data::A(a.addr()),
        AllRecordData::Aaaa(aaaa) => Data::Aaaa(aaaa.addr()),
        AllRecordData::Mx(mx) => Data::Mx(Mx { preference: mx.preference(), host: name(mx.exchange()) }),
        AllRecordData::Ns(ns) => Data::Ns(name(ns.nsdname())),
        AllRecordData::Ptr(ptr) => Data::Ptr(name(ptr.ptrdname())),
        AllRecordData::Srv(srv) => Data::Srv(Srv {
            priority: srv.priority(),
            weight: srv.weight(),
            port: srv.port(),
            host: name(srv.target()),
        }),
        AllRecordData::Tlsa(tlsa) => Data::Tlsa(Tlsa {
            usage: tlsa.usage().to_int(),
            selector: tlsa.selector().to_int(),
            matching_type: tlsa.matching_type().to_int(),
            data: tlsa.data().to_vec(),
        }),
        AllRecordData::Txt(txt) => Data::Txt(txt.iter().flatten().copied().collect()),
        AllRecordData::Cname(cname) => Data::Cname(name(cname.cname())),
        _ => return None,
    };
    Some((name(raw.owner()), data))
}

/// A name without its last dot; empty for the root.
fn name(name: &impl ToName) -> String {
    let text = name.fmt_with_dot().to_string();
    text.strip_suffix('.').unwrap_or(&text).to_owned()
}
