"""Everything durable that a platform has, read through boto3, in a form in which two platforms compare.

Two runs never have the same clock, so times, places in a stream and numbers that S3 gives uploads become words. Totals are
the sums of their slots, which writers draw by chance. Creators of a campaign stand by the time of their last step, which is the
same second for several of them in a fast run: they are sorted. Everything else is compared as it is.
"""

import base64
import hashlib
import json
import re

import boto3
from boto3.dynamodb.types import TypeDeserializer

TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|\+00:00| UTC)?")
# A place in a stream: its label and a sequence number. DynamoDB's have up to forty digits, an emulator's fewer.
PLACE = re.compile(r"[0-9T:.Z-]+/\d{8,40}")
# S3's sequencer, filled up to a fixed length.
SEQUENCER = re.compile(r"\b[0-9A-F]{32}\b")
# A chunk's id is made from the upload that it comes from.
CHUNK = re.compile(r'("chunkId":\s*")[0-9a-f-]{36}"')
# Attributes that count or time the writing itself.
OF_WRITING = {"updatedAt", "revision", "projectedRevision", "turn", "ttl", "expiresAt", "changes", "projectedChanges"}
# How long a match was in a state depends on how fast the demo ran.
SECONDS = re.compile(r"^seconds\.")


def client(name, endpoint, key="test"):
    return boto3.client(
        name, endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id=key, aws_secret_access_key=key
    )


def plain(value):
    """A value of DynamoDB as JSON has it, with what differs from run to run left out or named."""
    if isinstance(value, dict):
        return {name: plain(it) for name, it in sorted(value.items()) if name not in OF_WRITING and not SECONDS.match(name)}
    if isinstance(value, list):
        values = [plain(it) for it in value]
        return sorted(values, key=str) if values and isinstance(values[0], dict) and "creatorId" in values[0] else values
    if isinstance(value, (set, frozenset)):
        return sorted((plain(it) for it in value), key=str)
    if isinstance(value, str):
        return words(value)
    if hasattr(value, "value"):
        return "bytes " + hashlib.sha256(bytes(value.value)).hexdigest()[:16]
    if value is None or isinstance(value, bool):
        return value
    # Scores depend on the time since somebody was last seen: a few milliseconds are in the ninth digit.
    return float(f"{float(value):.6g}")


def words(text):
    text = PLACE.sub("(place)", text)
    text = TIME.sub("(time)", text)
    text = CHUNK.sub(r'\1(chunk)"', text)
    return SEQUENCER.sub("(upload)", text)


