//! Small files of the operator.

use std::io;
use std::path::Path;

use tokio::io::AsyncReadExt as _;

/// The whole of a regular file.
///
/// # Errors
/// It cannot be read, is not a regular file, or is longer than `limit` bytes.
pub(super) async fn read_bounded(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let file = tokio::fs::File::open(path).await?;
    let metadata = file.metadata().await?;
    if !metadata.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "not a regular file",
        ));
    }
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes).await?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("more than {limit} bytes"),
        ));
    }
    Ok(bytes)
}
