//! The resolver: questions in the words of mail, answers with their security status.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use domain::base::iana::Rcode;
use domain::base::{Message, Name};
use domain::rdata::AllRecordData;

use crate::answer::Answer;
use crate::cache::Cache;
use crate::failure::Failure;
use crate::filter::{self, ReplyFilter};
use crate::hosts::Hosts;
use crate::listing::{self, Listing};
use crate::literal::address_literal;
use crate::record::{self, Data, Mx, Rr, Srv, Tlsa, Type};
use crate::servers::{Current, Source};

/// Aliases followed for one question; Postfix follows ten.
const MAX_ALIASES: usize = 10;
/// Records taken from one reply.
const MAX_RECORDS: usize = 1000;

/// Which addresses are wanted (inet_protocols, smtp_address_preference).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4 only.
    V4,
    /// IPv6 only.
    V6,
    /// Both, IPv4 first.
    PreferV4,
    /// Both, IPv6 first.
    PreferV6,
}

impl Family {
    fn types(self) -> &'static [Type] {
        match self {
            Family::V4 => &[Type::A],
            Family::V6 => &[Type::Aaaa],
            Family::PreferV4 => &[Type::A, Type::Aaaa],
            Family::PreferV6 => &[Type::Aaaa, Type::A],
        }
    }

    fn admits(self, address: IpAddr) -> bool {
        match self {
            Family::V4 => address.is_ipv4(),
            Family::V6 => address.is_ipv6(),
            Family::PreferV4 | Family::PreferV6 => true,
        }
    }
}

/// Where host addresses are looked for (smtp_host_lookup).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostLookup {
    /// The DNS only.
    Dns,
    /// The hosts file, then the DNS, as getaddrinfo(3) does by default.
    Native,
    /// The DNS, and the hosts file when that has nothing.
    DnsThenNative,
}

/// Asks the DNS. Share it: it holds connections and a cache.
pub struct Resolver {
    shared: Arc<Shared>,
    filter: Option<ReplyFilter>,
}

/// What resolvers with different filters have in common.
struct Shared {
    servers: Current,
    hosts: Option<Hosts>,
    cache: Cache,
}

impl Resolver {
    /// The servers of a resolv.conf(5) and the names of a hosts(5); both files are read again when they change.
    pub fn from_files(resolv_conf: &Path, hosts: &Path) -> Self {
        Resolver::new(Source::File(resolv_conf.to_owned()), Some(Hosts::new(hosts.to_owned())))
    }

    fn new(servers: Source, hosts: Option<Hosts>) -> Self {
        let shared = Shared { servers: Current::new(servers), hosts, cache: Cache::default() };
        Resolver { shared: Arc::new(shared), filter: None }
    }

    /// The same resolver, whose answers from the DNS go through a filter. Names of addresses ([`Resolver::ptr`]) and what is looked up
    /// as the system would ([`HostLookup::Native`]) do not, and DNS lists' own listings ([`Resolver::listing`]) neither.
    pub fn filtered(&self, filter: ReplyFilter) -> Resolver {
        Resolver { shared: Arc::clone(&self.shared), filter: Some(filter) }
    }

    /// The same resolver without a filter.
    pub fn unfiltered(&self) -> Resolver {
        Resolver { shared: Arc::clone(&self.shared), filter: None }
    }

    /// This machine's resolver. `import_environment` can name another resolv.conf(5) in `MAILCLAD_RESOLV_CONF`, for the mail
    /// system alone, for example one with a server that validates; `nameserver [address]:port` is understood there.
    pub fn from_system() -> Self {
        let resolv_conf = std::env::var_os("MAILCLAD_RESOLV_CONF").filter(|path| !path.is_empty());
        let resolv_conf = resolv_conf.map_or_else(|| PathBuf::from("/etc/resolv.conf"), PathBuf::from);
        Resolver::from_files(&resolv_conf, Path::new("/etc/hosts"))
    }

    /// Exactly these servers and no hosts file.
    pub fn with_servers(servers: Vec<SocketAddr>) -> Self {
        Resolver::new(Source::Fixed(servers), None)
    }

    /// The names that a name may stand for (resolv.conf(5); postconf(5), smtp_dns_resolver_options), in the order in which they are tried.
    /// `defaults` is RES_DEFNAMES: a name without a dot is looked for in the first search domain; `searches` is RES_DNSRCH: names are
    /// looked for in all of them.
    pub fn meanings(&self, name: &str, defaults: bool, searches: bool) -> Vec<String> {
        meanings(name, &self.shared.servers.servers().0.search, defaults, searches)
    }

