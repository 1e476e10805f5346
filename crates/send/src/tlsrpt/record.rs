//! The record at `_smtp._tls.DOMAIN` (RFC 8460 section 3): who wants reports about a domain.

/// Longest record, in bytes.
const MOST: usize = 4096;

/// Most places that reports about one domain go to.
const MOST_PLACES: usize = 5;

/// Finds the record among the texts at the name, as Postfix does: `v=TLSRPTv1`, blanks, a semicolon. The error is for the log.
pub(crate) fn find<T: AsRef<[u8]>>(texts: &[T]) -> Result<Option<String>, String> {
    let mut found = None;
    for text in texts.iter().filter_map(|text| std::str::from_utf8(text.as_ref()).ok()) {
        let Some(rest) = text.strip_prefix("v=TLSRPTv1") else { continue };
        if !rest.trim_start_matches([' ', '\t']).starts_with(';') || text.len() > MOST {
            return Err(format!(
                "ignoring malformed policy: \"{}\"",
                text.chars().take(100).collect::<String>()
            ));
        }
        if found.replace(text.to_owned()).is_some() {
            return Err("Too many TLSRPT policies".into());
        }
    }
    Ok(found)
}

/// Where a report may go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// To a mailbox.
    Mail(mail::Address),
    /// To a Web server.
    Web(https::Url),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Place::Mail(address) => write!(f, "mailto:{}", address.to_external()),
            Place::Web(url) => url.fmt(f),
        }
    }
}

/// The places that a record names (`rua=`); those of other kinds are skipped.
pub(crate) fn places(record: &str) -> Vec<Place> {
    let field = record.split(';').find_map(|field| field.trim().strip_prefix("rua="));
    let place = |uri: &str| {
        let uri = uri.trim();
        match uri.get(..7).filter(|scheme| scheme.eq_ignore_ascii_case("mailto:")) {
            Some(_) => {
                let address = decoded(uri[7..].split('?').next()?)?;
                let fits = |c: char| !c.is_control() && !c.is_whitespace() && c != '<' && c != '>';
                let whole = address.contains('@') && address.chars().all(fits);
                mail::Address::internal(&address).ok().filter(|_| whole).map(Place::Mail)
            }
            None => https::Url::parse(uri).ok().map(Place::Web),
        }
    };
    field.into_iter().flat_map(|field| field.split(',')).filter_map(place).take(MOST_PLACES).collect()
}

/// `%2C` and its like (RFC 3986 section 2.1).
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        match first {
            b'%' => {
                let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
                bytes.push(u8::from_str_radix(digits, 16).ok()?);
                rest = &rest[2..];
            }
            _ => bytes.push(first),
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records() {
        let long = format!("v=TLSRPTv1; rua={}", "x".repeat(MOST));
        for (texts, expected) in [
            (&["v=TLSRPTv1; rua=mailto:a@b"][..], Ok(true)),
            (&["v=TLSRPTv1 ;rua=x", "v=spf1"], Ok(true)),
            (&["v=TLSRPTv2; rua=x"], Ok(false)),
            (&[], Ok(false)),
            (&["v=TLSRPTv1"], Err(())),
            (&["v=TLSRPTv11; x"], Err(())),
            (&["v=TLSRPTv1;a", "v=TLSRPTv1;b"], Err(())),
            (&[&long], Err(())),
        ] {
            assert_eq!(find(texts).map(|found| found.is_some()).map_err(|_| ()), expected, "{texts:?}");
        }
    }

    #[test]
    fn places_of_reports() {
        let shown =
            |record: &str| -> Vec<String> { places(record).iter().map(ToString::to_string).collect() };
        assert_eq!(
            shown("v=TLSRPTv1; rua=mailto:a@b.test , HTTPS://r.test/x?y,ftp://z/,mailto:a%2Cb@c.test!10m"),
            ["mailto:a@b.test", "https://r.test/x?y", "mailto:\"a,b\"@c.test!10m"]
        );
        for record in [
            "v=TLSRPTv1;",
            "v=TLSRPTv1; rua=mailto:nobody",
            "v=TLSRPTv1; rua=mailto:a%0A@b",
            "v=TLSRPTv1; rua=mailto:a%2",
        ] {
            assert_eq!(places(record), [], "{record}");
        }
        assert_eq!(places(&format!("v=TLSRPTv1; rua={}", "mailto:a@b,".repeat(20))).len(), MOST_PLACES);
    }
}
