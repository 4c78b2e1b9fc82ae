"""The page's TypeScript contract and fixtures match the service."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

from shared.schemas import JobDocument, Waveforms
from shared.vitals import VITALS

ROOT = Path(__file__).parent.parent.parent
FIXTURES = ROOT / "web" / "src" / "fixtures"


def _tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("web_contract", ROOT / "tools" / "web_contract.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_typescript_contract_is_current() -> None:
    tool = _tool()
    assert tool.TARGET.read_text() == tool.contract(), "run: .venv/bin/python tools/web_contract.py"


@pytest.mark.parametrize("name", ["succeeded", "failed"])
def test_the_documents_of_the_pages_tests_are_valid(name: str) -> None:
    text = (FIXTURES / f"{name}.json").read_text()
    document = JobDocument.model_validate_json(text)
    assert set(document.vitals.by_name()) == set(VITALS)
    assert document.as_json() == json.loads(text)


def test_the_waveforms_of_the_pages_tests_are_valid() -> None:
    assert Waveforms.model_validate_json((FIXTURES / "waveforms.json").read_text()).waves
