//! Opening a connection: with TLS when the address says `sslmode=require`, in the clear otherwise.
//!
//! Must stay true: with TLS the server's certificate is verified against the machine's trusted roots and its name, always.
//! There is no mode that encrypts without knowing for whom. A root of one's own comes with `SSL_CERT_FILE`, which then names all
//! that are trusted. And: nobody waits for a machine that is gone longer than these times, unless the address says otherwise.

use std::{sync::Arc, time::Duration};

use diesel::{ConnectionError, ConnectionResult};
use diesel_async::AsyncPgConnection;
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};
use tokio::{runtime::Handle, task::JoinSet};
use tokio_postgres::{Config, NoTls, config::SslMode};
use tokio_postgres_rustls::MakeRustlsConnect;

/// For the other side to take a connection.
const ANSWER: Duration = Duration::from_secs(5);
/// For the other side to acknowledge what was sent. A machine that lost its power says nothing, and without this the kernel
/// asks it again for a quarter of an hour. Longer than any statement may take, and a server that works acknowledges at once.
const ACKNOWLEDGE: Duration = Duration::from_secs(15);
/// Of silence, after which the other side is asked whether it is still there; and how often, before it counts as gone.
const SILENCE: Duration = Duration::from_secs(30);
const ASKED_EVERY: Duration = Duration::from_secs(10);
const ASKED: u32 = 3;

/// A connection to this address that lives on this runtime and outlives the asker's; on the asker's where there is no other, or where
/// the other one has ended.
pub(crate) async fn establish_on(home: Option<Handle>, url: String) -> ConnectionResult<AsyncPgConnection> {
    let Some(home) = home else { return establish(&url).await };
    // Dropped half way, the set ends what it began.
    let mut opening = JoinSet::new();
    let address = url.clone();
    opening.spawn_on(async move { establish(&address).await }, &home);
    match opening.join_next().await {
        Some(Ok(opened)) => opened,
        Some(Err(ended)) if ended.is_panic() => Err(bad(ended)),
        _ => establish(&url).await,
    }
}

/// A connection to this address.
pub(crate) async fn establish(url: &str) -> ConnectionResult<AsyncPgConnection> {
    let config = impatient(read(url)?, url);
    if let Some(tls) = required_tls(url)? {
        let (client, connection) = config.connect(tls).await.map_err(bad)?;
        return AsyncPgConnection::try_from_client_and_connection(client, connection).await;
    }
    let (client, connection) = config.connect(NoTls).await.map_err(bad)?;
    AsyncPgConnection::try_from_client_and_connection(client, connection).await
}

fn read(url: &str) -> ConnectionResult<Config> {
    url.parse().map_err(|error: tokio_postgres::Error| ConnectionError::InvalidConnectionUrl(error.to_string()))
}

/// With the times above wherever the address names none.
fn impatient(mut config: Config, url: &str) -> Config {
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(ANSWER);
    }
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(ACKNOWLEDGE);
    }
    // These have a value of their own, so that only the address itself can tell whether it was meant.
    if !url.contains("keepalives") {
        config.keepalives_idle(SILENCE).keepalives_interval(ASKED_EVERY).keepalives_retries(ASKED);
    }
    config
}

/// What to connect with when the address demands TLS; none when it does not. For programs that administer a database and open
/// connections of their own.
///
/// # Errors
/// When the address cannot be read.
pub fn required_tls(url: &str) -> ConnectionResult<Option<MakeRustlsConnect>> {
    if read(url)?.get_ssl_mode() != SslMode::Require {
        return Ok(None);
    }
    verifying().map(MakeRustlsConnect::new).map(Some)
}

fn verifying() -> ConnectionResult<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(bad)?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

fn bad(error: impl std::fmt::Display) -> ConnectionError {
    ConnectionError::BadConnection(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::{ACKNOWLEDGE, SILENCE, impatient, read};

    #[test]
    fn nobody_waits_for_a_machine_that_is_gone_unless_the_address_says_so() {
        let url = "postgres://crm_app@db/crm";
        let config = read(url).map(|config| impatient(config, url)).unwrap_or_default();
        assert_eq!((config.get_tcp_user_timeout(), config.get_keepalives_idle()), (Some(&ACKNOWLEDGE), SILENCE));
        let url = "postgres://crm_app@db/crm?tcp_user_timeout=90&keepalives_idle=600&connect_timeout=60";
        let config = read(url).map(|config| impatient(config, url)).unwrap_or_default();
        assert_eq!(config.get_tcp_user_timeout().map(std::time::Duration::as_secs), Some(90));
        assert_eq!(
            (config.get_keepalives_idle().as_secs(), config.get_connect_timeout().map(|time| time.as_secs())),
            (600, Some(60))
        );
    }
}
