//! A stream that may block (stdout, stderr), made safe to write to: a bounded queue and a thread of its own.
//!
//! Place in the flow: under logging and the console handler. A writer that blocks, fails or is gone never delays and
//! never ends the caller; what is lost is counted, and told in one line once the stream takes text again.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use thiserror::Error;

/// Most blocks waiting.
pub const QUEUE_BLOCKS_MAX: usize = 1024;
/// Most bytes waiting.
pub const QUEUE_BYTES_MAX: usize = 8 << 20;

/// How long to wait before writing again to a stream that is in non-blocking mode and full.
const WOULD_BLOCK_PAUSE: Duration = Duration::from_millis(20);

/// Why a block was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Refused {
    /// The queue is full: the stream is blocked.
    #[error("the stream is blocked")]
    Blocked,
    /// The outlet was closed.
    #[error("the outlet is closed")]
    Closed,
}

/// What became of the blocks.
#[derive(Debug, Default)]
pub struct OutletStats {
    dropped: AtomicU64,
    untold: AtomicU64,
    failed: AtomicU64,
    bytes_waiting: AtomicUsize,
    closing: AtomicBool,
}

impl OutletStats {
    /// Blocks dropped because the queue was full.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }

    /// Blocks whose writing failed (stream closed, disk full).
    pub fn failed(&self) -> u64 {
        self.failed.load(Relaxed)
    }
}

/// The sending end; dropping it lets the thread write what waits and end.
pub struct Outlet {
    queue: Option<SyncSender<Vec<u8>>>,
    stats: Arc<OutletStats>,
    /// Disconnects when the thread has ended. The mutex only makes the receiver shareable.
    ended: Mutex<Receiver<()>>,
}

impl Outlet {
    /// Starts the thread. `lost` makes the line that tells how many blocks were dropped.
    pub fn spawn(
        name: &str,
        writer: impl Write + Send + 'static,
        lost: impl Fn(u64) -> String + Send + 'static,
    ) -> io::Result<Self> {
        let (queue, blocks) = sync_channel::<Vec<u8>>(QUEUE_BLOCKS_MAX);
        let (ended_tx, ended) = sync_channel::<()>(1);
        let stats = Arc::new(OutletStats::default());
        let drain = Drain { writer, stats: Arc::clone(&stats) };
        std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            drain.run(&blocks, &lost);
            drop(ended_tx);
        })?;
        Ok(Self { queue: Some(queue), stats, ended: Mutex::new(ended) })
    }

    /// Hands over a block of text; never waits.
    pub fn send(&self, block: Vec<u8>) -> Result<(), Refused> {
        let queue = self.queue.as_ref().ok_or(Refused::Closed)?;
        let size = block.len();
        let waiting = self.stats.bytes_waiting.fetch_add(size, Relaxed);
        let sent = if waiting > 0 && waiting + size > QUEUE_BYTES_MAX {
            Err(Refused::Blocked)
        } else {
            queue.try_send(block).map_err(|refused| match refused {
                TrySendError::Full(_) => Refused::Blocked,
                TrySendError::Disconnected(_) => Refused::Closed,
            })
        };
        if sent.is_err() {
            self.stats.bytes_waiting.fetch_sub(size, Relaxed);
            self.stats.dropped.fetch_add(1, Relaxed);
            self.stats.untold.fetch_add(1, Relaxed);
        }
        sent
    }

    /// The counts.
    pub fn stats(&self) -> Arc<OutletStats> {
        Arc::clone(&self.stats)
    }

    /// Takes no more and waits until what waits is written, at most `grace`; false if it was not.
    pub fn close(&mut self, grace: Duration) -> bool {
        self.queue = None;
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        let done = ended.recv_timeout(grace) == Err(RecvTimeoutError::Disconnected);
        self.stats.closing.store(true, Relaxed);
        done
    }
}

struct Drain<W> {
    writer: W,
    stats: Arc<OutletStats>,
}

impl<W: Write> Drain<W> {
    fn run(mut self, blocks: &Receiver<Vec<u8>>, lost: &dyn Fn(u64) -> String) {
        for block in blocks {
            self.put(&block);
            self.stats.bytes_waiting.fetch_sub(block.len(), Relaxed);
            let untold = self.stats.untold.swap(0, Relaxed);
            if untold > 0 {
                self.put(format!("{}\n", lost(untold)).as_bytes());
            }
        }
    }

