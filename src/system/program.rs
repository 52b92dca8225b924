//! A program of the operator's, started without a shell.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;

/// As much of what a program says is kept.
const KEPT: u64 = 4 * 1024;
/// For how long a program's output is waited for when it has ended: what it has started may hold it open.
const REST: Duration = Duration::from_secs(1);

/// A program that can be started.
///
/// # Errors
/// There is none, or it is no file that may be executed.
pub fn find_program(path: &Path) -> io::Result<PathBuf> {
    use std::os::unix::fs::PermissionsExt as _;
    let path = path.canonicalize()?;
    let about = path.metadata()?;
    if !about.is_file() || about.permissions().mode() & 0o111 == 0 {
        let text = "it is no file that may be executed";
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
    }
    Ok(path)
}

/// Starts a program without arguments and waits for it: its environment is that of this process and `variables`, its
/// standard input is empty.
///
/// # Errors
/// Why it has not done its work: it could not be started, it ended otherwise than with 0, or it took too long and was
/// killed. With the end of what it has said.
pub async fn run_program(
    program: &Path,
    variables: &[(&str, String)],
    limit: Duration,
) -> Result<(), String> {
    let mut command = Command::new(program);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // A group of its own: what it starts ends with it, and a Ctrl-C that is meant for clearway does not cut it off.
        .process_group(0)
        .kill_on_drop(true);
    for (name, value) in variables {
        // The one character that no variable can hold.
        command.env(name, value.replace('\0', "\u{fffd}"));
    }
    let mut child = command
        .spawn()
        .map_err(|error| format!("it could not be started: {error}"))?;
    let said = tokio::spawn(said(child.stdout.take(), child.stderr.take()));
    let Ok(ended) = tokio::time::timeout(limit, child.wait()).await else {
        said.abort();
        if let Some(group) = child.id().and_then(|it| i32::try_from(it).ok()) {
            let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
        }
        let seconds = limit.as_secs();
        return Err(format!(
            "it took more than {seconds} seconds and was killed"
        ));
    };
    let status = ended.map_err(|error| format!("it could not be waited for: {error}"))?;
    if status.success() {
        said.abort();
        return Ok(());
    }
    let said = tokio::time::timeout(REST, said).await;
    let said = said.ok().and_then(Result::ok).unwrap_or_default();
    Err(match said.as_str() {
        "" => format!("it ended with {status}"),
        said => format!("it ended with {status}: {said}"),
    })
}

/// The beginning of what a program says, error output last. What comes after it is read and dropped, so that the program
/// does not wait for a reader.
async fn said(out: Option<impl AsyncRead + Unpin>, err: Option<impl AsyncRead + Unpin>) -> String {
    async fn kept(stream: Option<impl AsyncRead + Unpin>) -> String {
        let Some(mut stream) = stream else {
            return String::new();
        };
        let mut bytes = Vec::new();
        let _ = (&mut stream).take(KEPT).read_to_end(&mut bytes).await;
        let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
        String::from_utf8_lossy(&bytes).trim().to_owned()
    }
    let (out, err) = tokio::join!(kept(out), kept(err));
    [out, err]
        .into_iter()
        .filter(|it| !it.is_empty())
        .collect::<Vec<_>>()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn program(directory: &Path, text: &str) -> PathBuf {
        let path = directory.join("hook");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    async fn run(text: &str, value: &str) -> Result<(), String> {
        let directory = tempfile::tempdir().unwrap();
        let path = program(directory.path(), text);
        let variables = [("CLEARWAY_SERVER_NAME", value.to_owned())];
        run_program(&path, &variables, Duration::from_secs(2)).await
    }

    #[tokio::test]
    async fn a_program_is_told_by_variables_that_no_shell_has_read() {
        let name = "$(false) `false` ; exit 7";
        let text = format!("#!/bin/sh\n[ \"$CLEARWAY_SERVER_NAME\" = '{name}' ]\n");
        assert_eq!(run(&text, name).await, Ok(()));
    }

    #[tokio::test]
    async fn how_a_program_failed_is_said() {
        let failed = run("#!/bin/sh\necho out; echo err >&2; exit 3\n", "").await;
        assert_eq!(
            failed,
            Err("it ended with exit status: 3: out\nerr".to_owned())
        );
        let slow = run("#!/bin/sh\nexec sleep 60\n", "").await;
        assert_eq!(
            slow,
            Err("it took more than 2 seconds and was killed".to_owned())
        );
        let directory = tempfile::tempdir().unwrap();
        let left = directory.path().join("left");
        let text = format!("#!/bin/sh\n(sleep 3; touch {}) &\nwait\n", left.display());
        assert!(run(&text, "").await.is_err());
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert!(!left.exists(), "what it has started ends with it");
        let much = run("#!/bin/sh\nyes | head -c 200000; exit 1\n", "").await;
        let much = much.unwrap_err();
        assert!(much.len() < 5_000, "{}", much.len());
    }

    #[test]
    fn what_cannot_be_executed_is_no_program() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("hook");
        assert!(find_program(&path).is_err());
        std::fs::write(&path, "").unwrap();
        assert!(find_program(&path).is_err());
        assert!(find_program(directory.path()).is_err());
        let path = program(directory.path(), "");
        assert_eq!(find_program(&path).unwrap(), path.canonicalize().unwrap());
    }
}
