//! Somebody who calls a gateway of this machine: just enough HTTP to get the tokens that the runs need.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::seed::DEMO_PASSWORD;

const PATIENCE: Duration = Duration::from_secs(30);

/// The token of a new session of somebody whose password is that of the demo.
pub async fn log_in(port: u16, email: &str) -> Result<String> {
    let body = json!({ "email": email, "password": DEMO_PASSWORD });
    let answer = post(port, "/api/v1/auth/login", None, &body).await?;
    text(&answer, "access_token")
}

/// A new API token of theirs.
pub async fn api_token(port: u16, email: &str) -> Result<String> {
    let session = log_in(port, email).await?;
    let body = json!({ "name": "conformance", "password": DEMO_PASSWORD });
    let answer = post(port, "/api/v1/auth/tokens", Some(&session), &body).await?;
    text(&answer, "token")
}

fn text(answer: &Value, name: &str) -> Result<String> {
    answer.get(name).and_then(Value::as_str).map(ToOwned::to_owned).with_context(|| format!("there is no {name} in {answer}"))
}

async fn post(port: u16, path: &str, token: Option<&str>, body: &Value) -> Result<Value> {
    let body = body.to_string();
    let authorization = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\nContent-Type: application/json\r\n{authorization}\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    let ask = async {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.write_all(format!("{head}{body}").as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    let answer = tokio::time::timeout(PATIENCE, ask).await.with_context(|| format!("{path} does not answer"))??;
    let Some((head, body)) = answer.split_once("\r\n\r\n") else { bail!("{path} answers no HTTP") };
    if !head.starts_with("HTTP/1.1 2") {
        bail!("{path}: {}\n{body}", head.lines().next().unwrap_or_default());
    }
    serde_json::from_str(body).with_context(|| format!("{path} answers no JSON"))
}
