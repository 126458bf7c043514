//! A letter of the queue as a message: headers, plain text and the same as simple HTML.
//!
//! Must stay true: one letter has one Message-ID however often it is sent, so that a mail program shows a second copy as the same; the
//! token of a link stands in its fragment, which no server and no Referer sees.

use crm_tenancy::{
    identity::{
        letters::{Failure, Letter},
        link_token,
    },
    sealing::SealingKeys,
};
use lettre::{
    Address, Message,
    message::{
        Mailbox, MultiPart, SinglePart,
        header::{ContentTransferEncoding, ContentType, Header, HeaderName, HeaderValue},
    },
};

use crate::text::{Text, text};

/// Where people reach the pages that the links of letters lead to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl(String);

impl PublicUrl {
    /// From configuration.
    ///
    /// # Errors
    /// A sentence when it is no address of the web.
    pub fn from_text(text: &str) -> Result<Self, String> {
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let is_plain = |rest: &str| {
            let host = rest.split('/').next().unwrap_or_default();
            !host.is_empty()
                && !host.contains('@')
                && !rest.chars().any(|letter| letter.is_whitespace() || letter.is_control() || "?#\"<>\\".contains(letter))
        };
        match rest {
            Some(rest) if is_plain(rest) => Ok(Self(text.trim_end_matches('/').to_owned())),
            _ => Err(format!("`{text}` is not an address such as https://crm.example.com")),
        }
    }

    /// As text, without a slash at its end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whom letters come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sender(Mailbox);

impl Sender {
    /// From configuration: `no-reply@crm.example.com`, with a name in front of it if wished.
    ///
    /// # Errors
    /// A sentence when it is no such thing.
    pub fn from_text(text: &str) -> Result<Self, String> {
        let parsed: Result<Mailbox, _> = text.parse();
        parsed.map(Self).map_err(|_| format!("`{text}` is not an address such as `Name <no-reply@crm.example.com>`"))
    }
}

/// Says that a program wrote this, so that no absence assistant answers it (RFC 3834).
#[derive(Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

/// Writes letters.
#[derive(Debug, Clone)]
pub struct Composer {
    keys: SealingKeys,
    public_url: PublicUrl,
    sender: Sender,
}

impl Composer {
    /// With links to this address, whose secrets these keys give.
    #[must_use]
    pub fn new(keys: SealingKeys, public_url: PublicUrl, sender: Sender) -> Self {
        Self { keys, public_url, sender }
    }

    /// The message of a letter.
    ///
    /// # Errors
    /// `Permanent` when nobody has written such a letter or its address cannot be; `Temporary` when its link cannot be made.
    pub fn compose(&self, letter: &Letter) -> Result<Message, Failure> {
        let permanent = |what: &str| Failure::Permanent(what.to_owned());
        let text = text(&letter.kind, &letter.details).ok_or_else(|| permanent("there is no text for this kind of letter"))?;
        let recipient: Address = letter.recipient.parse().map_err(|_| permanent("mail cannot go to this address"))?;
        let link = self.link(letter, &text)?;
        let part = |kind: ContentType, body: String| {
            SinglePart::builder().header(kind).header(ContentTransferEncoding::QuotedPrintable).body(body)
        };
        let plain = part(ContentType::TEXT_PLAIN, plain(&text, link.as_deref()));
        let html = part(ContentType::TEXT_HTML, html(&text, link.as_deref()));
        Message::builder()
            .from(self.sender.0.clone())
            .to(Mailbox::new(None, recipient))
            .subject(text.subject)
            .message_id(Some(format!("<{}@{}>", letter.id.simple(), self.sender.0.email.domain())))
            .date_now()
            .header(AutoSubmitted)
            .multipart(MultiPart::alternative().singlepart(plain).singlepart(html))
            .map_err(|error| Failure::Permanent(error.to_string()))
    }

