#!/usr/bin/env python3
"""Drives the emulator's SageMaker with boto3: models, transform jobs, their limits and refusals.

    drive_sagemaker_boto3.py ENDPOINT.json [CHECK …]

Runs all checks, or those named. Exits 1 if one is wrong.
"""

import gzip
import json
import shlex
import sys
import time
from pathlib import Path

from botocore.config import Config

from endpoint import Endpoint, expect, refused, run_checks, unique
from transform_input import check_scores, csv_of, model_archive, sample

CONTAINER = Path(__file__).resolve().parent / "container.py"
GIVE_UP_SECONDS = 120
LOG_GROUP = "/aws/sagemaker/TransformJobs"


class Stage:
    """A bucket, the fixture model under a name, and the clients."""

    def __init__(self, endpoint):
        self.endpoint = endpoint
        self.s3 = endpoint.client("s3")
        self.sm = endpoint.client("sagemaker")
        unchecked = Config(retries={"total_max_attempts": 1}, parameter_validation=False)
        self.unchecked = endpoint.client("sagemaker", config=unchecked)
        self.logs = endpoint.client("logs")
        self.bucket, self.model = unique("judge"), unique("flights-late")
        self.role = f"arn:aws:iam::{endpoint.account}:role/any"
        self.s3.create_bucket(Bucket=self.bucket)
        self.s3.put_object(Bucket=self.bucket, Key="model.tar.gz", Body=model_archive())
        self.create_model(self.model)

    def uri(self, key):
        return f"s3://{self.bucket}/{key}"

    def create_model(self, name):
        return self.sm.create_model(ModelName=name, ExecutionRoleArn=self.role, PrimaryContainer={
            "Image": "gristmill.local/onnx", "ModelDataUrl": self.uri("model.tar.gz")})

    def container(self, answer):
        """A model that answers as `container.py` is told to."""
        name = unique("container")
        command = shlex.join([sys.executable, str(CONTAINER)])
        self.sm.create_model(ModelName=name, ExecutionRoleArn=self.role, PrimaryContainer={
            "Image": "gristmill.local/command",
            "Environment": {"GRISTMILL_COMMAND": command, "ANSWER": answer, "OWN": "model", "BOTH": "model"}})
        return name

    def put(self, folder, files):
        for name, data in files.items():
            self.s3.put_object(Bucket=self.bucket, Key=f"{folder}/{name}", Body=data)

    def request(self, name, **changes):
        """A whole request, reading in/NAME/ and writing out/NAME/; `changes` replace members."""
        request = {
            "TransformJobName": name,
            "ModelName": self.model,
            "BatchStrategy": "MultiRecord",
            "TransformInput": {
                "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": self.uri(f"in/{name}/")}},
                "ContentType": "text/csv", "CompressionType": "None", "SplitType": "Line"},
            "TransformOutput": {"S3OutputPath": self.uri(f"out/{name}/"), "Accept": "text/csv",
                                "AssembleWith": "Line"},
            "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
            "ModelClientConfig": {"InvocationsTimeoutInSeconds": 60, "InvocationsMaxRetries": 0},
        }
        for key, value in changes.items():
            request[key] = {**request[key], **value} if isinstance(request.get(key), dict) else value
        return request

    def wait(self, name, wanted="Completed"):
        """The job, once it is over; `None` wants any end."""
        end = time.monotonic() + GIVE_UP_SECONDS
        while time.monotonic() < end:
            job = self.sm.describe_transform_job(TransformJobName=name)
            if job["TransformJobStatus"] not in ("InProgress", "Stopping"):
                if wanted is not None:
                    expect(f"{name} ({job.get('FailureReason')})", job["TransformJobStatus"], wanted)
                return job
            time.sleep(0.2)
        raise AssertionError(f"{name} is not over after {GIVE_UP_SECONDS} s")

    def run(self, name, files, wanted="Completed", **changes):
        self.put(f"in/{name}", files)
        self.sm.create_transform_job(**self.request(name, **changes))
        return self.wait(name, wanted)

    def outputs(self, name):
        listed = self.s3.list_objects_v2(Bucket=self.bucket, Prefix=f"out/{name}/").get("Contents", [])
        start = len(f"out/{name}/")
        return {o["Key"][start:]: self.s3.get_object(Bucket=self.bucket, Key=o["Key"])["Body"].read() for o in listed}


