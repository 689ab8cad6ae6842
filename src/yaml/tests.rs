//! Tests of the tree: places, limits, and places inside scalars.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::diag::{Diagnostic, SourceFile};

fn read(text: &str) -> (Option<Node>, Vec<Diagnostic>, Arc<SourceFile>) {
    let file = SourceFile::new("f.yaml", text);
    let mut out = Vec::new();
    let root = parse(&file, &mut out).and_then(|document| document.root);
    (root, out, file)
}

fn root(text: &str) -> Node {
    let (root, out, _) = read(text);
    assert!(out.is_empty(), "{text:?}: {:?}", out.iter().map(|d| &d.message).collect::<Vec<_>>());
    root.unwrap_or_else(|| panic!("{text:?} is empty"))
}

fn code(text: &str) -> Option<&'static str> {
    read(text).1.first().map(|d| d.code)
}

/// The word `needle` of the decoded value of key `k` must be found at the word `needle` of the file.
#[track_caller]
fn check_locate(text: &str, needle: &str) {
    let root = root(text);
    let node = root.get("k").expect("key k");
    let value = node.text().expect("a scalar");
    let at = value.find(needle).unwrap_or_else(|| panic!("{needle:?} in {value:?}"));
    let range = node.locate(text, at..at + needle.len());
    assert_eq!(text.get(range.clone()), Some(needle), "{text:?} {value:?} {range:?}");
    assert_eq!(range.start, text.rfind(needle).expect("needle"), "{text:?}");
}

#[test]
fn a_word_inside_a_scalar_is_found_in_the_file_whatever_its_style() {
    for text in [
        "k: one two here four\n",
        "k: 'it''s here now'\n",
        "k: \"a \\\"b\\\" \\u00fc here\"\n",
        "k: \"a\\\n   here\"\n",
        "k: one\n  two\n  here\n",
        "k: one\n\n  two\n\n\n  here four\n",
        "k: 'one\n  two\n\n  here'\n",
        "k: |\n  one\n  here\n",
        "k: |\n\n  one\n   deeper here\n",
        "k: |2\n    indented here\n",
        "k: |-\n  ü\n  here",
        "k: >\n  one\n  two\n\n  three\n    kept here\n  four\n",
        "k: >-\n\n  one\n  here\n",
        "k: >-\n  one\n\n    kept\n\n  here\n",
        "? k\n: here\n",
        "{k: here}\n",
        "k: !!str here\n",
        "k: &anchor here\n",
        "k: &anchor !!str 'a here'\n",
        "k: !!str |\n  one\n  here\n",
        "k: |\r\n  one\r\n  here\r\n",
        "\u{feff}k: ü here\n",
    ] {
        check_locate(text, "here");
    }
}

#[test]
fn spans_of_collections_and_quotes_end_where_they_do() {
    let text = "a: [1, 2]   # c\nb: 'x'  # it's\nc:\n  d: e   # f\n# g\nh: {i: j}\nl:   # nothing\nm:\n  - \n";
    let root = root(text);
    let shown = |key: &str| text.get(root.get(key).map_or(0..0, |n| n.span.clone()));
    assert_eq!(shown("a"), Some("[1, 2]"));
    assert_eq!(shown("b"), Some("'x'"));
    assert_eq!(shown("c"), Some("d: e"));
    assert_eq!(shown("h"), Some("{i: j}"));
    assert_eq!(root.get("l").map(|n| n.span.start), text.find("l:").map(|i| i + 2));
}

#[test]
fn scalars_are_typed_as_serde_yaml_types_them() {
    let root = root(
        "a: 1\nb: 1e3\nc: '1'\nd: true\ne: yes\nf: ~\ng: .inf\nh: -0x10\ni: 10:20\nj: !!str 5\nk: 1_000\nl: null\nm:\n",
    );
    let number = |key: &str| root.get(key).and_then(Node::number);
    assert_eq!(number("a"), Some(1.0));
    assert_eq!(number("b"), Some(1000.0));
    assert_eq!(number("c"), None);
    assert_eq!(number("g"), Some(f64::INFINITY));
    assert_eq!(number("j"), None);
    assert_eq!(root.get("d").and_then(Node::boolean), Some(true));
    assert_eq!(root.get("e").and_then(Node::boolean), None);
    for key in ["f", "l", "m"] {
        assert!(root.get(key).is_some_and(Node::is_null), "{key}");
    }
    let whole: serde_yaml::Value = serde_yaml::from_str("{a: [1, x, true, null, '5', 1.5], b: {c: -3}}").expect("yaml");
    assert_eq!(self::root("{a: [1, x, true, null, '5', 1.5], b: {c: -3}}").to_value(), whole);
}

