//! What every store must do: one suite over the stores in memory, on disk and in a database.

use super::*;
use crate::model::{Fingerprint, Labels, MatchOp, Severity};

pub(super) const NOW: Timestamp = Timestamp::from_secs(1_000_000);

pub(super) fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(secs)
}

pub(super) fn record(kind: Kind, id: &str, value: &str) -> Record {
    Record { kind, id: id.to_owned(), value: value.to_owned() }
}

pub(super) fn notice(id: &str, handler: &str) -> NewNotice {
    NewNotice {
        id: id.to_owned(),
        handler: handler.to_owned(),
        group_key: "g".to_owned(),
        created: NOW,
        payload: format!("{{\"id\":\"{id}\"}}"),
    }
}

pub(super) fn event(secs: i64, kind: HistoryKind, rule: &str) -> NewHistory {
    NewHistory { rule_uid: rule.to_owned(), rule: rule.to_owned(), ..NewHistory::new(at(secs), kind) }
}

fn ids(rows: &[OutboxRow]) -> Vec<&str> {
    rows.iter().map(|row| row.id.as_str()).collect()
}

fn owned(ids: &[&str]) -> Vec<String> {
    ids.iter().map(|id| (*id).to_owned()).collect()
}

fn seconds(page: &HistoryPage) -> Vec<i64> {
    page.rows.iter().map(|row| row.event.at.0 / 1000).collect()
}

fn settled(id: &str, outcome: SettledAs) -> Settled {
    Settled {
        id: id.to_owned(),
        at: at(5),
        outcome,
        payload: None,
        notices: vec![],
        put: vec![],
        history: vec![event(5, HistoryKind::Sent, "r")],
    }
}

/// Runs a case over each store.
fn check(case: &str, test: fn(&dyn Persist)) {
    let run = |store: &str, persist: &dyn Persist| {
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| test(persist)));
        assert!(result.is_ok(), "{case}: {store}");
    };
    run("in memory", &MemoryPersist::new());
    let dir = tempfile::tempdir().unwrap();
    let options = Options { ballast_bytes: 0, ..Options::default() };
    run("on disk", &SqlitePersist::open(dir.path(), &options, NOW).unwrap());
    postgres::tests::with_store(|persist| run("in a database", persist));
}

fn move_all(persist: &dyn Persist) {
    while persist.move_history(NOW).unwrap().more {}
}

#[test]
fn a_commit_is_loaded_as_it_was_made() {
    check("records are put, changed and deleted", |persist| {
        let commit = Commit {
            put: vec![
                record(Kind::Alert, "b", "1"),
                record(Kind::Alert, "a", "{\"ü\":2}"),
                record(Kind::Rule, "a", "3"),
            ],
            durable: true,
            ..Commit::default()
        };
        assert_eq!(persist.commit(&commit).unwrap().seq, 1);
        let commit = Commit {
            put: vec![record(Kind::Alert, "b", "4")],
            delete: vec![(Kind::Rule, "a".to_owned()), (Kind::Rule, "never".to_owned())],
            ..Commit::default()
        };
        assert_eq!(persist.commit(&commit).unwrap().seq, 2);
        let loaded = persist.load().unwrap();
        assert_eq!(
            loaded.records.into_iter().collect::<Vec<_>>(),
            [(Kind::Alert, vec![record(Kind::Alert, "a", "{\"ü\":2}"), record(Kind::Alert, "b", "4")])]
        );
        assert_eq!((loaded.damages, loaded.restored_from_mirror), (vec![], false));
    });
    check("a record deleted and put in one commit is there", |persist| {
        let commit = Commit {
            put: vec![record(Kind::Silence, "s", "1")],
            delete: vec![(Kind::Silence, "s".to_owned())],
            ..Commit::default()
        };
        persist.commit(&commit).unwrap();
        assert_eq!(persist.load().unwrap().records[&Kind::Silence].len(), 1);
    });
}

