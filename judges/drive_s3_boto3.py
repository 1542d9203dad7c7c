#!/usr/bin/env python3
"""Drives the emulator's S3 with boto3 and checks that it behaves as S3 is documented to.

    drive_s3_boto3.py ENDPOINT.json [CHECK …]
    drive_s3_boto3.py ENDPOINT.json --keep BUCKET      leaves objects behind
    drive_s3_boto3.py ENDPOINT.json --kept BUCKET      finds them again, after a restart

Runs all checks, or those named. Exits 1 if one is wrong.
"""

import base64
import concurrent.futures
import hashlib
import io
import sys
import urllib.error
import urllib.request

from awscrt import checksums
from botocore import UNSIGNED
from botocore.config import Config

from endpoint import Endpoint, expect, refused, run_checks, unique

PART_BYTES = 5 * 1024 * 1024
ODD_KEYS = ["plain", "a b+c%20d", "dt=2026-11-22/part.csv", "名前/👩‍🚀.csv", "a//b", "folder/", "x/../y", "~!@$&'()*,;:=",
            "quote\"<>", "%2F", "." , "long/" + "k" * 200 + "/" + "é" * 200]


def body_of(s3, bucket, key, **more):
    return s3.get_object(Bucket=bucket, Key=key, **more)["Body"].read()


def absent(s3, bucket, key):
    refused(s3.head_object, "404", 404, Bucket=bucket, Key=key)


def encoded(algorithm, data):
    number = {"CRC32": checksums.crc32, "CRC32C": checksums.crc32c, "CRC64NVME": checksums.crc64nvme}
    if algorithm in number:
        width = 8 if algorithm == "CRC64NVME" else 4
        return base64.b64encode(number[algorithm](data).to_bytes(width, "big")).decode()
    return base64.b64encode(hashlib.new(algorithm.lower(), data).digest()).decode()


def buckets(s3, bucket):
    name = unique("bucket")
    refused(s3.head_bucket, "404", 404, Bucket=name)
    refused(s3.put_object, "NoSuchBucket", 404, Bucket=name, Key="x", Body=b"x")
    refused(s3.list_objects_v2, "NoSuchBucket", 404, Bucket=name)
    s3.create_bucket(Bucket=name)
    s3.head_bucket(Bucket=name)
    expect("ListBuckets has it", name in [b["Name"] for b in s3.list_buckets()["Buckets"]], True)
    refused(s3.create_bucket, {"InvalidBucketName"}, 400, Bucket="Bad-Bucket")


def put_get_head_delete(s3, bucket):
    data = b"one\ntwo\n"
    put = s3.put_object(Bucket=bucket, Key="o", Body=data, ContentType="text/csv", Metadata={"rows": "2"})
    etag = f'"{hashlib.md5(data).hexdigest()}"'
    expect("ETag of the put", put["ETag"], etag)
    got = s3.get_object(Bucket=bucket, Key="o")
    expect("body", got["Body"].read(), data)
    head = s3.head_object(Bucket=bucket, Key="o")
    for answer in (got, head):
        expect("size", answer["ContentLength"], len(data))
        expect("type", answer["ContentType"], "text/csv")
        expect("metadata", answer["Metadata"], {"rows": "2"})
        expect("ETag", answer["ETag"], etag)
        expect("a time", answer["LastModified"].tzinfo is not None, True)
    s3.put_object(Bucket=bucket, Key="o", Body=b"")
    expect("overwritten by nothing", body_of(s3, bucket, "o"), b"")
    s3.delete_object(Bucket=bucket, Key="o")
    s3.delete_object(Bucket=bucket, Key="o")
    refused(s3.get_object, "NoSuchKey", 404, Bucket=bucket, Key="o")
    absent(s3, bucket, "o")


def odd_keys(s3, bucket):
    for key in ODD_KEYS:
        s3.put_object(Bucket=bucket, Key=f"odd/{key}", Body=key.encode())
    for key in ODD_KEYS:
        expect(f"body of {key!r}", body_of(s3, bucket, f"odd/{key}"), key.encode())
    listed = [o["Key"] for o in s3.list_objects_v2(Bucket=bucket, Prefix="odd/")["Contents"]]
    expect("keys in the order of their UTF-8 bytes", listed, sorted((f"odd/{k}" for k in ODD_KEYS), key=str.encode))
    s3.delete_object(Bucket=bucket, Key="odd/folder/")
    expect("a neighbour stays", body_of(s3, bucket, "odd/a//b"), b"a//b")