def models(stage):
    name = unique("model")
    arn = stage.create_model(name)["ModelArn"]
    expect("ARN", arn, f"arn:aws:sagemaker:{stage.endpoint.region}:{stage.endpoint.account}:model/{name}")
    found = stage.sm.describe_model(ModelName=name)
    expect("name and role", (found["ModelName"], found["ExecutionRoleArn"]), (name, stage.role))
    expect("image", found["PrimaryContainer"]["Image"], "gristmill.local/onnx")
    expect("model data", found["PrimaryContainer"]["ModelDataUrl"], stage.uri("model.tar.gz"))
    refused(stage.create_model, {"ValidationException", "ResourceInUse"}, 400, name=name)
    stage.sm.delete_model(ModelName=name)
    refused(stage.sm.describe_model, "ValidationException", 400, "Could not find", ModelName=name)
    refused(stage.sm.delete_model, "ValidationException", 400, "Could not find", ModelName=name)
    refused(stage.create_model, "ValidationException", 400, name="under_score")


def a_job(stage):
    rows, scores = sample()
    name = unique("job")
    cuts = [(0, 100), (100, 101), (101, len(rows))]
    files = {f"shard-{n:05}.csv": csv_of(rows[a:b]) for n, (a, b) in enumerate(cuts)}
    stage.put(f"in/{name}", files)
    request = stage.request(name, MaxConcurrentTransforms=2, MaxPayloadInMB=6,
                            Environment={"WHAT": "ever"}, Tags=[{"Key": "a", "Value": "b"}])
    arn = stage.sm.create_transform_job(**request)["TransformJobArn"]
    expect("ARN", arn, f"arn:aws:sagemaker:{stage.endpoint.region}:{stage.endpoint.account}:transform-job/{name}")
    job = stage.wait(name)
    for key in request:
        if key != "Tags":
            found = job[key]
            if isinstance(found, dict):
                found = {k: found[k] for k in request[key]}
            expect(f"{key} as given", found, request[key])
    expect("times in order", job["CreationTime"] <= job["TransformStartTime"] <= job["TransformEndTime"], True)
    outputs = stage.outputs(name)
    expect("outputs", sorted(outputs), [f"{f}.out" for f in sorted(files)])
    for n, (a, b) in enumerate(cuts):
        check_scores(f"shard {n}", outputs[f"shard-{n:05}.csv.out"], scores[a:b])


def order_over_many_requests(stage):
    """Over 3 MB in requests of at most 1 MB, several at once to each of two instances."""
    rows, scores = sample()
    times = 3_500_000 // len(csv_of(rows))
    name = unique("order")
    stage.run(name, {"big.csv": csv_of(rows * times), "last.csv": csv_of(rows[:7]).removesuffix(b"\n")},
              MaxPayloadInMB=1, MaxConcurrentTransforms=4,
              TransformResources={"InstanceType": "ml.m5.large", "InstanceCount": 2})
    outputs = stage.outputs(name)
    check_scores("big.csv.out", outputs["big.csv.out"], scores * times)
    check_scores("last.csv.out", outputs["last.csv.out"], scores[:7])


def single_record(stage):
    rows, scores = sample()
    name = unique("single")
    stage.run(name, {"x.csv": csv_of(rows[:40])}, BatchStrategy="SingleRecord")
    check_scores("x.csv.out", stage.outputs(name)["x.csv.out"], scores[:40])


def gzip_input(stage):
    rows, scores = sample()
    name = unique("gzip")
    stage.run(name, {"x.csv.gz": gzip.compress(csv_of(rows))}, TransformInput={"CompressionType": "Gzip"})
    check_scores("x.csv.gz.out", stage.outputs(name)["x.csv.gz.out"], scores)


def whole_objects(stage):
    rows, scores = sample()
    name = unique("whole")
    request = stage.request(name, TransformInput={"SplitType": "None"}, TransformOutput={"AssembleWith": "None"})
    del request["BatchStrategy"]
    stage.put(f"in/{name}", {"x.csv": csv_of(rows)})
    stage.sm.create_transform_job(**request)
    stage.wait(name)
    check_scores("x.csv.out", stage.outputs(name)["x.csv.out"], scores)


