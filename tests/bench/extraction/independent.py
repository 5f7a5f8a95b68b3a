"""What others read from the same files: one text a page, or one page for formats without pages."""

import csv
import email
import email.policy
import io
import json
import re
import warnings
import zipfile
from collections import Counter

import bs4
import docx
import lxml.etree
import openpyxl
import pdfminer.high_level
import pdfminer.layout
import pptx
import pymupdf
import pypdf
from striprtf.striprtf import rtf_to_text

warnings.filterwarnings("ignore")
pymupdf.TOOLS.mupdf_display_errors(False)
pymupdf.TOOLS.mupdf_display_warnings(False)


def without_repeated_lines(pages):
    """Running headers and page numbers: lines at the edge of a page that most pages have, numbers aside."""
    if len(pages) < 3:
        return pages
    edge = 3
    split = [[line for line in page.splitlines() if line.strip()] for page in pages]

    def masked(line):
        return re.sub(r"\d+|\b[ivxlc]+\b", "#", " ".join(line.split()).lower())

    def at_edges(lines):
        return {masked(line) for line in lines[:edge] + lines[-edge:]}

    often = Counter(line for lines in split for line in at_edges(lines))
    repeated = {line for line, times in often.items() if times * 2 > len(pages)}
    kept = []
    for lines in split:
        middle = max(edge, len(lines) - edge)
        kept.append(
            "\n".join(
                line
                for place, line in enumerate(lines)
                if not (masked(line) in repeated and (place < edge or place >= middle))
            )
        )
    return kept


def pymupdf_pages(path):
    flags = pymupdf.TEXTFLAGS_TEXT | pymupdf.TEXT_DEHYPHENATE
    with pymupdf.open(path) as document:
        if document.needs_pass:
            raise ValueError("password")
        return [page.get_text("text", flags=flags) for page in document]


def pdfminer_pages(path):
    pages = []
    for layout in pdfminer.high_level.extract_pages(path, laparams=pdfminer.layout.LAParams(all_texts=True)):
        text = "".join(one.get_text() for one in layout if hasattr(one, "get_text"))
        pages.append(re.sub(r"(?<=[a-z])-\n(?=[a-z])", "", text))
    return pages


def pypdf_pages(path):
    return [page.extract_text() for page in pypdf.PdfReader(path).pages]


WORD = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"


def docx_text(path):
    """python-docx for the file's parts; their text by lxml, since text boxes, notes and fields are not in its model."""
    document = docx.Document(path)
    parts = [document.part]
    wanted = ("footnotes", "endnotes", "header", "footer", "comments")
    texts = []
    for relation in document.part.rels.values():
        if not relation.is_external and relation.reltype.rsplit("/", 1)[-1] in ("footnotes", "endnotes"):
            parts.append(relation.target_part)
    for part in parts:
        root = lxml.etree.fromstring(part.blob)
        for choice in root.iter("{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"):
            choice.getparent().remove(choice)
        lines = []
        for element in root.iter():
            if element.tag == WORD + "t":
                lines.append(element.text or "")
            elif element.tag == WORD + "noBreakHyphen":
                lines.append("-")
            elif element.tag in (WORD + "p", WORD + "tab", WORD + "br", WORD + "cr", WORD + "tc"):
                lines.append("\n")
        texts.append("".join(lines))
    return ["\n".join(texts)]


def cell_text(cell):
    """As the sheet shows it, but for the number of decimals: a share as per cent, a day without its midnight."""
    value = cell.value
    if isinstance(value, (int, float)) and not isinstance(value, bool) and "%" in cell.number_format:
        return f"{value * 100:.15g}%"
    if isinstance(value, float):
        return f"{value:.15g}"
    return str(value).removesuffix(" 00:00:00")


def xlsx_pages(path):
    book = openpyxl.load_workbook(path, data_only=True)
    pages = []
    for sheet in book.worksheets:
        lines = [sheet.title]
        for row in sheet.iter_rows():
            lines.append("\t".join(cell_text(cell) for cell in row if cell.value is not None))
        pages.append("\n".join(lines))
    return pages


def shapes_text(shapes):
    for shape in shapes:
        if shape.shape_type == pptx.enum.shapes.MSO_SHAPE_TYPE.GROUP:
            yield from shapes_text(shape.shapes)
        elif shape.has_text_frame:
            yield shape.text_frame.text.replace("\v", "\n")
        elif getattr(shape, "has_table", False) and shape.has_table:
            for row in shape.table.rows:
                yield "\t".join(cell.text for cell in row.cells)


def pptx_pages(path):
    pages = []
    for slide in pptx.Presentation(path).slides:
        lines = list(shapes_text(slide.shapes))
        if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
            lines.append(slide.notes_slide.notes_text_frame.text)
        pages.append("\n".join(lines))
    return pages


