//! What an `alertmanager.yml` means is compared with the amtool of Alertmanager: templates of messages give the same texts,
//! and files get the same verdict.
//!
//! What amtool gave is kept beside each template, so that the comparison holds where amtool is not unpacked; where it
//! is, it must still give that. `UPDATE=1` writes its answers anew.

#![allow(clippy::unwrap_used)] // A test that cannot read its files has failed.
#![allow(clippy::print_stdout)] // What is compared is the result.

use std::path::{Path, PathBuf};
use std::process::Command;

use alertd::config::{files, handlers, intervals};
use alertd::diag::{Level, concise};
use alertd::model::{Labels, Timestamp};
use alertd::template::{Manner, Notification, NotifiedAlert, TemplateSet};
use serde_json::Value as Json;
use serde_yaml::Value;

/// Fewer templates would mean that the file was not read.
const TEMPLATES_MIN: usize = 45;
/// The same of files.
const CONFIGS_MIN: usize = 55;
/// Stands for any failure.
const FAILS: &str = "!";

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn amtool() -> Option<PathBuf> {
    Some(root().join("target/peers/usr/bin/amtool")).filter(|path| path.is_file())
}

fn labels(value: &Json) -> Labels {
    Labels::from_pairs(value.as_object().unwrap().iter().map(|(n, v)| (n.clone(), v.as_str().unwrap().to_owned())))
}

fn text(value: &Json) -> String {
    value.as_str().unwrap().to_owned()
}

fn word(value: &Json) -> &'static str {
    if value == "firing" { "firing" } else { "resolved" }
}

fn data() -> Notification {
    let json: Json =
        serde_json::from_str(&std::fs::read_to_string(root().join("tests/amtool/data.json")).unwrap()).unwrap();
    let alert = |alert: &Json| NotifiedAlert {
        status: word(&alert["status"]),
        labels: labels(&alert["labels"]),
        annotations: labels(&alert["annotations"]),
        starts_at: Timestamp::parse(alert["startsAt"].as_str().unwrap()).unwrap(),
        ends_at: Timestamp::parse(alert["endsAt"].as_str().unwrap()).filter(|at| at.0 > 0),
        generator_url: text(&alert["generatorURL"]),
        fingerprint: text(&alert["fingerprint"]),
    };
    Notification {
        receiver: text(&json["receiver"]),
        status: word(&json["status"]),
        alerts: json["alerts"].as_array().unwrap().iter().map(alert).collect(),
        reason: "first notification",
        group_labels: labels(&json["groupLabels"]),
        common_labels: labels(&json["commonLabels"]),
        common_annotations: labels(&json["commonAnnotations"]),
        external_url: text(&json["externalURL"]),
    }
}

/// What alertd gives; the error is kept to be shown.
fn ours(template: &str, html: bool) -> Result<String, String> {
    let manner = if html { Manner::Html } else { Manner::Text };
    let template = TemplateSet::default().template(template).map_err(|errors| errors[0].message.clone())?;
    let now = Timestamp::parse("2023-11-14T23:45:00Z").unwrap();
    template.notification(&data().dot(), manner, now).map_err(|error| error.message)
}

/// What amtool gives.
fn theirs(amtool: &Path, template: &str, html: bool) -> Result<String, String> {
    let defaults = amtool.with_file_name("../share/prometheus/alertmanager/*.tmpl");
    let output = Command::new(amtool)
        .args(["template", "render", "--template.text", template])
        .arg(format!("--template.glob={}", defaults.display()))
        .arg(format!("--template.data={}", root().join("tests/amtool/data.json").display()))
        .arg(format!("--template.type={}", if html { "html" } else { "text" }))
        .output()
        .unwrap();
    match output.status.success() {
        true => Ok(String::from_utf8(output.stdout).unwrap()),
        false => Err(String::from_utf8(output.stderr).unwrap()),
    }
}

