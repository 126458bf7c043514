//! One kept connection to a server, which sends a request when the one before it is answered.
//!
//! As little as will do, because the client shares two processors with what it measures. What must stay true: an answer is read to its
//! last byte before it counts.

use std::borrow::Cow;

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// No piece of an answer is longer.
const LONGEST: usize = 64 * 1024 * 1024;

/// A request, ready to be sent.
pub struct Request {
    pub method: Cow<'static, str>,
    pub path: String,
    pub body: Option<String>,
}

/// What came back.
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

/// Where a server listens, without encryption, and what it is told with each request.
#[derive(Clone, Debug)]
pub struct Server {
    /// `127.0.0.1:8080`
    pub address: String,
    /// What all paths begin with.
    pub base: String,
    /// Lines of a head, each with its end.
    pub headers: String,
}

impl Server {
    /// A gateway of this machine.
    pub fn gateway(port: u16, token: &str) -> Self {
        let headers = format!("Authorization: Bearer {token}\r\n");
        Self { address: format!("127.0.0.1:{port}"), base: "/api/v1".into(), headers }
    }
}

pub struct Connection<'a> {
    stream: BufReader<TcpStream>,
    server: &'a Server,
}

impl<'a> Connection<'a> {
    pub async fn open(server: &'a Server) -> Result<Self> {
        let stream =
            TcpStream::connect(&server.address).await.with_context(|| format!("{} takes no connection", server.address))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::with_capacity(64 * 1024, stream), server })
    }

    pub async fn send(&mut self, request: &Request) -> Result<Answer> {
        let body = request.body.as_deref().unwrap_or_default();
        let Server { address, base, headers } = self.server;
        let text = format!(
            "{} {base}{} HTTP/1.1\r\nHost: {address}\r\n{headers}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            request.method,
            request.path,
            body.len()
        );
        self.stream.get_mut().write_all(text.as_bytes()).await?;
        self.answer().await
    }

    async fn answer(&mut self) -> Result<Answer> {
        let head = self.head().await?;
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|status| status.parse().ok());
        let status = status.context("that is no HTTP")?;
        let (mut length, mut in_pieces) = (None, false);
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse::<usize>().ok();
            }
            in_pieces |= name.eq_ignore_ascii_case("transfer-encoding") && value.trim().eq_ignore_ascii_case("chunked");
        }
        let body = match length.or_else(|| (status == 204).then_some(0)) {
            Some(length) => self.read(length).await?,
            None if in_pieces => self.pieces().await?,
            None => bail!("an answer without its length cannot be read"),
        };
        Ok(Answer { status, body })
    }

    async fn read(&mut self, length: usize) -> Result<Vec<u8>> {
        ensure!(length <= LONGEST, "an answer of {length} bytes is too long");
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).await?;
        Ok(body)
    }

    /// Each with its length in hexadecimal before it, the last one empty: RFC 9112, section 7.1. Nobody sends trailers unasked.
    async fn pieces(&mut self) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = self.until(b"\r\n").await?;
            let digits = line.split(';').next().unwrap_or_default().trim();
            let length = usize::from_str_radix(digits, 16).context("that is no length of a piece")?;
            ensure!(body.len() + length <= LONGEST, "an answer is too long");
            body.extend(self.read(length).await?);
            self.read(2).await?;
            if length == 0 {
                return Ok(body);
            }
        }
    }

    async fn head(&mut self) -> Result<String> {
        self.until(b"\r\n\r\n").await
    }

    async fn until(&mut self, end: &[u8]) -> Result<String> {
        let mut read = Vec::with_capacity(1024);
        while !read.ends_with(end) {
            read.push(self.stream.read_u8().await.context("the server ended the connection")?);
        }
        String::from_utf8(read).context("that is no HTTP")
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::{Connection, Request, Server};

    #[tokio::test]
    async fn answers_are_read_whole_however_they_come() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let answers = [
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwhole",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nin \r\nA\r\npieces 123\r\n0\r\n\r\n",
            "HTTP/1.1 204 No Content\r\n\r\n",
        ];
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            for answer in answers {
                let mut asked = Vec::new();
                while !asked.ends_with(b"\r\n\r\n{}") {
                    asked.push(stream.read_u8().await.expect("a request"));
                }
                assert!(asked.starts_with(b"PATCH /base/thing HTTP/1.1\r\n"), "{}", String::from_utf8_lossy(&asked));
                stream.write_all(answer.as_bytes()).await.expect("an answer");
            }
        });
        let at = Server { address, base: "/base".into(), headers: "X-Key: a\r\n".into() };
        let mut connection = Connection::open(&at).await.expect("a connection");
        for (status, body) in [(200, "whole"), (200, "in pieces 123"), (204, "")] {
            let request = Request { method: "PATCH".into(), path: "/thing".into(), body: Some("{}".into()) };
            let answer = connection.send(&request).await.expect("an answer");
            assert_eq!((answer.status, answer.body.as_slice()), (status, body.as_bytes()));
        }
        server.await.expect("it was asked three times");
    }
}
