//! `sendmail -bs`: an SMTP session on standard input and output. It never offers STARTTLS or AUTH and needs no restrictions:
//! whoever can run it may submit mail anyhow.

use std::io::{self, Read, Write};
use std::sync::Arc;

use config::{Settings, params};
use link::message::Submission;
use mail::{ClientFacts, Reply};
use smtp::server::{AuthVerdict, Commit, Next, Options, Question, Session, Step, TlsOffer, Verdict, reply};

/// Serves one session. `submit` takes a message over, or says why not.
pub fn serve(
    settings: &Settings,
    mut submit: impl FnMut(&Submission, &std::fs::File) -> Result<(), String>,
) -> io::Result<()> {
    let options = Options {
        hostname: settings.get(params::myhostname).to_owned(),
        banner: settings.get(params::smtpd_banner).to_owned(),
        tls: TlsOffer::None,
        // A script pipes its whole dialogue in; nobody else's mail is on this connection that it could smuggle in.
        forbid_unauth_pipelining: false,
        message_size_limit: u64::try_from(settings.get(params::message_size_limit)).unwrap_or(0),
        ..Options::default()
    };
    let mut input = io::stdin().lock();
    let mut output = io::stdout().lock();
    let mut content = Vec::new();
    let mut step = Session::begin(Arc::new(options), ClientFacts::new(None, 0, None));
    loop {
        let mut bytes = Vec::new();
        for reply in &step.replies {
            reply.write_to(&mut bytes);
        }
        output.write_all(&bytes)?;
        step = match step.next {
            Next::Read(mut session) => {
                if session.transaction().is_none() {
                    content.clear();
                }
                if session.needs_input() {
                    output.flush()?;
                    if !fill(&mut input, session.input())? {
                        return Ok(());
                    }
                }
                session.receive(false)
            }
            Next::Body(mut body) => {
                if body.needs_input() {
                    output.flush()?;
                    if !fill(&mut input, body.input())? {
                        return Ok(());
                    }
                }
                body.decode(&mut content)
            }
            Next::Ask(question) => answer(question, &content, &mut submit),
            // Never offered.
            Next::StartTls(_) => return Ok(()),
            Next::Close(_) => return output.flush(),
        };
    }
}

fn answer(
    question: Question,
    content: &[u8],
    submit: &mut impl FnMut(&Submission, &std::fs::File) -> Result<(), String>,
) -> Step {
    match question {
        Question::EndOfData(pending) => {
            let stored = match pending.session().transaction() {
                Some(transaction) => store(transaction, content, submit),
                None => Err("no transaction".into()),
            };
            pending.answer(match stored {
                // The id is given when the message is picked up; its sender never learns it, as with Postfix's own.
                Ok(()) => Commit::Said(Reply::new(250, mail::Detail(0, 0), "Ok: queued")),
                Err(_) => Commit::Refuse(Reply::fixed(
                    451,
                    Some(mail::Detail(3, 0)),
                    "Error: queue file write error",
                )),
            })
        }
        Question::Connect(pending) => pending.answer(Verdict::Accept),
        Question::Helo(pending) => pending.answer(Verdict::Accept),
        Question::Mail(pending) => {
            pending.legal().map_or_else(|step| *step, |pending| pending.answer(Verdict::Accept))
        }
        Question::Rcpt(pending) => {
            pending.legal().map_or_else(|step| *step, |pending| pending.answer(Verdict::Accept))
        }
        Question::Data(pending) => pending.answer(Verdict::Accept),
        Question::Vrfy(pending) => pending.answer(Verdict::Accept),
        Question::StartTls(pending) => pending.answer(Verdict::Accept),
        Question::Unknown(pending) => pending.answer(Verdict::Accept),
        Question::Etrn(pending) => pending.answer(Verdict::Refuse(reply::ETRN_UNABLE)),
        Question::Auth(pending) => pending.answer(AuthVerdict::Refuse(reply::AUTH_OFF)),
    }
}

fn store(
    transaction: &smtp::server::Transaction,
    content: &[u8],
    submit: &mut impl FnMut(&Submission, &std::fs::File) -> Result<(), String>,
) -> Result<(), String> {
    let mut file = tempfile::tempfile().map_err(|error| error.to_string())?;
    file.write_all(content).map_err(|error| error.to_string())?;
    let mut envelope = transaction.envelope.clone();
    let recipients = std::mem::take(&mut envelope.recipients);
    let submission =
        Submission { sender: Some(envelope.sender.clone()), full_name: None, recipients, envelope };
    submit(&submission, &file)
}

/// One read into the session's buffer; false at the end of input.
fn fill(input: &mut impl Read, buffer: &mut bytes::BytesMut) -> io::Result<bool> {
    let mut chunk = [0; 16 * 1024];
    let n = input.read(&mut chunk)?;
    buffer.extend_from_slice(&chunk[..n]);
    Ok(n > 0)
}
