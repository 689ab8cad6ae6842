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