def content(key, body):
    """An object's content: reports by their values or lines, text by its words, anything else as it is."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return base64.b64encode(body).decode()
    if not key.startswith("reports/"):
        return words(text)
    return plain(json.loads(text)) if key.endswith(".json") else sorted(words(text).splitlines())


class State:
    """Rows by table and key, objects by bucket and key, dead letters by worker, reason and subject."""

    def __init__(self, endpoint, key="test"):
        self.endpoint = endpoint
        self.dynamodb = client("dynamodb", endpoint, key)
        self.s3 = client("s3", endpoint, key)
        self.sqs = client("sqs", endpoint, key)
        self.keys = {}

    def tables(self):
        return self.dynamodb.get_paginator("list_tables").paginate().build_full_result()["TableNames"]

    def rows(self, table):
        """A table's rows as they are."""
        read = TypeDeserializer()
        found = []
        for page in self.dynamodb.get_paginator("scan").paginate(TableName=table, ConsistentRead=True):
            found += [{name: read.deserialize(value) for name, value in row.items()} for row in page["Items"]]
        return found

    def key(self, table):
        if table not in self.keys:
            described = self.dynamodb.describe_table(TableName=table)["Table"]
            self.keys[table] = [it["AttributeName"] for it in described["KeySchema"]]
        return self.keys[table]

    def all_rows(self):
        found = {}
        for table in self.tables():
            key = self.key(table)
            if key == ["scope", "total"]:
                found.update(totals(table, self.rows(table)))
                continue
            for row in self.rows(table):
                if "counted" in row:
                    # A contribution stands where its source stands.
                    row.pop("version", None)
                name = "/".join([table] + [words(str(row[it])) for it in key])
                found.setdefault(name, []).append(plain(row))
        return {name: sorted(rows, key=str) for name, rows in found.items()}

    def buckets(self):
        return [it["Name"] for it in self.s3.list_buckets()["Buckets"]]

    def listed(self, bucket):
        """A bucket's objects as it lists them."""
        for page in self.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
            yield from page.get("Contents", [])

    def objects(self, bucket):
        found = {}
        for key in (it["Key"] for it in self.listed(bucket)):
            answer = self.s3.get_object(Bucket=bucket, Key=key)
            said = {name: words(value) for name, value in sorted(answer["Metadata"].items())}
            found[f"{bucket}/{key}"] = [said, content(key, answer["Body"].read())]
        return found

    def queues(self):
        return self.sqs.get_paginator("list_queues").paginate().build_full_result().get("QueueUrls", [])

    def messages(self, queue, keep=True):
        """Everything in a queue; seen again at once unless it is to be deleted."""
        found = []
        while True:
            answer = self.sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, VisibilityTimeout=60)
            if not answer.get("Messages"):
                break
            found += answer["Messages"]
        for message in found:
            receipt = {"QueueUrl": queue, "ReceiptHandle": message["ReceiptHandle"]}
            if keep:
                self.sqs.change_message_visibility(VisibilityTimeout=0, **receipt)
            else:
                self.sqs.delete_message(**receipt)
        return [message["Body"] for message in found]

    def letters(self):
        found = {}
        for queue in self.queues():
            if not queue.endswith("-dlq"):
                continue
            for body in self.messages(queue):
                letter = json.loads(body)
                code = (letter.get("reason") or {}).get("code")
                name = f"{queue.rsplit('/', 1)[-1]}: {letter.get('worker')} {code} {words(str(letter.get('subject')))}"
                found[name] = found.get(name, 0) + 1
        return found


def totals(table, rows):
    """A total is the sum of its slots; a zero is as good as nothing."""
    sums = {}
    for row in rows:
        total = sums.setdefault(f"{table}/{row['scope']}/{row['total'].rsplit('#', 1)[0]}", {})
        for name, value in row.items():
            if name not in ("scope", "total") and name not in OF_WRITING and not SECONDS.match(name):
                total[name] = total.get(name, 0) + float(value)
    kept = {name: {it: value for it, value in total.items() if value} for name, total in sums.items()}
    return {name: [total] for name, total in kept.items() if total}


def differences(kind, here, there):
    """What one has and the other has not, or has otherwise: a sentence each."""
    found = []
    for name in sorted(set(here) | set(there)):
        if name not in there:
            found.append(f"{kind} {name} should not be there")
        elif name not in here:
            found.append(f"{kind} {name} is missing")
        elif here[name] != there[name]:
            found.append(f"{kind} {name} differs:{apart(here[name], there[name])}")
    return found


def apart(here, there, path=""):
    """Where two values differ first, and how."""
    if isinstance(here, dict) and isinstance(there, dict):
        for name in sorted(set(here) | set(there)):
            if here.get(name) != there.get(name):
                return apart(here.get(name), there.get(name), f"{path}.{name}")
    if isinstance(here, list) and isinstance(there, list) and len(here) == len(there):
        for position, (one, other) in enumerate(zip(here, there)):
            if one != other:
                return apart(one, other, f"{path}[{position}]")
    if isinstance(here, str) and isinstance(there, str):
        begin = next((i for i, (a, b) in enumerate(zip(here, there)) if a != b), min(len(here), len(there)))
        begin = max(0, begin - 40)
        here, there = here[begin : begin + 160], there[begin : begin + 160]
    return f" {path} is {here!r}, should be {there!r}"
