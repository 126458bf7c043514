//! Every `cargo xtask …` in a document is a command that exists, with options and values that it takes.

use clap::CommandFactory;
use clap::error::ErrorKind;

use crate::tidy::{Checkout, Findings};

const NAME: &str = "cargo xtask";

pub fn check(checkout: &Checkout<'_>, findings: &mut Findings) {
    for file in checkout.with_extension("md") {
        for words in named_commands(&checkout.text(file).unwrap_or_default()) {
            if let Some(why) = refusal(&words) {
                findings.broken(file.display(), format!("`{NAME} {}`: {why}", words.join(" ")));
            }
        }
    }
}

/// The words behind each `cargo xtask`, up to the end of the code or of the command.
fn named_commands(document: &str) -> Vec<Vec<String>> {
    let joined = document.replace("\\\n", " ");
    let calls = joined.split(NAME).skip(1).filter(|rest| rest.starts_with(' '));
    calls.map(|rest| words(rest.split(['`', '\n']).next().unwrap_or_default())).filter(|words| !words.is_empty()).collect()
}

/// As a shell would split them, without the quotes; what depends on the reader (`…`) ends the command, as `&&` and a comment do.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut until = None;
    for letter in line.chars() {
        let within = until.is_some();
        match letter {
            ' ' if !within => words.push(String::new()),
            '"' | '\'' if !within => until = Some(letter),
            '(' if !within && words.last().is_some_and(|word| word.ends_with('$')) => until = Some(')'),
            letter if until == Some(letter) => until = None,
            letter => words.last_mut().into_iter().for_each(|word| word.push(letter)),
        }
    }
    let ends = |word: &String| word.starts_with(['#', '…', '&', '|', ';', '>', ',']);
    words.into_iter().filter(|word| !word.is_empty()).take_while(|word| !ends(word)).collect()
}

/// Why this cannot be called. A document may leave out what a command requires, and may ask for help.
fn refusal(words: &[String]) -> Option<String> {
    let arguments = [NAME.to_owned()].into_iter().chain(words.iter().cloned());
    let error = crate::Arguments::command().try_get_matches_from(arguments).err()?;
    let is_known = [
        ErrorKind::MissingRequiredArgument,
        ErrorKind::MissingSubcommand,
        ErrorKind::DisplayHelp,
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand,
    ];
    let text = error.to_string();
    let first = text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
    (!is_known.contains(&error.kind())).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::{named_commands, refusal};

    /// What is refused in a document.
    fn refused(document: &str) -> Vec<String> {
        named_commands(document).iter().filter_map(|words| refusal(words)).collect()
    }

    #[test]
    fn commands_are_found_in_prose_and_in_code() {
        let document = "`cargo xtask up` or `cargo xtask` alone\n\n    cargo xtask seed \\\n      --scale  # a comment\n    x && cargo xtask backup /a/$(date -u +%F).b && y\n";
        let found = named_commands(document);
        assert_eq!(found, [vec!["up"], vec!["seed", "--scale"], vec!["backup", "/a/$date -u +%F.b"]]);
    }

    #[test]
    fn what_exists_may_be_named() {
        let document = "`cargo xtask migrate`, `cargo xtask restore`, `cargo xtask test --step tidy`, `cargo xtask up --port 8081`, \
             `cargo xtask organization \"Example Ltd\" --slug example`, `cargo xtask organization --help`, `cargo xtask test -- --test x`";
        assert_eq!(refused(document), Vec::<String>::new());
    }

    #[test]
    fn what_does_not_exist_is_refused() {
        assert_eq!(refused("`cargo xtask start`"), ["unrecognized subcommand 'start'"]);
        assert_eq!(refused("`cargo xtask keys forget`"), ["unrecognized subcommand 'forget'"]);
        assert_eq!(refused("    cargo xtask up --prot 8081"), ["unexpected argument '--prot' found"]);
        assert_eq!(refused("`cargo xtask test --step tydi`"), ["invalid value 'tydi' for '--step <STEPS>'"]);
    }
}
