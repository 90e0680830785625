//! Does something for many things at once, on threads.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::error::RemoteError;

/// Calls `work` for each item, `threads` at once, and returns what came of each, in order.
pub(crate) fn each<T: Sync, R: Send>(
    items: &[T],
    threads: usize,
    work: &(dyn Fn(&T) -> R + Sync),
) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<(usize, R)>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..threads.min(items.len()) {
            scope.spawn(|| {
                while let Some((at, item)) = {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    items.get(at).map(|item| (at, item))
                } {
                    let result = work(item);
                    let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
                    done.push((at, result));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_unstable_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}

/// What came of all, or the error that says why not.
pub(crate) fn all_of<R>(results: Vec<Result<R, RemoteError>>) -> Result<Vec<R>, RemoteError> {
    let mut errors = Vec::new();
    let mut done = Vec::new();
    for result in results {
        match result {
            Ok(result) => done.push(result),
            Err(error) => errors.push(error),
        }
    }
    telling(errors).map_or(Ok(done), Err)
}

/// The first error that is not about another one.
pub(crate) fn telling(mut errors: Vec<RemoteError>) -> Option<RemoteError> {
    let first = errors.iter().position(|error| !error.is_repeated());
    match errors.is_empty() {
        true => None,
        false => Some(errors.swap_remove(first.unwrap_or(0))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_their_items() {
        let items: Vec<u32> = (0..100).collect();
        let doubled = each(&items, 7, &|item| item * 2);
        assert_eq!(
            doubled,
            items.iter().map(|item| item * 2).collect::<Vec<_>>()
        );
        assert_eq!(each(&[] as &[u32], 7, &|item| *item), [] as [u32; 0]);
    }
}
