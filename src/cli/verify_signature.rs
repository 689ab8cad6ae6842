//! `alertd verify-signature`: whether alertd made a webhook's request, by its signature.

use std::io::{Read, Write};
use std::path::Path;

use super::args::{VerifySignatureArgs, exit};
use crate::clock::{Clock, SystemClock};
use crate::notify::secrets::SECRET_BYTES_MAX;
use crate::notify::webhook::sign::verify;

/// Longest body that is checked, in bytes.
const BODY_BYTES_MAX: u64 = 64 << 20;

/// Runs the command.
pub fn run(args: &VerifySignatureArgs, out: &mut dyn Write) -> std::io::Result<u8> {
    let read = || -> Result<(String, Vec<u8>), String> {
        let secret = bytes(&args.secret_file, SECRET_BYTES_MAX)?;
        let shown = args.secret_file.display();
        let secret = String::from_utf8(secret).map_err(|_| format!("{shown}: not UTF-8"))?;
        // As `${file:…}` reads it: a line end at the end is no part of the secret.
        let secret = secret.trim_end_matches(['\r', '\n']).to_owned();
        if secret.is_empty() {
            return Err(format!("{shown}: the file is empty"));
        }
        Ok((secret, bytes(&args.body, BODY_BYTES_MAX)?))
    };
    let (secret, body) = match read() {
        Ok(read) => read,
        Err(error) => {
            writeln!(std::io::stderr().lock(), "alertd: {error}")?;
            return Ok(exit::USAGE);
        }
    };
    match verify(&secret, &args.signature, &body, SystemClock::new().now(), args.tolerance) {
        Ok(()) => {
            writeln!(out, "the signature is right")?;
            Ok(exit::CLEAN)
        }
        Err(error) => {
            writeln!(out, "{error}")?;
            Ok(exit::FINDINGS)
        }
    }
}

fn bytes(path: &Path, bytes_max: u64) -> Result<Vec<u8>, String> {
    let fail = |error: std::io::Error| format!("{}: {error}", path.display());
    let mut bytes = Vec::new();
    let source: Box<dyn Read> = match path.to_str() {
        Some("-") => Box::new(std::io::stdin().lock()),
        _ => Box::new(std::fs::File::open(path).map_err(fail)?),
    };
    source.take(bytes_max + 1).read_to_end(&mut bytes).map_err(fail)?;
    if bytes.len() as u64 > bytes_max {
        return Err(format!("{}: longer than {bytes_max} bytes", path.display()));
    }
    Ok(bytes)
}
