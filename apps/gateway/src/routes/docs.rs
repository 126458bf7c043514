//! The document of the API, for programs and as a page for people. No token is asked for: it holds nothing of anybody.
//!
//! Must stay true: the page asks this server alone, which its Content-Security-Policy enforces; every file of it lies in the program.

use std::sync::{LazyLock, OnceLock};

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH},
    web::{Bytes, Data, ServiceConfig, get},
};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Where the document is.
const DOCUMENT: &str = "/api/v1/openapi.json";
/// Where its page is; its files lie below.
const PAGE: &str = "/api/v1/docs";

/// What the page may do: run its own scripts, ask this server. Images of the style sheet lie in it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A while in which nobody asks again; afterwards the tag tells whether anything has changed.
const CACHED: &str = "public, max-age=300";

const MARKUP: &str = r#"<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>Ascendore CRM API</title>
    <link rel="icon" href="data:,">
    <link rel="stylesheet" href="/api/v1/docs/swagger-ui.css">
  </head>
  <body>
    <div id="swagger-ui"></div>
    <noscript>This page needs JavaScript; the document itself is at <a href="/api/v1/openapi.json">/api/v1/openapi.json</a>.</noscript>
    <script src="/api/v1/docs/swagger-ui-bundle.js"></script>
    <script src="/api/v1/docs/start.js"></script>
  </body>
</html>
"#;

/// Something that is the same for everybody as long as the program runs.
struct Asset {
    kind: &'static str,
    body: Bytes,
    tag: String,
}

impl Asset {
    fn new(kind: &'static str, body: impl Into<Bytes>) -> Self {
        let body = body.into();
        let digest: String = Sha256::digest(&body).iter().take(12).map(|byte| format!("{byte:02x}")).collect();
        // Weak, because it is sent compressed in several ways.
        Self { kind, body, tag: format!("W/\"{digest}\"") }
    }

    fn answer(&self, request: &HttpRequest) -> HttpResponse {
        let known = request.headers().get_all(IF_NONE_MATCH).filter_map(|value| value.to_str().ok());
        let is_known = known.flat_map(|value| value.split(',')).map(str::trim).any(|tag| tag == "*" || tag == self.tag);
        let mut answer = if is_known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
        answer.insert_header((ETAG, self.tag.as_str())).insert_header((CACHE_CONTROL, CACHED));
        if is_known {
            return answer.finish();
        }
        answer.insert_header((CONTENT_TYPE, self.kind)).insert_header((CONTENT_SECURITY_POLICY, POLICY)).body(self.body.clone())
    }
}

/// The files of the page, by what follows the page's address.
static FILES: LazyLock<[(&str, Asset); 4]> = LazyLock::new(|| {
    let script = "text/javascript; charset=utf-8";
    let bundle = include_bytes!("../../vendor/swagger-ui/swagger-ui-bundle.js").as_slice();
    [
        ("", Asset::new("text/html; charset=utf-8", MARKUP)),
        ("/start.js", Asset::new(script, include_str!("docs_start.js"))),
        ("/swagger-ui-bundle.js", Asset::new(script, bundle)),
        ("/swagger-ui.css", Asset::new("text/css; charset=utf-8", include_str!("../../vendor/swagger-ui/swagger-ui.css"))),
    ]
});

/// The routes of this file. They stand before the scope of the API, which answers for everything below /api/v1 that comes after it.
pub fn routes(configuration: &mut ServiceConfig) {
    configuration.route(DOCUMENT, get().to(document));
    for (name, _) in FILES.iter() {
        configuration.route(&format!("{PAGE}{name}"), get().to(file));
    }
}

/// The OpenAPI document.
async fn document(request: HttpRequest, document: Data<Value>) -> HttpResponse {
    static WRITTEN: OnceLock<Asset> = OnceLock::new();
    WRITTEN.get_or_init(|| Asset::new("application/json", document.to_string())).answer(&request)
}

/// The page or one of its files.
async fn file(request: HttpRequest) -> HttpResponse {
    let wanted = request.path().strip_prefix(PAGE).unwrap_or_default();
    match FILES.iter().find(|(name, _)| *name == wanted) {
        Some((_, asset)) => asset.answer(&request),
        None => HttpResponse::NotFound().finish(),
    }
}
