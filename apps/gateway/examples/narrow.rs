//! Narrows an access token: reads it from standard input, writes one that may only read, for an hour at most.

use std::{
    error::Error,
    io::{self, Write},
    time::{Duration, SystemTime},
};

use biscuit_auth::{UnverifiedBiscuit, builder::BlockBuilder, error::Token, macros::block};

/// The same token with one more block of checks. Needs no key and no network.
pub fn narrow(token: &str, checks: BlockBuilder) -> Result<String, Token> {
    UnverifiedBiscuit::from_base64(token)?.append(checks)?.to_base64()
}

/// Changes nothing.
pub fn read_only() -> BlockBuilder {
    block!(r#"check if access("read")"#)
}

/// One kind of record and nothing else, such as `contact`.
pub fn one_entity(entity: &str) -> BlockBuilder {
    block!("check if entity({entity})")
}

/// One record, by its id: to look at it, to change it, to delete it.
pub fn one_record(id: &str) -> BlockBuilder {
    block!("check if resource({id})")
}

/// Ends earlier than the token would.
pub fn until(end: SystemTime) -> BlockBuilder {
    block!("check if time($time), $time < {end}")
}

/// What a program needs that draws reports: reads companies and deals and moves deals, until the end.
pub fn for_reports(end: SystemTime) -> BlockBuilder {
    block!(
        r#"check if access("read") or operation("deal:move");
           check if entity("company") or entity("deal");
           check if time($time), $time < {end}"#
    )
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut token = String::new();
    io::stdin().read_line(&mut token)?;
    let reading = narrow(token.trim(), read_only())?;
    let narrowed = narrow(&reading, until(SystemTime::now() + Duration::from_secs(3600)))?;
    Ok(writeln!(io::stdout(), "{narrowed}")?)
}
