//! Runs the commands of the steps; keeps what they print, and finds in it what says why one failed.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::environment::Environment;
use crate::{cargo, logfile};

const SHOWN_LINES: usize = 40;

pub struct Runner<'a> {
    environment: &'a Environment,
    logs: PathBuf,
}

impl<'a> Runner<'a> {
    pub fn new(environment: &'a Environment) -> Result<Self> {
        let logs = environment.state.join("test-logs");
        fs::create_dir_all(&logs).with_context(|| format!("cannot make {}", logs.display()))?;
        Ok(Self { environment, logs })
    }

    pub fn log_of(&self, step: &str) -> String {
        fs::read(self.log_file(step)).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    fn log_file(&self, step: &str) -> PathBuf {
        self.logs.join(format!("{step}.log"))
    }

    pub fn keep(&self, step: &str, output: &str) -> Result<()> {
        fs::write(self.log_file(step), output).with_context(|| format!("cannot write the log of {step}"))
    }

    pub async fn cargo(&self, step: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Result<()> {
        let mut command = cargo::command(self.environment);
        command.args(arguments).env("CARGO_TERM_COLOR", "never").env_remove("DATABASE_URL");
        command.envs(variables.iter().copied());
        self.command(step, command).await
    }

    pub async fn command(&self, step: &str, mut command: tokio::process::Command) -> Result<()> {
        let file = self.log_file(step);
        let log = fs::File::create(&file).with_context(|| format!("cannot write {}", file.display()))?;
        let mut child =
            command.stdout(log.try_clone()?).stderr(log).spawn().with_context(|| format!("cannot run the step {step}"))?;
        let status = child.wait().await?;
        if !status.success() {
            bail!("{}\nall of it: {}", cause(&self.log_of(step)), file.display());
        }
        Ok(())
    }
}

/// From the first line that looks like a cause; without one, the end.
fn cause(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    match lines.iter().position(|line| is_cause(line)) {
        Some(first) => lines.iter().skip(first).take(SHOWN_LINES).copied().collect::<Vec<_>>().join("\n"),
        None => logfile::last_lines(log, SHOWN_LINES),
    }
}

/// An error of the compiler, the output of a failed test, a difference in format.
fn is_cause(line: &str) -> bool {
    let is_compiler = line.starts_with("error") && !line.starts_with("error: test failed");
    is_compiler || line.starts_with("---- ") || line.starts_with("Diff in ")
}

#[cfg(test)]
mod tests {
    use super::cause;

    #[test]
    fn the_cause_begins_at_the_failed_test_not_at_cargos_hint() {
        let log = "test a ... ok\nerror: test failed, to rerun\n---- b stdout ----\nthread 'b' panicked at x.rs:1\n";
        assert!(cause(log).starts_with("---- b stdout"));
    }

    #[test]
    fn without_a_known_cause_the_end_is_shown() {
        let log = (0..100).map(|number| format!("line {number}\n")).collect::<String>();
        assert!(cause(&log).trim_end().ends_with("line 99"));
    }
}
