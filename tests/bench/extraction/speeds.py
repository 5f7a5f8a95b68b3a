"""Speed and memory, all contestants in one run, turn by turn."""

import json
import os
import random
import statistics
import subprocess
import sys

import pymupdf

from corpus_table import files_of

HERE = os.path.dirname(os.path.abspath(__file__))
TURNS = int(os.environ.get("TURNS", "3"))
OTHERS = ("pypdf", "pdfminer.six", "PyMuPDF")


def python(*arguments, given=None):
    command = [sys.executable, "-W", "ignore", *map(str, arguments)]
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True, input=given).stdout


def pdfs_with_text(driver):
    """Those that we read; another reader's refusals are counted."""
    paths = [os.path.join(driver.corpus, file) for file in files_of(driver.corpus, ("pdf", "made")) if file.endswith(".pdf")]
    return [said["file"] for said in driver.run("read", *paths) if "extraction" in said]


def median(measured, key="rate"):
    return statistics.median(one[key] for one in measured)


def speed(driver):
    paths = pdfs_with_text(driver)
    listed = driver.list_of(paths)
    rounds = {"pypdf": 1, "pdfminer.six": 1, "PyMuPDF": 4}
    measured, refused = {}, {}
    for turn in range(TURNS):
        for place, label in (("child", "ours, a child each"), ("here", "ours, one process")):
            (said,) = driver.run("extract", place, 4, listed)
            measured.setdefault(label, []).append(said | {"rate": said["pages"] / said["cpu"]})
        for name in OTHERS:
            # Twenty times slower than the others: once is enough.
            if name == "pdfminer.six" and turn:
                continue
            said = json.loads(python(os.path.join(HERE, "readers.py"), name, rounds[name], listed))
            refused[name] = said["refused"]
            measured.setdefault(name, []).append(said | {"rate": said["pages"] / said["cpu"]})
    pages = measured["ours, one process"][0]["pages"] // 4
    base = median(measured["ours, a child each"])
    lines = [
        f"{len(paths)} PDFs of the corpus with text, {pages} pages; medians of {TURNS} turns.",
        "",
        "| reader | pages per CPU-second | ours, a child each, is |",
        "| --- | ---: | ---: |",
    ]
    for name, each in measured.items():
        note = f" ({len(refused[name])} files not read)" if refused.get(name) else ""
        lines.append(f"| {name}{note} | {median(each):,.0f} | {base / median(each):.2f} × |")
    return "\n".join(lines)


def same_vectors(driver, paths):
    """Whether both embedders give the same bytes."""
    texts = ["", "Mühle ﬁne ２４ ΟΔΥΣΣΕΥΣ İstanbul", "水車在溪流中轉動。물레방아 mixed ランダム 123", "क्षत्रिय עִבְרִית العربية"]
    for said in driver.run("read", *paths[:20]):
        text = said["extraction"]["text"] if "extraction" in said else ""
        texts += [text[start : start + 1500] for start in range(0, min(len(text), 15_000), 1500)]
    asked = json.dumps(texts)
    ours = subprocess.run([driver.program, "embed"], input=asked.encode(), stdout=subprocess.PIPE, check=True).stdout
    theirs = python(os.path.join(HERE, "pipeline.py"), "vectors", given=asked.encode())
    size = 1536 * 4
    differ = sum(ours[at : at + size] != theirs[at : at + size] for at in range(0, len(ours), size))
    assert len(ours) == len(theirs) and not differ, f"{differ} of {len(texts)} vectors differ"
    return len(texts)


def shares(said):
    total = sum(said[stage] for stage in ("extract", "chunk", "embed", "index"))
    return " | ".join(f"{100 * said[stage] / total:.1f} %" for stage in ("extract", "chunk", "embed", "index"))


