//! The server around the application: to whom it listens, how patient it is, how it ends.
//!
//! Must stay true: whoever was accepted is answered. At the end readiness goes first, then listening, then what is under way is
//! finished.

use std::{
    io,
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::available_parallelism,
    time::Duration,
};

use actix_web::{
    HttpServer,
    dev::{Server, ServerHandle},
    web::Data,
};
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    app,
    configuration::{Origins, Patience},
    connection::{self, Fresh},
    services::Services,
};

/// How many seconds requests under way may take after listening has ended.
const LAST_REQUESTS: u64 = 30;
/// How long connections that were accepted just before listening ended take to reach whoever serves them.
const LAST_ACCEPTED: Duration = Duration::from_millis(250);
/// How long a connection that was accepted has to begin its request before it is closed.
const LAST_HEADS: Duration = Duration::from_secs(2);
/// How often is looked whether all of them have.
const LOOK: Duration = Duration::from_millis(10);

/// What a client meets before any route.
#[derive(Debug, Clone, Default)]
pub struct Front {
    /// How long it may take.
    pub patience: Patience,
    /// Pages of browsers that may call.
    pub origins: Origins,
    /// Whether browsers are told to come encrypted.
    pub transport: Transport,
}

/// How people reach the gateway.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Transport {
    /// Perhaps unencrypted: on this machine, for development.
    #[default]
    Any,
    /// Encrypted, always.
    Encrypted,
}

/// Whether new requests should come here. Cheap to clone; all clones are one.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<AtomicBool>);

impl Readiness {
    /// From now on they should go elsewhere.
    pub fn end(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether they should go elsewhere.
    #[must_use]
    pub fn is_ending(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A server that serves until it is told to stop; connections of clients at most, all workers together.
///
/// # Errors
/// When the socket cannot be listened on.
pub fn serve(listener: TcpListener, services: Services, connections: usize, fresh: Fresh) -> io::Result<Server> {
    let patience = services.front.patience;
    let workers = available_parallelism().map_or(2, usize::from).min(connections.max(1));
    let (services, document) = (Data::new(services), Data::new(app::document()));
    let server = HttpServer::new(move || app::app(services.clone(), document.clone()))
        .workers(workers)
        .max_connections((connections / workers).max(1))
        .client_request_timeout(patience.head)
        .keep_alive(patience.keep_alive)
        .shutdown_timeout(LAST_REQUESTS)
        .on_connect(move |connection, extensions| connection::watch(connection, extensions, patience, &fresh))
        .disable_signals()
        .listen(listener)?;
    Ok(server.run())
}

/// Ends the server in order when the process is told to: on SIGTERM it says for as long as `drain` that it is not ready and goes on
/// serving, so that whoever sends requests here has time to send them elsewhere; on SIGINT, or on a second signal, at once.
///
/// # Errors
/// When signals cannot be listened for.
pub fn end_on_signal(server: ServerHandle, readiness: Readiness, fresh: Fresh, drain: Duration) -> io::Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::spawn(async move {
        let drain = tokio::select! {
            _ = terminate.recv() => drain,
            _ = interrupt.recv() => Duration::ZERO,
        };
        readiness.end();
        tracing::info!(seconds = drain.as_secs(), "ending: no longer ready");
        tokio::select! {
            () = tokio::time::sleep(drain) => {}
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        server.pause().await;
        tokio::time::sleep(LAST_ACCEPTED).await;
        // The library closes what has not begun a request, and its client could not know.
        let begun = async {
            while fresh.any() {
                tokio::time::sleep(LOOK).await;
            }
        };
        let _ = tokio::time::timeout(LAST_HEADS, begun).await;
        server.stop(true).await;
    });
    Ok(())
}
