//! SMTP: a mail server that takes letters from us.
//!
//! Must stay true: a certificate that does not belong to the server is refused; no step waits for ever; credentials are never printed.

use std::time::Duration;

use async_trait::async_trait;
use crm_tenancy::identity::letters::Failure;
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor, transport::smtp};

use crate::Mailer;

/// How long one step of a conversation may take.
const STEP: Duration = Duration::from_secs(10);
/// How long a letter may take in all.
const CONVERSATION: Duration = Duration::from_secs(20);

/// Answers of a server about the recipient: trying again changes nothing. Others with a 5 in front may be mended, such as a wrong
/// password of ours.
const UNREACHABLE: [u16; 5] = [501, 510, 550, 551, 553];

/// How the conversation is kept from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encryption {
    /// From the first byte.
    Implicit,
    /// After STARTTLS, without which nothing is said.
    StartTls,
    /// Not at all.
    None,
}

/// A server that takes letters.
pub struct Smtp {
    transport: AsyncSmtpTransport<Tokio1Executor>,
}

impl std::fmt::Debug for Smtp {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Smtp")
    }
}

impl Smtp {
    /// `address` is what lettre takes: scheme, credentials, host and port.
    pub(crate) fn open(address: &str, encryption: Encryption) -> Result<Self, String> {
        Ok(Self { transport: builder(address, encryption)?.timeout(Some(STEP)).build() })
    }
}

/// What an address says, without opening anything.
pub(crate) fn builder(address: &str, encryption: Encryption) -> Result<smtp::AsyncSmtpTransportBuilder, String> {
    let address = match encryption {
        Encryption::StartTls => format!("{address}?tls=required"),
        Encryption::Implicit | Encryption::None => address.to_owned(),
    };
    // The error of lettre would repeat the address, and the password in it.
    AsyncSmtpTransport::<Tokio1Executor>::from_url(&address).map_err(|_| "not an address of a mail server".to_owned())
}

#[async_trait]
impl Mailer for Smtp {
    async fn send(&self, message: Message) -> Result<(), Failure> {
        match tokio::time::timeout(CONVERSATION, self.transport.send(message)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(failure(&error)),
            Err(_) => Err(Failure::Temporary("the mail server took too long".into())),
        }
    }
}

fn failure(error: &smtp::Error) -> Failure {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text.push_str(&format!(": {inner}"));
        cause = inner.source();
    }
    let is_unreachable = error.status().is_some_and(|code| UNREACHABLE.contains(&u16::from(code)));
    if is_unreachable { Failure::Permanent(text) } else { Failure::Temporary(text) }
}
