#!/usr/bin/env bash
# Makes the sample documents in samples/ from the texts in sources/, with the programs that people
# use to make such files.
#
# Needs, on Debian 12:
#   apt-get install --no-install-recommends libreoffice-writer-nogui pandoc qpdf ghostscript \
#     poppler-utils fonts-noto-cjk fonts-dejavu-core python3-venv
# and the typesetter typst, which this script takes from PyPI into a folder that it removes again
# (or set PYTHON_WITH_TYPST to a Python that can import it).
#
# The files repeat byte for byte with the same versions of these programs, except for four: what LibreOffice and
# Ghostscript write carries the time of writing (the Korean PDF and DOCX, the scan), and the password-protected PDF draws
# its key at random. Events name the e-tags of these files by a placeholder, so making them again breaks nothing.
set -euo pipefail
export LC_ALL=C.UTF-8 SOURCE_DATE_EPOCH=1793491200 # 2026-11-01

here=$(cd "$(dirname "$0")" && pwd)
sources=$here/sources
samples=$here/samples
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for program in pandoc soffice qpdf gs pdftotext iconv python3; do
    command -v "$program" >/dev/null || { echo "make-samples: $program is missing; the top of this script says what to install" >&2; exit 2; }
done

python=${PYTHON_WITH_TYPST:-}
if [ -z "$python" ]; then
    python3 -m venv "$work/venv"
    "$work/venv/bin/pip" install --quiet --only-binary :all: typst==0.15.0
    python=$work/venv/bin/python
fi

mkdir -p "$samples/broken"

typeset() { # NAME: sources/NAME.typ to samples/NAME.pdf
    echo "typst: $1.pdf"
    "$python" -c 'import sys, typst; typst.compile(sys.argv[1], output=sys.argv[2])' "$sources/$1.typ" "$work/$1.pdf"
    # typst's own file id is random
    qpdf --deterministic-id "$work/$1.pdf" "$samples/$1.pdf"
}

office() { # FORMAT FILE: converts into the work folder with LibreOffice
    soffice "-env:UserInstallation=file://$work/profile" --headless --convert-to "$1" --outdir "$work/office" "$2" >/dev/null 2>&1
}

# PDF by typst: English with a section in two columns, Traditional Chinese.
typeset alderwick-mill-handbook
typeset yuxi-river-survey-zh

# PDF by LibreOffice: Korean, with a heading structure.
echo "libreoffice: beodeulnae-mill-guide-ko.pdf"
pandoc --metadata lang=ko-KR --metadata title= -f markdown -t odt -o "$work/beodeulnae-mill-guide-ko.odt" "$sources/beodeulnae-mill-guide-ko.md"
office pdf "$work/beodeulnae-mill-guide-ko.odt"
qpdf --deterministic-id "$work/office/beodeulnae-mill-guide-ko.pdf" "$samples/beodeulnae-mill-guide-ko.pdf"

# DOCX by pandoc (English, Chinese) and by LibreOffice (Korean), with headings and a table each.
for name in alderwick-restoration-report yuxi-town-history-zh; do
    echo "pandoc: $name.docx"
    pandoc -f markdown -t docx -o "$samples/$name.docx" "$sources/$name.md"
done
echo "libreoffice: beodeulnae-festival-ko.docx"
pandoc -f markdown -t odt -o "$work/beodeulnae-festival-ko.odt" "$sources/beodeulnae-festival-ko.md"
office docx "$work/beodeulnae-festival-ko.odt"
cp "$work/office/beodeulnae-festival-ko.docx" "$samples/"

# HTML by pandoc, with the parts of a page that are not its text.
for name in alderwick-visitor-guide yuxi-mill-tour-zh; do
    echo "pandoc: $name.html"
    pandoc -f markdown -t html5 --template "$sources/$name.template.html" --metadata pagetitle="$name" \
        -o "$samples/$name.html" "$sources/$name.md"
done

# Markdown and plain text, in the encodings that are met.
echo "iconv and cp: Markdown and plain text"
cp "$sources/alderwick-millers-notebook.md" "$sources/beodeulnae-recipes-ko.md" "$sources/alderwick-flood-notice.txt" "$samples/"
iconv -f UTF-8 -t BIG5 "$sources/yuxi-market-notice-zh.txt" >"$samples/yuxi-market-notice-zh-big5.txt"
iconv -f UTF-8 -t CP949 "$sources/beodeulnae-bakery-ko.txt" >"$samples/beodeulnae-bakery-ko-cp949.txt"
{ printf '\xff\xfe'; iconv -f UTF-8 -t UTF-16LE "$sources/beodeulnae-letter-ko.txt"; } >"$samples/beodeulnae-letter-ko-utf16.txt"

# Files from which no text comes, each for its own reason.
echo "broken files"
handbook=$samples/alderwick-mill-handbook.pdf
head -c "$(($(wc -c <"$handbook") / 2))" "$handbook" >"$samples/broken/truncated.pdf"
# The user password is "burr": the document cannot be opened without it.
qpdf --encrypt burr penhale 256 -- --static-id "$handbook" "$samples/broken/password-protected.pdf"
gs -q -dNOPAUSE -dBATCH -dSAFER -sDEVICE=pdfimage8 -r72 -dLastPage=2 -sOutputFile="$work/scan.pdf" "$handbook"
qpdf --deterministic-id "$work/scan.pdf" "$samples/broken/scanned.pdf"
: >"$samples/broken/empty.pdf"

# Every text must be there again.
[ "$(pdftotext "$handbook" - | grep -c 'Stoke Bend')" -ge 2 ]
pdftotext "$samples/yuxi-river-survey-zh.pdf" - | grep -q '魚梯'
pdftotext "$samples/beodeulnae-mill-guide-ko.pdf" - | grep -q '물레'
[ -z "$(pdftotext "$samples/broken/scanned.pdf" - | tr -d '[:space:]')" ]
for file in "$samples"/* "$samples"/broken/*; do
    if [ -f "$file" ] && [ "$(wc -c <"$file")" -gt 204800 ]; then
        echo "make-samples: $file is larger than 200 KB" >&2
        exit 1
    fi
done
echo "done: $(find "$samples" -type f | wc -l) files, $(du -sk "$samples" | cut -f1) KB"
