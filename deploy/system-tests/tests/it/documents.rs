//! The tests and files that documents name exist.

use std::{collections::HashSet, fs, process::Command};

use crate::project::root;

/// Path and text of all files with an ending.
fn files(ending: &str) -> Vec<(String, String)> {
    let root = root();
    let listed = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(&root)
        .output()
        .unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let paths = listed.lines().filter(|path| path.ends_with(ending));
    paths.filter_map(|path| Some((path.to_owned(), fs::read_to_string(root.join(path)).ok()?))).collect()
}

#[test]
fn every_test_that_a_document_names_is_there() {
    let sources = files(".rs");
    let functions: HashSet<&str> = sources
        .iter()
        .flat_map(|(_, text)| text.lines())
        .filter_map(|line| Some(line.split_once("fn ")?.1.split_once('(')?.0))
        .collect();
    // A metric's name ends with its unit, or says that it counts.
    let is_a_test = |name: &&str| {
        name.matches('_').count() >= 4
            && !["_seconds", "_total"].iter().any(|unit| name.ends_with(unit))
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    let mut missing = Vec::new();
    let mut named = 0;
    for (path, text) in files(".md") {
        for name in text.split('`').skip(1).step_by(2) {
            let name = name.rsplit("::").next().unwrap();
            if is_a_test(&name) {
                named += 1;
                if !functions.contains(name) {
                    missing.push(format!("{path}: {name}"));
                }
            }
        }
    }
    assert!(named > 50, "only {named} tests are named");
    assert_eq!(missing, Vec::<String>::new());
}

#[test]
fn every_link_of_a_document_leads_to_a_file() {
    let root = root();
    let mut broken = Vec::new();
    for (path, text) in files(".md") {
        let folder = root.join(&path).parent().unwrap().to_owned();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link) {
            let file = link.split('#').next().unwrap();
            if !file.is_empty() && !file.contains(':') && !folder.join(file).exists() {
                broken.push(format!("{path}: {link}"));
            }
        }
    }
    assert_eq!(broken, Vec::<String>::new());
}
