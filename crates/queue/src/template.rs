//! The words of notices: four templates, built in or of the administrator (`bounce_template_file`, bounce(5)). What programs read
//! in a notice is no matter of templates.

use std::time::Duration;

use config::{Settings, params};

use crate::notice::Kind;

/// The words for one kind of notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template {
    /// Of the text.
    pub(crate) charset: String,
    /// `From:`, an address without domain gets ours.
    pub(crate) from: String,
    /// `Subject:`
    pub(crate) subject: String,
    /// `Subject:` of a postmaster's copy; empty where postmasters get none.
    pub(crate) postmaster_subject: String,
    /// The text, with `$name` for values of the configuration.
    pub(crate) text: String,
}

/// All four.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Templates {
    failure: Template,
    delay: Template,
    success: Template,
    verify: Template,
}

/// A template file is read up to this size.
const MOST_BYTES: usize = 256 * 1024;

const NAMES: [&str; 4] = ["failure_template", "delay_template", "success_template", "verify_template"];

impl Templates {
    /// Our own words.
    pub fn built_in() -> Templates {
        let template = |subject: &str, postmaster_subject: &str, text: &str| Template {
            charset: "us-ascii".into(),
            from: "Mail Delivery System <MAILER-DAEMON>".into(),
            subject: subject.into(),
            postmaster_subject: postmaster_subject.into(),
            text: format!("This is the mail system at host $myhostname.\n\n{text}"),
        };
        Templates {
            failure: template(
                "Undelivered Mail Returned to Sender",
                "Postmaster Copy: Undelivered Mail",
                "A message that you sent did not reach everyone it was meant for. Below is, for each address\n\
                 concerned, what went wrong; behind that comes a report for machines, and what you sent.\n\n\
                 If you can not tell what to do, forward this notice to postmaster.\n",
            ),
            delay: template(
                "Delayed Mail (still being retried)",
                "Postmaster Warning: Delayed Mail",
                "This is only a warning: your message is waiting here, and nothing needs to be sent again.\n\
                 Below is, for each address concerned, why it has not arrived yet.\n\
                 Delivery is tried until the message is $maximal_queue_lifetime_days days old.\n",
            ),
            success: template(
                "Successful Mail Delivery Report",
                "",
                "As you asked to be told: your message arrived, or was handed on, as shown below.\n",
            ),
            verify: template(
                "Mail Delivery Status Report",
                "",
                "You asked for a report on the delivery of a message; this is it.\n",
            ),
        }
    }

    /// Those of `bounce_template_file`, with values filled in. A file with mistakes is not used: the words tell which, and whoever
    /// is to be told of a bounce is told in ours.
    pub fn read(settings: &Settings) -> (Templates, Vec<String>) {
        let file = settings.get(params::bounce_template_file);
        let (templates, mut mistakes) = match file {
            "" => (Templates::built_in(), Vec::new()),
            file => match Templates::read_file(file) {
                Ok(templates) => (templates, Vec::new()),
                Err(why) => (
                    Templates::built_in(),
                    vec![format!("bounce_template_file: {why}; the built-in words are used")],
                ),
            },
        };
        match templates.expanded(settings) {
            Ok(expanded) => (expanded, mistakes),
            Err(why) => {
                mistakes.push(format!("bounce_template_file = {file}: {why}; the built-in words are used"));
                (Templates::built_in().expanded(settings).unwrap_or_else(|_| Templates::built_in()), mistakes)
            }
        }
    }

    /// The file's templates, as they stand there; what it leaves out is built in. The error names file and line.
    pub fn read_file(path: &str) -> Result<Templates, String> {
        let bytes = std::fs::read(path).map_err(|error| format!("{path}: {error}"))?;
        if bytes.len() > MOST_BYTES {
            return Err(format!("{path}: is larger than {MOST_BYTES} bytes"));
        }
        let text = String::from_utf8(bytes).map_err(|_| format!("{path}: is not text in UTF-8"))?;
        Templates::parse(path, &text)
    }

