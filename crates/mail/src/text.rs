//! What every letter says, in plain English.
//!
//! Must stay true: subjects are fixed texts; what people have typed stands in the body alone, on one line, cut, and never where it
//! could pass for an address of the web.

use serde_json::Value;
use unicode_normalization::UnicodeNormalization;

/// Characters of a name that a letter repeats.
const LONGEST_NAME: usize = 80;

/// A letter before it has a form.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Text {
    pub subject: &'static str,
    pub greeting: String,
    pub paragraphs: Vec<String>,
    /// Where its link leads, and what stands on it.
    pub link: Option<(&'static str, &'static str)>,
    pub closing: Vec<String>,
}

/// The text of a letter of this kind; `None` for a kind that nobody has written.
pub(crate) fn text(kind: &str, details: &Value) -> Option<Text> {
    let organization = name(details, "organization");
    let text = match kind {
        "confirm_registration" => letter(
            "Confirm your address",
            &[
                format!("Somebody, you we hope, signed up with this address to begin {}.", or(organization, "an organisation")),
                "Confirm it with the password that you chose, and your account and your organisation are made.".into(),
            ],
            Some(("confirm", "Confirm my address")),
            &["The link works once, within 24 hours.", "If it was not you, do nothing: without the link nothing happens."],
        ),
        "already_registered" => letter(
            "You have an account already",
            &[
                "Somebody, you we hope, signed up with this address. It has an account already, so nothing was made.".into(),
                "Log in as you always do. If you have forgotten your password, ask for a new one where you log in.".into(),
            ],
            None,
            &["If it was not you, do nothing: your account is as it was."],
        ),
        "reset_password" => letter(
            "Set a new password",
            &["Somebody, you we hope, asked for a new password for your account.".into()],
            Some(("reset-password", "Set a new password")),
            &[
                "The link works once, within an hour. Setting a password ends every session of yours; API tokens stay.",
                "If it was not you, do nothing: your password is as it was.",
            ],
        ),
        "no_account" => letter(
            "There is no account with this address",
            &[
                "Somebody, you we hope, asked for a new password for this address. There is no account with it here.".into(),
                "You may have signed up with another address of yours.".into(),
            ],
            None,
            &["If it was not you, do nothing."],
        ),
        "password_changed" => letter(
            "Your password was changed",
            &[
                "The password of your account was changed just now, and every session of yours has ended.".into(),
                "API tokens that you have made stay valid: look through them if somebody else may have used your account.".into(),
            ],
            None,
            &["If it was not you, ask for a new password at once where you log in, and tell an owner of your organisation."],
        ),
        "confirm_email" => letter(
            "Confirm your new address",
            &["Somebody, you we hope, wants to log in with this address from now on.".into()],
            Some(("confirm-email", "Use this address")),
            &["The link works once, within 24 hours.", "If it was not you, do nothing: without the link nothing happens."],
        ),
        "email_in_use" => letter(
            "This address is in use already",
            &["Somebody, you we hope, wanted to use this address for another account. It belongs to an account already, so nothing was \
               changed."
                .into()],
            None,
            &["If it was not you, do nothing."],
        ),
        "email_changed" => letter(
            "Your address was changed",
            &["Your account is used with another address from now on. This is the last letter to this one.".into()],
            None,
            &["If it was not you, tell an owner of your organisation at once."],
        ),
        "invitation" => letter(
            "You are invited",
            &[format!(
                "{} invites you to {}.",
                or(name(details, "inviter"), "Somebody"),
                or(organization, "an organisation")
            )],
            Some(("invitation", "See the invitation")),
            &["The link works once, until the invitation expires.", "If you do not know why you get this, do nothing."],
        ),
        "second_factor_changed" => letter(
            "Your second factor was changed",
            &["How you prove who you are beside your password was changed just now.".into()],
            None,
            &["If it was not you, change your password at once and tell an owner of your organisation."],
        ),
        "sign_in_method_changed" => letter(
            "How you sign in was changed",
            &[match name(details, "provider") {
                Some(provider) => format!("Signing in with {provider} was added to your account or taken from it just now."),
                None => "Signing in with another account of yours was added or taken away just now.".into(),
            }],
            None,
            &["If it was not you, change your password at once and tell an owner of your organisation."],
        ),
        _ => return None,
    };
    let greeting = name(details, "name")
        .or_else(|| name(details, "full_name"))
        .map_or_else(|| "Hello,".to_owned(), |name| format!("Hello {name},"));
    Some(Text { greeting, ..text })
}

fn letter(subject: &'static str, paragraphs: &[String], link: Option<(&'static str, &'static str)>, closing: &[&str]) -> Text {
    let closing = closing.iter().map(|&line| line.to_owned()).collect();
    Text { subject, greeting: String::new(), paragraphs: paragraphs.to_vec(), link, closing }
}

fn or(name: Option<String>, otherwise: &str) -> String {
    name.unwrap_or_else(|| otherwise.to_owned())
}

