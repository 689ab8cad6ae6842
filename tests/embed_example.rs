//! `examples/embed.rs`, on the simulated clock: what it says must happen, happens, in this order.

#[allow(dead_code, reason = "its `main` is not called here")]
#[path = "../examples/embed.rs"]
mod example;

#[test]
fn the_example_fires_and_resolves_all_its_rules() {
    let mut out = Vec::new();
    example::run(true, &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    let heads: Vec<String> = text
        .lines()
        .take_while(|line| *line != "--")
        .map(|line| line.split(['"', ' ']).filter(|w| !w.is_empty()).collect::<Vec<_>>())
        .map(|words| format!("{} {}", words[0], words[3]))
        .collect();
    let want = [
        "FIRING payments_slow",
        "FIRING orders_unusual",
        "FIRING payments_failing",
        "resolved orders_unusual",
        "resolved payments_failing",
        "resolved payments_slow",
    ];
    assert_eq!(heads, want, "{text}");
    assert!(text.ends_with("payments failed: 70\npayments ok: 930\nalerts at the end: 0\n"), "{text}");
}
