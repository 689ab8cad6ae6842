//! Secrets, read when they are needed: `${env:NAME}` and `${file:PATH}`.
//!
//! A file that changed is read again at the next use, so a rotated secret needs no reload. A file that cannot be read
//! any more gives the last value it had, and a warning: a message is worth more than a fresh password. What was read
//! never shows itself: [`Secret`] prints as `<secret>`.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use tracing::warn;

use crate::config::SecretText;
use crate::config::secret::Reference;

/// Largest file that is read as a secret, in bytes.
pub const SECRET_BYTES_MAX: u64 = 64 * 1024;

/// A text that must not be seen.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// From a text.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

/// Reads secrets and remembers the last good value of each file.
#[derive(Debug, Default)]
pub struct Secrets {
    /// Held while a small file is read, which is rare.
    files: Mutex<BTreeMap<String, Kept>>,
}

#[derive(Debug)]
struct Kept {
    changed: Option<(SystemTime, u64)>,
    value: Secret,
    /// Whether it was told that the file cannot be read any more.
    told: bool,
}

impl Secrets {
    /// The text with every reference read; the error names the reference, never a value.
    pub fn read(&self, text: &SecretText) -> Result<Secret, String> {
        text.resolve(|reference| match reference {
            Reference::Env(name) => {
                std::env::var(name).map_err(|_| format!("{reference}: no such environment variable"))
            }
            Reference::File(path) => self.file(path).map(|s| s.0).map_err(|e| format!("{reference}: {e}")),
        })
        .map(Secret)
    }

    fn file(&self, path: &str) -> Result<Secret, String> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = std::fs::metadata(path).and_then(|m| Ok((m.modified()?, m.len()))).ok();
        if let Some(kept) = files.get(path)
            && kept.changed.is_some()
            && kept.changed == changed
        {
            return Ok(kept.value.clone());
        }
        match read_small(path) {
            Ok(text) => {
                let value = Secret(text);
                files.insert(path.to_owned(), Kept { changed, value: value.clone(), told: false });
                Ok(value)
            }
            Err(error) => match files.get_mut(path) {
                Some(kept) => {
                    if !std::mem::replace(&mut kept.told, true) {
                        warn!(file = path, %error, "A secret cannot be read any more; the last value is used");
                    }
                    Ok(kept.value.clone())
                }
                None => Err(error.to_string()),
            },
        }
    }
}

fn read_small(path: &str) -> std::io::Result<String> {
    use std::io::{Error, Read as _};
    let mut text = String::new();
    let file = std::fs::File::open(path)?;
    file.take(SECRET_BYTES_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > SECRET_BYTES_MAX {
        return Err(Error::other(format!("longer than {SECRET_BYTES_MAX} bytes")));
    }
    // An empty file is a secret half written: a rotation is under way, or went wrong.
    if text.trim().is_empty() {
        return Err(Error::other("the file is empty"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rotated_file_is_read_again_and_a_lost_one_keeps_its_last_value() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let text = SecretText::parse(&format!("Bearer ${{file:{}}}", path.display())).unwrap();
        let secrets = Secrets::default();
        assert!(secrets.read(&text).unwrap_err().contains("No such file"));
        for value in ["one\n", "second"] {
            std::fs::write(&path, value).unwrap();
            assert_eq!(secrets.read(&text).unwrap().expose(), format!("Bearer {}", value.trim()));
        }
        std::fs::write(&path, "").unwrap();
        assert_eq!(secrets.read(&text).unwrap().expose(), "Bearer second", "half written");
        std::fs::remove_file(&path).unwrap();
        assert_eq!(secrets.read(&text).unwrap().expose(), "Bearer second", "gone");
        assert_eq!(format!("{:?}", secrets.read(&text)), "Ok(<secret>)");
    }

    #[test]
    fn an_environment_variable_that_is_not_set_is_named_in_the_error() {
        let text = SecretText::parse("${env:ALERTD_NO_SUCH_VARIABLE}").unwrap();
        let error = Secrets::default().read(&text).unwrap_err();
        assert_eq!(error, "${env:ALERTD_NO_SUCH_VARIABLE}: no such environment variable");
    }
}