def ranges(s3, bucket):
    data = bytes(range(256)) * 40
    s3.put_object(Bucket=bucket, Key="r", Body=data)
    for header, wanted in (("bytes=0-9", data[:10]), ("bytes=10000-", data[10000:]), ("bytes=-3", data[-3:]),
                           ("bytes=5-99999999", data[5:]), ("bytes=7-7", data[7:8])):
        got = s3.get_object(Bucket=bucket, Key="r", Range=header)
        expect(header, got["Body"].read(), wanted)
        expect(f"status of {header}", got["ResponseMetadata"]["HTTPStatusCode"], 206)
        start = len(data) - 3 if header == "bytes=-3" else int(header[6:].split("-")[0])
        expect("Content-Range", got["ContentRange"], f"bytes {start}-{start + len(wanted) - 1}/{len(data)}")
    refused(s3.get_object, "InvalidRange", 416, Bucket=bucket, Key="r", Range=f"bytes={len(data)}-")


def conditional_reads(s3, bucket):
    etag = s3.put_object(Bucket=bucket, Key="c", Body=b"v1")["ETag"]
    expect("If-Match", body_of(s3, bucket, "c", IfMatch=etag), b"v1")
    refused(s3.get_object, {"PreconditionFailed", "412"}, 412, Bucket=bucket, Key="c", IfMatch='"0"')
    refused(s3.get_object, {"304", "NotModified"}, 304, Bucket=bucket, Key="c", IfNoneMatch=etag)


def conditional_writes(s3, bucket):
    first = s3.put_object(Bucket=bucket, Key="once", Body=b"1", IfNoneMatch="*")["ETag"]
    refused(s3.put_object, "PreconditionFailed", 412, Bucket=bucket, Key="once", Body=b"2", IfNoneMatch="*")
    expect("kept", body_of(s3, bucket, "once"), b"1")
    second = s3.put_object(Bucket=bucket, Key="once", Body=b"2", IfMatch=first)["ETag"]
    refused(s3.put_object, "PreconditionFailed", 412, Bucket=bucket, Key="once", Body=b"3", IfMatch=first)
    expect("by If-Match", body_of(s3, bucket, "once", IfMatch=second), b"2")
    refused(s3.put_object, "NoSuchKey", 404, Bucket=bucket, Key="never", Body=b"x", IfMatch=second)
    absent(s3, bucket, "never")


def one_writer_wins(s3, bucket):
    """Of many that create a key at once, exactly one may succeed; so for replacing one version."""
    def attempt(number, **condition):
        try:
            # Another body in each round: the same one would have the same ETag, which still matches.
            body = f"{next(iter(condition))} {number}".encode()
            s3.put_object(Bucket=bucket, Key="race", Body=body, **condition)
            return number
        except s3.exceptions.ClientError as error:
            if error.response["Error"]["Code"] not in ("PreconditionFailed", "ConditionalRequestConflict"):
                raise
    for condition in ({"IfNoneMatch": "*"}, None):
        condition = condition or {"IfMatch": s3.head_object(Bucket=bucket, Key="race")["ETag"]}
        with concurrent.futures.ThreadPoolExecutor(24) as pool:
            won = [n for n in pool.map(lambda n: attempt(n, **condition), range(100, 148)) if n is not None]
        expect(f"winners with {list(condition)}", len(won), 1)
        expect("the winner's body", body_of(s3, bucket, "race"), f"{next(iter(condition))} {won[0]}".encode())


def copies(s3, bucket):
    other = unique("copies")
    s3.create_bucket(Bucket=other)
    s3.put_object(Bucket=bucket, Key="from ü", Body=b"copied", ContentType="text/csv", Metadata={"a": "b"})
    done = s3.copy_object(Bucket=other, Key="to", CopySource={"Bucket": bucket, "Key": "from ü"})
    expect("ETag of the copy", done["CopyObjectResult"]["ETag"], f'"{hashlib.md5(b"copied").hexdigest()}"')
    got = s3.get_object(Bucket=other, Key="to")
    expect("body", got["Body"].read(), b"copied")
    expect("type and metadata go along", (got["ContentType"], got["Metadata"]), ("text/csv", {"a": "b"}))
    refused(s3.copy_object, "NoSuchKey", 404, Bucket=other, Key="to2", CopySource={"Bucket": bucket, "Key": "none"})


