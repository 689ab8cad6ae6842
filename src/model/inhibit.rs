//! Inhibit rules as values: while one alert fires, others are not told (prometheus/alertmanager:inhibit/inhibit.go).

use std::sync::Arc;

use super::{LabelMatcher, Labels};

/// While an alert of every source fires, those that the target's matchers fit are not told.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct InhibitRule {
    /// What people call it, where they do.
    pub name: Option<Arc<str>>,
    /// The sources; each must have a firing alert.
    pub sources: Vec<InhibitSource>,
    /// All of them fit what is not told.
    pub target: Vec<LabelMatcher>,
}

/// A source of an inhibit rule.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct InhibitSource {
    /// All of them fit the alert that mutes.
    pub matchers: Vec<LabelMatcher>,
    /// Labels with the same value on both sides; one that is missing is empty.
    pub equal: Vec<EqualLabel>,
}

/// A label of the source whose value one of the target must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EqualLabel {
    /// Of the source.
    pub source: String,
    /// Of the target.
    pub target: String,
}

impl EqualLabel {
    /// One that has the same name on both sides.
    pub fn same(name: &str) -> Self {
        Self { source: name.to_owned(), target: name.to_owned() }
    }
}

fn fit(matchers: &[LabelMatcher], labels: &Labels) -> bool {
    matchers.iter().all(|matcher| matcher.matches(labels))
}

impl InhibitSource {
    /// Whether an alert with these labels mutes others.
    pub fn fits(&self, labels: &Labels) -> bool {
        fit(&self.matchers, labels)
    }

    /// The values that a target must have, as one text, seen from a source.
    pub fn values(&self, labels: &Labels) -> Arc<str> {
        joined(self.equal.iter().map(|equal| labels.get(&equal.source)))
    }

    /// The values that a source must have, as one text, seen from a target.
    pub fn wanted(&self, labels: &Labels) -> Arc<str> {
        joined(self.equal.iter().map(|equal| labels.get(&equal.target)))
    }
}

impl InhibitRule {
    /// Whether alerts with these labels can be muted by it.
    pub fn aims_at(&self, labels: &Labels) -> bool {
        fit(&self.target, labels)
    }

    /// Whether, of two alerts that fire, the first alone is enough to mute the second.
    pub fn mutes(&self, source: &Labels, target: &Labels) -> bool {
        // One that is on both sides is not muted by another that is.
        let one = |side: &InhibitSource| {
            let both = side.fits(target) && self.aims_at(source);
            side.fits(source) && !both && side.values(source) == side.wanted(target)
        };
        self.aims_at(target) && !self.sources.is_empty() && self.sources.iter().all(one)
    }
}

/// Values with their lengths before them, so that different lists are different texts.
fn joined<'a>(values: impl Iterator<Item = Option<&'a str>>) -> Arc<str> {
    let mut text = String::new();
    for value in values.map(Option::unwrap_or_default) {
        text.push_str(&value.len().to_string());
        text.push(':');
        text.push_str(value);
    }
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matchers(text: &str) -> Vec<LabelMatcher> {
        LabelMatcher::parse_all(text).unwrap()
    }

    fn labels(text: &str) -> Labels {
        Labels::from_pairs(text.split_whitespace().filter_map(|pair| pair.split_once('=')))
    }

    #[test]
    fn a_source_mutes_targets_of_equal_labels_and_none_that_is_on_both_sides_as_well() {
        let equal = vec![EqualLabel::same("host"), EqualLabel { source: "node".into(), target: "instance".into() }];
        let source = InhibitSource { matchers: matchers("severity=critical"), equal };
        let rule = InhibitRule { name: None, sources: vec![source], target: matchers("team=web") };
        for (source, target, mutes) in [
            ("severity=critical host=a node=n", "team=web host=a instance=n", true),
            ("severity=critical", "team=web", true),
            ("severity=critical host=a", "team=web", false),
            ("severity=critical node=n", "team=web node=n", false),
            ("severity=warning host=a", "team=web host=a", false),
            ("severity=critical team=web", "severity=critical team=web", false),
            ("severity=critical", "severity=critical team=web", true),
            ("severity=critical team=web", "team=web", true),
        ] {
            assert_eq!(rule.mutes(&labels(source), &labels(target)), mutes, "{source} / {target}");
        }
        assert_ne!(
            rule.sources[0].values(&labels("host=a node=1:b")),
            rule.sources[0].values(&labels("host=a1:1 node=b"))
        );
    }
}
