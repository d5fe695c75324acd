"""The program that turns HTML into PDF: a server that has WeasyPrint loaded, and a sealed child per document.

It is started by `include.reports.render`, which shares its frames, and speaks over one inherited socket. The
server itself renders nothing of anybody's: each request is answered by a forked child that has bounded time and
memory, no network and no files, and dies with its document. Fork after import, because importing WeasyPrint costs
more than most reports do.

Frames on the socket, both ways: 4 bytes length (big endian), JSON, then as many raw bytes as the JSON's `size` says.
"""

from __future__ import annotations

import json
import logging
import os
import resource
import selectors
import signal
import socket
import struct
import sys
import sysconfig
import time
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, SubElement, register_namespace, tostring

LENGTH = struct.Struct(">I")
MOST_BYTES = 256 * 2**20
"""No frame is longer, in either direction."""

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
XMP_NAMESPACE = "https://throughline.example/ns/lineage/1.0/"
XMP_PREFIX = "throughline"
EXTENSION = "http://www.aiim.org/pdfa/ns/extension/"
SCHEMA = "http://www.aiim.org/pdfa/ns/schema#"
PROPERTY = "http://www.aiim.org/pdfa/ns/property#"
READABLE = (
    "/usr/share/fonts",
    "/usr/local/share/fonts",
    "/usr/share/mime",
    "/usr/share/zoneinfo",
    "/dev/null",
)


# -- frames ------------------------------------------------------------------------------------------------------


def send(connection: socket.socket, header: dict[str, Any], body: bytes = b"") -> None:
    """Write one frame."""
    text = json.dumps({**header, "size": len(body)}).encode()
    connection.sendall(LENGTH.pack(len(text)) + text + body)


def receive(connection: socket.socket) -> tuple[dict[str, Any], bytes]:
    """Read one frame; EOFError when the other side is gone."""
    (length,) = LENGTH.unpack(_exactly(connection, LENGTH.size))
    if length > MOST_BYTES:
        raise EOFError(f"a frame of {length} bytes is not one of ours")
    header = json.loads(_exactly(connection, length))
    return header, _exactly(connection, int(header["size"]))


def _exactly(connection: socket.socket, size: int) -> bytes:
    found = bytearray()
    while len(found) < size:
        part = connection.recv(min(size - len(found), 2**20))
        if not part:
            raise EOFError("the other side closed the connection")
        found += part
    return bytes(found)


# -- server ------------------------------------------------------------------------------------------------------


def main(descriptor: int) -> None:
    """Serve until the client's end of the socket closes."""
    connection = socket.socket(fileno=descriptor)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the client, which then closes the socket
    try:
        send(connection, {"ok": True, "recipe": _load()})
    except (ImportError, OSError, AttributeError, RuntimeError) as error:
        send(connection, {"ok": False, "why": "start", "message": f"{type(error).__name__}: {error}"})
        return
    while True:
        try:
            header, body = receive(connection)
        except EOFError:
            return
        answer, pdf = _in_child(connection, header, body)
        if answer is None:
            return
        send(connection, answer, pdf)


def _load() -> dict[str, Any]:
    """Load everything a child will need, and say which versions decide the bytes.

    Raises RuntimeError when a shared library that the bytes depend on is missing.
    """
    import pydyf
    import weasyprint
    from PIL import __version__ as pillow
    from weasyprint.text import ffi

    if ffi.harfbuzz_subset is None:
        raise RuntimeError("libharfbuzz-subset is not installed")
    # one whole document: lazy imports, font map and MIME tables are then there before any child is sealed
    _write(
        {"html": "<p lang=en>Aa&#8594;</p>", "attachments": [], "identifier": "00", "epoch": 0, "xmp": {}}, {}
    )
    version = ffi.pango.pango_version()
    return {
        "weasyprint": weasyprint.__version__,
        "pydyf": pydyf.__version__,
        "pillow": pillow,
        "pango": f"{version // 10000}.{version // 100 % 100}.{version % 100}",
        "harfbuzz": _loaded("libharfbuzz.so"),
        "harfbuzz_subset": _loaded("libharfbuzz-subset.so"),
        "fontconfig": _loaded("libfontconfig.so"),
    }


