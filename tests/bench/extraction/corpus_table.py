"""The table by file, and that of hostile files."""

import json
import os
import sys

import independent
from words import Likeness

# A page is right when so many of its words are found.
RIGHT = 0.97
WITH_TEXT = ("pdf", "office", "web", "text", "made")
HERE = os.path.dirname(os.path.abspath(__file__))


def files_of(corpus, folders):
    for folder in folders:
        place = os.path.join(corpus, folder)
        for name in sorted(os.listdir(place)) if os.path.isdir(place) else ():
            yield os.path.join(folder, name)


def reference(corpus, file, format_name):
    """Whose text it is, and its pages: the truth of made files, or else what another reader finds."""
    truth = os.path.join(corpus, "truth", os.path.basename(file) + ".json")
    if file.startswith("made/") and os.path.exists(truth):
        with open(truth) as pages:
            return "truth", json.load(pages)
    with open(os.path.join(HERE, "references.json")) as read_by_eye:
        known = json.load(read_by_eye).get(file)
    if known:
        return "by eye", known["pages"]
    path = os.path.join(corpus, file)
    try:
        name, pages = independent.independent(path, format_name)
    except Exception as error:
        if format_name != "pdf":
            return f"{independent.READERS[format_name][0]} fails: {type(error).__name__}", None
        pages = []
    if format_name == "pdf" and not "".join(pages).strip():
        return "pdfminer.six", independent.without_repeated_lines(independent.pdfminer_pages(path))
    return name, pages


def page_texts(extraction):
    text = extraction["text"]
    return [text[page["start"] : page["end"]] for page in extraction["pages"]]


def right_pages(extraction, pages):
    """How many of the reference's pages with text are found on our page of the same number."""
    ours = page_texts(extraction)
    if not ours:
        return "–"
    if len(ours) != len(pages):
        return f"{len(ours)} for {len(pages)}"
    each = [Likeness(left, right) for left, right in zip(ours, pages)]
    each = [likeness for likeness in each if likeness.words]
    return f"{sum(likeness.found >= RIGHT for likeness in each)} of {len(each)}"


def megabytes(said):
    return f"{said['child_peak_kilobytes'] / 1024:.0f}"


def table(driver):
    rows, left_out, refused = [], [], []
    words = found = in_order = ours = 0
    shares = []
    for file in files_of(driver.corpus, WITH_TEXT):
        said = driver.read(os.path.join(driver.corpus, file))
        if "reason" in said:
            refused.append(f"| {file} | `{said['reason']}` | {said['milliseconds']:.0f} | {megabytes(said)} |")
            continue
        extraction = said["extraction"]
        name, pages = reference(driver.corpus, file, extraction["format"])
        if pages is None:
            left_out.append(f"{file} ({name})")
            continue
        likeness = Likeness(extraction["text"], "\n".join(pages))
        print(f"{file}: {likeness.found:.3f}", file=sys.stderr)
        words, found = words + likeness.words, found + likeness.both
        in_order, ours = in_order + likeness.in_order, ours + likeness.ours
        shares.append(likeness.found)
        rows.append(
            f"| {file} | {name} | {likeness.words:,} | {likeness.found:.3f} | {likeness.precision:.3f} | {likeness.order:.3f} "
            f"| {right_pages(extraction, pages)} | {extraction['language'] or '–'} | {said['milliseconds']:.0f} | {megabytes(said)} |"
        )
    good = sum(share >= RIGHT for share in shares)
    lines = [
        f"Over all {words:,} words of {len(shares)} files: **{found / words:.4f} found**, {found / ours:.4f} of ours are theirs, "
        f"{in_order / words:.4f} in their order. {good} of {len(shares)} files have at least {RIGHT}; the mean of files is "
        f"{sum(shares) / len(shares):.4f}.",
        "",
        "| file | reference | words | found | precision | in order | pages right | language | ms | MB |",
        "| --- | --- | ---: | ---: | ---: | ---: | --- | --- | ---: | ---: |",
        *rows,
        "",
        "Not read, and why:",
        "",
        "| file | reason | ms | MB |",
        "| --- | --- | ---: | ---: |",
        *refused,
    ]
    if left_out:
        lines += ["", f"Read, but without a reference: {', '.join(left_out)}."]
    return "\n".join(lines)


def hostile(driver):
    lines = ["| file | ends as | ms | child's MB |", "| --- | --- | ---: | ---: |"]
    for file in files_of(driver.corpus, ("hostile",)):
        said = driver.read(os.path.join(driver.corpus, file))
        print(f"{file}: {said['milliseconds']:.0f} ms", file=sys.stderr)
        ended = f"`{said['reason']}`" if "reason" in said else f"text, {len(said['extraction']['text']):,} characters"
        lines.append(f"| {file} | {ended} | {said['milliseconds']:,.0f} | {megabytes(said)} |")
    return "\n".join(lines)
