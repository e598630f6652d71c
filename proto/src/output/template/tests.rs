use jiff::SignedDuration;
use serde_json::{Value as Json, json};

use super::*;
use crate::clock::{Clock as _, SystemClock};
use crate::options::{ContentType, Options, Source};

/// What the render of a hostile template may add to the memory of the process, in KiB. The bound by fuel is 19 MiB.
const MEMORY_KIB: u64 = 96 * 1024;
/// Far more than a stopped template needs without optimisation on a busy machine.
const TIME: SignedDuration = SignedDuration::from_secs(30);

fn content() -> Batch {
    serde_json::from_value(json!({
        "source": "lab", "registry": "hub.test:5000", "repository": "team/app", "events": 1,
        "opened_at": "2026-01-02T03:04:05Z", "closed_at": "2026-01-02T03:04:06Z",
        "changes": [{"tag": "1.0", "order": "00001767323045000000-e1", "pushed_at": "2026-01-02T03:04:05Z",
            "pusher": "al\"ice", "event_ids": ["e1"]}],
    }))
    .unwrap()
}

fn rendered(source: &str, content_type: Option<&str>) -> Result<Rendered, RenderError> {
    let options = Options {
        source: Some(Source::parse(source).unwrap()),
        content_type: content_type.map(|text| ContentType::parse(text).unwrap()),
        ..Options::default()
    };
    let content = content();
    render(&options, &content, &content.changes[0])
}

fn refusal(source: &str) -> String {
    rendered(source, None).map(|rendered| rendered.body.len()).unwrap_err().to_string()
}

/// The most memory that this process ever had, in KiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn a_template_writes_what_it_names_and_text_stays_inside_its_quotes() {
    let source = r#"{"text": "{{ change.pusher }} pushed {{ repository }}:{{ change.tag }}", "digest": "{{ change.digest }}",
        "size": {{ change.size | tojson }}, "events": {{ events }}, "tags": [{% for one in changes %}{{ one.tag | tojson }}{% endfor %}]}"#;
    let rendered = rendered(source, None).unwrap();
    let expected =
        json!({"text": "al\"ice pushed team/app:1.0", "digest": "", "size": null, "events": 1, "tags": ["1.0"]});
    assert_eq!(serde_json::from_slice::<Json>(&rendered.body).unwrap(), expected);
    assert!(rendered.headers.contains(&("content-type".to_owned(), "application/json".to_owned())));
}

#[test]
fn a_template_that_is_not_json_is_written_as_it_is() {
    let rendered = rendered("{{ change.pusher }}\n{{ registry }}", Some("text/plain; charset=utf-8")).unwrap();
    assert_eq!(rendered.body, b"al\"ice\nhub.test:5000");
    assert!(rendered.headers.contains(&("content-type".to_owned(), "text/plain; charset=utf-8".to_owned())));
}

#[test]
fn what_is_wrong_with_a_template_is_told_with_its_line() {
    for (source, part) in [
        ("{}\n{% if %}", "(line 2)"),
        ("{\"a\": \"{{ nothing }}\"}", "undefined value"),
        ("{\"a\": {{ change.pusher }}}", "is no JSON"),
        ("{\"a\": {{ changes }}}", "with the filter tojson"),
        ("{% include 'other' %}", "no statement \"include\""),
        ("{{ open('/etc/passwd') }}", "unknown function"),
        ("{{ change | nothing }}", "unknown filter"),
        ("", "is no JSON"),
    ] {
        let error = refusal(source);
        assert!(error.starts_with("template: ") && error.contains(part), "{source}: {error}");
    }
}

