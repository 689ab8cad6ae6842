//! The commands of the pages on silences, history and remote stores, run as they stand there against a daemon.

use std::path::Path;

use crate::kit::{Daemon, Folder, finish};

/// The text of each `sh` block of a page.
fn blocks(page: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(page);
    let text = std::fs::read_to_string(path).unwrap();
    let parts = text.split("```sh\n").skip(1);
    parts.map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

#[test]
fn the_commands_of_the_pages_do_what_they_say() {
    let rules = "rules: [{name: disk_full, metric: disk_used, threshold: '> 90', severity: error, every: 1s}]";
    let folder = Folder::with(&[("rules/a.yaml", rules)]);
    let daemon = Daemon::start(&folder);
    daemon.push("disk_used{host=\"db1\",team=\"web\"} 95\n");
    daemon.wait_alert("disk_full", "firing");
    daemon.out.wait("FIRING disk_full");
    let binary = Path::new(env!("CARGO_BIN_EXE_alertd")).parent().unwrap();
    let mut seen = 0;
    for block in ["silences.md", "history.md", "remote-stores.md"].into_iter().flat_map(blocks) {
        if block.contains("curl") && !Path::new("/usr/bin/curl").is_file() {
            eprintln!("skipped: curl is not there");
            continue;
        }
        let script = block.replace("127.0.0.1:9097", &daemon.address);
        let mut sh = std::process::Command::new("/bin/sh");
        sh.args(["-e", "-c", &script]).current_dir(folder.path()).env_clear();
        sh.env("PATH", format!("{}:/usr/bin:/bin", binary.display())).env("HOME", folder.path());
        sh.env("ALERTD_SERVER", format!("http://{}", daemon.address));
        let ran = finish(&mut sh);
        assert_eq!(ran.code, Some(0), "{script}{ran:#?}");
        assert!(!ran.out.trim().is_empty() && !ran.out.contains("\"status\":\"error\""), "{script}{ran:#?}");
        seen += 1;
    }
    assert!(seen >= 2, "only {seen} blocks were found");
    let silences = daemon.get("/api/v2/silences").json();
    let of = |state: &str| silences.as_array().unwrap().iter().filter(|s| s["status"]["state"] == state).count();
    // Those that come again are in force at some times of the week.
    assert_eq!((of("active") + of("pending"), of("expired")), (4, 1), "{silences:#}");
}
