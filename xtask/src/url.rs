//! Small edits of a database URL. Only the form `postgres://user:password@host:port/database?options` is taken: the other
//! form, `host=… user=…`, cannot be handed to every program that we start.

use anyhow::{Context, Result, bail};

struct Parts<'a> {
    user: Option<&'a str>,
    host: &'a str,
    database: &'a str,
    options: &'a str,
}

fn split(url: &str) -> Result<Parts<'_>> {
    let Some((scheme, rest)) = url.split_once("://") else { bail!("{NOT_A_URL}") };
    if !matches!(scheme, "postgres" | "postgresql") {
        bail!("{NOT_A_URL}");
    }
    let (rest, options) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
    let (user, host) = match authority.rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, authority),
    };
    Ok(Parts { user, host, database, options })
}

const NOT_A_URL: &str = "the database URL must look like postgres://user:password@host:port/database";

pub fn database(url: &str) -> Result<String> {
    let name = split(url)?.database;
    if name.is_empty() {
        bail!("the database URL names no database: add /crm");
    }
    Ok(name.to_owned())
}

pub fn with_user(url: &str, user: &str, password: &str) -> Result<String> {
    let parts = split(url)?;
    Ok(join(&format!("{user}:{}@", percent_encoded(password)), &parts, parts.database))
}

pub fn with_database(url: &str, database: &str) -> Result<String> {
    let parts = split(url)?;
    let user = parts.user.map(|user| format!("{user}@")).unwrap_or_default();
    Ok(join(&user, &parts, database))
}

/// As variables for libpq's programs.
pub fn for_libpq(url: &str) -> Result<Vec<(&'static str, String)>> {
    let parts = split(url)?;
    let (user, password) = parts.user.map(|user| user.split_once(':').unwrap_or((user, ""))).unwrap_or_default();
    let (host, port) = parts.host.rsplit_once(':').unwrap_or((parts.host, "5432"));
    let mut variables = vec![
        ("PGHOST", percent_decoded(host)),
        ("PGPORT", port.to_owned()),
        ("PGUSER", percent_decoded(user)),
        ("PGPASSWORD", percent_decoded(password)),
        ("PGDATABASE", percent_decoded(parts.database)),
    ];
    let mode = parts.options.split('&').find_map(|option| option.strip_prefix("sslmode="));
    variables.extend(mode.map(|mode| ("PGSSLMODE", mode.to_owned())));
    Ok(variables)
}

/// For showing.
pub fn without_password(url: &str) -> String {
    let shown = split(url).context("unreadable").map(|parts| {
        let user = parts.user.and_then(|user| user.split(':').next()).map(|user| format!("{user}@")).unwrap_or_default();
        format!("postgres://{user}{}/{}", parts.host, parts.database)
    });
    shown.unwrap_or_else(|_| "an unreadable URL".to_owned())
}

fn join(user: &str, parts: &Parts<'_>, database: &str) -> String {
    let options = if parts.options.is_empty() { String::new() } else { format!("?{}", parts.options) };
    format!("postgres://{user}{}/{database}{options}", parts.host)
}

fn percent_encoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

fn percent_decoded(text: &str) -> String {
    let mut pieces = text.split('%');
    let mut bytes: Vec<u8> = pieces.next().unwrap_or_default().bytes().collect();
    for piece in pieces {
        match piece.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => bytes.push(byte),
            None => bytes.extend(piece.bytes().take(2)),
        }
        bytes.extend(piece.bytes().skip(2));
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::{database, for_libpq, with_database, with_user, without_password};

    const URL: &str = "postgres://admin:p%40ss@db.example:5433/crm?sslmode=disable";

    #[test]
    fn another_user_keeps_host_database_and_options() {
        let changed = with_user(URL, "crm_app", "a/b").ok();
        assert_eq!(changed.as_deref(), Some("postgres://crm_app:a%2Fb@db.example:5433/crm?sslmode=disable"));
    }

    #[test]
    fn another_database_keeps_the_user() {
        let changed = with_database(URL, "postgres").ok();
        assert_eq!(changed.as_deref(), Some("postgres://admin:p%40ss@db.example:5433/postgres?sslmode=disable"));
    }

    #[test]
    fn a_program_of_libpq_gets_the_password_as_it_is() {
        let variables = for_libpq(URL).unwrap_or_default();
        assert!(variables.contains(&("PGPASSWORD", "p@ss".to_owned())));
        assert!(variables.contains(&("PGPORT", "5433".to_owned())));
        assert!(variables.contains(&("PGSSLMODE", "disable".to_owned())));
    }

    #[test]
    fn what_is_shown_holds_no_password() {
        assert_eq!(without_password(URL), "postgres://admin@db.example:5433/crm");
    }

    #[test]
    fn a_url_without_database_or_of_another_kind_is_refused() {
        assert!(database("postgres://admin@localhost").is_err());
        assert!(database("host=localhost dbname=crm").is_err());
    }
}
