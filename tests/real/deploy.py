#!/usr/bin/env python3
"""Deploys infra/template.yaml to an endpoint, and compares what is there with what the template says.

    deploy.py --endpoint URL [--parameter NAME=VALUE ...] [--binaries DIR]

The template goes through SAM's own transform first, as CloudFormation would do it. Without --binaries functions get a
bootstrap that answers nothing: this is about resources, not about what workers do.
Ends with 1 when the stack does not come to CREATE_COMPLETE or anything of it is missing or different.
"""

import argparse
import io
import json
import pathlib
import sys
import time
import zipfile

import boto3
import yaml
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

from state import client

ROOT = pathlib.Path(__file__).resolve().parents[2]
STACK = "millrace-real"
CODE_BUCKET = "millrace-code"
# What ministack does not know: left out, and said.
LEFT_OUT = {"AWS::Backup::BackupSelection"}
STUB = b"#!/bin/sh\nwhile :; do sleep 60; done\n"


class Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms, in the long form."""


def long_form(loader, suffix, node):
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


Loader.add_multi_constructor("!", long_form)


def code(product, binaries):
    """A zip with the binary of a product, or with one that answers nothing."""
    candidates = [binaries / product / "bootstrap", binaries / product] if binaries else []
    binary = next((it for it in candidates if it.is_file()), None)
    content = binary.read_bytes() if binary else STUB
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        entry = zipfile.ZipInfo("bootstrap")
        entry.external_attr = 0o755 << 16
        archive.writestr(entry, content)
    return packed.getvalue()


def package(template, endpoint, binaries):
    """Puts code where the template can find it, as `sam package` does."""
    s3 = client("s3", endpoint)
    s3.create_bucket(Bucket=CODE_BUCKET)
    default = template["Globals"]["Function"]["CodeUri"]
    uploaded = {}
    for resource in template["Resources"].values():
        if resource["Type"] != "AWS::Serverless::Function":
            continue
        folder = resource["Properties"].get("CodeUri", default)
        product = pathlib.PurePosixPath(folder).name
        key = f"{product}.zip"
        if key not in uploaded:
            s3.put_object(Bucket=CODE_BUCKET, Key=key, Body=code(product, binaries))
            uploaded[key] = True
        resource["Properties"]["CodeUri"] = f"s3://{CODE_BUCKET}/{key}"
    template["Globals"]["Function"]["CodeUri"] = f"s3://{CODE_BUCKET}/none.zip"


def transformed(template, parameters):
    session = boto3.Session(region_name="us-east-1")
    # The template names none of AWS's own policies for functions: there is nothing to look up.
    translator = Translator({}, Parser(), boto_session=session)
    return translator.translate(template, dict(parameters))


def deploy(template, endpoint, parameters):
    cloudformation = client("cloudformation", endpoint)
    given = [{"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()]
    # ministack does not know Fn::Split inside of a condition; the local embedder is not Bedrock's.
    template["Conditions"]["UsesBedrock"] = {"Fn::Equals": [{"Ref": "Embedder"}, "bedrock"]}
    # It is too long to be sent as it is.
    s3 = client("s3", endpoint)
    s3.put_object(Bucket=CODE_BUCKET, Key="template.json", Body=json.dumps(template).encode())
    cloudformation.create_stack(
        StackName=STACK,
        TemplateURL=f"{endpoint}/{CODE_BUCKET}/template.json",
        Parameters=given,
        Capabilities=["CAPABILITY_IAM"],
    )
    for _ in range(240):
        stack = cloudformation.describe_stacks(StackName=STACK)["Stacks"][0]
        if not stack["StackStatus"].endswith("_IN_PROGRESS"):
            break
        time.sleep(0.5)
    if stack["StackStatus"] != "CREATE_COMPLETE":
        for event in cloudformation.describe_stack_events(StackName=STACK)["StackEvents"]:
            if "FAILED" in event["ResourceStatus"]:
                reason = event.get("ResourceStatusReason", "")
                print(event["LogicalResourceId"], reason, file=sys.stderr)
        sys.exit(f"the stack is {stack['StackStatus']}")
    return cloudformation


def pages(call, key, token="NextToken", **arguments):
    items = []
    while True:
        answer = call(**arguments)
        items += answer.get(key) or []
        if not answer.get(token):
            return items
        arguments[token] = answer[token]


class Comparison:
    def __init__(self):
        self.compared = 0
        self.differences = []

    def equal(self, what, found, expected):
        self.compared += 1
        if found != expected:
            self.differences.append(f"{what}: there is {found!r}, the template says {expected!r}")

    def there(self, what, found):
        self.compared += 1
        if not found:
            self.differences.append(f"{what} is missing")


def compare(template, cloudformation, endpoint, parameters):
    said = Comparison()
    rows = pages(cloudformation.list_stack_resources, "StackResourceSummaries", StackName=STACK)
    made = {row["LogicalResourceId"]: row for row in rows}
    search = parameters.get("Search", "none")
    conditions = {"HasBackups"} | ({"HasSearch"} if search != "none" else set())
    conditions |= {"SearchIsDomain"} if search == "domain" else set()
    wanted = {
        name: it
        for name, it in template["Resources"].items()
        if it.get("Condition") is None or it["Condition"] in conditions
    }
    for name, resource in wanted.items():
        said.equal(f"{name}'s type", made.get(name, {}).get("ResourceType"), resource["Type"])
    said.equal("resources that the template leaves out", sorted(set(made) - set(wanted)), [])

    def of(kind):
        return {
            name: (it.get("Properties", {}), made.get(name, {}).get("PhysicalResourceId", ""))
            for name, it in wanted.items()
            if it["Type"] == kind
        }

    dynamodb = client("dynamodb", endpoint)
    for name, (properties, table) in of("AWS::DynamoDB::Table").items():
        described = dynamodb.describe_table(TableName=table)["Table"]
        said.equal(f"{name}'s keys", described["KeySchema"], properties["KeySchema"])
        for kind in ("GlobalSecondaryIndexes", "LocalSecondaryIndexes"):
            found = {it["IndexName"]: it["KeySchema"] for it in described.get(kind) or []}
            expected = {it["IndexName"]: it["KeySchema"] for it in properties.get(kind, [])}
            said.equal(f"{name}'s {kind}", found, expected)
        stream = (described.get("StreamSpecification") or {}).get("StreamViewType")
        expected = properties.get("StreamSpecification", {}).get("StreamViewType")
        said.equal(f"{name}'s stream", stream, expected)
        # ministack sets no time to live on tables of a stack.

    sqs = client("sqs", endpoint)
    for name, (properties, _) in of("AWS::SQS::Queue").items():
        url = sqs.get_queue_url(QueueName=properties["QueueName"])["QueueUrl"]
        found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        for key in ("VisibilityTimeout", "MessageRetentionPeriod"):
            if key in properties:
                said.equal(f"{name}'s {key}", found.get(key), str(properties[key]))
        redrive = json.loads(found.get("RedrivePolicy", "null"))
        if "RedrivePolicy" in properties:
            target = properties["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"][0]
            target = template["Resources"][target]["Properties"]["QueueName"]
            said.equal(f"{name}'s dead letters", redrive["deadLetterTargetArn"].split(":")[-1], target)
            expected = properties["RedrivePolicy"]["maxReceiveCount"]
            said.equal(f"{name}'s attempts", int(redrive["maxReceiveCount"]), expected)
        else:
            said.equal(f"{name}'s redrive", redrive, None)

    lambdas = client("lambda", endpoint)
    for name, (properties, function) in of("AWS::Lambda::Function").items():
        found = lambdas.get_function_configuration(FunctionName=function)
        for key in ("Handler", "MemorySize", "Timeout", "Runtime"):
            said.equal(f"{name}'s {key}", found[key], properties[key])
        variables = found["Environment"]["Variables"]
        expected = set(properties["Environment"]["Variables"])
        said.equal(f"{name}'s settings", set(variables), expected)
        said.there(f"{name}'s role", ":role/" in found["Role"])
    mappings = pages(lambdas.list_event_source_mappings, "EventSourceMappings", "NextMarker")
    said.equal("mappings", len(mappings), len(of("AWS::Lambda::EventSourceMapping")))
    for mapping in mappings:
        said.equal(
            f"{mapping['EventSourceArn']}'s answers",
            mapping.get("FunctionResponseTypes"),
            ["ReportBatchItemFailures"],
        )

    s3 = client("s3", endpoint)
    for name, (properties, bucket) in of("AWS::S3::Bucket").items():
        found = s3.get_bucket_versioning(Bucket=bucket).get("Status")
        said.equal(f"{name}'s versioning", found, "Enabled")
        # ministack puts no lifecycle on buckets of a stack.
        policy = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])
        said.equal(f"{name}'s policy", policy["Statement"][0]["Effect"], "Deny")
        wanted_queues = properties.get("NotificationConfiguration", {}).get("QueueConfigurations", [])
        found = s3.get_bucket_notification_configuration(Bucket=bucket)
        said.equal(f"{name}'s notifications", len(found.get("QueueConfigurations", [])), len(wanted_queues))

    iam = client("iam", endpoint)
    for name, (properties, role) in of("AWS::IAM::Role").items():
        inline = iam.list_role_policies(RoleName=role)["PolicyNames"]
        expected = [it["PolicyName"] for it in properties.get("Policies", [])]
        said.equal(f"{name}'s own policies", inline, expected)

    for name, (properties, domain) in of("AWS::OpenSearchService::Domain").items():
        found = client("opensearch", endpoint).describe_domain(DomainName=domain)["DomainStatus"]
        said.equal(f"{name}'s version", found["EngineVersion"], properties["EngineVersion"])
        for key in ("EncryptionAtRestOptions", "NodeToNodeEncryptionOptions"):
            said.equal(f"{name}'s {key}", found[key]["Enabled"], properties[key]["Enabled"])
        for key in ("InstanceType", "InstanceCount"):
            default = template["Parameters"][properties["ClusterConfig"][key]["Ref"]]["Default"]
            said.equal(f"{name}'s {key}", str(found["ClusterConfig"][key]), str(default))

    topics = pages(client("sns", endpoint).list_topics, "Topics")
    said.equal("topics", len(topics), len(of("AWS::SNS::Topic")))
    alarms = client("cloudwatch", endpoint).get_paginator("describe_alarms").paginate()
    alarms = {it["AlarmName"] for page in alarms for it in page["MetricAlarms"]}
    said.equal("alarms", len(alarms), len(of("AWS::CloudWatch::Alarm")))
    rules = {it["Name"] for it in pages(client("events", endpoint).list_rules, "Rules")}
    said.equal("rules", len(rules), len(of("AWS::Events::Rule")))
    return said


class Stack:
    """A deployed template."""

    def __init__(self, template, cloudformation):
        self.template, self.cloudformation = template, cloudformation

    def output(self, name):
        """An output's value."""
        stack = self.cloudformation.describe_stacks(StackName=STACK)["Stacks"][0]
        outputs = {it["OutputKey"]: it["OutputValue"] for it in stack["Outputs"]}
        return outputs[name]


