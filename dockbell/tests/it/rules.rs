//! The rules of the house name tests that exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The sections with tables whose last column names tests, and how many these name at the least.
const SECTIONS: [(&str, usize); 2] =
    [("Rules of the house, and their tests", 20), ("Faults, and the tests that provoke them", 60)];
/// The crates whose tests may be named.
const MEMBERS: [&str; 6] = ["proto", "backends", "chassis", "producer", "deliverer", "dockbell"];

#[test]
fn every_test_that_the_contracts_name_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let contracts = fs::read_to_string(root.join("docs/contracts.md")).unwrap();
    let mut sources = String::new();
    for member in MEMBERS {
        read_sources(&root.join(member), &mut sources);
    }
    for (title, least) in SECTIONS {
        let named = named_in(&contracts, title);
        assert!(named.len() > least, "{named:?}");
        let missing: Vec<_> = named.iter().filter(|name| !sources.contains(&format!("fn {name}("))).collect();
        assert!(missing.is_empty(), "named and not there: {missing:?}");
    }
}

/// What the last column of a section's table names. Each row names something, but for those that are headings.
fn named_in<'a>(contracts: &'a str, title: &str) -> BTreeSet<&'a str> {
    let (_, section) = contracts.split_once(&format!("\n## {title}\n")).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| ")).skip(1).filter(|row| !row.starts_with("| **"));
    let named = rows.flat_map(|row| {
        let last = row.trim_end_matches([' ', '|']).rsplit(" | ").next().unwrap();
        let names: Vec<_> = last.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "no test: {row}");
        names
    });
    named.collect()
}

fn read_sources(folder: &Path, sources: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_sources(&path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            sources.push_str(&fs::read_to_string(&path).unwrap());
        }
    }
}