/// A name as a letter may repeat it. Strangers choose the names of organisations and whom a letter about them goes to: one that reads
/// like an advertisement's address is left out, so that nobody sends mail of theirs through us.
fn name(details: &Value, key: &str) -> Option<String> {
    let text = details.get(key)?.as_str()?;
    let words: Vec<&str> =
        text.split(|letter: char| letter.is_whitespace() || letter.is_control()).filter(|word| !word.is_empty()).collect();
    let line: String = words.join(" ").chars().take(LONGEST_NAME).collect();
    // As a reader and a mail program take it: wide letters for plain ones, and what makes no picture for nothing.
    let plain: String = line.nfkc().filter(|letter| !is_unseen(*letter)).collect();
    let marked = ["://", "//", "www.", "@", "mailto:", "tel:"].iter().any(|mark| plain.to_lowercase().contains(mark));
    let leads_away = marked || plain.split(' ').any(is_host) || line.chars().any(turns);
    (!line.is_empty() && !leads_away).then_some(line)
}

/// Words before a dot that stand in names of places and firms: `St.Gallen`, `Dr.Oetker`.
const TITLES: &[&str] = &["st", "ste", "dr", "prof", "mr", "mrs", "ms", "fr", "hl", "bad", "gebr"];

/// Whether mail programs would make a link of this word: `example.com`, `Example.Com`, `192.0.2.1`, and with what they take for a dot; but
/// not `Inc.`, `J.R.R.`, `2.0` or `St.Gallen`.
fn is_host(word: &str) -> bool {
    let parts: Vec<&str> = word.split(['.', '。', '․', '·', '‧', '・']).collect();
    let after_a_dot = parts.iter().zip(parts.iter().skip(1));
    let numbers = parts.iter().filter(|part| part.starts_with(|letter: char| letter.is_ascii_digit())).count();
    let is_named = after_a_dot.enumerate().any(|(place, (before, after))| {
        let letters = after.chars().take_while(|letter| letter.is_alphabetic() || is_mark(*letter)).count();
        let title = before.trim_start_matches(|letter: char| !letter.is_alphanumeric()).to_lowercase();
        let is_titled = place == 0 && parts.len() == 2 && TITLES.contains(&title.as_str());
        !before.is_empty() && letters >= 2 && !is_titled
    });
    is_named || numbers >= 4
}

/// Signs on a letter.
fn is_mark(letter: char) -> bool {
    unicode_normalization::char::is_combining_mark(letter)
}

/// What makes no picture of its own between two letters.
fn is_unseen(letter: char) -> bool {
    matches!(
        letter,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}' | '\u{ffa0}' | '\u{e0000}'..='\u{e0fff}'
    )
}

/// Signs that nobody sees and that turn the direction of what follows, so that a name reads as something else.
fn turns(letter: char) -> bool {
    matches!(letter, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_are_repeated_on_one_line_and_cut() {
        let shown = |text: &str| name(&json!({ "name": text }), "name");
        assert_eq!(shown("Zoë 🚀 Müller").as_deref(), Some("Zoë 🚀 Müller"));
        assert_eq!(shown("a\r\nBcc: b\u{0}c\td").as_deref(), Some("a Bcc: b c d"));
        assert_eq!(shown(&"x".repeat(300)).map(|name| name.len()), Some(LONGEST_NAME));
        assert_eq!(shown("Acme Inc. & Sons, St.Gallen").as_deref(), Some("Acme Inc. & Sons, St.Gallen"));
        for harmless in ["J.R.R. Tolkien", "A.B. & Co.", "Dr.Oetker", "Version 2.0", "Smith, Jones et al., Ltd."] {
            assert_eq!(shown(harmless).as_deref(), Some(harmless));
        }
        let advertisements = [
            "win at https://x.example",
            "www.x.example",
            "WWW.X.EXAMPLE",
            "go to x.example now",
            "a@b",
            " \n ",
            "Visit EVIL.COM/LOGIN now",
            "My.Evil.com/reset",
            "Go.Evil.com",
            "A.B.evil.com",
            "x.1evil.com/login",
            "Evil.Com/login",
            "evil。com/login",
            "evil．com",
            "evil｡com",
            "evil․example/login",
            "\u{202e}moc",
            "\u{2066}Acme",
            "Login-Ascendore.Com",
            "bank.Co",
            "evil.Рф",
            "evil。Com",
            "evil．Com",
            "evil.Ｃom",
            "evil.Museum",
            "(evil.Com)",
            "evil.\u{ad}com",
            "evil.\u{2060}com",
            "evil.c\u{327}om",
            "evil·com",
            "192.168.1.1",
            "1.2.3.4/x",
            "ｗｗｗ.x",
            "foo＠bar",
            "mailto:x",
            "tel:+123456",
            "//evil",
        ];
        for advertisement in advertisements {
            assert_eq!(shown(advertisement), None, "{advertisement:?}");
        }
    }

    #[test]
    fn an_unknown_kind_has_no_text() {
        assert_eq!(text("love_letter", &json!({})), None);
    }
}
