//! `cargo xtask conformance`: thousands of requests that a program makes from the document, good and bad ones, against the real gateway.
//!
//! Every answer must have a status, headers and a body that the document promises, and no fault of ours may come. What must stay true:
//! the database is made for this and thrown away, and the same seed makes the same requests.

mod tool;

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::conformance::tool::Tool;
use crate::environment::Environment;
use crate::gateway::{self, Gateway};
use crate::progress::{complain, say, step, talking_step};
use crate::test::throwaway::Throwaway;
use crate::{caller, cargo, database, lock, logfile, migrate, port, sections, seed, signals, url};

#[derive(clap::Args)]
pub struct Options {
    /// Write the counts into docs/RELIABILITY.md
    #[arg(long)]
    write: bool,
    /// Requests that are invented for each operation and caller, beside those that the document itself gives rise to
    #[arg(long, default_value_t = 4)]
    examples: u32,
    /// Where the invented requests begin
    #[arg(long, default_value_t = 25)]
    seed: u32,
}

/// No run counts that made fewer requests in all.
const FEWEST_CASES: u64 = 5_000;

/// All runs together take no longer; without a bound a gateway that hangs would hang whoever waits for this.
const LONGEST: Duration = Duration::from_secs(30 * 60);

/// Limits so wide that one caller who never pauses meets none, and yet every answer tells of them.
const WIDE: &[(&str, &str)] = &[
    ("CRM_RATE_LIMIT_ADDRESS", "1000000/60"),
    ("CRM_RATE_LIMIT_CALLER", "1000000/60"),
    ("CRM_RATE_LIMIT_ORGANIZATION", "1000000/60"),
];

/// Threads of the tool. With two of them it was seen to end an operation with a fault of its own: CPython 3.11 counts how deep it parses for
/// all threads together ("AST constructor recursion depth mismatch").
const WORKERS: &str = "1";

/// What every answer is judged by.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,\
                      response_schema_conformance,allow_header_conformance";

/// Who calls, and what.
struct Run {
    who: &'static str,
    /// The role whose token is sent.
    role: Option<&'static str>,
    /// Its session's own token, or an API token, which ends by nothing that is done with it.
    token: Token,
    phases: &'static str,
    /// Operations by their ids; all of them when empty.
    only: &'static str,
    /// Operations that are left out: with them the run would end itself.
    except: &'static str,
}

enum Token {
    Api,
    Session,
}

/// What ends the session, the membership or the organisation of who calls, or locks everybody out of it.
const ENDING: &str = "^(logout|endSession|endOtherSessions|endMemberSessions|leaveOrganization|deleteOrganization|updateMember|\
                      removeMember|updateSecuritySettings|changePassword|confirmSecondFactor|disableSecondFactor)$";

/// The last one may end whatever it likes.
const RUNS: &[Run] = &[
    Run {
        who: "owner, API token",
        role: Some("owner"),
        token: Token::Api,
        phases: "examples,coverage,fuzzing",
        only: "",
        except: "",
    },
    Run { who: "member, API token", role: Some("member"), token: Token::Api, phases: "fuzzing", only: "", except: "" },
    Run { who: "viewer, session", role: Some("viewer"), token: Token::Session, phases: "fuzzing", only: "", except: ENDING },
    Run {
        who: "owner, session",
        role: Some("owner"),
        token: Token::Session,
        phases: "examples,fuzzing",
        only: "",
        except: ENDING,
    },
    Run { who: "nobody", role: None, token: Token::Session, phases: "examples,fuzzing", only: "", except: "" },
    Run {
        who: "admin, session, to its end",
        role: Some("admin"),
        token: Token::Session,
        phases: "fuzzing",
        only: ENDING,
        except: "",
    },
];

/// What a run counted.
struct Counted {
    who: &'static str,
    operations: u64,
    cases: u64,
    failures: u64,
}

pub async fn run(environment: &Environment, options: &Options) -> Result<()> {
    environment.make_state()?;
    let _lock = match lock::try_take(&environment.state.join("conformance.lock"))? {
        lock::Attempt::Taken(lock) => lock,
        lock::Attempt::HeldBy(holder) => bail!("it runs already in this checkout (process {})", holder.unwrap_or_default()),
    };
    let tool = Tool::cached_or_fetched(environment).await?;
    // A place of its own: what runs in this checkout is left alone.
    let own = Environment { state: environment.state.join("conformance"), external: None, ..environment.clone() };
    own.make_state()?;
    let mut throwaway = Throwaway::none();
    let result = tokio::select! {
        result = against_a_gateway(&own, &tool, options, &mut throwaway) => result,
        stop = signals::asked_to_stop() => stop.and_then(|()| bail!("stopped half way")),
    };
    throwaway.discard(&own).await?;
    let counted = result?;
    conclude(options, &counted)
}

