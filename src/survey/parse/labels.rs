//! What `restorecon -n -v` says of the files of trust.

use super::super::facts::{Labels, WrongLabel};
use super::paths::Paths;
use super::stream::{SurveyError, text_number};
use super::text::Text;

/// More wrong labels than this on one node are not told one by one.
const MOST: usize = 256;

/// What of a part's paths ssh or sshd must be able to read.
const TRUST: [&str; 10] = [
    "authorized",
    "trust",
    "known",
    "identity",
    "default",
    "cert",
    "config",
    "directory",
    "hostkey",
    "hostcert",
];

/// The facts in the mode that the kernel is in (`/sys/fs/selinux/enforce`), and restorecon's exit status and output.
pub(super) fn labels(
    enforce: &[u8],
    status: &[u8],
    said: &str,
    text: &Text,
    paths: &Paths,
) -> Result<Labels, SurveyError> {
    let enforcing = match enforce {
        b"0" => false,
        b"1" => true,
        _ => return Err(SurveyError::Value("SELinux mode")),
    };
    let status: u8 = text_number(status).ok_or(SurveyError::Value("exit status"))?;
    let told = said.lines().filter_map(wrong).collect::<Option<Vec<_>>>();
    let wrong = told.filter(|it| status == 0 && it.len() <= MOST);
    let of_trust = |label: &WrongLabel| {
        let inside = format!("{}/", label.path);
        let mut of_role = TRUST.iter().flat_map(|role| text.role(role));
        of_role.any(|(_, path)| {
            // Where links lead elsewhere, sshd looks at the directories there.
            let mut both = [path, paths.real(path)].into_iter();
            both.any(|path| path == label.path || path.starts_with(&inside))
        })
    };
    Ok(Labels {
        enforcing,
        wrong: wrong.map(|all| all.into_iter().filter(of_trust).collect()),
    })
}

/// What a line tells: nothing, something, or what cannot be read. Since libselinux 2.6 `Would relabel PATH from OLD to NEW`
/// (selinux_restorecon.c, `restorecon_sb`), before that `restorecon reset PATH context OLD->NEW` (policycoreutils,
/// restore.c). Whatever is in the path, there is no space in a label.
fn wrong(line: &str) -> Option<Option<WrongLabel>> {
    let (path, has, policy) = if let Some(rest) = line.strip_prefix("Would relabel ") {
        let Some((rest, policy)) = rest.rsplit_once(" to ") else {
            return Some(None);
        };
        let Some((path, has)) = rest.rsplit_once(" from ") else {
            return Some(None);
        };
        (path, has, policy)
    } else if let Some((_, rest)) = line
        .split_once(" reset ")
        .filter(|(program, _)| program.ends_with("restorecon") && !program.contains(' '))
    {
        let Some((rest, policy)) = rest.rsplit_once("->") else {
            return Some(None);
        };
        let Some((path, has)) = rest.rsplit_once(" context ") else {
            return Some(None);
        };
        (path, has, policy)
    } else {
        // What has a type that administrators choose is told, too, and left alone.
        return None;
    };
    let good =
        path.starts_with('/') && is_label(has) && is_label(policy) && differ_in_type(has, policy);
    Some(good.then(|| WrongLabel {
        path: path.to_owned(),
        has: has.to_owned(),
        policy: policy.to_owned(),
    }))
}

/// `user:role:type`, with or without `:level`.
fn is_label(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_.:,-".contains(&b);
    text.len() < 256
        && text.bytes().all(plain)
        && !text.starts_with('-')
        && text.split(':').count() >= 3
        && text.split(':').all(|part| !part.is_empty())
}

