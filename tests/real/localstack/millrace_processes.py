"""Lets localstack run `provided` functions as plain processes, and DynamoDB Local from jars: no Docker, no downloads.

A sandbox is a process of a function's `bootstrap` and the runtime API that it talks to, on a loopback port of its own.
When the process dies or runs out of time, the sandbox is over; the next invocation makes a new one, as on Lambda.
"""

import json
import os
import pathlib
import subprocess
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from localstack.runtime import hooks
from localstack.services.lambda_.invocation.lambda_models import InvocationResult
from localstack.services.lambda_.invocation.plugins import RuntimeExecutorPlugin
from localstack.services.lambda_.invocation.runtime_executor import RuntimeExecutor

API = "/2018-06-01/runtime/"


def failure(kind, message):
    return json.dumps({"errorType": kind, "errorMessage": message}).encode()


class RuntimeApi(BaseHTTPRequestHandler):
    """One request of a function to the runtime API."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        """Says nothing: localstack's log is for localstack."""

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def body(self):
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def do_GET(self):
        if self.path != API + "invocation/next":
            return self.answer(404)
        invocation = self.server.sandbox.next()
        if invocation is None:
            return self.answer(410)
        payload = invocation["payload"]
        self.answer(
            200,
            payload.encode() if isinstance(payload, str) else payload,
            Content_Type="application/json",
            Lambda_Runtime_Aws_Request_Id=invocation["invoke-id"],
            Lambda_Runtime_Deadline_Ms=invocation["deadline"],
            Lambda_Runtime_Invoked_Function_Arn=invocation["invoked-function-arn"],
            Lambda_Runtime_Trace_Id=invocation.get("trace-id", ""),
        )

    def do_POST(self):
        said = self.body()
        match self.path.removeprefix(API).split("/"):
            case ["invocation", invocation, "response"]:
                self.server.sandbox.finish(invocation, said, False)
            case ["invocation", invocation, "error"]:
                self.server.sandbox.finish(invocation, said, True)
            case ["init", "error"]:
                self.server.sandbox.finish(None, said, True)
            case _:
                return self.answer(404)
        self.answer(202)


class Sandbox:
    """A process, its runtime API, and at most one invocation at a time."""

    def __init__(self, folder, variables):
        self.changed = threading.Condition()
        self.waiting = None
        self.current = None
        self.result = None
        self.is_over = False
        self.output = tempfile.TemporaryFile()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), RuntimeApi)
        self.server.daemon_threads = True
        self.server.sandbox = self
        threading.Thread(target=self.server.serve_forever, args=(0.1,), daemon=True).start()
        program = pathlib.Path(folder) / "bootstrap"
        program.chmod(0o755)
        self.process = subprocess.Popen(
            [program],
            cwd=folder,
            env={
                "PATH": os.environ.get("PATH", ""),
                **{name: str(value) for name, value in variables.items()},
                "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self.server.server_port}",
                "LAMBDA_TASK_ROOT": str(folder),
            },
            stdin=subprocess.DEVNULL,
            stdout=self.output,
            stderr=subprocess.STDOUT,
        )
        threading.Thread(target=self.watch, daemon=True).start()

    def watch(self):
        status = self.process.wait()
        self.finish(None, failure("Runtime.ExitError", f"Runtime exited with status {status}"), True)
        with self.changed:
            self.is_over = True
            self.changed.notify_all()
        self.server.shutdown()
        self.server.server_close()

    def next(self):
        """The next invocation, or nothing when the sandbox is over."""
        with self.changed:
            self.changed.wait_for(lambda: self.waiting or self.is_over)
            invocation, self.waiting = self.waiting, None
            return None if self.is_over else invocation

    def finish(self, invocation, body, is_error):
        with self.changed:
            if self.current is not None and invocation in (None, self.current) and self.result is None:
                self.result = (body, is_error)
                self.changed.notify_all()

    def invoke(self, invocation, seconds):
        with self.changed:
            self.current, self.result, self.waiting = invocation["invoke-id"], None, invocation
            if self.is_over:
                self.result = (failure("Runtime.ExitError", "Runtime exited"), True)
            self.changed.notify_all()
            in_time = self.changed.wait_for(lambda: self.result, seconds)
            result, self.current = self.result, None
        if not in_time:
            self.process.kill()
            return failure("Sandbox.Timedout", f"Task timed out after {seconds:.2f} seconds"), True
        return result

    def written(self):
        """What the process wrote since this was asked last."""
        start = getattr(self, "read_until", 0)
        text = os.pread(self.output.fileno(), 1 << 20, start)
        self.read_until = start + len(text)
        return text.decode(errors="replace")

    def stop(self):
        self.process.kill()


class ProcessExecutor(RuntimeExecutor):
    """One execution environment of a function."""

    def __init__(self, id, function_version):
        super().__init__(id, function_version)
        self.sandbox = None
        self.variables = {}

    def start(self, env_vars):
        self.variables = env_vars
        self.sandbox = self.new_sandbox()

    def new_sandbox(self):
        code = self.function_version.config.code
        return Sandbox(str(code.get_unzipped_code_location()), self.variables)

    def invoke(self, payload, **_):
        if self.sandbox.process.poll() is not None:
            self.sandbox = self.new_sandbox()
        seconds = float(self.function_version.config.timeout)
        began = time.time()
        invocation = {**payload, "deadline": int((began + seconds) * 1000)}
        body, is_error = self.sandbox.invoke(invocation, seconds)
        request, took = payload["invoke-id"], (time.time() - began) * 1000
        logs = (
            f"START RequestId: {request} Version: {self.function_version.id.qualifier}\n"
            f"{self.sandbox.written()}END RequestId: {request}\n"
            f"REPORT RequestId: {request}\tDuration: {took:.2f} ms\tBilled Duration: {int(took) + 1} ms\t"
            f"Memory Size: {self.function_version.config.memory_size} MB"
        )
        return InvocationResult(request, body, is_error=is_error, logs=logs)

    def stop(self):
        if self.sandbox:
            self.sandbox.stop()

    def get_logs(self):
        return self.sandbox.written() if self.sandbox else ""

    def get_address(self):
        return "127.0.0.1"

    def get_endpoint_from_executor(self):
        return "127.0.0.1"

    def get_runtime_endpoint(self):
        return "http://127.0.0.1"

    @classmethod
    def prepare_version(cls, function_version):
        if function_version.config.code:
            function_version.config.code.prepare_for_execution()

    @classmethod
    def cleanup_version(cls, function_version):
        """Nothing is left but what localstack unpacked."""


class Processes(RuntimeExecutorPlugin):
    """What LAMBDA_RUNTIME_EXECUTOR=millrace names."""

    name = "millrace"

    def load(self, *_, **__):
        return ProcessExecutor


@hooks.on_infra_start()
def start_dynamodb_from_jars():
    """localstack would fetch its own archive of DynamoDB Local; the jars of Maven Central are the same program."""
    from localstack.services.dynamodb import server
    from localstack.utils.common import TMP_THREADS, ShellCommandThread

    def start(self):
        jars = os.environ["MILLRACE_DYNAMODB_JARS"]
        command = ["java", "-Xmx256m", f"-Dsqlite4java.library.path={jars}", "-cp", f"{jars}/*"]
        command += ["software.amazon.dynamodb.services.local.main.ServerRunner"]
        command += ["-disableTelemetry", "-inMemory", "-port", str(self.port)]
        thread = ShellCommandThread(command, log_listener=server._log_listener, name="dynamodb")
        TMP_THREADS.append(thread)
        thread.start()
        return thread

    server.DynamodbServer.do_start_thread = start
