//! Timelines of what handlers are told when something becomes quiet that they were told of, and of acknowledgements.

use super::*;

fn wants(on_mute: OnMute) -> Routes {
    let mut routes = grouped();
    routes.receivers = vec![Receiver { on_mute, ..handler("h") }];
    routes
}

/// With the kind of each notice.
fn kinds(player: &Player) -> String {
    let one = |n: &Notice| format!("{} {}", n.at.0 / 1000, n.kind.as_str());
    player.sent.iter().map(one).collect::<Vec<_>>().join("; ")
}

#[test]
fn what_becomes_quiet_is_told_as_resolved_where_a_handler_wants_that_and_as_firing_when_it_ends() {
    let routes = wants(OnMute::Resolve);
    check(
        "a silence",
        &routes,
        "+a1 .5 s .20 e .5 -a1 .20",
        "3 h first notification [a1]; 5 h muted [-a1]; 25 h hold over [*a1]; 35 h resolved [-a1]",
    );
    check(
        "over while it is silenced: nothing more",
        &routes,
        "+a1 .5 s .20 -a1 .5 e .20",
        "3 h first notification [a1]; 5 h muted [-a1]",
    );
    check(
        "again and again in one episode, each a message of its own",
        &routes,
        "+a1 .5 s .20 e .5 s .5 e .5",
        "3 h first notification [a1]; 5 h muted [-a1]; 25 h hold over [*a1]; 30 h muted [-a1]; 35 h hold over [*a1]",
    );
    check(
        "raised, taken back, and told again: not as raised once more",
        &routes,
        "+a1 .5 ^a1 .10 s .20 e .5",
        "3 h first notification [a1]; 5 h raised [^a1]; 15 h muted [-a1]; 35 h hold over [*a1]",
    );
    check("an acknowledgement", &routes, "+a1 .5 ka1 .100", "3 h first notification [a1]; 5 h muted [-a1]");
    check(
        "what is not quiet goes along as firing",
        &routes,
        "+a1,+a2 .5 ka1 .20 -a2 .20",
        "3 h first notification [a1 a2]; 5 h muted [-a1 *a2]; 25 h resolved [-a2]",
    );
    let mut inhibited = routes.clone();
    inhibited.inhibit = vec![inhibit::rule(&["team=b"], "team=a", &[])].into();
    check(
        "another alert",
        &inhibited,
        "+a1 .5 +b1 .20 -b1 .20",
        "3 h first notification [a1]; 5 h muted [-a1]; 8 h first notification [b1]; 25 h resolved [-b1]; \
         28 h hold over [*a1]",
    );
}

#[test]
fn the_beginning_of_a_mute_time_and_of_a_silence_to_come_are_told() {
    use crate::schedule::{FieldRange, IntervalFields, MuteTimes, TimeInterval};
    let times = Some(vec![FieldRange { begin: 1, end: 2 }]);
    let minute = Arc::new(TimeInterval::new("second", &[IntervalFields { times, ..IntervalFields::default() }]));
    let mut routes = wants(OnMute::Resolve);
    let mute = MuteTimes { mute: vec![minute], active: Vec::new() };
    routes.terms.insert("a1".into(), RuleTerms { times: mute, ..RuleTerms::default() });
    routes.root.repeat_interval = secs(1000);
    check("a mute time", &routes, "+a1 .150", "3 h first notification [a1]; 60 h muted [-a1]; 120 h hold over [*a1]");
    let mut player = Player::new(wants(OnMute::Resolve));
    player.play("s");
    let mut silence = Silence::clone(player.silences.get("s").unwrap());
    (silence.starts_at, silence.ends_at) = (Timestamp(20_000), Timestamp(30_000));
    player.silences.put(silence).unwrap();
    player.play("+a1 .50");
    assert_eq!(shown(&player.sent), "3 h first notification [a1]; 20 h muted [-a1]; 30 h hold over [*a1]");
    assert_eq!(player.sent[1].note.as_deref(), Some("silenced by s by me: test"));
}

