//! Did-you-mean for names that do not exist.

use super::Dialect;
use super::parser::Scope;

/// Names at most this far off (in edits) are offered.
fn distance_max(name: &str) -> usize {
    (name.chars().count() / 3).max(1)
}

/// The candidate most like the name, if one is like it at all.
pub(super) fn nearest<'n>(name: &str, candidates: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let lower = name.to_lowercase();
    candidates
        .map(|c| (strsim::osa_distance(&lower, &c.to_lowercase()), c))
        .filter(|(distance, _)| *distance <= distance_max(name))
        .min()
        .map(|(_, c)| c)
}

/// Help for an unknown variable.
pub(super) fn variable(name: &str, dialect: &Dialect, scope: &Scope<'_>) -> Option<String> {
    if !scope.main && dialect.variables.contains(&name) {
        return Some(format!(
            "a `define` block sees only `$`, the value it is given: pass what it needs, as in `{{{{ template \"name\" {name} }}}}`"
        ));
    }
    nearest(name, scope.variables.iter().copied().filter(|v| *v != "$")).map(|found| format!("did you mean `{found}`?"))
}

/// Help for an unknown function.
pub(super) fn function(name: &str, dialect: &Dialect, variables: &[&str]) -> Option<String> {
    let with_dollar = format!("${name}");
    if let Some(found) = variables.iter().find(|v| v.eq_ignore_ascii_case(&with_dollar)) {
        return Some(format!("did you mean `{found}`?"));
    }
    nearest(name, dialect.functions().map(|f| f.name)).map(|found| format!("did you mean `{found}`?"))
}
