//! The SSH wire encoding of keys (RFC 4251, section 5), read as strictly as OpenSSH's `sshbuf` does.

/// Reads the fields of a blob in order; every read fails rather than go beyond the end.
#[derive(Clone, Copy)]
pub(crate) struct WireReader<'a> {
    rest: &'a [u8],
}

impl<'a> WireReader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, tail) = self.rest.split_first_chunk::<N>()?;
        self.rest = tail;
        Some(*head)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    /// A length-prefixed byte string.
    pub(crate) fn string(&mut self) -> Option<&'a [u8]> {
        let before = self.rest;
        let length = usize::try_from(self.u32()?).ok()?;
        match self.rest.split_at_checked(length) {
            Some((head, tail)) => {
                self.rest = tail;
                Some(head)
            }
            None => {
                self.rest = before;
                None
            }
        }
    }

    /// A byte string used as a C string: a NUL is allowed only as its last byte, and is not part of it.
    pub(crate) fn c_string(&mut self) -> Option<&'a [u8]> {
        let text = self.string()?;
        match text.iter().position(|byte| *byte == 0) {
            None => Some(text),
            Some(at) if at + 1 == text.len() => Some(&text[..at]),
            Some(_) => None,
        }
    }

    /// A non-negative integer, without leading zero bytes; at most 16,384 bits.
    pub(crate) fn integer(&mut self) -> Option<&'a [u8]> {
        const LARGEST: usize = 16384 / 8;
        let bytes = self.string()?;
        if bytes.first().is_some_and(|first| first & 0x80 != 0) {
            return None;
        }
        if bytes.len() > LARGEST + 1 || (bytes.len() == LARGEST + 1 && bytes[0] != 0) {
            return None;
        }
        let start = bytes
            .iter()
            .position(|byte| *byte != 0)
            .unwrap_or(bytes.len());
        Some(&bytes[start..])
    }
}

/// Appends a length-prefixed byte string.
pub(super) fn put_string(out: &mut Vec<u8>, bytes: &[u8]) {
    let length = u32::try_from(bytes.len()).expect("fields come from blobs shorter than 4 GiB");
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(bytes);
}

/// Appends a non-negative integer given without leading zero bytes.
pub(super) fn put_integer(out: &mut Vec<u8>, magnitude: &[u8]) {
    if magnitude.first().is_some_and(|first| first & 0x80 != 0) {
        let mut padded = vec![0];
        padded.extend_from_slice(magnitude);
        put_string(out, &padded);
    } else {
        put_string(out, magnitude);
    }
}
