//! Work on many rules, shared by threads. What it gives does not depend on them.

/// Rules that are worth a thread.
pub(crate) const RULES_SHARED_MIN: usize = 200;
/// Files that are worth a thread.
pub(crate) const FILES_SHARED_MIN: usize = 4;

/// Works on parts of a list, on up to `threads` threads, each with `least` elements or more; what it gives comes in the
/// order of the list.
pub(crate) fn shared<T: Sync, R: Send>(
    list: &[T],
    (threads, least): (usize, usize),
    work: impl Fn(&[T]) -> Vec<R> + Sync,
) -> Vec<R> {
    let threads = threads.min(list.len() / least.max(1));
    if threads < 2 {
        return work(list);
    }
    std::thread::scope(|scope| {
        let parts = list.chunks(list.len().div_ceil(threads));
        let running: Vec<_> = parts.map(|part| scope.spawn(|| work(part))).collect();
        let done = running.into_iter().map(|part| part.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        done.flatten().collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_that_of_the_list_however_many_share_the_work() {
        let list: Vec<usize> = (0..1501).collect();
        let doubled = |part: &[usize]| part.iter().filter(|n| **n % 3 > 0).map(|n| n * 2).collect::<Vec<_>>();
        for threads in [0, 1, 2, 7, 1000] {
            assert_eq!(shared(&list, (threads, 10), doubled), doubled(&list), "{threads}");
        }
        assert_eq!(shared(&[], (4, 1), doubled), Vec::<usize>::new());
    }
}
