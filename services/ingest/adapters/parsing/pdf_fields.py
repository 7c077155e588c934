"""What is filled into the form of a PDF page, as runs that stand where the fields are."""

import ctypes
from typing import Any

from services.ingest.adapters.parsing.pdf_runs import Run

_MAX_ANNOTATIONS = 2_000
_MAX_VALUE_CHARACTERS = 10_000
_MAX_LINE_HEIGHT = 14.0  # points; a higher field has room for several lines
_CHECKED = "☒"


def field_runs(pdfium: Any, document: Any, page: Any) -> list[Run]:
    """Values of text fields and lists, marks of boxes that are checked, and notes typed onto the page.

    Hidden and empty fields, passwords and buttons are left out. Places are those of an unturned page.
    """
    form = document.formenv.raw if document.formenv is not None else None
    count = min(pdfium.FPDFPage_GetAnnotCount(page.raw), _MAX_ANNOTATIONS)
    runs: list[Run] = []
    for place in range(count):
        annotation = pdfium.FPDFPage_GetAnnot(page.raw, place)
        if not annotation:
            continue
        try:
            text = _text_of(pdfium, form, annotation)
            box = pdfium.FS_RECTF()
            if text and pdfium.FPDFAnnot_GetRect(annotation, ctypes.byref(box)):
                left, right = sorted((box.left, box.right))
                low, high = sorted((box.bottom, box.top))
                # Text stands in the middle of a field of one line, and at the top of a higher one.
                top = -high if high - low > 2 * _MAX_LINE_HEIGHT else -(high + low) / 2 - _MAX_LINE_HEIGHT / 2
                bottom = top + min(high - low, _MAX_LINE_HEIGHT)
                width = min(right - left, 0.5 * (bottom - top) * len(text))
                runs.append(Run(left, top, left + max(width, 1.0), bottom, text))
        finally:
            pdfium.FPDFPage_CloseAnnot(annotation)
    return runs


def _text_of(pdfium: Any, form: Any, annotation: Any) -> str:
    if pdfium.FPDFAnnot_GetFlags(annotation) & (pdfium.FPDF_ANNOT_FLAG_HIDDEN | pdfium.FPDF_ANNOT_FLAG_NOVIEW):
        return ""
    subtype = pdfium.FPDFAnnot_GetSubtype(annotation)
    if subtype == pdfium.FPDF_ANNOT_FREETEXT:
        return _string(lambda buffer, size: pdfium.FPDFAnnot_GetStringValue(annotation, b"Contents", buffer, size))
    if subtype != pdfium.FPDF_ANNOT_WIDGET or form is None:
        return ""
    kind = pdfium.FPDFAnnot_GetFormFieldType(form, annotation)
    if kind in (pdfium.FPDF_FORMFIELD_CHECKBOX, pdfium.FPDF_FORMFIELD_RADIOBUTTON):
        return _CHECKED if pdfium.FPDFAnnot_IsChecked(form, annotation) else ""
    if kind not in (pdfium.FPDF_FORMFIELD_TEXTFIELD, pdfium.FPDF_FORMFIELD_COMBOBOX, pdfium.FPDF_FORMFIELD_LISTBOX):
        return ""
    if pdfium.FPDFAnnot_GetFormFieldFlags(form, annotation) & pdfium.FPDF_FORMFLAG_TEXT_PASSWORD and (
        kind == pdfium.FPDF_FORMFIELD_TEXTFIELD
    ):
        return ""
    return _string(lambda buffer, size: pdfium.FPDFAnnot_GetFormFieldValue(form, annotation, buffer, size))


def _string(read: Any) -> str:
    """What a function of PDFium's writes as UTF-16 with a closing zero, on one line."""
    size = read(None, 0)
    if not 2 < size <= 2 * _MAX_VALUE_CHARACTERS:
        return ""
    buffer = (ctypes.c_ushort * (size // 2))()
    read(buffer, size)
    return " ".join(bytes(buffer).decode("utf-16-le", "replace").rstrip("\x00").split())