#[test]
fn a_template_that_does_not_end_recurses_or_prints_100_mb_is_stopped_within_bounds() {
    let forever = format!("{}{}", "{% for a in 'aaaaaaaaaaaaaaaa' %}".repeat(9), "{% endfor %}".repeat(9));
    let large =
        format!("{}{}{}", "{% for a in 'aaaaaaaaaaaaaaaa' %}".repeat(4), "a".repeat(1000), "{% endfor %}".repeat(4));
    let chain = format!("{{% if change.tag{} %}}{{% endif %}}", "~changes".repeat(60));
    let chains =
        format!("{}{}{}", "{% for a in 'aaaaaaaaaaaaaaaa' %}".repeat(3), chain.repeat(50), "{% endfor %}".repeat(3));
    for (source, part) in [
        (forever.as_str(), "does too much"),
        (&large, "exceed"),
        (&chains, "does too much"),
        ("{% for a in changes recursive %}{{ loop(changes) }}{% endfor %}", "no recursion"),
        ("{%-\nfor a in changes\nrecursive-%}{{ loop(changes) }}{% endfor %}", "no recursion"),
        ("{% set a = 1 %}", "no statement \"set\""),
        ("{%-macro a() %}{{ a() }}{% endmacro %}{{ a() }}", "no statement \"macro\""),
        ("{% for a in range(99999999) %}{% endfor %}", "range is unknown"),
        ("{{ 'a' * 100000000 }}", "there is no '*'"),
        ("{{ '}}' * 100000000 }}", "a quote is not closed"),
        ("{{ \"'}}'\" * 100000000 }}", "a quote is not closed"),
        ("{{ '\\'}}' * 100000000 }}", "there is no '\\\\'"),
        ("{# {{ #}{{ 'a' * 100000000 }}", "there is no '*'"),
        ("{{ 1 }}{# }} {{ #}{% if 9 ** 9 %}{% endif %}", "there is no '*'"),
        ("{% raw %}{{ 'a' }}{% endraw %}", "no statement \"raw\""),
        ("{{ [1] }}", "there is no '['"),
        ("{{ (1, 2) }}", "there is no ','"),
        ("{{ 'a' | center(100000000) }}", "unknown filter"),
    ] {
        let (before, begun) = (peak(), SystemClock.now());
        let error = refusal(source);
        let took = SystemClock.now().duration_since(begun);
        assert!(error.contains(part), "{source}: {error}");
        assert!(took < TIME, "{source}: {took:?}");
        assert!(peak() - before < MEMORY_KIB, "{source}: {} KiB", peak() - before);
    }
}

/// Such a thread has the stack of those that make attempts.
#[test]
fn what_is_nested_as_deep_as_a_source_can_nest_it_does_not_exhaust_the_stack() {
    let texts = [
        format!("{{{{ {}1{} }}}}", "(".repeat(8000), ")".repeat(8000)),
        format!("{}{}", "{%if 1%}".repeat(1800), "{%endif%}".repeat(1800)),
        format!("{}{}", "{%if 1%}".repeat(100), "{%endif%}".repeat(100)),
        format!("{{%if 1%}}{}{{%endif%}}", "{%elif 1%}".repeat(3000)),
        format!("{{%if 1%}}{}{{%endif%}}", "{%elif 1%}".repeat(198)),
        format!("{{{{ {}1{} }}}}", "(".repeat(250), ")".repeat(250)),
        format!("{{{{ {}1 }}}}", "not ".repeat(125)),
        format!("{{{{ {}1 }}}}", "-".repeat(500)),
        format!("{{{{ 1{} }}}}", "~1".repeat(250)),
        format!("{{{{ change{} }}}}", ".a".repeat(250)),
        format!("{{{{ 1{} }}}}", " if 1 else 1".repeat(40)),
        format!("{{{{ {}1 }}}}", "not ".repeat(8000)),
        format!("{{{{ {}1 }}}}", "-".repeat(30000)),
        format!("{{{{ 1{} }}}}", "~1".repeat(15000)),
        format!("{{{{ 1{} }}}}", "|upper".repeat(5000)),
        format!("{{{{ change{} }}}}", ".a".repeat(15000)),
        format!("{{{{ 1{} }}}}", " if 1 else 1".repeat(2500)),
        format!("{{{{ 1{} }}}}", " and 1".repeat(5000)),
    ];
    for source in texts {
        let rendering = std::thread::spawn(move || rendered(&source, None).map(|_| ()));
        // That it ends is what counts: an exhausted stack would end the process.
        drop(rendering.join().unwrap());
    }
}
