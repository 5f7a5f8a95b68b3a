"""Runs both handlers and prints one table. See run.sh."""

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request

bench = sys.argv[1]
events = int(sys.argv[2]) if len(sys.argv) > 2 else 60_000
for_python = int(sys.argv[3]) if len(sys.argv) > 3 else 3_000
here = os.path.dirname(os.path.abspath(__file__))


def measured(name, command):
    """One handler on tables of its own."""
    with tempfile.TemporaryDirectory() as folder:
        address = os.path.join(folder, "address")
        server = subprocess.Popen([bench, "serve", address])
        try:
            while not os.path.exists(address) or not open(address).read():
                time.sleep(0.05)
            endpoint = open(address).read()
            count = events if name == "aggregate-analytics" else for_python
            batches = os.path.join(folder, "batches")
            with open(batches, "w") as out:
                subprocess.run([bench, "events", str(count)], stdout=out, check=True)
            told = subprocess.run([*command, endpoint, batches], stdout=subprocess.PIPE, check=True)
            told = json.loads(told.stdout.splitlines()[-1])
            with urllib.request.urlopen(endpoint + "/counts") as answer:
                counts = json.load(answer)
        finally:
            server.kill()
            server.wait()
    if not told["events"]:
        sys.exit(f"{name} handled nothing")
    return {
        "name": name,
        "events": told["events"],
        "requests": counts["all"] / told["events"],
        "writes": counts["writeUnits"] / told["events"],
        "reads": counts["readUnits"] / told["events"],
        "core": told["events"] / told["cpuSeconds"],
        "wall": told["events"] / told["seconds"],
        "by": counts["requests"],
    }


rows = [
    measured("aggregate-analytics", [bench, "fold"]),
    measured("Python with Powertools", [sys.executable, os.path.join(here, "handler.py")]),
]
print("| | events | requests an event | write units an event | read units an event | events a second and core | events a second |")
print("| --- | --- | --- | --- | --- | --- | --- |")
for row in rows:
    print(
        "| {name} | {events} | {requests:.3f} | {writes:.1f} | {reads:.2f} | {core:.0f} | {wall:.0f} |".format(**row)
    )
print("\nrequests:", "; ".join(f"{row['name']} {row['by']}" for row in rows))
ratio = rows[0]["core"] / rows[1]["core"]
print(f"events a second and core: {ratio:.1f} times Python's; requests an event: {rows[0]['requests']:.3f}")
sys.exit(0 if ratio >= 20 and rows[0]["requests"] <= 0.1 else 1)
