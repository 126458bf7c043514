//! `cargo xtask test`: every check that a change must pass, each with its time, the first cause in sight.
//!
//! A step that passes leaves its output in a log file; a step that fails shows the part that says why. All steps run, so that
//! one call tells everything that is wrong.

mod catalog;
mod counts;
mod licences;
mod migrations;
mod pooler;
pub mod run;
pub mod throwaway;

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::environment::{Environment, variable};
use crate::progress::{complain, say, seconds, step};
use crate::test::counts::Counts;
use crate::test::pooler::Pooler;
use crate::test::run::Runner;
use crate::test::throwaway::Throwaway;
use crate::{database, lock, openapi, sections, signals, tidy};

#[derive(clap::Args)]
pub struct Options {
    /// Run this step alone; may be given several times
    #[arg(long = "step", value_enum)]
    steps: Vec<Step>,
    /// Let the application's connections of the tests go through a pooler; runs the contract of every noun and HTTP's, alone
    #[arg(long, value_enum, conflicts_with = "steps")]
    through: Option<Through>,
    /// Write the counts into docs/RELIABILITY.md
    #[arg(long, requires = "through")]
    write: bool,
    /// Handed to `cargo test`; runs that step alone
    #[arg(last = true)]
    arguments: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Through {
    /// In transaction mode, with the settings of deploy/pgbouncer.ini
    Pgbouncer,
}

/// What goes through a pooler when nothing else is asked for.
const THROUGH_A_POOLER: [&str; 4] = ["--test", "contract", "--test", "http"];

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Step {
    Format,
    Tidy,
    Clippy,
    Tests,
    Migrations,
    Openapi,
    Documentation,
    Licences,
}

const ALL: [Step; 8] =
    [Step::Format, Step::Tidy, Step::Clippy, Step::Tests, Step::Migrations, Step::Openapi, Step::Documentation, Step::Licences];

impl Step {
    fn name(self) -> String {
        format!("{self:?}").to_lowercase()
    }

