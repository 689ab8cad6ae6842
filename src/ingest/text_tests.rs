//! Tests of the text formats, good lines and bad ones.

use proptest::prelude::*;

use super::*;
use crate::ingest::limits::{ERRORS_MAX, LABELS_MAX, LINE_LEN_MAX};

fn shown(batch: &Batch, errors: &IngestErrors) -> String {
    let rows = batch.rows.iter().map(|r| match r.t_ms {
        Some(t_ms) => format!("{} {} @{t_ms}", r.labels, r.value),
        None => format!("{} {}", r.labels, r.value),
    });
    rows.chain(errors.first.iter().map(ToString::to_string)).collect::<Vec<_>>().join("\n")
}

fn check(page: &str, wanted: &str) {
    let (batch, errors) = parse(page.as_bytes(), Dialect::Prometheus, 1000);
    assert_eq!(shown(&batch, &errors), wanted, "{page}");
}

fn check_openmetrics(page: &str, wanted: &str) {
    let (batch, errors) = parse(page.as_bytes(), Dialect::OpenMetrics, 1000);
    assert_eq!(shown(&batch, &errors), wanted, "{page}");
}

#[test]
fn good_lines_are_read_whatever_their_spacing() {
    check("up 1", "up 1");
    check("up 1\n\n\t \nup{} 0 1700000000123\r\n", "up 1\nup 0 @1700000000123");
    check("  a:b_c\t{ x = \"1\" , y=\"2\" , } \t -1.5e3 \t -7 ", "a:b_c{x=\"1\", y=\"2\"} -1500 @-7");
    check("m{a=\"b\"}1", "m{a=\"b\"} 1");
    check("m NaN\nm +Inf\nm -Inf\nm .5", "m NaN\nm inf\nm -inf\nm 0.5");
    check("m{a=\"x\\\\y\\\"z\\n\\t}#{\"} 1", "m{a=\"x\\\\y\\\"z\\n\\\\t}#{\"} 1");
    check("m{e=\"\"} 1", "m 1");
}

#[test]
fn names_may_be_quoted_or_dotted() {
    check("{\"a.b\",l=\"x\"} 1", "{\"a.b\", l=\"x\"} 1");
    check("{ l=\"x\", \"süß\" } 1", "{\"süß\", l=\"x\"} 1");
    check("m{\"l.x\"=\"v\"} 1", "m{\"l.x\"=\"v\"} 1");
    check(
        "system.cpu 1\nllm.cost{service.name=\"a\"} 2",
        "{\"system.cpu\"} 1\n{\"llm.cost\", \"service.name\"=\"a\"} 2",
    );
}

#[test]
fn a_bad_line_is_told_with_its_place_and_loses_no_other() {
    check("a 1\n  <html>\nb 2", "a 1\nb 2\nline 2, column 3: a name cannot begin with '<'; quote it if it is one");
    check("a", "line 1, column 2: a value is missing");
    check("a ", "line 1, column 3: a value is missing");
    check("a x", "line 1, column 3: \"x\" is no number");
    check("a 0x1p3", "line 1, column 3: \"0x1p3\" is no number");
    check("a 1 2.5", "line 1, column 5: \"2.5\" is no timestamp in whole milliseconds");
    check("a 1 NaN", "line 1, column 5: \"NaN\" is no timestamp in whole milliseconds");
    check("a 1 99999999999999999", "line 1, column 5: \"99999999999999999\" is no timestamp in whole milliseconds");
    check("a 1 2 3", "line 1, column 7: expected the end of the line, found \"3\"");
    check("a-b 1", "line 1, column 2: a metric name cannot hold '-'");
    check("a{b=\"c\" 1", "line 1, column 2: a brace is not closed");
    check("a{b=\"c} 1", "line 1, column 5: a quote is not closed");
    check("a{b=\"c\\", "line 1, column 5: a quote is not closed");
    check("a{b=c} 1", "line 1, column 5: expected the label's value in double quotes");
    check("a{b} 1", "line 1, column 4: expected '=' after the label's name");
    check("a{b=\"1\" c=\"2\"} 1", "line 1, column 9: expected ',' or '}' after a label");
    check("a{,} 1", "line 1, column 3: a name cannot begin with ','; quote it if it is one");
    check("a{b=\"1\",b=\"2\"} 1", "line 1, column 1: label \"b\" stands twice");
    check("a{\"b\"} 1", "line 1, column 3: a second metric name");
    check("a{__name__=\"b\"} 1", "line 1, column 1: label \"__name__\" stands twice");
    check("{b=\"1\"} 1", "line 1, column 1: the metric has no name");
    check("a{b=\"\0\"} 1", "line 1, column 6: a NUL byte");
    check("# TYPE a nonsense\na 1", "a 1\nline 1, column 1: unknown type \"nonsense\" of a metric");
}

