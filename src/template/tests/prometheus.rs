//! Prometheus's functions: the cases of its own template tests, and those it leaves open.

use super::{check, render_with, samples};
use crate::template::RenderLimits;

#[test]
fn queries_and_their_samples_are_read() {
    check(&[
        ("{{ query \"m\" | first | value }}", "21"),
        ("{{ query \"m\" | first | label \"instance\" }}", "b"),
        ("{{ query \"m\" | first | label \"foo\" }}|", "|"),
        ("{{ query \"m\" | first | strvalue }}", "text"),
        ("{{ $x := query \"m\" | first }}{{ $x.Labels.foo }}{{ $x.Value }}", "21"),
        (
            "{{ range query \"m\" | sortByLabel \"instance\" }}{{ .Labels.instance }}:{{ .Value }}: {{ end }}",
            "a:11: b:21: ",
        ),
        ("{{ query \"fail\" }}", "!error calling query: no such store"),
        ("{{ (query \"m\").banana }}", "!can't evaluate field banana in type template.queryResult"),
        ("{{ (query \"m\" | first).banana }}", "!can't evaluate field banana in type *template.sample"),
        ("{{ first 1 }}", "!expected template.queryResult; found 1"),
        ("{{ value $labels }}", "!wrong type for value; expected *template.sample; got map[string]string"),
    ]);
}

#[test]
fn first_of_nothing_is_an_error_in_prometheus_words() {
    let text = "{{ query \"missing\" | first }}";
    let error = render_with(text, &[], &RenderLimits::default()).unwrap().unwrap_err();
    assert_eq!(
        error.named("test"),
        "error executing template test: template: test:1:21: executing \"test\" at <first>: \
         error calling first: first() called on vector with no elements"
    );
    assert_eq!(error.span, 21..26);
    let text = "{{ define \"x\" }}\n  {{ humanize \"one\" }}{{ end }}{{ template \"x\" }}";
    let error = render_with(text, &samples(), &RenderLimits::default()).unwrap().unwrap_err();
    assert_eq!(
        error.named("test"),
        "error executing template test: template: test:2:5: executing \"x\" at <humanize \"one\">: \
         error calling humanize: strconv.ParseFloat: parsing \"one\": invalid syntax"
    );
    assert_eq!(
        error.to_string(),
        "error executing template: 2:5: at <humanize \"one\">: \
         error calling humanize: strconv.ParseFloat: parsing \"one\": invalid syntax"
    );
}

/// Pipes every input through the function.
fn check_each(function: &str, inputs: &[&str], outputs: &[&str]) {
    assert_eq!(inputs.len(), outputs.len());
    for (input, output) in inputs.iter().zip(outputs) {
        check(&[(&format!("{{{{ {input} | {function} }}}}"), output)]);
    }
}

#[test]
fn humanize_writes_four_digits_and_a_prefix() {
    let inputs = [
        "0.0",
        "1.0",
        "1234567.0",
        ".12",
        "0",
        "-1",
        "1234567",
        "9223372036854775807",
        "\"1234567.0\"",
        "1e30",
        "1e-30",
    ];
    let outputs = ["0", "1", "1.235M", "120m", "0", "-1", "1.235M", "9.223E", "1.235M", "1e+06Y", "1e-06y"];
    check_each("humanize", &inputs, &outputs);
    check_each("humanize", &["\"+Inf\"", "\"-Inf\"", "\"NaN\"", "\"inf\""], &["+Inf", "-Inf", "NaN", "+Inf"]);
    check_each(
        "humanize",
        &["\"one\"", "\"\"", "true", "\"1e999\""],
        &[
            "!strconv.ParseFloat: parsing \"one\": invalid syntax",
            "!parsing \"\": invalid syntax",
            "!can't convert bool to float",
            "!value out of range",
        ],
    );
}

#[test]
fn humanize1024_uses_binary_prefixes() {
    let inputs = ["0.0", "1.0", "1048576.0", ".12", "-1", "1234567", "9223372036854775807"];
    check_each("humanize1024", &inputs, &["0", "1", "1Mi", "0.12", "-1", "1.177Mi", "8Ei"]);
}