#[test]
fn a_commit_may_be_made_again_with_more_in_it() {
    check("the second try adds only what is new", |persist| {
        let mut commit = Commit {
            put: vec![record(Kind::Alert, "a", "1")],
            notices: vec![notice("n1", "mail"), notice("n2", "mail")],
            ..Commit::default()
        };
        assert_eq!(persist.commit(&commit).unwrap().duplicates, Vec::<String>::new());
        commit.notices.extend([notice("n3", "mail"), notice("n3", "mail")]);
        assert_eq!(persist.commit(&commit).unwrap().duplicates, ["n1", "n2", "n3"]);
        let loaded = persist.load().unwrap();
        assert_eq!(ids(&loaded.outbox), ["n1", "n2", "n3"]);
        assert_eq!(loaded.outbox.iter().map(|row| row.position).collect::<Vec<_>>(), [1, 2, 3]);
    });
}

#[test]
fn a_notice_goes_through_the_outbox() {
    check("claimed, failed, dead, tried again, delivered, discarded", |persist| {
        let notices = vec![notice("z", "mail"), notice("y", "hook"), notice("x", "mail")];
        persist.commit(&Commit { notices, ..Commit::default() }).unwrap();
        assert_eq!(persist.claim(&owned(&["z", "x", "x", "none"]), "run 1").unwrap(), 2);
        let loaded = persist.load().unwrap();
        assert_eq!(ids(&loaded.outbox), ["z", "y", "x"]);
        assert_eq!(loaded.outbox.iter().map(|row| row.maybe_sent).collect::<Vec<_>>(), [true, false, true]);

        let failed = SettledAs::Failed { error: "refused".to_owned(), next_attempt: at(9), maybe_sent: false };
        let dead = SettledAs::Dead { reason: "no such address".to_owned() };
        let all = [
            settled("z", failed),
            settled("x", dead),
            settled("x", SettledAs::Delivered),
            settled("none", SettledAs::Delivered),
        ];
        assert_eq!(persist.settle(&all, false).unwrap(), 2);
        let rows = persist.outbox(&OutboxQuery { handler: Some("mail".to_owned()), ..OutboxQuery::default() }).unwrap();
        let told: Vec<_> = rows
            .iter()
            .map(|row| (row.state, row.attempts, row.next_attempt, row.claimed_by.clone(), row.last_error.as_deref()))
            .collect();
        assert_eq!(
            told,
            [
                (OutboxState::Pending, 1, at(9), None, Some("refused")),
                (OutboxState::Dead, 1, NOW, None, Some("no such address"))
            ]
        );
        assert_eq!(rows[1].dead_at, Some(at(5)));
        assert_eq!(ids(&persist.load().unwrap().outbox), ["z", "y"], "dead ones are not loaded");

        assert_eq!(persist.retry(&Which::Ids(owned(&["z", "none"])), at(20)).unwrap(), 0, "only dead ones");
        assert_eq!(persist.retry(&Which::Handler("hook".to_owned()), at(20)).unwrap(), 0);
        assert_eq!(persist.retry(&Which::Handler("mail".to_owned()), at(20)).unwrap(), 1);
        let rows = persist.load().unwrap().outbox;
        assert_eq!((rows[2].id.as_str(), rows[2].next_attempt, rows[2].dead_at), ("x", at(20), None));

        assert_eq!(persist.settle(&[settled("x", SettledAs::Delivered)], true).unwrap(), 1);
        let why = [event(8, HistoryKind::Dropped, "r")];
        assert_eq!(persist.discard(&owned(&["y", "none"]), &why).unwrap(), 1);
        assert_eq!(ids(&persist.load().unwrap().outbox), ["z"]);
        let page = persist.history(&HistoryQuery::default()).unwrap();
        let kinds: Vec<_> = page.rows.iter().map(|row| row.event.kind).collect();
        assert_eq!(kinds, [HistoryKind::Dropped, HistoryKind::Sent, HistoryKind::Sent, HistoryKind::Sent]);
    });
    check("what may have been sent stays so", |persist| {
        persist.commit(&Commit { notices: vec![notice("n", "mail")], ..Commit::default() }).unwrap();
        for maybe_sent in [true, false] {
            let failed = SettledAs::Failed { error: "timeout".to_owned(), next_attempt: at(9), maybe_sent };
            persist.settle(&[settled("n", failed)], false).unwrap();
        }
        assert!(persist.load().unwrap().outbox[0].maybe_sent);
    });
}