#[test]
fn what_is_not_text_is_told_and_bounded() {
    let (batch, errors) = parse(b"a 1\n\xff\xfe 2\nb{c=\"\xc3\"} 3\nd 4", Dialect::Prometheus, 1000);
    assert_eq!(shown(&batch, &errors), "a 1\nd 4\nline 2, column 1: not UTF-8\nline 3, column 6: not UTF-8");
    let long = format!("a{{b=\"{}\"}} 1\nb 2", "x".repeat(10 << 20));
    let (batch, errors) = parse(long.as_bytes(), Dialect::Prometheus, 1000);
    assert_eq!((batch.len(), errors.total), (1, 1));
    assert!(errors.first[0].reason.ends_with(&format!("at most {LINE_LEN_MAX} are taken")));
    let (_, errors) = parse("!\n".repeat(5000).as_bytes(), Dialect::Prometheus, 1000);
    assert_eq!((errors.first.len(), errors.total), (ERRORS_MAX, 5000));
    let (batch, errors) = parse("a 1\n".repeat(5000).as_bytes(), Dialect::Prometheus, 1000);
    assert_eq!((batch.len(), errors.total), (1000, 1));
    let many: Vec<String> = (0..LABELS_MAX).map(|i| format!("l{i}=\"v\"")).collect();
    check(&format!("a{{{}}} 1", many.join(",")), "line 1, column 497: more than 64 labels");
    check(
        &format!("a{{b=\"{}\"}} 1", "x".repeat(17_000)),
        "line 1, column 3: a label value of 17000 bytes; at most 16384 are taken",
    );
}

#[test]
fn openmetrics_has_seconds_exemplars_and_an_end() {
    check_openmetrics(
        "# TYPE a counter\na_total{x=\"1\"} 5 1700000000.5 # {trace=\"t}\"} 0.3 1.2\na_created 1.7e9\nb_bucket 1 # {} 1\n# EOF\n",
        "a_total{x=\"1\"} 5 @1700000000500\na_created 1700000000\nb_bucket 1",
    );
    check_openmetrics("a 1\n", "a 1\nline 1, column 1: the page ends without '# EOF': it was cut short");
    check_openmetrics("# EOF\na 1", "line 2, column 1: text after '# EOF'");
    check_openmetrics("a 1 inf\n# EOF", "line 1, column 5: \"inf\" is no timestamp in seconds");
    check("a 1 # {x=\"1\"} 1\n# EOF\nb 1", "b 1\nline 1, column 5: expected the end of the line, found \"#\"");
}

#[test]
fn families_are_described() {
    let page = "# HELP a what\\n\\\\it is \n# TYPE a counter\n# UNIT a seconds\n# TYPE \"b.c\" histogram\n# a comment\n#nothing\n# HELP d\n";
    let (batch, errors) = parse(page.as_bytes(), Dialect::Prometheus, 1000);
    assert_eq!(errors.total, 0);
    let a = Metadata { kind: MetricKind::Counter, help: "what\n\\it is ".to_owned(), unit: "seconds".to_owned() };
    assert_eq!(batch.metadata["a"], a);
    assert_eq!(batch.metadata["b.c"].kind, MetricKind::Histogram);
    assert_eq!(batch.metadata["d"], Metadata::default());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_bytes_are_read_without_panic_and_within_the_limits(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        line in "[a-c{}\"\\\\=, \t\n#.0-9é]{0,200}",
    ) {
        for dialect in [Dialect::Prometheus, Dialect::OpenMetrics] {
            parse(&bytes, dialect, 5);
            let (batch, errors) = parse(line.as_bytes(), dialect, 5);
            prop_assert!(batch.len() <= 5 && errors.first.len() <= ERRORS_MAX);
        }
    }

    #[test]
    fn what_the_format_writes_is_what_is_read(
        name in "[a-z_:][a-z0-9_:.]{0,8}",
        labels in prop::collection::btree_map("[a-zé]{1,6}", "\\PC{1,8}", 0..5),
        bits in any::<u64>(),
    ) {
        let value = f64::from_bits(bits);
        let mut line = format!("{{\"{name}\"");
        for (label, value) in &labels {
            let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            line.push_str(&format!(",\"{label}\"=\"{value}\""));
        }
        line.push_str(&format!("}} {value:?}"));
        let (batch, errors) = parse(line.as_bytes(), Dialect::Prometheus, 5);
        prop_assert_eq!(errors.total, 0, "{}", line);
        let wanted = Labels::from_pairs(labels.into_iter().chain([("__name__".to_owned(), name)]));
        prop_assert_eq!(&batch.rows[0].labels, &wanted);
        prop_assert!(batch.rows[0].value == value || value.is_nan());
    }
}
