//! Connections of clients: none is kept for somebody who does nothing with it.
//!
//! The HTTP library bounds how long the first head of a connection takes, and how long it is idle; but half a head after the first
//! request stops its clock. So each connection has a watch of its own that knows only whether a request is under way.
//! Must stay true: the watch holds a second handle of the socket, which goes when the connection does.

use std::{
    any::Any,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use actix_web::{dev::Extensions, rt::net::TcpStream};
use socket2::{SockRef, Socket};

use crate::configuration::Patience;

/// How long a client that reads nothing may keep what it was sent waiting.
const SLOW_READER: Duration = Duration::from_secs(30);

/// How many connections were accepted that have not begun a request yet. Cheap to clone; all clones are one.
#[derive(Debug, Clone, Default)]
pub struct Fresh(Arc<AtomicUsize>);

impl Fresh {
    /// Whether there is one.
    #[must_use]
    pub fn any(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 0
    }
}

/// What is known of one connection.
#[derive(Debug)]
pub struct Watch {
    socket: Socket,
    fresh: Fresh,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    under_way: usize,
    has_begun: bool,
    /// When the last request ended, or the connection began.
    idle_since: Instant,
}

/// A request that is under way; the connection is not idle while this lives.
#[derive(Debug)]
pub struct UnderWay(Arc<Watch>);

/// Begins to watch a connection: called by the server for each.
pub fn watch(connection: &dyn Any, extensions: &mut Extensions, patience: Patience, fresh: &Fresh) {
    let Some(stream) = connection.downcast_ref::<TcpStream>() else { return };
    let socket = SockRef::from(stream);
    bound_slow_reader(&socket);
    let socket = match socket.try_clone() {
        Ok(socket) => socket,
        Err(error) => {
            tracing::warn!(%error, "a connection cannot be watched");
            return;
        }
    };
    let state = State { under_way: 0, has_begun: false, idle_since: Instant::now() };
    fresh.0.fetch_add(1, Ordering::Relaxed);
    let watch = Arc::new(Watch { socket, fresh: fresh.clone(), state: Mutex::new(state) });
    // The library's own clock ends an idle connection politely; this one comes after it.
    actix_web::rt::spawn(end_when_idle(Arc::downgrade(&watch), patience.keep_alive + patience.head));
    extensions.insert(watch);
}

async fn end_when_idle(watch: Weak<Watch>, longest: Duration) {
    let mut rest = longest;
    loop {
        tokio::time::sleep(rest).await;
        let Some(watch) = watch.upgrade() else { return };
        let idle = watch.idle();
        if idle >= longest {
            tracing::debug!("a connection was idle for too long, or sent a head too slowly");
            // Whatever it was, the other end may have gone already.
            let _ = watch.socket.shutdown(std::net::Shutdown::Both);
            return;
        }
        rest = longest - idle;
    }
}

impl Watch {
    /// A request of this connection begins.
    pub fn begin(self: &Arc<Self>) -> UnderWay {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.under_way += 1;
        if !state.has_begun {
            state.has_begun = true;
            self.fresh.0.fetch_sub(1, Ordering::Relaxed);
        }
        drop(state);
        UnderWay(Arc::clone(self))
    }

    fn idle(&self) -> Duration {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.under_way > 0 { Duration::ZERO } else { state.idle_since.elapsed() }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if !self.state.get_mut().unwrap_or_else(PoisonError::into_inner).has_begun {
            self.fresh.0.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.under_way -= 1;
        state.idle_since = Instant::now();
    }
}

/// The kernel ends a connection whose other end takes nothing for so long: answers that nobody reads do not pile up.
#[cfg(target_os = "linux")]
fn bound_slow_reader(socket: &SockRef<'_>) {
    if let Err(error) = socket.set_tcp_user_timeout(Some(SLOW_READER)) {
        tracing::debug!(%error, "a slow reader cannot be bounded");
    }
}

#[cfg(not(target_os = "linux"))]
fn bound_slow_reader(_: &SockRef<'_>) {}
