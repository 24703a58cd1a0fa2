"""The notebooks in Chinese, and the pages that they link to: `make lab LOCALE=zh_CN` opens them.

They are laid out as the project is. A notebook that a reader has run or changed is left as it is.
"""

import argparse
from pathlib import Path

from docs.catalogues import LOCALE, SOURCES, page_name, translations
from docs.translated import translated
from utils.paths import BUILD, ROOT, relative


def write_sources(folder: Path) -> None:
    """Write the translated notebooks and pages; a line says which notebooks are kept."""
    for source in SOURCES:
        path = folder / source.relative_to(ROOT)
        text = translated(source, translations(page_name(source)))
        if path.exists() and path.suffix == ".ipynb" and path.read_text(encoding="utf-8") != text:
            print(f"{relative(path)} stays as you left it; without it, make writes a new one")
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the notebooks in another language.")
    parser.add_argument("locale", choices=[LOCALE])
    write_sources(BUILD / parser.parse_args().locale)


if __name__ == "__main__":
    main()
