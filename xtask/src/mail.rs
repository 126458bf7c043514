//! `cargo xtask mail`: the letters that the gateway of this checkout has put into its local mailbox.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::environment::Environment;
use crate::progress::say;

#[derive(clap::Args)]
pub struct Options {
    /// Show this letter of the list, with its link
    number: Option<usize>,
}

/// A file of the mailbox.
struct Letter {
    arrived: SystemTime,
    text: String,
}

/// Where the gateway of this checkout puts its letters.
pub fn folder(environment: &Environment) -> PathBuf {
    environment.state.join("mail")
}

pub fn run(environment: &Environment, options: &Options) -> Result<()> {
    let letters = read(&folder(environment))?;
    match options.number {
        Some(number) => {
            let place = number.checked_sub(1).and_then(|place| letters.get(place));
            let letter =
                place.with_context(|| format!("there is no letter {number}: `cargo xtask mail` lists those there are"))?;
            say(&format!("{}\n{}", headers(letter), plain_text(&letter.text)));
        }
        None if letters.is_empty() => say("no letters yet\n"),
        None => {
            for (place, letter) in letters.iter().enumerate() {
                let (to, subject) = (header(&letter.text, "To"), header(&letter.text, "Subject"));
                say(&format!("{:>4}  {}  {to:<32}  {subject}\n", place + 1, moment(letter.arrived)));
            }
            say("`cargo xtask mail 1` shows the newest one\n");
        }
    }
    Ok(())
}

/// Newest first.
fn read(folder: &Path) -> Result<Vec<Letter>> {
    let Ok(entries) = fs::read_dir(folder) else { return Ok(Vec::new()) };
    let mut letters = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "eml") {
            let arrived = fs::metadata(&path).and_then(|found| found.modified());
            let arrived = arrived.with_context(|| format!("cannot look at {}", path.display()))?;
            let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            letters.push(Letter { arrived, text: String::from_utf8_lossy(&bytes).into_owned() });
        }
    }
    letters.sort_by_key(|letter| std::cmp::Reverse(letter.arrived));
    Ok(letters)
}

fn headers(letter: &Letter) -> String {
    let line = |name: &str| format!("{name}: {}\n", header(&letter.text, name));
    ["Date", "To", "Subject"].iter().map(|name| line(name)).collect()
}

/// Our letters have short headers of one line each.
fn header(text: &str, name: &str) -> String {
    let head = text.split("\r\n\r\n").next().unwrap_or_default();
    let value = head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    value.unwrap_or_default().to_owned()
}

/// The part that is plain text, which our letters encode as quoted-printable.
fn plain_text(text: &str) -> String {
    let part = text.split("Content-Type: text/plain").nth(1).and_then(|part| part.split_once("\r\n\r\n"));
    let body = part.map_or("", |(_, body)| body.split("\r\n--").next().unwrap_or_default());
    quoted_printable(body)
}

fn quoted_printable(text: &str) -> String {
    let joined = text.replace("=\r\n", "");
    let mut parts = joined.split('=');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let code = part.get(..2).and_then(|code| u8::from_str_radix(code, 16).ok());
        match (code, part.get(2..)) {
            (Some(byte), Some(rest)) => {
                bytes.push(byte);
                bytes.extend(rest.bytes());
            }
            _ => bytes.extend(format!("={part}").bytes()),
        }
    }
    String::from_utf8_lossy(&bytes).replace("\r\n", "\n")
}

fn moment(time: SystemTime) -> String {
    let seconds = OffsetDateTime::from(time).replace_nanosecond(0).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    seconds.format(&Rfc3339).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_is_read_as_it_was_written() {
        let text = "From: a@b.c\r\nTo: d@e.f\r\nSubject: Confirm your address\r\n\r\n--x\r\nContent-Type: text/plain; charset=utf-8\r\n\
                    Content-Transfer-Encoding: quoted-printable\r\n\r\nHello Zo=C3=AB =F0=9F=9A=80,\r\n\r\nhttp://127.0.0.1/confirm#a.b=\r\nc=3D\r\n\
                    --x\r\nContent-Type: text/html\r\n\r\n<p>Hello</p>\r\n--x--\r\n";
        assert_eq!(header(text, "To"), "d@e.f");
        assert_eq!(header(text, "Subject"), "Confirm your address");
        assert_eq!(plain_text(text), "Hello Zoë 🚀,\n\nhttp://127.0.0.1/confirm#a.bc=");
        assert_eq!(quoted_printable("a=b=é="), "a=b=é=", "what is no code stays");
    }
}
