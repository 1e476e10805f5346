//! How messages and their recipients stand in the rows of the database, and how they are read from them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mail::{Address, BodyType, Envelope, Message, Notify, Origin, Purpose, QueueId, Recipient, Return};
use rusqlite::Row;
use rusqlite::types::{Type, ValueRef};
use serde::{Deserialize, Serialize};

use crate::store::{Held, Overview, Progress, RecipientState, StoreError, Stored, Waiting};

/// The columns of a message, in the order that [`read_message`] expects; `body` is last and may be left out.
pub(crate) const MESSAGE: &str = "id, arrival, next_attempt, attempts, held, warned, expire, size, checksum, sender, promises, \
                       origin, filter";

/// The columns of a message and a recipient in the order that [`read_overview`] and [`read_waiting`] expect.
pub(crate) const OVERVIEW: &str =
    "id, arrival, attempts, held, expire, size, sender, promises, address, original, state, reason";

/// Values of the column `held`.
pub(crate) const HELD: i64 = 1;
pub(crate) const CORRUPT: i64 = 2;
pub(crate) const REQUEUED: i64 = 3;

/// The promises of an envelope, as they stand in their column. What is added later gets a default, for the rows of before.
#[derive(Serialize, Deserialize)]
pub(crate) struct Promises {
    pub(crate) body: BodyType,
    pub(crate) smtputf8: bool,
    pub(crate) ret: Option<Return>,
    pub(crate) envid: Option<String>,
    pub(crate) require_tls: bool,
    #[serde(default)]
    pub(crate) verp: Option<String>,
    #[serde(default)]
    pub(crate) tls_optional: bool,
    #[serde(default)]
    pub(crate) purpose: Purpose,
    /// No promise, but what is shown of each message: a column behind the body would have the database read all of that first. The
    /// bytes of the content stand in where it is missing.
    #[serde(default)]
    pub(crate) data_size: Option<u64>,
}

/// A message; of one whose row is damaged what can be read. One damaged row must not keep the others from being delivered.
pub(crate) fn read_or_damaged(row: &Row<'_>) -> rusqlite::Result<Stored> {
    let why = match read_message(row) {
        Ok(stored) => return Ok(stored),
        Err(error) => in_row(error)?,
    };
    let number = |column: usize| row.get::<_, i64>(column).unwrap_or(0);
    Ok(Stored {
        message: Message {
            id: parsed(row, 0, QueueId::parse)?,
            envelope: Envelope {
                sender: parsed(row, 9, |text| Address::internal(text).ok()).unwrap_or_default(),
                ..Envelope::default()
            },
            origin: Origin::Internal,
            arrival: time(number(1)),
            size: number(7).unsigned_abs(),
            data_size: number(7).unsigned_abs(),
            checksum: row.get(8).unwrap_or(0),
            filter: None,
        },
        states: Vec::new(),
        body: row.get(13).unwrap_or(None),
        held: held(number(4)),
        damage: Some(format!("its row is damaged: {why}")),
        next_attempt: time(number(2)),
        attempts: 0,
        warned: false,
        expire: false,
    })
}

/// What listings show of a message, without its recipients; of a damaged one what can be read.
pub(crate) fn read_overview(row: &Row<'_>) -> rusqlite::Result<Overview> {
    /// Of the promises; the rest is passed over.
    #[derive(Deserialize)]
    struct Shown {
        #[serde(default)]
        data_size: Option<u64>,
    }
    let size = row.get::<_, i64>(5).map(i64::unsigned_abs);
    let sender = text(row, 6).and_then(|text| Address::internal(text).map_err(|_| unreadable(6, text)));
    let shown = text(row, 7).and_then(|text| {
        serde_json::from_str(text).map_err(|error: serde_json::Error| damaged(7, error.to_string()))
    });
    let is_damaged = size.is_err() || sender.is_err() || shown.is_err();
    let Shown { data_size } = shown.unwrap_or(Shown { data_size: None });
    let id = text(row, 0)?;
    Ok(Overview {
        id: QueueId::parse(id).ok_or_else(|| unreadable(0, id))?,
        arrival: time(row.get(1).unwrap_or(0)),
        data_size: data_size.or(size.ok()).unwrap_or(0),
        sender: sender.unwrap_or_default(),
        held: held(row.get(3).unwrap_or(0)),
        is_damaged,
        attempts: row.get(2).unwrap_or(0),
        expire: row.get(4).unwrap_or(false),
        recipients: Vec::new(),
    })
}

