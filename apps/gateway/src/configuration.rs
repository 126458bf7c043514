//! Configuration from the environment. All mistakes are named at once, before anything starts.
//!
//! Must stay true: no secret is ever printed; below this crate nothing reads the environment.

#![allow(clippy::disallowed_methods, reason = "this is a program, and here is where it reads its environment")]

use std::{env, fs, net::SocketAddr, path::PathBuf};

use crm_tenancy::{sealing::SealingKeys, token::TokenKey};

/// Everything the gateway must know before it starts.
#[derive(Debug)]
pub struct Configuration {
    /// `CRM_DATABASE_URL`: the database, as the role of the application. Required.
    pub database_url: DatabaseUrl,
    /// `CRM_DATABASE_CONNECTIONS`: connections at most; 16 when absent.
    pub connections: usize,
    /// `CRM_BIND`: where to listen; 127.0.0.1:8080 when absent.
    pub bind: SocketAddr,
    /// `CRM_TOKEN_KEY_FILE`: PEM file of the key that signs access tokens. Required.
    pub token_key: TokenKey,
    /// `CRM_SEALING_KEY_FILE`: keys that seal what is kept secret, newest first. Required.
    pub sealing_keys: SealingKeys,
}

/// An address with a password in it, which `Debug` does not show.
pub struct DatabaseUrl(pub String);

impl std::fmt::Debug for DatabaseUrl {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("DatabaseUrl(secret)")
    }
}

impl Configuration {
    /// From the environment of this process.
    ///
    /// # Errors
    /// One sentence for every variable that is missing or wrong.
    pub fn from_environment() -> Result<Self, Vec<String>> {
        Self::read(|name| env::var(name).ok().filter(|value| !value.is_empty()))
    }

    fn read(get: impl Fn(&str) -> Option<String>) -> Result<Self, Vec<String>> {
        let mut mistakes = Vec::new();
        let database_url = get("CRM_DATABASE_URL").unwrap_or_else(|| {
            note(&mut mistakes, "CRM_DATABASE_URL is missing: the database's address, as the application's role")
        });
        let connections = parsed(&get, &mut mistakes, "CRM_DATABASE_CONNECTIONS", 16, |number| (1..=1000).contains(number));
        let bind = parsed(&get, &mut mistakes, "CRM_BIND", SocketAddr::from(([127, 0, 0, 1], 8080)), |_| true);
        let token_key = key_file(&get, &mut mistakes, "CRM_TOKEN_KEY_FILE", "generate-key", |pem| {
            TokenKey::from_pem(pem).map_err(|_| "holds no Ed25519 key in PEM".to_owned())
        });
        let sealing_keys = key_file(&get, &mut mistakes, "CRM_SEALING_KEY_FILE", "generate-sealing-key", |text| {
            SealingKeys::from_text(text).map_err(|_| "holds no sealing keys, a line of base64 each".to_owned())
        });
        match (token_key, sealing_keys) {
            (Some(token_key), Some(sealing_keys)) if mistakes.is_empty() => {
                Ok(Self { database_url: DatabaseUrl(database_url), connections, bind, token_key, sealing_keys })
            }
            _ => Err(mistakes),
        }
    }
}

/// The keys in the file that a variable names.
fn key_file<T>(
    get: &impl Fn(&str) -> Option<String>,
    mistakes: &mut Vec<String>,
    name: &str,
    command: &str,
    read: impl Fn(&str) -> Result<T, String>,
) -> Option<T> {
    let keys = match get(name).map(PathBuf::from) {
        None => Err(format!("{name} is missing: make one with `crm-gateway {command} FILE`")),
        Some(path) => fs::read_to_string(&path)
            .map_err(|error| error.to_string())
            .and_then(|text| read(&text))
            .map_err(|mistake| format!("{name}: {}: {mistake}", path.display())),
    };
    keys.map_err(|mistake| mistakes.push(mistake)).ok()
}

fn note(mistakes: &mut Vec<String>, mistake: &str) -> String {
    mistakes.push(mistake.to_owned());
    String::new()
}

fn parsed<T: std::str::FromStr>(
    get: &impl Fn(&str) -> Option<String>,
    mistakes: &mut Vec<String>,
    name: &str,
    default: T,
    valid: fn(&T) -> bool,
) -> T {
    let Some(text) = get(name) else { return default };
    match text.parse() {
        Ok(value) if valid(&value) => value,
        _ => {
            mistakes.push(format!("{name}: `{text}` is not a valid value"));
            default
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Configuration;

    #[test]
    fn all_mistakes_are_named_at_once() {
        let environment = |name: &str| (name == "CRM_BIND").then(|| "nowhere".to_owned());
        let mistakes = Configuration::read(environment).expect_err("nothing is right");
        assert_eq!(mistakes.len(), 4, "{mistakes:?}");
    }
}
