#!/usr/bin/env python3
"""A function that asks the test what to answer: every event goes to $TELL, and what comes back is the answer."""

import os
import urllib.error
import urllib.request

RUNTIME = f"http://{os.environ['AWS_LAMBDA_RUNTIME_API']}/2018-06-01/runtime/invocation/"

while True:
    with urllib.request.urlopen(RUNTIME + "next") as invocation:
        request = invocation.headers["Lambda-Runtime-Aws-Request-Id"]
        event = invocation.read()
    try:
        with urllib.request.urlopen(urllib.request.Request(os.environ["TELL"], data=event)) as told:
            answer, outcome = told.read(), "response"
    except urllib.error.HTTPError as error:
        answer, outcome = error.read(), "error"
    urllib.request.urlopen(urllib.request.Request(f"{RUNTIME}{request}/{outcome}", data=answer)).close()
