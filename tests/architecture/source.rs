//! Reads Rust as text, as far as the rules of the house need: tokens, the paths they form, where functions begin and end.
//!
//! Comments, texts and what stands under `#[cfg(test)]` are no code here. It is no parser: macros are taken as they stand,
//! and names that an import brought in are not followed further, for the import itself is seen.

use std::{fs, path::Path};

const TEST_MARK: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];

/// A file of the crate.
pub(crate) struct SourceFile {
    /// From the root of the repository.
    pub(crate) path: String,
    /// All of it.
    pub(crate) text: String,
    /// Its code without tests.
    code: Vec<Token>,
    /// How many lines its tests take.
    test_lines: usize,
}

/// A word, a `::`, a text (as `""`) or a single sign.
struct Token {
    text: String,
    line: usize,
}

/// A function with a body.
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) line: usize,
    /// From `fn` to the closing brace.
    pub(crate) lines: usize,
}

/// A path as it is meant: from the root of the crate, or from a library.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Target {
    Own(Vec<String>),
    Foreign(Vec<String>),
}

/// All Rust files below `folder`, sorted by path. Paths are meant from the root of the repository, here as everywhere.
pub(crate) fn files_below(folder: &str) -> Vec<SourceFile> {
    let mut paths = Vec::new();
    collect(Path::new(folder), &mut paths);
    paths.sort();
    paths.iter().map(|path| SourceFile::new(path, &read(path))).collect()
}

fn collect(folder: &Path, paths: &mut Vec<String>) {
    for entry in fs::read_dir(root().join(folder)).unwrap() {
        let entry = entry.unwrap();
        let path = folder.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            collect(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path.to_str().unwrap().to_owned());
        }
    }
}

/// The text of a file.
pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

impl SourceFile {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let mut code = tokens(text);
        let test_lines = take_tests_out(&mut code);
        Self { path: path.to_owned(), text: text.to_owned(), code, test_lines }
    }

    /// Whether the whole file is a test: `tests.rs`, or below a folder `tests`.
    pub(crate) fn is_test(&self) -> bool {
        self.path.split('/').any(|part| part == "tests" || part == "tests.rs")
    }

    pub(crate) fn lines_without_tests(&self) -> usize {
        self.text.lines().count() - self.test_lines
    }

    /// Its place in the crate: `src/store/embedded/mod.rs` is `["store", "embedded"]`, `src/lib.rs` is `[]`.
    pub(crate) fn module(&self) -> Vec<String> {
        let path = self.path.trim_start_matches("src/").trim_end_matches(".rs");
        path.split('/').filter(|part| !["mod", "lib"].contains(part)).map(str::to_owned).collect()
    }

    /// The paths in its code, with their lines.
    pub(crate) fn paths(&self) -> Vec<(usize, Target)> {
        let mut found = Vec::new();
        for (at, token) in self.code.iter().enumerate() {
            let previous = at.checked_sub(1).map_or("", |before| self.word(before));
            let begins = previous == "use" || (self.word(at + 1) == "::" && !["::", "."].contains(&previous));
            if begins && is_word(&token.text) && !self.is_in_use_tree(at) {
                let mut spelled = Vec::new();
                self.follow(at, &[], &mut spelled);
                let module = self.module_at(at);
                found.extend(spelled.into_iter().map(|path| (token.line, resolve(path, &module))));
            }
        }
        found
    }

    /// Names of the modules that it declares, in order.
    pub(crate) fn declared_modules(&self) -> Vec<String> {
        let declared = (0..self.code.len()).filter(|at| self.word(*at) == "mod" && self.word(at + 2) == ";");
        declared.map(|at| self.word(at + 1).to_owned()).collect()
    }

    /// Its functions, those within other functions too.
    pub(crate) fn functions(&self) -> Vec<Function> {
        let starts = (0..self.code.len()).filter(|at| self.word(*at) == "fn" && is_word(self.word(at + 1)));
        starts.filter_map(|at| self.function(at)).collect()
    }

    fn function(&self, at: usize) -> Option<Function> {
        let end = end_of_item(&self.code, at);
        let (first, last) = (self.code.get(at)?, self.code.get(end.checked_sub(1)?)?);
        let name = self.word(at + 1).to_owned();
        (last.text == "}").then(|| Function { name, line: first.line, lines: last.line - first.line + 1 })
    }

    fn word(&self, at: usize) -> &str {
        self.code.get(at).map_or("", |token| token.text.as_str())
    }

    /// Whether the word stands inside the braces of a `use`, where [`Self::follow`] has been already.
    fn is_in_use_tree(&self, at: usize) -> bool {
        let mut depth = 0_usize;
        for before in (0..at).rev() {
            match self.word(before) {
                "}" => depth += 1,
                "{" if depth == 0 => return self.word(before.saturating_sub(1)) == "::",
                "{" => depth -= 1,
                ";" => return false,
                _ => {}
            }
        }
        false
    }

    /// Adds every path that begins at `at` with `prefix` before it; returns where it ends.
    fn follow(&self, mut at: usize, prefix: &[String], found: &mut Vec<Vec<String>>) -> usize {
        let mut path = prefix.to_vec();
        path.push(self.word(at).to_owned());
        at += 1;
        while self.word(at) == "::" {
            if self.word(at + 1) == "{" {
                return self.follow_group(at + 2, &path, found);
            }
            if !is_word(self.word(at + 1)) && self.word(at + 1) != "*" {
                break;
            }
            path.push(self.word(at + 1).to_owned());
            at += 2;
        }
        found.push(path);
        at
    }

    fn follow_group(&self, mut at: usize, prefix: &[String], found: &mut Vec<Vec<String>>) -> usize {
        while !["}", ""].contains(&self.word(at)) {
            at = match self.word(at) {
                "," => at + 1,
                "as" => at + 2,
                _ => self.follow(at, prefix, found),
            };
        }
        at + 1
    }

    /// The module in which the token stands: that of the file, or one that is written out within it.
    fn module_at(&self, at: usize) -> Vec<String> {
        let mut module = self.module();
        for start in (0..at).filter(|start| self.word(*start) == "mod" && self.word(start + 2) == "{") {
            if end_of_item(&self.code, start) > at {
                module.push(self.word(start + 1).to_owned());
            }
        }
        module
    }
}