/// What listings show of a recipient, if the row has one.
pub(crate) fn read_waiting(row: &Row<'_>) -> rusqlite::Result<Option<Waiting>> {
    if row.get_ref(8)? == ValueRef::Null {
        return Ok(None);
    }
    let address = |column| {
        let text = text(row, column)?;
        Address::internal(text).map_err(|_| unreadable(column, text))
    };
    let reason = match text(row, 10)? {
        "deferred" | "failed" => Some(text(row, 11)?.to_owned()),
        "pending" | "delivered" => None,
        other => return Err(damaged(10, format!("state {other:?}"))),
    };
    Ok(Some(Waiting { address: address(8)?, original: address(9)?, reason }))
}

/// What is wrong with one row; other trouble is everybody's.
pub(crate) fn in_row(error: rusqlite::Error) -> rusqlite::Result<String> {
    match error {
        rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::InvalidColumnType(..)
        | rusqlite::Error::IntegralValueOutOfRange(..) => Ok(error.to_string()),
        other => Err(other),
    }
}

pub(crate) fn held(value: i64) -> Held {
    match value {
        0 => Held::No,
        CORRUPT => Held::Corrupt,
        REQUEUED => Held::Requeued,
        _ => Held::Yes,
    }
}

pub(crate) fn read_message(row: &Row<'_>) -> rusqlite::Result<Stored> {
    let Promises { body, smtputf8, ret, envid, require_tls, tls_optional, verp, purpose, data_size } =
        from_json(row, 10)?;
    let origin: Origin = from_json(row, 11)?;
    let size: i64 = row.get(7)?;
    Ok(Stored {
        message: Message {
            id: parsed(row, 0, QueueId::parse)?,
            envelope: Envelope {
                sender: parsed(row, 9, |text| Address::internal(text).ok())?,
                recipients: Vec::new(),
                body,
                smtputf8,
                ret,
                envid,
                require_tls,
                verp,
                tls_optional,
                purpose,
            },
            origin,
            arrival: time(row.get(1)?),
            size: size.unsigned_abs(),
            data_size: data_size.unwrap_or(size.unsigned_abs()),
            checksum: row.get(8)?,
            filter: row.get(12)?,
        },
        states: Vec::new(),
        body: row.get(13)?,
        held: held(row.get(4)?),
        damage: None,
        next_attempt: time(row.get(2)?),
        attempts: row.get(3)?,
        warned: row.get(5)?,
        expire: row.get(6)?,
    })
}

pub(crate) fn read_recipient(row: &Row<'_>) -> rusqlite::Result<(u32, Recipient, RecipientState)> {
    let (orcpt, notify): (Option<String>, Notify) = from_json(row, 3)?;
    let recipient = Recipient {
        address: parsed(row, 1, |text| Address::internal(text).ok())?,
        original: parsed(row, 2, |text| Address::internal(text).ok())?,
        orcpt,
        notify,
    };
    let progress = || read_progress(row, 5);
    let state = match text(row, 4)? {
        "pending" => RecipientState::Pending,
        "deferred" => RecipientState::Deferred(progress()?),
        "failed" => RecipientState::Failed(progress()?),
        "delivered" => RecipientState::Delivered(progress()?),
        other => return Err(damaged(4, format!("state {other:?}"))),
    };
    Ok((row.get(0)?, recipient, state))
}

/// Status, reason, relay, remote_mta, remote_reply, tls and tried, beginning at column `first`.
pub(crate) fn read_progress(row: &Row<'_>, first: usize) -> rusqlite::Result<Progress> {
    let (mta, reply): (Option<String>, Option<String>) = (row.get(first + 3)?, row.get(first + 4)?);
    Ok(Progress {
        status: parsed(row, first, |text| text.parse().ok())?,
        text: row.get(first + 1)?,
        relay: row.get(first + 2)?,
        remote: mta.zip(reply),
        tls: row.get(first + 5)?,
        at: time(row.get(first + 6)?),
    })
}

pub(crate) fn parsed<T>(
    row: &Row<'_>,
    column: usize,
    parse: impl Fn(&str) -> Option<T>,
) -> rusqlite::Result<T> {
    let text = text(row, column)?;
    parse(text).ok_or_else(|| unreadable(column, text))
}

/// A text where it stands.
fn text<'a>(row: &'a Row<'_>, column: usize) -> rusqlite::Result<&'a str> {
    let value = row.get_ref(column)?;
    value.as_str().map_err(|error| damaged(column, error.to_string()))
}

fn unreadable(column: usize, text: &str) -> rusqlite::Error {
    damaged(column, format!("value {text:?}"))
}

pub(crate) fn from_json<T: serde::de::DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    serde_json::from_str(text(row, column)?).map_err(|error| damaged(column, error.to_string()))
}

pub(crate) fn damaged(column: usize, what: String) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, what.into())
}

pub(crate) fn json<T: serde::Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Other(error.to_string()))
}

/// Microseconds since 1970, as all times stand in the tables.
pub(crate) fn micros(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_micros()).unwrap_or(i64::MAX),
        Err(_) => 0,
    }
}

pub(crate) fn time(micros: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}