    /// The mail exchangers of a domain, in the order of the reply. The null MX is one of them
    /// ([`Mx::is_null`]). `dnssec` asks for a validated answer.
    pub async fn mx(&self, domain: &str, dnssec: bool) -> Result<Answer<Mx>, Failure> {
        let select = |data: &Data| if let Data::Mx(mx) = data { Some(mx.clone()) } else { None };
        Ok(self.find(domain, Type::Mx, dnssec).await?.select(select))
    }

    /// The TLSA records at a name such as `_25._tcp.mx.example.com`; always asks for a validated answer.
    pub async fn tlsa(&self, name: &str) -> Result<Answer<Tlsa>, Failure> {
        let select = |data: &Data| if let Data::Tlsa(tlsa) = data { Some(tlsa.clone()) } else { None };
        Ok(self.find(name, Type::Tlsa, true).await?.select(select))
    }

    /// The texts at a name; the strings of one record joined, as SPF, DKIM and MTA-STS want them.
    pub async fn txt(&self, name: &str) -> Result<Answer<Vec<u8>>, Failure> {
        let select = |data: &Data| if let Data::Txt(text) = data { Some(text.clone()) } else { None };
        Ok(self.find(name, Type::Txt, false).await?.select(select))
    }

    /// The services at a name such as `_submission._tcp.example.com`.
    pub async fn srv(&self, name: &str, dnssec: bool) -> Result<Answer<Srv>, Failure> {
        let select = |data: &Data| if let Data::Srv(srv) = data { Some(srv.clone()) } else { None };
        Ok(self.find(name, Type::Srv, dnssec).await?.select(select))
    }

    /// Does a server that validates answer this question, written as `type:name` (postconf(5), dnssec_probe)? The error says why that
    /// is not known.
    pub async fn validates(&self, question: &str) -> Result<bool, String> {
        let (kind, name) = question.split_once(':').ok_or("write it as type:name")?;
        let kind = match kind.to_ascii_lowercase().as_str() {
            "a" => Type::A,
            "aaaa" => Type::Aaaa,
            "mx" => Type::Mx,
            "ns" => Type::Ns,
            "txt" => Type::Txt,
            other => return Err(format!("no questions of type \"{other}\": use a, aaaa, mx, ns or txt")),
        };
        let name = Name::<Vec<u8>>::vec_from_str(name).map_err(|error| format!("{name}: {error}"))?;
        let (servers, _) = self.shared.servers.servers();
        let reply = servers.ask(&name, kind, true).await.map_err(|failure| failure.to_string())?;
        Ok(reply.header().ad())
    }

    /// The name servers of a domain.
    pub async fn ns(&self, domain: &str) -> Result<Answer<String>, Failure> {
        let select = |data: &Data| if let Data::Ns(host) = data { Some(host.clone()) } else { None };
        Ok(self.find(domain, Type::Ns, false).await?.select(select))
    }

    /// The names of an address: the hosts file's, then the DNS's. Whether a name leads back to the address is for the
    /// caller to check.
    pub async fn ptr(&self, address: IpAddr) -> Result<Answer<String>, Failure> {
        let reverse = reverse_name(address);
        if let Some(name) = self.shared.hosts.as_ref().and_then(|hosts| hosts.name(address)) {
            return Ok(certain(&reverse, vec![name]));
        }
        let select = |data: &Data| if let Data::Ptr(host) = data { Some(host.clone()) } else { None };
        Ok(self.find_all(&reverse, Type::Ptr, false, &mut None).await?.select(select))
    }

    /// The addresses of a host, the preferred family first. An address literal is its own answer. When one family is
    /// there and the other could not be asked, the one counts.
    pub async fn addresses(
        &self,
        host: &str,
        family: Family,
        lookup: HostLookup,
        dnssec: bool,
    ) -> Result<Answer<IpAddr>, Failure> {
        if let Some(address) = address_literal(host) {
            return match family.admits(address) {
                true => Ok(certain(host, vec![address])),
                false => Err(Failure::NoData { secure: false }),
            };
        }
        if lookup == HostLookup::Native
            && let Some(answer) = self.native(host, family)
        {
            return Ok(answer);
        }
        match self.dns_addresses(host, family, lookup, dnssec).await {
            Err(failure) if lookup == HostLookup::DnsThenNative => self.native(host, family).ok_or(failure),
            answer => answer,
        }
    }

    fn native(&self, host: &str, family: Family) -> Option<Answer<IpAddr>> {
        let mut found = self.shared.hosts.as_ref()?.addresses(host);
        found.retain(|address| family.admits(*address));
        found.sort_by_key(|address| (family == Family::PreferV6) != address.is_ipv6());
        (!found.is_empty()).then(|| certain(host, found))
    }

