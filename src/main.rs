//! The `clearway` command.

use std::process::ExitCode;

/// A run allocates and frees what nodes answer all the time; glibc's allocator takes twice as long for that and gives memory back
/// between any two nodes.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    clearway::cli::main()
}
