//! An allocator that refuses what no honest parser needs: a length from the input that decides
//! how much memory is taken ends the run. libFuzzer's own `-malloc_limit_mb` needs a sanitizer,
//! which the stable compiler has not; it would also see no less than a mebibyte.

use std::alloc::System;
use std::sync::Once;

use cap::Cap;

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

/// What a target may take whatever its input: buffers, a runtime. Below 16 MiB, so that the
/// length of a frame (three bytes) is noticed when it is believed.
const BASE: usize = 4 << 20;
/// What it may take for each byte of its input: the smallest event or cell that becomes a value of
/// ours does not become a larger one, and `Vec` doubles.
const EACH: usize = 256;

/// Runs `target`, which has so many bytes of input. An allocation beyond the limit aborts.
pub(crate) fn limited(input: usize, target: impl FnOnce()) {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        // What is printed about a panic takes memory, too.
        let report = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            ALLOCATOR.set_limit(usize::MAX).expect("no limit");
            report(panic);
        }));
    });
    let limit = ALLOCATOR.allocated().saturating_add(BASE + input * EACH);
    ALLOCATOR.set_limit(limit).expect("a limit above what is taken already");
    target();
    ALLOCATOR.set_limit(usize::MAX).expect("no limit");
}