#[test]
fn humanize_duration_names_days_to_seconds_and_parts_of_a_second() {
    let inputs = [
        "0", "1", "60", "3600", "86400", "90000", "-183845", "899.99", ".1", ".0001", ".12345", "60.1", "60.5",
        "1.2345", "12.345", "-1", "1234567", "\"3600\"", "\"NaN\"",
    ];
    let outputs = [
        "0s",
        "1s",
        "1m 0s",
        "1h 0m 0s",
        "1d 0h 0m 0s",
        "1d 1h 0m 0s",
        "-2d 3h 4m 5s",
        "14m 59s",
        "100ms",
        "100us",
        "123.5ms",
        "1m 0s",
        "1m 0s",
        "1.234s",
        "12.35s",
        "-1s",
        "14d 6h 56m 7s",
        "1h 0m 0s",
        "NaN",
    ];
    check_each("humanizeDuration", &inputs, &outputs);
}

#[test]
fn humanize_percentage_multiplies_by_a_hundred() {
    let inputs = ["-0.22222", "0.0", "0.1234567", "1.23456", "0", "-1", "1234567", "9223372036854775807", "\"0.5\""];
    let outputs = ["-22.22%", "0%", "12.35%", "123.5%", "0%", "-100%", "1.235e+08%", "9.223e+20%", "50%"];
    check_each("humanizePercentage", &inputs, &outputs);
}

#[test]
fn humanize_timestamp_writes_go_times() {
    let inputs = ["0", "-1", "1234567", "9223372036", "1435065584.128", "\"1435065584.128\"", "\"+Inf\"", "\"NaN\""];
    let outputs = [
        "1970-01-01 00:00:00 +0000 UTC",
        "1969-12-31 23:59:59 +0000 UTC",
        "1970-01-15 06:56:07 +0000 UTC",
        "2262-04-11 23:47:16 +0000 UTC",
        "2015-06-23 13:19:44.128 +0000 UTC",
        "2015-06-23 13:19:44.128 +0000 UTC",
        "+Inf",
        "NaN",
    ];
    check_each("humanizeTimestamp", &inputs, &outputs);
    check(&[
        (
            "{{ humanizeTimestamp -9223372036854775808 }}",
            "!error calling humanizeTimestamp: -9.223372036854776e+18 cannot be represented as a nanoseconds timestamp since it overflows int64",
        ),
        ("{{ humanizeTimestamp 1e300 }}", "!1e+300 cannot be represented"),
    ]);
}