    async fn dns_addresses(
        &self,
        host: &str,
        family: Family,
        lookup: HostLookup,
        dnssec: bool,
    ) -> Result<Answer<IpAddr>, Failure> {
        let select = |data: &Data| match data {
            Data::A(address) => Some(IpAddr::V4(*address)),
            Data::Aaaa(address) => Some(IpAddr::V6(*address)),
            _ => None,
        };
        let one = async |kind| {
            let answer = match lookup {
                HostLookup::Native => self.find_all(host, kind, dnssec, &mut None).await,
                HostLookup::Dns | HostLookup::DnsThenNative => self.find(host, kind, dnssec).await,
            };
            answer.map(|answer| answer.select(select))
        };
        let types = family.types();
        let Some(&second) = types.get(1) else { return one(types[0]).await };
        match tokio::join!(one(types[0]), one(second)) {
            (Ok(mut first), Ok(second)) => {
                first.records.extend(second.records);
                first.secure &= second.secure;
                first.ttl = first.ttl.min(second.ttl);
                Ok(first)
            }
            (Ok(answer), Err(_)) | (Err(_), Ok(answer)) => Ok(answer),
            // An absence counts only when both families are absent.
            (Err(first), Err(second)) => Err(if first.is_absence() { second } else { first }),
        }
    }

    /// What a DNS list (RFC 5782) says of an address: what there is at `2.0.0.127.list.example`.
    pub async fn listing(&self, address: IpAddr, list: &str) -> Listing {
        let name = format!("{}.{list}", reversed(address));
        let mut absent_for = None;
        match self.find_all(&name, Type::A, false, &mut absent_for).await {
            Ok(answer) => Listing::Listed {
                addresses: answer.records.iter().filter_map(|record| record.data.ipv4()).collect(),
                ttl: answer.ttl,
            },
            Err(failure) if failure.is_absence() => Listing::NotListed { ttl: absent_for },
            Err(failure) => Listing::Unknown(failure),
        }
    }

    /// One question, its answer filtered.
    async fn find(&self, name: &str, kind: Type, dnssec: bool) -> Result<Arc<Answer<Rr>>, Failure> {
        let answer = self.find_all(name, kind, dnssec, &mut None).await?;
        match &self.filter {
            Some(filter) => filter::apply(filter, answer, kind).await,
            None => Ok(answer),
        }
    }

    /// One question, from the cache or from a server, through aliases. `absent_for`: how long an absence may be believed.
    async fn find_all(
        &self,
        name: &str,
        kind: Type,
        dnssec: bool,
        absent_for: &mut Option<Duration>,
    ) -> Result<Arc<Answer<Rr>>, Failure> {
        let (servers, fresh) = self.shared.servers.servers();
        if fresh {
            self.shared.cache.clear();
        }
        let ascii = ascii_name(name)?;
        let key = (ascii.clone(), kind, dnssec);
        if let Some(answer) = self.shared.cache.find(&key) {
            return Ok(answer);
        }
        let mut walk = Walk::new(ascii);
        // Normally one reply holds all aliases and the records; when it ends in an alias, that one is asked for.
        loop {
            let name: Name<Vec<u8>> = Name::vec_from_str(&walk.name).map_err(|_| Failure::BadName)?;
            let reply = servers.ask(&name, kind, dnssec).await?;
            let read = walk.read(&reply, kind).inspect_err(|_| *absent_for = listing::absence_ttl(&reply));
            if let Some(answer) = read? {
                let answer = Arc::new(answer);
                self.shared.cache.keep(key, &answer);
                return Ok(answer);
            }
        }
    }
}

/// The way through aliases.
struct Walk {
    /// Where it has come to.
    name: String,
    aliases: Vec<String>,
    secure: bool,
    ttl: Duration,
}

impl Walk {
    fn new(name: String) -> Self {
        Walk { name, aliases: Vec::new(), secure: true, ttl: Duration::MAX }
    }

