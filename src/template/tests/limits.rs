//! Every rendering ends, within its limits, whatever the template says; nothing panics.

use proptest::prelude::*;

use super::{check, render_with, samples};
use crate::template::{RenderLimits, Template};

#[test]
fn endless_and_exploding_templates_end_with_an_error() {
    let steps = "!template needs more than 100000 steps";
    let length = "!text is longer than 65536 bytes";
    check(&[
        ("{{ range 9223372036854775807 }}{{ end }}", steps),
        ("{{ range 100000 }}{{ range 100000 }}{{ end }}{{ end }}", steps),
        ("{{ range 1000000 }}xxxxxxxxxxxxxxxx{{ end }}", length),
        ("{{ printf \"%100000d\" 1 }}", length),
        ("{{ printf \"%.1000000f\" 1.5 }}", length),
        ("{{ printf \"%.1000000d\" 1 }}", length),
        ("{{ printf \"%.1000000U\" 1 }}", length),
        ("{{ printf \"%1000000s\" \"a\" }}", length),
        ("{{ $x := \"aaaaaaaaaaaaaaaa\" }}{{ range 40 }}{{ $x = print $x $x }}{{ end }}", length),
        (
            "{{ $x := \"aaaaaaaaaaaaaaaa\" }}{{ range 12 }}{{ $x = print $x $x }}{{ end }}{{ reReplaceAll \"\" $x $x }}",
            length,
        ),
        (
            "{{ $x := \"$0$0$0$0$0$0\" }}{{ range 12 }}{{ $x = print $x $x }}{{ end }}{{ reReplaceAll \".*\" $x $x }}",
            length,
        ),
        ("{{ $x := \"ab\" }}{{ range 15 }}{{ $x = print $x $x }}{{ end }}{{ html $x $x }}", length),
        ("{{ $x := args 1 }}{{ range 100 }}{{ $x = args $x $x }}{{ end }}", "!values nest deeper than 32"),
        ("{{ $x := args 1 }}{{ range 30 }}{{ $x = args $x $x }}{{ end }}{{ $x }}", length),
        (
            "{{ define \"x\" }}{{ template \"x\" . }}{{ end }}{{ template \"x\" . }}",
            "!exceeded maximum template depth (100)",
        ),
        (
            "{{ define \"x\" }}{{ tmpl \"x\" . }}{{ end }}{{ template \"x\" . }}",
            "!exceeded maximum template depth (100)",
        ),
        (
            "{{ define \"x\" }}{{ if (and 1 (or 0 (tmpl \"x\" .))) }}{{ end }}{{ end }}{{ template \"x\" . }}",
            "!exceeded maximum",
        ),
        (
            "{{ define \"x\" }}{{ if 0 }}{{ else }}{{ template \"x\" }}{{ end }}{{ end }}{{ template \"x\" }}",
            "!exceeded maximum",
        ),
        ("{{ range 5000 }}{{ $x := match (print \"a{50}\" .) \"\" }}{{ end }}", steps),
        ("{{ range 100 }}{{ $x := query \"m\" }}{{ end }}", "!template makes more than 64 queries"),
        ("{{ match \"((a{100}){100}){100}\" \"a\" }}", "!compiles to more than"),
    ]);
}

#[test]
fn limits_are_those_of_the_caller() {
    let limits = RenderLimits { steps_max: 10, output_bytes_max: 8, depth_max: 2, queries_max: 0 };
    let message = |text: &str| match render_with(text, &samples(), &limits).unwrap() {
        Ok(text) => text,
        Err(error) => error.message,
    };
    assert_eq!(message("12345678{{ \"\" }}"), "12345678");
    assert_eq!(message("123456789{{ \"\" }}"), "text is longer than 8 bytes");
    assert_eq!(message("{{ print (print (print 1)) }}"), "1");
    assert_eq!(message("{{ print (print (print (print 1))) }}"), "exceeded maximum template depth (2)");
    assert_eq!(message("{{ query \"m\" }}"), "error calling query: template makes more than 0 queries");
    assert_eq!(message("{{ range 20 }}{{ end }}"), "template needs more than 10 steps");
    let exhausted = |text: &str| render_with(text, &samples(), &limits).unwrap().unwrap_err().exhausted;
    assert!(exhausted("{{ range 20 }}{{ end }}") && exhausted("123456789{{ \"\" }}"), "with less data it might do");
    assert!(
        !exhausted("{{ slice \"steps\" 9 }}") && !exhausted("{{ query \"longer than\" }}"),
        "with less data neither"
    );
}