#[test]
fn times_and_durations_have_the_methods_of_go() {
    check(&[
        (r#"{{ (1435065584.128 | toTime).Format "2006" }}"#, "2015"),
        (r#"{{ ("1435065584.128" | toTime).Format "2006-01-02T15:04:05.000Z07:00" }}"#, "2015-06-23T13:19:44.128Z"),
        (
            r#"{{ (toTime 1435065584).Format "Mon, 02 Jan 2006 3:04 PM -0700 MST" }}"#,
            "Tue, 23 Jun 2015 1:19 PM +0000 UTC",
        ),
        (r#"{{ (toTime 0).Format "Monday January _2 06 002 .999 Jany" }}"#, "Thursday January  1 70 001  Jany"),
        (
            "{{ (toTime 3600).Unix }} {{ (toTime 3600).Hour }} {{ (toTime 0).Year }} {{ (toTime 0).Month }}",
            "3600 1 1970 January",
        ),
        ("{{ toTime 1 }}", "1970-01-01 00:00:01 +0000 UTC"),
        ("{{ toTime now }}", "2015-06-23 13:19:44.128 +0000 UTC"),
        ("{{ ((toTime 60).Sub (toTime 0)).Seconds }}", "60"),
        ("{{ (toTime 0).Add (toDuration 90) }}", "1970-01-01 00:01:30 +0000 UTC"),
        ("{{ (toTime 2592000).AddDate 0 1 0 }}", "1970-03-03 00:00:00 +0000 UTC"),
        ("{{ (toTime 5).After (toTime 4) }} {{ (toTime 5).Before (toTime 4) }}", "true false"),
        (
            "{{ toDuration 3723.5 }} {{ toDuration 0.0015 }} {{ toDuration \"-90\" }} {{ toDuration 0 }}",
            "1h2m3.5s 1.5ms -1m30s 0s",
        ),
        (
            "{{ (toDuration 90).Minutes }} {{ (toDuration 90).Milliseconds }} {{ humanizeDuration (toDuration 90) }}",
            "1.5 90000 1m 30s",
        ),
        ("{{ (toDuration 95).Round (toDuration 60) }} {{ (toDuration 95).Truncate (toDuration 60) }}", "2m0s 1m0s"),
        ("{{ toTime \"NaN\" }}", "!error calling toTime: value is NaN or Inf"),
        ("{{ (toTime 0).Nope }}", "!can't evaluate field Nope in type *time.Time"),
        ("{{ (toTime 0).Format 1 }}", "!wrong type for value; expected string; got int"),
    ]);
}

#[test]
fn hosts_lose_their_port_or_their_domain() {
    let inputs = [
        "\"foo.example.com\"",
        "\"foo.example.com:12345\"",
        "\"192.0.2.1\"",
        "\"192.0.2.1:12345\"",
        "\"2001:0DB8::1\"",
        "\"[2001:0DB8::1]:12345\"",
        "\"[2001:0DB8::1]::12345\"",
        "$labels.instance",
        "\":80\"",
        "\"\"",
    ];
    let without_port = [
        "foo.example.com",
        "foo.example.com",
        "192.0.2.1",
        "192.0.2.1",
        "2001:0DB8::1",
        "2001:0DB8::1",
        "[2001:0DB8::1]::12345",
        "db1.example.com",
        "",
        "",
    ];
    check_each("stripPort", &inputs, &without_port);
    let without_domain = [
        "foo",
        "foo:12345",
        "192.0.2.1",
        "192.0.2.1:12345",
        "2001:0DB8::1",
        "[2001:0DB8::1]:12345",
        "[2001:0DB8::1]::12345",
        "db1:9100",
        ":80",
        "",
    ];
    check_each("stripDomain", &inputs, &without_domain);
}

#[test]
fn texts_are_changed_and_matched() {
    check(&[
        ("{{ \"aa bb CC\" | title }}", "Aa Bb CC"),
        ("{{ title \"a_b-c éa 1a\" }}", "A_b-C Éa 1a"),
        ("{{ \"aa bb CC\" | toUpper }} {{ \"aA bB CC\" | toLower }}", "AA BB CC aa bb cc"),
        ("{{ match \"a+\" \"aa\" }} {{ match \"a+\" \"b\" }}", "true false"),
        ("{{ match \"(\" \"b\" }}", "!error calling match: error parsing regexp: "),
        ("{{ reReplaceAll \"(a)b\" \"x$1\" \"ab\" }}", "xa"),
        ("{{ reReplaceAll \"localhost:(.*)\" \"my.domain:$1\" \"localhost:9090\" }}", "my.domain:9090"),
        ("{{ reReplaceAll \"(?P<n>a)\" \"${n}1 $$ $2\" \"ab\" }}", "a1 $ b"),
        ("{{ reReplaceAll \"x*\" \"-\" \"ab\" }}", "-a-b-"),
        ("{{ $labels.instance | reReplaceAll \":\\\\d+\" \"\" }}", "db1.example.com"),
        ("{{ safeHtml \"<b>\" }}", "<b>"),
        ("{{ define \"a\" }}x{{ . }}{{ end }}{{ $name := \"a\" }}{{ tmpl $name 1 | toUpper }}", "X1"),
    ]);
}

#[test]
fn links_durations_and_urls() {
    check(&[
        (
            "{{ graphLink \"up\" }} {{ tableLink \"up == 0\" }}",
            "/graph?g0.expr=up&g0.tab=0 /graph?g0.expr=up+%3D%3D+0&g0.tab=1",
        ),
        ("{{ pathPrefix }} {{ externalURL }}", "/alertd https://alerts.example.com/alertd"),
        ("{{ printf \"%0.2f\" (parseDuration \"1h2m10ms\") }}", "3720.01"),
        ("{{ parseDuration \"1x\" }}", "!error calling parseDuration: "),
        ("{{ urlQueryEscape \"a b&c/d\" }}", "a+b%26c%2Fd"),
        ("{{ now }}", "1.435065584128e+09"),
        ("{{ printf \"%.3f\" now }}", "1435065584.128"),
    ]);
}
