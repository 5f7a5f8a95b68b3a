#!/usr/bin/env python3
"""The demo against the deployed template: the same rows, objects, index entries and dead letters as `millrace demo`.

    demo.py --endpoint URL --opensearch URL [--millrace PROGRAM] [--binaries DIR] [--keep DIR]

Runs `millrace demo` on the embedded cloud. Deploys infra/template.yaml with the packaged binaries of DIR to the emulator at
--endpoint, with the OpenSearch at --opensearch for its index, writes there what the demo writes (the platform's own rows and
uploads, nothing else) and waits for what the deployed functions make of it. Then both are read and compared.
Ends with 1 when anything is missing, superfluous or different.
"""

import argparse
import base64
import collections
import contextlib
import datetime
import decimal
import json
import pathlib
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid

from boto3.dynamodb.types import TypeSerializer

import deploy
from state import State, client, differences

SAMPLES = deploy.ROOT / "events-fixtures"
USER = "demo"
# Nothing has changed for so long: at rest. Longer than an emulator's pauses between two looks at a stream or a queue.
REST_SECONDS = 4
PATIENCE_SECONDS = 240
# How many answer to the first job, as the demo has it.
ANSWERS = 3


def sample(name):
    return json.loads((SAMPLES / name).read_text(), parse_float=decimal.Decimal)


def named(text):
    return str(uuid.uuid5(uuid.NAMESPACE_OID, text))


def quoted(name):
    """Percent-encoded but for letters and digits, as the platform puts names into headers."""
    plain = set(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
    return "".join(chr(byte) if byte in plain else f"%{byte:02X}" for byte in name.encode())


def moved(moment, **difference):
    """A time such as 2026-11-21T08:00:00.000Z, earlier or later."""
    at = datetime.datetime.fromisoformat(moment.replace("Z", "+00:00")) + datetime.timedelta(**difference)
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03}Z"


class Embedded:
    """`millrace demo`, and its state served afterwards."""

    def __init__(self, millrace, folder):
        self.millrace, self.folder = millrace, folder
        subprocess.run([millrace, "demo", "--data", folder], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def __enter__(self):
        command = [self.millrace, "up", "--data", self.folder, "--listen", "127.0.0.1:0"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        for line in self.process.stderr:
            if line.startswith("endpoint"):
                self.state = State(line.split()[1], key="embedded")
                return self
        sys.exit("`millrace up` ended before it said where it listens")

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def found(self, question):
        """All chunks of the user by their score for a question."""
        return found(self.millrace, question, ["--data", self.folder], None)


def found(millrace, question, place, environment):
    command = [millrace, "search", question, "--user", USER, "--limit", "100", "--json", *place]
    answer = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
    hits = [json.loads(line) for line in answer.splitlines()]
    return {f"{it['fileName']} {it['chunkIndex']}": it for it in hits}


class Platform:
    """What the platform's services write, through boto3."""

    def __init__(self, endpoint):
        self.state = State(endpoint)
        self.dynamodb, self.s3, self.sqs = self.state.dynamodb, self.state.s3, self.state.sqs
        self.sns = client("sns", endpoint)

    def put(self, table, row):
        write = TypeSerializer()
        self.dynamodb.put_item(TableName=table, Item={name: write.serialize(value) for name, value in row.items()})

    def at_rest(self):
        """Waits until no queue has anything to do and no row or object changes."""
        begun = unchanged = time.monotonic()
        last = None
        while time.monotonic() - unchanged < REST_SECONDS:
            if time.monotonic() - begun > PATIENCE_SECONDS:
                sys.exit(f"the emulator did not come to rest in {PATIENCE_SECONDS} s: {now[1:]}")
            now = self.look()
            if now != last or any(now[1].values()):
                last, unchanged = now, time.monotonic()
            time.sleep(0.25)

    def look(self):
        rows = [str(sorted(map(str, self.state.rows(table)))) for table in self.state.tables()]
        objects = [(bucket, it["Key"], it["ETag"]) for bucket in self.state.buckets() for it in self.state.listed(bucket)]
        waiting = {}
        for queue in self.state.queues():
            if queue.endswith("-dlq") or queue.endswith("-subscriber"):
                continue
            names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
            said = self.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=names)["Attributes"]
            waiting[queue.rsplit("/", 1)[-1]] = sum(int(it) for it in said.values())
        return hash((tuple(rows), tuple(objects))), waiting

    def subscribe(self, topic, queue):
        url = self.sqs.create_queue(QueueName=queue)["QueueUrl"]
        said = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
        attributes = {"RawMessageDelivery": "true"}
        self.sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=said["QueueArn"], Attributes=attributes)
        return url


