//! "Did you mean": the known name nearest to a misspelt one.

/// The candidate that a misspelt name most likely stands for, if one is near enough: at most one slip in three letters,
/// swapped neighbours counting as one.
pub fn suggest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = name.to_lowercase();
    let length = name.chars().count();
    // Longer names are no slip of the finger, and comparing them would cost their product.
    if length > 64 {
        return None;
    }
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= length.max(candidate.chars().count()).div_ceil(3).min(4))
        .filter(|(distance, _)| *distance < length)
        .min()
        .map(|(_, candidate)| candidate)
}

/// The candidate that a misspelt name can alone stand for: one or two slips away, and no other as near.
pub fn certain<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = name.chars().count();
    let slips_max = if length >= 6 { 2 } else { 1 };
    if !(3..=64).contains(&length) {
        return None;
    }
    let mut best: Option<(usize, &str, bool)> = None;
    for candidate in candidates {
        let slips = strsim::damerau_levenshtein(name, candidate);
        best = match best {
            Some((least, found, _)) if slips == least && found != candidate => Some((least, found, false)),
            Some(nearer) if slips >= nearer.0 => Some(nearer),
            _ => Some((slips, candidate, true)),
        };
    }
    best.filter(|(slips, _, alone)| *alone && (1..=slips_max).contains(slips)).map(|(_, found, _)| found)
}
