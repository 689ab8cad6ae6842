//! Limits on what comes in, the same for every protocol; the store keeps to them too.

use crate::model::Labels;

/// Labels per series, the metric's name included.
pub const LABELS_MAX: usize = 64;
/// Bytes of a label's name, and of a metric family's name.
pub const LABEL_NAME_LEN_MAX: usize = 1024;
/// Bytes of a label's value.
pub const LABEL_VALUE_LEN_MAX: usize = 16 * 1024;
/// Bytes of a line of text; a longer one is an error of that line.
pub const LINE_LEN_MAX: usize = 1 << 20;
/// Errors told one by one; the rest are counted.
pub const ERRORS_MAX: usize = 100;

/// Why a label set is refused, if it is.
pub fn refusal(labels: &Labels) -> Option<String> {
    if labels.is_empty() {
        return Some("a series without labels".to_owned());
    }
    let mut count = 0;
    for (name, value) in labels.iter() {
        count += 1;
        if let Some(reason) = pair_refusal(name, value) {
            return Some(reason);
        }
    }
    (count > LABELS_MAX).then(|| format!("{count} labels; at most {LABELS_MAX} are taken"))
}

/// Why one label is refused, if it is.
pub fn pair_refusal(name: &str, value: &str) -> Option<String> {
    if name.len() > LABEL_NAME_LEN_MAX {
        Some(format!("a label name of {} bytes; at most {LABEL_NAME_LEN_MAX} are taken", name.len()))
    } else if value.len() > LABEL_VALUE_LEN_MAX {
        Some(format!("a label value of {} bytes; at most {LABEL_VALUE_LEN_MAX} are taken", value.len()))
    } else {
        None
    }
}
