//! CRC-64/NVME as S3 writes it: 8 bytes, big endian, base64. The only checksum of S3 that is
//! always of the whole object, however it was uploaded, and S3's own default.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crc_fast::{CrcAlgorithm, Digest};

/// A running CRC-64/NVME.
#[derive(Debug, Clone)]
pub(crate) struct Crc64(Digest);

impl Crc64 {
    pub(crate) fn new() -> Self {
        Self(Digest::new(CrcAlgorithm::Crc64Nvme))
    }

    pub(crate) fn of(bytes: &[u8]) -> Self {
        let mut new = Self::new();
        new.update(bytes);
        new
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Appends what another one has seen, without its bytes.
    pub(crate) fn append(&mut self, next: &Self) {
        self.0.combine(&next.0);
    }

    pub(crate) fn base64(&self) -> String {
        STANDARD.encode(self.0.finalize().to_be_bytes())
    }
}

/// Any checksum of a whole object that a store may have sent, checked against the bytes read.
#[derive(Debug, Clone)]
pub(crate) enum Verifier {
    /// `x-amz-checksum-crc64nvme`, or nothing that is known: then only our own is computed.
    Crc64,
    /// `x-amz-checksum-crc32c` or `-crc32`, of objects that others wrote.
    Crc32(Digest),
    /// `x-amz-checksum-sha256`.
    Sha256(sha2::Sha256),
}

/// The checksum headers of an answer: name and value as sent, full-object only.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Stated {
    pub(crate) crc64nvme: Option<String>,
    pub(crate) crc32c: Option<String>,
    pub(crate) crc32: Option<String>,
    pub(crate) sha256: Option<String>,
}

/// What was stated about an object and what its bytes say, computed while they pass.
#[derive(Debug, Clone)]
pub(crate) struct Check {
    own: Crc64,
    other: Verifier,
    stated: Option<String>,
}

impl Stated {
    /// Checksums of multipart uploads made of their parts' checksums (`COMPOSITE`, `…-3`) cannot
    /// be computed from the bytes alone.
    pub(crate) fn without_composites(mut self, composite: bool) -> Self {
        let drop = |value: &mut Option<String>| {
            if composite || value.as_ref().is_some_and(|v| v.contains('-')) {
                *value = None;
            }
        };
        drop(&mut self.crc32c);
        drop(&mut self.crc32);
        drop(&mut self.sha256);
        self
    }

    /// The strongest of them, ready to be compared.
    pub(crate) fn check(&self) -> Check {
        let (other, stated) = if self.crc64nvme.is_some() {
            (Verifier::Crc64, self.crc64nvme.clone())
        } else if self.sha256.is_some() {
            (Verifier::Sha256(sha2::Digest::new()), self.sha256.clone())
        } else if self.crc32c.is_some() {
            (
                Verifier::Crc32(Digest::new(CrcAlgorithm::Crc32Iscsi)),
                self.crc32c.clone(),
            )
        } else if self.crc32.is_some() {
            (
                Verifier::Crc32(Digest::new(CrcAlgorithm::Crc32IsoHdlc)),
                self.crc32.clone(),
            )
        } else {
            (Verifier::Crc64, None)
        };
        Check {
            own: Crc64::new(),
            other,
            stated,
        }
    }
}

impl Check {
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.own.update(bytes);
        match &mut self.other {
            Verifier::Crc64 => {}
            Verifier::Crc32(digest) => digest.update(bytes),
            Verifier::Sha256(digest) => sha2::Digest::update(digest, bytes),
        }
    }

    /// Our CRC-64/NVME, or the pair (stated, computed) that differs.
    pub(crate) fn finish(self) -> Result<String, (String, String)> {
        let own = self.own.base64();
        let computed = match self.other {
            Verifier::Crc64 => own.clone(),
            // 32 bits in the low half of the 64.
            Verifier::Crc32(digest) => STANDARD.encode(&digest.finalize().to_be_bytes()[4..]),
            Verifier::Sha256(digest) => STANDARD.encode(sha2::Digest::finalize(digest)),
        };
        match self.stated {
            Some(stated) if stated != computed => Err((stated, computed)),
            _ => Ok(own),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_values() {
        // CRC RevEng catalogue, "check" of 123456789: crc-64/nvme ae8b14860a799888, crc-32/iscsi
        // e3069283, crc-32/iso-hdlc cbf43926.
        assert_eq!(
            Crc64::of(b"123456789").base64(),
            STANDARD.encode(0xae8b_1486_0a79_9888_u64.to_be_bytes())
        );
        let of = |stated: Stated| {
            let mut check = stated.check();
            check.update(b"12345");
            check.update(b"6789");
            check.finish()
        };
        let crc32c = Some(STANDARD.encode(0xe306_9283_u32.to_be_bytes()));
        let crc32 = Some(STANDARD.encode(0xcbf4_3926_u32.to_be_bytes()));
        let sha256 = Some("FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU=".to_owned());
        assert!(
            of(Stated {
                crc32c: crc32c.clone(),
                ..Stated::default()
            })
            .is_ok()
        );
        assert!(
            of(Stated {
                crc32: crc32.clone(),
                ..Stated::default()
            })
            .is_ok()
        );
        assert!(
            of(Stated {
                crc32: crc32c.clone(),
                ..Stated::default()
            })
            .is_err()
        );
        assert!(
            of(Stated {
                crc64nvme: crc32,
                ..Stated::default()
            })
            .is_err()
        );
        assert!(
            of(Stated {
                sha256,
                ..Stated::default()
            })
            .is_ok()
        );
        assert_eq!(
            of(Stated::default()).unwrap(),
            Crc64::of(b"123456789").base64()
        );
    }

    #[test]
    fn composites_are_not_compared() {
        let stated = Stated {
            crc32c: Some("AAAAAA==-3".into()),
            crc64nvme: Some("x".into()),
            ..Stated::default()
        };
        let kept = stated.without_composites(false);
        assert_eq!((kept.crc32c, kept.crc64nvme.as_deref()), (None, Some("x")));
    }

    proptest! {
        #[test]
        fn cut_anywhere_equals_whole(bytes in prop::collection::vec(any::<u8>(), 0..300), cut in any::<prop::sample::Index>()) {
            let at = cut.index(bytes.len() + 1);
            let mut joined = Crc64::of(&bytes[..at]);
            joined.append(&Crc64::of(&bytes[at..]));
            prop_assert_eq!(joined.base64(), Crc64::of(&bytes).base64());
        }
    }
}
