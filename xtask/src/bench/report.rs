//! A line of the table from several slices: medians, and how far apart the slices were; and the same for machines.

use std::fs;
use std::time::Duration;

use serde::Serialize;

use crate::bench::{Measured, Options, load, pgbench};

/// Times are milliseconds, of processors too; memory is in MB of 1,048,576 bytes, and rates are requests a second.
#[derive(Serialize)]
pub struct Row {
    pub operation: &'static str,
    pub connections: usize,
    rate: Spread,
    pub p50: f64,
    pub p95: f64,
    pub p99: f64,
    gateway: f64,
    postgres: f64,
    memory: f64,
    /// Of pgbench.
    raw_rate: Spread,
    raw_postgres: f64,
}

/// A median, and half of what lies between the lowest and the highest, in parts of it.
#[derive(Serialize)]
struct Spread {
    median: f64,
    half: f64,
}

impl Spread {
    fn of(values: impl Iterator<Item = f64> + Clone) -> Self {
        let median = median(values.clone());
        let (lowest, highest) = values.fold((f64::MAX, 0.0_f64), |(low, high), value| (low.min(value), high.max(value)));
        Self { median, half: (highest - lowest) / 2.0 / median }
    }

    fn text(&self) -> String {
        format!("{:.0} ± {:.0} %", self.median, self.half * 100.0)
    }
}

impl Row {
    pub fn of(operation: &'static str, connections: usize, slices: &[(load::Seen, pgbench::Seen)]) -> Self {
        let milliseconds = |time: Duration| time.as_secs_f64() * 1000.0;
        let served = |figure: fn(&load::Seen) -> f64| median(slices.iter().map(|(it, _)| figure(it)));
        let took = |share: fn(&load::Seen) -> Duration| median(slices.iter().map(|(it, _)| milliseconds(share(it))));
        Self {
            operation,
            connections,
            rate: Spread::of(slices.iter().map(|(it, _)| it.times.rate)),
            p50: took(|it| it.times.p50),
            p95: took(|it| it.times.p95),
            p99: took(|it| it.times.p99),
            gateway: served(|it| it.gateway),
            postgres: served(|it| it.postgres),
            memory: slices.iter().map(|(it, _)| it.memory).fold(0.0, f64::max),
            raw_rate: Spread::of(slices.iter().map(|(_, raw)| raw.rate)),
            raw_postgres: median(slices.iter().map(|(_, raw)| raw.postgres)),
        }
    }

    pub fn line(&self) -> String {
        format!(
            "| {} | {} | {} | {:.1} | {:.1} | {:.1} | {:.2} | {:.2} | {:.0} | {} | {:.2} | {:.2} |",
            self.operation,
            self.connections,
            self.rate.text(),
            self.p50,
            self.p95,
            self.p99,
            self.gateway,
            self.postgres,
            self.memory,
            self.raw_rate.text(),
            self.raw_postgres,
            self.ratio(),
        )
    }

    /// Of its requests a second by those of pgbench.
    pub fn ratio(&self) -> f64 {
        self.rate.median / self.raw_rate.median
    }
}

pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// The table for machines.
pub fn json(options: &Options, measured: &Measured) -> serde_json::Result<String> {
    let ready = measured.ready.as_secs_f64() * 1000.0;
    serde_json::to_string_pretty(&serde_json::json!({
        "slices": options.slices,
        "seconds": options.seconds,
        "ready": ready,
        "operations": measured.rows,
        "against": measured.compared,
    }))
}

pub fn section(options: &Options, measured: &Measured) -> String {
    let lines: Vec<String> = measured.rows.iter().map(Row::line).collect();
    let ready = measured.ready.as_millis();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("?").to_owned();
    let processors = std::thread::available_parallelism().map_or(0, usize::from);
    format!(
        "## Operations on a large organisation\n\n\
         200,000 companies, 1,000,000 contacts, 300,000 deals, as `cargo xtask seed --scale` makes them. The gateway is compiled as it is deployed; it, PostgreSQL and \
         the client share {processors} processors (load at the end {load}). Requests a second and times are medians of {} slices of {} seconds, the spread is half of what lies \
         between the slowest and the fastest. Every answer is checked; one that is not what was asked for ends the run, so there are no errors to count. Processor time is \
         what one request took of the gateway and of all of PostgreSQL. The gateway was ready {ready} ms after its start.\n\n\
         The three columns on the right are pgbench's, whose slices alternate with the gateway's: the statements that the gateway was seen to ask, in the same \
         transactions, prepared (the thousand contacts as texts, because there are more values than pgbench prepares). The ratio is requests/s of the gateway by those of pgbench.\n\n\
         | operation | connections | requests/s | p50 ms | p95 ms | p99 ms | CPU ms gateway | CPU ms PostgreSQL | memory MB | pgbench/s | CPU ms PostgreSQL | ratio |\n\
         | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n{}\n\n\
         ![The table as a picture](benchmarks/operations.svg)\n\n\
         Again: `cargo xtask bench --write`; `--json` writes the table for machines.",
        options.slices,
        options.seconds,
        lines.join("\n")
    )
}