    fn needs_database(self) -> bool {
        matches!(self, Self::Tests | Self::Migrations)
    }
}

struct Done {
    step: Step,
    took: Duration,
    failure: Option<String>,
}

pub async fn run(environment: &Environment, options: &Options) -> Result<()> {
    environment.make_state()?;
    let _lock = match lock::try_take(&environment.state.join("test.lock"))? {
        lock::Attempt::Taken(lock) => lock,
        lock::Attempt::HeldBy(holder) => bail!("the tests of this checkout run already (process {})", holder.unwrap_or_default()),
    };
    let steps = chosen(options);
    let mut throwaway = Throwaway::none();
    let result = tokio::select! {
        result = run_steps(environment, options, &steps, &mut throwaway) => result,
        stop = signals::asked_to_stop() => stop.and_then(|()| bail!("stopped half way")),
    };
    throwaway.discard(environment).await?;
    result
}

fn chosen(options: &Options) -> Vec<Step> {
    if !options.steps.is_empty() {
        return options.steps.clone();
    }
    if options.arguments.is_empty() && options.through.is_none() { ALL.to_vec() } else { vec![Step::Tests] }
}

async fn run_steps(environment: &Environment, options: &Options, steps: &[Step], throwaway: &mut Throwaway) -> Result<()> {
    let runner = Runner::new(environment)?;
    let begun = Instant::now();
    let admin_url =
        if steps.iter().any(|step| step.needs_database()) { test_database(environment, throwaway).await? } else { String::new() };
    let mut done = Vec::new();
    let mut counts = Counts::default();
    for each in steps {
        let begun = Instant::now();
        let result = step(&each.name(), run_step(environment, &runner, *each, options, &admin_url)).await;
        let failure = match result {
            Ok(found) => {
                counts.add(&found);
                None
            }
            Err(failure) => Some(show_failure(&runner, *each, &failure, &mut counts)),
        };
        done.push(Done { step: *each, took: begun.elapsed(), failure });
    }
    summarise(&done, &counts, begun.elapsed())
}

/// The administrator's URL of a server on which the tests may do anything.
async fn test_database(environment: &Environment, throwaway: &mut Throwaway) -> Result<String> {
    match variable("CRM_TEST_ADMIN_URL") {
        Some(given) => {
            database::connect(&given).await.map_err(|error| error.context("CRM_TEST_ADMIN_URL cannot be connected to"))?;
            Ok(given)
        }
        None => throwaway.start(environment).await,
    }
}

/// What was counted on the way: tests of cargo's, one for every other step.
async fn run_step(
    environment: &Environment,
    runner: &Runner<'_>,
    step: Step,
    options: &Options,
    admin_url: &str,
) -> Result<Counts> {
    match step {
        Step::Format => runner.cargo("format", &["fmt", "--all", "--check"], &[]).await?,
        Step::Tidy => runner.keep("tidy", &tidy::check(environment)?)?,
        Step::Clippy => {
            runner.cargo("clippy", &["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"], &[]).await?;
        }
        Step::Tests => return tests(environment, runner, options, admin_url).await,
        Step::Migrations => migrations::there_and_back(admin_url).await?,
        Step::Openapi => openapi::check(environment).await?,
        Step::Documentation => {
            let warnings_count = [("RUSTDOCFLAGS", "--deny warnings")];
            runner.cargo("documentation", &["doc", "--workspace", "--no-deps"], &warnings_count).await?;
        }
        Step::Licences => licences::check(environment, runner).await?,
    }
    Ok(Counts::default())
}

async fn tests(environment: &Environment, runner: &Runner<'_>, options: &Options, admin_url: &str) -> Result<Counts> {
    let mut arguments = vec!["test", "--workspace", "--no-fail-fast"];
    let mut variables = vec![("CRM_TEST_ADMIN_URL", admin_url)];
    let pooler = match options.through {
        Some(Through::Pgbouncer) => Some(Pooler::start(environment, admin_url).await?),
        None => None,
    };
    if let Some(pooler) = &pooler {
        say(&format!("through PgBouncer {} ", pooler.version));
        variables.push(("CRM_TEST_APPLICATION_PLACE", &pooler.place));
        if options.arguments.is_empty() {
            arguments.extend(THROUGH_A_POOLER);
        }
    }
    arguments.extend(options.arguments.iter().map(String::as_str));
    runner.cargo("tests", &arguments, &variables).await?;
    let counts = Counts::of(&runner.log_of("tests"));
    if let (Some(pooler), true) = (&pooler, options.write) {
        sections::write(&sections::RELIABILITY, "pooler", &pooler.section(&counts))?;
    }
    Ok(counts)
}

fn show_failure(runner: &Runner<'_>, step: Step, failure: &anyhow::Error, counts: &mut Counts) -> String {
    if step == Step::Tests {
        counts.add(&Counts::of(&runner.log_of("tests")));
    }
    let text = format!("{failure:#}");
    complain(&format!("{}\n", indented(&text)));
    text
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("    {line}\n")).collect()
}

fn summarise(done: &[Done], counts: &Counts, took: Duration) -> Result<()> {
    say("\n");
    for each in done {
        let verdict = if each.failure.is_some() { "FAILED" } else { "ok" };
        say(&format!("  {:<14} {:>8}  {verdict}\n", each.step.name(), seconds(each.took)));
    }
    say(&format!("  {:<14} {:>8}\n\n", "in all", seconds(took)));
    for line in &counts.lines {
        say(&format!("{line}\n"));
    }
    let failures: Vec<&Done> = done.iter().filter(|each| each.failure.is_some()).collect();
    if let Some(Done { step, failure: Some(failure), .. }) = failures.first() {
        let first_lines: Vec<&str> = failure.lines().take(6).collect();
        say(&format!("\nfirst failure, step {}:\n{}\n", step.name(), indented(&first_lines.join("\n"))));
    }
    // A step other than the tests counts as one check, so that a failed format is never `0 failed`.
    let others = done.iter().filter(|each| each.step != Step::Tests);
    let (failed, passed): (Vec<&Done>, Vec<&Done>) = others.partition(|each| each.failure.is_some());
    let unbuilt = usize::from(counts.failed == 0 && failures.iter().any(|each| each.step == Step::Tests));
    say(&format!("{} passed, {} failed\n", counts.passed + passed.len(), counts.failed + failed.len() + unbuilt));
    if failures.is_empty() { Ok(()) } else { bail!("{} of {} steps failed", failures.len(), done.len()) }
}
