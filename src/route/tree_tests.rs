//! Timelines of alerts that take several routes, over reloads and restarts.

use super::*;

#[test]
fn every_route_has_its_own_groups_and_timers() {
    let routes = branching();
    check(
        "the route's wait and handlers",
        &routes,
        "+a1,+b1 .5",
        "1 a first notification [a1]; 1 p first notification [a1]; 3 h first notification [b1]",
    );
    check(
        "what was told through one route goes on there, and a handler that two routes lead to is told once",
        &routes,
        "+a1 .5 ^a1 .20 -a1 .20",
        "1 a first notification [a1]; 1 p first notification [a1]; 5 a raised [^a1]; 5 p raised [^a1]; \
         25 a resolved [-a1]; 25 p resolved [-a1]",
    );
    check(
        "a raise adds the route it leads to, at once; whoever no route leads to any more hears the end alone",
        &routes,
        "+b1 .5 ^b1 .20 -b1 .20",
        "3 h first notification [b1]; 5 p first notification [b1]; 25 h resolved [-b1]; 25 p resolved [-b1]",
    );
    check(
        "whoever was told the higher level hears that it is lower, though the alert takes another route now",
        &routes,
        "+b1 .5 ^b1 .20 vb1 .20 -b1 .20",
        "3 h first notification [b1]; 5 p first notification [b1]; 25 p lowered [vb1]; 45 h resolved [-b1]; 45 p resolved [-b1]",
    );
}

/// A tree whose critical alerts go to `p` and `h`, those of team b to `h`, muted in the first minute.
fn muted_below() -> Routes {
    use crate::schedule::{FieldRange, IntervalFields, MuteTimes, TimeInterval};
    let times = Some(vec![FieldRange { begin: 0, end: 1 }]);
    let minute = Arc::new(TimeInterval::new("first", &[IntervalFields { times, ..IntervalFields::default() }]));
    let mut routes = grouped();
    routes.receivers = vec![handler("h"), handler("p")];
    routes.root.handlers = vec!["h".into()];
    below(&mut routes.root, "severity=critical", &["p", "h"], false);
    below(&mut routes.root, "team=b", &["h"], false);
    routes.root.routes[1].times = MuteTimes { mute: vec![minute], active: Vec::new() };
    routes
}

#[test]
fn times_are_those_of_the_route_that_leads_to_a_handler_now() {
    let mut player = Player::new(Routes { root: Route { routes: Vec::new(), ..muted_below().root }, ..muted_below() });
    player.play("+b1 .5");
    player.reload(muted_below());
    player.play(". ^b1 .4");
    assert_eq!(
        shown(&player.sent),
        "3 h first notification [b1]; 6 h raised [^b1]; 9 p first notification [b1]",
        "told through a route that is muted now, raised into one that never is"
    );
}

#[test]
fn a_reload_looks_at_all_groups_again() {
    let mut player = Player::new(grouped());
    player.routes.receivers = vec![handler("h"), handler("x")];
    player.routes.root.handlers = vec!["h".into()];
    player.play("+a1 .5");
    let (with, mut without) = (player.routes.clone(), player.routes.clone());
    without.root.handlers = vec!["x".into()];
    player.reload(without);
    player.play(".80");
    player.reload(with);
    player.play(".70");
    let told: Vec<_> = player.sent.iter().filter(|n| &*n.handler == "h").cloned().collect();
    assert_eq!(
        shown(&told),
        "3 h first notification [a1]; 85 h repeat [*a1]; 145 h repeat [*a1]",
        "a handler that is meant again is told again"
    );
}

#[test]
fn a_handler_that_is_gone_is_put_down_where_it_was_told_and_no_group_stays() {
    let mut player = Player::new(branching());
    player.routes.root.routes[0].group_interval = secs(0);
    player.play("+b1 .5 ^b1 .2");
    let mut routes = player.routes.clone();
    routes.receivers.retain(|r| &*r.name != "h");
    routes.root.handlers = vec!["a".into()];
    player.reload(routes);
    player.play("-b1 .30");
    assert!(player.held.contains(&("b1".to_owned(), HeldReason::HandlerGone)), "{:?}", player.held);
    assert_eq!(player.router.save().groups.len(), 0, "{}", shown(&player.sent));
}

#[test]
fn what_was_told_is_not_put_down_as_never_told() {
    let mut player = Player::new(branching());
    player.play("+a1 ^a1 .10 -a1 .30");
    let never: Vec<_> = player.held.iter().filter(|(_, reason)| *reason == HeldReason::NeverTold).collect();
    assert!(never.is_empty(), "{never:?} of {}", shown(&player.sent));
}

#[test]
fn a_lowering_that_a_silence_held_is_told_to_a_handler_that_is_no_longer_meant() {
    let mut routes = branching();
    routes.root.routes[1].matchers = vec![LabelMatcher::parse("team=none").unwrap()];
    let mut player = Player::new(routes);
    player.play("+a1 ^a1 .10 s va1 .10 e .20");
    assert!(shown(&player.sent).contains("p lowered [va1]"), "{}", shown(&player.sent));
}

#[test]
fn a_silence_that_ends_does_not_hurry_a_group_that_waits_for_more_alerts() {
    let mut routes = branching();
    routes.root.routes[0].goes_on = true;
    routes.root.routes[1].group_wait = secs(30);
    let mut player = Player::new(routes);
    player.play("s +a1 ^a1 .5 e .10");
    assert_eq!(shown(&player.sent), "5 p raised [^a1]", "the group of `a` waits thirty seconds");
}