#[test]
fn the_outbox_is_listed_in_pages() {
    check("by handler, state and position", |persist| {
        let notices = (0..9).map(|n| notice(&format!("n{n}"), if n % 3 == 0 { "a" } else { "b" })).collect();
        persist.commit(&Commit { notices, ..Commit::default() }).unwrap();
        let mut query = OutboxQuery { handler: Some("b".to_owned()), limit: 4, ..OutboxQuery::default() };
        let rows = persist.outbox(&query).unwrap();
        assert_eq!(ids(&rows), ["n1", "n2", "n4", "n5"]);
        query.after = Some(rows[3].position);
        assert_eq!(ids(&persist.outbox(&query).unwrap()), ["n7", "n8"]);
        query.state = Some(OutboxState::Dead);
        assert!(persist.outbox(&query).unwrap().is_empty());
        let counts = persist.stats().outbox;
        assert_eq!(
            counts.iter().map(|count| (count.handler.as_str(), count.rows)).collect::<Vec<_>>(),
            [("a", 3), ("b", 6)]
        );
        assert_eq!(counts[0].oldest, NOW);
    });
}

#[test]
fn dead_rows_of_one_handler_do_not_take_the_room_of_all() {
    check("above the limit the oldest go, and are counted and told", |persist| {
        let many = DEAD_ROWS_MAX + 5;
        let notices = |range: std::ops::Range<usize>, handler| {
            range.map(|n| notice(&format!("{handler}{n}"), handler)).collect::<Vec<_>>()
        };
        persist.commit(&Commit { notices: notices(0..3, "hook"), ..Commit::default() }).unwrap();
        persist.commit(&Commit { notices: notices(0..many, "mail"), ..Commit::default() }).unwrap();
        let die =
            |id: String| Settled { history: Vec::new(), ..settled(&id, SettledAs::Dead { reason: "401".to_owned() }) };
        let all: Vec<Settled> = (0..many).map(|n| die(format!("mail{n}"))).collect();
        persist.settle(&[die("hook0".to_owned())], false).unwrap();
        // One after the other and many at once.
        for part in [&all[..many - 10], &all[many - 10..many - 9], &all[many - 9..]] {
            persist.settle(part, false).unwrap();
        }
        let dead = |handler: &str| {
            let (handler, state) = (Some(handler.to_owned()), Some(OutboxState::Dead));
            persist.outbox(&OutboxQuery { handler, state, ..OutboxQuery::default() }).unwrap()
        };
        let mail = dead("mail");
        assert_eq!((mail.len(), mail[0].id.as_str(), dead("hook").len()), (DEAD_ROWS_MAX, "mail5", 1));
        assert_eq!(persist.stats().dead_dropped, 5);
        let told = HistoryQuery { kinds: vec![HistoryKind::Dropped], ..HistoryQuery::default() };
        let told = persist.history(&told).unwrap().rows;
        assert_eq!((told.len(), told[4].event.notice_id.as_deref()), (5, Some("mail0")));
        assert_eq!(told[0].event.handler.as_deref(), Some("mail"));
    });
    check("they go when they are old", |persist| {
        let notices = vec![notice("old", "mail"), notice("young", "mail"), notice("waits", "mail")];
        persist.commit(&Commit { notices, ..Commit::default() }).unwrap();
        for (id, secs) in [("old", 5), ("young", 500)] {
            let dead = SettledAs::Dead { reason: "401".to_owned() };
            persist.settle(&[Settled { at: at(secs), ..settled(id, dead) }], false).unwrap();
        }
        assert_eq!(persist.clean_outbox(at(400), NOW).unwrap(), 1);
        assert_eq!(persist.clean_outbox(at(400), NOW).unwrap(), 0);
        assert_eq!(ids(&persist.outbox(&OutboxQuery::default()).unwrap()), ["young", "waits"]);
        assert_eq!(persist.stats().dead_dropped, 1);
    });
}

