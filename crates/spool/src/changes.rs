//! What changes do to the rows of the database.

use mail::{Message, QueueId};
use rusqlite::{Connection, ErrorCode, params};

use crate::rows::{CORRUPT, HELD, Promises, REQUEUED, json, micros};
use crate::store::{ATTEMPTS_KEPT, Change, Content, Held, Progress, RecipientState, StoreError};

/// Carries out one change, within a transaction of the caller's.
pub(crate) fn apply(connection: &Connection, change: &Change) -> Result<(), StoreError> {
    match change {
        Change::Add { message, content, hold } => add(connection, message, content, *hold),
        Change::Recipient { id, position, state } => set_recipient(connection, id, *position, state),
        Change::Defer { id, next_attempt } => execute(
            connection,
            "UPDATE message SET next_attempt = ?2, attempts = attempts + 1, expire = 0 WHERE id = ?1",
            params![id.as_str(), micros(*next_attempt)],
        ),
        Change::Warned { id } => {
            execute(connection, "UPDATE message SET warned = 1 WHERE id = ?1", params![id.as_str()])
        }
        Change::Hold { id, held } => match held {
            Held::No => execute(
                connection,
                "UPDATE message SET held = 0, next_attempt = 0 WHERE id = ?1",
                params![id.as_str()],
            ),
            Held::Yes => hold(connection, id, HELD),
            Held::Corrupt => hold(connection, id, CORRUPT),
            Held::Requeued => hold(connection, id, REQUEUED),
        },
        Change::Expire { id } => {
            execute(connection, "UPDATE message SET expire = 1 WHERE id = ?1", params![id.as_str()])
        }
        Change::Flush { id: Some(id) } => execute(
            connection,
            "UPDATE message SET next_attempt = 0 WHERE id = ?1 AND held = 0",
            params![id.as_str()],
        ),
        Change::Flush { id: None } => {
            execute(connection, "UPDATE message SET next_attempt = 0 WHERE held = 0", params![])
        }
        Change::Remove { id } => remove(connection, id).map(drop),
    }
}

fn hold(connection: &Connection, id: &QueueId, value: i64) -> Result<(), StoreError> {
    execute(connection, "UPDATE message SET held = ?2 WHERE id = ?1", params![id.as_str(), value])
}

/// Takes a message out. True when its content was a file.
pub(crate) fn remove(connection: &Connection, id: &QueueId) -> Result<bool, StoreError> {
    let id = params![id.as_str()];
    execute(connection, "DELETE FROM recipient WHERE message = ?1", id)?;
    execute(connection, "DELETE FROM attempt WHERE message = ?1", id)?;
    let in_row = "DELETE FROM message WHERE id = ?1 AND body IS NOT NULL";
    if connection.prepare_cached(in_row)?.execute(id)? > 0 {
        return Ok(false);
    }
    Ok(connection.prepare_cached("DELETE FROM message WHERE id = ?1")?.execute(id)? > 0)
}

/// One statement, kept for the next time.
pub(crate) fn execute(
    connection: &Connection,
    statement: &str,
    values: &[&dyn rusqlite::ToSql],
) -> Result<(), StoreError> {
    connection.prepare_cached(statement)?.execute(values)?;
    Ok(())
}

fn add(connection: &Connection, message: &Message, content: &Content, hold: bool) -> Result<(), StoreError> {
    let envelope = &message.envelope;
    let promises = Promises {
        body: envelope.body,
        smtputf8: envelope.smtputf8,
        ret: envelope.ret,
        envid: envelope.envid.clone(),
        require_tls: envelope.require_tls,
        verp: envelope.verp.clone(),
        tls_optional: envelope.tls_optional,
        purpose: envelope.purpose,
        data_size: Some(message.data_size),
    };
    let inserted = connection
        .prepare_cached(
            "INSERT INTO message (id, arrival, next_attempt, held, size, checksum, sender, promises, origin, filter, body)
             VALUES (?1, ?2, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )?
        .execute(params![
            message.id.as_str(),
            micros(message.arrival),
            hold,
            message.size as i64,
            message.checksum,
            envelope.sender.as_str(),
            json(&promises)?,
            json(&message.origin)?,
            message.filter,
            match content {
                Content::Inline(bytes) => Some(bytes.as_slice()),
                Content::File => None,
            },
        ]);
    match inserted {
        Err(rusqlite::Error::SqliteFailure(error, _)) if error.code == ErrorCode::ConstraintViolation => {
            return Err(StoreError::Exists(message.id));
        }
        other => other?,
    };
    let mut statement = connection.prepare_cached(
        "INSERT INTO recipient (message, position, address, original, dsn, state)
         VALUES (?1, ?2, ?3, ?4, ?5, 'pending')",
    )?;
    for (position, recipient) in envelope.recipients.iter().enumerate() {
        statement.execute(params![
            message.id.as_str(),
            position as i64,
            recipient.address.as_str(),
            recipient.original.as_str(),
            json(&(&recipient.orcpt, &recipient.notify))?,
        ])?;
    }
    Ok(())
}

fn set_recipient(
    connection: &Connection,
    id: &QueueId,
    position: u32,
    state: &RecipientState,
) -> Result<(), StoreError> {
    let (word, progress) = match state {
        RecipientState::Done => {
            return execute(
                connection,
                "DELETE FROM recipient WHERE message = ?1 AND position = ?2",
                params![id.as_str(), position],
            );
        }
        RecipientState::Pending => ("pending", None),
        RecipientState::Deferred(progress) => ("deferred", Some(progress)),
        RecipientState::Failed(progress) => ("failed", Some(progress)),
        RecipientState::Delivered(progress) => ("delivered", Some(progress)),
    };
    execute(
        connection,
        "UPDATE recipient SET state = ?3, status = ?4, reason = ?5, relay = ?6, remote_mta = ?7, remote_reply = ?8,
         tls = ?9, tried = ?10 WHERE message = ?1 AND position = ?2",
        params![
            id.as_str(),
            position,
            word,
            progress.map(|p| p.status.to_string()),
            progress.map(|p| &p.text),
            progress.map(|p| &p.relay),
            progress.and_then(|p| p.remote.as_ref()).map(|(mta, _)| mta),
            progress.and_then(|p| p.remote.as_ref()).map(|(_, reply)| reply),
            progress.map(|p| &p.tls),
            progress.map_or(0, |p| micros(p.at)),
        ],
    )?;
    match state {
        RecipientState::Deferred(progress) => add_attempt(connection, id, position, progress),
        _ => Ok(()),
    }
}

/// Remembers a failed attempt, and forgets the oldest beyond [`ATTEMPTS_KEPT`].
fn add_attempt(
    connection: &Connection,
    id: &QueueId,
    position: u32,
    progress: &Progress,
) -> Result<(), StoreError> {
    execute(
        connection,
        "INSERT INTO attempt (message, position, tried, status, reason, relay, remote_mta, remote_reply, tls)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT DO NOTHING",
        params![
            id.as_str(),
            position,
            micros(progress.at),
            progress.status.to_string(),
            progress.text,
            progress.relay,
            progress.remote.as_ref().map(|(mta, _)| mta),
            progress.remote.as_ref().map(|(_, reply)| reply),
            progress.tls,
        ],
    )?;
    execute(
        connection,
        "DELETE FROM attempt WHERE message = ?1 AND position = ?2 AND tried <=
         (SELECT tried FROM attempt WHERE message = ?1 AND position = ?2 ORDER BY tried DESC LIMIT 1 OFFSET ?3)",
        params![id.as_str(), position, ATTEMPTS_KEPT as i64],
    )
}