def listing(s3, bucket):
    name = unique("listing")
    s3.create_bucket(Bucket=name)
    keys = sorted(f"many/{n % 7}/{n:04}.csv" for n in range(1500))
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda key: s3.put_object(Bucket=name, Key=key, Body=key.encode()), keys))
    first = s3.list_objects_v2(Bucket=name, Prefix="many/")
    expect("keys of the first page", first["KeyCount"], 1000)
    expect("there is more", first["IsTruncated"], True)
    rest = s3.list_objects_v2(Bucket=name, Prefix="many/", ContinuationToken=first["NextContinuationToken"])
    expect("keys of the second page", (rest["KeyCount"], rest["IsTruncated"]), (500, False))
    expect("all, in order, once", [o["Key"] for o in first["Contents"] + rest["Contents"]], keys)
    one = first["Contents"][3]
    expect("size and ETag", (one["Size"], one["ETag"]),
           (len(one["Key"]), f'"{hashlib.md5(one["Key"].encode()).hexdigest()}"'))
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=name, PaginationConfig={"PageSize": 37})
    expect("all in pages of 37", [o["Key"] for page in pages for o in page["Contents"]], keys)
    after = s3.list_objects_v2(Bucket=name, StartAfter=keys[1490])
    expect("StartAfter", [o["Key"] for o in after["Contents"]], keys[1491:])
    folders = s3.list_objects_v2(Bucket=name, Prefix="many/", Delimiter="/")
    expect("folders", [p["Prefix"] for p in folders["CommonPrefixes"]], [f"many/{n}/" for n in range(7)])
    expect("no keys beside them", folders.get("Contents", []), [])
    paged = s3.get_paginator("list_objects_v2").paginate(
        Bucket=name, Prefix="many/", Delimiter="/", PaginationConfig={"PageSize": 2})
    expect("folders in pages", [p["Prefix"] for page in paged for p in page.get("CommonPrefixes", [])],
           [f"many/{n}/" for n in range(7)])
    expect("a literal prefix", s3.list_objects_v2(Bucket=name, Prefix="many/3/00")["KeyCount"],
           sum(key.startswith("many/3/00") for key in keys))
    expect("nothing", s3.list_objects_v2(Bucket=name, Prefix="none").get("Contents", []), [])


def start(s3, bucket, key, **more):
    return s3.create_multipart_upload(Bucket=bucket, Key=key, **more)["UploadId"]


def part(s3, bucket, key, upload, number, data):
    done = s3.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=number, Body=data)
    return {"PartNumber": number, "ETag": done["ETag"]}


def multipart(s3, bucket):
    pieces = [bytes([n]) * PART_BYTES for n in (1, 2)] + [b"the end"]
    upload = start(s3, bucket, "mp", ContentType="text/csv", Metadata={"k": "v"})
    listed = s3.list_multipart_uploads(Bucket=bucket)["Uploads"]
    expect("ListMultipartUploads", [(u["Key"], u["UploadId"]) for u in listed if u["Key"] == "mp"], [("mp", upload)])
    parts = [part(s3, bucket, "mp", upload, n, pieces[n - 1]) for n in (3, 1, 2)]
    parts.sort(key=lambda p: p["PartNumber"])
    absent(s3, bucket, "mp")
    found = s3.list_parts(Bucket=bucket, Key="mp", UploadId=upload)["Parts"]
    expect("ListParts", [(p["PartNumber"], p["Size"], p["ETag"]) for p in found],
           [(n, len(pieces[n - 1]), parts[n - 1]["ETag"]) for n in (1, 2, 3)])
    paged = s3.list_parts(Bucket=bucket, Key="mp", UploadId=upload, MaxParts=2)
    expect("ListParts in pages", (len(paged["Parts"]), paged["IsTruncated"]), (2, True))
    done = s3.complete_multipart_upload(Bucket=bucket, Key="mp", UploadId=upload, MultipartUpload={"Parts": parts})
    digest = hashlib.md5(b"".join(hashlib.md5(p).digest() for p in pieces)).hexdigest()
    expect("ETag", done["ETag"], f'"{digest}-3"')
    got = s3.get_object(Bucket=bucket, Key="mp")
    expect("body", got["Body"].read() == b"".join(pieces), True)
    expect("type and metadata", (got["ContentType"], got["Metadata"]), ("text/csv", {"k": "v"}))
    uploads = s3.list_multipart_uploads(Bucket=bucket).get("Uploads", [])
    expect("no upload left", [u for u in uploads if u["UploadId"] == upload], [])