/// What `crate`, `self` and `super` mean at the place. A room's own file may say `super` for the crate.
fn resolve(path: Vec<String>, module: &[String]) -> Target {
    let mut place = module.to_vec();
    let mut rest = path.iter().map(String::as_str).peekable();
    match rest.peek() {
        Some(&"crate" | &"atoms_relay") => place.clear(),
        Some(&"self" | &"super") => {}
        _ => return Target::Foreign(path),
    }
    for part in rest {
        match part {
            "crate" | "atoms_relay" | "self" => {}
            "super" => drop(place.pop()),
            name => place.push(name.to_owned()),
        }
    }
    Target::Own(place)
}

fn is_word(text: &str) -> bool {
    text.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

/// Where the item that begins at `at` ends: behind its block, or behind its `;`.
fn end_of_item(code: &[Token], at: usize) -> usize {
    let mut depth = 0_usize;
    for (place, token) in code.iter().enumerate().skip(at) {
        match token.text.as_str() {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => {
                depth = depth.saturating_sub(1);
                if depth == 0 && token.text == "}" {
                    return place + 1;
                }
            }
            ";" if depth == 0 => return place + 1,
            _ => {}
        }
    }
    code.len()
}

/// Takes the items under `#[cfg(test)]` out; returns how many lines they take.
fn take_tests_out(code: &mut Vec<Token>) -> usize {
    let mut lines = 0;
    while let Some(start) = code.windows(TEST_MARK.len()).position(is_test_mark) {
        let end = end_of_item(code, start + TEST_MARK.len());
        let tests: Vec<Token> = code.drain(start..end).collect();
        lines += tests[tests.len() - 1].line - tests[0].line + 1;
    }
    lines
}

fn is_test_mark(code: &[Token]) -> bool {
    code.iter().zip(TEST_MARK).all(|(token, mark)| token.text == mark)
}

fn tokens(text: &str) -> Vec<Token> {
    let mut found = Vec::new();
    let (mut rest, mut line) = (text, 1);
    while let Some(first) = rest.chars().next() {
        let length = length_of_token(rest);
        let (token, behind) = rest.split_at(length);
        let shown = if is_blank(token) { None } else { Some(shown(token, first)) };
        found.extend(shown.map(|text| Token { text, line }));
        line += token.matches('\n').count();
        rest = behind;
    }
    found
}

fn is_blank(token: &str) -> bool {
    token.trim().is_empty() || token.starts_with("//") || token.starts_with("/*")
}

/// Texts and characters hold no code.
fn shown(token: &str, first: char) -> String {
    let is_text = token.len() > 1 && (first == '"' || token.ends_with('"') || token.ends_with(['\'', '#']));
    if is_text { "\"\"".to_owned() } else { token.to_owned() }
}

fn length_of_token(rest: &str) -> usize {
    let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
    let behind = &rest[word..];
    match rest.chars().next() {
        _ if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
        _ if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
        _ if rest.starts_with("::") => 2,
        Some('"') => quoted(rest, '"'),
        Some('\'') => quoted_or_lifetime(rest),
        _ if ["r", "br"].contains(&&rest[..word]) && behind.starts_with(['"', '#']) => word + raw(behind),
        _ if word > 0 => word,
        Some(sign) => sign.len_utf8(),
        None => 0,
    }
}

/// Up to the closing `end`, which a backslash takes its meaning from.
fn quoted(rest: &str, end: char) -> usize {
    let mut escaped = true;
    for (at, sign) in rest.char_indices() {
        match sign {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if sign == end => return at + sign.len_utf8(),
            _ => {}
        }
    }
    rest.len()
}

fn quoted_or_lifetime(rest: &str) -> usize {
    let mut signs = rest.chars().skip(1);
    match (signs.next(), signs.next()) {
        (Some('\\'), _) | (_, Some('\'')) => quoted(rest, '\''),
        _ => 1,
    }
}

fn raw(rest: &str) -> usize {
    let hashes = rest.len() - rest.trim_start_matches('#').len();
    let end = format!("\"{}", "#".repeat(hashes));
    rest[hashes..].get(1..).and_then(|inside| inside.find(&end)).map_or(rest.len(), |at| hashes + 1 + at + end.len())
}

mod tests {
    use super::{SourceFile, Target};

    fn paths(path: &str, text: &str) -> Vec<String> {
        let shown = |target: Target| match target {
            Target::Own(path) => format!("/{}", path.join("/")),
            Target::Foreign(path) => path.join("/"),
        };
        SourceFile::new(path, text).paths().into_iter().map(|(_, target)| shown(target)).collect()
    }

    #[test]
    fn comments_texts_and_tests_are_no_code() {
        let text = concat!(
            "// crate::a\n/* crate::b */\nconst X: &str = \"crate::c \\\" crate::d\";\nconst R: &str = r#\"crate::e\"#;\n",
            "const Q: char = '\"'; fn f<'a>(x: &'a str) { crate::yes::f(); }\n",
            "#[cfg(test)]\nmod tests {\n    use crate::g;\n    fn t() { { crate::h } }\n}\nuse crate::also;\n",
        );
        let file = SourceFile::new("src/x.rs", text);
        assert_eq!(paths("src/x.rs", text), ["/yes/f", "/also"]);
        assert_eq!(file.lines_without_tests(), 6);
    }

    #[test]
    fn trees_of_imports_are_followed() {
        let text = "use crate::{a::{self, b as c, d::*}, e};\nuse super::f::{g, h};\nuse sled;";
        let found = ["/a", "/a/b", "/a/d/*", "/e", "/x/f/g", "/x/f/h", "sled"];
        assert_eq!(paths("src/x/y.rs", text), found);
    }

    #[test]
    fn supers_are_counted_from_where_they_stand() {
        assert_eq!(paths("src/x.rs", "fn f() { super::y::g() } mod k { use super::super::z; }"), ["/y/g", "/z"]);
        assert_eq!(paths("src/x/mod.rs", "use self::y::Z; pub(in super::super) fn f() {}"), ["/x/y/Z", "/"]);
        assert_eq!(paths("src/x/y/z.rs", "use super::super::{a, super::b};"), ["/x/a", "/b"]);
    }

    #[test]
    fn a_function_ends_with_its_body() {
        let text = "trait T { fn none(&self) -> [u8; 3]; }\nfn two(x: [u8; 2]) -> u8 {\n    if true { 1 } else { 2 } }\nfn o() {}";
        let functions = SourceFile::new("src/x.rs", text).functions();
        let shown: Vec<_> = functions.iter().map(|f| (f.name.as_str(), f.line, f.lines)).collect();
        assert_eq!(shown, [("two", 2, 2), ("o", 4, 1)]);
    }
}
