//! What each preset sends, written out: `tests/webhook/NAME.json`; and the sample messages that templates are checked with.
//! `UPDATE=1 cargo test` rewrites both.

use std::path::Path;

use serde_json::{Value as Json, json};

use super::*;
use crate::config::preset::{built_in, built_in_names};
use crate::notify::message::Message;
use crate::notify::webhook::values::Values;

/// Compares a file of the tree with what it should be.
fn golden(path: &str, want: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, want).unwrap();
    }
    let have = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(have == want, "{path} is not what is sent; `UPDATE=1 cargo test` rewrites it\n{want}");
}

#[test]
fn what_each_preset_sends_is_as_it_is_written_down() {
    for name in built_in_names() {
        let (preset, needs) = (built_in(name).unwrap(), Needs::new());
        let handler = handler(name, &needs.keys(&preset, "https://receiver.example/hook"));
        let read = |notice: &Notice| -> Json { serde_json::from_str(&handler.preview(notice).payload).unwrap() };
        let missed = told(NoticeKind::Resolved, NoticeReason::FiredAndResolved, vec![resolved()]);
        let all = json!({
            "one alert fires": read(&firing()),
            "two alerts of a group": read(&group()),
            "resolved": read(&over()),
            "fired and resolved": read(&missed),
        });
        golden(&format!("tests/webhook/{name}.json"), &format!("{all:#}\n"));
    }
}

#[test]
fn the_samples_that_templates_are_checked_with_are_what_handlers_give_them() {
    let values = Values::default();
    let sample = |notice: &Notice| {
        let message = Message::new(notice, "https://alerts.example.org", 100);
        serde_json::to_value(values.context(&message, false)).unwrap()
    };
    let mut first = sample(&group());
    first["note"] = json!("");
    golden("src/config/sample_messages.json", &format!("{:#}\n", json!([first, sample(&over())])));
}
