//! Opening a connection: with TLS when the address says `sslmode=require`, in the clear otherwise.
//!
//! Must stay true: with TLS the server's certificate is verified against the machine's trusted roots and its name, always.
//! There is no mode that encrypts without knowing for whom; a root of one's own is added with `SSL_CERT_FILE`.

use std::sync::Arc;

use diesel::{ConnectionError, ConnectionResult};
use diesel_async::AsyncPgConnection;
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};
use tokio_postgres::{Config, NoTls, config::SslMode};
use tokio_postgres_rustls::MakeRustlsConnect;

/// A connection to this address.
pub(crate) async fn establish(url: &str) -> ConnectionResult<AsyncPgConnection> {
    if let Some(tls) = required_tls(url)? {
        let (client, connection) = tokio_postgres::connect(url, tls).await.map_err(bad)?;
        return AsyncPgConnection::try_from_client_and_connection(client, connection).await;
    }
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.map_err(bad)?;
    AsyncPgConnection::try_from_client_and_connection(client, connection).await
}

/// What to connect with when the address demands TLS; none when it does not. For programs that administer a database and open
/// connections of their own.
///
/// # Errors
/// When the address cannot be read.
pub fn required_tls(url: &str) -> ConnectionResult<Option<MakeRustlsConnect>> {
    let read = url.parse::<Config>();
    let config = read.map_err(|error| ConnectionError::InvalidConnectionUrl(error.to_string()))?;
    if config.get_ssl_mode() != SslMode::Require {
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
