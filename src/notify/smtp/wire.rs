//! The bytes of an SMTP connection: commands out, replies in, with a limit on everything that a server may send.
//!
//! Knows no deadline and no meaning of a reply: both are the dialogue's.

use std::io;

use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Longest line of a reply, in bytes. RFC 5321 allows 512.
pub(super) const LINE_BYTES_MAX: usize = 4096;
/// Longest reply, in bytes.
pub(super) const REPLY_BYTES_MAX: usize = 64 * 1024;

/// Why there is no reply.
#[derive(Debug, Error)]
pub(super) enum WireError {
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Io(#[from] io::Error),
    /// The server closed it.
    #[error("the server closed the connection")]
    Closed,
    /// A line without end.
    #[error("the server sent a line of more than {LINE_BYTES_MAX} bytes")]
    Line,
    /// A reply without end.
    #[error("the server sent a reply of more than {REPLY_BYTES_MAX} bytes")]
    Long,
    /// Something else than SMTP.
    #[error("the server does not speak SMTP; it said: {0}")]
    Garbled(String),
}

/// A reply: one code, one or more lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reply {
    /// 200 to 599.
    pub code: u16,
    /// The lines' texts, without code and line end; never empty.
    pub lines: Vec<String>,
}

impl Reply {
    /// Code and words in one line, as they came.
    pub fn words(&self) -> String {
        format!("{} {}", self.code, self.lines.join(" ").trim())
    }

    /// Whether the server did what it was asked to.
    pub fn is_done(&self) -> bool {
        self.code / 100 == 2
    }
}

/// A connection.
pub(super) struct Wire<S> {
    stream: S,
    /// What was received and not read yet.
    ahead: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub fn new(stream: S) -> Self {
        Self { stream, ahead: Vec::new() }
    }

    /// The stream; `None` where the server has already sent more than it was asked for.
    pub fn into_stream(self) -> Option<S> {
        self.ahead.is_empty().then_some(self.stream)
    }

    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), WireError> {
        self.stream.write_all(bytes).await?;
        Ok(self.stream.flush().await?)
    }

    /// The next reply.
    pub async fn reply(&mut self) -> Result<Reply, WireError> {
        let (mut code, mut lines, mut size) = (None, Vec::new(), 0);
        loop {
            let line = self.line().await?;
            size += line.len();
            if size > REPLY_BYTES_MAX {
                return Err(WireError::Long);
            }
            let (this, more, text) = split(&line).ok_or_else(|| WireError::Garbled(line.clone()))?;
            if code.is_some_and(|code| code != this) {
                return Err(WireError::Garbled(line));
            }
            code = Some(this);
            lines.push(text.to_owned());
            if !more {
                return Ok(Reply { code: this, lines });
            }
        }
    }

    /// The next line without its end; a bare line feed ends one too.
    async fn line(&mut self) -> Result<String, WireError> {
        let mut seen = 0;
        loop {
            if let Some(end) = self.ahead[seen..].iter().position(|b| *b == b'\n').map(|i| seen + i) {
                if end > LINE_BYTES_MAX {
                    return Err(WireError::Line);
                }
                let line: Vec<u8> = self.ahead.drain(..=end).collect();
                return Ok(String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned());
            }
            seen = self.ahead.len();
            if seen > LINE_BYTES_MAX {
                return Err(WireError::Line);
            }
            let mut block = [0; 1024];
            match self.stream.read(&mut block).await? {
                0 => return Err(WireError::Closed),
                n => self.ahead.extend_from_slice(&block[..n]),
            }
        }
    }
}

/// Code, whether more lines follow, and text.
fn split(line: &str) -> Option<(u16, bool, &str)> {
    let code: u16 = line.get(..3)?.parse().ok().filter(|code| (200..600).contains(code))?;
    match line.get(3..)?.split_at_checked(1) {
        None => Some((code, false, "")),
        Some((" ", text)) => Some((code, false, text)),
        Some(("-", text)) => Some((code, true, text)),
        Some(_) => None,
    }
}

/// The message as it stands between `DATA`'s answer and its end: a line that begins with a dot gets another one, and
/// the last line is closed (RFC 5321 4.5.2). Lines end in CRLF already.
pub(super) fn stuffed(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() + 64);
    let mut start = true;
    for byte in message {
        if start && *byte == b'.' {
            out.push(b'.');
        }
        out.push(*byte);
        start = *byte == b'\n';
    }
    if !out.ends_with(b"\r\n") {
        out.extend_from_slice(b"\r\n");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Reply, WireError> {
        use futures_util::FutureExt;
        let mut wire = Wire::new(io::Cursor::new(bytes.to_vec()));
        wire.reply().now_or_never().unwrap()
    }

    #[test]
    fn replies_are_read_as_servers_write_them() {
        for (bytes, words) in [
            ("250 ok\r\n", "250 ok"),
            ("250\r\n", "250 "),
            ("220-a\r\n220-b\r\n220 c\n", "220 a b c"),
            ("250-\r\n250- \r\n250 x\r\n", "250 x"),
            ("550 5.1.1 nö\r\n", "550 5.1.1 nö"),
        ] {
            let reply = read(bytes.as_bytes()).unwrap();
            assert_eq!(reply.words().replace("  ", " ").replace("250  ", "250 "), words, "{reply:?}");
        }
    }

    #[test]
    fn what_is_no_reply_ends_and_says_why() {
        for (bytes, want) in [
            (&b""[..], "closed the connection"),
            (b"250-a\r\n", "closed the connection"),
            (b"HTTP/1.1 400 Bad\r\n", "does not speak SMTP; it said: HTTP"),
            (b"250-a\r\n550 b\r\n", "does not speak SMTP"),
            (b"100 a\r\n", "does not speak SMTP"),
            (b"25\xff x\r\n", "does not speak SMTP"),
            (b"250xa\r\n", "does not speak SMTP"),
            (&[b'2'; 9000], "a line of more than 4096"),
            (&b"250-0123456789\r\n".repeat(9000), "a reply of more than 65536"),
        ] {
            let error = read(bytes).unwrap_err().to_string();
            assert!(error.contains(want), "{error}");
        }
    }

    #[test]
    fn no_line_of_a_message_can_end_it() {
        for (message, want) in [
            ("a\r\n.\r\nMAIL", "a\r\n..\r\nMAIL\r\n"),
            (".\r\n", "..\r\n"),
            ("..x\r\n", "...x\r\n"),
            ("a\n.\n", "a\n..\n\r\n"),
            ("a.\r\n", "a.\r\n"),
            ("", "\r\n"),
        ] {
            assert_eq!(String::from_utf8(stuffed(message.as_bytes())).unwrap(), want);
        }
    }
}
