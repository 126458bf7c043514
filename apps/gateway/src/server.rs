//! The server around the application: where it listens, how patient it is, how it ends.

use std::{io, net::TcpListener, time::Duration};

use actix_web::{HttpServer, dev::Server, web::Data};

use crate::{app, services::Services};

/// How long a client may take to send the head of a request.
const HEAD_PATIENCE: Duration = Duration::from_secs(10);
/// How long an idle connection is kept.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// How many seconds requests under way may take after the signal to end.
const LAST_REQUESTS: u64 = 30;

/// A server that, awaited, serves until SIGTERM or SIGINT and then finishes the requests that are under way.
///
/// # Errors
/// When the socket cannot be listened on.
pub fn serve(listener: TcpListener, services: Services) -> io::Result<Server> {
    let (services, document) = (Data::new(services), Data::new(app::document()));
    let server = HttpServer::new(move || app::app(services.clone(), document.clone()))
        .client_request_timeout(HEAD_PATIENCE)
        .keep_alive(KEEP_ALIVE)
        .shutdown_timeout(LAST_REQUESTS)
        .listen(listener)?;
    Ok(server.run())
}
