//! The five checksums of S3, computed while a body streams by.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use crc_fast::CrcAlgorithm;
use s3s::crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Md5, Sha1, Sha256};
use serde::{Deserialize, Serialize};

use super::StoreError;

/// A checksum algorithm of S3 (API reference, "Checking object integrity").
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Algorithm {
    /// CRC-32 (ISO-HDLC), 4 bytes.
    Crc32,
    /// CRC-32C (Castagnoli), 4 bytes.
    Crc32c,
    /// CRC-64/NVME, 8 bytes. What S3 computes by itself where a client sends none.
    Crc64nvme,
    /// SHA-1, 20 bytes.
    Sha1,
    /// SHA-256, 32 bytes.
    Sha256,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Crc32,
        Self::Crc32c,
        Self::Crc64nvme,
        Self::Sha1,
        Self::Sha256,
    ];

    /// The name in the API: `CRC32`, `CRC32C`, `CRC64NVME`, `SHA1`, `SHA256`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Crc64nvme => "CRC64NVME",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
        }
    }

    /// The algorithm of an API name, in any case.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|a| a.name().eq_ignore_ascii_case(name))
    }

    /// The header that carries it, lower case, such as `x-amz-checksum-crc32`.
    #[must_use]
    pub fn header(self) -> &'static str {
        match self {
            Self::Crc32 => "x-amz-checksum-crc32",
            Self::Crc32c => "x-amz-checksum-crc32c",
            Self::Crc64nvme => "x-amz-checksum-crc64nvme",
            Self::Sha1 => "x-amz-checksum-sha1",
            Self::Sha256 => "x-amz-checksum-sha256",
        }
    }

    /// Bytes of a digest.
    #[must_use]
    pub fn digest_bytes(self) -> usize {
        match self {
            Self::Crc32 | Self::Crc32c => 4,
            Self::Crc64nvme => 8,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }

    /// The algorithm as `crc_fast` knows it; `None` for the SHAs, which cannot be combined.
    fn crc(self) -> Option<CrcAlgorithm> {
        match self {
            Self::Crc32 => Some(CrcAlgorithm::Crc32IsoHdlc),
            Self::Crc32c => Some(CrcAlgorithm::Crc32Iscsi),
            Self::Crc64nvme => Some(CrcAlgorithm::Crc64Nvme),
            Self::Sha1 | Self::Sha256 => None,
        }
    }
}

/// Does a checksum of a multipart object cover its bytes, or its parts' checksums?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ChecksumType {
    /// Of the object's bytes.
    #[default]
    FullObject,
    /// Of the parts' digests, written `digest-N`.
    Composite,
}

impl ChecksumType {
    /// The type that S3 takes where a multipart upload names none.
    #[must_use]
    pub fn default_for(algorithm: Algorithm) -> Self {
        if algorithm == Algorithm::Crc64nvme {
            Self::FullObject
        } else {
            Self::Composite
        }
    }

    /// May `algorithm` be used so? CRC64NVME is never composite, a SHA never covers a whole
    /// multipart object.
    #[must_use]
    pub fn allows(self, algorithm: Algorithm) -> bool {
        match self {
            Self::FullObject => algorithm.crc().is_some(),
            Self::Composite => algorithm != Algorithm::Crc64nvme,
        }
    }
}

/// Checksums of one content, base64 as in the API.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Checksums(BTreeMap<Algorithm, String>);

impl Checksums {
    /// One checksum.
    #[must_use]
    pub fn one(algorithm: Algorithm, value: impl Into<String>) -> Self {
        Self(BTreeMap::from([(algorithm, value.into())]))
    }

    /// Adds one, replacing what was there.
    pub fn insert(&mut self, algorithm: Algorithm, value: impl Into<String>) {
        self.0.insert(algorithm, value.into());
    }

    /// The value of one, where it is there.
    #[must_use]
    pub fn get(&self, algorithm: Algorithm) -> Option<&str> {
        self.0.get(&algorithm).map(String::as_str)
    }