def documents(platform, uploads):
    """The demo's uploads: object, then row."""
    samples = {path.name: path for path in (SAMPLES / "documents/samples").rglob("*.*")}
    for row in uploads:
        name, body = row["fileName"], samples[row["fileName"]].read_bytes()
        platform.s3.put_object(
            Bucket=row["s3Bucket"],
            Key=row["s3Key"],
            Body=body,
            ContentType=row["fileType"],
            Metadata={"userid": row["userId"], "documentid": row["documentId"], "originalname": quoted(name)},
        )
        kept = ("userId", "documentId", "fileName", "fileType", "s3Key", "s3Bucket")
        platform.put(
            "ai-assistant-documents",
            {name: row[name] for name in kept}
            | {
                "fileSize": len(body),
                "uploadDate": row["uploadDate"],
                "updatedAt": row["uploadDate"],
                "status": "processing",
                "processingStatus": dict.fromkeys(("textExtracted", "chunksCreated", "vectorsGenerated", "indexed"), False),
                "metadata": {"tags": []},
                "searchableContent": {"preview": "", "keywords": []},
                "access": {"isPublic": False, "sharedWith": []},
            },
        )
    platform.at_rest()


def jobs(platform, now):
    """People, jobs, who answers, who is selected."""
    for person in sample("jobs/samples/users.json"):
        days = person.pop("lastLoginDaysAgo")
        platform.put("jetbond-users", person | {"lastLoginAt": moved(now, days=-days)})
    platform.at_rest()
    posted = sample("jobs/samples/jobs.json")
    for job in posted:
        job |= {"jobId": named(f"{job['jobId']} {now}"), "createdAt": now}
        platform.put("jetbond-jobs", job)
    platform.at_rest()
    first = posted[0]["jobId"]
    told = [row for row in platform.state.rows("jetbond-candidates") if row["jobId"] == first and row.get("notifiedAt")]
    told.sort(key=lambda row: row["told"]["rank"])
    answers = []
    for minute, row in enumerate(told[:ANSWERS]):
        person = row["employeeId"]
        answer = {"responseId": named(f"{first} {person}"), "jobId": first, "employeeId": person}
        answers.append(answer | {"respondedAt": moved(now, minutes=minute), "status": "pending"})
        platform.put("jetbond-matches", answers[-1])
    platform.at_rest()
    if answers:
        platform.put("jetbond-matches", answers[0] | {"status": "selected"})
    platform.at_rest()


def marketing(platform, now):
    """Stores, creators, campaigns, and matches moved along."""
    for row in sample("marketing/samples/campaigns.json"):
        store, start = f"STORE#{row['storeId']}", f"DATE#{row['timeline']['startDate']}"
        keys = {"PK": f"CAMPAIGN#{row['campaignId']}", "SK": store, "GSI1PK": f"STATUS#{row['status']}"}
        platform.put("dot-marketing-campaigns", row | keys | {"GSI1SK": start, "GSI2PK": store, "GSI2SK": start})
    for row in sample("marketing/samples/stores.json"):
        platform.put("dot-marketing-stores", row | {"PK": f"STORE#{row['storeId']}", "SK": f"PROFILE#{now}"})
    for row in sample("marketing/samples/creators.json"):
        days = row.pop("lastActiveDaysAgo", 0)
        keys = {"PK": f"CREATOR#{row['creatorId']}", "SK": f"PLATFORM#{row['platform']}#{row['channelId']}"}
        platform.put("dot-marketing-creators", row | keys | {"lastActiveAt": moved(now, days=-days)})
    platform.at_rest()
    matches = {row["SK"]: row["PK"] for row in platform.state.rows("dot-marketing-matches")}
    steps = sample("marketing/samples/steps.json")
    for step in steps:
        store, creator = step["storeId"], step["creatorId"]
        pair = f"STORE#{store}#CREATOR#{creator}"
        if pair in matches:
            continue
        made = named(f"{store} {creator}")
        matches[pair] = f"MATCH#{made}"
        row = {"PK": matches[pair], "SK": pair, "matchId": made, "storeId": store, "creatorId": creator}
        row |= {"matchScore": 75, "status": "PENDING", "priority": "medium", "createdAt": now}
        platform.put("dot-marketing-matches", row)
    platform.at_rest()
    hour = 0
    for step in steps:
        if step["minute"] // 60 > hour:
            platform.at_rest()
            hour = step["minute"] // 60
        pair = f"STORE#{step['storeId']}#CREATOR#{step['creatorId']}"
        values, change = {":status": {"S": step["status"]}}, "SET #status = :status"
        if step.get("agreedCost") is not None:
            values[":cost"] = {"N": str(step["agreedCost"])}
            change += ", agreedCost = :cost"
        platform.dynamodb.update_item(
            TableName="dot-marketing-matches",
            Key={"PK": {"S": matches[pair]}, "SK": {"S": pair}},
            UpdateExpression=change,
            ExpressionAttributeNames={"#status": "status"},
            ExpressionAttributeValues=values,
        )
    platform.at_rest()
    queue = next(it for it in platform.state.queues() if it.endswith("/millrace-publish-report"))
    for row in sample("marketing/samples/campaigns.json"):
        platform.sqs.send_message(QueueUrl=queue, MessageBody=json.dumps({"campaignId": row["campaignId"]}))
    platform.at_rest()