def manifest(stage):
    rows, scores = sample()
    name = unique("manifest")
    stage.put(f"in/{name}", {"a.csv": csv_of(rows[:5]), "b.csv": csv_of(rows[5:9]), "c.csv": b"not,listed\n"})
    listed = [{"prefix": stage.uri(f"in/{name}/")}, "b.csv", "a.csv"]
    stage.put(f"manifests/{name}", {"m.json": json.dumps(listed).encode()})
    source = {"S3DataSource": {"S3DataType": "ManifestFile", "S3Uri": stage.uri(f"manifests/{name}/m.json")}}
    stage.sm.create_transform_job(**stage.request(name, TransformInput={"DataSource": source}))
    stage.wait(name)
    outputs = stage.outputs(name)
    by_name = {key.rsplit("/", 1)[-1]: data for key, data in outputs.items()}
    expect("outputs", sorted(by_name), ["a.csv.out", "b.csv.out"])
    check_scores("a.csv.out", by_name["a.csv.out"], scores[:5])
    check_scores("b.csv.out", by_name["b.csv.out"], scores[5:9])


def prefix_is_literal(stage):
    rows, _ = sample()
    name = unique("literal")
    stage.put("in", {f"{name}.csv": csv_of(rows[:2]), f"{name}-old.csv": csv_of(rows[:3]), f"x{name}": b"no"})
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": stage.uri(f"in/{name}")}}
    stage.sm.create_transform_job(**stage.request(name, TransformInput={"DataSource": source}))
    stage.wait(name)
    expect("number of outputs", len(stage.outputs(name)), 2)


def failed_file(stage):
    rows, scores = sample()
    name = unique("failed")
    job = stage.run(name, {"a.csv": csv_of(rows[:4]), "b.csv": b"1,2,three\n", "c.csv": csv_of(rows[4:8])},
                    wanted="Failed", MaxConcurrentTransforms=1)
    expect("a reason", bool(job["FailureReason"]), True)
    outputs = stage.outputs(name)
    expect("outputs of the others", sorted(outputs), ["a.csv.out", "c.csv.out"])
    check_scores("c.csv.out", outputs["c.csv.out"], scores[4:8])
    streams = stage.logs.describe_log_streams(logGroupName=LOG_GROUP, logStreamNamePrefix=f"{name}/")["logStreams"]
    text = "\n".join(event["message"] for stream in streams for event in stage.logs.get_log_events(
        logGroupName=LOG_GROUP, logStreamName=stream["logStreamName"], startFromHead=True)["events"])
    expect(f"the log names the file: {text}", f"in/{name}/b.csv" in text, True)


def retries_and_timeouts(stage):
    data = {"x.csv": b"1,2\n3,4\n"}

    def limits(timeout, retries):
        return {"InvocationsTimeoutInSeconds": timeout, "InvocationsMaxRetries": retries}
    flaky, slow, refuses = stage.container("flaky:1"), stage.container("slow:5"), stage.container("status:500")
    name = unique("flaky")
    stage.run(name, data, ModelName=flaky, ModelClientConfig=limits(60, 1))
    expect("after one retry", stage.outputs(name), {"x.csv.out": b"3.0\n7.0\n"})
    stage.run(unique("flaky"), data, "Failed", ModelName=flaky, ModelClientConfig=limits(60, 0))
    stage.run(unique("slow"), data, "Failed", ModelName=slow, ModelClientConfig=limits(1, 0))
    name = unique("refuses")
    job = stage.run(name, data, "Failed", ModelName=refuses, ModelClientConfig=limits(60, 1))
    expect("no output", stage.outputs(name), {})
    expect("a reason", bool(job["FailureReason"]), True)