BLOCKS = (
    "p div li tr td th h1 h2 h3 h4 h5 h6 br ul ol table section article header footer nav aside main "
    "blockquote pre dt dd dl select title form fieldset legend figcaption caption hr"
).split()


def html_text(markup):
    soup = bs4.BeautifulSoup(markup, "lxml")
    for element in soup(["script", "style", "noscript", "template", "option", "head"]):
        if element.name == "head":
            element.clear()
        else:
            element.decompose()
    for element in soup(BLOCKS):
        element.insert_before("\n")
        element.insert_after("\n")
    return soup.get_text()


def epub_pages(path):
    with zipfile.ZipFile(path) as book:
        container = lxml.etree.fromstring(book.read("META-INF/container.xml"))
        package = container.find(".//{*}rootfile").get("full-path")
        root = lxml.etree.fromstring(book.read(package))
        items = {item.get("id"): item for item in root.iterfind(".//{*}manifest/{*}item")}
        folder = package.rpartition("/")[0]
        pages = []
        for reference in root.iterfind(".//{*}spine/{*}itemref"):
            item = items[reference.get("idref")]
            if "nav" in (item.get("properties") or "").split():
                continue
            name = (folder + "/" if folder else "") + item.get("href")
            pages.append(html_text(book.read(name)))
        return pages


def opendocument_text(path):
    with zipfile.ZipFile(path) as package:
        root = lxml.etree.fromstring(package.read("content.xml"))
    text = []
    for element in root.find("{*}body").iter():
        name = lxml.etree.QName(element).localname if isinstance(element.tag, str) else ""
        if name in ("p", "h", "tab", "line-break", "list-item", "table-cell"):
            text.append("\n")
        if name == "s":
            text.append(" ")
        text.append(element.text or "")
        text.append(element.tail or "")
    return ["".join(text)]


def decoded(data):
    """By mark, then by the strictest encoding that fits."""
    for mark, encoding in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if data.startswith(mark):
            return data.decode(encoding)
    for encoding in ("utf-8", "big5", "gb18030", "cp949", "shift_jis", "cp1252", "latin-1"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    return ""


def eml_text(data):
    message = email.message_from_bytes(data, policy=email.policy.default)
    lines = [str(message.get(name) or "") for name in ("subject", "from", "to", "cc", "date")]
    body = message.get_body(("plain", "html"))
    if body is not None:
        content = body.get_content()
        lines.append(html_text(content) if body.get_content_type() == "text/html" else content)
    for part in message.iter_attachments():
        lines.append(part.get_filename() or "")
    return ["\n".join(lines)]


def rtf_text(data):
    return [rtf_to_text(data.decode("latin-1"), encoding="cp1252", errors="replace")]


def xml_text(data):
    root = lxml.etree.fromstring(data, lxml.etree.XMLParser(resolve_entities=False, huge_tree=True))
    return [" ".join(root.itertext())]


def json_text(data):
    def walk(value, key):
        if isinstance(value, dict):
            for name, inner in value.items():
                yield from walk(inner, name)
        elif isinstance(value, list):
            for inner in value:
                yield from walk(inner, key)
        else:
            yield f"{key or ''}: {json.dumps(value, ensure_ascii=False) if not isinstance(value, str) else value}"

    return ["\n".join(walk(json.loads(decoded(data)), None))]


def csv_text(data):
    return ["\n".join("\t".join(row) for row in csv.reader(io.StringIO(decoded(data))))]


def markdown_text(data):
    """The marks of Markdown are no words; addresses of links are left out."""
    return [re.sub(r"\]\([^)]*\)", "]", decoded(data))]


def read_bytes(path):
    with open(path, "rb") as file:
        return file.read()


READERS = {
    "pdf": ("PyMuPDF", lambda path: without_repeated_lines(pymupdf_pages(path))),
    "docx": ("python-docx", docx_text),
    "xlsx": ("openpyxl", xlsx_pages),
    "pptx": ("python-pptx", pptx_pages),
    "epub": ("lxml, bs4", epub_pages),
    "odt": ("lxml", opendocument_text),
    "ods": ("lxml", opendocument_text),
    "odp": ("lxml", opendocument_text),
    "html": ("bs4", lambda path: [html_text(read_bytes(path))]),
    "rtf": ("striprtf", lambda path: rtf_text(read_bytes(path))),
    "email": ("email", lambda path: eml_text(read_bytes(path))),
    "xml": ("lxml", lambda path: xml_text(read_bytes(path))),
    "json": ("json", lambda path: json_text(read_bytes(path))),
    "csv": ("csv", lambda path: csv_text(read_bytes(path))),
    "markdown": ("regex", lambda path: markdown_text(read_bytes(path))),
    "plain-text": ("codecs", lambda path: [decoded(read_bytes(path))]),
}


def independent(path, format_name):
    """The extractor's name, and its pages."""
    name, read = READERS[format_name]
    return name, read(path)
