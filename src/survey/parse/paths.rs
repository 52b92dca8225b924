//! What `stat` said of paths, and the contents that `head` sent.

use std::collections::{BTreeMap, BTreeSet};

use super::super::content::ContentPool;
use super::super::facts::{Content, FileFact, FileKind, FileState, Meta};
use super::stream::{SurveyError, text_number};

/// Everything that a part learnt of paths.
#[derive(Debug, Default)]
pub(super) struct Paths {
    known: BTreeMap<String, Known>,
    /// Behind a directory that the account cannot search.
    unseen: BTreeSet<String>,
    /// What the survey's own account may not read.
    refused: BTreeSet<String>,
    /// Where paths with symbolic links in them really are.
    reals: BTreeMap<String, String>,
    /// Contents that could not be taken, in words.
    pub(super) gaps: Vec<String>,
}

#[derive(Debug)]
struct Known {
    meta: Meta,
    /// Size and time as stat printed them.
    stamp: String,
    content: Option<Content>,
    /// Whether it was read.
    read: bool,
}

/// Who asks whether a file can be read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a> {
    pub(super) uid: u32,
    pub(super) gids: &'a [u32],
}

impl Reader<'_> {
    fn allowed(self, meta: Meta, bit: u32) -> bool {
        if self.uid == 0 {
            return true;
        }
        let shift = if self.uid == meta.uid {
            6
        } else if self.gids.contains(&meta.gid) {
            3
        } else {
            0
        };
        meta.mode >> shift & bit != 0
    }
}

impl Paths {
    pub(super) fn parse(
        [stat, links, unseen, reals, refused, held]: [&[u8]; 6],
        files: Option<(&[u8], &[u8])>,
        pool: &ContentPool,
    ) -> Result<Self, SurveyError> {
        let links: BTreeSet<&[u8]> = lines(links).collect();
        let held = held_files(held)?;
        let mut paths = Self::default();
        for line in lines(stat) {
            let (path, known) = stat_line(line, &links, &held)?;
            if paths.known.insert(path, known).is_some() {
                return Err(SurveyError::Unexpected("stat".to_owned()));
            }
        }
        paths.unseen = lines(unseen).map(lossy).collect();
        paths.refused = lines(refused).map(lossy).collect();
        for line in lines(reals) {
            let line = lossy(line);
            let (path, real) = line
                .split_once('\t')
                .ok_or(SurveyError::Value("real path"))?;
            paths.reals.insert(path.to_owned(), real.to_owned());
        }
        if let Some((list, block)) = files {
            paths.take_contents(list, block, &held, pool)?;
        }
        Ok(paths)
    }

    /// Splits the block that `head -v` wrote: before each file `==> path <==`, and an empty line between two.
    ///
    /// A file that changed between `stat` and `head` has another length than expected; from there on nothing in the
    /// block can be told apart, so nothing more of it is believed.
    fn take_contents(
        &mut self,
        list: &[u8],
        block: &[u8],
        held: &Held<'_>,
        pool: &ContentPool,
    ) -> Result<(), SurveyError> {
        let listed: Vec<&[u8]> = lines(list).collect();
        let path_of = |name| lossy(held.get(name).copied().unwrap_or(name));
        let mut rest = block;
        let mut taken: Vec<(String, &[u8])> = Vec::new();
        let mut whole = true;
        for (i, path) in listed.iter().enumerate() {
            let name = path_of(path);
            let known = self
                .known
                .get(&name)
                .ok_or(SurveyError::Value("list of files"))?;
            let size =
                usize::try_from(known.meta.size).map_err(|_| SurveyError::Value("file size"))?;
            let newline: &[u8] = if i == 0 { b"" } else { b"\n" };
            let header = [newline, b"==> ", path, b" <==\n"].concat();
            let Some(behind) = rest.strip_prefix(header.as_slice()) else {
                whole = false;
                // It is the one before whose length is not what it was.
                taken.pop();
                break;
            };
            let Some((content, behind)) = behind.split_at_checked(size) else {
                whole = false;
                break;
            };
            taken.push((name, content));
            rest = behind;
        }
        if whole && !rest.is_empty() {
            taken.pop();
        }
        let count = taken.len();
        for (name, content) in taken {
            let secret = content.windows(SECRET.len()).any(|window| window == SECRET);
            if secret {
                self.gaps.push(format!(
                    "{name}: holds a private key, its content was dropped"
                ));
            }
            if let Some(known) = self.known.get_mut(&name) {
                known.read = true;
                known.content = (!secret).then(|| pool.content(content));
            }
        }
        for path in &listed[count..] {
            let name = path_of(path);
            self.gaps.push(format!("{name}: changed while it was read"));
            if let Some(known) = self.known.get_mut(&name) {
                known.read = true;
            }
        }
        Ok(())
    }

    pub(super) fn meta(&self, path: &str) -> Option<Meta> {
        self.known.get(path).map(|known| known.meta)
    }

    /// Size and time of a path as stat printed them.
    pub(super) fn stamp(&self, path: &str) -> Option<&str> {
        self.known.get(path).map(|known| known.stamp.as_str())
    }

    pub(super) fn is_unseen(&self, path: &str) -> bool {
        self.unseen.contains(path)
    }

    /// Where a path really is.
    pub(super) fn real<'a>(&'a self, path: &'a str) -> &'a str {
        self.reals.get(path).map_or(path, String::as_str)
    }

