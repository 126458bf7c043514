//! Where letters go, as configuration says it: `mailbox:FOLDER`, `smtp://…` or `smtps://…`.
//!
//! Must stay true: no mistake that is named here repeats the address, which may hold a password; nothing leaves this machine
//! unencrypted unless the configuration says so in words.

use std::{net::IpAddr, path::PathBuf, sync::Arc};

use crate::{
    Mailbox, Mailer, Smtp,
    smtp::{self, Encryption},
};

/// Where letters go.
#[derive(Clone, PartialEq, Eq)]
pub enum Route {
    /// Into a folder.
    Mailbox(PathBuf),
    /// To a server; what lettre takes, and how the conversation is encrypted.
    Smtp(ServerAddress),
}

/// A server's address, which `Debug` does not show.
#[derive(Clone, PartialEq, Eq)]
pub struct ServerAddress {
    address: String,
    encryption: Encryption,
}

impl std::fmt::Debug for Route {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Mailbox(folder) => formatter.debug_tuple("Mailbox").field(folder).finish(),
            Self::Smtp(server) => server.fmt(formatter),
        }
    }
}

impl std::fmt::Debug for ServerAddress {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Smtp(secret, {:?})", self.encryption)
    }
}

impl Route {
    /// From configuration.
    ///
    /// # Errors
    /// A sentence that says what is wrong, without the address.
    pub fn from_text(text: &str) -> Result<Self, String> {
        if let Some(folder) = text.strip_prefix("mailbox:") {
            return if folder.is_empty() { Err("mailbox: needs a folder".into()) } else { Ok(Self::Mailbox(folder.into())) };
        }
        let (address, query) = text.split_once('?').map_or((text, None), |(address, query)| (address, Some(query)));
        let host = host(address).ok_or("expected mailbox:FOLDER, smtp://HOST or smtps://HOST")?;
        let encryption = match (address.starts_with("smtps://"), query) {
            (true, None) => Encryption::Implicit,
            (true, Some(_)) => return Err("smtps:// is always encrypted and takes nothing after a `?`".into()),
            (false, Some("tls=none")) => Encryption::None,
            (false, Some("tls=required")) => Encryption::StartTls,
            (false, Some(_)) => return Err("after the `?` stands tls=required or tls=none".into()),
            (false, None) if is_loopback(host) => Encryption::None,
            (false, None) => Encryption::StartTls,
        };
        let address = address.to_owned();
        smtp::builder(&address, encryption)?;
        Ok(Self::Smtp(ServerAddress { address, encryption }))
    }

    /// What takes the letters.
    ///
    /// # Errors
    /// A sentence when it cannot, such as a folder that others may enter.
    pub fn open(&self) -> Result<Arc<dyn Mailer>, String> {
        Ok(match self {
            Self::Mailbox(folder) => Arc::new(Mailbox::open(folder.clone())?),
            Self::Smtp(server) => Arc::new(Smtp::open(&server.address, server.encryption)?),
        })
    }
}

/// The host of `smtp://user:password@host:port/name`.
fn host(address: &str) -> Option<&str> {
    let rest = address.strip_prefix("smtp://").or_else(|| address.strip_prefix("smtps://"))?;
    let authority = rest.split('/').next()?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = match host.strip_prefix('[') {
        Some(six) => six.split_once(']')?.0,
        None => host.split(':').next()?,
    };
    (!host.is_empty()).then_some(host)
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

    use super::*;

    fn encryption(text: &str) -> Encryption {
        match Route::from_text(text) {
            Ok(Route::Smtp(server)) => server.encryption,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn nothing_leaves_the_machine_unencrypted_unless_it_is_said() {
        for remote in
            ["smtp://mail.example.com", "smtp://u:p@mail.example.com:587", "smtp://127.0.0.1.example.com", "smtp://10.0.0.1"]
        {
            assert_eq!(encryption(remote), Encryption::StartTls, "{remote}");
        }
        assert_eq!(encryption("smtp://mail.example.com?tls=none"), Encryption::None);
        for local in ["smtp://127.0.0.1:25", "smtp://localhost", "smtp://u:p@127.0.0.2:2525", "smtp://[::1]:2525"] {
            assert_eq!(encryption(local), Encryption::None, "{local}");
        }
        assert_eq!(encryption("smtp://localhost?tls=required"), Encryption::StartTls);
        assert_eq!(encryption("smtps://u:p@mail.example.com"), Encryption::Implicit);
    }

    #[test]
    fn mistakes_are_named_without_the_password() {
        for bad in [
            "",
            "mailbox:",
            "mail.example.com",
            "http://user:secret-word@x",
            "smtp://",
            "smtp://user:secret-word@",
            "smtp://user:secret-word@x:port",
            "smtp://user:secret-word@x?tls=maybe",
            "smtps://user:secret-word@x?tls=none",
            "smtp://user:secret-word@[::1",
        ] {
            let mistake = Route::from_text(bad).unwrap_err();
            assert!(!mistake.is_empty() && !mistake.contains("secret-word"), "{bad}: {mistake}");
        }
        let shown = format!("{:?}", Route::from_text("smtp://user:secret-word@mail.example.com").unwrap());
        assert!(!shown.contains("secret-word"), "{shown}");
    }
}
