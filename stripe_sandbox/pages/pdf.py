"""A plain page of text as a PDF, without any library."""

LINE_POINTS = 18
TOP_POINTS = 770
FONTS = b"/Resources << /Font << /F1 5 0 R >> >>"


def document(title: str, lines: list[str]) -> bytes:
    """One page: a title and lines of text, in Latin letters."""
    text = [b"BT", b"/F1 18 Tf", b"60 %d Td" % TOP_POINTS, _shown(title), b"/F1 11 Tf"]
    for line in lines:
        text += [b"0 -%d Td" % LINE_POINTS, _shown(line)]
    stream = b"\n".join([*text, b"ET"])
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R %s >>" % FONTS,
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    ]
    content = b"%PDF-1.4\n"
    places = []
    for number, body in enumerate(objects, start=1):
        places.append(len(content))
        content += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    count = len(objects) + 1
    return (
        content
        + b"xref\n0 %d\n0000000000 65535 f \n%s" % (count, table)
        + b"trailer\n<< /Size %d /Root 1 0 R >>\n" % count
        + b"startxref\n%d\n%%%%EOF\n" % len(content)
    )


def _shown(text: str) -> bytes:
    escaped = text.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
    return b"(%s) Tj" % escaped.encode("cp1252", "replace")
