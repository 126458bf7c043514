//! The same load on another server: what each operation is called there is said by a map.
//!
//! Must stay true: slices alternate with those of the gateway, and each answer is checked there too, as far as the map says how.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::bench::capture;
use crate::bench::client::{Answer, Request, Server};
use crate::bench::load::{self, Asked, OfGateway, Target, Times};
use crate::bench::operations::{Operation, nth};
use crate::bench::report::median;

/// What a map says.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Map {
    /// Sent with every request.
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// Ids and words that the other server knows, by what paths and bodies call them in braces.
    #[serde(default)]
    records: BTreeMap<String, Vec<String>>,
    /// By the name of the gateway's operation; those that are not here are not compared.
    operations: BTreeMap<String, Mapped>,
}

/// How the other server is asked for the same.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Mapped {
    method: String,
    /// With the names of records in braces, each filled in; `{new}` is a number that no request had yet.
    path: String,
    /// The same in its texts.
    body: Option<Value>,
    status: u16,
    /// What the answer has somewhere.
    holds: Option<String>,
}

pub struct Other {
    server: Server,
    map: Map,
    new: AtomicU32,
}

impl Other {
    /// At an address such as `http://127.0.0.1:3000/api`.
    pub fn at(address: &str, map: &Path) -> Result<Self> {
        let rest = address.strip_prefix("http://").context("the other server is asked without encryption: http://…")?;
        let text = std::fs::read_to_string(map).with_context(|| format!("cannot read {}", map.display()))?;
        let map: Map = serde_json::from_str(&text).context("that is no map")?;
        let (host, base) = rest.split_once('/').map_or((rest, String::new()), |(host, base)| (host, format!("/{base}")));
        let address = if host.contains(':') { host.to_owned() } else { format!("{host}:80") };
        let headers: String = map.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        ensure!(map.headers.iter().all(|(name, value)| !format!("{name}{value}").contains(['\r', '\n'])), "a header is one line");
        let server = Server { address, base: base.trim_end_matches('/').to_owned(), headers };
        Ok(Self { server, map, new: AtomicU32::new(capture::drawn()?) })
    }

    pub fn knows(&self, operation: &Operation) -> bool {
        self.map.operations.contains_key(operation.name)
    }

    /// Both, one slice after the other.
    pub async fn compare(
        &self,
        target: &Target<'_>,
        operation: &Operation,
        connections: usize,
        of: (usize, Duration),
    ) -> Result<Compared> {
        let (slices, time) = of;
        let mapped = self.map.operations.get(operation.name).context("the map does not know the operation")?;
        let (own, other) = (OfGateway(target, operation), OfOther { other: self, mapped });
        let mut seen = Vec::new();
        for _ in 0..slices {
            load::warm(&own, connections).await.with_context(|| operation.name)?;
            let gateway = load::timed(&own, connections, time).await.with_context(|| operation.name)?;
            load::warm(&other, connections).await.with_context(|| format!("{} of the other", operation.name))?;
            seen.push((
                gateway,
                load::timed(&other, connections, time).await.with_context(|| format!("{} of the other", operation.name))?,
            ));
        }
        Ok(Compared {
            operation: operation.name,
            connections,
            gateway: Figures::of(&seen.iter().map(|(gateway, _)| *gateway).collect::<Vec<_>>()),
            other: Figures::of(&seen.iter().map(|(_, other)| *other).collect::<Vec<_>>()),
        })
    }
}

struct OfOther<'a> {
    other: &'a Other,
    mapped: &'a Mapped,
}