def stack(endpoint, parameters, binaries=None):
    """Deploys the template with the binaries of a folder: PRODUCT/bootstrap, or PRODUCT."""
    template = yaml.load((ROOT / "infra/template.yaml").read_text(), Loader)
    package(template, endpoint, binaries)
    template = transformed(template, parameters)
    for name in [n for n, it in template["Resources"].items() if it["Type"] in LEFT_OUT]:
        print(f"left out: {name}, {template['Resources'].pop(name)['Type']}")
    return Stack(template, deploy(template, endpoint, parameters))


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--endpoint", required=True)
    arguments.add_argument("--parameter", action="append", default=[], metavar="NAME=VALUE")
    arguments.add_argument("--binaries", type=pathlib.Path, metavar="DIR")
    asked = arguments.parse_args()
    parameters = dict(it.split("=", 1) for it in asked.parameter)
    made = stack(asked.endpoint, parameters, asked.binaries)
    said = compare(made.template, made.cloudformation, asked.endpoint, parameters)
    for difference in said.differences:
        print(difference, file=sys.stderr)
    resources = len(made.template["Resources"])
    print(f"{resources} resources described, {said.compared} facts compared, {len(said.differences)} differences")
    sys.exit(1 if said.differences else 0)


if __name__ == "__main__":
    main()