def ask(url, method, body=None):
    headers = {"content-type": "application/json"}
    body = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, body, headers, method=method)) as answer:
        return json.load(answer)


def prepare(asked, indexes):
    """The deploy step that makes the indexes. The engine is Lucene's: the k-NN plugin of Maven Central has no other."""
    environment = environment_of(asked, indexes) | {"MILLRACE_OPENSEARCH_ENGINE": "lucene"}
    subprocess.run([asked.millrace, "prepare-index"], check=True, stdout=subprocess.DEVNULL, env=environment)


def environment_of(asked, indexes):
    """What an operator's shell has set for a deployment."""
    return {
        "AWS_ENDPOINT_URL": asked.endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
        "MILLRACE_ENVIRONMENT": "dev",
        "MILLRACE_OPENSEARCH_ENDPOINT": asked.opensearch,
        "MILLRACE_INDEX_NAME": indexes["IndexName"],
        "MILLRACE_PROFILE_INDEX_NAME": indexes["ProfileIndexName"],
    }


def indexed(opensearch, index):
    """Every entry of an index of the real OpenSearch, as it is."""
    ask(f"{opensearch}/{index}/_refresh", "POST")
    answer = ask(f"{opensearch}/{index}/_search", "POST", {"size": 10000, "query": {"match_all": {}}})
    return [hit["_source"] | {"_id": hit["_id"]} for hit in answer["hits"]["hits"]]


def same_hits(question, here, there):
    """Every chunk is found with the same text, page and section, and as near to the question."""
    apart = 0
    said = differences("index entry", *({name: it | {"score": 0} for name, it in found.items()} for found in (here, there)))
    for name in here.keys() & there.keys():
        apart = max(apart, abs(here[name]["score"] - there[name]["score"]))
    if apart > 1e-4:
        said.append(f"scores for {question!r} are up to {apart} apart")
    return said


def bits(numbers):
    """Numbers as the 32 bits that each of them is."""
    return struct.pack(f"<{len(numbers)}f", *numbers)


def vectors(chunks, profiles, state):
    """What the index holds is what the objects and rows say, bit by bit, and each only once."""
    said, made = [], {}
    for bucket in state.buckets():
        for key in (it["Key"] for it in state.listed(bucket) if it["Key"].endswith("/embeddings.json")):
            artefact = json.load(state.s3.get_object(Bucket=bucket, Key=key)["Body"])
            for chunk in artefact["chunks"]:
                made[chunk["chunkId"]] = (artefact["generation"], base64.b64decode(chunk["embedding"]))
    held = {it["chunkId"]: (it["generation"], bits(it["embedding"])) for it in chunks}
    said += differences("vector of chunk", held, made)
    rows = {it["userId"]: it for it in state.rows("jetbond-profiles")}
    made = {name: (int(row["revision"]), bytes(row["embedding"])) for name, row in rows.items() if row.get("embedding")}
    held = {it["id"]: (it["revision"], bits(it["embedding"])) for it in profiles if it["present"]}
    said += differences("vector of profile", held, made)
    for entries, kind, name in ((chunks, "chunk", "chunkId"), (profiles, "profile", "id")):
        counts = collections.Counter(it[name] for it in entries)
        said += [f"{kind} {it} is in the index {count} times" for it, count in counts.items() if count > 1]
    return said


