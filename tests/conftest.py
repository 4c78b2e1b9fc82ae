"""Settings of the environment are removed, so that tests use no service but their own."""

import os

from shared.settings import Settings

#: Folders of models that were built or fetched; without them, tests would build models again.
_KEPT = {"models_dir", "deepface_home"}

for _variable in [name for name in os.environ if name.upper().startswith("FACEVITALS_")]:
    if _variable.upper().removeprefix("FACEVITALS_").lower() in Settings.model_fields.keys() - _KEPT:
        del os.environ[_variable]
