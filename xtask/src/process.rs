//! Other processes: whether a recorded one still lives, what it is, and how it is ended.
//!
//! A number alone proves nothing: after a reboot it belongs to somebody else. A process is therefore recognised by its number
//! together with its moment of birth or its command line, and nothing else is ever signalled.

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// The command line, or `None` when no such process runs (one that ended and was not collected yet has none either).
pub fn command_line(pid: u32) -> Option<String> {
    if cfg!(target_os = "linux") {
        let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let text = String::from_utf8_lossy(&bytes).replace('\0', " ").trim().to_owned();
        return (!text.is_empty()).then_some(text);
    }
    ask_ps(pid, "command=")
}

/// When the process began, in a form that is only good for comparing.
pub fn birth(pid: u32) -> Option<String> {
    if cfg!(target_os = "linux") {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The second field is the program's name in brackets and may hold spaces; the third is the state, Z for one that ended
        // and was not collected; the twenty-second is the start time. (The command line is empty for a moment after the start.)
        let (_, after_name) = stat.rsplit_once(')')?;
        let mut fields = after_name.split_whitespace();
        let is_alive = fields.next().is_some_and(|state| state != "Z");
        let ticks = fields.nth(18).filter(|_| is_alive)?;
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        return Some(format!("{ticks} {}", boot.trim()));
    }
    ask_ps(pid, "lstart=")
}

fn ask_ps(pid: u32, column: &str) -> Option<String> {
    let output = std::process::Command::new("ps").args(["-o", column, "-p", &pid.to_string()]).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (!text.is_empty()).then_some(text)
}

/// Sends each signal in turn and waits for the process to go, until `is_still_it` says so.
pub async fn end(pid: u32, signals: &[(Signal, Duration)], is_still_it: impl Fn() -> bool) -> bool {
    for (signal, patience) in signals {
        if !is_still_it() {
            return true;
        }
        send(pid, *signal);
        if wait_until(*patience, || !is_still_it()).await {
            return true;
        }
    }
    !is_still_it()
}

pub fn send(pid: u32, signal: Signal) {
    let target = i32::try_from(pid).ok().and_then(Pid::from_raw);
    if let Some(target) = target {
        // Gone already is as good as ended; not allowed shows in the wait that follows.
        let _gone_or_forbidden = rustix::process::kill_process(target, signal);
    }
}

pub async fn wait_until(patience: Duration, done: impl Fn() -> bool) -> bool {
    let begun = Instant::now();
    while !done() {
        if begun.elapsed() > patience {
            return false;
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    true
}
