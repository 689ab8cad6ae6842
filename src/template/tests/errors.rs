//! Errors of reading: what they say, where they point, and what they advise.

use crate::template::{NEST_MAX, Template, TemplateError};

/// The first error must say `message`, point at `at`, and advise `help`.
fn check(cases: &[(&str, &str, &str, &str)]) {
    for (text, message, at, help) in cases {
        let errors = Template::parse(text).unwrap_err();
        let TemplateError { span, message: got, help: advice, .. } = &errors[0];
        assert_eq!(got, message, "{text}");
        assert_eq!(&text[span.clone()], *at, "{text}: span {span:?}");
        assert!(advice.as_deref().unwrap_or("").contains(help), "{text}: {advice:?}");
    }
}

#[test]
fn unknown_names_are_shown_with_the_likely_one() {
    check(&[
        ("a {{ $label.x }}", "undefined variable `$label`", "$label", "did you mean `$labels`?"),
        ("{{ $Value }}", "undefined variable `$Value`", "$Value", "did you mean `$value`?"),
        ("{{ $zzz }}", "undefined variable `$zzz`", "$zzz", ""),
        ("{{ $value | humanise }}", "function `humanise` not defined", "humanise", "did you mean `humanize`?"),
        (
            "{{ humanizeduration 1 }}",
            "function `humanizeduration` not defined",
            "humanizeduration",
            "`humanizeDuration`",
        ),
        ("{{ labels.job }}", "function `labels` not defined", "labels", "did you mean `$labels`?"),
        ("{{ define \"a\" }}{{ $value }}{{ end }}", "undefined variable `$value`", "$value", "sees only `$`"),
        ("{{ $x = 1 }}", "undefined variable `$x` in assignment", "$x", "{{ $x := … }}"),
    ]);
}

#[test]
fn every_unknown_name_is_reported_in_one_go() {
    let errors = Template::parse("{{ $a }} {{ foo 1 }} {{ if $b }}{{ end }}").unwrap_err();
    let messages: Vec<_> = errors.iter().map(|e| e.message.as_str()).collect();
    assert_eq!(messages, ["undefined variable `$a`", "function `foo` not defined", "undefined variable `$b`"]);
}

#[test]
fn what_is_not_closed_is_shown_where_it_opens() {
    check(&[
        ("a {{", "unclosed action", "{{", "close it with `}}`"),
        ("a {{ $value", "unclosed action", "{{", "close it with `}}`"),
        ("{{ $value }", "unexpected `}` in command", "}", ""),
        ("{{ \"a }}", "unterminated quoted string", "\"", "close the quote"),
        ("{{ \"a\nb\" }}", "unterminated quoted string", "\"", "backquotes"),
        ("{{ `a }}", "unterminated raw quoted string", "`", ""),
        ("{{ 'a }}", "unterminated character constant", "'", "double quotes"),
        ("{{/* a }}", "unclosed comment", "{{/*", "`*/}}`"),
        ("{{/* a */ 1}}", "comment ends before closing delimiter", "", "alone"),
        ("{{ (print 1 }}", "unclosed left paren", "}}", ""),
        ("x {{ if true }}a", "unclosed `if`: the template ends before its {{end}}", "if", "add `{{ end }}`"),
        ("{{ range 1 }}{{ else }}a", "unclosed `range`: the template ends before its {{end}}", "range", "{{ end }}"),
        ("{{ define \"x\" }}", "unclosed `define`: the template ends before its {{end}}", "define", "{{ end }}"),
    ]);
}

#[test]
fn blocks_out_of_place_are_shown() {
    check(&[
        ("a {{ end }}", "unexpected {{end}}", "end", ""),
        ("a {{ else }}", "unexpected {{else}}", "else", ""),
        ("{{ if 1 }}{{ else }}{{ else }}{{ end }}", "expected end of `if`; found {{else}}", "else", "line 1"),
        ("{{ break }}", "{{break}} outside {{range}}", "break", ""),
        ("{{ if 1 }}{{ define \"x\" }}{{ end }}{{ end }}", "unexpected {{define}}", "define", "top level"),
        ("{{ template x }}", "unexpected `x` in template clause", "x", ""),
        ("{{ print if }}", "unexpected `if` in command", "if", "first word"),
        ("{{ end 1 }}", "unexpected `1` in end", "1", ""),
    ]);
}