#[test]
fn everything_is_rewritten_in_one_step() {
    check("records go and come; the outbox stays unless it is given", |persist| {
        let put = vec![record(Kind::Alert, "old", "1"), record(Kind::Alert, "both", "1")];
        persist.commit(&Commit { put, notices: vec![notice("n", "mail")], ..Commit::default() }).unwrap();
        let mut everything = Everything { records: vec![record(Kind::Alert, "both", "2")], outbox: None };
        persist.rewrite(&everything).unwrap();
        let loaded = persist.load().unwrap();
        assert_eq!(loaded.records[&Kind::Alert], [record(Kind::Alert, "both", "2")]);
        assert_eq!(ids(&loaded.outbox), ["n"]);
        let row = OutboxRow { id: "m".to_owned(), position: 70, ..loaded.outbox[0].clone() };
        everything.outbox = Some(vec![row]);
        persist.rewrite(&everything).unwrap();
        persist.commit(&Commit { notices: vec![notice("next", "mail")], ..Commit::default() }).unwrap();
        let rows = persist.load().unwrap().outbox;
        assert_eq!(
            rows.iter().map(|row| (row.id.as_str(), row.position)).collect::<Vec<_>>(),
            [("m", 70), ("next", 71)]
        );
    });
}

/// A history half of which is moved: twelve rows at the seconds 0 to 11, three rules in turn.
fn told(persist: &dyn Persist) {
    for half in [0..6, 6..12] {
        let history = half.map(|n| {
            let kind = if n % 2 == 0 { HistoryKind::Transition } else { HistoryKind::Held };
            let rule = ["cpu", "disk", "net"][n as usize % 3];
            let labels = [("host", format!("h{n}")), ("site", (if n < 8 { "north" } else { "south" }).to_owned())];
            NewHistory {
                rule_uid: format!("uid-{rule}"),
                fingerprint: Some(Fingerprint(n as u64 % 4)),
                severity: Some(Severity::ALL[n as usize % 4]),
                handler: (n % 5 == 0).then(|| "mail".to_owned()),
                labels: Labels::from_pairs(labels),
                detail: Some(format!("{{\"n\":{n}}}")),
                ..event(n, kind, rule)
            }
        });
        persist.commit(&Commit { history: history.collect(), ..Commit::default() }).unwrap();
        if persist.stats().history_moved == 0 {
            move_all(persist);
        }
    }
    let stats = persist.stats();
    // A database has every row where it stays at once.
    assert!([(6, 6), (12, 0)].contains(&(stats.history_moved, stats.history_staged)), "{stats:?}");
}

#[test]
fn the_history_answers_questions() {
    check("each filter alone", |persist| {
        told(persist);
        let matcher = |op, value: &str| vec![LabelMatch::new("host", op, value).unwrap()];
        let any = HistoryQuery::default;
        let cases: Vec<(&str, HistoryQuery, Vec<i64>)> = vec![
            ("all, newest first", any(), (0..12).rev().collect()),
            (
                "from is in, to is out",
                HistoryQuery { from: Some(at(3)), to: Some(at(8)), ..any() },
                vec![7, 6, 5, 4, 3],
            ),
            ("a rule by name", HistoryQuery { rule: Some("disk".to_owned()), ..any() }, vec![10, 7, 4, 1]),
            ("a rule by uid", HistoryQuery { rule: Some("uid-disk".to_owned()), ..any() }, vec![10, 7, 4, 1]),
            ("no such rule", HistoryQuery { rule: Some("dis".to_owned()), ..any() }, vec![]),
            ("kinds", HistoryQuery { kinds: vec![HistoryKind::Held], ..any() }, vec![11, 9, 7, 5, 3, 1]),
            ("a handler", HistoryQuery { handler: Some("mail".to_owned()), ..any() }, vec![10, 5, 0]),
            ("an alert", HistoryQuery { fingerprint: Some(Fingerprint(3)), ..any() }, vec![11, 7, 3]),
            (
                "severity, at least",
                HistoryQuery { severity: Some(SeverityFilter::AtLeast(Severity::Error)), ..any() },
                vec![11, 10, 7, 6, 3, 2],
            ),
            (
                "severity, equal",
                HistoryQuery { severity: Some(SeverityFilter::Is(Severity::Info)), ..any() },
                vec![8, 4, 0],
            ),
            ("=", HistoryQuery { matchers: matcher(MatchOp::Equal, "h5"), ..any() }, vec![5]),
            (
                "!=",
                HistoryQuery { matchers: matcher(MatchOp::NotEqual, "h5"), to: Some(at(7)), ..any() },
                vec![6, 4, 3, 2, 1, 0],
            ),
            ("=~ takes the whole value", HistoryQuery { matchers: matcher(MatchOp::Matches, "h1"), ..any() }, vec![1]),
            ("!~", HistoryQuery { matchers: matcher(MatchOp::NotMatches, "h1.*|h[2-9]"), ..any() }, vec![0]),
        ];
        for (case, query, want) in cases {
            let page = persist.history(&query).unwrap();
            assert_eq!(seconds(&page), want, "{case}");
            assert_eq!((page.next, page.cut, page.damaged), (None, false, 0), "{case}");
        }
        let page = persist.history(&HistoryQuery { fingerprint: Some(Fingerprint(1)), limit: 1, ..any() }).unwrap();
        assert_eq!(page.rows[0].event.detail.as_deref(), Some("{\"n\":9}"));
        assert_eq!(page.rows[0].event.labels.get("site"), Some("south"));
    });
}

