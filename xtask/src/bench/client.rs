//! One kept connection to a gateway of this machine, which sends a request when the one before it is answered.
//!
//! As little as will do, because the client shares two processors with what it measures. What must stay true: an answer is read to its
//! last byte before it counts.

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// A request, ready to be sent.
pub struct Request {
    pub method: &'static str,
    pub path: String,
    pub body: Option<String>,
}

/// What came back.
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

pub struct Connection {
    stream: BufReader<TcpStream>,
    token: String,
}

impl Connection {
    pub async fn open(port: u16, token: &str) -> Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.context("the gateway takes no connection")?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::with_capacity(64 * 1024, stream), token: token.to_owned() })
    }

    pub async fn send(&mut self, request: &Request) -> Result<Answer> {
        let body = request.body.as_deref().unwrap_or_default();
        let text = format!(
            "{} /api/v1{} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            request.method,
            request.path,
            self.token,
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
        let mut length = None;
        for line in lines {
            let Some((name, value)) = line.split_once(':') else { continue };
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse::<usize>().ok();
            }
        }
        let Some(length) = length.or_else(|| (status == 204).then_some(0)) else {
            bail!("an answer without its length cannot be read");
        };
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).await?;
        Ok(Answer { status, body })
    }

    async fn head(&mut self) -> Result<String> {
        let mut head = Vec::with_capacity(1024);
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.stream.read_u8().await.context("the gateway ended the connection")?);
        }
        String::from_utf8(head).context("that is no HTTP")
    }
}
