//! The dashboard and the alarms of `deploy` ask for what the gateway prints, and the dashboard shows all of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::TcpListener,
    time::Duration,
};

use actix_web::http::Method;
use crm_gateway::metrics;
use crm_tenancy::fault::Fault;
use serde_json::Value;

use crate::support::{App, client};

const DASHBOARD: &str = include_str!("../../../../deploy/grafana/ascendore-crm.json");
const GUIDE: &str = include_str!("../../../../docs/OPERATIONS.md");
const ALARMS: &str = include_str!("../../../../deploy/prometheus-alerts.yaml");

/// What Prometheus puts to every sample by itself.
const EVERYWHERE: [&str; 2] = ["job", "instance"];
/// The words of PromQL that are used; any other word is a metric.
const WORDS: [&str; 17] = [
    "absent",
    "by",
    "histogram_quantile",
    "increase",
    "le",
    "max",
    "min",
    "min_over_time",
    "or",
    "rate",
    "sum",
    "time",
    "topk",
    "vector",
    "m",
    "h",
    "__rate_interval",
];

/// Samples by name, each with the values of its labels that were printed.
type Samples = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

/// What a gateway prints when everything that it counts has happened once.
async fn printed() -> String {
    let app = App::start().await;
    let numbers = &app.services().metrics;
    for status in [200, 404, 503] {
        numbers.note_request("company:list", &Method::GET, status, Duration::from_millis(3));
    }
    numbers.note_limited("caller");
    numbers.note_fault(Fault::Lock);
    numbers.note_housekeeping(&BTreeMap::from([("bin".to_owned(), 3)]));
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let server = metrics::serve(listener, app.services().clone()).unwrap();
    let handle = server.handle();
    tokio::spawn(server);
    let text = client().get(format!("http://{address}/metrics")).send().await.unwrap().text().await.unwrap();
    handle.stop(true).await;
    text
}

fn samples(text: &str) -> Samples {
    let mut samples = Samples::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, rest) = line.split_once(['{', ' ']).unwrap();
        let labels = samples.entry(name.to_owned()).or_default();
        let inside = rest.rsplit_once('}').map_or("", |(inside, _)| inside);
        for (label, value) in matchers(inside) {
            labels.entry(label.to_owned()).or_default().insert(value.to_owned());
        }
    }
    samples
}

/// `name="value"` of each, whatever stands between them.
fn matchers(inside: &str) -> impl Iterator<Item = (&str, &str)> {
    let parts = inside.split("\",");
    parts.filter_map(|part| {
        let (label, value) = part.split_once('=')?;
        Some((label.trim(), value.trim_matches(['"', '~'])))
    })
}

/// What is wrong with an expression, and the metrics that it asks for.
fn judge(expression: &str, samples: &Samples) -> Result<BTreeSet<String>, String> {
    let mut asked = BTreeSet::new();
    let mut labels: BTreeSet<&str> = EVERYWHERE.into();
    let mut grouped = Vec::new();
    let (mut rest, mut last) = (expression, String::new());
    while let Some(letter) = rest.chars().next() {
        let word: String = rest.chars().take_while(|letter| letter.is_ascii_alphanumeric() || *letter == '_').collect();
        let after = rest.get(word.len().max(letter.len_utf8())..).unwrap_or_default();
        if letter == '{' || (letter == '(' && last == "by") {
            let (inside, behind) = after.split_once(['}', ')']).ok_or("a bracket is not closed")?;
            let of = samples.get(&last);
            for (label, value) in matchers(inside).filter(|(label, _)| letter == '{' && !EVERYWHERE.contains(label)) {
                let values = of.and_then(|labels| labels.get(label)).ok_or(format!("{last} has no label {label}"))?;
                values.contains(value).then_some(()).ok_or(format!("{last} is never printed with {label}={value}"))?;
            }
            grouped.extend(inside.split(',').filter(|_| letter == '(').map(str::trim));
            (rest, last) = (behind, String::new());
            continue;
        }
        if !word.is_empty() && !letter.is_ascii_digit() && !WORDS.contains(&word.as_str()) {
            let found = samples.get(&word).ok_or(format!("{word} is not printed"))?;
            labels.extend(found.keys().map(String::as_str));
            asked.insert(word.clone());
        }
        if letter != ' ' {
            last = word.clone();
        }
        rest = after;
    }
    match grouped.iter().find(|label| !labels.contains(*label)) {
        Some(label) => Err(format!("nothing has the label {label}")),
        None => Ok(asked),
    }
}

