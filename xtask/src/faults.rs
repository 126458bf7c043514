//! `cargo xtask faults`: breaks things on purpose, at length, and says what was counted.
//!
//! The tests are those of every day (`apps/gateway/tests/faults` and `kill.rs`) with more rounds. They run one after the other, on a
//! throw-away server; those that restart a server have one of their own, which is as careful with its data as production.

use anyhow::{Result, bail};

use crate::environment::Environment;
use crate::progress::{say, talking_step};
use crate::test::run::Runner;
use crate::test::throwaway;
use crate::{sections, signals};

#[derive(clap::Args)]
pub struct Options {
    /// Write the counts into docs/RELIABILITY.md
    #[arg(long)]
    write: bool,
}

pub async fn run(environment: &Environment, options: &Options) -> Result<()> {
    let broken = throwaway::with(environment, async |admin_url| {
        let work = talking_step("breaking things", break_things(environment, admin_url));
        tokio::select! {
            counted = work => counted,
            stop = signals::asked_to_stop() => stop.and_then(|()| bail!("stopped half way")),
        }
    });
    let counted = broken.await?;
    say(&format!("{}\n", counted.join("\n")));
    if options.write {
        sections::write(&sections::RELIABILITY, "faults", &section(&counted))?;
    }
    Ok(())
}

async fn break_things(environment: &Environment, admin_url: &str) -> Result<Vec<String>> {
    let runner = Runner::new(environment)?;
    let arguments =
        ["test", "--workspace", "--test", "faults", "--test", "kill", "--no-fail-fast", "--", "--nocapture", "--test-threads=1"];
    let tested = runner.cargo("faults", &arguments, &[("CRM_TEST_ADMIN_URL", admin_url), ("CRM_FAULTS", "full")]).await;
    let log = runner.log_of("faults");
    let counted: Vec<String> = log.lines().filter_map(reported).collect();
    tested?;
    if counted.is_empty() {
        bail!("nothing was counted");
    }
    Ok(counted)
}

/// `fault: what broke: what was counted`; the name of the test may stand before it on the line.
fn reported(line: &str) -> Option<String> {
    line.split_once("fault: ").map(|(_, counted)| counted.trim().to_owned())
}

fn section(counted: &[String]) -> String {
    let rows: String = counted
        .iter()
        .filter_map(|line| line.split_once(": "))
        .map(|(fault, counts)| format!("| {fault} | {counts} |\n"))
        .collect();
    format!(
        "## Faults\n\n`cargo xtask faults --write` breaks these things and counts:\n\n| what broke | what was counted |\n| --- | --- |\n{rows}"
    )
}

#[cfg(test)]
mod tests {
    use super::{reported, section};

    #[test]
    fn a_line_of_the_report_is_found_behind_the_name_of_its_test() {
        let line = "test restart ... fault: the disk is full: 3 rounds, 0 lost";
        let counted = reported(line).unwrap_or_default();
        assert_eq!(counted, "the disk is full: 3 rounds, 0 lost");
        assert!(section(&[counted]).ends_with("| the disk is full | 3 rounds, 0 lost |\n"));
        assert_eq!(reported("test restart ... ok"), None);
    }
}