def multipart_refusals(s3, bucket):
    upload = start(s3, bucket, "bad")
    small = [part(s3, bucket, "bad", upload, n, b"small") for n in (1, 2)]
    finish = dict(Bucket=bucket, Key="bad", UploadId=upload)
    refused(s3.complete_multipart_upload, "EntityTooSmall", 400, **finish, MultipartUpload={"Parts": small})
    large = [part(s3, bucket, "bad", upload, n, b"l" * PART_BYTES) for n in (3, 4)]
    refused(s3.complete_multipart_upload, "InvalidPartOrder", 400, **finish, MultipartUpload={"Parts": large[::-1]})
    wrong = [{"PartNumber": 1, "ETag": '"00000000000000000000000000000000"'}]
    refused(s3.complete_multipart_upload, "InvalidPart", 400, **finish, MultipartUpload={"Parts": wrong})
    missing = [{"PartNumber": 9, "ETag": small[0]["ETag"]}]
    refused(s3.complete_multipart_upload, "InvalidPart", 400, **finish, MultipartUpload={"Parts": missing})
    refused(s3.upload_part, "InvalidArgument", 400, **finish, PartNumber=10001, Body=b"x")
    s3.abort_multipart_upload(**finish)
    refused(s3.upload_part, "NoSuchUpload", 404, **finish, PartNumber=1, Body=b"x")
    refused(s3.list_parts, "NoSuchUpload", 404, **finish)
    absent(s3, bucket, "bad")
    s3.put_object(Bucket=bucket, Key="taken", Body=b"first")
    upload = start(s3, bucket, "taken")
    only = [part(s3, bucket, "taken", upload, 1, b"second")]
    refused(s3.complete_multipart_upload, "PreconditionFailed", 412, Bucket=bucket, Key="taken", UploadId=upload,
            MultipartUpload={"Parts": only}, IfNoneMatch="*")
    expect("kept", body_of(s3, bucket, "taken"), b"first")


def checksums_verified(s3, bucket):
    data = b"checked bytes"
    for algorithm in ("CRC32", "CRC32C", "CRC64NVME", "SHA256"):
        field, key = f"Checksum{algorithm}", f"sum/{algorithm}"
        right, wrong = encoded(algorithm, data), encoded(algorithm, b"other bytes")
        s3.put_object(Bucket=bucket, Key=key, Body=data, **{field: right})
        head = s3.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
        expect(f"stored {algorithm}", head.get(field), right)
        refused(s3.put_object, "BadDigest", 400, Bucket=bucket, Key=key + "-wrong", Body=data, **{field: wrong})
        absent(s3, bucket, key + "-wrong")
        refused(s3.put_object, "BadDigest", 400, Bucket=bucket, Key=key, Body=b"replaced", **{field: wrong})
        expect("not replaced", body_of(s3, bucket, key, ChecksumMode="ENABLED"), data)
        upload = start(s3, bucket, key, ChecksumAlgorithm=algorithm)
        refused(s3.upload_part, "BadDigest", 400, Bucket=bucket, Key=key, UploadId=upload, PartNumber=1, Body=data,
                **{field: wrong})
        s3.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload)
    md5 = base64.b64encode(hashlib.md5(b"other").digest()).decode()
    refused(s3.put_object, "BadDigest", 400, Bucket=bucket, Key="sum/md5", Body=data, ContentMD5=md5)
    absent(s3, bucket, "sum/md5")


def streamed_with_trailer(s3, bucket):
    """A body of unknown length goes in signed chunks with its checksum after it."""
    data = bytes(range(256)) * 1000

    class Stream:
        def __init__(self):
            self.place = 0

        def read(self, size=-1):
            end = len(data) if size is None or size < 0 else self.place + size
            piece, self.place = data[self.place:end], min(end, len(data))
            return piece

    s3.upload_fileobj(Stream(), bucket, "streamed")
    expect("body", body_of(s3, bucket, "streamed") == data, True)
    s3.put_object(Bucket=bucket, Key="trailer", Body=io.BytesIO(data), ChecksumAlgorithm="CRC32C")
    head = s3.head_object(Bucket=bucket, Key="trailer", ChecksumMode="ENABLED")
    expect("CRC32C from the trailer", head.get("ChecksumCRC32C"), encoded("CRC32C", data))