impl Asked for OfOther<'_> {
    fn server(&self) -> &Server {
        &self.other.server
    }

    fn turns(&self) -> usize {
        1
    }

    fn request(&self, connection: usize, turn: usize) -> Request {
        let new = self.other.new.fetch_add(1, Ordering::Relaxed).to_string();
        let filled =
            |text: &str| {
                let named =
                    self.other.map.records.iter().fold(text.to_owned(), |text, (name, all)| {
                        text.replace(&format!("{{{name}}}"), nth(all, connection, turn))
                    });
                named.replace("{new}", &new)
            };
        let body = self.mapped.body.as_ref().map(|body| filled(&body.to_string()));
        Request { method: self.mapped.method.clone().into(), path: filled(&self.mapped.path), body }
    }

    fn check(&self, answer: &Answer) -> Result<()> {
        ensure!(answer.status == self.mapped.status, "it is answered {}", answer.status);
        let holds = self.mapped.holds.as_ref().is_none_or(|what| String::from_utf8_lossy(&answer.body).contains(what));
        ensure!(holds, "the answer is not what was asked for");
        Ok(())
    }
}

/// Medians of the slices.
#[derive(Serialize)]
struct Figures {
    rate: f64,
    p50: f64,
    p95: f64,
    p99: f64,
}

impl Figures {
    fn of(slices: &[Times]) -> Self {
        let took = |share: fn(&Times) -> Duration| median(slices.iter().map(|times| share(times).as_secs_f64() * 1000.0));
        let rate = median(slices.iter().map(|times| times.rate));
        Self { rate, p50: took(|it| it.p50), p95: took(|it| it.p95), p99: took(|it| it.p99) }
    }
}

/// A line of the comparison. Times are milliseconds.
#[derive(Serialize)]
pub struct Compared {
    operation: &'static str,
    connections: usize,
    gateway: Figures,
    other: Figures,
}

impl Compared {
    pub fn line(&self) -> String {
        let Self { operation, connections, gateway, other } = self;
        let figures = |of: &Figures| format!("{:.0} | {:.1} | {:.1} | {:.1}", of.rate, of.p50, of.p95, of.p99);
        let ratio = gateway.rate / other.rate;
        format!("| {operation} | {connections} | {} | {} | {ratio:.2} |", figures(gateway), figures(other))
    }
}

/// The comparison as a section of the document.
pub fn section(rows: &[Compared]) -> String {
    let lines: Vec<String> = rows.iter().map(Compared::line).collect();
    format!(
        "## Beside another server\n\n\
         The same load, slice by slice, on the gateway and on another server; medians, and requests a second of the gateway by those of the other.\n\n\
         | operation | connections | requests/s | p50 ms | p95 ms | p99 ms | the other's requests/s | p50 ms | p95 ms | p99 ms | ratio |\n\
         | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n{}\n\n\
         Again: `cargo xtask bench --against URL --map FILE --write`.",
        lines.join("\n")
    )
}

#[cfg(test)]
mod tests {
    use super::{Asked, OfOther, Other};

    #[test]
    fn a_map_says_how_another_server_is_asked() {
        let map = std::env::temp_dir().join(format!("crm-bench-map-{}.json", std::process::id()));
        let text = r#"{ "headers": { "X-Key": "secret" }, "records": { "person": ["7", "8"] },
                        "operations": { "create a contact": { "method": "POST", "path": "/people/{person}", "status": 200, "holds": "id",
                                        "body": { "email": "{new}@mail.example", "knows": "{person}" } } } }"#;
        std::fs::write(&map, text).expect("a file");
        let other = Other::at("http://127.0.0.1:3000/api/", &map).expect("a map");
        let mapped = &other.map.operations["create a contact"];
        let asked = OfOther { other: &other, mapped };
        let (first, second) = (asked.request(0, 0), asked.request(0, 1));
        assert_eq!((first.path.as_str(), second.path.as_str()), ("/people/7", "/people/8"));
        assert!(first.body.as_ref().is_some_and(|body| body.contains("\"knows\":\"7\"")) && first.body != second.body);
        let server = asked.server();
        assert_eq!(
            (server.address.as_str(), server.base.as_str(), server.headers.as_str()),
            ("127.0.0.1:3000", "/api", "X-Key: secret\r\n")
        );
        assert!(Other::at("https://127.0.0.1", &map).is_err(), "encryption would be measured too");
        std::fs::remove_file(&map).expect("it was there");
    }
}