def container_environment(stage):
    name = unique("env")
    stage.run(name, {"x.csv": b"1\n"}, ModelName=stage.container("env"), MaxConcurrentTransforms=3, MaxPayloadInMB=7,
              Environment={"BOTH": "job", "JOB": "job"})
    told = json.loads(stage.outputs(name)["x.csv.out"])
    environment, headers = told["environment"], {k.lower(): v for k, v in told["headers"].items()}
    expect("the job's environment over the model's", [environment.get(k) for k in ("OWN", "BOTH", "JOB")],
           ["model", "job", "job"])
    expect("documented variables", [environment.get(k) for k in (
        "SAGEMAKER_BATCH", "SAGEMAKER_MAX_PAYLOAD_IN_MB", "SAGEMAKER_BATCH_STRATEGY",
        "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS")], ["true", "7", "MULTI_RECORD", "3"])
    expect("headers", (headers.get("content-type"), headers.get("accept")), ("text/csv", "text/csv"))
    expect("no credentials", [k for k in environment if k.startswith("AWS_") and "KEY" in k], [])


def stop(stage):
    name = unique("stop")
    stage.put(f"in/{name}", {"x.csv": b"1\n"})
    stage.sm.create_transform_job(**stage.request(name, ModelName=stage.container("slow:50")))
    job = stage.sm.describe_transform_job(TransformJobName=name)
    expect("status at first", job["TransformJobStatus"], "InProgress")
    stage.sm.stop_transform_job(TransformJobName=name)
    stage.wait(name, "Stopped")
    expect("no output", stage.outputs(name), {})
    refused(stage.sm.stop_transform_job, {"ValidationException", "ResourceNotFound"}, 400,
            TransformJobName=unique("none"))


def names_and_models(stage):
    create = stage.unchecked.create_transform_job
    for bad in ("-bad", "bad-", "under_score", "dot.ted", "a" * 64, "", "slash/ed"):
        refused(create, "ValidationException", 400, **stage.request(bad))
    for good in ("a" * 53 + unique("")[:10], "A1" + unique("")):
        stage.put(f"in/{good}", {"x.csv": csv_of(sample()[0][:1])})
        stage.sm.create_transform_job(**stage.request(good))
        stage.wait(good)
    refused(create, "ValidationException", 400, "Could not find model", **stage.request(unique("j"), ModelName="none"))
    name = unique("twice")
    stage.run(name, {"x.csv": csv_of(sample()[0][:1])})
    refused(create, "ResourceInUse", 400, **stage.request(name))
    refused(stage.sm.describe_transform_job, {"ValidationException", "ResourceNotFound"}, 400,
            TransformJobName=unique("none"))


def data_processing(stage):
    """Ids that the model does not get come back beside its answers."""
    rows, scores = sample()
    rows, scores = rows[:50], scores[:50]
    name = unique("joined")
    stage.run(name, {"x.csv": csv_of([f'"id, {n}",{row}' for n, row in enumerate(rows)])},
              DataProcessing={"InputFilter": "$[1:]", "JoinSource": "Input", "OutputFilter": "$[0,-1]"})
    lines = stage.outputs(name)["x.csv.out"].decode().splitlines()
    ids = [line.rsplit(",", 1)[0] for line in lines]
    expect("ids", ids, [f'"id, {n}"' for n in range(len(rows))])
    check_scores("joined", csv_of([line.rsplit(",", 1)[1] for line in lines]), scores)
    name = unique("mixed")
    stage.run(name, {"x.csv": csv_of(rows)}, "Failed", DataProcessing={"InputFilter": "$[0:2,4:]"})
    expect("no output", stage.outputs(name), {})


