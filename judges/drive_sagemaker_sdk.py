#!/usr/bin/env python3
"""Runs a transform job through the SageMaker Python SDK, as a user would, on the emulator.

    drive_sagemaker_sdk.py ENDPOINT.json

The SDK is told nothing but the environment: AWS_ENDPOINT_URL and the throwaway keys. It creates
the model, starts the job with `Transformer`, waits, and prints its log. Exits 1 if one is wrong.
"""

import contextlib
import io
import os
import sys
import tempfile
import time
from unittest import mock

from endpoint import Endpoint, expect, run_checks, unique
from transform_input import check_scores, csv_of, model_archive, sample

# The SDK reports its use to AWS unless told not to: here no call leaves the machine.
CONFIG = "SchemaVersion: '1.0'\nSageMaker: {PythonSDK: {Modules: {TelemetryOptOut: true}}}\n"


def session():
    # Imported late: the SDK reads the environment when it is imported.
    import boto3
    import sagemaker
    return sagemaker.Session(boto_session=boto3.Session())


def transformer(endpoint):
    from sagemaker.model import Model
    from sagemaker.transformer import Transformer
    sdk, bucket, name = session(), unique("sdk"), unique("sdk-model")
    s3 = sdk.boto_session.client("s3")
    rows, scores = sample()
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="model.tar.gz", Body=model_archive())
    s3.put_object(Bucket=bucket, Key="in/x.csv", Body=csv_of(rows))
    model = Model(image_uri="gristmill.local/onnx", model_data=f"s3://{bucket}/model.tar.gz", name=name,
                  role=f"arn:aws:iam::{endpoint.account}:role/any", sagemaker_session=sdk)
    model.create()
    runs = Transformer(model_name=name, instance_count=1, instance_type="ml.m5.large", strategy="MultiRecord",
                       assemble_with="Line", accept="text/csv", output_path=f"s3://{bucket}/out",
                       max_concurrent_transforms=2, max_payload=6, sagemaker_session=sdk)
    printed, pause = io.StringIO(), time.sleep
    # The SDK asks every 10 seconds; a job here is over sooner.
    with contextlib.redirect_stdout(printed), mock.patch("time.sleep", lambda seconds: pause(min(seconds, 0.3))):
        runs.transform(f"s3://{bucket}/in/", content_type="text/csv", split_type="Line", job_name=unique("sdk"),
                       wait=True, logs=True)
    expect("the SDK printed the job's log", bool(printed.getvalue().strip(". \n")), True)
    data = s3.get_object(Bucket=bucket, Key="out/x.csv.out")["Body"].read()
    check_scores("x.csv.out", data, scores)
    again = Transformer.attach(runs.latest_transform_job.name, sagemaker_session=sdk)
    expect("attached", again.output_path, f"s3://{bucket}/out")


def main():
    if len(sys.argv) != 2 or sys.argv[1] in ("-h", "--help"):
        sys.exit(__doc__)
    endpoint = Endpoint(sys.argv[1])
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as config:
        config.write(CONFIG)
        config.flush()
        os.environ.update(endpoint.environment())
        os.environ.update({"SAGEMAKER_SUPPRESS_V2_WARNING": "1", "SAGEMAKER_USER_CONFIG_OVERRIDE": config.name})
        run_checks([(transformer, endpoint)])


if __name__ == "__main__":
    main()
