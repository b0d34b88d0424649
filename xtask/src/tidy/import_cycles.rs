//! Finds import cycles between the files of a crate.
//!
//! A parent module and its children may import each other. Test modules are ignored. Imports (`crate::…`, `super::…`)
//! are found by searching the text, without a Rust parser, which is precise enough for this check.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The imports of each module of one crate. Modules are named by their path, such as `["cpu", "winograd"]`.
#[derive(Default)]
pub(super) struct Imports(BTreeMap<Vec<String>, BTreeSet<Vec<String>>>);

impl Imports {
    /// Adds a file. `path` is relative to `src`. Ignores `lib.rs` and `main.rs`: they are the root and import
    /// everything.
    pub(super) fn add(&mut self, path: &Path, text: &str) {
        let mut module: Vec<String> =
            path.with_extension("").components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
        if module.last().is_some_and(|name| name == "mod") {
            module.pop();
        }
        if !["lib", "main"].contains(&module.join("/").as_str()) {
            let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
            self.0.insert(module.clone(), imports(&module, code));
        }
    }

    /// Returns a description of each cycle: the names of the modules that import each other, directly or through
    /// others.
    pub(super) fn cycles(&self) -> Vec<String> {
        let reachable: BTreeMap<&[String], BTreeSet<&[String]>> =
            self.0.keys().map(|module| (module.as_slice(), self.reachable_from(module))).collect();
        let mut cycles = BTreeSet::new();
        for (module, reached) in &reachable {
            let cycle: BTreeSet<String> = reached
                .iter()
                .filter(|other| reachable[*other].contains(module))
                .map(|other| other.join("::"))
                .collect();
            if cycle.len() > 1 {
                cycles.insert(cycle.into_iter().collect::<Vec<_>>().join(", "));
            }
        }
        cycles.into_iter().collect()
    }

    /// Returns the modules that `module` imports, directly or through others.
    fn reachable_from<'a>(&'a self, module: &'a [String]) -> BTreeSet<&'a [String]> {
        let mut reached = BTreeSet::new();
        let mut pending = vec![module];
        while let Some(module) = pending.pop() {
            for target in self.targets(module) {
                if reached.insert(target) {
                    pending.push(target);
                }
            }
        }
        reached
    }

    /// Returns the modules that `module` imports directly, except its parents and children.
    fn targets<'a>(&'a self, module: &'a [String]) -> impl Iterator<Item = &'a [String]> {
        let files = self.0.get(module).into_iter().flatten().filter_map(|path| {
            // `crate::cpu::pool::Pool` is the item `Pool` of the file `cpu::pool`.
            let lengths = (1..=path.len()).rev();
            lengths
                .map(|length| &path[..length])
                .find_map(|prefix| self.0.get_key_value(prefix))
                .map(|(key, _)| key.as_slice())
        });
        files.filter(move |target| !target.starts_with(module) && !module.starts_with(target))
    }
}

/// Returns the paths that a module imports from its own crate, relative to the root of the crate.
fn imports(module: &[String], code: &str) -> BTreeSet<Vec<String>> {
    let code: String =
        code.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n");
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices("crate::").chain(code.match_indices("super::")) {
        let follows_name = code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':' || c == '$');
        if follows_name {
            continue;
        }
        let mut relative = Vec::new();
        expand(&code[at..], &mut Vec::new(), &mut relative);
        found.extend(relative.into_iter().map(|path| absolute(module, path)));
    }
    found
}

/// Expands the path at the start of `text`, with its braces: `crate::{a::B, c}` is `crate::a::B` and `crate::c`.
/// Returns the rest of the text.
fn expand<'a>(text: &'a str, prefix: &mut Vec<String>, found: &mut Vec<Vec<String>>) -> &'a str {
    let depth = prefix.len();
    let mut rest = text.trim_start();
    loop {
        if let Some(mut inner) = rest.strip_prefix('{') {
            while !inner.trim_start().starts_with('}') && !inner.trim_start().is_empty() {
                inner = expand(inner, prefix, found);
                inner = inner.trim_start();
                // Skip the text after a name, such as ` as other`.
                inner = &inner[inner.find([',', '}']).unwrap_or(inner.len())..];
                inner = inner.strip_prefix(',').unwrap_or(inner);
            }
            prefix.truncate(depth);
            return inner.trim_start().strip_prefix('}').unwrap_or_default();
        }
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        prefix.push(rest[..end].to_owned());
        rest = &rest[end..];
        match rest.strip_prefix("::") {
            Some(next) if next.starts_with(|c: char| c.is_alphabetic() || c == '_' || c == '{') => rest = next,
            _ => break,
        }
    }
    found.push(prefix.clone());
    prefix.truncate(depth);
    rest
}

/// Resolves `crate` and `super` at the start of a path.
fn absolute(module: &[String], path: Vec<String>) -> Vec<String> {
    let mut base = if path.first().is_some_and(|first| first == "crate") { Vec::new() } else { module.to_vec() };
    for part in path {
        match part.as_str() {
            "crate" | "self" => {}
            "super" => drop(base.pop()),
            _ => base.push(part),
        }
    }
    base
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cycles(files: &[(&str, &str)]) -> Vec<String> {
        let mut imports = Imports::default();
        for (path, text) in files {
            imports.add(Path::new(path), text);
        }
        imports.cycles()
    }

    #[test]
    fn finds_direct_and_indirect_cycles() {
        assert_eq!(cycles(&[("a.rs", "use crate::b::B;"), ("b.rs", "fn f() { crate::a::g() }")]), ["a, b"]);
        let three = [
            ("a.rs", "use crate::{b::{self, B}, d};"),
            ("b/mod.rs", "use super::c::{C, D as E};"),
            ("b/inner.rs", ""),
            ("c.rs", "use crate::a;"),
            ("d.rs", ""),
        ];
        assert_eq!(cycles(&three), ["a, b, c"]);
    }

    #[test]
    fn ignores_parents_tests_and_comments() {
        let parent = [
            ("a.rs", "mod b; use self::b::B;"),
            ("a/b.rs", "use super::A; use crate::a::C;"),
            ("lib.rs", "use crate::a;"),
        ];
        assert!(cycles(&parent).is_empty());
        let tested = [
            ("a.rs", "use crate::b::B;"),
            ("b.rs", "// See crate::a::A.\n#[cfg(test)]\nmod tests {\n    use crate::a::A;\n}\n"),
        ];
        assert!(cycles(&tested).is_empty());
    }
}
