//! Few file descriptors, all of them in the hands of idle clients: people are told all the same.

use std::net::TcpStream;

use crate::kit::until_true;
use crate::setup::{folder, rule, rules, start_under, wait_words, words};
use crate::sink::Sink;

#[test]
fn with_64_descriptors_and_200_idle_clients_notices_go_out() {
    if !std::path::Path::new("/usr/bin/prlimit").exists() {
        eprintln!("skipped: prlimit is not there");
        return;
    }
    let sink = Sink::start();
    let folder = folder(&rules(&[rule("busy", "for: 0s"), rule("late", "for: 8s")]), &sink);
    let daemon = start_under(&folder, &["/usr/bin/prlimit", "--nofile=64"]);
    daemon.push("busy_m 0\nlate_m 5\n");
    daemon.wait_alert("late", "pending");
    let idle: Vec<TcpStream> = (0..200).filter_map(|_| TcpStream::connect(&daemon.address).ok()).collect();
    assert!(idle.len() > 64, "only {} connections", idle.len());
    // Whoever asks now may wait; what was seen before is told.
    wait_words(&sink, "/chat", &["late firing"]);
    assert_eq!(daemon.err.count("Delivery failed"), 0, "a message had to wait for a descriptor");
    drop(idle);
    until_true("the API answers again", || {
        let headers = [("Content-Type", "text/plain")];
        let push = crate::http::request(
            &daemon.address,
            "POST",
            "/api/v1/import/prometheus",
            &headers,
            b"busy_m 5\nlate_m 0\n",
        );
        crate::http::exchange(&daemon.address, &push).is_ok_and(|answer| answer.status < 300)
    });
    until_true("both are told", || words(&sink, "/chat").len() == 3);
    // Two alerts of one instant have no order.
    let mut told = words(&sink, "/chat");
    told.sort();
    assert_eq!(told, ["busy firing", "late firing", "late resolved"]);
    daemon.stop();
}
