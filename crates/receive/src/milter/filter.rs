//! One Milter in one session: connecting, negotiating, telling and hearing, and what its earlier answers mean for later
//! commands.
//!
//! A Milter that dies, stalls or talks nonsense is not asked again in this session; its default action stands in for it. The next
//! session connects anew.

use std::time::Duration;

use access::Wire;
use mail::Reply;
use maillog::Log;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufStream};
use tokio::time::timeout;

use super::macros::Values;
use super::protocol::{self, Agreement, Answer, Change, Command, MAX_PACKET};
use super::settings::{DefaultAction, Milter};

/// What a Milter asks for, when it is not to go on as usual.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// The command or message is refused.
    Refuse(Reply),
    /// The message is taken and thrown away.
    Discard,
    /// The message is kept in the hold queue.
    Hold,
    /// 421, and the connection is closed.
    Shutdown,
}

/// How things stand with the Milter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    New,
    /// Listens to what comes.
    Hearing,
    /// Has said enough about this message.
    DoneWithMessage,
    /// Has said enough about this client; `standing` is its word.
    DoneWithClient,
}

/// One Milter's part of a session.
pub(super) struct Filter {
    milter: Milter,
    wire: Option<BufStream<Box<dyn Wire>>>,
    state: State,
    agreement: Agreement,
    standing: Option<Action>,
    /// A MAIL command was told that no end of the message followed.
    in_message: bool,
    /// No more body is wanted.
    skips_body: bool,
    log: Log,
}

/// A trouble with a Milter, for the log.
type Trouble = String;

/// What a Milter says to the end of a message.
pub(super) enum AtEnd {
    /// This is to be changed, and there is more to come.
    Change(Change),
    /// Nothing more.
    Over(Option<Action>),
}

/// What came of telling one command.
enum Heard {
    Answer(Answer),
    Nothing,
}

impl Filter {
    pub(super) fn new(milter: Milter, log: Log) -> Filter {
        Filter {
            milter,
            wire: None,
            state: State::New,
            agreement: Agreement::default(),
            standing: None,
            in_message: false,
            skips_body: false,
            log,
        }
    }

    /// Does the Milter want to hear of refused recipients?
    pub(super) fn hears_rejected_recipients(&self) -> bool {
        self.is_hearing() && self.agreement.steps & protocol::RCPT_REJECTED != 0
    }

    /// Header values keep their leading blanks.
    pub(super) fn keeps_leading_space(&self) -> bool {
        self.agreement.steps & protocol::LEADING_SPACE != 0
    }

    /// Would telling it this command reach anybody?
    pub(super) fn wants(&self, command: Command) -> bool {
        self.is_hearing()
            && command.is_wanted(self.agreement.steps)
            && !(self.skips_body && command == Command::Body)
    }

    pub(super) fn is_hearing(&self) -> bool {
        self.state == State::Hearing
    }

    /// The Milter's last word about the client, if it said one.
    pub(super) fn standing(&self) -> Option<Action> {
        match self.state {
            State::DoneWithClient => self.standing.clone(),
            State::New | State::Hearing | State::DoneWithMessage => None,
        }
    }

    /// Tells a command and gives what the Milter wants done about it.
    pub(super) async fn tell(
        &mut self,
        command: Command,
        data: &[u8],
        values: &Values<'_>,
    ) -> Option<Action> {
        if self.state == State::New {
            self.begin().await;
        }
        if self.state == State::DoneWithClient {
            return self.standing.clone();
        }
        if command == Command::Mail {
            self.in_message = true;
            self.skips_body = false;
        }
        if self.state == State::DoneWithMessage && !command.concerns_the_connection() {
            return None;
        }
        match self.exchange(command, data, values).await {
            Ok(Heard::Nothing) => None,
            Ok(Heard::Answer(answer)) => self.take(command, answer),
            Err(why) => self.fail(&why),
        }
    }

