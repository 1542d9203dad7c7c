#!/usr/bin/env python3
"""Starts a transform job that does not end by itself, and returns while it is under way.

    leave_running.py ENDPOINT.json COMMAND

COMMAND is run by a shell as the model's container (`container.py` with ANSWER=slow:600 would do); its
working folder is the emulator's.
"""

import sys

from endpoint import Endpoint, expect, unique


def main():
    if len(sys.argv) != 3 or sys.argv[1] in ("-h", "--help"):
        sys.exit(__doc__)
    endpoint, name = Endpoint(sys.argv[1]), unique("endless")
    s3, sagemaker = endpoint.client("s3"), endpoint.client("sagemaker")
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key="in/x.csv", Body=b"1\n")
    container = {"Image": "gristmill.local/command",
                 "Environment": {"GRISTMILL_COMMAND": sys.argv[2], "ANSWER": "slow:600"}}
    sagemaker.create_model(ModelName=name, ExecutionRoleArn=f"arn:aws:iam::{endpoint.account}:role/any",
                           PrimaryContainer=container)
    sagemaker.create_transform_job(
        TransformJobName=name, ModelName=name,
        TransformInput={"DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{name}/in/"}}},
        TransformOutput={"S3OutputPath": f"s3://{name}/out/"},
        TransformResources={"InstanceType": "ml.m5.large", "InstanceCount": 1})
    job = sagemaker.describe_transform_job(TransformJobName=name)
    expect("status", job["TransformJobStatus"], "InProgress")
    print(name)


if __name__ == "__main__":
    main()
