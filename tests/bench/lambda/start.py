#!/usr/bin/env python3
"""How long each function takes from its process's start until it asks for its first event, as Lambda counts init.

    start.py DIR [--runs N]        DIR/PRODUCT/bootstrap, as infra/package.sh host makes them; 15 runs

Plays Lambda's runtime API, DynamoDB and OpenSearch for each worker of the template, all on loopback and answering at once, so
the time is the program's own. Prints the median and the greatest of each worker; ends with 1 when a median is above 50 ms.
"""

import argparse
import http.server
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
MOST_MS = 50
# A function's settings as its template has them; what stands for a name is any name.
SETTINGS = re.compile(r"^ +(MILLRACE_[A-Z_]+):")
PRODUCT = re.compile(r"CodeUri: \.\./target/lambda/(\w+)/")
HANDLER = re.compile(r"Handler: ([a-z-]+)\n")


class Cloud(http.server.BaseHTTPRequestHandler):
    """The runtime API, whose first `next` ends the measurement, and an index that is there."""

    protocol_version = "HTTP/1.1"
    asked = threading.Event()
    errors = []

    def do_GET(self):
        if self.path.endswith("/invocation/next"):
            type(self).asked.set()
            time.sleep(3)
            return
        # An index that is made for the embedder: nothing is left to do.
        kept = {"_meta": {"model": "millrace-hashed-1", "dimensions": 1536}}
        kept["properties"] = {"embedding": {"type": "knn_vector", "dimension": 1536}}
        self.answer({"index": {"mappings": kept}})

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if "/init/error" in self.path:
            type(self).errors.append(body.decode())
            type(self).asked.set()
        self.answer({})

    do_PUT = do_POST

    def do_HEAD(self):
        self.answer({})

    def answer(self, value):
        text = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)

    def log_message(self, *_):
        pass


def workers():
    """Each worker's product, in the template's order."""
    text = (ROOT / "infra/template.yaml").read_text()
    for resource in re.split(r"\n  (?=\w+:\n)", text):
        if "\n    Type: AWS::Serverless::Function\n" in resource:
            product = PRODUCT.search(resource)
            yield HANDLER.search(resource)[1], product[1] if product else "documents"


def settings(address):
    """Every setting that the template names, with some value."""
    names = {match[1] for line in (ROOT / "infra/template.yaml").open() if (match := SETTINGS.match(line))}
    said = {name: "some-name" for name in names}
    for name in names:
        if name.endswith("_ARN"):
            said[name] = "arn:aws:sns:us-east-1:000000000000:some-name"
        if name.endswith("_URL"):
            said[name] = f"http://{address}/000000000000/some-name"
    said |= {
        "MILLRACE_ENVIRONMENT": "dev",
        "MILLRACE_EMBEDDER": "local",
        "MILLRACE_OPENSEARCH_ENDPOINT": f"http://{address}",
        "MILLRACE_RECORD": "off",
    }
    for name in ("MILLRACE_RECORD_TO", "MILLRACE_OPENAI_ENDPOINT", "MILLRACE_OPENAI_KEY_SECRET"):
        said.pop(name, None)
    numbers = ("MILLRACE_TOLD_PER_JOB", "MILLRACE_MATCHING_WINDOW_SECONDS", "MILLRACE_MATCH_THRESHOLD")
    said |= dict.fromkeys((*numbers, "MILLRACE_MATCHES_PER_STORE", "MILLRACE_REPORT_DAYS"), "7")
    return said


def start(binary, worker, address):
    environment = {"PATH": os.environ["PATH"], "AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL": f"http://{address}"}
    environment |= {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_LAMBDA_RUNTIME_API": address}
    environment |= {"_HANDLER": worker, "AWS_LAMBDA_FUNCTION_NAME": worker, "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512"}
    environment |= {"AWS_LAMBDA_FUNCTION_VERSION": "1", "MILLRACE_WORKER": worker} | settings(address)
    Cloud.asked.clear()
    begun = time.perf_counter()
    process = subprocess.Popen([binary], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    there = Cloud.asked.wait(20)
    took = (time.perf_counter() - begun) * 1000
    process.kill()
    process.wait()
    if Cloud.errors:
        sys.exit(f"{worker} did not start: {Cloud.errors[0][:500]}")
    if not there:
        sys.exit(f"{worker} asked for no event in 20 s")
    return took


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("binaries", type=pathlib.Path)
    arguments.add_argument("--runs", type=int, default=15)
    asked = arguments.parse_args()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Cloud)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"127.0.0.1:{server.server_port}"
    slow = []
    for worker, product in workers():
        took = [start(asked.binaries / product / "bootstrap", worker, address) for _ in range(asked.runs)]
        median = statistics.median(took)
        print(f"{product:10} {worker:20} {median:6.1f} ms in the median, {max(took):6.1f} at most")
        if median > MOST_MS:
            slow.append(worker)
    if slow:
        sys.exit(f"above {MOST_MS} ms: {', '.join(slow)}")


if __name__ == "__main__":
    main()
