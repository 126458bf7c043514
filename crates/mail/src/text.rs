//! What every letter says, in plain English.
//!
//! Must stay true: subjects are fixed texts; what people have typed stands in the body alone, on one line, cut, and never where it
//! could pass for an address of the web.

use serde_json::Value;

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
    let marked = ["://", "www.", "@"].iter().any(|mark| line.to_lowercase().contains(mark));
    let leads_away = marked || line.split(' ').any(is_host) || line.chars().any(turns);
    (!line.is_empty() && !leads_away).then_some(line)
}

/// Whether mail programs would make a link of this word: `example.com`, `EXAMPLE.COM`, `my.Example.com`, and with what they take for a
/// dot; but not `Inc.`, `J.R.R.` or `St.Gallen`'s kind, one capital and small letters up to the end.
fn is_host(word: &str) -> bool {
    let parts: Vec<&str> = word.split(['.', '。', '．', '｡', '․', '﹒']).collect();
    let after_a_dot = parts.iter().zip(parts.iter().skip(1));
    after_a_dot.enumerate().any(|(place, (before, after))| {
        let letters: Vec<char> = after.chars().take_while(|letter| letter.is_alphabetic()).collect();
        let is_place = letters.first().is_some_and(|first| first.is_uppercase())
            && letters.iter().skip(1).all(|letter| letter.is_lowercase())
            && letters.len() == after.trim_end_matches([',', ';', ')']).chars().count()
            && place == 0
            && parts.len() == 2;
        !before.is_empty() && letters.len() >= 2 && !is_place
    })
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
