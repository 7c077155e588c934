"""The child process that takes images out of one PDF: `python -m services.ingest.adapters.images_child MEMORY CPU`.

The file comes on standard input. To standard output goes for each image a line of JSON, then its bytes, and at last a
line that says how it ended: `{"end": ""}`, or the failure. Within the limits of parsing_child.
"""

import gc
import json
import os
import sys

from services.ingest.adapters.confinement import confine, limit
from services.ingest.adapters.parsing.pdf_images import pdf_images
from services.ingest.errors import FileBroken


def main() -> None:
    """Read what comes in and exit; the last line says whether it went well."""
    limit(memory_bytes=int(sys.argv[1]), cpu_seconds=int(sys.argv[2]))
    confine()
    outcome = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints must not mix with the outcome
    gc.disable()  # PDFium's objects are closed page by page, and the process ends soon
    end = ""
    try:
        for image in pdf_images(sys.stdin.buffer.read()):
            facts = {
                "page": image.page,
                "width": image.width,
                "height": image.height,
                "content_type": image.content_type,
                "size_bytes": len(image.content),
            }
            outcome.write(json.dumps(facts).encode("ascii") + b"\n")
            outcome.write(image.content)
    except FileBroken as error:
        end = str(error)
    except MemoryError:
        end = "the file needs more memory to read than is allowed"
    outcome.write(json.dumps({"end": end}).encode("ascii") + b"\n")
    outcome.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
