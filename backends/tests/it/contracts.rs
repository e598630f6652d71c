//! The contract as a document, the rules, and the tests that run them name the same things.

use std::collections::BTreeSet;

use dockbell_testkit::conformance::{bus, store};

const CONTRACTS: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/contracts.md"));

/// The names of the rules under a heading: each is a list item that begins with it.
fn documented(heading: &str) -> Vec<&'static str> {
    let (_, section) = CONTRACTS.split_once(&format!("\n## {heading}\n")).unwrap_or_else(|| panic!("no {heading}"));
    let section = section.split("\n## ").next().unwrap();
    section.lines().filter_map(|line| line.strip_prefix("- `")?.split_once('`')).map(|(name, _)| name).collect()
}

fn tests(source: &'static str) -> BTreeSet<&'static str> {
    source.lines().filter_map(|line| line.strip_prefix("async fn ")?.strip_suffix("() {")).collect()
}

#[test]
fn the_document_names_exactly_the_rules() {
    let of_claims = ("The store, if processes share it", store::claims::RULES);
    for (heading, rules) in [("The bus", bus::RULES), ("The store", store::RULES), of_claims] {
        let documented = documented(heading);
        assert_eq!(BTreeSet::from_iter(documented.clone()), BTreeSet::from_iter(rules.to_vec()), "{heading}");
        assert_eq!(documented.len(), rules.len(), "{heading}: a rule is named twice");
    }
}

#[test]
fn every_rule_of_the_bus_is_run_on_the_amqp_adapter() {
    let source = include_str!("amqp_bus.rs");
    let names = |line: &'static str| line.trim_start().strip_prefix('"')?.split_once("\" =>").map(|(name, _)| name);
    let checked: Vec<&str> = source.lines().filter_map(names).collect();
    assert_eq!(checked, bus::RULES);
    let other: Vec<_> = checked.iter().filter(|name| !source.contains(&format!("::{name}(bus)"))).collect();
    assert!(other.is_empty(), "rules that check something else: {other:?}");
}

#[test]
fn every_rule_is_run_on_the_other_adapters() {
    let of_bus = tests(include_str!("embedded_bus.rs"));
    assert_eq!(of_bus, BTreeSet::from_iter(bus::RULES.to_vec()));
    assert_eq!(tests(include_str!("embedded_store.rs")), BTreeSet::from_iter(store::RULES.to_vec()));
    let if_shared = [store::RULES, store::claims::RULES].concat();
    assert_eq!(tests(include_str!("redis_store.rs")), BTreeSet::from_iter(if_shared));
}