#[test]
fn records_of_the_time_of_one_route_go_on_under_their_keys() {
    let mut player = Player::new(Routes { receivers: vec![handler("h")], ..Routes::default() });
    player.routes.terms.insert("a1".into(), RuleTerms { notify: vec!["h".into()], ..RuleTerms::default() });
    player.play("+a1,+b1 .");
    let keys: Vec<_> = player.sent.iter().map(|notice| notice.group.key.clone()).collect();
    player.restart_from(|record| {
        // An alert is a pair of its key and what is known; a group names no route.
        if let Some(known) = record.get_mut(1) {
            known["group"] = known["groups"][0].clone();
            known.as_object_mut().unwrap().remove("groups");
            for told in known["told"].as_object_mut().unwrap().values_mut() {
                told.as_object_mut().unwrap().remove("group");
            }
        } else {
            record.as_object_mut().unwrap().remove("route");
        }
    });
    player.reload(Routes { receivers: vec![handler("h")], ..branching() });
    player.play(". ^b1 . -a1,-b1 .40");
    let ends = player.sent.iter().filter(|notice| notice.kind == crate::model::NoticeKind::Resolved);
    let mut ends: Vec<_> = ends.map(|notice| notice.group.key.clone()).collect();
    ends.sort_by_key(|key| keys.iter().position(|told| told == key));
    assert_eq!(ends, keys, "{}", shown(&player.sent));
}

#[test]
fn a_route_is_quiet_in_its_own_times_alone() {
    use crate::schedule::{FieldRange, IntervalFields, MuteTimes, TimeInterval};
    let times = Some(vec![FieldRange { begin: 0, end: 1 }]);
    let minute = Arc::new(TimeInterval::new("first", &[IntervalFields { times, ..IntervalFields::default() }]));
    let mut routes = branching();
    routes.root.routes[1].times = MuteTimes { mute: vec![minute], active: Vec::new() };
    check(
        "muted on one branch",
        &routes,
        "+a1,+b1 .70",
        "3 h first notification [b1]; 60 a hold over [*a1]; 60 p hold over [*a1]; 63 h repeat [*b1]",
    );
}

#[test]
fn a_message_about_the_end_goes_to_the_group_that_was_told_though_the_tree_is_another() {
    let mut player = Player::new(branching());
    player.play("+a1,+a2 .5");
    player.routes = grouped();
    player.routes.receivers = branching().receivers;
    player.router.reroute(&player.routes.clone(), player.now());
    player.play(".5 -a1 .20 R -a2 .30");
    let groups: Vec<String> = player.sent.iter().map(|n| format!("{}={}", n.handler, n.group.key)).collect();
    assert_eq!(
        shown(&player.sent),
        "1 a first notification [a1 a2]; 1 p first notification [a1 a2]; 8 h first notification [a1 a2]; \
         11 a resolved [-a1 *a2]; 11 p resolved [-a1 *a2]; 18 h resolved [-a1 *a2]; 30 a resolved [-a2]; \
         30 p resolved [-a2]; 30 h resolved [-a2]"
    );
    let key = |n: usize| groups[n].split_once('=').unwrap().1.to_owned();
    assert_eq!((key(0), key(2)), (key(6), key(8)), "{groups:?}");
    assert_eq!(player.router.save().groups.len(), 0);
}

#[test]
fn while_files_cannot_be_read_nothing_is_decided_about_their_rules() {
    let mut player = Player::new(grouped());
    player.play("+a1 .5 -a1");
    let real = player.routes.clone();
    // A start with a broken file: the console alone, and no rule but alertd's own.
    player.routes = Routes { receivers: vec![handler("console")], stand_in: true, ..Routes::default() };
    player.restart();
    player.play(".40");
    assert_eq!(player.held, [], "nobody is put down as gone");
    player.reload(real);
    player.play(".20");
    assert_eq!(shown(&player.sent), "3 h first notification [a1]; 45 h resolved [-a1]");
}

#[test]
fn while_files_cannot_be_read_the_end_of_a_reported_alert_waits_for_the_handlers_that_were_told() {
    let mut player = Player::new(grouped());
    player.play("+x1 .5 -x1");
    let real = player.routes.clone();
    player.routes = Routes { receivers: vec![handler("console")], stand_in: true, ..Routes::default() };
    player.restart();
    player.play(".40 +x2 .40 -x2 .400");
    player.reload(real);
    player.play(".20");
    assert_eq!(player.held.iter().filter(|(_, reason)| *reason == HeldReason::HandlerGone).count(), 0);
    assert_eq!(
        shown(&player.sent),
        "3 h first notification [x1]; 45 console first notification [x2]; 85 console resolved [-x2]; \
         485 h resolved [-x1]"
    );
}

#[test]
fn a_group_through_which_only_those_were_told_who_were_told_again_that_it_is_over_is_left() {
    let mut player = Player::new(many());
    player.play("+b1 +a1 +a2 -a1 +a1 -b1 -a1 L -a2 +b1 +a2 -b1 +a1 +b1 -b1 .30 L +b1 -b1 .30 L +b1 .");
    player.play("-a1 -a2 -b1 .100");
    assert_eq!(player.router.save().groups.into_values().map(|group| group.of.key).collect::<Vec<_>>(), []);
}