    /// Takes one reply. `Ok(None)`: ask again, for `self.name`.
    fn read(&mut self, reply: &Message<Bytes>, kind: Type) -> Result<Option<Answer<Rr>>, Failure> {
        self.secure &= reply.header().ad();
        let records = records(reply)?;
        let mut aliases: HashMap<String, (&str, Duration)> = HashMap::new();
        for (owner, ttl, data) in &records {
            if let Data::Cname(target) = data {
                aliases.insert(owner.to_ascii_lowercase(), (target, *ttl));
            }
        }
        let before = self.aliases.len();
        loop {
            let mine = |owner: &str| owner.eq_ignore_ascii_case(&self.name);
            let found: Vec<&(String, Duration, Data)> =
                records.iter().filter(|(owner, _, data)| kind.admits(data) && mine(owner)).collect();
            if !found.is_empty() {
                let ttl = found.iter().map(|(_, ttl, _)| *ttl).fold(self.ttl, Duration::min);
                return Ok(Some(Answer {
                    records: found
                        .into_iter()
                        .map(|(_, ttl, data)| Rr { ttl: *ttl, data: data.clone() })
                        .collect(),
                    secure: self.secure,
                    ttl,
                    aliases: std::mem::take(&mut self.aliases),
                    name: self.name.clone(),
                }));
            }
            let Some((target, ttl)) = aliases.get(&self.name.to_ascii_lowercase()) else { break };
            if self.aliases.len() >= MAX_ALIASES {
                return Err(Failure::BadReply);
            }
            self.ttl = self.ttl.min(*ttl);
            self.aliases.push(std::mem::replace(&mut self.name, (*target).to_owned()));
        }
        match reply.header().rcode() {
            Rcode::NXDOMAIN => Err(Failure::NotFound { secure: self.secure }),
            // The reply led to a new name and said nothing about it.
            _ if self.aliases.len() > before => Ok(None),
            _ => Err(Failure::NoData { secure: self.secure }),
        }
    }
}

/// The records of the answer section that matter here.
fn records(reply: &Message<Bytes>) -> Result<Vec<(String, Duration, Data)>, Failure> {
    let message = Message::from_octets(reply.as_slice()).map_err(|_| Failure::BadReply)?;
    let section = message.answer().map_err(|_| Failure::BadReply)?;
    let mut records = Vec::new();
    for record in section.limit_to_in::<AllRecordData<_, _>>().take(MAX_RECORDS) {
        // One record that can not be read makes all of them doubtful.
        let record = record.map_err(|_| Failure::BadReply)?;
        let ttl = Duration::from_secs(u64::from(record.ttl().as_secs()));
        if let Some((owner, data)) = record::read(&record) {
            records.push((owner, ttl, data));
        }
    }
    Ok(records)
}

/// An answer that did not come from the DNS. It is not secure in the sense of DNSSEC.
fn certain<T>(name: &str, records: Vec<T>) -> Answer<T> {
    Answer { records, secure: false, ttl: Duration::ZERO, aliases: Vec::new(), name: name.to_owned() }
}

fn meanings(name: &str, search: &[String], defaults: bool, searches: bool) -> Vec<String> {
    let below = |count: usize| search.iter().take(count).map(|domain| format!("{name}.{domain}"));
    let all = if searches { search.len() } else { 1 };
    let own = std::iter::once(name.to_owned());
    match (name.ends_with('.'), name.contains('.')) {
        (false, false) if defaults => below(all).chain(own).collect(),
        (false, true) if searches => own.chain(below(all)).collect(),
        _ => own.collect(),
    }
}

/// The name in the letters of the DNS (A-labels), without the dot at its end. Underscores and the like, which services use, stay as
/// they are.
pub fn ascii_name(name: &str) -> Result<String, Failure> {
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.is_empty() {
        return Err(Failure::BadName);
    }
    match name.is_ascii() {
        true => Ok(name.to_ascii_lowercase()),
        false => idna::domain_to_ascii(name).map_err(|_| Failure::BadName),
    }
}

/// `1.2.0.192.in-addr.arpa` and its IPv6 counterpart.
fn reverse_name(address: IpAddr) -> String {
    let zone = if address.is_ipv4() { "in-addr.arpa" } else { "ip6.arpa" };
    format!("{}.{zone}", reversed(address))
}

/// The octets of an IPv4 address, or the hexadecimal digits of an IPv6 address, last first.
fn reversed(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            format!("{d}.{c}.{b}.{a}")
        }
        IpAddr::V6(v6) => {
            let digits: Vec<String> =
                v6.octets().iter().rev().map(|byte| format!("{:x}.{:x}", byte & 15, byte >> 4)).collect();
            digits.join(".")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_name_may_stand_for() {
        let search = ["a.test".to_owned(), "b.test".to_owned()];
        for (name, defaults, searches, expected) in [
            ("mx", false, false, "mx"),
            ("mx", true, false, "mx.a.test mx"),
            ("mx", true, true, "mx.a.test mx.b.test mx"),
            ("mx", false, true, "mx"),
            ("mx.c", true, false, "mx.c"),
            ("mx.c", true, true, "mx.c mx.c.a.test mx.c.b.test"),
            ("mx.c.", true, true, "mx.c."),
        ] {
            let found = meanings(name, &search, defaults, searches).join(" ");
            assert_eq!(found, expected, "{name} {defaults} {searches}");
        }
    }
}
