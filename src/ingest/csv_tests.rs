//! Tests of the CSV reader.

use proptest::prelude::*;

use super::*;

fn check(text: &str, metric: Option<&str>, wanted: &str) {
    let (batch, errors) = parse(text.as_bytes(), metric, 100);
    let rows = batch.rows.iter().map(|r| format!("{} {} {}", r.labels, r.t_ms.unwrap_or(0), r.value));
    let all: Vec<String> = rows.chain(errors.first.iter().map(ToString::to_string)).collect();
    assert_eq!(all.join("\n"), wanted, "{text}");
}

#[test]
fn the_header_tells_the_three_forms_apart() {
    check("timestamp,metric,value,host\n10,up,1,a\n11,up,0,\n", None, "up{host=\"a\"} 10000 1\nup 11000 0");
    check("host,value,timestamp,metric\r\na,1,10,up\r\n", None, "up{host=\"a\"} 10000 1");
    check("timestamp,value\n2014-02-14 14:30:00,0.132\n", Some("cpu"), "cpu 1392388200000 0.132");
    check("timestamp,value,host\n10,1,b", Some("cpu"), "cpu{host=\"b\"} 10000 1");
    check(
        "timestamp,m01,m.02\n1700000000123,1,2\n10,,NaN\n",
        None,
        "m01 1700000000123 1\n{\"m.02\"} 1700000000123 2\n{\"m.02\"} 10000 NaN",
    );
    check("\u{feff}timestamp,m\n10,1\n", None, "m 10000 1");
}

#[test]
fn quotes_keep_commas_quotes_and_line_ends() {
    check(
        "timestamp,metric,value,\"a b\"\n10,m,1,\"x,\"\"y\"\"\nz\"\n11,m,2,q\n",
        None,
        "m{\"a b\"=\"x,\\\"y\\\"\\nz\"} 10000 1\nm{\"a b\"=\"q\"} 11000 2",
    );
}

#[test]
fn a_bad_record_is_told_with_its_place_and_loses_no_other() {
    check(
        "timestamp,m\nx,1\n10,2\n11,y\n",
        None,
        "m 10000 2\nline 2, column 1: \"x\" is no time: Unix seconds or milliseconds, RFC 3339 or YYYY-MM-DD HH:MM:SS is taken\n\
         line 4, column 4: value \"y\" is no number",
    );
    check(
        "timestamp,metric,value\n10,,1\n10,m,\n10\n",
        None,
        "line 2, column 4: the metric has no name\nline 3, column 6: the value is missing\nline 4, column 1: the value is missing",
    );
    check("timestamp,metric,value\n10,\"m,1\n11,m,2", None, "m 11000 2\nline 2, column 4: a quote is not closed");
    check(
        "timestamp,metric,value\n10,\"m\"x,1\n11,m,2",
        None,
        "m 11000 2\nline 2, column 7: expected ',' after the closing quote",
    );
}

#[test]
fn a_bad_header_is_the_only_error() {
    check("", None, "line 1, column 1: no header; expected timestamp,metric,value,<label>… or timestamp,<metric>…");
    check("10,1\n11,2\n", None, "line 1, column 1: the header names no column \"timestamp\"");
    check(
        "timestamp,value\n10,1\n",
        None,
        "line 1, column 1: the header names no column \"metric\", so the metric's name must be given: --metric NAME",
    );
    check("timestamp,a,a\n10,1,2\n", None, "line 1, column 13: column \"a\" has no name of its own");
    check("timestamp\n10\n", None, "line 1, column 1: the header names no column of values");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), tail in "[,\"\n\r0-9a-c ]{0,200}") {
        parse(&bytes, Some("m"), 10);
        let (batch, _) = parse(format!("timestamp,metric,value,a\n{tail}").as_bytes(), None, 10);
        prop_assert!(batch.len() <= 10);
    }
}