async fn against_a_gateway(
    environment: &Environment,
    tool: &Tool,
    options: &Options,
    throwaway: &mut Throwaway,
) -> Result<Vec<Counted>> {
    let server = throwaway.start(environment).await?;
    let own = Environment { external: Some(url::with_database(&server, database::NAME)?), ..environment.clone() };
    let database = database::open(&own).await?;
    step("migrating", migrate::apply(&database.admin_url)).await?;
    database::set_passwords(&own, &database).await?;
    talking_step("seeding the demo organisation", seed::run(&own, &database)).await?;
    let program = talking_step("building the gateway", cargo::build_gateway(environment, cargo::Profile::Development)).await?;
    let keys = gateway::ensure_keys(&own, &program).await?;
    let mut running = gateway::start(&own, &database.app_url, &program, &keys, port::any_free()?, WIDE)?;
    step("waiting for the gateway", running.wait_ready(&own)).await?;
    let counted = tokio::time::timeout(LONGEST, all_runs(&own, tool, options, &running)).await;
    running.stop().await?;
    counted.with_context(|| format!("not finished after {} minutes", LONGEST.as_secs() / 60))?
}

async fn all_runs(environment: &Environment, tool: &Tool, options: &Options, gateway: &Gateway) -> Result<Vec<Counted>> {
    let mut counted = Vec::new();
    for (number, run) in RUNS.iter().enumerate() {
        let report = environment.state.join(format!("run-{number}.json"));
        let label = format!("calling as {}", run.who);
        counted.push(step(&label, one_run(environment, tool, options, gateway.record.port, run, &report)).await?);
    }
    Ok(counted)
}

async fn one_run(
    environment: &Environment,
    tool: &Tool,
    options: &Options,
    port: u16,
    run: &Run,
    report: &Path,
) -> Result<Counted> {
    let token = match (run.role, &run.token) {
        (None, _) => None,
        (Some(role), Token::Session) => Some(caller::log_in(port, seed::login_of(role)?.email).await?),
        (Some(role), Token::Api) => Some(caller::api_token(port, seed::login_of(role)?.email).await?),
    };
    drop(fs::remove_file(report));
    let output = report.with_extension("log");
    let log = fs::File::create(&output).with_context(|| format!("cannot write {}", output.display()))?;
    let mut command = tool.command(environment);
    command.args(["run", &format!("http://127.0.0.1:{port}/api/v1/openapi.json"), "--checks", CHECKS, "--phases", run.phases]);
    command.args(["--max-examples", &options.examples.to_string(), "--seed", &options.seed.to_string()]);
    command.args([
        "--generation-database",
        "none",
        "--workers",
        WORKERS,
        "--continue-on-failure",
        "--no-shrink",
        "--no-color",
        "--suppress-health-check",
        "all",
    ]);
    command.args(["--report", "json", "--report-json-path"]).arg(report);
    for (switch, pattern) in [("--include-operation-id-regex", run.only), ("--exclude-operation-id-regex", run.except)] {
        if !pattern.is_empty() {
            command.args([switch, pattern]);
        }
    }
    if let Some(token) = token {
        command.args(["--header", &format!("Authorization: Bearer {token}")]);
    }
    let status = command.stdout(log.try_clone()?).stderr(log).status().await.context("Schemathesis cannot be run")?;
    let Ok(text) = fs::read(report) else {
        let said = fs::read_to_string(&output).unwrap_or_default();
        bail!("Schemathesis made no report ({status}):\n{}", logfile::last_lines(&said, 15));
    };
    let counted = counted(run.who, &serde_json::from_slice(&text)?)?;
    if counted.failures > 0 {
        complain(&format!("\n{} failures as {}: {} has them, with the requests\n", counted.failures, run.who, output.display()));
    }
    Ok(counted)
}

fn counted(who: &'static str, report: &Value) -> Result<Counted> {
    let number =
        |pointer: &str| report.pointer(pointer).and_then(Value::as_u64).with_context(|| format!("the report has no {pointer}"));
    let errors = report.pointer("/errors").and_then(Value::as_array).map_or(0, Vec::len);
    let failures = number("/test_cases/unique_failures")? + number("/test_cases/errored")? + u64::try_from(errors)?;
    if report.pointer("/complete") != Some(&Value::Bool(true)) {
        bail!("the run was not finished");
    }
    Ok(Counted { who, operations: number("/operations/tested")?, cases: number("/test_cases/generated")?, failures })
}

fn conclude(options: &Options, counted: &[Counted]) -> Result<()> {
    let (cases, failures) = counted.iter().fold((0, 0), |(cases, failures), run| (cases + run.cases, failures + run.failures));
    let mut table = String::from("| called as | operations | requests | failures |\n| --- | ---: | ---: | ---: |\n");
    for run in counted {
        table.push_str(&format!("| {} | {} | {} | {} |\n", run.who, run.operations, run.cases, run.failures));
    }
    table.push_str(&format!("| in all | | {cases} | {failures} |\n"));
    say(&format!("\n{table}\n"));
    if options.write {
        sections::write(&sections::RELIABILITY, "conformance", &section(options, &table))?;
        say("wrote docs/RELIABILITY.md\n");
    }
    if failures > 0 {
        bail!("{failures} answers are not what the document says");
    }
    if cases < FEWEST_CASES {
        bail!("only {cases} requests were made, and fewer than {FEWEST_CASES} prove little");
    }
    Ok(())
}

fn section(options: &Options, table: &str) -> String {
    format!(
        "## The document of the API is true\n\n\
         Schemathesis makes requests from `docs/openapi.json`, good and bad ones, and sends them to the real gateway on a database with \
         the demo organisation. A failure is an answer with a status, a type, a header or a body that the document does not promise, or a \
         fault of ours (5xx).\n\n{table}\n\
         Again: `cargo xtask conformance --examples {} --seed {}`; with `--write` it writes this section.",
        options.examples, options.seed
    )
}
