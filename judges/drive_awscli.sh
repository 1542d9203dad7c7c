#!/usr/bin/env bash
# Drives the emulator with the AWS CLI (v1): S3 and a transform job, from model to scores.
#
#     drive_awscli.sh ENDPOINT.json
#
# Uses the `aws` and `python` beside the Python in GRISTMILL_PYTHON, else those on the PATH.
set -euo pipefail

if [[ $# -ne 1 ]]; then
  sed -n '2,6s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi
judges=$(cd "$(dirname "$0")" && pwd)
if [[ -n ${GRISTMILL_PYTHON:-} ]]; then
  PATH=$(dirname "$GRISTMILL_PYTHON"):$PATH
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

wrong() {
  echo "WRONG   $*" >&2
  exit 1
}

same() { # what, found, expected
  [[ $2 == "$3" ]] || wrong "$1: expected '$3', found '$2'"
  echo "ok      $1"
}

eval "$(PYTHONPATH=$judges python - "$1" <<'PYTHON'
import shlex, sys
from endpoint import Endpoint
for name, value in Endpoint(sys.argv[1]).environment().items():
    print(f"export {name}={shlex.quote(value)}")
PYTHON
)"
export AWS_PAGER=''
account=$(python -c 'import json, sys; print(json.load(open(sys.argv[1]))["account"])' "$1")
tag=cli-$$-$RANDOM
bucket=$tag

PYTHONPATH=$judges python - "$work" <<'PYTHON'
import pathlib, sys
from transform_input import csv_of, model_archive, sample
work = pathlib.Path(sys.argv[1])
rows, _ = sample()
(work / "in").mkdir()
(work / "model.tar.gz").write_bytes(model_archive())
(work / "in" / "a.csv").write_bytes(csv_of(rows[:200]))
(work / "in" / "b.csv").write_bytes(csv_of(rows[200:]))
(work / "big").write_bytes(bytes(range(256)) * 80_000)
PYTHON

aws s3 mb "s3://$bucket" > /dev/null
aws s3 cp --quiet "$work/model.tar.gz" "s3://$bucket/model.tar.gz"
aws s3 sync --quiet "$work/in" "s3://$bucket/in"
same "s3 ls" "$(aws s3 ls "s3://$bucket/in/" | awk '{print $4}' | xargs)" "a.csv b.csv"
aws s3 cp --quiet "$work/big" "s3://$bucket/big" # 20 MB: in parts
aws s3 cp --quiet "s3://$bucket/big" "$work/big.back"
cmp "$work/big" "$work/big.back" || wrong "a file of 20 MB does not come back"
same "s3api head-object" "$(aws s3api head-object --bucket "$bucket" --key big --query ContentLength)" 20480000
upload=$(aws s3api create-multipart-upload --bucket "$bucket" --key parts --query UploadId --output text)
part=(--bucket "$bucket" --key parts --upload-id "$upload" --part-number 1)
etag=$(aws s3api upload-part "${part[@]}" --body "$work/in/a.csv" --query ETag --output text)
aws s3api complete-multipart-upload --bucket "$bucket" --key parts --upload-id "$upload" \
  --multipart-upload "Parts=[{ETag=$etag,PartNumber=1}]" > /dev/null
same "s3api multipart" "$(aws s3 cp --quiet "s3://$bucket/parts" - | cksum)" "$(cksum < "$work/in/a.csv")"
aws s3 rm --quiet "s3://$bucket/parts"
aws s3 mv --quiet "s3://$bucket/big" "s3://$bucket/moved/big"
same "s3 mv" "$(aws s3 ls --recursive "s3://$bucket/" | awk '{print $4}' | xargs)" "in/a.csv in/b.csv model.tar.gz moved/big"
PYTHONPATH=$judges python - "$1" "$bucket" <<'PYTHON'
import sys
from concurrent.futures import ThreadPoolExecutor
from endpoint import Endpoint
s3 = Endpoint(sys.argv[1]).client("s3")
with ThreadPoolExecutor(16) as pool:
    list(pool.map(lambda n: s3.put_object(Bucket=sys.argv[2], Key=f"moved/{n:04}", Body=b"x"), range(1004)))
PYTHON
same "s3 ls of more than a page" "$(aws s3 ls "s3://$bucket/moved/" | wc -l)" 1005
aws s3 rm --quiet --recursive "s3://$bucket/moved/"
same "s3 rm" "$(aws s3api list-objects-v2 --bucket "$bucket" --prefix moved/ \
  --query 'length(Contents || `[]`)')" 0
if AWS_SECRET_ACCESS_KEY=wrong aws s3 ls "s3://$bucket/" > /dev/null 2> "$work/error"; then
  wrong "a wrong secret was accepted"
fi
grep -q SignatureDoesNotMatch "$work/error" || wrong "a wrong secret: $(cat "$work/error")"

aws sagemaker create-model --model-name "$tag" --execution-role-arn "arn:aws:iam::$account:role/any" \
  --primary-container "Image=gristmill.local/onnx,ModelDataUrl=s3://$bucket/model.tar.gz" > /dev/null
job=(--model-name "$tag" --batch-strategy MultiRecord
  --transform-input "DataSource={S3DataSource={S3DataType=S3Prefix,S3Uri=s3://$bucket/in/}},ContentType=text/csv,SplitType=Line"
  --transform-output "S3OutputPath=s3://$bucket/out/,Accept=text/csv,AssembleWith=Line"
  --transform-resources InstanceType=ml.m5.large,InstanceCount=1)
aws sagemaker create-transform-job --transform-job-name "$tag" "${job[@]}" > /dev/null
status=InProgress
for _ in $(seq 120); do
  status=$(aws sagemaker describe-transform-job --transform-job-name "$tag" --query TransformJobStatus --output text)
  [[ $status == InProgress ]] || break
  sleep 0.5
done
same "describe-transform-job" "$status" Completed
aws sagemaker wait transform-job-completed-or-stopped --transform-job-name "$tag"
same "list-transform-jobs" "$(aws sagemaker list-transform-jobs --name-contains "$tag" --status-equals Completed \
  --query 'TransformJobSummaries[].TransformJobName' --output text)" "$tag"
if aws sagemaker create-transform-job --transform-job-name "$tag" "${job[@]}" > /dev/null 2> "$work/error"; then
  wrong "a job's name was taken twice"
fi
grep -q ResourceInUse "$work/error" || wrong "a name taken twice: $(cat "$work/error")"
aws s3 cp --quiet --recursive "s3://$bucket/out/" "$work/out"
cat "$work/out/a.csv.out" "$work/out/b.csv.out" > "$work/scores"
PYTHONPATH=$judges python - "$work/scores" <<'PYTHON'
import sys
from transform_input import check_scores, sample
check_scores("the job's output", open(sys.argv[1], "rb").read(), sample()[1])
PYTHON
echo "ok      the job's scores"