#[test]
fn an_incident_is_acknowledged_once_nothing_of_it_is_loud_and_told_anew_when_something_is() {
    let routes = wants(OnMute::Ack);
    let mut player = Player::new(routes.clone());
    player.play("+a1,+a2 .5 ka1 .5 ka2 .100 -a1,-a2 .20");
    assert_eq!(shown(&player.sent), "3 h first notification [a1 a2]; 10 h muted [*a1 *a2]; 110 h resolved [-a1 -a2]");
    assert_eq!(kinds(&player), "3 firing; 10 acknowledged; 110 resolved");
    check(
        "the last loud one resolves",
        &routes,
        "+a1,+a2 .5 ka1 .20 -a2 .20",
        "3 h first notification [a1 a2]; 25 h resolved [-a2 *a1]; 25 h muted [*a1]",
    );
    check(
        "the time is over, and it is told again",
        &routes,
        "+a1 .5 ka1.20 .30",
        "3 h first notification [a1]; 5 h muted [*a1]; 20 h hold over [*a1]",
    );
    check(
        "worse than it was when somebody looked after it",
        &routes,
        "+a1 .5 ka1 .20 ^a1 .20",
        "3 h first notification [a1]; 5 h muted [*a1]; 25 h raised [^a1]",
    );
    let mut player = Player::new(routes.clone());
    player.play("+a1 .5 s e s e .20 -a1 .20");
    let ids: BTreeSet<&str> = player.sent.iter().map(|notice| notice.id.as_str()).collect();
    assert_eq!(
        (shown(&player.sent).as_str(), ids.len()),
        (
            "3 h first notification [a1]; 5 h muted [*a1]; 5 h hold over [*a1]; 5 h muted [*a1]; 5 h hold over [*a1]; \
             25 h resolved [-a1]",
            6
        ),
        "quiet twice in one instant: each is a message of its own"
    );
    check(
        "less bad while it is looked after, as a message about another shows, and worse again: told",
        &grouped(),
        "+a1,+a2 ^a1 .5 ka1 va1 .20 -a2 .5 ^a1 .20",
        "3 h first notification [a1 a2]; 25 h resolved [-a2 *a1]; 30 h raised [^a1]",
    );
    check(
        "a further alert of the group is told",
        &routes,
        "+a1 .5 ka1 .20 +a2 .20",
        "3 h first notification [a1]; 5 h muted [*a1]; 25 h first notification [a2]",
    );
}

#[test]
fn an_acknowledged_alert_is_not_told_again_until_it_is_over_worse_or_the_time_has_come() {
    let routes = grouped();
    check("no reminder", &routes, "+a1 .5 ka1 .200 -a1 .20", "3 h first notification [a1]; 205 h resolved [-a1]");
    check(
        "another episode is told",
        &routes,
        "+a1 .5 ka1 .20 -a1 .20 +a1 .20",
        "3 h first notification [a1]; 25 h resolved [-a1]; 48 h first notification [a1]",
    );
    check(
        "worse is told, and reminders go on",
        &routes,
        "+a1 .5 ka1 .20 ^a1 .70",
        "3 h first notification [a1]; 25 h raised [^a1]; 85 h repeat [*a1]",
    );
    check("the time has come", &routes, "+a1 .5 ka1.40 .50", "3 h first notification [a1]; 40 h hold over [*a1]");
    check(
        "taken back: reminders go on",
        &routes,
        "+a1 .5 ka1 .20 ua1 .50",
        "3 h first notification [a1]; 63 h repeat [*a1]",
    );
    check("before anybody was told", &routes, "+a1 . ka1 .20 ua1 .20", "21 h hold over [*a1]");
    check(
        "others of the group are told without it",
        &routes,
        "+a1 .5 ka1 .10 +a2 .100",
        "3 h first notification [a1]; 15 h first notification [a2]; 75 h repeat [*a2]",
    );
}
