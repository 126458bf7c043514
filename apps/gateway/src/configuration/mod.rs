//! Configuration from the environment and a file. All mistakes are named at once, before anything starts.
//!
//! Must stay true: no secret is ever printed; below this crate nothing reads the environment.

#![allow(clippy::disallowed_methods, reason = "this is a program, and here is where it reads its environment")]

mod server;
pub mod settings;
mod source;

use std::{
    collections::BTreeMap,
    env, fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use crm_mail::{PublicUrl, Route, Sender};
use crm_tenancy::{
    identity::{
        accounts::{AccountOptions, Delivery, SignUp},
        external::Providers,
    },
    sealing::SealingKeys,
    token::{Environment, KeyRing},
};

use crate::{
    address::TrustedProxies,
    keys::KeyPath,
    limits::Policies,
    logging::{Format, Logging},
};

pub use server::{Origins, Patience, ServerSettings};
pub use source::Source;

/// Everything the gateway must know before it starts.
#[derive(Debug)]
pub struct Configuration {
    /// `CRM_DATABASE_URL`: the database, as the role of the application. Required.
    pub database_url: SecretUrl,
    /// `CRM_DATABASE_CONNECTIONS`: connections at most; 16 when absent.
    pub connections: usize,
    /// `CRM_DATABASE_WAIT_SECONDS`: how long a request waits for a connection; 5 s when absent.
    pub connection_wait: Duration,
    /// Where and how to listen.
    pub server: ServerSettings,
    /// `CRM_REDIS_URL`: where several processes count together; in this process when absent.
    pub redis_url: Option<SecretUrl>,
    /// `CRM_RATE_LIMIT_…`: how much is too much.
    pub rate_limits: Policies,
    /// `CRM_METRICS_BIND`: where numbers are told; nowhere when absent.
    pub metrics_bind: Option<SocketAddr>,
    /// `CRM_OTLP_ENDPOINT`: the collector that traces go to; nowhere when absent.
    pub otlp_endpoint: Option<SecretUrl>,
    /// `CRM_LOG`, `CRM_LOG_FORMAT`: what is logged, and how.
    pub logging: Logging,
    /// `CRM_TOKEN_KEY_FILE`: the keys that sign and verify tokens, in a PEM file or a folder of them. Required.
    pub token_keys: KeyRing,
    /// Where they were, to be read again.
    pub token_key_path: KeyPath,
    /// `CRM_SEALING_KEY_FILE`: keys that seal what is kept secret, newest first. Required.
    pub sealing_keys: SealingKeys,
    /// `CRM_PUBLIC_URL`: where people reach the pages that links in letters lead to; `http://` and the bound address when absent.
    pub public_url: PublicUrl,
    /// `CRM_MAIL` and `CRM_MAIL_FROM`: where letters go and whom they come from; nowhere when absent.
    pub mail: Option<Mail>,
    /// `CRM_IDENTITY_PROVIDERS`: JSON file that lists the providers whose tokens are taken; none when absent.
    pub providers: Providers,
    /// `CRM_REGISTRATION`: whether strangers may sign up; `confirm` when absent.
    pub sign_up: SignUp,
    /// `CRM_TRUSTED_PROXIES`: networks, with commas between them, of proxies whose `Forwarded` or `X-Forwarded-For` is believed; none
    /// when absent.
    pub trusted_proxies: TrustedProxies,
}

/// Mail that leaves this process.
#[derive(Debug)]
pub struct Mail {
    /// Where letters go.
    pub route: Route,
    /// Whom they come from.
    pub sender: Sender,
}

/// An address that may have a password in it, which `Debug` does not show.
pub struct SecretUrl(pub String);

impl std::fmt::Debug for SecretUrl {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("SecretUrl(secret)")
    }
}

