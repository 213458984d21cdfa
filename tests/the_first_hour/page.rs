//! A section of `docs/operations.md` whose steps begin with a bold number: `**1. The secret.** …`

use std::{fs, path::Path};

/// The steps of a section.
pub(crate) struct Page(Vec<String>);

/// What is said of one step.
pub(crate) struct Step<'a>(&'a str);

impl Page {
    /// Reads the section below a heading.
    pub(crate) fn read(heading: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operations.md");
        let text = fs::read_to_string(path).unwrap();
        let (_, below) = text.split_once(&format!("\n{heading}\n")).unwrap();
        let section = below.split("\n## ").next().unwrap();
        Self(section.split("\n**").skip(1).map(str::to_owned).collect())
    }

    /// A step by its number.
    pub(crate) fn step(&self, number: usize) -> Step<'_> {
        let step = &self.0[number - 1];
        assert!(step.starts_with(&format!("{number}. ")), "step {number} is another one: {step}");
        Step(step)
    }
}

impl Step<'_> {
    /// What is typed at the prompts of its first console, its second one and so on.
    pub(crate) fn commands(&self, console: usize) -> Vec<String> {
        let block = self.blocks("console")[console];
        block.lines().filter_map(|line| line.strip_prefix("$ ")).map(str::to_owned).collect()
    }

    /// Its configuration.
    pub(crate) fn config(&self) -> &str {
        self.blocks("toml")[0]
    }

    fn blocks(&self, language: &str) -> Vec<&str> {
        let fence = format!("```{language}\n");
        self.0.split(&fence).skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
    }
}