def limits(stage):
    create = stage.unchecked.create_transform_job

    def refuse(**changes):
        name = unique("limit")
        refused(create, "ValidationException", 400, **stage.request(name, **changes))
        refused(stage.sm.describe_transform_job, {"ValidationException", "ResourceNotFound"}, TransformJobName=name)

    refuse(MaxConcurrentTransforms=17, MaxPayloadInMB=6)
    refuse(MaxConcurrentTransforms=2, MaxPayloadInMB=51)
    refuse(MaxPayloadInMB=101)
    refuse(MaxPayloadInMB=-1)
    refuse(MaxConcurrentTransforms=-1)
    refuse(BatchStrategy="Many")
    refuse(BatchStrategy="MULTI_RECORD")
    refuse(TransformInput={"SplitType": "Lines"})
    refuse(TransformInput={"CompressionType": "Snappy"})
    refuse(TransformOutput={"AssembleWith": "Comma"})
    refuse(TransformOutput={"S3OutputPath": "file:///out"})
    refuse(TransformOutput={"S3OutputPath": "s3://b/" + "k" * 1024})
    refuse(ModelClientConfig={"InvocationsMaxRetries": 4})
    refuse(ModelClientConfig={"InvocationsTimeoutInSeconds": 0})
    refuse(ModelClientConfig={"InvocationsTimeoutInSeconds": 3601})
    refuse(TransformResources={"InstanceCount": 0})
    refuse(TransformResources={"InstanceCount": 101})
    refuse(TransformResources={"InstanceType": "m5.large"})
    refuse(Environment={f"K{n}": "v" for n in range(17)})
    refuse(Environment={"1st": "v"})
    refuse(Tags=[{"Key": f"k{n}", "Value": "v"} for n in range(51)])
    refuse(TransformInput={"DataSource": {"S3DataSource": {"S3DataType": "AugmentedManifestFile", "S3Uri": "s3://b/k"}}})
    for member in ("TransformJobName", "ModelName", "TransformInput", "TransformOutput", "TransformResources"):
        request = stage.request(unique("lacks"))
        del request[member]
        refused(create, "ValidationException", 400, "must not be null", **request)
    refuse(TransformInput={"DataSource": {"S3DataSource": {"S3DataType": "S3Prefix"}}})
    refuse(DataProcessing={"OutputFilter": "$[" + "1," * 31 + "1]"})
    refuse(DataProcessing={"JoinSource": "Output"})
    refuse(DataProcessing={"JoinSource": "Input"}, TransformOutput={"Accept": "application/json"})
    refuse(DataProcessing={"JoinSource": "Input"}, TransformOutput={"AssembleWith": "None"})
    name = unique("most")
    stage.run(name, {"x.csv": csv_of(sample()[0][:3])}, MaxConcurrentTransforms=16, MaxPayloadInMB=6)


def lists(stage):
    tag = unique("l")
    names = [f"{tag}-{n}" for n in range(5)]
    for name in names:
        stage.run(name, {"x.csv": csv_of(sample()[0][:1])})
    failed = f"{tag}-failed"
    stage.run(failed, {"x.csv": b"no numbers\n"}, "Failed")

    def found(**how):
        pages = stage.sm.get_paginator("list_transform_jobs").paginate(NameContains=tag, **how)
        return [job["TransformJobName"] for page in pages for job in page["TransformJobSummaries"]]
    expect("newest first", found(), [failed, *reversed(names)])
    expect("by time, oldest first", found(SortBy="CreationTime", SortOrder="Ascending"), [*names, failed])
    expect("by name", found(SortBy="Name", SortOrder="Ascending"), sorted([*names, failed]))
    expect("by status", found(StatusEquals="Failed"), [failed])
    expect("in pages of 2", found(PaginationConfig={"PageSize": 2}), [failed, *reversed(names)])
    page = stage.sm.list_transform_jobs(NameContains=tag, MaxResults=4)
    expect("a page", (len(page["TransformJobSummaries"]), bool(page.get("NextToken"))), (4, True))
    one = page["TransformJobSummaries"][-1]
    expect("a summary", (one["TransformJobStatus"], one["TransformJobArn"].rsplit("/", 1)[1]),
           ("Completed", one["TransformJobName"]))
    refused(stage.unchecked.list_transform_jobs, "ValidationException", 400, MaxResults=101)


def signature(stage):
    wrong = stage.endpoint.client("sagemaker", aws_secret_access_key="wrong" * 8)
    refused(wrong.list_transform_jobs, {"InvalidSignatureException", "SignatureDoesNotMatch"})
    stranger = stage.endpoint.client("sagemaker", aws_access_key_id="AKIAXXXXXXXXXXXXXXXX")
    refused(stranger.list_transform_jobs, {"UnrecognizedClientException", "InvalidClientTokenId"})


def main():
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
        sys.exit(__doc__)
    stage = Stage(Endpoint(sys.argv[1]))
    checks = [models, a_job, order_over_many_requests, single_record, gzip_input, whole_objects, manifest,
              prefix_is_literal, failed_file, retries_and_timeouts, container_environment, stop, data_processing,
              names_and_models, limits, lists, signature]
    run_checks([(check, stage) for check in checks], sys.argv[2:])


if __name__ == "__main__":
    main()