def _loaded(name: str) -> str:
    """Return the file name, with its version, of a shared library that is mapped into this process."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        path = Path(line.split(maxsplit=5)[-1])
        if path.name.startswith(name) and path.is_absolute() and "pillow" not in str(path):
            return path.resolve().name
    raise RuntimeError(f"{name} is not loaded")


def _in_child(
    client: socket.socket, header: dict[str, Any], body: bytes
) -> tuple[dict[str, Any] | None, bytes]:
    """Render in a fork; (None, b"") when the client went away meanwhile."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        client.close()
        _child(writing, header, body)
    os.close(writing)
    deadline = time.monotonic() + float(header["seconds"])
    found = bytearray()
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(reading, selectors.EVENT_READ)
            selector.register(client, selectors.EVENT_READ)
            while True:
                left = deadline - time.monotonic()
                if left <= 0:
                    return {
                        "ok": False,
                        "why": "time",
                        "message": f"not done after {header['seconds']:g} s",
                    }, b""
                ready = {key.fd for key, _ in selector.select(left)}
                if client.fileno() in ready:  # one request at a time: only its end can be read here
                    return None, b""
                if reading not in ready:
                    continue
                part = os.read(reading, 2**20)
                if not part:
                    break
                found += part
                if len(found) > MOST_BYTES:
                    return {"ok": False, "why": "size", "message": f"more than {MOST_BYTES} bytes"}, b""
    finally:
        os.close(reading)
        status = _end(child)
    if len(found) < LENGTH.size:
        ended = f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else f"exit {status >> 8}"
        return {"ok": False, "why": "died", "message": f"the rendering process ended by {ended}"}, b""
    (length,) = LENGTH.unpack(found[: LENGTH.size])
    answer: dict[str, Any] = json.loads(found[LENGTH.size : LENGTH.size + length])
    return answer, bytes(found[LENGTH.size + length :])


def _end(child: int) -> int:
    """Make sure the child is gone; return its wait status."""
    done, status = os.waitpid(child, os.WNOHANG)
    if done == 0:
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
    return status


# -- child -------------------------------------------------------------------------------------------------------


def _child(writing: int, header: dict[str, Any], body: bytes) -> None:
    """Render and leave; never returns."""
    try:
        _seal(float(header["seconds"]), int(header["memory_bytes"]))
        answer, pdf = _answer(body)
        text = json.dumps(answer).encode()
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(LENGTH.pack(len(text)) + text + pdf)
    finally:
        os._exit(0)


def _seal(seconds: float, memory_bytes: int) -> None:
    """Give up time, memory, files, network and programs before anything of the document is looked at."""
    for what, limit in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_CPU, int(seconds) + 1),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (limit, limit))
    places = {Path(place).resolve() for place in (*sysconfig.get_paths().values(), *READABLE)}

    def refuse(event: str, arguments: tuple[Any, ...]) -> None:
        if event.startswith(("socket.", "subprocess.", "os.exec", "os.spawn", "os.posix_spawn")) or event in (
            "os.system",
            "os.fork",
            "os.forkpty",
        ):
            raise PermissionError(f"a report may not: {event}")
        if event == "open" and isinstance(arguments[0], str | bytes):
            path = Path(os.path.realpath(os.fsdecode(arguments[0])))
            if not any(path == place or place in path.parents for place in places):
                raise PermissionError(f"a report may not open {path}")

    sys.addaudithook(refuse)


def _answer(body: bytes) -> tuple[dict[str, Any], bytes]:
    from weasyprint.urls import FatalURLFetchingError

    noted: dict[str, Any] = {}
    try:
        pdf = _write(json.loads(body), noted)
    except FatalURLFetchingError as error:
        return {"ok": False, "why": "fetch", "message": str(error)[:300]}, b""
    except MemoryError:
        return {"ok": False, "why": "memory", "message": "out of memory"}, b""
    except RecursionError:
        return {"ok": False, "why": "depth", "message": "nested too deeply"}, b""
    except Exception as error:
        return {"ok": False, "why": "error", "message": f"{type(error).__name__}: {error}"[:300]}, b""
    return {"ok": True, **noted}, pdf