    /// Tells the end of the message; [`Filter::next_at_end`] gives what follows.
    pub(super) async fn end_of_body(&mut self, values: &Values<'_>) -> AtEnd {
        match self.write(Command::EndOfBody, &[], values).await {
            Ok(()) => self.next_at_end().await,
            Err(why) => AtEnd::Over(self.blame(&why)),
        }
    }

    /// The next change, or the last word.
    pub(super) async fn next_at_end(&mut self) -> AtEnd {
        let command = Command::EndOfBody;
        loop {
            match self.read(command).await {
                Ok(Answer::Progress) => {}
                Ok(Answer::Change(change)) => return AtEnd::Change(change),
                Ok(Answer::Skip) => return AtEnd::Over(self.blame("SMFIR_SKIP at the end of the message")),
                Err(why) => return AtEnd::Over(self.blame(&why)),
                Ok(answer) => {
                    self.in_message = false;
                    let action = self.take(command, answer);
                    if self.state == State::DoneWithMessage {
                        self.state = State::Hearing;
                    }
                    return AtEnd::Over(action);
                }
            }
        }
    }

    /// What the Milter said makes no sense.
    pub(super) fn blame(&mut self, why: &str) -> Option<Action> {
        self.in_message = false;
        self.fail(why)
    }

    /// The message in hand is not to be.
    pub(super) async fn abort(&mut self) {
        if std::mem::take(&mut self.in_message) && self.wire.is_some() && self.state != State::DoneWithClient
        {
            let sent = self.send(&protocol::packet(b'A', &[]), self.milter.command_time).await;
            if let Err(why) = sent {
                self.fail(&why);
            }
        }
        if self.state == State::DoneWithMessage {
            self.state = State::Hearing;
        }
    }

    /// The session is over.
    pub(super) async fn quit(mut self) {
        if self.wire.is_some() {
            // Who is not there any more need not be told.
            let _ = self.send(&protocol::packet(b'Q', &[]), self.milter.command_time).await;
        }
    }

    // ---- what an answer means

    fn take(&mut self, command: Command, answer: Answer) -> Option<Action> {
        let action = match answer {
            Answer::Continue | Answer::Progress => return None,
            Answer::Skip => {
                self.skips_body = true;
                return None;
            }
            Answer::Accept => None,
            Answer::Reject => Some(Action::Refuse(protocol::rejected())),
            Answer::TempFail => Some(Action::Refuse(protocol::unavailable())),
            Answer::ReplyCode(reply) => Some(Action::Refuse(reply)),
            Answer::Shutdown => Some(Action::Shutdown),
            Answer::Discard if command.concerns_the_connection() => {
                return self.fail(&format!("discard in reply to {}", command.name()));
            }
            Answer::Discard => Some(Action::Discard),
            Answer::Change(_) => return self.fail(&format!("a change in reply to {}", command.name())),
        };
        if command.concerns_the_connection() {
            self.state = State::DoneWithClient;
            self.standing.clone_from(&action);
        } else if matches!(action, None | Some(Action::Discard)) {
            self.state = State::DoneWithMessage;
        }
        action
    }

    /// The Milter is out of order: its default action takes its place.
    fn fail(&mut self, why: &str) -> Option<Action> {
        maillog::warning!(self.log, "milter {}: {why}", self.milter.endpoint);
        self.wire = None;
        self.state = State::DoneWithClient;
        self.standing = match self.milter.default_action {
            DefaultAction::Accept => None,
            DefaultAction::Reject => {
                Some(Action::Refuse(Reply::new(550, mail::Detail(5, 0), "Service unavailable")))
            }
            DefaultAction::TempFail => Some(Action::Refuse(protocol::unavailable())),
            DefaultAction::Quarantine => Some(Action::Hold),
            DefaultAction::Shutdown => Some(Action::Shutdown),
        };
        self.standing.clone()
    }

    // ---- the wire

    async fn begin(&mut self) {
        self.state = State::Hearing;
        let connected = timeout(self.milter.connect_time, self.negotiate()).await;
        let why = match connected {
            Ok(Ok(())) => return,
            Ok(Err(why)) => why,
            Err(_elapsed) => "no answer within milter_connect_timeout".into(),
        };
        self.fail(&why);
    }

