//! Large pages for large matrices.

use std::mem::MaybeUninit;

/// Memory smaller than a few large pages gains nothing.
const WORTHWHILE_BYTES: usize = 4 << 20;

/// Asks the operating system to use large pages for memory that is yet to be filled. A wish: whether it is granted changes
/// nothing but speed.
pub(crate) fn prefer_large_pages<T>(room: &mut [MaybeUninit<T>]) {
    #[cfg(target_os = "linux")]
    {
        use rustix::{
            mm::{Advice, madvise},
            param::page_size,
        };
        let bytes = size_of_val(room);
        let start = room.as_mut_ptr().cast::<u8>();
        let skipped = start.align_offset(page_size());
        if bytes < WORTHWHILE_BYTES {
            return;
        }
        let length = (bytes - skipped) / page_size() * page_size();
        // SAFETY: whole pages inside of memory that is ours; this advice changes nothing of what is in them.
        let _ = unsafe { madvise(start.add(skipped).cast(), length, Advice::LinuxHugepage) };
    }
    #[cfg(not(target_os = "linux"))]
    let _ = room;
}