def _write(request: dict[str, Any], noted: dict[str, Any]) -> bytes:
    """Return the PDF; `noted` receives pages and what WeasyPrint complained about."""
    from datetime import UTC, datetime
    from io import BytesIO

    from weasyprint import HTML, Attachment
    from weasyprint.urls import URLFetcher

    os.environ["SOURCE_DATE_EPOCH"] = str(request["epoch"])  # for any writer of a time of its own
    complaints: list[str] = []
    handler = _Complaints(complaints)
    logger = logging.getLogger("weasyprint")
    logger.handlers, logger.propagate = [handler], False
    logger.setLevel(logging.WARNING)
    at = datetime.fromtimestamp(request["epoch"], UTC)
    attachments = [
        Attachment(
            file_obj=BytesIO(item["text"].encode()),
            name=item["name"],
            description=item["description"],
            relationship=item["relationship"],
            created=at,
            modified=at,
        )
        for item in request["attachments"]
    ]
    fetcher = URLFetcher(allowed_protocols={"data"}, allow_redirects=False, fail_on_errors=True)
    document = HTML(string=request["html"], base_url=None, url_fetcher=fetcher).render(
        pdf_variant="pdf/a-3u", pdf_tags=True
    )
    pdf: bytes = document.write_pdf(
        pdf_variant="pdf/a-3u",
        pdf_tags=True,
        pdf_identifier=bytes.fromhex(request["identifier"]),
        attachments=attachments,
        finisher=_Finisher(request["xmp"]),
    )
    noted.update(pages=len(document.pages), complaints=complaints)
    return pdf


class _Complaints(logging.Handler):
    def __init__(self, found: list[str]) -> None:
        super().__init__()
        self.found = found

    def emit(self, record: logging.LogRecord) -> None:
        if len(self.found) < 50:
            self.found.append(record.getMessage()[:300])


class _Finisher:
    """Put our identifiers into the XMP packet, once and plain, and list each associated file once."""

    def __init__(self, xmp: dict[str, str]) -> None:
        self.xmp = xmp

    def __call__(self, document: Any, pdf: Any) -> None:
        associated = pdf.catalog.get("AF")
        if associated is not None:  # WeasyPrint 70 lists every file twice here; remove when it no longer does
            associated[:] = list(dict.fromkeys(associated))
        for item in pdf.objects:  # bitmap glyphs (emoji) ask for interpolation, which PDF/A refuses
            extra = getattr(item, "extra", {})
            if extra.get("Subtype") == "/Image" and "Interpolate" in extra:
                extra["Interpolate"] = "false"
        if not self.xmp:
            return
        number = int(bytes(pdf.catalog["Metadata"]).split()[0])
        stream = pdf.objects[number]
        packet = b"".join(stream.stream)
        mark = packet.rindex(b"</rdf:RDF>")  # one RDF element in a packet: a second one is not read by most
        stream.stream = [packet[:mark] + xmp_description(self.xmp) + packet[mark:]]
        stream.compress = False  # so that the identifiers can be found in the bytes by anybody


def xmp_description(values: dict[str, str]) -> bytes:
    """Return the rdf:Description elements of our identifiers and of the schema PDF/A wants described.

    Source: ISO 19005-3, 6.6.2.3 (extension schemas).
    """
    for prefix, namespace in (
        ("rdf", RDF),
        (XMP_PREFIX, XMP_NAMESPACE),
        ("pdfaExtension", EXTENSION),
        ("pdfaSchema", SCHEMA),
        ("pdfaProperty", PROPERTY),
    ):
        register_namespace(prefix, namespace)
    root = Element(f"{{{RDF}}}RDF")
    ids = SubElement(root, f"{{{RDF}}}Description", {f"{{{RDF}}}about": ""})
    for name, value in sorted(values.items()):
        SubElement(ids, f"{{{XMP_NAMESPACE}}}{name}").text = value
    extension = SubElement(root, f"{{{RDF}}}Description", {f"{{{RDF}}}about": ""})
    bag = SubElement(SubElement(extension, f"{{{EXTENSION}}}schemas"), f"{{{RDF}}}Bag")
    schema = SubElement(bag, f"{{{RDF}}}li", {f"{{{RDF}}}parseType": "Resource"})
    SubElement(schema, f"{{{SCHEMA}}}schema").text = "Throughline lineage"
    SubElement(schema, f"{{{SCHEMA}}}namespaceURI").text = XMP_NAMESPACE
    SubElement(schema, f"{{{SCHEMA}}}prefix").text = XMP_PREFIX
    properties = SubElement(SubElement(schema, f"{{{SCHEMA}}}property"), f"{{{RDF}}}Seq")
    for name in sorted(values):
        item = SubElement(properties, f"{{{RDF}}}li", {f"{{{RDF}}}parseType": "Resource"})
        SubElement(item, f"{{{PROPERTY}}}name").text = name
        SubElement(item, f"{{{PROPERTY}}}valueType").text = "Text"
        SubElement(item, f"{{{PROPERTY}}}category").text = "external"
        SubElement(item, f"{{{PROPERTY}}}description").text = f"{name.replace('_', ' ')} of this report"
    return b"".join(tostring(child, encoding="utf-8") for child in root)
