#!/usr/bin/env python3
"""Which filters of CSV the emulator runs.

    drive_filters_boto3.py ENDPOINT.json FILTERS.json

FILTERS.json is a list of output filters. Each is given to a job that joins rows of two cells with an
answer of one. Prints a JSON list: whether each job was completed.
"""

import json
import sys

from drive_sagemaker_boto3 import Stage
from endpoint import Endpoint, unique


def main(endpoint, filters):
    stage = Stage(Endpoint(endpoint))
    model = stage.container("sum")
    with open(filters, encoding="utf-8") as file:
        filters = json.load(file)
    names = [unique("filtered") for _ in filters]
    for name, path in zip(names, filters):
        stage.put(f"in/{name}", {"x.csv": b"1,2\n3,4\n"})
        stage.sm.create_transform_job(**stage.request(name, ModelName=model, DataProcessing={
            "OutputFilter": path, "JoinSource": "Input"}))
    ended = [stage.wait(name, None) for name in names]
    print(json.dumps([job["TransformJobStatus"] == "Completed" for job in ended]))


if __name__ == "__main__":
    main(*sys.argv[1:])