    /// All, in a fixed order.
    pub fn iter(&self) -> impl Iterator<Item = (Algorithm, &str)> {
        self.0.iter().map(|(a, v)| (*a, v.as_str()))
    }

    /// The algorithms that are there.
    #[must_use]
    pub fn algorithms(&self) -> Vec<Algorithm> {
        self.0.keys().copied().collect()
    }

    /// Is there none?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Compares every announced sum with the computed one.
    ///
    /// # Errors
    /// [`StoreError::InvalidRequest`] where an announced value is no digest of its algorithm,
    /// [`StoreError::BadDigest`] where it is another.
    pub fn verify(&self, announced: &Self) -> Result<(), StoreError> {
        for (algorithm, expected) in announced.iter() {
            decode(algorithm, expected)?;
            match self.get(algorithm) {
                Some(found) if found == expected => {}
                Some(found) => return Err(StoreError::bad_checksum(algorithm, expected, found)),
                None => {
                    return Err(StoreError::bad_checksum(
                        algorithm,
                        expected,
                        "not computed",
                    ));
                }
            }
        }
        Ok(())
    }
}

/// The bytes of a base64 digest, of the right length for its algorithm.
fn decode(algorithm: Algorithm, value: &str) -> Result<Vec<u8>, StoreError> {
    let bytes = BASE64
        .decode(value)
        .ok()
        .filter(|b| b.len() == algorithm.digest_bytes());
    bytes.ok_or_else(|| {
        StoreError::InvalidRequest(format!(
            "Value for {} header is invalid.",
            algorithm.header()
        ))
    })
}

/// MD5 and any number of checksums over one stream.
pub(crate) struct Hasher {
    md5: Md5,
    crc32: Option<Crc32>,
    crc32c: Option<Crc32c>,
    crc64nvme: Option<Crc64Nvme>,
    sha1: Option<Sha1>,
    sha256: Option<Sha256>,
}

impl Hasher {
    /// MD5, and each of `algorithms`.
    pub(crate) fn new(algorithms: &[Algorithm]) -> Self {
        let has = |a| algorithms.contains(&a);
        Self {
            md5: Md5::new(),
            crc32: has(Algorithm::Crc32).then(Crc32::new),
            crc32c: has(Algorithm::Crc32c).then(Crc32c::new),
            crc64nvme: has(Algorithm::Crc64nvme).then(Crc64Nvme::new),
            sha1: has(Algorithm::Sha1).then(Sha1::new),
            sha256: has(Algorithm::Sha256).then(Sha256::new),
        }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.md5.update(bytes);
        if let Some(h) = &mut self.crc32 {
            h.update(bytes);
        }
        if let Some(h) = &mut self.crc32c {
            h.update(bytes);
        }
        if let Some(h) = &mut self.crc64nvme {
            h.update(bytes);
        }
        if let Some(h) = &mut self.sha1 {
            h.update(bytes);
        }
        if let Some(h) = &mut self.sha256 {
            h.update(bytes);
        }
    }

    /// The MD5, and the checksums.
    pub(crate) fn finish(self) -> (Vec<u8>, Checksums) {
        let mut sums = Checksums::default();
        let mut add = |a, digest: Option<Vec<u8>>| {
            if let Some(digest) = digest {
                sums.insert(a, BASE64.encode(digest));
            }
        };
        add(Algorithm::Crc32, self.crc32.map(|h| h.finalize().to_vec()));
        add(
            Algorithm::Crc32c,
            self.crc32c.map(|h| h.finalize().to_vec()),
        );
        add(
            Algorithm::Crc64nvme,
            self.crc64nvme.map(|h| h.finalize().to_vec()),
        );
        add(Algorithm::Sha1, self.sha1.map(|h| h.finalize().to_vec()));
        add(
            Algorithm::Sha256,
            self.sha256.map(|h| h.finalize().to_vec()),
        );
        (self.md5.finalize().as_ref().to_vec(), sums)
    }
}

