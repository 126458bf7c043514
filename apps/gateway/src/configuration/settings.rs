//! Every setting there is: its name, what it is when nobody says anything, and whether it is a secret.
//!
//! Must stay true: what is not listed here is not read; docs/CONFIGURATION.md describes exactly these, which a test compares.

/// Whether a setting may be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// As it is.
    Openly,
    /// Never; it may also be given as the name of a file that holds it, as `<name>_FILE`.
    Never,
}

/// One setting.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Of the environment variable: `CRM_BIND`. In a configuration file it is called `bind`.
    pub name: &'static str,
    /// In words, as the documentation says it: a value, `required` or `none`.
    pub default: &'static str,
    /// Whether it may be shown.
    pub shown: Shown,
}

const fn open(name: &'static str, default: &'static str) -> Setting {
    Setting { name, default, shown: Shown::Openly }
}

const fn secret(name: &'static str, default: &'static str) -> Setting {
    Setting { name, default, shown: Shown::Never }
}

/// All of them, in the order of the documentation.
pub const SETTINGS: &[Setting] = &[
    secret("CRM_DATABASE_URL", "required"),
    open("CRM_TOKEN_KEY_FILE", "required"),
    open("CRM_SEALING_KEY_FILE", "required"),
    open("CRM_ENVIRONMENT", "default"),
    open("CRM_PUBLIC_URL", "http:// and the bound address"),
    secret("CRM_MAIL", "none"),
    open("CRM_MAIL_FROM", "required with SMTP"),
    open("CRM_REGISTRATION", "confirm"),
    open("CRM_IDENTITY_PROVIDERS", "none"),
    open("CRM_BIND", "127.0.0.1:8080"),
    open("CRM_TRUSTED_PROXIES", "none"),
    open("CRM_CORS_ORIGINS", "none"),
    open("CRM_CLIENT_CONNECTIONS", "10000"),
    open("CRM_HEAD_SECONDS", "10"),
    open("CRM_BODY_SECONDS", "30"),
    open("CRM_REQUEST_SECONDS", "60"),
    open("CRM_KEEP_ALIVE_SECONDS", "75"),
    open("CRM_DRAIN_SECONDS", "5"),
    open("CRM_DATABASE_CONNECTIONS", "16"),
    open("CRM_DATABASE_WAIT_SECONDS", "5"),
    secret("CRM_REDIS_URL", "none"),
    open("CRM_RATE_LIMIT_ADDRESS", "6000/60"),
    open("CRM_RATE_LIMIT_CALLER", "1200/60"),
    open("CRM_RATE_LIMIT_ORGANIZATION", "6000/60"),
    open("CRM_METRICS_BIND", "none"),
    secret("CRM_OTLP_ENDPOINT", "none"),
    open("CRM_LOG", "info"),
    open("CRM_LOG_FORMAT", "text on a terminal, else json"),
];

impl Setting {
    /// What it is called in a configuration file: `database_url`.
    #[must_use]
    pub fn key(&self) -> String {
        self.name.trim_start_matches("CRM_").to_ascii_lowercase()
    }
}
