//! Work in equal parts on several threads.

use std::{
    panic::resume_unwind,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

/// What `work` makes of each number below `count`, in their order. Each thread has one `S` for all that it does.
pub(super) fn in_parallel<S: Default, T: Send>(
    threads: usize,
    count: usize,
    work: impl Fn(&mut S, usize) -> T + Sync,
) -> Vec<T> {
    if threads <= 1 || count <= 1 {
        let mut state = S::default();
        return (0..count).map(|part| work(&mut state, part)).collect();
    }
    let next = AtomicUsize::new(0);
    let some = || {
        let mut state = S::default();
        let mut done = Vec::new();
        loop {
            let part = next.fetch_add(1, Ordering::Relaxed);
            if part >= count {
                return done;
            }
            done.push((part, work(&mut state, part)));
        }
    };
    let mut all: Vec<(usize, T)> = thread::scope(|scope| {
        let others: Vec<_> = (1..threads.min(count)).map(|_| scope.spawn(some)).collect();
        let mut all = some();
        for other in others {
            // A panic there is a panic here.
            all.extend(other.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
        all
    });
    all.sort_unstable_by_key(|(part, _)| *part);
    all.into_iter().map(|(_, made)| made).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_in_order_with_any_threads() {
        for threads in 0..5 {
            let made = in_parallel(threads, 100, |calls: &mut usize, part| {
                *calls += 1;
                (part * part, *calls)
            });
            let squares: Vec<usize> = made.iter().map(|(square, _)| *square).collect();
            assert_eq!(
                squares,
                (0..100).map(|part| part * part).collect::<Vec<_>>()
            );
            assert!(made.iter().all(|(_, calls)| (1..=100).contains(calls)));
        }
    }
}
