"""Tests meet no service but their own: what this environment says about a real one is not theirs."""

import os

from shared.settings import Settings

#: Where models were built or fetched; tests would build them anew without.
_KEPT = {"models_dir", "deepface_home"}

for _variable in [name for name in os.environ if name.upper().startswith("FACEVITALS_")]:
    if _variable.upper().removeprefix("FACEVITALS_").lower() in Settings.model_fields.keys() - _KEPT:
        del os.environ[_variable]
