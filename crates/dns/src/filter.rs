//! smtpd_dns_reply_filter and its relatives (postconf(5)): somebody sees each record of an answer as text, and says which do not count.
//!
//! The tables are the caller's. Answers are kept in the cache as they came, so that services with different filters share it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::answer::Answer;
use crate::failure::Failure;
use crate::record::{Data, Rr, Type};

/// Asked with a record in the form `mx.test. 300 IN MX 10 a.test.`: does it count? `None`: that can not be said.
pub type ReplyFilter =
    Arc<dyn Fn(String) -> Pin<Box<dyn Future<Output = Option<bool>> + Send>> + Send + Sync>;

/// The answer without the records that do not count. The null MX is not shown, nor are the aliases on the way.
pub(crate) async fn apply(
    filter: &ReplyFilter,
    answer: Arc<Answer<Rr>>,
    kind: Type,
) -> Result<Arc<Answer<Rr>>, Failure> {
    if answer.records.iter().any(|record| matches!(&record.data, Data::Mx(mx) if mx.is_null())) {
        return Ok(answer);
    }
    let mut dropped = vec![false; answer.records.len()];
    for (record, dropped) in answer.records.iter().zip(&mut dropped) {
        let text = format!("{}. {} IN {} {}", answer.name, record.ttl.as_secs(), kind.rtype(), record.data);
        *dropped = !filter(text).await.ok_or(Failure::BadFilter)?;
    }
    if !dropped.contains(&true) {
        return Ok(answer);
    }
    if !dropped.contains(&false) {
        return Err(Failure::Filtered);
    }
    let mut answer = Arc::unwrap_or_clone(answer);
    let mut dropped = dropped.into_iter();
    answer.records.retain(|_| dropped.next() == Some(false));
    Ok(Arc::new(answer))
}