    fn put(&mut self, mut rest: &[u8]) {
        while !rest.is_empty() {
            match self.patiently(|writer| writer.write(rest)) {
                Ok(written) if written > 0 => rest = rest.get(written..).unwrap_or_default(),
                _ => break,
            }
        }
        if !rest.is_empty() || self.patiently(Write::flush).is_err() {
            self.stats.failed.fetch_add(1, Relaxed);
        }
    }

    /// Does something with the stream until it neither was interrupted nor would have had to wait.
    fn patiently<T>(&mut self, act: impl Fn(&mut W) -> io::Result<T>) -> io::Result<T> {
        loop {
            match act(&mut self.writer) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock && !self.stats.closing.load(Relaxed) => {
                    std::thread::sleep(WOULD_BLOCK_PAUSE);
                }
                done => return done,
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::sync::mpsc::{Sender, channel};

    /// Blocks in each write until it gets a go (or the sender is gone), then keeps what was written.
    pub(crate) struct Gate {
        pub(crate) go: Receiver<()>,
        pub(crate) out: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Gate {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            let _ = self.go.recv();
            self.out.lock().unwrap().extend_from_slice(text);
            Ok(text.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    pub(crate) fn gate() -> (Gate, Sender<()>, Arc<Mutex<Vec<u8>>>) {
        let (go_tx, go) = channel();
        let out = Arc::new(Mutex::new(Vec::new()));
        (Gate { go, out: Arc::clone(&out) }, go_tx, out)
    }

    #[test]
    fn a_blocked_stream_drops_and_tells_the_number_once_it_flows_again() {
        let (gate, go, out) = gate();
        let mut outlet = Outlet::spawn("t", gate, |n| format!("{n} lost")).unwrap();
        let taken = (0..QUEUE_BLOCKS_MAX + 50).filter(|i| outlet.send(format!("{i}\n").into_bytes()).is_ok()).count();
        // One more than the queue holds may be in the hands of the thread.
        assert!((QUEUE_BLOCKS_MAX..=QUEUE_BLOCKS_MAX + 1).contains(&taken), "{taken}");
        let dropped = QUEUE_BLOCKS_MAX + 50 - taken;
        assert_eq!(outlet.stats().dropped(), dropped as u64);
        drop(go);
        assert!(outlet.close(Duration::from_secs(20)));
        let text = String::from_utf8(out.lock().unwrap().clone()).unwrap();
        assert_eq!(text.matches("lost").count(), 1);
        assert!(text.starts_with(&format!("0\n{dropped} lost\n1\n2\n")), "{}", &text[..60]);
        assert_eq!(outlet.send(vec![1]), Err(Refused::Closed));
    }

    #[test]
    fn bytes_are_bounded_too() {
        let (gate, _go, _) = gate();
        let outlet = Outlet::spawn("t", gate, |n| format!("{n}")).unwrap();
        let block = || vec![b'x'; QUEUE_BYTES_MAX / 4 + 1];
        let taken = (0..10).filter(|_| outlet.send(block()).is_ok()).count();
        assert_eq!(taken, 3);
    }

    #[test]
    fn closing_a_blocked_stream_gives_up_after_the_grace() {
        let (gate, _go, _) = gate();
        let mut outlet = Outlet::spawn("t", gate, |n| format!("{n}")).unwrap();
        outlet.send(vec![1]).unwrap();
        assert!(!outlet.close(Duration::from_millis(20)));
    }

    #[test]
    fn a_stream_that_fails_is_counted_and_tried_again() {
        struct Flaky(u32, Arc<Mutex<Vec<u8>>>);
        impl Write for Flaky {
            fn write(&mut self, text: &[u8]) -> io::Result<usize> {
                self.0 += 1;
                match self.0 {
                    1 => Err(io::ErrorKind::BrokenPipe.into()),
                    2 => Err(io::ErrorKind::WouldBlock.into()),
                    3 => Err(io::ErrorKind::Interrupted.into()),
                    _ => {
                        self.1.lock().unwrap().push(text[0]);
                        Ok(1)
                    }
                }
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let out = Arc::new(Mutex::new(Vec::new()));
        let mut outlet = Outlet::spawn("t", Flaky(0, Arc::clone(&out)), |n| format!("{n}")).unwrap();
        outlet.send(b"lost".to_vec()).unwrap();
        outlet.send(b"kept".to_vec()).unwrap();
        assert!(outlet.close(Duration::from_secs(5)));
        assert_eq!(outlet.stats().failed(), 1);
        assert_eq!(*out.lock().unwrap(), b"kept");
    }
}
