//! Reads the `use` lines of the sources: modules form no circle.
//!
//! Two modules may know each other only where one lies inside the other. Modules are compared where their paths part: a
//! use of `writer::cache` in `outbox::relay` is a use of `writer` in `outbox`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

const CRATES: [&str; 8] = [
    "shared-events",
    "service-kit",
    "command-service",
    "query-service",
    "deploy/standalone",
    "deploy/demo",
    "deploy/benchmarks",
    "deploy/system-tests",
];

/// Which modules each module uses, by their paths.
type Uses = BTreeMap<Vec<String>, BTreeSet<Vec<String>>>;

/// All modules of a crate with their texts, but for unit tests and for `lib` and `main`, which only name the others.
fn modules(source: &Path) -> BTreeMap<Vec<String>, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![source.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let mut module: Vec<String> = path
                .strip_prefix(source)
                .unwrap()
                .with_extension("")
                .iter()
                .map(|part| part.to_str().unwrap().to_owned())
                .collect();
            match module.last().unwrap().as_str() {
                "tests" | "lib" | "main" => continue,
                "mod" => drop(module.pop()),
                _ => {}
            }
            let text = fs::read_to_string(&path).unwrap();
            let productive = text.split("\n#[cfg(test)]\nmod tests").next().unwrap();
            let code = productive.lines().map(|line| line.split("//").next().unwrap_or_default());
            found.insert(module, code.collect::<Vec<_>>().join("\n"));
        }
    }
    found
}

/// The paths of a tree such as `crate::{a, b::{self, c}}`.
fn paths(tree: &str) -> Vec<String> {
    let Some(open) = tree.find('{') else { return vec![tree.trim().to_owned()] };
    let (prefix, body) = (tree[..open].trim(), &tree[open + 1..tree.rfind('}').unwrap()]);
    let (mut depth, mut item, mut items) = (0, String::new(), Vec::new());
    for letter in body.chars() {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                items.push(std::mem::take(&mut item));
                continue;
            }
            _ => {}
        }
        item.push(letter);
    }
    items.push(item);
    let items = items.iter().filter(|item| !item.trim().is_empty());
    items.flat_map(|item| paths(item)).map(|path| format!("{prefix}{path}")).collect()
}

/// The module of the crate that a path leads to from a module; none where it leads out of the crate.
fn target(path: &str, from: &[String], all: &BTreeMap<Vec<String>, String>) -> Option<Vec<String>> {
    let parts: Vec<&str> = path.split(" as ").next().unwrap().split("::").map(str::trim).collect();
    let (mut base, rest) = match parts[0] {
        "crate" => (Vec::new(), &parts[1..]),
        "self" => (from.to_vec(), &parts[1..]),
        "super" => {
            let ups = parts.iter().take_while(|part| **part == "super").count();
            (from[..from.len().saturating_sub(ups)].to_vec(), &parts[ups..])
        }
        _ => return None,
    };
    base.extend(rest.iter().map(|part| (*part).to_owned()));
    while !base.is_empty() && !all.contains_key(&base) {
        base.pop();
    }
    (!base.is_empty() && base != from).then_some(base)
}

/// What a crate's modules use of one another, each pair named where their paths part.
fn uses(all: &BTreeMap<Vec<String>, String>) -> Uses {
    let mut uses = Uses::new();
    for (module, text) in all {
        let statements = text.match_indices("use ").filter_map(|(at, found)| {
            let before = text[..at].rsplit('\n').next().unwrap_or_default().trim();
            let visible = before == "pub" || before.starts_with("pub(") && before.ends_with(')');
            let begins = before.is_empty() || visible;
            begins.then(|| text[at + found.len()..].split(';').next()).flatten()
        });
        for path in statements.flat_map(paths) {
            let Some(used) = target(&path, module, all) else { continue };
            let common = module.iter().zip(&used).take_while(|(one, other)| one == other).count();
            if common < module.len() && common < used.len() {
                uses.entry(module[..=common].to_vec()).or_default().insert(used[..=common].to_vec());
            }
        }
    }
    uses
}

/// A way from a module back to itself.
fn circle(uses: &Uses) -> Option<Vec<String>> {
    let reach = |from: &Vec<String>| {
        let (mut seen, mut next) = (BTreeSet::new(), vec![from.clone()]);
        while let Some(module) = next.pop() {
            for used in uses.get(&module).into_iter().flatten() {
                if seen.insert(used.clone()) {
                    next.push(used.clone());
                }
            }
        }
        seen
    };
    let start = uses.keys().find(|module| reach(module).contains(*module))?;
    let all = reach(start);
    Some(all.iter().filter(|module| reach(module).contains(start)).map(|module| module.join("::")).collect())
}

#[test]
fn modules_form_no_circle() {
    let root: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut wrong = Vec::new();
    for name in CRATES {
        let all = modules(&root.join(name).join("src"));
        assert!(!all.is_empty(), "{name} has no modules: was it moved?");
        if let Some(circle) = circle(&uses(&all)) {
            wrong.push(format!("{name}: {}", circle.join(", ")));
        }
    }
    assert!(wrong.is_empty(), "modules that know each other:\n{}", wrong.join("\n"));
}

#[test]
fn a_circle_over_three_modules_and_a_nested_one_are_found() {
    let crate_of = |modules: &[(&str, &str)]| -> BTreeMap<Vec<String>, String> {
        let module = |path: &str| path.split("::").map(str::to_owned).collect();
        modules.iter().map(|(path, text)| (module(path), (*text).to_owned())).collect()
    };
    let three = crate_of(&[
        ("a", "use crate::b::Thing;"),
        ("b", "use crate::{\n    c::{self, Other},\n    d::Leaf,\n};"),
        ("c::inner", "use super::super::a::More;"),
        ("c", ""),
        ("d", ""),
    ]);
    assert_eq!(circle(&uses(&three)), Some(vec!["a".to_owned(), "b".to_owned(), "c".to_owned()]));
    let inside = crate_of(&[("a", "use self::b::Thing;"), ("a::b", "use super::Other;")]);
    assert_eq!(circle(&uses(&inside)), None, "a module and its own part may know each other");
}
