//! What a waiting person sees: a line per step with the seconds it took, and a dot every three seconds of a long one.

use std::future::Future;
use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::Result;

const DOT_EVERY: Duration = Duration::from_secs(3);

/// Runs a silent step on one line.
pub async fn step<T>(name: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
    let begun = Instant::now();
    say(&format!("{name} "));
    tokio::pin!(work);
    let result = loop {
        tokio::select! {
            result = &mut work => break result,
            () = tokio::time::sleep(DOT_EVERY) => say("."),
        }
    };
    let verdict = if result.is_ok() { "" } else { "failed after " };
    say(&format!(" {verdict}{}\n", seconds(begun.elapsed())));
    result
}

/// Runs a step that prints lines of its own.
pub async fn talking_step<T>(name: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
    let begun = Instant::now();
    say(&format!("{name}\n"));
    let result = work.await;
    let verdict = if result.is_ok() { "done in" } else { "failed after" };
    say(&format!("{name}: {verdict} {}\n", seconds(begun.elapsed())));
    result
}

pub fn seconds(elapsed: Duration) -> String {
    format!("{:.1} s", elapsed.as_secs_f64())
}

/// Prints at once. A reader that went away (`cargo xtask up | head`) must not end the work half way, so that is no error.
pub fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    drop(written);
}

/// The same for what went wrong.
pub fn complain(text: &str) {
    drop(std::io::stderr().lock().write_all(text.as_bytes()));
}