fn panels(dashboard: &Value) -> Vec<&Value> {
    dashboard["panels"].as_array().unwrap().iter().filter(|panel| panel["type"] != "row").collect()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_dashboard_asks_for_what_is_printed_and_shows_all_of_it() {
    let printed = printed().await;
    let (samples, dashboard) = (samples(&printed), serde_json::from_str(DASHBOARD).unwrap());
    let (mut shown, mut titles, mut ids) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for panel in panels(&dashboard) {
        let title = text(&panel["title"]);
        assert!(!title.is_empty() && titles.insert(title), "a title, and another one than the others: {panel}");
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{title} has the id of another");
        assert!(text(&panel["description"]).len() > 80, "{title} does not say what to do");
        assert!(!text(&panel["fieldConfig"]["defaults"]["unit"]).is_empty(), "{title} has no unit");
        let targets = panel["targets"].as_array().unwrap();
        assert!(!targets.is_empty(), "{title} shows nothing");
        for target in targets {
            let expression = text(&target["expr"]);
            let asked = judge(expression, &samples).unwrap_or_else(|wrong| panic!("{title}: {wrong}: {expression}"));
            assert!(!asked.is_empty(), "{title} asks nothing of the gateway: {expression}");
            for label in text(&target["legendFormat"]).split("{{").skip(1).filter_map(|rest| rest.split("}}").next()) {
                let is_kept = label == "instance"
                    || expression.contains(&format!("({label}"))
                    || expression.contains(&format!(", {label}"));
                assert!(is_kept, "{title}: the legend names {label}, which {expression} does not keep");
            }
            shown.extend(asked);
        }
    }
    for family in printed.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()) {
        let is_shown = ["", "_total", "_bucket"].iter().any(|end| shown.contains(&format!("{family}{end}")));
        assert!(is_shown, "{family} stands on no panel");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_alarms_ask_for_what_is_printed() {
    let samples = samples(&printed().await);
    let lines = |name: &str| -> Vec<&str> { ALARMS.lines().filter_map(|line| line.trim().strip_prefix(name)).collect() };
    let expressions = lines("expr: ");
    for expression in &expressions {
        let asked = judge(expression, &samples).unwrap_or_else(|wrong| panic!("{wrong}: {expression}"));
        assert!(!asked.is_empty(), "{expression}");
    }
    let rules = lines("- alert: ");
    assert!(rules.len() > 8 && rules.iter().collect::<BTreeSet<_>>().len() == rules.len(), "{rules:?}");
    let told = rules.iter().filter(|rule| GUIDE.contains(&format!("\n| `{rule}` |")));
    assert_eq!(told.count(), rules.len(), "docs/OPERATIONS.md says what to do first");
    assert_eq!([expressions.len(), lines("summary: ").len(), lines("action: ").len()], [rules.len(); 3], "each says what to do");
}

#[test]
fn what_is_not_printed_is_refused() {
    let samples = samples("crm_x_total{kind=\"a\",status=\"5xx\"} 3\ncrm_y 1.5\n");
    let refused = |expression| judge(expression, &samples).unwrap_err();
    for good in [
        "sum by (kind) (rate(crm_x_total{status=\"5xx\",job=~\"$job\"}[5m])) * 60 > 3",
        "time() - max(crm_y)",
        "crm_y{job=~\"a\"}",
    ] {
        assert_eq!(judge(good, &samples).unwrap().len(), 1, "{good}");
    }
    assert_eq!(refused("rate(crm_z_total[5m])"), "crm_z_total is not printed");
    assert_eq!(refused("sum(up)"), "up is not printed");
    assert_eq!(refused("crm_x_total{sort=\"a\"}"), "crm_x_total has no label sort");
    assert_eq!(refused("crm_x_total{status=\"6xx\"}"), "crm_x_total is never printed with status=6xx");
    assert_eq!(refused("sum by (kind) (crm_y)"), "nothing has the label kind");
}