    fn parse(path: &str, text: &str) -> Result<Templates, String> {
        let mut templates = Templates::built_in();
        let mut lines = text.lines().enumerate();
        while let Some((number, line)) = lines.next() {
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            let at = format!("{path}, line {}", number + 1);
            let (name, end) = line
                .split_once('=')
                .and_then(|(name, value)| Some((name.trim(), value.trim().strip_prefix("<<")?.trim())))
                .filter(|(_, end)| !end.is_empty())
                .ok_or_else(|| {
                    format!("{at}: expected NAME_template = <<EOF, and the template up to a line EOF")
                })?;
            let mut body = String::new();
            loop {
                match lines.next() {
                    Some((_, line)) if line == end => break,
                    Some((_, line)) => {
                        body.push_str(line);
                        body.push('\n');
                    }
                    None => return Err(format!("{at}: there is no line \"{end}\" at the end of {name}")),
                }
            }
            let index = NAMES.iter().position(|known| *known == name).ok_or_else(|| {
                format!("{at}: there is no template \"{name}\"; use one of {}", NAMES.join(", "))
            })?;
            let template = templates.by_index(index);
            *template = template.parse(&body).map_err(|why| format!("{at}: {name}: {why}"))?;
        }
        Ok(templates)
    }

    fn by_index(&mut self, index: usize) -> &mut Template {
        match index {
            0 => &mut self.failure,
            1 => &mut self.delay,
            2 => &mut self.success,
            _ => &mut self.verify,
        }
    }

    /// With values in the place of `$name`.
    fn expanded(mut self, settings: &Settings) -> Result<Templates, String> {
        for (index, name) in NAMES.iter().enumerate() {
            let template = self.by_index(index);
            template.text = expand(&template.text, settings).map_err(|why| format!("{name}: {why}"))?;
        }
        Ok(self)
    }

    /// The words for a kind of notice.
    pub(crate) fn of(&self, kind: Kind) -> &Template {
        match kind {
            Kind::Failure => &self.failure,
            Kind::Delay => &self.delay,
            Kind::Success => &self.success,
            Kind::Trace => &self.verify,
        }
    }

    /// As a template file, for `postconf -t`.
    pub fn as_file(&self) -> String {
        let mut out = String::new();
        for (name, template) in NAMES.iter().zip([&self.failure, &self.delay, &self.success, &self.verify]) {
            let Template { charset, from, subject, postmaster_subject, text } = template;
            out.push_str(&format!("{name} = <<EOF\nCharset: {charset}\nFrom: {from}\nSubject: {subject}\n"));
            if !postmaster_subject.is_empty() {
                out.push_str(&format!("Postmaster-Subject: {postmaster_subject}\n"));
            }
            out.push_str(&format!("\n{text}EOF\n\n"));
        }
        out.pop();
        out
    }

    /// The texts with values filled in, for `postconf -b`.
    pub fn as_expanded_texts(self, settings: &Settings) -> Result<String, String> {
        let expanded = self.expanded(settings)?;
        let mut out = String::new();
        for (name, template) in
            NAMES.iter().zip([&expanded.failure, &expanded.delay, &expanded.success, &expanded.verify])
        {
            let name = name.trim_end_matches("_template");
            out.push_str(&format!("expanded_{name}_text = <<EOF\n{}EOF\n\n", template.text));
        }
        out.pop();
        Ok(out)
    }
}

impl Template {
    /// What stands between the first and the last line in a template file: headers, an empty line, a text.
    fn parse(&self, body: &str) -> Result<Template, String> {
        let mut template = self.clone();
        let (head, text) =
            body.split_once("\n\n").ok_or("there is no empty line between headers and text")?;
        for line in head.lines() {
            let (name, value) = line.split_once(':').ok_or_else(|| format!("\"{line}\" is no header"))?;
            let value = value.trim().to_owned();
            match name.trim().to_ascii_lowercase().as_str() {
                "charset" => template.charset = value,
                "from" => template.from = value,
                "subject" => template.subject = value,
                "postmaster-subject" if self.postmaster_subject.is_empty() => {
                    return Err(
                        "postmasters get no copy of this kind of notice: leave out Postmaster-Subject".into(),
                    );
                }
                "postmaster-subject" => template.postmaster_subject = value,
                _ => {
                    return Err(format!(
                        "there is no header \"{name}\"; use Charset, From, Subject, Postmaster-Subject"
                    ));
                }
            }
        }
        if ![&template.charset, &template.from, &template.subject, &template.postmaster_subject]
            .into_iter()
            .all(|header| header.is_ascii())
        {
            return Err("headers are ASCII".into());
        }
        if !text.is_ascii() && template.charset.eq_ignore_ascii_case("us-ascii") {
            return Err("the text is not ASCII: name its charset, Charset: utf-8".into());
        }
        text.clone_into(&mut template.text);
        Ok(template)
    }
}