    pub(super) fn content(&self, path: &str) -> Option<&Content> {
        self.known.get(path)?.content.as_ref()
    }

    /// Whether the content of a file was asked for; what came of it, if not the content, is a gap.
    pub(super) fn was_read(&self, path: &str) -> bool {
        self.known.get(path).is_some_and(|known| known.read)
    }

    /// What is at a path, whether `reader` can read it, and what it reads there if so.
    pub(super) fn file(&self, path: &str, reader: Reader<'_>) -> FileFact {
        self.fact(path, |known| self.readable(path, known, reader))
    }

    /// The same for the survey's own account, which has tried: access lists and the like are then known too.
    pub(super) fn own_file(&self, path: &str, reader: Reader<'_>) -> FileFact {
        self.fact(path, |known| {
            let readable = known.read || self.readable(path, known, reader);
            readable && !self.refused.contains(path)
        })
    }

    /// What is at the path of a directory, and whether `reader` can search it.
    pub(super) fn directory(&self, path: &str, reader: Reader<'_>) -> FileFact {
        self.fact(path, |known| {
            let above = |path: &str| {
                above(path)
                    .filter_map(|dir| self.meta(dir))
                    .all(|meta| reader.allowed(meta, 1))
            };
            reader.allowed(known.meta, 1) && above(path)
        })
    }

    /// The directory nearest to `/` on the way to a file that `reader` cannot search.
    pub(super) fn closed(&self, path: &str, reader: Reader<'_>) -> Option<&str> {
        let is_closed = |dir: &&String| {
            let meta = self.meta(dir);
            meta.is_some_and(|meta| !reader.allowed(meta, 1))
        };
        let ways = above(path).chain(above(self.real(path)));
        let known = ways.filter_map(|dir| self.known.get_key_value(dir));
        let closed = known.map(|(dir, _)| dir).filter(is_closed);
        closed.min_by_key(|dir| dir.len()).map(String::as_str)
    }

    fn fact(&self, path: &str, readable: impl FnOnce(&Known) -> bool) -> FileFact {
        let state = match self.known.get(path) {
            Some(known) => {
                let readable = readable(known);
                FileState::Present {
                    meta: known.meta,
                    readable,
                    content: known.content.clone().filter(|_| readable),
                }
            }
            None if self.unseen.contains(path) => {
                FileState::Unreadable("a directory above it cannot be searched".to_owned())
            }
            None => FileState::Absent,
        };
        FileFact {
            path: path.to_owned(),
            state,
        }
    }

    fn readable(&self, path: &str, known: &Known, reader: Reader<'_>) -> bool {
        let above = |path: &str| {
            above(path)
                .filter_map(|dir| self.meta(dir))
                .all(|meta| reader.allowed(meta, 1))
        };
        reader.allowed(known.meta, 4) && above(path) && above(self.real(path))
    }
}

/// Paths of files that were opened before anybody looked at them, by the names that they have since.
type Held<'a> = BTreeMap<&'a [u8], &'a [u8]>;

fn held_files(list: &[u8]) -> Result<Held<'_>, SurveyError> {
    let mut held = Held::new();
    for line in lines(list) {
        let tab = line.iter().position(|&b| b == b'\t');
        let (name, path) = line.split_at(tab.ok_or(SurveyError::Value("open file"))?);
        held.insert(name, &path[1..]);
    }
    Ok(held)
}

/// The mark of every private key format that OpenSSH reads.
const SECRET: &[u8] = b" PRIVATE KEY-----";

/// The directories above an absolute path, nearest first, `/` last.
pub(super) fn above(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(path), |path| match path.rfind('/') {
        Some(0) if path.len() > 1 => Some("/"),
        Some(at) if at > 0 => Some(&path[..at]),
        _ => None,
    })
    .skip(1)
}

fn lines(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    list.split(|&b| b == b'\n').filter(|line| !line.is_empty())
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// `mode uid gid size time path`, as `stat -L -c '%f %u %g %s %Y %n'` prints it.
fn stat_line(
    line: &[u8],
    links: &BTreeSet<&[u8]>,
    held: &Held<'_>,
) -> Result<(String, Known), SurveyError> {
    const BAD: SurveyError = SurveyError::Value("stat line");
    let mut fields = line.splitn(6, |&b| b == b' ');
    let mut next = || fields.next().ok_or(BAD);
    let (mode, uid, gid, size, time, path) = (next()?, next()?, next()?, next()?, next()?, next()?);
    let path = held.get(path).copied().unwrap_or(path);
    let text = std::str::from_utf8(mode).map_err(|_| BAD)?;
    let mode = match text.len() {
        1..=8 if !text.starts_with('+') => u32::from_str_radix(text, 16).map_err(|_| BAD)?,
        _ => return Err(BAD),
    };
    let stamp = [size, b" ", time].concat();
    let meta = Meta {
        kind: match mode & 0o170_000 {
            0o100_000 => FileKind::File,
            0o040_000 => FileKind::Directory,
            _ => FileKind::Other,
        },
        mode: mode & 0o7777,
        uid: text_number(uid).ok_or(BAD)?,
        gid: text_number(gid).ok_or(BAD)?,
        size: text_number(size).ok_or(BAD)?,
        symlink: links.contains(path),
    };
    if !path.starts_with(b"/") {
        return Err(BAD);
    }
    let known = Known {
        meta,
        stamp: lossy(&stamp),
        content: None,
        read: false,
    };
    Ok((lossy(path), known))
}
