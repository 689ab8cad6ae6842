//! The manual page of templates: every example on it is rendered, and every function has one.

use super::{render_with, samples};
use crate::template::RenderLimits;
use crate::template::functions::{GO, PROMETHEUS};

const PAGE: &str = include_str!("../../../docs/templates.md");

/// Templates and what they give.
fn examples() -> Vec<(String, String)> {
    let mut examples: Vec<(String, String)> = Vec::new();
    let mut inside = false;
    let mut template: Option<&str> = None;
    for line in PAGE.lines() {
        match line.strip_prefix("```") {
            Some(language) => inside = language == "gotmpl",
            None if !inside => {}
            None => match (line.strip_prefix("→ ").or(line.strip_prefix("→")), template.take()) {
                (Some(output), Some(template)) => examples.push((template.to_owned(), output.to_owned())),
                (Some(output), None) => panic!("an output without a template: {output}"),
                // An empty line belongs to an output that ends with a line feed.
                (None, None) if line.is_empty() => examples.last_mut().unwrap().1.push('\n'),
                (None, None) => template = Some(line),
                (None, Some(template)) => panic!("a template without an output: {template}"),
            },
        }
    }
    examples
}

#[test]
fn every_example_of_the_manual_gives_what_the_page_says() {
    let examples = examples();
    assert!(examples.len() > 40, "only {} examples found", examples.len());
    for (template, expected) in examples {
        let got = match render_with(&template, &samples(), &RenderLimits::default()).unwrap() {
            Ok(output) => output,
            Err(error) => format!("error: {}", error.message),
        };
        match expected.strip_prefix("error: ") {
            Some(part) => assert!(got.starts_with("error: ") && got.contains(part), "{template}\n  gave {got:?}"),
            None => assert_eq!(got, expected, "{template}"),
        }
    }
}

#[test]
fn every_function_has_an_example() {
    let examples = examples();
    let words: Vec<&str> = examples.iter().flat_map(|(t, _)| t.split(|c: char| !c.is_ascii_alphanumeric())).collect();
    for function in GO.iter().chain(PROMETHEUS) {
        assert!(words.contains(&function.name), "the manual has no example of `{}`", function.name);
    }
}

#[test]
fn tables_of_functions_are_sorted_by_name() {
    for table in [GO, PROMETHEUS] {
        assert!(table.windows(2).all(|pair| pair[0].name < pair[1].name), "{table:?}");
    }
}
