//! The socket to listen on: one that was handed over, or one of our own.
//!
//! Handed over it is by systemd's socket activation (`LISTEN_FDS`): the socket then outlives the process, and what clients send
//! between two processes waits in it.

use std::{
    io,
    net::{SocketAddr, TcpListener},
};

use listenfd::ListenFd;

/// Listens where this process was told to.
///
/// # Errors
/// When the address cannot be had, or what was handed over is no listening TCP socket.
pub fn listen(bind: SocketAddr) -> io::Result<TcpListener> {
    let mut handed_over = ListenFd::from_env();
    if handed_over.len() == 0 {
        return TcpListener::bind(bind);
    }
    let missing = || io::Error::new(io::ErrorKind::InvalidInput, "the first socket that was handed over is none to listen on");
    handed_over.take_tcp_listener(0)?.ok_or_else(missing)
}
