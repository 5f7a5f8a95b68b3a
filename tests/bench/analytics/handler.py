"""The same stream through Powertools' batch and idempotency utilities, as their documentation shows them.

Each record is processed alone, under an idempotency key that is its event id; what it adds to the figures (the same totals and
measures as `aggregate-analytics`) goes into one transaction.
"""

import json
import os
import sys
import time

os.environ.setdefault("POWERTOOLS_SERVICE_NAME", "aggregate-analytics")
os.environ.setdefault("POWERTOOLS_TRACE_DISABLED", "true")
os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")
os.environ["AWS_ACCESS_KEY_ID"] = os.environ["AWS_SECRET_ACCESS_KEY"] = "embedded"

import boto3
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.dynamo_db_stream_event import DynamoDBRecord
from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer,
    IdempotencyConfig,
    idempotent_function,
)

endpoint, path = sys.argv[1:3]
client = boto3.client("dynamodb", endpoint_url=endpoint)
persistence = DynamoDBPersistenceLayer(table_name="idempotency", boto3_client=client)
config = IdempotencyConfig(event_key_jmespath="eventID", use_local_cache=False)
processor = BatchProcessor(event_type=EventType.DynamoDBStreams)


class Context:
    function_name = "aggregate-analytics"
    memory_limit_in_mb = 256
    invoked_function_arn = "arn:aws:lambda:us-east-1:000000000000:function:aggregate-analytics"
    aws_request_id = "00000000-0000-0000-0000-000000000000"

    def get_remaining_time_in_millis(self):
        return 60_000


def seconds(at):
    return time.mktime(time.strptime(at[:19], "%Y-%m-%dT%H:%M:%S"))


@idempotent_function(data_keyword_argument="record", persistence_store=persistence, config=config)
def count(record: dict):
    row = record["row"]
    steps = row["steps"]
    last = steps[-1]
    day = last["at"][:10]
    measures = {f"entered.{last['status']}": 1}
    if len(steps) > 1:
        before = steps[-2]
        measures[f"left.{before['status']}"] = 1
        measures[f"seconds.{before['status']}"] = int(seconds(last["at"]) - seconds(before["at"]))
    names = {"all": "all", "store": row["storeId"], **row["found"]}
    added = ", ".join(f"#m{n} :m{n}" for n in range(len(measures)))
    updates = [
        {
            "Update": {
                "TableName": "totals",
                "Key": {"scope": {"S": f"{when}#{dimension}"}, "name": {"S": name}},
                "UpdateExpression": f"ADD {added}",
                "ExpressionAttributeNames": {f"#m{n}": measure for n, measure in enumerate(measures)},
                "ExpressionAttributeValues": {f":m{n}": {"N": str(amount)} for n, amount in enumerate(measures.values())},
            }
        }
        for when in (day, "ever")
        for dimension, name in names.items()
    ]
    client.transact_write_items(TransactItems=updates)
    return {"counted": True}


def handle(record: DynamoDBRecord):
    count(record={"eventID": record.event_id, "row": plain(record.dynamodb.new_image)})


def plain(row):
    """Numbers come as Decimal, which idempotency cannot hash."""
    return json.loads(json.dumps(row, default=str))


def lambda_handler(event, context):
    return process_partial_response(event=event, record_handler=handle, processor=processor, context=context)


config.register_lambda_context(Context())
events = 0
begun, cpu = time.perf_counter(), time.process_time()
with open(path) as batches:
    for line in batches:
        event = json.loads(line)
        response = lambda_handler(event, Context())
        events += len(event["Records"]) - len(response["batchItemFailures"])
print(json.dumps({"events": events, "seconds": time.perf_counter() - begun, "cpuSeconds": time.process_time() - cpu}))
