//! Timelines of alerts that flap: that they do is told once.

use super::*;

#[test]
fn that_an_alert_flaps_is_told_once() {
    check(
        "to whoever was told that it fires",
        &grouped(),
        "+a1 .5 -a1 . +a1 . -a1 . ~a1 .80 -a1 .20",
        "3 h first notification [a1]; 13 h flapping [*a1]; 73 h repeat [*a1]; 88 h resolved [-a1]",
    );
    check(
        "to whoever was told that it is over, with its beginning",
        &grouped(),
        "+a1 .5 -a1 .20 ~a1 .20 -a1 .20",
        "3 h first notification [a1]; 13 h resolved [-a1]; 28 h flapping [a1]; 45 h resolved [-a1]",
    );
    check("that is over before it was told", &grouped(), "~a1 . -a1 .20", "");
    check(
        "and when it begins anew it is told anew",
        &grouped(),
        "+a1 .5 ~a1 .20 -a1 .20 +a1 .20 ~a1 .20",
        "3 h first notification [a1]; 13 h flapping [*a1]; 25 h resolved [-a1]; 48 h first notification [a1]; \
         65 h flapping [*a1]",
    );
    check(
        "with what else there is to say",
        &grouped(),
        "+a1 .5 ~a1 ^a1 +a2 .20",
        "3 h first notification [a1]; 5 h raised [^a1]; 15 h new alerts [a2 *a1]",
    );
}

#[test]
fn that_an_alert_flaps_waits_for_the_cooldown_and_for_the_end_of_a_silence() {
    let mut routes = grouped();
    routes.terms.insert("a1".into(), RuleTerms { cooldown: secs(40), ..RuleTerms::default() });
    check("a cooldown", &routes, "+a1 .5 -a1 . ~a1 .60", "3 h first notification [a1]; 43 h flapping [*a1]");
    check(
        "a cooldown that the alert does not outlive",
        &routes,
        "+a1 .5 ~a1 .10 -a1 .60",
        "3 h first notification [a1]; 15 h resolved [-a1]",
    );
    check("a silence", &grouped(), "+a1 .5 s ~a1 .20 e .10", "3 h first notification [a1]; 25 h flapping [*a1]");
}
