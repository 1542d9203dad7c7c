#!/usr/bin/env python3
"""Runs a transform job by Airflow's SageMakerTransformOperator, as a task would, on the emulator.

    drive_airflow.py ENDPOINT.json

The operator is told nothing but the environment: AWS_ENDPOINT_URL and the throwaway keys. It makes
the model, starts the job, waits and returns both descriptions; a second task finds the names taken and
takes others; a third, of a job that must fail, fails. Needs the packages of requirements-airflow.txt,
which do not go together with those of the other judges. Exits 1 if one is wrong.
"""

import os
import sys
import tempfile

from endpoint import Endpoint, expect, run_checks, unique
from transform_input import check_scores, csv_of, model_archive, sample


def environment(endpoint, folder):
    """Airflow reads all this when it is imported, and keeps its own state in AIRFLOW_HOME."""
    os.environ.update(endpoint.environment())
    os.environ.update({
        "AIRFLOW_HOME": folder,
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
    })


class Tasks:
    """A bucket with rows and a model, and operators over them."""

    def __init__(self, endpoint):
        self.s3, self.bucket = endpoint.client("s3"), unique("airflow")
        self.role = f"arn:aws:iam::{endpoint.account}:role/any"
        self.rows, self.scores = sample()
        self.s3.create_bucket(Bucket=self.bucket)
        self.put("model.tar.gz", model_archive())
        self.put("in/x.csv", csv_of(self.rows))

    def put(self, key, body):
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=body)

    def get(self, key):
        return self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()

    def config(self, name, source, output):
        """The numbers are texts, as templates make them; the operator turns them into numbers."""
        return {
            "Model": {"ModelName": name, "ExecutionRoleArn": self.role, "PrimaryContainer": {
                "Image": "gristmill.local/onnx", "ModelDataUrl": f"s3://{self.bucket}/model.tar.gz"}},
            "Transform": {
                "TransformJobName": name, "ModelName": name, "BatchStrategy": "MultiRecord",
                "MaxPayloadInMB": "6", "MaxConcurrentTransforms": "2",
                "ModelClientConfig": {"InvocationsTimeoutInSeconds": 60, "InvocationsMaxRetries": 0},
                "TransformInput": {"ContentType": "text/csv", "SplitType": "Line", "DataSource": {
                    "S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{self.bucket}/{source}/"}}},
                "TransformOutput": {"S3OutputPath": f"s3://{self.bucket}/{output}", "Accept": "text/csv",
                                    "AssembleWith": "Line"},
                "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": "1"},
            },
        }

    def run(self, config):
        from airflow.providers.amazon.aws.operators.sagemaker import SageMakerTransformOperator
        # Links and results are kept in Airflow's database, which is not there.
        task = SageMakerTransformOperator(task_id="score", config=config, aws_conn_id=None,
                                          check_interval=1, do_xcom_push=False)
        return task.execute({})


def completes(tasks):
    name = unique("airflow-job")
    said = tasks.run(tasks.config(name, "in", "out"))
    expect("status", said["Transform"]["TransformJobStatus"], "Completed")
    expect("job", said["Transform"]["TransformJobName"], name)
    expect("model", said["Model"]["ModelName"], name)
    check_scores("x.csv.out", tasks.get("out/x.csv.out"), tasks.scores)
    again = tasks.run(tasks.config(name, "in", "again"))
    other = again["Transform"]["TransformJobName"]
    expect("another name", other != name and other.startswith(f"{name}-"), True)
    check_scores("x.csv.out", tasks.get("again/x.csv.out"), tasks.scores)


def fails(tasks):
    tasks.put("bad/x.csv", b"no,row,of,this,model\n")
    try:
        tasks.run(tasks.config(unique("airflow-job"), "bad", "none"))
    except Exception as error:  # of a class that depends on Airflow's version
        expect("reason", "See job logs for more information" in str(error), True)
    else:
        raise AssertionError("the task succeeded, but its job failed")


def main():
    if len(sys.argv) != 2 or sys.argv[1] in ("-h", "--help"):
        sys.exit(__doc__)
    endpoint = Endpoint(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        environment(endpoint, folder)
        tasks = Tasks(endpoint)
        run_checks([(completes, tasks), (fails, tasks)])


if __name__ == "__main__":
    main()