    async fn negotiate(&mut self) -> Result<(), Trouble> {
        let wire = self.milter.endpoint.connect().await.map_err(|error| format!("connect: {error}"))?;
        let wire = self.wire.insert(BufStream::new(wire));
        let lost = |error: std::io::Error| format!("negotiation: {error}");
        wire.write_all(&self.milter.version.offer()).await.map_err(lost)?;
        wire.flush().await.map_err(lost)?;
        let (letter, data) = read_packet(wire).await.map_err(|why| format!("negotiation: {why}"))?;
        if letter != b'O' {
            return Err("the answer to the negotiation is none".into());
        }
        self.agreement = self.milter.version.agree(&data)?;
        Ok(())
    }

    async fn exchange(
        &mut self,
        command: Command,
        data: &[u8],
        values: &Values<'_>,
    ) -> Result<Heard, Trouble> {
        self.write(command, data, values).await?;
        let steps = self.agreement.steps;
        if !command.is_wanted(steps) || !command.is_answered(steps) {
            return Ok(Heard::Nothing);
        }
        loop {
            match self.read(command).await? {
                Answer::Progress => {}
                answer => return Ok(Heard::Answer(answer)),
            }
        }
    }

    /// Macros are sent also for a command that the Milter does not want to see: it may need them later.
    async fn write(&mut self, command: Command, data: &[u8], values: &Values<'_>) -> Result<(), Trouble> {
        let chosen =
            self.agreement.macros.iter().find(|(of, _)| *of == command).map(|(_, names)| names.as_str());
        let mut bytes = protocol::macros(command, &values.of_command(command, chosen));
        let is_wanted = command.is_wanted(self.agreement.steps);
        if is_wanted {
            bytes.extend(protocol::packet(command.letter(), data));
        }
        // What nobody waits for goes with what follows.
        let at_once = is_wanted && command.is_answered(self.agreement.steps);
        let limit = self.time_for(command);
        let Some(wire) = &mut self.wire else { return Err("no connection".into()) };
        let send = async {
            wire.write_all(&bytes).await?;
            if at_once { wire.flush().await } else { Ok(()) }
        };
        match timeout(limit, send).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(format!("can't send {}: {error}", command.name())),
            Err(_elapsed) => Err(format!("can't send {}: timeout", command.name())),
        }
    }

    async fn send(&mut self, bytes: &[u8], limit: Duration) -> Result<(), Trouble> {
        let Some(wire) = &mut self.wire else { return Ok(()) };
        let send = async {
            wire.write_all(bytes).await?;
            wire.flush().await
        };
        match timeout(limit, send).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_elapsed) => Err("timeout".into()),
        }
    }

    async fn read(&mut self, command: Command) -> Result<Answer, Trouble> {
        let limit = self.time_for(command);
        let Some(wire) = &mut self.wire else { return Err("no connection".into()) };
        let about = |why: &str| format!("{} reply: {why}", command.name());
        match timeout(limit, read_packet(wire)).await {
            Ok(Ok((letter, data))) => self.agreement.read(letter, &data).map_err(|why| about(&why)),
            Ok(Err(why)) => Err(about(&why)),
            Err(_elapsed) => Err(about("timeout")),
        }
    }

    /// `milter_content_timeout` for the message, `milter_command_timeout` for the rest.
    fn time_for(&self, command: Command) -> Duration {
        match command {
            Command::Header | Command::EndOfHeader | Command::Body | Command::EndOfBody => {
                self.milter.content_time
            }
            _ => self.milter.command_time,
        }
    }
}

async fn read_packet(wire: &mut BufStream<Box<dyn Wire>>) -> Result<(u8, Vec<u8>), Trouble> {
    let length = wire.read_u32().await.map_err(|error| error.to_string())?;
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if length == 0 || length > MAX_PACKET {
        return Err(format!("a packet of {length} bytes"));
    }
    let mut data = vec![0; length];
    wire.read_exact(&mut data).await.map_err(|error| error.to_string())?;
    Ok((data.remove(0), data))
}
