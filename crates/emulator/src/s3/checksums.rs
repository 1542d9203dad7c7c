//! Checksums on the wire: five fields in a dozen shapes, and trailers.

use http::HeaderMap;
use s3s::dto;
use s3s::{S3Result, TrailingHeaders, s3_error};

use crate::store::{Algorithm, ChecksumType, Checksums};

/// The checksums of an S3 input (or part) as [`Checksums`].
macro_rules! announced {
    ($from:expr) => {{
        let mut sums = $crate::store::Checksums::default();
        let fields = [
            ($crate::store::Algorithm::Crc32, &$from.checksum_crc32),
            ($crate::store::Algorithm::Crc32c, &$from.checksum_crc32c),
            (
                $crate::store::Algorithm::Crc64nvme,
                &$from.checksum_crc64nvme,
            ),
            ($crate::store::Algorithm::Sha1, &$from.checksum_sha1),
            ($crate::store::Algorithm::Sha256, &$from.checksum_sha256),
        ];
        for (algorithm, value) in fields {
            if let Some(value) = value {
                sums.insert(algorithm, value.clone());
            }
        }
        sums
    }};
}

/// Sets the checksum fields of an S3 output.
macro_rules! set_checksums {
    ($to:expr, $sums:expr) => {{
        let value = |algorithm| $sums.get(algorithm).map(str::to_owned);
        $to.checksum_crc32 = value($crate::store::Algorithm::Crc32);
        $to.checksum_crc32c = value($crate::store::Algorithm::Crc32c);
        $to.checksum_crc64nvme = value($crate::store::Algorithm::Crc64nvme);
        $to.checksum_sha1 = value($crate::store::Algorithm::Sha1);
        $to.checksum_sha256 = value($crate::store::Algorithm::Sha256);
    }};
}

pub(super) use {announced, set_checksums};

/// The algorithms to compute while a body is read: of its headers, and of the trailers that
/// `x-amz-trailer` promises.
pub(super) fn wanted(headers: &HeaderMap, announced: &Checksums) -> Vec<Algorithm> {
    let mut wanted = announced.algorithms();
    wanted.extend(promised(headers));
    wanted.sort_unstable();
    wanted.dedup();
    wanted
}

fn promised(headers: &HeaderMap) -> Vec<Algorithm> {
    let names = headers
        .get_all("x-amz-trailer")
        .iter()
        .filter_map(|v| v.to_str().ok());
    let names = names.flat_map(|v| v.split(',')).map(str::trim);
    names
        .filter_map(|name| {
            Algorithm::ALL
                .into_iter()
                .find(|a| name.eq_ignore_ascii_case(a.header()))
        })
        .collect()
}

/// Adds the trailers to what was announced. To be called when the body was read.
pub(super) fn with_trailers(
    mut announced: Checksums,
    headers: &HeaderMap,
    trailers: Option<&TrailingHeaders>,
) -> S3Result<Checksums> {
    for algorithm in promised(headers) {
        let value = trailers
            .and_then(|t| t.read(|h| h.get(algorithm.header()).cloned()))
            .flatten();
        let value = value
            .as_ref()
            .and_then(|v| v.to_str().ok())
            .ok_or_else(|| {
                s3_error!(
                    InvalidRequest,
                    "The trailer {} was promised but is missing",
                    algorithm.header()
                )
            })?;
        announced.insert(algorithm, value);
    }
    Ok(announced)
}

/// The algorithm that an input names.
pub(super) fn algorithm(named: Option<&dto::ChecksumAlgorithm>) -> S3Result<Option<Algorithm>> {
    named
        .map(|named| {
            Algorithm::from_name(named.as_str()).ok_or_else(|| {
                s3_error!(
                    InvalidRequest,
                    "Checksum algorithm provided is unsupported: {}",
                    named.as_str()
                )
            })
        })
        .transpose()
}

/// The checksum type that an input names.
pub(super) fn checksum_type(named: Option<&dto::ChecksumType>) -> S3Result<Option<ChecksumType>> {
    match named.map(dto::ChecksumType::as_str) {
        None => Ok(None),
        Some("FULL_OBJECT") => Ok(Some(ChecksumType::FullObject)),
        Some("COMPOSITE") => Ok(Some(ChecksumType::Composite)),
        Some(other) => Err(s3_error!(
            InvalidRequest,
            "Value for x-amz-checksum-type header is invalid: {other}"
        )),
    }
}

/// The type on the wire.
pub(super) fn wire_type(kind: ChecksumType) -> dto::ChecksumType {
    dto::ChecksumType::from_static(match kind {
        ChecksumType::FullObject => dto::ChecksumType::FULL_OBJECT,
        ChecksumType::Composite => dto::ChecksumType::COMPOSITE,
    })
}

/// The algorithm on the wire.
pub(super) fn wire_algorithm(algorithm: Algorithm) -> dto::ChecksumAlgorithm {
    dto::ChecksumAlgorithm::from_static(algorithm.name())
}
