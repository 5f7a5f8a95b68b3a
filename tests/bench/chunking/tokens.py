"""How far `estimate_tokens` is from the tokenizer `cl100k_base`, by language.

    tests/bench/chunking/tokens.sh [FILE…]

English, Chinese and Korean from the sources of the sample documents, a few sentences each of the others; texts of your own can be added.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import bpe_openai

SOURCES = pathlib.Path("events-fixtures/documents/sources")
OTHERS = {
    "German": "Die Mühle steht am Ende des Dorfes, und ihr Rad dreht sich seit zweihundert Jahren. Wer sie besuchen möchte, soll sich vorher anmelden.",
    "French": "Le moulin se trouve au bout du village, et sa roue tourne depuis deux cents ans. Pour le visiter, il faut s'inscrire à l'avance.",
    "Russian": "Мельница стоит на краю деревни, и её колесо вращается уже двести лет. Кто хочет её посетить, должен записаться заранее.",
    "Ukrainian": "Млин стоїть на краю села, і його колесо обертається вже двісті років. Хто хоче його відвідати, має записатися заздалегідь.",
    "Greek": "Ο μύλος βρίσκεται στην άκρη του χωριού και ο τροχός του γυρίζει εδώ και διακόσια χρόνια.",
    "Arabic": "تقع الطاحونة في آخر القرية، وعجلتها تدور منذ مئتي سنة. على من يريد زيارتها أن يسجل اسمه مسبقا.",
    "Persian": "آسیاب در انتهای روستا قرار دارد و چرخ آن دویست سال است که می‌چرخد. هر کس می‌خواهد آن را ببیند باید از پیش نام‌نویسی کند.",
    "Hebrew": "הטחנה עומדת בקצה הכפר, והגלגל שלה מסתובב כבר מאתיים שנה. מי שרוצה לבקר בה צריך להירשם מראש.",
    "Hindi": "चक्की गाँव के अंत में है और उसका पहिया दो सौ साल से घूम रहा है। जो उसे देखना चाहे, वह पहले से नाम लिखाए।",
    "Thai": "โรงสีตั้งอยู่สุดหมู่บ้าน และกังหันของมันหมุนมาสองร้อยปีแล้ว ผู้ที่ต้องการเยี่ยมชมควรลงชื่อล่วงหน้า",
    "Japanese": "水車小屋は村のはずれにあり、その水車は二百年前から回っている。見学を希望する人は前もって申し込むこと。",
    "Vietnamese": "Cối xay nằm ở cuối làng, và bánh xe của nó đã quay suốt hai trăm năm. Ai muốn đến thăm phải đăng ký trước.",
    "digits": "12,345.67 480 2026-11-22 95% 1000000 3.14159 7 42 " * 10,
}


def texts(paths):
    for name, prefix in (("English", "alderwick"), ("Chinese", "yuxi"), ("Korean", "beodeulnae")):
        sources = sorted(path for path in SOURCES.glob(f"{prefix}-*") if path.suffix in (".txt", ".md"))
        yield name, "\n".join(path.read_text() for path in sources)
    yield from OTHERS.items()
    for path in paths:
        yield pathlib.Path(path).name, pathlib.Path(path).read_text()


def main():
    estimator, *paths = sys.argv[1:]
    encoding = bpe_openai.get_encoding("cl100k_base")
    print(f"{'text':20}{'cl100k':>8}{'estimate':>10}{'ratio':>7}")
    for name, text in texts(paths):
        with tempfile.NamedTemporaryFile(suffix=".txt") as file:
            file.write(text.encode())
            file.flush()
            answer = json.loads(subprocess.run([estimator, file.name], check=True, capture_output=True).stdout)
        tokens = len(encoding.encode(text))
        print(f"{name:20}{tokens:8}{answer['tokens']:10}{answer['tokens'] / tokens:7.2f}")


main()