/// Whether two labels differ in their types and in nothing else, as those do between which restorecon changes without `-F`.
fn differ_in_type(one: &str, other: &str) -> bool {
    let mut one: Vec<&str> = one.splitn(4, ':').collect();
    let mut other: Vec<&str> = other.splitn(4, ':').collect();
    one.remove(2) != other.remove(2) && one == other
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::survey::ContentPool;

    const HAS: &str = "unconfined_u:object_r:var_lib_t:s0";
    const POLICY: &str = "unconfined_u:object_r:ssh_home_t:s0";

    fn text() -> Text {
        let roles = "role\tauthorized\tnova\t/h/.ssh/authorized_keys\n\
                     role\tknown\t\t/h/.ssh/a from b to c\n\
                     role\tinstances\t\t/i\ndone";
        Text::parse(roles.as_bytes()).expect("a text")
    }

    /// `/h` leads to `/data/h`.
    fn paths() -> Paths {
        let reals = b"/h/.ssh/authorized_keys\t/data/h/.ssh/authorized_keys\n";
        Paths::parse([b"", b"", b"", reals, b"", b""], None, &ContentPool::new()).expect("paths")
    }

    fn read(status: &[u8], said: &str) -> Option<Vec<String>> {
        let labels = labels(b"1", status, said, &text(), &paths()).expect("a record");
        assert!(labels.enforcing);
        let of = |it: WrongLabel| {
            assert_eq!((it.has.as_str(), it.policy.as_str()), (HAS, POLICY));
            it.path
        };
        labels.wrong.map(|all| all.into_iter().map(of).collect())
    }

    #[test]
    fn every_release_of_restorecon_is_understood() {
        let new = format!(
            "Would relabel /h/.ssh from {HAS} to {POLICY}\n\
             Would relabel /h/.ssh/a from b to c from {HAS} to {POLICY}\n"
        );
        assert_eq!(
            read(b"0", &new).expect("known"),
            ["/h/.ssh", "/h/.ssh/a from b to c"]
        );
        let old = format!("/usr/sbin/restorecon reset /h/.ssh context {HAS}->{POLICY}\n");
        assert_eq!(read(b"0", &old).expect("known"), ["/h/.ssh"]);
        let customized = format!("/h/.ssh not reset as customized by admin to {HAS}\n");
        assert_eq!(read(b"0", &customized), Some(Vec::new()));
        assert_eq!(read(b"0", ""), Some(Vec::new()));
    }

    #[test]
    fn what_is_no_file_of_trust_nor_above_one_is_left_out() {
        let said = [
            "/i",
            "/h/.sshd",
            "/h/.ssh/authorized_keys",
            "/data/h/.ssh",
            "/data/i",
        ]
        .map(|path| format!("Would relabel {path} from {HAS} to {POLICY}\n"));
        assert_eq!(
            read(b"0", &said.concat()).expect("known"),
            ["/h/.ssh/authorized_keys", "/data/h/.ssh"]
        );
    }

    #[test]
    fn an_answer_that_cannot_be_read_is_no_answer() {
        for bad in [
            "Would relabel /h/.ssh from a:b:c:s0",
            "Would relabel /h/.ssh from a:b:c:s0 to a:b",
            "Would relabel /h/.ssh from <no context> to a:b:c:s0",
            "Would relabel /h/.ssh from a:b:c:s0 to a:b:d;id",
            "Would relabel /h/.ssh from a:b:c:s0 to a:b::s0",
            "Would relabel /h/.ssh from a:b:c:s0 to a:b:c:s0",
            "Would relabel .ssh from a:b:c:s0 to a:b:d:s0",
            "Would relabel /h/.ssh from a:b:c:s0 to e:b:d:s0",
            "Would relabel /h/.ssh from a:b:c:s0 to a:b:d:s1",
            "Would relabel /h/.ssh from -a:b:c:s0 to -a:b:d:s0",
            "restorecon reset /h/.ssh context ->a:b:c:s0",
            "restorecon reset /h/.ssh a:b:c:s0",
        ] {
            assert_eq!(read(b"0", bad), None, "{bad}");
        }
        let good = format!("Would relabel /h/.ssh from {HAS} to {POLICY}\n");
        assert_eq!(read(b"127", ""), None);
        assert_eq!(read(b"255", &good), None);
        assert_eq!(read(b"0", &good.repeat(MOST + 1)), None);
        for (enforce, status) in [(&b""[..], &b"0"[..]), (b"2", b"0"), (b"1", b"-1")] {
            assert!(labels(enforce, status, "", &text(), &paths()).is_err());
        }
    }
}
