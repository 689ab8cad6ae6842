//! The language itself: what Go's text/template does with text, pipelines, variables and blocks.

use super::check;
use crate::template::Template;

#[test]
fn text_and_white_space_come_out_as_go_trims_them() {
    check(&[
        ("", ""),
        ("plain } text {", "plain } text {"),
        ("{{ 1 }}", "1"),
        ("a {{ 1 }} b", "a 1 b"),
        ("a {{- 1 -}} b", "a1b"),
        ("a \n\t{{- 1 }} b", "a1 b"),
        ("a {{ 1 -}} \r\n b", "a 1b"),
        ("{{-3}}", "-3"),
        ("{{- -3 -}}", "-3"),
        ("a {{/* gone */}} b", "a  b"),
        ("a {{- /* gone */ -}} b", "ab"),
        ("{{\n1\n}}", "1"),
        ("{{1 -}}\n{{- 2}}", "12"),
        ("{{\"}}\"}}", "}}"),
        ("{{`{{`}}", "{{"),
    ]);
}

#[test]
fn literals_are_those_of_go() {
    check(&[
        (r#"{{ "a\tb\n\"\\\x41\101\u00e9\U0001F600" }}"#, "a\tb\n\"\\AAé😀"),
        (r"{{ `raw \n` }}", r"raw \n"),
        ("{{ `two\nlines` }}", "two\nlines"),
        (r"{{ 'a' }} {{ '\n' }} {{ '\'' }} {{ 'é' }}", "97 10 39 233"),
        ("{{ 0x1F }} {{ 0b101 }} {{ 0o17 }} {{ 017 }} {{ 1_000 }} {{ -0x10 }}", "31 5 15 15 1000 -16"),
        ("{{ 1.5 }} {{ 1e3 }} {{ 1e6 }} {{ 1e-5 }} {{ .5 }} {{ +2 }}", "1.5 1000 1e+06 1e-05 0.5 2"),
        ("{{ 1234567.0 }} {{ 123456.0 }} {{ 0.0001 }} {{ 1e21 }}", "1.234567e+06 123456 0.0001 1e+21"),
        (
            "{{ 0x1.8p1 }} {{ 9223372036854775807 }} {{ -9223372036854775808 }}",
            "3 9223372036854775807 -9223372036854775808",
        ),
        ("{{ true }} {{ false }}", "true false"),
        ("{{ nil }}", "!nil is not a command"),
        (r#"{{ "\q" }}"#, "!malformed string"),
        ("{{ 9223372036854775808 }}", "!illegal number syntax"),
        ("{{ 08 }}", "!illegal number syntax"),
        ("{{ 1__0 }}", "!illegal number syntax"),
        ("{{ 1x }}", "!bad number syntax"),
        ("{{ 1+2 }}", "!bad number syntax"),
    ]);
}

#[test]
fn fields_are_looked_up_along_the_chain() {
    check(&[
        ("{{ .Labels.job }} {{ $.Labels.job }} {{ $labels.job }}", "node node node"),
        ("{{ .Value }} {{ $value }}", "1234.5 1234.5"),
        ("{{ .ExternalLabels.cluster }} {{ $externalLabels.cluster }}", "eu eu"),
        (
            "{{ .ExternalURL }} {{ $externalURL }}",
            "https://alerts.example.com/alertd https://alerts.example.com/alertd",
        ),
        ("[{{ $labels.missing }}]", "[]"),
        ("{{ $labels }}", "map[__name__:up instance:db1.example.com:9100 job:node]"),
        ("{{ (index .Labels \"job\") }} {{ (.Labels).job }}", "node node"),
        ("{{ .Nope }}", "!can't evaluate field Nope in type struct {"),
        ("{{ $labels.job.x }}", "!can't evaluate field x in type string"),
        ("{{ $labels.job 1 }}", "!job is not a method but has arguments"),
        ("{{ 1 | .Value }}", "!Value is a field and takes no arguments"),
        ("{{ (args 1).arg0 }} {{ (args 1).arg1 }}", "1 <no value>"),
        ("{{ 1 .Labels }}", "!can't give argument to non-function 1"),
    ]);
}

#[test]
fn pipelines_pass_the_value_as_the_last_argument() {
    check(&[
        (r#"{{ "a" | printf "%s-%s" "b" }}"#, "b-a"),
        (r#"{{ "a" | toUpper | printf "%q" }}"#, "\"A\""),
        (r#"{{ printf "%d" (len "abc") }}"#, "3"),
        ("{{ 1 | 2 }}", "!parse: non executable command in pipeline stage 2"),
        ("{{ toUpper }}", "!wrong number of args for toUpper: want 1 got 0"),
        (r#"{{ toUpper "a" "b" }}"#, "!wrong number of args for toUpper: want 1 got 2"),
        ("{{ printf }}", "!wrong number of args for printf: want at least 1 got 0"),
        ("{{ toUpper 1 }}", "!expected string; found 1"),
        ("{{ toUpper $value }}", "!wrong type for value; expected string; got float64"),
        ("{{ toUpper nil }}", "!cannot assign nil to string"),
        ("{{ print toUpper }}", "!wrong number of args for toUpper"),
        ("{{ print now }}", "1.435065584128e+09"),
    ]);
}

#[test]
fn variables_live_to_the_end_of_their_block() {
    check(&[
        ("{{ $x := 1 }}{{ $x }}", "1"),
        ("{{ $x := 1 }}{{ $x = 2 }}{{ $x }}", "2"),
        ("{{ $x := 1 }}{{ if true }}{{ $x := 2 }}{{ $x }}{{ end }}{{ $x }}", "21"),
        ("{{ $x := 1 }}{{ if true }}{{ $x = 2 }}{{ end }}{{ $x }}", "2"),
        ("{{ $x := 1 }}{{ if false }}{{ $x := 2 }}{{ else }}{{ $x }}{{ end }}", "1"),
        ("{{ $x := 1 }}{{ $x := print $x 2 }}{{ $x }}", "1 2"),
        ("{{ if $x := 3 }}{{ $x }}{{ end }}", "3"),
        ("{{ with $x := 3 }}{{ . }}{{ $x }}{{ end }}", "33"),
        ("{{ if $x := 0 }}{{ else if $y := 2 }}{{ $x }}{{ $y }}{{ end }}", "02"),
        ("{{ if true }}{{ $x := 1 }}{{ end }}{{ $x }}", "!undefined variable `$x`"),
        ("{{ $x = 1 }}", "!undefined variable `$x`"),
        ("{{ $x := $x }}", "!undefined variable `$x`"),
        ("{{ $x, $y := 1 }}", "!too many declarations in command"),
    ]);
    check(&[("{{ $.Value }}{{ with 1 }}{{ $.Value }}{{ end }}", "1234.51234.5")]);
}

#[test]
fn if_and_with_choose_by_truth() {
    check(&[
        ("{{ if true }}a{{ end }}{{ if false }}b{{ end }}", "a"),
        ("{{ if 0 }}a{{ else }}b{{ end }}{{ if 0.0 }}a{{ else }}b{{ end }}{{ if \"\" }}a{{ else }}b{{ end }}", "bbb"),
        ("{{ if $labels.job }}a{{ end }}{{ if $labels.no }}b{{ else }}c{{ end }}", "ac"),
        ("{{ if . }}a{{ end }}{{ if $labels }}b{{ end }}{{ if args }}c{{ else }}d{{ end }}", "abd"),
        ("{{ if false }}1{{ else if false }}2{{ else if true }}3{{ else }}4{{ end }}", "3"),
        ("{{ with 0 }}1{{ else with 2 }}{{ . }}{{ else }}4{{ end }}", "2"),
        ("{{ with 0 }}1{{ else }}{{ .Value }}{{ end }}", "1234.5"),
        ("{{ with .Labels }}{{ .job }}{{ end }}", "node"),
        ("{{ if and true $labels.job }}a{{ end }}", "a"),
        ("{{ if not false }}a{{ end }}", "a"),
        ("{{ if false }}1{{ else with 2 }}{{ end }}", "!unexpected `with` in else"),
        ("{{ if }}a{{ end }}", "!missing value for if"),
    ]);
}

#[test]
fn range_goes_over_lists_maps_and_numbers() {
    check(&[
        ("{{ range 3 }}{{ . }},{{ end }}", "0,1,2,"),
        ("{{ range 0 }}a{{ else }}none{{ end }}{{ range -1 }}a{{ else }}none{{ end }}", "nonenone"),
        ("{{ range $labels }}{{ . }};{{ end }}", "up;db1.example.com:9100;node;"),
        (
            "{{ range $k, $v := $labels }}{{ $k }}={{ $v }};{{ end }}",
            "__name__=up;instance=db1.example.com:9100;job=node;",
        ),
        ("{{ range $v := args 1 \"b\" }}{{ $v }}{{ end }}", "1b"),
        ("{{ range $i, $s := query \"m\" }}{{ $i }}{{ $s.Value }} {{ end }}", "021 111 "),
        ("{{ range $i, $v := 2 }}{{ $i }}{{ $v }}{{ end }}", "0011"),
        ("{{ range 5 }}{{ if eq . 3 }}{{ break }}{{ end }}{{ . }}{{ end }}", "012"),
        ("{{ range 5 }}{{ if eq . 3 }}{{ continue }}{{ end }}{{ . }}{{ end }}", "0124"),
        ("{{ range 2 }}{{ range 3 }}{{ if eq . 1 }}{{ break }}{{ end }}{{ . }}{{ end }};{{ end }}", "0;0;"),
        ("{{ range 2 }}{{ $.Value }};{{ end }}", "1234.5;1234.5;"),
        ("{{ $n := 0 }}{{ range 4 }}{{ $n = . }}{{ end }}{{ $n }}", "3"),
        ("{{ $n := 0 }}{{ range $n = 4 }}{{ end }}{{ $n }}", "3"),
        ("{{ range \"abc\" }}{{ end }}", "!range can't iterate over string"),
        ("{{ range $i, $j, $k := 3 }}{{ end }}", "!too many declarations in range"),
        ("{{ break }}", "!{{break}} outside {{range}}"),
        ("{{ range 1 }}{{ else }}{{ continue }}{{ end }}", "!{{continue}} outside {{range}}"),
    ]);
}

#[test]
fn named_templates_see_only_what_they_are_given() {
    check(&[
        ("{{ define \"x\" }}<{{ . }}>{{ end }}{{ template \"x\" 1 }}{{ template \"x\" $labels.job }}", "<1><node>"),
        ("{{ template \"x\" }}{{ define \"x\" }}<{{ . }}>{{ end }}", "<<no value>>"),
        ("{{ define \"x\" }}{{ .a }}{{ end }}{{ template \"x\" }}", "<no value>"),
        ("{{define \"x\"}}{{.arg0}} {{.arg1}}{{end}}{{template \"x\" (args 1 \"2\")}}", "1 2"),
        ("{{ block \"b\" $value }}[{{ . }}]{{ end }}{{ template \"b\" 2 }}", "[1234.5][2]"),
        ("{{ define \"x\" }}{{ $y := 2 }}{{ $y }}{{ end }}{{ $x := 1 }}{{ template \"x\" }}{{ $x }}", "21"),
        (
            "{{ define \"x\" }}{{ if gt . 0 }}{{ . }}{{ template \"y\" . }}{{ end }}{{ end }}{{ define \"y\" }}!{{ end }}{{ template \"x\" 3 }}",
            "3!",
        ),
        ("{{ define \"x\" }}{{ $labels.job }}{{ end }}", "!undefined variable `$labels`"),
        ("{{ template \"nope\" }}", "!template \"nope\" not defined"),
        ("{{ define \"x\" }}1{{ end }}{{ define \"x\" }}2{{ end }}", "!multiple definition of template \"x\""),
        ("{{ define \"x\" }} {{ end }}{{ define \"x\" }}2{{ end }}{{ template \"x\" }}", "2"),
        ("{{ if true }}{{ define \"x\" }}{{ end }}{{ end }}", "!unexpected {{define}}"),
        ("{{ define \"x\" }}{{ template \"x\" }}{{ end }}{{ template \"x\" }}", "!exceeded maximum template depth"),
    ]);
}

#[test]
fn comparisons_are_strict_about_kinds() {
    check(&[
        ("{{ eq 1 1 }} {{ eq 1 2 }} {{ eq 1 2 1 }} {{ ne 1 2 }}", "true false true true"),
        ("{{ eq \"a\" \"a\" }} {{ eq true true }} {{ eq 1.5 1.5 }} {{ eq 'a' 97 }}", "true true true true"),
        ("{{ lt 1 2 }} {{ le 2 2 }} {{ gt 2 1 }} {{ ge 1 2 }} {{ lt \"a\" \"b\" }}", "true true true false true"),
        ("{{ gt $value 1000.0 }}", "true"),
        ("{{ gt $value 1000 }}", "!error calling gt: incompatible types for comparison"),
        ("{{ eq 1 \"1\" }}", "!error calling eq: incompatible types for comparison"),
        ("{{ lt true false }}", "!error calling lt: invalid type for comparison"),
        ("{{ eq $labels $labels }}", "!non-comparable type map[string]string"),
        ("{{ eq 1 }}", "!error calling eq: missing argument for comparison"),
        ("{{ eq (args).x nil }} {{ eq 1 nil }}", "true false"),
        ("{{ $nan := \"NaN\" | humanize }}{{ $nan }}", "NaN"),
    ]);
}

#[test]
fn and_or_not_return_their_arguments_and_stop_early() {
    check(&[
        ("{{ and 1 2 }} {{ and 0 2 }} {{ or 0 2 }} {{ or 1 2 }} {{ or 0 \"\" }}|", "2 0 2 1 |"),
        ("{{ or 1 (query \"fail\") }} {{ and 0 (query \"fail\") }}", "1 0"),
        ("{{ 3 | and 1 }} {{ 3 | or 1 }}", "3 1"),
        ("{{ not 0 }} {{ not \"a\" }}", "true false"),
        ("{{ and }}", "!wrong number of args for and: want at least 1 got 0"),
    ]);
}

#[test]
fn index_slice_and_len_work_on_lists_maps_and_text() {
    check(&[
        ("{{ len \"abc\" }} {{ len $labels }} {{ len (query \"m\") }} {{ len (args 1 2) }}", "3 3 2 2"),
        ("{{ len 3 }}", "!error calling len: len of type int"),
        ("{{ index $labels \"job\" }}[{{ index $labels \"x\" }}]", "node[]"),
        ("{{ (index (query \"m\") 1).Value }} {{ index \"abc\" 1 }}", "11 98"),
        ("{{ index (args (args 7)) \"arg0\" \"arg0\" }}", "7"),
        ("{{ index (query \"m\") 2 }}", "!error calling index: index out of range: 2"),
        ("{{ index (query \"m\") -1 }}", "!index out of range: -1"),
        ("{{ index $labels 1 }}", "!value has type int; should be string"),
        ("{{ index 1 1 }}", "!can't index item of type int"),
        ("{{ index nil 1 }}", "!index of untyped nil"),
        ("{{ slice \"abcd\" 1 3 }} {{ slice \"abcd\" 2 }} {{ len (slice (query \"m\") 1) }}", "bc cd 1"),
        ("{{ slice \"abcd\" 3 1 }}", "!invalid slice index: 3 > 1"),
        ("{{ slice \"abcd\" 0 9 }}", "!index out of range: 9"),
        ("{{ slice \"abcd\" 0 1 2 }}", "!cannot 3-index slice a string"),
        ("{{ call 1 }}", "!error calling call: non-function of type int"),
    ]);
}

#[test]
fn escaping_is_that_of_go() {
    check(&[
        (r#"{{ html "<a href='x'>&\"</a>" }}"#, "&lt;a href=&#39;x&#39;&gt;&amp;&#34;&lt;/a&gt;"),
        (r#"{{ js "it'd \"<x>=\\" }}"#, r#"it\'d \"\u003Cx\u003E\u003D\\"#),
        (r#"{{ urlquery "http://a b/?x=ü" }}"#, "http%3A%2F%2Fa+b%2F%3Fx%3D%C3%BC"),
        (r#"{{ urlquery 1 2 "x" }}"#, "1+2x"),
        (r#"{{ html 1 true }}"#, "1 true"),
    ]);
}

#[test]
fn a_template_without_actions_is_constant_and_templates_compare_by_text() {
    let constant = Template::parse("page the owner").unwrap();
    assert_eq!(constant.constant(), Some("page the owner"));
    let template = Template::parse("{{ $labels.job }}").unwrap();
    assert_eq!(template.constant(), None);
    assert_eq!(template.text(), "{{ $labels.job }}");
    assert_eq!(template, template.clone());
    assert_ne!(template, constant);
    assert_eq!(format!("{template:?}"), r#"Template("{{ $labels.job }}")"#);
    fn is_shared<T: Send + Sync>(_: &T) {}
    is_shared(&template);
}

#[test]
fn label_references_are_found_wherever_labels_can_be_named() {
    let cases: &[(&str, &[&str])] = &[
        ("{{ $labels.a }}{{ .Labels.b }}{{ $.Labels.c }}", &["a", "b", "c"]),
        ("{{ index $labels \"d-e\" }}{{ index .Labels `f` }}", &["d-e", "f"]),
        ("{{ if $labels.a }}{{ .Labels.b }}{{ end }}", &["a", "b"]),
        (
            "{{ with query \"x\" }}{{ range . }}{{ .Labels.a }}{{ $labels.b }}{{ $.Labels.c }}{{ end }}{{ end }}",
            &["b", "c"],
        ),
        ("{{ $labels := args }}{{ $labels.a }}", &[]),
        ("{{ $externalLabels.a }}{{ $labels }}", &[]),
        ("{{ define \"x\" }}{{ .Labels.a }}{{ $.Labels.b }}{{ end }}", &[]),
        ("{{ printf \"%s\" $labels.a | toUpper }}{{ ($labels).b }}", &["a"]),
    ];
    for (text, expected) in cases {
        let references = Template::parse(text).unwrap().label_references();
        let names: Vec<_> = references.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, *expected, "{text}");
        for (name, span) in &references {
            assert_eq!(text[span.clone()].trim_matches(['"', '`']), name, "{text}");
        }
    }
}