#[test]
fn templates_of_messages_give_what_amtool_gives() {
    let path = root().join("tests/amtool/templates.yaml");
    let source = std::fs::read_to_string(&path).unwrap();
    let mut cases: Vec<Value> = serde_yaml::from_str(&source).unwrap();
    let (amtool, update) = (amtool(), std::env::var_os("UPDATE").is_some());
    let (mut wrong, mut compared) = (String::new(), 0);
    for case in &mut cases {
        let template = case["template"].as_str().unwrap().to_owned();
        let is = |key: &str| case.get(key).and_then(Value::as_bool).unwrap_or_default();
        let (html, alone) = (is("html"), is("alone"));
        if let Some(amtool) = amtool.as_deref().filter(|_| !alone) {
            let given = theirs(amtool, &template, html).unwrap_or_else(|_| FAILS.to_owned());
            compared += 1;
            if update {
                case.as_mapping_mut().unwrap().insert("gives".into(), given.into());
            } else if case["gives"].as_str() != Some(&given) {
                wrong.push_str(&format!("{template}\n  amtool gives now {given:?}\n"));
            }
        }
        let want = case["gives"].as_str().unwrap_or_default();
        let got = ours(&template, html);
        if got.as_deref().unwrap_or(FAILS) != want {
            wrong.push_str(&format!("{template}\n  must give {want:?}\n  gives     {got:?}\n"));
        }
    }
    if update && amtool.is_some() {
        let head: String =
            source.lines().take_while(|line| line.starts_with('#')).map(|line| format!("{line}\n")).collect();
        std::fs::write(&path, head + &serde_yaml::to_string(&cases).unwrap()).unwrap();
    }
    println!("{} templates, {compared} compared with amtool", cases.len());
    assert!(wrong.is_empty(), "{wrong}");
    assert!(cases.len() >= TEMPLATES_MIN, "{} templates", cases.len());
}

/// Whether alertd takes a file, and what it says.
fn verdict(path: &Path) -> (bool, String) {
    let read = files::read(&[path.to_owned()]);
    let (templates, mut found) = files::templates(&read.files);
    found.extend(read.diagnostics);
    found.extend(handlers::load_with(&read.files, &templates).1);
    found.extend(intervals::load(&read.files, chrono_tz::Tz::UTC).1);
    (found.iter().all(|finding| finding.level != Level::Error), concise(&found))
}

#[test]
fn files_of_alertmanager_get_the_verdict_of_amtool() {
    let source = std::fs::read_to_string(root().join("tests/amtool/configs.txt")).unwrap();
    let (folder, amtool) = (tempfile::tempdir().unwrap(), amtool());
    let path = folder.path().join("alertmanager.yml");
    let (mut wrong, mut all, mut compared) = (String::new(), 0, 0);
    for case in source.split("\n=== ").skip(1) {
        let (head, text) = case.split_once('\n').unwrap();
        let (want, alone) = (head.starts_with("good"), head.contains(", alone:"));
        std::fs::write(&path, text).unwrap();
        let (good, said) = verdict(&path);
        all += 1;
        if good != want {
            wrong.push_str(&format!(
                "=== {head}\n{}\n{said}\n",
                if good { "alertd takes it" } else { "alertd refuses it" }
            ));
        }
        let Some(amtool) = amtool.as_deref().filter(|_| !alone) else { continue };
        let theirs = Command::new(amtool).arg("check-config").arg(&path).output().unwrap();
        compared += 1;
        if theirs.status.success() != want {
            wrong.push_str(&format!("=== {head}\namtool: {}\n", String::from_utf8_lossy(&theirs.stderr)));
        }
    }
    println!("{all} files, {compared} compared with amtool");
    assert!(wrong.is_empty(), "{wrong}");
    assert!(all >= CONFIGS_MIN, "{all} files");
}

#[test]
fn a_template_file_that_cannot_be_read_is_an_error_and_so_it_is_for_amtool() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("alertmanager.yml");
    let text = "templates: ['t/*.tmpl']\nroute: {receiver: a}\nreceivers: [{name: a}]\n";
    std::fs::write(&path, text).unwrap();
    std::fs::create_dir(folder.path().join("t")).unwrap();
    let cases = [
        ("{{ define \"a\" }}{{ .Status }}{{ end }}", true),
        ("{{ define \"a\" }}", false),
        ("{{ define \"a\" }}{{ nope }}{{ end }}", false),
        ("{{ define \"a\" }}x{{ end }}{{ define \"a\" }}y{{ end }}", false),
        ("{{ define \"__subject\" }}mine{{ end }}", true),
    ];
    for (template, want) in cases {
        std::fs::write(folder.path().join("t/a.tmpl"), template).unwrap();
        let (good, said) = verdict(&path);
        assert_eq!(good, want, "{template}\n{said}");
        if let Some(amtool) = amtool() {
            let theirs = Command::new(amtool).arg("check-config").arg(&path).output().unwrap();
            assert_eq!(theirs.status.success(), want, "amtool on {template}");
        }
    }
}