/// The composite checksum of a multipart object: the digest of the parts' digests, and `-N`.
pub(crate) fn composite(algorithm: Algorithm, parts: &[&str]) -> Result<String, StoreError> {
    let mut hasher = Hasher::new(&[algorithm]);
    for part in parts {
        hasher.update(&decode(algorithm, part)?);
    }
    let (_, sums) = hasher.finish();
    Ok(format!(
        "{}-{}",
        sums.get(algorithm).unwrap_or_default(),
        parts.len()
    ))
}

/// The checksum of the whole object, from its parts' checksums and sizes in bytes. Only for CRCs.
pub(crate) fn full_object(
    algorithm: Algorithm,
    parts: &[(&str, u64)],
) -> Result<String, StoreError> {
    let crc = algorithm.crc().ok_or_else(|| {
        StoreError::InvalidRequest(format!(
            "{} cannot be a FULL_OBJECT checksum",
            algorithm.name()
        ))
    })?;
    let mut whole: Option<u64> = None;
    for (value, size) in parts {
        let digest = decode(algorithm, value)?;
        let part = digest
            .iter()
            .fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte));
        whole = Some(match whole {
            None => part,
            Some(sum) if *size == 0 => sum,
            Some(sum) => crc_fast::checksum_combine(crc, sum, part, *size),
        });
    }
    let bytes = whole.unwrap_or_default().to_be_bytes();
    Ok(BASE64.encode(&bytes[8 - algorithm.digest_bytes()..]))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn sums(bytes: &[u8]) -> Checksums {
        let mut hasher = Hasher::new(&Algorithm::ALL);
        hasher.update(bytes);
        hasher.finish().1
    }

    #[test]
    fn check_values_of_the_catalogues() {
        let s = sums(b"123456789");
        let hex = |a| hex::encode(BASE64.decode(s.get(a).unwrap()).unwrap());
        assert_eq!(hex(Algorithm::Crc32), "cbf43926");
        assert_eq!(hex(Algorithm::Crc32c), "e3069283");
        assert_eq!(hex(Algorithm::Crc64nvme), "ae8b14860a799888");
        assert_eq!(
            hex(Algorithm::Sha1),
            "f7c3bc1d808e04732adf679965ccc34ca7ae3441"
        );
        assert_eq!(
            hex(Algorithm::Sha256),
            "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225"
        );
    }

    #[test]
    fn parts_combine_to_the_whole() {
        let whole: Vec<u8> = (0..100_000_u32).map(|i| (i * 7 % 251) as u8).collect();
        let cuts = [0, 1, 1, 40_000, 99_999, 100_000];
        for algorithm in [Algorithm::Crc32, Algorithm::Crc32c, Algorithm::Crc64nvme] {
            let parts: Vec<(String, u64)> = cuts
                .windows(2)
                .map(|w| {
                    let part = &whole[w[0]..w[1]];
                    (
                        sums(part).get(algorithm).unwrap().to_owned(),
                        part.len() as u64,
                    )
                })
                .collect();
            let parts: Vec<(&str, u64)> = parts.iter().map(|(s, n)| (s.as_str(), *n)).collect();
            assert_eq!(
                full_object(algorithm, &parts).unwrap(),
                sums(&whole).get(algorithm).unwrap()
            );
        }
    }

    #[test]
    fn a_digest_of_another_length_is_no_digest() {
        let announced = Checksums::one(Algorithm::Crc32, "AAAAAAAAAAA=");
        let found = sums(b"x");
        assert!(matches!(
            found.verify(&announced),
            Err(StoreError::InvalidRequest(_))
        ));
        let announced = Checksums::one(Algorithm::Crc32, "AAAAAA==");
        assert!(matches!(
            found.verify(&announced),
            Err(StoreError::BadDigest { .. })
        ));
    }
}