#[test]
fn merge_keys_are_resolved_and_explicit_keys_win() {
    let root = root("base: &b {x: 1, y: 2}\nmore: &m {y: 5, z: 3}\nall:\n  <<: [*b, *m]\n  x: 9\n");
    let all = root.get("all").expect("all");
    let value = |key: &str| all.get(key).and_then(Node::number);
    assert_eq!((value("x"), value("y"), value("z")), (Some(9.0), Some(2.0), Some(3.0)));
}

#[test]
fn hostile_files_are_refused_before_they_cost_memory() {
    let bomb: String = std::iter::once("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned())
        .chain((1..30).map(|i| format!("a{i}: &a{i} [{}]\n", vec![format!("*a{}", i - 1); 10].join(", "))))
        .collect();
    assert_eq!(code(&bomb), Some("A005"), "alias bomb");
    let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(100_000), vec!["*a"; 1000].join(", "));
    assert_eq!(code(&long), Some("A005"), "long strings through aliases");
    assert_eq!(code(&"[".repeat(10_000)), Some("A005"), "flow depth");
    let deep: String = (0..10_000).map(|i| format!("{}a:\n", " ".repeat(i % 300))).collect();
    assert!(code(&deep).is_some(), "block depth");
    assert_eq!(code(&"- ".repeat(10_000)), Some("A005"), "depth of dashes");
    assert_eq!(code(&"{a: ".repeat(10_000)), Some("A005"), "depth of braces");
    assert_eq!(code(&"x".repeat(FILE_BYTES_MAX + 1)), Some("A002"), "size");
    assert_eq!(code("a: b\0c"), Some("A003"), "NUL");
    assert_eq!(code("a: &a [*a]"), Some("A007"), "recursive alias");
    assert_eq!(code("a: &a {<<: *a}"), Some("A007"), "recursive merge");
    let many = format!("[{}]", "a,".repeat(1_100_000));
    assert_eq!(code(&many), Some("A005"), "number of values");
}

#[test]
fn a_hostile_file_of_one_long_line_does_not_take_quadratic_time() {
    for text in [format!("a: [{}]", "ü, ".repeat(300_000)), format!("a: '{}'", "''".repeat(500_000))] {
        assert_eq!(code(&text), None);
    }
}

#[test]
fn of_several_documents_the_first_is_read() {
    let (root, out, file) = read("a: 1\n---\nb: 2\n");
    assert!(root.is_some_and(|r| r.get("a").is_some()));
    assert_eq!(out.iter().map(|d| (d.code, file.position(d.span.start).line)).collect::<Vec<_>>(), [("A008", 2)]);
    assert_eq!(code("---\na: 1\n"), None);
    assert_eq!(code("---\na: 1\n...\n"), None);
    assert!(read("# nothing\n").0.is_none());
    assert!(read("").0.is_none());
}

