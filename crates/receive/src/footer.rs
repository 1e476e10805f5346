//! smtpd_reject_footer and postscreen_reject_footer with their maps: lines that are added to refusals (postconf(5)).

use std::time::SystemTime;

use mail::Reply;
use tables::{Key, Lookup, Maps};

/// The footers of one service.
pub(crate) struct Footer {
    /// `smtpd_reject_footer` or `postscreen_reject_footer`.
    parameter: &'static str,
    template: String,
    /// The parameter's `_maps`: asked with the reply, and stronger.
    maps: Maps,
    /// The `_expansion_filter`: bytes that may come out of `$name`; others become `_`.
    filter: Vec<u8>,
}

impl Footer {
    pub(crate) fn new(parameter: &'static str, template: &str, maps: Maps, filter: Vec<u8>) -> Footer {
        Footer { parameter, template: template.to_owned(), maps, filter }
    }

    /// Are there none at all?
    pub(crate) fn is_empty(&self) -> bool {
        self.template.is_empty() && self.maps.is_empty()
    }

    /// The reply with its footer, in which `$name` is what `facts` say. Trouble goes to `warn`, and the reply stays as it is.
    pub(crate) async fn add(
        &self,
        reply: Reply,
        facts: &(dyn Fn(&str) -> Option<String> + Sync),
        warn: &(dyn Fn(&str) + Sync),
    ) -> Reply {
        if !reply.is_error() {
            return reply;
        }
        let from_maps = match self.maps.find(&reply.to_string(), Key::Full).await {
            Lookup::Found(template) => Some(template),
            Lookup::Absent => None,
            Lookup::Failed(why) => {
                warn(&format!("{}_maps: {why}", self.parameter));
                None
            }
        };
        let template = from_maps.as_deref().unwrap_or(&self.template);
        if template.is_empty() {
            return reply;
        }
        match self.expand(template, facts, warn) {
            Ok(text) => with_footer(reply, &text),
            Err(why) => {
                warn(&format!("{}: {why}", self.parameter));
                reply
            }
        }
    }

    fn expand(
        &self,
        template: &str,
        facts: &dyn Fn(&str) -> Option<String>,
        warn: &dyn Fn(&str),
    ) -> Result<String, String> {
        let scope = |name: &str| {
            let value = match name {
                "localtime" => local_time(SystemTime::now()),
                name => match facts(name) {
                    Some(value) => value,
                    None => {
                        warn(&format!("unknown macro name \"{name}\" in expansion request"));
                        return None;
                    }
                },
            };
            // What comes out is not expanded again: `$` is doubled, which stands for one.
            Some(self.filtered(&value).replace('$', "$$"))
        };
        config::expand::expand(template, &scope).map_err(|why| why.to_string())
    }

    fn filtered(&self, value: &str) -> String {
        let admitted = |c: char| u8::try_from(c).is_ok_and(|byte| self.filter.contains(&byte));
        value.chars().map(|c| if admitted(c) { c } else { '_' }).collect()
    }
}

/// `Nov 02 16:37:47`: as in log files, but with a zero before a short day.
fn local_time(now: SystemTime) -> String {
    mail::date::syslog(now).replacen("  ", " 0", 1)
}

/// `\n` begins a line, and `\c` at the beginning continues the reply's own last line.
fn with_footer(mut reply: Reply, footer: &str) -> Reply {
    let (joint, footer) = match footer.strip_prefix("\\c") {
        Some(rest) => ("", rest),
        None => ("\n", footer),
    };
    reply.text = format!("{}{joint}{}", reply.text, footer.replace("\\n", "\n")).into();
    reply
}

#[cfg(test)]
mod tests {
    use mail::Detail;
    use tables::{Flags, Tables};

    use super::*;

    async fn footed(template: &str, maps: &str, reply: Reply) -> String {
        let maps = Maps::open(&Tables::silent(), "p", maps, Flags::default());
        let filter = config::escape::unescape("\\40.:abcdefghijklmnopqrstuvwxyz0123456789");
        let footer = Footer::new("p", template, maps, filter);
        let facts = |name: &str| match name {
            "client_address" => Some("192.0.2.1".to_owned()),
            "client_port" => Some("4711".to_owned()),
            "server_name" => Some("mx.site.test".to_owned()),
            _ => None,
        };
        let reply = footer.add(reply, &facts, &|_| {}).await;
        let mut out = Vec::new();
        reply.write_to(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[tokio::test]
    async fn footers_repeat_code_and_status() {
        let refusal = || Reply::new(550, Detail(5, 1), "Protocol error");
        for (template, maps, expected) in [
            ("", "", "550 5.5.1 Protocol error\r\n"),
            ("See us", "", "550-5.5.1 Protocol error\r\n550 5.5.1 See us\r\n"),
            ("\\c. See us", "", "550 5.5.1 Protocol error. See us\r\n"),
            ("a\\nb", "", "550-5.5.1 Protocol error\r\n550-5.5.1 a\r\n550 5.5.1 b\r\n"),
            (
                "$client_address:$client_port $server_name",
                "",
                "550-5.5.1 Protocol error\r\n550 5.5.1 192.0.2.1:4711 mx.site.test\r\n",
            ),
            ("$mynetworks$$x", "", "550-5.5.1 Protocol error\r\n550 5.5.1 $x\r\n"),
            ("other", "regexp:{{/^550 5.5.1 P/ mapped}}", "550-5.5.1 Protocol error\r\n550 5.5.1 mapped\r\n"),
            ("other", "fail:x", "550-5.5.1 Protocol error\r\n550 5.5.1 other\r\n"),
            ("${broken", "", "550 5.5.1 Protocol error\r\n"),
        ] {
            assert_eq!(footed(template, maps, refusal()).await, expected, "{template} {maps}");
        }
        let fine = Reply::new(250, Detail(0, 0), "Ok");
        assert_eq!(footed("See us", "static:x", fine).await, "250 2.0.0 Ok\r\n");
    }
}
