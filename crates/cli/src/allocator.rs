//! How memory that is no longer needed goes back to the system.
//!
//! glibc maps large blocks on their own and unmaps them when they are freed, but the first one that is
//! freed raises the size from which it does so (`mallopt(3)`, `M_MMAP_THRESHOLD`): blocks of row groups
//! then lie among small ones, and what a process holds grows with its input for as long as it finds new
//! holes to leave. A size that is set stays. Measured on the messy table of the benches: 139 MB at most
//! rather than 164 MB, six times the table the same rather than 192 MB, in the same time.
//!
//! What is free at the end of a heap goes back from 128 KiB on (`M_TRIM_THRESHOLD`), to be asked for again
//! with the next block: of 50,000 page faults on the lineitem table of the benches 30,000 were of that kind,
//! and a twentieth of its CPU time. It takes 7 MB more where these stay, which then grow less with the input:
//! 89 to 94 MB, ten times the table 94 to 97 MB.

/// Blocks from this size on are mapped on their own: column chunks and texts of row groups, not pages.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const MAPPED_BYTES: libc::c_int = 8 << 20;
/// What may be free at the end of a heap.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const FREE_BYTES: libc::c_int = 8 << 20;

/// To be called before other threads are started.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(
    unsafe_code,
    reason = "the allocator's settings have no safe interface"
)]
pub(crate) fn set() {
    // SAFETY: no other thread runs that could allocate meanwhile; the calls take two numbers and touch
    // nothing but the allocator's own settings. Refused, they leave them as they were.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED_BYTES);
        libc::mallopt(libc::M_TRIM_THRESHOLD, FREE_BYTES);
    }
}

/// Other allocators are left as they are.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(crate) fn set() {}
