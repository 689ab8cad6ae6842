//! Schema, manual and reader come from one table; these tests show that they agree.
//!
//! `UPDATE=1 cargo test --test schema` rewrites the reference pages under `docs/`.

#![allow(clippy::unwrap_used)] // A test that cannot read its files has failed.

use std::path::Path;

use alertd::config;
use alertd::diag::{SourceFile, codes};
use alertd::rule::{LoadOptions, group_keys, keys, load, schema};
use alertd::yaml::shape::{Kind, Shape};
use serde_json::Value;

fn good(prefix: &str) -> Vec<(String, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/good");
    let mut out = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let kind = ["config-", "handlers-", "preset-"].into_iter().find(|p| name.starts_with(p)).unwrap_or("");
        if kind == prefix {
            let text = std::fs::read_to_string(&path).unwrap();
            if text.contains("\nkind: ") {
                // A resource of Kubernetes has a schema there.
                continue;
            }
            let mut value: serde_yaml::Value = serde_yaml::from_str(&text).unwrap();
            value.apply_merge().unwrap();
            out.push((name, serde_json::to_value(value).unwrap()));
        }
    }
    assert!(!out.is_empty());
    out
}

fn schemas() -> [(&'static str, Value); 4] {
    [
        ("", schema::json_schema()),
        ("config-", config::server_schema()),
        ("handlers-", config::handlers_schema()),
        ("preset-", config::preset_schema()),
    ]
}

#[test]
fn good_files_satisfy_the_schema() {
    for (prefix, schema) in schemas() {
        jsonschema::draft202012::meta::validate(&schema).expect("a schema");
        let validator = jsonschema::draft202012::new(&schema).expect("a schema");
        for (name, file) in good(prefix) {
            let errors: Vec<String> =
                validator.iter_errors(&file).map(|e| format!("{}: {e}", e.instance_path())).collect();
            assert!(errors.is_empty(), "{name}: {errors:#?}");
        }
    }
}

#[test]
fn the_schema_refuses_what_the_reader_refuses() {
    let validator = jsonschema::draft202012::new(&schema::json_schema()).expect("a schema");
    for bad in [
        "rules: [{name: a, exprr: up}]",
        "rules: [{expr: up}]",
        "rules: [{name: a, expr: up, for: 5 minutes}]",
        "rules: [{name: a, expr: up, severity: fatal}]",
        "rules: [{name: a, expr: up, enabled: maybe}]",
        "rules: [{name: a, metric: up, levels: {high: '> 1'}}]",
        "rules: [{name: a, metric: up, anomaly: {method: guess}}]",
        "groups: [{name: a, rules: [{alert: a, expr: up, foor: 5m}]}]",
        "groups: [{rules: []}]",
        "rules: {}",
    ] {
        let value: Value = serde_yaml::from_str(bad).unwrap();
        assert!(!validator.is_valid(&value), "{bad}");
        let loaded = load(&[SourceFile::new("f", bad)], &LoadOptions::default());
        assert!(loaded.has_errors(), "{bad}");
    }
}

/// All shapes reachable from one.
fn shapes(root: &'static Shape) -> Vec<&'static Shape> {
    fn inner(kind: &'static Kind, out: &mut Vec<&'static Shape>) {
        match kind {
            Kind::Object(shape) | Kind::Partial(shape) if !out.iter().any(|known| std::ptr::eq(*known, *shape)) => {
                out.push(shape);
                shape.keys.iter().for_each(|key| inner(&key.kind, out));
            }
            Kind::List(kind) | Kind::Map(kind) | Kind::MapOf(_, kind) => inner(kind, out),
            Kind::Either(kinds) => kinds.iter().for_each(|kind| inner(kind, out)),
            _ => {}
        }
    }
    let mut out = vec![root];
    root.keys.iter().for_each(|key| inner(&key.kind, &mut out));
    out
}

#[test]
fn the_schema_has_every_key_the_reader_knows_and_no_other() {
    let schemas = schemas().into_iter().chain([("", schema::json_schema())]);
    let roots = [&keys::RULE_FILE, &config::keys::SERVER, &config::handler_keys::HANDLER_FILE, &config::preset::PRESET];
    let roots = roots.into_iter().chain([&group_keys::GROUP_FILE]);
    for (root, (_, schema)) in roots.zip(schemas) {
        for shape in shapes(root) {
            let properties = schema["$defs"][shape.name.replace(' ', "_")]["properties"].as_object();
            let Some(properties) = properties else { panic!("no definition of {}", shape.name) };
            let known: Vec<&str> = shape.keys.iter().map(|key| key.name).collect();
            assert_eq!(properties.keys().map(String::as_str).collect::<Vec<_>>(), known, "{}", shape.name);
            for key in shape.keys {
                assert_eq!(properties[key.name]["description"], key.doc, "{}.{}", shape.name, key.name);
                assert!(!key.doc.is_empty(), "{}.{} has no text", shape.name, key.name);
            }
        }
    }
}

#[test]
fn every_key_of_a_rule_stands_in_a_good_file() {
    // A key the reader knows but nobody has ever seen accepted would be a key in name only.
    let text: String = good("").iter().map(|(_, file)| file.to_string()).collect();
    for shape in shapes(&keys::RULE_FILE).into_iter().chain(shapes(&group_keys::GROUP_FILE)) {
        for key in shape.keys {
            assert!(text.contains(&format!("\"{}\":", key.name)), "{}.{}", shape.name, key.name);
        }
    }
}

#[test]
fn the_page_of_prometheus_rules_names_every_key_of_alertd_on_one() {
    let page = include_str!("../docs/prometheus-rules.md");
    let section = page.split("## alertd's keys on a Prometheus rule").nth(1).expect("the section").split("\n\n").nth(1);
    let of_prometheus = ["alert", "record", "expr", "for", "keep_firing_for", "labels", "annotations"];
    for key in group_keys::GROUP_RULE.keys.iter().filter(|key| !of_prometheus.contains(&key.name)) {
        assert!(section.expect("its list").contains(&format!("`{}`", key.name)), "{} is not named", key.name);
    }
}

#[test]
fn the_reference_pages_are_those_of_the_tables() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let pages = [
        ("rules.md", schema::reference()),
        ("config.md", config::server_reference()),
        ("handlers.md", config::handlers_reference()),
        ("presets.md", config::preset_reference()),
        ("checks.md", codes::manual()),
    ];
    for (name, page) in pages {
        let path = docs.join(name);
        if std::env::var_os("UPDATE").is_some() {
            std::fs::create_dir_all(&docs).unwrap();
            std::fs::write(&path, &page).unwrap();
        }
        let have = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(have, page, "docs/{name} is out of date: run `UPDATE=1 cargo test --test schema`");
    }
}