/// Values of parameters, and of times in other units: `$delay_warning_time_hours`.
fn expand(text: &str, settings: &Settings) -> Result<String, String> {
    let mut out = text.to_owned();
    for (name, time) in [
        ("delay_warning_time", settings.get(params::delay_warning_time)),
        ("maximal_queue_lifetime", settings.get(params::maximal_queue_lifetime)),
        ("bounce_queue_lifetime", settings.get(params::bounce_queue_lifetime)),
    ] {
        for (unit, seconds) in
            [("seconds", 1), ("minutes", 60), ("hours", 3600), ("days", 86_400), ("weeks", 7 * 86_400)]
        {
            let value = in_units(time, seconds).to_string();
            for form in
                [format!("${{{name}_{unit}}}"), format!("$({name}_{unit})"), format!("${name}_{unit}")]
            {
                out = out.replace(&form, &value);
            }
        }
    }
    settings.expand(&out).map_err(|error| error.to_string())
}

fn in_units(time: Duration, seconds: u64) -> u64 {
    time.as_secs() / seconds
}

#[cfg(test)]
mod tests {
    use config::HostFacts;
    use config::main_cf::MainCf;

    use super::*;

    fn settings() -> Settings {
        let main =
            b"myhostname = mx.test\ndelay_warning_time = 4h\nmaximal_queue_lifetime = 3d\nhelp = call 1 2 3";
        Settings::load(&MainCf::parse("main.cf", main).unwrap(), &[], &HostFacts::default()).unwrap()
    }

    #[test]
    fn a_file_replaces_what_it_names() {
        let file = "# ours\n\nfailure_template = <<END\nCharset: utf-8\nFrom: Post <post>\nSubject: Nicht zugestellt\n\
                    Postmaster-Subject: Kopie\n\nGrüße von $myhostname nach $maximal_queue_lifetime_days Tagen; $help\nEND\n";
        let templates = Templates::parse("file", file).unwrap().expanded(&settings()).unwrap();
        assert_eq!(
            *templates.of(Kind::Failure),
            Template {
                charset: "utf-8".into(),
                from: "Post <post>".into(),
                subject: "Nicht zugestellt".into(),
                postmaster_subject: "Kopie".into(),
                text: "Grüße von mx.test nach 3 Tagen; call 1 2 3\n".into(),
            }
        );
        let built_in = Templates::built_in().expanded(&settings()).unwrap();
        assert_eq!(templates.of(Kind::Delay), built_in.of(Kind::Delay));
        assert!(built_in.of(Kind::Delay).text.contains("until the message is 3 days old"));
    }

    #[test]
    fn what_is_printed_is_read_again() {
        let built_in = Templates::built_in();
        assert_eq!(Templates::parse("file", &built_in.as_file()), Ok(built_in.clone()));
        let texts = built_in.as_expanded_texts(&settings()).unwrap();
        assert!(
            texts.starts_with("expanded_failure_text = <<EOF\nThis is the mail system at host mx.test.\n"),
            "{texts}"
        );
    }

    #[test]
    fn mistakes_are_told_with_their_line() {
        for (text, part) in [
            ("failure_template = text\n", "file, line 1: expected NAME_template = <<EOF"),
            ("\nfailure_template = <<EOF\nSubject: x\n\ntext\n", "file, line 2: there is no line \"EOF\""),
            ("fail_template = <<EOF\nSubject: x\n\ntext\nEOF\n", "there is no template \"fail_template\""),
            ("failure_template = <<EOF\nSubject: x\ntext\nEOF\n", "no empty line"),
            ("failure_template = <<EOF\nColour: x\n\ntext\nEOF\n", "there is no header \"Colour\""),
            ("success_template = <<EOF\nPostmaster-Subject: x\n\ntext\nEOF\n", "postmasters get no copy"),
            ("failure_template = <<EOF\nSubject: x\n\nGrüße\nEOF\n", "name its charset"),
        ] {
            let error = Templates::parse("file", text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
