//! Large buffers in large pages, where the system has them: passes over memory then miss fewer
//! address translations. It must not know what is stored; no result depends on it.

/// Bytes of a large page on x86-64, and on aarch64 with pages of 4 KiB.
const PAGE: usize = 2 << 20;

/// Zeros in large pages.
pub(crate) fn zeros(len: usize) -> Vec<f32> {
    // Large buffers come from the system as zeros without being written, so the advice precedes
    // the first touch, which is what fixes a page's size.
    let mut numbers = vec![0.0; len];
    advise(&mut numbers);
    numbers
}

/// Asks for large pages for the room that `buffer` has, to be called before it is written.
pub(crate) fn advise<T>(buffer: &mut Vec<T>) {
    let start = buffer.as_mut_ptr().cast::<u8>();
    let bytes = buffer.capacity() * size_of::<T>();
    let skipped = start.align_offset(PAGE);
    let whole = bytes.saturating_sub(skipped) / PAGE * PAGE;
    if whole > 0 {
        ask(start.wrapping_add(skipped), whole);
    }
}

#[cfg(target_os = "linux")]
fn ask(start: *mut u8, bytes: usize) {
    use rustix::mm::{Advice, madvise};
    // SAFETY: the range lies in one allocation, and this advice changes no content.
    let answer = unsafe { madvise(start.cast(), bytes, Advice::LinuxHugepage) };
    // A kernel without large pages refuses; then memory is as it was, only slower.
    let _ = answer;
}

#[cfg(not(target_os = "linux"))]
fn ask(_start: *mut u8, _bytes: usize) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_of_every_size_are_zeros() {
        for len in [0, 1, PAGE / 4 - 1, PAGE, 3 * PAGE / 4 + 5] {
            let numbers = zeros(len);
            assert!(numbers.len() == len && numbers.iter().all(|&v| v == 0.0));
        }
    }
}
