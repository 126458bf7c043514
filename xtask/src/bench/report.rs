//! A line of the table from several slices: medians, and how far apart the slices were.

use std::fs;
use std::time::Duration;

use crate::bench::Options;
use crate::bench::load::Seen;

pub struct Row {
    operation: &'static str,
    connections: usize,
    rate: f64,
    /// Half of what lies between the slowest and the fastest slice, in parts of the median.
    spread: f64,
    p50: f64,
    p95: f64,
    p99: f64,
    gateway: f64,
    postgres: f64,
    memory: f64,
}

impl Row {
    pub fn of(operation: &'static str, connections: usize, slices: &[Seen]) -> Self {
        let milliseconds = |time: Duration| time.as_secs_f64() * 1000.0;
        let rates: Vec<f64> = slices.iter().map(|it| it.rate).collect();
        let rate = median(slices.iter().map(|it| it.rate));
        let (slowest, fastest) = rates.iter().fold((f64::MAX, 0.0_f64), |(low, high), rate| (low.min(*rate), high.max(*rate)));
        Self {
            operation,
            connections,
            rate,
            spread: (fastest - slowest) / 2.0 / rate,
            p50: median(slices.iter().map(|it| milliseconds(it.p50))),
            p95: median(slices.iter().map(|it| milliseconds(it.p95))),
            p99: median(slices.iter().map(|it| milliseconds(it.p99))),
            gateway: median(slices.iter().map(|it| it.gateway)),
            postgres: median(slices.iter().map(|it| it.postgres)),
            memory: slices.iter().map(|it| it.memory).fold(0.0, f64::max),
        }
    }

    pub fn line(&self) -> String {
        format!(
            "| {} | {} | {:.0} ± {:.0} % | {:.1} | {:.1} | {:.1} | {:.2} | {:.2} | {:.0} |",
            self.operation,
            self.connections,
            self.rate,
            self.spread * 100.0,
            self.p50,
            self.p95,
            self.p99,
            self.gateway,
            self.postgres,
            self.memory
        )
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

pub fn section(options: &Options, rows: &[Row]) -> String {
    let lines: Vec<String> = rows.iter().map(Row::line).collect();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("?").to_owned();
    let processors = std::thread::available_parallelism().map_or(0, usize::from);
    format!(
        "## Operations on a large organisation\n\n\
         200,000 companies, 1,000,000 contacts, 300,000 deals, as `cargo xtask seed --scale` makes them. The gateway is compiled as it is deployed; it, PostgreSQL and \
         the client share {processors} processors (load at the end {load}). Requests a second and times are medians of {} slices of {} seconds, the spread is half of what lies \
         between the slowest and the fastest. Every answer is checked; one that is not what was asked for ends the run, so there are no errors to count. Processor time is \
         what one request took of the gateway and of all of PostgreSQL.\n\n\
         | operation | connections | requests/s | p50 ms | p95 ms | p99 ms | CPU ms gateway | CPU ms PostgreSQL | memory MB |\n\
         | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n{}\n\n\
         Again: `cargo xtask bench --write`.",
        options.slices,
        options.seconds,
        lines.join("\n")
    )
}
