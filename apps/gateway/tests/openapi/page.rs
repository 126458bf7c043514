//! The document as it is handed out, and its page for people: from this server alone, cached, compressed, bound by a policy.

use sha2::{Digest, Sha256};

use crate::support::App;

const SOURCE: &str = include_str!("../../vendor/swagger-ui/SOURCE.txt");

#[tokio::test(flavor = "multi_thread")]
async fn the_page_asks_nobody_else_and_is_cached() {
    let app = App::start().await;
    let page = app.nobody().get("/api/v1/docs").await.expect(200);
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    let policy = page.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    assert!(!page.text.contains("://") && !page.text.contains("<style") && !page.text.contains("onload"), "{}", page.text);
    let addresses = page.text.split(['"']).filter(|part| part.starts_with("/api/v1/"));
    let mut files: Vec<&str> = addresses.collect();
    files.push("/api/v1/docs");
    assert!(files.len() >= 5, "{files:?}");
    for file in files {
        let answer = app.nobody().get(file).await.expect(200);
        assert!(answer.header("cache-control").starts_with("public, max-age="), "{file}");
        let known = app.nobody().call("GET", file).header("if-none-match", answer.etag()).send().await.expect(304);
        assert_eq!((known.text.as_str(), known.etag()), ("", answer.etag()), "{file}");
        app.nobody().call("GET", file).header("if-none-match", "W/\"another\"").send().await.expect(200);
        let compressed = app.nobody().call("GET", file).header("accept-encoding", "gzip").send().await.expect(200);
        assert_eq!(compressed.header("content-encoding"), "gzip", "{file}");
    }
    app.nobody().get("/api/v1/docs/nothing").await.problem(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_policy_of_the_page_lets_it_run() {
    let app = App::start().await;
    let page = app.nobody().get("/api/v1/docs").await.expect(200);
    // Nothing stands in the page itself that only `unsafe-inline` would let run.
    let scripts: Vec<&str> = page.text.split("<script").skip(1).collect();
    assert_eq!(scripts.len(), 2, "the library, and what starts it");
    for script in scripts {
        let (tag, rest) = script.split_once('>').unwrap();
        assert!(tag.starts_with(" src=\"/") && rest.starts_with("</script>"), "{script}");
    }
    assert!(!page.text.contains("style=") && !page.text.contains(" on"), "{}", page.text);
    // What is served as something else is not run, because browsers are told not to guess.
    for (file, kind) in
        [("swagger-ui-bundle.js", "text/javascript"), ("start.js", "text/javascript"), ("swagger-ui.css", "text/css")]
    {
        let answer = app.nobody().get(&format!("/api/v1/docs/{file}")).await.expect(200);
        assert!(answer.header("content-type").starts_with(kind), "{file}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{file}");
        assert!(page.text.contains(&format!("\"/api/v1/docs/{file}\"")), "{file} is not used");
    }
    // Fonts and images of the style sheet lie in it: `img-src data:`.
    let style = app.nobody().get("/api/v1/docs/swagger-ui.css").await.expect(200).text;
    let mut addresses = style.split("url(").skip(1).peekable();
    assert!(addresses.peek().is_some(), "the style sheet has images, and they are looked at");
    assert!(addresses.all(|address| address.trim_start_matches(['"', '\'']).starts_with("data:image/")));
    // It asks for the document alone: `connect-src 'self'`.
    let start = app.nobody().get("/api/v1/docs/start.js").await.expect(200).text;
    assert!(start.contains("url: \"/api/v1/openapi.json\"") && start.contains("validatorUrl: null"), "{start}");
    let document = app.nobody().get("/api/v1/openapi.json").await.expect(200);
    assert_eq!(document.header("content-type"), "application/json");
    assert_eq!(document.body["servers"][0]["url"], "/", "what is tried on the page is sent to this server");
}

#[test]
fn what_was_copied_is_what_its_source_says() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/vendor/swagger-ui");
    let mut compared = 0;
    for (sum, name) in SOURCE.lines().filter_map(|line| line.split_once("  ")) {
        let digest = Sha256::digest(std::fs::read(format!("{folder}/{name}")).unwrap());
        let found: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(found, sum, "{name} is not as it lies in the package");
        compared += 1;
    }
    assert_eq!(compared, std::fs::read_dir(folder).unwrap().count() - 1, "every file but the note has its sum");
}