    fn link(&self, letter: &Letter, text: &Text) -> Result<Option<String>, Failure> {
        let Some((path, _)) = text.link else { return Ok(None) };
        let id = letter.secret_id.ok_or_else(|| Failure::Permanent("its link has no secret".into()))?;
        let token = link_token(&self.keys, &letter.kind, id).map_err(|error| Failure::Temporary(error.to_string()))?;
        Ok(Some(format!("{}/{path}#{token}", self.public_url.as_str())))
    }
}

fn plain(text: &Text, link: Option<&str>) -> String {
    let mut paragraphs = vec![text.greeting.clone()];
    paragraphs.extend(text.paragraphs.iter().cloned());
    paragraphs.extend(link.map(ToOwned::to_owned));
    paragraphs.extend(text.closing.iter().cloned());
    paragraphs.join("\r\n\r\n") + "\r\n"
}

fn html(text: &Text, link: Option<&str>) -> String {
    let paragraph = |line: &String| format!("<p>{}</p>\r\n", escaped(line));
    let mut body = paragraph(&text.greeting);
    body.extend(text.paragraphs.iter().map(paragraph));
    if let (Some(link), Some((_, label))) = (link, text.link) {
        body.push_str(&format!("<p><a href=\"{}\">{}</a></p>\r\n", escaped(link), escaped(label)));
    }
    body.extend(text.closing.iter().map(paragraph));
    format!("<!DOCTYPE html>\r\n<html lang=\"en\">\r\n<body>\r\n{body}</body>\r\n</html>\r\n")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    fn composer() -> Composer {
        let keys = SealingKeys::generate().unwrap();
        let sender = Sender::from_text("Zoë's CRM <no-reply@crm.example.com>").unwrap();
        Composer::new(keys, PublicUrl::from_text("https://crm.example.com/").unwrap(), sender)
    }

    fn letter(kind: &str, details: serde_json::Value) -> Letter {
        Letter {
            id: Uuid::now_v7(),
            kind: kind.into(),
            recipient: "someone@example.com".into(),
            locale: "en".into(),
            secret_id: Some(Uuid::now_v7()),
            details,
            attempts: 1,
        }
    }

    /// Soft line breaks joined and `=3D` read, which is all that these texts need.
    fn readable(message: &Message) -> String {
        String::from_utf8(message.formatted()).unwrap().replace("=\r\n", "").replace("=3D", "=")
    }

    #[test]
    fn every_kind_of_letter_is_written_with_its_headers_and_link() {
        let composer = composer();
        let kinds = [
            ("confirm_registration", Some("/confirm#")),
            ("already_registered", None),
            ("reset_password", Some("/reset-password#")),
            ("no_account", None),
            ("password_changed", None),
            ("confirm_email", Some("/confirm-email#")),
            ("email_in_use", None),
            ("email_changed", None),
            ("invitation", Some("/invitation#")),
            ("second_factor_changed", None),
            ("sign_in_method_changed", None),
        ];
        for (kind, path) in kinds {
            let letter = letter(kind, json!({ "name": "Kim" }));
            let message = composer.compose(&letter).unwrap();
            let text = readable(&message);
            for header in [
                "To: someone@example.com\r\n",
                "Auto-Submitted: auto-generated\r\n",
                "MIME-Version: 1.0\r\n",
                "Date: ",
                "Subject: ",
                &format!("Message-ID: <{}@crm.example.com>\r\n", letter.id.simple()),
                "From: =?utf-8?b?",
                "<no-reply@crm.example.com>",
                "Content-Type: text/plain; charset=utf-8",
                "Content-Type: text/html; charset=utf-8",
                "Hello Kim,",
            ] {
                assert!(text.contains(header), "{kind} lacks {header}: {text}");
            }
            let token = link_token(&composer.keys, kind, letter.secret_id.unwrap()).unwrap();
            match path {
                Some(path) => assert_eq!(text.matches(&format!("https://crm.example.com{path}{token}")).count(), 2, "{text}"),
                None => assert!(!text.contains("https://") && !text.contains(&token), "{kind} has no link: {text}"),
            }
        }
    }

    #[test]
    fn what_people_typed_becomes_neither_header_nor_markup() {
        let composer = composer();
        let evil = "x\r\nBcc: victim@example.com\r\n\r\n<script>alert(1)</script>\u{2028}\u{0}";
        let details = json!({ "name": "<b>Kim</b>\r\nBcc: nobody", "organization": "A & B \"quoted\" <i>", "inviter": evil });
        let message = composer.compose(&letter("invitation", details)).unwrap();
        let text = readable(&message);
        let (headers, _) = text.split_once("\r\n\r\n").unwrap();
        assert!(!headers.contains("Bcc"), "{headers}");
        assert!(!text.contains("\r\nBcc"), "{text}");
        let html = text.split("text/html").nth(1).unwrap();
        assert!(!html.contains("<script>") && !html.contains("<b>") && !html.contains("<i>"), "{html}");
        assert!(html.contains("A &amp; B &quot;quoted&quot; &lt;i&gt;"), "{html}");
    }

    #[test]
    fn what_cannot_be_written_is_refused_for_good() {
        let composer = composer();
        let unreachable = Letter { recipient: "a b@example.com\r\nBcc: c@d.e".into(), ..letter("invitation", json!({})) };
        let without_secret = Letter { secret_id: None, ..letter("invitation", json!({})) };
        for letter in [letter("unheard_of", json!({})), unreachable, without_secret] {
            assert!(matches!(composer.compose(&letter), Err(Failure::Permanent(_))), "{letter:?}");
        }
    }

    #[test]
    fn addresses_of_the_configuration_are_checked() {
        for good in ["http://127.0.0.1:8080", "https://crm.example.com", "https://crm.example.com/sub/"] {
            assert!(!PublicUrl::from_text(good).unwrap().as_str().ends_with('/'), "{good}");
        }
        for bad in [
            "",
            "crm.example.com",
            "ftp://x",
            "https://",
            "https:///x",
            "https://x/?q",
            "https://x#y",
            "https://a b",
            "https://u:p@x",
        ] {
            PublicUrl::from_text(bad).unwrap_err();
        }
        for bad in ["", "nobody", "a@b\r\nBcc: c@d", "<>"] {
            Sender::from_text(bad).unwrap_err();
        }
    }
}