#[test]
fn mistakes_within_an_action_are_shown() {
    check(&[
        ("{{ }}", "missing value for command", "}}", ""),
        ("{{ 1 | }}", "missing command", "}}", ""),
        ("{{ | 1 }}", "missing command", "|", ""),
        ("{{ $value > 1 }}", "unexpected `>` in command", ">", "eq ne lt le gt ge"),
        ("{{ $value * 100 }}", "unexpected `*` in command", "*", "arithmetic in the query"),
        ("{{ printf \"%d\", 1 }}", "unexpected `,` in command", ",", "spaces, not commas"),
        ("{{ print 1) }}", "unexpected `)` in command", ")", ""),
        ("{{ $labels.a-b }}", "bad character '-' after \".a\"", "-", "index"),
        ("{{ $labels[\"a\"] }}", "bad character '[' after \"$labels\"", "[", "index"),
        ("{{ $x:=1 }}{{ $y=1 }}", "bad character '=' after \"$y\"", "=", "space"),
        ("{{ $x : 1 }}", "expected `:=`", ":", ""),
        ("{{ 1.2.3 }}", "unexpected `.3` in command", ".3", ""),
        ("{{ true.x }}", "unexpected . after term `true`", "true.x", ""),
        ("{{\u{a0}1 }}", "unrecognized character in action: U+00A0", "\u{a0}", "special spaces"),
        ("{{ “a” }}", "unrecognized character in action: U+201C", "“", "quotes"),
        ("{{ $labels.job }} {{ 1 | 2 }}", "non executable command in pipeline stage 2", "2", "function"),
        ("{{ 'ab' }}", "malformed character constant: 'ab'", "'ab'", ""),
        ("{{ \"\\d\" }}", "malformed string: \"\\d\"", "\"\\d\"", "backquotes"),
        ("{{ 0x }}", "illegal number syntax: \"0x\"", "0x", ""),
    ]);
}

#[test]
fn nesting_has_a_limit() {
    let parens = format!("{{{{ {}1{} }}}}", "(".repeat(NEST_MAX + 1), ")".repeat(NEST_MAX + 1));
    let blocks = format!("{}{}", "{{if 1}}".repeat(NEST_MAX + 1), "{{end}}".repeat(NEST_MAX + 1));
    for text in [parens, blocks] {
        let errors = Template::parse(&text).unwrap_err();
        assert_eq!(errors[0].message, format!("blocks and parentheses nest deeper than {NEST_MAX}"));
    }
    let chain = format!("{{{{if 0}}}}{}{{{{end}}}}", "{{else if 0}}".repeat(1000));
    assert!(Template::parse(&chain).is_ok(), "a chain of else-if does not nest");
}

#[test]
fn what_will_fail_when_rendered_is_known_before() {
    let cases = [
        ("{{value}}", "`value` takes 1 argument, not 0", "value", "did you mean `$value`?"),
        ("{{ $value | humanize 1 }}", "`humanize` takes 1 argument, not 2", "humanize", ""),
        ("{{ printf }}", "`printf` takes at least 1 argument, not 0", "printf", ""),
        ("{{ print (toUpper) }}{{ print toUpper }}", "`toUpper` takes 1 argument, not 0", "toUpper", ""),
        ("{{ $.labels.job }}", "there is no field `labels`", "labels", "did you mean `Labels`?"),
        ("{{ .job }}", "there is no field `job`", "job", "`$labels.job`"),
        (
            "{{ template \"whp\" }}{{ define \"who\" }}x{{ end }}",
            "template \"whp\" is not defined",
            "\"whp\"",
            "did you mean \"who\"?",
        ),
    ];
    for (text, message, at, help) in cases {
        let template = Template::parse(text).unwrap();
        let failure = &template.failures()[0];
        assert_eq!((failure.message.as_str(), &text[failure.span.clone()]), (message, at), "{text}");
        assert!(failure.help.as_deref().unwrap_or("").contains(help), "{text}: {:?}", failure.help);
    }
    for text in [
        "{{ $labels.job }}{{ .Value }}{{ range query \"x\" }}{{ .Labels.a }}{{ .whatever }}{{ end }}",
        "{{ define \"x\" }}{{ .a }}{{ $.b }}{{ end }}{{ template \"x\" args }}{{ now }}{{ print }}{{ and 1 }}",
    ] {
        assert!(Template::parse(text).unwrap().failures().is_empty(), "{text}");
    }
}
