//! Tables that are a question to a database: the file that says how to reach it, the question with the key filled in, and the result
//! made from what comes back (mysql_table(5), pgsql_table(5), sqlite_table(5), ldap_table(5)).

pub(crate) mod ldap;
pub(crate) mod mysql;
pub(crate) mod pgsql;
mod pool;
mod settings;
mod sql;
pub(crate) mod sqlite;
mod template;

pub(crate) use settings::ClientSettings;
pub(crate) use template::Template;