def notified(state):
    """The notifications that rows say were published, by id."""
    rows = state.rows("jetbond-candidates") + state.rows("jetbond-notices")
    return dict.fromkeys(row["notificationId"] for row in rows if row.get("notifiedAt"))


def compare(embedded, platform, asked, indexes, subscriber):
    here, there = platform.state, embedded.state
    chunks, profiles = (indexed(asked.opensearch, name) for name in indexes.values())
    compared, said = collections.Counter(), []

    def add(kind, one, other):
        compared[kind] += len(other)
        said.extend(differences(kind, one, other))

    add("row", here.all_rows(), there.all_rows())
    objects = {}
    for bucket in there.buckets():
        # The report of a day is made when the day is over: the demo makes it at once, no worker does.
        kept = {name: it for name, it in there.objects(bucket).items() if "/reports/daily/" not in name}
        objects |= kept
        add("object", here.objects(bucket), kept)
    add("dead letter", here.letters(), there.letters())
    got = (json.loads(body)["notificationId"] for body in here.messages(subscriber, keep=False))
    add("notification", dict.fromkeys(got), notified(there))

    environment = environment_of(asked, indexes)
    for question in sample("documents/samples/questions.json"):
        question = question["question"]
        one, other = found(asked.millrace, question, ["--aws"], environment), embedded.found(question)
        said += same_hits(question, one, other)
        compared["answer"] += len(other)
    said += vectors(chunks, profiles, here)
    compared["vector"] = len(chunks) + len(profiles)
    return compared, said


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--endpoint", required=True)
    arguments.add_argument("--opensearch", required=True)
    arguments.add_argument("--millrace", default=str(deploy.ROOT / "target/release/millrace"))
    arguments.add_argument("--binaries", type=pathlib.Path, default=deploy.ROOT / "target/release")
    arguments.add_argument("--keep", help="where the embedded demo's state stays")
    asked = arguments.parse_args()
    with contextlib.ExitStack() as until_the_end:
        folder = asked.keep or until_the_end.enter_context(tempfile.TemporaryDirectory(prefix="millrace-demo-"))
        sys.exit(1 if run(asked, folder) else 0)


def run(asked, folder):
    """Both demos. Answers what differs."""
    begun = time.monotonic()

    def told(what):
        print(f"{time.monotonic() - begun:6.1f} s  {what}", flush=True)

    embedded = Embedded(asked.millrace, folder)
    told("`millrace demo` on the embedded cloud is done")
    arn = "arn:aws:es:us-east-1:000000000000:domain/real"
    # Indexes of its own: the server may have others.
    own = uuid.uuid4().hex[:8]
    indexes = {"IndexName": f"demo-{own}-chunks", "ProfileIndexName": f"demo-{own}-profiles"}
    parameters = {"Search": "existing", "OpenSearchEndpoint": asked.opensearch, "OpenSearchArn": arn} | indexes
    prepare(asked, indexes)
    stack = deploy.stack(asked.endpoint, parameters, asked.binaries)
    told(f"{len(stack.template['Resources'])} resources are deployed")
    platform = Platform(asked.endpoint)
    subscriber = platform.subscribe(stack.output("NotificationsTopicArn"), "millrace-demo-subscriber")
    with embedded:
        there = embedded.state
        uploads = there.rows("ai-assistant-documents")
        documents(platform, uploads)
        told(f"{len(uploads)} documents are uploaded, and at rest")
        jobs(platform, there.rows("jetbond-jobs")[0]["createdAt"])
        told("people and jobs are at rest")
        marketing(platform, there.rows("dot-marketing-stores")[0]["SK"].removeprefix("PROFILE#"))
        told("stores, creators and matches are at rest")
        compared, said = compare(embedded, platform, asked, indexes, subscriber)
    for line in said:
        print(line, file=sys.stderr)
    for name in indexes.values():
        ask(f"{asked.opensearch}/{name}", "DELETE")
    told(", ".join(f"{count} {kind}s" for kind, count in compared.items()) + f" compared; {len(said)} differences")
    return said


if __name__ == "__main__":
    main()
