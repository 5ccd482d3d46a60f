"""Excel workbooks, written element by element as the standard says, so that each oddity can be had."""

import io
import zipfile
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

_TYPES = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_LINKS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
DATE_STYLE = 1
"""The style of a date in these workbooks."""

Cell = str | int | float | None


def workbook(
    rows: Sequence[Sequence[Cell]],
    *,
    formulas: Mapping[tuple[int, int], str | None] | None = None,
    dates: Sequence[tuple[int, int]] = (),
    shared: bool = True,
    more_sheets: Mapping[str, Sequence[Sequence[Cell]]] | None = None,
    main: str = _MAIN,
) -> bytes:
    """A workbook with its first sheet `Leads`. `formulas` says at which (row, column) a formula stands, counted from
    0, and the value last saved with it; `dates` are cells shown as dates; `shared` puts texts where Excel puts them."""
    texts: dict[str, int] = {}
    sheets = {"Leads": rows, **(more_sheets or {})}
    parts = [
        _sheet(content, formulas or {} if name == "Leads" else {}, dates, texts if shared else None, main)
        for name, content in sheets.items()
    ]
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as package:
        package.writestr("[Content_Types].xml", _content_types(len(parts)))
        package.writestr("_rels/.rels", _links([("officeDocument", "xl/workbook.xml")]))
        package.writestr("xl/workbook.xml", _workbook(list(sheets), main))
        targets = [("worksheet", f"worksheets/sheet{number}.xml") for number in range(1, len(parts) + 1)]
        package.writestr(
            "xl/_rels/workbook.xml.rels",
            _links([*targets, ("styles", "styles.xml"), ("sharedStrings", "sharedStrings.xml")]),
        )
        package.writestr("xl/styles.xml", _styles(main))
        items = "".join(f"<si><t xml:space='preserve'>{escape(text)}</t></si>" for text in texts)
        package.writestr("xl/sharedStrings.xml", f"<sst xmlns='{main}'>{items}</sst>")
        for number, part in enumerate(parts, 1):
            package.writestr(f"xl/worksheets/sheet{number}.xml", part)
    return out.getvalue()


def _sheet(
    rows: Sequence[Sequence[Cell]],
    formulas: Mapping[tuple[int, int], str | None],
    dates: Sequence[tuple[int, int]],
    texts: dict[str, int] | None,
    main: str,
) -> str:
    written = []
    for number, row in enumerate(rows):
        cells = []
        for place, value in enumerate(row):
            where = f"{_letters(place)}{number + 1}"
            if (number, place) in formulas:
                saved = formulas[number, place]
                shown = "" if saved is None else f"<v>{escape(saved)}</v>"
                cells.append(f"<c r='{where}' t='str'><f>A1&amp;\"\"</f>{shown}</c>")
            elif isinstance(value, str) and texts is not None:
                cells.append(f"<c r='{where}' t='s'><v>{texts.setdefault(value, len(texts))}</v></c>")
            elif isinstance(value, str):
                cells.append(f"<c r='{where}' t='inlineStr'><is><t>{escape(value)}</t></is></c>")
            elif value is not None:
                style = f" s='{DATE_STYLE}'" if (number, place) in dates else ""
                cells.append(f"<c r='{where}'{style}><v>{value}</v></c>")
        written.append(f"<row r='{number + 1}'>{''.join(cells)}</row>")
    return f"<worksheet xmlns='{main}'><sheetData>{''.join(written)}</sheetData></worksheet>"


def _letters(place: int) -> str:
    letters = ""
    place += 1
    while place:
        place, rest = divmod(place - 1, 26)
        letters = chr(65 + rest) + letters
    return letters


def _content_types(sheets: int) -> str:
    parts = [
        ("/xl/workbook.xml", "sheet.main"),
        ("/xl/styles.xml", "styles"),
        ("/xl/sharedStrings.xml", "sharedStrings"),
    ]
    parts += [(f"/xl/worksheets/sheet{number}.xml", "worksheet") for number in range(1, sheets + 1)]
    named = "".join(f"<Override PartName='{name}' ContentType='{_TYPES}.{kind}+xml'/>" for name, kind in parts)
    return (
        f"<Types xmlns='{_PACKAGE}/content-types'><Default Extension='xml' ContentType='application/xml'/>"
        "<Default Extension='rels' ContentType='application/vnd.openxmlformats-package.relationships+xml'/>"
        f"{named}</Types>"
    )


def _links(targets: Sequence[tuple[str, str]]) -> str:
    named = "".join(
        f"<Relationship Id='rId{number}' Type='{_LINKS}/{kind}' Target='{target}'/>"
        for number, (kind, target) in enumerate(targets, 1)
    )
    return f"<Relationships xmlns='{_PACKAGE}/relationships'>{named}</Relationships>"


def _workbook(names: Sequence[str], main: str) -> str:
    sheets = "".join(
        f"<sheet name='{escape(name)}' sheetId='{number}' r:id='rId{number}'/>" for number, name in enumerate(names, 1)
    )
    return f"<workbook xmlns='{main}' xmlns:r='{_LINKS}'><sheets>{sheets}</sheets></workbook>"


def _styles(main: str) -> str:
    return (
        f"<styleSheet xmlns='{main}'><cellXfs count='2'><xf numFmtId='0'/>"
        "<xf numFmtId='14' applyNumberFormat='1'/></cellXfs></styleSheet>"
    )
