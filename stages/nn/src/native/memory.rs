//! Aligned buffers, and slices that several threads write at disjoint places.
//! It must not know what is stored.

use crate::huge;
use std::cell::RefCell;
use std::marker::PhantomData;

/// A cache line of numbers.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; 16]);

/// Numbers that start at a cache line, so that vector loads never straddle two.
#[derive(Default)]
pub(crate) struct Aligned {
    lines: Vec<Line>,
}

impl Aligned {
    /// Makes room for at least `len` numbers and hands them out; what they hold is arbitrary.
    pub(crate) fn take(&mut self, len: usize) -> &mut [f32] {
        let lines = len.div_ceil(16);
        if self.lines.len() < lines {
            self.lines = Vec::with_capacity(lines);
            huge::advise(&mut self.lines);
            self.lines.resize(lines, Line([0.0; 16]));
        }
        // SAFETY: `Line` is `repr(C)` around 16 f32 of its own size, so `lines` of them are
        // `16 * lines >= len` initialised, suitably aligned f32 of one allocation.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), len) }
    }

    /// The first `len` numbers; panics where `take` never made room for them.
    pub(crate) fn get(&self, len: usize) -> &[f32] {
        assert!(
            len <= self.lines.len() * 16,
            "buffer holds fewer than {len} numbers"
        );
        // SAFETY: as in `take`; the length was checked.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), len) }
    }
}

thread_local! {
    static PANELS: RefCell<[Aligned; 4]> = RefCell::default();
}

/// Gives each thread its own buffers of these lengths, kept between calls.
pub(crate) fn with_panels<R, const N: usize>(
    lengths: [usize; N],
    f: impl FnOnce([&mut [f32]; N]) -> R,
) -> R {
    const { assert!(N <= 4, "a thread has four buffers") };
    PANELS.with_borrow_mut(|panels| {
        let mut panels = panels.iter_mut();
        f(lengths.map(|len| panels.next().map_or(&mut [][..], |panel| panel.take(len))))
    })
}

/// A slice that threads write at places that the caller keeps apart.
#[derive(Clone, Copy)]
pub(crate) struct Disjoint<'a> {
    start: *mut f32,
    len: usize,
    life: PhantomData<&'a mut [f32]>,
}

// SAFETY: it is a `&mut [f32]`, which may be sent; who writes from several threads must keep
// their ranges apart, as `range` demands.
unsafe impl Send for Disjoint<'_> {}
// SAFETY: as above.
unsafe impl Sync for Disjoint<'_> {}

impl<'a> Disjoint<'a> {
    pub(crate) fn new(slice: &'a mut [f32]) -> Self {
        Self {
            start: slice.as_mut_ptr(),
            len: slice.len(),
            life: PhantomData,
        }
    }

    pub(crate) fn len(self) -> usize {
        self.len
    }

    /// Address of the first number; to be used within `len` and only at places that no other
    /// thread uses at the same time.
    pub(crate) fn start(self) -> *mut f32 {
        self.start
    }

    /// # Safety
    /// No other live reference may overlap `from..from + len`.
    pub(crate) unsafe fn range(self, from: usize, len: usize) -> &'a mut [f32] {
        assert!(
            from.checked_add(len).is_some_and(|end| end <= self.len),
            "range outside the slice"
        );
        // SAFETY: inside the slice as just checked, unaliased by this function's contract.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(from), len) }
    }
}