const SEEDS: &[&str] = &[
    "rules:\n  - name: a\n    expr: |\n      up\n       == 0\n    for: 1m\n",
    "a: &x {b: 'c''d', e: \"f\\n\\u00fc\"}\ng: [*x, {<<: *x, h: >-\n   i\n   j\n }]\n",
    "? [a, b]\n: - c\n  - |2-\n     d\n\n    e\n...\n---\nf",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_the_reader_panic(text in "[ -~\\n\\t\u{e9}\u{feff}:#&*|>'\"\\[\\]{}-]{0,120}") {
        touch_all(&text);
    }

    #[test]
    fn no_mutation_of_a_good_text_makes_the_reader_panic(seed in 0..SEEDS.len(), at in 0usize..200, insert in "[ \\n\\t:#&*|>'\"\\[\\]{}a-]{0,4}", cut in 0usize..8) {
        let mut text: Vec<char> = SEEDS[seed].chars().collect();
        let at = at.min(text.len());
        let end = (at + cut).min(text.len());
        text.splice(at..end, insert.chars());
        touch_all(&text.into_iter().collect::<String>());
    }

    #[test]
    fn every_place_in_a_scalar_lies_within_its_span_or_line(body in "[ a-z\\n'\u{fc}\\\\\"]{1,60}", style in 0..5usize) {
        let indented = body.lines().collect::<Vec<_>>().join("\n  ");
        let text = match style {
            0 => format!("k: |\n  x{indented}\n"),
            1 => format!("k: >\n  x{indented}\n"),
            2 => format!("k: 'x{}'\n", indented.replace('\'', "''")),
            3 => format!("k: \"x{}\"\n", indented.replace('\\', "\\\\").replace('"', "\\\"")),
            _ => format!("k: x{indented}\n"),
        };
        let (root, _, _) = read(&text);
        let Some(node) = root.as_ref().and_then(|r| r.get("k")) else { return Ok(()) };
        let value = node.text().unwrap_or_default();
        // Letters stand for themselves in every style, so each must be found at an equal letter.
        for (i, c) in value.char_indices().filter(|(_, c)| c.is_alphabetic()) {
            let place = node.locate(&text, i..i + c.len_utf8());
            if place != node.span {
                prop_assert_eq!(text.get(place).map(str::to_owned), Some(c.to_string()), "{:?} {:?}", text, value);
            } else {
                prop_assert!(value.len() <= 1, "fell back to the whole scalar: {:?} {:?}", text, value);
            }
        }
    }
}

fn touch_all(text: &str) {
    let (root, out, file) = read(text);
    for d in &out {
        assert!(d.span.start <= d.span.end && d.span.end <= text.len(), "{text:?} {:?}", d.span);
        assert!(text.get(d.span.clone()).is_some(), "{text:?} {:?}", d.span);
    }
    let mut todo: Vec<&Node> = root.iter().collect();
    while let Some(node) = todo.pop() {
        assert!(file.text.get(node.span.clone()).is_some(), "{text:?} {:?}", node.span);
        let _ = (node.typed(), node.describe());
        match &node.kind {
            Kind::Scalar { value, .. } => {
                for at in 0..=value.len() {
                    let place = node.locate(text, at..(at + 1).min(value.len()));
                    assert!(text.get(place.clone()).is_some() || place.start > place.end, "{text:?} {place:?}");
                }
            }
            Kind::Sequence(items) => todo.extend(items),
            Kind::Mapping(pairs) => todo.extend(pairs.iter().flat_map(|(k, v)| [k, v])),
        }
    }
}

#[test]
fn many_lines_that_are_indented_too_little_are_mended_in_one_go() {
    // Each line costs a look at the others no longer, and each place a look at all lines.
    let lines = 100_000;
    let text = format!("a:\n  b: \"x\n{}\"\nc: [{}end]\n", "y\n".repeat(lines), "z, ".repeat(1000));
    let (root, out, file) = read(&text);
    assert_eq!(out.iter().map(|d| d.code).collect::<Vec<_>>(), ["A004"]);
    let root = root.expect("a tree");
    assert_eq!(root.get("a").and_then(|a| a.get("b")).and_then(Node::text).map(str::len), Some(2 * (lines + 1)));
    let last = root.get("c").and_then(Node::items).and_then(<[Node]>::last).expect("the last item");
    assert_eq!(&file.text[last.span.clone()], "end");
}

#[test]
fn a_value_that_begins_far_to_the_right_is_not_indented_line_by_line() {
    let text = |lines: usize| format!("{}: \"x\n{}\"\n", "k".repeat(1000), "y\n".repeat(lines));
    for (lines, is_mended) in [(50, true), (50_000, false)] {
        let (root, out, _) = read(&text(lines));
        assert_eq!(out.iter().map(|d| d.code).collect::<Vec<_>>(), ["A004"], "{lines}");
        assert_eq!(root.is_some(), is_mended, "{lines}");
    }
}

#[test]
fn nothing_stands_where_the_reader_of_typed_values_finds_nothing() {
    for word in
        ["", "~", "null", "Null", "NULL", "nULL", "none", "!!str null", "!!null x", "'null'", "~x", "0", "false"]
    {
        let node = root(&format!("k: {word}\n")).get("k").cloned().expect("key k");
        let read = |word: &str| serde_yaml::from_str::<serde_yaml::Value>(word).expect("yaml");
        assert!(word.contains('!') || node.is_null() == read(word).is_null(), "{word}");
        assert_eq!(node.is_null(), node.typed().is_some_and(|typed| typed.is_null()), "{word}");
    }
}