/// Pieces out of which hostile but readable templates are put together.
const PIECES: [&str; 44] = [
    "{{",
    "}}",
    "{{-",
    "-}}",
    " ",
    "\n",
    "(",
    ")",
    "|",
    ":=",
    "=",
    ",",
    ".",
    "$",
    "$x",
    "$labels",
    ".Labels",
    ".job",
    "if ",
    "else ",
    "end",
    "range ",
    "with ",
    "define ",
    "template ",
    "block ",
    "break",
    "continue",
    "\"x\"",
    "`y`",
    "'c'",
    "3",
    "-1.5e3",
    "nil",
    "true",
    "printf ",
    "\"%*.[2]d\" ",
    "index ",
    "slice ",
    "args ",
    "query ",
    "first",
    "/*",
    "*/",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn arbitrary_text_never_panics(text in "\\PC{0,60}|(\\{\\{[ -~é]{0,30}\\}\\}){0,3}") {
        let _ = render_with(&text, &samples(), &RenderLimits::default());
    }

    #[test]
    fn arbitrary_tokens_never_panic_and_errors_point_into_the_text(picks in prop::collection::vec(0..PIECES.len(), 0..40)) {
        let text: String = picks.iter().map(|i| PIECES[*i]).collect();
        match render_with(&text, &samples(), &RenderLimits::default()) {
            Ok(Ok(output)) => prop_assert!(output.len() <= 65536),
            Ok(Err(error)) => prop_assert!(text.get(error.span.clone()).is_some(), "{text} {:?}", error.span),
            Err(errors) => {
                prop_assert!(!errors.is_empty());
                for error in errors {
                    prop_assert!(text.get(error.span.clone()).is_some(), "{text} {:?}", error.span);
                }
            }
        }
    }

    #[test]
    fn arbitrary_actions_never_panic(picks in prop::collection::vec(13..PIECES.len() - 2, 1..12)) {
        let action: Vec<&str> = picks.iter().map(|i| PIECES[*i]).collect();
        let _ = render_with(&format!("{{{{ {} }}}}", action.join(" ")), &samples(), &RenderLimits::default());
    }

    #[test]
    fn arbitrary_formats_never_panic(format in "(%[-+# 0]{0,2}[0-9*]{0,2}(\\.[0-9*]{0,2})?(\\[[0-9]\\])?[a-zA-Z%]?){0,4}") {
        for value in ["1", "-7", "1.5", "\"aé\"", "true", "nil", "$labels", "(toTime 1)", "(toDuration 1)", "(args 1 \"b\")"] {
            let text = format!("{{{{ printf {format:?} {value} 3 {value} }}}}");
            let _ = render_with(&text, &samples(), &RenderLimits::default());
        }
    }

    #[test]
    fn floats_print_to_what_they_were(value in any::<f64>().prop_filter("finite", |v| v.is_finite())) {
        let template = Template::parse(&format!("{{{{ printf \"%v\" {value:e} }}}}")).unwrap();
        let query = |_: &str| Ok(Vec::new());
        let empty = crate::model::Labels::empty();
        let context = crate::template::AlertContext {
            labels: &empty, value, external_labels: &empty, external_url: "", query: &query,
            now: crate::model::Timestamp(0),
        };
        let output = template.render(&context, &RenderLimits::default()).unwrap();
        prop_assert_eq!(output.parse::<f64>().unwrap(), value);
    }
}
