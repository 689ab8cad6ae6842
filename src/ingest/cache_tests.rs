//! Tests of the scrape cache against a store.

use proptest::prelude::*;

use super::*;
use crate::ingest::text;
use crate::store::{EmbeddedStore, StoreOptions};

const T0: i64 = 1_700_000_000_000;

struct Target {
    store: EmbeddedStore,
    cache: ScrapeCache,
    resolved: usize,
}

impl Target {
    fn new() -> Self {
        Self { store: EmbeddedStore::new(StoreOptions::default()), cache: ScrapeCache::default(), resolved: 0 }
    }

    fn read(&mut self, page: &str, at_ms: i64) -> IngestErrors {
        let options = PageOptions { dialect: Dialect::Prometheus, at_ms, honor_timestamps: true, samples_max: 1000 };
        let (store, resolved) = (&self.store, &mut self.resolved);
        self.cache.read(page.as_bytes(), &options, &mut |labels| {
            *resolved += 1;
            match store.series_ref(labels, at_ms) {
                _ if labels.get("drop").is_some() => Resolved::Dropped,
                Ok(series) => Resolved::Series(series),
                Err(_) => Resolved::Refused,
            }
        })
    }

    /// The labels and values of the page, and the labels of what went missing.
    fn check(&mut self, page: &str, points: &str, missing: &str) {
        assert!(self.read(page, T0).is_empty());
        let labels = |series: &SeriesRef| self.store.labels_of(*series).unwrap().to_string();
        let got: Vec<String> = self.cache.points().iter().map(|(s, p)| format!("{} {}", labels(s), p.value)).collect();
        assert_eq!(got.join(" "), points, "{page}");
        let gone = self.cache.finish();
        assert_eq!(gone.iter().map(labels).collect::<Vec<_>>().join(" "), missing, "{page}");
    }
}

#[test]
fn a_series_is_resolved_once_and_told_when_it_goes_missing() {
    let mut target = Target::new();
    target.check("a{x=\"1\"} 1\nb 2\nc 3", "a{x=\"1\"} 1 b 2 c 3", "");
    target.check("a{x=\"1\"} 4\nb 5\nc 6", "a{x=\"1\"} 4 b 5 c 6", "");
    assert_eq!(target.resolved, 3);
    target.check("c 7\na{x=\"1\"} 8", "c 7 a{x=\"1\"} 8", "b");
    target.check("b {y=\"1\"} 1\nc 7\na{x=\"1\"} 8", "b{y=\"1\"} 1 c 7 a{x=\"1\"} 8", "");
    target.check("b 1\nb{y=\"1\"} 2\nc 7", "b 1 b{y=\"1\"} 2 c 7", "a{x=\"1\"}");
    target.check("", "", "b c b{y=\"1\"}");
    assert!(target.cache.series().is_empty());
}

#[test]
fn two_texts_of_one_series_keep_each_other_alive() {
    let mut target = Target::new();
    target.check("a{x=\"1\",y=\"2\"} 1", "a{x=\"1\", y=\"2\"} 1", "");
    target.check("a{y=\"2\",x=\"1\"} 2", "a{x=\"1\", y=\"2\"} 2", "");
    target.check("b 1", "b 1", "a{x=\"1\", y=\"2\"}");
}

#[test]
fn dropped_series_are_counted_but_give_no_points_and_timed_ones_no_marks() {
    let mut target = Target::new();
    target.check("a{drop=\"1\"} 1\nb 2 1700000000000", "b 2", "");
    assert_eq!(target.cache.samples(), 2);
    target.check("c 1", "c 1", "");
    assert_eq!(target.resolved, 3);
}

#[test]
fn a_page_that_does_not_count_loses_no_series() {
    let mut target = Target::new();
    target.check("a 1\nb 2", "a 1 b 2", "");
    assert_eq!(target.read("a 1\n<garbage>", T0).total, 1);
    assert_eq!(target.cache.series().len(), 2);
    target.check("a 1\nb 2", "a 1 b 2", "");
    assert_eq!(target.resolved, 2);
    for i in 0..50 {
        target.read(&format!("a 1\nnew{{n=\"{i}\"}} 1\n<garbage>"), T0);
    }
    assert_eq!(target.cache.series().len(), 3, "what bad pages showed does not pile up");
}

#[test]
fn a_content_type_names_the_format() {
    let check = |text: &str, wanted| assert_eq!(Dialect::of_content_type(text), wanted, "{text}");
    check("application/openmetrics-text; version=1.0.0; charset=utf-8", Dialect::OpenMetrics);
    check("Application/OpenMetrics-Text", Dialect::OpenMetrics);
    check("text/plain; version=0.0.4", Dialect::Prometheus);
    check("", Dialect::Prometheus);
}

#[test]
fn a_series_that_the_store_lost_is_resolved_again() {
    let mut target = Target::new();
    target.check("a 1\nb 2", "a 1 b 2", "");
    target.store.delete(&[crate::promql::Matcher::equal("__name__", "a")]);
    target.read("a 1\nb 2", T0);
    let stats = target.store.append_refs(target.cache.points(), T0);
    assert_eq!((stats.appended, stats.gone.len()), (1, 1));
    target.cache.forget(&stats.gone);
    target.check("a 1\nb 2", "a 1 b 2", "");
}

#[test]
fn a_bad_comment_is_told_with_every_page_and_a_good_one_once() {
    let mut target = Target::new();
    for told in [1, 0, 0] {
        assert_eq!(target.read("# TYPE a nonsense\n# HELP b text\nb 1", T0).total, 1);
        assert_eq!(target.cache.take_metadata().len(), told);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_cache_reads_what_the_plain_parser_reads(pages in prop::collection::vec("([abc](\\{x=\"[12]\"\\})?[ {}] ?[1-3]\n|#\n|\"\n){0,12}", 1..8)) {
        let mut target = Target::new();
        for page in pages {
            let errors = target.read(&page, T0);
            let (batch, wanted) = text::parse(page.as_bytes(), Dialect::Prometheus, 1000);
            prop_assert_eq!(errors, wanted);
            let got: Vec<_> = target.cache.points().iter().map(|(s, p)| (target.store.labels_of(*s).unwrap(), p.value)).collect();
            let wanted: Vec<_> = batch.rows.into_iter().map(|r| (r.labels, r.value)).collect();
            prop_assert_eq!(got, wanted);
            if page.len() % 2 == 0 {
                target.cache.finish();
            }
        }
    }
}
