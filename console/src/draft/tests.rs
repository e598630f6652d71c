use serde_json::json;

use super::*;

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => panic!("not an object"),
    }
}

fn draft(value: Value) -> Result<WebhookDraft, Problem> {
    WebhookDraft::read(object(value), (&AddressPolicy::default(), &Policy::default()))
}

fn patch(value: Value) -> Result<PatchDraft, Problem> {
    PatchDraft::read(object(value), &AddressPolicy::default())
}

fn wrong(problem: &Problem) -> Vec<&str> {
    problem.errors.iter().map(|error| error.member.as_str()).collect()
}

fn valid() -> Value {
    json!({ "name": "a", "repository": "team/*", "url": "https://ci.test/?a=%7e&b", "format": "alin" })
}

#[test]
fn what_is_left_out_has_its_default() {
    let draft = draft(valid()).unwrap();
    assert!(draft.enabled && draft.registry.is_none() && draft.headers.is_empty());
    assert_eq!(draft.url.expose(), "https://ci.test/?a=%7e&b");
}

#[test]
fn all_wrong_members_are_named_at_once() {
    let problem = draft(json!({
        "name": " ", "repository": "a//b", "url": "ftp://a/?canary", "format": "xml", "registry": "a/b",
        "headers": { "host": "canary", "x-ok": "a", "x-number": 1 }, "enabled": "yes", "secret": "canary",
        "signatures": [], "authorization": { "kind": "bearer", "token": "canary é" },
    }))
    .unwrap_err();
    assert_eq!(
        wrong(&problem),
        [
            "name",
            "repository",
            "url",
            "format",
            "registry",
            "headers",
            "signatures",
            "authorization",
            "enabled",
            "secret",
        ]
    );
    for error in &problem.errors {
        assert!(error.problem.starts_with(&error.member) && !error.problem.contains("canary"), "{}", error.problem);
    }
    let headers = &problem.errors[5].problem;
    assert!(headers.contains("host cannot be set") && headers.contains("x-number"), "{headers}");
}

#[test]
fn members_that_must_be_given_are_named_when_they_are_not() {
    let problem = draft(json!({})).unwrap_err();
    assert_eq!(wrong(&problem), ["name", "repository", "url", "format"]);
    assert_eq!(problem.errors[0].problem, "name must be given");
}

#[test]
fn a_forbidden_address_is_refused_with_the_setting_that_allows_it_and_without_the_query() {
    let mut given = valid();
    given["url"] = json!("http://127.0.0.1:9000/?token=canary");
    let problem = draft(given).unwrap_err();
    let text = &problem.errors[0].problem;
    assert!(text.contains("DOCKBELL_TARGETS_ALLOW=127.0.0.1:9000") && !text.contains("canary"), "{text}");
}

#[test]
fn a_mask_is_never_taken_for_a_secret() {
    let problem = patch(json!({ "url": "https://ci.test/?token=***", "headers": { "authorization": "***" } }));
    assert_eq!(wrong(&problem.unwrap_err()), ["url", "headers"]);
}

#[test]
fn a_header_that_is_given_in_two_spellings_is_refused() {
    let mut given = valid();
    given["headers"] = json!({ "X-A": "1", "x-a": "2" });
    assert_eq!(draft(given).unwrap_err().errors[0].problem, "headers: x-a is given twice");
}

#[test]
fn a_patch_changes_what_it_names_and_null_makes_the_registry_any() {
    let left_out = patch(json!({})).unwrap();
    assert_eq!(left_out.patch, WebhookPatch::default());
    assert!(left_out.headers.is_none());
    assert_eq!(patch(json!({ "registry": null })).unwrap().patch.registry, Some(None));
    let set = patch(json!({ "registry": "HUB.test" })).unwrap().patch.registry.flatten();
    assert_eq!(set.unwrap().as_str(), "hub.test");
    let problem = patch(json!({ "name": null, "url": null, "id": "wh_1", "created_at": 1 })).unwrap_err();
    assert_eq!(wrong(&problem), ["name", "url", "created_at", "id"]);
}

#[test]
fn headers_change_one_by_one() {
    let current = BTreeMap::from([("a".to_owned(), Secret::new("1")), ("b".to_owned(), Secret::new("2"))]);
    let apply = |headers: Value| {
        let patch = patch(json!({ "headers": headers })).unwrap().headers.unwrap();
        let headers = patch.apply(&current)?;
        Ok::<_, Problem>(headers.iter().map(|(name, value)| format!("{name}={}", value.expose())).collect::<Vec<_>>())
    };
    assert_eq!(apply(json!({ "A": "3", "b": null, "c": "4" })).unwrap(), ["a=3", "c=4"]);
    assert_eq!(apply(json!({})).unwrap(), ["a=1", "b=2"]);
    assert!(apply(Value::Null).unwrap().is_empty());
    let many: Map<String, Value> = (0..HEADERS_LIMIT).map(|number| (format!("x-{number}"), json!("1"))).collect();
    assert_eq!(wrong(&apply(Value::Object(many)).unwrap_err()), ["headers"]);
}

#[test]
fn a_query_names_all_its_wrong_parameters_at_once() {
    let query = |pairs: &[(&str, &str)]| pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
    let problem = read_history_query(query(&[("webhook", "x"), ("state", "lost"), ("limit", "101"), ("offset", "3")]));
    assert_eq!(wrong(&problem.unwrap_err()), ["webhook", "state", "limit", "offset"]);
    let problem = WebhookQuery::read(query(&[("limit", "1"), ("limit", "2"), ("repository", "a b")])).unwrap_err();
    assert_eq!(wrong(&problem), ["limit", "repository"]);
    let read = WebhookQuery::read(query(&[("repository", "team/*")])).unwrap();
    assert_eq!((read.page.limit, read.page.after), (50, None));
}

#[test]
fn an_authorization_is_of_one_kind_and_says_what_is_wrong_with_it() {
    for (given, problem) in [
        (json!("canary"), "authorization must be an object"),
        (json!({}), "authorization: kind must be one of verbatim, basic, bearer"),
        (json!({ "kind": "digest", "token": "canary" }), "authorization: kind must be one of verbatim, basic, bearer"),
        (json!({ "kind": "bearer" }), "authorization: token must be a string"),
        (
            json!({ "kind": "bearer", "token": "***" }),
            "authorization: token is a mask; leave authorization out to keep it",
        ),
        (json!({ "kind": "bearer", "token": "canary", "user": "a" }), "authorization: besides kind it has only token"),
        (json!({ "kind": "basic", "user": "a" }), "authorization: password must be a string"),
        (json!({ "kind": "verbatim", "value": "" }), "authorization: value must not be empty"),
    ] {
        let refused = patch(json!({ "authorization": given })).unwrap_err();
        assert_eq!(refused.errors[0].problem, problem);
    }
    for given in [json!(null), json!({ "kind": "basic", "user": "a", "password": "b" })] {
        assert!(patch(json!({ "authorization": given })).is_ok());
    }
}

#[test]
fn signatures_are_some_of_those_there_are() {
    for given in [json!([]), json!("v1"), json!(["v2"]), json!([1])] {
        let refused = patch(json!({ "signatures": given })).unwrap_err();
        let expected = "signatures must be a list of some of v1, v1a, x-hub-signature-256, x-signature";
        assert_eq!(refused.errors[0].problem, expected);
    }
    assert!(patch(json!({ "signatures": ["v1", "v1a", "x-hub-signature-256", "x-signature"] })).is_ok());
}
