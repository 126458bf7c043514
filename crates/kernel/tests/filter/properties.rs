//! What holds for every tree, and for every text.

use crm_kernel::Condition;
use crm_testkit::Trees;

use super::VOCABULARY;

const TREES: u64 = 5_000;

#[test]
fn what_was_printed_reads_as_the_same_tree() {
    let mut trees = Trees::new(1, VOCABULARY).with_relative();
    let mut compared = 0;
    for _ in 0..TREES {
        let tree = trees.condition();
        let text = tree.to_string();
        if text.chars().count() > 4_000 {
            continue;
        }
        let read = Condition::parse(&text, &VOCABULARY).unwrap_or_else(|error| panic!("{text}\n{tree:?}\n{error:?}"));
        assert_eq!(read, tree, "{text}");
        assert_eq!(read.to_string(), text, "there is one printed form");
        compared += 1;
    }
    assert!(compared > TREES / 2, "only {compared} trees were short enough");
}

#[test]
fn what_was_written_as_json_reads_as_the_same_tree() {
    let mut trees = Trees::new(2, VOCABULARY).with_relative();
    for _ in 0..TREES {
        let tree = trees.condition();
        let body = serde_json::to_string(&tree.to_json()).expect("JSON");
        let json = serde_json::from_str(&body).expect("JSON");
        let read = Condition::from_json(&json, "/where", &VOCABULARY).unwrap_or_else(|error| panic!("{body}\n{error:?}"));
        assert_eq!(read, tree, "{body}");
    }
}

/// Texts near right ones: every one is answered, in bounded time, with a tree or with a place within the text.
#[test]
fn a_damaged_text_is_read_or_refused() {
    let mut random = fastrand::Rng::with_seed(3);
    let mut trees = Trees::new(4, VOCABULARY).with_relative();
    let pieces = [
        "(",
        ")",
        "\"",
        "'",
        "\\",
        " AND ",
        " OR ",
        "NOT ",
        " in ",
        ".",
        ",",
        ":",
        "*",
        "-",
        "now(",
        "30d",
        "\u{301}",
        "9999999999999",
        "😀",
    ];
    for _ in 0..TREES {
        let mut text: Vec<char> = trees.condition().to_string().chars().take(300).collect();
        for _ in 0..random.u8(1..4) {
            let place = random.usize(..=text.len());
            match random.u8(0..3) {
                0 => text.truncate(place),
                1 => drop(text.splice(place..text.len().min(place + 1), [])),
                _ => drop(text.splice(place..place, pieces[random.usize(..pieces.len())].chars())),
            }
        }
        let text: String = text.into_iter().collect();
        match Condition::parse(&text, &VOCABULARY) {
            Ok(tree) => assert_eq!(Condition::parse(&tree.to_string(), &VOCABULARY).as_ref(), Ok(&tree), "{text}"),
            Err(error) => assert!(error.pointer == "filter" && error.message.starts_with("line "), "{text}: {error:?}"),
        }
    }
}
