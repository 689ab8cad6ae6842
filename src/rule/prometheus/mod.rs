//! Prometheus rule files (`groups:`). This version recognises them and says that it does not read them; everything that
//! knows of them is in this file.

use std::sync::Arc;

use crate::diag::{Diagnostic, SourceFile};
use crate::yaml::Node;

/// The key by which a Prometheus rule file is known.
pub const MARK: &str = "groups";

/// The finding for a Prometheus rule file.
pub fn refuse(file: &Arc<SourceFile>, key: &Node) -> Diagnostic {
    let message = "this is a Prometheus rule file, which this version does not read".to_owned();
    Diagnostic::error("A413", file, key.span.clone(), message)
        .with_label("Prometheus rule files are read by a later version")
        .with_help("write the rules under `rules:` (`alert` becomes `name`), or leave the file out of `rule_files`")
}
