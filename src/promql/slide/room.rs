//! How much memory windows may take: a window claims what it is about to allocate.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes held by all windows, and the most they may hold.
#[derive(Debug)]
pub(super) struct Room {
    held: AtomicUsize,
    bytes_max: usize,
}

/// What one window holds; given back when it goes.
#[derive(Debug)]
pub(super) struct Claim {
    room: Arc<Room>,
    bytes: usize,
}

impl Room {
    pub fn new(bytes_max: usize) -> Self {
        Self { held: AtomicUsize::new(0), bytes_max }
    }

    pub fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }
}

impl Claim {
    pub fn new(room: &Arc<Room>) -> Self {
        Self { room: Arc::clone(room), bytes: 0 }
    }

    /// Holds so many bytes instead of what it held; false, with nothing changed, where there is no room.
    pub fn resize(&mut self, bytes: usize) -> bool {
        let room = &self.room;
        let others = |held: usize| held.saturating_sub(self.bytes);
        let fits =
            |held: usize| others(held).checked_add(bytes).filter(|sum| *sum <= room.bytes_max || bytes < self.bytes);
        let held = room.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok();
        if held {
            self.bytes = bytes;
        }
        held
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.room.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