#[test]
fn the_history_is_paged_both_ways() {
    check("down by before, up by after, across the two files", |persist| {
        told(persist);
        let mut query = HistoryQuery { limit: 5, ..HistoryQuery::default() };
        let mut seen = Vec::new();
        loop {
            let page = persist.history(&query).unwrap();
            seen.push(seconds(&page));
            query.before = page.next;
            if page.next.is_none() {
                break;
            }
        }
        assert_eq!(seen, [vec![11, 10, 9, 8, 7], vec![6, 5, 4, 3, 2], vec![1, 0]]);
        let rows = persist.history(&HistoryQuery::default()).unwrap().rows;
        query.before = None;
        query.after = Some(rows[10].cursor());
        let page = persist.history(&query).unwrap();
        assert_eq!(seconds(&page), [6, 5, 4, 3, 2], "the rows next to the place");
        query.after = page.next;
        assert_eq!(seconds(&persist.history(&query).unwrap()), [11, 10, 9, 8, 7]);
        let between = HistoryQuery { before: Some(rows[0].cursor()), after: query.after, ..HistoryQuery::default() };
        assert_eq!(seconds(&persist.history(&between).unwrap()), [10, 9, 8, 7]);
    });
    check("many rows of one time", |persist| {
        let history = (0..10).map(|n| event(5, HistoryKind::System, &n.to_string())).collect();
        persist.commit(&Commit { history, ..Commit::default() }).unwrap();
        move_all(persist);
        let mut query = HistoryQuery { limit: 3, ..HistoryQuery::default() };
        let mut rules = String::new();
        while rules.len() < 10 {
            let page = persist.history(&query).unwrap();
            rules.extend(page.rows.iter().map(|row| row.event.rule.as_str()));
            query.before = page.next;
        }
        assert_eq!((rules.as_str(), query.before), ("9876543210", None));
    });
}

#[test]
fn the_history_is_cleaned_by_age_and_number() {
    check("old rows first, then those above the number", |persist| {
        told(persist);
        move_all(persist);
        assert_eq!(persist.clean_history(at(4), 100).unwrap(), 4);
        assert_eq!(seconds(&persist.history(&HistoryQuery::default()).unwrap()), [11, 10, 9, 8, 7, 6, 5, 4]);
        assert_eq!(persist.clean_history(at(5), 3).unwrap(), 5);
        assert_eq!(seconds(&persist.history(&HistoryQuery::default()).unwrap()), [11, 10, 9]);
        assert_eq!(persist.clean_history(at(5), 3).unwrap(), 0);
        assert_eq!(persist.stats().history_cleaned, 9);
    });
}

