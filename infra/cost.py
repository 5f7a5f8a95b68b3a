#!/usr/bin/env python3
"""What a month costs at three sizes: the arithmetic behind deploy.md.

Prices are list prices of us-east-1 in US dollars, as known at the end of 2025: not fetched, no free tier, no tax. Look them up
before you rely on them. Requests per event follow what tests/suite/costs.rs counts;
seconds, gigabytes and kilobytes are estimates.
"""

# --- prices, us-east-1
WRITE, READ = 0.625e-6, 0.125e-6  # a request unit of DynamoDB on demand
ROW_GB, RECOVERY_GB, COPY_GB = 0.25, 0.20, 0.10  # a month
PUT, GET, OBJECT_GB = 5e-6, 0.4e-6, 0.023
GB_SECOND, INVOCATION = 1.33334e-5, 0.2e-6  # Lambda on arm64
MESSAGE, PUBLISH, RULE_EVENT = 0.4e-6, 0.5e-6, 1e-6
LOG_GB, ALARM, DASHBOARD, KEY = 0.50, 0.10, 3.00, 1.00
COMPUTE_UNIT_HOUR, VECTOR_GB = 0.24, 0.024
HOURS = 730

# --- what the template has
ALARMS, DASHBOARDS, QUEUES_POLLED = 113, 3, 20

# --- what an event takes; requests are those that tests/suite/costs.rs counts
DOCUMENT = {
    # Five transactions on two rows, each row twice; their three indexes; twenty vectors of 8 KB into the cache.
    "writes": 20 + 5 * 3 * 2 + 20 * 8,
    # Twenty-four rows, and the cache asked for twenty vectors, which are not there.
    "reads": 24 + 20,
    "puts": 20,
    "gets": 15,
    "seconds": 6.0,
    "GB": 0.75,
    "log_KB": 12,
}
# Three updates, the three indexes of a match, two contributions in a transaction, its part of totals.
STEP = {"writes": 3 + 3 + 2 * 2 + 2, "reads": 5, "seconds": 0.05, "GB": 0.25, "log_KB": 1}
# A candidate's row in a transaction, its state twice; not counted by a test.
TOLD = {"writes": 2 + 2, "reads": 3, "seconds": 0.1, "GB": 0.5, "log_KB": 1}

CHUNKS, MEGABYTES = 20, 1.0  # of a document of ten pages
VECTOR_BYTES = 1.1 * (4 * 1536 + 8 * 16)  # in a graph of 16 neighbours

# --- sizes, a month: documents, people told of jobs, steps of matches; documents that are kept
SIZES = {
    "small": (1_000, 4_000, 1_000, 5_000),
    "medium": (20_000, 200_000, 100_000, 100_000),
    "large": (200_000, 2_000_000, 3_000_000, 1_000_000),
}


def month(documents, told, steps, kept):
    events = [(documents, DOCUMENT), (told, TOLD), (steps, STEP)]

    def total(what):
        return sum(count * event.get(what, 0) for count, event in events)

    lines = {}
    lines["DynamoDB requests"] = total("writes") * WRITE + total("reads") * READ
    rows = (kept * 40 + steps * 6 + told * 2) / 1e6  # KB each
    lines["DynamoDB rows, recovery, three copies"] = rows * (ROW_GB + RECOVERY_GB + 3 * COPY_GB)
    lines["S3 requests"] = total("puts") * PUT + total("gets") * GET
    lines["S3 objects, originals and artefacts"] = kept * 1.4 * MEGABYTES / 1e3 * OBJECT_GB
    compute = sum(count * event["seconds"] * event["GB"] for count, event in events)
    lines["Lambda"] = compute * GB_SECOND + (documents * 9 + told * 3 + steps * 2) * INVOCATION
    # Five pollers a queue, each of which waits 20 seconds for an answer, whether there is work or not.
    polls = QUEUES_POLLED * 5 * HOURS * 3600 / 20
    lines["SQS, polling and messages"] = (polls + documents * 5 * 3) * MESSAGE
    lines["SNS and EventBridge"] = (told + steps) * PUBLISH + documents * 60 * RULE_EVENT
    lines["Logs"] = total("log_KB") / 1e6 * LOG_GB
    lines["Alarms, dashboards, a key"] = ALARMS * ALARM + DASHBOARDS * DASHBOARD + KEY
    vectors = kept * CHUNKS * VECTOR_BYTES / 1e9
    # Half a unit each for indexing and searching is the least; a unit holds about 4 GB of a graph; twice, in two zones.
    search = max(0.5, -(-vectors // 4)) if vectors > 2 else 0.5
    indexing = 0.5 if documents < 50_000 else 2
    units = 2 * (search + indexing)
    lines["OpenSearch Serverless"] = units * COMPUTE_UNIT_HOUR * HOURS + vectors * VECTOR_GB
    return lines, units, vectors


def main():
    columns = {name: month(*size) for name, size in SIZES.items()}
    print("| a month, in dollars |", " | ".join(columns), "|")
    print("| --- |" + " ---: |" * len(columns))
    for line in next(iter(columns.values()))[0]:
        print(f"| {line} |", " | ".join(f"{lines[line]:,.2f}" for lines, _, _ in columns.values()), "|")
    print("| **in all** |", " | ".join(f"**{sum(lines.values()):,.0f}**" for lines, _, _ in columns.values()), "|")
    for name, (_, units, vectors) in columns.items():
        print(f"\n{name}: {vectors:.1f} GB of vectors, {units:g} compute units", end="")
    print()


if __name__ == "__main__":
    main()