def signatures(s3, bucket, endpoint):
    s3.put_object(Bucket=bucket, Key="secret", Body=b"secret")
    target = {"Bucket": bucket, "Key": "secret"}
    wrong = endpoint.client("s3", aws_secret_access_key="wrong" * 8)
    refused(wrong.get_object, "SignatureDoesNotMatch", 403, **target)
    refused(wrong.put_object, "SignatureDoesNotMatch", 403, Body=b"x", **target)
    stranger = endpoint.client("s3", aws_access_key_id="AKIAXXXXXXXXXXXXXXXX")
    refused(stranger.get_object, "InvalidAccessKeyId", 403, **target)
    anonymous = endpoint.client("s3", config=Config(signature_version=UNSIGNED))
    refused(anonymous.get_object, "AccessDenied", 403, **target)
    signer = endpoint.client("s3", config=Config(signature_version="s3v4"))
    url = signer.generate_presigned_url("get_object", Params=target, ExpiresIn=60)
    with urllib.request.urlopen(url) as answer:
        expect("by a presigned URL", answer.read(), b"secret")
    put = signer.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "given é"}, ExpiresIn=60)
    with urllib.request.urlopen(urllib.request.Request(put, data=b"given", method="PUT", headers={"Content-Type": ""})):
        expect("put by a presigned URL", body_of(s3, bucket, "given é"), b"given")
    try:
        urllib.request.urlopen(url.replace("secret?", "other?"))
    except urllib.error.HTTPError as error:
        expect("a presigned URL for another key", error.code, 403)
    else:
        raise AssertionError("a presigned URL was accepted for another key")
    expect("untouched", body_of(s3, bucket, "secret"), b"secret")


def kept_objects():
    objects = {f"kept/{key}": key.encode() * 3 for key in ODD_KEYS}
    objects["kept/multipart"] = b"m" * PART_BYTES + b"end"
    return objects


def keep(s3, bucket):
    s3.create_bucket(Bucket=bucket)
    for key, data in kept_objects().items():
        if key != "kept/multipart":
            s3.put_object(Bucket=bucket, Key=key, Body=data, ContentType="text/csv", ChecksumAlgorithm="CRC32C")
    upload = start(s3, bucket, "kept/multipart")
    parts = [part(s3, bucket, "kept/multipart", upload, 1, b"m" * PART_BYTES),
             part(s3, bucket, "kept/multipart", upload, 2, b"end")]
    s3.complete_multipart_upload(Bucket=bucket, Key="kept/multipart", UploadId=upload, MultipartUpload={"Parts": parts})
    part(s3, bucket, "open", start(s3, bucket, "open"), 1, b"o" * PART_BYTES)


def kept(s3, bucket):
    for key, data in kept_objects().items():
        expect(f"body of {key!r}", body_of(s3, bucket, key, ChecksumMode="ENABLED") == data, True)
    listed = [o["Key"] for o in s3.list_objects_v2(Bucket=bucket)["Contents"]]
    expect("keys", listed, sorted(kept_objects(), key=str.encode))
    head = s3.head_object(Bucket=bucket, Key="kept/plain", ChecksumMode="ENABLED")
    expect("type", head["ContentType"], "text/csv")
    expect("checksum", head.get("ChecksumCRC32C"), encoded("CRC32C", kept_objects()["kept/plain"]))
    upload = s3.list_multipart_uploads(Bucket=bucket)["Uploads"][0]
    expect("the open upload", upload["Key"], "open")
    parts = [part(s3, bucket, "open", upload["UploadId"], 2, b"end")]
    found = s3.list_parts(Bucket=bucket, Key="open", UploadId=upload["UploadId"])["Parts"]
    parts.insert(0, {"PartNumber": 1, "ETag": found[0]["ETag"]})
    s3.complete_multipart_upload(Bucket=bucket, Key="open", UploadId=upload["UploadId"],
                                 MultipartUpload={"Parts": parts})
    expect("completed after the restart", body_of(s3, bucket, "open") == b"o" * PART_BYTES + b"end", True)


def main():
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
        sys.exit(__doc__)
    endpoint, rest = Endpoint(sys.argv[1]), sys.argv[2:]
    s3 = endpoint.client("s3")
    if rest[:1] == ["--keep"] or rest[:1] == ["--kept"]:
        return run_checks([({"--keep": keep, "--kept": kept}[rest[0]], s3, rest[1])])
    bucket = unique("judge")
    s3.create_bucket(Bucket=bucket)
    checks = [buckets, put_get_head_delete, odd_keys, ranges, conditional_reads, conditional_writes, one_writer_wins,
              copies, listing, multipart, multipart_refusals, checksums_verified, streamed_with_trailer]
    run_checks([(check, s3, bucket) for check in checks] + [(signatures, s3, bucket, endpoint)], rest)


if __name__ == "__main__":
    main()