#[test]
fn rows_about_evaluations_cost_other_questions_nothing() {
    check("many of them before, between and behind two events", |persist| {
        let mut history: Vec<NewHistory> = (0..3000).map(|n| event(n, HistoryKind::Evaluated, "r")).collect();
        history.extend([event(7, HistoryKind::Ack, "r"), event(2000, HistoryKind::System, "r")]);
        persist.commit(&Commit { history, ..Commit::default() }).unwrap();
        let counts = |query: &HistoryQuery| {
            let page = persist.history(query).unwrap();
            (page.rows.len(), page.scanned, page.next.is_some())
        };
        let any = HistoryQuery::default;
        let of = |kinds: &[HistoryKind]| HistoryQuery { kinds: kinds.to_vec(), limit: 3, ..any() };
        for place in ["staged", "moved"] {
            assert_eq!(counts(&any()), (2, 2, false), "{place}");
            assert_eq!(counts(&HistoryQuery { rule: Some("r".to_owned()), ..any() }), (2, 2, false), "{place}");
            assert_eq!(counts(&of(&[HistoryKind::Ack])), (1, 2, false), "{place}");
            move_all(persist);
        }
        assert_eq!(counts(&of(&[HistoryKind::Evaluated])), (3, 4, true));
        let both = HistoryQuery { to: Some(at(2001)), ..of(&[HistoryKind::Evaluated, HistoryKind::System]) };
        assert_eq!(seconds(&persist.history(&both).unwrap()), [2000, 2000, 1999]);
        assert_eq!(persist.forget_evaluations(at(2990)).unwrap(), 2990);
        assert_eq!((counts(&any()), counts(&of(&[HistoryKind::Evaluated])).2), ((2, 2, false), true));
        assert_eq!(persist.clean_history(at(0), 11).unwrap(), 1, "the oldest of both");
        assert_eq!(counts(&any()), (1, 1, false));
    });
}

#[test]
fn a_search_ends_at_its_limit_and_can_be_continued() {
    check("one row at the far end of many", |persist| {
        let one = event(0, HistoryKind::Ack, "needle");
        let rows = SCANNED_ROWS_MAX + 500;
        let mut history = vec![one, event(0, HistoryKind::Evaluated, "needle")];
        for n in 1..rows {
            history.push(event(n as i64, HistoryKind::System, "straw"));
            if history.len() == 20_000 || n + 1 == rows {
                persist.commit(&Commit { history: std::mem::take(&mut history), ..Commit::default() }).unwrap();
                move_all(persist);
            }
        }
        if persist.stats().history_cleaned > 0 {
            // The store in memory keeps fewer rows than a search looks at.
            assert_eq!(persist.history(&HistoryQuery::default()).unwrap().next.map(|at| at.number > 1), Some(true));
            return;
        }
        let mut query = HistoryQuery { kinds: vec![HistoryKind::Ack], ..HistoryQuery::default() };
        let page = persist.history(&query).unwrap();
        assert_eq!((page.rows.len(), page.cut, page.scanned), (0, true, SCANNED_ROWS_MAX));
        query.before = page.next;
        let page = persist.history(&query).unwrap();
        assert_eq!((page.rows.len(), page.cut, page.scanned), (1, false, 500));
        // Rows of two places: each page gets further, and the last one has those of both.
        let mut query =
            HistoryQuery { kinds: vec![HistoryKind::Ack, HistoryKind::Evaluated], ..HistoryQuery::default() };
        let mut found = 0;
        for _ in 0..4 {
            let page = persist.history(&query).unwrap();
            found += page.rows.len();
            query.before = page.next;
            if page.next.is_none() {
                break;
            }
        }
        assert_eq!((found, query.before), (2, None));
    });
}

#[test]
fn limits_refuse_and_say_so() {
    check("history rows that nobody moves", |persist| {
        let history = vec![event(1, HistoryKind::System, "r"); 60_000];
        let commit = Commit { history, ..Commit::default() };
        assert_eq!(persist.commit(&commit).unwrap().history_refused, 0);
        if persist.stats().history_staged == 0 {
            return;
        }
        assert_eq!(persist.commit(&commit).unwrap().history_refused, 120_000 - STAGED_ROWS_MAX);
        assert_eq!(persist.stats().history_refused, 120_000 - STAGED_ROWS_MAX);
    });
    let long = "a".repeat(5000);
    for (value, words) in [("(", "the regular expression for label \"host\""), (long.as_str(), "has 5000 bytes")] {
        let error = LabelMatch::new("host", MatchOp::Matches, value).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}