impl Configuration {
    /// From the environment of this process and the file that it names; with it, where everything came from.
    ///
    /// # Errors
    /// One sentence for every setting that is missing or wrong.
    pub fn from_environment() -> Result<(Self, Source), Vec<String>> {
        let text =
            |(name, value): (std::ffi::OsString, std::ffi::OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
        let environment: BTreeMap<String, String> = env::vars_os().filter_map(text).collect();
        let (source, mut mistakes) = Source::read(&environment);
        let read = Self::read(|name| source.get(name)).map_err(|found| mistakes.extend(found));
        match read {
            Ok(configuration) if mistakes.is_empty() => Ok((configuration, source)),
            _ => Err(mistakes),
        }
    }

    /// What services are told of it.
    #[must_use]
    pub fn accounts(&self) -> AccountOptions {
        let delivery = if self.mail.is_some() { Delivery::On } else { Delivery::Off };
        AccountOptions { sign_up: self.sign_up, delivery }
    }

    fn read(get: impl Fn(&str) -> Option<String>) -> Result<Self, Vec<String>> {
        let mut mistakes = Vec::new();
        let database_url = get("CRM_DATABASE_URL").unwrap_or_else(|| {
            note(&mut mistakes, "CRM_DATABASE_URL is missing: the database's address, as the application's role")
        });
        let connections = parsed(&get, &mut mistakes, "CRM_DATABASE_CONNECTIONS", 16, |number| (1..=1000).contains(number));
        let wait = parsed(&get, &mut mistakes, "CRM_DATABASE_WAIT_SECONDS", 5, |seconds| (1..=60).contains(seconds));
        let server = ServerSettings::read(&get, &mut mistakes);
        let rate_limits = Policies {
            address: parsed(&get, &mut mistakes, "CRM_RATE_LIMIT_ADDRESS", Policies::default().address, |_| true),
            caller: parsed(&get, &mut mistakes, "CRM_RATE_LIMIT_CALLER", Policies::default().caller, |_| true),
            organization: parsed(&get, &mut mistakes, "CRM_RATE_LIMIT_ORGANIZATION", Policies::default().organization, |_| true),
        };
        let redis_url = secret_url(&get, &mut mistakes, "CRM_REDIS_URL", crate::limits::redis::check);
        let otlp_endpoint = secret_url(&get, &mut mistakes, "CRM_OTLP_ENDPOINT", crate::tracing_export::check);
        let metrics_bind = get("CRM_METRICS_BIND").and_then(|text| {
            noted(&mut mistakes, "CRM_METRICS_BIND", text.parse().map_err(|_| format!("`{text}` is not a valid value")))
        });
        let logging = logging(&get, &mut mistakes);
        let trusted_proxies = get("CRM_TRUSTED_PROXIES").unwrap_or_default().parse().unwrap_or_else(|mistake| {
            note(&mut mistakes, &format!("CRM_TRUSTED_PROXIES: {mistake}"));
            TrustedProxies::default()
        });
        let environment = parsed(&get, &mut mistakes, "CRM_ENVIRONMENT", Environment::default(), |_| true);
        let token_keys = key_file(&get, &mut mistakes, "CRM_TOKEN_KEY_FILE", "generate-key", |path| {
            let path = KeyPath(path);
            let ring = path.read().and_then(|keys| KeyRing::new(keys, environment).map_err(|error| error.to_string()));
            ring.map(|ring| (ring, path))
        });
        let sealing_keys = key_file(&get, &mut mistakes, "CRM_SEALING_KEY_FILE", "generate-sealing-key", |path| {
            let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
            let keys = SealingKeys::from_text(&text);
            keys.map_err(|_| format!("{}: holds no sealing keys, a line of base64 each", path.display()))
        });
        let providers = get("CRM_IDENTITY_PROVIDERS").map(PathBuf::from).map_or_else(Providers::default, |file| {
            providers(&file).unwrap_or_else(|found| {
                mistakes
                    .extend(found.into_iter().map(|mistake| format!("CRM_IDENTITY_PROVIDERS: {}: {mistake}", file.display())));
                Providers::default()
            })
        });
        let public_url = get("CRM_PUBLIC_URL").unwrap_or_else(|| format!("http://{}", server.bind));
        let public_url = noted(&mut mistakes, "CRM_PUBLIC_URL", PublicUrl::from_text(&public_url));
        let mail = mail(&get, &mut mistakes);
        let sign_up = noted(&mut mistakes, "CRM_REGISTRATION", sign_up(get("CRM_REGISTRATION").as_deref()));
        match (token_keys, sealing_keys, public_url, sign_up) {
            (Some((token_keys, token_key_path)), Some(sealing_keys), Some(public_url), Some(sign_up)) if mistakes.is_empty() => {
                Ok(Self {
                    database_url: SecretUrl(database_url),
                    connections,
                    connection_wait: Duration::from_secs(wait),
                    server,
                    redis_url,
                    rate_limits,
                    metrics_bind,
                    otlp_endpoint,
                    logging,
                    token_keys,
                    token_key_path,
                    sealing_keys,
                    public_url,
                    mail,
                    sign_up,
                    providers,
                    trusted_proxies,
                })
            }
            _ => Err(mistakes),
        }
    }
}

/// Where letters go, and whom they come from.
fn mail(get: &impl Fn(&str) -> Option<String>, mistakes: &mut Vec<String>) -> Option<Mail> {
    let route = get("CRM_MAIL").map(|text| Route::from_text(&text));
    let sender = match (get("CRM_MAIL_FROM"), &route) {
        (Some(text), _) => Some(text),
        (None, Some(Ok(Route::Smtp(_)))) => {
            mistakes.push("CRM_MAIL_FROM is missing: the address that letters come from".to_owned());
            None
        }
        (None, _) => Some("Ascendore CRM <no-reply@localhost>".to_owned()),
    };
    let sender = sender.and_then(|text| noted(mistakes, "CRM_MAIL_FROM", Sender::from_text(&text)));
    let route = route.and_then(|route| noted(mistakes, "CRM_MAIL", route));
    route.zip(sender).map(|(route, sender)| Mail { route, sender })
}

/// An address that is right as far as one can tell without calling there.
fn secret_url(
    get: &impl Fn(&str) -> Option<String>,
    mistakes: &mut Vec<String>,
    name: &str,
    check: fn(&str) -> Result<(), String>,
) -> Option<SecretUrl> {
    let url = get(name)?;
    noted(mistakes, name, check(&url)).map(|()| SecretUrl(url))
}

fn logging(get: &impl Fn(&str) -> Option<String>, mistakes: &mut Vec<String>) -> Logging {
    let format = match get("CRM_LOG_FORMAT").as_deref() {
        None => Format::fitting(),
        Some("json") => Format::Json,
        Some("text") => Format::Text,
        Some(other) => {
            mistakes.push(format!("CRM_LOG_FORMAT: `{other}` is neither json nor text"));
            Format::Json
        }
    };
    let filter = get("CRM_LOG").unwrap_or_else(|| "info".to_owned());
    let known = crate::logging::check(&filter).map_err(|mistake| format!("`{filter}`: {mistake}"));
    noted(mistakes, "CRM_LOG", known);
    Logging { filter, format }
}

fn sign_up(text: Option<&str>) -> Result<SignUp, String> {
    match text {
        None | Some("confirm") => Ok(SignUp::Confirm),
        Some("open") => Ok(SignUp::Open),
        Some("closed") => Ok(SignUp::Closed),
        Some(other) => Err(format!("`{other}` is none of open, confirm, closed")),
    }
}

/// What was read, or a mistake more.
fn noted<T>(mistakes: &mut Vec<String>, name: &str, read: Result<T, String>) -> Option<T> {
    read.map_err(|mistake| mistakes.push(format!("{name}: {mistake}"))).ok()
}

/// The keys at the path that a variable names.
fn key_file<T>(
    get: &impl Fn(&str) -> Option<String>,
    mistakes: &mut Vec<String>,
    name: &str,
    command: &str,
    read: impl FnOnce(PathBuf) -> Result<T, String>,
) -> Option<T> {
    let keys = match get(name).map(PathBuf::from) {
        None => Err(format!("{name} is missing: make one with `crm-gateway {command} FILE`")),
        Some(path) => read(path).map_err(|mistake| format!("{name}: {mistake}")),
    };
    keys.map_err(|mistake| mistakes.push(mistake)).ok()
}

/// The providers that a file lists. Files with secrets that it names are sought from its own folder.
fn providers(file: &Path) -> Result<Providers, Vec<String>> {
    let text = fs::read_to_string(file).map_err(|error| vec![error.to_string()])?;
    let folder = file.parent().unwrap_or(Path::new(""));
    Providers::from_json(&text, &|secret| {
        let path = folder.join(secret);
        fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))
    })
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

    #[test]
    fn mistakes_about_mail_are_named_without_the_password() {
        let environment = |name: &str| match name {
            "CRM_MAIL" => Some("smtp://user:secret-word@mail.example.com?tls=perhaps".to_owned()),
            "CRM_MAIL_FROM" => Some("nobody".to_owned()),
            "CRM_PUBLIC_URL" => Some("crm.example.com".to_owned()),
            "CRM_REGISTRATION" => Some("maybe".to_owned()),
            _ => None,
        };
        let mistakes = Configuration::read(environment).expect_err("nothing is right");
        assert_eq!(mistakes.len(), 7, "{mistakes:?}");
        assert!(!mistakes.join(" ").contains("secret-word"), "{mistakes:?}");
        let without_sender = |name: &str| (name == "CRM_MAIL").then(|| "smtps://mail.example.com".to_owned());
        let mistakes = Configuration::read(without_sender).expect_err("much is missing");
        assert!(mistakes.iter().any(|mistake| mistake.starts_with("CRM_MAIL_FROM is missing")), "{mistakes:?}");
    }
}