def pipeline(driver):
    paths = pdfs_with_text(driver)
    listed = driver.list_of(paths)
    compared = same_vectors(driver, paths)
    measured, turn = {}, 0
    for _ in range(TURNS):
        turn += 1
        for workers in (1, 2):
            folder = os.path.join(driver.folder, f"ours-{turn}-{workers}")
            (said,) = driver.run("pipeline", workers, 4 * len(paths), folder, listed)
            measured.setdefault(f"ours, {workers} worker{'s' if workers > 1 else ''}", []).append(said)
        for name, rounds in (("pypdf", 1), ("PyMuPDF", 2)):
            folder = os.path.join(driver.folder, f"{name}-{turn}")
            script = os.path.join(HERE, "pipeline.py")
            said = json.loads(python(script, name, rounds * len(paths), folder, listed))
            measured.setdefault(f"{name}, LangChain, numpy", []).append(said)
    (stages,) = driver.run("stages", 3, os.path.join(driver.folder, "stages"), listed)
    for each in measured.values():
        for said in each:
            said["rate"], said["wall"] = said["pages"] / said["cpu"], said["pages"] / said["seconds"]
    measured["ours, 1 worker"][0] |= stages
    base = median(measured["ours, 1 worker"])
    lines = [
        f"{len(paths)} PDFs with text, again and again under other names; medians of {TURNS} turns. The vectors of {compared} texts are the "
        "same to the bit in both embedders. Shares are of processor time.",
        "",
        "| pipeline | pages per CPU-second | ours is | pages per second | chunks | extract | chunk | embed | index |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, each in measured.items():
        said = each[0]
        parts = shares(said) if "extract" in said else " | ".join("–" * 4)
        chunks = said["chunks"] * len(paths) // said["documents"]
        lines.append(
            f"| {name} | {median(each):,.0f} | {base / median(each):.2f} × | {median(each, 'wall'):,.0f} | {chunks:,} | {parts} |"
        )
    ratios = [two["wall"] / one["wall"] for one, two in zip(measured["ours, 1 worker"], measured["ours, 2 workers"])]
    lines += ["", f"Two workers do {statistics.median(ratios):.2f} × the pages per second of one."]
    return "\n".join(lines)


def curve(driver):
    """Documents of all formats, of at most 100 KB: what people upload every day."""
    paths = []
    for file in files_of(driver.corpus, ("pdf", "office", "web", "text", "made")):
        path = os.path.join(driver.corpus, file)
        if os.path.getsize(path) <= 100_000:
            paths.append(path)
    # The order of the files is mixed once, so that ten of them are like all of them.
    random.Random(8).shuffle(paths)
    paths = [said["file"] for said in driver.run("read", *paths) if "extraction" in said]
    listed = driver.list_of(paths)
    lines = [
        f"{len(paths)} files of all formats, of at most 100 KB, again and again under other names.",
        "",
        "| documents | chunks | documents/s, 1 worker | 2 workers | 2 workers are | documents per CPU-second, 1 worker | 2 workers |",
        "| ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for documents in (10, 100, 1_000, 10_000):
        said = {}
        for workers in (1, 2):
            folder = os.path.join(driver.folder, f"curve-{documents}-{workers}")
            (said[workers],) = driver.run("pipeline", workers, documents, folder, listed)
        rate = {workers: one["documents"] / one["seconds"] for workers, one in said.items()}
        per_cpu = {workers: one["documents"] / one["cpu"] for workers, one in said.items()}
        lines.append(
            f"| {documents:,} | {said[1]['chunks']:,} | {rate[1]:.1f} | {rate[2]:.1f} | {rate[2] / rate[1]:.2f} × "
            f"| {per_cpu[1]:.1f} | {per_cpu[2]:.1f} |"
        )
    return "\n".join(lines)


WORDS = (
    "mill wheel stream water stone flour grain miller race sluice axle gear timber bank reed heron rain flood summer winter "
    "repair ledger price sack cart horse road bridge village market bread oven salt letter clerk court boundary permit"
).split()
HAN = "水車在溪流中轉動磨坊主人每天清晨打開閘門讓流過木輪帶動石磨碾麥子成麵粉村民把糧食送來換取"


def thousand_pages(path):
    """A thousand pages of print, every fifth in Chinese with a font that is not in the file."""
    chance = random.Random(20261122)
    document = pymupdf.open()
    for number in range(1000):
        page = document.new_page()
        box = pymupdf.Rect(60, 60, 535, 780)
        if number % 5 == 4:
            lines = ["".join(chance.choices(HAN, k=40)) + "。" for _ in range(45)]
            page.insert_textbox(box, "\n".join(lines), fontname="china-t", fontsize=11)
        else:
            lines = [" ".join(chance.choices(WORDS, k=13)) + "." for _ in range(48)]
            page.insert_textbox(box, "\n".join(lines), fontname="helv", fontsize=10)
    document.save(path, garbage=4, deflate=True)


def memory(driver):
    path = os.path.join(driver.folder, "thousand.pdf")
    thousand_pages(path)
    said = driver.read(path)
    if "reason" in said:
        return f"A PDF of 1,000 pages ends as `{said['reason']}`: {said['message']}"
    pages = len(said["extraction"]["pages"])
    child, own = said["child_peak_kilobytes"] / 1024, said["own_peak_kilobytes"] / 1024
    return (
        f"A PDF of 1,000 pages ({os.path.getsize(path) / 1e6:.1f} MB, {len(said['extraction']['text']) / 1e6:.1f} million characters): "
        f"{pages} pages read in {said['milliseconds'] / 1000:.1f} s; peak of the child {child:.0f} MB, of the program that started it "
        f"{own:.0f} MB, together **{child + own:.0f} MB**."
    )
